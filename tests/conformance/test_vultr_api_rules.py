"""Refusals, paging and filters of the emulator, and the states an instance goes through."""

import base64
import time
from ipaddress import ip_address

import pytest

from lab.api import inventory
from lab.api.testing import Emulator

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGenericGenericGenericGenericGenericGeneric1 admin@example.com"
PLAN = {"region": "ewr", "plan": "vc2-1c-1gb", "os_id": 2136}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    with Emulator(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(scope="module")
def api(emulator):
    return emulator.api


def made(answer, status=None):
    assert answer.status_code in ((status,) if status else (200, 201, 202)), answer.text
    return next(iter(answer.json().values()))


def refusal(answer):
    body = answer.json()
    assert body["status"] == answer.status_code
    return answer.status_code, body["error"]


def instance(api, **more):
    return made(api.post("/v2/instances", json={**PLAN, **more}), 202)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"region": "mars"}, "Invalid region chosen."),
        ({"plan": "vc9"}, "Invalid plan chosen."),
        ({"os_id": 1}, "Invalid OS chosen."),
        ({"region": None}, "Missing required field: region"),
        ({"user_data": "#cloud-config"}, "Invalid user_data: must be base64 encoded"),
        ({"hostname": "under_score"}, "Invalid hostname"),
        ({"script_id": "x"}, "Invalid script_id: this region does not have it"),
        ({"disable_public_ipv4": True}, "Invalid disable_public_ipv4: this region does not have it"),
        ({"sshkey_id": "x"}, "Invalid sshkey_id: must be a list of strings"),
    ],
)
def test_an_instance_that_cannot_be_is_refused_and_leaves_no_trace(emulator, change, text):
    before = emulator.state()["instances"]
    assert refusal(emulator.api.post("/v2/instances", json={**PLAN, **change})) == (400, text)
    assert emulator.state()["instances"] == before


def test_a_reserved_address_serves_one_server_at_a_time(emulator, api):
    reserved = made(api.post("/v2/reserved-ips", json={"region": "ewr", "ip_type": "v4"}), 201)
    path = f"/v2/reserved-ips/{reserved['id']}"
    assert refusal(api.post(f"{path}/detach")) == (400, "Reserved IP is not attached")
    first = emulator.active(instance(api, reserved_ipv4=reserved["id"])["id"])
    assert first["main_ip"] == reserved["subnet"]
    attached = "Floating IPv4 address is already attached to another server"
    body = {**PLAN, "reserved_ipv4": reserved["id"]}
    assert refusal(api.post("/v2/instances", json=body)) == (400, f"Server add failed: {attached}")
    other = instance(api)
    assert refusal(api.post(f"{path}/attach", json={"instance_id": other["id"]})) == (400, attached)
    assert refusal(api.delete(path))[0] == 400
    assert api.delete(f"/v2/instances/{first['id']}").status_code == 204
    assert refusal(api.post("/v2/instances", json=body)) == (400, f"Server add failed: {attached}")
    emulator.until(lambda: made(api.get(path))["instance_id"] == "")
    second = instance(api, reserved_ipv4=reserved["id"])
    assert emulator.active(second["id"])["main_ip"] == reserved["subnet"]


HELD = (400, "Unable to detach subnet, please restart your server from the control panel")


def reserved_network(api, server):
    reserved = made(api.post("/v2/reserved-ips", json={"region": "ewr", "ip_type": "v6"}), 201)
    assert reserved["subnet_size"] == 64
    path = f"/v2/reserved-ips/{reserved['id']}"
    assert api.post(f"{path}/attach", json={"instance_id": server["id"]}).status_code == 204
    return path, reserved


def restart(emulator, api, server):
    assert api.post(f"/v2/instances/{server['id']}/reboot").status_code == 204
    emulator.control.post(f"/instances/{server['id']}/start")  # returns when both are done


