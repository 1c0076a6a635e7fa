"""Whether the program would take what was converted from compose files, beside what the stack has already."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from operations.coming.conversion import PLACE, Conversion, judge, sources_of
from operations.coming.entries import Path
from operations.coming.errors import mapping, path_of
from operations.compose.scene import Scene


def check(done: Conversion, scene: Scene, stack: Mapping[str, object]) -> None:
    """Read it all as the program does, and lead what is wrong back to the keys it came from."""
    whole: dict[str, dict[str, object]] = {
        section: dict(mapping(copy.deepcopy(entries), f"{section}:"))
        for section, entries in stack.items()
        if isinstance(entries, dict)
    }
    if done.makes_server:
        whole["servers"] = {done.server: copy.deepcopy(PLACE)}
    server = whole["servers"][done.server]
    dns = server.setdefault("dns", {}) if done.domains and isinstance(server, dict) else None
    if isinstance(dns, dict):
        dns["web"] = [*(dns.get("web") or []), *(one for one in done.domains if one not in (dns.get("web") or []))]
    if done.redirects and isinstance(server, dict):
        server["redirects"] = {
            **mapping(server.get("redirects"), "old.example.org: https://example.com"),
            **done.redirects,
        }
    _volumes(done, scene, stack)
    services = {name: service for service, name in scene.names.items()}
    sources: dict[str, Path] = {
        path_of("servers", done.server, "redirects", host): at for host, at in scene.redirected.items()
    }
    if scene.redirected:
        sources[path_of("servers", done.server, "redirects")] = next(iter(scene.redirected.values()))
    for entry in done.entries:
        source = ("services", services.get(entry.name, ""))
        section = whole.setdefault(entry.section, {})
        if any(entry.name in whole.get(other, {}) for other in ("applications", "jobs")):
            scene.told.cannot(
                source, f"{entry.name} is in the stack already; convert with --prefix NAME, for names of its own"
            )
            continue
        section[entry.name] = copy.deepcopy(entry.settings)
        sources |= sources_of(entry, source)
    judge(done, whole, sources)


def _volumes(done: Conversion, scene: Scene, stack: Mapping[str, object]) -> None:
    """Refuse volumes of names that the stack has already: two programs would write to one."""
    taken = {
        str(mount).partition(":")[0]
        for section in ("applications", "jobs")
        for entry in mapping(stack.get(section), f"{section}:").values()
        for mount in (entry.get("volumes") or [] if isinstance(entry, dict) else [])
    }
    for entry in done.entries:
        listed = entry.settings.get("volumes")
        for index, mount in enumerate(listed if isinstance(listed, list) else []):
            name = str(mount).partition(":")[0]
            source = entry.sources.get(("volumes", index)) or entry.sources.get(("volumes",))
            if name in taken and not name.startswith("/") and source is not None:
                scene.told.cannot(source, f"the stack has a volume {name} already; convert with --prefix NAME")
