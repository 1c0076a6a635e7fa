"""What this provider has begun to make, on disk, until the engine is known to have recorded it.

A creation has two ends that can be lost: Vultr's answer, and the engine's record of it. A note is written before the
POST, completed by its answer, marked when the engine is told, and removed when the engine shows that it knows the
object, or ends in good order. A note that is still there at the next creation of the same resource, and that the engine
was not told of, proves that what it tells of was made for this very resource and is in no state. Of what the engine was
told it proves nothing: it may be the object that is being replaced.

One small file a note and API key, below PULUMI_HOME, readable by this user alone. It holds ids and hashes, no secret.
Keys are renewed, so the notes of other keys are found too, and say so: they may be another account's.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from provider.protocol.base import Failure, Props


@dataclass
class Note:
    """One creation. `wanted`: hash of its request; `before`: objects like it that were there before it.

    `told`: whether the engine was; `account`: hash of the API key.
    """

    urn: str
    wanted: str
    before: list[str]
    id: str = ""
    told: bool = False
    account: str = ""
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


class Journal:
    """The notes of one API key, and those of others to look at. Safe for use by several threads."""

    def __init__(self, key: str, folder: Path | None = None) -> None:
        """Only a hash of the API key is kept."""
        home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
        self._folder = folder or home / "apiary-vultr"
        self._account = _short(key)
        self._engine = os.getppid()
        self._open: dict[str, Note] = {}  # of this process
        self._told: dict[str, Note] = {}
        self._lock = threading.Lock()
        try:
            self._left = {path.name for path in self._folder.iterdir()} if self._folder.is_dir() else set()
        except OSError as error:
            raise self._unusable(error) from error

    def find(self, urn: str) -> list[Note]:
        """The notes of creations of `urn` that were cut off, this key's own first."""
        prefix = f"{_short(urn)}-"
        with self._lock:
            names = [name for name in self._left if name.startswith(prefix) and name.endswith(".json")]
        found = [note for name in names if (note := self._read(self._folder / name)) is not None]
        return sorted(found, key=lambda note: (not self.own(note), note.at))

    def own(self, note: Note) -> bool:
        """Whether it was written with this API key, and so of what is in this account."""
        return note.account == self._account

    def write(self, note: Note) -> None:
        """Write a note down as this key's, or complete it."""
        note.account = self._account
        path = self.path(note)
        new = path.with_suffix(".new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            new.write_text(json.dumps(asdict(note)))
            new.chmod(0o600)
            new.replace(path)
        except OSError as error:
            raise self._unusable(error) from error
        with self._lock:
            self._left.add(path.name)
            self._open[note.urn] = note

    def take(self, note: Note) -> None:
        """Go on with a creation that an earlier process has begun, perhaps with another key."""
        before = self.path(note)
        self.write(note)
        if self.path(note) != before:
            before.unlink(missing_ok=True)

    def remove(self, note: Note) -> None:
        """Nothing of this creation is open."""
        path = self.path(note)
        with self._lock:
            self._left.discard(path.name)
            if self.own(note):
                self._open.pop(note.urn, None)
                self._told.pop(note.urn, None)
        path.unlink(missing_ok=True)

    def tell(self, urn: str) -> None:
        """The engine is being told of it; unless it dies just now it will record it. A dead one is told nothing."""
        with self._lock:
            note = self._open.get(urn)
        if note is None or os.getppid() != self._engine:
            return
        note.told = True
        self.write(note)
        with self._lock:
            self._told[urn] = note

    def close(self) -> None:
        """The engine has ended in good order, with everything recorded that it was told of."""
        with self._lock:
            notes = list(self._told.values())
        for note in notes:
            self.remove(note)

    def path(self, note: Note) -> Path:
        """The file of a note."""
        return self._folder / f"{_short(note.urn)}-{note.account}.json"

    def _read(self, path: Path) -> Note | None:
        try:
            return Note(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            return None  # torn: its writer died before anything was sent
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> Failure:
        return Failure(
            f"the notes of what is being made can't be kept in {self._folder}: {error}. Make that folder writable, or "
            "set PULUMI_HOME to one that is"
        )


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def hashed(path: str, body: Props) -> str:
    """The hash of a request."""
    return hashlib.sha256(json.dumps([path, body], sort_keys=True).encode()).hexdigest()


def ids(entries: Iterable[Props], key: str) -> list[str]:
    """Their ids, as text."""
    return [str(entry.get(key)) for entry in entries]
