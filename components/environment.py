"""What the containers of a stack get as their environment: every reference resolved to what it stands for.

Makes a random.RandomPassword for each generated secret that the stack file refers to, once, so that it stays
the same until it is asked to change. Everything else is plain text or the output of another component.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pulumi
import pulumi_random as random

import settings
from components.job import Job
from settings.references import SecretRef

PASSWORD_LENGTH = 32


class Secrets(pulumi.ComponentResource):
    """The generated passwords of a stack, by their name in `password_name`."""

    def __init__(self, name: str, stack: settings.Stack, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("apiary:secrets:Secrets", name, None, opts)
        self._stack = stack
        self._passwords: dict[str, pulumi.Output[str]] = {
            secret: random.RandomPassword(
                secret,
                length=PASSWORD_LENGTH,
                # Safe to write anywhere: in a URL, a shell, an SQL string, a configuration file.
                special=False,
                opts=pulumi.ResourceOptions(parent=self, aliases=_aliases(secret, stack)),
            ).result
            for secret in sorted({password_name(asker, wanted) for asker, wanted in self._references()})
        }
        self.register_outputs({})

    def __getitem__(self, secret: str) -> pulumi.Output[str]:
        return self._passwords[secret]

    def databases(self) -> pulumi.Output[str]:
        """`{"postgres": {"shop": "its password"}}` as JSON, secret: every database that a container refers to."""
        wanted: dict[str, dict[str, pulumi.Output[str]]] = {}
        for asker, reference in self._references():
            if reference.kind == "password":
                databases = wanted.setdefault(reference.application, {})
                databases[reference.database or asker] = self[password_name(asker, reference)]
        return pulumi.Output.secret(pulumi.Output.json_dumps(wanted, sort_keys=True))

    def _references(self) -> list[tuple[str, SecretRef]]:
        return [
            (asker, reference)
            for asker, container in self._stack.containers().items()
            for reference in container.environment.values()
            if isinstance(reference, SecretRef)
        ]


def password_name(asker: str, reference: SecretRef) -> str:
    """Name of a generated password: `postgres/shop/password`, `postgres/adminpass`.

    Without a database in the reference it is the one named as the container that asks.
    """
    database = (reference.database or asker) if reference.kind == "password" else None
    return "/".join(part for part in (reference.application, database, reference.kind) if part)


def _aliases(secret: str, stack: settings.Stack) -> list[pulumi.Alias] | None:
    """A password of an application that had another name before stays what it was: its data know no other."""
    application, _, rest = secret.partition("/")
    served = stack.applications.get(application)
    return [pulumi.Alias(name=f"{served.renamed_from}/{rest}")] if served and served.renamed_from else None


class Lookup:
    """Answers the references of one container (settings.references.Lookup)."""

    def __init__(self, asker: str, stack: settings.Stack, secrets: Secrets, jobs: Mapping[str, Job]) -> None:
        self._asker = asker
        self._stack = stack
        self._secrets = secrets
        self._jobs = jobs

    def host(self, application: str) -> pulumi.Output[str]:
        """The application's alias on the network; from another server, the private address it is published on."""
        here, there = (self._stack.server_of(self._stack.containers()[name]) for name in (self._asker, application))
        return pulumi.Output.from_input(application if here == there else str(self._stack.servers[there].private_ip))

    def job(self, job: str) -> pulumi.Output[str]:
        """The name that the engine gave the job's container."""
        return self._jobs[job].name

    def password(self, reference: SecretRef) -> pulumi.Output[str]:
        """A generated password, secret."""
        return self._secrets[password_name(self._asker, reference)]

    def secret(self, name: str) -> pulumi.Output[str]:
        """A secret of the stack file."""
        return pulumi.Output.secret(self._stack.secrets[name])

    def domains(self) -> pulumi.Output[str]:
        """Every domain served on the container's server, as JSON."""
        server = self._stack.server_of(self._stack.containers()[self._asker])
        return pulumi.Output.from_input(json.dumps(settings.domains_map(self._stack, server)))

    def databases(self) -> pulumi.Output[str]:
        """The databases to create, as JSON."""
        return self._secrets.databases()


def environment(
    asker: str, stack: settings.Stack, secrets: Secrets, jobs: Mapping[str, Job]
) -> dict[str, pulumi.Input[str]]:
    """The variables of the container `asker` by their upper-case names."""
    lookup = Lookup(asker, stack, secrets, jobs)
    return {name: settings.resolve(value, lookup) for name, value in stack.containers()[asker].environment.items()}
