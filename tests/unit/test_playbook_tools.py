"""What runs on the host: rules and settings made from vars.json, and the helpers that a release waits for."""

from __future__ import annotations

import builtins
import copy
import datetime
import fcntl
import http.server
import ipaddress
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.unit.scripts import load

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
TOOLS = PLAYBOOKS / "roles" / "tools" / "files"


os.environ["APIARY_LIB"] = str(TOOLS)
variables = load(PLAYBOOKS / "variables.py")
ufw_rules = load(PLAYBOOKS / "library" / "ufw_rules.py")
host_files = load(PLAYBOOKS / "library" / "host_files.py")
public_interface = load(PLAYBOOKS / "library" / "public_interface.py")
proxy = load(TOOLS / "apiary_proxy.py")
await_tool = load(TOOLS / "apiary-await")
drain_tool = load(TOOLS / "apiary-drain")
health_tool = sys.modules["apiary_health"]  # of apiary-await
private_tool = load(PLAYBOOKS / "roles" / "private" / "files" / "apiary-private")

NET = "2001:db8:1:2:0:2::/96"
WEB = "2001:db8:1:2:0:2:0:a"
VARIABLES = {
    "apiary_instance": "i-1",
    "apiary_prefix": "2001:db8:1:2::/64",
    "apiary_bridge_subnet": "2001:db8:1:2:0:1::/96",
    "apiary_net_subnet": NET,
    "apiary_net_subnet_ipv4": "172.30.0.0/24",
    "apiary_net_gateways": ["172.30.0.1", "2001:db8:1:2:0:2::1"],
    "apiary_addresses": [WEB],
    "apiary_published": [{"address": WEB, "proto": "tcp", "port": 80}],
    "apiary_published_ipv4": [{"proto": "tcp", "port": 80}],
}


# variables


def test_good_variables_pass():
    variables.check(VARIABLES)


def test_all_errors_of_the_variables_are_said_at_once():
    bad = {
        **VARIABLES,
        "apiary_ndp": "all",
        "apiary_addresses": ["2001:db8::1"],
        "apiary_published_ipv4": [{"proto": "x", "port": 0}],
    }
    with pytest.raises(variables.BadVariables) as error:
        variables.check(bad)
    text = str(error.value)
    assert "apiary_ndp: 'all' is neither exact nor subnet" in text
    assert f"2001:db8::1 lies outside apiary_net_subnet {NET}" in text
    assert "apiary_published_ipv4[0].proto" in text
    assert "apiary_published_ipv4[0].port" in text


def test_what_can_t_be_forwarded_is_said():
    entry = {"proto": "tcp", "port": 80, "to": WEB, "to_port": 80}
    variables.check({**VARIABLES, "apiary_nat": {"address": "2001:db8::1", "forwarded": [entry]}})
    bad = {"address": "here", "forwarded": [{**entry, "port": 0, "to": "2001:db8::1", "proto": "sctp"}]}
    with pytest.raises(variables.BadVariables) as error:
        variables.check({**VARIABLES, "apiary_nat": bad, "apiary_ipv6_only": ["2001:db8::1"]})
    for text in ("apiary_nat.address", "[0].proto", "[0].port", "[0].to:", "apiary_ipv6_only"):
        assert text in str(error.value)


def test_the_host_s_own_address_has_to_lie_in_its_prefix():
    variables.check({**VARIABLES, "apiary_own_address": "2001:db8:1:2::1"})
    for bad, said in (("2001:db8:9::1", "lies outside apiary_prefix 2001:db8:1:2::/64"), ("here", "is not an IPv6")):
        with pytest.raises(variables.BadVariables, match=f"apiary_own_address: .*{said}"):
            variables.check({**VARIABLES, "apiary_own_address": bad})


def test_who_saves_here_is_said_by_a_name_a_key_and_an_address():
    one = {"key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0=", "from": "192.168.150.10"}
    variables.check({**VARIABLES, "apiary_backups": True, "apiary_backup_store": {"web1": one}})
    variables.check({**VARIABLES, "apiary_backup_store": None})
    bad = {"a" * 26: one, "web2": {**one, "key": f"{one['key']} x\nssh-ed25519 AAAA"}, "web3": {**one, "from": "web3"}}
    with pytest.raises(variables.BadVariables) as error:
        variables.check({**VARIABLES, "apiary_backups": "yes", "apiary_backup_store": bad})
    for text in ("apiary_backups: 'yes'", "at most 25", "web2.key:", "web3.from:"):
        assert text in str(error.value)


def test_a_missing_network_is_an_error_that_names_it():
    with pytest.raises(variables.BadVariables, match="apiary_net_subnet: None is not a network"):
        variables.check({key: value for key, value in VARIABLES.items() if key != "apiary_net_subnet"})


@pytest.mark.parametrize("client", ["198.51.100.7", "::ffff:198.51.100.7", None])
def test_ssh_may_be_narrowed_to_where_the_run_comes_from(client):
    variables.check({**VARIABLES, "apiary_ssh_from": ["198.51.100.0/24"]}, client)


