"""What an account has already is shown, imported, and then changed instead of created."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lab.api.testing import Emulator
from lab.paths import CHECKOUT
from tests.engine import vultr
from tests.engine.workplace import SECONDS, Project, Workplace

ZONE = "example.com"


@pytest.fixture
def emulator(tmp_path: Any) -> Iterator[Emulator]:
    with Emulator(tmp_path / "api") as running:
        yield running


@pytest.fixture
def coming(
    workplace: Workplace, emulator: Emulator, hive_file: dict[str, Any], request: pytest.FixtureRequest
) -> Project:
    """Somebody who comes with a zone full of records, and with an address."""
    name = request.node.name.replace("_", "-")[:40].strip("-")
    file = copy.deepcopy(hive_file)
    file["config"]["apiary:backups"] = {"repository": "vultr"}
    project = workplace.project(name, name, file)
    for part in ("operations", "provider"):
        shutil.copytree(CHECKOUT / part, project.folder / part, dirs_exist_ok=True)
    return project.made()


def record(emulator: Emulator, type_: str, name: str, data: str, ttl: int = 300) -> str:
    body = {"type": type_, "name": name, "data": data, "ttl": ttl}
    answer = emulator.api.post(f"/v2/domains/{ZONE}/records", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["record"]["id"])


def records(emulator: Emulator) -> dict[str, str]:
    """Every record of the zone by its id, as one text."""
    listed = emulator.api.get(f"/v2/domains/{ZONE}/records?per_page=500").json()["records"]
    return {entry["id"]: f"{entry['name']} {entry['type']} {entry['data']}" for entry in listed}


def adopt(project: Project, emulator: Emulator, *words: str) -> subprocess.CompletedProcess[str]:
    return said(project, emulator, "adopt", *words)


def said(project: Project, emulator: Emulator, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "operations", verb, "--stack", project.stack, *words],
        cwd=project.folder,
        env={**project.workplace.environment, **vultr.reaching(emulator)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS * 3,
        check=False,
    )


def created(project: Project, emulator: Emulator) -> set[str]:
    """Names of what the next preview creates of Vultr's."""
    plan = project.run("preview", "--json", environment=vultr.reaching(emulator)).json()
    return {s["urn"].split("$")[-1] for s in plan["steps"] if s["op"] == "create" and "vultr:" in s["urn"]}


