"""A release that Swarm has taken back, tried again by the very same line."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_swarm_tools import again, docker, replicas_tool, swarm_tool, task, wanted

__all__ = ["docker"]  # a fixture
SECRET = "hunter2"


class Swarm:
    """A service of Swarm's that replaces its two replicas as it is told, and what it had before where they fail.

    Each look at the tasks is a moment: a new replica is healthy or fails by then, as `well` has it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.well = True
        self.sent: list[dict[str, Any]] = []
        self.failed: list[dict[str, Any]] = []
        self.now = wanted(image="apiary/echo:1")
        self.before: dict[str, Any] | None = None
        monkeypatch.setattr(replicas_tool, "service", lambda _: copy.deepcopy(self.now))
        monkeypatch.setattr(replicas_tool, "tasks", lambda _: self.look())
        monkeypatch.setattr(replicas_tool, "last_lines", lambda _: ["the database is away"])
        monkeypatch.setattr(again, "ask", self.ask)

    def update(self, spec: dict[str, Any]) -> None:
        """As the plugin or anybody else has it."""
        self.before, self.now["Spec"] = self.now["Spec"], copy.deepcopy(spec)
        self.now["Version"]["Index"] += 1
        self.now.pop("UpdateStatus", None)

    def ask(self, method: str, path: str, body: Any) -> None:
        assert (method, path) == ("POST", f"/services/s1/update?version={self.now['Version']['Index']}")
        self.sent.append(body)
        self.update(body)

    def look(self) -> list[dict[str, Any]]:
        if self.before and not self.well:
            failed = self.now["Spec"]["TaskTemplate"]
            self.failed = [{**task("failed", desired="shutdown"), "ID": "failed", "Spec": failed}]
            self.now |= {"Spec": self.before, "UpdateStatus": {"State": "rollback_completed", "Message": "rolled back"}}
            self.before = None
        return [*self.failed, *({**task(), "Spec": self.now["Spec"]["TaskTemplate"]} for _ in range(2))]


def second(**environment: str) -> dict[str, Any]:
    """What the service is to be; the plugin tells it once, and nothing when the same `pulumi up` runs again."""
    spec = copy.deepcopy(wanted()["Spec"])
    spec["TaskTemplate"]["ContainerSpec"]["Env"] = [f"{key}={value}" for key, value in environment.items()]
    return dict(spec)


def awaited() -> int:
    return int(replicas_tool.main(["await", "echo", "--release", "2", "--timeout", "5"]))


def test_the_same_line_once_more_tries_the_release_again(
    docker: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    swarm = Swarm(monkeypatch)
    swarm.update(second(PASSWORD=SECRET))
    swarm.well = False
    for _ in range(2):
        assert awaited() == 1
        assert "the release was taken back (rolled back); what ran before runs again" in capsys.readouterr().err
        swarm.failed = []  # Swarm clears them away
    swarm.well = True
    assert awaited() == 0
    assert swarm.now["Spec"] == second(PASSWORD=SECRET)
    assert swarm.sent[-1] == second(PASSWORD=SECRET), "all that the plugin had told"
    assert SECRET not in "".join(capsys.readouterr())


def test_what_is_kept_is_for_root_alone_and_only_until_the_release_is_through(
    docker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    swarm = Swarm(monkeypatch)
    swarm.update(second(PASSWORD=SECRET))
    swarm.well = False
    assert awaited() == 1
    [kept] = again.FOLDER.iterdir()
    assert (again.FOLDER.stat().st_mode & 0o777, kept.stat().st_mode & 0o777) == (0o700, 0o600)
    swarm.well = True
    assert awaited() == 0
    assert list(again.FOLDER.iterdir()) == []


def test_a_service_that_goes_or_a_server_that_leaves_keeps_nothing(
    docker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    swarm = Swarm(monkeypatch)
    swarm.update(second())
    for words in (["stop", "s1"], None):
        again.begin(swarm.now, [], "2")
        assert len(list(again.FOLDER.iterdir())) == 1
        assert (replicas_tool.main(words) if words else swarm_tool.main(["leave"])) == 0
        assert list(again.FOLDER.iterdir()) == []


def test_a_release_that_was_taken_back_before_anybody_looked_is_known_by_its_failed_replica(
    docker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    swarm = Swarm(monkeypatch)
    swarm.update(second(PASSWORD=SECRET))
    swarm.well = False
    swarm.look()
    assert not again.FOLDER.exists()
    swarm.well = True
    assert awaited() == 0
    assert swarm.now["Spec"] == second(PASSWORD=SECRET)


def test_what_nobody_knows_any_more_is_not_guessed_and_the_remedy_is_named(
    docker: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    swarm = Swarm(monkeypatch)
    swarm.now["UpdateStatus"] = {"State": "rollback_completed"}
    swarm.failed = [task("failed", image="apiary/echo:0", desired="shutdown")]
    again.FOLDER.mkdir(parents=True)
    (again.FOLDER / "s1.json").write_text(json.dumps({"TaskTemplate": task(image="apiary/echo:0")["Spec"]}))
    assert awaited() == 1
    assert "pulumi refresh, then once more" in capsys.readouterr().err
    assert swarm.sent == []


def test_an_update_that_swarm_has_paused_goes_on(docker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = Swarm(monkeypatch)
    swarm.update(second())
    swarm.now["UpdateStatus"] = {"State": "paused"}
    assert awaited() == 0
    assert swarm.sent == [second()]


def test_what_is_waited_for_without_a_release_may_have_failed_before(
    docker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make recover` after a release that was taken back: what served is there again."""
    swarm = Swarm(monkeypatch)
    swarm.now["UpdateStatus"] = {"State": "rollback_completed"}
    assert replicas_tool.main(["await", "echo", "--settle", "0.01", "--timeout", "5"]) == 0


def test_a_release_back_to_what_ran_before_is_through_although_the_last_one_was_taken_back(
    docker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swarm = Swarm(monkeypatch)
    swarm.now["UpdateStatus"] = {"State": "rollback_completed"}
    assert replicas_tool.main(["await", "echo", "--release", "1", "--timeout", "5"]) == 0
    assert swarm.sent == []
