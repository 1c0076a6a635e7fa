"""A hive that tells how it is: what a monitor sees of a real server, each alert told once and over, and its page.

It gives the hive back as it was.
"""

from __future__ import annotations

import copy
import datetime
import json
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab import control
from tests.lab.browser import browser
from tests.lab.hive import LABEL, Hive, until
from tests.lab.inbox import HTTP, SMTP

# Two more updates of a hive of two servers, and minutes in which alerts come and go.
pytestmark = pytest.mark.soak
HERE = Path(__file__).parent
PAGE = "http://stats.example.net/"
# A file system of the test's own: that of a server in the lab is the whole machine's, which others fill and empty.
DISK = "/srv/watched"
MOUNT = f"""\
mkdir -p {DISK} /run/watched && mount -t tmpfs -o size=64m none /run/watched && cd /run/watched
mkdir lower upper work
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay {DISK} && chmod 755 {DISK}
"""
INTERVAL = 3  # seconds between two looks
SECRET = "whoever-knows-this-may-write"  # the way of an address
# What answers inside the monitor's container, asked from there.
ASK = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=10).read().decode())"
MEBIBYTES = 120
FACTS = """
import re, runpy, sys
sys.argv = ["apiary-monitor", "facts"]
try:
    runpy.run_path("/usr/local/sbin/apiary-monitor", run_name="__main__")
except SystemExit as end:
    assert not end.code
print(re.search("Pss_Anon: *([0-9]+)", open("/proc/self/smaps_rollup").read())[1])
"""
ALL = {
    "AlertsNotDelivered",
    "BackupFailed",
    "BackupLate",
    "CertificateExpires",
    "ContainerDown",
    "ContainerRestarts",
    "DiskGone",
    "DiskWillBeFull",
    "DrillFailed",
    "DrillLate",
    "JobFailed",
    "JobMissed",
    "ManagersAway",
    "MemoryShort",
    "MonitorBlind",
    "PrivatePortDown",
    "ProxyDown",
    "ReplicasDown",
    "ReplicasMissing",
    "ReplicasRestart",
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

    def beats(self) -> int:
        """How often the heart has beaten."""
        return sum(one["way"] == SECRET for one in self.read())

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
    """The hive of two servers, with a monitor on web1 that looks often, at one disk alone, and its page."""
    before = copy.deepcopy(two.settings)
    here = two.own_address("-4")
    two.on_server(MOUNT)
    two.settings["apiary:servers"]["web1"]["dns"]["web"].append("stats.example.net")
    two.settings["apiary:applications"] |= {
        "monitor": {
            "server": "web1",
            "build_dir": "Monitor",
            "env": {"interval": INTERVAL, "disks": DISK},
            "memory": "100m",
            "volumes": ["metrics:/var/lib/monitor", "haproxycfg:/etc/haproxy:ro", "day:/srv/site"],
            "backup": False,
        },
        "day": {
            "server": "web1",
            "build_dir": "NginxStatic",
            "env": {"domains": ["stats.example.net"], "http_port": 8080, "password": "_day^adminpass"},
            "volumes": ["day:/srv/site:ro"],
        },
    }
    two.settings["apiary:applications"]["asker"]["reach"].append("monitor")
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
    two.warned = ["server db1 has no monitor"]
    assert two.warned[0] in two.up().output
    yield two
    two.settings, two.warned = before, []
    two.up()
    two.on_server(f"umount {DISK}")


@pytest.fixture(scope="module")
def busy(watched: Hive) -> Hive:
    """The same, with a job by the clock that can fail, whose files are saved on the other server."""
    watched.settings["apiary:jobs"]["chore"] = {
        "server": "web1",
        "image": "debian:bookworm-slim",
        "command": ["sh", "-c", "test ! -e /data/fail"],
        "volumes": ["chore:/data"],
    }
    watched.settings["apiary:applications"]["scheduler"] = {
        "server": "web1",
        "build_dir": "JobScheduler",
        "env": {"run_chore": "+chore", "when_chore": "30 4 1 * *"},
    }
    watched.settings["apiary:backups"] = {"repository": {"server": "db1"}}
    watched.up()
    return watched


def asked(hive: Hive, path: str, port: int = 9090) -> str:
    """What answers inside the monitor's container."""
    return hive.on_server(f'docker exec {hive.container("monitor")} python3 -c "{ASK}" "http://127.0.0.1:{port}{path}"')


def figures(hive: Hive, query: str) -> list[dict[str, Any]]:
    """The series that Prometheus answers with."""
    found: list[dict[str, Any]] = json.loads(asked(hive, f"/api/v1/query?query={query}"))["data"]["result"]
    return found


def test_nobody_is_alarmed_while_all_is_well_and_the_heartbeat_goes_on(watched: Hive, told: Told) -> None:
    first = told.beats()
    until(lambda: told.beats() >= first + 4, 60, "the heart beats")
    assert [one for one in told.read() if one["way"] != SECRET] == []


def test_a_site_that_is_down_is_told_once_over_both_families_with_what_to_type(watched: Hive, told: Told) -> None:
    echo = watched.container("echo")
    watched.on_server(f"docker pause {echo}")
    mail = told.expect_once("http://echo.example.net/ does not answer over IPv6")
    assert told.expect_once("http://echo.example.net/ does not answer over IPv4") == mail
    assert mail["to"] == "owner@example.com"
    assert "curl -4 -v https://echo.example.net/ ; curl -6 -v https://echo.example.net/" in mail["text"]
    assert "docs/operations.md#a-site-is-down" in mail["text"]
    watched.on_server(f"docker unpause {echo}")
    told.expect_once("http://echo.example.net/ does not answer over IPv6", over=True)


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
    # What asks Docker stays for a moment only: its size is told at its end.
    own["apiary-facts"] = int(watched.on_server(f"python3 -c {shlex.quote(FACTS)}")) / 1024
    print(f"MiB of apiary-facts: {own['apiary-facts']:.1f}")
    assert own["apiary-facts"] > 1
    assert sum(own.values()) < MEBIBYTES


def test_what_it_is_told_is_in_no_environment_and_not_in_plain_text_in_the_state(watched: Hive) -> None:
    monitor = watched.container("monitor")
    assert SECRET not in watched.on_server(f"docker inspect {monitor}")
    assert SECRET not in watched.output_of("stack", "export")
    assert SECRET in watched.on_server("cat /var/lib/apiary/monitor/host/watch.json")
    # The folder above lets nobody in but root.
    reader = "runuser -u nobody -- cat /var/lib/apiary/monitor/host/watch.json"
    assert SECRET not in watched.on_server(f"{reader} 2>&1 || true")


def test_the_page_of_a_day_is_behind_a_password_and_is_seen_in_a_browser(watched: Hive, tmp_path: Path) -> None:
    assert watched.get(PAGE, "-6")[0] == 401
    password = watched.passwords()["day/adminpass"]
    own = PAGE.replace("://", f"://admin:{password}@")
    with browser(watched.paths.name("prober")) as chromium:
        shown = ""

        def drawn() -> bool:
            nonlocal shown
            shown = chromium.text(own)
            return all(re.search(known, shown) for known in (r"memory in use</span><b[^>]*>\d+ %", r"<b>\d+\.\d\d %"))

        until(drawn, 120, "the page shows figures")
        for word in ("web1 of lab", "example.com", "echo.example.net", "IPv6", f"disk {DISK}", "visits"):
            assert word in shown
        assert "<script" not in shown
        picture = chromium.picture(own, tmp_path / "day.png", size="1280,1000")
    print(f"the page as it is seen: {picture}")


def test_the_playbook_s_second_run_and_a_second_update_change_nothing(busy: Hive) -> None:
    busy.expect_bootstrapped()
    busy.expect_no_changes()


def test_every_site_is_asked_over_both_families_and_all_that_it_asks_answers(watched: Hive) -> None:
    def well() -> bool:
        ups = {one["metric"]["job"]: one["value"][1] for one in figures(watched, "up")}
        return set(ups) == {"host", "proxy", "alertmanager", "sites", "peers", "servers"} and set(ups.values()) == {"1"}

    until(well, 60, "everything answers")
    sites = {
        (one["metric"]["domain"], one["metric"]["family"]): one["value"][1]
        for one in figures(watched, "probe_success%7Bjob=%22sites%22%7D")
    }
    domains = ["example.com", "echo.example.net", "stats.example.net"]
    assert sites == {(domain, family): "1" for domain in domains for family in ("IPv4", "IPv6")}
    (server,) = figures(watched, "probe_success%7Bjob=%22servers%22%7D")
    assert (server["metric"]["peer"], server["value"][1]) == ("db1", "1")
    (peer,) = figures(watched, "probe_success%7Bjob=%22peers%22%7D")
    assert (peer["metric"]["peer"], peer["metric"]["application"], peer["value"][1]) == ("db1", "ledger", "1")

    def known() -> bool:
        up = figures(watched, "apiary_container_up")
        running = {one["metric"]["application"] for one in up if one["value"][1] == "1"}
        return running >= {"haproxy", "site", "echo", "monitor", "day"}

    until(known, 60, "the host has told of its containers, as it does every 15 s")
    mounts = {one["metric"]["mountpoint"] for one in figures(watched, "node_filesystem_size_bytes")}
    assert mounts == {DISK}


def test_a_container_that_is_stopped_is_told(watched: Hive, told: Told) -> None:
    echo = watched.container("echo")
    watched.on_server(f"docker stop {echo}")
    told.expect_once("echo does not run")
    # Nobody visits it but the monitor and the proxy.
    told.expect_once("of the last answers of echo more than one in twenty were errors")
    watched.on_server(f"docker start {echo}")
    told.expect_once("echo does not run", over=True)
    told.expect_once("of the last answers of echo more than one in twenty were errors", over=True)


def test_a_proxy_that_is_down_is_told_in_place_of_its_sites(watched: Hive, told: Told) -> None:
    before = len(told.of("mail", "does not answer over"))
    proxy = watched.container("haproxy")
    watched.on_server(f"docker stop {proxy}")
    mail = told.expect_once("the proxy of web1 does not answer")
    assert "make run JOB=web1:hasetup STACK=lab" in mail["text"]
    told.expect_once("haproxy does not run")
    watched.on_server(f"docker start {proxy}")
    told.expect_once("the proxy of web1 does not answer", over=True)
    told.expect_once("haproxy does not run", over=True)
    assert len(told.of("mail", "does not answer over")) == before


def test_a_private_port_and_a_server_that_answer_no_more_are_told_by_the_other_server(
    watched: Hive, told: Told
) -> None:
    ledger = watched.container("ledger", server="db1")
    watched.on_server(f"docker stop {ledger}", server="db1")
    mail = told.expect_once("ledger of db1 does not answer at its private port")
    assert "on db1 docker ps -a" in mail["text"]
    # It is alive: it answers a ping.
    assert told.of("mail", "db1 answers neither") == []
    watched.on_server(f"docker start {ledger}", server="db1")
    told.expect_once("ledger of db1 does not answer", over=True)
    db1 = f"/instances/{LABEL}db1"
    control.request(watched.paths, "POST", f"{db1}/halt")
    mail = told.expect_once("db1 answers neither a ping nor at a private port")
    assert "make revive SERVER=db1 STACK=lab" in mail["text"]
    control.request(watched.paths, "POST", f"{db1}/start")
    told.expect_once("db1 answers neither a ping nor at a private port", over=True, seconds=240)
    # The server in place of its port, not beside it.
    assert len(told.of("mail", "ledger of db1 does not answer at")) == 1


def test_a_job_that_fails_is_told_and_is_over_when_it_has_succeeded(busy: Hive, told: Told) -> None:
    files, job = "/var/lib/docker/volumes/chore/_data", busy.job("chore")
    busy.on_server(f"touch {files}/fail && docker start {job}")
    told.expect_once("the job chore has ended with status 1")
    busy.on_server(f"rm {files}/fail && docker start {job}")
    told.expect_once("the job chore has ended with status", over=True)


def test_a_job_that_the_clock_can_t_start_is_told_until_it_has_run(busy: Hive, told: Told) -> None:
    busy.on_server(f"docker rm {busy.job('chore')}")
    mail = told.expect_once("the job chore has not been started at its time")
    assert "make start JOB=web1:chore STACK=lab" in mail["text"]
    busy.operations("run", "web1:chore")
    told.expect_once("the job chore has not been started at its time", over=True)


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


def test_a_disk_that_will_be_full_is_told(watched: Hive, told: Told) -> None:
    watched.on_server(f"dd if=/dev/zero of={DISK}/much bs=1M count=62")
    mail = told.expect_once(f"{DISK} of web1 will be full within a day")
    assert "on web1 df -h" in mail["text"]
    watched.on_server(f"rm {DISK}/much")
    told.expect_once(f"{DISK} of web1 will be full within a day", over=True)


def test_a_disk_that_is_gone_is_told(watched: Hive, told: Told) -> None:
    watched.on_server(f"umount {DISK}")
    told.expect_once(f"nothing is mounted at {DISK} of web1")
    watched.on_server("umount /run/watched && rm -rf /run/watched; " + MOUNT)
    told.expect_once(f"nothing is mounted at {DISK} of web1", over=True)


def test_memory_that_is_short_is_told(watched: Hive, told: Told) -> None:
    """The server is shown memory of its own, as one in a container may be; it has that of the whole machine."""
    short = "sed 's/^MemAvailable:.*/MemAvailable: 1024 kB/' /proc/meminfo > /run/meminfo"
    watched.on_server(f"{short} && mount --bind /run/meminfo /proc/meminfo")
    mail = told.expect_once("of the memory of web1 hardly any is left", seconds=240)
    assert "on web1 docker stats --no-stream" in mail["text"]
    watched.on_server("umount /proc/meminfo")
    told.expect_once("of the memory of web1 hardly any is left", over=True)


def patience(hive: Hive, **seconds: int) -> None:
    """Have the monitor be told shorter times than the hours that a stack file gives, of the figures that there are."""
    change = (
        "import json, sys; path = '/var/lib/apiary/monitor/host/watch.json'; told = json.load(open(path));"
        "told['backups'].update(json.load(sys.stdin));"
        "import subprocess; subprocess.run(['apiary-monitor', 'tell'], input=json.dumps(told), text=True, check=True)"
    )
    hive.on_server(f'python3 -c "{change}"', stdin=json.dumps(seconds))


def test_backups_and_rehearsals_that_are_late_or_fail_are_told(busy: Hive, told: Told) -> None:
    before = json.loads(busy.on_server("cat /var/lib/apiary/monitor/host/watch.json"))["backups"]
    assert before["late"] > 86400
    late, rehearsed = "there is no backup of volume:chore on web1 that is young enough", "no restore has been rehearsed"
    failed, not_proved = "the last backup of volume:chore on web1 has failed", "the rehearsal of a restore on web1"
    busy.on_server("apiary-backups run && apiary-backups drill")
    patience(busy, late=30, drill_late=30)
    mail = told.expect_once(late)
    assert "make backup STACK=lab" in mail["text"]
    told.expect_once(rehearsed)
    patience(busy, **before)
    told.expect_once(late, over=True)
    told.expect_once(rehearsed, over=True)
    # Where they go does not answer.
    busy.on_server("systemctl stop ssh.socket ssh.service", server="db1")
    try:
        busy.on_server("apiary-backups run", check=False)
        mail = told.expect_once(failed)
        reason = json.loads(busy.on_server("cat /var/lib/apiary/backups/last/volume:chore.json"))["reason"]
        assert " ".join(reason.split())[:150] in mail["text"]
        assert "on web1 journalctl -u apiary-backups -n 50" in mail["text"]
        busy.on_server("apiary-backups drill", check=False)
        told.expect_once(not_proved)
    finally:
        busy.on_server("systemctl start ssh.service", server="db1")
    busy.on_server("apiary-backups run && apiary-backups drill")
    told.expect_once(failed, over=True)
    told.expect_once(not_proved, over=True)


def test_a_monitor_that_learns_nothing_of_its_host_says_so(watched: Hive, told: Told) -> None:
    units = "apiary-node-exporter.socket apiary-node-exporter.service"
    watched.on_server(f"systemctl stop {units}")
    told.expect_once("the monitor of web1 learns nothing of its host")
    watched.on_server("systemctl start apiary-node-exporter.socket")
    told.expect_once("the monitor of web1 learns nothing of its host", over=True)


def test_the_heart_stops_with_the_chain_and_beats_again(watched: Hive, told: Told) -> None:
    seen, since = told.beats(), time.monotonic()

    def silent() -> bool:
        nonlocal seen, since
        if (now := told.beats()) != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > 8 * INTERVAL

    # Fifteen letters are what the kernel keeps of a program's name.
    watched.on_server("pkill -STOP -x prometheus-aler")
    try:
        until(silent, 120, "it stops")
    finally:
        watched.on_server("pkill -CONT -x prometheus-aler")
    until(lambda: told.beats() >= seen + 3, 60, "it beats again")


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
    pids = f"$(docker top {monitor} -o pid | tail -n +2) $(systemctl show -P MainPID apiary-node-exporter.service)"
    rights = watched.on_server(f"for p in {pids}; do awk '/^(Uid|CapEff):/ {{print $2}}' /proc/$p/status; done").split()
    users, capabilities = rights[::2], rights[1::2]
    assert len(users) >= 5
    assert "0" not in users
    assert {int(one, 16) for one in capabilities} == {0}
    # Debian's own unit would listen there.
    assert "9100" not in watched.on_server("ss -ltn")


def certificates(folder: Path, *names: str) -> None:
    """An authority, and two certificates for these names: one that ends soon."""
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
            said = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
            builder = builder.add_extension(said, critical=False)
        return key, builder.sign(issuer[0] if issuer else key, hashes.SHA256())

    authority = made("authority", 100, None)
    (folder / "authority.pem").write_bytes(authority[1].public_bytes(serialization.Encoding.PEM))
    for name, days in (("short", 5), ("long", 60)):
        key, certificate = made(names[0], days, authority)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)


