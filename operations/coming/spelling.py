"""How entries of a stack file are spelled: the lines that a person would write. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from operations.coming.entries import Entry

_WIDTH = 100  # characters of a line, beyond which a list or a map is written on several
_LONGEST_KEY = 1000  # characters; YAML 1.2.2, 7.4.2: at most 1024
_PLAIN = re.compile(r"[A-Za-z_/$.][A-Za-z0-9_./^$@+=-]*")
_IMAGE = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*:[A-Za-z0-9_.-]+(?:@sha256:[0-9a-f]{64})?")
_AMOUNT = re.compile(r"[0-9]+(?:ms|[smhg])")
_NUMBER_LIKE = re.compile(r"[-+.]?[0-9_.]+(?:[eExXoO][0-9a-fA-F+_-]*)?|[-+]?\.(?:inf|nan)", re.IGNORECASE)
_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "")
SECTIONS = ("applications", "jobs")
# What a reader looks for first; further words follow as they were converted.
_ORDER = (
    "server", "image", "build_dir", "git", "dockerfile", "target", "build_args", "ipv6_web", "ports", "entrypoint",
    "command", "working_dir", "user", "capabilities", "after", "db", "env", "environment", "files", "volumes", "tmpfs",
)  # fmt: skip


def lines_of(entries: Iterable[Entry]) -> list[str]:
    """Write entries as a section has them: what a person would read or write."""
    return [line for entry in entries for line in entry_lines(entry, "    ")]


def entry_lines(entry: Entry, indent: str) -> list[str]:
    """Write one entry, its settings in the order in which they are looked for."""
    known = sorted(entry.settings, key=lambda word: _ORDER.index(word) if word in _ORDER else len(_ORDER))
    head = f"{indent}{scalar(entry.name)}:"
    if entry.section not in SECTIONS and not entry.spread:
        return [f"{head} {flow(entry.settings)}"]
    notes = {f"{word}.": "" for word in entry.spread} | entry.comments
    lines = [head + _note(notes.get("", ""))]
    for word in known:
        lines += setting(word, entry.settings[word], indent + "  ", Notes(notes, word))
    return lines


@dataclass(frozen=True)
class Notes:
    """The comments of a setting, and of what is below it."""

    all: Mapping[str, str]
    path: str

    @property
    def own(self) -> str:
        return _note(self.all.get(self.path, ""))

    @property
    def has_below(self) -> bool:
        return any(name.startswith(f"{self.path}.") for name in self.all)

    def below(self, name: str) -> Notes:
        return Notes(self.all, f"{self.path}.{name}")


def _note(words: str) -> str:
    return f"  # {words}" if words else ""


def setting(word: str, value: object, indent: str, notes: Notes) -> list[str]:
    """Write one setting, on as few lines as can be read."""
    key = f"{indent}{_key(word, chr(10) + indent)}"
    if isinstance(value, str) and "\n" in value and (block := _block(value, indent + "  ")):
        return [f"{key} {block[0]}{notes.own}", *block[1:]]
    line = f"{key} {value if word == 'image' and _IMAGE.fullmatch(str(value)) else flow(value)}"
    is_short = len(line) <= _WIDTH and not notes.has_below
    if is_short or not isinstance(value, (dict, list)) or not value:
        return [line + notes.own]
    if isinstance(value, list):
        return [key + notes.own, *(f"{indent}  - {flow(item)}" for item in value)]
    lines = [key + notes.own]
    for name, inner in value.items():
        lines += setting(str(name), inner, indent + "  ", notes.below(str(name)))
    return lines


def flow(value: object) -> str:
    """Write a value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(key))} {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return str(value) if isinstance(value, (int, float)) else scalar(str(value))


def _key(text: str, between: str = " ") -> str:
    """Spell a key with its colon; one that is longer than YAML takes for one is marked as such."""
    spelt = scalar(text)
    return f"{spelt}:" if len(spelt) < _LONGEST_KEY else f"? {spelt}{between}:"


def scalar(text: str) -> str:
    """Spell text so that every reader of YAML reads text: quoted wherever one might read something else."""
    if _AMOUNT.fullmatch(text):
        return text
    is_plain = _PLAIN.fullmatch(text) and not _NUMBER_LIKE.fullmatch(text) and text.lower() not in _WORDS
    if is_plain and not text.startswith(("...", "---")) and not text.endswith("="):
        return text
    # JSON is YAML, but for what is not printable and lies beyond its escapes of four digits.
    return "".join(char if char.isprintable() else _escaped(char) for char in json.dumps(text, ensure_ascii=False))


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _block(text: str, indent: str) -> list[str] | None:
    """A literal block; None for text that one can't hold unchanged."""
    lines = text.split("\n")
    if lines[0][:1] in (" ", "") or any(not line.isprintable() for line in lines) or text.endswith("\n\n"):
        return None
    if text.endswith("\n"):
        lines.pop()
    return ["|" if text.endswith("\n") else "|-", *(f"{indent}{line}" if line else "" for line in lines)]
