"""How the stack file spells its values, which the engine hands over as it has understood them.

Makes: `spellings`, from the text of a stack file to its unquoted values by path, and `changed`, which says of one of
them whether YAML made another value of it. Leaves alone: finding the file, and YAML that only Pulumi's own reader
takes.

Pulumi reads YAML with go-yaml v3: `022` is 18, `0x1F` 31, `1_000` 1000, `+49` 49, `1.0` and `1e0` are 1 and `True` is
true when they arrive here, each without a trace.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

import yaml

from settings.container_texts import MOMENT
from settings.errors import Key

_DEPTH = 8  # no setting lies deeper; YAML anchors can make data without an end
_PLAIN_NUMBER = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)
_MERGE = "tag:yaml.org,2002:merge"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times as fast, where there is one

Path = tuple[Key, ...]


def spellings(source: str, project: str) -> dict[Path, str]:
    """Return every value that stands without quotes below `PROJECT:SECTION`, as it is written, by its path."""
    try:
        root = yaml.compose(source, Loader=_LOADER)
    except yaml.YAMLError:
        # Pulumi has read it, so only the two readers differ: what can't be told is not judged.
        return {}
    found: dict[Path, str] = {}
    for key, section in _entries(_at(root, "config")):
        if key.startswith(f"{project}:"):
            _walk(section, (key.removeprefix(f"{project}:"),), found)
    return found


def _at(node: yaml.Node | None, key: str) -> yaml.Node | None:
    return dict(_entries(node)).get(key)


def _entries(node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    """The keys of a map with what lies there, those that `<<` brings in first; none of anything else."""
    if not isinstance(node, yaml.MappingNode):
        return []
    merged = [value for key, value in node.value if key.tag == _MERGE]
    maps = [one for value in merged for one in (value.value if isinstance(value, yaml.SequenceNode) else [value])]
    own = [(key.value, value) for key, value in node.value if key.tag != _MERGE and isinstance(key, yaml.ScalarNode)]
    # The first of several maps wins, and what is written here wins over all of them.
    return [entry for one in reversed(maps) if one is not node for entry in _entries(one)] + own


def _walk(node: yaml.Node, path: Path, found: dict[Path, str]) -> None:
    if len(path) > _DEPTH:
        return
    if isinstance(node, yaml.ScalarNode):
        if not node.style:  # neither quoted nor a block
            found[path] = node.value
        else:
            found.pop(path, None)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*path, index), found)
    else:
        for key, inner in _entries(node):
            _walk(inner, (*path, key), found)


def changed(value: object, written: str, *, as_text: bool) -> bool:
    """Whether `value` is another than the one that was written.

    `as_text`: it is handed on as text, so that every character counts; else the number alone does. False as well where
    the text can't be that of the value: the engine may have been given another file.
    """
    if isinstance(value, bool):
        return as_text and written.lower() == str(value).lower() != written
    if isinstance(value, int):
        if _PLAIN_NUMBER.fullmatch(written):
            return False
        return as_text or not _is(value, written)
    return isinstance(value, str) and written != value and MOMENT.fullmatch(value) is not None


def _is(value: int, written: str) -> bool:
    """Whether people read the text as this number."""
    try:
        return Decimal(written.replace("_", "")) == value
    except InvalidOperation:
        return False


def at(data: object, path: Path) -> object:
    """Return what lies at a path of the data that the engine handed over; None where nothing does."""
    for key in path:
        if isinstance(data, Mapping) and isinstance(key, str):
            data = data.get(key)
        elif isinstance(data, list) and isinstance(key, int) and key < len(data):
            data = data[key]
        else:
            return None
    return data
