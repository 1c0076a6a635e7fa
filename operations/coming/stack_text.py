"""The text of a stack file: new entries in the house's spelling, put into a file without touching what is there.

Makes: `new`, a whole file, and `added`, a file with more in it, every other byte as it was. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import yaml

from operations.coming.conversion import PLACE, Conversion
from operations.coming.entries import Entry
from operations.coming.errors import Problem, SourceError, mapping, path_of

_WIDTH = 100  # characters of a line, beyond which a list or a map is written on several
_LONGEST_KEY = 1000  # characters; YAML 1.2.2, 7.4.2: at most 1024
_PLAIN = re.compile(r"[A-Za-z_/$.][A-Za-z0-9_./^$@+=-]*")
_IMAGE = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*:[A-Za-z0-9_.-]+(?:@sha256:[0-9a-f]{64})?")
_AMOUNT = re.compile(r"[0-9]+(?:ms|[smhg])")
_NUMBER_LIKE = re.compile(r"[-+.]?[0-9_.]+(?:[eExXoO][0-9a-fA-F+_-]*)?|[-+]?\.(?:inf|nan)", re.IGNORECASE)
_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "")
_SECTIONS = ("applications", "jobs")
# What a reader looks for first; further words follow as they were converted.
_ORDER = (
    "server", "image", "build_dir", "git", "dockerfile", "target", "build_args", "ipv6_web", "ports", "entrypoint",
    "command", "working_dir", "user", "capabilities", "after", "db", "env", "environment", "files", "volumes", "tmpfs",
)  # fmt: skip


def new(done: Conversion, project: str) -> str:
    """Write a whole stack file."""
    lines = [
        "# Put your own names in; docs/quickstart.md goes through it, docs/configuration.md lists every setting.",
        "config:",
        f"  {project}:servers:",
        f"    {done.server}:",
        f"      plan: {PLACE['plan']}          # what is rented; docs/quickstart.md says how to choose",
        f"      region: {PLACE['region']}",
        f"      os: {PLACE['os']}",
    ]
    if done.domains:
        lines.append(f"      dns: {{web: {_flow(done.domains)}}}")
    if done.redirects:
        lines += _setting("redirects", done.redirects, "      ", _Notes({}, "redirects"))
    for section in _SECTIONS:
        entries = [entry for entry in done.entries if entry.section == section]
        if entries:
            lines.append(f"  {project}:{section}:")
            lines += [line for entry in entries for line in _entry(entry, "    ")]
    return "\n".join(lines) + "\n"


def whole(head: str, entries: Sequence[Entry], project: str, source: str = "") -> str:
    """Write whole sections, into a file that has none of them. Raises SourceError where it has one, or no place."""
    lines: list[str] = []
    for section in dict.fromkeys(entry.section for entry in entries):
        lines += [f"  {project}:{section}:"]
        lines += [line for entry in entries if entry.section == section for line in _entry(entry, "    ")]
    if not source.strip():
        return f"{head}\nconfig:\n" + "\n".join(lines) + "\n"
    root = _root(source)
    node, missing = _down(root, ["config"])
    if missing and any(name.value == "config" for name, _ in root.value):
        raise SourceError([Problem("config", "is empty; take the line out first")])
    if missing:
        return source.rstrip("\n") + f"\n{head}\nconfig:\n" + "\n".join(lines) + "\n"
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        raise SourceError([Problem("config", "is written on one line, or is no map; write its lines below it first")])
    for name, _ in node.value:
        if str(name.value).startswith(f"{project}:"):
            raise SourceError([Problem(str(name.value), "is there already; name another stack, or take it out")])
    shift = " " * (node.value[0][0].start_mark.column - 2)
    return _after(source, node, [shift + line for line in "\n".join([f"  {head}", *lines]).split("\n")])


def added(source: str, done: Conversion, project: str) -> str:
    """Return a stack file's text with the new entries in it. Raises SourceError where its shape leaves no place."""
    for section in _SECTIONS:
        entries = [entry for entry in done.entries if entry.section == section]
        if entries:
            source = _into(source, ("config", f"{project}:{section}"), [(entry.name, entry) for entry in entries])
    for domain in done.domains:
        source = _listed(source, ("config", f"{project}:servers", done.server, "dns", "web"), domain)
    for host, to in done.redirects.items():
        source = _mapped(source, ("config", f"{project}:servers", done.server, "redirects"), host, to)
    return source


