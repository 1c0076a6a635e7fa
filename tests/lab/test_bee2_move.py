"""From a host of Bee2's to a hive, by the four steps of docs/from-bee2.md, while visitors come all the time.

Measured: for how long a visitor saw errors, of a site of files and of one with a database, for who asks the DNS each
time and for who keeps an address as long as the record allows.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml

from lab import acme, services
from lab.paths import CHECKOUT
from tests.lab import bee2_host
from tests.lab.bee2_host import READER, REGISTRY, SITE, TTL, Bee2
from tests.lab.conftest import STACKS, _region
from tests.lab.hive import Hive, until

LAB = yaml.safe_load((CHECKOUT / "Pulumi.lab.yaml").read_text())["config"]
# Runs in the prober: one thread for each visitor, a connection for each request, over each family in turn. Of each:
# how many came, the seconds between a first failure and the next answer, summed, and what they were told. Each goes on
# after the flag until it has been served by addresses that it has asked for since.
VISITORS = """
import http.client, json, os, socket, ssl, sys, threading, time
flag, ttl, hosts = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
trust = ssl.create_default_context()
found = {}
def asked(known):
    return min((since for _, since in known.values()), default=0)
def visitor(host, keeps):
    known, mine = {}, {"requests": 0, "failed": 0, "seconds": 0.0, "said": [], "answers": []}
    found[f"{host} {'cached' if keeps else 'fresh'}"] = mine
    broken = None
    while not (os.path.exists(flag) and broken is None and asked(known) > os.path.getmtime(flag)):
        for family in (socket.AF_INET6, socket.AF_INET):
            began, failure = time.time(), ""
            mine["requests"] += 1
            try:
                address, since = known.get(family, ("", 0))
                if not keeps or began - since >= ttl:
                    address = socket.getaddrinfo(host, 443, family, socket.SOCK_STREAM)[0][4][0]
                    known[family] = address, began
                connection = http.client.HTTPConnection(address, 443, timeout=10)
                connection.connect()
                connection.sock = trust.wrap_socket(connection.sock, server_hostname=host)
                connection.request("GET", "/", headers={"Host": host})
                answer = connection.getresponse()
                body = answer.read().decode()
                connection.close()
                if answer.status != 200:
                    failure = f"status {answer.status}"
            except OSError as error:
                failure = repr(error)
            if failure:
                mine["failed"] += 1
                mine["said"] = [*mine["said"][:20], f"{time.time():.1f} {family.name} {address}: {failure}"]
                broken = began if broken is None else broken
            else:
                mine["answers"].append(body.strip())
                if broken is not None:
                    mine["seconds"] += time.time() - broken
                    broken = None
        time.sleep(0.1)
threads = [threading.Thread(target=visitor, args=(host, keeps)) for host in hosts for keeps in (False, True)]
for one in threads: one.start()
for one in threads: one.join()
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Move:
    """Bee2's host, serving, and a stack that is empty still."""

    bee2: Bee2
    hive: Hive


@pytest.fixture(scope="module")
def move(worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Move]:
    stack_file = STACKS / "bee2.yaml"
    for region in _region(f"test-{worker_id}-bee2", stack_file=CHECKOUT / "Pulumi.lab.yaml"):
        bee2 = bee2_host.made(region, tmp_path_factory.mktemp("bee2"))
        hive = Hive.copy_of_the_checkout(region, tmp_path_factory.mktemp("move"), stack_file)
        hive.pulumi("stack", "select", "--create")
        yield Move(bee2, hive)
        bee2_host.gone(bee2)


def served(hive: Hive, host: str, *options: str) -> bool:
    return all(hive.get(f"https://{host}/", family, *options)[0] == 200 for family in ("-6", "-4"))


def convert(move: Move) -> None:
    """Step 1, with all that the report says is to be done."""
    hive = move.hive
    done = hive.operations("from-bee2", "convert", str(move.bee2.settings))
    lines = [line.strip() for line in done.stderr.splitlines() if "pulumi config set" in line and line[:4] == "    "]
    assert len(lines) == 5, done.stderr
    for line in lines:
        said = subprocess.run(
            ["bash", "-o", "pipefail", "-ec", line], cwd=hive.program, capture_output=True, text=True, check=False,
            env={**hive.environment, **move.bee2.environment,
                 "PATH": f"{move.bee2.folder / 'bin'}:{hive.environment['PATH']}"},
        )  # fmt: skip
        assert said.returncode == 0, f"{line}: {said.stdout}{said.stderr}"
    hive.settings = yaml.safe_load((hive.program / "Pulumi.lab.yaml").read_text())["config"]


