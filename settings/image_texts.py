"""The small languages of images: their names, registries, and what a build is told.

Makes: one pure function a language, checked text out. Leaves alone: whether what is named exists; the server finds that
out (playbooks/roles/tools/files/apiary-image). Each function raises ValueError whose message says what is wrong and
what to write.
"""

import re

from settings.errors import show

HUB = "docker.io"
_STAGE = re.compile(r"[a-zA-Z][a-zA-Z0-9._-]*|\d{1,3}", re.ASCII)
_BUILD_SECRET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})+|localhost(?=:))(?::\d{{1,5}})?", re.ASCII)
_HUB_NAMES = ("hub.docker.com", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")


def image(text: str) -> str:
    """Check the name of an image, roughly: Docker has the last word."""
    if not re.fullmatch(r"[a-z0-9](?:[A-Za-z0-9._/:@-]*[A-Za-z0-9._-])?", text) or "://" in text:
        raise ValueError(
            f"{show(text)} is not an image name; write e.g. postgres:15 or registry.example.com/team/app:1.2"
        )
    if "@" in text and not re.fullmatch(r"[^@]+@sha256:[0-9a-f]{64}", text):
        raise ValueError(f"{show(text)} has no whole digest; write e.g. postgres@sha256: and its 64 digits")
    return text


def registry_of(text: str) -> str:
    """The host that an image is pulled from, as Docker reads its name."""
    first, slash, _ = text.partition("/")
    return first if slash and (first == "localhost" or "." in first or ":" in first) else HUB


def shortest(text: str) -> str:
    """An image as Docker itself spells it in a service: `nginx:latest` of `docker.io/library/nginx`."""
    if registry_of(text) in (HUB, "index.docker.io"):
        name = re.sub(r"^(?:index\.)?docker\.io/", "", text)
        text = name.removeprefix("library/") if name.count("/") == 1 else name
    return text if "@" in text or ":" in text.rpartition("/")[2] else f"{text}:latest"


def registry(text: str) -> str:
    """Check the host of a registry: `ghcr.io`, `registry.example.com:5000`, `docker.io`."""
    bare = re.sub(r"^https?://", "", text.strip().lower()).split("/")[0]
    if bare in _HUB_NAMES:
        raise ValueError(f"{show(text)} is Docker Hub, which images name docker.io; write {HUB}")
    if not _REGISTRY.fullmatch(text):
        remedy = show(bare) if _REGISTRY.fullmatch(bare) else "e.g. ghcr.io or registry.example.com:5000"
        raise ValueError(f"{show(text)} is not the host of a registry, as images name it; write {remedy}")
    return text


def registry_user(text: str) -> str:
    """Check who logs in to a registry."""
    if not text or not text.isprintable() or text != text.strip() or ":" in text:
        raise ValueError(f'{show(text)} is not a user of a registry; write e.g. "shop-bot"')
    return text


def context_path(text: str) -> str:
    """Check the path of a Dockerfile in the folder that is built from."""
    parts = text.split("/")
    if text.startswith("/") or ".." in parts:
        raise ValueError(
            f"{show(text)} leads out of the folder that is built from, and so can nothing that it copies; name the "
            'folder above as build_dir or git.dir, and the Dockerfile from there on, e.g. "docker/web.Dockerfile"'
        )
    if not re.fullmatch(r"[!-~](?:[ -~]*[!-~])?", text) or any(part in ("", ".", ".git") for part in parts):
        raise ValueError(f'{show(text)} is not a path in the folder; write e.g. "docker/web.Dockerfile"')
    return text


def stage(text: str) -> str:
    """Check the name of a stage, or its number."""
    if not _STAGE.fullmatch(text):
        raise ValueError(f"{show(text)} is not a stage; write the NAME of FROM ... AS NAME")
    return text


def build_secret(text: str) -> str:
    """Check the id of a secret of a build."""
    if not _BUILD_SECRET.fullmatch(text):
        raise ValueError(f"{show(text)} is not an id of a secret; write the ID of RUN --mount=type=secret,id=ID")
    return text
