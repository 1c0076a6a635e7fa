"""What the containers of a stack get as their environment: every reference resolved to what it stands for.

Makes a random.RandomPassword for each generated secret that the stack file refers to and for each database that it
uses, once, so that it stays the same until `rotate` asks for another one. Everything else is plain text or the output
of another component.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pulumi
import pulumi_random as random

import settings
from settings import databases
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
                keepers=_keepers(stack, secret),
                opts=pulumi.ResourceOptions(parent=self, aliases=_aliases(secret, stack)),
            ).result
            for secret in sorted(_names(stack))
        }
        self.register_outputs({})

    def __getitem__(self, secret: str) -> pulumi.Output[str]:
        return self._passwords[secret]

    def shown(self, others: Mapping[str, pulumi.Output[str]]) -> pulumi.Output[dict[str, str]]:
        """Every generated password by its name, `others` too, secret: for the people who have to type one."""
        return pulumi.Output.secret(pulumi.Output.all(**self._passwords, **others))

    def databases(self, job: str) -> pulumi.Output[str]:
        """What the job makes, as JSON, secret: all databases of all database servers on its own host.

        `{"postgres": {"kind": "postgresql", "host": "postgres", "adminpass": "its password",
        "databases": {"shop": {"password": "its password"}}}}`
        """
        wanted = {
            server: {
                "kind": self._stack.applications[server].engine,
                "host": server,
                "adminpass": self[_admin(server)],
                "databases": {
                    name: {"password": self[_password(databases.Database(server, name))]}
                    for name in databases.served(self._stack, server)
                },
            }
            for server in databases.made_by(self._stack, job)
        }
        return pulumi.Output.secret(pulumi.Output.json_dumps(wanted, sort_keys=True))


def password_name(stack: settings.Stack, asker: str, reference: SecretRef) -> str:
    """Name of a generated password: `postgres/shop/password`, `postgres/adminpass`."""
    if reference.kind == "adminpass":
        return _admin(reference.application)
    return _password(databases.meant(asker, stack.containers()[asker], reference))


def _admin(server: str) -> str:
    return f"{server}/adminpass"


def _password(database: databases.Database) -> str:
    return f"{database.server}/{database.name}/password"


def _names(stack: settings.Stack) -> set[str]:
    """The names of all generated passwords."""
    found: set[str] = set()
    for asker, container in stack.containers().items():
        found |= {_password(one) for one in databases.used(asker, container)}
        found |= {_admin(server) for server in databases.made_by(stack, asker)}
        found |= {
            password_name(stack, asker, reference)
            for reference in container.environment.values()
            if isinstance(reference, SecretRef)
        }
    return found


def _keepers(stack: settings.Stack, secret: str) -> dict[str, str] | None:
    """What the password is kept for; another one, and another password is generated."""
    server, name, *_ = secret.split("/")
    version = stack.applications[server].rotate.get(name)
    return None if version is None else {"version": version}


def _aliases(secret: str, stack: settings.Stack) -> list[pulumi.Alias] | None:
    """A password of an application that had another name before stays what it was: its data know no other."""
    application, _, rest = secret.partition("/")
    served = stack.applications.get(application)
    return [pulumi.Alias(name=f"{served.renamed_from}/{rest}")] if served and served.renamed_from else None


class Lookup:
    """Answers the references of one container (settings.references.Lookup)."""

    def __init__(self, asker: str, stack: settings.Stack, secrets: Secrets) -> None:
        self._asker = asker
        self._stack = stack
        self._secrets = secrets

    def host(self, application: str) -> pulumi.Output[str]:
        """The application's alias on the network; from another server, the private address it is published on."""
        here, there = (self._stack.server_of(self._stack.containers()[name]) for name in (self._asker, application))
        return pulumi.Output.from_input(application if here == there else str(self._stack.servers[there].private_ip))

    def job(self, job: str) -> pulumi.Output[str]:
        """The job's own name: that of its container changes with the job, and would change the asker as well."""
        return pulumi.Output.from_input(job)

    def password(self, reference: SecretRef) -> pulumi.Output[str]:
        """A generated password, secret."""
        return self._secrets[password_name(self._stack, self._asker, reference)]

    def secret(self, name: str) -> pulumi.Output[str]:
        """A secret of the stack file."""
        return pulumi.Output.secret(self._stack.secrets[name])

    def domains(self) -> pulumi.Output[str]:
        """Every domain served on the container's server, as JSON."""
        server = self._stack.server_of(self._stack.containers()[self._asker])
        return pulumi.Output.from_input(json.dumps(settings.domains_map(self._stack, server)))

    def databases(self) -> pulumi.Output[str]:
        """The databases to create, as JSON."""
        return self._secrets.databases(self._asker)


def environment(asker: str, stack: settings.Stack, secrets: Secrets) -> dict[str, pulumi.Input[str]]:
    """The variables of the container `asker` by their upper-case names."""
    lookup = Lookup(asker, stack, secrets)
    return {name: settings.resolve(value, lookup) for name, value in stack.containers()[asker].environment.items()}
