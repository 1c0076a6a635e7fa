"""Closing a site by one verb: what is written, what the proxy is told, and what is said to whom."""

from __future__ import annotations

import contextlib
import copy
import datetime
import json
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from operations import closed, hosts, maintenance
from operations.cli import OperationError
from operations.state import State
from tests.unit.scripts import load
from tests.unit.test_status import STATE, URN

TOOLS = Path(__file__).parents[2] / "playbooks" / "roles" / "tools" / "files"
os.environ["APIARY_LIB"] = str(TOOLS)
tool = load(TOOLS / "apiary-maintenance")
CSV = "# pxname,svname,addr,status\napp-shop,shop-1,192.0.2.9:80,UP\n"


class Proxy:
    """An admin socket that keeps a map, as HAProxy does: what is added twice is there twice."""

    def __init__(self, path: Path) -> None:
        self.entries: list[tuple[str, str]] = []
        self.others: tuple[str, ...] = ()
        self.mute = False
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            with client:
                client.sendall(self._answer(client.recv(4096).decode().split()).encode())

    def _answer(self, words: list[str]) -> str:
        match words:
            case ["show", "stat"]:
                return CSV + "".join(f"app-{name},{name}-1,192.0.2.8:80,UP\n" for name in self.others)
            case [*_] if self.mute:
                return "Unknown map identifier. Please use #<id> or <file>.\n"
            case ["del", "map", "/etc/haproxy/maintenance.map", key]:
                there = [one for one in self.entries if one[0] == key]
                self.entries = [one for one in self.entries if one[0] != key]
                return "\n" if there else "Key not found.\n"
            case ["add", "map", "/etc/haproxy/maintenance.map", key, value]:
                self.entries.append((key, value))
                return "\n"
            case ["show", "map", "/etc/haproxy/maintenance.map"]:
                return "".join(f"0x5{at:07x} {key} {value}\n" for at, (key, value) in enumerate(self.entries)) + "\n"
        return f"Unknown command: {words}\n"


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    (tmp_path / "run").mkdir()
    (tmp_path / "maintenance.map").touch()
    path = tmp_path / "run" / "admin.sock"
    made = Proxy(path)
    monkeypatch.setattr(tool, "admin_socket", lambda: str(path))
    monkeypatch.setattr(tool.time, "time", lambda: 1764400000.5)
    yield made
    made.socket.close()


def test_what_is_closed_is_in_the_file_and_in_the_running_proxy_once(tmp_path, proxy, capsys):
    for _ in range(2):
        assert tool.main(["on", "shop", "203.0.113.7", "2001:db8:1:2:3::4"]) == 0
        wanted = {"shop": "1764400000", "shop@203.0.113.7": "let-in", "shop@2001:db8:1:2::": "let-in"}
        assert tool.read(str(tmp_path / "maintenance.map")) == wanted
        assert sorted(proxy.entries) == sorted(wanted.items())
    line = "shop closed since 2025-11-29T07:06:40Z, but for 2001:db8:1:2::, 203.0.113.7\n"
    assert capsys.readouterr().out == line * 2
    assert (tmp_path / "maintenance.map").stat().st_mode & 0o777 == 0o644
    assert tool.main(["on", "shop"]) == 0
    assert proxy.entries == [("shop", "1764400000")]


def test_an_ipv4_address_in_ipv6_s_spelling_lets_that_one_in(tmp_path, proxy):
    assert tool.main(["on", "shop", "::ffff:203.0.113.7"]) == 0
    assert "shop@203.0.113.7" in tool.read(str(tmp_path / "maintenance.map"))


