"""Entries of a stack file in the making: settings, comments, and which key of the files each came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from operations.coming.errors import Key
from settings.references import Literal, Reference, escape, spell, spell_within

# Text of which parts are references.
Parts = list[str | Reference]
Path = tuple[Key, ...]


@dataclass
class Entry:
    """An application, a job, a server or a zone.

    Comments stand at the end of a setting's line, by the setting's name: `env`, `env.db_name`; that of `""` at the
    entry's own. Words of `spread` are written on several lines however short they are.
    """

    section: str
    name: str
    settings: dict[str, object] = field(default_factory=dict, repr=False)  # values may be secrets
    comments: dict[str, str] = field(default_factory=dict)
    sources: dict[Path, Path] = field(default_factory=dict)
    spread: tuple[str, ...] = ()

    def put(self, word: str, value: object, source: Path, comment: str = "") -> None:
        """Write a setting; a list is added to, a map is filled."""
        here = self.settings.get(word)
        if isinstance(here, list) and isinstance(value, list):
            for item in value:
                if item not in here:
                    self.sources[(word, len(here))] = source
                    here.append(item)
        elif isinstance(here, dict) and isinstance(value, dict):
            self.sources.update({(word, key): source for key in value})
            here.update(value)
        else:
            self.settings[word] = value
            below = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
            self.sources.update({(word, key): source for key in below})
        self.sources.setdefault((word,), source)
        if comment:
            self.comments[word] = comment

    def drop(self, is_left_out: Callable[[Path], bool]) -> None:
        """Take out what came from a key that is left out; a word goes with the last of its items."""
        gone = {path for path, source in self.sources.items() if is_left_out(source)}
        for word in {str(path[0]) for path in gone} & set(self.settings):
            here = self.settings[word]
            if isinstance(here, list):
                kept = [index for index in range(len(here)) if (word, index) not in gone]
                self.sources.update({(word, at): self.sources[word, index] for at, index in enumerate(kept)})
                here[:] = [here[index] for index in kept]
            elif isinstance(here, dict):
                for key in [key for key in here if (word, key) in gone]:
                    del here[key]
            if here in ({}, []) or ((word,) in gone and not isinstance(here, (list, dict))):
                del self.settings[word]

    def source_of(self, path: Path) -> Path | None:
        """The key that a setting, or what is in it, came from."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.sources:
                return self.sources[path[:length]]
        return None


def written(parts: Parts) -> str:
    """Spell a variable's text with references as the stack file does."""
    whole = [part for part in parts if part != ""]
    if not whole:
        return ""
    if len(whole) == 1 and not isinstance(whole[0], str):
        return spell(whole[0])
    first = escape(whole[0]) if isinstance(whole[0], str) else content(whole[:1])
    return first + content(whole[1:])


def content(parts: Parts) -> str:
    """Spell the text of a file, in which references stand in braces alone."""
    return "".join(spell_within(Literal(part) if isinstance(part, str) else part) for part in parts)
