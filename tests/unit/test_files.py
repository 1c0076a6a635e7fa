"""Files on a server: placed as one step, with owner and mode, behind a folder that root alone may enter."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pulumi
import pytest

from components.archive import Archive
from components.files import REMOVE, ROOT, archive_of, place
from settings.files import File


def file(content: str | None = None, source: str | None = None, mode: str | None = None) -> File:
    return File(content, source, mode, None)


def placed(tmp_path: Path, archive: Archive, script: str) -> subprocess.CompletedProcess[str]:
    """Run the script as it runs on a server, where what was sent lies in $cargo."""
    cargo = tmp_path / "cargo"
    cargo.mkdir(exist_ok=True)
    (cargo / "tar").write_bytes(archive.tar)
    return subprocess.run(
        ["bash", "-c", f"cargo={cargo}\n{script.replace(ROOT, str(tmp_path / 'files'))}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_files_arrive_whole_with_their_modes_behind_a_closed_folder(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "run").write_text("#!/bin/sh\n")
    (tmp_path / "rules" / "run").chmod(0o755)
    wanted = {"/a": file("secret", mode="0400"), "/b": file("plain"), "/c": file(source=str(tmp_path / "rules"))}
    archive = archive_of(wanted, {"/a": "secret", "/b": "plain"})
    own = f"{os.getuid()}:{os.getgid()}"
    script = place("shop", f"{ROOT}/shop/0a1b", wanted, {"/a": own, "/b": None, "/c": own})
    for _ in range(2):  # and again, by whoever takes a failed release back
        done = placed(tmp_path, archive, script)
        assert done.returncode == 0, done.stderr
    root = tmp_path / "files"
    there = root / "shop" / "0a1b"
    assert [(there / "0").read_text(), (there / "1").read_text()] == ["secret", "plain"]
    modes = [oct((there / name).stat().st_mode & 0o777) for name in ("0", "1", "2", "2/run")]
    assert modes == ["0o400", "0o444", "0o755", "0o755"]
    assert root.stat().st_mode & 0o777 == 0o700, "nobody but root gets there"
    assert [one.name for one in (root / "shop").iterdir()] == ["0a1b"], "nothing half is left"


def test_what_fails_on_its_way_puts_nothing_in_place(tmp_path: Path) -> None:
    wanted = {"/a": file("x")}
    script = place("shop", f"{ROOT}/shop/0a1b", wanted, {"/a": "nobody-of-that-name"})
    assert placed(tmp_path, archive_of(wanted, {"/a": "x"}), script).returncode != 0
    assert not (tmp_path / "files" / "shop" / "0a1b").exists()


def test_a_folder_keeps_its_own_modes(tmp_path: Path) -> None:
    with pytest.raises(pulumi.RunError, match="is a folder, whose modes are its own; leave mode out"):
        archive_of({"/a": file(source=str(tmp_path), mode="0400")}, {})


@pytest.mark.parametrize("mounted", [True, False])
def test_files_go_when_no_container_has_them_any_more(tmp_path: Path, *, mounted: bool) -> None:
    folder = tmp_path / "shop" / "0a1b"
    folder.mkdir(parents=True)
    docker = tmp_path / "docker"
    source = f"{folder}/0" if mounted else f"{folder}2/0"
    docker.write_text(f"#!/bin/sh\ncase $1 in ps) echo c1 ;; inspect) echo {source} ;; esac\n")
    docker.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", REMOVE.format(folder=folder)], env=environment, check=True)
    assert folder.exists() == mounted