def lines_of(entries: Iterable[Entry]) -> list[str]:
    """Write entries as a section has them: what a person would read or write."""
    return [line for entry in entries for line in _entry(entry, "    ")]


# An entry


def _entry(entry: Entry, indent: str) -> list[str]:
    known = sorted(entry.settings, key=lambda word: _ORDER.index(word) if word in _ORDER else len(_ORDER))
    head = f"{indent}{_scalar(entry.name)}:"
    if entry.section not in _SECTIONS and not entry.spread:
        return [f"{head} {_flow(entry.settings)}"]
    notes = {f"{word}.": "" for word in entry.spread} | entry.comments
    lines = [head + _note(notes.get("", ""))]
    for word in known:
        lines += _setting(word, entry.settings[word], indent + "  ", _Notes(notes, word))
    return lines


@dataclass(frozen=True)
class _Notes:
    """The comments of a setting, and of what is below it."""

    all: Mapping[str, str]
    path: str

    @property
    def own(self) -> str:
        return _note(self.all.get(self.path, ""))

    @property
    def has_below(self) -> bool:
        return any(name.startswith(f"{self.path}.") for name in self.all)

    def below(self, name: str) -> _Notes:
        return _Notes(self.all, f"{self.path}.{name}")


def _note(words: str) -> str:
    return f"  # {words}" if words else ""


def _setting(word: str, value: object, indent: str, notes: _Notes) -> list[str]:
    key = f"{indent}{_key(word, chr(10) + indent)}"
    if isinstance(value, str) and "\n" in value and (block := _block(value, indent + "  ")):
        return [f"{key} {block[0]}{notes.own}", *block[1:]]
    line = f"{key} {value if word == 'image' and _IMAGE.fullmatch(str(value)) else _flow(value)}"
    is_short = len(line) <= _WIDTH and not notes.has_below
    if is_short or not isinstance(value, (dict, list)) or not value:
        return [line + notes.own]
    if isinstance(value, list):
        return [key + notes.own, *(f"{indent}  - {_flow(item)}" for item in value)]
    lines = [key + notes.own]
    for name, inner in value.items():
        lines += _setting(str(name), inner, indent + "  ", notes.below(str(name)))
    return lines


