"""A rehearsal: what comes back and serves is proved, what does not is told, with its reason; nothing stays behind."""

from __future__ import annotations

import html.parser
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.unit.backups_server import Server

from apiary_backups import config, docker, drill, drill_page, drill_report, engines, restore  # isort: skip
from apiary_backups import serving, throwaway  # isort: skip
from apiary_backups.loading import Load  # isort: skip
from apiary_backups.errors import BackupsError  # isort: skip
from apiary_backups.items import Item  # isort: skip

UPLOADS, SHOP, ROLES = Item.volume("uploads"), Item.of_database("postgres", "shop"), Item.roles("postgres")
MARK = b"-- done"


@dataclass
class Copies:
    """Docker, as far as a rehearsal sees it."""

    place: Path
    originals: list[dict[str, Any]] = field(default_factory=list)
    copies: dict[str, dict[str, Any]] = field(default_factory=dict)  # by id
    volumes: dict[str, Path] = field(default_factory=dict)
    networks: list[str] = field(default_factory=list)
    labelled: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)

    def call(self, *arguments: str, **_: Any) -> str:
        match arguments:
            case ["info", *_]:
                return str(self.place)
            case ["ps", *_, chosen]:
                copies = chosen == "label=apiary.drill=apiary-test"
                return " ".join(self.copies if copies else [one["Id"] for one in self.originals])
            case ["container", "inspect", *ids]:
                return json.dumps([one for one in self.originals if one["Id"] in ids])
            case ["rm", "--force", "--volumes", *ids]:
                for one in ids:
                    del self.copies[one]
            case ["start", one]:
                self.started.append(one)
            case _:
                return self._made(*arguments)
        return ""

    def _made(self, *arguments: str) -> str:
        match arguments:
            case ["volume", "create", "--label", label, name]:
                self.labelled.append(label)
                self.volumes[name] = self.place / name / "_data"
                self.volumes[name].mkdir(parents=True)
            case ["volume", "inspect", name]:
                return json.dumps([{"Mountpoint": str(self.volumes[name])}])
            case ["volume", "ls", *_]:
                return " ".join(self.volumes)
            case ["volume", "rm", *names]:
                for name in names:
                    shutil.rmtree(self.volumes.pop(name).parent)
            case ["network", "create", "--internal", "--label", label, name]:
                self.labelled.append(label)
                self.networks.append(name)
            case ["network", "ls", *_]:
                return " ".join(self.networks)
            case ["network", "rm", *names]:
                self.networks = [one for one in self.networks if one not in names]
            case _:
                raise AssertionError(arguments)
        return ""

    def create(self, name: str, told: dict[str, Any]) -> str:
        self.copies[name] = told
        return name


class Engine:
    """A database server that keeps its dumps in memory."""

    loaded: dict[str, Path]

    def __init__(self, place: Path) -> None:
        self.place = place
        self.answered = "3"
        self.is_official = False

    def wait(self, container: str, seconds: float) -> None:
        """As after a first start whose init script makes tables."""
        if self.is_official:
            (self.place / SHOP.database).write_text("CREATE TABLE orders")

    def is_there(self, container: str, database: str) -> bool:
        return (self.place / database).exists()

    def is_empty(self, container: str, database: str) -> bool:
        return b"CREATE TABLE" not in (self.place / database).read_bytes()

    def prepare(self, container: str, database: str) -> None:
        assert not (self.place / database).exists(), "it would be loaded over what a first start has made"

    def drop(self, container: str, database: str) -> None:
        (self.place / database).unlink(missing_ok=True)

    def load_roles(self, container: str, dump: bytes, *, logins: bool = True) -> None:
        # What somebody may do to a table can't be said before there is one.
        assert not logins or list(self.place.iterdir())

    def listed(self, content: bytes) -> list[str]:
        return content.decode().split("databases:")[-1].split()

    def load(self, container: str, database: str) -> Load:
        return Load(["tee", str(self.place / database)], mark=MARK)

    def answer(self, container: str, database: str, sql: str) -> str:
        return self.answered


