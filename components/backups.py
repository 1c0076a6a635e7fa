"""Backups: a repository for the stack, and on each server the moments at which it is saved and filled.

Makes, once, the password of the repository, protected, because what is saved can't be read without it. On each server,
in the order of the graph:

  NAME-backups      the host is told what to save, where to and when (playbooks/roles/backups), and later of one volume
                    more, which is filled then
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
from typing import Any

import pulumi
import pulumi_random as random
from pulumi_command import remote

import settings
from components.application import Application
from components.backup_store import BackupStore
from components.labels import stack_tag
from components.object_storage import ObjectStorage
from components.server import Server, undo
from settings import carried, saved

PASSWORD_LENGTH = 48
# What a host that runs already is told; also by `make backup`, where that has lost it (operations/backups.py).
RETOLD = "apiary-backups told && apiary-backups fill --volumes --new"
# Of restic, by setting and kind of repository.
VARIABLES = {
    "s3": {"access_key": "AWS_ACCESS_KEY_ID", "secret_key": "AWS_SECRET_ACCESS_KEY"},
    "rest": {"access_key": "RESTIC_REST_USERNAME", "secret_key": "RESTIC_REST_PASSWORD"},
}


# On the keeper's own disk the backups of the others would be lost with it.
KEEPS = """\
found=$(find /srv/backups -mindepth 3 -maxdepth 3 -path '*/repository/config' 2>/dev/null | cut -d / -f 4 | xargs)
[ -n "$found" ] || exit 0
# Where nobody's key is left, another place has taken its place, and this host stays.
[ -n "$(ls -A /etc/apiary/backup-store)" ] || exit 0
[ "$(stat -c %d /srv/backups)" = "$(stat -c %d /)" ] || exit 0
echo "{server} keeps the backups of $found on its own disk, which would be lost; move /srv/backups elsewhere, \
or remove it, and run this again" >&2
exit 1
"""


class Repository(pulumi.ComponentResource):
    """Where all servers of the stack save to."""

    password: pulumi.Output[str]  # secret; without it nothing of what is saved can be read

    def __init__(
        self,
        name: str,
        stack: settings.Stack,
        servers: Mapping[str, Server],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("apiary:backups:Repository", name, None, opts)
        if stack.backups is None:
            raise ValueError("a stack without backups has no repository")
        own = pulumi.ResourceOptions(parent=self)
        self._stack, self._backups = stack, stack.backups
        keeper = self._backups.store_server
        self._keeper = servers[keeper] if keeper else None
        self._store = BackupStore(keeper, stack, servers, own) if keeper else None
        self._account = ObjectStorage(stack_tag(), own) if self._backups.scheme == "vultr" else None
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

    def variables(self, server: str) -> dict[str, pulumi.Input[Any]]:
        """What the playbooks are told of a server's backups."""
        if saved.has_backups(self._stack, server):
            return {"apiary_backups": True}
        return {"apiary_backup_store": self._store.variables} if self._store else {}

    def told(self, server: str) -> pulumi.Output[str]:
        """What a server is told, as JSON, secret."""
        secrets = {
            setting: pulumi.Output.secret(self._stack.secrets[secret])
            for setting, secret in self._backups.secret_names.items()
        }
        place: pulumi.Input[str] = saved.place(self._backups.repository, server)
        ssh: dict[str, pulumi.Input[str]] | None = None
        kind = self._backups.scheme
        if self._store:
            there = self._store.places[server]
            place, ssh = there.repository, {"key": there.key, "host_key": there.host_key}
        elif self._account:
            kind = "s3"
            place = self._account.repository.apply(lambda repository: saved.place(repository, server))
            secrets |= {"access_key": self._account.access_key, "secret_key": self._account.secret_key}
        elif self._backups.host_key is not None:
            ssh = {"key": secrets["key"], "host_key": self._backups.host_key}
        variables = VARIABLES.get(kind, {})
        known: dict[str, pulumi.Input[Any]] = {
            **saved.told(self._stack, server),
            "stack": stack_tag(),
            "repository": place,
            "environment": {
                "RESTIC_PASSWORD": self.password,
                **{variables[setting]: value for setting, value in secrets.items() if setting in variables},
            },
            "ca": self._backups.ca,
            "ssh": ssh,
        }
        return pulumi.Output.secret(pulumi.Output.json_dumps(known, sort_keys=True))

    def done(self, after: Sequence[pulumi.Resource]) -> None:
        """Say that all servers know it; a server of the stack that keeps it is not to be rebuilt with it."""
        if self._keeper is None:
            return
        name = str(self._backups.store_server)
        remote.Command(
            f"{name}-keeps-backups",
            connection=self._keeper.connection.command(),
            create="true",
            update="true",
            delete=self._keeper.instance.id.apply(
                lambda instance: undo(instance, KEEPS.replace("{server}", name)),
            ),
            triggers=[self._keeper.instance.id],
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[self._keeper, *after], deleted_with=self._keeper.instance
            ),
        )


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
            update=RETOLD,
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
        # Of a database server it has to be seen before its first start whether its files are there.
        files = [volume for app in self.databases for volume in carried.volumes(stack.applications[app])]
        self.filled = {**dict.fromkeys(files, self._told), **dict.fromkeys(here.volumes, fill)}
        self.register_outputs({})

    def fill(self, application: str, made: Application) -> remote.Command:
        """What comes between a database server and all that use it."""
        what = f"databases:{application}"
        after = [self._told, made]
        return self._moment(f"{application}-fill", f"fill --databases {application}", f"--only {what}", after)

    def done(self, after: Sequence[pulumi.Resource]) -> None:
        """Say that all of a server is there: what begins its last backup when it goes."""
        # Of a rebuild that was cut off in its last backup, and is taken back, nothing else is made anew.
        self._moment(f"{self._name}-backed-up", "resume", "", [self._told, *after])

    def _moment(
        self,
        name: str,
        create: str,
        last: str,
        after: Sequence[pulumi.Resource],
    ) -> remote.Command:
        return remote.Command(
            name,
            connection=self._server.connection.command(),
            create=f"apiary-backups {create}",
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
