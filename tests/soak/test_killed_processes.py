"""The command of a server, with the true restic and a true PostgreSQL server, its process killed at random moments: the
same line ends it, with all that was confirmed before the last backup, and the repository is sound.

Docker is a stand-in (tests/unit/fake_docker.py), so that a round takes seconds; with all of a hive: test_kills.py.
SOAK_ROUNDS is how many of each kind, times ten.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.soak.rounds import ROUNDS
from tests.unit.backups_server import PACKAGE, Server, make, use_true_restic
from tests.unit.backups_shop import program
from tests.unit.conftest import restic
from tests.unit.test_backups_postgresql import cluster, databases, psql

__all__ = ["cluster", "restic"]

pytestmark = pytest.mark.timeout(6 * 3600)

SAVED = ("database:postgres:shop", "volume:uploads")


class Host:
    """One server with a volume, a database, and a shop that has both."""

    def __init__(self, server: Server, place: Path) -> None:
        self.server, self.volume = server, server.volume("uploads", first="first")
        self.environment = {
            **os.environ,
            "APIARY_BACKUPS_CONFIG": str(place / "backups.json"),
            "APIARY_BACKUPS_STATE": str(server.records),
            "APIARY_BACKUPS_METRICS": str(place / "metrics"),
            "APIARY_BACKUPS_LOCK": str(place / "lock"),
            "APIARY_BACKUPS_RUN": str(place / "run"),
            "APIARY_BACKUPS_CACHE": str(place / "cache"),
        }
        (place / "backups.json").write_text(json.dumps(server.told))

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """`apiary-backups WORDS`."""
        return subprocess.Popen(
            [sys.executable, str(PACKAGE / "apiary-backups"), *words],
            env={**self.environment, "APIARY_LIB": str(PACKAGE)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ended(self, *words: str) -> float:
        """The same to its end, which is a good one; how long it took."""
        begun = time.monotonic()
        process = self.begin(*words)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        return time.monotonic() - begun

    def killed(self, chance: random.Random, usual: float, *words: str) -> None:
        part, process = chance.random(), self.begin(*words)
        time.sleep(part * usual)
        process.kill()
        process.communicate()
        print(f"`{' '.join(words)}` killed at {part:.2f} of {usual:.1f} s; status {process.returncode}", flush=True)

    def lose_volume(self) -> None:
        """It is empty and waits for its fill, as on a new disk; nobody has begun with it."""
        subprocess.run(["docker", "stop", "shop-1"], check=True)
        for file in self.volume.iterdir():
            file.unlink()
        waiting = self.server.records / "loading" / SAVED[1]
        waiting.parent.mkdir(exist_ok=True)
        waiting.write_text("waits")

    def keep(self, note: str) -> None:
        """What a client is told to be kept."""
        (self.volume / note).write_text(note)
        psql(f"INSERT INTO notes VALUES ('{note}')", "shop")  # noqa: S608 - of this test

    def expect_whole(self, note: str) -> None:
        """It is there and in the newest snapshots, all runs, nothing is left over, and the repository is sound."""
        assert (self.volume / note).read_text() == note
        assert note in psql("SELECT note FROM notes", "shop").splitlines()
        assert databases() == ["shop"]
        assert all(self.server.running().values())
        assert [path.name for path in self.volume.parent.iterdir()] == ["_data"]
        assert not list(self.server.records.glob("journal*"))
        assert not list(self.server.records.glob("loading/*"))
        assert not list(self.server.records.glob("stopped*"))
        repository = self.server.restic
        repository.check(100)
        newest = {str(item): one for item, one in repository.newest().items()}
        assert note.encode() in repository.read(newest[SAVED[0]].id)
        assert f"/{note}" in repository.calls.output(["ls", newest[SAVED[1]].id, "--no-lock"])
        repository.unlock()
        assert repository._locks() == []


@pytest.fixture
def host(cluster: Path, restic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("PGHOST", str(cluster))
    server = make(tmp_path, monkeypatch)
    use_true_restic(server, restic)
    server.told |= {
        "volumes": {"uploads": {"stop": ["shop"]}},
        "databases": {"postgres": {"engine": "postgresql"}},
        "applications": {"shop": {"volumes": ["uploads"], "databases": [["postgres", "shop"]]}},
        "order": ["postgres", "shop"],
        "keep": {"last": 2},
    }
    server.container("postgres")
    server.container("shop", "uploads")
    program(server, "apiary-await", "exit 0")
    psql("CREATE ROLE shop LOGIN")
    psql("CREATE DATABASE shop OWNER shop")
    psql(
        "SET ROLE shop; CREATE TABLE notes (note text); CREATE TABLE padding AS SELECT generate_series(1, 50000)",
        "shop",
    )
    made = Host(server, tmp_path)
    made.ended("run")
    yield made
    for name in databases():
        psql(f'DROP DATABASE "{name}" WITH (FORCE)')
    psql("DROP ROLE shop")


@pytest.mark.parametrize(
    "words",
    [["run"], ["prune"], ["restore"], ["fill", "--databases", "postgres"], ["fill", "--volumes"]],
    ids=" ".join,
)
def test_a_process_that_is_killed_is_ended_by_the_same_line(
    host: Host, chance: random.Random, words: list[str]
) -> None:
    usual = 0.0
    for number in range(ROUNDS * 10):
        note = f"{words[0]}-{number}"
        host.keep(note)
        if words[0] != "run":
            host.ended("run")
        _before(host, words)
        if not usual:
            usual = host.ended(*words)
            _before(host, words)
        host.killed(chance, usual, *words)
        host.ended(*words)
        if "--volumes" in words:
            subprocess.run(["docker", "start", "shop-1"], check=True)
        host.expect_whole(note)


def _before(host: Host, words: list[Any]) -> None:
    match words:
        case ["restore"]:
            host.keep(f"since-{time.monotonic_ns()}")
        case ["fill", "--volumes"]:
            host.lose_volume()
        case ["fill", *_]:
            psql("DROP DATABASE shop WITH (FORCE)")
