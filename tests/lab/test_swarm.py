"""One application on three servers: every one answers, and one less is seen by its own visitors alone."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from lab.paths import CHECKOUT
from tests.lab.hive import LABEL, Hive, until

SERVERS = ("web1", "web2", "web3")
PRIVATE = {"web1": "192.168.150.11", "web2": "192.168.150.12", "web3": "192.168.150.13"}
PORTS = (2377, 7946)  # between the servers, by TCP
DATAGRAMS = (7946, 4789)  # by UDP
HOST = "echo.example.net"
REPLICAS = 4

# Runs in the prober: asks again and again, a connection each, until a file is there. Each argument is one visitor: an
# address, or several of which he takes any and tries the next when it does not answer, as a browser does.
LOAD = """
import http.client, json, os, random, sys, threading, time
flag, pause, path, *visitors = sys.argv[1:]
asked, failed = dict.fromkeys(visitors, 0), {visitor: [] for visitor in visitors}
slowest = dict.fromkeys(visitors, (0.0, ""))
end = time.monotonic() + 900
def answered(address):
    connection = http.client.HTTPConnection(address, 80, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": "echo.example.net"})
        answer = connection.getresponse()
        answer.read()
        return "" if answer.status == 200 else f"status {answer.status}"
    except (OSError, http.client.HTTPException) as error:  # an answer that is cut off is none of the first
        return repr(error)
    finally:
        connection.close()
def visit(visitor):
    addresses = visitor.split(",")
    while not os.path.exists(flag) and time.monotonic() < end:
        asked[visitor] += 1
        started, said = time.time(), []
        for address in random.sample(addresses, len(addresses)):
            said.append(answered(address))
            if not said[-1]:
                break
        else:
            failed[visitor].append(f"{started:.1f}: {said}")
        slowest[visitor] = max(slowest[visitor], (round(time.time() - started, 1), f"{started:.1f}: {said}"))
        time.sleep(float(pause))
threads = [threading.Thread(target=visit, args=(visitor,)) for visitor in visitors]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps({"asked": asked, "failed": failed, "slowest": slowest}))
"""


def addresses(three: Hive, *servers: str) -> list[str]:
    """Where the servers' proxies answer, over both families."""
    found = three.outputs()["servers"]
    return [found[server][key] for server in servers for key in ("web_ipv6", "ipv4")]


@contextmanager
def load(three: Hive, *visitors: str, pause: float = 0.03, path: str = "/") -> Iterator[dict[str, Any]]:
    """Visits meanwhile (`LOAD`), seconds apart; afterwards, by visitor, how many there were and which failed."""
    flag, result = f"/tmp/stop-{time.monotonic_ns()}", dict[str, Any]()
    asking = three.in_prober("python3", "-c", LOAD, flag, str(pause), path, *visitors)
    try:
        yield result
    finally:
        subprocess.run(["docker", "exec", three.paths.name("prober"), "touch", flag], check=True)
        out, err = asking.communicate(timeout=90)
    assert (asking.returncode, err) == (0, ""), "a visitor that ended early would be missed"
    result |= json.loads(out)


def expect_no_failures(result: dict[str, Any]) -> None:
    # One of several addresses is asked first that does not answer for 10 s, so there are fewer visits.
    few = {one: count for one, count in result["asked"].items() if count <= (10 if "," in one else 100)}
    assert not few, f"visits of {few}, the slowest {[result['slowest'][one] for one in few]}"
    assert not any(result["failed"].values()), {address: lines[:5] for address, lines in result["failed"].items()}


def asked(three: Hive, address: str) -> tuple[int, str]:
    host = f"[{address}]" if ":" in address else address
    return three.get(f"http://{host}/", "-6" if ":" in address else "-4", "-H", f"Host: {HOST}")


def nodes(three: Hive, server: str) -> dict[str, str]:
    """What each server is in the swarm, as one of them has it."""
    told = three.on_server("docker node ls --format '{{.Hostname}} {{.Status}} {{.ManagerStatus}}'", server=server)
    return dict(line.split(" ", 1) for line in told.splitlines())


