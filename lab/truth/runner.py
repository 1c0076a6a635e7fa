"""Plays the facts of the table against an API, makes the objects that they need, and tells which rows differ."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from lab.truth.table import ABSENT, Fact, Step, Table, at, filled, fits, told

API: Final = "https://api.vultr.com"
_RATE: Final = 15  # requests a second that a run asks, half of what is allowed


class InterruptedRun(Exception):
    """The run was asked to end; no request is under way."""


class Api:
    """Requests with one key, paced, and never abandoned half-way: an interrupt is heeded before the next one."""

    def __init__(self, key: str, stop: threading.Event) -> None:
        self._client = httpx.Client(base_url=API, timeout=120)
        self._authorization = {"Authorization": f"Bearer {key}"}
        self.stop = stop
        self._next = 0.0

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def pause(self, seconds: float) -> None:
        """Wait, or raise InterruptedRun."""
        if self.stop.wait(seconds):
            raise InterruptedRun

    def ask(self, method: str, path: str, body: object = None, *, anonymous: bool = False) -> httpx.Response:
        """One answer, of whichever status; repeated while the limit of requests refuses it."""
        while True:
            self.pause(max(0.0, self._next - time.monotonic()))
            self._next = time.monotonic() + 1 / _RATE
            answer = self._send(method, path, body, anonymous)
            if answer.status_code != 429:
                return answer
            self.pause(float(answer.headers.get("Retry-After", "1")))

    def burst(self, method: str, path: str, number: int) -> httpx.Response:
        """So many at once: the first answer that is a 429, else the last one."""
        self.pause(1)
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: self._send(method, path, None, False), range(number)))
        self.pause(2)
        return next((answer for answer in answers if answer.status_code == 429), answers[-1])

    def _send(self, method: str, path: str, body: object, anonymous: bool) -> httpx.Response:
        headers = {} if anonymous else self._authorization
        return self._client.request(method, path, json=body, headers=headers)


@dataclass
class Outcome:
    """What became of one fact."""

    fact: Fact
    differs: list[str] = field(default_factory=list)  # what was expected, and what was
    seen: list[str] = field(default_factory=list)  # answers, for what is unknown
    skipped: str = ""  # why it was not tried


class Run:
    """One run of the table: its objects are named and tagged `tag`, so that whatever happens they are found again."""

    def __init__(
        self, table: Table, api: Api, tag: str, settings: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self._table, self._api, self._say = table, api, say
        self.names: dict[str, str] = {"tag": tag, **settings}
        self._failed: dict[str, str] = {}

    def play(self, fact: Fact) -> Outcome:
        """Try one fact. Raises InterruptedRun and httpx.HTTPError (the network, not an answer)."""
        outcome = Outcome(fact)
        for need in fact.needs:
            if problem := self._make(need):
                outcome.skipped = problem
                return outcome
        for step in fact.steps:
            problems, answer = self._try(step)
            outcome.seen.append(f"{step.method} {step.path}: {answer.status_code} {answer.text[:300]}")
            outcome.differs += problems
            if problems:
                break
        return outcome

    def _make(self, name: str) -> str:
        """Make an object once; why it can't be had."""
        if name in self.names or name in self._failed:
            return self._failed.get(name, "")
        kind = self._table.kinds[name]
        for need in kind.needs:
            if problem := self._make(need):
                self._failed[name] = problem
                return problem
        self._say(f"    making {name}")
        for step in kind.make:
            problems, _ = self._try(step)
            if problems:
                self._failed[name] = f"{name} could not be made: {'; '.join(problems)}"
                return self._failed[name]
        return ""

    def _try(self, step: Step) -> tuple[list[str], httpx.Response]:
        """Ask until it holds; what does not, and the last answer."""
        deadline, pause = time.monotonic() + step.within, 0.25
        path, body = filled(step.path, self.names), filled(step.body, self.names)
        while True:
            if step.burst > 1:
                answer = self._api.burst(step.method, path, step.burst)
            else:
                answer = self._api.ask(step.method, path, body, anonymous=step.anonymous)
            problems = self._compare(step, answer)
            if not problems or time.monotonic() > deadline:
                break
            self._api.pause(pause)
            pause = min(pause * 1.5, 10)
        if not problems:
            content = _content(answer)
            self.names.update({name: str(at(content, path)) for name, path in step.keep.items()})
        return problems, answer

    def _compare(self, step: Step, answer: httpx.Response) -> list[str]:
        content, where = _content(answer), f"{step.method} {step.path}"
        problems = []
        if step.status is not None and answer.status_code != step.status:
            problems.append(f"{where}: status {step.status} expected, was {answer.status_code} {answer.text[:300]}")
            return problems
        if step.exact is not None:
            wanted = json.dumps(filled(step.exact, self.names), separators=(",", ":"), ensure_ascii=False)
            if json.dumps(content, separators=(",", ":"), ensure_ascii=False) != wanted:
                problems.append(f"{where}: {wanted} expected, was {answer.text[:300]}")
        for path, matcher in filled(dict(step.expect), self.names).items():
            if not fits(matcher, value := at(content, path)):
                problems.append(f"{where}: {path} {told(matcher)} expected, was {told(value)}")
        for name, matcher in step.headers.items():
            if not fits(matcher, header := answer.headers.get(name, ABSENT)):
                problems.append(f"{where}: header {name} {told(matcher)} expected, was {told(header)}")
        problems += [f"{where}: {path} is not there" for path in step.keep.values() if at(content, path) is ABSENT]
        return problems


def _content(answer: httpx.Response) -> Any:  # noqa: ANN401 - JSON
    try:
        return answer.json()
    except ValueError:
        return ABSENT
