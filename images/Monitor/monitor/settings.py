"""What the container is told by its environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

INTERVALS = (1, 300)


class EnvironmentProblem(ValueError):
    """A variable can't be used; the message names it and what to write."""


@dataclass(frozen=True)
class Told:
    """The environment, read."""

    interval: int  # seconds between two looks
    port: int  # of /healthz
    authorities: str | None  # PEM of certificates that are trusted beside the system's
    disks: tuple[str, ...] = ()  # mount points of the file systems that are watched; all of them without any


def read(environment: Mapping[str, str]) -> Told:
    """INTERVAL (30), HTTP_PORT (8080), CA, DISKS. Raises EnvironmentProblem."""
    first, last = INTERVALS
    authorities = environment.get("CA", "").strip()
    if authorities and "BEGIN CERTIFICATE" not in authorities:
        raise EnvironmentProblem("CA: holds no certificate; write it as PEM")
    return Told(
        interval=_number(environment, "INTERVAL", 30, first, last),
        port=_number(environment, "HTTP_PORT", 8080, 1, 65535),
        authorities=f"{authorities}\n" if authorities else None,
        disks=_disks(environment.get("DISKS", "")),
    )


def _disks(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(text.split()))
    for one in found:
        if not re.fullmatch(r"/|(/[A-Za-z0-9_.@-]+)+", one):
            raise EnvironmentProblem(f"DISKS: {one!r} is no mount point; write e.g. '/ /srv/data'")
    return found


def _number(environment: Mapping[str, str], name: str, default: int, first: int, last: int) -> int:
    text = environment.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and first <= int(text[:9]) <= last):
        raise EnvironmentProblem(f"{name}: {text!r} is not a whole number from {first} to {last}")
    return int(text)