def _flow(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(key))} {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return str(value) if isinstance(value, (int, float)) else _scalar(str(value))


def _key(text: str, between: str = " ") -> str:
    """Spell a key with its colon; one that is longer than YAML takes for one is marked as such."""
    spelt = _scalar(text)
    return f"{spelt}:" if len(spelt) < _LONGEST_KEY else f"? {spelt}{between}:"


def _scalar(text: str) -> str:
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


# Into a file


def _root(source: str) -> yaml.MappingNode:
    try:
        root = yaml.compose(source, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise SourceError([Problem("stack file", f"is not YAML: {error}; correct it first")]) from error
    if not isinstance(root, yaml.MappingNode):
        raise SourceError([Problem("stack file", "is no map; it begins with config:")])
    return root


def _down(node: yaml.Node, path: Sequence[str]) -> tuple[yaml.Node, list[str]]:
    """The deepest node that there is on a path, and the rest of the path."""
    for index, key in enumerate(path):
        inner = None
        if isinstance(node, yaml.MappingNode):
            inner = next((value for name, value in node.value if name.value == key), None)
        if inner is None or (isinstance(inner, yaml.ScalarNode) and inner.value in ("", "~", "null")):
            return node, list(path[index:])
        node = inner
    return node, []


def _into(source: str, path: Sequence[str], entries: list[tuple[str, Entry]]) -> str:
    node, missing = _down(_root(source), path)
    where = path_of(*path)
    if not isinstance(node, yaml.MappingNode) or node.flow_style or not node.value:
        raise SourceError(
            [Problem(where, "is written on one line, or is no map; write its entries below each other first")]
        )
    indent = " " * node.value[0][0].start_mark.column
    lines: list[str] = []
    if missing:
        _refuse_empty(node, missing[0], where)
        for key in missing:
            lines.append(f"{indent}{_scalar(key) if ':' not in key else key}:")
            indent += "  "
    for _, entry in entries:
        lines += _entry(entry, indent)
    return _after(source, node, lines)


def _refuse_empty(node: yaml.MappingNode, key: str, where: str) -> None:
    if any(name.value == key for name, _ in node.value):
        raise SourceError([Problem(where, "is empty; take the line out first")])


def _after(source: str, node: yaml.Node, lines: list[str]) -> str:
    """Put lines behind the last line of a block."""
    end = _end(node)
    rest = source.find("\n", end)
    head, tail = (source, "") if rest < 0 else (source[: rest + 1], source[rest + 1 :])
    return head + ("" if head.endswith("\n") else "\n") + "\n".join(lines) + "\n" + tail


def _end(node: yaml.Node) -> int:
    """Where the last value of a node ends; a block's own end mark stands before the next key."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return max(_end(node.value[-1][1]), int(node.value[-1][0].end_mark.index))
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        # Its end mark stands at the start of the line behind it.
        return max(int(node.end_mark.index) - 1, int(node.start_mark.index))
    return int(node.end_mark.index)


def _listed(source: str, path: Sequence[str], item: str) -> str:
    """Add a domain to dns.web of a server."""
    node, missing = _down(_root(source), path)
    if isinstance(node, yaml.SequenceNode) and not missing:
        if any(one.value == item for one in node.value):
            return source
        if not node.flow_style:
            indent = " " * node.value[0].start_mark.column
            return _after(source, node, [f"{indent[:-2]}- {_scalar(item)}"])
        return _in_flow(source, node, _scalar(item))
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise SourceError([Problem(path_of(*path), f"leaves no place for {item}; write it there first")])
    value: object = [item]
    for key in reversed(missing[1:]):
        value = {key: value}
    return _put(source, node, missing[0], value, path_of(*path))


def _mapped(source: str, path: Sequence[str], key: str, item: str) -> str:
    """Add a line to a map of a server."""
    node, missing = _down(_root(source), path)
    if not isinstance(node, yaml.MappingNode) or not node.value or len(missing) > 1:
        raise SourceError([Problem(path_of(*path), f"leaves no place for {key}; write it there first")])
    return _put(source, node, missing[0], {key: item}, path_of(*path)) if missing else _put(source, node, key, item)


def _put(source: str, node: yaml.MappingNode, key: str, value: object, where: str = "") -> str:
    """Put a key that is not there behind the last one of a map."""
    if node.flow_style:
        return _in_flow(source, node, f"{_scalar(key)}: {_flow(value)}")
    _refuse_empty(node, key, where)
    indent = " " * node.value[0][0].start_mark.column
    return _after(source, node, [f"{indent}{_scalar(key)}: {_flow(value)}"])


def _in_flow(source: str, node: yaml.CollectionNode, text: str) -> str:
    """Put an item behind the last one of a list or map on one line, or several."""
    if not node.value:
        at = int(node.end_mark.index) - 1
        return source[:at] + text + source[at:]
    last = node.value[-1][1] if isinstance(node, yaml.MappingNode) else node.value[-1]
    at = int(last.end_mark.index)
    return f"{source[:at]}, {text}{source[at:]}"


def sections(source: str, project: str) -> dict[str, object]:
    """Return the raw sections of a stack file; encrypted values stay what they are. Raises SourceError."""
    _root(source)
    data = yaml.safe_load(source)
    config = mapping(data.get("config"), "config:")
    return {
        key.removeprefix(f"{project}:"): value for key, value in config.items() if str(key).startswith(f"{project}:")
    }
