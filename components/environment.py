"""What the containers of a stack get as their environment: every reference resolved to what it stands for.

Makes a random.RandomPassword for each generated secret that the stack file refers to and for each database that it
uses, once, so that it stays the same until `rotate` asks for another one; none where `passwords` gives it. Everything
else is plain text or the output of another component.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import pulumi
import pulumi_random as random

import settings
from components.server import later
from settings import databases, swarm
from settings.git_texts import secret_name
from settings.order import proxy_setups
from settings.references import Part, SecretRef, Text

PASSWORD_LENGTH = 32


class Secrets(pulumi.ComponentResource):
    """The generated passwords of a stack, by their name in `password_name`."""

    def __init__(self, name: str, stack: settings.Stack, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("apiary:secrets:Secrets", name, None, opts)
        self._stack = stack
        self._passwords = {secret: _given(stack, secret) or self._generated(secret) for secret in sorted(_names(stack))}
        self.register_outputs({})

    def _generated(self, secret: str) -> pulumi.Output[str]:
        made = random.RandomPassword(
            secret,
            length=PASSWORD_LENGTH,
            # Safe to write anywhere: in a URL, a shell, an SQL string, a configuration file.
            special=False,
            keepers=_keepers(self._stack, secret),
            opts=pulumi.ResourceOptions(parent=self, aliases=_aliases(secret, self._stack)),
        )
        generated: pulumi.Output[str] = made.result
        return generated

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
            for reference in container.referred
            if isinstance(reference, SecretRef)
        }
    return found


def _given(stack: settings.Stack, secret: str) -> pulumi.Output[str] | None:
    """A password that the stack file gives, which is no resource: without its line one is planned, and seen."""
    server, name, *_ = secret.split("/")
    setting = stack.applications[server].passwords.get(name)
    return None if setting is None else pulumi.Output.secret(stack.secrets[secret_name(setting)])


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

    def __init__(
        self, asker: str, stack: settings.Stack, secrets: Secrets, sites: Sequence[pulumi.Output[Any]]
    ) -> None:
        self._asker = asker
        self._stack = stack
        self._secrets = secrets
        self._sites = sites

    def host(self, application: str) -> pulumi.Output[str]:
        """The application's alias on the network; from another server, the private address it is published on.

        With replicas it has its alias on the swarm's network, and is on no server more than on another.
        """
        asker, asked = (self._stack.containers()[name] for name in (self._asker, application))
        spread = swarm.replicated(self._stack)
        here, there = self._stack.server_of(asker), self._stack.server_of(asked)
        is_near = application in spread or (self._asker not in spread and here == there)
        return pulumi.Output.from_input(application if is_near else str(self._stack.servers[there].private_ip))

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
        """Every domain served on the container's server, as JSON.

        Known when all that the stack's sites are made of is there: a proxy goes on with a site that moves to another
        server until that can have it.
        """
        server = self._stack.server_of(self._stack.containers()[self._asker])
        known = pulumi.Output.from_input(json.dumps(settings.proxy_map(self._stack, server)))
        return later(known, self._sites)

    def databases(self) -> pulumi.Output[str]:
        """The databases to create, as JSON."""
        return self._secrets.databases(self._asker)

    def text(self, text: Text) -> pulumi.Output[str]:
        """A text with its references resolved, as secret as what is in it."""
        return pulumi.Output.concat(*(self._part(part) for part in text.parts))

    def _part(self, part: Part) -> pulumi.Output[str]:
        value = pulumi.Output.from_input(settings.resolve(part.reference, self))
        return value if part.kept is None else value.apply(lambda known: quote(known, safe=part.kept or ""))


def contents(
    asker: str, stack: settings.Stack, secrets: Secrets, sites: Sequence[pulumi.Output[Any]] = ()
) -> dict[str, pulumi.Input[str]]:
    """What stands in the files of the container `asker` that the stack file writes, by their paths.

    `sites` is what all sites of the stack are made of, each known when it is there.
    """
    lookup = Lookup(asker, stack, secrets, sites)
    return {path: settings.resolve(text, lookup) for path, text in stack.containers()[asker].contents.items()}


def environment(
    asker: str, stack: settings.Stack, secrets: Secrets, sites: Sequence[pulumi.Output[Any]] = ()
) -> dict[str, pulumi.Input[str]]:
    """The variables of the container `asker` by the names that it knows them by; `sites` as for `contents`."""
    lookup = Lookup(asker, stack, secrets, sites)
    found = {name: settings.resolve(value, lookup) for name, value in stack.containers()[asker].variables.items()}
    return {**found, **_site_passwords(asker, stack)}


def _site_passwords(asker: str, stack: settings.Stack) -> dict[str, pulumi.Input[str]]:
    """What a job that tells the proxy of its sites is told of their passwords: `{"shop": {"anna": "her password"}}`."""
    server = stack.server_of(stack.containers()[asker])
    if asker not in proxy_setups(stack, server):
        return {}
    given = {
        name: {user: stack.secrets[secret] for user, secret in sorted(app.site.secret_names.items())}
        for name, app in sorted(stack.led_to(server).items())
        if app.site.password and app.domains
    }
    return {"PASSWORDS": pulumi.Output.secret(json.dumps(given))} if given else {}
