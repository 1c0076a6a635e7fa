"""A server's backups with a restic and a Docker of their own on PATH."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).parents[2] / "playbooks" / "roles" / "backups" / "files"
sys.path.insert(0, str(PACKAGE))

from apiary_backups import calls, config, items, restic  # noqa: E402 - from where it is installed from

HERE = Path(__file__).parent


@dataclass
class Server:
    """One server: what it was told, its containers and volumes, and where all is."""

    place: Path
    told: dict[str, Any]
    state: dict[str, Any] = field(default_factory=lambda: {"containers": [], "volumes": {}})

    @property
    def config(self) -> config.Config:
        return config.parse(json.dumps(self.told))

    @property
    def restic(self) -> restic.Restic:
        return restic.Restic(self.config)

    @property
    def records(self) -> Path:
        return self.place / "state"

    def container(self, name: str, *volumes: str, kind: str = "applications", running: bool = True) -> str:
        """Makes a container that writes to these volumes; its id."""
        identity = f"{name}-1"
        self.state["containers"].append(
            {
                "Id": identity,
                "Image": "sha256:1",
                "Created": f"2026-01-01T00:00:{len(self.state['containers']):02}Z",
                "Config": {"Labels": {"apiary.resource": f"{kind}.{name}"}, "StopTimeout": 1},
                "State": {"Running": running, "Pid": 4711},
                "NetworkSettings": {"Networks": {"apiary": {"IPAddress": "172.30.0.5", "GlobalIPv6Address": ""}}},
                "Mounts": [{"Type": "volume", "Name": volume, "RW": True} for volume in volumes],
            }
        )
        self.keep()
        return identity

    def remove(self, identity: str) -> None:
        """Removes a container."""
        self.state["containers"] = [one for one in self.state["containers"] if one["Id"] != identity]
        self.keep()

    def volume(self, name: str, **files: str) -> Path:
        """Makes a volume with these files; where it is."""
        path = self.place / "volumes" / name / "_data"
        path.mkdir(parents=True)
        for file, content in files.items():
            (path / file).write_text(content)
        self.state["volumes"][name] = str(path)
        self.keep()
        return path

    def keep(self) -> None:
        (self.place / "docker.json").write_text(json.dumps(self.state))

    def running(self) -> dict[str, bool]:
        """Which containers run."""
        found = json.loads((self.place / "docker.json").read_text())
        return {one["Id"]: one["State"]["Running"] for one in found["containers"]}

    def called(self, program: str) -> list[str]:
        """All calls of `docker` or `restic`."""
        log = self.place / {"docker": "docker-called", "restic": "called"}[program]
        return log.read_text().splitlines() if log.exists() else []


def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server without anything, told of a repository that is not made yet."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("restic", "docker"):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -S {HERE / f"fake_{name}.py"} "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    for name in ("nft", "nsenter"):
        program = programs / name
        program.write_text(
            f'#!/bin/sh\necho "$@" >>{tmp_path}/{name}-called\n[ {name} != nft ] || cat >>{tmp_path}/rules\n'
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_STATE", str(tmp_path / "docker.json"))
    monkeypatch.setattr(calls, "RUN", tmp_path / "run")
    monkeypatch.setattr(calls, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(items, "STATE", tmp_path / "state")
    monkeypatch.setattr(config, "STATE", tmp_path / "state")
    made = Server(
        tmp_path,
        {
            "stack": "apiary-test",
            "server": "web1",
            "repository": str(tmp_path / "repository"),
            "environment": {"RESTIC_PASSWORD": "correct horse"},
            "keep": {"daily": 7},
        },
    )
    made.keep()
    return made


def use_true_restic(server: Server, found: Path) -> None:
    """Put the true restic in the place of the other one."""
    program = server.place / "programs" / "restic"
    program.unlink()
    program.symlink_to(found)


def true_restic(place: Path) -> Path | None:
    """A restic that servers have: this machine's, or a copy in `place` of the one on the lab's disk of a server.

    None where neither is new enough: Debian 12's own does not know what a server asks of it.
    """
    here = shutil.which("restic")
    if here and "--stdin-from-command" in said("restic", "backup", "--help"):
        return Path(here)
    lab, copy = "apiary-lab-warm:bookworm", place / "restic"
    if not said("docker", "image", "inspect", lab):
        return None
    with copy.open("wb") as file:
        command = ["docker", "run", "--rm", "--network", "none", lab, "cat", "/usr/bin/restic"]
        subprocess.run(command, check=True, stdout=file, timeout=60)
    copy.chmod(0o755)
    return copy


def said(*command: str) -> str:
    """What a command prints, nothing when it fails or is not there."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
