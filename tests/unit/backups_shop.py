"""A shop on a server with backups, for restores: its volume was saved once, and changed since."""

from __future__ import annotations

import stat

import pytest

from tests.unit.backups_server import Server

from apiary_backups import restore, serving  # isort: skip
from apiary_backups.items import Item  # isort: skip
from apiary_backups.journal import Wish  # isort: skip

UPLOADS = Wish(("uploads",))
SITE = {"port": 8080, "path": "/", "status": "200", "www": False, "tls": True}


def program(server: Server, name: str, script: str) -> None:
    path = server.place / "programs" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def make(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A shop with one volume that another application reads, saved once, changed since."""
    monkeypatch.setattr(restore, "SPARE_BYTES", 1)
    monkeypatch.setattr(serving, "VERDICT_RECORD", server.place / "verdict.json")
    server.told |= {
        "volumes": {"uploads": {}},
        "applications": {"shop": {"volumes": ["uploads"]}, "viewer": {}},
        "order": ["shop", "viewer", "proxy"],
    }
    folder = server.volume("uploads", picture="good")
    for name, mode in (("proxy", None), ("viewer", False), ("shop", True)):
        server.container(name, *(["uploads"] if mode is not None else []))
        for mount in server.state["containers"][-1]["Mounts"]:
            mount["RW"] = mode
    server.keep()
    for name in ("apiary-await", "apiary-verdict"):
        # As visitors see it: a picture that says bad is a 500.
        asked = f'echo "{name} $*" >> {server.place}/proved'
        program(server, name, f'{asked}; if grep -q bad {folder}/picture; then echo "answered 500" >&2; exit 1; fi')
    server.restic.init()
    server.restic.save_folder(Item.volume("uploads"), folder)
    (folder / "picture").write_text("spoilt")
    (folder / "more").write_text("since")
    return server


def contents(server: Server, name: str = "uploads") -> dict[str, str]:
    return {path.name: path.read_text() for path in (server.place / "volumes" / name / "_data").iterdir()}


def beside(server: Server) -> list[str]:
    return sorted(path.name for path in (server.place / "volumes" / "uploads").iterdir() if path.name != "_data")


def acts(server: Server) -> list[str]:
    return [call for call in server.called("docker") if call.split()[0] in ("stop", "start")]