def test_what_exists_is_taken_over_and_nothing_is_deleted(coming: Project, emulator: Emulator) -> None:
    """A zone with its records, a reserved address for the server that is named, the key and the object storage of a
    state that was lost.
    """
    emulator.api.post("/v2/domains", json={"domain": ZONE})
    www = record(emulator, "A", "www", "203.0.113.9")
    mail = record(emulator, "TXT", "mail._domainkey", '"v=DKIM1; p=abc"')
    dmarc = record(emulator, "TXT", "_dmarc", '"v=DMARC1; p=none"', ttl=3600)
    first, second = record(emulator, "A", "", "203.0.113.9"), record(emulator, "A", "", "203.0.113.10")
    before = records(emulator)
    address, key, storage = reserved(emulator), known_key(emulator, coming), rented(emulator, coming)
    targets = [f"--target=**{part}::**" for part in ("apiary:dns:Zone", "vultr:index/dnsDomain:DnsDomain")]
    refused = coming.run("up", "--yes", "--skip-preview", *targets, environment=vultr.reaching(emulator))
    assert refused.status != 0
    assert f"make adopt ZONE={ZONE}" in refused.output, "the error names the verb"

    done = adopt(coming, emulator, "--address", f"web1={address['subnet']}", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changed     www A 203.0.113.9, ttl 300  ->" in done.stdout, done.stdout
    assert "in the way  @ A 203.0.113.10" in done.stdout, done.stdout
    assert "- {type: TXT, name: _dmarc, data: v=DMARC1; p=none, ttl: 3600}" in done.stdout, done.stdout
    assert records(emulator) == before, "nothing at Vultr has changed"
    left = created(coming, emulator)
    assert f"vultr:index/dnsDomain:DnsDomain::{ZONE}" not in left
    kept = (
        "::example.com/www/A",
        "reservedIp:ReservedIp::web1",
        "sSHKey:SSHKey::access",
        "ObjectStorage::" + storage["label"],
    )
    assert not [name for name in left if name.endswith(kept)]
    assert [name for name in left if name.endswith("::example.com/www/AAAA")], "what was not there is made"
    held = vultr.resources_of(coming)
    assert held["example.com/www/A"]["id"] == www
    assert held[ZONE]["parent"].endswith(f"apiary:dns:Zone::{ZONE}")
    assert (held["web1"]["id"], held["access"]["id"]) == (address["id"], key["id"])
    assert held[storage["label"]]["id"] == storage["id"], "in another one there are no backups"
    account = emulator.api.get(f"/v2/object-storage/{storage['id']}").json()["object_storage"]
    assert account["s3_access_key"] in coming.run("stack", "export", "--show-secrets").stdout
    assert account["s3_secret_key"] not in coming.run("stack", "export").stdout
    ids = {resource["id"] for resource in held.values()}
    assert (first in ids, ids & {second, dmarc, mail}) == (True, set())


def reserved(emulator: Emulator) -> dict[str, Any]:
    """An address of the account."""
    body = {"region": "ewr", "ip_type": "v4", "label": "my old server"}
    return dict(emulator.api.post("/v2/reserved-ips", json=body).json()["reserved_ip"])


def rented(emulator: Emulator, project: Project) -> dict[str, Any]:
    """The object storage in which the stack has its backups."""
    body = {"cluster_id": 2, "tier_id": 1, "label": f"apiary-{project.stack}"}
    return dict(emulator.api.post("/v2/object-storage", json=body).json()["object_storage"])


def known_key(emulator: Emulator, project: Project) -> dict[str, Any]:
    """The key that the stack has made, before its state was lost."""
    body = {"name": f"apiary-{project.stack}", "ssh_key": vultr.KEY}
    return dict(emulator.api.post("/v2/ssh-keys", json=body).json()["ssh_key"])


def test_a_server_of_a_lost_state_goes_and_nobody_else_s(coming: Project, emulator: Emulator) -> None:
    """Nobody can log in to it. That it is saved before: tests/unit/test_operations_retire.py."""
    mine, other = (
        instance(emulator, label) for label in (f"apiary-{coming.stack}-web1", f"apiary-{coming.stack}-web9")
    )
    done = said(coming, emulator, "retire", "--yes", "--lose")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"server web1: instance {mine} is deleted" in done.stdout
    assert [one["id"] for one in emulator.api.get("/v2/instances").json()["instances"]] == [other]


def instance(emulator: Emulator, label: str) -> str:
    """One that the account has."""
    body = {"region": "ewr", "plan": "vc2-1c-2gb", "os_id": 2136, "label": label}
    return str(emulator.api.post("/v2/instances", json=body).json()["instance"]["id"])


@pytest.mark.soak
def test_a_second_time_there_is_nothing_to_take_over(coming: Project, emulator: Emulator) -> None:
    """By four plans, of which the first adoption made three as well."""
    emulator.api.post("/v2/domains", json={"domain": ZONE})
    assert adopt(coming, emulator, "--yes").returncode == 0
    again = adopt(coming, emulator, "--yes")
    assert "nothing was changed" in again.stdout, again.stdout + again.stderr


@pytest.mark.soak
def test_what_is_in_the_way_goes_only_when_that_is_agreed_to(coming: Project, emulator: Emulator) -> None:
    """That it stays without an agreement is shown above; what is in the way: tests/unit/test_operations_adoption.py."""
    emulator.api.post("/v2/domains", json={"domain": ZONE})
    alias = record(emulator, "CNAME", "www", "elsewhere.example.org")
    first, second = record(emulator, "A", "", "203.0.113.9"), record(emulator, "A", "", "203.0.113.10")
    done = adopt(coming, emulator, "--zone", ZONE, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "in the way  www CNAME elsewhere.example.org" in done.stdout, done.stdout
    assert "in the way  @ A 203.0.113.10" in done.stdout, done.stdout
    assert {alias, first, second} <= set(records(emulator)), "--yes agrees to the import alone"
    done = adopt(coming, emulator, "--zone", ZONE, "--yes", "--delete")
    assert done.returncode == 0, done.stdout + done.stderr
    left = set(records(emulator))
    assert first in left
    assert not {alias, second} & left


@pytest.mark.soak
def test_without_agreement_nothing_happens(coming: Project, emulator: Emulator) -> None:
    """Who asks for one: tests/unit/test_operations_adoption.py."""
    emulator.api.post("/v2/domains", json={"domain": ZONE})
    done = adopt(coming, emulator)
    assert done.returncode != 0
    assert "nothing was changed" in done.stderr
    assert vultr.resources_of(coming) == {}
    wrong = adopt(coming, emulator, "--zone", "example.invalid")
    assert "example.invalid is no zone of this stack; its zones: example.com" in wrong.stderr, wrong.stderr


@pytest.mark.soak
def test_an_address_is_offered_and_another_server_s_or_nobody_s_is_refused(coming: Project, emulator: Emulator) -> None:
    """By three plans, for words of a mistake."""
    address = reserved(emulator)
    shown = adopt(coming, emulator, "--yes")
    assert f"take it by ADDRESS=web1={address['subnet']}" in shown.stdout, shown.stdout + shown.stderr
    for wrong in ("web9=192.0.2.1", "web2=192.0.2.77"):
        refused = adopt(coming, emulator, "--address", wrong, "--yes")
        assert refused.returncode != 0
        assert wrong.partition("=")[2 if wrong.startswith("web2") else 0] in refused.stderr, refused.stderr
