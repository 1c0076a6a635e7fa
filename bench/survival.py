"""What survives what: rows that were confirmed to a visitor, through all that can happen to a hive.

Makes, one after another in regions of their own, a hive (tests/lab/stacks/backups.yaml, with one site and its
database) whose data are on the server's disk, on block storage, and on the disk with backups. A visitor writes one row
after another through the site meanwhile. Of each thing that happens it tells what is lost, as seconds of writes that
were confirmed and are not there afterwards, and for how long no row was confirmed, with an operator who types the next
line at once.
"""

from __future__ import annotations

import copy
import itertools
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bench.report import Report
from lab import cli
from lab.paths import CHECKOUT, Paths
from lab.shell import docker
from tests.lab.hive import LABEL, Hive, until
from tests.lab.test_restore import forget_state, lose_state, pushed, recovered

STACK_FILE = CHECKOUT / "tests" / "lab" / "stacks" / "backups.yaml"
NO_STORE = CHECKOUT / "tests" / "lab" / "stacks" / "spine.yaml"  # of a region that has none
SITE, SERVER, DATABASE, JOB = "guestbook.example.net", "web1", "postgres", "dbsetup"
OTHERS = ("diary", "mariadb", "files")  # of the stack file, and not needed here
DEBIAN_13, ELSEWHERE, GB = 2625, "ams", 10
BEFORE_SECONDS, AFTER_SECONDS = 5.0, 10.0  # of writes, before the last backup and after it
BACK_SECONDS = 900.0
# Runs in the prober. Each row has a connection of its own; one is confirmed when the site has answered that it is kept.
VISITOR = """
import http.client, os, socket, sys, time
host, confirmed, flag = sys.argv[1:]
number = 0
with open(confirmed, "w", buffering=1) as rows:
    while not os.path.exists(flag):
        number += 1
        begun = time.time()
        try:
            address = socket.getaddrinfo(host, 80, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
            connection = http.client.HTTPConnection(address, 80, timeout=2)
            connection.request("POST", "/", body=f"{flag} {number}".encode(), headers={"Host": host})
            if connection.getresponse().status == 201:
                print(number, begun, file=rows)
            connection.close()
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.05)
"""


@dataclass(frozen=True)
class Row:
    """One that was confirmed, and when it was written, by this machine's clock."""

    text: str
    at: float


@dataclass(frozen=True)
class Cell:
    """What became of a hive. `lost` is in seconds of writes, None for all that ever was; `away` in seconds."""

    lost: float | None
    away: float

    def __str__(self) -> str:
        lost = "all" if self.lost is None else f"{self.lost:.1f} s" if self.lost else "nothing"
        return f"{lost}; {self.away:.0f} s" if self.away >= 1 else f"{lost}; not away"


def outcome(confirmed: list[Row], kept: set[str], begun: float) -> Cell:
    """By the rows confirmed to the visitor, in order, those that are there now, and when it began to happen.

    What was confirmed after it is back is no part of it; raises ValueError where nothing was.
    """
    before = [row for row in confirmed if row.at < begun]
    since = [row.at for row in confirmed if row.at >= begun]
    if not before or not since:
        raise ValueError("nothing was confirmed before it, or nothing since")
    moments = [begun, *since]
    gaps = [(later - earlier, later) for earlier, later in itertools.pairwise(moments)]
    away, back = max(gaps)
    written = [row for row in confirmed if row.at < back]
    lost = [row for row in written if row.text not in kept]
    left = [row for row in written if row.text in kept]
    if not left:
        return Cell(None, away)
    # From the last row before the first one that is missing.
    spans = [row.at - max((one.at for one in left if one.at < row.at), default=written[0].at) for row in lost]
    return Cell(max(spans, default=0.0), away)


