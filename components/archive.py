"""A folder as a tar that depends on its content alone: the same files give the same archive on every machine.

What a `.dockerignore` leaves out is neither read nor archived. Folders, empty ones too, links (as links, wherever they
lead) and modes are kept, as `docker build` sends them; owners, times and the order of the folder do not count. Files
are streamed, never held.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from e2b_dockerfile_utils.dockerignore import PatternMatcher

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# The umask decides these wherever a repository is checked out: they are sent, and make no other content.
UMASK = 0o022


class ArchiveError(Exception):
    """What can't be archived; the message names the path and the remedy."""


@dataclass(frozen=True)
class Member:
    """One file, folder or link."""

    path: str  # relative, with `/` between its parts
    kind: bytes  # as tar has it, `tarfile.REGTYPE`, DIRTYPE, SYMTYPE or FIFOTYPE
    mode: int  # permissions, the bits above them included, e.g. `0o755`
    source: Path | bytes = b""  # a file's content, or where it is
    link: str = ""  # where a link leads

    def open(self) -> BinaryIO:
        """The content, to be read once. Raises ArchiveError."""
        try:
            return io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source.open("rb")
        except OSError as error:
            raise self.unreadable(error) from None

    def unreadable(self, error: OSError) -> ArchiveError:
        """What to say of a file that can't be read."""
        return ArchiveError(f"{self.path}: {error.strerror}; mend it, or name it in .dockerignore")


@dataclass(frozen=True)
class Archive:
    """Members in the order of their paths, a folder before what is in it."""

    members: tuple[Member, ...]

    def with_file(self, path: str, content: bytes) -> Archive:
        """The same archive with one more file, or another content of it."""
        others = (member for member in self.members if member.path != path)
        return Archive(_sorted([*others, Member(path, tarfile.REGTYPE, 0o644, content)]))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that counts, hexadecimal. Raises ArchiveError."""
        return self._pack(_Nowhere())

    def write(self, file: BinaryIO) -> None:
        """Write the uncompressed tar; raises ArchiveError when it is not what `digest` was taken of any more."""
        if self._pack(file) != self.digest:
            raise ArchiveError("files were changed while they were read; run it again")

    @cached_property
    def tar(self) -> bytes:
        """The whole tar, for archives that are known to be small."""
        buffer = io.BytesIO()
        self.write(buffer)
        return buffer.getvalue()

    def _pack(self, file: BinaryIO) -> str:
        """Read every file once, into a tar and into the digest."""
        digest = hashlib.sha256()
        with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for member in self.members:
                content = hashlib.sha256()
                with member.open() as source:
                    tar.addfile(_header(member, source), _Hashed(member, source, content.update))
                shown = [member.path, member.kind.decode(), member.mode & ~UMASK, member.link, content.hexdigest()]
                digest.update(json.dumps(shown).encode() + b"\n")
        return digest.hexdigest()


def read_context(folder: Path, dockerfile: str = "Dockerfile") -> Archive:
    """What `docker build --file DOCKERFILE FOLDER` sends.

    `DOCKERFILE.dockerignore` goes before `.dockerignore`; both files and the Dockerfile are always sent, the builder
    leaves out by itself which of them is named there. Sockets are left out. Raises ArchiveError on devices and on what
    can't be read, FileNotFoundError where `folder` is not a folder.
    """
    for name in (f"{dockerfile}.dockerignore", ".dockerignore"):
        if (folder / name).is_file():
            return read_folder(folder, _patterns(folder / name), always=(name, dockerfile))
    return read_folder(folder)


def read_folder(folder: Path, ignored: list[str] | None = None, always: tuple[str, ...] = ()) -> Archive:
    """All below `folder` but for what `ignored` names, in the words of a `.dockerignore`; links are not followed.

    `always` are paths that are archived all the same. Raises as `read_context`.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder")
    matcher = PatternMatcher([*(ignored or []), *(f"!{path}" for path in always if ignored)])
    return Archive(_sorted(_walk(folder, "", matcher)))


def _walk(folder: Path, path: str, matcher: PatternMatcher) -> Iterator[Member]:
    for entry in os.scandir(folder):
        name = f"{path}/{entry.name}" if path else entry.name
        is_out = matcher.matches(name)
        is_folder = entry.is_dir(follow_symlinks=False)
        if not is_out and (member := _member(entry, name)):
            yield member
        # Of an ignored folder a `!` pattern may ask for something back.
        if is_folder and (not is_out or matcher.may_match_under(name)):
            yield from _walk(Path(entry.path), name, matcher)


def _member(entry: os.DirEntry[str], path: str) -> Member | None:
    mode = entry.stat(follow_symlinks=False).st_mode
    own = stat.S_IMODE(mode)
    if stat.S_ISLNK(mode):
        return Member(path, tarfile.SYMTYPE, 0o777, link=os.readlink(entry.path))
    if stat.S_ISDIR(mode):
        return Member(path, tarfile.DIRTYPE, own)
    if stat.S_ISREG(mode):
        return Member(path, tarfile.REGTYPE, own, Path(entry.path))
    if stat.S_ISFIFO(mode):
        return Member(path, tarfile.FIFOTYPE, own)
    if stat.S_ISSOCK(mode):
        return None
    raise ArchiveError(f"{entry.path} is a device; move it elsewhere, or name it in .dockerignore")


def _patterns(file: Path) -> list[str]:
    """The lines of a `.dockerignore`. Raises ArchiveError where one is no pattern."""
    text = file.read_bytes().removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape")
    patterns = text.split("\n")
    for number, pattern in enumerate(patterns, 1):
        try:
            PatternMatcher([pattern])
        except ValueError as error:
            raise ArchiveError(f"{file}, line {number}: {error}") from None
    return patterns


def _sorted(members: Iterable[Member]) -> tuple[Member, ...]:
    return tuple(sorted(members, key=lambda member: member.path.split("/")))


def _header(member: Member, source: BinaryIO) -> tarfile.TarInfo:
    header = tarfile.TarInfo(member.path)
    header.type = member.kind
    header.mode = member.mode
    header.linkname = member.link
    if member.kind == tarfile.REGTYPE:
        header.size = source.seek(0, os.SEEK_END)
        source.seek(0)
    return header


class _Nowhere(io.BytesIO):
    """Takes everything and keeps nothing."""

    def write(self, data: ReadableBuffer, /) -> int:
        return memoryview(data).nbytes


class _Hashed:
    """A file that is read into a hash on its way."""

    def __init__(self, member: Member, source: BinaryIO, update: Callable[[bytes], None]) -> None:
        self._member = member
        self._source = source
        self._update = update

    def read(self, size: int = -1, /) -> bytes:
        try:
            data = self._source.read(size)
        except OSError as error:
            raise self._member.unreadable(error) from None
        if len(data) < size:
            raise ArchiveError(f"{self._member.path} was cut short while it was read; run it again")
        self._update(data)
        return data
