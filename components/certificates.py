"""The one account by which several servers of a name get certificates.

Makes a key, once, where a domain leads to several servers. An authority asks any of them for the answer to a
challenge, and that names the account's key: with one key it is the same on all. One of the servers of a domain, the
first of the stack file, obtains its certificate, and the others take it from there, closed by that key
(images/CertBot/certjob). Leaves alone: certificates themselves, which the state never sees.
"""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_tls as tls

import settings
from components.host import Host
from components.server import apart
from settings.domains import shared
from settings.order import gets_certificates

BITS = 2048


class Account(pulumi.ComponentResource):
    """One account of the stack at an authority."""

    def __init__(self, name: str, stack: settings.Stack, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("apiary:secrets:Account", name, None, opts)
        self._stack = stack
        self._key = tls.PrivateKey(
            name, algorithm="RSA", rsa_bits=BITS, opts=pulumi.ResourceOptions(parent=self)
        ).private_key_pem
        self.register_outputs({})

    def told(self, name: str, hosts: Mapping[str, Host]) -> dict[str, pulumi.Input[str]]:
        """What the container `name` gets of it: nothing, unless it gets certificates of such a domain."""
        container = self._stack.containers()[name]
        domains = shared(self._stack, self._stack.server_of(container))
        if not (gets_certificates(container) and domains):
            return {}
        # Of the others only where they are is told, not that they have to be there: they come and go.
        where = {other: apart(hosts[other].server.ipv4) for others in domains.values() for other in others}
        peers = {domain: [where[other] for other in others] for domain, others in domains.items()}
        own = self._stack.server_of(container)
        first = {
            domain: next(one for one in self._stack.servers if one in (own, *others))
            for domain, others in domains.items()
        }
        return {
            "ACCOUNT_KEY": self._key,
            "PEERS": pulumi.Output.json_dumps(peers, sort_keys=True),
            "OBTAINED_BY": pulumi.Output.json_dumps(
                {domain: where[server] for domain, server in first.items() if server != own}, sort_keys=True
            ),
        }
