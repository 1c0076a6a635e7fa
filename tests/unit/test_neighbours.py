"""Who may reach whom on a server: what the stack file says, and what the filter is told of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

import settings
from tests.unit.scripts import load as load_script
from tests.unit.test_settings import good
from tests.unit.test_settings_errors import report

FILES = Path(__file__).parents[2] / "playbooks" / "roles" / "neighbours" / "files"
filters = load_script(FILES / "apiary_ways.py")
tool = load_script(FILES / "apiary-neighbours")

# --- the stack file


def hive(**applications: dict[str, Any]) -> dict[str, Any]:
    """A good stack file with further applications, and further settings of those it has."""
    raw = copy.deepcopy(good())
    for name, more in applications.items():
        raw["applications"].setdefault(name, {"build_dir": "Echo"}).update(more)
    return raw


def reached(raw: dict[str, Any], name: str) -> tuple[str, ...]:
    return settings.neighbours(settings.load(raw, name="test"))[name].reached


def test_who_says_nothing_reaches_nobody():
    assert reached(hive(redis={}, alone={}), "alone") == ()


@pytest.mark.parametrize(
    "more",
    [
        {"env": {"cache": "$redis"}},
        {"environment": {"URL": "redis://${$redis}:6379"}},
        {"files": {"/etc/app.conf": {"content": "cache ${$redis}"}}},
        {"reach": ["redis"]},
    ],
)
def test_who_names_another_reaches_it_and_is_not_reached_by_it(more):
    raw = hive(redis={}, app=more)
    assert reached(raw, "app") == ("redis",)
    assert reached(raw, "redis") == ()


def test_a_database_is_reached_by_those_who_use_it_and_by_who_makes_it():
    raw = hive(shop={"db": ["postgres"]}, other={}, postgres={"env": {"postgres_password": "_postgres^adminpass"}})
    raw["jobs"]["dbsetup"] = {"build_dir": "DBSetup", "env": {"dbmap": "_dbmap"}}
    assert reached(raw, "shop") == ("postgres",)
    assert reached(raw, "dbsetup") == ("postgres",)
    assert reached(raw, "other") == ()
    assert reached(raw, "postgres") == ()


def test_the_proxy_reaches_what_it_leads_visitors_to_and_where_its_lines_go():
    raw = hive(redis={}, logs={})
    raw["jobs"]["hasetup"]["env"] |= {"access_log": "$logs"}
    stack = settings.load(raw, name="test")
    visited = {name for name in stack.containers() if settings.neighbours(stack)[name].is_visited}
    assert visited == {"blog", "logs"}
    assert settings.neighbours(stack)["haproxy"].reached == ()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rediss", '"rediss" is neither an application nor a job; did you mean "redis"?'),
        ("app", "a container reaches itself anyway; take it out"),
    ],
)
def test_what_is_reached_in_vain_is_refused(name, message):
    found = report(hive(redis={}, app={"reach": [name]}))
    assert found["applications.app.reach[0]"].startswith(message)


def test_another_server_is_not_reached_by_its_name():
    raw = hive(redis={"server": "web2"}, app={"reach": ["redis"]})
    raw["servers"]["web2"] = {"plan": "vc2-1c-1gb", "region": "ewr", "os": 2136}
    for one in [*raw["applications"].values(), *raw["jobs"].values()]:
        one.setdefault("server", "web1")
    found = report(raw)
    assert found["applications.app.reach[0]"].startswith("redis runs on web2, this container on web1; refer to it")


@pytest.mark.parametrize(
    "more",
    [
        {"env": {"url": "redis://redis:6379/0"}},
        {"env": {"url": "redis://user:word@redis/0"}},
        {"env": {"servers": ["a.example.com:6379", "redis:6379"]}},
        {"env": {"redis_host": "redis"}},
        {"environment": {"CACHE": "redis:6379"}},
        {"files": {"/etc/app.conf": {"content": "upstream { server redis:6379; }"}}},
        {"command": ["app", "--cache", "redis:6379"]},
    ],
)
def test_a_host_in_plain_text_is_told_before_it_is_refused(more):
    [(path, message)] = report(hive(redis={}, app=more)).items()
    assert path.startswith(f"applications.app.{next(iter(more))}")
    assert message.startswith("leads to redis, which is closed to containers that do not name it; write ")
    assert message.endswith("reach: [redis] in applications.app")
    settings.load(hive(redis={}, app={**more, "reach": ["redis"]}), name="test")


@pytest.mark.parametrize(
    "text",
    [
        "redis",
        "use redis for it",
        "redis.example.com:6379",
        "https://example.com/redis:6379",
        "redis:latest",
        "1:redis:2",
    ],
)
def test_what_is_no_host_of_the_server_is_left_alone(text):
    settings.load(hive(redis={}, app={"env": {"words": text}}), name="test")


# --- the filter

OWN = {"apiary.resource": "applications.blog", "apiary.reach": "-"}


def end(name: str, number: int, reach: str | None = "-", resource: str | None = None, **more: Any) -> Any:
    """A container at a port of the bridge, as Docker tells of it."""
    labels = {"apiary.resource": resource if resource is not None else f"applications.{name}", **more}
    labels |= {"apiary.reach": reach} if reach is not None else {}
    attached = {
        "MacAddress": f"02:42:AC:1E:00:{number:02x}",
        "IPv4Address": f"172.30.0.{number}/24",
        "IPv6Address": f"2001:db8:1:2:0:2:8000:{number:x}/96",
    }
    return filters.endpoint(f"veth{name}", attached, {"Labels": labels if resource != "" else {}})


def ways(*ends: Any) -> set[str]:
    """Who reaches whom, but for themselves."""
    return {f"{a.name}>{b.name}" for a in ends for b in ends if a != b and filters.reaches(a, b)}


def test_whom_one_names_it_reaches_and_nobody_else():
    assert ways(end("a", 1, "db"), end("b", 2), end("db", 3)) == {"a>db"}


def test_the_proxy_reaches_the_visited_and_its_visitors_do_not_reach_it():
    proxy = end("haproxy", 1, **{"apiary.proxy": "true"})
    assert ways(proxy, end("a", 2, **{"apiary.visited": "true"}), end("db", 3)) == {"haproxy>a"}


def test_the_door_of_the_proxy_is_the_proxy_to_the_filter():
    door = end("haproxy-door", 1, **{"apiary.proxy": "false", "apiary.door": "haproxy"})
    assert (door.name, door.is_proxy) == ("haproxy", True)
    asker = end("asker", 4, "haproxy")
    assert ways(door, end("a", 2, **{"apiary.visited": "true"}), end("db", 3), asker) == {"haproxy>a", "asker>haproxy"}


def test_what_the_label_of_an_image_claims_is_taken_back_by_the_container():
    no = {"apiary.proxy": "false", "apiary.visited": "false"}
    proxy = end("haproxy", 1, **{"apiary.proxy": "true"})
    assert ways(proxy, end("a", 2, **no), end("b", 3, **{"apiary.visited": "true"})) == {"haproxy>b"}


def test_both_releases_of_an_application_have_its_ways():
    old, new, cache = end("a", 1, "cache"), end("a", 2, "cache"), end("cache", 3)
    assert filters.reaches(old, cache)
    assert filters.reaches(new, cache)


def test_who_is_not_of_the_stack_reaches_nobody():
    assert ways(end("a", 1, "db"), end("stranger", 2, resource=""), end("db", 3)) == {"a>db"}


def test_who_is_older_than_the_filter_is_let_be_until_it_is_replaced():
    """Else visitors would find nothing between the bootstrap and the release."""
    assert ways(end("old", 1, None), end("a", 2)) == {"old>a", "a>old"}


def test_the_filter_knows_each_container_by_all_that_it_is_called():
    found = filters.elements([end("a", 5, "db"), end("db", 6)], ["vethx"])
    assert found["mac"] == {'"vetha" . 02:42:ac:1e:00:05', '"vethdb" . 02:42:ac:1e:00:06'}
    assert found["ipv4"] == {'"vetha" . 172.30.0.5', '"vethdb" . 172.30.0.6'}
    assert {'"vetha" . fe80::42:acff:fe1e:5', '"vetha" . 2001:db8:1:2:0:2:8000:5'} < found["ipv6"]
    assert '"vetha" . 0x20010db8000100020000000280000005' in found["target"]
    assert found["reach"] == {'"vetha" . "vetha"', '"vetha" . "vethdb"', '"vethdb" . "vethdb"'}
    assert found["answer"] == {'"vethdb" . "vetha"'}
    assert found["elsewhere"] == {'"vethx"'}


def test_published_is_what_everybody_may_reach_and_no_private_port():
    listed = {
        "Labels": OWN,
        "Ports": [
            {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
            {"IP": "192.168.150.10", "PrivatePort": 5432, "PublicPort": 5432, "Type": "tcp"},
            {"PrivatePort": 9000, "Type": "tcp"},
        ],
    }
    attached = {"MacAddress": "02:42:ac:1e:00:05", "IPv4Address": "172.30.0.5/24", "IPv6Address": ""}
    found = filters.elements([filters.endpoint("veth1", attached, listed)], [])
    assert found["published"] == {'"veth1" . tcp . 80'}


def test_what_the_filter_is_told_empties_what_it_held():
    told = filters.transaction(filters.elements([end("a", 5)], []))
    assert "flush set bridge apiary elsewhere\nflush set" in told
    assert 'add element bridge apiary known { "vetha" }' in told


def listing(*elements: tuple[Any, ...]) -> dict[str, Any]:
    """As `nft -j` lists them."""
    items = [{"elem": {"val": {"concat": list(one)}, "counter": {"packets": 3, "bytes": 180}}} for one in elements]
    return {"nftables": [{"metainfo": {}}, {"set": {"name": "refused", "elem": items}}]}


def test_a_refusal_is_told_by_names_with_the_line_to_write():
    known = {"ports": {"veth1": "applications.blog", "veth2": "applications.redis"}, "reach": [], "proxies": []}
    [one] = filters.refused(listing(("veth1", "veth2", "tcp", 6379), ("veth1", "veth9", "tcp", 1)), known)
    assert one == {
        "from": "applications.blog", "to": "applications.redis", "proto": "tcp", "port": 6379, "count": 3
    }  # fmt: skip
    assert filters.told(one).endswith("if it should, write reach: [redis] in applications.blog")


def test_what_the_proxy_tried_at_an_address_that_is_another_s_now_is_not_told():
    known = {
        "ports": {"veth1": "applications.haproxy", "veth2": "applications.postgres"},
        "reach": [],
        "proxies": ["applications.haproxy"],
    }
    assert filters.refused(listing(("veth1", "veth2", "tcp", 8080)), known) == []


def test_what_has_been_opened_since_is_not_told():
    known = {
        "ports": {"old": "applications.blog", "new": "applications.blog", "veth2": "applications.redis"},
        "reach": [["new", "veth2"]],
        "proxies": [],
    }
    assert filters.refused(listing(("old", "veth2", "tcp", 6379)), known) == []


# --- the program that tells it


def veth(name: str, index: int, peer: int, master: str | None = None, address: str = "") -> dict[str, Any]:
    """As `ip -j -d link` shows one end of a cable whose other end is elsewhere."""
    found = {"ifname": name, "ifindex": index, "link_index": peer, "linkinfo": {"info_kind": "veth"}}
    return {**found, "address": address, **({"master": master} if master else {})}


BRIDGE = "br-000000000000"
CONTAINERS = {"c1": {"EndpointID": "e1", "MacAddress": "02:42:ac:1e:00:05"}}


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, list[dict[str, Any]]]:
    """What is in the network namespaces of containers, by container; Docker knows where these are."""
    found: dict[str, list[dict[str, Any]]] = {}

    def docker(path: str, _: float = 0) -> Any:
        name = path.split("/")[2]
        (tmp_path / name).touch()
        return {"NetworkSettings": {"SandboxKey": str(tmp_path / name) if name in found else ""}}

    monkeypatch.setattr(tool, "docker", docker)
    monkeypatch.setattr(tool, "links", lambda _, key: found[Path(key.partition("=")[2]).name])
    monkeypatch.setattr(tool, "NAMESPACES", str(tmp_path / "netns"))
    return found


@pytest.fixture
def namespaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inside: dict[str, Any]) -> dict[str, Any]:
    """What is in Docker's namespaces, by their names, whoever's they are."""

    class Namespaces(dict[str, Any]):
        def __setitem__(self, name: str, ends: Any) -> None:
            (tmp_path / "netns").mkdir(exist_ok=True)
            (tmp_path / "netns" / name).touch()
            super().__setitem__(name, ends)

    found, within = Namespaces(), tool.links

    def links(before: str, key: str) -> Any:
        name = Path(key.partition("=")[2]).name
        return found[name] if name in found else within(before, key)

    monkeypatch.setattr(tool, "links", links)
    return found


def test_a_container_is_found_before_it_has_begun(inside, namespaces):
    """Its end is in its namespace, with the address that Docker gave it; Docker itself would not answer before it has
    started. Once it runs, its own end is what counts."""
    namespaces["5ca1ab1e"] = [veth("eth0", 8, 7, address="02:42:ac:1e:00:05")]
    ports, here = tool.Ports(), [veth("vethport", 7, 0, BRIDGE), veth("vethother", 9, 0, BRIDGE)]
    assert ports.find(here, BRIDGE, CONTAINERS, set()) == {"c1": "vethport"}
    inside["c1"] = [veth("eth0", 10, 9, address="02:42:ac:1e:00:05")]
    assert ports.find(here, BRIDGE, CONTAINERS, {"c1"}) == {"c1": "vethother"}


def test_nobody_who_runs_is_taken_for_one_that_comes(inside, namespaces):
    """`c2` has taken the address that Docker will give `c1`, and is at no known port yet."""
    namespaces["badc0de"] = [veth("eth0", 10, 9, address="02:42:ac:1e:00:05")]
    attached = {**CONTAINERS, "c2": {"EndpointID": "e2", "MacAddress": "02:42:ac:1e:00:06"}}
    here = [veth("veth1", 7, 8, BRIDGE), veth("veth2", 9, 10, BRIDGE)]
    ports = tool.Ports()
    assert ports.find(here, BRIDGE, attached, {"c2"}) == {}, "it is not known where c2 is"
    inside["c2"] = namespaces["badc0de"]
    assert ports.find(here, BRIDGE, attached, {"c2"}) == {"c2": "veth2"}
    namespaces["5ca1ab1e"] = [veth("eth0", 8, 7, address="02:42:ac:1e:00:05")]
    assert ports.find(here, BRIDGE, attached, {"c2"}) == {"c1": "veth1", "c2": "veth2"}


def test_one_that_can_t_be_told_of_keeps_nobody_else_waiting(inside, monkeypatch):
    inside["c2"] = [veth("eth0", 10, 9)]
    told = tool.docker

    def docker(path: str, seconds: float = 0) -> Any:
        if "c1" in path:
            raise tool.NeighboursError("Docker does not answer: timed out")
        return told(path, seconds)

    monkeypatch.setattr(tool, "docker", docker)
    attached = {**CONTAINERS, "c2": {"EndpointID": "e2", "MacAddress": "02:42:ac:1e:00:06"}}
    here = [veth("veth1", 7, 8, BRIDGE), veth("veth2", 9, 10, BRIDGE)]
    assert tool.Ports().find(here, BRIDGE, attached, {"c1", "c2"}) == {"c2": "veth2"}
    inside["c1"] = [veth("eth0", 8, 7)]
    assert tool.Ports().find(here, BRIDGE, attached, {"c2"}) == {"c2": "veth2"}


def test_one_that_runs_is_found_by_its_own_end(inside):
    inside["c1"] = [{"ifname": "lo", "ifindex": 1}, veth("eth0", 8, 7, address="02:42:ac:1e:00:05")]
    assert tool.Ports().find([veth("vethport", 7, 8, BRIDGE)], BRIDGE, CONTAINERS, {"c1"}) == {"c1": "vethport"}


def test_no_container_takes_another_s_port_by_its_address(inside):
    """It may change its own address; whose the cable is, it can't."""
    inside["c1"] = [veth("eth0", 8, 7, address="02:42:ac:1e:00:06")]
    inside["c2"] = [veth("eth0", 10, 9, address="02:42:ac:1e:00:05")]
    attached = {**CONTAINERS, "c2": {"EndpointID": "e2", "MacAddress": "02:42:ac:1e:00:06"}}
    here = [veth("veth1", 7, 8, BRIDGE), veth("veth2", 9, 10, BRIDGE)]
    assert tool.Ports().find(here, BRIDGE, attached, {"c1", "c2"}) == {"c1": "veth1", "c2": "veth2"}


