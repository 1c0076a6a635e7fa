"""Monitors and alerts in the stack file: what they watch and whom they tell, and what is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

import settings
from settings.crontab import Schedule
from settings.monitoring import RUN_SECONDS, SPARE_SECONDS, longest_gap
from settings.order import needs
from tests.unit.test_settings import good

MONITOR = {"build_dir": "Monitor", "volumes": ["metrics:/var/lib/monitor", "haproxycfg:/etc/haproxy:ro"]}
ALERTS = {
    "mail": {
        "to": ["owner@example.com"],
        "sender": "hive@example.com",
        "server": "smtp.example.com:587",
        "user": "hive",
        "password": "_secrets^smtp",
    },
    "webhook": ["https://hooks.example.com/x", "_secrets^hook"],
    "ntfy": {"url": "https://ntfy.sh/hive", "token": "_secrets^token"},
    "heartbeat": "_secrets^heart",
}
SECRETS = {
    "smtp": "smtp word",
    "hook": "https://hooks.example.com/secret",
    "token": "tk_1",
    "heart": "https://alive.example.com/secret",
}


def stack_file(**changes: Any) -> dict[str, Any]:
    raw = good()
    raw["applications"]["monitor"] = copy.deepcopy(MONITOR)
    raw["alerts"] = copy.deepcopy(ALERTS)
    raw["secrets"] = {**raw.get("secrets", {}), **SECRETS}
    return {**raw, **changes}


def problems(raw: dict[str, Any]) -> dict[str, str]:
    try:
        settings.load(raw, name="test")
    except settings.SettingsError as error:
        return {problem.path: problem.message for problem in error.problems}
    return {}


ADDRESSES = {"web1": "203.0.113.10", "db1": "203.0.113.11"}


def watched(raw: dict[str, Any], name: str = "monitor") -> dict[str, Any]:
    return settings.watched(settings.load(raw, name="test"), name, ADDRESSES)


def test_whom_it_tells_with_each_secret_in_its_place():
    assert watched(stack_file())["alerts"] == {
        "mail": {**ALERTS["mail"], "password": "smtp word", "tls": True},  # type: ignore[dict-item]
        "webhook": ["https://hooks.example.com/x", "https://hooks.example.com/secret"],
        "ntfy": {"url": "https://ntfy.sh/hive", "token": "tk_1"},
        "heartbeat": "https://alive.example.com/secret",
    }


def test_without_alerts_it_tells_nobody():
    raw = stack_file()
    del raw["alerts"]
    assert watched(raw)["alerts"] == {"mail": None, "webhook": [], "ntfy": None, "heartbeat": None}


def test_it_watches_every_site_with_what_the_proxy_asks_for():
    raw = stack_file()
    stack = settings.load(raw, name="test")
    sites = watched(raw)["sites"]
    assert {site["domain"] for site in sites} == set(settings.domains_map(stack, "web1"))
    for site in sites:
        route = settings.domains_map(stack, "web1")[site["domain"]]
        assert (site["application"], site["path"], site["status"]) == (route["app"], route["path"], route["status"])
        assert site["scheme"] == ("https" if route["tls"] else "http")


def test_it_reads_the_proxy_s_figures_where_it_mounts_its_volume():
    assert watched(stack_file())["proxy"] is True
    raw = stack_file()
    raw["applications"]["monitor"]["volumes"].pop()
    assert watched(raw)["proxy"] is False


def test_it_starts_when_the_proxy_has_been_told_of_its_sites():
    stack = settings.load(stack_file(), name="test")
    assert "hasetup" in needs(stack, "monitor")


def two_servers() -> dict[str, Any]:
    raw = stack_file()
    raw["servers"]["web1"]["private_ip"] = "192.168.150.10"
    raw["servers"]["db1"] = {**copy.deepcopy(raw["servers"]["web1"]), "private_ip": "192.168.150.11", "dns": {}}
    for container in [*raw["applications"].values(), *raw["jobs"].values()]:
        container["server"] = "web1"
    raw["applications"]["ledger"] = {"server": "db1", "build_dir": "Echo", "private": [5432, "9000:53/udp"]}
    return raw


def test_it_watches_what_the_other_servers_have_on_the_private_network():
    assert watched(two_servers())["peers"] == [
        {"server": "db1", "application": "ledger", "address": "192.168.150.11", "port": 5432}
    ]


@pytest.mark.parametrize("private", [True, False])
def test_it_watches_every_other_server_whatever_that_has_on_the_private_network(private: bool):
    raw = two_servers()
    if not private:
        for server in raw["servers"].values():
            del server["private_ip"]
            server["dns"].pop("private", None)
        del raw["applications"]["ledger"]["private"]
    assert watched(raw)["servers"] == [{"name": "db1", "address": "203.0.113.11"}]
    assert watched(stack_file())["servers"] == []


def test_sites_of_a_server_with_a_monitor_are_its_own_and_are_told_once():
    raw = two_servers()
    raw["applications"]["monitor"]["server"] = "db1"
    raw["applications"]["monitor"]["volumes"].pop()
    assert watched(raw)["sites"], "those of a server without a monitor are the first one's"
    raw["applications"]["eye"] = {**copy.deepcopy(MONITOR), "server": "web1"}
    assert watched(raw)["sites"] == []
    assert watched(raw, "eye")["sites"]


@pytest.mark.parametrize(
    ("when", "seconds"),
    [
        ("* * * * *", 60),
        ("*/15 * * * *", 900),
        ("30 4 * * *", 86400),
        ("0 9-17 * * mon-fri", 2 * 86400 + 16 * 3600),
        ("0 0,6 * * *", 18 * 3600),
        ("0 0 1 * *", 31 * 86400),
        ("0 0 1 1 *", 366 * 86400),
        ("0 0 29 2 *", 1461 * 86400),
    ],
)
def test_the_longest_pause_of_a_schedule(when: str, seconds: int):
    assert longest_gap(Schedule.parse(when)) == seconds


def test_a_job_by_the_clock_is_late_after_its_longest_pause_and_some():
    raw = stack_file()
    raw["applications"]["scheduler"] = {
        "build_dir": "JobScheduler",
        "env": {"run_setup": "+hasetup", "when_setup": "30 4 * * *"},
    }
    assert watched(raw)["jobs"] == {"hasetup": 86400 + SPARE_SECONDS}


def test_a_backup_is_late_after_its_longest_pause_and_what_it_takes():
    assert watched(stack_file())["backups"] is None
    raw = stack_file(
        backups={"repository": "sftp:me@backup.example.com:/hive", "key": "_secrets^key", "when": "0 3 * * 0"}
    )
    raw["backups"]["host_key"] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0Hc1B3N0k7Yz8sHlq2m5y3o9mXjVb1z4x2c8v6b7n9"
    raw["secrets"]["key"] = "a key"
    found = problems(raw)
    assert found == {}
    spare = SPARE_SECONDS + RUN_SECONDS
    assert watched(raw)["backups"] == {"late": 7 * 86400 + spare, "drill_late": 7 * 86400 + spare}
    raw["backups"]["drill"] = {"when": "0 5 * * *"}
    assert watched(raw)["backups"] == {"late": 7 * 86400 + spare, "drill_late": 86400 + spare}
    raw["backups"]["drill"] = False
    assert watched(raw)["backups"] == {"late": 7 * 86400 + spare, "drill_late": None}


def changed(path: str, value: object) -> dict[str, Any]:
    raw = stack_file()
    holder = raw
    *keys, last = path.split(".")
    for key in keys:
        holder = holder[key]
    if value is None:
        del holder[last]
    else:
        holder[last] = value
    return raw


CASES = [
    ("alerts.mail.to", [], "alerts.mail.to", "write e.g. to: ["),
    ("alerts.mail.to", ["nobody"], "alerts.mail.to[0]", '"nobody" is not an address of mail'),
    ("alerts.mail.server", "smtp.example.com", "alerts.mail.server", "is not a mail server with its port"),
    ("alerts.mail.password", "in plain text", "alerts.mail.password", "is no reference to a secret"),
    ("alerts.mail.password", None, "alerts.mail.password", "missing; a login has both: write password: _secrets^NAME"),
    ("alerts.mail.user", None, "alerts.mail.user", "missing; a login has both"),
    ("alerts.mail.sender", "hive", "alerts.mail.sender", '"hive" is not an address of mail'),
    ("alerts.mail.sender", None, "alerts.mail.sender", "missing"),
    ("alerts.mail.tls", False, "alerts.mail.tls", "no password is handed in where everybody can read it"),
    ("alerts.webhook", ["ftp://x"], "alerts.webhook[0]", "is not an address; write e.g."),
    ("alerts.webhook", ["https://me:word@x.example"], "alerts.webhook[0]", "holds a user or password"),
    ("alerts.webhook", ["_secrets^hok"], "alerts.webhook[0]", '"hok" is not a secret; did you mean "_secrets^hook"?'),
    ("alerts.heartbeat", "_secrets^smtp", "alerts.heartbeat", "secrets.smtp is no address by http or https"),
    ("alerts.slack", "x", "alerts.slack", "unknown setting; known here: heartbeat, mail, ntfy, webhook"),
    ("applications.monitor", None, "alerts", "nothing would send them; add an application that watches"),
    ("applications.monitor.volumes", [], "applications.monitor.volumes", 'write volumes: ["metrics:/var/lib/monitor"]'),
    (
        "applications.monitor.volumes",
        ["metrics:/var/lib/monitor", "other:/run"],
        "applications.monitor.volumes[1]",
        "/run/apiary is where it finds what its host has for it",
    ),
    (
        "applications.monitor.env",
        {"interval": 0},
        "applications.monitor.env.interval",
        "is no number of seconds from 1 to",
    ),
    ("applications.monitor.env", {"interval": True}, "applications.monitor.env.interval", "is no number of seconds"),
    ("applications.monitor.env", {"disks": "srv/data"}, "applications.monitor.env.disks", "are no mount points"),
    ("applications.monitor.env", {"disks": ""}, "applications.monitor.env.disks", "leave it out to watch all"),
    ("applications.eye", MONITOR, "applications.eye", "is watched by applications.monitor already"),
    ("jobs.monitor2", MONITOR, "jobs.monitor2", "Monitor does not end, so it is an application"),
]


@pytest.mark.parametrize(("path", "value", "where", "said"), CASES)
def test_what_can_not_be_is_refused_by_its_path_with_the_remedy(path: str, value: object, where: str, said: str):
    found = problems(changed(path, value))
    assert said in found.get(where, ""), found


def test_no_message_repeats_what_may_be_a_secret():
    raw = changed("alerts.mail.password", "hunter2")
    raw["alerts"]["webhook"] = ["https://me:hunter2@x.example", "hunter2"]
    raw["secrets"]["heart"] = "hunter2"
    assert "hunter2" not in str(problems(raw))


def test_a_server_without_a_monitor_is_told_of_with_lines_that_can_be_written():
    raw = stack_file()
    raw["servers"]["db1"] = {**raw["servers"]["web1"], "dns": {}, "private_ip": "192.168.150.11"}
    for section in ("applications", "jobs"):
        raw[section] = {name: {"server": "web1", **one} for name, one in raw[section].items()}
    [said] = settings.unwatched(settings.load(raw, name="test")).items()
    assert said[0] == "db1"
    assert "server db1 has no monitor, and nobody is told of its backups" in said[1]
    raw["applications"] |= yaml.safe_load(said[1].partition("apiary:applications, ")[2])
    assert settings.unwatched(settings.load(raw, name="test")) == {}


def test_where_nobody_watches_nothing_is_said_of_it():
    raw = stack_file()
    del raw["applications"]["monitor"], raw["alerts"]
    assert settings.unwatched(settings.load(raw, name="test")) == {}
