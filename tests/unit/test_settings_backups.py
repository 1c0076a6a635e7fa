"""Backups in the stack file: what may be written, what is refused, and what follows of it for each server."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import settings
from settings import saved
from settings.calendar import calendar
from settings.crontab import CrontabError, Schedule
from settings.order import container_order
from tests.unit.test_settings import good
from tests.unit.test_settings_errors import report

S3 = {"repository": "s3:https://s3.example.com/hive", "access_key": "_secrets^a", "secret_key": "_secrets^b"}
SFTP = {"repository": "sftp:me@backup.example.com:/srv/hive", "key": "_secrets^a", "host_key": "ssh-ed25519 AAAA"}
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def stack(backups: Any = None, **more: Any) -> dict[str, Any]:
    raw = good()
    raw.setdefault("secrets", {}).update({"a": "x", "b": "y"})
    raw["backups"] = S3 if backups is None else backups
    for section, entries in more.items():
        for name, entry in entries.items():
            raw.setdefault(section, {}).setdefault(name, {}).update(entry)
    return raw


def load(raw: dict[str, Any]) -> settings.Stack:
    return settings.load(raw, name="test")


@pytest.mark.parametrize(
    "backups",
    [
        S3,
        {**S3, "repository": "s3:http://10.0.0.7:9000/hive", "ca": PEM},
        SFTP,
        {"repository": "rest:https://backup.example.com:8443/me/hive", "ca": PEM},
        {"repository": "rest:https://backup.example.com/hive", "access_key": "_secrets^a", "secret_key": "_secrets^b"},
        {"repository": "vultr"},
        {**S3, "when": "0 5 1,15 * mon-fri", "keep": {"daily": 3}, "append_only": True, "password": "_secrets^b"},
    ],
)
def test_every_kind_of_repository_may_be_written(backups: dict[str, Any]) -> None:
    assert load(stack(backups)).backups is not None


REFUSED = [
    ({"repository": "/srv/backups"}, "backups.repository", "is on the server's own disk"),
    ({"repository": "b2:bucket"}, "backups.repository", "is no place for backups; write s3:https://HOST/BUCKET"),
    ({"repository": "s3:s3.example.com/hive"}, "backups.repository", "is not a whole address"),
    ({"repository": "s3:https://s3.example.com"}, "backups.repository", "is not a whole address"),
    ({"repository": "rest:https://me:word@h/hive"}, "backups.repository", "holds a user or a password"),
    ({"repository": {"host": "web2"}}, "backups.repository", "write {server: web2}"),
    ({"repository": "server:web2"}, "backups.repository", "is written {server: web2}"),
    ({"repository": {"server": "web9"}}, "backups.repository", '"web9" is not a server'),
    ({}, "backups.repository", "missing; write e.g. repository:"),
    ({**S3, "access_key": None}, "backups.access_key", "missing, with"),
    ({k: v for k, v in S3.items() if k != "access_key"}, "backups.access_key", "missing, with"),
    ({k: v for k, v in SFTP.items() if k != "host_key"}, "backups.host_key", "missing, with"),
    ({**SFTP, "host_key": "AAAA"}, "backups.host_key", "ssh-keyscan"),
    ({**SFTP, "ca": PEM}, "backups.ca", "is not asked for"),
    ({**S3, "ca": "MIIB"}, "backups.ca", "is no certificate in PEM"),
    ({**S3, "secret_key": "very secret"}, "backups.secret_key", "is no reference to a secret"),
    ({**S3, "secret_key": "_secrets^c"}, "backups.secret_key", '"c" is not a secret'),
    ({"repository": "rest:https://h/p", "access_key": "_secrets^a"}, "backups.secret_key", "missing beside"),
    ({**S3, "keep": {}}, "backups.keep", "keeps nothing"),
    ({**S3, "keep": {"daily": 0}}, "backups.keep.daily", "is too small"),
    ({**S3, "keep": {"days": 7}}, "backups.keep.days", "it is called daily here"),
    ({**S3, "when": "2 o'clock"}, "backups.when", "has 2 fields"),
    ({**SFTP, "append_only": True}, "backups.append_only", "lets servers remove what they have saved; leave it out"),
    ({"repository": "vultr", "append_only": True}, "backups.append_only", '"vultr" lets servers remove'),
    ({"repository": {"server": "web2"}, "append_only": True}, "backups.append_only", "{server: web2} lets servers"),
    ({**S3, "schedule": "@daily"}, "backups.schedule", "it is called when here"),
    ([], "backups", "must be a map of settings"),
    (None, "backups", "is empty"),
]


@pytest.mark.parametrize(("backups", "path", "begin"), REFUSED)
def test_what_cant_be_is_refused_with_what_to_write(backups: Any, path: str, begin: str) -> None:
    raw = stack()
    raw["backups"] = backups
    found = report(raw)
    assert begin in found[path], found
    assert "very secret" not in str(found)


def test_the_only_server_keeps_no_backups_of_itself() -> None:
    assert "lost with it" in report(stack({"repository": {"server": "web1"}}))["backups.repository"]


def test_a_server_that_keeps_the_others_backups_has_nothing_of_its_own_to_lose() -> None:
    raw = stack({"repository": {"server": "web2"}})
    raw["servers"]["web2"] = {**raw["servers"]["web1"], "dns": {}, "private_ip": None}
    del raw["servers"]["web2"]["private_ip"]
    raw["applications"] = {
        name: {**one, "server": one.get("server", "web1")} for name, one in raw["applications"].items()
    }
    raw["jobs"] = {name: {**one, "server": one.get("server", "web1")} for name, one in raw["jobs"].items()}
    read = load(raw)
    assert saved.has_backups(read, "web1")
    assert not saved.has_backups(read, "web2")
    raw["applications"]["files"] = {"server": "web2", "image": "files:1", "volumes": ["files:/srv"]}
    assert "applications.files has volumes there" in report(raw)["backups.repository"]


def test_a_server_lets_in_who_saves_there() -> None:
    raw = stack({"repository": {"server": "web2"}})
    raw["servers"]["web2"] = {"plan": "vc2-1c-2gb", "region": "ams", "os": 2136, "ssh_from": ["203.0.113.0/24"]}
    for section in ("applications", "jobs"):
        raw[section] = {name: {**one, "server": one.get("server", "web1")} for name, one in raw[section].items()}
    assert "web1 has no fixed address to name there" in report(raw)["backups.repository"]
    raw["servers"]["web2"] |= {"region": raw["servers"]["web1"]["region"], "private_ip": "192.168.150.99"}
    raw["servers"]["web1"]["private_ip"] = "192.168.150.98"
    load(raw)
    raw["servers"]["w" * 26] = {"plan": "vc2-1c-2gb", "region": "ams", "os": 2136}
    assert "at most 25" in report(raw)["backups.repository"]


FILES = {"image": "files:1", "volumes": ["files:/srv"]}
DATABASE = {"build_dir": "PostgreSQL", "env": {"postgres_password": "x"}, "volumes": ["pg:/var/lib/postgresql"]}


@pytest.mark.parametrize(
    ("entry", "path", "begin"),
    [
        ({**DATABASE, "backup": {"stop": True}}, "applications.files.backup.stop", "is dumped while it runs"),
        ({**FILES, "backup": {"save": False, "stop": True}}, "applications.files.backup", "is not saved, so stop"),
        ({**FILES, "backup": {"before": []}}, "applications.files.backup.before", "is no command"),
        ({"image": "files:1", "backup": {"stop": True}}, "applications.files.backup", "writes to no named volume"),
        (
            {"image": "files:1", "volumes": ["files:/srv:ro"], "backup": {"before": ["x"]}},
            "applications.files.backup",
            "writes to no named volume",
        ),
        ({"image": "files:1", "backup": False}, "applications.files.backup", "has no named volume, so that nothing of"),
        ({"image": "files:1", "backup": True}, "applications.files.backup", "has no named volume, so that nothing of"),
        (
            {"image": "files:1", "volumes": ["/srv/media/:/media"], "backup": False},
            "applications.files.backup",
            "has no named volume, so that nothing of it is saved anyway",
        ),
        ({**FILES, "backup": {"skip": True}}, "applications.files.backup.skip", "it is called save here"),
        ({**FILES, "backup": "no"}, "applications.files.backup", "must be a map of settings"),
    ],
)
def test_what_a_container_cant_say_of_its_backup(entry: dict[str, Any], path: str, begin: str) -> None:
    assert begin in report(stack(applications={"files": entry}))[path]


def test_who_uses_a_database_has_no_say_in_whether_it_is_saved() -> None:
    shop = {"image": "shop:1", "env": {"db_password": "_postgres^password"}, "backup": False}
    found = report(stack(applications={"postgres": DATABASE, "shop": shop}))
    assert "saved with those of applications.postgres; say it there" in found["applications.shop.backup"]


def test_who_only_reads_has_no_say_where_somebody_writes() -> None:
    reader = {"image": "reader:1", "volumes": ["files:/srv:ro"], "backup": False}
    found = report(stack(applications={"files": FILES, "reader": reader}))
    assert "only reads files, and applications.files writes to it" in found["applications.reader.backup"]
    load(stack(applications={"reader": reader}))


def test_a_job_runs_nothing_before() -> None:
    found = report(stack(jobs={"files": {**FILES, "backup": {"before": ["x"]}}}))
    assert "does not run at that time" in found["jobs.files.backup.before"]


def test_without_backups_nobody_speaks_of_them() -> None:
    raw = stack(applications={"files": {**FILES, "backup": {"stop": True}}}, servers={"web1": {"restore": False}})
    del raw["backups"]
    found = report(raw)
    assert "the stack has no backups" in found["applications.files.backup"]
    assert "nothing to restore from" in found["servers.web1.restore"]
    raw["applications"]["files"]["backup"] = False  # is true then anyway
    assert "applications.files.backup" not in report(raw)


# --- what is saved


def hive(**applications: Any) -> settings.Stack:
    raw = stack()
    raw["applications"], raw["jobs"] = {}, {}
    for name, entry in applications.items():
        image = {} if "build_dir" in entry else {"image": f"{name}:1"}
        raw["jobs" if name.startswith("job") else "applications"][name] = image | entry
    raw["servers"] = {"web1": {"plan": "vc2-1c-2gb", "region": "ewr", "os": 2136}}
    raw["zones"] = {}
    return load(raw)


def test_a_volume_is_saved_unless_all_who_write_to_it_say_no() -> None:
    made = hive(
        writer={"volumes": ["both:/a", "mine:/b"], "backup": False},
        other={"volumes": ["both:/a"]},
        reader={"volumes": ["mine:/b:ro"]},
        seldom={"volumes": ["readonly:/c:ro"]},
    )
    here = saved.saved(made, "web1")
    assert sorted(here.volumes) == ["both", "readonly"]
    assert here.left_out == {"mine": "backup: false of applications.writer"}


def test_a_database_server_is_dumped_and_its_files_are_not_saved() -> None:
    made = hive(
        pg={"image": "postgres:17", "user": "999:999", "volumes": ["pg:/var/lib/postgresql/data"]},
        my={"image": "mariadb:11", "user": "999:999", "volumes": ["my:/var/lib/mysql"], "backup": False},
    )
    here = saved.saved(made, "web1")
    assert here.databases == {"pg": "postgresql"}
    assert here.volumes == {}
    assert here.left_out == {
        "databases of my": "backup: false of applications.my",
        "my": saved.FILES_OF_DATABASES,
        "pg": saved.FILES_OF_DATABASES,
    }
    assert here.shown()["saved"] == ["all databases of pg"]


def test_a_site_without_data_is_nothing_that_a_server_has_to_be_told_first() -> None:
    """Telling it takes a second, and every release of the server's would wait for that."""
    known: dict[str, Any] = {
        "pg": {
            "image": "postgres:17",
            "user": "999:999",
            "volumes": ["pg:/var/lib/postgresql/data"],
            "env": {"postgres_password": "_pg^adminpass"},
        },
        "shop": {"env": {"db_password": "_pg^password"}, "db": ["pg"]},
        "files": {"volumes": ["files:/a"]},
        "job": {"build_dir": "DBSetup", "env": {"dbmap": "_dbmap"}},
    }
    before = saved.told(hive(**known), "web1")
    assert sorted(before["applications"]) == ["files", "pg", "shop"]
    assert saved.told(hive(new={}, **known), "web1") == before
    assert saved.told(hive(new={"volumes": ["new:/a"]}, **known), "web1") != before


