"""The journal of a restore: what it has come to, on disk before each step, so that after a kill the same line goes on.

    fetch   what was saved is put beside what is there; nothing is touched, and a failure leaves nothing behind
    swap    who uses it is stopped, and the two change places
    start   who was stopped is started, and has to serve
    remove  it serves: what was there before goes
    back    it does not, or the swap failed: the two change places again, and who was stopped is started

Makes: `Journal`, one file; `carry_out`, which goes on from wherever it stands. Each act of `Acts` may be done twice, or
half and then again. Leaves alone: how a volume or a database is fetched and swapped (swap_*.py).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from apiary_backups import config
from apiary_backups.errors import BackupsError
from apiary_backups.items import Item

Phase = Literal["fetch", "swap", "start", "remove", "back"]
FILE = "journal.json"
# What is there may be of either state, or of both.
BETWEEN = ("swap", "start", "back")
ROUNDS = 5  # of stopping who is started again and again


class TakenBackError(BackupsError):
    """The restored state did not serve; what was there before is there again."""


@dataclass(frozen=True)
class Wish:
    """The line that was typed."""

    what: tuple[str, ...]
    at: str = ""
    to: str = ""

    def __str__(self) -> str:
        words = [*self.what] or ["everything"]
        return " ".join([*words, *([f"--at {self.at}"] if self.at else []), *([f"--to {self.to}"] if self.to else [])])

    def line(self, server: str) -> str:
        """How it is typed, on the operator's machine where that has words for it."""
        if len(self.what) > 1:
            options = [f"--{name}={value}" for name, value in (("at", self.at), ("to", self.to)) if value]
            return shlex.join(["apiary-backups", "restore", *options, "--", *self.what])
        told = {"WHAT": ":".join((server, *self.what)), "AT": self.at, "TO": self.to}
        return " ".join(["make restore", *(f"{name}={shlex.quote(value)}" for name, value in told.items() if value)])


@dataclass(frozen=True)
class Entry:
    """One item on its way."""

    item: str  # as items.Item spells it
    snapshot: str  # its whole id
    time: str  # when that was made, ISO 8601
    path: str = ""  # of a volume: where its files are
    is_fetched: bool = False


@dataclass(frozen=True)
class Journal:
    """What a restore has come to."""

    wish: Wish
    phase: Phase
    entries: tuple[Entry, ...]
    users: tuple[str, ...] = ()  # `applications.shop`: who was stopped, and is to be started
    reason: str = ""  # why it is taken back


class Acts(Protocol):
    """What is done to the server; each may be repeated."""

    def fetch(self, entry: Entry) -> None:
        """Put what was saved beside what is there; whatever an earlier attempt has left of that goes first."""

    def discard(self, entry: Entry) -> None:
        """Remove what lies beside."""

    def users(self, entries: tuple[Entry, ...]) -> tuple[str, ...]:
        """Who uses what is to be swapped."""

    def stop(self, users: tuple[str, ...]) -> tuple[str, ...]:
        """Stop them; who of them ran."""

    def held(self, entries: tuple[Entry, ...]) -> tuple[str, ...]:
        """Who runs with a volume that is to be swapped, whoever started it."""

    def swap(self, entry: Entry) -> None:
        """What was fetched takes the place of what is there, which is kept."""

    def swap_back(self, entry: Entry) -> None:
        """What is kept takes its place again, however far `swap` came."""

    def start(self, users: tuple[str, ...]) -> None:
        """Start them in order."""

    def prove(self, users: tuple[str, ...]) -> None:
        """They serve. Raises BackupsError where they don't."""

    def remove_kept(self, entry: Entry) -> None:
        """Remove what was there before."""