def replicas(three: Hive, server: str, but: str = "") -> int:
    """How many run, as a server has it, those on a dead server left out: a new leader believes in them for a while."""
    # Who asks just after the leader has died is told nothing, and that after twenty seconds.
    every = "timeout 3 docker service ps echo --filter desired-state=running --format '{{.Node}} {{.CurrentState}}'"
    found = [line.split() for line in three.on_server(every, check=False, server=server).splitlines()]
    return sum(state == "Running" and node != but for node, state, *_ in found)


def within(three: Hive, container: str, server: str, code: str) -> str:
    """What a program says that runs in a container."""
    return three.on_server(f"docker exec -i {container} python3 -", server=server, stdin=code).strip()


def test_every_server_answers_over_both_families_with_the_visitors_own_address(three: Hive) -> None:
    for address in addresses(three, *SERVERS):
        status, body = asked(three, address)
        assert status == 200, f"{address}: {status} {body}"
        assert json.loads(body)["x_forwarded_for"] == [three.own_address("-6" if ":" in address else "-4")]


def test_nothing_changes_the_second_time_nor_does_a_refresh_find_anything(three: Hive) -> None:
    three.expect_no_changes()
    three.pulumi("preview", "--refresh", "--expect-no-changes")


@pytest.mark.soak
def test_the_playbook_s_second_run_changes_nothing(three: Hive) -> None:
    """As of the spine (test_up), but for what makes a swarm."""
    three.expect_bootstrapped("web2")  # each is made by the same lines


def test_one_manager_or_three_know_each_other_by_the_stack_files_names(three: Hive) -> None:
    assert set(nodes(three, "web2")) == set(SERVERS)
    assert sorted(said.split()[-1] for said in nodes(three, "web2").values()) == ["Leader", "Reachable", "Reachable"]


def test_replicas_are_found_by_name_and_find_what_runs_on_one_server(three: Hive) -> None:
    asker = three.container("asker", "web2")
    name = "import os, urllib.request; print(urllib.request.urlopen(f'http://{os.environ[\"ECHO\"]}:8080/').status)"
    assert within(three, asker, "web2", name) == "200"
    ask = "import os, urllib.request; print(urllib.request.urlopen(f'http://{os.environ[\"LEDGER\"]}:5432/').status)"
    for server in SERVERS:
        for replica in three.on_server("docker ps -q --filter name=^echo\\.", server=server).split():
            assert within(three, replica, server, ask) == "200", f"a replica on {server}"
            # Given once in secret and once in plain, each as the stack file says.
            assert three.on_server(f"docker exec {replica} cat /etc/echo.yml", server=server) == "size: small"
            mode = three.on_server(f"docker exec {replica} stat -c %a%u /run/keys/echo", server=server)
            assert mode.strip() == "4000"


@pytest.mark.soak
def test_a_proxy_leads_to_the_replicas_on_its_own_server_first(three: Hive) -> None:
    for server in SERVERS:
        own = three.on_server("docker ps -q --filter name=^echo\\.", server=server).split()
        address = three.outputs()["servers"][server]["ipv4"]
        answered = [json.loads(asked(three, address)[1])["container"] for _ in range(30)]
        assert sum(one in own for one in answered) >= 25, f"{server} has {own}, and {answered} answered"


def test_the_servers_ports_for_each_other_are_open_to_nobody_else(three: Hive) -> None:
    found = three.outputs()["servers"]
    outside = [found[server][key] for server in SERVERS for key in ("ipv4", "ipv6", "web_ipv6")]
    for routed in (False, True):
        opened = three.scan(outside, routed, [22, 80, *PORTS, 8404, 8080, 5432])
        assert {port for _, port in opened} == {22, 80}
    knock = """
import socket
for address in ADDRESSES:
    for port in PORTS:
        with socket.socket() as one:
            one.settimeout(2)
            if one.connect_ex((address, port)) == 0: print(address, port)
""".replace("ADDRESSES", str(sorted(PRIVATE.values()))).replace("PORTS", str([22, *PORTS]))
    for server, container in (("web2", three.container("asker", "web2")), ("web1", three.container("ledger", "web1"))):
        assert within(three, container, server, knock) == ""
    replica = three.on_server("docker ps -q --filter name=^echo\\.", server="web1").split()[:1]
    for one in replica:
        assert within(three, one, "web1", knock) == ""
    # The control: the servers themselves.
    reached = three.on_server("python3 -", server="web2", stdin=knock)
    assert f"{PRIVATE['web1']} 2377" in reached
    assert f"{PRIVATE['web3']} 7946" in reached


