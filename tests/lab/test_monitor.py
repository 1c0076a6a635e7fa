"""A hive that tells how it is: what a monitor sees of a real server, each alert told once and over, and its page."""

from __future__ import annotations

import copy
import datetime
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.lab.browser import browser
from tests.lab.hive import Hive, until
from tests.lab.inbox import HTTP, SMTP

# It looks at the disk of this whole machine, which all other tests fill and empty beside it, and alarms of that, too.
pytestmark = pytest.mark.soak

HERE = Path(__file__).parent
PAGE = "http://stats.example.net/"
SECRET = "whoever-knows-this-may-write"  # the way of an address
# What answers inside the monitor's container, asked from there.
ASK = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=10).read().decode())"
MEBIBYTES = 120
ALL = {
    "AlertsNotDelivered",
    "BackupFailed",
    "BackupLate",
    "CertificateExpires",
    "ContainerDown",
    "ContainerRestarts",
    "DiskWillBeFull",
    "DrillFailed",
    "DrillLate",
    "JobFailed",
    "JobMissed",
    "MemoryShort",
    "MonitorBlind",
    "PrivatePortDown",
    "ProxyDown",
    "ServerDown",
    "SiteDown",
    "SiteErrors",
}


class Told:
    """What has arrived in the prober: mail, webhook, ntfy, heartbeats."""

    def __init__(self, hive: Hive) -> None:
        self._hive = hive
        self._file = "/tmp/inbox.jsonl"
        hive.prober("rm", "-f", self._file)
        program = (HERE / "inbox.py").read_text()
        # It ends with the input that keeps it alive.
        program = program.replace("threading.Event().wait()", "sys.stdin.read()")
        self._process = subprocess.Popen(
            ["docker", "exec", "-i", hive.paths.name("prober"), "python3", "-c", program, self._file],
            stdin=subprocess.PIPE,
        )

    def read(self) -> list[dict[str, Any]]:
        """Everything until now."""
        found = self._hive.prober("cat", self._file).stdout
        return [json.loads(line) for line in found.splitlines()]

    def of(self, way: str, part: str, over: bool = False) -> list[dict[str, Any]]:
        """The messages by one way that have a summary with `part`: while it is so, or that it is over."""
        if way == "hook":
            return [
                one
                for one in self.read()
                if one["way"] == way
                and any(part in a["summary"] and (a["status"] == "resolved") == over for a in one["alerts"])
            ]
        begin = "over: " if over else ""
        return [
            one
            for one in self.read()
            if one["way"] == way
            and any(
                part in line and line.startswith("over: ") == over and line.startswith(begin)
                for line in one["text"].splitlines()
                if not line.startswith(("type:", "read:", " "))
            )
        ]

    def expect_once(self, part: str, over: bool = False, seconds: float = 120) -> dict[str, Any]:
        """It arrives by every way, and by each of them once; the mail."""
        ways = ("mail", "hook", "ntfy")
        what = f"{part!r} is told{' to be over' if over else ''}"
        until(lambda: all(self.of(way, part, over) for way in ways), seconds, what)
        counted = {way: len(self.of(way, part, over)) for way in ways}
        assert counted == dict.fromkeys(ways, 1)
        return self.of("mail", part, over)[0]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


@pytest.fixture(scope="module")
def told(two: Hive) -> Iterator[Told]:
    inbox = Told(two)
    yield inbox
    inbox.close()


@pytest.fixture(scope="module")
def watched(two: Hive, told: Told) -> Iterator[Hive]:
    """The hive of two servers, with a monitor on web1 that looks every second, its page, and a job that can fail."""
    here = two.own_address("-4")
    before = copy.deepcopy(two.settings)
    two.settings["apiary:servers"]["web1"]["dns"]["web"].append("stats.example.net")
    two.settings["apiary:applications"] |= {
        "monitor": {
            "server": "web1",
            "build_dir": "Monitor",
            "env": {"interval": 1},
            "memory": "96m",
            "volumes": ["metrics:/var/lib/monitor", "haproxycfg:/etc/haproxy:ro", "day:/srv/site"],
        },
        "day": {
            "server": "web1",
            "build_dir": "NginxStatic",
            "env": {"domains": ["stats.example.net"], "http_port": 8080, "password": "_day^adminpass"},
            "volumes": ["day:/srv/site:ro"],
        },
    }
    two.settings["apiary:jobs"]["chore"] = {
        "server": "web1",
        "image": "debian:bookworm-slim",
        "command": ["sh", "-c", "test ! -e /data/fail"],
        "volumes": ["chore:/data"],
    }
    two.settings["apiary:alerts"] = {
        "mail": {"to": ["owner@example.com"], "sender": "web1@example.com", "server": f"{here}:{SMTP}", "tls": False},
        "webhook": [f"http://{here}:{HTTP}/hook"],
        "ntfy": {"url": f"http://{here}:{HTTP}/ntfy"},
        "heartbeat": "_secrets^heartbeat",
    }
    two.write()
    set_secret = ["config", "set", "--secret", "--path", "apiary:secrets.heartbeat"]
    two.output_of(*set_secret, f"http://{here}:{HTTP}/{SECRET}")
    two.settings = yaml.safe_load((two.program / "Pulumi.lab.yaml").read_text())["config"]
    two.up()
    yield two
    two.settings = before
    two.up()


