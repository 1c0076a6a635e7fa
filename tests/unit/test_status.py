"""`make status`: each thing that is wrong is told, with what to type, and nothing else is."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from operations.state import Server, State
from operations.status import render, sites
from operations.status.backups import Due
from operations.status.drift import changes_of
from operations.status.findings import report
from operations.status.report import Answers, Finding, Level, Report, Told
from operations.status.stack import Container, Schedule, Site, Spread, Wanted, wanted
from operations.status.words import ago, duration, percent, size

DOCS = Path(__file__).parents[2] / "docs"
NOW = 1_795_900_000.0  # 2026-11-28 21:06:40 UTC, a Saturday
DAY, GIB = 86400.0, 1024.0**3
LEADS = {"IPv6": "2001:db8::a", "IPv4": "192.0.2.1"}
SITE = Site("example.com", "web1", "example.com", "/", "200-399", True, LEADS, "shop")
WANTED = Wanted(
    stack="prod",
    tag="apiary-prod",
    servers=(Server("web1", "urn:web1", "ssh://root@192.0.2.1:22", (), None),),
    sites=(SITE,),
    containers=(
        Container("application", "shop", "web1", "c1", "apiary/shop:1"),
        Container("job", "certs", "web1", "j1", "apiary/certbot:1"),
        Container("job", "logs", "web1", "j2", "apiary/logs:1"),
    ),
    pending=(),
    backups=Schedule("17 2 * * *", "0 5 * * 0", None),
    zones={"web1": "Etc/UTC"},
)


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


def container(id_: str, resource: str, **changed: object) -> dict[str, Any]:
    job = resource.startswith("jobs.")
    return {
        "id": id_,
        "name": f"{resource.partition('.')[2]}-1a2b3c4",
        "resource": resource,
        "status": "exited" if job else "running",
        "exit_code": 0,
        "error": "",
        "out_of_memory": False,
        "health": None,
        "restarts": 0,
        "created": NOW - 9 * DAY,
        "started": NOW - 3 * DAY,
        "finished": NOW - 3600 if job else None,
        **changed,
    }


def good() -> dict[str, Any]:
    """What a server tells that is well."""
    return {
        "time": NOW,
        "uptime": 9 * DAY,
        "cpus": 2,
        "load": [0.1, 0.2, 0.3],
        "memory": {"total": 2 * GIB, "available": GIB},
        "file_systems": [
            {"path": "/", "total": 50 * GIB, "used": 10 * GIB, "free": 40 * GIB, "inodes": 1000, "inodes_free": 900}
        ],
        "reboot": None,
        "failed_units": [],
        "containers": [
            container("c1", "applications.shop"),
            container("j1", "jobs.certs"),
            container("j2", "jobs.logs"),
        ],
        "schedule": {"logs": {"entry": "logs", "when": "30 4 * * *", "event": "ended", "due": NOW - 3600, "why": None}},
        "backups": {
            "since": NOW - 30 * DAY,
            "items": ["volume:uploads"],
            "saved": [
                {
                    "item": "volume:uploads",
                    "time": iso(NOW - 16 * 3600),
                    "saved": iso(NOW - 16 * 3600),
                    "status": "ok",
                    "reason": "",
                    "seconds": 9,
                    "bytes": 5 * GIB,
                }
            ],
            "drill": {
                "begun": iso(NOW - 6 * DAY),
                "status": "ok",
                "seconds": 60,
                "proved": iso(NOW - 6 * DAY),
                "reason": "",
                "items": {"volume:uploads": {"status": "ok", "proved": iso(NOW - 6 * DAY)}},
                "applications": {},
                "repository": {"status": "ok"},
            },
        },
        "problems": {},
    }


def visit(family: str, **changed: object) -> dict[str, Any]:
    return {
        "domain": "example.com",
        "family": family,
        "asked": "ns1.vultr.com",
        "addresses": [SITE.addresses[family]],
        "status": 200,
        "ms": 30,
        "certificate": {"begins": NOW - 30 * DAY, "ends": NOW + 60 * DAY},
        "distrust": None,
        "error": None,
        "nowhere": False,
        "no_route": False,
        **changed,
    }


def made(
    facts: dict[str, Any] | None = None,
    *,
    told: Told | None = None,
    v6: dict[str, Any] | None = None,
    v4: dict[str, Any] | None = None,
    drift: Told | None = None,
    now: float = NOW,
    **changed: Any,
) -> Report:
    """The report on WANTED, with something changed in it, or in what was told."""
    server = told or Told({**good(), **(facts or {})}, asked=NOW - 0.5, answered=NOW + 0.5)
    visits = {
        ("example.com", "IPv6"): visit("IPv6", **(v6 or {})),
        ("example.com", "IPv4"): visit("IPv4", **(v4 or {})),
    }
    answers = Answers({"web1": server}, visits, "", drift or Told({"changes": [], "same": 9}), now)
    return report(Wanted(**{**WANTED.__dict__, **changed}), answers)


def only(found: Report) -> Finding:
    [finding] = found.findings
    return finding


def test_a_hive_that_is_well_has_no_finding_and_every_thing_a_row() -> None:
    found = made()
    assert (found.findings, found.level) == ([], Level.OK)
    rows = {section.title: [row.name for row in section.rows] for section in found.sections}
    assert rows == {
        "servers": ["web1"],
        "sites": ["example.com"],
        "applications": ["web1"],
        "jobs": ["certs", "logs"],
        "backups": ["web1 volume:uploads", "web1 rehearsal"],
        "drift": ["prod"],
    }


def full(share: float, **changed: object) -> dict[str, Any]:
    one = {"path": "/srv/data", "total": 100, "used": share, "free": 100 - share, "inodes": 0, "inodes_free": 0}
    return {"file_systems": [*good()["file_systems"], {**one, **changed}]}


@pytest.mark.parametrize(
    ("facts", "level", "says", "types"),
    [
        (full(79), Level.OK, "", ""),
        (full(80), Level.WATCH, "/srv/data is 80% full", "df -h /srv/data"),
        (full(90), Level.WRONG, "/srv/data is 90% full", "df -h /srv/data"),
        (full(1, inodes=100, inodes_free=5), Level.WRONG, r"/srv/data is 95% full \(inodes\)", "df -h"),
        ({"memory": {"total": 100, "available": 9}}, Level.WATCH, "9 B of 100 B memory", "docker stats"),
        ({"memory": {"total": 100, "available": 4}}, Level.WRONG, "4 B of 100 B memory", "docker stats"),
        ({"load": [9.0, 8.1, 1.0]}, Level.WATCH, "a load of 8.1 over five minutes, on 2 processors", "top"),
        ({"load": [9.0, 8.0, 1.0]}, Level.OK, "", ""),
        ({"reboot": ["linux-image-6.1"]}, Level.WATCH, "wants a reboot: linux-image-6.1", "on web1 systemctl reboot"),
        ({"reboot": []}, Level.WATCH, "wants a reboot", "on web1 systemctl reboot"),
        ({"failed_units": ["ndppd.service"]}, Level.WRONG, "ndppd.service has failed", "systemctl status ndppd"),
        (
            {"swarm": "rpc error: The swarm does not have a leader. It's possible that too few managers are online."},
            Level.WRONG,
            r"nothing is moved, released or restarted \(rpc error: The swarm does not have a leader\)",
            "make recover SERVER=web1",
        ),
        ({"time": NOW + 2.4}, Level.OK, "", ""),
        ({"time": NOW + 4}, Level.WATCH, "its clock is 4 s ahead of this machine's", "timedatectl"),
        ({"time": NOW - 100}, Level.WRONG, "its clock is 100 s behind this machine's", "timedatectl"),
        (
            {"problems": {"containers": "`docker ps` gave no answer in 5 s"}},
            Level.WRONG,
            "Docker can't be told: `docker ps` gave no answer in 5 s",
            "systemctl restart docker",
        ),
    ],
)
def test_a_server(facts: dict[str, Any], level: Level, says: str, types: str) -> None:
    found = made(facts)
    assert found.level is level
    if level:
        finding = only(found)
        assert (finding.kind, finding.name) == ("server", "web1")
        assert re.search(says, finding.says)
        assert types in finding.type


def test_a_site_of_replicas_that_is_closed_is_opened_everywhere() -> None:
    found = made(v6={"maintenance": True}, spread=(Spread("shop", 2, ("web1", "web2"), "web1"),))
    [closed] = [one for one in found.findings if "under maintenance" in one.says]
    assert closed.type == "make maintenance APP=shop OFF=1 STACK=prod"


MUTE = {"status": None, "ms": None, "certificate": None, "error": "no answer (timed out)"}


@pytest.mark.parametrize(
    ("cause", "answers", "says", "types"),
    [
        ("silent", False, "does not answer: no reason, and none of 1 site does", "make revive SERVER=web1 STACK=prod"),
        ("silent", True, r"lets nobody in from here \(no reason\), and serves 1 of 1 site", "on web1 uptime"),
        ("refused", True, "answers, and does not let us in: no reason", "pulumi preview --stack prod"),
        ("old", True, "older than this checkout", "pulumi up --stack prod"),
        ("failed", True, "does not tell how it is: no reason", "on web1 apiary-status apiary-prod"),
    ],
)
def test_a_server_that_tells_nothing_is_one_finding_and_nobody_is_sent_to_revive_a_living_one(
    cause: str, answers: bool, says: str, types: str
) -> None:
    told = Told(None, "no reason", cause)
    found = made(told=told) if answers else made(told=told, v6=MUTE, v4=MUTE)
    finding = only(found)
    assert re.search(says, finding.says)
    assert finding.type == types
    assert finding.level is Level.WRONG
    # What it would have told is not known, and not well.
    levels = {section.title: [row.level for row in section.rows] for section in found.sections}
    assert levels["applications"] == levels["jobs"] == [Level.WRONG]
    assert levels["sites"] == [Level.OK if answers else Level.WRONG]


def test_a_site_of_several_servers_is_no_sign_that_this_one_lives() -> None:
    shared = replace(SITE, beside={"IPv4": ("192.0.2.2",)})
    found = made(told=Told(None, "no reason", "silent"), sites=(shared,))
    [finding] = [one for one in found.findings if one.kind == "server"]
    assert (finding.says, finding.type) == ("does not answer: no reason", "make revive SERVER=web1 STACK=prod")


def test_a_site_of_several_servers_stands_there_once_as_one_that_answers_has_it() -> None:
    there = [replace(SITE, server=server) for server in ("web1", "web2", "web3")]
    told = {server: Told(None, "", "silent" if server == "web1" else "") for server in ("web1", "web2", "web3")}
    alone = replace(SITE, domain="alone.example.com", server="web1")
    assert list(sites.once([*there, alone], told)) == [there[1], alone]


def certificate(left: float, life: float = 90) -> dict[str, Any]:
    return {"certificate": {"begins": NOW + (left - life) * DAY, "ends": NOW + left * DAY}}


@pytest.mark.parametrize(
    ("v6", "v4", "level", "says", "types"),
    [
        ({"status": 399}, {}, Level.OK, "", ""),
        (
            {"status": 503},
            {"status": 503},
            Level.WRONG,
            "answers 503 instead of 200-399 over IPv6 and IPv4",
            "curl -v h",
        ),
        # The statuses that count are the application's own: `*.example.com` takes up to 499.
        (
            {"status": 204, "nowhere": True},
            {},
            Level.WRONG,
            "answers 204, by the proxy itself: it leads to no application there over IPv6$",
            "curl -v -6",
        ),
        (
            {"status": 503},
            {},
            Level.WRONG,
            "answers 503 instead of 200-399 over IPv6$",
            "curl -v -6 https://example.com/",
        ),
        (MUTE, {}, Level.WRONG, r"no answer \(timed out\) over IPv6$", "curl -v -6"),
        ({}, MUTE, Level.WRONG, r"no answer \(timed out\) over IPv4$", "curl -v -4"),
        (
            {"maintenance": True},
            {"maintenance": True},
            Level.WATCH,
            "under maintenance: visitors get 503",
            "make maintenance APP=web1:shop OFF=1 STACK=prod",
        ),
        ({"ms": 3001}, {}, Level.WATCH, "slow: 3001 ms over IPv6", "docker stats"),
        (
            {"addresses": ["2001:db8::bad"]},
            {},
            Level.WRONG,
            r"leads to 2001:db8::bad instead of 2001:db8::a \(says ns1.vultr.com\) over IPv6",
            "curl -v -6",
        ),
        (
            {"distrust": "self-signed certificate"},
            {},
            Level.WRONG,
            "is not accepted: self-signed",
            "start JOB=web1:certs",
        ),
        (certificate(22), {}, Level.OK, "", ""),
        (certificate(20), {}, Level.WATCH, r"ends in 20\.0 days", "make start JOB=web1:certs STACK=prod"),
        ({}, certificate(3), Level.WRONG, r"ends in 3\.0 days", "make start JOB=web1:certs STACK=prod"),
        (certificate(3, 6), {}, Level.OK, "", ""),  # half of its short life
        (certificate(0.5, 6), {}, Level.WRONG, r"ends in 0\.5 days", "JOB=web1:certs"),
        (certificate(300, 365), {}, Level.OK, "", ""),
    ],
)
def test_a_site(v6: dict[str, Any], v4: dict[str, Any], level: Level, says: str, types: str) -> None:
    found = made(v6=v6, v4=v4)
    assert found.level is level
    if level:
        finding = only(found)
        assert (finding.kind, finding.name) == ("site", "example.com")
        assert re.search(says, finding.says)
        assert types in finding.type


def test_a_machine_without_ipv6_does_not_call_every_site_dead() -> None:
    found = made(v6={**MUTE, "no_route": True})
    finding = only(found)
    assert finding.level is Level.WATCH
    assert "this machine has no IPv6" in finding.says
    assert finding.type == "APIARY_VISITOR='ssh SOMEWHERE-ELSE' make status STACK=prod"


def test_visits_that_did_not_come_about_are_wrong_with_the_reason() -> None:
    answers = Answers(
        {"web1": Told(good(), asked=NOW, answered=NOW)}, {}, "no python3 there", Told({"changes": [], "same": 1}), NOW
    )
    assert only(report(WANTED, answers)).says == "no answer (no python3 there) over IPv6 and IPv4"


def refusal(one: str, port: int) -> dict[str, Any]:
    return {"from": one, "to": "applications.redis", "proto": "tcp", "port": port, "count": 3}


def with_container(id_: str, **changed: object) -> dict[str, Any]:
    """Of the three, one changed."""
    return {"containers": [{**one, **changed} if one["id"] == id_ else one for one in good()["containers"]]}


@pytest.mark.parametrize(
    ("facts", "level", "says", "types"),
    [
        (
            with_container("c1", status="exited", exit_code=3, finished=NOW - 120),
            Level.WRONG,
            "is exited, with exit code 3, 2 min ago",
            "on web1 docker logs --tail 50 shop-1a2b3c4; on web1 docker restart shop-1a2b3c4",
        ),
        (with_container("c1", status="exited", exit_code=137, out_of_memory=True), Level.WRONG, "no memory", "restart"),
        (with_container("c1", status="paused"), Level.WRONG, "is paused$", "docker unpause shop-1a2b3c4"),
        (with_container("c1", health="unhealthy"), Level.WRONG, "unhealthy", "docker logs"),
        (with_container("c1", health="starting"), Level.OK, "", ""),
        (
            with_container("c1", restarts=4, started=NOW - 60),
            Level.WATCH,
            "been restarted 4 times, last 60 s ago",
            "logs",
        ),
        (with_container("c1", restarts=4), Level.OK, "", ""),
        (
            with_container("c1", id="other"),
            Level.WRONG,
            "its container is gone from web1",
            "pulumi up --stack prod --refresh",
        ),
        (
            {"containers": [*good()["containers"], container("c0", "applications.shop", name="shop-0")]},
            Level.WATCH,
            "shop-0 runs beside it",
            "pulumi up --stack prod",
        ),
        (
            {"refused": [refusal("applications.shop", 6379), refusal("applications.shop", 6380)]},
            Level.WATCH,
            r"was refused at redis \(tcp/6379, tcp/6380\); if it should reach that, write reach: \[redis\]",
            "on web1 apiary-neighbours refused",
        ),
        ({"refused": [refusal("applications.other", 6379), refusal("jobs.shop", 6379)]}, Level.OK, "", ""),
    ],
)
def test_an_application(facts: dict[str, Any], level: Level, says: str, types: str) -> None:
    found = made(facts)
    assert found.level is level
    if level:
        finding = only(found)
        assert (finding.kind, finding.name) == ("application", "shop")
        assert re.search(says, finding.says)
        assert types in finding.type


def due(**changed: object) -> dict[str, Any]:
    return {"schedule": {"logs": {**good()["schedule"]["logs"], **changed}}}


AGAIN = "make start JOB=web1:logs STACK=prod"


@pytest.mark.parametrize(
    ("facts", "level", "says", "types"),
    [
        (with_container("j2", exit_code=3), Level.WRONG, "ended with status 3, 60 min ago", f"logs-1a2b3c4; {AGAIN}"),
        (with_container("j2", exit_code=137, out_of_memory=True), Level.WRONG, "no memory left", AGAIN),
        (with_container("j2", status="running", started=NOW - 5), Level.OK, "", ""),
        (with_container("j2", status="created", started=None, finished=None), Level.WRONG, "has never run", AGAIN),
        (with_container("j2", id="other"), Level.WRONG, "is gone from web1", "up --stack prod --refresh"),
        (
            due(event="failed", why="no answer"),
            Level.WRONG,
            "by the clock was failed, due 60 min ago: no answer",
            AGAIN,
        ),
        (due(event="missed"), Level.WATCH, "by the clock was missed", AGAIN),
        (due(event=None, due=None), Level.OK, "", ""),
    ],
)
def test_a_job(facts: dict[str, Any], level: Level, says: str, types: str) -> None:
    found = made(facts)
    assert found.level is level
    if level:
        finding = only(found)
        assert (finding.kind, finding.name) == ("job", "logs")
        assert re.search(says, finding.says)
        assert types in finding.type


def test_a_job_that_is_run_by_hand_alone_need_not_have_run() -> None:
    logs = Container("job", "logs", "web1", "j2", "apiary/logs:1", by_hand=True)
    never = with_container("j2", status="created", started=None, finished=None)
    assert made(never).level is Level.WRONG
    assert made(never, containers=(*WANTED.containers[:2], logs)).level is Level.OK


def backed_up(drill: dict[str, Any] | None = None, **changed: object) -> dict[str, Any]:
    """One item, and the rehearsal, each with something changed."""
    told = copy.deepcopy(good()["backups"])
    told["saved"][0] |= changed
    told["drill"] |= drill or {}
    return {"backups": told}


def new(since: float, *more: str) -> dict[str, Any]:
    """A server that saves since then, and has not done so yet; or has, and `more` things were added then."""
    told = good()["backups"]
    saved = told["saved"] if more else []
    return {"backups": {**told, "items": [*told["items"], *more], "saved": saved, "since": since}}


def never_proved(since: float) -> dict[str, Any]:
    """A server that saves since then, and has rehearsed nothing."""
    return {"backups": {**good()["backups"], "drill": None, "since": since}}


OLD = {"begun": iso(NOW - 9 * DAY)}
BROKEN = {"status": "failed", "applications": {"shop": {"status": "failed", "reason": "0 rows"}},
          "repository": {"status": "failed", "reason": "pack"}}  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "level", "name", "says"),
    [
        (backed_up(saved=iso(NOW - 40 * 3600)), Level.WRONG, "web1 volume:uploads", "is 40 h old, and another was due"),
        (
            backed_up(status="failed", reason="full"),
            Level.WRONG,
            "web1 volume:uploads",
            "failed, 16 h ago: full; .* 16 h",
        ),
        (
            backed_up(status="failed", saved=""),
            Level.WRONG,
            "web1 volume:uploads",
            "failed, 16 h ago; there is no good",
        ),
        (backed_up(status="suspicious", reason="9 B"), Level.WRONG, "web1 volume:uploads", "is suspicious, .*: 9 B"),
        ({"backups": {**good()["backups"], "saved": []}}, Level.WRONG, "web1 volume:uploads", "was never saved"),
        (new(NOW - 3 * 3600), Level.WATCH, "web1", "it has saved nothing since it was made"),
        (new(NOW - 3 * 3600, "volume:wiki"), Level.WATCH, "web1 volume:wiki", "was not saved yet"),
        (new(NOW - 30 * 3600, "volume:wiki"), Level.WRONG, "web1 volume:wiki", "was never saved"),
        (new(NOW - 30 * 3600), Level.WRONG, "web1 volume:uploads", "was never saved"),
        ({"backups": None}, Level.WRONG, "web1", "does not know what to save, and saves nothing"),
        (never_proved(NOW - 30 * DAY), Level.WRONG, "web1 rehearsal", "never proved, though a rehearsal was due"),
        (never_proved(NOW - 3 * 3600), Level.WATCH, "web1 rehearsal", "never proved, and the first .* by the clock"),
        (backed_up(OLD), Level.WRONG, "web1 rehearsal", "9 d old"),
        (backed_up({"status": "failed", "reason": "no room"}), Level.WRONG, "web1 rehearsal", "6 d ago: no room"),
        (backed_up(BROKEN), Level.WRONG, "web1 rehearsal", "6 d ago: shop: 0 rows, and 1 more"),
    ],
)
def test_a_backup_and_its_rehearsal(facts: dict[str, Any], level: Level, name: str, says: str) -> None:
    finding = only(made(facts))
    assert (finding.level, finding.name) == (level, name)
    assert re.search(says, finding.says)


def test_rehearsals_that_are_not_wanted_and_the_server_that_keeps_the_backups_are_no_finding() -> None:
    assert made(backed_up(OLD), backups=Schedule("17 2 * * *", None, None)).findings == []
    assert made({"backups": None}, backups=Schedule("17 2 * * *", None, "web1")).findings == []


@pytest.mark.parametrize(
    ("section", "schedule"),
    [
        ({"repository": "s3:x"}, Schedule("17 2 * * *", "0 5 * * 0", None)),
        ({"repository": {"server": "web2"}, "when": "@daily", "drill": False}, Schedule("@daily", None, "web2")),
        ({"repository": "server:web2"}, Schedule("17 2 * * *", "0 5 * * 0", "web2")),
        ({"drill": {"read": 9}}, Schedule("17 2 * * *", "0 5 * * 0", None)),
        ({"drill": {"when": "@weekly", "scheduled": True}}, Schedule("17 2 * * *", "@weekly", None)),
    ],
)
def test_when_backups_are_due_is_the_stack_file_s(section: dict[str, Any], schedule: Schedule) -> None:
    assert wanted("prod", "apiary-prod", State.of({}), {"apiary:backups": section}).backups == schedule


def test_without_a_backups_section_that_is_said_and_is_no_finding() -> None:
    found = made({"backups": None}, backups=None)
    assert found.findings == []
    assert "backups  none are made" in text(found)


def test_what_is_due_goes_by_the_schedule_in_the_server_s_zone() -> None:
    """02:17 in Berlin is 01:17 UTC in November; a backup has three hours."""
    now = NOW - 76_000 + 4.75 * 3600  # 04:45 UTC
    for zone, passed in (("Europe/Berlin", True), ("Etc/UTC", False)):
        assert Due("17 2 * * *", zone, now).passed(now - DAY) is passed
    assert Due("@weekly", "Etc/UTC", NOW).passed(NOW - 6 * DAY) is False


def test_drift_is_told_by_what_and_from_what_to_what() -> None:
    urn = "urn:pulumi:prod::apiary::apiary:dns:Zone$vultr:index/dnsRecord:DnsRecord::example.com/{}"
    told = changes_of(
        {
            "steps": [
                {"op": "refresh", "urn": urn.format("same")},
                {"op": "update", "urn": urn.format("www/A"), "detailedDiff": {"data": {}, "labels[0].value": {}},
                 "oldState": {"outputs": {"data": "192.0.2.1", "labels": []}},
                 "newState": {"outputs": {"data": "192.0.2.7", "labels": [1]}}},
                {"op": "delete", "urn": urn.format("@/A")},
            ],
            "changeSummary": {"same": 7, "update": 1, "delete": 1},
        }
    )  # fmt: skip
    assert told == {
        "changes": [
            "DnsRecord example.com/@/A is gone",
            "DnsRecord example.com/www/A is changed (data: 192.0.2.1 -> 192.0.2.7, labels)",
        ],
        "same": 7,
    }
    finding = only(made(drift=Told(told)))
    assert "@/A is gone; DnsRecord example.com/www/A is changed" in finding.says
    assert "pulumi up --stack prod --refresh" in finding.type


def test_drift_that_is_not_known_and_an_update_that_was_cut_off_are_wrong() -> None:
    assert "not known: no end in time" in only(made(drift=Told(None, "no end in time", "silent"))).says
    finding = only(made(pending=("creating web1",)))
    assert finding.says == "an update was cut off, or is under way: creating web1"
    assert finding.type == "make heal STACK=prod"


# what is asked, by a state


URN = "urn:pulumi:prod::apiary::"
PROVIDER = f"{URN}apiary:host:Server$pulumi:providers:docker::web1-ewr"
STATE = {
    "deployment": {
        "resources": [
            {"urn": f"{URN}pulumi:pulumi:Stack::apiary-prod", "type": "pulumi:pulumi:Stack",
             "outputs": {"servers": {"web1": {"ipv4": "192.0.2.1", "web_ipv6": "2001:db8::a"}}}},
            {"urn": PROVIDER, "type": "pulumi:providers:docker", "id": "p", "parent": f"{URN}apiary:host:Server::web1",
             "inputs": {"host": "ssh://root@192.0.2.1:22"}},
            {"urn": f"{URN}apiary:dns:Zone$vultr:index/dnsDomain:DnsDomain::example.com",
             "type": "vultr:index/dnsDomain:DnsDomain", "id": "d"},
            {"urn": f"{URN}apiary:docker:Application$docker:index/container:Container::shop", "id": "c1",
             "type": "docker:index/container:Container", "provider": f"{PROVIDER}::p"},
            {"urn": f"{URN}apiary:docker:Application$docker:index/container:Container::old", "id": "c0", "delete": True,
             "type": "docker:index/container:Container", "provider": f"{PROVIDER}::p"},
            {"urn": f"{URN}apiary:docker:Job$docker:index/container:Container::certs", "id": "j1",
             "type": "docker:index/container:Container", "provider": f"{PROVIDER}::p",
             "inputs": {"image": "apiary/certbot:1"}},
            {"urn": f"{URN}apiary:docker:Verdict$command:remote:Command::web1-verdict", "id": "v",
             "type": "command:remote:Command",
             "inputs": {"stdin": json.dumps({"proxy": [], "applications": {"shop": {"container": "c1", "sites": {
                 "shop.example.com": {"app": "shop", "port": 1, "path": "/up", "status": "200,401", "www": True,
                                      "tls": True}}}}})}},
        ],
        "pending_operations": [
            {"type": "creating", "resource": {"urn": f"{URN}x:y:Z::late", "type": "x:y:Z"}},
        ],
    }
}  # fmt: skip


def test_what_there_should_be_follows_from_the_state_and_the_stack_file() -> None:
    config = {
        "apiary:servers": {"web1": {"timezone": "Europe/Berlin"}},
        "apiary:backups": {"repository": "x", "when": "@daily", "drill": {"when": "@weekly"}},
    }
    found = wanted("prod", "apiary-prod", State.of(STATE), config)
    assert [server.name for server in found.servers] == ["web1"]
    assert found.sites == (
        Site(
            "shop.example.com",
            "web1",
            "example.com",
            "/up",
            "200,401",
            True,
            dict(SITE.addresses),
            application="shop",
            host="shop.example.com",
        ),
    )
    assert [found.sites[0].counts(status) for status in (200, 201, 401, 503)] == [True, False, True, False]
    assert [(one.kind, one.name, one.id, one.image) for one in found.containers] == [
        ("application", "shop", "c1", ""),
        ("job", "certs", "j1", "apiary/certbot:1"),
    ]
    assert (found.backups, found.zones) == (Schedule("@daily", "@weekly", None), {"web1": "Europe/Berlin"})
    assert found.pending == ("creating late",)
    assert wanted("prod", "apiary-prod", State.of({}), {}).backups is None


def test_a_domain_of_several_servers_leads_to_all_of_them() -> None:
    told = copy.deepcopy(STATE)
    resources = told["deployment"]["resources"]
    resources[0]["outputs"]["servers"]["web2"] = {"ipv4": "192.0.2.2", "web_ipv6": "2001:db8::b"}
    resources.append({**resources[-1], "urn": f"{URN}apiary:docker:Verdict$command:remote:Command::web2-verdict"})
    first, second = wanted("prod", "apiary-prod", State.of(told), {}).sites
    assert first.leads("IPv4") == second.leads("IPv4") == ["192.0.2.1", "192.0.2.2"]
    assert first.leads("IPv6") == ["2001:db8::a", "2001:db8::b"]
    assert wanted("prod", "apiary-prod", State.of(STATE), {}).sites[0].leads("IPv4") == ["192.0.2.1"]


# how it is shown


def test_a_part_of_a_domain_and_all_names_below_one_are_asked_for_as_visitors_do() -> None:
    told = copy.deepcopy(STATE)
    verdict = told["deployment"]["resources"][-1]["inputs"]
    route = {"app": "shop", "port": 1, "path": "/up", "status": "200", "www": True, "tls": True}
    sites = {
        "example.com": {**route, "site": {"www": "www", "password": ["anna"]}},
        "example.com/api": {**route, "site": {"www": "www"}, "visited": {"path": "/api/up"}},
        "*.example.com": {**route, "www": False, "visited": {"path": "/up", "status": "200-499"}},
    }
    verdict["stdin"] = json.dumps({"applications": {"shop": {"container": "c1", "sites": sites}}})
    found = wanted("prod", "apiary-prod", State.of(told), {}).sites
    assert [(one.domain, one.asked, one.path, one.statuses, one.zone, one.application) for one in found] == [
        ("*.example.com", "apiary-health.example.com", "/up", "200-499", "example.com", "shop"),
        ("www.example.com", "www.example.com", "/up", "200,401", "example.com", "shop"),
        ("www.example.com/api", "www.example.com", "/api/up", "200", "example.com", "shop"),
    ]


def text(found: Report, *, colour: bool = False, unicode: bool = True) -> str:
    return render.Text(colour=colour, unicode=unicode).render(found, 2.34)


def test_the_worst_is_at_the_top_of_its_table_and_nearest_to_the_prompt() -> None:
    facts = {**with_container("j2", exit_code=3), "reboot": []}
    lines = text(made(facts, v6={"status": 503})).splitlines()
    jobs = lines.index(next(line for line in lines if line.startswith("  jobs")))
    assert lines[jobs + 1].startswith("✗ logs")
    assert lines[jobs + 2].startswith("✓ certs")
    told = [line for line in lines if re.match(r"[✗!] (server|site|job)", line)]
    assert [line.split(":")[0] for line in told] == ["! server web1", "✗ site example.com", "✗ job logs"]
    assert lines[-1] == "prod: 2 things are wrong, 1 to watch (2026-11-28 21:06:40 UTC, 2.3 s)"
    assert text(made()).splitlines()[-1].startswith("prod: all is well (")


def test_columns_stand_in_line_and_no_line_has_an_end_to_trip_over() -> None:
    lines = text(made()).splitlines()
    head, row = next((line, lines[at + 1]) for at, line in enumerate(lines) if line.startswith("  servers"))
    for column, cell in (("up", "9 d"), ("load", "0.10 / 2"), ("disk used", "20% of 50 GiB"), ("reboot", "no")):
        assert head.index(column) == row.index(cell)
    assert all(line == line.rstrip() for line in lines)


def test_without_a_terminal_there_is_no_colour_and_without_utf_8_no_mark_beyond_ascii() -> None:
    found = made({"failed_units": ["x.service"]})
    assert "\x1b[" not in text(found)
    assert "\x1b[1;31m" in text(found, colour=True)
    plain = text(found, unicode=False)
    assert plain.isascii()
    assert "X server web1: x.service has failed" in plain


def test_json_has_the_findings_the_tables_and_the_facts_as_they_were_told() -> None:
    answers = Answers({"web1": Told(None, "gone", "silent")}, {}, "gone", Told(None, "late", "silent"), NOW)
    told = json.loads(render.as_json(report(WANTED, answers), answers, 1.0))
    assert told["status"] == "wrong"
    assert told["findings"][0] == {
        "level": "wrong", "kind": "server", "name": "web1", "says": "does not answer: gone, and none of 1 site does",
        "type": "make revive SERVER=web1 STACK=prod", "see": "operations.md#a-server-is-dead",
    }  # fmt: skip
    assert told["tables"]["sites"] == [
        {"name": "example.com", "status": "wrong", "IPv6": "none", "IPv4": "none", "certificate": "?"}
    ]
    assert told["facts"]["servers"] == {"web1": {"why": "gone"}}


def test_every_place_in_the_docs_that_a_finding_names_is_there() -> None:
    source = "".join(file.read_text() for file in (DOCS.parent / "operations" / "status").glob("*.py"))
    named = set(re.findall(r'"((?:\w|-)+\.md)#([\w-]+)"', source))
    # sites.py puts one together.
    named |= {("operations.md", anchor) for anchor in ("only-ipv6-is-down", "a-site-is-down")}
    assert len(named) >= 10
    for page, anchor in named:
        heads = re.findall(r"^#+ (.*)$", (DOCS / page).read_text(), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
        assert anchor in anchors, f"docs/{page}#{anchor}"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (lambda: duration(119), "119 s"),
        (lambda: duration(120), "2 min"),
        (lambda: duration(47 * 3600), "47 h"),
        (lambda: duration(48 * 3600), "2 d"),
        (lambda: ago(NOW + 5, NOW), "0 s ago"),
        (lambda: size(1023), "1023 B"),
        (lambda: size(1024), "1.0 KiB"),
        (lambda: size(500 * GIB), "500 GiB"),
        (lambda: percent(0.8999), "89%"),
    ],
)
def test_words(said: Callable[[], str], words: str) -> None:
    assert said() == words


FORUM = Spread("forum", 3, ("web1", "web2"), "web1")


def spread(web1: list[str] | None, web2: list[str] | None) -> Report:
    """With three replicas on two servers, by the health that each tells; None where it can't be asked."""
    told = {
        server: Told(None, "No route to host", "silent")
        if those is None
        else Told(
            {
                **good(),
                "containers": good()["containers"] if server == "web1" else [],
                "replicas": [{"service": "forum", "name": f"forum.{number}", "health": one}
                             for number, one in enumerate(those)],
            },
            asked=NOW, answered=NOW,
        )
        for server, those in (("web1", web1), ("web2", web2))
    }  # fmt: skip
    two = tuple(Server(name, f"urn:{name}", "ssh://root@192.0.2.1:22", (), None) for name in ("web1", "web2"))
    changed = {
        "servers": two,
        "sites": (),
        "backups": None,
        "spread": (FORUM,),
        "zones": dict.fromkeys(told, "Etc/UTC"),
    }
    answers = Answers(told, {}, "", Told({"changes": [], "same": 9}), NOW)
    return report(Wanted(**{**WANTED.__dict__, **changed}), answers)


