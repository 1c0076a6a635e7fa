"""A first update that was killed is finished, and data outlive their server: what visitors have written is there after
a rebuild, and after a death as of the last backup, at the same addresses; without a repository nothing is touched.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import dataclass

import pytest

from lab import stores
from tests.lab.hive import LABEL, Hive, until
from tests.lab.test_rebuild import addresses, expect_addresses_answered, own_network, records

# A hive of its own whose server starts five times. What is central is shown beside a swarm: test_swarm_data.
pytestmark = pytest.mark.soak
SITES = ("guestbook.example.net", "diary.example.net")
DEBIAN_13 = 2625
ALL = ["database:mariadb:shared", "database:postgres:guestbook", "roles:mariadb", "roles:postgres",
       "volume:haproxycfg", "volume:uploads"]  # fmt: skip

# Runs in the prober: writes one note after the other, and prints those that were confirmed.
WRITER = """
import http.client, os, socket, sys, time
host, flag = sys.argv[1:]
number = 0
while not os.path.exists(flag):
    number += 1
    try:
        address = socket.getaddrinfo(host, 80, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
        connection = http.client.HTTPConnection(address, 80, timeout=5)
        connection.request("POST", "/", body=f"row {number}".encode(), headers={"Host": host})
        if connection.getresponse().status == 201:
            print(number, flush=True)
        connection.close()
    except (OSError, http.client.HTTPException):
        time.sleep(0.2)
    time.sleep(0.05)
"""


@dataclass
class Writer:
    """A visitor who writes without a pause."""

    process: subprocess.Popen[str]
    flag: str
    hive: Hive

    @classmethod
    def begin(cls, hive: Hive, site: str) -> Writer:
        flag = f"/tmp/stop-{time.monotonic_ns()}"
        return cls(hive.in_prober("python3", "-c", WRITER, site, flag), flag, hive)

    def stop(self) -> set[str]:
        """The rows that were confirmed."""
        self.hive.prober("touch", self.flag)
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, err
        return {f"row {number}" for number in out.split()}


def keep(hive: Hive, note: str) -> None:
    """Have both sites keep a note, and a file of the same name."""
    for site in SITES:
        status, body = hive.get(f"http://{site}/", "-6", "--data", note)
        assert status == 201, f"{site}: {status} {body}"
    hive.on_server(f'docker exec -u 0 {hive.container("files")} sh -c \'echo "{note}" > "/srv/uploads/{note}"\'')


def files(hive: Hive) -> list[str]:
    return hive.on_server(f"docker exec {hive.container('files')} ls /srv/uploads").splitlines()


def rows(hive: Hive, name: str) -> set[str]:
    """Every note of a site, from its database: the site shows the last hundred."""
    server, shown = {
        "guestbook": ("postgres", "psql --username postgres --dbname guestbook -Atc 'SELECT note FROM notes'"),
        "diary": ("mariadb", "mariadb --user=mysql --batch --skip-column-names -e 'SELECT note FROM shared.notes'"),
    }[name]
    return set(hive.on_server(f"docker exec {hive.container(server)} {shown}").splitlines())


def expect_kept(hive: Hive, note: str) -> None:
    for site in SITES:
        status, body = hive.get(f"http://{site}/", "-4")
        assert status == 200, f"{site}: {status} {body}"
        assert note in rows(hive, site.partition(".")[0]), f"{site} has lost {note!r}"
    assert note in files(hive)


def serves(hive: Hive) -> bool:
    return all(hive.get(f"http://{site}/", "-4")[0] == 200 for site in SITES)


def test_a_first_update_that_was_killed_is_finished_makes_the_repository_and_says_that_nothing_was_there(
    first_saved: tuple[Hive, str],
) -> None:
    saved, said = first_saved
    assert serves(saved)
    assert "made the repository at s3:https://s3.lab.internal/hive/web1" in said
    assert "volume:uploads: nothing was ever saved of it" in said
    assert saved.outputs()["backups"]["web1"]["left out"] == dict.fromkeys(
        ("mariadbdata", "pgdata"), "files of a database server; its databases are dumped"
    )
    assert "backups are due at *-*-* 02:17:00" in said
    assert saved.on_server("systemctl is-active apiary-backups.timer").strip() == "active"
    saved.expect_nothing_left()
    saved.expect_no_changes()
    saved.expect_bootstrapped()
    expect_addresses_answered(saved, SITES[0])


def test_the_password_is_nowhere_in_plain_text(saved: Hive) -> None:
    state = json.loads(saved.output_of("stack", "export", "--show-secrets"))["deployment"]["resources"]
    [password] = [one for one in state if one["urn"].endswith("::backups-password")]
    assert password["protect"]
    secret = json.loads(password["outputs"]["result"]["plaintext"])
    assert secret not in saved.output_of("stack", "export")
    assert saved.on_server("stat -c %a /etc/apiary/backups.json").strip() == "600"
    assert secret in saved.on_server("cat /etc/apiary/backups.json"), "what is looked for is not what is used"


def test_a_backup_by_hand_saves_all_and_the_list_shows_it(saved: Hive) -> None:
    keep(saved, "of the first day")
    done = saved.operations("backup")
    assert "6 of 6 saved" in done.stdout
    assert re.search(r"files stood still for \d", done.stdout)
    told = json.loads(saved.operations("backups", "--json").stdout)["web1"]
    assert [one["item"] for one in told["items"]] == ALL
    assert all(len(one["snapshots"]) == 1 and one["last"]["status"] == "ok" for one in told["items"])
    page = saved.operations("backups").stdout
    assert "left out: pgdata: files of a database server" in page
    metrics = saved.on_server("cat /var/lib/apiary/metrics/backups.prom")
    assert 'apiary_backup_last_status{item="database:postgres:guestbook"} 1' in metrics
    assert saved.on_server("ls /run/apiary-backups.lock && stat -c %a /run/apiary-backups").split()[-1] == "700"


def test_a_backup_by_the_clock_is_the_same_and_visitors_do_not_notice(saved: Hive) -> None:
    load = saved.load("guestbook.example.net", "/")
    saved.on_server("systemctl start apiary-backups.service")
    requests, failed = load.stop()
    assert requests > 10
    assert failed == []
    assert saved.on_server("systemctl show -p Result --value apiary-backups.service").strip() == "success"


# By site: the program that dumps its database, the tag of its snapshot, a statement in it, more than what pipes hold.
DUMPS = {
    "guestbook": (
        "pg_dump", "database:postgres:guestbook", "docker exec {postgres} psql -qU postgres guestbook -c",
        "CREATE TABLE ballast AS SELECT md5(i::text) || md5((-i)::text) AS t FROM generate_series(1, 600000) i",
    ),
    "diary": (
        "mariadb-dump", "database:mariadb:shared", "docker exec {mariadb} mariadb --user=mysql shared -e",
        "CREATE TABLE ballast AS SELECT concat(md5(seq), md5(-seq)) AS t FROM seq_1_to_600000",
    ),
}  # fmt: skip
# Has the run go on until the program dumps, and its reader stand still: `STOP`, or go on again: `CONT`.
HOLD = """
for _ in $(seq 2400); do pgrep -x {program} >/dev/null && break; sleep 0.05; done
pkill -{signal} -f -- '--tag [d]{tag}' && pgrep -x {program}
"""


@pytest.mark.parametrize("name", DUMPS)
def test_nobody_who_writes_waits_for_a_dump(saved: Hive, name: str) -> None:
    """It is held half-way, with whatever it has locked."""
    program, tag, client, ballast = DUMPS[name]
    client = client.format(**{server: saved.container(server) for server in ("postgres", "mariadb")})
    hold = HOLD.replace("{program}", program).replace("{tag}", tag[1:])
    saved.on_server(f'{client} "{ballast}"')
    saved.on_server("systemctl start --no-block apiary-backups.service")
    saved.on_server(hold.replace("{signal}", "STOP"))
    try:
        for number in range(10):
            answer = saved.get(f"http://{name}.example.net/", "-6", "--max-time", "3", "--data", f"held {number}")
            assert answer[0] == 201, f"{answer} while {program} has not ended"
        saved.on_server(f"pgrep -x {program}")  # all the while
    finally:
        saved.on_server(hold.replace("{signal}", "CONT"), check=False)
    running = "systemctl show -p ActiveState --value apiary-backups.service"
    until(lambda: saved.on_server(running).strip() in ("inactive", "failed"), 180, "the backup has ended")
    assert saved.on_server("systemctl show -p Result --value apiary-backups.service").strip() == "success"
    saved.on_server(f'{client} "DROP TABLE ballast"')
    saved.operations("backup", check=False)  # so much less than before is suspicious, once
    saved.operations("backup")


def test_without_its_repository_a_rebuild_is_refused_before_anything_is_touched(saved: Hive) -> None:
    instance = saved.on_server("cat /etc/apiary/instance")
    containers = saved.on_server("docker ps -q --no-trunc")
    stores.fault(saved.paths, "s3", "gone")
    with saved.changed() as settings:
        settings["apiary:servers"]["web1"]["os"] = DEBIAN_13
        done = saved.up(check=False)
    stores.fault(saved.paths, "s3", "whole")
    assert done.status != 0
    assert "does not answer" in done.output or "has not answered" in done.output, done.output[-3000:]
    assert saved.on_server("cat /etc/apiary/instance") == instance
    assert saved.on_server("docker ps -q --no-trunc") == containers
    assert serves(saved)


def test_a_rebuild_loses_nothing_that_was_confirmed_before_the_stop(saved: Hive) -> None:
    """To the next Debian, and so to another major version of both database servers; at the same addresses."""
    before, named, own = addresses(saved), records(saved), own_network(saved)
    keep(saved, "just before the rebuild")
    writers = {site.partition(".")[0]: Writer.begin(saved, site) for site in SITES}
    saved.settings["apiary:servers"]["web1"]["os"] = DEBIAN_13  # the stack stays there
    try:
        done = saved.up()
    finally:
        confirmed = {name: writer.stop() for name, writer in writers.items()}
    assert saved.on_server("cat /etc/debian_version").startswith("13")
    assert own_network(saved) != own
    assert addresses(saved) == before
    assert records(saved) == named
    assert not {step for step in done.resources() if "DnsRecord" in step or "DnsDomain" in step}
    for name, written in confirmed.items():
        assert len(written) > 20, "nothing was written meanwhile"
        assert not written - rows(saved, name), f"{name} has lost rows"
    assert re.search(r"database:postgres:guestbook: .* as of \d{4}-", done.output), done.output[-6000:]
    assert re.search(r"volume:uploads: .* as of \d{4}-", done.output)
    expect_kept(saved, "just before the rebuild")
    expect_kept(saved, "of the first day")
    keep(saved, "after the rebuild")
    expect_addresses_answered(saved, SITES[0])
    saved.expect_no_changes()
    saved.expect_nothing_left()


def test_another_region_is_another_disk_with_all_that_was_confirmed(saved: Hive) -> None:
    """A rebuild with addresses that change; what is planned: tests/engine/test_changes.py."""
    keep(saved, "in the first region")
    writers = {site.partition(".")[0]: Writer.begin(saved, site) for site in SITES}
    saved.settings["apiary:servers"]["web1"]["region"] = "ams"  # the stack stays there
    try:
        done = saved.up(check=False)  # it warns, as below
    finally:
        confirmed = {name: writer.stop() for name, writer in writers.items()}
    assert done.status == 0, done.output[-6000:]
    assert re.search(r"stays in region ewr: another address, of ams,\s+takes its place", done.output)
    [instance] = json.loads(saved.paths.region.read_text())["instances"].values()
    assert instance["region"] == "ams"
    until(lambda: serves(saved), 60, "the sites are served")
    for name, written in confirmed.items():
        assert len(written) > 20, "nothing was written meanwhile"
        assert not written - rows(saved, name), f"{name} has lost rows"
    assert re.search(r"volume:uploads: .* as of \d{4}-", done.output), done.output[-6000:]
    expect_kept(saved, "in the first region")
    saved.expect_no_changes()


def test_a_dead_server_comes_back_with_its_data_as_of_the_last_backup(saved: Hive) -> None:
    keep(saved, "of the first day")
    keep(saved, "before the last backup")
    saved.operations("backup")
    keep(saved, "too late")
    before, named = addresses(saved), records(saved)
    saved.lab("kill", f"{LABEL}web1")
    done = saved.operations("revive", "web1", "--yes")
    assert "volume:uploads: " in done.stdout
    until(lambda: serves(saved), 60, "the sites are served again")
    assert addresses(saved) == before
    assert records(saved) == named
    expect_kept(saved, "before the last backup")
    expect_kept(saved, "of the first day")
    for site in SITES:
        assert "too late" not in rows(saved, site.partition(".")[0])
    assert "too late" not in files(saved)
    keep(saved, "of the second life")
    saved.expect_no_changes()
    assert "6 of 6 saved" in saved.operations("backup").stdout
    assert saved.operations("prune").returncode == 0
