"""Names of images as Docker's own client writes them into the specification of a service. Pure."""

from __future__ import annotations


def tagged(image: str) -> str:
    """The shortest name of the same image, with a tag: `nginx:latest` of `docker.io/library/nginx`."""
    host, slash, rest = image.partition("/")
    if not slash or not (host == "localhost" or "." in host or ":" in host):
        host, rest = "docker.io", image
    if host in ("docker.io", "index.docker.io"):
        image = rest.removeprefix("library/") if rest.count("/") == 1 else rest
    return image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"


def pinned(image: str, digest: str) -> str:
    """The name with the digest that its registry has; one that has a digest keeps that."""
    return image if "@" in image else f"{image}@{digest}"
