"""Stand-in for the official Vultr plugin: servers, volumes, keys, networks, domains, firewalls, reverse DNS.

Held to the recorded behaviour of version 2.27.1: the same requests in the same order, the same words. Left
out: Vpc2, and all types the recordings do not hold.
"""

from __future__ import annotations

import os

from provider.client import Client
from provider.compute import BlockStorage, Instance
from provider.objects import (
    DnsDomain,
    DnsRecord,
    FirewallGroup,
    FirewallRule,
    ReservedIp,
    ReverseIpv4,
    ReverseIpv6,
    SSHKey,
    Vpc,
)
from provider.protocol.base import UNKNOWN, CheckFailure, Context, Plugin, Props, Secret
from provider.resource import VultrClientPlugin

TYPES = (
    SSHKey,
    Vpc,
    ReservedIp,
    DnsDomain,
    DnsRecord,
    FirewallGroup,
    FirewallRule,
    ReverseIpv4,
    ReverseIpv6,
    BlockStorage,
    Instance,
)


class VultrPlugin(VultrClientPlugin):
    """The provider: an API key and the retries."""

    def check_config(self, ctx: Context, olds: Props, news: Props) -> tuple[Props, list[CheckFailure]]:
        """The key may come from VULTR_API_KEY; it is a secret."""
        if not news.get("apiKey") and not os.environ.get("VULTR_API_KEY"):
            reason = (
                "Provider is missing a required configuration key, try `pulumi config set vultr:apiKey`: "
                "The API Key that allows interaction with the API"
            )
            return news, [CheckFailure("", reason)]
        key = news.get("apiKey")
        return (news if key in (None, UNKNOWN) else {**news, "apiKey": Secret(key)}), []

    def configure(self, ctx: Context, args: Props) -> None:
        """The key is not tried: a wrong one shows at the first request."""
        key = args.get("apiKey") or os.environ.get("VULTR_API_KEY") or ""
        self.client = Client(str(key), int(args.get("rateLimit") or 500), int(args.get("retryLimit") or 3))


def plugin(version: str) -> Plugin:
    """The plugin, for the launcher."""
    return VultrPlugin("vultr", version, [kind() for kind in TYPES])
