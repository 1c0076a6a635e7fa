"""A job whose image only BuildKit builds, of a base in a private registry, by a secret: part of the hive `settled`."""

from __future__ import annotations

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


def add(hive: Hive) -> None:
    """The job `web` and its folder, and the login of the server to the registry."""
    folder = hive.program / "images" / "Web"
    for inner in ("docker", "src"):
        (folder / inner).mkdir(parents=True)
    (folder / "docker" / "web.Dockerfile").write_text(DOCKERFILE)
    (folder / "src" / "run.sh").write_text("#!/bin/sh\ncat /one /two\n")
    hive.settings["apiary:secrets"] = {"token": TOKEN, "registry": PASSWORD}
    hive.settings["apiary:registries"] = {
        HOST: {"user": services.PRIVATE_USER, "password": "_secrets^registry", "ca": acme.REGION.pem()}
    }
    hive.settings["apiary:jobs"]["web"] = JOB
