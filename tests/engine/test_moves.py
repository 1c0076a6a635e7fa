"""A container on another server, in plans of the engine: its data first, then itself, and the old volume stays."""

from __future__ import annotations

from typing import Any

from tests.engine.plans import operations
from tests.engine.test_changes import CREATED, DELETED, UPDATED, Elsewhere


def test_an_application_moves_after_its_data_and_its_old_volume_is_only_forgotten(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    """In one edit, under another name at once: the command that carries is the old one, which knows where they were."""
    config = edited["config"]
    applications = config["apiary:applications"]
    applications["clock"] = {**applications.pop("scheduler"), "renamed_from": "scheduler", "server": "web2"}
    config["apiary:jobs"]["tidy"]["server"] = "web2"
    project = elsewhere(edited)
    steps = project.steps()
    order = [
        ("create", "command:Command web2/JobScheduler"),
        ("create", "docker:Volume web2/schedule"),
        ("update", "command:Command clock-carried"),
        ("delete-replaced", "docker:Container scheduler"),
        ("create-replacement", "docker:Container clock"),
        ("delete", "docker:Volume web1/schedule"),
    ]
    made = [step for step in steps if step in order]
    assert sorted(made[:2]) == order[:2]
    assert made[2:] == order[2:]
    kept = [step for step in project.plan()["steps"] if step["urn"].endswith("Volume::web1/schedule")]
    assert kept[0]["oldState"]["retainOnDelete"] is True
    # Nobody else's data are looked at.
    assert [name for name in operations(steps) if name.endswith("-carried")] == ["command:Command clock-carried"]


def test_a_site_moves_with_its_records_after_what_it_is_made_of(elsewhere: Elsewhere, edited: dict[str, Any]) -> None:
    config = edited["config"]
    servers = config["apiary:servers"]
    servers["web1"]["dns"]["web"].remove("example.com")
    servers["web2"]["dns"]["web"] = ["example.com"]
    site = config["apiary:applications"]["site"]
    site["server"] = "web2"
    config["apiary:applications"]["front"] = {
        "server": "web2", "build_dir": "HAProxy", "ipv6_web": True, "ports": [80], "volumes": ["cfg:/etc/haproxy"],
    }  # fmt: skip
    config["apiary:jobs"]["setup"] = {
        "server": "web2", "build_dir": "HAProxySetup", "env": {"domains": "all", "haproxy_container": "$front"},
        "volumes": ["cfg:/etc/haproxy"],
    }  # fmt: skip
    steps = elsewhere(edited).steps()
    plan = operations(steps)
    # Both servers have one IPv4 address here (settled.py).
    records = [f"vultr:DnsRecord example.com/{name}/AAAA" for name in ("@", "www")]
    assert {plan[record] for record in records} == {UPDATED}
    built = steps.index(("create", "command:Command web2/NginxStatic"))
    assert all(steps.index(("update", record)) > built for record in records)
    assert plan["command:Command front-carried"] == CREATED
    assert plan["command:Command web1/NginxStatic"] == DELETED


def test_another_server_is_no_reason_to_look_for_anybody_s_data(elsewhere: Elsewhere, edited: dict[str, Any]) -> None:
    edited["config"]["apiary:servers"]["web3"] = {"plan": "vc2-1c-2gb", "region": "ams", "os": 2136}
    plan = operations(elsewhere(edited).steps())
    assert plan["vultr:Instance web3"] == CREATED
    assert not [name for name in plan if name.endswith("-carried")]
