"""A volume put back: what uses it is stopped in order; the present state comes back where the other does not serve."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.unit.backups_server import Server
from tests.unit.backups_shop import SITE, UPLOADS, acts, beside, contents, program

from apiary_backups import docker, filling, restore, serving  # isort: skip - the module above puts it on the path
from apiary_backups.errors import BackupsError, UnreachableError, WrongPasswordError  # isort: skip
from apiary_backups.items import Item  # isort: skip
from apiary_backups.journal import Book, TakenBackError, Wish  # isort: skip
from apiary_backups.restic import Restic, Snapshot  # isort: skip


def test_a_volume_comes_back_and_who_uses_it_stands_still_meanwhile(shop: Server) -> None:
    told: list[str] = []
    restore.restore(shop.config, UPLOADS, told.append)
    assert contents(shop) == {"picture": "good"}
    assert beside(shop) == []
    assert acts(shop) == ["stop viewer-1", "stop shop-1", "start shop-1", "start viewer-1"]
    assert all(shop.running().values())
    assert Book(shop.records).read() is None
    assert "volume:uploads: snapshot " in told[0]
    assert "as of 2" in told[-1]


def test_an_application_is_proved_by_its_own_question_and_through_the_proxy(shop: Server) -> None:
    program(shop, "apiary-verdict", f'cat > {shop.place}/told; echo "$APIARY_RECORD" > {shop.place}/record')
    record = {"proxy": ["proxy-1"], "applications": {"shop": {"container": "shop-0", "sites": {"a.example": SITE}}}}
    (shop.place / "verdict.json").write_text(json.dumps(record))
    restore.restore(shop.config, UPLOADS, lambda _: None)
    asked = (shop.place / "proved").read_text().splitlines()
    assert asked[0] == "apiary-await shop-1 --timeout 300 --http 8080 / 200 a.example"
    told = json.loads((shop.place / "told").read_text())
    assert told["applications"] == {"shop": {"container": "shop-1", "sites": {"a.example": SITE}}}
    assert not Path((shop.place / "record").read_text().strip()).exists(), "the last verdict would excuse it"


def test_what_does_not_serve_is_taken_back(shop: Server) -> None:
    folder = shop.place / "volumes" / "uploads" / "_data"
    (folder / "picture").write_text("bad")
    shop.restic.save_folder(Item.volume("uploads"), folder)
    (folder / "picture").write_text("spoilt")
    with pytest.raises(TakenBackError, match="answered 500; what was there before is there again, and serves"):
        restore.restore(shop.config, UPLOADS, lambda _: None)
    assert contents(shop) == {"picture": "spoilt", "more": "since"}
    assert beside(shop) == []
    assert all(shop.running().values())


def test_what_can_not_be_stopped_is_left_as_it_is(shop: Server) -> None:
    shop.state["fail"] = {"stop shop-1": "it hangs"}
    shop.keep()
    with pytest.raises(BackupsError, match="it hangs"):
        restore.restore(shop.config, UPLOADS, lambda _: None)
    assert contents(shop) == {"picture": "spoilt", "more": "since"}
    assert shop.running()["viewer-1"]


def test_a_job_that_runs_is_started_again_and_one_that_does_not_is_not(shop: Server) -> None:
    shop.container("sweep", "uploads", kind="jobs")
    shop.container("rest", "uploads", kind="jobs", running=False)
    restore.restore(shop.config, UPLOADS, lambda _: None)
    assert "start sweep-1" in acts(shop)
    assert shop.running()["rest-1"] is False


def test_an_application_that_was_down_is_started_by_its_newest_container(shop: Server) -> None:
    shop.container("shop", "uploads", running=False)
    shop.state["containers"][-1]["Id"] = "shop-2"
    shop.keep()
    restore.restore(shop.config, UPLOADS, lambda _: None)
    assert shop.running()["shop-2"]
    assert not shop.running()["shop-1"]


def test_a_database_server_that_has_a_volume_of_the_restore_is_refused_with_others(shop: Server) -> None:
    shop.told["databases"] = {"postgres": {"engine": "postgresql"}}
    shop.told["applications"]["shop"]["databases"] = [["postgres", "shop"]]
    shop.container("postgres", "uploads")
    shop.restic.save_output(Item.of_database("postgres", "shop"), ["echo", "rows"])
    with pytest.raises(BackupsError, match=r"postgres stands still .* first WHAT=...:volume:uploads"):
        restore.restore(shop.config, Wish(("shop",)), lambda _: None)


def test_a_job_that_uses_a_database_stands_still_while_it_runs(shop: Server) -> None:
    shop.told["databases"] = {"postgres": {"engine": "postgresql"}}
    shop.told["jobs"] = {
        "report": [["postgres", "shop"]],
        "seldom": [["postgres", "shop"]],
        "other": [["postgres", "x"]],
    }
    shop.container("postgres")
    for name in ("report", "seldom", "other"):
        shop.container(name, kind="jobs", running=name != "seldom")
    shop.restic.save_output(Item.of_database("postgres", "shop"), ["echo", "rows"])
    assert "stands still meanwhile: report" in restore.planned(shop.config, Wish(("postgres/shop",)))


def test_what_is_on_another_server_is_said_beforehand(shop: Server) -> None:
    """An application's database there, which stays as it is; who uses a database from there, and is not stopped."""
    shop.told["applications"]["shop"]["elsewhere"] = ["db1:mariadb/shop"]
    shop.told["databases"] = {"postgres": {"engine": "postgresql", "used_from": [["wiki", "web2:wiki"]]}}
    shop.container("postgres")
    shop.restic.save_output(Item.of_database("postgres", "wiki"), ["echo", "rows"])
    lines = restore.planned(shop.config, Wish(("shop",)))
    assert lines[1].endswith("stays as it is; to put that back too: make restore WHAT=db1:mariadb/shop")
    lines = restore.planned(shop.config, Wish(("postgres/wiki",)))
    assert lines[2] == (
        "runs on meanwhile, since this server has not started it: web2:wiki; to close it to visitors first: "
        "make maintenance APP=web2:wiki"
    )
    assert not any("runs on" in line for line in restore.planned(shop.config, Wish(("shop",))))