def test_each_alert_provoked_arrives_once_by_every_way_and_is_over(watched: Hive, tmp_path: Path) -> None:
    """The same image and programs, on figures that are made beside them (provoked.py)."""
    certificates(tmp_path, "localhost")
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
    limits = "--memory 100m --memory-swap 100m --cap-drop ALL"
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


def test_a_certificate_that_expires_is_told(watched: Hive, told: Told, tmp_path: Path) -> None:
    sites = ["example.com", "echo.example.net", "stats.example.net"]
    certificates(tmp_path, *sites, *(f"www.{site}" for site in sites))
    watched.settings["apiary:applications"]["haproxy"]["ports"] = [80, 443]
    watched.settings["apiary:applications"]["monitor"]["env"]["ca"] = (tmp_path / "authority.pem").read_text()
    own = watched.settings["apiary:jobs"]["hasetup"]["env"]
    own["certificate_own"] = (tmp_path / "short.pem").read_text()
    watched.up()
    mail = told.expect_once("the certificate of echo.example.net ends in less than 14 days")
    assert "make run JOB=web1:certbot STACK=lab" in mail["text"]
    own["certificate_own"] = (tmp_path / "long.pem").read_text()
    watched.up()
    told.expect_once("the certificate of echo.example.net ends in less than 14 days", over=True)


