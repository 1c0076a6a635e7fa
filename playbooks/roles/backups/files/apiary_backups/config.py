"""What the server has been told of its backups: `/etc/apiary/backups.json`, typed.

Makes: `Config`, read by `read`; `tell` and `forget`, by which the stack writes and removes the file. The file is for
root alone: it holds the repository's password and the credentials of the place where it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apiary_backups.errors import BackupsError

PATH = Path(os.environ.get("APIARY_BACKUPS_CONFIG", "/etc/apiary/backups.json"))
STATE = Path(os.environ.get("APIARY_BACKUPS_STATE", "/var/lib/apiary/backups"))
METRICS = Path(os.environ.get("APIARY_BACKUPS_METRICS", "/var/lib/apiary/metrics"))
ENGINES = ("postgresql", "mysql")


@dataclass(frozen=True)
class Volume:
    """A named volume that is saved."""

    stop: tuple[str, ...] = ()  # applications and jobs that stand still while it is read
    before: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (application, command run in it) before it is read


@dataclass(frozen=True)
class DatabaseServer:
    """An application that serves databases."""

    engine: str  # one of ENGINES
    volumes: tuple[str, ...] = ()  # its files, which are not saved as files
    folders: tuple[str, ...] = ()  # of the server, where they may be as well
    renamed_from: str = ""  # what it was called when earlier snapshots were made
    used_from: tuple[tuple[str, str], ...] = ()  # (database, SERVER:APPLICATION) of who is not stopped from here


@dataclass(frozen=True)
class Application:
    """What belongs to an application."""

    volumes: tuple[str, ...] = ()
    databases: tuple[tuple[str, str], ...] = ()  # (application that serves it, name)
    http_port: int | None = None
    drill: Mapping[str, Any] = field(default_factory=dict)  # what proves it: start, sql, at_least, path
    elsewhere: tuple[str, ...] = ()  # SERVER:APPLICATION/NAME of its databases on other servers


@dataclass(frozen=True)
class Ssh:
    """How to log in to an `sftp:` repository."""

    key: str  # private key, OpenSSH PEM
    host_key: str  # `ssh-ed25519 AAAA...`


@dataclass(frozen=True)
class Config:
    """All that a server has been told of its backups."""

    stack: str  # as in the label `apiary.stack`
    server: str
    repository: str  # as restic spells it, the server's own
    place: str = ""  # the same as the stack file has it: that of a keeper has another address on another disk
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # of restic; secrets
    ca: str | None = None  # PEM of the authority that signs the repository's TLS
    ssh: Ssh | None = field(default=None, repr=False)
    append_only: bool = False
    keep: Mapping[str, int] = field(default_factory=dict)  # daily, weekly, monthly, yearly
    read_percent: int = 5
    restore: bool = True  # whether what is empty is filled
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)  # volume -> why
    databases: Mapping[str, DatabaseServer] = field(default_factory=dict)  # by application
    applications: Mapping[str, Application] = field(default_factory=dict)
    jobs: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)  # databases that each uses, as above
    order: tuple[str, ...] = ()  # in which containers are started; stopped the other way round
    calendar: tuple[str, ...] = ()  # systemd.time(7); when a backup is due
    drill_calendar: tuple[str, ...] = ()  # when a rehearsal is; never where there is none


def parse(text: str) -> Config:
    """Read the file's text. Raises BackupsError where it is not what this version writes."""
    try:
        told = json.loads(text)
        ssh = told.get("ssh")
        return Config(
            stack=told["stack"],
            server=told["server"],
            repository=told["repository"],
            place=told.get("place", told["repository"]),
            environment=dict(told.get("environment", {})),
            ca=told.get("ca"),
            ssh=Ssh(ssh["key"], ssh["host_key"]) if ssh else None,
            append_only=bool(told.get("append_only", False)),
            keep=dict(told.get("keep", {})),
            read_percent=int(told.get("read_percent", 5)),
            restore=bool(told.get("restore", True)),
            volumes={name: _volume(one) for name, one in told.get("volumes", {}).items()},
            left_out=dict(told.get("left_out", {})),
            databases={name: _database_server(one) for name, one in told.get("databases", {}).items()},
            applications={name: _application(one) for name, one in told.get("applications", {}).items()},
            jobs={name: tuple(map(_database, used)) for name, used in told.get("jobs", {}).items()},
            order=tuple(told.get("order", [])),
            calendar=tuple(told.get("calendar", [])),
            drill_calendar=tuple(told.get("drill_calendar", [])),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # Not the error's own text: it may repeat what it found.
        raise BackupsError(
            f"{PATH} can't be read ({type(error).__name__}); run pulumi up, or where that changes nothing, remove it, "
            "and `make backup` writes it anew"
        ) from None


def _volume(told: Mapping[str, Any]) -> Volume:
    return Volume(
        stop=tuple(told.get("stop", [])),
        before=tuple((application, tuple(command)) for application, command in told.get("before", [])),
    )


def _database_server(told: Mapping[str, Any]) -> DatabaseServer:
    if told["engine"] not in ENGINES:
        raise ValueError("engine")
    used_from = tuple((database, who) for database, who in told.get("used_from", []))
    return DatabaseServer(
        engine=told["engine"],
        volumes=tuple(told.get("volumes", [])),
        folders=tuple(told.get("folders", [])),
        renamed_from=told.get("renamed_from", ""),
        used_from=used_from,
    )


def _application(told: Mapping[str, Any]) -> Application:
    return Application(
        volumes=tuple(told.get("volumes", [])),
        databases=tuple(map(_database, told.get("databases", []))),
        http_port=told.get("http_port"),
        drill=dict(told.get("drill") or {}),
        elsewhere=tuple(told.get("elsewhere", [])),
    )


def _database(told: Sequence[str]) -> tuple[str, str]:
    server, name = told
    return server, name


def read(path: Path = PATH) -> Config:
    """What the server has been told. Raises BackupsError where it has not."""
    try:
        return parse(path.read_text())
    except FileNotFoundError:
        raise BackupsError(
            f"this server knows of no backups: {path} is not there. Where the stack file has apiary:backups, `make "
            "backup` tells it anew, or pulumi up the first time; where not, write them into it"
        ) from None
    except OSError as error:
        raise BackupsError(f"{path} can't be read: {error.strerror}") from None


def put(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file that is there as a whole or as it was, also after a power cut. Raises BackupsError."""
    try:
        _put(path, text, mode)
    except OSError as error:
        raise BackupsError(f"{path} can't be written: {error.strerror}") from None


def _put(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.chmod(mode)
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