def test_all_who_write_stand_still_when_one_of_them_wants_it_quiet() -> None:
    made = hive(
        shop={"volumes": ["files:/a"], "backup": {"stop": True, "before": ["sync"]}},
        worker={"volumes": ["files:/a"]},
        reader={"volumes": ["files:/a:ro"]},
    )
    here = saved.saved(made, "web1")
    assert here.volumes["files"] == {"stop": ["shop", "worker"], "before": [["shop", ["sync"]]]}
    assert here.shown()["saved"] == ["volume files (shop runs sync before; shop, worker stopped meanwhile)"]


def test_who_speaks_to_a_database_comes_after_it_is_filled() -> None:
    made = hive(
        shop={"env": {"db_host": "$postgres"}},
        postgres={"image": "postgres:17", "user": "999:999", "volumes": ["pg:/var/lib/postgresql/data"]},
    )
    assert container_order(made) == ["postgres", "shop"]


def test_a_server_is_told_of_databases_and_of_their_users_on_others() -> None:
    raw = stack()
    plan = {"plan": "vc2-1c-2gb", "region": "ewr", "os": 2136, "playbook": "web.yml"}
    job = {"image": "shop:1", "server": "db1", "env": {"password": "_pg:shop^password"}}
    raw["zones"], raw["jobs"] = {}, {"report": job}
    raw["servers"] = {name: {**plan, "private_ip": f"192.168.150.{end}"} for name, end in (("web1", 10), ("db1", 11))}
    raw["applications"] = {
        "shop": {"image": "shop:1", "server": "web1", "env": {"password": "_pg^password"}},
        "beside": {"image": "shop:1", "server": "db1", "env": {"password": "_pg^password"}},
        "pg": {"image": "postgres:17", "user": "999:999", "server": "db1", "private": [5432], "renamed_from": "sql",
               "volumes": ["pg:/var/lib/postgresql/data"]},
    }  # fmt: skip
    made = load(raw)
    there, here = saved.told(made, "db1"), saved.told(made, "web1")
    assert there["databases"]["pg"]["used_from"] == [["shop", "web1:shop"]]
    assert there["databases"]["pg"]["renamed_from"] == "sql"
    assert there["jobs"] == {"report": [["pg", "shop"]]}
    assert "jobs" not in here
    assert here["applications"]["shop"]["elsewhere"] == ["db1:pg/shop"]
    assert "elsewhere" not in there["applications"]["beside"]