def test_a_reserved_network_is_beside_the_instance_s_own(emulator, api):
    server = instance(api, enable_ipv6=True)
    before = emulator.active(server["id"])
    _, reserved = reserved_network(api, server)
    assert made(api.get(f"/v2/instances/{server['id']}"))["v6_network"] == before["v6_network"] != reserved["subnet"]
    networks = {entry["network"] for entry in api.get(f"/v2/instances/{server['id']}/ipv6").json()["ipv6s"]}
    assert networks == {before["v6_network"], reserved["subnet"]}
    name = {"ip": f"{reserved['subnet']}1", "reverse": "web1.example.com"}
    assert api.post(f"/v2/instances/{server['id']}/ipv6/reverse", json=name).status_code == 204
    api.delete(f"/v2/instances/{server['id']}")


@pytest.mark.parametrize("verb", ["detach", "delete"])
def test_a_server_lets_go_of_a_reserved_network_when_it_has_been_restarted_since(emulator, api, verb):
    server = instance(api, enable_ipv6=True)
    emulator.active(server["id"])
    restart(emulator, api, server)
    path, _ = reserved_network(api, server)
    ask = {"detach": lambda: api.post(f"{path}/detach"), "delete": lambda: api.delete(path)}[verb]
    assert refusal(ask()) == refusal(ask()) == HELD
    assert made(api.get(path))["instance_id"] == server["id"]
    restart(emulator, api, server)
    assert ask().status_code == 204


def test_a_deleted_server_lets_go_of_a_reserved_network_without_a_restart(emulator, api):
    server = instance(api, enable_ipv6=True)
    emulator.active(server["id"])
    path, reserved = reserved_network(api, server)
    assert refusal(api.post(f"{path}/detach")) == HELD
    api.delete(f"/v2/instances/{server['id']}")
    deadline = time.monotonic() + 60
    while made(api.get(path))["instance_id"]:
        assert time.monotonic() < deadline, "it is held by a server that is gone"
        time.sleep(0.05)
    second = instance(api, enable_ipv6=True)
    emulator.active(second["id"])
    assert api.post(f"{path}/attach", json={"instance_id": second["id"]}).status_code == 204
    assert made(api.get(path))["subnet"] == reserved["subnet"]
    assert refusal(api.post(f"{path}/detach")) == HELD


def test_what_is_in_use_is_not_deleted(emulator, api):
    group = made(api.post("/v2/firewalls", json={"description": "used"}))
    vpc = made(api.post("/v2/vpcs", json={"region": "ewr", "v4_subnet": "10.1.0.0", "v4_subnet_mask": 24}))
    server = instance(api, firewall_group_id=group["id"], attach_vpc=[vpc["id"]])
    assert emulator.active(server["id"])["internal_ip"] == "10.1.0.3"
    assert refusal(api.delete(f"/v2/firewalls/{group['id']}"))[0] == 400
    assert "attached to this VPC network" in refusal(api.delete(f"/v2/vpcs/{vpc['id']}"))[1]
    api.delete(f"/v2/instances/{server['id']}")
    assert api.delete(f"/v2/firewalls/{group['id']}").status_code == 204
    assert "attached to this VPC network" in refusal(api.delete(f"/v2/vpcs/{vpc['id']}"))[1]
    emulator.until(lambda: api.delete(f"/v2/vpcs/{vpc['id']}").status_code == 204)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/vpcs", {"region": "ewr", "v4_subnet": "10.1.0.1", "v4_subnet_mask": 24}),
        ("/v2/vpcs", {"region": "ewr", "v4_subnet": "8.8.8.0", "v4_subnet_mask": 24}),
        ("/v2/ssh-keys", {"name": "k", "ssh_key": "not a key"}),
        ("/v2/domains", {"domain": "no_tld"}),
        ("/v2/reserved-ips", {"region": "ewr", "ip_type": "v5"}),
        ("/v2/blocks", {"region": "ewr", "size_gb": 1}),
    ],
)
def test_malformed_objects_are_refused(api, path, body):
    assert refusal(api.post(path, json=body))[0] == 400


