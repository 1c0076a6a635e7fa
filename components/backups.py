"""Backups: a repository for the stack, and on each server the moments at which it is saved and filled.

Makes, once, the password of the repository, protected, because what is saved can't be read without it. On each server,
in the order of the graph:

  NAME-backups      the host is told what to save, where to and when (playbooks/roles/backups)
  NAME-fill         before any container that uses a saved volume: volumes that are empty are filled
  APP-fill          after a database server, and before all that use it: databases that are empty are filled
  NAME-backed-up    the last of all

On a planned rebuild the engine deletes these, on the old host, in the reverse order, and what they do then is the last
backup: NAME-backed-up saves all while all still serve, so that a repository which does not answer fails the update
before anything is touched; APP-fill dumps the databases once those who write to them are gone; NAME-fill saves the
volumes once all containers are gone. Where one fails, the instance stays. A dead instance is not asked (`make revive`).
Leaves alone: how it is saved, and the repository's content, whatever goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_random as random
from pulumi_command import remote

import settings
from components.application import Application
from components.labels import stack_tag
from components.server import Server, undo
from settings import saved

PASSWORD_LENGTH = 48
# Of restic, by setting and kind of repository.
VARIABLES = {
    "s3": {"access_key": "AWS_ACCESS_KEY_ID", "secret_key": "AWS_SECRET_ACCESS_KEY"},
    "rest": {"access_key": "RESTIC_REST_USERNAME", "secret_key": "RESTIC_REST_PASSWORD"},
}


class Repository(pulumi.ComponentResource):
    """Where all servers of the stack save to."""

    password: pulumi.Output[str]  # secret; without it nothing of what is saved can be read

    def __init__(self, name: str, stack: settings.Stack, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("apiary:backups:Repository", name, None, opts)
        if stack.backups is None:
            raise ValueError("a stack without backups has no repository")
        self._stack, self._backups = stack, stack.backups
        if name_of_own := self._backups.secret_names.get("password"):
            self.password = pulumi.Output.secret(stack.secrets[name_of_own])
        else:
            self.password = random.RandomPassword(
                "backups-password",
                length=PASSWORD_LENGTH,
                special=False,
                opts=pulumi.ResourceOptions(parent=self, protect=True),
            ).result
        self.register_outputs({})

    def told(self, server: str) -> pulumi.Output[str]:
        """What a server is told, as JSON, secret."""
        names = self._backups.secret_names
        secrets = {setting: pulumi.Output.secret(self._stack.secrets[secret]) for setting, secret in names.items()}
        variables = VARIABLES.get(self._backups.scheme, {})
        known: dict[str, pulumi.Input[object]] = {
            **saved.told(self._stack, server),
            "stack": stack_tag(),
            "repository": saved.place(self._backups.repository, server),
            "environment": {
                "RESTIC_PASSWORD": self.password,
                **{variables[setting]: value for setting, value in secrets.items() if setting in variables},
            },
            "ca": self._backups.ca,
            "ssh": {"key": secrets["key"], "host_key": self._backups.host_key} if "key" in secrets else None,
        }
        return pulumi.Output.secret(pulumi.Output.json_dumps(known, sort_keys=True))


class Backups(pulumi.ComponentResource):
    """What is done for the backups of one server."""

    filled: Mapping[str, remote.Command]  # by volume: what a container that uses it starts after
    databases: Sequence[str]  # applications whose databases are saved

    def __init__(
        self,
        name: str,
        stack: settings.Stack,
        repository: Repository,
        server: Server,
        *,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`after` is what makes the host ready, and its volumes."""
        super().__init__("apiary:backups:Backups", name, None, opts)
        self._name, self._server = name, server
        told = repository.told(name)
        self._told = remote.Command(
            f"{name}-backups",
            connection=server.connection.command(),
            create="apiary-backups told",
            # In place: a replacement would have the host forget what it has just been told.
            update="apiary-backups told",
            delete=server.instance.id.apply(lambda instance: undo(instance, "apiary-backups forgotten")),
            stdin=told,
            triggers=[server.instance.id],
            logging=remote.Logging.STDOUT_AND_STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after), deleted_with=server.instance),
        )
        here = saved.saved(stack, name)
        fill = self._moment(f"{name}-fill", "fill --volumes", "--only volumes", [self._told])
        self.databases = list(here.databases)
        self.filled = dict.fromkeys(here.volumes, fill)
        self.register_outputs({})

    def fill(self, application: str, made: Application) -> remote.Command:
        """What comes between a database server and all that use it."""
        what = f"databases:{application}"
        after = [self._told, made]
        return self._moment(f"{application}-fill", f"fill --databases {application}", f"--only {what}", after)

    def done(self, after: Sequence[pulumi.Resource]) -> None:
        """Say that all of a server is there: what begins its last backup when it goes."""
        self._moment(f"{self._name}-backed-up", None, "", [self._told, *after])

    def _moment(self, name: str, create: str | None, last: str, after: Sequence[pulumi.Resource]) -> remote.Command:
        return remote.Command(
            name,
            connection=self._server.connection.command(),
            create=f"apiary-backups {create}" if create else "true",
            # Another way to connect, or to say it, is no reason to do it again.
            update="true",
            delete=self._server.instance.id.apply(
                lambda instance: undo(instance, f"apiary-backups run --final {last}".rstrip())
            ),
            triggers=[self._server.instance.id],
            logging=remote.Logging.STDOUT_AND_STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after), deleted_with=self._server.instance),
        )