def asked(hive: Hive, path: str, port: int = 9090) -> str:
    """What answers inside the monitor's container."""
    return hive.on_server(f'docker exec {hive.container("monitor")} python3 -c "{ASK}" "http://127.0.0.1:{port}{path}"')


def figures(hive: Hive, query: str) -> list[dict[str, Any]]:
    """The series that Prometheus answers with."""
    found: list[dict[str, Any]] = json.loads(asked(hive, f"/api/v1/query?query={query}"))["data"]["result"]
    return found


def test_a_second_update_changes_nothing(watched: Hive) -> None:
    watched.expect_no_changes()


def test_every_site_is_asked_over_both_families_and_all_that_it_asks_answers(watched: Hive) -> None:
    def well() -> bool:
        ups = {one["metric"]["job"]: one["value"][1] for one in figures(watched, "up")}
        return set(ups) == {"host", "proxy", "alertmanager", "sites", "peers"} and set(ups.values()) == {"1"}

    until(well, 60, "everything answers")
    sites = {
        (one["metric"]["domain"], one["metric"]["family"]): one["value"][1]
        for one in figures(watched, "probe_success%7Bjob=%22sites%22%7D")
    }
    domains = ["example.com", "echo.example.net", "stats.example.net"]
    assert sites == {(domain, family): "1" for domain in domains for family in ("IPv4", "IPv6")}
    (peer,) = figures(watched, "probe_success%7Bjob=%22peers%22%7D")
    assert (peer["metric"]["peer"], peer["metric"]["application"], peer["value"][1]) == ("db1", "ledger", "1")

    def known() -> bool:
        up = figures(watched, "apiary_container_up")
        running = {one["metric"]["application"] for one in up if one["value"][1] == "1"}
        return running >= {"haproxy", "site", "echo", "monitor", "day"}

    until(known, 60, "the host has told of its containers, as it does every 15 s")
    mounts = {one["metric"]["mountpoint"] for one in figures(watched, "node_filesystem_size_bytes")}
    assert "/" in mounts
    assert not [mount for mount in mounts if mount.startswith("/var/lib/docker/")]


def test_nobody_is_alarmed_while_all_is_well_and_the_heartbeat_goes_on(watched: Hive, told: Told) -> None:
    def beats() -> int:
        return sum(one["way"] == SECRET for one in told.read())

    first = beats()
    until(lambda: beats() >= first + 5, 60, "the heart beats")
    assert [one for one in told.read() if one["way"] != SECRET] == []


def test_a_site_that_is_down_is_told_once_over_both_families_with_what_to_type(watched: Hive, told: Told) -> None:
    echo = watched.container("echo")
    watched.on_server(f"docker stop {echo}")
    mail = told.expect_once("http://echo.example.net/ does not answer over IPv6")
    assert told.expect_once("http://echo.example.net/ does not answer over IPv4") == mail
    assert mail["to"] == "owner@example.com"
    assert "curl -4 -v https://echo.example.net/ ; curl -6 -v https://echo.example.net/" in mail["text"]
    assert "docs/operations.md#a-site-is-down" in mail["text"]
    told.expect_once("echo does not run")
    watched.on_server(f"docker start {echo}")
    told.expect_once("http://echo.example.net/ does not answer over IPv6", over=True)
    told.expect_once("echo does not run", over=True)


def test_a_server_that_answers_no_more_is_told_by_the_other_one(watched: Hive, told: Told) -> None:
    ledger = watched.container("ledger", server="db1")
    watched.on_server(f"docker stop {ledger}", server="db1")
    mail = told.expect_once("db1 answers at none of its private ports")
    assert "make revive SERVER=db1 STACK=lab" in mail["text"]
    # In place of it, not beside it.
    assert told.of("mail", "ledger of db1") == []
    watched.on_server(f"docker start {ledger}", server="db1")
    told.expect_once("db1 answers at none of its private ports", over=True)


def test_a_job_that_fails_is_told_and_is_over_when_it_has_succeeded(watched: Hive, told: Told) -> None:
    files, job = "/var/lib/docker/volumes/chore/_data", watched.job("chore")
    watched.on_server(f"touch {files}/fail && docker start {job}")
    told.expect_once("the job chore has ended with status 1")
    watched.on_server(f"rm {files}/fail && docker start {job}")
    told.expect_once("the job chore has ended with status", over=True)