def test_a_release_and_a_reboot_repeat_nothing_lose_no_end_and_alarm_of_nothing_else(busy: Hive, told: Told) -> None:
    files, summary = "/var/lib/docker/volumes/chore/_data", "the job chore has ended with status 1"
    # As fast as it looks by then, a server that starts is not down.
    busy.settings["apiary:applications"]["monitor"]["env"] = {"interval": 15}
    busy.up()
    busy.on_server(f"touch {files}/fail && docker start {busy.job('chore')}")
    known = len(told.of("mail", summary))
    until(lambda: len(told.of("mail", summary)) == known + 1, 240, "the job is told of")
    until(lambda: len(told.of("ntfy", summary)) == len(told.of("hook", summary)) == known + 1, 60, "by all ways")

    def others() -> list[dict[str, Any]]:
        return [one for one in told.read() if one["way"] != SECRET]

    before = others()
    old = busy.container("monitor")
    docstring = busy.program / "images" / "Monitor" / "monitor" / "__init__.py"
    docstring.write_text(docstring.read_text() + '\n"""Another release."""\n')
    busy.up()
    assert busy.container("monitor") != old
    seen = told.beats()
    until(lambda: told.beats() >= seen + 5, 400, "the heart beats for long enough to be told again")
    assert others() == before
    busy.reboot()
    until(lambda: busy.on_server("docker ps -q", check=False), 240, "web1 is back")
    busy.on_server(f"rm {files}/fail && docker start {busy.job('chore')}")
    until(lambda: len(told.of("mail", "the job chore has ended", over=True)) > 0, 400, "it is told to be over")
    seen = told.beats()
    until(lambda: told.beats() >= seen + 8, 400, "the heart beats for long enough for anything else")
    rest = [one for one in others() if one not in before]
    assert sorted(one["way"] for one in rest) == ["hook", "mail", "ntfy"], rest
    assert told.of("mail", "the job chore has ended", over=True)[-1] in rest


def test_a_monitor_that_leaves_the_stack_file_leaves_nothing_on_its_host(busy: Hive) -> None:
    del busy.settings["apiary:backups"], busy.settings["apiary:jobs"]["chore"]
    for name in ("monitor", "day", "scheduler"):
        del busy.settings["apiary:applications"][name]
    del busy.settings["apiary:alerts"]
    busy.settings["apiary:servers"]["web1"]["dns"]["web"].remove("stats.example.net")
    busy.up()
    left = (
        "ls /etc/systemd/system/apiary-node-exporter* /etc/systemd/system/apiary-facts* /usr/local/sbin/apiary-monitor "
    )
    left += "/var/lib/apiary/metrics/containers.prom /var/lib/apiary/monitor/host/* 2>/dev/null || true"
    assert busy.on_server(left) == ""
    assert busy.on_server("systemctl list-units --all --plain --no-legend 'apiary-facts*' 'apiary-node*'") == ""
    assert busy.on_server("pgrep -x prometheus-node || true") == ""  # the kernel's fifteen letters of it
    busy.expect_no_changes()
