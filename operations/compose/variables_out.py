"""The environment of a service in the stack file's words.

Makes: `Client`, which reads every value once: host names of other services become references, so do passwords of
recognised databases, and what is a secret becomes `_secrets^NAME`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from operations.coming import hosts
from operations.coming.entries import Parts
from operations.coming.secrets import is_secret
from operations.compose import access, databases
from operations.compose.clients import SAYS_HOST, Uses
from settings.references import AppRef, SecretRef, UserSecretRef

_HOST_PORT = re.compile(r"(?P<host>[A-Za-z0-9_.-]+)(?P<port>:\d{1,5})")
# Where in a text, and what comes in its place.
Replaced = tuple[int, int, str | SecretRef | UserSecretRef | AppRef]


@dataclass
class Client(Uses):
    """A service whose variables are read."""

    def read(self, environment: Mapping[str, str]) -> dict[str, Parts]:
        """Return every value with its references."""
        self.find(environment)
        for app in self.uses:
            server = self.servers[app]
            admins = ("root",) if server.engine == databases.MYSQL else ("postgres",)
            held = databases.nearest(environment, server.passwords, databases.says_password)
            # Whoever logs in by a URL needs no word for its password, but one that speaks of the database.
            self._holding[app] = {name for name in held if databases.is_of_database(name) or app not in self.spoken}
            self._calling[app] = databases.nearest(environment, {server.user, *admins}, databases.says_user)
        for app in {*self.uses, *self.nameless}:
            server, alone = self.servers[app], app in self.nameless
            mine = {name: value for name, value in environment.items() if self.owner(name) in (None, app)}
            self.ruling |= {n: app for n, value in mine.items() if databases.is_admin(server, n, value, is_alone=alone)}
        return {name: self._value(name, value) for name, value in environment.items()}

    def _value(self, name: str, value: str) -> Parts:
        if isinstance(special := self._database_value(name, value), list):
            return special
        for pattern in (access.GO_DSN, access.URL):
            if pattern.search(value):
                parts = self._located(pattern, name, value)
                if any(not isinstance(part, str) for part in parts):
                    return parts
        if "=" in value and any(match["host"] for match in access.WORDS_DSN.finditer(value)):
            parts = self._words(name, value)
            if any(not isinstance(part, str) for part in parts):
                return parts
        if self.is_secret(name, value):
            return [UserSecretRef(self.secrets.name(f"{self.app}_{name}", value))]
        return self._hosts(name, value)

    def _database_value(self, name: str, value: str) -> Parts | None:
        if name in self.ruling:
            app = self.ruling[name]
            self.met.add(app)
            is_password = databases.says_root(name) or databases.says_password(name)
            return [SecretRef(app, None, "adminpass") if is_password else self.servers[app].admin]
        for app, database in self.uses.items():
            if self.owner(name) not in (None, app):
                continue
            server = self.servers[app]
            # Whatever it was, the role has one password now.
            is_own = databases.is_of_database(name) and len(self.uses) == 1
            is_password = name in self._holding.get(app, ()) or (is_own and databases.says_password(name))
            if is_password and value and value[0] != "/":
                self.met.add(app)
                self.given[name] = app
                return [self._password(app)]
            if value and (name in self._calling.get(app, ()) or (is_own and databases.says_user(name))):
                return [self._called(name, value, database)]
            is_name = databases.says_database(name) and value and not databases.is_kind(server, name, value)
            if is_name and databases.usable(server, value, self.app) == database:
                return [self._called(name, value, database)]
        return None

    def _password(self, app: str, database: str = "") -> SecretRef:
        return SecretRef(app, (database or self.uses[app]) if self.more.get(app) else None, "password")

    def _located(self, pattern: re.Pattern[str], name: str, value: str) -> Parts:
        """A text with URLs in it, or a Go driver's address."""
        parts: Parts = []
        at = 0
        for match in pattern.finditer(value):
            if match.start() < at:  # a part of what stood behind the last one
                continue
            app = self.hosts.get(match["host"])
            replaced: list[Replaced] = []
            if app is not None:
                replaced.append((*match.span("host"), AppRef(app)))
                self.met.add(app)
            if app in self.uses:
                replaced += self._in_url(name, match, str(app))
            elif app in self.nameless and match["password"]:
                self.ruling[name] = str(app)
                replaced.append((*match.span("user"), self.servers[str(app)].admin))
                replaced.append((*match.span("password"), SecretRef(str(app), None, "adminpass")))
            elif match["password"]:
                replaced.append((*match.span("password"), self._secret(name, unquote(match["password"]))))
            replaced += self._behind(name, value, match.end(), str(app))
            for start, end, part in sorted(replaced, key=lambda one: one[0]):
                parts += [value[at:start], part]
                at = end
        return [*parts, value[at:]]

    def _in_url(self, name: str, match: re.Match[str], app: str) -> list[Replaced]:
        """Role, password and database of a URL that leads to a database server."""
        made: list[Replaced] = []
        database = self.servers[app].called.get(match["path"] or "", self.uses[app])
        if match["user"] is not None:
            # Without a role, `postgres://:@db`, there is none to be called otherwise.
            made.append((*match.span("user"), self._called(name, match["user"] or database, database)))
            if match["user"] and match["password"] is None:  # who was trusted there has a password here
                made += [(match.end("user"), match.end("user"), part) for part in (":", self._password(app, database))]
        if match["password"] is not None:
            made.append((*match.span("password"), self._password(app, database)))
        if match["path"] is not None:
            made.append((*match.span("path"), self._called(name, match["path"], database)))
        return made

    def _behind(self, name: str, value: str, at: int, app: str) -> list[Replaced]:
        """Role and password that stand behind a URL."""
        made: list[Replaced] = []
        for match in access.behind(value, at):
            part: str | SecretRef | UserSecretRef | None = None
            if match["password"] and app in self.uses:
                part = self._password(app)
            elif match["password"] and not match["short"]:
                part = self._secret(name, unquote(match["value"]))
            elif app in self.uses:
                said = match["value"]
                part = self._called(name, said, self.servers[app].called.get(said, self.uses[app]))
            if part is not None:
                made.append((*match.span("value"), part))
        return made

    def _words(self, name: str, value: str) -> Parts:
        """Words with a host among them, each with its value."""
        app = self.host_of(value)
        parts: Parts = []
        at = 0
        for match in access.WORDS_DSN.finditer(value):
            part: str | AppRef | SecretRef | UserSecretRef | None = None
            said = match["value"]
            if match["host"]:
                part = AppRef(self.hosts[said]) if said in self.hosts else None
                self.met |= {part.name} if part else set()
            elif match["password"]:
                part = self._password(app) if app in self.uses else self._secret(name, said.strip("'"))
            elif app in self.uses:
                part = self._called(name, said, self.servers[app].called.get(said, self.uses[app]))
            if part is not None:
                parts += [value[at : match.start("value")], part]
                at = match.end("value")
        return [*parts, value[at:]]

    def _called(self, name: str, said: str, database: str) -> str:
        """The one name of a role and its database, in the place of what a variable called it."""
        if said != database:
            self.changed[name] = said
        return database

    def _secret(self, name: str, value: str) -> UserSecretRef:
        return UserSecretRef(self.secrets.name(f"{self.app}_{name}_password", value))

    def _hosts(self, name: str, value: str) -> Parts:
        """Bare host names, with a port or where the variable says that it is one."""
        if value in self.hosts and SAYS_HOST.search(name):
            self.met.add(self.hosts[value])
            return [AppRef(self.hosts[value])]
        is_database = value in self.uses.values() or databases.says_database(name) or self.app in self.servers
        if value in self.others and not is_database:
            self.unsure[name] = value
        items = re.split(r"([,;\s]+)", value)
        if not all(_HOST_PORT.fullmatch(item) for item in items[::2]):
            parts = hosts.referred(value, self.others)
            self.met |= {part.name for part in parts if isinstance(part, AppRef)}
            return parts
        parts = []
        for item in items:
            match = _HOST_PORT.fullmatch(item)
            app = self.hosts.get(match["host"]) if match else None
            if match and app:
                self.met.add(app)
                parts += [AppRef(app), match["port"]]
            else:
                parts.append(item)
        return parts

    def is_secret(self, name: str, value: str) -> bool:
        """Whether a value may not stand in a file that people share."""
        return is_secret(name, value)
