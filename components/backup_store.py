"""A server of the stack as the place for the others' backups (playbooks/roles/backup_store).

Makes an SSH key for each server that saves there. Leaves alone: the keeper's bootstrap, which is told by `variables`
whose key opens which folder, and from which address alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_tls as tls

import settings
from components.server import Server

FOLDER = "/repository"  # in the folder that an account is locked into


@dataclass(frozen=True)
class Place:
    """What a server that saves there has to know."""

    repository: pulumi.Output[str]  # as restic spells it, the server's own
    key: pulumi.Output[str]  # OpenSSH PEM, secret
    host_key: pulumi.Output[str]  # `ssh-ed25519 AAAA...`


def account(server: str) -> str:
    """The keeper's account for a server, as the role names it."""
    return f"backup-{server}"


class BackupStore(pulumi.ComponentResource):
    """Over the private network where both servers are on it, else between their public IPv4 addresses."""

    keeper: str
    places: Mapping[str, Place]  # by server
    variables: pulumi.Output[dict[str, Any]]  # `apiary_backup_store` of the keeper

    def __init__(
        self,
        keeper: str,
        stack: settings.Stack,
        servers: Mapping[str, Server],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("apiary:backups:BackupStore", keeper, None, opts)
        self.keeper = keeper
        peers = stack.private_peers(keeper)
        own = stack.servers[keeper].private_ip
        places, told = {}, {}
        for name in sorted(servers.keys() - {keeper}):
            key = tls.PrivateKey(f"{name}-backups", algorithm="ED25519", opts=pulumi.ResourceOptions(parent=self))
            is_private = name in peers
            host = pulumi.Output.from_input(own) if is_private else servers[keeper].ipv4
            places[name] = Place(
                pulumi.Output.format("sftp:{0}@{1}:{2}", account(name), host, FOLDER),
                key.private_key_openssh,
                servers[keeper].connection.host_key,
            )
            told[name] = {
                "key": key.public_key_openssh.apply(str.strip),
                "from": peers[name] if is_private else servers[name].ipv4,
            }
        self.places = places
        self.variables = pulumi.Output.from_input(told)
        self.register_outputs({})
