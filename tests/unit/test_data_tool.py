"""What the host does with its block storage: never formatted over anything, never moved where it would not be whole."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.scripts import load

TOOL = Path(__file__).parents[2] / "playbooks" / "roles" / "data" / "files" / "apiary-data"
tool = load(TOOL)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A host whose commands only answer: `asked` has them, `answers` what they print by their first words."""
    found = SimpleNamespace(root=tmp_path, asked=[], answers={})

    def run(*command: str, said: str = "", fine: Any = (0,)) -> str:
        found.asked.append(" ".join(command))
        return next((text for words, text in found.answers.items() if " ".join(command).startswith(words)), "")

    monkeypatch.setattr(tool, "run", run)
    monkeypatch.setattr(tool, "PLACE", tmp_path / "data")
    monkeypatch.setattr(tool, "CONFIG", tmp_path / "data.json")
    monkeypatch.setattr(tool, "BY_ID", tmp_path)
    monkeypatch.setattr(tool, "FORMATTING", tmp_path / "formatting")
    (tmp_path / "data").mkdir()
    (tmp_path / "data.json").write_text('{"device": "virtio-ewr-1"}')
    (tmp_path / "virtio-ewr-1").touch()
    os.truncate(tmp_path / "virtio-ewr-1", 20 << 20)
    return found


def formatted(host: SimpleNamespace) -> bool:
    return any(command.startswith("mkfs.ext4") for command in host.asked)


def test_what_is_blank_is_formatted(host: SimpleNamespace) -> None:
    tool.form(host.root / "virtio-ewr-1")
    assert formatted(host)
    assert not tool.FORMATTING.exists()


@pytest.mark.parametrize("place", [0, 4096, (16 << 20) - 1])
def test_what_holds_anything_is_never_formatted(host: SimpleNamespace, place: int) -> None:
    device = host.root / "virtio-ewr-1"
    with device.open("r+b") as file:
        file.seek(place)
        file.write(b"x")
    with pytest.raises(tool.DataError, match="it is not formatted"):
        tool.form(device)
    assert not formatted(host)
    # Only a formatting of this very device that was cut off explains it.
    tool.FORMATTING.write_text('{"device": "virtio-ewr-2"}')
    with pytest.raises(tool.DataError):
        tool.form(device)
    tool.FORMATTING.write_text(tool.CONFIG.read_text())
    tool.form(device)
    assert formatted(host)


def test_another_file_system_is_neither_mounted_nor_formatted(host: SimpleNamespace) -> None:
    host.answers["blkid"] = "DEVNAME=/dev/vdb\nTYPE=xfs\n"
    with pytest.raises(tool.DataError, match="holds xfs, not ext4"):
        tool.mount(0)
    assert not formatted(host)
    assert not [command for command in host.asked if command.startswith("mount")]


def test_a_device_that_is_missing_is_said_with_what_brings_it_back(host: SimpleNamespace) -> None:
    (host.root / "virtio-ewr-1").unlink()
    with pytest.raises(tool.DataError, match="Docker does not start without it"):
        tool.mount(0)


def volumes(host: SimpleNamespace, **options: dict[str, str]) -> None:
    entries = [
        {"Name": name, "Mountpoint": f"{host.root}/docker/volumes/{name}/_data", "Options": said or None}
        for name, said in options.items()
    ]
    host.answers |= {"docker volume ls": "\n".join(options), "docker volume inspect": json.dumps(entries)}


def test_only_volumes_that_are_on_the_disk_are_moved(host: SimpleNamespace) -> None:
    there = {"type": "none", "o": "bind", "device": f"{tool.PLACE}/volumes/there"}
    volumes(host, here={}, there=there)
    assert [volume.name for volume in tool.on_disk(["here", "there", "new"])] == ["here"]
    volumes(host, other={"type": "nfs", "device": ":/x"})
    with pytest.raises(tool.DataError, match="remove it by hand"):
        tool.on_disk(["other"])


def test_it_is_not_given_up_while_volumes_live_on_it(host: SimpleNamespace) -> None:
    volumes(host, here={}, there={"type": "none", "o": "bind", "device": f"{tool.PLACE}/volumes/there"})
    with pytest.raises(tool.DataError, match="live on it: there"):
        tool.give_up()
    volumes(host, here={})
    tool.give_up()


@pytest.fixture
def volume(host: SimpleNamespace) -> Any:
    files = host.root / "docker" / "volumes" / "rows" / "_data"
    files.mkdir(parents=True)
    (files / "rows").write_text("1\n")
    volumes(host, rows={})
    host.answers |= {"du": "4096\tx\n", "docker ps --quiet": "c1\n"}
    return tool.Volume("rows", files)


def before(host: SimpleNamespace, *words: str) -> list[int]:
    """Where in what was asked each of these begins."""
    return [next(i for i, asked in enumerate(host.asked) if asked.startswith(word)) for word in words]


def test_writers_stop_before_the_last_copy_and_the_old_files_are_kept(host: SimpleNamespace, volume: Any) -> None:
    tool.move([volume])
    copies = [i for i, asked in enumerate(host.asked) if asked.startswith("rsync")]
    stopped, removed, gone = before(host, "docker stop c1", "docker rm c1", "docker volume rm rows")
    assert copies[0] < stopped < copies[1] < copies[-1] < removed < gone
    (aside,) = (host.root / "docker" / "volumes-moved").iterdir()
    assert (aside / "rows").read_text() == "1\n"
    assert not volume.moving.exists()


def test_what_is_written_while_nothing_should_stops_the_move(host: SimpleNamespace, volume: Any) -> None:
    host.answers |= {
        "rsync --archive --hard-links --acls --xattrs --sparse --numeric-ids --delete --dry-run": ">f rows"
    }
    with pytest.raises(tool.DataError, match="written while nothing should"):
        tool.move([volume])
    assert volume.files.exists()
    assert not [asked for asked in host.asked if asked.startswith(("docker rm", "docker volume rm"))]


def fill(volume: Any) -> None:
    volume.target.mkdir(parents=True)
    (volume.target / "rows").write_text("other\n")


def no_room(_: Any) -> None:
    tool.shutil = SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=1000))


@pytest.mark.parametrize(("how", "words"), [(fill, "nothing tells which is right"), (no_room, "nothing was touched")])
def test_what_would_lose_something_is_refused_before_anything_stops(
    host: SimpleNamespace, volume: Any, monkeypatch: pytest.MonkeyPatch, how: Callable[[Any], None], words: str
) -> None:
    monkeypatch.setattr(tool, "shutil", tool.shutil)
    how(volume)
    with pytest.raises(tool.DataError, match=words):
        tool.move([volume])
    assert not [asked for asked in host.asked if asked.startswith(("docker stop", "rsync"))]


def test_a_move_that_was_cut_off_at_its_end_is_finished_without_the_files(host: SimpleNamespace, volume: Any) -> None:
    volume.files.rename(host.root / "aside")
    fill(volume)
    tool.move([volume])
    assert not [asked for asked in host.asked if asked.startswith("rsync")]
    assert "docker volume rm rows" in host.asked
    assert (volume.target / "rows").read_text() == "other\n"