def test_what_is_opened_is_gone_from_both_and_another_one_stays_closed(tmp_path, proxy, capsys):
    (tmp_path / "maintenance.map").write_text("shops 5\nshop 1\nshop@192.0.2.1 let-in\n")
    proxy.entries = [("shops", "5"), ("shop", "1"), ("shop@192.0.2.1", "let-in")]
    assert tool.main(["off", "shop"]) == 0
    assert (tmp_path / "maintenance.map").read_text() == "shops 5\n"
    assert proxy.entries == [("shops", "5")]
    assert capsys.readouterr().out == "shop is open\nshops closed since 1970-01-01T00:00:05Z\n"
    # One that is open already, or that there is no more, is no error: nobody is locked out by it.
    assert tool.main(["off", "gone"]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["on", "other"], "serves no application other"),
        (["on", "shop", "everybody"], "everybody is no address"),
        (["on", "shop", "203.0.113.0/24"], "is no address"),
    ],
)
def test_what_can_t_be_meant_changes_nothing(tmp_path, proxy, capsys, arguments, said):
    assert tool.main(arguments) == 1
    assert said in capsys.readouterr().err
    assert (tmp_path / "maintenance.map").read_text() == ""
    assert proxy.entries == []


def test_a_proxy_that_takes_nothing_is_told_of_and_so_is_one_that_was_set_up_before(tmp_path, proxy, capsys):
    proxy.mute = True
    assert tool.main(["on", "shop"]) == 1
    assert "did not take shop" in capsys.readouterr().err
    assert "shop 1764400000" in (tmp_path / "maintenance.map").read_text()
    (tmp_path / "maintenance.map").unlink()
    assert tool.main(["on", "shop"]) == 1
    assert "say pulumi up first" in capsys.readouterr().err


def test_the_proxy_is_told_again_of_what_it_has_not_taken(tmp_path, proxy):
    # As after a run that was killed, or refused by the proxy, between the file and the proxy.
    (tmp_path / "maintenance.map").write_text("shop 1\n")
    assert tool.main(["on", "shop"]) == 0
    assert proxy.entries == [("shop", "1")]
    (tmp_path / "maintenance.map").write_text("")
    proxy.entries.append(("shop@192.0.2.1", "let-in"))
    assert tool.main(["off", "shop"]) == 0
    assert proxy.entries == []


def test_two_at_once_take_turns(tmp_path, proxy, monkeypatch):
    (tmp_path / "run" / "lock").touch()
    proxy.others = ("blog",)
    reads, met = tool.read, threading.Barrier(2)

    def slow(path: str) -> dict[str, str]:
        found: dict[str, str] = reads(path)
        with contextlib.suppress(threading.BrokenBarrierError):
            met.wait(0.5)
        return found

    monkeypatch.setattr(tool, "read", slow)
    with ThreadPoolExecutor() as pool:
        assert list(pool.map(tool.main, (["on", "shop"], ["on", "blog"]))) == [0, 0]
    assert sorted(reads(str(tmp_path / "maintenance.map"))) == ["blog", "shop"]


def test_what_was_closed_on_a_disk_that_is_gone_is_closed_before_the_proxy_leads_to_it(tmp_path, proxy, capsys):
    proxy.mute = True  # of the configuration that it begins with
    assert tool.main(["on", "new", "203.0.113.7", "--since", "5"]) == 0
    assert (tmp_path / "maintenance.map").read_text() == "new 5\nnew@203.0.113.7 let-in\n"
    assert capsys.readouterr().out == "new closed since 1970-01-01T00:00:05Z, but for 203.0.113.7\n"
    (tmp_path / "maintenance.map").write_text("")
    proxy.mute = False
    assert tool.main(["on", "shop", "--since", "5"]) == 0
    assert proxy.entries == [("shop", "5")]
    assert tool.main(["on", "new", "--since", "5"]) == 0, "another server's"
    assert (tmp_path / "maintenance.map").read_text() == "shop 5\n"
    assert tool.main(["on", "shop", "--since", "9"]) == 0
    assert proxy.entries == [("shop", "5")], "it is closed since then"


def test_without_a_proxy_nothing_is_closed(monkeypatch, capsys):
    monkeypatch.setattr(tool, "admin_socket", lambda: None)
    assert tool.main(["list"]) == 1
    assert capsys.readouterr().err == "no proxy runs on this server\n"


# the verb


