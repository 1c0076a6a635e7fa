"""What containers reach of the provider's metadata service, of their host, and of other servers: as good as nothing.

Looked at from within the network namespaces of containers: of the stack's network, of the default bridge with all that
Docker gives (`docker run`, `docker build`), and, in test_addresses, of a host with NAT. What happens to the servers
meanwhile: test_afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.lab.hive import SCAN, Hive, until

METADATA, LINK_LOCAL = "169.254.169.254", "fe80::1%eth0"
OTHER_CLOUDS = "fd00:ec2::254"  # where such a service is at another provider, over IPv6
WEB1, DB1 = "192.168.150.10", "192.168.150.11"
PRIVATE_PORT = 5432
TOLD = "import urllib.request as r; print(r.urlopen('http://169.254.169.254/v1.json', timeout=5).read().decode())"
NO_LINK_LOCAL = "DOCKER-USER {} -d 169.254.0.0/16 -j REJECT --reject-with icmp-admin-prohibited"
NO_PRIVATE = "DOCKER-USER {} -i br-+ -o enp6s0 -j REJECT --reject-with icmp-admin-prohibited"


def in_network(container: str, command: str) -> str:
    """The shell's line for a program of the server's that runs in the network of a container."""
    return f"nsenter --net --target $(docker inspect --format '{{{{.State.Pid}}}}' {container}) {command}"


def reached(hive: Hive, container: str, addresses: list[str], server: str = "web1") -> list[tuple[str, int]]:
    """The doors among these that open to a container: SSH's, the web's, and the private port."""
    targets = json.dumps({"addresses": addresses, "ports": [22, 80, PRIVATE_PORT]})
    found = hive.on_server(in_network(container, f"python3 -c '{SCAN}'"), server=server, stdin=targets)
    return [(address, port) for address, port in json.loads(found)]


def own_addresses(hive: Hive, server: str) -> list[str]:
    """Every address of the host, and what its containers call it by."""
    shown = json.loads(hive.on_server("ip -j address show scope global", server=server))
    return [*(info["local"] for link in shown for info in link["addr_info"] if info), LINK_LOCAL]


def is_told(hive: Hive, container: str, server: str = "web1") -> bool:
    """Whether the metadata service tells a container the server's private host key."""
    told = hive.on_server(in_network(container, f'python3 -c "{TOLD}"'), check=False, server=server)
    assert not told or "PRIVATE KEY" in json.loads(told)["user-data"]
    return bool(told)


def containers(hive: Hive, server: str = "web1") -> list[str]:
    """All that run there."""
    return hive.on_server("docker ps -q", server=server).split()


@contextmanager
def without(hive: Hive, rule: str, server: str = "web1", tool: str = "iptables") -> Iterator[None]:
    """The negative control: for a while a rule of the firewall is not there. `{}`: where a number comes."""
    place = hive.on_server(f"{tool} -S {rule.split(' ', maxsplit=1)[0]}", server=server).splitlines()
    [number] = [index for index, line in enumerate(place) if line == "-A " + rule.replace("{} ", "")]
    hive.on_server(f"{tool} -D {rule.replace('{} ', '')}", server=server)
    try:
        yield
    finally:
        hive.on_server(f"{tool} -I {rule.format(number)}", server=server)


def expect_closed_inside(hive: Hive, server: str = "web1") -> None:
    """No container of a server reaches the metadata service, SSH of the host, or of the other server's what is private.

    But the other server's private ports, and what their own host publishes.
    """
    other = DB1 if server == "web1" else WEB1
    # An address that is nobody's here would lead out of the region.
    addresses = [METADATA, *own_addresses(hive, server), *([other] if len(hive.servers()) > 1 else [])]
    running = containers(hive, server)
    with ThreadPoolExecutor(8) as pool:  # what is dropped is waited for
        opened = list(pool.map(lambda container: reached(hive, container, addresses, server), running))
    assert running
    for container, found in zip(running, opened, strict=True):
        strange = [(address, port) for address, port in found if port == 22 or address in (METADATA, LINK_LOCAL)]
        assert strange == [], f"{container} of {server} reaches {strange}"
        assert {port for address, port in found if address == other} <= {PRIVATE_PORT}


def test_without_its_rule_the_metadata_service_tells_containers_the_server_s_private_key(two: Hive, stray: str) -> None:
    asker = two.container("asker")
    with without(two, NO_LINK_LOCAL):
        assert is_told(two, asker)
        assert is_told(two, stray)
        assert (METADATA, 80) in reached(two, asker, [METADATA])
    assert not is_told(two, asker)


def test_a_step_of_a_build_is_told_nothing_either(two: Hive) -> None:
    """It runs on the default bridge. The control is that the same step asks whom it may ask."""
    image = two.on_server(f"docker inspect --format '{{{{.Image}}}}' {two.container('echo')}").strip()

    def built(url: str) -> bool:
        step = (
            f"FROM {image}\nUSER root\nRUN python3 -c \"import urllib.request as r; r.urlopen('{url}', timeout=5)\"\n"
        )
        done = two.server_command("docker", "build", "--force-rm", "--no-cache", "-", stdin=step)
        return done.returncode == 0

    assert built("http://registry.lab.internal/v2/")
    assert not built(f"http://{METADATA}/latest/user-data")
    with without(two, NO_LINK_LOCAL):
        assert built(f"http://{METADATA}/latest/user-data")


