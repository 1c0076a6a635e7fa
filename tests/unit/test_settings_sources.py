"""What images come from: a word of a build, a registry or a repository does what it says, or is refused by its path."""

from __future__ import annotations

from typing import Any

import pytest

import settings
from tests.unit.test_settings import good, load
from tests.unit.test_settings_errors import SITE, put, report

LOGIN = {"user": "bot", "password": "_secrets^mail_password"}
GHCR = ("registries", "ghcr.io")
CASES: list[tuple[tuple[str, ...], Any, str, str]] = [
    # a build
    (("jobs", "x"), {"git": {"url": SITE}, "dockerfile": "../D"}, "jobs.x.dockerfile", '"../D" leads out of the'),
    (("jobs", "x"), {"git": {"url": SITE}, "dockerfile": "/etc/D"}, "jobs.x.dockerfile", '"/etc/D" leads out of the'),
    (("jobs", "x"), {"git": {"url": SITE}, "dockerfile": "a//D"}, "jobs.x.dockerfile", '"a//D" is not a path in the'),
    (("jobs", "x"), {"git": {"url": SITE}, "target": "a b"}, "jobs.x.target", '"a b" is not a stage; write the NAME'),
    (("jobs", "x"), {"git": {"url": SITE, "target": "a"}}, "jobs.x.git.target", "unknown setting; it stands beside"),
    (
        ("jobs", "x"),
        {"git": {"url": SITE}, "build_secrets": {"npm": "hunter2"}},
        "jobs.x.build_secrets.npm",
        "is no reference to a secret; write _secrets^NAME",
    ),
    (
        ("jobs", "x"),
        {"git": {"url": SITE}, "build_secrets": {"npm": "_secrets^npn"}},
        "jobs.x.build_secrets.npm",
        '"npn" is not a secret',
    ),
    (
        ("jobs", "x"),
        {"git": {"url": SITE}, "build_secrets": {"a,env=HOME": "_secrets^mail_password"}},
        'jobs.x.build_secrets["a,env=HOME"]',
        '"a,env=HOME" is not an id of a secret',
    ),
    (
        ("jobs", "x"),
        {"build_dir": "Echo", "dockerfile": "web.Dockerfile"},
        "jobs.x.dockerfile",
        "images/Echo/web.Dockerfile is not there; write its path in images/Echo",
    ),
    *(
        (("jobs", "x"), {"image": "debian:12", word: value}, f"jobs.x.{word}", f"only an image built from {rest}")
        for word, value, rest in (
            ("dockerfile", "Dockerfile", "build_dir or git has a Dockerfile; leave it out"),
            ("target", "release", "build_dir or git has stages; leave it out"),
            ("build_args", {"A": "b"}, "build_dir or git takes build arguments; leave it out"),
            ("build_secrets", {"a": "_secrets^mail_password"}, "build_dir or git takes secrets of a build"),
        )
    ),
    (("jobs", "x"), {"image": "debian@sha256:12"}, "jobs.x.image", '"debian@sha256:12" has no whole digest; write'),
    # a registry
    (("registries", "https://ghcr.io/"), LOGIN, 'registries["https://ghcr.io/"]', '"https://ghcr.io/" is not the host'),
    (("registries", "hub.docker.com"), LOGIN, 'registries["hub.docker.com"]', '"hub.docker.com" is Docker Hub, which'),
    (("registries", "ghcr"), LOGIN, "registries.ghcr", '"ghcr" is not the host of a registry, as images name'),
    (GHCR, {**LOGIN, "password": "hunter2"}, 'registries["ghcr.io"].password', "is no reference to a secret; write"),
    (GHCR, {**LOGIN, "password": "_secrets^x"}, 'registries["ghcr.io"].password', '"x" is not a secret'),
    (GHCR, {"user": "bot"}, 'registries["ghcr.io"].password', 'missing; write e.g. password: "_secrets^registry"'),
    (GHCR, {**LOGIN, "user": "a:b"}, 'registries["ghcr.io"].user', '"a:b" is not a user of a registry'),
    (GHCR, {**LOGIN, "ca": "x"}, 'registries["ghcr.io"].ca', "is no certificate in PEM"),
    (GHCR, {**LOGIN, "username": "x"}, 'registries["ghcr.io"].username', "unknown setting; it is called user here"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("where", "value", "path", "message"), CASES, ids=[f"{case[2]}-{n}" for n, case in enumerate(CASES)]
)
def test_what_can_t_be_is_refused_by_its_path(where: tuple[str, ...], value: object, path: str, message: str) -> None:
    raw = good()
    put(raw, where, value)
    found = report(raw, build_dirs={"Echo", "HAProxy", "HAProxySetup", "NginxStatic"}, is_there=lambda _: False)
    assert list(found) == [path], found
    assert found[path].startswith(message)
    assert "hunter2" not in found[path]


def test_a_login_is_on_the_servers_that_may_need_it_and_on_no_others() -> None:
    raw = good()
    raw["servers"] = {
        name: dict(raw["servers"]["web1"], dns={}, private_ip=None) for name in ("hub", "ghcr", "builds", "none")
    }
    raw["registries"] = {"ghcr.io": LOGIN, "docker.io": LOGIN}
    raw["applications"] = {
        "a": {"image": "debian:12", "server": "hub"},
        "b": {"image": "ghcr.io/team/shop:1", "server": "ghcr"},
        "c": {"git": {"url": SITE}, "server": "builds"},
        "d": {"image": "quay.io/x/y", "server": "none"},
    }
    raw["jobs"], raw["zones"] = {}, {}
    stack = load(raw)
    assert {name: sorted(stack.registries_on(name)) for name in raw["servers"]} == {
        "hub": ["docker.io"], "ghcr": ["ghcr.io"], "builds": ["docker.io", "ghcr.io"], "none": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("image", "host"),
    [
        ("postgres:15", "docker.io"),
        ("team/app", "docker.io"),
        ("ghcr.io/team/app:1.2", "ghcr.io"),
        ("registry:5000/app", "registry:5000"),
        ("localhost/app", "localhost"),
    ],
)
def test_an_image_is_pulled_from_the_registry_that_docker_reads_in_its_name(image: str, host: str) -> None:
    container = settings.Job(image=image)
    assert container.registry == host


@pytest.mark.parametrize("url", ["git@github.com:team/site.git", "ssh://git@git.example.org:2222/site.git"])
def test_a_repository_is_fetched_by_ssh_with_a_key_and_the_server_s_own(url: str) -> None:
    raw = good()
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
    raw["jobs"]["x"] = {"git": {"url": url, "key": "_secrets^mail_password", "host_key": key}}
    git = load(raw).jobs["x"].git
    assert (git.key_name, git.host_key) == ("mail_password", key)
