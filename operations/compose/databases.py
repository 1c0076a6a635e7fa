"""Database servers among the services, and who uses which database of them.

Makes: `recognised`, and the words for what a client says of its database. A database here has a role of its own name
with a generated password, made by a job; what the compose files said of roles and passwords is put so. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from operations.coming.images import named
from settings.container_texts import database_name

POSTGRES, MYSQL = "postgresql", "mysql"
_OFFICIAL = {"postgres": POSTGRES, "mariadb": MYSQL, "mysql": MYSQL}
# Images built on the official ones, which take the same variables and begin as the same user. Others of these names do
# not: linuxserver/mariadb, bitnami/postgresql, supabase/postgres.
_ALIKE = {
    "postgis/postgis": POSTGRES, "imresamu/postgis": POSTGRES, "pgvector/pgvector": POSTGRES,
    "timescale/timescaledb": POSTGRES, "timescale/timescaledb-ha": POSTGRES, "immich-app/postgres": POSTGRES,
    "tensorchord/pgvecto-rs": POSTGRES,
}  # fmt: skip
_DATA = re.compile(r"/var/lib/(?:postgresql|mysql)(?:/|$)")
# Words that choose a kind of database in one variable, and are the name of a database in another.
_KINDS = re.compile(
    r"(?:pdo_|django\.db\.backends\.)?(?:postgres(?:ql)?|pgsql|mysqli?|mariadb)\d*(?:[_-](?:pgx|psycopg\d?))?",
    re.IGNORECASE,
)
_SWITCH = re.compile(r"true|false|yes|no|on|off|none|null|\d+", re.IGNORECASE)  # `BACKUP_DATABASE: "true"`
_TAKEN = {
    POSTGRES: ("postgres", "template0", "template1", "public", "none", "adminpass"),
    MYSQL: ("mysql", "root", "sys", "information_schema", "performance_schema", "adminpass"),
}
# What a server is told of its first role and database, which the job makes here.
_POSTGRES = {"user": ("POSTGRES_USER",), "password": ("POSTGRES_PASSWORD",), "database": ("POSTGRES_DB",)}
_MYSQL = {
    "user": ("MARIADB_USER", "MYSQL_USER"),
    "password": ("MARIADB_PASSWORD", "MYSQL_PASSWORD"),
    "database": ("MARIADB_DATABASE", "MYSQL_DATABASE"),
    "root": ("MARIADB_ROOT_PASSWORD", "MYSQL_ROOT_PASSWORD"),
}
_INSTEAD = ("POSTGRES_HOST_AUTH_METHOD", "MYSQL_ALLOW_EMPTY_PASSWORD", "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD",
            "MYSQL_RANDOM_ROOT_PASSWORD", "MARIADB_RANDOM_ROOT_PASSWORD", "MARIADB_ALLOW_EMPTY_PASSWORD")  # fmt: skip
_HEARD = re.compile(r"(?:POSTGRES|PG(?!ID$)|MYSQL|MARIADB|TS|TIMESCALEDB)_?|(?:TZ|LANG|LC_[A-Z]+|DB_STORAGE_TYPE)$")

# Roles and databases that servers have of themselves.
ALWAYS_THERE = frozenset({"postgres", "root", "mysql"})

_AMONG_OTHERS = re.compile(r"ADMIN|SMTP|MAIL|REDIS|RABBIT|LDAP", re.IGNORECASE)
_OF_DATABASE = re.compile(
    r"(?:^|_)(?:DB|DATABASE|PG|POSTGRES(?:QL)?|MYSQL|MARIADB|SQL)(?=_|PASS|USER|HOST|$)|DBPASS|DBUSER", re.IGNORECASE
)
_ROOT = re.compile(r"ROOT|ADMIN|SUPER_?USER", re.IGNORECASE)
_PASSWORD = re.compile(r"PASS(?:WORD|WD)?|PWD|SECRET", re.IGNORECASE)
_SECRET = re.compile(r"SECRET", re.IGNORECASE)
_USER = re.compile(r"(?:USER(?:NAME)?|LOGIN)$", re.IGNORECASE)
_NAME = re.compile(r"(?:(?:^|_)(?:DB|DATABASE|DBNAME|DB_?NAME|DATABASE_?NAME)|PGDATABASE)$", re.IGNORECASE)


@dataclass
class Server:
    """A database server: what it was told of its first role, as plain values; secrets by name where it was told so."""

    app: str
    engine: str
    image: str
    user: str = ""
    database: str = ""
    password: str = field(default="", repr=False)  # of the first role
    root: str = field(default="", repr=False)  # of MySQL's administrator
    secrets: frozenset[str] = frozenset()  # names of secrets that hold its passwords
    names: frozenset[str] = frozenset()  # names of secrets that hold the name of its first role or database
    is_untold: bool = False  # of the name of its first database, which is that of its role
    called: dict[str, str] = field(default_factory=dict)  # name of a database here, by the one that it had

    @property
    def passwords(self) -> frozenset[str]:
        """The passwords that it was told."""
        return frozenset(filter(None, (self.password, self.root)))

    def is_betrayed(self, text: str) -> bool:
        """Whether a text holds one of its passwords, which is not its role's name as well."""
        return any(word in text for word in self.passwords - {self.user, self.database} if len(word) > 5)

    @property
    def admin_variable(self) -> str:
        """The variable of its administrator's password."""
        if self.engine == POSTGRES:
            return "POSTGRES_PASSWORD"
        return "MARIADB_ROOT_PASSWORD" if "mariadb" in self.image else "MYSQL_ROOT_PASSWORD"

    @property
    def admin(self) -> str:
        """The name of its administrator here."""
        return "postgres" if self.engine == POSTGRES else "root"

    @property
    def is_said(self) -> bool:
        """Whether the stack file has to say what it is."""
        return named(self.image).rpartition("/")[2] not in _OFFICIAL