@dataclass(frozen=True)
class Book:
    """The one journal of a server."""

    state: Path = field(default_factory=lambda: config.STATE)

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.state / FILE

    def read(self) -> Journal | None:
        """The restore that was interrupted; None where none was. Raises BackupsError."""
        try:
            told = json.loads(self.path.read_text())
            return Journal(
                wish=Wish(tuple(told["wish"]["what"]), told["wish"]["at"], told["wish"]["to"]),
                phase=told["phase"],
                entries=tuple(Entry(**entry) for entry in told["entries"]),
                users=tuple(told["users"]),
                reason=told["reason"],
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackupsError(
                f"{self.path}, the journal of a restore, can't be read ({type(error).__name__}); see what it says, "
                "and which of the folders and databases named apiary-kept it means, before you remove it"
            ) from None

    def write(self, journal: Journal) -> Journal:
        """Keep it, also through a power cut."""
        config.put(self.path, json.dumps(asdict(journal), indent=2) + "\n", 0o600)
        return journal

    def close(self) -> None:
        """There is nothing to go on with."""
        self.path.unlink(missing_ok=True)


def torn(server: str) -> dict[Item, BackupsError]:
    """What an interrupted restore has left between two states, with what to do about it: neither is it saved, since
    half of a state would be the newest snapshot, nor filled. Raises BackupsError where the journal can't be read.
    """
    journal = Book().read()
    if journal is None or journal.phase not in BETWEEN:
        return {}
    found = [Item.parse(entry.item) for entry in journal.entries]
    # A database that lies under another name for now would count as dropped.
    servers = [Item.roles(item.name) for item in found if item.kind == "database"]
    error = BackupsError(
        f"a restore was interrupted ({journal.phase}), and what is there may be half of one state and half of another;"
        f" it is finished or taken back by: {journal.wish.line(server)}"
    )
    return dict.fromkeys([*found, *servers], error)


def carry_out(journal: Journal, acts: Acts, book: Book, say: Callable[[str], None]) -> None:
    """Go on from wherever it stands, to one of its two ends. Raises TakenBackError when what was there before is there
    again, and BackupsError when neither end was reached: then the journal stays, and the same line goes on.
    """
    if journal.phase == "fetch":
        journal = _fetched(journal, acts, book)
    if journal.phase == "swap":
        try:
            journal, _ = _stilled(journal, acts, book)
            for entry in journal.entries:
                acts.swap(entry)
            journal = book.write(replace(journal, phase="start"))
        except BackupsError as error:
            journal = book.write(replace(journal, phase="back", reason=str(error)))
    if journal.phase == "start":
        try:
            journal = _let_go(journal, acts, book, say)
            acts.start(journal.users)
            acts.prove(journal.users)
            journal = book.write(replace(journal, phase="remove"))
        except BackupsError as error:
            journal = book.write(replace(journal, phase="back", reason=str(error)))
    if journal.phase == "back":
        _take_back(journal, acts, book, say)
    for entry in journal.entries:
        acts.remove_kept(entry)
    book.close()


def _let_go(journal: Journal, acts: Acts, book: Book, say: Callable[[str], None]) -> Journal:
    """Who was started by an update or a clock while they changed places runs with what was there before, and stops.
    Raises BackupsError.
    """
    journal, again = _stilled(journal, acts, book)
    if again:
        say(f"started meanwhile by somebody else, and started anew: {', '.join(again)}")
    if held := acts.held(journal.entries):
        raise BackupsError(f"{', '.join(held)} was started meanwhile, and runs on with what was there before")
    return journal


def _stilled(journal: Journal, acts: Acts, book: Book) -> tuple[Journal, tuple[str, ...]]:
    """Who uses it stands still, also who is started while others stop, as a job by the clock; and who of them ran.
    Raises BackupsError. Who is no part of the stack is not stopped.
    """
    stopped: list[str] = []
    for _ in range(ROUNDS):
        # Who has been started since is no exception.
        users = tuple(dict.fromkeys((*journal.users, *acts.users(journal.entries))))
        journal = book.write(replace(journal, users=users))
        stopped += acts.stop(journal.users)
        if not acts.held(journal.entries):
            break
    return journal, tuple(dict.fromkeys(stopped))


def _fetched(journal: Journal, acts: Acts, book: Book) -> Journal:
    try:
        for entry in journal.entries:
            if not entry.is_fetched:
                acts.fetch(entry)
                entries = tuple(replace(one, is_fetched=one.is_fetched or one == entry) for one in journal.entries)
                journal = book.write(replace(journal, entries=entries))
        return book.write(replace(journal, phase="swap", users=acts.users(journal.entries)))
    except BackupsError as error:
        # First said, then done: what is removed must not count as fetched when this is killed.
        book.write(replace(journal, entries=tuple(replace(one, is_fetched=False) for one in journal.entries)))
        try:
            for entry in journal.entries:
                acts.discard(entry)
        except BackupsError as left:
            raise BackupsError(
                f"{error}; and what lies beside could not be removed, which the same line does: {left}"
            ) from None
        book.close()
        raise


def _take_back(journal: Journal, acts: Acts, book: Book, say: Callable[[str], None]) -> None:
    say(f"taken back, because: {journal.reason}")
    try:
        journal, _ = _stilled(journal, acts, book)
        for entry in reversed(journal.entries):
            acts.swap_back(entry)
        # As above: what they run with is removed now.
        journal, _ = _stilled(journal, acts, book)
        for entry in journal.entries:
            acts.discard(entry)
    except BackupsError as error:
        raise BackupsError(
            f"{journal.reason}; and what was there before could not be brought back yet: {error}; say the same line "
            "again"
        ) from None
    try:
        acts.start(journal.users)
        acts.prove(journal.users)
    except BackupsError as error:
        book.close()
        raise TakenBackError(
            f"{journal.reason}; what was there before is there again, and does not serve: {error}"
        ) from None
    book.close()
    raise TakenBackError(f"{journal.reason}; what was there before is there again, and serves")
