"""Which items and which snapshot a line of `restore` means; what it does not mean is refused with what there is."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.unit import backups_server  # noqa: F401 - puts the package on the path

from apiary_backups import chosen, config, missing  # isort: skip
from apiary_backups.errors import BackupsError  # isort: skip
from apiary_backups.items import Item  # isort: skip
from apiary_backups.restic import Snapshot  # isort: skip

BERLIN = ZoneInfo("Europe/Berlin")
UPLOADS, SHOP, WIKI = Item.volume("uploads"), Item.of_database("postgres", "shop"), Item.of_database("postgres", "wiki")
KNOWN = [UPLOADS, SHOP, WIKI, Item.volume("gone"), Item.roles("postgres")]
TOLD = config.parse(
    json.dumps(
        {
            "stack": "apiary-test",
            "server": "web1",
            "repository": "/r",
            "volumes": {"uploads": {}, "never": {}},
            "databases": {"postgres": {"engine": "postgresql"}},
            "applications": {
                "shop": {"volumes": ["uploads", "never"], "databases": [["postgres", "shop"]]},
                "blog": {"volumes": []},
                "far": {"elsewhere": ["db1:postgres/far"]},
            },
        }
    )
)


@pytest.mark.parametrize(
    ("what", "wanted"),
    [
        (["shop"], [SHOP, UPLOADS]),
        (["uploads"], [UPLOADS]),
        (["volume:uploads"], [UPLOADS]),
        (["gone"], [Item.volume("gone")]),
        (["postgres/wiki"], [WIKI]),
        (["database:postgres:wiki", "uploads"], [WIKI, UPLOADS]),
        (["postgres"], [SHOP, WIKI]),
        (["application:postgres"], [SHOP, WIKI]),
        ([], [SHOP, WIKI, UPLOADS]),
    ],
)
def test_what_is_meant(what: list[str], wanted: list[Item]) -> None:
    assert chosen.items(TOLD, KNOWN, what) == sorted(wanted)


@pytest.mark.parametrize(
    "what", ["shopp", "postgres/nothing", "volume:never", "blog", "application:blog", "roles:postgres"]
)
def test_what_is_not_there_is_refused_with_what_is(what: str) -> None:
    with pytest.raises(
        BackupsError, match=f"{what}.*there is: postgres, shop, postgres/shop, postgres/wiki, volume:gone"
    ):
        chosen.items(TOLD, KNOWN, [what])


def test_who_has_only_a_database_elsewhere_is_told_where() -> None:
    with pytest.raises(BackupsError, match=r"of 'far', whose .* another server: make restore WHAT=db1:postgres/far$"):
        chosen.items(TOLD, KNOWN, ["far"])


def test_a_name_of_two_things_is_asked_about() -> None:
    with pytest.raises(BackupsError, match="write application:shop or volume:shop"):
        chosen.items(TOLD, [*KNOWN, Item.volume("shop")], ["shop"])


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


NIGHTS = [
    Snapshot(f"{day}abcdef0{day}", UPLOADS, at(f"2026-11-{day} 02:17:31").astimezone(UTC), "web1", 1)
    for day in (18, 19, 21)
]


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("", 21),
        ("2026-11-19", 19),
        ("2026-11-20", 19),
        ("2026-11-21 02:17", 21),
        ("2026-11-21 02:16", 19),
        ("2026-11-21T02:17:30", 19),
        ("2026-11-21T02:17:31", 21),
        ("2026-11-21T01:17+00:00", 21),
        ("2026-11-21 01:17:31Z", 21),
        ("2026-11-21 01:17:30Z", 19),
        ("18abcd", 18),
        ("2026-11-17", None),
        ("99abcd", None),
    ],
)
def test_which_moment_is_meant(said: str, day: int | None) -> None:
    found = chosen.snapshot(NIGHTS, said, BERLIN)
    assert (found and found.id[:2]) == (day and str(day))


@pytest.mark.parametrize(
    "said", ["yesterday", "2026-13-01", "2026-11-31 10:00", "12:00", "2026", "ab", "2026-11-20 25:00"]
)
def test_what_is_no_moment_is_refused(said: str) -> None:
    with pytest.raises(BackupsError, match="write 2026-11-20, 2026-11-20 14:30, or a snapshot's id"):
        chosen.snapshot(NIGHTS, said, BERLIN)


def test_an_id_of_two_is_asked_about() -> None:
    twins = [Snapshot(f"abcdef{end}", UPLOADS, NIGHTS[0].time + timedelta(end), "web1", 1) for end in (1, 2)]
    with pytest.raises(BackupsError, match="more than one"):
        chosen.snapshot(twins, "abcdef", BERLIN)


ROLES = """\
SET standard_conforming_strings = on;
CREATE ROLE "Old one";
ALTER ROLE "Old one" WITH PASSWORD 'SCRAM-SHA-256$then';
CREATE ROLE shop;
ALTER ROLE shop WITH PASSWORD 'SCRAM-SHA-256$then';
GRANT "Old one" TO shop;
GRANT shop TO "Old one" WITH ADMIN OPTION;
SELECT 'CREATE DATABASE shop OWNER shop' WHERE NOT EXISTS (SELECT 1 FROM pg_database WHERE datname = 'shop')\\gexec
SELECT 'CREATE DATABASE wiki OWNER wiki' WHERE NOT EXISTS (SELECT 1 FROM pg_database WHERE datname = 'wiki')\\gexec
ALTER DATABASE shop OWNER TO shop;
ALTER DATABASE wiki OWNER TO wiki;
REVOKE ALL ON DATABASE wiki FROM PUBLIC;
GRANT CONNECT ON DATABASE shop TO "Old one";
-- apiary: {"databases": ["shop", "wiki"]}
-- apiary: end
"""


def test_a_role_that_is_there_keeps_its_password_of_today() -> None:
    kept = missing.postgresql(ROLES, ["shop", "postgres"], "shop", "'shop'")
    assert 'CREATE ROLE "Old one";' in kept
    assert "ALTER ROLE shop" not in kept
    assert "CREATE ROLE shop" not in kept
    assert 'GRANT "Old one" TO shop;' not in kept
    assert 'GRANT shop TO "Old one" WITH ADMIN OPTION;' in kept
    assert "wiki OWNER" not in kept
    assert "ON DATABASE wiki" not in kept
    assert "CREATE DATABASE shop" in kept
    assert kept.endswith("-- apiary: end\n")


@pytest.mark.parametrize("quote", ["`", "'"])
def test_an_account_that_is_there_keeps_its_password_of_today(quote: str) -> None:
    dump = """\