@dataclass
class Shop:
    """A shop with a volume and a database, saved by the true restic."""

    server: Server
    docker: Copies
    engine: Engine

    def rehearse(self) -> drill_report.Report:
        for path in self.engine.place.iterdir():
            path.unlink()
        report = drill.rehearsed(self.server.config)
        drill_report.keep(report)
        assert (self.docker.copies, self.docker.volumes, self.docker.networks) == ({}, {}, []), "something is left"
        return report

    def dump(self, text: str) -> None:
        self.server.restic.save_output(SHOP, ["printf", "%s", text])


@pytest.fixture
def shop(real: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    real.told |= {
        "volumes": {"uploads": {}},
        "databases": {"postgres": {"engine": "postgresql", "volumes": ["pgdata"]}},
        "applications": {
            "shop": {
                "volumes": ["uploads"], "databases": [["postgres", "shop"]], "http_port": 8080,
                "drill": {"sql": "SELECT count(*) FROM orders", "at_least": 2},
            },
            "site": {},
        },
        "order": ["postgres", "shop", "site"],
        "read_percent": 100,
    }  # fmt: skip
    real.restic.init()
    real.restic.save_folder(UPLOADS, real.volume("uploads", picture="good"))
    monkeypatch.setattr(restore, "SPARE_BYTES", 1)
    monkeypatch.setattr(serving, "VERDICT_RECORD", tmp_path / "none")
    monkeypatch.setattr(serving, "proved", lambda *_: None)
    monkeypatch.setattr(config, "METRICS", tmp_path / "metrics")
    (tmp_path / "docker").mkdir()
    (tmp_path / "engine").mkdir()
    copies = Copies(tmp_path / "docker", [container("postgres", "pgdata"), container("shop", "uploads", "cache")])
    engine = Engine(tmp_path / "engine")
    monkeypatch.setattr(docker, "call", copies.call)
    monkeypatch.setattr(throwaway, "_create", copies.create)
    monkeypatch.setitem(engines.BY_NAME, "postgresql", engine)
    made = Shop(real, copies, engine)
    real.restic.save_output(ROLES, ["printf", "%s", "CREATE ROLE shop;\n-- apiary: end\n"])
    made.dump("CREATE TABLE orders;\n-- done\n")
    return made


def container(name: str, *volumes: str) -> dict[str, Any]:
    return {
        "Id": f"{name}-1",
        "Image": "sha256:1",
        "Created": "2026-01-01T00:00:00Z",
        "Config": {
            "Labels": {
                "apiary.resource": f"applications.{name}",
                "apiary.stack": "apiary-test",
                "apiary.proxy": "true",
            },
            "Env": ["DB_HOST=postgres"],
            "StopTimeout": 1,
            "Healthcheck": {"Test": ["CMD", "healthy"]},
        },
        "HostConfig": {
            "CapDrop": ["ALL"],
            "Memory": 7,
            "PortBindings": {"80/tcp": []},
            "RestartPolicy": {"Name": "always"},
        },
        "State": {"Running": True},
        "Mounts": [
            *({"Type": "volume", "Name": one, "Destination": f"/{one}", "RW": True} for one in volumes),
            {"Type": "bind", "Source": "/etc/apiary/access/x", "Destination": "/run/access", "RW": False},
            {"Type": "bind", "Source": "/srv/media", "Destination": "/media", "RW": True},
        ],
    }


class Busy:
    """Docker while it still removes what a killed rehearsal had it remove; `looks` until it is done."""

    def __init__(self, looks: float) -> None:
        self.looks, self.left = looks, ["drill-x-shop"]

    def call(self, *arguments: str) -> str:
        match arguments:
            case ["ps", *_]:
                self.looks -= 1
                return " ".join(self.left if self.looks > 0 else [])
            case ["rm", *_]:
                raise BackupsError("docker rm: removal of container drill-x-shop is already in progress")
            case [("volume" | "network"), "ls", *_]:
                return ""
        raise AssertionError(arguments)


def test_what_docker_still_removes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a rehearsal that was killed a second ago."""
    monkeypatch.setattr(throwaway, "LOOK_SECONDS", 0)
    monkeypatch.setattr(docker, "call", Busy(4).call)
    throwaway.clean("x")


def test_what_never_goes_is_told_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throwaway, "GONE_SECONDS", 0)
    monkeypatch.setattr(docker, "call", Busy(float("inf")).call)
    with pytest.raises(BackupsError, match="already in progress"):
        throwaway.clean("x")


@pytest.mark.parametrize("is_official", [False, True])
def test_what_comes_back_and_serves_is_proved(shop: Shop, tmp_path: Path, *, is_official: bool) -> None:
    shop.engine.is_official = is_official
    report = shop.rehearse()
    assert report.status == "ok", report
    assert {name: one.status for name, one in report.items.items()} == dict.fromkeys(
        map(str, (ROLES, SHOP, UPLOADS)), "ok"
    )
    assert report.applications["shop"].proof == "healthy; SELECT count(*) FROM orders: 3"
    assert list(report.applications) == ["shop"], "what has no data has nothing to prove"
    told = json.loads((tmp_path / "state" / "drill.json").read_text())
    assert told["status"] == "ok"
    assert told["items"]["volume:uploads"]["proved"] == told["proved"] != ""
    assert "apiary_drill_status 1" in (tmp_path / "metrics" / "backups.prom").read_text()
    assert shop.docker.started == ["drill-apiary-test-postgres", "drill-apiary-test-shop"]
    assert set(shop.docker.labelled) == {"apiary.drill=apiary-test"}


def test_a_database_that_was_dropped_is_not_rehearsed_for_ever(shop: Shop) -> None:
    """Its snapshots stay for as long as they are kept."""
    saved = shop.server.restic.save_output
    saved(Item.of_database("postgres", "old"), ["printf", "%s", "CREATE TABLE gone;\n-- done\n"])
    saved(ROLES, ["printf", "%s", "CREATE ROLE shop;\n-- apiary: end\n-- databases: shop\n"])
    report = shop.rehearse()
    assert report.status == "ok"
    assert sorted(report.items) == ["database:postgres:shop", "roles:postgres", "volume:uploads"]


def test_a_copy_can_reach_nothing_of_the_server(shop: Shop) -> None:
    told = throwaway.body("apiary-test", container("shop", "uploads"), "shop", {"uploads": "drill-apiary-test-uploads"})
    assert told["HostConfig"]["Mounts"] == [
        {"Type": "volume", "Source": "drill-apiary-test-uploads", "Target": "/uploads", "ReadOnly": False},
        {"Type": "bind", "Source": "/srv/media", "Target": "/media", "ReadOnly": True},
    ]
    assert "PortBindings" not in told["HostConfig"]
    assert told["HostConfig"]["RestartPolicy"] == {"Name": "no"}
    assert told["HostConfig"]["CapDrop"] == ["ALL"]
    assert told["Labels"] == {
        "apiary.resource": "", "apiary.stack": "", "apiary.proxy": "", "apiary.drill": "apiary-test",
    }  # fmt: skip
    assert told["NetworkingConfig"]["EndpointsConfig"] == {"drill-apiary-test": {"Aliases": ["shop"]}}


def _damaged(shop: Shop) -> None:
    packs = [path for path in (shop.server.place / "repository" / "data").rglob("*") if path.is_file()]
    for pack in packs:
        pack.chmod(0o600)
        content = bytearray(pack.read_bytes())
        content[len(content) // 3] ^= 0xFF
        pack.write_bytes(content)
    shutil.rmtree(shop.server.place / "cache", ignore_errors=True)


def _truncated(shop: Shop) -> None:
    shop.dump("CREATE TABLE orders;\n")


def _empty(shop: Shop) -> None:
    shop.dump("-- done\n")


def _few(shop: Shop) -> None:
    shop.engine.answered = "1"


def _not_a_number(shop: Shop) -> None:
    shop.engine.answered = "many"


def _gone(shop: Shop) -> None:
    shutil.move(shop.server.place / "repository", shop.server.place / "elsewhere")


def _password(shop: Shop) -> None:
    shop.server.told["environment"] = {"RESTIC_PASSWORD": "another"}


@pytest.mark.parametrize(
    ("break_it", "reason", "failed"),
    [
        (_damaged, "", {"volume:uploads", "database:postgres:shop", "roles:postgres"}),
        (_truncated, "the dump breaks off before its end", {"database:postgres:shop", "volume:uploads"}),
        (_empty, "there are no tables in it", {"database:postgres:shop", "volume:uploads"}),
        (_few, "SELECT count(*) FROM orders: 1, and at_least is 2", {"database:postgres:shop", "volume:uploads"}),
        (_not_a_number, "answers 'many', which is no number", {"database:postgres:shop", "volume:uploads"}),
        (_gone, "there is no repository at", set()),
        (_password, "does not open", set()),
    ],
)
def test_what_is_broken_is_told_and_not_proved(
    shop: Shop, break_it: Callable[[Shop], None], reason: str, failed: set[str]
) -> None:
    break_it(shop)
    report = shop.rehearse()
    assert report.status == "failed"
    assert report.proved == ""
    assert {name for name, one in report.items.items() if one.status == "failed"} == failed
    said = "\n".join(drill_report.lines(report))
    assert reason in said
    assert "it was never all proved" in said
    assert all("never proved" in line for line in said.splitlines() if line.split(": failed")[0] in failed)


def test_a_share_of_the_bytes_is_read_against_their_checksums(shop: Shop) -> None:
    """Of an older snapshot, which no rehearsal restores."""
    data = shop.server.place / "repository" / "data"
    picture = shop.server.place / "volumes" / "uploads" / "_data" / "picture"
    before = set(data.rglob("*"))
    picture.write_bytes(os.urandom(100_000))
    shop.server.restic.save_folder(UPLOADS, picture.parent)
    path = max(set(data.rglob("*")) - before, key=lambda one: one.stat().st_size if one.is_file() else 0)
    picture.write_text("good")
    shop.server.restic.save_folder(UPLOADS, picture.parent)
    assert shop.rehearse().status == "ok"
    path.chmod(0o600)
    whole = path.read_bytes()
    path.write_bytes(whole[:50_000] + bytes([whole[50_000] ^ 1]) + whole[50_001:])
    report = shop.rehearse()
    assert report.repository.status == report.status == "failed"
    assert {one.status for one in report.items.values()} == {"ok"}


def test_what_was_proved_before_is_still_told_when_it_is_not_any_more(shop: Shop) -> None:
    before = shop.rehearse().proved
    shop.engine.answered = "0"
    report = shop.rehearse()
    assert report.proved == before
    assert report.items["volume:uploads"].proved == before
    assert f"all was proved last at {before}" in drill_report.lines(report)[-1]


def test_what_does_not_start_is_the_reason_of_all_that_it_has(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def proved(*_: object) -> None:
        raise BackupsError("applications.shop: its health check fails")

    monkeypatch.setattr(serving, "proved", proved)
    report = shop.rehearse()
    assert report.applications["shop"].reason == "applications.shop: its health check fails"
    assert report.items["volume:uploads"].reason == "shop: applications.shop: its health check fails"
    assert report.items["roles:postgres"].status == "ok"


def test_an_application_that_can_not_be_started_alone_is_left_out_by_a_word(shop: Shop) -> None:
    shop.server.told["applications"]["shop"]["drill"] = {"start": False}
    report = shop.rehearse()
    assert report.status == "ok"
    assert report.applications == {}


def test_what_a_killed_rehearsal_has_left_is_removed_by_the_next(shop: Shop) -> None:
    shop.docker.call("network", "create", "--internal", "--label", "apiary.drill=apiary-test", "drill-apiary-test")
    shop.docker.call("volume", "create", "--label", "apiary.drill=apiary-test", "drill-apiary-test-uploads")
    shop.docker.copies["drill-apiary-test-postgres"] = {}
    assert shop.rehearse().status == "ok"


class Strict(html.parser.HTMLParser):
    """Every tag that is opened is closed, and nothing comes from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "img", "link", "iframe")
        assert not {"src", "href"} & {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_and_says_what_was_never_proved(shop: Shop, tmp_path: Path) -> None:
    shop.engine.answered = "<script>"
    shop.rehearse()
    page = (tmp_path / "state" / "drill.html").read_text()
    read = Strict()
    read.feed(page)
    assert read.open == []
    assert "Not all of it is proved" in read.text
    assert "never" in read.text
    assert "'<script>', which is no number" in read.text
    assert drill_page.page(json.loads((tmp_path / "state" / "drill.json").read_text())) == page
