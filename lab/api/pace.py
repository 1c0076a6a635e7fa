"""How long things take in the region, and how many requests a second it answers.

The order of states and refusals is the real API's; the times are short by default, so that a lab is quick, and may be
set as long as they have been seen to be (`python -m lab pace vpc_release=900`). They are kept in the region's state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from lab.api.errors import refused
from lab.api.store import Store


@dataclass(frozen=True)
class Setting:
    """One setting: its default here, its largest value, and what it is."""

    default: float
    most: float
    meaning: str


SETTINGS: Final[Mapping[str, Setting]] = {
    "pending": Setting(0.2, 3600, "seconds for which a new instance is pending, locked and without addresses"),
    "installing": Setting(0.5, 3600, "seconds for which an active instance is still installingbooting"),
    "resizing": Setting(0.5, 3600, "seconds for which an instance that gets another plan is resizing and locked"),
    "destruction": Setting(1.0, 3600, "seconds for which a deleted instance is pending destruction"),
    "reserved_release": Setting(1.0, 3600, "seconds for which a reserved address is held by a deleted instance"),
    "vpc_release": Setting(1.0, 7200, "seconds for which a VPC is held by an instance that left or was deleted"),
    "block_creation": Setting(0.3, 3600, "seconds for which a new volume is pending"),
    "block_release": Setting(0.3, 3600, "seconds for which a volume is held by an instance that gave it back"),
    "requests": Setting(30, 100000, "requests a second for one key or address; 0: no limit"),
}


def unknown(what: str, word: str, known: list[str]) -> str:
    """The sentence about a word that does not exist, with the one that was meant or all there are."""
    near = get_close_matches(word, known, 1)
    return f"Unknown {what} {word!r}: " + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}")


def value(store: Store, name: str) -> float:
    """The value of one setting."""
    return float(store.table("pace").get(name, SETTINGS[name].default))


def change(store: Store, body: Mapping[str, Any]) -> None:
    """Set what the body names; null puts a setting back. ApiError 400, and nothing is set, when one can't be."""
    for name, wanted in body.items():
        if name not in SETTINGS:
            raise refused(unknown("setting", name, list(SETTINGS)))
        number = isinstance(wanted, int | float) and not isinstance(wanted, bool)
        if wanted is not None and not (number and 0 <= wanted <= SETTINGS[name].most):
            raise refused(f"Invalid {name}: must be a number from 0 to {SETTINGS[name].most:g}, not {wanted!r}")
    for name, wanted in body.items():
        if wanted is None:
            store.table("pace").pop(name, None)
        else:
            store.table("pace")[name] = wanted


def listing(store: Store) -> dict[str, dict[str, object]]:
    """Every setting with its value, default and meaning."""
    return {
        name: {"value": value(store, name), "default": setting.default, "meaning": setting.meaning}
        for name, setting in SETTINGS.items()
    }