CREATE USER IF NOT EXISTS `shop`@`%` IDENTIFIED BY PASSWORD '*THEN';
GRANT USAGE ON *.* TO `shop`@`%` IDENTIFIED BY PASSWORD '*THEN';
CREATE USER IF NOT EXISTS `it``s`@`10.%` IDENTIFIED BY PASSWORD '*X';
GRANT SELECT ON `shop`.* TO `it``s`@`10.%`;
CREATE DATABASE IF NOT EXISTS `shop` CHARACTER SET latin1 COLLATE latin1_swedish_ci;
CREATE DATABASE IF NOT EXISTS `wiki` CHARACTER SET latin1 COLLATE latin1_swedish_ci;
-- apiary: end
""".replace("`", quote)
    kept = missing.mysql(dump, [("shop", "%")], f"{quote}shop{quote}")
    assert "*THEN" not in kept
    assert "*X" in kept
    assert "GRANT SELECT" in kept
    assert "wiki" not in kept
    assert kept.endswith("-- apiary: end\n")
    assert "*X" not in missing.mysql(dump, [(f"it{quote}s", "10.%")], f"{quote}shop{quote}")


def test_a_role_of_mariadb_that_is_there_gets_nothing_back_and_one_that_is_not_all() -> None:
    dump = """\
CREATE ROLE IF NOT EXISTS `read``er`;
CREATE USER IF NOT EXISTS `shop`@`%` IDENTIFIED BY PASSWORD '*X';
CREATE ROLE IF NOT EXISTS `read``er`;
GRANT SELECT ON `shop`.* TO `read``er`;
CREATE USER IF NOT EXISTS `shop`@`%` IDENTIFIED BY PASSWORD '*X';
GRANT `read``er` TO `shop`@`%`;
SET DEFAULT ROLE `read``er` FOR `shop`@`%`;
REVOKE SELECT ON `other`.* FROM `shop`@`%`;
GRANT USAGE ON *.* TO `shop`@`%`;
-- apiary: end
"""
    end = "-- apiary: end\n"
    assert missing.mysql(dump, [], "`shop`") == dump
    assert missing.mysql(dump, [("read`er", ""), ("shop", "%")], "`shop`") == end
    kept = missing.mysql(dump, [("read`er", "")], "`shop`").splitlines()
    assert kept[0] == "CREATE USER IF NOT EXISTS `shop`@`%` IDENTIFIED BY PASSWORD '*X';"
    assert kept[1:] == dump.splitlines()[4:]
    kept = missing.mysql(dump, [("shop", "%")], "`shop`").splitlines()
    assert kept == [dump.splitlines()[0], *dump.splitlines()[2:4], end.strip()]