def test_a_container_that_ends_again_and_again_is_told(watched: Hive, told: Told) -> None:
    asker = watched.container("asker")
    kill = (
        f"n=$(docker inspect -f '{{{{.RestartCount}}}}' {asker}); for i in 1 2 3 4 5; do "
        f"until p=$(docker inspect -f '{{{{.State.Pid}}}}' {asker}) && [ $p != 0 ] && kill -9 $p; do sleep 0.2; done; "
        f"until [ $(docker inspect -f '{{{{.RestartCount}}}}' {asker}) -ge $((n + i)) ]; do sleep 0.2; done; done"
    )
    # Between two looks at what Docker knows, which are fifteen seconds apart.
    watched.on_server(kill)
    told.expect_once("asker ends again and again")
    told.expect_once("asker ends again and again", over=True)


def test_a_monitor_that_learns_nothing_of_its_host_says_so(watched: Hive, told: Told) -> None:
    units = "apiary-node-exporter.socket apiary-node-exporter.service"
    watched.on_server(f"systemctl stop {units}")
    told.expect_once("the monitor of web1 learns nothing of its host")
    watched.on_server("systemctl start apiary-node-exporter.socket")
    told.expect_once("the monitor of web1 learns nothing of its host", over=True)


def test_another_address_is_told_without_another_container(watched: Hive, told: Told) -> None:
    here = watched.own_address("-4")
    with watched.changed() as settings:
        settings["apiary:alerts"]["webhook"] = [f"http://{here}:{HTTP}/other"]
        done = watched.up()
        assert done.touched() == {"monitor-watched"}
        echo = watched.container("echo")
        watched.on_server(f"docker stop {echo}")
        until(lambda: any(one["way"] == "other" for one in told.read()), 120, "the other address is told")
        watched.on_server(f"docker start {echo}")
    watched.up()


def test_what_it_is_told_is_in_no_environment_and_not_in_plain_text_in_the_state(watched: Hive) -> None:
    monitor = watched.container("monitor")
    assert SECRET not in watched.on_server(f"docker inspect {monitor}")
    assert SECRET not in watched.output_of("stack", "export")
    assert SECRET in watched.on_server("cat /var/lib/apiary/monitor/host/watch.json")
    # The folder above lets nobody in but root.
    reader = "runuser -u nobody -- cat /var/lib/apiary/monitor/host/watch.json"
    assert SECRET not in watched.on_server(f"{reader} 2>&1 || true")


def test_another_container_reaches_nothing_of_it_and_it_reaches_nothing_of_its_host(watched: Hive) -> None:
    knock = (
        "import socket, sys\n"
        "for port in map(int, sys.argv[2:]):\n"
        "    try: socket.create_connection((sys.argv[1], port), 3).close()\n"
        "    except OSError: continue\n"
        "    print(port)"
    )

    def opened(container: str, host: str, *ports: int) -> list[int]:
        words = " ".join(map(str, ports))
        found = watched.on_server(f"docker exec {container} python3 -c '{knock}' {host} {words}")
        return [int(one) for one in found.split()]

    asker, monitor = watched.container("asker"), watched.container("monitor")
    # 8080 answers whether it is well.
    assert opened(asker, "monitor", 8080, 9090, 9093, 9099, 9115) == [8080]
    of_network = "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}"
    gateway = watched.on_server(f"docker inspect -f '{of_network}' {monitor}")
    assert opened(monitor, gateway.strip(), 22, 9100, 8404) == []
    # Debian's own unit would listen there.
    assert "9100" not in watched.on_server("ss -ltn")


def test_all_of_it_runs_within_its_limit_of_memory(watched: Hive) -> None:
    """The kernel holds it to that; what it needs of its own is less, and nothing of it was ended for its memory."""
    monitor = watched.container("monitor")
    inspect = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.RestartCount}} {{.State.OOMKilled}}"
    limit, with_swap, restarts, killed = watched.on_server(f"docker inspect -f '{inspect}' {monitor}").split()
    exporter = int(watched.on_server("systemctl show -P MemoryMax apiary-node-exporter.service"))
    assert limit == with_swap
    assert int(limit) + exporter <= MEBIBYTES * 2**20
    assert (restarts, killed) == ("0", "false")
    pids = f"$(docker top {monitor} -o pid | tail -n +2) $(systemctl show -P MainPID apiary-node-exporter.service)"
    count = f"for p in {pids}; do cat /proc/$p/comm; awk '/^Pss(_Anon)?:/ {{print $2}}' /proc/$p/smaps_rollup; done"
    said = watched.on_server(count).split("\n")
    own = {name: int(size) / 1024 for name, size in zip(said[::3], said[2::3], strict=False)}
    mapped = {name: int(size) / 1024 for name, size in zip(said[::3], said[1::3], strict=False)}
    print(
        f"MiB of its own: {sum(own.values()):.1f} of {own}; with pages of files: {sum(mapped.values()):.1f} of {mapped}"
    )
    assert {"prometheus", "prometheus-aler", "prometheus-blac", "prometheus-node"} <= set(own)
    assert sum(own.values()) < MEBIBYTES


