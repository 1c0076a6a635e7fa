"""The text of a stack file: new entries (as `spelling` has them), put into a file without touching what is there.

Makes: `new`, a whole file, and `added`, a file with more in it, every other byte as it was. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from operations.coming.conversion import PLACE, Conversion
from operations.coming.entries import Entry
from operations.coming.errors import Problem, SourceError, mapping, path_of
from operations.coming.spelling import SECTIONS, Notes, entry_lines, flow, scalar, setting


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
        lines.append(f"      dns: {{web: {flow(done.domains)}}}")
    if done.redirects:
        lines += setting("redirects", done.redirects, "      ", Notes({}, "redirects"))
    for section in SECTIONS:
        entries = [entry for entry in done.entries if entry.section == section]
        if entries:
            lines.append(f"  {project}:{section}:")
            lines += [line for entry in entries for line in entry_lines(entry, "    ")]
    return "\n".join(lines) + "\n"


def whole(head: str, entries: Sequence[Entry], project: str, source: str = "") -> str:
    """Write whole sections, into a file that has none of them. Raises SourceError where it has one, or no place."""
    lines: list[str] = []
    for section in dict.fromkeys(entry.section for entry in entries):
        lines += [f"  {project}:{section}:"]
        lines += [line for entry in entries if entry.section == section for line in entry_lines(entry, "    ")]
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
    for section in SECTIONS:
        entries = [entry for entry in done.entries if entry.section == section]
        if entries:
            source = _into(source, ("config", f"{project}:{section}"), [(entry.name, entry) for entry in entries])
    for domain in done.domains:
        source = _listed(source, ("config", f"{project}:servers", done.server, "dns", "web"), domain)
    for host, to in done.redirects.items():
        source = _mapped(source, ("config", f"{project}:servers", done.server, "redirects"), host, to)
    return source


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
            lines.append(f"{indent}{scalar(key) if ':' not in key else key}:")
            indent += "  "
    for _, entry in entries:
        lines += entry_lines(entry, indent)
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
            return _after(source, node, [f"{indent[:-2]}- {scalar(item)}"])
        return _inflow(source, node, scalar(item))
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
        return _inflow(source, node, f"{scalar(key)}: {flow(value)}")
    _refuse_empty(node, key, where)
    indent = " " * node.value[0][0].start_mark.column
    return _after(source, node, [f"{indent}{scalar(key)}: {flow(value)}"])


def _inflow(source: str, node: yaml.CollectionNode, text: str) -> str:
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