def test_no_container_logs_in_to_its_host_at_a_link_local_address(two: Hive, stray: str) -> None:
    """SSH of db1 is open to all. The network's rules don't hold there: the address is none of the network."""
    for bridge, container in (("br-+", two.container("ledger", "db1")), ("docker0", stray)):
        assert reached(two, container, [LINK_LOCAL], "db1") == []
        two.on_server(f"ufw delete deny in on {bridge}", server="db1")
        try:
            assert reached(two, container, [LINK_LOCAL], "db1") == [(LINK_LOCAL, 22)]
        finally:
            two.on_server(f"ufw prepend deny in on {bridge} comment 'apiary host closed on {bridge}'", server="db1")
        assert reached(two, container, [LINK_LOCAL], "db1") == []


@pytest.mark.parametrize("family", [4, 6])
def test_the_host_s_other_addresses_are_closed_to_containers_by_the_firewall_alone(two: Hive, family: int) -> None:
    ledger, tool = two.container("ledger", "db1"), {4: "iptables", 6: "ip6tables"}[family]
    own = [address for address in own_addresses(two, "db1") if (":" in address) == (family == 6)]
    assert len(own) >= 3
    two.on_server(f"{tool} -I INPUT -i br-+ -p tcp --dport 22 -j ACCEPT", server="db1")
    try:
        found = reached(two, ledger, own, "db1")
        assert {address for address, port in found if port == 22} == set(own)
    finally:
        two.on_server(f"{tool} -D INPUT -i br-+ -p tcp --dport 22 -j ACCEPT", server="db1")


def test_of_the_other_server_s_private_address_a_container_reaches_the_private_port_alone(two: Hive) -> None:
    asker = two.container("asker")
    assert reached(two, asker, [DB1]) == [(DB1, PRIVATE_PORT)]
    with without(two, NO_PRIVATE):
        assert reached(two, asker, [DB1]) == [(DB1, 22), (DB1, PRIVATE_PORT)]


def test_private_addresses_of_the_public_link_are_not_reached_over_ipv6(two: Hive) -> None:
    """As if the provider had such a service there: the prober has it, and the server a route to it."""
    proxy, rule = two.container("haproxy"), "ufw6-before-forward {} -d fc00::/7 -o ens3 -j REJECT --reject-with {}"
    two.prober("ip", "-6", "address", "add", f"{OTHER_CLOUDS}/128", "dev", "eth0", "nodad")
    service = two.in_prober("python3", "-m", "http.server", "--bind", OTHER_CLOUDS, "80")
    two.on_server(f"ip -6 route add {OTHER_CLOUDS} dev ens3")
    try:
        until(lambda: reached_by_host(two, OTHER_CLOUDS), 20, "the host itself reaches it")
        assert reached(two, proxy, [OTHER_CLOUDS]) == []
        with without(two, rule.replace("--reject-with {}", "--reject-with icmp6-adm-prohibited"), tool="ip6tables"):
            assert reached(two, proxy, [OTHER_CLOUDS]) == [(OTHER_CLOUDS, 80)]
    finally:
        two.on_server(f"ip -6 route delete {OTHER_CLOUDS} dev ens3")
        service.kill()
        service.communicate()
        two.prober("pkill", "-f", "http.server")
        two.prober("ip", "-6", "address", "delete", f"{OTHER_CLOUDS}/128", "dev", "eth0")


def reached_by_host(hive: Hive, address: str) -> bool:
    done = hive.server_command("python3", "-c", f"import socket; socket.create_connection(('{address}', 80), 2)")
    return done.returncode == 0


def test_on_the_host_root_alone_is_told(two: Hive) -> None:
    """cloud-init is root; a program that serves strangers is not."""

    def asked_by(user: str) -> str:
        return two.on_server(f'setpriv --reuid {user} --clear-groups python3 -c "{TOLD}"', check=False)

    rule = "ufw-before-output {} -d 169.254.0.0/16 -p tcp -m owner ! --uid-owner 0 -j REJECT --reject-with "
    assert "PRIVATE KEY" in asked_by("root")
    assert asked_by("nobody") == ""
    with without(two, rule + "icmp-admin-prohibited"):
        assert "PRIVATE KEY" in asked_by("nobody")


def test_containers_still_resolve_names_reach_the_world_and_their_own_site(two: Hive) -> None:
    program = (
        "import socket, urllib.request as r; "
        "print(r.urlopen('http://registry.lab.internal/v2/', timeout=10).status); "
        "[socket.create_connection((a[4][0], 80), 10) for a in socket.getaddrinfo('example.com', 80, type=1)]"
    )
    two.on_server(f'docker exec {two.container("asker")} python3 -c "{program}"')
