"""Nobody gets to a container that has not been checked, nor is told that an application is down before it was asked."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conformance.applications import container
from tests.conformance.names import Names
from tests.conformance.ports import free_port
from tests.conformance.proxy import needs_proxy, running

pytestmark = needs_proxy
HEALTH = "/healthz"
VISITORS = 4
OTHER = {"other.example.org": {"app": "other", "port": 1, "www": False, "tls": True}}  # by which the proxy is ready
Status = Callable[[str], int]  # by the path that is asked for


def well(_: str) -> int:
    return 200


def broken(_: str) -> int:
    return 500


class Visits:
    """What visitors were answered: (when, status, seconds), in the order of the answers."""

    def __init__(self, port: int) -> None:
        self._port, self._over = port, threading.Event()
        self.answers: list[tuple[float, int, float]] = []
        self._threads = [threading.Thread(target=self._visit) for _ in range(VISITORS)]
        for thread in self._threads:
            thread.start()

    def _visit(self) -> None:
        while not self._over.is_set():
            begun = time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
            connection.request("GET", "/", headers={"Host": "a.example.org"})
            answer = connection.getresponse()
            answer.read()
            connection.close()
            self.answers.append((time.monotonic(), answer.status, time.monotonic() - begun))
            time.sleep(0.01)

    def end(self) -> list[int]:
        """The statuses in their order."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        return [status for _, status, _ in sorted(self.answers)]


@contextmanager
def visited(folder: Path, names: Names, **containers: Status) -> Iterator[Visits]:
    """Visits to the application `app` from the start of a proxy on, with containers at 127.0.0.NUMBER (`_NUMBER`)."""
    port = free_port()
    told = {"a.example.org": {"app": "app", "port": port, "path": HEALTH, "www": False}, **OTHER}
    with ExitStack() as stack:
        for name, status in containers.items():
            stack.enter_context(container(f"127.0.0.{name.removeprefix('_')}", port, status))
        edited = lambda text: text.replace("127.0.0.11:53", f"127.0.0.1:{names.port}")  # noqa: E731
        visits = Visits(stack.enter_context(running(folder, told, edited=edited))["http"])
        try:
            yield visits
        finally:
            visits.end()


def test_a_proxy_that_starts_asks_before_it_says_that_an_application_is_down(tmp_path: Path):
    with visited(tmp_path, Names(delay=0.3, app=["127.0.0.2"]), _2=well) as visits:
        time.sleep(3)
    assert set(visits.end()) == {200}
    assert max(seconds for _, _, seconds in visits.answers) < 3


def test_who_has_been_served_is_served_on_by_one_that_was_not_ready_at_first(tmp_path: Path):
    """It answers from the beginning, but says for a while that it is not well: after a reboot for instance."""
    begun = time.monotonic()

    def warming(path: str) -> int:
        return 503 if path == HEALTH and time.monotonic() - begun < 5 else 200

    with visited(tmp_path, Names(app=["127.0.0.2"]), _2=warming) as visits:
        while time.monotonic() - begun < 8:
            time.sleep(0.1)
    statuses = visits.end()
    first = statuses.index(200)
    assert set(statuses[:first]) <= {503}
    assert set(statuses[first:]) == {200}
    assert not [at for at, status, _ in visits.answers if status == 200 and at - begun < 5]


def test_of_two_containers_that_a_new_proxy_finds_the_one_that_is_well_has_all_visitors(tmp_path: Path):
    with visited(tmp_path, Names(app=["127.0.0.2", "127.0.0.3"]), _2=well, _3=broken) as visits:
        time.sleep(3)
    assert set(visits.end()) == {200}


def test_nor_does_one_that_refuses_cost_anybody_more_than_time(tmp_path: Path):
    with visited(tmp_path, Names(app=["127.0.0.2", "127.0.0.3"]), _2=well) as visits:
        time.sleep(3)
    assert set(visits.end()) == {200}


def test_one_that_comes_later_is_waited_for_where_nobody_serves(tmp_path: Path):
    names = Names()
    with visited(tmp_path, names, _2=well) as visits:
        time.sleep(4)
        come = time.monotonic()
        names.known["app"] = ["127.0.0.2"]
        time.sleep(3)
    visits.end()
    served = min(at for at, status, _ in visits.answers if status == 200)
    assert served - come < 3
    assert {status for at, status, _ in visits.answers if at > served} == {200}


def test_what_is_down_is_told_to_be_in_a_moment_and_then_at_once(tmp_path: Path):
    with visited(tmp_path, Names(app=["127.0.0.2"])) as visits:
        time.sleep(6)
    assert set(visits.end()) == {503}
    assert max(seconds for _, _, seconds in visits.answers) < 5
    last = max(at for at, _, _ in visits.answers)
    assert max(seconds for at, _, seconds in visits.answers if at > last - 1) < 1


@pytest.mark.parametrize("first", [well, pytest.param(broken, marks=pytest.mark.soak)])  # whatever the first one was
def test_whoever_takes_the_place_of_another_at_once_is_checked_all_the_same(tmp_path: Path, first: Status):
    """The proxy sees another address where it looks again, four times a second."""
    names = Names(app=["127.0.0.2"])
    with visited(tmp_path, names, _2=first, _3=broken, _4=well) as visits:
        time.sleep(2.5)
        swapped = time.monotonic()
        names.known["app"] = ["127.0.0.3"]
        time.sleep(5)
        names.known["app"] = ["127.0.0.4"]
        time.sleep(4)
    visits.end()
    # The DNS is asked once a second.
    later = [status for at, status, _ in sorted(visits.answers) if at > swapped + 2]
    assert 500 not in later
    assert 503 in later
    assert set(later[later.index(200) :]) == {200}
