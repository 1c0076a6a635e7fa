"""`make run` and `make release` look a branch up again, and only where there is one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import pytest

from operations import jobs, releases
from operations.cli import OperationError, Pulumi

PREFIX = "urn:pulumi:lab::apiary::"
BEFORE, AFTER = "a" * 40, "b" * 40


def resource(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"urn": f"{PREFIX}{kind}::{name}", "type": kind.rsplit("$", 1)[-1], **more}


PROVIDER = resource("pulumi:providers:docker", "web1-ewr", id="p", parent=f"{PREFIX}apiary:host:Server::web1")
LOOKED_UP = resource(
    "apiary:docker:Image$command:remote:Command", "web1/https://x/site.git#main-commit",
    inputs={"create": "apiary-git commit https://x/site.git refs/heads/main"}, outputs={"stdout": BEFORE},
)  # fmt: skip
# A branch may be called like that.
BUILT = resource(
    "apiary:docker:Image$command:remote:Command", "web1/https://x/site.git#main-commit2",
    inputs={"create": "set -u\napiary-git build ..."},
)  # fmt: skip
FOLDER = resource("apiary:docker:Image$command:local:Command", "web1/Echo", inputs={"create": "docker build"})


def container(kind: str, name: str, *images: dict[str, Any], id_: str = "c") -> dict[str, Any]:
    return resource(
        f"apiary:docker:{kind}$docker:index/container:Container", name, id=id_,
        provider=f"{PROVIDER['urn']}::p", dependencies=[image["urn"] for image in images],
    )  # fmt: skip


@dataclass
class Engine:
    """A stack whose `up` does what a test says."""

    resources: list[dict[str, Any]]
    does: Callable[[list[dict[str, Any]]], None] = lambda _: None
    ran: list[tuple[str, ...]] = field(default_factory=list)
    project: str = "apiary"

    def setting(self, key: str) -> str:
        assert key == "apiary:jobs"
        return "{}"

    def export(self, **_: Any) -> dict[str, Any]:
        return {"deployment": {"resources": self.resources}}

    def run(self, *arguments: str, **_: Any) -> None:
        self.ran.append(arguments)
        self.does(self.resources)

    @property
    def replaced(self) -> list[str]:
        [arguments] = self.ran
        assert "--target-dependents" in arguments
        return [urn for option, urn in pairwise(arguments) if option == "--target-replace"]


def stack(**more: Any) -> Engine:
    return Engine(
        [
            *(PROVIDER, LOOKED_UP, BUILT, FOLDER),
            container("Application", "shop", BUILT, LOOKED_UP),
            container("Application", "echo", FOLDER),
            container("Job", "feed", BUILT, LOOKED_UP),
            container("Job", "hasetup", FOLDER),
        ],
        **more,
    )


def test_a_job_of_a_branch_is_run_as_the_branch_is_now() -> None:
    engine = stack()
    assert jobs.run(cast(Pulumi, engine), "web1:feed") == 0
    feed = next(one["urn"] for one in engine.resources if one["urn"].endswith("::feed"))
    assert engine.replaced == [LOOKED_UP["urn"], feed]


def test_a_job_of_a_folder_is_run_and_nothing_is_looked_up() -> None:
    engine = stack()
    jobs.run(cast(Pulumi, engine), "hasetup")
    assert [urn.rsplit("::", 1)[-1] for urn in engine.replaced] == ["hasetup"]


def test_a_release_looks_the_branch_up_and_leaves_the_rest_to_what_has_changed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def moves(resources: list[dict[str, Any]]) -> None:
        resources[1] = {**LOOKED_UP, "outputs": {"stdout": AFTER}}
        resources[4] = container("Application", "shop", BUILT, LOOKED_UP, id_="another")

    engine = stack(does=moves)
    releases.release(cast(Pulumi, engine), "web1:shop")
    assert engine.replaced == [LOOKED_UP["urn"]], "where the branch has not moved nothing is released"
    assert f"done, it is at {AFTER}" in capsys.readouterr().out


def test_a_branch_that_has_not_moved_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    releases.release(cast(Pulumi, stack()), "shop")
    assert f"nothing new, it is still at {BEFORE}" in capsys.readouterr().out


def spread(image: str, **more: Any) -> list[dict[str, Any]]:
    """An application with replicas: its image on two servers, and to the engine it depends on neither."""
    shop = f"{PREFIX}apiary:docker:Replicated::shop"
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps(image)}
    return [
        resource(
            "apiary:docker:Image$command:remote:Command", f"{server}/https://x/site.git#main",
            inputs={"create": "apiary-git build ...", "triggers": [server, image]}, dependencies=[LOOKED_UP["urn"]],
        )
        for server in ("web1", "web2")
    ] + [
        resource(
            "apiary:docker:Replicated$docker:index/service:Service", "shop", id="s", parent=shop,
            inputs={"taskSpec": {"containerSpec": {"image": secret}}}, **more,
        ),
        resource("apiary:docker:Replicated$command:remote:Command", "shop-replicas-release", parent=shop),
    ]  # fmt: skip


@pytest.mark.parametrize(("after", "said"), [("apiary/site:new", "done, it is"), ("apiary/site:old", "nothing new")])
def test_replicas_are_released_though_to_the_engine_they_depend_on_no_server(
    capsys: pytest.CaptureFixture[str], after: str, said: str
) -> None:
    def moves(resources: list[dict[str, Any]]) -> None:
        resources[2:] = spread(after)

    engine = Engine([PROVIDER, LOOKED_UP, *spread("apiary/site:old")], does=moves)
    releases.release(cast(Pulumi, engine), "shop")
    assert engine.replaced == [LOOKED_UP["urn"]]
    targets = [urn.rpartition("::")[2] for option, urn in pairwise(engine.ran[0]) if option == "--target"]
    assert targets == ["shop", "shop-replicas-release"]
    assert said in capsys.readouterr().out


def test_replicas_are_of_no_single_server() -> None:
    engine = Engine([PROVIDER, LOOKED_UP, *spread("apiary/site:old")])
    with pytest.raises(OperationError, match="has replicas, and is of no single server; say release shop"):
        releases.release(cast(Pulumi, engine), "web1:shop")
    assert engine.ran == []


@pytest.mark.parametrize("verb", [releases.release, jobs.run])
def test_a_branch_that_can_t_be_built_says_how_to_go_back(
    verb: Callable[[Pulumi, str], object], capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(resources: list[dict[str, Any]]) -> None:
        resources[1] = {**LOOKED_UP, "outputs": {"stdout": AFTER}}
        raise OperationError("`pulumi up` failed (above)")

    with pytest.raises(OperationError, match="failed"):
        verb(cast(Pulumi, stack(does=fails)), "shop" if verb is releases.release else "feed")
    assert f"its branch is at {AFTER} now, and was at {BEFORE}; repair the branch" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("echo", "echo is neither built from a branch or a tag of a git repository nor pulled by a tag; change it in"),
        ("shpo", "the state has no application 'shpo'; it has: web1:echo, web1:shop"),
        ("feed", "the state has no application 'feed'; it has: web1:echo, web1:shop"),
    ],
)
def test_what_has_no_branch_is_refused_and_nothing_is_done(wanted: str, message: str) -> None:
    engine = stack()
    with pytest.raises(OperationError, match=message):
        releases.release(cast(Pulumi, engine), wanted)
    assert engine.ran == []