def test_a_run_that_would_lock_itself_out_is_refused():
    with pytest.raises(variables.BadVariables, match="would lock itself out"):
        variables.check({**VARIABLES, "apiary_ssh_from": ["198.51.100.0/24"]}, "192.0.2.1")


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("http://mirror", "http://mirror:80"),
        ("http://mirror/", "http://mirror:80/"),
        ("http://mirror/hub", "http://mirror:80/hub"),
        ("http://mirror:5000/", "http://mirror:5000/"),
        ("http://[2001:db8::5]", "http://[2001:db8::5]:80"),
        ("http://[2001:db8::5]:5000", "http://[2001:db8::5]:5000"),
        ("https://mirror", "https://mirror"),
    ],
)
def test_docker_asks_a_mirror_by_http_where_it_listens(given: str, written: str):
    assert variables.daemon({**VARIABLES, "apiary_registry_mirrors": [given]})["registry-mirrors"] == [written]


def test_docker_gets_the_bridge_subnet_and_leaves_ipv6_filtering_to_ufw():
    daemon = variables.daemon({**VARIABLES, "apiary_registry_mirrors": ["http://mirror"]})
    assert daemon["fixed-cidr-v6"] == "2001:db8:1:2:0:1::/96"
    assert daemon["ip6tables"] is False
    assert daemon["live-restore"] is True
    assert daemon["userland-proxy"] is False
    assert daemon["registry-mirrors"] == ["http://mirror:80"]
    assert daemon["insecure-registries"] == ["http://mirror:80"], "BuildKit takes no http from the mirrors' own list"
    assert "insecure-registries" not in variables.daemon({**VARIABLES, "apiary_registry_mirrors": ["https://mirror"]})
    assert daemon["builder"]["gc"]["enabled"], "a cache of builds never fills the disk"
    assert daemon["log-opts"] == {"max-size": "10m", "max-file": "3"}