# Runs on a server: writes down which datagrams with a mark get through its firewall; a raw socket has those alone.
HEAR = """
import select, socket
families = {socket.AF_INET: 20, socket.AF_INET6: 0}  # with the head of IPv4, and without that of IPv6
ears = [socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_UDP) for family in families]
with open("/tmp/heard", "w", buffering=1) as heard:
    print("listens", file=heard)
    while True:
        for ear in select.select(ears, [], [])[0]:
            said = ear.recv(2000)[families[ear.family]:]
            if b"apiary-knock" in said:
                print(int.from_bytes(said[2:4], "big"), said[8:].split()[-1].decode(), file=heard)
"""
KNOCK = """
import socket
for address in ADDRESSES:
    for port in PORTS:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as one:
            try: one.sendto(b"apiary-knock FROM", (address, port))
            except OSError: pass  # refused on its way
"""


def test_datagrams_between_the_servers_are_taken_from_nobody_else(three: Hive) -> None:
    """A port that answers no stranger looks closed to him, whatever the firewall does: so the server itself says it."""
    found = three.outputs()["servers"]["web1"]
    begin = f"systemd-run --quiet --collect --unit=apiary-test-hears python3 -c {shlex.quote(HEAR)}"
    three.on_server(f"rm -f /tmp/heard; {begin}")

    def heard() -> list[str]:
        return three.on_server("cat /tmp/heard", check=False).splitlines()

    def knocks(name: str, *addresses: str) -> str:
        words = {"ADDRESSES": str(list(addresses)), "PORTS": str(DATAGRAMS), "FROM": name}
        code = KNOCK
        for word, value in words.items():
            code = code.replace(word, value)
        return code

    try:
        until(lambda: heard() == ["listens"], 30, "it listens")
        for routed in (False, True):
            code = knocks(f"routed-{routed}", found["ipv4"], found["ipv6"])
            assert three.prober("python3", "-c", code, routed=routed).returncode == 0
        replica = three.on_server("docker ps -q --filter name=^echo\\.").split()[0]
        for name, container, server in (
            ("asker", three.container("asker", "web2"), "web2"),
            ("ledger", three.container("ledger"), "web1"),
            ("replica", replica, "web1"),
        ):
            within(three, container, server, knocks(name, PRIVATE["web1"], found["ipv4"]))
        # The control, and the last: what was sent before it has been heard by now, or never will be.
        three.on_server("python3 -", server="web2", stdin=knocks("web2", PRIVATE["web1"]))
        control = {f"{port} web2" for port in DATAGRAMS}
        until(lambda: control <= set(heard()), 30, "another server is heard")
        assert set(heard()) == {"listens", *control}
    finally:
        three.on_server("systemctl stop apiary-test-hears", check=False)


def test_a_good_release_fails_no_request_and_cuts_no_download(three: Hive) -> None:
    """A download takes longer than Docker's own ten seconds, and than the proxies do to learn of another replica."""
    at = addresses(three, *SERVERS)
    with (
        load(three, *at) as result,
        load(three, *at, *reversed(at), path="/download?bytes=2000000&seconds=20") as downloads,
    ):
        three.settings["apiary:applications"]["echo"]["env"]["release"] = "two"
        three.up()
    expect_no_failures(result)
    assert not any(downloads["failed"].values()), downloads["failed"]
    assert sum(downloads["asked"].values()) >= 2 * len(at), downloads["asked"]


@pytest.mark.soak
def test_a_release_that_was_taken_back_is_tried_again_by_the_same_update(three: Hive) -> None:
    """What it needs is away for a while; nothing in the stack file is wrong."""
    needs = "import os, socket; socket.create_connection((os.environ['LEDGER'], 5432), 5).close()"
    begin = f'python3 -c "{needs}" && exec python3 /usr/local/bin/echo.py'
    with three.changed() as settings:
        settings["apiary:applications"]["echo"]["entrypoint"] = ["sh", "-c", begin]
        three.on_server(f"docker stop {three.container('ledger')}")
        try:
            assert "the release was taken back" in three.up(check=False).output
        finally:
            three.on_server("docker start $(docker ps -aq --filter label=apiary.resource=applications.ledger)")
        three.up()
        replica = three.on_server("docker ps -q --filter name=^echo\\.").split()[0]
        assert begin in three.on_server(f"docker inspect --format '{{{{.Config.Entrypoint}}}}' {replica}")
        assert three.on_server("ls /var/lib/apiary/releases") == "", "it is through, so nothing of it is kept"
        three.expect_no_changes()
    three.up()