@pytest.mark.parametrize(
    "rule",
    [
        {"ip_type": "v6", "protocol": "tcp", "subnet": "0.0.0.0", "subnet_size": 0, "port": "22"},
        {"ip_type": "v4", "protocol": "tcp", "subnet": "0.0.0.0", "subnet_size": 33, "port": "22"},
        {"ip_type": "v4", "protocol": "sctp", "subnet": "0.0.0.0", "subnet_size": 0},
        {"ip_type": "v4", "protocol": "tcp", "subnet": "0.0.0.0", "subnet_size": 0, "port": "99999"},
        {"ip_type": "v4", "protocol": "tcp", "subnet": "0.0.0.0", "subnet_size": 0},
    ],
)
def test_malformed_firewall_rules_are_refused(api, rule):
    group = made(api.post("/v2/firewalls", json={}))
    assert refusal(api.post(f"/v2/firewalls/{group['id']}/rules", json=rule))[0] == 400


def test_a_firewall_rule_exists_once(api):
    path = f"/v2/firewalls/{made(api.post('/v2/firewalls', json={}))['id']}/rules"
    rule = {"ip_type": "v4", "protocol": "tcp", "subnet": "0.0.0.0", "subnet_size": 0, "port": "22"}
    made(api.post(path, json=rule), 201)
    assert "already defined" in refusal(api.post(path, json={**rule, "notes": "other"}))[1]


def test_a_domain_exists_once_and_starts_with_the_providers_name_servers(api):
    made(api.post("/v2/domains", json={"domain": "Example.ORG", "ip": "192.0.2.1"}), 200)
    assert "already exists" in refusal(api.post("/v2/domains", json={"domain": "example.org"}))[1]
    records = api.get("/v2/domains/example.org/records").json()["records"]
    assert [(record["type"], record["name"], record["data"]) for record in records] == [
        ("NS", "", "ns1.vultr.com"), ("NS", "", "ns2.vultr.com"),
        ("A", "", "192.0.2.1"), ("CNAME", "*", "example.org"), ("MX", "", "example.org"),
    ]  # fmt: skip
    assert made(api.get("/v2/domains/example.org/soa"))["nsprimary"] == "ns1.vultr.com"
    assert api.get("/v2/domains/example.org/dnssec").json() == {"dns_sec": []}


@pytest.mark.parametrize(
    "record",
    [("A", "x", "2001:db8::1"), ("AAAA", "x", "nowhere"), ("CNAME", "", "a.example"), ("XX", "x", "y")],
)
def test_records_that_no_server_could_answer_are_refused(api, record):
    api.post("/v2/domains", json={"domain": "example.com"})
    body = dict(zip(("type", "name", "data"), record, strict=True))
    assert refusal(api.post("/v2/domains/example.com/records", json=body))[0] == 400


def test_a_list_is_walked_by_its_cursors_forth_and_back(api):
    made(api.post("/v2/domains", json={"domain": "pages.example"}))
    for number in range(23):
        body = {"type": "A", "name": f"h{number}", "data": "192.0.2.1"}
        made(api.post("/v2/domains/pages.example/records", json=body), 201)
    path, walked, query, pages = "/v2/domains/pages.example/records", [], {"per_page": 10}, []
    while True:
        answer = api.get(path, params=query).json()
        pages.append(answer)
        walked += [record["id"] for record in answer["records"]]
        assert answer["meta"]["total"] == 25
        if not answer["meta"]["links"]["next"]:
            break
        query = {"per_page": 10, "cursor": answer["meta"]["links"]["next"]}
    assert [len(page["records"]) for page in pages] == [10, 10, 5]
    assert len(set(walked)) == 25
    back = api.get(path, params={"per_page": 10, "cursor": pages[2]["meta"]["links"]["prev"]}).json()
    assert back == pages[1]
    assert refusal(api.get(path, params={"cursor": "nonsense"}))[0] == 400
    assert refusal(api.get(path, params={"per_page": "501"}))[0] == 400


