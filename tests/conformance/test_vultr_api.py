"""The emulator answers what the official plugin was recorded to be satisfied with (vultr_api.json)."""

import json
from pathlib import Path

import pytest

from lab.api.testing import Emulator

TABLE = json.loads((Path(__file__).parent / "vultr_api.json").read_text())
KINDS = {str: "string", int: "number", float: "number", bool: "boolean", list: "list", dict: "object"}
NOBODY = "00000000-0000-4000-8000-00000000dead"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    with Emulator(tmp_path_factory.mktemp("api")) as running:
        yield running


def filled(value, names):
    """The value with every "$name" replaced."""
    if isinstance(value, dict):
        return {key: filled(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, names) for item in value]
    return names[value[1:]] if isinstance(value, str) and value.startswith("$") else value


def shape(value):
    return {key: KINDS[type(item)] for key, item in value.items()}


def hold(operation, answer, expected):
    """Assert status, wrapper, fields and values; the object inside the wrapper."""
    assert answer.status_code == operation["status"], answer.text
    if "wrapper" not in operation:
        assert answer.content == b""
        return {}
    body = answer.json()
    assert set(body) == {operation["wrapper"]} | ({"meta"} if operation.get("meta") else set())
    if operation.get("meta"):
        assert set(body["meta"]) == {"total", "links"}
        assert set(body["meta"]["links"]) == {"next", "prev"}
    value = body[operation["wrapper"]]
    if "item" in operation:
        assert isinstance(value, list)
        for item in value:
            assert shape(item) == operation["item"]
        value = value[0] if value else {}
    else:
        assert shape(value) == operation["fields"]
    assert {key: value[key] for key in expected} == expected
    return value


def test_a_whole_life_is_answered_as_recorded(emulator):
    at_once = ("destruction", "reserved_release", "vpc_release", "block_creation", "block_release")
    emulator.control.post("/pace", json=dict.fromkeys(at_once, 0)).raise_for_status()
    names = {}
    for number, step in enumerate(TABLE["life"]):
        operation = TABLE["operations"][step["op"]]
        path = operation["path"].format(**{**names, **filled(step.get("path", {}), names)})
        if step["op"] == "instance.read":
            emulator.active(names["instance"])
        if step["op"] == "reservedIp.delete" and names.get("reserved6") in path:
            emulator.control.post(f"/instances/{names['instance']}/reboot").raise_for_status()
        body = filled(step["request"], names) if "request" in step else None
        answer = emulator.api.request(operation["method"], path, json=body)
        try:
            value = hold(operation, answer, filled(step.get("expect", {}), names))
        except AssertionError as error:
            raise AssertionError(f"step {number}, {step['op']}: {error}") from error
        names.update({name: value[field] for name, field in step.get("keep", {}).items()})
    tables = ("ssh_keys", "domains", "firewall_groups", "vpcs", "reserved_ips", "instances", "blocks")
    assert {table: emulator.state()[table] for table in tables} == {table: {} for table in tables}


def test_every_recorded_operation_is_part_of_the_life():
    assert {step["op"] for step in TABLE["life"]} == set(TABLE["operations"])


@pytest.fixture(scope="module")
def names(emulator):
    """Objects that exist, for the texts that are about another one that is missing."""
    api = emulator.api
    domain = api.post("/v2/domains", json={"domain": "example.net"}).json()["domain"]["domain"]
    block = api.post("/v2/blocks", json={"region": "ewr", "size_gb": 10}).json()["block"]["id"]
    return {"domain": domain, "block": block}


# The two recorded 400 need attached addresses: test_vultr_api_rules.py.
GONE = [case for case in TABLE["errors"] if case[2] == 404]


@pytest.mark.parametrize("case", GONE, ids=lambda case: f"{case[0]} {case[1]} {case[3]}")
def test_what_is_gone_is_said_in_the_bytes_clients_search_for(emulator, names, case):
    method, template, status, text = case
    fields = dict.fromkeys(("instance", "reserved", "key", "vpc", "group", "record"), NOBODY)
    fields["rule"] = "99"
    if text == "Firewall rule ID not found.":
        group = emulator.api.post("/v2/firewalls", json={}).json()["firewall_group"]
        fields["group"] = group["id"]
    body = {"instance_id": NOBODY, "ip": "10.88.16.1"} if method == "POST" else None
    answer = emulator.api.request(method, template.format(**{**fields, **names}), json=body)
    assert answer.status_code == status
    before = {"is_external_error": False} if "/vpcs/" in template else {}
    assert answer.content == json.dumps({**before, "error": text, "status": status}, separators=(",", ":")).encode()


@pytest.mark.parametrize("record", [("example.net", "Invalid record ID"), ("example.com", "Invalid domain")])
def test_a_missing_record_and_a_missing_domain_are_told_apart(emulator, names, record):
    domain, text = record
    answer = emulator.api.get(f"/v2/domains/{domain}/records/{NOBODY}")
    assert answer.content == json.dumps({"error": text, "status": 404}, separators=(",", ":")).encode()


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic eDp5", "Bearer bad-key"])
def test_without_a_good_key_nothing_is_answered(emulator, header):
    headers = {"Authorization": header} if header is not None else {"Authorization": ""}
    for path in ("/v2/account", f"/v2/ssh-keys/{NOBODY}"):
        answer = emulator.api.get(path, headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"error": "Invalid API token.", "status": 401})
