"""Dockerfiles that need BuildKit, secrets of builds, a registry with a login, and tags that move: on a server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab.hive import Hive
from tests.lab.private_image import HOST, JOB, PASSWORD, TOKEN


@pytest.fixture
def built(settled: Hive) -> Hive:
    """The hive of the group, which has that job from its first update on."""
    return settled


def printed(hive: Hive, job: str) -> str:
    return hive.on_server(f"docker logs {hive.job(job)} 2>&1")


def image(hive: Hive, container: str) -> dict[str, Any]:
    name = hive.on_server(f"docker inspect --format '{{{{.Image}}}}' {container}").strip()
    [found] = json.loads(hive.on_server(f"docker image inspect {name}"))
    return dict(found)


def test_a_dockerfile_for_buildkit_is_built_from_a_registry_with_a_login(built: Hive) -> None:
    lines = printed(built, "web").splitlines()
    assert lines[0].endswith("  /run/secrets/token")
    assert lines[1] == "of this machine"


def test_a_secret_of_a_build_and_a_password_stay_where_they_belong(built: Hive) -> None:
    history = built.on_server(f"docker history --no-trunc {image(built, built.job('web'))['Id']}")
    config = built.on_server("docker inspect $(docker ps -aq)")
    state = built.output_of("stack", "export")
    for secret in (TOKEN, PASSWORD):
        assert secret not in history + config + state
        assert not built.on_server(f"grep -rl '{secret}' /etc /var/lib/apiary /var/tmp 2>/dev/null || true").strip()
    assert built.on_server("stat -c '%a %U' /etc/apiary/docker").strip() == "700 root"


@pytest.mark.soak
def test_a_changed_file_builds_only_what_depends_on_it(built: Hive) -> None:
    """What BuildKit promises; where it does not hold, an update takes longer."""
    (built.program / "images" / "Web" / "src" / "run.sh").write_text("#!/bin/sh\ncat /two\n")
    done = built.up()
    assert "CACHED" in done.output
    assert not [line for line in done.output.splitlines() if " DONE " in line and "md5sum" in line]
    assert printed(built, "web").strip() == "of this machine"
    built.expect_no_changes()


@pytest.mark.soak
def test_a_step_that_fails_says_so_itself_and_what_served_serves(built: Hive) -> None:
    """As one of the classic builder's in test_changes."""
    with built.changed() as settings:
        settings["apiary:jobs"]["web"] = {**JOB, "target": "never"}
        failed = built.up(check=False)
        assert failed.status != 0
        assert "[never 1/1] RUN false" in failed.output
        built.expect_served()


@pytest.mark.soak
def test_logins_that_are_replaced_by_hand_are_there_afterwards(built: Hive) -> None:
    """What nobody types but to repair something else."""
    before = built.on_server("cat /etc/apiary/docker/config.json")
    built.pulumi("up", "--yes", "--skip-preview", "--replace", "**::web1-registries")
    assert built.on_server("cat /etc/apiary/docker/config.json") == before
    built.expect_no_changes()


@pytest.mark.soak
def test_a_wrong_password_names_the_registry_and_what_to_do(built: Hive) -> None:
    """What it says is in tests/unit/test_image_tool.py as well."""
    before = built.on_server("cat /etc/apiary/docker/config.json")
    with built.changed() as settings:
        settings["apiary:secrets"]["registry"] = "wrong"
        failed = built.up(check=False)
    assert failed.status != 0
    assert f'registries["{HOST}"]: the registry refused user lab with this password' in failed.output
    assert built.on_server("cat /etc/apiary/docker/config.json") == before


def push(hive: Hive, text: str) -> None:
    """Another image under the same tag, by somebody else's machine."""
    hive.on_server(
        f"cd $(mktemp -d) && printf 'FROM debian:bookworm-slim\\nRUN echo {text} >/text\\n"
        'CMD ["sh", "-c", "cat /text; exec sleep infinity"]\\n\' >Dockerfile && '
        f"export DOCKER_CONFIG=/etc/apiary/docker && DOCKER_BUILDKIT=1 docker build -q -t {HOST}/team/shop:1 . && "
        f"docker push -q {HOST}/team/shop:1 && docker image rm {HOST}/team/shop:1"
    )


@pytest.mark.soak
def test_a_tag_that_moved_is_released_when_asked_for_and_the_state_knows_what_runs(built: Hive) -> None:
    """By the verb that releases what is new on a branch (test_built_sites); digests: tests/unit/test_image_tool.py."""
    push(built, "one")
    with built.changed() as settings:
        settings["apiary:applications"]["shop"] = {"image": f"{HOST}/team/shop:1", "user": "1000:1000"}
        built.up()
        first = built.container("shop")
        push(built, "two")
        built.expect_no_changes()
        assert built.container("shop") == first
        built.operations("release", "shop")
        second = built.container("shop")
        assert built.on_server(f"docker exec {second} cat /text").strip() == "two"
        named = built.on_server(f"docker inspect --format '{{{{.Config.Image}}}}' {second}").strip()
        assert named.startswith(f"{HOST}/team/shop@sha256:")
        assert named in built.output_of("stack", "export")
        built.operations("release", "shop")
        assert built.container("shop") == second, "what has not moved is not released"
        built.expect_no_changes()


@pytest.mark.soak
def test_without_its_login_nothing_of_it_is_left_on_the_server(built: Hive) -> None:
    """The playbooks twice more, and a restart of Docker each time."""
    with built.changed() as settings:
        del settings["apiary:registries"], settings["apiary:jobs"]["web"]
        del settings["apiary:secrets"]["token"], settings["apiary:secrets"]["registry"]
        built.up()
        left = "find /etc/apiary/docker /etc/docker/certs.d -type f 2>/dev/null || true"
        assert built.on_server(left).split() == []
    built.up()
