"""Databases in the stack file: which are used, who makes them first, and what is refused with which words."""

from __future__ import annotations

from typing import Any

import pytest

import settings
from settings import databases
from settings.containers import Application
from settings.databases import Database
from settings.order import container_order, waits_for

SERVER = {"plan": "vc2-1c-2gb", "region": "ewr", "os": 2136}


def raw() -> dict[str, Any]:
    return {
        "servers": {"web1": dict(SERVER)},
        "applications": {
            "my-shop": {"image": "shop", "db": ["postgres"], "env": {"db_password": "_postgres^password"}},
            "report": {"image": "report", "db": ["mysql:shared"], "env": {"db_password": "_mysql^password"}},
            "wiki": {"image": "wiki", "db": ["mysql:shared"], "env": {"db_password": "_postgres:wiki_db^password"}},
            "site": {"image": "site"},
            "postgres": {"build_dir": "PostgreSQL", "env": {"postgres_password": "_postgres^adminpass"}},
            "mysql": {"image": "mysql:8", "user": "999:999", "env": {"mysql_root_password": "_mysql^adminpass"}},
        },
        "jobs": {
            "migrate": {"image": "shop", "db": ["postgres:my_shop"], "after": ["my-shop"]},
            "dbsetup": {"build_dir": "DBSetup", "env": {"dbmap": "_dbmap"}},
        },
    }  # fmt: skip


def load(data: dict[str, Any]) -> settings.Stack:
    return settings.load(data, name="test")


