"""Rehearsals in the stack file: what may be asked for, what is refused, and what a server is told of it."""

from __future__ import annotations

from typing import Any

import pytest

import settings
from settings import saved
from tests.unit.test_settings import good
from tests.unit.test_settings_errors import report

S3 = {"repository": "s3:https://s3.example.com/hive", "access_key": "_secrets^a", "secret_key": "_secrets^b"}


def stack(shows: Any, **more: Any) -> dict[str, Any]:
    raw = good()
    raw.setdefault("secrets", {}).update({"a": "x", "b": "y"})
    raw["backups"] = {**S3, **more}
    raw["applications"]["db"] = {
        "build_dir": "PostgreSQL", "volumes": ["data:/var/lib/postgresql"],
        "env": {"postgres_password": "_db^adminpass"},
    }  # fmt: skip
    raw["applications"]["shop"] = {
        "image": "shop", "db": ["db"], "env": {"http_port": 8080, "db_password": "_db^password"}, "drill": shows,
    }  # fmt: skip
    raw["jobs"] = {**raw.get("jobs", {}), "dbsetup": {"build_dir": "DBSetup", "env": {"dbmap": "_dbmap"}}}
    return raw


def said_of(raw: dict[str, Any]) -> str:
    return "\n".join(f"{path}: {message}" for path, message in report(raw).items())


def told(raw: dict[str, Any]) -> dict[str, Any]:
    loaded = settings.load(raw, name="test")
    return saved.told(loaded, loaded.server_of(loaded.applications["shop"]))


@pytest.mark.parametrize(
    ("drill", "is_told"),
    [
        ({"sql": "select count(*) from orders", "at_least": 3}, {"sql": "select count(*) from orders", "at_least": 3}),
        ({"path": "/healthz"}, {"path": "/healthz"}),
        (False, {"start": False}),
        (True, {}),
    ],
)
def test_what_an_application_has_to_show_is_told(drill: Any, is_told: dict[str, Any]) -> None:
    assert told(stack(drill))["applications"]["shop"]["drill"] == is_told


def test_a_server_is_told_wherever_files_of_a_database_may_be() -> None:
    raw = stack(True)
    assert "folders" not in told(raw)["databases"]["db"]
    raw["applications"]["db"]["volumes"] += ["/srv/db/:/data", "/srv/ca.pem:/ca.pem:ro"]
    assert told(raw)["databases"]["db"]["folders"] == ["/srv/db"]


def test_a_rehearsal_goes_by_the_clock_unless_that_is_refused() -> None:
    found = told(stack(True))
    assert (found["drill_calendar"], found["read_percent"]) == (["Sun *-*-* 05:00:00"], 5)
    assert told(stack(True, drill={"when": "30 4 1 * *", "read": 20}))["drill_calendar"] == ["*-*-01 04:30:00"]
    assert told(stack(True, drill={"when": "30 4 1 * *", "read": 20}))["read_percent"] == 20
    assert told(stack(True, drill=False))["drill_calendar"] == []


def test_who_has_its_database_on_another_server_is_not_started_without_it() -> None:
    raw = stack({"path": "/healthz"})
    raw["applications"]["db"]["backup"] = False
    assert told(raw)["applications"]["shop"]["drill"] == {"start": False}


@pytest.mark.parametrize(
    ("drill", "message"),
    [
        ({"at_least": 3}, "applications.shop.drill.at_least: says nothing without sql"),
        ({"start": False, "sql": "select 1"}, "applications.shop.drill: is not started, so it can't show sql"),
        ({"sql": "select 1", "at_least": -1}, "applications.shop.drill.at_least"),
        ({"path": "healthz"}, "applications.shop.drill.path"),
        ({"query": "select 1"}, "applications.shop.drill.query"),
    ],
)
def test_what_can_not_be_shown_is_refused(drill: Any, message: str) -> None:
    assert message in said_of(stack(drill))


def test_a_question_needs_somebody_to_answer_it() -> None:
    raw = stack({"sql": "select 1", "path": "/"})
    raw["applications"]["shop"] |= {"db": [], "env": {}}
    said = said_of(raw)
    assert "applications.shop.drill.sql" in said
    assert "it has none; write db: [postgres]" in said
    assert "applications.shop.drill.path: needs the port to ask; write env: {http_port: 8080}" in said


def test_a_database_server_is_tried_anyway() -> None:
    raw = stack(True)
    raw["applications"]["db"]["drill"] = {"path": "/"}
    assert "applications.db.drill: a database server is always tried" in said_of(raw)


def test_without_backups_there_is_nothing_to_try() -> None:
    raw = stack({"path": "/"})
    del raw["backups"]
    assert "applications.shop.drill: the stack has no backups; write apiary:backups" in said_of(raw)


@pytest.mark.parametrize("read", [0, 101])
def test_a_share_is_a_share(read: int) -> None:
    assert "backups.drill.read" in said_of(stack(True, drill={"read": read}))
