"""What images and folders tell of database servers: what is dumped, and what is not saved hot without a word."""

from __future__ import annotations

from typing import Any

import pytest

from settings.containers import Application
from tests.unit.test_settings_backups import load, stack
from tests.unit.test_settings_errors import report


@pytest.mark.parametrize(
    ("image", "engine"),
    [
        ("docker.io/postgis/postgis:17-3.5@sha256:" + "a" * 64, "postgresql"),
        ("pgvector/pgvector:pg17", "postgresql"),
        ("registry.example.com:5000/percona/percona-server:8.4", "mysql"),
        ("timescale/timescaledb:2.20-pg17", None),  # a plain dump of it does not go in again
        ("bitnami/postgresql:17", None),
        ("example/postgres-exporter:1", None),
    ],
)
def test_what_is_surely_a_database_server_is_dumped(image: str, engine: str | None) -> None:
    assert Application(image=image).engine == engine


HOT = [
    ({"image": "timescale/timescaledb:2.20-pg17", "volumes": ["geo:/elsewhere"]}, "database: postgresql, and"),
    ({"image": "bitnami/postgresql:17", "volumes": ["geo:/bitnami/postgresql"]}, "database: postgresql, and"),
    ({"image": "me/own:1", "volumes": ["geo:/var/lib/postgresql/data"]}, "database: postgresql, and"),
    ({"image": "me/own:1", "volumes": ["geo:/var/lib/mysql"]}, "database: mysql, and"),
    ({"image": "mongo:8", "user": "999:999", "volumes": ["geo:/data/db"]}, "write backup: {stop: true}, so that"),
    ({"image": "me/own:1", "volumes": ["geo:/data/db"]}, "write backup: {stop: true}, so that"),
]


@pytest.mark.parametrize(("entry", "remedy"), HOT)
def test_the_files_of_a_database_that_is_not_known_are_not_read_while_it_runs(
    entry: dict[str, Any], remedy: str
) -> None:
    said = report(stack(applications={"geo": entry}))["applications.geo.backup"]
    assert said.startswith("volume geo has the files of a database (")
    assert remedy in said


@pytest.mark.parametrize(("entry", "_"), HOT)
@pytest.mark.parametrize("word", [{"backup": {"stop": True}}, {"backup": {"before": ["x"]}}, {"backup": False}])
def test_nor_where_its_stack_file_says_how(entry: dict[str, Any], _: str, word: dict[str, Any]) -> None:
    load(stack(applications={"geo": entry | word}))


def test_who_only_looks_at_the_files_of_a_database_or_has_others_is_not_asked() -> None:
    own = {"geo": {"image": "me/own:1", "volumes": ["geo:/var/lib/postgresql/data"], "database": "postgresql"}}
    beside = {"copy": {"image": "me/copies:1", "volumes": ["geo:/var/lib/postgresql"]}}
    reader = {"look": {"image": "me/looks:1", "volumes": ["geo:/var/lib/mysql:ro", "other:/var/lib/mysql-files"]}}
    load(stack(applications=own | beside | reader))
    raw = stack(applications={"geo": HOT[0][0]})
    del raw["backups"]
    load(raw)
