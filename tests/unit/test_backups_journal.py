"""The journal of a restore: killed at any moment, and as often as it may be, the same line comes to one of two ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.unit.backups_server import Server

from apiary_backups import journal, restore  # isort: skip - the module above puts it on the path
from apiary_backups.errors import BackupsError  # isort: skip
from apiary_backups.journal import Book, Entry, Journal, TakenBackError, Wish  # isort: skip

WISH = Wish(("shop",))
ENTRIES = (Entry("volume:a", "s1", "2026-11-20T02:17:00+00:00"), Entry("volume:b", "s2", "2026-11-20T02:17:05+00:00"))


class Killed(BaseException):
    """The power went."""


@dataclass
class World:
    """A server with two items, as files of one word, and one application; killed before its nth smallest step."""

    files: dict[str, str] = field(default_factory=lambda: {"volume:a": "old", "volume:b": "old"})
    is_up: bool = True
    serves: str = "both"  # which state the application can serve with: both, old, none
    fails: str = ""  # the act that fails, each time
    left: int | None = None  # steps until it is killed

    def step(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Killed
            self.left -= 1

    def act(self, name: str) -> None:
        self.step()
        if name and self.fails == name:
            raise BackupsError(f"{name} failed")

    def move(self, old: str, new: str) -> None:
        self.step()
        assert new not in self.files, f"{new} was overwritten"
        self.files[new] = self.files.pop(old)

    def drop(self, name: str) -> None:
        self.step()
        self.files.pop(name, None)

    def fetch(self, entry: Entry) -> None:
        self.discard(entry)
        self.step()
        self.files[f"{entry.item}.fresh"] = "half"
        self.act("fetch")
        self.act(f"fetch {entry.item}")
        self.files[f"{entry.item}.fresh"] = "new"

    def discard(self, entry: Entry) -> None:
        self.drop(f"{entry.item}.fresh")

    def users(self, entries: tuple[Entry, ...]) -> tuple[str, ...]:
        return ("applications.shop",)

    def stop(self, users: tuple[str, ...]) -> tuple[str, ...]:
        self.act("stop")
        was_up, self.is_up = self.is_up, False
        return users if was_up else ()

    def held(self, entries: tuple[Entry, ...]) -> tuple[str, ...]:
        return ("shop",) if self.is_up else ()

    def swap(self, entry: Entry) -> None:
        self.act("swap")
        assert not self.is_up
        item, fresh, kept = entry.item, f"{entry.item}.fresh", f"{entry.item}.kept"
        if fresh in self.files:
            if kept not in self.files:
                self.move(item, kept)
            self.act("swap half" if entry.item == "volume:b" else "")
            self.move(fresh, item)
        else:
            assert kept in self.files

    def swap_back(self, entry: Entry) -> None:
        self.step()
        assert not self.is_up
        item, fresh, kept = entry.item, f"{entry.item}.fresh", f"{entry.item}.kept"
        if kept in self.files:
            if item in self.files:
                self.move(item, fresh)
            self.move(kept, item)

    def start(self, users: tuple[str, ...]) -> None:
        self.act("start")
        assert set(self.files) >= {"volume:a", "volume:b"}, "it was started without its data"
        self.is_up = True

    def prove(self, users: tuple[str, ...]) -> None:
        self.step()
        if self.serves not in ("both", self.files["volume:a"]):
            raise BackupsError("it answers 500")

    def remove_kept(self, entry: Entry) -> None:
        self.drop(f"{entry.item}.kept")


def carry_on(world: World, book: Book) -> str:
    """The line, said once; how it ended."""
    pending = book.read() or book.write(Journal(WISH, "fetch", ENTRIES))
    try:
        journal.carry_out(pending, world, book, lambda _: None)
    except TakenBackError as error:
        return f"taken back: {error}"
    except BackupsError as error:
        return f"failed: {error}"
    return "restored"


def ended(world: World, book: Book, state: str) -> None:
    assert world.files == {"volume:a": state, "volume:b": state}, "something is lost, or left behind"
    assert world.is_up
    assert book.read() is None


@pytest.fixture
def book(server: Server, monkeypatch: pytest.MonkeyPatch) -> Book:
    return Book(server.records)


def killed_everywhere(make: Callable[[], World], book: Book, monkeypatch: pytest.MonkeyPatch, twice: bool) -> set[str]:
    """Kill it before each step and before each line of the journal; then again; and let it end. All the ends."""
    write = Book.write
    ends: set[str] = set()
    first = 0
    while True:
        world = make()
        world.left = first

        def written(own: Book, told: Journal, world: World = world) -> Journal:
            world.step()
            return write(own, told)

        book.write(Journal(WISH, "fetch", ENTRIES))
        monkeypatch.setattr(Book, "write", written)
        done = False
        try:
            ends.add(carry_on(world, book))
            done = True
        except Killed:
            for second in range(6) if twice else ():
                world.left = second
                try:
                    ends.add(carry_on(world, book))
                    done = True
                    break
                except Killed:
                    continue
        world.left = None
        if not done:
            ends.add(carry_on(world, book))
        monkeypatch.setattr(Book, "write", write)
        if world.left is None and set(world.files.values()) == {"new"}:
            ended(world, book, "new")
        else:
            ended(world, book, "old")
        first += 1
        if done and not (twice and first < 40):
            return ends


@pytest.mark.parametrize("twice", [False, True])
def test_killed_anywhere_it_is_finished_by_the_same_line(
    book: Book, monkeypatch: pytest.MonkeyPatch, twice: bool
) -> None:
    assert killed_everywhere(World, book, monkeypatch, twice) == {"restored"}


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        ({"serves": "old"}, "it answers 500"),
        ({"fails": "swap half"}, "swap half failed"),
    ],
)
def test_killed_anywhere_what_does_not_serve_is_taken_back(
    book: Book, monkeypatch: pytest.MonkeyPatch, world: dict[str, str], reason: str
) -> None:
    ends = killed_everywhere(lambda: World(**world), book, monkeypatch, True)  # type: ignore[arg-type]
    assert ends == {f"taken back: {reason}; what was there before is there again, and serves"}


def test_what_can_not_be_fetched_changes_nothing(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = killed_everywhere(lambda: World(fails="fetch"), book, monkeypatch, True)
    assert ends == {"failed: fetch failed"}


def test_what_was_fetched_before_a_failure_is_fetched_again_after_a_kill(book: Book) -> None:
    for steps in range(60):
        world = World(fails="fetch volume:b", left=steps)
        book.write(Journal(WISH, "fetch", ENTRIES))
        try:
            assert carry_on(world, book) == "failed: fetch volume:b failed"
        except Killed:
            world.fails, world.left = "", None
            assert carry_on(world, book) == "restored"
            ended(world, book, "new")
            continue
        ended(world, book, "old")
        return
    pytest.fail("it never came to its end")


def test_what_served_with_neither_is_said(book: Book) -> None:
    world = World(serves="none")
    assert "does not serve: it answers 500" in carry_on(world, book)
    ended(world, book, "old")


def test_another_line_waits_for_the_one_that_was_interrupted(server: Server) -> None:
    Book(server.records).write(Journal(WISH, "swap", ENTRIES))
    with pytest.raises(BackupsError, match="a restore of shop was interrupted"):
        restore.restore(server.config, Wish(("uploads",)))


def test_a_journal_that_can_not_be_read_is_no_reason_to_begin_anew(book: Book, tmp_path: Path) -> None:
    book.path.parent.mkdir(exist_ok=True)
    book.path.write_text("{")
    with pytest.raises(BackupsError, match="journal of a restore, can't be read"):
        book.read()
