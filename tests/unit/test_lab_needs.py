"""What the lab does where this machine lacks something: it installs it, or says which step, why, and what to do."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab import cli, engine, images, packages, tools
from lab.mirror import Mirror
from lab.paths import Paths
from lab.plugins import install as stand_ins
from lab.shell import LabError

Program = Callable[[str, str], None]
NO_NETWORK = "echo 'Could not resolve mirror.example' >&2; exit 100"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Makes the programs of a machine that has no others; this is root on it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(images, "of_this_machine", lambda: Mirror("http://mirror.example.net/debian"))

    def write(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return write


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.delenv("APIARY_LAB_CACHE", raising=False)
    return Paths.find(tmp_path / "lab")


def test_root_on_debian_gets_an_ssh_client(paths: Paths, program: Program):
    program("apt-get", f'[ $1 = update ] || {{ echo "$@" > {paths.root}/installed; : > ${{PATH}}/ssh; }}')
    packages.ensure_ssh(paths)
    assert (paths.root / "installed").read_text().split()[-1] == "openssh-client"


def test_nothing_is_installed_where_there_is_an_ssh_client(paths: Paths, program: Program):
    program("apt-get", "exit 1")
    program("ssh", "")
    packages.ensure_ssh(paths)


@pytest.mark.parametrize("verb", [cli.up, cli.prepare])
def test_nobody_else_does_and_is_told_at_once(
    verb: Callable[[Paths], None], paths: Paths, program: Program, monkeypatch: pytest.MonkeyPatch
):
    program("apt-get", "exit 1")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match=r"SSH client: there is no `ssh` on PATH.*\n.*apt-get install openssh-client"):
        verb(paths)


def test_packages_without_a_network(paths: Paths, program: Program):
    program("apt-get", NO_NETWORK)
    with pytest.raises(LabError, match=r"(?s)apt-get update: .*Could not resolve.*what to do: check the network"):
        packages.install(paths, "mmdebstrap")


def test_the_base_image_without_a_network(paths: Paths, program: Program):
    program("docker", "exit 1")
    program("apt-get", "")
    program("mmdebstrap", NO_NETWORK)
    with pytest.raises(
        LabError, match=r"(?s)Debian bookworm base.*Could not resolve.*must reach http://mirror\.example"
    ):
        images.base(paths, "bookworm")


def test_the_base_image_without_docker_hub(paths: Paths, program: Program, monkeypatch: pytest.MonkeyPatch):
    program("docker", NO_NETWORK)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match=r"(?s)pulling debian:bookworm-slim.*access to Docker Hub"):
        images.base(paths, "bookworm")


def test_the_server_image_without_a_network(paths: Paths, program: Program, monkeypatch: pytest.MonkeyPatch):
    program("docker", f"case $1 in image) exit 1;; start) {NO_NETWORK};; esac")
    monkeypatch.setattr(images, "base", lambda *_: "base")
    with pytest.raises(LabError, match=r"(?s)building the server image.*containers must reach http://mirror\.example"):
        images.server(paths, "bookworm")


@pytest.mark.parametrize(("full", "remedy"), [("lab", "APIARY_LAB_DIR"), ("docker", "docker system df")])
def test_a_full_disk(full: str, remedy: str, paths: Paths, program: Program, monkeypatch: pytest.MonkeyPatch):
    program("docker", f"echo {paths.root.parent}/docker")
    free = {"lab": 5 << 30, "docker": 5 << 30, full: 3 << 30}
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free[Path(folder).name]))
    with pytest.raises(LabError, match=rf"3\.0 GiB free under \S*/{full}, the lab needs 4\n.*{remedy}"):
        engine.ensure(paths)


def test_the_disk_of_an_engine_elsewhere_is_not_looked_at(paths: Paths, program: Program):
    program("docker", "echo /nowhere/docker")
    engine.ensure(paths)


def test_an_engine_that_gives_no_privileges(paths: Paths, program: Program, monkeypatch: pytest.MonkeyPatch):
    program("docker", "[ $1 != run ] || { echo 'operation not permitted' >&2; exit 125; }")
    monkeypatch.setattr(images, "server", lambda *_: "image")
    with pytest.raises(LabError, match=r"(?s)--privileged .*operation not permitted.*use a rootful Docker engine"):
        engine.server_flags(paths)


def test_which_plugins_are_used_is_said(paths: Paths):
    assert tools.plugins(paths) == "the program's own for vultr"
    for name, version in stand_ins.sdk_versions(["docker", "tls"]).items():
        (paths.pulumi / "plugins" / f"resource-{name}-v{version}").mkdir(parents=True)
    assert tools.plugins(paths) == "the program's own for vultr; official docker, tls"
    (paths.pulumi / stand_ins.MARK).write_text(json.dumps({"plugins": {"tls": "hash"}}))
    assert tools.plugins(paths) == (
        "the program's own for vultr; official docker; "
        "the lab's stand-ins for tls (the official ones could not be downloaded)"
    )


def test_a_folder_that_can_t_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("somebody's file\n")
    assert cli.main(["--dir", str(tmp_path / "taken"), "status"]) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path}/taken: File exists" in said
    assert "APIARY_LAB_DIR" in said
