"""The Vultr plugin: servers, storage of each kind, load balancers, keys, networks, domains, firewalls, reverse DNS.

Types, inputs, outputs and ids are those of the official plugin, so that a state made by either is read by the other.
Left out: the types that the program has no use for, and Vpc2, which the API has dropped. Started by
`pulumi-resource-vultr`, at the version of the SDK.
"""

from __future__ import annotations

import os

from provider.balancers import LoadBalancer
from provider.compute import Instance
from provider.creation import Ledger, VultrPluginBase
from provider.journal import Journal
from provider.lists import Lists
from provider.objects import (
    DnsDomain,
    FirewallGroup,
    FirewallRule,
    ReservedIp,
    ReverseIpv4,
    ReverseIpv6,
    SSHKey,
    Vpc,
)
from provider.protocol.base import UNKNOWN, CheckFailure, Context, Plugin, Props, Secret
from provider.records import DnsRecord
from provider.storage import ObjectStorage, VirtualFileSystemStorage
from provider.transport import LONGEST_PAUSE, Transport
from provider.volumes import BlockStorage

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
    ObjectStorage,
    VirtualFileSystemStorage,
    LoadBalancer,
    Instance,
)


class VultrPlugin(VultrPluginBase):
    """The provider: an API key and how requests are repeated."""

    configured = False

    elsewhere = "; the official plugin may have it (docs/decisions/0041-own-vultr-plugin.md says how to go back)"

    @property
    def title(self) -> str:
        return "the program's own Vultr plugin (provider/)"

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
        """The key is not tried: a wrong one shows at the first request, and changes nothing there."""
        key = str(args.get("apiKey") or os.environ.get("VULTR_API_KEY") or "")
        self.transport = Transport(
            key,
            retries=int(args.get("retryLimit") or 3),
            longest=int(args.get("rateLimit") or 0) / 1000 or LONGEST_PAUSE,
            cancelled=self.cancelled,
        )
        self.lists = Lists(self.transport)
        self.journal = Journal(key)
        self.ledger = Ledger()
        self.configured = True

    def close(self) -> None:
        """The engine has ended in good order."""
        if self.configured:
            self.journal.close()


def plugin(version: str) -> Plugin:
    """The plugin, for the launcher."""
    return VultrPlugin("vultr", version, [kind() for kind in TYPES])
