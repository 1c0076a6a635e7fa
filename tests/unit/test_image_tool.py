"""What the host does with images: builds them by BuildKit, pulls them, and keeps logins that nobody else reads."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.image import REMOVE

TOOL = Path(__file__).parents[2] / "playbooks" / "roles" / "tools" / "files" / "apiary-image"
SECRET, PASSWORD = "a token\nof two lines that nobody else has", "correct horse"
DIGEST = f"sha256:{'1' * 64}"
# Docker as far as it is asked. What was said to it is in `called`, one line each; `answers` are shell code by verb.
DOCKER = """#!/bin/bash
echo "$DOCKER_BUILDKIT|${DOCKER_CONFIG##*/}|$*" >>"$FAKE/called"
case "$1 $2" in
"version "*) cat "$FAKE/version" ;;
"build "*)
    for word; do
        case $word in id=*,env=*) echo "secret ${word%%,*}: $(printenv "${word##*env=}" | md5sum)" ;; esac
    done
    while [ $# -gt 0 ]; do [ "$1" != --file ] || { head -n 1 "$2"; cat "$2.dockerignore" 2>/dev/null; }; shift; done
    [ ! -e "$FAKE/unknown" ] ||
        { rm "$FAKE/unknown"; echo "dockerfile parse error line 2: unknown instruction: ECHO"; exit 1; }
    exit $(cat "$FAKE/status") ;;
"image inspect") [ -e "$FAKE/here" ] && cat "$FAKE/here" ;;
"pull "*) cat "$FAKE/pulled"; exit $(cat "$FAKE/status") ;;
"--config "*)
    read -r password
    [ "$password" = "$(cat "$FAKE/password")" ] ||
        { echo "Error response from daemon: $(cat "$FAKE/says")" >&2; exit 1; }
    echo '{"auths": {"'"${@: -1}"'": {}}}' >"$2/config.json" ;;
