"""The environment of a service in the stack file's words.

Makes: `Values`, which reads every value once: host names of other services become references, so do passwords of
recognised databases, and what is a secret becomes `_secrets^NAME`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from operations.coming import hosts
from operations.coming.entries import Parts
from operations.coming.secrets import Secrets, is_secret
from operations.compose import databases
from operations.compose.databases import Server
from settings.references import AppRef, SecretRef, UserSecretRef

_SAYS_HOST = re.compile(
    r"HOST(?:NAME|S)?(?:$|_)|SERVERS?$|ADDR(?:ESS)?$|ENDPOINT|URLS?$|URI|BROKER|UPSTREAM|DSN|^PGHOST", re.IGNORECASE
)
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)"
    r"(?:(?P<user>[^:@/?#\s]*)(?::(?P<password>[^@/\s]*))?@)?"
    r"(?P<host>[A-Za-z0-9_.-]+)(?P<port>:\d+)?(?:/(?P<path>[A-Za-z0-9_.-]+))?"
)
_GO_DSN = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)?(?P<user>[^:@/\s]+):(?P<password>[^@\s]*)@tcp\((?P<host>[A-Za-z0-9_.-]+)(?P<port>:\d+)?\)/(?P<path>[A-Za-z0-9_-]+)"
)
_WORDS_DSN = re.compile(r"\b(host|user|password|dbname)=('[^']*'|\S+)")
_HOST_PORT = re.compile(r"(?P<host>[A-Za-z0-9_.-]+)(?P<port>:\d{1,5})")


@dataclass
class Client:
    """A service that may use databases; `uses` says which, by server, as it is found out."""

    app: str
    hosts: Mapping[str, str]  # application by host name, as this service knows it
    servers: Mapping[str, Server]  # by application
    secrets: Secrets
    linked: set[str] = field(default_factory=set)  # applications it depends on
    granted: frozenset[str] = frozenset()  # names of secrets that it has as files
    spoken: set[str] = field(default_factory=set)  # database servers that it logs in to by a URL
    unsaid: set[str] = field(default_factory=set)  # database servers of which it says no role, and has the password
    uses: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)  # what it called a role or database, by variable
    unsure: dict[str, str] = field(default_factory=dict)  # what is a host's name and may mean it, by variable
    given: dict[str, str] = field(default_factory=dict)  # the database server whose password it is now, by variable
    _holding: dict[str, set[str]] = field(default_factory=dict)  # variables that hold a server's password, by server
    _calling: dict[str, set[str]] = field(default_factory=dict)  # and its role
    met: set[str] = field(default_factory=set)  # applications that its values refer to

    @property
    def others(self) -> dict[str, str]:
        """Application by host name, without itself."""
        return {host: app for host, app in self.hosts.items() if app != self.app}

    def read(self, environment: Mapping[str, str]) -> dict[str, Parts]:
        """Return every value with its references."""
        self._find(environment)
        for app in self.uses:
            server = self.servers[app]
            admins = ("root",) if server.engine == databases.MYSQL else ("postgres",)
            held = databases.nearest(environment, server.passwords, databases.says_password)
            # Whoever logs in by a URL needs no word for its password, but one that speaks of the database.
            self._holding[app] = {name for name in held if databases.is_of_database(name) or app not in self.spoken}
            self._calling[app] = databases.nearest(environment, {server.user, *admins}, databases.says_user)
        return {name: self._value(name, value) for name, value in environment.items()}

    # Which database

    def _find(self, environment: Mapping[str, str]) -> None:
        named: dict[str, str] = {}
        for value in environment.values():
            for match in [*_URL.finditer(value), *_GO_DSN.finditer(value)]:
                app = self.hosts.get(match["host"], "")
                if app in self.servers:
                    named[app] = match["path"] or named.get(app, "")
                    self.spoken |= {app} if match["password"] else set()
        here = {app for value in environment.values() if (app := self._host_of(value)) in self.servers}
        for app in sorted((here | (self.linked & set(self.servers)) | set(named)) - {self.app}):
            server = self.servers[app]
            knows = any(value in server.passwords for value in environment.values())
            if app not in named and app not in here:
                if not knows and not server.secrets & self.granted:
                    continue
                if not knows:
                    self.unsaid.add(app)
            own = [
                value
                for name, value in environment.items()
                if value and databases.says_database(name) and not databases.is_kind(server, name, value)
            ]
            alone = len(here | set(named)) <= 1
            wish = named.get(app) or (own[0] if own and alone else "") or server.database or self.app
            # Whoever else uses it has to find the same one.
            self.uses[app] = server.called.setdefault(wish, databases.usable(server, wish, self.app))

    def _host_of(self, value: str) -> str:
        return self.hosts.get(value.partition(":")[0], "") or next(
            (
                self.hosts[inner[2]]
                for inner in _WORDS_DSN.finditer(value)
                if inner[1] == "host" and inner[2] in self.hosts
            ),
            "",
        )

    # Values

    def _value(self, name: str, value: str) -> Parts:
        if isinstance(special := self._database_value(name, value), list):
            return special
        for pattern in (_GO_DSN, _URL):
            if pattern.search(value):
                parts = self._located(pattern, name, value)
                if any(not isinstance(part, str) for part in parts):
                    return parts
        if "=" in value and any(match[1] == "host" for match in _WORDS_DSN.finditer(value)):
            parts = self._words(name, value)
            if any(not isinstance(part, str) for part in parts):
                return parts
        if self.is_secret(name, value):
            return [UserSecretRef(self.secrets.name(f"{self.app}_{name}", value))]
        return self._hosts(name, value)

    def _database_value(self, name: str, value: str) -> Parts | None:
        for app, database in self.uses.items():
            server = self.servers[app]
            # Whatever it was, the role has one password now.
            is_own = databases.is_of_database(name) and len(self.uses) == 1
            is_password = name in self._holding.get(app, ()) or (is_own and databases.says_password(name))
            if is_password and value and value[0] != "/":
                self.met.add(app)
                self.given[name] = app
                return [self._password(app)]
            if value and (name in self._calling.get(app, ()) or (is_own and databases.says_user(name))):
                return self._renamed(name, value, database)
            is_name = databases.says_database(name) and value and not databases.is_kind(server, name, value)
            if is_name and databases.usable(server, value, self.app) == database:
                return self._renamed(name, value, database)
        return None

    def _renamed(self, name: str, value: str, database: str) -> Parts:
        if value != database:
            self.changed[name] = value
        return [database]

    def _password(self, app: str) -> SecretRef:
        only = sum(server == app for server in self.uses) == 1
        return SecretRef(app, None if only else self.uses[app], "password")

    def _located(self, pattern: re.Pattern[str], name: str, value: str) -> Parts:
        """A text with URLs in it, or a Go driver's address."""
        parts: Parts = []
        at = 0
        for match in pattern.finditer(value):
            app = self.hosts.get(match["host"])
            replaced: list[tuple[int, int, str | SecretRef | UserSecretRef | AppRef]] = []
            if app is not None:
                replaced.append((*match.span("host"), AppRef(app)))
                self.met.add(app)
            if app in self.uses and match["user"] is not None:
                database = self.uses[str(app)]
                if match["user"] not in ("", database):
                    self.changed[name] = match["user"]
                replaced.append((*match.span("user"), database))
                if match["password"] is not None:
                    replaced.append((*match.span("password"), self._password(str(app))))
                if match["path"] is not None:
                    if match["path"] != database:
                        self.changed[name] = match["path"]
                    replaced.append((*match.span("path"), database))
            elif match["password"]:
                secret = self.secrets.name(f"{self.app}_{name}_password", unquote(match["password"]))
                replaced.append((*match.span("password"), UserSecretRef(secret)))
            for start, end, part in sorted(replaced, key=lambda one: one[0]):
                parts += [value[at:start], part]
                at = end
        return [*parts, value[at:]]

    def _words(self, name: str, value: str) -> Parts:
        """`host=db user=shop password=...`, as libpq has it."""
        app = self._host_of(value)
        parts: Parts = []
        at = 0
        for match in _WORDS_DSN.finditer(value):
            part: str | AppRef | SecretRef | UserSecretRef | None = None
            if match[1] == "host" and match[2] in self.hosts:
                part = AppRef(self.hosts[match[2]])
                self.met.add(part.name)
            elif match[1] == "password":
                secret = match[2].strip("'")
                part = (
                    self._password(app)
                    if app in self.uses
                    else UserSecretRef(self.secrets.name(f"{self.app}_{name}_password", secret))
                )
            elif app in self.uses and match[1] != "host":
                part = self.uses[app]
                if match[2] != part:
                    self.changed[name] = match[2]
            if part is not None:
                parts += [value[at : match.start(2)], part]
                at = match.end(2)
        return [*parts, value[at:]]

    def _hosts(self, name: str, value: str) -> Parts:
        """Bare host names, with a port or where the variable says that it is one."""
        if value in self.hosts and _SAYS_HOST.search(name):
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
