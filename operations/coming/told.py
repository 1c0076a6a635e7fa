"""What became of each key of the files that somebody comes with."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from operations.coming.errors import Key, path_of


class Outcome(Enum):
    """What becomes of a key; the words are those of the report."""

    AS_IS = "as is"
    BECOMES = "becomes"
    DIFFERS = "differs"  # it works, in another way
    NEEDLESS = "not needed"
    LEFT_OUT = "left out"  # as the caller said
    CANNOT = "CAN'T BE SAID"


@dataclass(frozen=True)
class Verdict:
    """A key, by its path in its file, and what becomes of it."""

    path: str
    outcome: Outcome
    words: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.outcome.value}" + (f"; {self.words}" if self.words else "")


class Told:
    """The verdicts in order, and what is left for people to do."""

    def __init__(self, leave_out: Collection[str] = ()) -> None:
        self.verdicts: list[Verdict] = []
        self.todo: list[str] = []
        self._leave_out = set(leave_out)
        self._met: set[str] = set()
        self._said: set[tuple[str, Outcome]] = set()

    def say(self, path: tuple[Key, ...], outcome: Outcome, words: str = "") -> None:
        """Add a verdict; the same one once, and none beside one that it can't be said."""
        verdict = Verdict(path_of(*path), outcome, words)
        can = outcome is Outcome.CANNOT or (verdict.path, Outcome.CANNOT) not in self._said
        if can and verdict not in self.verdicts:
            self._said.add((verdict.path, outcome))
            self.verdicts.append(verdict)

    def as_is(self, *path: Key) -> None:
        """The stack file has the same word."""
        self.say(path, Outcome.AS_IS)

    def becomes(self, path: tuple[Key, ...], words: str) -> None:
        """It is said by another word."""
        self.say(path, Outcome.BECOMES, words)

    def differs(self, path: tuple[Key, ...], words: str) -> None:
        """It works, and not as before."""
        self.say(path, Outcome.DIFFERS, words)

    def needless(self, path: tuple[Key, ...], why: str) -> None:
        """Nothing has to be written for it."""
        self.say(path, Outcome.NEEDLESS, why)

    def cannot(self, path: tuple[Key, ...], remedy: str) -> None:
        """It has no word; unless the caller leaves it out, nothing is written."""
        spelt = path_of(*path)
        self.verdicts = [one for one in self.verdicts if one.path != spelt or one.outcome is Outcome.CANNOT]
        outcome = Outcome.LEFT_OUT if self.is_left_out(*path) else Outcome.CANNOT
        self.say(path, outcome, "" if outcome is Outcome.LEFT_OUT else remedy)

    def guard(self, path: tuple[Key, ...], remedy: str) -> None:
        """It keeps somebody out, and has no word; what is left out around it does not leave out this."""
        spelt = path_of(*path)
        is_left_out = spelt in self._leave_out
        self._met |= {spelt} & self._leave_out
        self.say(path, Outcome.LEFT_OUT if is_left_out else Outcome.CANNOT, "" if is_left_out else remedy)

    def is_left_out(self, *path: Key) -> bool:
        """Whether the caller leaves out what stands at the path, or around it."""
        for length in range(1, len(path) + 1):
            spelt = path_of(*path[:length])
            if spelt in self._leave_out:
                self._met.add(spelt)
                return True
        return False

    def left_out(self, *path: Key) -> None:
        """It was read over, since the caller leaves it out."""
        self.say(path, Outcome.LEFT_OUT)

    @property
    def unmet(self) -> list[str]:
        """What the caller leaves out and is not there, sorted; what is in something that is left out was there."""
        around = tuple(f"{path}{sign}" for path in self._met for sign in ".[")
        return sorted(path for path in self._leave_out - self._met if not path.startswith(around))

    @property
    def refused(self) -> list[Verdict]:
        """What keeps the whole from being written."""
        return [one for one in self.verdicts if one.outcome is Outcome.CANNOT]

    def do(self, words: str) -> None:
        """Something is left for people to do."""
        if words not in self.todo:
            self.todo.append(words)
