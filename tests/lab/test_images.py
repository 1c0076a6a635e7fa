"""Dockerfiles that need BuildKit, secrets of builds, a registry with a login, and tags that move: on a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab import acme, services
from tests.lab.hive import Hive

TOKEN, PASSWORD = "5d1f0e of a token that a build is given", services.PRIVATE_PASSWORD
HOST = services.PRIVATE_REGISTRY
# Everything that the classic builder refuses and the engines' own BuildKit knows: mounts of secrets and of caches,
# --platform, --chmod, stages side by side, of which the last is not the one that is wanted.
DOCKERFILE = f"""\
ARG BASE={HOST}/library/debian:bookworm-slim
FROM ${{BASE}} AS base
LABEL org.opencontainers.image.title=BuildKit
FROM base AS one
RUN --mount=type=secret,id=token,required md5sum /run/secrets/token >/one
FROM --platform=$BUILDPLATFORM base AS two
RUN --mount=type=cache,target=/var/cache/x echo of this machine >/two
FROM base AS release
COPY --from=one /one /one
COPY --from=two /two /two
COPY --chmod=0755 src/run.sh /run.sh
CMD ["/run.sh"]
FROM base AS never
RUN false
"""
JOB = {
    "build_dir": "Web",
    "dockerfile": "docker/web.Dockerfile",
    "target": "release",
    "build_secrets": {"token": "_secrets^token"},
}


@pytest.fixture(scope="module")
def hive_of_images(request: pytest.FixtureRequest) -> Iterator[Hive]:
    """The hive of the group, logged in to the region's private registry; as it was afterwards."""
    hive: Hive = request.getfixturevalue("settled")
    folder = hive.program / "images" / "Web"
    for inner in ("docker", "src"):
        (folder / inner).mkdir(parents=True)
    (folder / "docker" / "web.Dockerfile").write_text(DOCKERFILE)
    (folder / "src" / "run.sh").write_text("#!/bin/sh\ncat /one /two\n")
    with hive.changed() as settings:
        settings["apiary:secrets"] = {"token": TOKEN, "registry": PASSWORD}
        settings["apiary:registries"] = {
            HOST: {"user": services.PRIVATE_USER, "password": "_secrets^registry", "ca": acme.REGION.pem()}
        }
        settings["apiary:jobs"]["web"] = JOB
        yield hive
    hive.up()
    assert hive.on_server("find /etc/apiary/docker /etc/docker/certs.d -type f 2>/dev/null || true").split() == []


@pytest.fixture(scope="module")
def built(hive_of_images: Hive) -> Hive:
    hive_of_images.up()
    return hive_of_images


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


def test_a_tag_that_moved_is_released_when_asked_for_and_the_state_knows_what_runs(built: Hive) -> None:
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
