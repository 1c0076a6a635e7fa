"""Bee2's HTTPRedirects: an application that led domains elsewhere becomes `redirects` of its server."""

from __future__ import annotations

import json

from operations.bee2.scene import Scene
from operations.coming.errors import Wrong, mapping, show, texts


def convert(scene: Scene, server: str) -> None:
    """Put what the applications of a server led elsewhere into its entry; those domains are no sites any more."""
    entry = next(one for one in scene.entries if (one.section, one.name) == ("servers", server))
    for one in scene.of_role(server, "redirects"):
        given = mapping(one.data.get("env") or None, "{redirects: [old.example.org:example.com]}")
        name = next((name for name in given if name.lower() == "redirects"), "redirects")
        path = one.at("env", name)
        if scene.told.is_left_out(*path):
            scene.told.left_out(*path)
            continue
        try:
            moved = dict(map(_line, _listed(given.get(name))))
        except Wrong as error:
            scene.told.cannot((*path, *error.below), str(error))
            continue
        for host, to in moved.items():
            entry.put("redirects", {host: to}, path)
            _no_site(entry.settings.get("dns"), host)
        if moved:
            scene.told.becomes(path, f"redirects of {server}")


def _listed(value: object) -> list[str]:
    """The lines, which Bee2 handed over as Ruby spells a list, and Python read: a text may hold that list."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value.replace("'", '"'))
        except ValueError as error:
            raise Wrong(f"{show(value)} is no list; write [old.example.org:example.com]") from error
    found = texts(value, "old.example.org:example.com")
    if not found:
        raise Wrong("is empty; write [old.example.org:example.com], or take the container out")
    return found


def _line(line: str) -> tuple[str, str]:
    """Where one leads from, and the URL: without the visitor's own path, as it was."""
    host, sign, to = line.partition(":")
    if not sign or ":" in to or not host:
        raise Wrong(f"{show(line)} is no redirect; write old.example.org:example.com")
    return host.strip().lower(), f"https://{to.strip()}" + ("" if "/" in to else "/")


def _no_site(dns: object, host: str) -> None:
    web = dns.get("web") if isinstance(dns, dict) else None
    if isinstance(dns, dict) and isinstance(web, list) and host in web:
        dns["web"] = [name for name in web if name != host]
