"""What the stack tells a server of its backups: the configuration comes, changes, goes.

Makes: the configuration's file, and the timers of backups and of rehearsals by their calendars. Leaves alone: the
repository, unless it is another one than before: that is opened, so that what is wrong with it is known at once.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from apiary_backups import apart, config, filling, items, lock, quiet
from apiary_backups.config import Config
from apiary_backups.errors import BackupsError, LostRepositoryError
from apiary_backups.report import say
from apiary_backups.repository import opened

UNIT = "apiary-backups.timer"
TIMER = Path(os.environ.get("APIARY_BACKUPS_TIMER", f"/etc/systemd/system/{UNIT}"))
DRILL_UNIT = "apiary-backups-drill.timer"
SECONDS = 60
TEXT = """\
# Written by Apiary (apiary-backups told); edits are overwritten.
[Unit]
Description={what} by the clock

[Timer]
{calendar}
Persistent=true

[Install]
WantedBy=timers.target
"""


class Told:
    """Take the configuration from standard input, and begin to follow it."""

    @staticmethod
    def arguments(parser: argparse.ArgumentParser) -> None:
        """Nothing may be said with it."""

    @staticmethod
    def main(_: argparse.Namespace) -> int:
        """Raises BackupsError where it can't be read, or its repository does not open."""
        text = sys.stdin.read()
        wanted = config.parse(text)
        before = _before()
        lost: LostRepositoryError | None = None
        with lock.held("told"):
            if before is None or _where(before) != _where(wanted):
                try:
                    # Of a place of another name nothing is known; a keeper's new disk is the same place.
                    opened(wanted, is_anew=before is not None and before.place != wanted.place)
                except LostRepositoryError as error:
                    lost = error  # it is to know what to begin anew
            # Before the clock may save what is not filled yet.
            filling.told(wanted, before)
            config.put(config.PATH, text, 0o600)
        _follow(UNIT, TIMER, wanted.calendar, "backups")
        drill = TIMER.with_name(DRILL_UNIT)
        if wanted.drill_calendar:
            _follow(DRILL_UNIT, drill, wanted.drill_calendar, "rehearsals")
        elif drill.exists():
            _drop(DRILL_UNIT, drill)
            say("rehearsals are due when somebody asks for one")
        if lost:
            raise lost
        return 0


class Forgotten:
    """Backups are no longer wanted here: the configuration and the timer go, the repository stays."""

    @staticmethod
    def arguments(parser: argparse.ArgumentParser) -> None:
        """Nothing may be said with it."""

    @staticmethod
    def main(_: argparse.Namespace) -> int:
        """Raises BackupsError."""
        with lock.held("forgotten"):
            quiet.resume()
            _drop(UNIT, TIMER)
            if TIMER.with_name(DRILL_UNIT).exists():
                _drop(DRILL_UNIT, TIMER.with_name(DRILL_UNIT))
            # What is written from now on is no half of anything.
            filling.forget_all()
            (config.STATE / items.SINCE_FILE).unlink(missing_ok=True)
            # They may come back with another place.
            items.begin_anew()
            config.PATH.unlink(missing_ok=True)
        return 0


class Resume:
    """Start what an interrupted backup has left stopped, and let everybody in whom one has kept out."""

    @staticmethod
    def arguments(parser: argparse.ArgumentParser) -> None:
        """Nothing may be said with it."""

    @staticmethod
    def main(_: argparse.Namespace) -> int:
        """Raises BackupsError."""
        with lock.held("resume"):
            apart.mend()
            quiet.resume()
        return 0


def _before() -> Config | None:
    try:
        return config.read()
    except BackupsError:
        return None  # none, or one that can't be read: what comes now takes its place


def _where(told: Config) -> tuple[object, ...]:
    return told.repository, dict(told.environment), told.ca, told.ssh


def _drop(unit: str, file: Path) -> None:
    _systemctl("disable", "--now", unit)
    file.unlink(missing_ok=True)
    _systemctl("daemon-reload")


def _follow(unit: str, file: Path, calendar: tuple[str, ...], what: str) -> None:
    lines = "\n".join(f"OnCalendar={one}" for one in calendar)
    config.put(file, TEXT.format(what=what.capitalize(), calendar=lines))
    _systemctl("daemon-reload")
    _systemctl("enable", "--quiet", unit)
    # Not `enable --now`: one that runs goes by what was written before.
    _systemctl("restart", unit)
    say(f"{what} are due at {', '.join(calendar)}")


def _systemctl(*arguments: str) -> None:
    try:
        done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackupsError(f"systemctl {arguments[0]}: {type(error).__name__}") from None
    if done.returncode != 0:
        raise BackupsError(f"systemctl {' '.join(arguments)}: {done.stderr.strip()}")
