"""A folder of images/ is built as `docker build` builds it, and what it holds stays out of the state."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.hive import Hive

SEEN = "9f6c1e of a file that is built in"
HIDDEN = "7b2d40 of a file that is left out"
DOCKERFILE = """\
ARG BASE=debian:bookworm-slim
FROM ${BASE}
LABEL org.opencontainers.image.title=Context
COPY . /ctx/
COPY empty /empty
CMD ["find", "/ctx", "/empty", "-printf", "%p %M %U:%G %l\\\\n"]
"""
LISTED = {
    "/ctx drwxr-xr-x 0:0 ",
    "/ctx/.dockerignore -rw-r--r-- 0:0 ",
    "/ctx/Dockerfile -rw-r--r-- 0:0 ",
    "/ctx/app drwxr-x--- 0:0 ",
    "/ctx/app/keep.key -rw------- 0:0 ",
    "/ctx/app/run.sh -rwxr-xr-x 0:0 ",
    "/ctx/dangling lrwxrwxrwx 0:0 /no/where",
    "/ctx/empty drwxrwxrwt 0:0 ",
    "/ctx/outside lrwxrwxrwx 0:0 ../Echo/echo.py",
    "/ctx/to-folder lrwxrwxrwx 0:0 app",
    "/empty drwxr-xr-x 0:0 ",
}


@pytest.fixture(scope="module")
def folder(hive_of_contexts: Hive) -> Path:
    """Links, an empty folder, modes, and what must not be sent: 30 MB of it."""
    folder = hive_of_contexts.program / "images" / "Context"
    (folder / "app").mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / ".dockerignore").write_text("# what stays here\n*.key\napp/*.key\n!app/keep.key\nnode_modules/\n")
    (folder / "app" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "app" / "keep.key").write_text(SEEN)
    (folder / "app" / "other.key").write_text(HIDDEN)
    (folder / "private.key").write_text(HIDDEN)
    (folder / "node_modules" / "big").mkdir(parents=True)
    (folder / "node_modules" / "big" / "data").write_bytes(HIDDEN.encode() + bytes(30 << 20))
    (folder / "empty").mkdir()
    for path, mode in {"app": 0o750, "app/run.sh": 0o755, "app/keep.key": 0o600, "empty": 0o1777}.items():
        (folder / path).chmod(mode)
    for link, target in {"to-folder": "app", "dangling": "/no/where", "outside": "../Echo/echo.py"}.items():
        (folder / link).symlink_to(target)
    return folder


@pytest.fixture(scope="module")
def hive_of_contexts(request: pytest.FixtureRequest) -> Iterator[Hive]:
    """The hive of the group, with a job that is built of the folder and lists it; as it was afterwards."""
    hive: Hive = request.getfixturevalue("settled")
    with hive.changed() as settings:
        settings["apiary:jobs"]["context"] = {"build_dir": "Context"}
        yield hive
    hive.up()


@pytest.fixture(scope="module")
def built(hive_of_contexts: Hive, folder: Path) -> Hive:
    hive_of_contexts.up()
    return hive_of_contexts


def texts(marker: str) -> set[str]:
    """What a marker looks like: as it is, and in base64, at each of the three places where it may begin."""
    encoded = {base64.b64encode(b"x" * pad + marker.encode()).decode()[pad + 1 : -4] for pad in (0, 1, 2)}
    return {marker, *encoded}


def test_what_is_built_is_what_docker_build_sends(built: Hive) -> None:
    listed = built.on_server(f"docker logs {built.job('context')}").splitlines()
    assert set(listed) == LISTED


def test_the_state_holds_nothing_of_the_folder(built: Hive) -> None:
    exported = built.output_of("stack", "export", "--show-secrets")
    assert "web1/Context" in exported
    playbook = (built.program / "playbooks" / "bootstrap.sh").read_text().splitlines()[1]
    for marker in (SEEN, HIDDEN, playbook):
        assert not [text for text in texts(marker) if text in exported]
    assert all("stdin" not in one.get("inputs", {}) for one in json.loads(exported)["deployment"]["resources"] if
               one["urn"].endswith(("::web1/Context", "Command::web1")))  # fmt: skip


def test_nothing_of_it_is_left_on_the_server(built: Hive) -> None:
    assert built.on_server("ls /var/tmp").split() == [] or "apiary-cargo" not in built.on_server("ls /var/tmp")


def test_another_checkout_sees_no_change(built: Hive, folder: Path) -> None:
    """Owners, times and the umask are this machine's; what waits to be sent is too."""
    subprocess.run(["chmod", "-R", "g+w", str(folder / "app")], check=True)
    subprocess.run(["touch", "-d", "2001-02-03", str(folder / "app" / "run.sh")], check=True)
    subprocess.run(["rm", "-rf", str(built.program / ".apiary" / "lab" / "cargo")], check=True)
    built.expect_no_changes()


def test_a_full_disk_is_the_reason_that_is_given(built: Hive, folder: Path) -> None:
    (folder / "more").write_bytes(bytes(3 << 20))
    built.on_server("mount -t tmpfs -o size=1m none /var/tmp")
    try:
        failed = built.up(check=False)
    finally:
        built.on_server("umount /var/tmp")
    assert failed.status != 0
    assert "No space left on device" in failed.output
    (folder / "more").unlink()
    built.expect_no_changes()


def test_a_file_that_is_not_on_the_server_is_refused_before_what_served_is_touched(built: Hive) -> None:
    with built.changed() as settings:
        echo = settings["apiary:applications"]["echo"]
        echo["volumes"] = ["/srv/one/app.conf:/etc/app.conf:ro", "/srv/made/:/srv/made"]
        failed = built.up(check=False)
        assert failed.status != 0
        assert "applications.echo.volumes: /srv/one/app.conf is not on the server; put it there" in failed.output
        assert "/srv/one/app.conf/:/etc/app.conf" in failed.output
        built.expect_served()
        assert built.on_server("ls /srv").split() == ["made"]


@pytest.mark.soak
def test_a_file_that_is_on_the_server_is_mounted(built: Hive) -> None:
    """What Docker does; refused where it is not there, above."""
    with built.changed() as settings:
        settings["apiary:applications"]["echo"]["volumes"] = ["/srv/one/app.conf:/etc/app.conf:ro"]
        built.on_server("mkdir -p /srv/one && echo here > /srv/one/app.conf")
        built.up()
        assert built.on_server(f"docker exec {built.container('echo')} cat /etc/app.conf").strip() == "here"
        built.expect_no_changes()
    built.up()
