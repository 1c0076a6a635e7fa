"""What the stack file has to be watched, as the host's watch.json says it.

Makes: `Watch`, by `parse`. Leaves alone: where that is from (settings/monitoring.py), and what is made of it
(`config`, `rules`).
"""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar


class WatchError(ValueError):
    """The text can't be used; the message says where."""


@dataclass(frozen=True)
class Site:
    """A domain or a part of it, as its visitors ask for it."""

    domain: str  # how it is called: `example.com`, `example.com/api`, `*.example.com`
    server: str
    application: str
    scheme: str  # http or https
    path: str
    status: str  # `200-399,401`
    host: str = ""  # by which it is asked for, where it is not called so

    @property
    def url(self) -> str:
        """What is asked for."""
        return f"{self.scheme}://{self.host or self.domain}{self.path}"


@dataclass(frozen=True)
class Peer:
    """A private port of another server."""

    server: str
    application: str
    address: str
    port: int


@dataclass(frozen=True)
class Server:
    """Another server, at its public IPv4 address, where it answers a ping."""

    name: str
    address: str


@dataclass(frozen=True)
class Mail:
    """Where mail is handed in, and for whom."""

    to: tuple[str, ...]
    sender: str
    server: str  # host:port
    user: str | None
    password: str | None
    tls: bool


@dataclass(frozen=True)
class Ntfy:
    """A topic of an ntfy server."""

    url: str
    token: str | None


@dataclass(frozen=True)
class Backups:
    """After how many seconds a backup or a rehearsal is late."""

    late: int
    drill_late: int | None  # None: there is none by the clock


@dataclass(frozen=True)
class Watch:
    """All of it."""

    name: str  # of the monitor's application
    stack: str
    server: str
    sites: tuple[Site, ...]
    peers: tuple[Peer, ...]
    servers: tuple[Server, ...]
    jobs: tuple[tuple[str, int], ...]  # a job by the clock, and after how many seconds without a start it is late
    proxy: bool  # whether this server has one whose metrics can be read
    backups: Backups | None
    mail: Mail | None
    webhooks: tuple[str, ...]
    ntfy: Ntfy | None
    heartbeat: str | None


T = TypeVar("T")


def parse(text: str) -> Watch:
    """Read watch.json. Raises WatchError; its message repeats no value, which may be a secret."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise WatchError(f"is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise WatchError("is no JSON object")
    try:
        alerts = found["alerts"]
        mail = alerts["mail"]
        return Watch(
            name=_text(found, "name"),
            stack=_text(found, "stack"),
            server=_text(found, "server"),
            sites=tuple(_read(Site, one, "sites") for one in found["sites"]),
            peers=tuple(_read(Peer, one, "peers") for one in found["peers"]),
            servers=tuple(_read(Server, one, "servers") for one in found["servers"]),
            jobs=tuple(sorted((str(job), int(late)) for job, late in found["jobs"].items())),
            proxy=bool(found["proxy"]),
            backups=_read(Backups, found["backups"], "backups") if found["backups"] else None,
            mail=_read(Mail, {**mail, "to": tuple(mail["to"])}, "alerts.mail") if mail else None,
            webhooks=tuple(str(url) for url in alerts["webhook"]),
            ntfy=_read(Ntfy, alerts["ntfy"], "alerts.ntfy") if alerts["ntfy"] else None,
            heartbeat=alerts["heartbeat"],
        )
    except WatchError:
        raise
    except KeyError as error:
        raise WatchError(f"has no {error}") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise WatchError(f"has another shape: {type(error).__name__}") from None


def _text(found: dict[str, Any], key: str) -> str:
    if not isinstance(found[key], str):
        raise WatchError(f"{key} is no text")
    return str(found[key])


def _read(kind: type[T], found: dict[str, Any], where: str) -> T:
    known = fields(kind)  # type: ignore[arg-type]
    if missing := [field.name for field in known if field.name not in found and field.default is MISSING]:
        raise WatchError(f"{where} has no {', '.join(missing)}")
    return kind(**{field.name: found[field.name] for field in known if field.name in found})