def test_what_is_restored_is_no_half_of_a_fill_any_more(shop: Server) -> None:
    """What is written from now on would be dropped by the fill that goes on."""
    filling.begin(Item.volume("uploads"))
    restore.restore(shop.config, Wish(("uploads",)))
    assert filling.unfinished(shop.config) == {}


def test_beside_it_is_another_volume_and_nothing_stops(shop: Server) -> None:
    restore.restore(shop.config, Wish(("uploads",), to="look"), lambda _: None)
    assert contents(shop, "look") == {"picture": "good"}
    assert contents(shop) == {"picture": "spoilt", "more": "since"}
    assert acts(shop) == []
    with pytest.raises(BackupsError, match="there is a volume look already"):
        restore.restore(shop.config, Wish(("uploads",), to="look"), lambda _: None)


def test_a_moment_without_a_snapshot_is_refused_with_the_oldest(shop: Server) -> None:
    with pytest.raises(BackupsError, match="nothing as old as 2020-01-01; the oldest snapshot is of 2"):
        restore.restore(shop.config, Wish(("uploads",), at="2020-01-01"), lambda _: None)


def test_a_disk_without_room_is_no_place_for_two(shop: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "SPARE_BYTES", 1 << 60)
    with pytest.raises(BackupsError, match=r"free, and this takes .* beside what is there; make room"):
        restore.restore(shop.config, UPLOADS, lambda _: None)
    assert Book(shop.records).read() is None


