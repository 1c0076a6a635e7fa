"""docs/scale.md, walked: the stack of one server becomes its swarm of three by one update, one of the three is rebuilt
while the others serve, and by the steps back it is a stack of one server again. What was written before is there.
"""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
import yaml

from lab.paths import CHECKOUT, Paths
from tests.lab.conftest import SWARM
from tests.lab.hive import Hive, until
from tests.lab.test_swarm import HOST, SERVERS, addresses, expect_no_failures, load, nodes

pytestmark = pytest.mark.soak  # twelve minutes; what it is made of: tests/engine, tests/mocks/test_swarm.py
DEBIAN_13 = 2625


def of_the_page() -> dict[str, Any]:
    """The page's stack, without certificates, which have their own tests."""
    text = (CHECKOUT / "docs" / "scale.md").read_text().replace("shop.example.net", HOST)
    found: dict[str, Any] = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0])["config"]
    for server in found["apiary:servers"].values():
        server["registry_mirrors"] = ["http://registry.lab.internal"]
    applications, jobs = found["apiary:applications"], found["apiary:jobs"]
    for number in (1, 2, 3):
        applications[f"haproxy{number}"] = {**applications[f"haproxy{number}"], "ports": [80]}
        del applications[f"scheduler{number}"], jobs[f"certbot{number}"]
    return found


def of_one_server(grown: dict[str, Any]) -> dict[str, Any]:
    """What somebody has who comes from one server: no swarm, no private side, one of each."""
    found = copy.deepcopy(grown)
    servers, applications, jobs = (found[f"apiary:{section}"] for section in ("servers", "applications", "jobs"))
    del servers["web1"]["swarm"], servers["web1"]["private_ip"], applications["shop"]["replicas"]
    del applications["postgres"]["private"]
    for number in (2, 3):
        del servers[f"web{number}"], applications[f"haproxy{number}"], jobs[f"hasetup{number}"]
    return found


@pytest.fixture(scope="module")
def grown(grown_region: Paths, tmp_path_factory: pytest.TempPathFactory) -> Hive:
    found = Hive.copy_of_the_checkout(grown_region, tmp_path_factory.mktemp("grown"), SWARM)
    found.settings |= of_one_server(of_the_page())
    found.pulumi("stack", "select", "--create")
    found.up()
    return found


def keep(grown: Hive, note: str) -> None:
    status, body = grown.get(f"http://{HOST}/", "-6", "--data", note)
    assert status == 201, body


def kept(grown: Hive) -> set[str]:
    shown = [grown.get(f"http://{HOST}/", family) for family in ("-6", "-4")]
    assert {status for status, _ in shown} == {200}, shown
    one, other = ({note["note"] for note in json.loads(body)["notes"]} for _, body in shown)
    assert one == other
    return one


def test_one_update_makes_three_servers_of_one_which_keeps_its_data(grown: Hive) -> None:
    keep(grown, "of one server")
    there = grown.outputs()["servers"]["web1"]
    grown.settings |= of_the_page()
    grown.up()
    assert grown.outputs()["servers"]["web1"] == there, "it stays the one it is"
    assert set(nodes(grown, "web1")) == set(SERVERS)
    assert kept(grown) == {"of one server"}
    with load(grown, *addresses(grown, *SERVERS)) as result:
        grown.settings["apiary:applications"]["shop"]["env"]["release"] = "the first of four"
        grown.up()
    expect_no_failures(result)
    grown.expect_no_changes()


def test_one_of_three_is_rebuilt_and_the_visitors_of_the_others_notice_nothing(grown: Hive) -> None:
    keep(grown, "before the rebuild")
    with load(grown, *addresses(grown, "web1", "web3"), pause=0.25) as result:
        grown.settings["apiary:servers"]["web2"] = {**grown.settings["apiary:servers"]["web2"], "os": DEBIAN_13}
        grown.up()
    expect_no_failures(result)
    assert nodes(grown, "web1")["web2"].startswith("Ready")
    assert len(nodes(grown, "web1")) == len(SERVERS)
    running = "docker ps -q --filter name=^shop\\."
    until(lambda: grown.on_server(running, server="web2"), 60, "it has replicas again")
    assert kept(grown) == {"of one server", "before the rebuild"}
    grown.expect_no_changes()


def test_by_the_steps_back_it_is_one_server_again(grown: Hive) -> None:
    before = kept(grown)
    servers, applications = grown.settings["apiary:servers"], grown.settings["apiary:applications"]
    with load(grown, *addresses(grown, "web1"), pause=0.25) as result:
        for server in ("web2", "web3"):
            servers[server] = {**servers[server], "drain": True}
        grown.up()
        for number in (2, 3):
            del servers[f"web{number}"], applications[f"haproxy{number}"]
            del grown.settings["apiary:jobs"][f"hasetup{number}"]
        grown.up()
        applications["store"] = {**applications.pop("shop"), "server": "web1", "db": ["postgres:shop"]}
        del applications["store"]["replicas"]
        grown.up()
    expect_no_failures(result)
    del servers["web1"]["swarm"]
    grown.up()
    until(lambda: grown.get(f"http://{HOST}/", "-6")[0] == 200, 60, "its Docker is back")
    assert kept(grown) == before
    grown.expect_no_changes()
    assert "inactive" in grown.on_server("docker info --format '{{.Swarm.LocalNodeState}}'")