# --- when


DAYS = [date(2026, 1, 1) + timedelta(days=day) for day in range(366)]
NAMES = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


def is_named(line: str, day: date) -> bool:
    """Whether a line of systemd's calendar names a day."""
    weekdays, _, rest = line.rpartition(" ")[0].rpartition(" ")
    _, months, days = rest.split("-")
    return (
        (not weekdays or NAMES[day.isoweekday() % 7] in weekdays.split(","))
        and (months == "*" or f"{day.month:02}" in months.split(","))
        and (days == "*" or f"{day.day:02}" in days.split(","))
    )


FIELD = st.sampled_from(["*", "*/2", "1", "1-7", "2,4", "1-31"])


@given(
    FIELD, st.sampled_from(["*", "1", "3-6", "jan,jul"]), st.sampled_from(["*", "0", "1-5", "0-7", "*/3", "sun,wed"])
)
def test_the_servers_calendar_names_the_days_that_crontab_names(days: str, months: str, weekdays: str) -> None:
    try:
        schedule = Schedule.parse(f"17 2 {days} {months} {weekdays}")
    except CrontabError:
        assume(False)
    lines = calendar(schedule)
    for day in DAYS:
        assert any(is_named(line, day) for line in lines) == schedule.is_on(day), (lines, day)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("17 2 * * *", ["*-*-* 02:17:00"]),
        ("*/20 8-10 * * *", ["*-*-* 08,09,10:00,20,40:00"]),
        ("0 5 1,15 * 1-5", ["*-*-01,15 05:00:00", "Mon,Tue,Wed,Thu,Fri *-*-* 05:00:00"]),
        ("0 * */2 * 1", ["Mon *-*-01,03,05,07,09,11,13,15,17,19,21,23,25,27,29,31 *:00:00"]),
        ("@monthly", ["*-*-01 00:00:00"]),
        ("0 5 1-31 * 1", ["*-*-* 05:00:00"]),
    ],
)
def test_the_servers_calendar(line: str, expected: list[str]) -> None:
    assert calendar(Schedule.parse(line)) == expected