def test_instances_are_found_by_label_and_by_tag(api):
    one, two = instance(api, label="one", tags=["stack"]), instance(api, label="two", tags=["stack", "b"])
    queries = ("label=one", "tag=stack", "tag=b", "label=two&tag=stack", "label=none")
    lists = {query: api.get("/v2/instances?" + query).json()["instances"] for query in queries}
    found = {query: [item["id"] for item in items] for query, items in lists.items()}
    assert found == {"label=one": [one["id"]], "tag=stack": [one["id"], two["id"]], "tag=b": [two["id"]],
                     "label=two&tag=stack": [two["id"]], "label=none": []}  # fmt: skip


def test_the_lists_of_the_region_name_what_can_be_ordered(api):
    assert "ewr" in {region["id"] for region in api.get("/v2/regions").json()["regions"]}
    plans = {plan["id"]: plan for plan in api.get("/v2/plans").json()["plans"]}
    assert (plans["vc2-2c-4gb"]["vcpu_count"], plans["vc2-2c-4gb"]["ram"]) == (2, 4096)
    systems = {system["id"]: system["name"] for system in api.get("/v2/os").json()["os"]}
    assert (systems[2136], systems[2625]) == ("Debian 12 x64 (bookworm)", "Debian 13 x64 (trixie)")


def test_who_looks_over_an_account_finds_lists_of_all_kinds(emulator, api):
    """As clients do before they do anything; a 404 would end them (libcloud lists bare metal unasked)."""
    for path, wrapper in inventory.NONE.items():
        assert api.get(path).json() == {wrapper: [], "meta": {"total": 0, "links": {"next": "", "prev": ""}}}
    assert {one["id"]: one["hostname"] for one in api.get("/v2/object-storage/clusters").json()["clusters"]}[2] == (
        "ewr1.vultrobjects.com"
    )
    assert api.get("/v2/object-storage/tiers").json()["tiers"][0]["sales_name"] == "legacy"
    assert api.post("/v2/snapshots", json={"instance_id": "x"}).status_code == 405


def test_rules_of_a_load_balancer_come_and_go_one_by_one(emulator, api):
    web = {"frontend_protocol": "http", "frontend_port": 80, "backend_protocol": "http", "backend_port": 8080}
    made_ = made(api.post("/v2/load-balancers", json={"region": "ewr", "forwarding_rules": [web]}), 202)
    path = f"/v2/load-balancers/{made_['id']}"
    for kind, rule in (
        ("forwarding", {**web, "frontend_port": 81}),
        ("firewall", {"port": 80, "source": "192.0.2.0/24", "ip_type": "v4"}),
    ):
        one = made(api.post(f"{path}/{kind}-rules", json=rule), 202)
        assert rule.items() <= one.items()
        assert one in api.get(f"{path}/{kind}-rules").json()[f"{kind}_rules"]
        assert one in made(api.get(path))[f"{kind}_rules"]
        assert made(api.get(f"{path}/{kind}-rules/{one['id']}")) == one
        assert api.delete(f"{path}/{kind}-rules/{one['id']}").status_code == 204
        assert refusal(api.get(f"{path}/{kind}-rules/{one['id']}")) == (404, f"Invalid {kind} rule ID")


