"""What this provider has begun to make, on disk, until the engine is known to have recorded it.

A creation has two ends that can be lost: Vultr's answer, and the engine's record of it. A note is written before the
POST, completed by its answer, and removed when the engine shows that it knows the object, or ends in good order. A
note that is still there at the next creation of the same resource proves that what it tells of was made for this very
resource and is in no state.

One small file a note, below PULUMI_HOME, readable by this user alone. It holds ids and a hash, no secret.
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
    """One creation. `wanted`: hash of its request; `before`: objects like it that were there before it."""

    urn: str
    wanted: str
    before: list[str]
    id: str = ""
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


class Journal:
    """The notes of one account. Safe for use by several threads."""

    def __init__(self, account: str, folder: Path | None = None) -> None:
        """`account` tells accounts apart, the API key for one; only a hash of it is kept."""
        home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
        self._folder = folder or home / "apiary-vultr"
        self._account = account
        self._answered: set[str] = set()
        self._lock = threading.Lock()
        try:
            self._left = {path.name for path in self._folder.iterdir()} if self._folder.is_dir() else set()
        except OSError as error:
            raise self._unusable(error) from error

    def find(self, urn: str) -> Note | None:
        """The note of a creation of `urn` that was cut off."""
        try:
            return Note(**json.loads(self._path(urn).read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            return None  # torn: its writer died before anything was sent
        except OSError as error:
            raise self._unusable(error) from error

    def write(self, note: Note) -> None:
        """Write a note down, or complete it."""
        path = self._path(note.urn)
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

    def remove(self, urn: str) -> None:
        """Nothing of this resource is open."""
        path = self._path(urn)
        with self._lock:
            if path.name not in self._left:
                return
            self._left.discard(path.name)
            self._answered.discard(urn)
        path.unlink(missing_ok=True)

    def answered(self, urn: str) -> None:
        """The engine has been told of it; unless it dies just now it will record it."""
        with self._lock:
            self._answered.add(urn)

    def close(self) -> None:
        """The engine has ended in good order, with everything recorded that it was told of."""
        with self._lock:
            urns = list(self._answered)
        for urn in urns:
            self.remove(urn)

    def _path(self, urn: str) -> Path:
        name = hashlib.sha256("\n".join([self._account, urn]).encode()).hexdigest()[:32]
        return self._folder / f"{name}.json"

    def _unusable(self, error: OSError) -> Failure:
        return Failure(
            f"the notes of what is being made can't be kept in {self._folder}: {error}. Make that folder writable, or "
            "set PULUMI_HOME to one that is"
        )


def hashed(path: str, body: Props) -> str:
    """The hash of a request."""
    return hashlib.sha256(json.dumps([path, body], sort_keys=True).encode()).hexdigest()


def ids(entries: Iterable[Props], key: str) -> list[str]:
    """Their ids, as text."""
    return [str(entry.get(key)) for entry in entries]