class Pulumi:
    name = stack = "prod"

    def __init__(self, state: dict[str, Any]) -> None:
        self._state = state
        self.tags: dict[str, str] = {}
        self.refuses = ""

    def ask(self, *words: str) -> str:
        assert words[-2:] == ("--stack", "prod")
        match words[:-2]:
            case ("stack", "tag", "ls", "--json"):
                return json.dumps(self.tags)
            case ("stack", "tag", "set", tag, value):
                if self.refuses:
                    raise OperationError(self.refuses)
                self.tags[tag] = value
            case ("stack", "tag", "rm", tag):
                del self.tags[tag]
        return ""

    def export(self) -> dict[str, Any]:
        return self._state


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []

    def run(self: hosts.Host, *command: str, **_: Any) -> str:
        found.append((self.server.name, *command))
        return "shop closed since now\n"

    monkeypatch.setattr(hosts.Host, "run", run)
    monkeypatch.setattr(maintenance, "ensure_key", lambda *_: None)
    return found


def test_the_verb_tells_the_server_of_the_application_and_asks_all_without_one(asked, capsys):
    pulumi: Any = Pulumi(STATE)
    maintenance.maintain(pulumi, "shop", ["192.0.2.1"], off=False)
    maintenance.maintain(pulumi, "web1:shop", [], off=True)
    maintenance.maintain(pulumi, None, [], off=False)
    tool_ = "apiary-maintenance"
    assert asked == [
        ("web1", tool_, "on", "shop", "192.0.2.1"),
        ("web1", tool_, "off", "shop"),
        ("web1", tool_, "list"),
    ]
    assert capsys.readouterr().out.splitlines()[0] == "web1: shop closed since now"
    with pytest.raises(OperationError, match="no application 'other'"):
        maintenance.maintain(pulumi, "other", [], off=False)
    with pytest.raises(OperationError, match="say which application"):
        maintenance.maintain(pulumi, None, [], off=True)


