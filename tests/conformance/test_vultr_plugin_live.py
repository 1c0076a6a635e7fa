"""The Vultr provider against the emulated API: by its proxy and certificate."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.api.testing import Emulator
from provider import plugin as vultr
from provider.protocol.base import Failure, encode
from provider.protocol.dispatch import Dispatcher


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    with Emulator(tmp_path_factory.mktemp("api")) as running:
        yield running


class Stack:
    """Calls as the engine makes them, and the objects made so far."""

    def __init__(self):
        self.dispatcher = Dispatcher(vultr.plugin("2.27.1"))
        self.dispatcher.call("Configure", {"args": {"apiKey": "a-key"}})
        self.made = []

    def __call__(self, method, kind, **request):
        urn = f"urn:pulumi:dev::lab::vultr:index/{kind}::x"
        return self.dispatcher.call(method, {"urn": urn, **{k: encode(v) for k, v in request.items()}})

    def create(self, kind, **news):
        inputs = self("Check", kind, olds={}, news=news)["inputs"]
        answer = self("Create", kind, properties=inputs)
        self.made.append((kind, answer["id"], inputs, answer["properties"]))
        return answer["id"], answer["properties"]


@pytest.fixture
def stack(emulator, monkeypatch, tmp_path):
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", emulator.proxy)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", emulator.info["ca"])
    return Stack()


def test_a_whole_server_is_made_read_without_drift_and_deleted(stack):
    key, _ = stack.create(
        "sSHKey:SSHKey",
        sshKey="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGenericGenericGenericGenericGenericGeneric1 a",
    )
    group, _ = stack.create("firewallGroup:FirewallGroup", description="d")
    stack.create(
        "firewallRule:FirewallRule",
        firewallGroupId=group,
        ipType="v6",
        protocol="tcp",
        subnet="::",
        subnetSize=0,
        port="22",
    )
    reserved, address = stack.create("reservedIp:ReservedIp", region="ewr", ipType="v4", label="l")
    vpc, _ = stack.create("vpc:Vpc", region="ewr", description="v")
    instance, outputs = stack.create(
        "instance:Instance", region="ewr", plan="vc2-1c-1gb", osId=2136, enableIpv6=True, hostname="h",
        label="l", tags=["b", "a"], userData="#cloud-config\n", reservedIpId=reserved, firewallGroupId=group,
        sshKeyIds=[key], vpcIds=[vpc],
    )  # fmt: skip
    assert outputs["mainIp"] == address["subnet"]
    assert outputs["status"] == "active"
    stack.create("reverseIpv4:ReverseIpv4", instanceId=instance, ip=outputs["mainIp"], reverse="h.example.org")
    stack.create("reverseIpv6:ReverseIpv6", instanceId=instance, ip=outputs["v6Network"] + "5", reverse="h.example.org")
    zone, _ = stack.create("dnsDomain:DnsDomain", domain="example.org")
    stack.create("dnsRecord:DnsRecord", domain=zone, name="", type="A", data=outputs["mainIp"], ttl=300)
    for kind, id, inputs, properties in stack.made:
        read = stack("Read", kind, id=id, properties=properties, inputs=inputs)
        assert read["id"] == id, kind
        difference = stack("Diff", kind, id=id, olds=read["properties"], news=inputs, oldInputs=read["inputs"])
        assert difference["changes"] == "DIFF_NONE", (kind, difference)
    _kind, _id, inputs, properties = stack.made[5]
    update = stack(
        "Update",
        "instance:Instance",
        id=instance,
        olds=properties,
        news={**inputs, "tags": ["c"], "label": "new"},
    )
    assert update["properties"]["tags"] == ["c"]
    for kind, id, _inputs, properties in reversed(stack.made):
        stack("Delete", kind, id=id, properties=properties)
        assert stack("Read", kind, id=id, properties=properties, inputs={}) == {} or "reverse" in kind
        assert stack("Delete", kind, id=id, properties=properties) == {}, "what is gone is deleted"


def test_a_refused_key_is_told_and_drops_nothing(emulator, stack):
    zone, _ = stack.create("dnsDomain:DnsDomain", domain="example.net")
    _id, record = stack.create("dnsRecord:DnsRecord", domain=zone, name="", type="A", data="192.0.2.1")
    emulator.control.post("/bad-keys", json={"keys": ["a-key"]}).raise_for_status()
    try:
        for kind, id, properties in (
            ("dnsDomain:DnsDomain", zone, {"domain": zone}),
            ("dnsRecord:DnsRecord", record["id"], record),
        ):
            with pytest.raises(Failure, match=r"answered 401.*vultr:apiKey"):
                stack("Read", kind, id=id, properties=properties)
    finally:
        emulator.control.post("/bad-keys", json={"keys": []}).raise_for_status()


def test_requests_of_many_threads_share_few_connections(emulator, stack):
    zone, _ = stack.create("dnsDomain:DnsDomain", domain="example.org")
    with ThreadPoolExecutor(8) as threads:
        made = list(
            threads.map(
                lambda n: stack(
                    "Create", f"dnsRecord:DnsRecord::r{n}",
                    properties={"domain": zone, "name": f"r{n}", "type": "A", "data": "192.0.2.1", "ttl": 300},
                )["id"],
                range(20),
            )
        )  # fmt: skip
    assert len(set(made)) == 20
    assert 1 <= len(stack.dispatcher.plugin.transport._idle) <= 8


def test_a_connection_that_the_api_has_closed_is_not_used_again(emulator, stack):
    """A POST on it could not be told from one that was carried out."""
    stack.create("firewallGroup:FirewallGroup", description="before the restart")
    emulator.end()
    emulator.start()
    stack.create("firewallGroup:FirewallGroup", description="after the restart")