def report(data: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(settings.SettingsError) as caught:
        load(data)
    return {problem.path: problem.message for problem in caught.value.problems}


@pytest.fixture
def stack() -> settings.Stack:
    data = raw()
    data["applications"]["my-shop"]["db"] = ["postgres:my_shop"]
    return load(data)


def test_a_database_is_named_after_its_application_where_nothing_else_is_said():
    data = raw()
    del data["jobs"]["migrate"]
    assert databases.used("my-shop", load(data).applications["my-shop"]) == [Database("postgres", "my_shop")]


def test_what_an_application_uses_is_what_it_lists_and_what_it_has_the_password_of(stack):
    assert databases.used("wiki", stack.applications["wiki"]) == [
        Database("mysql", "shared"),
        Database("postgres", "wiki_db"),
    ]


def test_a_password_without_a_name_is_that_of_the_listed_database(stack):
    assert databases.used("report", stack.applications["report"]) == [Database("mysql", "shared")]


def test_every_database_of_a_server_is_made_by_the_job_beside_it(stack):
    assert databases.made_by(stack, "dbsetup") == ["mysql", "postgres"]
    assert databases.served(stack, "postgres") == ["my_shop", "wiki_db"]
    assert databases.made_by(stack, "migrate") == []


def test_a_server_that_nobody_uses_any_more_is_still_looked_at(stack):
    """So that the job can say what it left there."""
    data = raw()
    data["applications"] = {"postgres": data["applications"]["postgres"]}
    data["jobs"] = {"dbsetup": data["jobs"]["dbsetup"]}
    assert databases.made_by(load(data), "dbsetup") == ["postgres"]


def test_servers_then_databases_then_those_who_use_them(stack):
    assert waits_for(stack, "dbsetup") == ["mysql", "postgres"]
    assert waits_for(stack, "my-shop") == ["dbsetup"]
    assert waits_for(stack, "migrate") == ["dbsetup", "my-shop"]
    assert waits_for(stack, "site") == waits_for(stack, "postgres") == []
    order = container_order(stack)
    for earlier, later in [
        ("postgres", "dbsetup"),
        ("dbsetup", "my-shop"),
        ("dbsetup", "wiki"),
        ("my-shop", "migrate"),
    ]:
        assert order.index(earlier) < order.index(later)


def test_each_host_has_its_own_job():
    data = raw()
    data["servers"]["web2"] = dict(SERVER)
    for section in ("applications", "jobs"):
        for container in data[section].values():
            container["server"] = "web1"
    data["applications"]["my-shop"]["db"] = ["postgres:my_shop"]
    data["applications"]["pg2"] = {
        "server": "web2", "image": "postgres:15", "user": "999:999", "env": {"postgres_password": "_pg2^adminpass"},
    }  # fmt: skip
    data["applications"]["site"] = {"server": "web2", "image": "site", "db": ["pg2"]}
    assert report(data) == {
        "applications.site.db[0]": 'no job makes the databases of "pg2": dbsetup runs on another server; '
        "add one beside it"
    }
    data["jobs"]["dbsetup2"] = {"server": "web2", "image": "x", "env": {"dbmap": "_dbmap"}}
    stack = load(data)
    assert databases.made_by(stack, "dbsetup2") == ["pg2"]
    assert waits_for(stack, "site") == ["dbsetup2"]


@pytest.mark.parametrize(
    ("application", "engine"),
    [
        ({"build_dir": "PostgreSQL"}, "postgresql"),
        ({"build_dir": "MariaDB"}, "mysql"),
        ({"image": "postgres:15"}, "postgresql"),
        ({"image": "registry.example.org:5000/library/postgres"}, "postgresql"),
        ({"image": f"mariadb@sha256:{'0' * 64}"}, "mysql"),
        ({"image": "mysql:8.4"}, "mysql"),
        ({"image": "postgres-exporter:1"}, None),
        ({"image": "redis"}, None),
        ({"build_dir": "Postgres"}, None),
        ({"image": "example.org/timescale:2", "database": "postgresql"}, "postgresql"),
    ],
)
def test_the_usual_servers_are_known_and_others_say_what_they_are(application, engine):
    assert Application.model_validate(application).engine == engine


SHOP = ("applications", "my-shop")
CASES = [
    (
        (*SHOP, "db"),
        ["postgress"],
        "applications.my-shop.db[0]",
        '"postgress" is not an application; did you mean "postgres"?',
    ),
    ((*SHOP, "db"), ["dbsetup"], "applications.my-shop.db[0]", '"dbsetup" is a job; write the application that serves'),
    (
        (*SHOP, "db"),
        ["site"],
        "applications.my-shop.db[0]",
        '"site" is not known to be a database server; if it is one, write database: postgresql (or mysql) in '
        "applications.site",
    ),
    (
        (*SHOP, "db"),
        ["postgres:"],
        "applications.my-shop.db[0]",
        '"postgres:" is not a database; write the application',
    ),
    (
        (*SHOP, "db"),
        ["postgres:My-Db"],
        "applications.my-shop.db[0]",
        '"My-Db" is not a usable name of a database; write lower',
    ),
    (
        (*SHOP, "db"),
        ["postgres:postgres"],
        "applications.my-shop.db[0]",
        '"postgres" is a name that postgres keeps for itself; wr',
    ),
    (
        (*SHOP, "db"),
        ["postgres:pg_x"],
        "applications.my-shop.db[0]",
        '"pg_x" is a name that postgres keeps for itself; write an',
    ),
    (
        (*SHOP, "db"),
        ["mysql:root"],
        "applications.my-shop.db[0]",
        '"root" is a name that mysql keeps for itself; write another',
    ),
    ((*SHOP, "db"), "postgres", "applications.my-shop.db", "must be a list, not text; write e.g. db: ["),
    ((*SHOP, "db"), ["mysql", "mysql"], "applications.my-shop.db[1]", "is listed already; leave one out"),
    (
        ("applications", "x" * 33),
        {"image": "x", "db": ["mysql"]},
        f"applications.{'x' * 33}.db[0]",
        f'"{"x" * 33}" is no name for a database (lower-case letters',
    ),
    (
        ("applications", "postgres", "db"),
        ["postgres"],
        "applications.postgres.db[0]",
        "a database server has no database on itse",
    ),
    (
        ("applications", "report", "db"),
        ["postgres:a", "postgres:b", "mysql:shared"],
        None,
        None,
    ),
    (
        ("applications", "report", "env", "other"),
        "_site^password",
        "applications.report.env.other",
        '"site" is not known to be a database server; if it is one, write database',
    ),
    (
        ("applications", "report", "env", "other"),
        "_postgres:My-Db^password",
        "applications.report.env.other",
        '"My-Db" is no name for a database (lower-case letters',
    ),
    (
        ("applications", "report", "env", "other"),
        "_site^adminpass",
        None,
        None,
    ),
    (
        ("applications", "postgres", "env"),
        {},
        "applications.my-shop.db[0]",
        '"postgres" has no administrator\'s password with which its databases could be made; write in '
        "applications.postgres.env: postgres_password: _postgres^adminpass",
    ),
    (
        ("applications", "mysql", "env"),
        {},
        "applications.report.db[0]",
        '"mysql" has no administrator\'s password with which its databases could be made; write in '
        "applications.mysql.env: mysql_root_password: _mysql^adminpass",
    ),
    (
        ("applications", "mysql"),
        {"build_dir": "MariaDB"},
        "applications.report.db[0]",
        '"mysql" has no administrator\'s password with which its databases could be made; write in '
        "applications.mysql.env: mariadb_root_password: _mysql^adminpass",
    ),
    (
        ("jobs", "dbsetup", "env"),
        {},
        "applications.my-shop.db[0]",
        "no job makes databases; add one: dbsetup: {build_dir: DBSet",
    ),
    (
        ("applications", "site", "database"),
        "postgres",
        "applications.site.database",
        '"postgres" is not one of "postgresql", "my',
    ),
    (
        ("applications", "postgres", "rotate"),
        {"my_shp": "1"},
        "applications.postgres.rotate.my_shp",
        "is no password of ",
    ),
    (("applications", "postgres", "rotate"), {"my_shop": "1", "adminpass": "2", "wiki_db": "3"}, None, None),
    (
        ("applications", "site", "rotate"),
        {"x": "1"},
        "applications.site.rotate.x",
        'is no password of "site"; leave it out',
    ),
    (
        ("applications", "postgres", "rotate"),
        {"my_shop": 1},
        "applications.postgres.rotate.my_shop",
        "must be text, but YAML read",
    ),
]


@pytest.mark.parametrize(
    ("where", "value", "path", "message"), CASES, ids=[f"{n}-{case[2]}" for n, case in enumerate(CASES)]
)
def test_one_mistake_is_told_where_it_is_and_what_to_write(where, value, path, message):
    data = raw()
    data["applications"]["wiki"]["env"] = {"db_password": "_postgres:wiki_db^password"}
    del data["jobs"]["migrate"]
    *keys, last = where
    holder: Any = data
    for key in keys:
        holder = holder.setdefault(key, {})
    holder[last] = value
    if path is None:
        load(data)
        return
    found = report(data)
    assert found[path].startswith(message), found
    # Every line is about this mistake, at each place that meets it.
    assert all("my-shop" in one or path in one or "wiki" in one or "report" in one for one in found), found


def test_a_database_is_shared_only_by_those_who_both_say_so():
    assert report(raw()) == {
        "applications.my-shop.db[0]": "jobs.migrate.db[0] has this database too; if they shall share it, write "
        '"postgres:my_shop" here as well'
    }


def test_a_password_that_may_be_of_several_databases_has_to_be_named():
    data = raw()
    del data["jobs"]["migrate"]
    data["applications"]["my-shop"]["db"] = ["postgres:a", "postgres:b"]
    assert report(data) == {
        "applications.my-shop.env.db_password": "may be the password of several databases; write "
        '"_postgres:a^password" or "_postgres:b^password"'
    }


def test_a_renamed_application_keeps_its_database_by_saying_its_name():
    data = raw()
    del data["jobs"]["migrate"]
    data["applications"]["shop"] = {**data["applications"].pop("my-shop"), "renamed_from": "my-shop"}
    said = 'would ask for a new database called "shop" now; to keep that of "my-shop" write '
    assert report(data) == {"applications.shop.db[0]": said + '"postgres:my_shop"'}
    del data["applications"]["shop"]["db"]
    assert report(data) == {"applications.shop.env.db_password": said + '"_postgres:my_shop^password"'}
    data["applications"]["shop"]["db"] = ["postgres:my_shop"]
    assert databases.used("shop", load(data).applications["shop"]) == [Database("postgres", "my_shop")]


def test_who_makes_databases_can_t_come_after_who_needs_them():
    data = raw()
    del data["jobs"]["migrate"]
    data["jobs"]["dbsetup"]["after"] = ["my-shop"]
    [(path, message)] = report(data).items()
    assert path == "jobs.dbsetup"
    assert message.startswith(
        "these wait for each other: dbsetup needs my-shop needs dbsetup; take one out of after or db"
    )


def test_a_mistake_in_the_server_has_no_echo_where_its_databases_are_used():
    data = raw()
    data["applications"]["my-shop"]["db"] = ["postgres:my_shop"]
    data["applications"]["postgres"]["build_dri"] = data["applications"]["postgres"].pop("build_dir")
    assert set(report(data)) == {"applications.postgres.build_dri"}