@pytest.mark.soak
def test_a_bad_release_is_taken_back_and_says_what_the_failed_replica_said(three: Hive) -> None:
    with load(three, *addresses(three, *SERVERS)) as result, three.changed() as settings:
        settings["apiary:applications"]["echo"]["entrypoint"] = ["python3", "/no-such-program.py"]
        done = three.up(check=False)
        assert done.status != 0
        assert "the release was taken back" in done.output
        assert "/no-such-program.py" in done.output
    expect_no_failures(result)
    three.up()
    assert replicas(three, "web1") == REPLICAS


@pytest.mark.soak
def test_a_release_that_only_the_proxies_refuse_is_taken_back(three: Hive) -> None:
    with load(three, *addresses(three, *SERVERS)) as result, three.changed() as settings:
        echo = settings["apiary:applications"]["echo"]
        echo |= {"health": {"test": ["CMD", "true"]}, "env": {**echo["env"], "unhealthy": 1}}
        done = three.up(check=False)
        assert done.status != 0
        assert "unhealthy (L7STS)" in done.output
    expect_no_failures(result)
    three.up()
    assert replicas(three, "web1") == REPLICAS


def certificate(three: Hive, address: str) -> str:
    """The fingerprint of what a visitor of this address gets."""
    place = f"[{address}]" if ":" in address else address
    ask = f"openssl s_client -connect {place}:443 -servername {HOST} </dev/null 2>/dev/null"
    return three.prober("sh", "-c", f"{ask} | openssl x509 -noout -fingerprint -sha256").stdout


@pytest.mark.soak
def test_all_servers_serve_one_certificate_whichever_the_authority_asks(three: Hive) -> None:
    whole = yaml.safe_load((CHECKOUT / "Pulumi.swarm.yaml").read_text())["config"]
    with three.changed() as settings:
        for number in range(1, len(SERVERS) + 1):
            settings["apiary:applications"][f"proxy{number}"] = whole["apiary:applications"][f"proxy{number}"]
            certbot = settings["apiary:jobs"][f"certbot{number}"] = whole["apiary:jobs"][f"certbot{number}"]
            certbot["env"]["strict"] = True
        three.up()
        for address in addresses(three, *SERVERS):
            place = f"[{address}]" if ":" in address else address
            family = "-6" if ":" in address else "-4"
            status, body = three.get(f"https://{HOST}/", family, "--resolve", f"{HOST}:443:{place}")
            assert status == 200, f"{address}: {status} {body}"
        served = {certificate(three, address) for address in addresses(three, *SERVERS)}
        assert len(served) == 1, "one obtains, all serve"
        # One that has lost its own takes it back, and asks no authority.
        volumes = "-v haproxycfg:/a -v letsencrypt:/b"
        image = f"$(docker inspect --format '{{{{.Image}}}}' {three.container('proxy1')})"
        lost = f"rm -rf /a/certs/{HOST}.pem /b/*"
        three.on_server(f"docker run --rm --user 0 --entrypoint sh {volumes} {image} -c {shlex.quote(lost)}")
        three.operations("start", "web1:certbot1")
        assert {certificate(three, address) for address in addresses(three, "web1")} == served
        assert "PRIVATE KEY" not in three.output_of("stack", "export")
        # Renewed before it was due, as after a key that got out: the others have it within seconds, by themselves.
        settings["apiary:jobs"]["certbot1"]["env"]["renew_days"] = 9999
        three.up()
        [renewed] = {certificate(three, address) for address in addresses(three, "web1")}
        assert renewed not in served
        for address in addresses(three, "web2", "web3"):
            until(lambda one=address: certificate(three, one) == renewed, 60, f"{address} serves what was renewed")
        assert {certificate(three, address) for address in addresses(three, "web1")} == {renewed}, "and no other since"
    three.up()


