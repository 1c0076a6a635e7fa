"""A word of another tool, and what to write in the place of it.

Makes: `Foreign` and the two ways to make one. Leaves alone: the words themselves (`foreign_containers`,
`foreign_servers`).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Foreign:
    """A word: what to write in the place of it. With `setting`, what holds where the section has that one."""

    remedy: str
    setting: str = ""  # path within the section: `git.branch`
    without: str = ""  # the remedy in a section that has no such setting


def called(setting: str, example: str = "", *, without: str = "") -> Foreign:
    """Another name of a setting."""
    return Foreign(f"it is called {setting} here" + (f"; write {example}" if example else ""), setting, without)


def do(remedy: str) -> Foreign:
    """Nothing of the kind: what to do in its stead."""
    return Foreign(remedy)
