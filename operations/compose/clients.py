"""Which databases a service uses, by what its variables say.

Makes: `Uses`, whose `uses` says which database of which server, as it is found out. Leaves alone: the values
themselves (variables_out). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from operations.coming.secrets import Secrets
from operations.compose import access, databases
from operations.compose.databases import Server

SAYS_HOST = re.compile(
    r"HOST(?:NAME|S)?\d*(?:$|_)|SERVERS?$|ADDR(?:ESS)?$|ENDPOINT|URLS?$|URI|BROKER|UPSTREAM|DSN|^PGHOST", re.IGNORECASE
)
_PLAIN = re.compile(r"[\w.-]+")


@dataclass
class Uses:
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
    more: dict[str, list[str]] = field(default_factory=dict)  # further databases that its URLs name, by server
    second: dict[str, str] = field(default_factory=dict)  # database names beside the one that is made, by variable
    ruling: dict[str, str] = field(default_factory=dict)  # the server whose administrator it logs in as, by variable
    changed: dict[str, str] = field(default_factory=dict)  # what it called a role or database, by variable
    unsure: dict[str, str] = field(default_factory=dict)  # what is a host's name and may mean it, by variable
    given: dict[str, str] = field(default_factory=dict)  # the database server whose password it is now, by variable
    _holding: dict[str, set[str]] = field(default_factory=dict)  # variables that hold a server's password, by server
    _calling: dict[str, set[str]] = field(default_factory=dict)  # and its role
    met: set[str] = field(default_factory=set)  # applications that its values refer to
    nameless: set[str] = field(default_factory=set)  # servers that it rules, and names no database of
    guessed: set[str] = field(default_factory=set)  # servers of which neither side names a database
    _owners: dict[str, str] = field(default_factory=dict)  # server by how the variables begin that speak of it

    @property
    def others(self) -> dict[str, str]:
        """Application by host name, without itself."""
        return {host: app for host, app in self.hosts.items() if app != self.app}

    def owner(self, variable: str) -> str | None:
        """The server that a variable speaks of by its name, where several are used: `LOG_DB_PASSWORD` beside
        `DB_PASSWORD` is of that which `LOG_DB_HOST` names.
        """
        begins = [prefix for prefix in self._owners if variable.startswith(prefix)]
        return self._owners[max(begins, key=len)] if begins else None

    def find(self, environment: Mapping[str, str]) -> None:
        """Find out which databases it uses, and how they are called here."""
        for name, value in environment.items():
            if (app := self.host_of(value)) in self.servers and (word := SAYS_HOST.search(name)) and word.start():
                self._owners[name[: word.start()]] = app
        named = self._named(environment)
        here = {app for value in environment.values() if (app := self.host_of(value)) in self.servers}
        spoken_of = here | (self.linked & set(self.servers)) | set(named)
        explained = {password for app in spoken_of for password in self.servers[app].passwords}
        # Who waits for none of them may have its password all the same, and find it by a name of its own.
        knowing = {
            app
            for app, server in self.servers.items()
            if server.secrets & self.granted
            or any(
                value in server.passwords - explained
                and databases.says_password(name)
                and databases.is_of_database(name)
                for name, value in environment.items()
            )
        }
        for app in sorted((spoken_of | knowing) - {self.app}):
            server = self.servers[app]
            knows = any(value in server.passwords for value in environment.values())
            if app not in named and app not in here:
                if not knows and not server.secrets & self.granted:
                    continue
                if not knows:
                    self.unsaid.add(app)
            own = {
                name: value
                for name, value in environment.items()
                if _PLAIN.fullmatch(value)
                and self.owner(name) in (None, app)
                and databases.says_database(name)
                and not databases.is_switch(value)
                and not databases.is_kind(server, name, value)
            }
            alone = len(here | set(named)) <= 1
            meant_here = own if alone else {name: value for name, value in own.items() if self.owner(name) == app}
            # Where one of them is that which the server was told of, the others are something else.
            said = [server.database] if server.database in meant_here.values() else list(meant_here.values())
            first, *further = named.get(app) or [said[0] if said else ""]
            if server.is_untold and not first and self._rules(server, environment):
                self.nameless.add(app)
                continue
            self.guessed |= {app} if server.is_untold and not first else set()
            wish = first or server.database or self.app
            # Whoever else uses it has to find the same one.
            self.uses[app] = server.called.setdefault(wish, databases.usable(server, wish, self.app))
            self.more[app] = [
                server.called.setdefault(name, databases.usable(server, name, f"{self.app}_{number}"))
                for number, name in enumerate(further, 2)
            ]
            if alone:
                meant = {wish, *further}
                self.second |= {name: value for name, value in own.items() if value not in meant}

    def _named(self, environment: Mapping[str, str]) -> dict[str, list[str]]:
        """The databases that its URLs and words name, by server."""
        named: dict[str, list[str]] = {}
        for value in environment.values():
            for match in [*access.URL.finditer(value), *access.GO_DSN.finditer(value)]:
                app = self.hosts.get(match["host"], "")
                if app in self.servers:
                    known = named.setdefault(app, [])
                    behind = [one["value"] for one in access.behind(value, match.end()) if one["name"]]
                    known += [name for name in [match["path"], *behind] if name and name not in known]
                    self.spoken |= {app} if match["password"] else set()
            app = self.host_of(value)
            if app in self.servers:
                known = named.setdefault(app, [])
                said = [match["value"] for match in access.WORDS_DSN.finditer(value) if match["name"]]
                known += [name for name in said if name not in known]
        return named

    def _rules(self, server: Server, environment: Mapping[str, str]) -> bool:
        """Whether it logs in as a server's administrator, as which it makes databases by itself."""
        former = server.root if server.engine == databases.MYSQL else server.password
        logins = access.logins(list(environment.values()))
        said = {(value, name) for name, value in environment.items()}
        users = {value for value, name in said if databases.says_user(name)} | {user for user, _ in logins}
        passwords = {value for value, name in said if databases.says_password(name)} | {word for _, word in logins}
        is_admin = server.admin in users or (not users and server.user == server.admin)
        return bool(former) and is_admin and former in passwords

    def host_of(self, value: str) -> str:
        return self.hosts.get(value.partition(":")[0], "") or next(
            (
                self.hosts[inner["value"]]
                for inner in access.WORDS_DSN.finditer(value)
                if inner["host"] and inner["value"] in self.hosts
            ),
            "",
        )
