"""Names of images, by which it is known what is in them."""

from __future__ import annotations

import re

_REGISTRY = re.compile(r"(?:[^/]*[.:][^/]*|localhost)/")


def named(image: str) -> str:
    """Return an image's name without registry and tag: `postgres` for the official one, wherever it is mirrored.

    `lscr.io/linuxserver/mariadb:11` is `linuxserver/mariadb`, another image than `mariadb`.
    """
    path, _, name = _REGISTRY.sub("", image.partition("@")[0], count=1).rpartition("/")
    name = name.partition(":")[0]
    return name if path in ("", "library") or path.endswith("/library") else f"{path}/{name}"