def recognised(
    app: str, image: str, environment: Mapping[str, str | None], texts: Mapping[str, str] = MappingProxyType({})
) -> Server | None:
    """Return the database server that an application is; None when it is none that the job can make databases on.

    `texts`: what secrets hold, by their names, where that is known.
    """
    name = named(image)
    engine = _OFFICIAL.get(name) or _ALIKE.get(name)
    if engine is None:
        return None
    words = _POSTGRES if engine == POSTGRES else _MYSQL

    def files(*what: str) -> frozenset[str]:
        found = [environment.get(f"{name}_FILE") or "" for one in what for name in words.get(one, ())]
        return frozenset(_secret(file) for file in found if file)

    def said(what: str) -> str:
        given = next((value for name in words.get(what, ()) if (value := environment.get(name))), "")
        return given or next((text for name in files(what) if (text := texts.get(name, "").strip())), "")

    user = said("user") or ("postgres" if engine == POSTGRES else "")
    told = said("database")
    database = told or (user if engine == POSTGRES else "")
    return Server(
        app, engine, image, user, database, said("password"), said("root"), files("password", "root"),
        files("user", "database"), not told,
    )  # fmt: skip


def _secret(path: str) -> str:
    return path.rpartition("/")[2]


def is_first(server: Server, variable: str) -> bool:
    """Whether a variable of a server tells it of its first role or database, or its password."""
    words = _POSTGRES if server.engine == POSTGRES else _MYSQL
    names = [name for group in words.values() for name in group]
    return variable in names or variable.removesuffix("_FILE") in names or variable in _INSTEAD


def is_heard(variable: str) -> bool:
    """Whether a database server may have a use for a variable."""
    return _HEARD.match(variable) is not None


def is_like(image: str, targets: Collection[str]) -> bool:
    """Whether an image is called as a database server, or has its data where one has them."""
    return named(image).rpartition("/")[2] in _OFFICIAL or any(_DATA.match(target) for target in targets)


