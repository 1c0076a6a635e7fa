"""What a command sends arrives whole or is not used, and nothing of it stays on the server.

`ssh` is a program of the test here, which runs what it is told on this machine.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pulumi
import pytest

from components import cargo
from components.archive import Archive, Member

SSH = """#!/bin/bash
[ "$(cat {folder}/refusals)" = 0 ] || {{ echo "$(($(cat {folder}/refusals) - 1))" >{folder}/refusals
    echo "ssh: connect to host 192.0.2.4 port 22: Connection refused" >&2; exit 255; }}
printf '%s\\n' "$(printf '%s ' "$@" | tr '\\n' ' ')" >>{folder}/words
for command; do :; done
case $command in
true) exit 0 ;;
*cloud-init*) echo 0 >{folder}/restarts; exit 0 ;;
esac
[ "$(cat {folder}/restarts)" = 0 ] || {{ echo "ssh: connect to host 192.0.2.4 port 22: Connection refused" >&2
    exit 255; }}
head -c {bytes} | tee {folder}/sent | bash -c "$command"
exit "${{PIPESTATUS[2]}}"
"""
USE = 'cat "$cargo/tar" >got; echo "in $cargo"; ls "$cargo"\n'


@pytest.fixture
def archive() -> Archive:
    return Archive((Member("Dockerfile", b"0", 0o644, b"FROM debian\n"), Member("big", b"0", 0o644, b"x" * 300_000)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program's folder, and the server's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pulumi, "get_stack", lambda: "test")
    return tmp_path


def run(
    folder: Path,
    path: str,
    script: str,
    *,
    bytes_: int = 10**9,
    refusals: int = 0,
    seconds: int = 5,
    restarts: int = 0,
    is_first: bool = False,
) -> Path:
    """Run `script` as the command plugin does; the server's folder, where `said` is what it printed."""
    (folder / "ssh").write_text(SSH.format(folder=folder, bytes=bytes_))
    (folder / "ssh").chmod(0o755)
    (folder / "refusals").write_text(f"{refusals}\n")
    (folder / "restarts").write_text(f"{restarts}\n")
    options = ["-o", "KnownHostsCommand=/bin/echo %H k e y"]
    send = cargo._send(options, "192.0.2.4", path, is_first=is_first, seconds=seconds)
    done = subprocess.run(
        ["/bin/sh", "-c", send, script],
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    (folder / "said").write_text(f"{done.returncode} {done.stdout}{done.stderr}")
    return folder


def left_over() -> set[Path]:
    return set(Path("/var/tmp").glob("apiary-cargo.*"))


def test_what_is_sent_arrives_and_goes_again(folder: Path, archive: Archive) -> None:
    before = left_over()
    server = run(folder, cargo.keep(archive, "images/Echo"), USE)
    assert (server / "said").read_text().startswith("0 in /var/tmp/apiary-cargo.")
    assert (server / "got").read_bytes() == archive.tar
    assert left_over() <= before


@pytest.mark.parametrize("bytes_", [0, 30, 65 + 512, 65 + 1024, 200_000])
def test_what_is_cut_off_on_its_way_is_not_used(folder: Path, archive: Archive, bytes_: int) -> None:
    """At 1024 bytes it is a whole archive for tar and for Docker: of the first file alone."""
    before = left_over()
    server = run(folder, cargo.keep(archive, "images/Echo"), USE, bytes_=bytes_)
    assert "did not arrive whole" in (server / "said").read_text()
    assert (server / "said").read_text().startswith("1 ")
    assert not (server / "got").exists()
    assert left_over() <= before


def test_its_own_failure_is_the_command_s(folder: Path, archive: Archive) -> None:
    server = run(folder, cargo.keep(archive, "images/Echo"), ': "$cargo/tar"; echo no space left >&2; exit 7')
    assert (server / "said").read_text() == "7 no space left\n"


def test_a_server_that_is_still_booting_is_waited_for(folder: Path, archive: Archive) -> None:
    server = run(folder, cargo.keep(archive, "images/Echo"), USE, refusals=2)
    assert (server / "said").read_text().startswith("0 in ")


def test_an_ssh_server_that_a_first_boot_restarts_after_it_has_let_us_in_is_waited_for(
    folder: Path, archive: Archive
) -> None:
    path = cargo.keep(archive, "playbooks/web1")
    assert (run(folder, path, USE, restarts=1) / "said").read_text().startswith("255 "), "negative control"
    assert (run(folder, path, USE, restarts=1, is_first=True) / "said").read_text().startswith("0 in ")


def test_a_server_that_does_not_answer_is_given_up_with_ssh_s_own_words(folder: Path, archive: Archive) -> None:
    server = run(folder, cargo.keep(archive, "images/Echo"), USE, refusals=1000, seconds=1)
    assert (server / "said").read_text() == "255 ssh: connect to host 192.0.2.4 port 22: Connection refused\n"


def test_what_is_sent_takes_the_connection_of_the_question_before_it(folder: Path, archive: Archive) -> None:
    run(folder, cargo.keep(archive, "images/Echo"), USE)
    asked, sent = (folder / "words").read_text().splitlines()
    sockets = [re.findall(r"ControlPath=(/tmp/apiary-ssh\.\w{12}) ", words) for words in (asked, sent)]
    assert sockets[0] == sockets[1] != []
    assert "ControlMaster=yes" in asked
    assert "ControlMaster" not in sent, "who sends must not become one that outlives him"


def test_a_deletion_sends_nothing_and_needs_no_file(folder: Path, archive: Archive) -> None:
    path = cargo.keep(archive, "images/Echo")
    run(folder, path, "cat >/dev/null; echo gone")
    assert (folder / "said").read_text() == "0 gone\n"
    assert (folder / "sent").read_bytes() == b""
    Path(path).unlink()
    run(folder, path, "cat >/dev/null; echo gone")
    assert (folder / "said").read_text() == "0 gone\n"


def test_only_its_owner_reads_what_waits_and_the_next_takes_its_place(folder: Path, archive: Archive) -> None:
    first = Path(cargo.keep(archive, "images/Echo"))
    assert first.stat().st_mode & 0o777 == 0o600
    before = first.stat().st_mtime_ns
    assert Path(cargo.keep(archive, "images/Echo")) == first
    assert first.stat().st_mtime_ns == before, "it is there already"
    other = Path(cargo.keep(archive.with_file("Dockerfile", b"FROM scratch\n"), "images/Echo"))
    assert list(first.parent.iterdir()) == [other]


def test_a_preview_writes_nothing(folder: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    assert not Path(cargo.keep(archive, "images/Echo")).exists()
    assert not list(folder.iterdir())


def test_a_disk_without_room_is_said_in_one_line(folder: Path, archive: Archive) -> None:
    (folder / ".apiary").write_text("a file where a folder has to be")
    with pytest.raises(pulumi.RunError, match=r"^\.apiary/test/cargo/images/Echo/\w+: Not a directory; make room"):
        cargo.keep(archive, "images/Echo")
