"""Backup, prune, restore, rehearsal and a rebuild that are killed at random moments: one line ends each of them,
nothing that was confirmed before the last backup is lost, and the repository is sound.

SOAK_ROUNDS is how many of each kind (20 when it is not given, so a hundred in all), SOAK_SEED repeats a run. What is
killed: the operator's own command, the process on the server, all of its processes there, or the server's power or its
network goes; SOAK_HOW is the one of these.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from lab.shell import docker
from tests.lab.hive import Hive, until
from tests.lab.test_backups import expect_kept, keep, rows, serves
from tests.lab.test_heal import UP
from tests.soak.rounds import HOW, ROUNDS

pytestmark = pytest.mark.timeout(12 * 3600)

WAYS = ["the command", "the process", "all processes", "the power", "the network"]
# Seconds without a network: less and more than `ssh` waits for an answer (components/connection.py).
AWAY = [10, 50]
# What is sent and what comes, also to and from containers; `ufw` has its rules elsewhere.
CUT = """
for tables in iptables ip6tables; do
    $tables -w -t raw "$1" PREROUTING -i ens3 -j DROP
    $tables -w -t mangle "$1" POSTROUTING -o ens3 -j DROP
done
"""
DEBIANS = {2136: 2625, 2625: 2136}
RESTORED = ("web1", "web1:diary", "web1:files", "web1:guestbook", "web1:mariadb/shared", "web1:postgres/guestbook")
# On the server: the repository as its own command sees it; prints what is wrong, as a line each.
SOUND = """
import sys
sys.path.insert(0, "/usr/local/lib/apiary")
from apiary_backups import config, restic
from apiary_backups.items import Item
told = config.read()
found = restic.Restic(told)
found.unlock()
if left := found.calls.output(["list", "locks", "--no-lock"]).split():
    print("locks are left:", *left)
found.check(100)
newest = found.newest()
for item in ("database:postgres:guestbook", "database:mariadb:shared"):
    if sys.argv[1].encode() not in found.read(newest[Item.parse(item)].id):
        print(f"{item} has no {sys.argv[1]}")
if sys.argv[1] not in found.calls.output(["ls", newest[Item.parse("volume:uploads")].id, "--no-lock"]):
    print(f"volume:uploads has no {sys.argv[1]}")
