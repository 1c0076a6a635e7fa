"""The stack's own SSH key pair: generated once, kept as a secret in the state, known to Vultr.

Makes a tls.PrivateKey and a vultr.SSHKey. Nobody's personal key is on the servers, and nobody's laptop is
needed to operate them: whoever can read the stack's secrets can.
"""

from __future__ import annotations

from pathlib import Path

import ediri_vultr as vultr
import pulumi
import pulumi_tls as tls

from components.connection import write_key_file
from components.labels import stack_tag


class Access(pulumi.ComponentResource):
    """The client key with which the program logs in."""

    ssh_key_id: pulumi.Output[str]
    private_key: pulumi.Output[str]  # OpenSSH PEM, secret
    key_file: pulumi.Output[str]  # path relative to the program

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("apiary:host:Access", name, None, opts)
        own = pulumi.ResourceOptions(parent=self)

        key = tls.PrivateKey(name, algorithm="ED25519", opts=own)
        ssh_key = vultr.SSHKey(
            name,
            name=stack_tag(),
            ssh_key=key.public_key_openssh.apply(str.strip),
            opts=own,
        )

        path = Path(".apiary") / pulumi.get_stack() / "id_ed25519"
        self.ssh_key_id = ssh_key.id
        self.private_key = key.private_key_openssh
        # The path is no secret, only what the file holds.
        self.key_file = pulumi.Output.unsecret(
            self.private_key.apply(lambda private_key: write_key_file(private_key, path))
        )
        self.register_outputs({"ssh_key_id": self.ssh_key_id})
