"""Entries of a stack file in the making: settings, comments, and which key of the files each came from."""

from __future__ import annotations

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
            if isinstance(value, dict):
                self.sources.update({(word, key): source for key in value})
        self.sources.setdefault((word,), source)
        if comment:
            self.comments[word] = comment

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
