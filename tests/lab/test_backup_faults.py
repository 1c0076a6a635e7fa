"""Whatever is wrong with the repository, or in it, is told by the line that was typed and to Prometheus, in bounded
time; what serves is not touched, and what is saved by then stays whole.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import stores
from lab.shell import docker
from tests.lab.hive import Hive, until
from tests.lab.test_backups import ALL, expect_kept, keep, serves

pytestmark = pytest.mark.soak

DATABASES = [item for item in ALL if item.startswith("database:")]
BOUND = 900.0  # seconds, of one line
# On the server: saves the beginning of a dump as if it were all of it.
TRUNCATED = """
import sys
sys.path.insert(0, "/usr/local/lib/apiary")
from apiary_backups import config, docker, restic
from apiary_backups.engines import BY_NAME
from apiary_backups.items import Item
told = config.read()
item = Item.parse(sys.argv[1])
dump = BY_NAME[told.databases[item.name].engine].dump(docker.running(told.stack, item.name).id, item.database)
restic.Restic(told).save_output(item, ["sh", "-c", '"$@" | head -c 600', "-", *dump])
"""
# Holds a lock until it is killed.
LOCKED = """
import subprocess, sys, time
sys.path.insert(0, "/usr/local/lib/apiary")
from apiary_backups import config, restic
repository = restic.Restic(config.read())
held = subprocess.Popen(repository.calls.command("backup", "--stdin", "--stdin-filename", "x"),
                        env=repository.calls.environment(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
while not repository._locks():
    time.sleep(0.2)
held.kill()
held.wait()
print(*repository._locks())
"""
EMPTIED = """
ALTER DATABASE guestbook CONNECTION LIMIT 0;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'guestbook';
ALTER DATABASE guestbook RENAME TO aside;
CREATE DATABASE guestbook OWNER guestbook;
"""
FULL_AGAIN = """
DROP DATABASE guestbook WITH (FORCE);
ALTER DATABASE aside RENAME TO guestbook;
ALTER DATABASE guestbook CONNECTION LIMIT -1;
"""
PACKS = "/data/hive/web1/data"


@pytest.fixture(scope="module")
def kept(saved: Hive) -> Hive:
    """The hive with a note that is saved and proved."""
    until(lambda: serves(saved), 120, "the sites are served")
    keep(saved, "before the faults")
    saved.operations("backup")
    saved.operations("drill")
    return saved


@pytest.fixture(autouse=True)
def whole(kept: Hive) -> Iterator[None]:
    """After each fault all is as before: the same lines are well again, and the repository is sound."""
    yield
    stores.fault(kept.paths, "s3", "whole")
    expect_kept(kept, "before the faults")
    assert kept.operations("backup").returncode == 0
    assert set(statuses(kept).values()) == {1}


@contextmanager
def fault(hive: Hive, how: str) -> Iterator[None]:
    stores.fault(hive.paths, "s3", how)
    try:
        yield
    finally:
        stores.fault(hive.paths, "s3", "whole")


def said(hive: Hive, *line: str) -> str:
    """What a line says that fails, as it must, in time."""
    begun = time.monotonic()
    done = hive.operations(*line, check=False)
    print(f"`{' '.join(line)}`: status {done.returncode} after {time.monotonic() - begun:.0f} s")
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-3000:]
    assert time.monotonic() - begun < BOUND
    return done.stdout + done.stderr


def metrics(hive: Hive) -> str:
    return hive.on_server("cat /var/lib/apiary/metrics/backups.prom")


def statuses(hive: Hive) -> dict[str, int]:
    """What Prometheus is told of the last run of each item."""
    found = re.findall(r'^apiary_backup_last_status\{item="(.*)"\} (\d)$', metrics(hive), re.MULTILINE)
    return {item: int(status) for item, status in found}


def last_success(hive: Hive) -> set[str]:
    return set(re.findall(r"^apiary_backup_last_success_timestamp_seconds.*$", metrics(hive), re.MULTILINE))


def expect_drill_failed(hive: Hive, words: str, *items: str) -> None:
    """The rehearsal says why, on the line, in its record and to Prometheus; of these items, or of all."""
    output = said(hive, "drill")
    assert re.search(words, output), output[-3000:]
    assert "apiary_drill_status 0" in metrics(hive)
    told = json.loads(hive.on_server("cat /var/lib/apiary/backups/drill.json"))
    assert told["status"] == "failed"
    if items:
        assert {name for name, one in told["items"].items() if one["status"] != "ok"} >= set(items)
    assert hive.on_server("docker ps -aq --filter label=apiary.drill") == ""


@pytest.mark.parametrize("how", ["gone", "silent"])
def test_a_repository_that_does_not_answer(kept: Hive, how: str) -> None:
    before = last_success(kept)
    with fault(kept, how):
        assert re.search("has not answered|does not answer", said(kept, "backup"))
        assert statuses(kept) == dict.fromkeys(ALL, 0)
        assert last_success(kept) == before, "the last good ones are forgotten"
        expect_drill_failed(kept, "has not answered|does not answer")
        page = kept.operations("backups", check=False)
        assert page.returncode == 1
        assert re.search("has not answered|does not answer", page.stdout + page.stderr)


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_repository_that_takes_nothing(kept: Hive, how: str) -> None:
    kept.on_server(
        f"docker exec -u 0 {kept.container('files')} sh -c 'head -c 4000000 /dev/urandom > /srv/uploads/random'"
    )
    with fault(kept, how):
        output = said(kept, "backup")
        assert re.search(r"volume:uploads: failed: .*(takes or gives nothing|restic backup)", output), output[-3000:]
        assert statuses(kept)["volume:uploads"] == 0
        assert serves(kept), "what stood still for the backup does not serve again"
        # What is there can be had all the same.
        kept.operations("restore", "uploads", "--to", f"look-{how}", "--yes")
    kept.on_server(f"docker exec -u 0 {kept.container('files')} rm /srv/uploads/random")


def test_a_slow_repository(kept: Hive) -> None:
    begun = time.monotonic()
    with fault(kept, "slow"):
        done = kept.operations("backup", check=False)
    print(f"a hundredth of a processor: status {done.returncode} after {time.monotonic() - begun:.0f} s")
    assert time.monotonic() - begun < BOUND
    # How slow is too slow is the machine's; that it is told as it was is not.
    failed = {item for item, status in statuses(kept).items() if status == 0}
    assert (done.returncode == 0) == (not failed), failed
    for item in failed:
        why = rf"{re.escape(item)}: failed: .*(has not answered|takes or gives nothing)"
        assert re.search(why, done.stdout + done.stderr), item


def test_a_lock_of_a_dead_run_holds_up_nothing(kept: Hive) -> None:
    assert kept.on_server("python3 -", stdin=LOCKED).split()
    assert kept.operations("backup").returncode == 0
    assert kept.on_server("python3 -", stdin=LOCKED).split()
    assert kept.operations("drill").returncode == 0


def test_a_wrong_password(kept: Hive) -> None:
    file = "/etc/apiary/backups.json"
    kept.on_server(f'cp -p {file} {file}.true; sed -i \'s/"RESTIC_PASSWORD": "/&wrong/\' {file}')
    try:
        assert "password does not open" in said(kept, "backup")
        assert statuses(kept) == dict.fromkeys(ALL, 0)
        expect_drill_failed(kept, "password does not open")
    finally:
        kept.on_server(f"mv {file}.true {file}")


def test_a_corrupt_pack_file(kept: Hive) -> None:
    store = kept.paths.name("store-s3")
    spoil = f"""
cp -a {PACKS} /data/aside
find {PACKS} -type f | while read -r file; do
  size=$(stat -c %s "$file")
  head -c 64 /dev/urandom | dd of="$file" bs=1 seek=$((size / 3)) conv=notrunc status=none
done"""
    docker("exec", store, "bash", "-c", spoil, step="spoiling packs")
    kept.on_server("rm -rf /var/cache/apiary-backups/*")
    try:
        expect_drill_failed(kept, "failed: ", *DATABASES)
        # And what is there stays, since what is saved can't be had.
        assert said(kept, "restore", "web1:postgres/guestbook", "--yes")
        expect_kept(kept, "before the faults")
        assert kept.on_server("ls /var/lib/apiary/backups/journal.json 2>/dev/null", check=False) == ""
    finally:
        docker("exec", store, "bash", "-c", f"rm -rf {PACKS}; mv /data/aside {PACKS}", step="whole packs")
        kept.on_server("rm -rf /var/cache/apiary-backups/*")


@pytest.mark.parametrize("item", DATABASES)
def test_a_truncated_dump(kept: Hive, item: str) -> None:
    kept.on_server(f"python3 - '{item}'", stdin=TRUNCATED)
    expect_drill_failed(kept, f"{item}: failed: .*breaks off before its end", item)
    assert "breaks off before its end" in said(kept, "restore", item.replace("database:", "web1:database:"), "--yes")
    expect_kept(kept, "before the faults")


def test_an_empty_database(kept: Hive) -> None:
    psql = f"docker exec -i {kept.container('postgres')} psql -U postgres -v ON_ERROR_STOP=1"
    kept.on_server(psql, stdin=EMPTIED)
    try:
        assert re.search("database:postgres:guestbook: .*suspicious: it has no tables any more", said(kept, "backup"))
        assert statuses(kept)["database:postgres:guestbook"] == 0
        expect_drill_failed(kept, "there are no tables in it", "database:postgres:guestbook")
    finally:
        kept.on_server(psql, stdin=FULL_AGAIN)
        until(lambda: serves(kept), 60, "the sites are served")