def test_a_container_by_hand_is_no_part_of_the_order(shop: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    known = docker.containers
    monkeypatch.setattr(docker, "containers", lambda stack: [one for one in known(stack) if one.name != "viewer"])
    with pytest.raises(BackupsError, match="viewer-1, no part of this stack, use volume uploads"):
        restore.restore(shop.config, UPLOADS, lambda _: None)


def test_a_repository_that_fails_half_way_changes_nothing(shop: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def restored(self: object, snapshot: str, target: Path) -> Path:
        (target / "half").mkdir()
        raise UnreachableError("the repository has gone")

    monkeypatch.setattr("apiary_backups.restic.Restic.restore", restored)
    with pytest.raises(UnreachableError, match="has gone"):
        restore.restore(shop.config, UPLOADS, lambda _: None)
    assert contents(shop) == {"picture": "spoilt", "more": "since"}
    assert beside(shop) == []
    assert acts(shop) == []


def test_a_wrong_password_is_said_as_such(shop: Server) -> None:
    shop.told["environment"] = {"RESTIC_PASSWORD": "another"}
    with pytest.raises(WrongPasswordError):
        restore.restore(shop.config, UPLOADS, lambda _: None)


class Killed(BaseException):
    """The power went."""


@dataclass
class Near:
    """The same server within this process, so that it can be killed a hundred times: before each change on its disk
    and each call of Docker.
    """

    state: dict[str, Any]
    snapshots: list[Snapshot]
    left: int | None = None

    def step(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Killed
            self.left -= 1

    def docker(self, *arguments: str, **_: Any) -> str:
        self.step()
        by_id = {one["Id"]: one for one in self.state["containers"]}
        match arguments:
            case ["ps", *rest]:
                running = [name for name, one in by_id.items() if one["State"]["Running"] and one["Mounts"]]
                return " ".join(running if "volume=uploads" in rest else by_id)
            case ["container", "inspect", *ids]:
                return json.dumps([by_id[one] for one in ids])
            case ["volume", "ls", *_]:
                return " ".join(self.state["volumes"])
            case ["volume", "inspect", name]:
                return json.dumps([{"Mountpoint": self.state["volumes"][name]}])
            case ["volume", "create", *_, name]:
                path = Path(self.state["volumes"]["uploads"]).parents[1] / name / "_data"
                os.makedirs(path)
                self.state["volumes"][name] = str(path)
            case ["volume", "rm", name]:
                os.system(f"rm -r {Path(self.state['volumes'].pop(name)).parent}")  # noqa: S605
            case ["stop" | "start", one]:
                by_id[one]["State"]["Running"] = arguments[0] == "start"
        return "/"

    def restore(self, snapshot: str, target: Path) -> Path:
        self.step()
        os.mkdir(target / "_data")
        self.step()
        (target / "_data" / "picture").write_text("good")
        return target / "_data"

    def running(self) -> bool:
        return all(one["State"]["Running"] for one in self.state["containers"])


@pytest.fixture
def near(shop: Server, monkeypatch: pytest.MonkeyPatch) -> Near:
    made = Near(shop.state, shop.restic.snapshots())

    def stepping(real: Any) -> Any:
        def step(*arguments: Any, **options: Any) -> Any:
            made.step()
            return real(*arguments, **options)

        return step

    for owner, name in ((Path, "rename"), (Path, "replace"), (Path, "unlink"), (os, "replace"), (shutil, "rmtree")):
        monkeypatch.setattr(owner, name, stepping(getattr(owner, name)))
    monkeypatch.setattr(docker, "call", made.docker)
    monkeypatch.setattr(Restic, "snapshots", lambda *_: made.snapshots)
    monkeypatch.setattr(Restic, "restore", lambda _, snapshot, target: made.restore(snapshot, target))
    monkeypatch.setattr(os, "sync", lambda: None)
    return made


@pytest.mark.parametrize("serves", ["good", "spoilt"])
def test_killed_at_any_step_the_same_line_ends_it(
    shop: Server, near: Near, monkeypatch: pytest.MonkeyPatch, serves: str
) -> None:
    folder, now = shop.place / "volumes" / "uploads" / "_data", contents(shop)

    def proved(*_: object) -> None:
        if contents(shop)["picture"] != serves:
            raise BackupsError("answered 500")

    monkeypatch.setattr(serving, "proved", proved)
    ends: set[str] = set()

    def end() -> None:
        try:
            restore.restore(shop.config, UPLOADS, lambda _: None)
            ends.add("restored")
        except TakenBackError:
            ends.add("taken back")

    for count in range(1000):
        near.left = count
        try:
            end()
            break
        except Killed:
            near.left = None
            end()
        assert contents(shop) == ({"picture": "good"} if serves == "good" else now)
        assert beside(shop) == []
        assert near.running()
        assert Book(shop.records).read() is None
        (folder / "picture").write_text(now["picture"])
        (folder / "more").write_text(now["more"])
    assert count > 20
    assert ends == {"restored" if serves == "good" else "taken back"}


def test_killed_at_any_step_beside_is_made_anew_by_the_same_line(shop: Server, near: Near) -> None:
    wish = Wish(("uploads",), to="look")
    for count in range(1000):
        near.left = count
        try:
            restore.restore(shop.config, wish, lambda _: None)
            break
        except Killed:
            near.left = None
            restore.restore(shop.config, wish, lambda _: None)
        assert contents(shop, "look") == {"picture": "good"}
        near.docker("volume", "rm", "look")
    assert count > 5


@pytest.mark.parametrize(
    ("entries", "asked"),
    [
        (["*.example.com"], "apiary-health.example.com"),
        (["*.example.com", "shop.example.com"], "shop.example.com"),
        (["example.com/api"], "example.com"),
    ],
)
def test_an_application_is_asked_by_a_name_that_visitors_have(shop: Server, entries: list[str], asked: str) -> None:
    record = {"applications": {"shop": {"sites": dict.fromkeys(entries, SITE)}}}
    (shop.place / "verdict.json").write_text(json.dumps(record))
    assert serving.question("shop") == ["--http", "8080", "/", "200", asked]


@pytest.fixture(autouse=True)
def _nothing_left(server: Server) -> Iterator[None]:
    yield
    assert not list((server.place / "state" / "restoring").glob("*.part"))