def test_a_load_balancer_says_all_that_clients_read_of_it(api):
    """Terraform's provider takes `auto_ssl` as there, whether the balancer has such a certificate or not."""
    web = {"frontend_protocol": "http", "frontend_port": 80, "backend_protocol": "http", "backend_port": 8080}
    made_ = made(api.post("/v2/load-balancers", json={"region": "ewr", "forwarding_rules": [web]}), 202)
    path = f"/v2/load-balancers/{made_['id']}"
    assert (made_["auto_ssl"]["domain"], made_["nodes"], made_["http2"], made_["http3"]) == ("", 1, False, False)
    assert (made_["global_regions"], made_["generic_info"]["timeout"]) == ([], 600)
    wanted = {"nodes": 3, "http2": True, "timeout": 60, "auto_ssl": {"domain_zone": "example.com", "domain_sub": "www"}}
    assert api.patch(path, json=wanted).status_code == 204
    read = made(api.get(path))
    assert (read["nodes"], read["http2"], read["http3"], read["generic_info"]["timeout"]) == (3, True, False, 60)
    assert read["auto_ssl"].items() >= wanted["auto_ssl"].items()
    assert refusal(api.patch(path, json={"nodes": 2})) == (400, "Invalid nodes: must be an odd number from 1 to 99")


def test_what_is_off_or_empty_is_no_wish(emulator, api):
    """As clients send all that they know of."""
    none = {"script_id": "", "app_variables": {}, "ddos_protection": False, "block_devices": [], "app_id": 0}
    server = instance(api, **none)
    api.delete(f"/v2/instances/{emulator.active(server['id'])['id']}")


def test_what_an_instance_may_become_is_told(emulator, api):
    server = emulator.active(instance(api, plan="vc2-2c-4gb")["id"])
    path = f"/v2/instances/{server['id']}"
    plans = api.get(f"{path}/upgrades?type=plans").json()["upgrades"]["plans"]
    assert "vc2-4c-8gb" in plans
    assert not {"vc2-2c-4gb", "vc2-1c-1gb"} & set(plans)
    refused = api.patch(path, json={"plan": "vc2-1c-1gb"})
    assert (refused.status_code, "disk" in refused.json()["error"]) == (400, True)
    assert api.get(f"{path}/neighbors").json() == {"neighbors": []}
    assert api.get(f"{path}/bandwidth").json() == {"bandwidth": {}}
    assert api.get(f"{path}/iso").json()["iso_status"]["iso_id"] == ""
    assert api.get("/v2/instances/none/upgrades").json() == {"error": "instance not found", "status": 404}


def test_addresses_follow_the_plan_and_are_not_given_out_twice(emulator, api):
    servers = [emulator.active(instance(api, enable_ipv6=True)["id"]) for _ in range(2)]
    gone = servers[0]
    api.delete(f"/v2/instances/{gone['id']}")
    servers.append(emulator.active(instance(api, enable_ipv6=True)["id"]))
    assert len({server["main_ip"] for server in servers}) == 3
    assert len({server["v6_network"] for server in servers}) == 3
    for server in servers:
        assert server["main_ip"].startswith("10.88.")
        assert (server["gateway_v4"], server["netmask_v4"]) == ("10.88.0.1", "255.255.0.0")
        number = server["v6_network"].removeprefix("2001:db8:77:").removesuffix("::")
        assert server["v6_main_ip"] == f"2001:0db8:0077:{number:0>4}:5400:00ff:fe00:{number:0>4}"


def test_an_instance_without_ipv6_has_none_until_it_is_enabled(emulator, api):
    server = emulator.active(instance(api)["id"])
    assert (server["v6_network"], server["v6_main_ip"], server["features"]) == ("", "", [])
    changed = made(api.patch(f"/v2/instances/{server['id']}", json={"enable_ipv6": True}), 202)
    assert changed["v6_network"]
    assert changed["features"] == ["ipv6"]


def test_a_password_is_told_once_and_user_data_is_kept_byte_for_byte(emulator, api):
    data = base64.b64encode(b"#cloud-config\n\xff\x00").decode()
    created = instance(api, user_data=data)
    assert len(created["default_password"]) >= 12
    assert "default_password" not in emulator.active(created["id"])
    assert api.get(f"/v2/instances/{created['id']}/user-data").json() == {"user_data": {"data": data}}