def test_authorities_of_registries_go_with_their_entry_and_others_stay(tmp_path):
    def trust(**authorities):
        return variables.trust({**VARIABLES, "apiary_registry_authorities": authorities}, str(tmp_path))

    (tmp_path / "other" / "x").mkdir(parents=True)
    (tmp_path / "other" / "ca.crt").write_text("by hand")
    assert trust(**{"r.example:5000": "one", "other": "two"})
    assert (tmp_path / "r.example:5000" / "apiary.crt").read_text() == "one"
    assert not trust(**{"r.example:5000": "one", "other": "two"})
    assert trust(**{"r.example:5000": "another", "other": "two"})
    assert variables.trust(VARIABLES, str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
    assert {path.name for path in (tmp_path / "other").iterdir()} == {"ca.crt", "x"}


def test_daemon_json_is_written_only_when_it_differs(tmp_path):
    path = tmp_path / "docker" / "daemon.json"
    assert variables.replace(str(path), "a")
    assert not variables.replace(str(path), "a")
    assert variables.replace(str(path), "b")
    assert path.read_text() == "b"
    assert list(path.parent.iterdir()) == [path]


# the public interface

LINKS = [
    {"ifname": "lo", "addr_info": [{"local": "::1"}]},
    {"ifname": "br-1", "linkinfo": {"info_kind": "bridge"}, "addr_info": [{"local": "2001:db8:1:2:0:2::1"}]},
    {"ifname": "enp1s0", "addr_info": [{"local": "192.0.2.4"}, {"local": "2001:db8:1:2:5400::1"}]},
    {"ifname": "enp8s0", "addr_info": [{"local": "192.168.150.10"}]},
]


def test_the_public_interface_is_the_one_in_the_prefix_and_never_a_containers_bridge():
    assert public_interface.find("2001:db8:1:2::/64", LINKS, [], [{"dev": "enp8s0"}]) == "enp1s0"


def test_the_host_s_own_address_in_a_reserved_prefix_is_on_no_public_interface():
    loopback = {"ifname": "lo", "addr_info": [{"local": "::1"}, {"local": "2001:db8:9::1"}]}
    assert public_interface.find("2001:db8:9::/64", [loopback, *LINKS], [{"dev": "enp1s0"}], []) == "enp1s0"


def test_without_an_address_in_the_prefix_the_default_route_tells():
    assert public_interface.find("2001:db8:9::/64", LINKS, [{"dev": "enp1s0"}], [{"dev": "enp8s0"}]) == "enp1s0"
    assert public_interface.find(None, LINKS, [], [{"dst": "default", "nexthops": [{"dev": "enp8s0"}]}]) == "enp8s0"
    assert public_interface.find(None, LINKS, [], []) is None


# the private interface and its address

PRIVATE = ipaddress.IPv4Network("192.168.150.0/24")


def link(name: str, *addresses: str, kind: str = "", **more: object) -> dict[str, object]:
    held = [{"family": "inet", "local": address, "prefixlen": 24} for address in addresses]
    return {"ifname": name, "link_type": "ether", "linkinfo": {"info_kind": kind}, "addr_info": held, **more}


OTHERS = [
    link("lo", "127.0.0.1", link_type="loopback"),
    link("enp1s0", "192.0.2.4"),
    link("docker0", "172.17.0.1", kind="bridge"),
    link("veth12ab", kind="veth", master="docker0"),
    link("veth34cd", kind="veth"),  # a container that is just starting
    link("wg0", "10.9.0.1", link_type="none"),
]


def test_the_private_interface_is_what_is_neither_public_nor_docker_s():
    assert private_tool.find([*OTHERS, link("enp6s0")], "enp1s0", PRIVATE) == "enp6s0"


def test_of_two_vpcs_the_one_with_an_address_of_the_network_is_meant():
    two = [*OTHERS, link("enp6s0", "10.2.96.3"), link("enp7s0", "192.168.150.3")]
    assert private_tool.find(two, "enp1s0", PRIVATE) == "enp7s0"


def test_without_a_private_interface_or_with_several_it_says_what_to_do():
    with pytest.raises(private_tool.PrivateError, match="whether the VPC is attached"):
        private_tool.find(OTHERS, "enp1s0", PRIVATE)
    with pytest.raises(private_tool.PrivateError, match=r"several interfaces .* enp6s0, enp7s0; detach"):
        private_tool.find([*OTHERS, link("enp6s0"), link("enp7s0")], "enp1s0", PRIVATE)


def test_only_another_machine_s_answer_says_that_the_address_is_taken():
    own, other = bytes.fromhex("5a0000000001"), bytes.fromhex("5a0000000002")
    assert private_tool.owner(private_tool.arp(other, "192.168.150.10", "0.0.0.0", 2), "192.168.150.10", own) == (
        "5a:00:00:00:00:02"
    )
    for frame in (
        private_tool.arp(own, "192.168.150.10", "192.168.150.10"),  # our own news
        private_tool.arp(other, "192.168.150.9", "192.168.150.10"),  # somebody asks for us
        private_tool.arp(other, "0.0.0.0", "192.168.150.10"),  # somebody probes
        b"",
    ):
        assert private_tool.owner(frame, "192.168.150.10", own) is None


# firewall rules


def rules(published=(WEB,), ssh_from=()):
    entries = [{"address": address, "proto": "tcp", "port": 80} for address in published]
    return ufw_rules.desired(["ens3"], [NET, "172.30.0.0/24"], entries, list(ssh_from))


def shown(some) -> str:
    """What `ufw show added` prints of rules."""
    lines = ["Added user rules (see 'ufw status' for running firewall):"]
    for rule in some:
        words = " ".join((["route"] if rule.routed else []) + list(rule.words))
        lines.append(f"ufw {words} comment 'apiary {rule.comment}'")
    return "\n".join(lines)


def test_ssh_is_the_first_rule_added():
    assert rules()[0].words == ("allow", "proto", "tcp", "from", "any", "to", "any", "port", "22")


def test_nothing_but_ssh_is_allowed_to_reach_the_host():
    allowed = [rule for rule in rules() if rule.words[0] == "allow" and not rule.routed]
    assert [rule.words[-1] for rule in allowed] == ["22"]


def test_no_routed_rule_from_outside_but_to_a_published_address_and_port():
    inward = [
        rule
        for rule in rules()
        if rule.routed and rule.words[0] == "allow" and rule.words[rule.words.index("from") + 1] == "any"
    ]
    assert [rule.words for rule in inward] == [("allow", "proto", "tcp", "from", "any", "to", WEB, "port", "80")]


def test_denials_go_above_what_is_allowed():
    assert all(rule.command()[int(rule.routed)] == "prepend" for rule in rules() if rule.words[0] == "deny")


def test_what_comes_from_a_container_s_bridge_is_closed_to_the_host_whatever_address_it_has():
    closed = {rule.words[3] for rule in rules() if not rule.routed and rule.words[:3] == ("deny", "in", "on")}
    assert closed == {"docker0", "br-+"}


def test_nobody_on_the_private_network_sends_in_the_name_of_a_container():
    both = ufw_rules.desired(["ens3", "enp6s0"], [NET], [], [])
    forged = {rule.words[3] for rule in both if rule.routed and rule.words[:3] == ("deny", "in", "on")}
    assert forged == {"ens3", "enp6s0"}
    # And no container goes out there by IPv6: the private network has none.
    assert not any(rule.words[:4] == ("allow", "out", "on", "enp6s0") for rule in both)
    assert len({rule.comment for rule in both}) == len(both)


def test_private_variables_are_checked():
    variables.check({**VARIABLES, "apiary_private_ip": "192.168.150.10", "apiary_private_peers": ["192.168.150.11"]})
    with pytest.raises(variables.BadVariables) as error:
        variables.check(
            {
                **VARIABLES,
                "apiary_private_peers": ["db1"],
                "apiary_private_ports": [{"proto": "tcp", "port": 0}],
                "apiary_private_reached": [{"address": "db1", "proto": "all", "port": 5432}],
            }
        )
    text = str(error.value)
    assert "apiary_private_ip: missing, but there are private peers or ports" in text
    assert "apiary_private_peers: 'db1' is not an IPv4 address" in text
    assert "apiary_private_ports[0].port: 0 is not a port" in text
    assert "apiary_private_reached[0].proto: 'all' is neither tcp nor udp" in text
    assert "apiary_private_reached[0].address: 'db1' is not an IPv4 address" in text


def test_ssh_from_some_networks_only():
    words = [rule.words for rule in rules(ssh_from=["198.51.100.0/24", "2001:db8:f::1"]) if rule.words[-1] == "22"]
    assert [word[4] for word in words] == ["198.51.100.0/24", "2001:db8:f::1/128"]


def test_a_second_run_adds_and_removes_nothing():
    assert ufw_rules.plan(rules(), shown(rules())) == ([], {})


def test_a_rule_no_longer_wanted_goes_and_the_new_one_comes():
    missing, stale = ufw_rules.plan(rules(published=["2001:db8:1:2:0:2:0:b"]), shown(rules()))
    assert [rule.comment for rule in missing] == ["published 2001:db8:1:2:0:2:0:b 80/tcp"]
    assert stale == {
        f"published {WEB} 80/tcp": [
            "route",
            "delete",
            "allow",
            "proto",
            "tcp",
            "from",
            "any",
            "to",
            WEB,
            "port",
            "80",
        ]
    }


def test_connections_through_a_rule_that_went_are_forgotten_and_no_others():
    stale = [f"published {WEB} 80/tcp", f"published {WEB} 6000:6010/udp", "ssh from any"]
    assert ufw_rules.forgotten(stale) == [
        ["-D", "-f", "ipv6", "--reply-src", WEB, "-p", "tcp", "--reply-port-src", "80"],
        ["-D", "-f", "ipv6", "--reply-src", WEB, "-p", "udp"],
    ]


def test_users_own_rules_stay():
    assert ufw_rules.ours("ufw allow 25/tcp\nufw allow 53 comment 'my own'\nufw route allow to 2001:db8::1") == {}


class Refused(Exception):
    value = "problem running iptables"


def ended() -> None:
    print("ERROR: Invalid position '9'", file=sys.stderr)
    sys.exit(1)


def raised() -> None:
    raise Refused


@pytest.mark.parametrize(
    ("refuse", "said"),
    [(ended, "ufw allow 22: ERROR: Invalid position '9'"), (raised, "ufw allow 22: problem running iptables")],
)
def test_what_ufw_says_about_a_rule_is_why_the_bootstrap_fails(
    monkeypatch: pytest.MonkeyPatch, refuse: Callable[[], None], said: str
) -> None:
    """ufw itself is in the lab: here stands what its functions do when they refuse (ufw 0.36)."""
    frontend = SimpleNamespace(do_action=lambda *_, **__: refuse())
    library = {
        "common": SimpleNamespace(UFWError=Refused),
        "frontend": SimpleNamespace(
            parse_command=lambda words: SimpleNamespace(action=words[1], data={}),
            UFWFrontend=lambda dryrun: frontend,
        ),
        "util": SimpleNamespace(create_lock=lambda: None),
    }
    monkeypatch.setitem(sys.modules, "ufw", SimpleNamespace(**library))
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(builtins, "_", None, raising=False)  # taken out again, as all the rest
    with pytest.raises(ufw_rules.UfwError) as error:
        ufw_rules.Ufw()("allow", "22")
    assert str(error.value) == said


# the proxy's table

STAT = f"""# pxname,svname,qcur,qmax,scur,status,weight,check_status,addr,
http,FRONTEND,,,3,OPEN,,,,
app-blog,blog-1,0,0,2,UP,1,L7OK,172.30.0.20:8080,
app-blog,blog-2,1,0,1,UP 1/3,1,L7OK,[{WEB}]:8080,
app-blog,blog-3,0,0,0,DRAIN 1/3,0,* L7OK,172.30.0.22:8080,
app-blog,blog-4,0,0,0,MAINT (resolution),1,,,
app-blog,BACKEND,0,0,3,UP,3,,,
"""


def test_slots_are_read_with_addresses_of_both_families_and_sessions():
    found = proxy.slots(STAT, "app-blog")
    assert [slot.address for slot in found] == ["172.30.0.20", WEB, "172.30.0.22", None]
    assert [slot.sessions for slot in found] == [2, 2, 0, 0]
    assert proxy.slots(STAT, "app-shop") is None


def test_a_server_counts_as_up_only_after_a_check():
    assert [slot.proven for slot in proxy.slots(STAT, "app-blog")] == [True, False, False, False]


class FakeProxy(proxy.Proxy):
    """An admin socket that remembers what was set, and loses one session each time it is asked."""

    def __init__(self, stat: str) -> None:
        self.stat = stat
        self.asked: list[str] = []

    def ask(self, command: str) -> str:
        self.asked.append(command)
        if command == "show stat":
            answer = self.stat
            for now, then in ((",2,UP,", ",1,UP,"), (",1,UP,", ",0,UP,")):
                if now in self.stat:
                    self.stat = self.stat.replace(now, then)
                    break
            return answer
        return ""


def container(**state):
    full = {
        "Status": "running",
        "Running": True,
        "Restarting": False,
        "ExitCode": 0,
        "StartedAt": "2026-01-01T00:00:00.123456789Z",
    }
    return {
        "Id": "4f2a",
        "Config": {},
        "State": {**full, **state},
        "RestartCount": 0,
        "NetworkSettings": {"Networks": {"web": {"IPAddress": "172.30.0.20", "GlobalIPv6Address": ""}}},
    }


def test_who_joined_another_s_network_has_the_addresses_of_that_one(monkeypatch):
    door = {"NetworkSettings": {"Networks": {"web1": {"IPAddress": "172.30.0.2", "GlobalIPv6Address": WEB}}}}
    monkeypatch.setattr(proxy, "inspect", lambda name: {"d00r": door}[name])
    joined = {"HostConfig": {"NetworkMode": "container:d00r"}, "NetworkSettings": {"Networks": {}}}
    assert proxy.addresses(joined) == ["172.30.0.2", WEB]
    assert proxy.addresses({**joined, "HostConfig": {"NetworkMode": "web1"}}) == []


def test_a_container_is_asked_on_its_server_s_network_and_a_rehearsal_s_copy_where_it_is():
    overlay = {"IPAddress": "10.201.64.7", "GlobalIPv6Address": "", "Gateway": ""}
    bridge = {"IPAddress": "172.30.0.20", "GlobalIPv6Address": "", "Gateway": "172.30.0.1"}
    assert proxy.addresses({"NetworkSettings": {"Networks": {"swarm": overlay, "web1": bridge}}}) == ["172.30.0.20"]
    internal = {"IPAddress": "172.31.9.2", "GlobalIPv6Address": "", "Gateway": ""}
    assert proxy.addresses({"NetworkSettings": {"Networks": {"drill": internal}}}) == ["172.31.9.2"]


NOW = datetime.datetime(2026, 1, 1, 0, 0, 10, tzinfo=datetime.UTC)


def test_drain_sets_only_the_old_containers_server_and_waits_for_its_sessions(monkeypatch):
    monkeypatch.setattr(drain_tool, "INTERVAL_SECONDS", 0)
    fake = FakeProxy(STAT)
    assert "app-blog: blog-1 drained" in drain_tool.drain(fake, {"172.30.0.20"}, "blog", 5)
    assert [command for command in fake.asked if command != "show stat"] == ["set server app-blog/blog-1 weight 0"]
    assert fake.asked.count("show stat") > 2


@pytest.fixture
def proxied(monkeypatch):
    """The proxy of this host."""
    fake = FakeProxy(STAT)
    monkeypatch.setattr(drain_tool, "INTERVAL_SECONDS", 0)
    monkeypatch.setattr(drain_tool, "admin_socket", lambda: "/nowhere/run/admin.sock")
    monkeypatch.setattr(drain_tool, "Proxy", lambda path: fake)
    return fake


def test_drain_asks_docker_for_the_addresses_that_the_container_has_now(proxied, monkeypatch, capsys):
    """After a reboot the ones of the time when it was made may be the new container's."""
    asked = []
    monkeypatch.setattr(drain_tool, "inspect", lambda name: asked.append(name) or container())
    assert drain_tool.main(["4f2a", "blog"]) == 0
    assert asked == ["4f2a"]
    assert "blog-1 drained" in capsys.readouterr().out
    monkeypatch.setattr(drain_tool, "inspect", lambda name: {"NetworkSettings": {"Networks": {}}})
    assert drain_tool.main(["4f2a", "blog"]) == 0
    assert "nothing to drain" in capsys.readouterr().out


def test_a_container_that_is_gone_is_no_error_of_the_drain(monkeypatch, capsys):
    def docker(*arguments):
        raise drain_tool.HostError(f"docker {' '.join(arguments)}: no such container")

    monkeypatch.setitem(drain_tool.inspect.__globals__, "docker", docker)
    assert drain_tool.main(["4f2a", "blog"]) == 0
    assert "not drained: docker inspect --type container 4f2a: no such container" in capsys.readouterr().out


def test_no_reload_happens_while_a_release_drains(tmp_path, monkeypatch):
    # The module that the tool has: another test may have loaded one of its name since.
    monkeypatch.setitem(drain_tool.no_reload.__wrapped__.__globals__, "LOCK_SECONDS", 0)
    lock = tmp_path / "lock"
    lock.touch()
    with drain_tool.no_reload(str(lock)), lock.open("w") as hasetup:
        with pytest.raises(BlockingIOError):
            fcntl.flock(hasetup, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with drain_tool.no_reload(str(lock)):
            """Two releases drain side by side."""
    with lock.open("w") as hasetup:
        fcntl.flock(hasetup, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with drain_tool.no_reload(str(lock)):
            """A drain goes on after a while, whoever holds the lock."""
    with drain_tool.no_reload(str(tmp_path / "nowhere")):
        """Nor does it need one."""


def test_drain_gives_up_at_its_limit():
    assert "still has 1 sessions" in drain_tool.drain(FakeProxy(STAT), {"172.30.0.20"}, "blog", 0)


def test_drain_of_what_the_proxy_does_not_know_is_no_error():
    assert "nothing to drain" in drain_tool.drain(FakeProxy(STAT), {"172.30.0.99"}, "blog", 5)
    assert "nothing to drain" in drain_tool.drain(FakeProxy(STAT), {"172.30.0.20"}, "shop", 5)


def test_a_refusal_by_the_proxy_is_an_error(monkeypatch):
    fake = FakeProxy(STAT)
    monkeypatch.setattr(fake, "ask", lambda command: "No such server.\n")
    with pytest.raises(proxy.HostError, match="No such server"):
        fake.rotate(proxy.slots(STAT, "app-blog")[0], into=True)


# a container's life


def test_a_container_that_exits_fails_at_once():
    with pytest.raises(await_tool.Dead, match="exit code 3"):
        await_tool.life(container(Status="exited", Running=False, ExitCode=3), None, NOW)


def test_a_container_that_restarts_fails_at_once():
    restarted = container() | {"RestartCount": 1}
    with pytest.raises(await_tool.Dead, match="restarted"):
        await_tool.life(restarted, 0, NOW)
    with pytest.raises(await_tool.Dead, match="restarted"):
        await_tool.life(restarted, None, NOW)


def test_a_restart_of_long_ago_is_history():
    assert await_tool.life(container() | {"RestartCount": 4}, None, NOW + datetime.timedelta(days=1)) == 4


def test_out_of_memory_says_what_to_do():
    with pytest.raises(await_tool.Dead, match="raise its memory limit"):
        await_tool.life(container(Status="exited", Running=False, ExitCode=137, OOMKilled=True), None, NOW)


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """A `docker` that writes down what it was asked and ends as it is told."""

    def ends(script):
        command = tmp_path / "docker"
        command.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {tmp_path}/asked\n{script}\n')
        command.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return tmp_path / "asked"

    return ends


def with_check(test, status="starting", seconds=3):
    found = container(Health={"Status": status})
    found["Config"] = {"Healthcheck": {"Test": test, "Timeout": seconds * 1_000_000_000}}
    return found


def test_a_release_does_not_wait_for_the_interval_of_its_health_check(docker):
    asked = docker("exit 0")
    assert await_tool.health(with_check(["CMD", "/healthy.sh", "now"])) is None
    assert await_tool.health(with_check(["CMD-SHELL", "test -e /ready"], status="unhealthy")) is None
    assert asked.read_text().splitlines() == ["exec 4f2a /healthy.sh now", "exec 4f2a /bin/sh -c test -e /ready"]


def test_a_health_check_that_fails_is_quoted(docker):
    docker("echo connection refused; exit 7")
    assert await_tool.health(with_check(["CMD", "/healthy.sh"])) == (
        "its health check fails with status 7: connection refused"
    )
    docker("exec sleep 60")
    assert "has not ended within 0.1 s" in await_tool.health(with_check(["CMD", "/healthy.sh"], seconds=0.1))


@pytest.mark.parametrize("test", [None, ["NONE"], []])
def test_a_container_without_a_health_check_is_not_asked(docker, test):
    asked = docker("exit 1")
    assert await_tool.health(with_check(test)) is None
    assert await_tool.health(with_check(["CMD", "/healthy.sh"], status="healthy")) is None
    assert not asked.exists()


def test_a_container_without_any_proof_must_run_a_while():
    young, old = NOW - datetime.timedelta(seconds=9), NOW
    assert await_tool.missing(container(), None, old) is None
    assert "not yet run" in await_tool.missing(container(), None, young)


@pytest.fixture
def web():
    """A web server whose path is the status that it answers with."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            hosts.append(self.headers["Host"])  # before the answer, at which the test goes on
            self.send_response(int(self.path[1:]))
            self.end_headers()

        def log_message(self, *arguments):
            pass

    hosts: list[str] = []
    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], hosts
        server.shutdown()


def rule(port: int, path: str, status: str = "200-399"):
    return health_tool.Rule(port, path, status, "example.com")


def at_home() -> dict[str, object]:
    """A container that listens on this machine."""
    here = copy.deepcopy(container())
    here["NetworkSettings"]["Networks"]["web"]["IPAddress"] = "127.0.0.1"
    return here


@pytest.mark.parametrize(
    ("status", "fine"), [(200, True), (302, True), (401, False), (403, False), (404, False), (405, False), (503, False)]
)
def test_a_release_is_healthy_by_the_statuses_that_the_proxy_goes_by(web, status, fine):
    port, hosts = web
    missing = await_tool.missing(at_home(), rule(port, f"/{status}"), NOW)
    assert (missing is None) is fine
    assert hosts == ["example.com"]


def test_what_is_wrong_with_a_status_says_what_visitors_get_and_what_to_write(web):
    port, _ = web
    assert await_tool.missing(at_home(), rule(port, "/404"), NOW) == (
        f'GET http://127.0.0.1:{port}/404 answered 404 (health.path "/404"); the proxy would give visitors of '
        "example.com 503 for that. Set health.path to a path that answers 200-399, or name the statuses that count in "
        "health.status"
    )
    assert await_tool.missing(at_home(), rule(port, "/404", "200-399,404"), NOW) is None
    assert await_tool.missing(at_home(), rule(port, "/200", "401"), NOW) is not None


@pytest.mark.parametrize(
    ("status", "counts"), [(200, True), (299, True), (300, False), (401, True), (402, False), (403, True)]
)
def test_single_statuses_count_and_both_ends_of_a_range(status: int, counts: bool):
    assert rule(80, "/", "200-299,401,403-404").counts(status) is counts


def test_no_answer_says_where_it_was_asked():
    assert "GET http://127.0.0.1:1/ got no answer (ConnectionRefused" in await_tool.missing(
        at_home(), rule(1, "/"), NOW
    )


def test_the_failure_of_a_release_is_told_by_its_place_in_the_stack_file():
    here = {**container(), "Config": {"Labels": {"apiary.resource": "applications.blog"}}}
    assert health_tool.own_name(here) == "applications.blog"
    assert health_tool.own_name(container()) == "4f2a"


# the shell


def test_bootstrap_is_valid_shell():
    subprocess.run(["bash", "-n", str(PLAYBOOKS / "bootstrap.sh")], check=True)


# --- files and folders of the host

ME = (os.getuid(), os.getgid())


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o7777:04o}"


@pytest.fixture
def role(tmp_path: Path) -> Path:
    source = tmp_path / "role"
    source.mkdir()
    (source / "tool").write_text("#!/bin/sh\n")
    return source


def test_files_and_folders_are_made_once_and_then_found_as_they_should_be(role: Path, tmp_path: Path) -> None:
    folder, tool = tmp_path / "etc" / "apiary", tmp_path / "etc" / "apiary" / "tool"
    wanted = {str(folder): "0700"}, {str(tool): "0755"}
    assert host_files.converge(role, *wanted, owner=ME) == [str(folder), str(tool)]
    assert (mode(folder), mode(tool), tool.read_text()) == ("0700", "0755", "#!/bin/sh\n")
    assert host_files.converge(role, *wanted, owner=ME) == []
    assert os.listdir(folder) == ["tool"]


def test_what_somebody_changed_is_put_right_and_nothing_else_is(role: Path, tmp_path: Path) -> None:
    tool, own = tmp_path / "tool", tmp_path / "own"
    own.write_text("the user's own\n")
    wanted: dict[str, str] = {str(tool): "0755"}
    host_files.converge(role, {}, wanted, owner=ME)
    for spoil in (lambda: tool.write_text("other\n"), lambda: tool.chmod(0o644)):
        spoil()
        assert host_files.converge(role, {}, wanted, owner=ME) == [str(tool)]
        assert (mode(tool), tool.read_text()) == ("0755", "#!/bin/sh\n")
    # A link is replaced, what it leads to is not written to.
    tool.unlink()
    tool.symlink_to(own)
    assert host_files.converge(role, {}, wanted, owner=ME) == [str(tool)]
    assert (tool.is_symlink(), own.read_text()) == (False, "the user's own\n")


def test_a_link_leads_where_it_should_whatever_was_in_its_place(role: Path, tmp_path: Path) -> None:
    link, zone, other = tmp_path / "localtime", tmp_path / "Paris", tmp_path / "UTC"
    zone.write_text("Paris")
    other.write_text("UTC")
    for spoil in (lambda: None, lambda: link.symlink_to(other), lambda: link.write_text("a copy")):
        link.unlink(missing_ok=True)
        spoil()
        assert host_files.converge(role, {}, {}, links={str(link): str(zone)}) == [str(link)]
        assert (link.readlink(), other.read_text()) == (zone, "UTC")
        assert host_files.converge(role, {}, {}, links={str(link): str(zone)}) == []


def test_what_may_not_be_there_goes_once(role: Path, tmp_path: Path) -> None:
    left, dangling = tmp_path / "left", tmp_path / "dangling"
    left.touch()
    dangling.symlink_to("nowhere")
    absent = [str(left), str(dangling), str(tmp_path / "never")]
    assert host_files.converge(role, {}, {}, absent=absent) == [str(left), str(dangling)]
    assert host_files.converge(role, {}, {}, absent=absent) == []


def test_a_folder_in_the_place_of_a_file_fails_and_costs_nothing(role: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tool"
    folder.mkdir()
    (folder / "kept").touch()
    with pytest.raises(OSError, match="tool"):
        host_files.converge(role, {}, {str(folder): "0755"}, owner=ME)
    assert (folder / "kept").exists()


def test_a_text_is_written_once_and_readable_by_all(role: Path, tmp_path: Path) -> None:
    file = tmp_path / "tool.conf"
    assert host_files.converge(role, {}, {}, {str(file): "a = 1\n"}, owner=ME) == [str(file)]
    assert (mode(file), file.read_text()) == ("0644", "a = 1\n")
    assert host_files.converge(role, {}, {}, {str(file): "a = 1\n"}, owner=ME) == []
    assert host_files.converge(role, {}, {}, {str(file): "a = 2\n"}, owner=ME) == [str(file)]


SOMEBODYS = "# of the package\nIPV6=no\nOTHER=1\n# IPV6=maybe\n"


@pytest.mark.parametrize(
    ("text", "line", "wanted"),
    [
        (SOMEBODYS, "IPV6=yes", "# of the package\nIPV6=yes\nOTHER=1\n# IPV6=maybe\n"),
        ("IPV6=no\nIPV6=no\n", "IPV6=yes", "IPV6=no\nIPV6=yes\n"),  # the last one counts
        ("OTHER=1\n", "IPV6=yes", "OTHER=1\nIPV6=yes\n"),
        ("OTHER=1", "IPV6=yes", "OTHER=1\nIPV6=yes\n"),
        ("", "IPV6=yes", "IPV6=yes\n"),
        ("IPV6=no\nOTHER=1\nIPV6=no\n", "", "OTHER=1\n"),
        ("form\x0cfeed\r\nIPV6=no\n", "IPV6=yes", "form\x0cfeed\r\nIPV6=yes\n"),
    ],
)
def test_a_line_is_put_right_and_the_others_stay_as_they_are(text: str, line: str, wanted: str) -> None:
    assert host_files.with_line(text, "^IPV6=", line) == wanted
    assert host_files.with_line(wanted, "^IPV6=", line) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("first\nCOMMIT\nlast\n", "first\n# BEGIN apiary\nnew\nrules\n# END apiary\nCOMMIT\nlast\n"),
        ("first\n", "first\n# BEGIN apiary\nnew\nrules\n# END apiary\n"),
        ("COMMIT\nCOMMIT\n", "COMMIT\n# BEGIN apiary\nnew\nrules\n# END apiary\nCOMMIT\n"),
        # Where it was put before, whatever stands around it now, and whosever other block.
        (
            "COMMIT\n# BEGIN apiary\nold\n# END apiary\n# BEGIN apiary: more\nkept\n# END apiary: more\n",
            "COMMIT\n# BEGIN apiary\nnew\nrules\n# END apiary\n# BEGIN apiary: more\nkept\n# END apiary: more\n",
        ),
    ],
)
def test_a_block_is_put_in_its_place_once(text: str, wanted: str) -> None:
    assert host_files.with_block(text, "apiary", "new\nrules\n", "^COMMIT") == wanted
    assert host_files.with_block(wanted, "apiary", "new\nrules\n", "^COMMIT") == wanted


def test_a_file_of_somebody_else_keeps_its_mode_and_is_only_written_when_something_changes(tmp_path: Path) -> None:
    file = tmp_path / "after.rules"
    file.write_bytes(b"# caf\xe9\nIPV6=no\n")
    file.chmod(0o640)
    wanted = {str(file): {"^IPV6=": "IPV6=yes"}}, {str(file): {"name": "apiary", "text": "a rule\n"}}
    assert host_files.edit(*wanted) == [str(file)]
    assert file.read_bytes() == b"# caf\xe9\nIPV6=yes\n# BEGIN apiary\na rule\n# END apiary\n"
    assert mode(file) == "0640"
    before = file.stat().st_ino
    assert host_files.edit(*wanted) == []
    assert file.stat().st_ino == before
    assert os.listdir(tmp_path) == ["after.rules"]


def test_half_a_block_is_not_guessed_at(tmp_path: Path) -> None:
    """What follows may be the rules of the host's owner."""
    file = tmp_path / "after.rules"
    file.write_text("# BEGIN apiary\nold\nsomebody's own\n")
    with pytest.raises(ValueError, match=r"after\.rules: line 1, `# BEGIN apiary`, has no `# END apiary` after it"):
        host_files.edit({}, {str(file): {"name": "apiary", "text": "new"}})
    assert file.read_text() == "# BEGIN apiary\nold\nsomebody's own\n"


def test_a_file_of_somebody_else_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"after\.rules"):
        host_files.edit({str(tmp_path / "after.rules"): {"^a": "b"}}, {})