def usable(server: Server, name: str, asker: str) -> str:
    """Return a name for a database that the job can make: the one given, respelt, or that of who asked for it first."""
    if name in server.called:
        return server.called[name]
    for candidate in (name, re.sub(r"[^a-z0-9_]", "_", name.lower()), re.sub(r"[^a-z0-9_]", "_", asker.lower())):
        try:
            database_name(candidate)
        except ValueError:
            continue
        is_free = candidate not in {here for former, here in server.called.items() if former != name}
        if is_free and candidate not in _TAKEN[server.engine] and not candidate.startswith("pg_"):
            return candidate
    return "app"


def is_kind(server: Server, variable: str, value: str) -> bool:
    """Whether a variable chooses a kind of database (`KC_DB: postgres`), and does not name one of that name."""
    names = re.search(r"NAME$|DATABASE$|^(?:POSTGRES|PG|MYSQL|MARIADB)", variable, re.IGNORECASE)
    is_there = value in ALWAYS_THERE and variable.upper().endswith("NAME")
    return _KINDS.fullmatch(value) is not None and not (is_there or (names and value == server.database))


def is_switch(value: str) -> bool:
    """Whether a value switches something on or off, or counts, and names nothing."""
    return _SWITCH.fullmatch(value) is not None


def is_of_database(variable: str) -> bool:
    """Whether a variable is called as one that speaks of a database."""
    return _OF_DATABASE.search(variable) is not None and not _AMONG_OTHERS.search(variable)


_DAEMON = re.compile(
    r"docker-entrypoint\.sh|\b(?:mysqld|mariadbd)\b|(?:^|exec\s+)(?:\S*/)?postgres(?:\s|$)"  # not `-U postgres`
)


def serves(line: str) -> bool:
    """Whether what an image of a database server runs is that server, and not a client of another one (`pg_dump`)."""
    return not line or line.startswith("-") or _DAEMON.search(line) is not None


def says_password(variable: str) -> bool:
    """Whether a variable is called as one that holds a database's password."""
    return _PASSWORD.search(variable) is not None and not _AMONG_OTHERS.search(variable)


def nearest(environment: Mapping[str, str], values: Collection[str], says: Callable[[str], bool]) -> set[str]:
    """The variables that hold one of a server's values and mean it: those that speak of a database, else of a password,
    else all that may. What only happens to be the same (`changeme`) is somebody else's.
    """
    held = {name for name, value in environment.items() if value and value in values and says(name)}
    of_database = {name for name in held if is_of_database(name)}
    return of_database or {name for name in held if not _SECRET.search(name)} or held


def says_root(variable: str) -> bool:
    """Whether a variable is called as one that holds a database administrator's password."""
    return _rules(variable) and _PASSWORD.search(variable) is not None


def is_admin(server: Server, variable: str, value: str, *, is_alone: bool = False) -> bool:
    """Whether a variable holds the name or the password of a server's administrator, and is called so.

    `is_alone`: it names no database of its own, so that its variables need not speak of an administrator.
    """
    former = server.root if server.engine == MYSQL else server.password
    if is_alone and (says_user(variable) or says_password(variable)):
        return value in (server.admin, former)
    if says_root(variable):
        return bool(former) and value == former
    is_name = _rules(variable) and _USER.search(variable) is not None
    return is_name and value == (server.user if server.engine == POSTGRES else "root")


def _rules(variable: str) -> bool:
    return _ROOT.search(variable) is not None and _OF_DATABASE.search(variable) is not None


def says_user(variable: str) -> bool:
    """Whether a variable is called as one that holds a database's role."""
    return _USER.search(variable) is not None and not _AMONG_OTHERS.search(variable)


def says_database(variable: str) -> bool:
    """Whether a variable is called as one that holds a database's name."""
    return _NAME.search(variable) is not None and not _AMONG_OTHERS.search(variable)
