"""One word in the text of a stack file, with all else as its owner has written it: comments, anchors, order.

Pure. `pulumi config set` would write anchors out and move comments.
"""

from __future__ import annotations

from typing import Any

import yaml


class NotSo(Exception):
    """The text is such that the word can't be put there by itself."""


def put(text: str, section: str, name: str, word: str, value: str | None) -> str:
    """The text with `word: value` at the entry `name` of a section such as `apiary:servers`; with None, without it.

    Raises NotSo when what is read of it afterwards would be anything else than that.
    """
    wanted = yaml.safe_load(text)
    try:
        entry = dict(wanted["config"][section][name])
    except (KeyError, TypeError):
        raise NotSo(f"{section}.{name}") from None
    entry.pop(word, None)
    if value is not None:
        entry[word] = yaml.safe_load(value)
    wanted["config"][section][name] = entry
    found = _written(text, _entry(text, section, name), word, value)
    try:
        is_so = yaml.safe_load(found) == wanted
    except yaml.YAMLError:
        is_so = False
    if not is_so:
        raise NotSo(f"{section}.{name}.{word}")
    return found


def _entry(text: str, *keys: str) -> yaml.MappingNode:
    node: Any = yaml.compose(text)
    for key in ("config", *keys):
        node = next((value for one, value in node.value if one.value == key), None)
        if not isinstance(node, yaml.MappingNode):
            raise NotSo(f"{key} is no map")
    found: yaml.MappingNode = node
    return found


def _written(text: str, entry: yaml.MappingNode, word: str, value: str | None) -> str:
    there = next(((key, old) for key, old in entry.value if key.value == word), None)
    if there is None:
        return text if value is None else _added(text, entry, f"{word}: {value}")
    begin, end = there[0].start_mark.index, there[1].end_mark.index
    if value is not None:
        return f"{text[:begin]}{word}: {value}{text[end:]}"
    return _without(text, begin, end, in_braces=bool(entry.flow_style))


def _added(text: str, entry: yaml.MappingNode, words: str) -> str:
    if entry.flow_style:
        begin = text.index("{", entry.start_mark.index) + 1
        return f"{text[:begin]}{words}, {text[begin:]}"
    first = entry.value[0][0].start_mark
    line = first.index - first.column
    return f"{text[:line]}{' ' * first.column}{words}\n{text[line:]}"


def _without(text: str, begin: int, end: int, *, in_braces: bool) -> str:
    if not in_braces:
        return text[: text.rfind("\n", 0, begin) + 1] + text[text.find("\n", end) + 1 :]
    after = text[end:].lstrip(" ")
    if after.startswith(","):
        return text[:begin] + after[1:].lstrip(" ")
    return text[:begin].rstrip(" ").removesuffix(",") + text[end:]
