"""Remove what is old from a repository that lets servers only add: by restic, here, with the operator's credentials.

A server that is not its owner's any more can't remove what was saved, but it can add snapshots of any date, so that the
true ones count as old. So what is dated later than now counts for nothing; all of the last days stays, however much
that is; and what has appeared since the last prune from this machine, and is dated before that one, counts for nothing
either. What that one had seen is in `.apiary/STACK/pruned.json`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from operations.cli import OperationError, Pulumi, say
from settings import saved
from settings.backups import Keep

# By one rule here and on servers.
sys.path.append(str(Path(__file__).resolve().parents[1] / "playbooks" / "roles" / "backups" / "files"))

from apiary_backups import keeping

FILE = "pruned.json"
WHOLE_DAYS = 7  # where nothing is said of days
AT_ONCE = 500
VARIABLES = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "rest": ("RESTIC_REST_USERNAME", "RESTIC_REST_PASSWORD"),
}


def prune(pulumi: Pulumi, backups: Mapping[str, Any], password: str, servers: Iterable[str]) -> int:
    """Prune these servers' parts; 1 when that failed for one. Raises OperationError."""
    repository = os.environ.get("PRUNE_REPOSITORY") or backups["repository"]
    if repository == backups["repository"] and not str(repository).startswith(("s3:", "rest:")):
        raise OperationError(f"append_only goes with s3: and rest:, and repository is {repository}; leave it out")
    kind = repository.partition(":")[0]
    keys = os.environ.get("PRUNE_ACCESS_KEY"), os.environ.get("PRUNE_SECRET_KEY")
    if kind in VARIABLES and None in keys:
        raise OperationError(
            f"{repository} lets servers add and nothing else; hand over credentials that may remove: "
            "PRUNE_ACCESS_KEY=... PRUNE_SECRET_KEY=... make prune (PRUNE_REPOSITORY=... where that is another door)"
        )
    program = shutil.which("restic")
    if program is None:
        raise OperationError("there is no `restic` on PATH; install it here too, 0.16 or newer")
    environment = {**os.environ, "RESTIC_PASSWORD": password}
    environment |= {name: str(key) for name, key in zip(VARIABLES.get(kind, ()), keys, strict=False)}
    authority = pulumi.folder / "backups-ca.pem"
    if backups.get("ca"):
        authority.write_text(str(backups["ca"]))
    words = [program, *(["--cacert", str(authority)] if backups.get("ca") else [])]
    keep = Keep(**backups["keep"]) if "keep" in backups else Keep(daily=7, weekly=5, monthly=12)
    seen = Seen(pulumi.folder / FILE)
    failed = []
    for server in servers:
        say(f"prune {server}")
        part = Part(words, {**environment, "RESTIC_REPOSITORY": saved.place(repository, server)})
        try:
            part.prune(keep.periods, seen, server)
        except OperationError as error:
            say(f"  {error}")
            failed.append(server)
    if failed:
        say(f"prune: failed for {', '.join(failed)} (above)")
    return 1 if failed else 0


@dataclass(frozen=True)
class Seen:
    """What the prunes from this machine have seen of each server: `{server: {"at": ISO 8601, "ids": [...]}}`."""

    path: Path

    def backdated(self, server: str, found: Iterable[Mapping[str, Any]]) -> set[str]:
        """Snapshots that came since the last prune, and are dated before it; nothing where there was none."""
        last = self._read().get(server)
        if last is None:
            return set()
        # By its own clock a server may have begun a little earlier.
        until, ids = datetime.fromisoformat(last["at"]) - keeping.AHEAD, set(last["ids"])
        return {one["id"] for one in found if one["id"] not in ids and datetime.fromisoformat(one["time"]) < until}

    def keep(self, server: str, ids: Collection[str], at: datetime) -> None:
        """Remember what is there now."""
        told = {**self._read(), server: {"at": at.isoformat(), "ids": sorted(ids)}}
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(told))
        fresh.replace(self.path)

    def _read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        try:
            return dict(json.loads(self.path.read_text()))
        except ValueError as error:
            raise OperationError(f"{self.path} can't be read ({error}); remove it, and prune again") from None


@dataclass(frozen=True)
class Part:
    """A server's part of the repository."""

    words: Sequence[str]  # that begin a call of restic
    environment: Mapping[str, str] = field(repr=False)

    def prune(self, keep: Mapping[str, int], seen: Seen, server: str) -> None:
        """Raises OperationError."""
        found = json.loads(self._restic("snapshots", "--json", is_asked=True)) or []
        now = datetime.now(UTC)
        backdated = seen.backdated(server, found)
        whole = timedelta(days=keep.get("daily", WHOLE_DAYS))
        fate = keeping.fate(found, keep, now, whole=whole, backdated=backdated)
        _told("dated later than now", fate.ahead, found)
        _told("dated before the last prune, and were not there then", fate.backdated, found)
        for begin in range(0, len(fate.goes), AT_ONCE):
            self._restic("forget", "--prune", "--retry-lock", "5m", *fate.goes[begin : begin + AT_ONCE])
        # Those that were told stay strange.
        seen.keep(server, {one["id"] for one in found} - {*fate.goes, *fate.ahead, *fate.backdated}, now)
        say(f"  {len(found) - len(fate.goes)} of {len(found)} snapshots are kept")

    def _restic(self, *arguments: str, is_asked: bool = False) -> str:
        done = subprocess.run(
            [*self.words, *arguments],
            env=dict(self.environment),
            stdout=subprocess.PIPE if is_asked else None,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise OperationError(f"restic {arguments[0]} ended with status {done.returncode} (above)")
        return done.stdout or ""


def _told(what: str, ids: Collection[str], found: Iterable[Mapping[str, Any]]) -> None:
    for one in found:
        if one["id"] in ids:
            tag = ", ".join(one.get("tags") or [])
            say(f"  {one['id'][:12]} of {tag}, {one['time'][:19]}: kept, and counts for nothing")
    if ids:
        say(
            f"  {len(ids)} snapshots are {what}: by a clock that was wrong, or by somebody who wants the true ones to "
            "go; look at their server. To remove one: restic forget --prune ID"
        )
