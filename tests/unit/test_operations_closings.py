"""What is no whole update releases nothing that the stack file closes, and opens nothing that a failed one closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from operations import jobs, releases
from operations.cli import OperationError, Pulumi
from tests.unit.test_operations_branches import LOOKED_UP, PROVIDER, container, resource, spread

CLOSING = resource("apiary:docker:Closing$command:remote:Command", "hasetup-closing", id="closing-2", custom=True)
SHOP = container("Application", "shop", LOOKED_UP, CLOSING)
HASETUP, MIGRATE, CERTBOT = (container("Job", name) for name in ("hasetup", "migrate", "certbot"))


def run(of: str, *triggers: str, after: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return resource(
        "apiary:docker:Job$command:remote:Command", f"{of}-run",
        inputs={"triggers": list(triggers)}, dependencies=[one["urn"] for one in after],
    )  # fmt: skip


@dataclass
class Engine:
    """A stack whose preview of the closing says what a test says."""

    resources: list[dict[str, Any]]
    operation: str = "same"
    reasons: tuple[str, ...] = ()
    asked: list[tuple[str, ...]] = field(default_factory=list)
    ran: list[tuple[str, ...]] = field(default_factory=list)
    project: str = "apiary"

    def setting(self, _: str) -> str:
        return "{}"

    def export(self, **_: Any) -> dict[str, Any]:
        return {"deployment": {"resources": [PROVIDER, LOOKED_UP, CLOSING, *self.resources]}}

    def preview(self, *options: str) -> dict[str, Any]:
        self.asked.append(options)
        step = {"urn": CLOSING["urn"], "op": self.operation, "diffReasons": [*self.reasons]}
        return {"steps": [step, {"urn": "urn:x", "op": "create"}]}

    def run(self, *arguments: str, **_: Any) -> None:
        self.ran.append(arguments)


def stack(*more: dict[str, Any], ended: bool = True, **said: Any) -> Engine:
    ran = [run("hasetup", "c", "closing-2" if ended else "closing-1", after=(HASETUP, SHOP))]
    return Engine([SHOP, HASETUP, MIGRATE, CERTBOT, *ran, *more], **said)


Verb = Callable[[Pulumi, str], object]


def refused(verb: Verb, engine: Engine, wanted: str) -> str:
    with pytest.raises(OperationError) as error:
        verb(cast(Pulumi, engine), wanted)
    assert engine.ran == []
    return str(error.value)


@pytest.mark.parametrize(
    ("operation", "reasons"),
    [("replace", ()), ("create-replacement", ()), ("create", ()), ("update", ("stdin",))],
)
def test_a_release_waits_for_edits_of_sites(operation: str, reasons: tuple[str, ...]) -> None:
    """Also where they close nothing."""
    engine = stack(operation=operation, reasons=reasons)
    words = refused(releases.release, engine, "web1:shop")
    assert "edits of sites that are not in force" in words
    assert "make release APP=web1:shop does not apply them: hasetup would not tell the proxy" in words
    assert engine.asked == [("--target", CLOSING["urn"])]


@pytest.mark.parametrize("operation", ["same", "update"])
def test_a_release_without_such_edits_goes_on(operation: str) -> None:
    """Another way to connect is an update in place, and closes nothing."""
    engine = stack(operation=operation, reasons=("connection",))
    releases.release(cast(Pulumi, engine), "shop")
    assert len(engine.ran) == 1


def test_a_release_that_no_proxy_leads_to_asks_for_no_plan() -> None:
    engine = stack(container("Application", "worker", LOOKED_UP), operation="replace")
    releases.release(cast(Pulumi, engine), "worker")
    assert engine.asked == []


def test_a_release_of_replicas_waits_for_every_proxy() -> None:
    engine = Engine([*spread("apiary/site:old"), run("hasetup", "closing-2")], operation="replace")
    assert "edits of sites" in refused(releases.release, engine, "shop")


@pytest.mark.parametrize(
    ("verb", "wanted"), [(releases.release, "shop"), (jobs.run, "hasetup"), (jobs.run, "web1:migrate")]
)
@pytest.mark.parametrize("there", [True, False])
def test_after_an_update_that_closed_and_failed_nothing_is_opened(verb: Verb, wanted: str, there: bool) -> None:
    """Its job has run after an earlier closing, or is to be made anew."""
    shop = container("Application", "shop", LOOKED_UP, CLOSING, run("migrate"))
    engine = stack(ended=False)
    engine.resources[0] = shop
    engine.resources.append(run("migrate", "c", after=(MIGRATE,)))
    if not there:
        engine.resources = [one for one in engine.resources if not one["urn"].endswith("hasetup-run")]
    words = refused(verb, engine, wanted)
    assert "the last update has not come to its end" in words
    assert "would have hasetup open the rest before they are through; say pulumi up" in words
    assert engine.asked == []


def test_a_job_that_nothing_waits_for_runs_at_any_time() -> None:
    engine = stack(ended=False, operation="replace")
    assert jobs.run(cast(Pulumi, engine), "certbot") == 0
    assert engine.asked == []


def test_a_job_that_a_release_comes_after_waits_for_edits_of_sites() -> None:
    migrated = run("migrate", "c", after=(MIGRATE,))
    engine = stack(migrated, operation="replace")
    engine.resources[0] = container("Application", "shop", LOOKED_UP, CLOSING, migrated)
    assert "make run JOB=migrate does not apply them" in refused(jobs.run, engine, "migrate")


def test_the_job_itself_applies_the_edits() -> None:
    engine = stack(operation="replace")
    assert jobs.run(cast(Pulumi, engine), "hasetup") == 0
    assert engine.asked == []
