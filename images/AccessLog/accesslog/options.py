"""What the stack file may say, from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MIB = 2**20
_MOST = {"KEEP_DAYS": 3650, "KEEP_MB": 1_000_000, "ROTATE_MB": 10_000}


class InputError(Exception):
    """An unusable variable; str() names it, one a line."""


@dataclass(frozen=True)
class Options:
    """How long and how much is kept."""

    keep_days: int = 30
    keep_bytes: int = 2000 * MIB
    rotate_bytes: int = 64 * MIB


def parse(environment: Mapping[str, str]) -> Options:
    """From KEEP_DAYS, KEEP_MB, ROTATE_MB. Raises InputError for all that are wrong at once."""
    found: dict[str, int] = {"KEEP_DAYS": 30, "KEEP_MB": 2000, "ROTATE_MB": 64}
    errors: list[str] = []
    for name, most in _MOST.items():
        text = environment.get(name, "").strip()
        if not text:
            continue
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
        if 1 <= number <= most:
            found[name] = number
        else:
            errors.append(f"{name}: {text!r} is not a whole number from 1 to {most}")
    if errors:
        raise InputError("\n".join(errors))
    return Options(found["KEEP_DAYS"], found["KEEP_MB"] * MIB, found["ROTATE_MB"] * MIB)