def test_one_that_is_not_there_yet_is_left_out_and_found_later(inside):
    ports = tool.Ports()
    assert ports.find([], BRIDGE, CONTAINERS, {"c1"}) == {}
    inside["c1"] = [veth("eth0", 8, 7)]
    assert ports.find([veth("vethport", 7, 8, BRIDGE)], BRIDGE, CONTAINERS, {"c1"}) == {"c1": "vethport"}


def test_what_is_known_is_not_asked_again_and_forgotten_with_the_port(inside):
    ports, here = tool.Ports(), [veth("vethport", 7, 8, BRIDGE)]
    inside["c1"] = [veth("eth0", 8, 7)]
    assert ports.find(here, BRIDGE, CONTAINERS, {"c1"})
    inside.clear()
    assert ports.find(here, BRIDGE, CONTAINERS, {"c1"}) == {"c1": "vethport"}
    assert ports.find([], BRIDGE, CONTAINERS, {"c1"}) == {}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inside: dict[str, Any]) -> dict[str, Any]:
    """A host with the stack's network and another one: what Docker and the kernel say, and what nft is told."""
    inside["c1"] = [veth("eth0", 8, 7)]
    sandboxes = tool.docker
    state: dict[str, Any] = {
        "/networks": [{"Id": "0" * 64, "Labels": {"apiary.resource": "networks.web1"}}, {"Id": "1" * 64}],
        f"/networks/{'0' * 64}": {
            "Containers": {"c1": {**CONTAINERS["c1"], "IPv4Address": "1.2.3.4/24", "IPv6Address": ""}}
        },
        "/containers/json?all=1": [
            {"Id": "c1", "State": "running", "Labels": {"apiary.resource": "applications.a", "apiary.reach": "-"}}
        ],
        "links": [veth("vethport", 7, 8, BRIDGE), veth("vethdrill", 9, 10, "br-111111111111")],
        "told": [],
    }
    monkeypatch.setattr(tool, "docker", lambda path, _=0: state[path] if path in state else sandboxes(path))
    within = tool.links
    monkeypatch.setattr(tool, "links", lambda *before: within(*before) if before else state["links"])
    monkeypatch.setattr(tool, "run", lambda *_, told: state["told"].append(told))
    monkeypatch.setattr(tool, "KNOWN", str(tmp_path / "known.json"))
    return state