esac
"""


# What Docker says of an image that two names have, as its client prints it: without --no-trunc it
# leaves the digest out.
WITH_CONTAINER = f"""#!/bin/sh
echo "$*" >>"$FAKE/called"
case "$*" in
*RepoTags*) echo 2 ;;
*--no-trunc*Image*) echo nginx@{DIGEST} ;;
ps*Image*) echo nginx ;;
esac
"""


@dataclass
class Host:
    """A server with that Docker."""

    folder: Path

    def given(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / name).write_text(text)

    def run(self, *arguments: str, told: Any = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(TOOL), *arguments],
            env={
                "PATH": f"{self.folder}:{os.environ['PATH']}",
                "FAKE": str(self.folder),
                "TMPDIR": str(self.folder / "temporary"),
                "APIARY_LOGINS": str(self.logins),
            },
            input=json.dumps(told) if told is not None else "",
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    @property
    def logins(self) -> Path:
        return self.folder / "etc" / "docker"

    @property
    def called(self) -> list[str]:
        return (self.folder / "called").read_text().splitlines()

    def files(self) -> str:
        """All that is in its files, but for what stands for the registry's own knowledge."""
        return "".join(
            path.read_text() for path in self.folder.rglob("*") if path.is_file() and path.name not in ("password",)
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    for folder in ("temporary", "context/docker"):
        (tmp_path / folder).mkdir(parents=True)
    made.given(version="20.10.24\n", status="0", password=PASSWORD, called="", pulled=f"Digest: {DIGEST}\n", says="")
    (tmp_path / "context" / "docker" / "web.Dockerfile").write_text("FROM debian\nRUN <<X\necho hi\nX\n")
    return made


def built(host: Host, *more: str, told: Any = None) -> subprocess.CompletedProcess[str]:
    dockerfile = ("--dockerfile", "docker/web.Dockerfile")
    return host.run("build", "x:1", str(host.folder / "context"), *dockerfile, "--", *more, told=told)


def test_a_build_is_one_of_buildkit_s_of_the_named_dockerfile_and_stage(host: Host) -> None:
    done = built(host, "--target", "web", "--build-arg", "A=b c")
    assert (done.returncode, done.stdout) == (0, "FROM debian\n")
    context = host.folder / "context"
    assert host.called == [
        f"1||build --progress=plain --tag x:1 --target web --build-arg A=b c --file {context}/docker/web.Dockerfile "
        f"{context}"
    ]


def test_a_secret_of_a_build_is_in_no_argument_and_no_file(host: Host) -> None:
    done = built(host, told={"secrets": {"npm": SECRET, "other": "x"}})
    told = subprocess.run(["md5sum"], input=f"{SECRET}\n", capture_output=True, text=True, check=True).stdout
    assert f"secret id=npm: {told}" in done.stdout
    assert SECRET.splitlines()[1] not in host.files() + "".join(host.called)


def test_a_step_that_fails_has_its_own_status_and_is_not_tried_again(host: Host) -> None:
    host.given(status="7")
    assert built(host).returncode == 7
    assert len(host.called) == 1


def test_what_an_old_engine_does_not_know_of_a_dockerfile_is_read_by_docker_s_own_frontend(host: Host) -> None:
    host.given(unknown="")
    (host.folder / "context" / ".dockerignore").write_text("*.key\n")
    done = built(host)
    assert done.returncode == 0
    assert "once more with docker/dockerfile:1" in done.stdout
    assert done.stdout.endswith("# syntax=docker/dockerfile:1\n*.key\n")
    assert list((host.folder / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("version", "first"), [("26.1.5", "FROM debian"), ("20.10.24", "# syntax = docker/dockerfile:1.7")]
)
def test_an_engine_or_a_frontend_that_knows_all_is_believed(host: Host, version: str, first: str) -> None:
    host.given(unknown="", version=version)
    (host.folder / "context" / "docker" / "web.Dockerfile").write_text(f"{first}\nNOPE\n")
    done = built(host)
    assert done.returncode == 1
    assert len([call for call in host.called if "|build" in call]) == 1


@pytest.mark.parametrize(
    ("name", "repository"),
    [("postgres:15", "postgres"), ("r.example:5000/team/shop", "r.example:5000/team/shop"), ("a/b:1.2", "a/b")],
)
def test_a_tag_is_pulled_again_and_what_is_there_is_named_by_its_digest(host: Host, name: str, repository: str) -> None:
    host.given(here="[]")
    done = host.run("digest", name)
    assert (done.returncode, done.stdout) == (0, f"{repository}@{DIGEST}\n")
    assert host.called == [f"||pull {name}"]


def test_an_image_that_was_put_there_by_hand_is_used_as_it_is(host: Host) -> None:
    host.given(status="1", pulled="Error response from daemon: manifest unknown\n", here="[]\n")
    assert host.run("digest", "mine:1").stdout == "mine:1\n"
    host.given(here='["mine@sha256:2"]\n')
    done = host.run("digest", "mine:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "manifest unknown" in done.stderr


def test_what_is_here_is_not_pulled(host: Host) -> None:
    host.given(here="[]")
    assert host.run("pull", f"postgres@{DIGEST}").returncode == 0
    assert host.called == [f"||image inspect postgres@{DIGEST}"]


def test_a_pull_that_is_refused_names_the_registry_and_what_to_write(host: Host) -> None:
    host.given(status="1", pulled="Error response from daemon: pull access denied for r.example/shop\n")
    done = host.run("pull", "r.example/shop:1")
    assert done.returncode == 1
    assert done.stderr.endswith(
        'r.example/shop:1 could not be pulled from r.example; it is private, or not there: registries: {"r.example": '
        "{user: ..., password: _secrets^NAME}}\n"
    )
    host.run("login", told={"r.example": {"user": "bot", "password": PASSWORD}})
    assert 'the user of registries["r.example"] may not read it' in host.run("pull", "r.example/shop:1").stderr


def test_a_digest_that_is_gone_says_what_to_write(host: Host) -> None:
    host.given(status="1", pulled="Error response from daemon: manifest unknown\n")
    done = host.run("pull", f"r.example/shop@{DIGEST}")
    assert "if it has that no longer, write the image: that is to run, or have its tag looked up again" in done.stderr


def test_a_login_is_read_by_nobody_else_and_goes_with_its_entry(host: Host) -> None:
    done = host.run("login", told={"r.example": {"user": "bot", "password": PASSWORD}})
    assert (done.returncode, done.stdout) == (0, "logged in: r.example\n"), done.stderr
    assert host.logins.stat().st_mode & 0o777 == 0o700
    assert PASSWORD not in "".join(host.called)
    built(host)
    assert host.called[-1].startswith("1|docker|build")

    assert host.run("login", told={}).returncode == 0
    assert not host.logins.exists()
    built(host)
    assert host.called[-1].startswith("1||build")


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ("Get https://r.example/v2/: unauthorized: authentication required", "refused user bot with this password"),
        ("Get https://r.example/v2/: x509: certificate signed by unknown authority", "write the authority's as ca: |"),
        ("Get https://r.example/v2/: dial tcp: no such host", 'registries["r.example"]: it could not be reached'),
    ],
)
def test_a_login_that_fails_leaves_those_of_before(host: Host, says: str, message: str) -> None:
    host.run("login", told={"old.example": {"user": "bot", "password": PASSWORD}})
    host.given(says=says)
    done = host.run("login", told={"r.example": {"user": "bot", "password": "wrong"}})
    assert done.returncode == 1
    assert message in done.stderr
    assert says in done.stderr
    assert "old.example" in (host.logins / "config.json").read_text()
    assert [path.name for path in host.logins.parent.iterdir()] == ["docker"]


def test_an_image_by_its_digest_stays_while_a_container_has_it(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text(WITH_CONTAINER)
    (tmp_path / "docker").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "FAKE": str(tmp_path)}
    removal = REMOVE.format(tag=f"nginx@{DIGEST}")
    done = subprocess.run(["sh", "-c", removal], env=environment, check=True, capture_output=True, text=True)
    assert "stays" in done.stdout
    assert "image rm" not in (tmp_path / "called").read_text()
