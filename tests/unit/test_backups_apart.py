"""While a database server is saved for the last time nobody outside its container reaches it; at other times all do."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.backups_hive import backup, filled
from tests.unit.backups_server import Server

from apiary_backups import apart, docker, tell  # isort: skip
from apiary_backups.errors import BackupsError  # isort: skip

OPENED = apart._nothing()


def rules(hive: Server) -> str:
    """All that the kernel's filter was told."""
    path = hive.place / "rules"
    return path.read_text() if path.exists() else ""


def test_from_the_last_dump_on_it_serves_nobody_over_either_family(hive: Server) -> None:
    network = hive.state["containers"][0]["NetworkSettings"]["Networks"]["apiary"]
    network["GlobalIPv6Address"] = "2001:db8::5"
    hive.keep()
    assert backup(hive) == 0
    assert rules(hive) == "", "a backup like every night's keeps nobody out"
    assert backup(hive, "databases:postgres", final=True) == 0
    told = rules(hive)
    assert told.startswith(OPENED)
    for rule in ("ip daddr 172.30.0.5 drop", "ip saddr 172.30.0.5 drop", "ip6 daddr 2001:db8::5 drop"):
        assert told.count(rule) == 2, "what is forwarded, and what this host itself hands on"
    assert not told.endswith(OPENED), "until the container goes"
    assert "--target 4711 --net ss --kill --tcp state established" in (hive.place / "nsenter-called").read_text()


def test_where_the_last_backup_fails_it_serves_on(hive: Server) -> None:
    backup(hive)
    hive.told["environment"] = {"RESTIC_PASSWORD": "another"}
    with pytest.raises(BackupsError):
        backup(hive, "databases:postgres", final=True)
    assert rules(hive).endswith(f"}}\n{OPENED}")
    assert not (hive.records / apart.MARK).exists()


@pytest.mark.parametrize(
    "after",
    [lambda hive: filled(hive, "postgres"), backup, lambda _: tell.Resume.main(argparse.Namespace())],
    ids=["fill", "backup", "resume"],
)
def test_a_server_that_stays_after_all_serves_again(hive: Server, after: object) -> None:
    """Its update was cut off, and what it was to do is taken back."""
    backup(hive)
    assert backup(hive, "databases:postgres", final=True) == 0
    assert not rules(hive).endswith(OPENED)
    after(hive)  # type: ignore[operator]
    assert rules(hive).endswith(OPENED)


def test_the_last_backup_of_volumes_keeps_nobody_out(hive: Server) -> None:
    assert backup(hive, "volumes", final=True) == 0
    assert rules(hive) == ""


def test_where_nobody_can_be_kept_out_the_last_backup_fails_and_the_server_stays(hive: Server) -> None:
    (hive.place / "programs" / "nft").write_text("#!/bin/sh\necho 'Error: no' >&2\nexit 1\n")
    with pytest.raises(BackupsError, match="nft: Error: no"):
        backup(hive, "databases:postgres", final=True)


@pytest.mark.skipif(not (shutil.which("nft") and shutil.which("unshare")), reason="needs nft (Debian: nftables)")
def test_the_kernel_takes_the_rules_twice_and_takes_them_back_twice(hive: Server, tmp_path: Path) -> None:
    apart.cut(docker.containers("apiary-test"))
    shut = tmp_path / "shut"
    shut.write_text(rules(hive))
    opened = tmp_path / "opened"
    opened.write_text(OPENED)
    nft = "/usr/sbin/nft" if Path("/usr/sbin/nft").exists() else "nft"
    script = "".join(f"{nft} -f {path}\n" for path in (opened, shut, shut, opened, opened)) + f"{nft} list ruleset\n"
    done = subprocess.run(
        ["unshare", "--net", "sh", "-e", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