def test_a_larger_plan_comes_with_a_reboot_and_a_smaller_disk_is_refused(emulator, api):
    id_ = instance(api)["id"]
    emulator.active(id_)
    answered = made(api.patch(f"/v2/instances/{id_}", json={"plan": "vc2-2c-4gb"}), 202)
    shown = [answered[name] for name in ("plan", "status", "server_status", "disk", "ram")]
    assert shown == ["vc2-2c-4gb", "resizing", "locked", 0, 1024]
    changed = emulator.active(id_)
    assert (changed["plan"], changed["vcpu_count"], changed["ram"]) == ("vc2-2c-4gb", 2, 4096)
    assert refusal(api.patch(f"/v2/instances/{id_}", json={"plan": "vc2-1c-1gb"}))[0] == 400


def test_power_is_what_was_asked_for(emulator, api):
    id_ = instance(api, label="power")["id"]
    emulator.active(id_)
    for action, power in (
        ("halt", "stopped"),
        ("start", "running"),
        ("halt", "stopped"),
        ("reboot", "running"),
    ):
        assert api.post(f"/v2/instances/{id_}/{action}").status_code == 204
        emulator.control.post("/instances/power/kill")  # waits for what is under way
        assert made(api.get(f"/v2/instances/{id_}"))["power_status"] == power


def test_a_dead_instance_is_still_called_active(emulator, api):
    id_ = instance(api, label="dead")["id"]
    emulator.active(id_)
    assert emulator.control.post("/instances/dead/kill").status_code == 200
    assert emulator.active(id_)["server_status"] == "ok"
    assert emulator.control.get("/state").json()["instances"][id_]["dead"] is True


def test_reverse_names_belong_to_addresses_of_the_instance(emulator, api):
    server = emulator.active(instance(api, enable_ipv6=True)["id"])
    path = f"/v2/instances/{server['id']}"
    spelled = server["v6_network"].replace("2001:db8", "2001:0DB8") + "53"
    assert api.post(f"{path}/ipv6/reverse", json={"ip": spelled, "reverse": "a.example"}).status_code == 204
    entries = api.get(f"{path}/ipv6/reverse").json()["reverse_ipv6s"]
    assert entries == [{"ip": ip_address(server["v6_network"] + "53").exploded, "reverse": "a.example"}]
    foreign = {"ip": "2001:db8:ffff::1", "reverse": "a.example"}
    assert refusal(api.post(f"{path}/ipv6/reverse", json=foreign))[0] == 400
    assert refusal(api.post(f"{path}/ipv4/reverse", json={"ip": "192.0.2.1", "reverse": "a.example"}))[0] == 400
    named = {"ip": server["main_ip"], "reverse": "a.example"}
    assert api.post(f"{path}/ipv4/reverse", json=named).status_code == 204
    assert emulator.state()["reverse_ipv4"] == {server["main_ip"]: "a.example"}
    api.delete(path)
    assert emulator.state()["reverse_ipv4"] == {}
    assert emulator.state()["reverse_ipv6"] == {}


def test_a_main_address_can_be_reserved_afterwards(emulator, api):
    server = emulator.active(instance(api)["id"])
    body = {"ip_address": server["main_ip"], "label": "kept"}
    reserved = made(api.post("/v2/reserved-ips/convert", json=body), 201)
    assert (reserved["subnet"], reserved["instance_id"]) == (server["main_ip"], server["id"])
    api.delete(f"/v2/instances/{server['id']}")
    emulator.until(lambda: made(api.get(f"/v2/reserved-ips/{reserved['id']}"))["instance_id"] == "")
    again = emulator.active(instance(api, reserved_ipv4=reserved["id"])["id"])
    assert again["main_ip"] == server["main_ip"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v2/nothing", 404), ("PUT", "/v2/instances", 405)])
def test_unknown_paths_and_methods_are_errors_of_the_api(api, method, path, status):
    assert refusal(api.request(method, path))[0] == status


def test_a_body_that_is_no_object_is_refused(api):
    for content in (b"{", b"[]", b"3"):
        assert refusal(api.post("/v2/ssh-keys", content=content))[0] == 400