def in_the_lab(hive: Hive) -> None:
    """What only the lab is: where its images and certificates come from."""
    config = hive.settings
    config["apiary:servers"]["web1"]["registry_mirrors"] = ["http://registry.lab.internal"]
    config["apiary:registries"] = {
        REGISTRY: {"user": services.PRIVATE_USER, "password": "_secrets^registry", "ca": acme.REGION.pem()}
    }
    config["apiary:secrets"]["registry"] = services.PRIVATE_PASSWORD
    certbot = LAB["apiary:jobs"]["certbot"]["env"]
    config["apiary:jobs"]["certbot"]["env"] |= {word: certbot[word] for word in ("directory", "directory_ca")}


def addresses(hive: Hive) -> list[str]:
    """How a request finds the new server, whatever the DNS says."""
    ipv4, ipv6 = hive.server["ipv4"], hive.server["web_ipv6"]
    return [word for host in (SITE, READER) for word in ("--resolve", f"{host}:443:{ipv4},[{ipv6}]")]


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_bee2_hive_moves_with_all_that_was_confirmed_and_its_pages_are_never_away(move: Move) -> None:
    hive, bee2 = move.hive, move.bee2
    until(lambda: served(hive, SITE) and served(hive, READER), 120, "Bee2's host serves both sites over both families")
    flag = "/tmp/moved"
    visiting = hive.in_prober("python3", "-c", VISITORS, flag, str(TTL), SITE, READER)

    convert(move)
    in_the_lab(hive)
    hive.pulumi("up", "--yes", "--skip-preview", "--exclude", "**apiary:dns:Zone**", "--exclude-dependents")
    hive.operations("start", "web1:hasetup")
    beside = addresses(hive)
    copy = ("copy", bee2.ipv4, f"--ssh={' '.join(bee2.ssh)}")
    over = [word for name in ("postgres", "reader-cache") for word in ("--over", name)]
    refused = hive.operations(*copy, check=False)
    assert refused.returncode != 0
    assert "--over reader-cache" in refused.stderr, refused.stderr
    hive.operations(*copy, *over)
    until(lambda: served(hive, SITE, *beside), 120, "the pages are served beside")
    assert hive.get(f"https://{SITE}/", "-6", *beside)[1].strip() == bee2_host.PAGE
    adopted = hive.operations("adopt", "--yes").stdout
    for record in ("_dmarc TXT", "@ MX 10 mail.example.org"):
        assert f"not in the stack file, and stays  {record}" in adopted, adopted
    assert served(hive, READER), "taking the zones over has changed nothing"

    began = time.monotonic()
    hive.operations(*copy, *over, "--final")
    copied = time.monotonic()
    hive.operations("start", "web1:dbsetup")
    hive.operations("from-bee2", "switch", "--yes")
    print(f"the last copy took {copied - began:.1f} s, the switch {time.monotonic() - copied:.1f} s")
    until(lambda: served(hive, SITE) and served(hive, READER), 120, "both are served by their names")
    assert hive.prober("dig", "+short", READER, "A").stdout.strip() == hive.server["ipv4"]
    subprocess.run(["docker", "exec", hive.paths.name("prober"), "touch", flag], check=True)
    out, err = visiting.communicate(timeout=TTL + 300)
    found = json.loads(out) if visiting.returncode == 0 else pytest.fail(err)
    for name, seen in found.items():
        print(f"{name}: {seen['requests']} visits, {seen['failed']} failed, errors for {seen['seconds']:.1f} s")
    for who in ("fresh", "cached"):
        assert found[f"{SITE} {who}"]["failed"] == 0, found[f"{SITE} {who}"]["said"]
        expect_all_there(hive, {int(number) for number in found[f"{READER} {who}"]["answers"]})
    hive.expect_no_changes()
    assert bee2.on_host("docker ps --format '{{.Names}}'").split() == ["w1-app-haproxy", "w1-app-nginx-static"]


def expect_all_there(hive: Hive, confirmed: set[int]) -> None:
    """Every visit that was answered is a row of the database and a line of the volume."""
    assert len(confirmed) > 100
    client = "psql -h /tmp -U postgres -d news_reader -A -t -c 'SELECT id FROM news'"
    rows = hive.on_server(f"docker exec {hive.container('postgres')} {client}")
    lines = hive.on_server("cat $(docker volume inspect --format '{{.Mountpoint}}' reader-cache)/reads")
    for what, there in (("rows", rows), ("lines", lines)):
        lost = confirmed - {int(number) for number in there.split()}
        assert not lost, f"{len(lost)} {what} of {len(confirmed)} confirmed are lost: {sorted(lost)[:5]}"