def forum(found: Report) -> tuple[str, list[Finding]]:
    [row] = [row for section in found.sections for row in section.rows if row.name == "forum"]
    return row.cells[0], list(row.findings)


def test_replicas_are_counted_by_what_each_server_tells_of_its_own() -> None:
    found = spread(["healthy", "healthy"], ["healthy"])
    assert found.findings == []
    assert forum(found) == ("3 of 3 replicas, 2 on web1, 1 on web2", [])


def test_fewer_than_there_should_be_are_wrong_and_why_is_told() -> None:
    cell, [finding] = forum(spread(["healthy", "starting"], ["healthy"]))
    assert cell == "2 of 3 replicas, 1 on web1, 1 on web2"
    assert finding.level is Level.WRONG
    assert finding.says == "2 of 3 replicas are healthy: one on web1 is starting"
    assert finding.type == "on web1 docker service ps --no-trunc forum"
    _, [finding] = forum(spread(["healthy", "healthy"], None))
    assert finding.says == "2 of 3 replicas are healthy: web2 can't be asked"
    assert forum(spread([], []))[0] == "0 of 3 replicas"


def test_a_server_that_none_of_them_is_on_is_to_watch() -> None:
    _, [finding] = forum(spread(["healthy"] * 3, []))
    assert finding.level is Level.WATCH
    assert "none of its replicas is on web2" in finding.says
    assert finding.type == "on web1 apiary-replicas spread forum 3"
    # All are there, whoever does not tell.
    assert forum(spread(["healthy"] * 3, None))[1] == []