@dataclass
class Visitor:
    """Writes rows without a pause until it leaves."""

    hive: Hive
    flag: str = field(default_factory=lambda: f"/tmp/{time.monotonic_ns()}")  # noqa: S108 - in the prober

    def __enter__(self) -> Visitor:
        self._process = self.hive.in_prober("python3", "-c", VISITOR, SITE, self._file, self.flag)
        until(lambda: len(self.confirmed()) > 1, BACK_SECONDS, "rows are confirmed")
        return self

    def __exit__(self, *_: object) -> None:
        self.hive.prober("touch", self.flag)
        self._process.communicate(timeout=60)

    @property
    def _file(self) -> str:
        return f"{self.flag}.rows"

    def confirmed(self) -> list[Row]:
        """The rows so far."""
        lines = [line.split() for line in self.hive.prober("cat", self._file).stdout.split("\n")[:-1]]
        return [Row(f"{self.flag} {number}", float(at)) for number, at in lines]

    def wait(self, seconds: float) -> None:
        """Until so many more seconds of rows are confirmed."""
        begun = time.time()
        until(
            lambda: self.confirmed()[-1].at > begun + seconds,
            BACK_SECONDS,
            f"rows are confirmed for {seconds:.0f} s more",
        )


def rows(hive: Hive) -> set[str]:
    """Those that the database has."""
    shown = "psql --username postgres --dbname guestbook -Atc 'SELECT note FROM notes'"
    return set(hive.on_server(f"docker exec {hive.container(DATABASE)} {shown}").splitlines())


def measured(hive: Hive, happens: Callable[[], object], before: Callable[[], object] | None = None) -> Cell:
    """What `happens` costs a visitor; `before` is done while all is well."""
    with Visitor(hive) as visitor:
        visitor.wait(BEFORE_SECONDS)
        if before:
            before()
        visitor.wait(AFTER_SECONDS)
        begun = time.time()
        happens()
        visitor.wait(0)
    return outcome(visitor.confirmed(), rows(hive), begun)


# --- what happens, and what the operator does then


def killed(hive: Hive) -> None:
    """The database's process, as by a lack of memory: Docker starts it again."""
    hive.on_server(f"kill -9 $(docker inspect -f '{{{{.State.Pid}}}}' {hive.container(DATABASE)})")


def rebooted(hive: Hive) -> None:
    hive.reboot(SERVER)


def removed(hive: Hive) -> None:
    """Site, database and all leave the stack file, and come back into it."""
    with hive.changed() as settings:
        for name in ("guestbook", DATABASE):
            del settings["apiary:applications"][name]
        del settings["apiary:jobs"][JOB]
        hive.up()
    hive.up()


def rebuilt(hive: Hive) -> None:
    hive.settings["apiary:servers"][SERVER]["os"] = DEBIAN_13
    hive.up()


def dead(hive: Hive) -> None:
    hive.lab("kill", f"{LABEL}{SERVER}")
    hive.operations("revive", SERVER, "--yes")


def region_gone(hive: Hive) -> None:
    """The server is dead, and the next one is made in another region."""
    hive.lab("kill", f"{LABEL}{SERVER}")
    hive.settings["apiary:servers"][SERVER]["region"] = ELSEWHERE
    hive.operations("revive", SERVER, "--yes")


def state_lost(hive: Hive) -> None:
    """What has no backups is lost with its disk."""
    lose_state(hive)
    hive.operations("retire", "--yes", *([] if "apiary:backups" in hive.settings else ["--lose"]))
    hive.up()


def repository_lost(hive: Hive) -> None:
    """The store has nothing any more; the next backup makes it anew."""
    docker("exec", hive.paths.name("store-rest"), "sh", "-c", "rm -rf /data/*")
    hive.operations("backup")


def laptop_lost(hive: Hive, folder: Path) -> None:
    """Checkout, keys and state are gone; what there is is the page in the safe."""
    page = hive.operations("recovery-kit").stdout
    forget_state(hive)
    shutil.rmtree(hive.program)
    recovered(hive, page, folder)


# --- the table

# In this order: none leaves a hive in which the next one would not be what it says.
EVENTS: Mapping[str, tuple[str, Callable[[Hive], object]]] = {
    "container": ("a container is killed", killed),
    "reboot": ("the server is rebooted", rebooted),
    "removed": ("an application is taken out, and put back", removed),
    "rebuilt": ("the server is rebuilt (`os`)", rebuilt),
    "dead": ("the server is dead: `make revive`", dead),
    "repository": ("the repository of the backups is lost: `make backup`", repository_lost),
    "region": ("its region is gone: `region`, `make revive`", region_gone),
    "state": ("the state is lost: `make adopt`, `make retire`, `pulumi up`", state_lost),
}
LAPTOP = "the operator's machine is lost, the state with it: the recovery kit"
NO_REPOSITORY = "there is none"
STAYS = "all, and refused before anything is touched: it can't leave its region"
AS_STATE = "as the state, and the stack file is what was pushed"
PLACES = {"disk": "on the disk", "storage": "on block storage", "backups": "on the disk, with backups"}