"""
# What an act that came to its end leaves nowhere.
LEFT = r"""
ls -A /var/lib/apiary/backups/restoring 2>/dev/null | grep -v '^verdict.json$'
cd /var/lib/apiary/backups; ls journal.json stopped.json loading/* 2>/dev/null
find /var/lib/docker/volumes -maxdepth 2 -name '.*apiary*'
for what in 'ps -aq' 'volume ls -q' 'network ls -q'; do docker $what --filter label=apiary.drill; done
docker exec $(docker ps -q --filter label=apiary.resource=applications.postgres) \
  psql -U postgres -Atc "select datname from pg_database where datname like 'apiary%'"
true
"""


@pytest.fixture(scope="module")
def written(saved: Hive) -> Hive:
    """The hive, up, with notes in it."""
    saved.up()
    until(lambda: serves(saved), 120, "the sites are served")
    return saved


class Begun:
    """A line that was typed, to be killed."""

    def __init__(self, hive: Hive, words: list[str]) -> None:
        hive.write()
        self.hive, self.words, self.begun = hive, words, time.monotonic()
        self.process = subprocess.Popen(
            [*words, "--stack", "lab"],
            cwd=hive.program,
            env=hive.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def killed(self, chance: random.Random, usual: float) -> bool:
        """Kill it, or what it does on the server, at a random moment of the seconds that it usually takes; whether
        there was anything to be killed then.
        """
        part, how, away = chance.random(), HOW or chance.choice(WAYS), chance.choice(AWAY)
        is_real = False
        try:
            self.process.communicate(timeout=part * usual)
            how = "nothing, it was done"
        except subprocess.TimeoutExpired:
            is_real = self._kill(how, away)
            how += f" for {away} s" if how == "the network" else ""
            try:
                self.process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                # It goes on, or waits for a server that was away: the next line would come after it.
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.communicate()
        print(
            f"`{' '.join(self.words[1:])}`: killed {how} at {part:.2f} of {usual:.0f} s; status "
            f"{self.process.returncode}{'' if is_real else '; no kill'}",
            flush=True,
        )
        return is_real

    def _kill(self, how: str, away: int) -> bool:
        match how:
            case "the command":
                os.killpg(self.process.pid, signal.SIGKILL)
            case "the process":
                return self._ends("-f", "^/usr/bin/python3 /usr/local/sbin/apiary-backups")
            case "all processes":
                which = (["-f", "apiary-backups"], ["-x", "restic"], ["-x", "pg_dump"])
                return sum(self._ends(*chosen) for chosen in which) > 0
            case "the power":
                # One that is being made has no Docker yet.
                working = list(filter(self._is_up, self.hive.servers()))
                for name in working:
                    machine = self.hive.machine(name)
                    docker("kill", machine, step="the power goes")
                    docker("start", machine, step="and comes back", timeout=120)
                until(lambda: all(map(self._is_up, working)), 180, "Docker runs on the server again")
                return bool(working)
            case "the network":
                machines = [self.hive.machine(name) for name in self.hive.servers() if self._is_up(name)]
                for machine in machines:
                    docker("exec", machine, "sh", "-euc", CUT, "sh", "-I", step="the network goes")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.communicate(timeout=away)
                for machine in machines:
                    # One may have been replaced meanwhile.
                    subprocess.run(["docker", "exec", machine, "sh", "-euc", CUT, "sh", "-D"], check=False)
                return bool(machines)

        return True

    def _ends(self, *chosen: str) -> bool:
        """Whether there was one."""
        words = [["docker", "exec", self.hive.machine(name), "pkill", "-KILL", *chosen] for name in self.hive.servers()]
        return sum(subprocess.run(one, check=False).returncode == 0 for one in words) > 0

    def _is_up(self, name: str) -> bool:
        asked = ["docker", "exec", self.hive.machine(name), "timeout", "5", "docker", "ps"]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0


def operations(*words: str) -> list[str]:
    return [sys.executable, "-m", "operations", *words]


def expect_killed(what: str, kills: list[bool]) -> None:
    """Of the rounds enough were kills: one in which the line had ended, or nothing ran to be killed, shows nothing."""
    print(f"{what}: {sum(kills)} kills in {len(kills)} rounds", flush=True)
    assert sum(kills) >= len(kills) // 2, f"{what}: too few kills"


def ended(hive: Hive, *words: str) -> float:
    """The one line that ends it; how long it took."""
    begun = time.monotonic()
    done = hive.operations(*words, check=False)
    print(f"  `{' '.join(words)}` ended with {done.returncode} after {time.monotonic() - begun:.0f} s", flush=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return time.monotonic() - begun


def expect_whole(hive: Hive, note: str) -> None:
    """All is served, with all that was confirmed by then; the repository is sound and has it; nothing is left over."""
    until(lambda: serves(hive), 180, "the sites are served")
    expect_kept(hive, note)
    done = hive.server_command("python3", "-c", SOUND, note)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    assert hive.on_server(LEFT) == ""


@pytest.mark.parametrize("verb", ["backup", "prune", "drill"])
def test_what_is_killed_is_ended_by_the_same_line(written: Hive, chance: random.Random, verb: str) -> None:
    keep(written, f"{verb} first")
    written.operations("backup")
    usual, kills = ended(written, verb), []
    for number in range(ROUNDS):
        note = f"{verb} {number}"
        keep(written, note)
        if verb == "prune":
            # Something to remove: of one day one snapshot of each item is kept.
            written.operations("backup")
            keep(written, f"{note}, since")
        kills.append(Begun(written, operations(verb)).killed(chance, usual))
        ended(written, verb)
        if verb == "drill":
            written.operations("backup")
        expect_whole(written, note)
    expect_killed(verb, kills)


def test_a_restore_that_is_killed_is_finished_or_taken_back_by_the_same_line(
    written: Hive, chance: random.Random
) -> None:
    keep(written, "restore first")
    written.operations("backup")
    usual, kills = dict.fromkeys(RESTORED, 0.0), []
    for number in range(ROUNDS):
        what = chance.choice(RESTORED)
        line = ["restore", what, "--yes"]
        usual[what] = usual[what] or ended(written, *line)
        note = f"restore {number}"
        keep(written, note)
        written.operations("backup")
        keep(written, f"{note}, since")
        kills.append(Begun(written, operations(*line)).killed(chance, usual[what]))
        ended(written, *line)
        expect_whole(written, note)
        # What was not to be restored has lost nothing at all.
        for site, item in (("guestbook", "postgres/guestbook"), ("diary", "mariadb/shared")):
            if what not in ("web1", f"web1:{site}", f"web1:{item}"):
                assert f"{note}, since" in rows(written, site)
    expect_killed("restore", kills)


def test_a_rebuild_that_is_killed_is_finished_by_heal_with_its_data(written: Hive, chance: random.Random) -> None:
    usual, kills = 240.0, []
    for number in range(ROUNDS):
        note = f"rebuild {number}"
        keep(written, note)
        written.operations("backup")
        server = written.settings["apiary:servers"]["web1"]
        server["os"] = DEBIANS[server["os"]]
        begun = time.monotonic()
        kills.append(Begun(written, ["pulumi", *UP, "--non-interactive"]).killed(chance, usual))
        ended(written, "heal", "--yes")
        usual = time.monotonic() - begun  # both of them: what heal had left to do alone comes too early the next time
        expect_whole(written, note)
        written.expect_nothing_left()
        written.expect_no_changes()
    expect_killed("rebuild", kills)
