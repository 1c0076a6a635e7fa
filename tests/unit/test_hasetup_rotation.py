"""Which servers of a backend get visitors: rotation.lua, run by a real Lua on servers as HAProxy shows them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from lupa.lua54 import LuaRuntime

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "HAProxySetup"))

from hasetup.config import ROTATION

FULL, UNCHECKED = 3, 1  # health: `rise` (1) is where a server begins, the first good check takes it to the top


@dataclass
class Server:
    """A server as the Lua of HAProxy 2.6 has it: what a script may ask and say."""

    address: str | None = None
    health: int | None = UNCHECKED  # None: nobody checks it
    drained: bool = False
    weight: int = 1
    number: bool = True  # 2.6 says 0 or 1, later ones say false or true

    @property
    def visited(self) -> bool:
        return self.address is not None and not self.drained and self.weight > 0 and self.health != 0

    def get_addr(self) -> str:
        return f"{self.address}:80" if self.address else "<unknown>"

    def is_draining(self) -> bool | int:
        draining = self.drained or self.weight == 0
        return int(draining) if self.number else draining

    def get_weight(self) -> str:
        return str(self.weight)

    def set_weight(self, text: str) -> None:
        assert text == "100%"
        self.weight = 1

    def set_drain(self) -> None:
        self.drained = True

    def set_ready(self) -> None:
        self.drained = False

    def check_force_down(self) -> None:
        self.health = 0

    def get_stats(self) -> dict[str, str | None]:
        checked = self.health is not None
        return {"check_health": str(self.health) if checked else None, "check_rise": "1" if checked else None}


class Worker:
    """A worker that has loaded the script; `look` lets the time pass until it looks again."""

    def __init__(self, **backends: list[Server]) -> None:
        self.logged: list[tuple[int, str]] = []
        self.seconds = 1_000_000.0
        self._backends = {name.replace("_", "-"): servers for name, servers in backends.items()}
        lua = LuaRuntime()
        lua.globals().core = lua.table_from(
            {
                "backends": lua.table_from(
                    {
                        name: lua.table_from({"servers": lua.table_from(servers)})
                        for name, servers in self._backends.items()
                    }
                ),
                "now": lambda: lua.table_from({"sec": int(self.seconds), "usec": int(self.seconds % 1 * 1e6)}),
                "register_init": lambda looks: setattr(self, "_begin", looks),
                "register_action": lambda _, __, action: setattr(self, "_first_check", action),
                "register_task": lambda task: setattr(self, "_task", task),
                "msleep": lua.eval("coroutine.yield"),
                "err": 3,
                "log": lambda level, text: self.logged.append((level, text)),
            }
        )
        lua.execute(ROTATION)
        self._lua = lua
        self._begin()
        self._running = self._task.coroutine()

    def look(self) -> None:
        self.seconds += next(self._running) / 1000

    def visit(self, name: str) -> float:
        """Seconds that a visitor of a backend waits before he goes on."""
        fetches = {
            "be_name": lambda _: name,
            "nbsrv": lambda _, asked: sum(server.visited for server in self._backends[asked]),
        }
        begun = self.seconds
        for passed in self._first_check.coroutine(self._lua.table_from({"f": self._lua.table_from(fetches)})):
            assert passed == 50
            self.look()
        return self.seconds - begun


@pytest.fixture(params=[True, False], ids=["2.6", "3.0"])
def number(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_a_new_container_gets_visitors_after_its_first_check_while_another_serves(number: bool) -> None:
    old, new = Server("172.30.0.2", FULL, number=number), Server(number=number)
    worker = Worker(app_blog=[old, new])
    worker.look()
    new.address = "172.30.0.3"
    worker.look()
    assert (old.visited, new.visited) == (True, False)
    new.health = FULL
    worker.look()
    assert (old.visited, new.visited) == (True, True)


def test_a_release_that_never_answers_well_gets_no_visitor(number: bool) -> None:
    old, bad = Server("172.30.0.2", FULL, number=number), Server(number=number)
    worker = Worker(app_blog=[old, bad])
    worker.look()
    bad.address, bad.health = "172.30.0.3", 0
    for _ in range(100):
        worker.look()
        assert not bad.visited


def test_what_was_taken_out_of_rotation_stays_out_until_it_is_gone(number: bool) -> None:
    old, new = Server("172.30.0.2", FULL, weight=0, number=number), Server("172.30.0.3", FULL, number=number)
    worker = Worker(app_blog=[old, new])
    worker.look()
    assert (old.visited, new.visited) == (False, True)


def test_a_container_that_restarts_is_not_out_of_rotation_because_the_one_before_was(number: bool) -> None:
    left, only = Server(weight=0, number=number), Server("172.30.0.3", FULL, number=number)
    worker = Worker(app_blog=[left, only])
    worker.look()
    only.address = None
    worker.look()
    left.address, left.health = "172.30.0.3", FULL
    worker.look()
    assert left.visited


def test_it_is_so_even_when_one_answer_of_the_dns_takes_it_to_another_server(number: bool) -> None:
    free, only = Server(number=number), Server("172.30.0.3", FULL, number=number)
    worker = Worker(app_blog=[free, only])
    worker.look()
    free.address, only.address, free.health = "172.30.0.3", None, FULL
    worker.look()
    assert free.visited


def test_nobody_gets_to_a_container_that_has_not_been_checked_also_where_none_serves(number: bool) -> None:
    """From before the first answer of the DNS on."""
    servers = [Server(number=number) for _ in range(8)]
    worker = Worker(app_blog=servers)
    servers[0].address = "172.30.0.2"
    for _ in range(20):
        assert not servers[0].visited
        worker.look()
    servers[0].health = FULL
    worker.look()
    assert servers[0].visited


def test_one_application_is_not_judged_by_another(number: bool) -> None:
    serving, starting = Server("172.30.0.2", FULL, number=number), Server(number=number)
    left = Server(weight=0, number=number)
    worker = Worker(app_blog=[serving], app_shop=[starting], other=[left])
    worker.look()
    starting.address, starting.health = "172.30.0.9", FULL
    worker.look()
    assert serving.visited
    assert starting.visited
    assert left.weight == 0


def test_who_takes_a_place_that_was_not_free_is_down_until_his_first_good_check(number: bool) -> None:
    place = Server("172.30.0.2", FULL, weight=0, number=number)
    worker = Worker(app_blog=[place])
    worker.look()
    assert not place.visited
    place.address = "172.30.0.3"
    worker.look()
    assert (place.health, place.weight) == (0, 1)
    place.health = FULL
    worker.look()
    assert place.visited


def test_what_a_reload_knows_is_not_asked_anew(number: bool) -> None:
    known = Server("172.30.0.2", FULL, number=number)
    worker = Worker(app_blog=[known])
    assert known.visited
    worker.look()
    assert known.visited
    assert worker.visit("app-blog") == 0


def test_who_asks_while_a_worker_begins_waits_for_the_first_check_and_not_for_ever(number: bool) -> None:
    server = Server(number=number)
    worker = Worker(app_blog=[server])
    worker.look()
    assert 2.5 < worker.visit("app-blog") < 3.2
    assert worker.visit("app-blog") == 0
    server.address = "172.30.0.2"
    for _ in range(2):
        worker.look()
    assert 2 < worker.visit("app-blog") < 3.2
    assert worker.visit("app-blog") == 0
    server.health = FULL
    worker.look()
    assert worker.visit("app-blog") == 0
    assert server.visited


def test_a_server_whose_checks_were_switched_off_by_hand_is_not_waited_for(number: bool) -> None:
    old, unchecked = Server("172.30.0.2", FULL, number=number), Server("172.30.0.3", None, True, number=number)
    worker = Worker(app_blog=[old, unchecked])
    for _ in range(2):
        worker.look()
        assert unchecked.visited


class Later(Server):
    """A server of a HAProxy that has no such method any more."""

    get_addr = None  # type: ignore[assignment]


def test_a_backend_that_goes_wrong_is_told_once_and_keeps_no_other_from_its_visitors(number: bool) -> None:
    later, new, left = Later(), Server(number=number), Server("172.30.0.3", FULL, number=number)
    worker = Worker(app_later=[later], app_blog=[new, left])
    for _ in range(3):
        worker.look()
    new.address, left.address, new.health = "172.30.0.4", None, FULL
    worker.look()
    assert new.visited
    [(level, text)] = worker.logged
    assert (level, text.startswith("rotation.lua: app-later: ")) == (3, True)
    assert "get_addr" in text