def test_a_server_that_is_emptied_is_not_forgotten() -> None:
    stack_file = {"apiary:servers": {"web1": {"swarm": "manager"}, "web2": {"swarm": "worker", "drain": True}}}
    drained = wanted("prod", "apiary-prod", State.of({"deployment": {"resources": []}}), stack_file).drained
    assert drained == {"web2"}
    answers = Answers({"web1": Told(good(), asked=NOW, answered=NOW)}, {}, "", Told({"changes": [], "same": 9}), NOW)
    whole = report(Wanted(**{**WANTED.__dict__, "drained": frozenset({"web1"})}), answers)
    [finding] = [one for one in whole.findings if "is emptied" in one.says]
    assert (finding.level, finding.type) == (Level.WATCH, "make drain SERVER=web1 OFF=1 STACK=prod")


def test_which_replicas_there_should_be_and_where() -> None:
    service = {
        "urn": "urn:pulumi:prod::apiary::apiary:docker:Replicated$docker:index/service:Service::forum",
        "type": "docker:index/service:Service", "id": "s", "inputs": {"mode": {"replicated": {"replicas": 3}}},
    }  # fmt: skip
    worker = {"swarm": "worker"}
    servers = {"db1": {}, "web1": {"swarm": "manager"}, "web2": worker, "web3": {**worker, "drain": True}}
    state = State.of({"deployment": {"resources": [service]}})
    assert wanted("prod", "apiary-prod", state, {"apiary:servers": servers}).spread == (FORUM,)
    narrowed = {"apiary:servers": servers, "apiary:applications": {"forum": {"servers": ["web2"]}}}
    assert wanted("prod", "apiary-prod", state, narrowed).spread[0].servers == ("web2",)
