"""Merging of compose files, and of a service with what it extends, by the rules of the Compose Specification.

Maps are merged key by key, lists appended, anything else replaced; commands are replaced as a whole, ports, volumes,
configs and secrets by what makes them one. Takes and gives long forms (forms). Pure.
"""

from __future__ import annotations

from collections.abc import Callable

from operations.coming.yaml_data import Override, Reset

Path = tuple[str, ...]

# Replaced as a whole: below `services.NAME`.
_WHOLE = {("command",), ("entrypoint",), ("healthcheck", "test")}
_SAME: dict[Path, Callable[[dict[str, object]], object]] = {
    ("ports",): lambda one: tuple(str(one.get(key, "")) for key in ("host_ip", "target", "published", "protocol")),
    ("volumes",): lambda one: str(one.get("target")),
    ("configs",): lambda one: str(one.get("target") or one.get("source")),
    ("secrets",): lambda one: str(one.get("target") or one.get("source")),
    ("env_file",): lambda one: str(one.get("path")),
}
_SETS = {("expose",), ("cap_add",), ("cap_drop",), ("dns",), ("dns_search",), ("group_add",), ("profiles",)}


def merge(base: object, over: object, path: Path = ()) -> object:
    """Return `base` with `over` on top; `path` is where below the top of the file."""
    if isinstance(over, Override):
        return clean(over.value)
    below = path[2:] if path[:1] == ("services",) else ()
    if isinstance(base, dict) and isinstance(over, dict) and below not in _WHOLE:
        if below == ("logging",) and over.get("driver", base.get("driver")) != base.get("driver"):
            return clean(over)
        made = dict(base)
        for key, value in over.items():
            if isinstance(value, Reset):
                made.pop(key, None)
            else:
                made[key] = merge(made[key], value, (*path, key)) if key in made else clean(value)
        return made
    if isinstance(base, list) and isinstance(over, list) and below not in _WHOLE:
        return _appended(base, [clean(item) for item in over], below)
    return clean(base) if over is None and isinstance(base, (dict, list)) else clean(over)


def _appended(base: list[object], over: list[object], below: Path) -> list[object]:
    same = _SAME.get(below)
    if same is None:
        return base + [item for item in over if below not in _SETS or item not in base]
    by_kind = {same(item) if isinstance(item, dict) else str(item): item for item in base}
    by_kind |= {same(item) if isinstance(item, dict) else str(item): item for item in over}
    return list(by_kind.values())


def clean(value: object) -> object:
    """Return what is left when there is nothing before it: without what is reset."""
    if isinstance(value, Override):
        return clean(value.value)
    if isinstance(value, dict):
        return {key: clean(inner) for key, inner in value.items() if not isinstance(inner, Reset)}
    if isinstance(value, list):
        return [clean(item) for item in value if not isinstance(item, Reset)]
    return value
