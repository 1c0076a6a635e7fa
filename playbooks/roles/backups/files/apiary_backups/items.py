"""What is saved, by its name, and what became of it the last time.

Makes: `Item`, whose text is the tag of its snapshots (`volume:uploads`, `database:postgres:shop`, `roles:postgres`);
`Record`, one file an item in `last/`; the metrics that Prometheus collects. Leaves alone: how an item is saved.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote

from apiary_backups.config import METRICS, STATE, put
from apiary_backups.errors import BackupsError

Kind = Literal["volume", "database", "roles"]
Status = Literal["ok", "failed", "suspicious"]
METRICS_FILE = "backups.prom"
SINCE_FILE = "since"
REASON = 200  # characters of it that the monitor is told; all of it stands in the record


@dataclass(frozen=True, order=True)
class Item:
    """One thing that is saved by itself: it has snapshots of its own."""

    kind: Kind
    name: str  # the volume, or the application that serves the database
    database: str = ""

    @classmethod
    def volume(cls, name: str) -> Item:
        """The files of a named volume."""
        return cls("volume", name)

    @classmethod
    def of_database(cls, application: str, name: str) -> Item:
        """A dump of one database."""
        return cls("database", application, name)

    @classmethod
    def roles(cls, application: str) -> Item:
        """The roles and grants of a database server, and what databases it has."""
        return cls("roles", application)

    @classmethod
    def parse(cls, text: str) -> Item:
        """Read what `str` writes. Raises BackupsError."""
        kind, *names = text.split(":")
        if kind == "database" and len(names) == 2 and all(names):
            return cls.of_database(unquote(names[0]), unquote(names[1]))
        if kind == "volume" and len(names) == 1 and names[0]:
            return cls.volume(unquote(names[0]))
        if kind == "roles" and len(names) == 1 and names[0]:
            return cls.roles(unquote(names[0]))
        raise BackupsError(
            f'"{text}" is nothing that is saved; write volume:NAME, database:APPLICATION:NAME or roles:APPLICATION'
        )

    def __str__(self) -> str:
        # A tag can't hold a comma, and a database made by hand may be called anything.
        names = [self.name, self.database] if self.kind == "database" else [self.name]
        return ":".join([self.kind, *(quote(name, safe="") for name in names)])


@dataclass(frozen=True)
class Record:
    """What became of an item the last time."""

    item: str
    snapshot: str | None  # the newest good one, also when the last run failed; None where the repository has none
    time: str  # when the last run of it ended, ISO 8601, UTC
    seconds: float
    bytes: int  # of the data
    bytes_sent: int  # what the repository got of it
    status: Status
    reason: str = ""  # what is wrong, empty when it is ok
    saved: str = ""  # when the newest good snapshot was made, ISO 8601, UTC


def last_path(item: Item, state: Path = STATE) -> Path:
    """Where the record of an item is."""
    return state / "last" / f"{item}.json"


def last(item: Item, state: Path = STATE) -> Record | None:
    """The record of an item; None where it was never run, or what is there can't be read."""
    try:
        return Record(**json.loads(last_path(item, state).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def all_last(state: Path = STATE) -> list[Record]:
    """Every record, by item."""
    found = []
    for path in sorted((state / "last").glob("*.json")):
        try:
            found.append(Record(**json.loads(path.read_text())))
        except (OSError, ValueError, TypeError):
            continue
    return found


def write(record: Record, state: Path = STATE) -> None:
    """Keep a record in the place of the one before."""
    put(last_path(Item.parse(record.item), state), json.dumps(asdict(record), indent=2) + "\n")


def saved_there() -> list[Record]:
    """The records of what has snapshots in the repository, as far as this server knows."""
    return [one for one in all_last() if one.snapshot]


def begin_anew() -> None:
    """The repository is a new one, or may be: as far as is known nothing has a snapshot there."""
    for one in saved_there():
        write(replace(one, snapshot=None))


def drop_others(items: Iterable[Item], state: Path = STATE) -> None:
    """Forget the records of what is not saved any more."""
    wanted = {last_path(item, state) for item in items}
    for path in (state / "last").glob("*.json"):
        if path not in wanted:
            path.unlink(missing_ok=True)


def is_good(status: Status) -> bool:
    """Whether there is a snapshot of that run."""
    return status != "failed"


def write_metrics(state: Path = STATE, folder: Path = METRICS) -> None:
    """Tell Prometheus of all records, and of the last rehearsal, in one file that is whole at any time.

    What went wrong has a series of its own, with its reason as a label, which is there as long as it is so.
    """
    records = all_last(state)
    lines = []
    for name, values in (
        ("apiary_backup_last_success_timestamp_seconds", [(one.item, _seconds(one.saved)) for one in records]),
        ("apiary_backup_last_status", [(one.item, float(one.status == "ok")) for one in records]),
        ("apiary_backup_bytes", [(one.item, float(one.bytes)) for one in records]),
        ("apiary_backup_seconds", [(one.item, one.seconds) for one in records]),
    ):
        lines.append(f"# TYPE {name} gauge")
        lines += [f'{name}{{item="{_escaped(item)}"}} {value:.10g}' for item, value in values if value is not None]
    lines.append("# TYPE apiary_backup_reason gauge")
    lines += [
        f'apiary_backup_reason{{item="{_escaped(one.item)}",reason="{_short(one.reason)}"}} 1'
        for one in records
        if one.status != "ok"
    ]
    since = "apiary_backup_since_timestamp_seconds"
    lines += [f"# TYPE {since} gauge", f"{since} {_since(state)}"]
    try:
        drill = json.loads((state / "drill.json").read_text())
    except (OSError, ValueError):
        drill = None
    if isinstance(drill, dict):
        lines += ["# TYPE apiary_drill_status gauge", f"apiary_drill_status {int(drill.get('status') == 'ok')}"]
        if drill.get("status") != "ok":
            reason = _short(_first_reason(drill))
            lines += ["# TYPE apiary_drill_reason gauge", f'apiary_drill_reason{{reason="{reason}"}} 1']
        if (moment := _seconds(str(drill.get("proved", "")))) is not None:
            lines += [
                "# TYPE apiary_drill_last_success_timestamp_seconds gauge",
                f"apiary_drill_last_success_timestamp_seconds {moment:.10g}",
            ]
    put(folder / METRICS_FILE, "\n".join(lines) + "\n")


def _since(state: Path) -> int:
    """When this server began to save, seconds since the epoch: what was never rehearsed is late from then on."""
    path = state / SINCE_FILE
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        begun = int(time.time())
        put(path, f"{begun}\n")
        return begun


def _first_reason(drill: Mapping[str, Any]) -> str:
    """Why a rehearsal has failed: of what, and why, of the first."""
    if drill.get("reason"):
        return str(drill["reason"])
    parts = {**drill.get("items", {}), **drill.get("applications", {}), "repository": drill.get("repository") or {}}
    failed = [f"{name}: {one.get('reason')}" for name, one in parts.items() if one.get("status", "ok") != "ok"]
    return failed[0] if failed else ""


def _seconds(moment: str) -> float | None:
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return None


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _short(reason: str) -> str:
    """A reason as a label: one line of no more than a message can hold."""
    line = " ".join(reason.split())
    return _escaped(line if len(line) <= REASON else line[: REASON - 1] + "\N{HORIZONTAL ELLIPSIS}")