def settings(place: str) -> dict[str, Any]:
    """The `config` of the hive's stack file."""
    found: dict[str, Any] = yaml.safe_load(STACK_FILE.read_text())["config"]
    for name in OTHERS:
        del found["apiary:applications"][name]
    server = found["apiary:servers"][SERVER]
    server["dns"]["web"] = [SITE]
    del found["apiary:backups"], found["apiary:secrets"]
    if place == "storage":
        server["data"] = {"gb": GB}
    if place == "backups":
        own = yaml.safe_load(cli.STACK_FILE.read_text())["config"]
        found |= {key: copy.deepcopy(own[key]) for key in ("apiary:backups", "apiary:secrets")}
    return found


def measure(report: Report, folder: Path, places: Sequence[str]) -> None:
    """All cells of these PLACES, into the report as one table. Raises AssertionError with what did not come back."""
    tell(report, {place: column(place, folder / place) for place in places})


def tell(report: Report, cells: Mapping[str, Mapping[str, str]]) -> None:
    """The table of these cells, by place and event, and what they mean, into the report."""
    said = {key: text for key, (text, _) in EVENTS.items()} | {"laptop": LAPTOP}
    report.table = [
        "| what happens | " + " | ".join(PLACES[place] for place in cells) + " |",
        "| --- |" + " --- |" * len(cells),
        *(f"| {text} | " + " | ".join(one[key] for one in cells.values()) + " |" for key, text in said.items()),
    ]
    report.notes += [
        "Each cell: what is lost of the rows that were confirmed to a visitor, in seconds of writes; then for how long "
        "no row was confirmed, from the moment at which it happens, with an operator who types the next line at once.",
        f"With backups one was taken some {AFTER_SECONDS:.0f} s before: what a dead server or region loses is what "
        "came after the last backup, by the clock up to a day. Where the state or the machine is lost, the old server "
        "serves on until `make retire` has saved it, with those who write stopped, and deletes it.",
        "The server is a warm one of the lab (`python -m lab up --warm`): it has its packages and the layers of its "
        "images. At Vultr come the minutes that an instance takes, its packages and its image builds.",
    ]


def column(place: str, folder: Path) -> dict[str, str]:
    """The cells of one place, by event."""
    cli.up(Paths.find(), is_warm=True, stack_file=cli.STACK_FILE if place == "backups" else NO_STORE)
    try:
        hive = Hive.copy_of_the_checkout(Paths.find(), folder / "program", STACK_FILE)
        hive.settings = settings(place)
        hive.pulumi("stack", "select", "--create")
        hive.up()
        found: dict[str, str] = {}
        for key, (text, happens) in EVENTS.items():
            found[key] = _cell(place, key, hive, happens)
            print(f"{PLACES[place]}: {text}: {found[key]}", flush=True)
        found["laptop"] = AS_STATE
        if place == "backups":
            pushed(hive, folder / "origin.git")
            lost = measured(hive, lambda: laptop_lost(hive, folder), lambda: hive.operations("backup"))
            found["laptop"] = str(lost)
            print(f"{PLACES[place]}: {LAPTOP}: {lost}", flush=True)
        return found
    finally:
        cli.down(Paths.find(), everything=False)


def _cell(place: str, key: str, hive: Hive, happens: Callable[[Hive], object]) -> str:
    if key == "repository" and place != "backups":
        return NO_REPOSITORY
    if key == "region" and place == "storage":
        with hive.changed() as changed:
            changed["apiary:servers"][SERVER]["region"] = ELSEWHERE
            refused = hive.pulumi("up", "--yes", check=False)
        if refused.status == 0 or "protect" not in refused.output:
            raise AssertionError(f"a region that is left was not refused:\n{refused.output[-3000:]}")
        return STAYS
    saved = place == "backups" and key not in ("container", "reboot", "removed", "repository")
    before = (lambda: hive.operations("backup")) if saved else None
    return str(measured(hive, lambda: happens(hive), before))
