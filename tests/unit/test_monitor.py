"""The monitor's configuration from what is to be watched: what it asks, when it alarms, whom it tells; and its page."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "Monitor"))

from monitor import __main__ as main
from monitor import config, day, ntfy, own, page, programs, rules
from monitor.kept import AlertmanagerError, Kept
from monitor.settings import EnvironmentProblem, Told, read
from monitor.watch import Ntfy, Watch, WatchError, parse

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "images" / "Monitor" / "example.json").read_text()
WATCH = parse(EXAMPLE)
SECRETS = ["example", "hooks.example.com/x", "alive.example.com/x"]


def prometheus(watch: Watch = WATCH) -> dict[str, Any]:
    return dict(json.loads(config.prometheus(watch, 30, "/rules.yml")))


def alertmanager(watch: Watch = WATCH) -> dict[str, Any]:
    return dict(json.loads(config.alertmanager(watch, 30, "/alerts.tmpl")))


def alerting(watch: Watch = WATCH, interval: int = 30) -> dict[str, dict[str, Any]]:
    found = json.loads(rules.render(watch, interval))["groups"][0]["rules"]
    return {rule["alert"]: rule for rule in found}


# --- what is asked


def test_every_site_is_asked_over_each_family_alone_and_never_over_the_other():
    (sites,) = [one for one in prometheus()["scrape_configs"] if one["job_name"] == "sites"]
    asked = {
        (one["targets"][0], one["labels"]["family"], one["labels"]["__param_module"]) for one in sites["static_configs"]
    }
    assert asked == {
        ("https://example.com/", "IPv4", "IPv4-200-399"),
        ("https://example.com/", "IPv6", "IPv6-200-399"),
        ("https://api.example.com/health", "IPv4", "IPv4-200-399,401"),
        ("https://api.example.com/health", "IPv6", "IPv6-200-399,401"),
    }
    modules = json.loads(config.blackbox(WATCH, None))["modules"]
    for family, protocol in (("IPv4", "ip4"), ("IPv6", "ip6")):
        http_module = modules[f"{family}-200-399,401"]["http"]
        assert http_module["preferred_ip_protocol"] == protocol
        assert http_module["ip_protocol_fallback"] is False
        assert http_module["valid_status_codes"] == [*range(200, 400), 401]


def test_an_address_that_leads_to_no_application_is_down_whatever_statuses_count():
    for module in json.loads(config.blackbox(WATCH, None))["modules"].values():
        if module["prober"] == "http":
            assert module["http"]["fail_if_header_matches"] == [
                {"header": "Apiary-State", "regexp": "^nowhere$", "allow_missing": True}
            ]


def test_a_certificate_of_an_own_authority_is_trusted_and_any_other_is_judged():
    module = json.loads(config.blackbox(WATCH, "/authorities.pem"))["modules"]["IPv4-200-399"]["http"]
    assert module["tls_config"] == {"ca_file": "/authorities.pem"}
    assert "insecure" not in config.blackbox(WATCH, None)


def test_nothing_listens_beyond_the_container_but_its_health():
    for program in programs.programs(Path("/files"), Path("/data"), 30):
        (listens,) = [word for word in program.words if word.startswith("--web.listen-address=")]
        assert listens == f"--web.listen-address=127.0.0.1:{program.port}"
        assert not [word for word in program.words if word.startswith("--cluster.listen-address=") and word[-1] != "="]


def test_what_is_not_there_is_not_asked():
    bare = dataclasses.replace(WATCH, sites=(), peers=(), servers=(), jobs=(), proxy=False, backups=None)
    assert {one["job_name"] for one in prometheus(bare)["scrape_configs"]} == {"host", "alertmanager"}
    assert set(alerting(bare)) - {"Heartbeat"} == {
        "AlertsNotDelivered",
        "ContainerDown",
        "ContainerRestarts",
        "DiskWillBeFull",
        "JobFailed",
        "ManagersAway",
        "MemoryShort",
        "MonitorBlind",
        "ReplicasDown",
        "ReplicasMissing",
        "ReplicasRestart",
    }


def test_a_rehearsal_that_never_was_is_late_from_the_first_backup_on():
    late = alerting()["DrillLate"]
    never = "(apiary_drill_last_success_timestamp_seconds or apiary_backup_since_timestamp_seconds)"
    assert late["expr"] == f"time() - {never} > {WATCH.backups.drill_late}"


def test_what_fails_is_told_with_its_reason_which_is_no_part_of_what_the_alert_is():
    """Else another reason would be another alert."""
    asked = {"BackupFailed": "apiary_backup_reason", "DrillFailed": "apiary_drill_reason"}
    for name, series in asked.items():
        rule = alerting()[name]
        assert series in rule["annotations"]["summary"]
        assert series not in rule["expr"]


def test_a_server_is_down_when_it_answers_neither_a_ping_nor_at_any_private_port():
    (servers,) = [one for one in prometheus()["scrape_configs"] if one["job_name"] == "servers"]
    assert servers["static_configs"] == [
        {"targets": ["203.0.113.11"], "labels": {"__param_module": "ping", "peer": "db1"}}
    ]
    assert json.loads(config.blackbox(WATCH, None))["modules"]["ping"]["prober"] == "icmp"
    without = dataclasses.replace(WATCH, peers=())
    assert alerting(without)["ServerDown"]["expr"] == 'max by (peer) (probe_success{job=~"servers|peers"}) == 0'
    assert "PrivatePortDown" not in alerting(without)


def test_sites_of_a_dead_server_are_not_told_beside_it_nor_kept_quiet_for_another_server_s_proxy():
    elsewhere = dataclasses.replace(WATCH, sites=(dataclasses.replace(WATCH.sites[0], server="db1"), WATCH.sites[1]))
    (sites,) = [one for one in prometheus(elsewhere)["scrape_configs"] if one["job_name"] == "sites"]
    peers = {one["labels"]["domain"]: one["labels"].get("peer") for one in sites["static_configs"]}
    assert peers == {"example.com": "db1", "api.example.com": None}
    hushed = [
        (one["source_matchers"], one["equal"])
        for one in alertmanager()["inhibit_rules"]
        if one["target_matchers"] == ['alertname="SiteDown"']
    ]
    assert hushed == [(['alertname="ServerDown"'], ["peer"]), (['alertname="ProxyDown"'], ["peer"])]


@pytest.mark.parametrize(
    ("disks", "seen"),
    [
        ((), {"/", "/srv/data", "/srv/data2"}),
        (("/srv/data",), {"/srv/data"}),
        (("/", "/srv/data2"), {"/", "/srv/data2"}),
    ],
)
def test_the_file_systems_that_are_named_are_watched_and_no_other(disks: tuple[str, ...], seen: set[str]):
    found = json.loads(config.prometheus(WATCH, 30, "/rules.yml", disks))
    (host,) = [one for one in found["scrape_configs"] if one["job_name"] == "host"]
    (keep,) = host["metric_relabel_configs"]
    assert keep["action"] == "keep"

    def kept(series: str, mount: str = "") -> bool:
        return re.fullmatch(keep["regex"], f"{series};{mount}") is not None

    mounts = {"/", "/srv/data", "/srv/data2"}
    assert {mount for mount in mounts if kept("node_filesystem_avail_bytes", mount)} == seen
    for series in ("apiary_container_up", "node_memory_MemTotal_bytes", "node_textfile_mtime_seconds"):
        assert kept(series)
    assert not kept("node_filesystem_files", "/srv/data")
    gone = [one.labels for one in rules.alerts(WATCH, 30, disks) if one.name == "DiskGone"]
    assert gone == [{"mountpoint": mount} for mount in disks]


# --- when it alarms


def test_every_alert_says_what_to_type_and_the_docs_have_that_heading_and_that_line():
    monitoring = (ROOT / "docs" / "monitoring.md").read_text()
    for one in rules.alerts(WATCH, 30, ["/srv/data"]):
        name, _, anchor = one.doc.partition("#")
        text = (ROOT / name).read_text()
        headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert anchor in anchors, f"{one.name}: {name} has no heading {anchor}"
        assert f"`{one.name}`" in monitoring, f"docs/monitoring.md does not tell of {one.name}"
        # On whichever server, and up to what is filled in.
        typed = re.split(r"\{\{|<|\$\(", re.sub(r"^on (<server>|\{\{[^}]*\}\}) '?", "", one.type))[0].strip()
        assert typed in text + monitoring, f"{one.name}: {typed}"


def test_the_texts_name_this_server_and_this_stack():
    texts = json.dumps(list(alerting(dataclasses.replace(WATCH, stack="hive", server="db7")).values()))
    assert "make run JOB=db7:certbot STACK=hive" in texts
    assert "<server>" not in texts
    assert "<stack>" not in texts
    assert "<name>" not in texts


def test_what_is_told_in_place_of_others_lasts_until_they_have_come_back():
    found = alerting()
    instead = {one["source_matchers"][0].split('"')[1] for one in alertmanager()["inhibit_rules"]}
    assert {name: found[name]["keep_firing_for"] for name in instead} == {"ServerDown": "300s", "ProxyDown": "120s"}
    assert {name for name, rule in found.items() if "keep_firing_for" in rule} == instead


@pytest.mark.parametrize("interval", [1, 30, 300])
def test_times_are_multiples_of_the_interval(interval: int):
    found = alerting(interval=interval)
    assert found["SiteDown"]["for"] == f"{4 * interval}s"
    assert f"[{120 * interval}s], 86400)" in found["DiskWillBeFull"]["expr"]
    assert f"[{20 * interval}s]" in found["ContainerRestarts"]["expr"]


def test_each_job_by_the_clock_is_late_by_its_own_time():
    watch = dataclasses.replace(WATCH, jobs=(("certbot", 90300), ("publish", 5400)))
    late = [one for one in rules.alerts(watch, 30) if one.name == "JobMissed"]
    assert [(one.labels["task"], re.findall(r"> (\d+)", one.expr)) for one in late] == [
        ("certbot", ["90300"]),
        ("publish", ["5400"]),
    ]


# --- who is told


def test_each_way_is_told_of_the_end_too_and_only_the_ways_that_are_given():
    (owner, heartbeat) = alertmanager()["receivers"]
    ways = [*owner["email_configs"], *owner["webhook_configs"]]
    assert all(one["send_resolved"] for one in ways)
    assert owner["email_configs"][0] | {"headers": 0, "text": 0} == {
        "to": "owner@example.com",
        "from": "web1@example.com",
        "smarthost": "mail.example.com:587",
        "require_tls": True,
        "send_resolved": True,
        "headers": 0,
        "text": 0,
        "html": "",
        "auth_username": "web1",
        "auth_password": "example",
    }
    assert [one["url"] for one in owner["webhook_configs"]] == [
        "http://127.0.0.1:9099/webhook/0",
        "http://127.0.0.1:9099/ntfy",
    ]
    assert heartbeat["webhook_configs"][0]["url"] == "http://127.0.0.1:9099/heartbeat"
    nobody = dataclasses.replace(WATCH, mail=None, webhooks=(), ntfy=None, heartbeat=None)
    assert alertmanager(nobody)["receivers"] == [{"name": "owner"}]
    assert "Heartbeat" not in alerting(nobody)


def test_the_heartbeat_goes_to_nobody_but_its_own_address_and_at_each_look():
    (route,) = alertmanager()["route"]["routes"]
    assert route["receiver"] == "heartbeat"
    assert route["matchers"] == ['alertname="Heartbeat"']
    assert route["repeat_interval"] == "30s"


def test_secrets_are_where_they_are_needed_and_in_no_other_file():
    found = programs.texts(WATCH, Told(30, 8080, None), Path("/files"))
    assert [name for name, text in found.items() if '"auth_password": "example"' in text] == ["alertmanager.yml"]
    # Alertmanager would write them into its log.
    assert not [name for name, text in found.items() for secret in SECRETS[1:] if secret in text]


def test_files_are_for_nobody_else_and_written_only_when_they_are_others(tmp_path: Path):
    folder = tmp_path / "files"
    assert programs.write({"a.yml": "one"}, folder) is True
    assert (folder / "a.yml").stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0
    assert programs.write({"a.yml": "one"}, folder) is False
    assert programs.write({"a.yml": "two"}, folder) is True
    assert (folder / "a.yml").read_text() == "two"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "is no JSON object"),
        ("{}", "has no"),
        (EXAMPLE.replace('"heartbeat"', '"heart"'), "has no 'heartbeat'"),
        (EXAMPLE.replace('"sender"', '"from"'), "alerts.mail has no sender"),
        (EXAMPLE.replace('"web1", "proxy"', '5, "proxy"'), "server is no text"),
    ],
)
def test_what_can_t_be_read_is_refused_without_a_secret_in_the_words(text: str, said: str):
    with pytest.raises(WatchError, match=re.escape(said)) as raised:
        parse(text)
    assert not [secret for secret in SECRETS[1:] if secret in str(raised.value)]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"INTERVAL": "0"}, "INTERVAL"),
        ({"INTERVAL": "x"}, "INTERVAL"),
        ({"HTTP_PORT": "70000"}, "HTTP_PORT"),
        ({"CA": "x"}, "CA"),
        ({"DISKS": "/ data"}, "DISKS: 'data' is no mount point"),
    ],
)
def test_an_environment_that_can_t_be_used_is_refused_by_its_name(environment: dict[str, str], said: str):
    with pytest.raises(EnvironmentProblem, match=said):
        read(environment)


# --- the programs


def test_when_one_of_the_programs_ends_that_is_said_and_the_others_can_be_ended():
    wanted = [programs.Program("one", ("sleep", "60"), 1), programs.Program("two", ("sh", "-c", "exit 3"), 2)]
    running = programs.Running(wanted, {"PATH": os.environ["PATH"]})
    deadline = time.monotonic() + 20
    while running.ended() is None:
        assert time.monotonic() < deadline
    assert running.ended() == "two has ended with status 3"
    assert not running.well()
    running.stop()
    assert running.ended() == "one has ended with status -15"


@pytest.fixture
def monitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> main.Monitor:
    """One without programs, whose files are in `tmp_path`."""
    monkeypatch.setattr(main, "DATA", tmp_path)
    monkeypatch.setattr(main, "FILES", tmp_path / "files")
    monkeypatch.setattr(programs, "programs", lambda *_: ())
    (tmp_path / "watch.json").write_text(EXAMPLE)
    return main.Monitor(Told(30, 8080, None), tmp_path / "watch.json")


def test_what_is_to_be_watched_is_taken_up_while_it_runs(monitor: main.Monitor, tmp_path: Path, capsys: Any):
    monitor.look()
    assert capsys.readouterr().err == ""
    (tmp_path / "new").write_text(EXAMPLE.replace("api.example.com", "new.example.com"))
    (tmp_path / "new").replace(tmp_path / "watch.json")
    monitor.look()
    assert "watches what the stack file says now" in capsys.readouterr().err
    assert "https://new.example.com/health" in (tmp_path / "files" / "prometheus.yml").read_text()
    assert monitor.well()


def test_what_can_t_be_used_leaves_what_was_watched_and_it_is_not_well_until_it_can(
    monitor: main.Monitor, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "watch.json").write_text("{")
    monitor.look()
    assert "what was watched goes on being watched" in capsys.readouterr().err
    assert monitor.watch == WATCH
    assert not monitor.well()
    (tmp_path / "watch.json").write_text(EXAMPLE.replace('"prod"', '"other"'))
    monkeypatch.setattr(monitor.running, "reload", lambda: ["alertmanager: no"])
    monitor.look()
    assert "ERROR: alertmanager: no" in capsys.readouterr().err
    assert not monitor.well()
    (tmp_path / "watch.json").write_text(EXAMPLE)
    monkeypatch.setattr(monitor.running, "reload", list)
    monitor.look()
    assert monitor.well()


# --- what outlives an end


class Alertmanager:
    """What the file is kept beside: the alerts it has, and what it is given."""

    def __init__(self) -> None:
        outer = self
        self.alerts: list[dict[str, Any]] = []
        self.given: list[list[dict[str, Any]]] = []
        self.status = 200

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(json.dumps(outer.alerts).encode())

            def do_POST(self) -> None:
                outer.given.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._say(b"")

            def _say(self, body: bytes) -> None:
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def has(self, *names: str) -> None:
        self.alerts = [
            {
                "fingerprint": f"of-{name}",
                "labels": {"alertname": name},
                "annotations": {"summary": name},
                "startsAt": "2026-11-29T01:00:00.000Z",
                "endsAt": "2026-11-29T02:10:00.000Z",
                "generatorURL": "http://x",
                "status": {"state": "active"},
            }
            for name in names
        ]

    def kept(self, folder: Path, interval: int = 30) -> Kept:
        return Kept(folder, interval, self.server.server_port)


NOW = datetime(2026, 11, 29, 2, 0, tzinfo=UTC)


@pytest.fixture
def manager() -> Iterator[Alertmanager]:
    found = Alertmanager()
    yield found
    found.server.shutdown()


def test_what_is_wrong_at_the_end_is_given_back_until_it_is_seen_again(manager: Alertmanager, tmp_path: Path):
    manager.has("SiteDown", "Heartbeat")
    manager.kept(tmp_path).look(NOW)
    assert manager.given == [[]]
    manager.has()
    manager.kept(tmp_path).look(NOW + timedelta(hours=1))
    (back,) = manager.given[-1]
    assert (back["labels"], back["annotations"], back["startsAt"]) == (
        {"alertname": "SiteDown"},
        {"summary": "SiteDown"},
        "2026-11-29T01:00:00.000Z",
    )
    # Eight looks, in which Prometheus says it again, or it is over.
    assert back["endsAt"] == (NOW + timedelta(hours=1, seconds=240)).isoformat()
    assert set(back) == {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}


def test_what_is_over_is_given_back_as_over_until_that_must_have_been_told(manager: Alertmanager, tmp_path: Path):
    kept = manager.kept(tmp_path)
    manager.has("SiteDown")
    kept.look(NOW)
    manager.has()
    kept.look(NOW + timedelta(seconds=30))
    manager.kept(tmp_path).look(NOW + timedelta(seconds=60))
    assert [one["endsAt"] for one in manager.given[-1]] == [(NOW + timedelta(seconds=30)).isoformat()]
    kept.look(NOW + timedelta(seconds=500))
    manager.kept(tmp_path).look(NOW + timedelta(seconds=530))
    assert manager.given[-1] == []


def test_it_is_given_back_once_and_only_to_one_that_takes_it(manager: Alertmanager, tmp_path: Path):
    manager.has("SiteDown")
    manager.kept(tmp_path).look(NOW)
    again = manager.kept(tmp_path)
    manager.status = 500
    with pytest.raises(AlertmanagerError, match="answers 500"):
        again.look(NOW)
    manager.status = 200
    manager.has()
    again.look(NOW)
    again.look(NOW)
    assert [len(one) for one in manager.given] == [0, 1, 1]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"of": 1}', '{"of": {"labels": {}}}'])
def test_a_file_that_was_cut_off_gives_nothing_back(manager: Alertmanager, tmp_path: Path, text: str):
    (tmp_path / "alerts.json").write_text(text)
    manager.kept(tmp_path).look(NOW)
    assert manager.given == [[]]


def test_one_that_does_not_answer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    main.keep(Kept(tmp_path, 30, 1))
    assert "ERROR: what is wrong could not be kept: Alertmanager does not answer" in capsys.readouterr().err


# --- ntfy


def told(*statuses: str, severity: str = "critical") -> dict[str, Any]:
    return {
        "alerts": [
            {
                "status": status,
                "labels": {"alertname": "SiteDown", "severity": severity, "stack": "prod"},
                "annotations": {"summary": f"site {number} is down", "type": "curl x", "doc": "docs/operations.md#x"},
            }
            for number, status in enumerate(statuses)
        ]
    }


def test_a_message_of_ntfy_says_what_is_the_matter_what_to_type_and_what_is_over():
    found = ntfy.message(told("firing", "resolved"))
    assert found.title == "site 0 is down (and 1 more) [prod]"
    assert found.text == "site 0 is down\ntype: curl x\nread: docs/operations.md#x\n\nover: site 1 is down"
    assert (found.priority, found.tags) == ("5", "rotating_light")
    over = ntfy.message(told("resolved"))
    assert (over.title, over.priority) == ("over: site 0 is down [prod]", "2")
    assert ntfy.message(told("firing", severity="warning")).priority == "3"


class Topic:
    """An ntfy server that keeps what it gets, and answers with `status`."""

    def __init__(self, status: int) -> None:
        self.got: list[tuple[dict[str, str], str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.got.append((dict(self.headers.items()), body))
                self.send_response(status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/topic"


@pytest.mark.parametrize(("status", "answer"), [(200, 200), (500, 502), (403, 502)])
def test_a_message_that_ntfy_does_not_take_is_told_to_alertmanager_which_tries_again(status: int, answer: int):
    topic = Topic(status)
    inside = own.Inside({}, lambda: dataclasses.replace(WATCH, ntfy=Ntfy(topic.url, "tk_1")), 0)
    assert inside.pass_on("/ntfy", json.dumps(told("firing")).encode())[0] == answer
    ((headers, body),) = topic.got
    assert headers["Title"] == "site 0 is down [prod]"
    assert headers["Authorization"] == "Bearer tk_1"
    assert "type: curl x" in body
    inside.server.shutdown()
    topic.server.shutdown()


@pytest.mark.parametrize(("status", "answer"), [(200, 200), (500, 502)])
def test_webhooks_and_the_heartbeat_get_what_alertmanager_says_and_no_log_their_address(
    status: int, answer: int, capsys: pytest.CaptureFixture[str]
):
    topic = Topic(status)
    watch = dataclasses.replace(WATCH, webhooks=("http://127.0.0.1:1/nobody", topic.url), heartbeat=topic.url)
    inside = own.Inside({}, lambda: watch, 0)
    for way in ("/webhook/1", "/heartbeat"):
        assert inside.pass_on(way, b'{"version": "4"}')[0] == answer
    assert inside.pass_on("/webhook/0", b"{}")[0] == 502
    assert inside.pass_on("/webhook/2", b"{}")[0] == 404
    got = [(headers["Content-Type"], body) for headers, body in topic.got]
    assert got == [("application/json", '{"version": "4"}')] * 2
    said = capsys.readouterr().err
    assert "a message is not taken by webhook/0" in said
    assert "/topic" not in said
    assert "nobody" not in said
    inside.server.shutdown()
    topic.server.shutdown()


def test_what_is_no_message_reaches_nobody():
    topic = Topic(200)
    inside = own.Inside({}, lambda: dataclasses.replace(WATCH, ntfy=Ntfy(topic.url, None)), 0)
    assert inside.pass_on("/ntfy", b"{}")[0] == 502
    assert inside.pass_on("/other", json.dumps(told("firing")).encode())[0] == 404
    assert topic.got == []
    inside.server.shutdown()
    topic.server.shutdown()


# --- what comes by a socket


def test_figures_come_by_a_socket_and_one_that_is_gone_is_said(tmp_path: Path):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/metrics?scope=backend" else 404)
            self.end_headers()
            self.wfile.write(b"figures 1\n")

        def address_string(self) -> str:
            return ""

        def log_message(self, format: str, *args: object) -> None:
            pass

    class ByPath(HTTPServer):
        address_family = socket.AF_UNIX

        def server_bind(self) -> None:
            self.socket.bind(self.server_address)  # type: ignore[arg-type]

    path = tmp_path / "metrics.sock"
    server = ByPath(str(path), Handler)  # type: ignore[arg-type]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sources = {
        "/metrics/proxy": (path, "/metrics?scope=backend"),
        "/metrics/host": (tmp_path / "none", "/metrics"),
        "/metrics/odd": (path, "/odd"),
    }
    inside = own.Inside(sources, lambda: WATCH, 0)

    def ask(what: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", inside.server.server_port, timeout=5)
        connection.request("GET", what)
        answer = connection.getresponse()
        return answer.status, answer.read()

    assert ask("/metrics/proxy") == (200, b"figures 1\n")
    assert ask("/metrics/host")[0] == 502
    assert ask("/metrics/odd")[0] == 502
    assert ask("/etc/passwd")[0] == 404
    inside.server.shutdown()
    server.shutdown()


# --- the page


def a_day(**changes: Any) -> day.Day:
    nothing: day.Line = (None,) * day.POINTS
    half: day.Line = (None,) * (day.POINTS - 3) + (1.0, 0.4, 1.0)
    site = day.SiteDay("example.com", "site", {"IPv4": half, "IPv6": nothing}, half, half, 41.6)
    fact = day.Fact("disk /", (0.5,) * day.POINTS, 2.0**31)
    return dataclasses.replace(day.Day("web1", "prod", 1795900000, (site,), (fact,), ()), **changes)


def test_the_page_shows_each_quarter_of_an_hour_and_what_is_not_known_as_such():
    text = page.render(a_day())
    # Those of the site over each family, and those of all sites together.
    assert text.count('<rect class="g"') == 2 * 2
    assert text.count('<rect class="b"') == 1 * 2
    assert text.count('<rect class="n"') == 3 * day.POINTS - 3 * 2
    assert text.count("80.00 %") >= 3
    assert "certificate 42 days" in text
    assert "All is well." in text
    assert ">50 %<" in text


def test_the_picture_of_all_sites_is_the_worst_of_them_and_what_is_not_all_is_never_written_as_all():
    nothing: day.Line = (None,) * (day.POINTS - 2)
    well, ill = ({"IPv4": (*nothing, 1.0, last)} for last in (1.0, 0.99999))
    first = dataclasses.replace(a_day().sites[0], up=well)
    second = dataclasses.replace(first, domain="two.example.com", up=ill)
    text = page.render(a_day(sites=(first, second)))
    assert ">99.99 %</b>" in text
    whole = text[text.index('class="tile wide"') : text.index('class="tiles"')]
    assert whole.count('<rect class="g"') == 2
    down = dataclasses.replace(second, up={"IPv4": (*nothing, 1.0, 0.2)})
    whole = page.render(a_day(sites=(first, down))).split('class="tiles"')[0]
    assert whole.count('<rect class="b"') == 1


def test_visits_of_an_application_with_two_domains_are_counted_once():
    site = dataclasses.replace(a_day().sites[0], visits=(1000.0,) + (None,) * (day.POINTS - 1))
    text = page.render(a_day(sites=(site, dataclasses.replace(site, domain="two.example.com"))))
    assert ">1,000</b>" in text


def test_what_is_nearly_full_is_told_apart():
    disks = [day.Fact(name, (share,) * day.POINTS, 2.0**31) for name, share in (("disk /", 0.5), ("disk /srv", 0.95))]
    text = page.render(a_day(facts=(day.Fact("memory", (0.5,) * day.POINTS, None), *disks)))
    assert '<span class="quiet">disk /srv in use</span><b class="text-b">95 %</b>' in text
    assert '<span class="quiet">memory in use</span><b class="text-g">50 %</b>' in text


def test_the_page_asks_nobody_for_anything_and_holds_nothing_that_could_run():
    evil = "</title><script>alert(1)</script>"
    fire = day.Fire(evil, evil, evil, evil, evil)
    site = a_day().sites[0]
    text = page.render(a_day(fires=(fire,), server=evil, sites=(dataclasses.replace(site, domain=evil),)))
    assert "<script" not in text
    assert not re.search(r"(src|href|url\()", text)
    assert "1 alert<" in text


def test_a_page_that_can_t_be_made_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    (tmp_path / "index.html").write_text("old")

    def fail(watch: Watch, now: float) -> day.Day:
        raise day.NoFiguresError("gone")

    monkeypatch.setattr(day, "gather", fail)
    page.draw(tmp_path, WATCH)
    assert (tmp_path / "index.html").read_text() == "old"
    assert "could not be made: gone" in capsys.readouterr().out
    monkeypatch.setattr(day, "gather", lambda watch, now: a_day())
    page.draw(tmp_path, WATCH)
    assert "All is well." in (tmp_path / "index.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
