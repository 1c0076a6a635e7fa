"""Who is started while a volume changes places, by an update or the clock of the jobs: never left with what is gone."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.backups_server import Server
from tests.unit.backups_shop import UPLOADS, beside, contents

from apiary_backups import docker, restore, swap_volume  # isort: skip
from apiary_backups.errors import BackupsError  # isort: skip
from apiary_backups.journal import TakenBackError  # isort: skip
from apiary_backups.restore import Restore  # isort: skip
from apiary_backups.swap_volume import VolumeSwap  # isort: skip


class Clock:
    """Somebody else, such as an update, or the clock of the jobs, who starts a container at a certain call."""

    def __init__(self, shop: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shop, self.monkeypatch = shop, monkeypatch
        self.folders: dict[str, int] = {}  # by container: the folder that it had mounted when it was started last

    def watch(self) -> Clock:
        call = docker.call

        def started(*arguments: str, **options: Any) -> str:
            made = call(*arguments, **options)
            if arguments[0] == "start":
                self.folders[arguments[1]] = self.folder()
            return made

        self.monkeypatch.setattr(docker, "call", started)
        return self

    def folder(self) -> int:
        path = self.shop.place / "volumes" / "uploads" / "_data"
        return path.stat().st_ino if path.exists() else 0

    def start(self, container: str) -> None:
        docker.call("start", container)

    def before(self, owner: Any, name: str, container: str, times: int = 1) -> None:
        """It is started before this is called the first times."""
        real, left = getattr(owner, name), [times]

        def late(*arguments: Any, **options: Any) -> Any:
            if left[0]:
                left[0] -= 1
                self.start(container)
            return real(*arguments, **options)

        self.monkeypatch.setattr(owner, name, late)


@pytest.fixture
def clock(shop: Server, monkeypatch: pytest.MonkeyPatch) -> Clock:
    shop.container("import", "uploads", kind="jobs", running=False)
    return Clock(shop, monkeypatch).watch()


def test_who_is_started_while_others_stop_is_stopped_too(shop: Server, clock: Clock) -> None:
    clock.before(Restore, "held", "import-1")
    restore.restore(shop.config, UPLOADS, lambda _: None)
    assert contents(shop) == {"picture": "good"}
    assert set(clock.folders.values()) == {clock.folder()}, "somebody writes into a folder that is gone"
    assert all(shop.running().values()), "it runs again"


def test_who_is_started_right_before_the_swap_has_it_taken_back(shop: Server, clock: Clock) -> None:
    clock.before(VolumeSwap, "swap", "shop-1")
    with pytest.raises(TakenBackError, match=r"shop runs with volume uploads, started meanwhile.* is there again"):
        restore.restore(shop.config, UPLOADS, lambda _: None)
    assert contents(shop) == {"picture": "spoilt", "more": "since"}
    assert set(clock.folders.values()) == {clock.folder()}
    assert beside(shop) == []


def test_who_is_started_in_the_moment_between_is_started_anew(shop: Server, clock: Clock) -> None:
    """Docker itself needs a moment between the mount and what it says of it."""
    told: list[str] = []
    clock.before(swap_volume, "moved", "import-1")
    restore.restore(shop.config, UPLOADS, told.append)
    assert contents(shop) == {"picture": "good"}
    assert set(clock.folders.values()) == {clock.folder()}
    assert "started meanwhile by somebody else, and started anew: import" in told


def test_who_still_has_what_was_there_before_is_told_and_it_stays(
    shop: Server, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a container that Docker was just starting: by no list of its own it ran yet."""
    kept = swap_volume.kept_folder(shop.place / "volumes" / "uploads" / "_data")
    process = shop.place / "proc" / "4711"
    process.mkdir(parents=True)
    line = "812 790 8:1 {} /srv/files rw,relatime - ext4 /dev/sda1 rw\n"
    (process / "mountinfo").write_text("1 1 8:1 / / rw - ext4 x rw\n" + line.format(kept))
    monkeypatch.setattr(swap_volume, "PROC", shop.place / "proc")
    with pytest.raises(BackupsError, match=r"processes 4711 have .*docker restart it"):
        restore.restore(shop.config, UPLOADS, lambda _: None)
    assert (kept / "more").read_text() == "since"
    (process / "mountinfo").write_text(line.format(kept.parent / "_data"))
    restore.restore(shop.config, UPLOADS, lambda _: None)
    assert beside(shop) == []
    assert contents(shop) == {"picture": "good"}


def test_a_folder_is_known_in_the_kernels_own_list_after_it_was_renamed(tmp_path: Path) -> None:
    place = tmp_path / "uploads" / "_data"
    place.mkdir(parents=True)
    script = f"mount --bind {place} /mnt && echo && read line"
    holder = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert holder.stdout is not None
    if not holder.stdout.readline():
        holder.communicate()
        pytest.skip("nothing may be mounted here")
    kept = swap_volume.kept_folder(place)
    try:
        assert swap_volume.mounting(kept) == []
        place.rename(kept)
        assert str(holder.pid) in swap_volume.mounting(kept)
    finally:
        holder.communicate(b"\n")
