"""What the region's metadata service tells whom, from the emulator's state."""

from __future__ import annotations

import base64
import http.client
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from lab import metadata

WEB, DB = "0c0ffee0-0000-4000-8000-000000000001", "0c0ffee0-0000-4000-8000-000000000002"
VPC = "fbbe2b5b-b986-4396-87f5-7246660ccb64"
USER_DATA = b"#cloud-config\nruncmd: [[touch, /x]]\n# \xc3\xa9\n"


def instance(id: str, ipv4: str, **more: Any) -> dict[str, Any]:
    return {
        "id": id,
        "main_ip": ipv4,
        "gateway_v4": "10.88.0.1",
        "netmask_v4": "255.255.0.0",
        "v6_network": "2001:db8:77:1::",
        "v6_main_ip": "2001:db8:77:1:5400:ff:fe00:1",
        "v6_network_size": 64,
        "hostname": "web1",
        "region": "ewr",
        "_user_data": base64.b64encode(USER_DATA).decode(),
        "_ssh_keys": ["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"],
        "_root_password": "secret",
        "_mac": "56:00:0a:58:10:01",
        "_vpcs": [],
        **more,
    }


STATE: dict[str, Any] = {
    "instances": {
        WEB: instance(
            WEB, "10.88.16.1", _vpcs=[{"id": VPC, "mac_address": "5a:00:03:1b:4e:ca", "ip_address": "10.1.112.3"}]
        ),
        DB: instance(DB, "10.88.16.2", hostname="db1", _user_data="", v6_network="", v6_main_ip="", v6_network_size=0),
    },
    "reserved_ips": {
        "own": {"ip_type": "v4", "subnet": "10.88.16.1", "subnet_size": 32, "instance_id": WEB},
        "second": {"ip_type": "v4", "subnet": "10.88.16.9", "subnet_size": 32, "instance_id": WEB},
        "prefix": {"ip_type": "v6", "subnet": "2001:db8:77:9::", "subnet_size": 64, "instance_id": WEB},
        "free": {"ip_type": "v4", "subnet": "10.88.16.10", "subnet_size": 32, "instance_id": ""},
    },
    "vpcs": {VPC: {"v4_subnet_mask": 20}},
}


def told(path: str, id: str = WEB) -> bytes | None:
    return metadata.at(STATE, STATE["instances"][id], path)


@pytest.mark.parametrize(
    ("address", "id"),
    [("10.88.16.1", WEB), ("10.88.16.2", DB), ("10.88.16.9", WEB), ("10.88.16.10", None), ("10.88.0.100", None)],
)
def test_whoever_asks_is_known_by_its_address_and_nobody_else_is_told(address: str, id: str | None) -> None:
    found = metadata.instance_of(STATE, address)
    assert (found and found["id"]) == id


def test_before_there_is_a_region_nobody_is_known() -> None:
    assert metadata.instance_of({}, "10.88.16.1") is None


def test_v1_json_has_what_cloud_init_reads() -> None:
    document = json.loads(told("/v1.json") or b"")
    assert (document["instance-v2-id"], document["instance-id"]) == (WEB, WEB)
    assert (document["hostname"], document["local-hostname"]) == ("web1", "web1")
    assert document["region"] == {"regioncode": "EWR"}
    assert document["public-keys"] == ["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"]
    assert document["user-data"].encode() == USER_DATA
    assert json.loads(document["vendor-data"].removeprefix("#cloud-config\n"))["chpasswd"]["users"] == [
        {"name": "root", "password": "secret", "type": "text"}
    ]
    public, private = document["interfaces"]
    assert (public["network-type"], public["mac"]) == ("public", "56:00:0a:58:10:01")
    assert public["ipv4"] == {
        "additional": [{"address": "10.88.16.9", "netmask": "255.255.255.255"}],
        "address": "10.88.16.1",
        "gateway": "10.88.0.1",
        "netmask": "255.255.0.0",
    }
    assert public["ipv6"]["additional"] == [{"network": "2001:db8:77:9::", "prefix": "64"}]
    assert (public["ipv6"]["network"], public["ipv6"]["prefix"]) == ("2001:db8:77:1::", "64")
    assert (private["network-type"], private["mac"], private["network-v2-id"]) == ("private", "5a:00:03:1b:4e:ca", VPC)
    assert (private["ipv4"]["address"], private["ipv4"]["netmask"]) == ("10.1.112.3", "255.255.240.0")


def test_without_ipv6_and_user_data_they_are_empty() -> None:
    document = json.loads(told("/v1.json", DB) or b"")
    assert document["user-data"] == ""
    assert document["interfaces"][0]["ipv6"] == {"additional": [], "address": "", "network": "", "prefix": ""}
    assert told("/latest/user-data", DB) is None


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/latest/user-data", USER_DATA),
        ("/latest/meta-data/hostname", b"web1"),
        ("/v1/hostname", b"web1"),
        ("/v1/instance-v2-id", WEB.encode()),
        ("/v1/interfaces", b"0/\n1/"),
        ("/v1/interfaces/0/ipv4/address", b"10.88.16.1"),
        ("/v1/interfaces/1/mac", b"5a:00:03:1b:4e:ca"),
        ("/v1/public-keys", b"ssh-ed25519 AAAA one\nssh-ed25519 BBBB two"),
        ("/v1/region/regioncode", b"EWR"),
        ("/v1/region/", b"regioncode"),
        ("/v1/interfaces/2", None),
        ("/v1/interfaces/one", None),
        ("/v1/hostname/deeper", None),
        ("/v1/nothing", None),
        ("/v2/instances", None),
        ("/", b"latest\nv1\nv1.json"),
    ],
)
def test_each_field_has_a_path(path: str, answer: bytes | None) -> None:
    assert told(path) == answer


def test_it_shows_what_the_state_says_now(tmp_path: Path) -> None:
    """A change of the user data is seen at once, and a server that is deleted is told nothing any more."""
    state = tmp_path / "region.json"
    with metadata.server(str(state), "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host, port = server.server_address[:2]
        mine = {"instances": {WEB: instance(WEB, str(host))}}

        def ask(path: str) -> tuple[int, bytes]:
            connection = http.client.HTTPConnection(str(host), port, timeout=10)
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()

        assert ask("/latest/user-data") == (404, b"")
        state.write_text(json.dumps(mine))
        assert ask("/latest/user-data?x=1") == (200, USER_DATA)
        mine["instances"][WEB]["_user_data"] = base64.b64encode(b"another").decode()
        state.write_text(json.dumps(mine))
        assert ask("/latest/user-data") == (200, b"another")
        state.write_text(json.dumps({"instances": {}}))
        assert ask("/v1.json") == (404, b"")
        server.shutdown()
