"""How the program reaches a server: one address, one client key, one pinned host key.

The Command plugin takes the keys as text. The Docker plugin and cargo.py run `ssh`, which takes them as options and one
file: the client key is written to `.apiary/<stack>/id_ed25519` (mode 0600, git-ignored) whenever the program
runs and knows it, so any machine that can read the stack's secrets can also operate it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi_command import remote

DIAL_RETRIES = 3
DIAL_TIMEOUT_SECONDS = 15


@dataclass(frozen=True)
class Connection:
    """Root on one server over SSH."""

    host: pulumi.Output[str]  # IPv4 address
    host_key: pulumi.Output[str]  # `ssh-ed25519 AAAA...`, one line
    private_key: pulumi.Output[str]  # OpenSSH PEM, secret
    key_file: pulumi.Output[str]  # path of the same key, relative to the program

    def command(self) -> remote.ConnectionArgs:
        """For the Command plugin, to a server that is up; gives up on a dead one within a minute or two."""
        return remote.ConnectionArgs(
            host=self.host,
            user="root",
            host_key=self.host_key,
            private_key=self.private_key,
            dial_error_limit=DIAL_RETRIES,
            per_dial_timeout=DIAL_TIMEOUT_SECONDS,
        )

    def docker_host(self) -> pulumi.Output[str]:
        """`ssh://root@ADDRESS:22`, what docker.Provider calls the host."""
        return pulumi.Output.concat("ssh://root@", self.host, ":22")

    def ssh_options(self, comment: pulumi.Input[str] = "") -> pulumi.Output[list[str]]:
        """Options for the `ssh` program; the host key is given inline, so no known_hosts file has to exist.

        `comment` stands behind that key, where nothing reads it.
        """
        return pulumi.Output.all(self.host_key, self.key_file, comment).apply(
            lambda known: [
                "-o",
                f"KnownHostsCommand=/bin/echo %H {known[0]} {known[2]}".rstrip(),
                "-o",
                "UserKnownHostsFile=/dev/null",
                "-o",
                "StrictHostKeyChecking=yes",
                "-o",
                "BatchMode=yes",
                "-o",
                "IdentitiesOnly=yes",
                # Without these a session to a host that has vanished never ends.
                "-o",
                "ServerAliveInterval=5",
                "-o",
                "ServerAliveCountMax=6",
                "-i",
                known[1],
            ]
        )


def write_key_file(private_key: str, path: Path) -> str:
    """Keep `private_key` at `path` for `ssh`, readable by this user alone; return the path as it was given."""
    if not path.exists() or path.read_text() != private_key:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(private_key)
        fresh.rename(path)
    return str(path)
