"""A folder as a normalised tar: the same files give the same bytes on every machine.

Pure but for `read_folder`. Owners, times and the order of the folder do not count, the execute bit does.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

IGNORED = frozenset({"__pycache__", ".DS_Store", ".git"})


@dataclass(frozen=True)
class File:
    """One file of an archive."""

    content: bytes
    executable: bool = False


@dataclass(frozen=True)
class Archive:
    """Files by their path relative to the folder, with `/` between its parts."""

    files: Mapping[str, File]

    def with_file(self, path: str, content: bytes) -> Archive:
        """The same archive with one more file, or another content of it."""
        return Archive({**self.files, path: File(content)})

    @cached_property
    def tar(self) -> bytes:
        """Uncompressed tar; compression differs between versions of zlib and would look like a change."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path in sorted(self.files):
                file = self.files[path]
                member = tarfile.TarInfo(path)
                member.size = len(file.content)
                member.mode = 0o755 if file.executable else 0o644
                tar.addfile(member, io.BytesIO(file.content))
        return buffer.getvalue()

    @cached_property
    def base64(self) -> str:
        """The tar as text, for a command's standard input."""
        return base64.b64encode(self.tar).decode()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the tar, hexadecimal."""
        return hashlib.sha256(self.tar).hexdigest()


def read_folder(folder: Path) -> Archive:
    """All files below `folder`, symbolic links followed.

    Raises FileNotFoundError where `folder` is not a folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder")
    files = {
        path.relative_to(folder).as_posix(): File(path.read_bytes(), bool(path.stat().st_mode & 0o100))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not IGNORED.intersection(path.relative_to(folder).parts)
    }
    return Archive(files)