def test_the_page_of_a_day_is_behind_a_password_and_is_seen_in_a_browser(watched: Hive, tmp_path: Path) -> None:
    assert watched.get(PAGE, "-6")[0] == 401
    password = watched.passwords()["day/adminpass"]
    own = PAGE.replace("://", f"://admin:{password}@")
    with browser(watched.paths.name("prober")) as chromium:
        shown = ""

        def drawn() -> bool:
            nonlocal shown
            shown = chromium.text(own)
            return "100.00 %" in shown and "memory" in shown

        until(drawn, 120, "the page shows figures")
        for word in ("web1 of lab", "example.com", "echo.example.net", "IPv6", "disk /", "visits"):
            assert word in shown
        assert "<script" not in shown
        picture = chromium.picture(own, tmp_path / "day.png", size="1280,1000")
    print(f"the page as it is seen: {picture}")


def certificates(folder: Path) -> None:
    """An authority, and two certificates of localhost: one that ends soon."""
    now = datetime.datetime.now(datetime.UTC)

    def made(name: str, days: int, issuer: tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None) -> Any:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer[1].subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(issuer is None, None), critical=True)
        )
        if issuer:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return key, builder.sign(issuer[0] if issuer else key, hashes.SHA256())

    authority = made("authority", 100, None)
    (folder / "authority.pem").write_bytes(authority[1].public_bytes(serialization.Encoding.PEM))
    for name, days in (("short", 5), ("long", 60)):
        key, certificate = made("localhost", days, authority)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)


def test_each_alert_provoked_arrives_once_by_every_way_and_is_over(watched: Hive, tmp_path: Path) -> None:
    """The same image and programs, on figures that are made beside them (provoked.py)."""
    certificates(tmp_path)
    for name in ("provoked.py", "inbox.py"):
        (tmp_path / name).write_text((HERE / name).read_text())
    files = json.dumps({path.name: path.read_text() for path in tmp_path.iterdir()})
    unpack = (
        "import json, pathlib, subprocess, sys; f = pathlib.Path('/tmp/run'); f.mkdir();"
        "[(f / n).write_text(t) for n, t in json.load(sys.stdin).items()];"
        "sys.exit(subprocess.call([sys.executable, '/tmp/run/provoked.py', '/tmp/run']))"
    )
    image = watched.on_server(f"docker inspect -f '{{{{.Config.Image}}}}' {watched.container('monitor')}").strip()
    families = "--sysctl net.ipv6.conf.all.disable_ipv6=0 --sysctl net.ipv6.conf.lo.disable_ipv6=0"
    families += " --add-host localhost:::1"
    limits = "--memory 96m --memory-swap 96m --cap-drop ALL"
    run = f"docker run --rm -i {limits} --network none {families} --entrypoint python3 {image} -c"
    said = watched.on_server(f'{run} "{unpack}"', stdin=files)
    result = json.loads(said.splitlines()[-1])
    assert result["trouble"] == []
    assert result["quiet"] == []  # while all was well
    assert set(result["told"]) == ALL
    wrong = {
        name: ways
        for name, ways in result["told"].items()
        # Twice provoked: by itself, and for somebody to refuse it.
        if name != "JobFailed"
        and any(ways.get(way) != {"firing": 1, "resolved": 1} for way in ("mail", "hook", "ntfy"))
    }
    assert wrong == {}
    assert result["beats"] > 10
    assert "All is well." in result["page"] or "alert" in result["page"]


def test_a_monitor_that_leaves_the_stack_file_leaves_nothing_on_its_host(watched: Hive) -> None:
    for name in ("monitor", "day"):
        del watched.settings["apiary:applications"][name]
    del watched.settings["apiary:alerts"]
    watched.settings["apiary:servers"]["web1"]["dns"]["web"].remove("stats.example.net")
    watched.up()
    left = (
        "ls /etc/systemd/system/apiary-node-exporter* /etc/systemd/system/apiary-facts* /usr/local/sbin/apiary-monitor "
    )
    left += "/var/lib/apiary/metrics/containers.prom /var/lib/apiary/monitor/host/* 2>/dev/null || true"
    assert watched.on_server(left) == ""
    assert watched.on_server("systemctl list-units --all --plain --no-legend 'apiary-facts*' 'apiary-node*'") == ""
    assert watched.on_server("pgrep -x prometheus-node || true") == ""  # the kernel's fifteen letters of it
    watched.expect_no_changes()