@pytest.mark.soak
def test_a_server_is_emptied_without_a_failed_request(three: Hive) -> None:
    with load(three, *addresses(three, *SERVERS)) as result, three.changed() as settings:
        settings["apiary:servers"]["web2"]["drain"] = True
        three.up()
        running = "docker ps -q --filter name=^echo\\."
        until(lambda: three.on_server(running, server="web2") == "", 60, "no replica runs on web2")
        until(lambda: replicas(three, "web1") == REPLICAS, 60, "all run elsewhere")
        told = three.prober("getent", "ahosts", HOST).stdout
        assert three.outputs()["servers"]["web2"]["ipv4"] not in told
        assert three.outputs()["servers"]["web3"]["ipv4"] in told
        # Who still has its address is served.
        for address in addresses(three, "web2"):
            assert asked(three, address)[0] == 200
    expect_no_failures(result)
    three.up()
    assert three.on_server(running, server="web2"), "it has replicas again"
    assert three.outputs()["servers"]["web2"]["ipv4"] in three.prober("getent", "ahosts", HOST).stdout


@pytest.mark.soak
def test_a_rebooted_server_comes_back_with_its_proxy(three: Hive) -> None:
    three.reboot("web3")
    for address in addresses(three, "web3"):
        until(lambda one=address: asked(three, one)[0] == 200, 120, f"{address} answers again")


def leader(three: Hive) -> str:
    """Who leads, as any of them has it."""
    return next(server for server, said in nodes(three, SERVERS[0]).items() if said.split()[-1] == "Leader")


def seconds_without(three: Hive, server: str) -> int:
    """How long it may take until the replicas of a server that dies run elsewhere.

    Managers elect another leader after 10 to 20 s, and a new leader misses who was silent then after 30 s: Docker's
    own, which no setting changes (playbooks/roles/swarm/files/apiary_leader.py).
    """
    return 60 if leader(three) == server else 30


@pytest.mark.soak
def test_a_server_less_is_seen_by_its_own_visitors_alone_and_it_comes_back_as_itself(three: Hive) -> None:
    """The worst one: it is the one by which services are made, and mostly leads as well."""
    with load(three, *addresses(three, "web2", "web3"), ",".join(addresses(three, *SERVERS))) as result:
        seconds = seconds_without(three, "web1")
        three.lab("kill", f"{LABEL}web1")
        until(lambda: replicas(three, "web2", but="web1") == REPLICAS, seconds, "all replicas run elsewhere")
        with three.changed() as settings:
            settings["apiary:applications"]["echo"]["env"]["release"] = "by nobody"
            assert (
                "web1 can't be reached, by way of which all with replicas is released" in three.up(check=False).output
            )
        until(lambda: nodes(three, "web2")["web1"].startswith("Down"), 10, "it is known to be down")
        three.operations("revive", "web1", "--yes")
        assert nodes(three, "web2")["web1"].startswith("Ready")
        assert len(nodes(three, "web2")) == len(SERVERS)
        assert three.on_server("docker ps -q --filter name=^echo\\.", server="web1"), "it has replicas again"
    expect_no_failures(result)
    for address in addresses(three, *SERVERS):
        assert asked(three, address)[0] == 200
    three.expect_no_changes()


@pytest.mark.soak
def test_a_worker_comes_and_goes_without_a_failed_request(three: Hive) -> None:
    with load(three, *addresses(three, *SERVERS)) as result, three.changed() as settings:
        there = settings["apiary:servers"]
        there["web4"] = {
            **{key: value for key, value in there["web3"].items() if key not in ("dns", "ipv6")},
            "private_ip": "192.168.150.14",
            "swarm": "worker",
        }
        three.up()
        assert nodes(three, "web1")["web4"].split() == ["Ready"]
        settings["apiary:applications"]["echo"] |= {"servers": ["web4"]}
        three.up()
        assert len(three.on_server("docker ps -q --filter name=^echo\\.", server="web4").split()) == REPLICAS
        del settings["apiary:applications"]["echo"]["servers"]
        three.up()
        del there["web4"]
        three.up()
        assert set(nodes(three, "web1")) == set(SERVERS)
        assert replicas(three, "web1") == REPLICAS
    expect_no_failures(result)
