"""What exists in the account already is taken over by its id: the next preview of the program has nothing to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab.api.testing import Emulator
from tests.engine import vultr
from tests.engine.workplace import Project, Workplace

PARENTS = {
    "vultr:index/dnsRecord:DnsRecord": "domain",
    "vultr:index/firewallRule:FirewallRule": "firewallGroupId",
    "vultr:index/reverseIpv4:ReverseIpv4": "instanceId",
    "vultr:index/reverseIpv6:ReverseIpv6": "instanceId",
}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(scope="module")
def account(workplace: Workplace, emulator: Emulator) -> Project:
    """A stack that has made one of each type."""
    project = vultr.project(workplace, "maker")
    vultr.succeeded(project.run("up", "--yes", "--skip-preview", environment=vultr.reaching(emulator)))
    return project


def import_id(resource: dict[str, Any]) -> str:
    parent = PARENTS.get(resource["type"])
    return f"{resource['outputs'][parent]},{resource['id']}" if parent else str(resource["id"])


def imported(project: Project, emulator: Emulator, wanted: list[dict[str, str]]) -> Any:
    (project.folder / "import.json").write_text(json.dumps({"resources": wanted}))
    options = ("--yes", "--skip-preview", "--protect=false", "--generate-code=false")
    return project.run("import", "--file", "import.json", *options, environment=vultr.reaching(emulator))


def test_everything_is_imported_by_its_id_and_then_nothing_is_to_be_done(
    workplace: Workplace, emulator: Emulator, account: Project
) -> None:
    there = vultr.resources_of(account)
    wanted = [{"type": r["type"], "name": name, "id": import_id(r)} for name, r in there.items()]
    assert len(wanted) == len(vultr.RESOURCES)
    taker = vultr.project(workplace, "taker")
    vultr.succeeded(imported(taker, emulator, wanted))
    preview = taker.run("preview", "--expect-no-changes", "--diff", environment=vultr.reaching(emulator))
    assert preview.status == 0, preview.output
    refreshed = taker.run("preview", "--refresh", "--expect-no-changes", environment=vultr.reaching(emulator))
    assert refreshed.status == 0, refreshed.output
    here = vultr.resources_of(taker)
    assert {name: r["id"] for name, r in here.items()} == {name: r["id"] for name, r in there.items()}


@pytest.mark.parametrize(
    ("type_", "id", "said"),
    [
        ("reverseIpv4:ReverseIpv4", "192.0.2.1", "<instance id>,<address>"),
        ("reverseIpv6:ReverseIpv6", "2001:db8::1", "<instance id>,<address>"),
        ("dnsRecord:DnsRecord", "a-record", "<domain>,<record id>"),
        ("firewallRule:FirewallRule", "7", "<group id>,<rule id>"),
    ],
)
def test_an_id_that_does_not_tell_where_it_belongs_is_refused_with_the_right_spelling(
    workplace: Workplace, emulator: Emulator, type_: str, id: str, said: str
) -> None:
    project = vultr.project(workplace, f"refused-{type_.split(':', maxsplit=1)[0]}")
    run = imported(project, emulator, [{"type": f"vultr:index/{type_}", "name": "x", "id": id}])
    assert run.status != 0
    assert said in run.output, run.output


def test_an_id_of_nothing_is_said_to_be_of_nothing(workplace: Workplace, emulator: Emulator) -> None:
    project = vultr.project(workplace, "nothing")
    wanted = [{"type": "vultr:index/dnsDomain:DnsDomain", "name": "x", "id": "example.com"}]
    run = imported(project, emulator, wanted)
    assert run.status != 0
    assert "does not exist" in run.output, run.output
    assert vultr.resources_of(project) == {}