def test_the_filter_is_told_once_of_the_stack_s_containers_and_lets_other_bridges_be(host):
    keeper = tool.Keeper()
    assert keeper.look()
    assert keeper.look()
    [told] = host["told"]
    assert 'add element bridge apiary known { "vethport" }' in told
    assert 'add element bridge apiary elsewhere { "vethdrill" }' in told


def test_one_that_is_missing_is_looked_for_again(host):
    host["links"] = []
    keeper = tool.Keeper()
    assert not keeper.look()
    host["links"] = [veth("vethport", 7, 8, BRIDGE)]
    assert keeper.look()
    assert 'known { "vethport" }' in host["told"][-1]


def test_what_is_told_while_nobody_answers_stays(host, monkeypatch):
    keeper = tool.Keeper()
    keeper.look()

    def silent(*_: object) -> Any:
        raise tool.NeighboursError("Docker does not answer")

    monkeypatch.setattr(tool, "docker", silent)
    with pytest.raises(tool.NeighboursError):
        keeper.look()
    assert len(host["told"]) == 1


def test_a_filter_that_somebody_has_flushed_is_loaded_again_and_told_all(host, monkeypatch):
    keeper = tool.Keeper()
    keeper.look()
    loaded = []

    def nft(*command: str, told: str | None = None) -> str:
        if "list" in command and not loaded:
            raise tool.NeighboursError("nft list: No such file or directory")
        if command == ("nft", "-f", tool.RULES):
            loaded.append(command)
        if told is not None:
            host["told"].append(told)
        return "{}"

    monkeypatch.setattr(tool, "run", nft)
    keeper.ensure()
    assert loaded
    keeper.look()
    assert len(host["told"]) == 2
    keeper.ensure()
    assert len(loaded) == 1

    def late(*command: str, told: str | None = None) -> str:
        loaded.append(command)
        raise tool.NeighboursError("nft: it has not answered")

    monkeypatch.setattr(tool, "run", late)
    with pytest.raises(tool.NeighboursError):
        keeper.ensure()
    assert len(loaded) == 2, "what can't be known is no reason to begin anew"