@dataclass
class Region:
    """What is closed on each server, as its tool has it; `gone` are not there yet."""

    closed: dict[str, dict[str, str]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def run(self, host: hosts.Host, _: str, verb: str, *words: str, **__: Any) -> str:
        name = host.server.name
        if name in self.gone:
            raise hosts.Unreachable(name, "timed out")
        there = self.closed.setdefault(name, {})
        if verb == "on":
            app, *more = words
            since = more.pop() if "--since" in more else "1764400000"
            let_in = sorted(one for one in more if one != "--since")
            when = datetime.datetime.fromtimestamp(int(since), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            there[app] = f"{app} closed since {when}{', but for ' + ', '.join(let_in) if let_in else ''}"
        elif verb == "off":
            there.pop(words[0], None)
        return "".join(f"{line}\n" for line in there.values())


@pytest.fixture
def region(monkeypatch: pytest.MonkeyPatch) -> Region:
    made = Region()
    monkeypatch.setattr(hosts.Host, "run", lambda host, *command, **_: made.run(host, *command))
    monkeypatch.setattr(maintenance, "ensure_key", lambda *_: None)
    return made


def test_what_is_closed_is_closed_again_on_a_server_that_was_made_anew(region: Region, capsys):
    pulumi: Any = Pulumi(STATE)
    maintenance.maintain(pulumi, "shop", ["192.0.2.1", "2001:db8::"], off=False)
    assert pulumi.tags == {"closed:shop": "1764400000 192.0.2.1 2001:db8::"}
    before = dict(region.closed["web1"])
    region.closed.clear()
    maintenance.maintain(pulumi, None, [], off=False)
    assert region.closed["web1"] == before
    assert "web1: shop was open there, and is closed again" in capsys.readouterr().out
    maintenance.again(pulumi)
    assert capsys.readouterr().out == "", "once"
    maintenance.maintain(pulumi, "shop", [], off=True)
    assert (pulumi.tags, region.closed["web1"]) == ({}, {})
    maintenance.again(pulumi)
    assert region.closed["web1"] == {}


def test_what_a_server_has_closed_by_another_name_is_known_by_that_one(region: Region):
    """As one that was renamed while it was closed; and what is no more is not remembered."""
    pulumi: Any = Pulumi(STATE)
    pulumi.tags = {"closed:before": "5", "other": "tag"}
    region.closed["web1"] = {"shop": "shop closed since 1970-01-01T00:00:05Z"}
    maintenance.maintain(pulumi, None, [], off=False)
    assert pulumi.tags == {"closed:shop": "5", "other": "tag"}


def test_a_backend_that_keeps_nothing_is_told_of_and_the_site_is_closed(region: Region, capsys):
    pulumi: Any = Pulumi(STATE)
    pulumi.refuses = "a tag's value is at most 256 characters"
    maintenance.maintain(pulumi, "shop", [], off=False)
    assert "shop" in region.closed["web1"]
    assert "a server that is made anew will open it" in capsys.readouterr().out


def test_a_server_that_comes_back_is_told_as_soon_as_it_answers(region: Region, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(closed, "LOOK_SECONDS", 0.01)
    [server] = State.of(STATE).servers()
    region.gone = {"web1"}
    told = threading.Event()
    run = region.run

    def watched(*words: Any, **more: Any) -> str:
        said = run(*words, **more)
        told.set()
        return said

    region.__dict__["run"] = watched
    with closed.before_visitors([closed.Closed("shop", 5, ("192.0.2.1",))], [server]):
        region.gone = set()
        assert told.wait(10)
    assert region.closed == {"web1": {"shop": "shop closed since 1970-01-01T00:00:05Z, but for 192.0.2.1"}}
    region.gone, region.closed = {"web1"}, {}
    with closed.before_visitors([closed.Closed("shop", 5)], [server]):
        pass  # nor is it waited for when the update has ended
    assert region.closed == {}


def test_a_server_without_the_tool_says_what_to_do(asked, monkeypatch):
    def missing(*_: Any, **__: Any) -> str:
        raise hosts.Ended("no such command", 127)

    monkeypatch.setattr(hosts.Host, "run", missing)
    pulumi: Any = Pulumi(STATE)
    with pytest.raises(OperationError, match="say pulumi up first"):
        maintenance.maintain(pulumi, "shop", [], off=False)


SPREAD = "docker:index/service:Service"


def spread() -> dict[str, Any]:
    """A stack of three servers, two of whose proxies lead to the replicas of `shop`."""
    told = copy.deepcopy(STATE)
    resources = told["deployment"]["resources"]
    kept = [one for one in resources if not one["urn"].endswith(("::shop", "::old"))]
    [provider] = [one for one in kept if one["type"] == "pulumi:providers:docker"]
    [verdict] = [one for one in kept if one["urn"].endswith("-verdict")]
    for number in (2, 3):
        server = f"web{number}"
        kept.append(
            {
                **provider,
                "urn": provider["urn"].replace("web1", server),
                "parent": provider["parent"].replace("web1", server),
                "inputs": {"host": f"ssh://root@192.0.2.{number}:22"},
            }
        )
    kept.append({**verdict, "urn": verdict["urn"].replace("web1", "web2")})
    kept.append({"urn": f"{URN}apiary:docker:Application${SPREAD}::shop", "type": SPREAD, "id": "s1"})
    told["deployment"]["resources"] = kept
    return told


def test_an_application_with_replicas_is_closed_at_every_proxy_that_leads_to_it(asked, monkeypatch):
    pulumi: Any = Pulumi(spread())
    maintenance.maintain(pulumi, "shop", [], off=False)
    assert asked == [(server, "apiary-maintenance", "on", "shop") for server in ("web1", "web2")]
    with pytest.raises(OperationError, match="every proxy leads; say make maintenance APP=shop"):
        maintenance.maintain(pulumi, "web1:shop", [], off=True)

    def half(self: hosts.Host, *command: str, **_: Any) -> str:
        asked.append((self.server.name, *command))
        if self.server.name == "web1":
            raise OperationError("does not answer")
        return "shop is open\n"

    asked.clear()
    monkeypatch.setattr(hosts.Host, "run", half)
    with pytest.raises(OperationError, match="web1: does not answer"):
        maintenance.maintain(pulumi, "shop", [], off=True)
    assert [server for server, *_ in asked] == ["web1", "web2"], "the other one is told all the same"
    unserved = spread()
    unserved["deployment"]["resources"] = [
        one for one in unserved["deployment"]["resources"] if not one["urn"].endswith("-verdict")
    ]
    with pytest.raises(OperationError, match="no proxy leads to shop"):
        maintenance.maintain(cast(Any, Pulumi(unserved)), "shop", [], off=False)
