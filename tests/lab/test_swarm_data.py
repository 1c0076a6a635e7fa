"""A server of several dies with what it alone has: it comes back with all of its last backup and at its own addresses,
while the others serve. And a database that somebody has dropped comes back.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.lab.hive import LABEL, Hive, until
from tests.lab.test_rebuild import ADDRESSES, records
from tests.lab.test_swarm import addresses, expect_no_failures, load, nodes

SITE = "http://guestbook.example.net/"


def keep(three: Hive, note: str) -> None:
    """Have the site keep a note, and the volume a file of the same name."""
    status, body = three.get(SITE, "-6", "--data", note)
    assert status == 201, body
    inside = f"docker exec -u 0 {three.container('files', 'web3')}"
    three.on_server(f"{inside} touch '/srv/uploads/{note}'", server="web3")


def kept(three: Hive) -> tuple[set[str], set[str]]:
    """The notes that the site shows over both families, and the files."""
    shown = [three.get(SITE, family) for family in ("-6", "-4")]
    assert {status for status, _ in shown} == {200}, shown
    one, other = ({note["note"] for note in json.loads(body)["notes"]} for _, body in shown)
    assert one == other
    listed = three.on_server(f"docker exec {three.container('files', 'web3')} ls /srv/uploads", server="web3")
    return one, set(listed.splitlines())


def own(three: Hive) -> dict[str, Any]:
    """What outlives its instance, as the stack exports it."""
    return {name: three.outputs()["servers"]["web3"][name] for name in ADDRESSES}


def is_served(three: Hive) -> bool:
    return all(three.get(SITE, family)[0] == 200 for family in ("-6", "-4"))


def test_a_dead_server_comes_back_with_its_last_backup_at_its_addresses_while_the_others_serve(three: Hive) -> None:
    keep(three, "saved")
    assert "3 of 3 saved" in three.operations("backup").stdout, "the database, its roles and the files"
    keep(three, "too late")
    before, named = own(three), records(three)
    # For minutes, on a machine that has a server to make meanwhile.
    with load(three, *addresses(three, "web1", "web2"), pause=0.25) as result:
        three.lab("kill", f"{LABEL}web3")
        said = three.operations("revive", "web3", "--yes").stdout
    expect_no_failures(result)
    assert re.search(r"volume:uploads: .* as of \d{4}-", said), said[-6000:]
    until(lambda: is_served(three), 60, "its site is served again")
    assert kept(three) == ({"saved"}, {"saved"})
    assert own(three) == before
    assert records(three) == named
    assert nodes(three, "web1")["web3"].startswith("Ready")
    assert three.on_server("docker ps -q --filter name=^echo\\.", server="web3"), "it has replicas again"
    keep(three, "of the second life")
    three.expect_no_changes()


def test_a_database_that_was_dropped_by_mistake_comes_back(three: Hive) -> None:
    """By the snapshot that is named; what was written since then is not in it."""
    psql = f"docker exec {three.container('postgres', 'web3')} psql --username postgres -c"
    three.on_server(f"{psql} 'DROP DATABASE guestbook WITH (FORCE)'", server="web3")
    assert not is_served(three)
    told = json.loads(three.operations("backups", "--json").stdout)["web3"]["items"]
    [at] = [one["snapshots"][-1]["id"] for one in told if one["item"] == "database:postgres:guestbook"]
    done = three.operations("restore", "web3:postgres/guestbook", "--at", at[:12], "--yes")
    assert "restore: done; what uses it runs again, and is healthy" in done.stdout + done.stderr
    assert kept(three)[0] == {"saved"}
    keep(three, "after it came back")
    three.expect_no_changes()


# Runs on the server: one is connected, the last backup is made, and what he and others are answered then; and when the
# server stays after all.
CUT_OFF = """
import json, socket, subprocess
def connected():
    one = socket.socket()
    one.settimeout(5)
    try:
        one.connect(("ADDRESS", 5432))
    except OSError as error:
        return None
    return one
def backups(*words):
    done = subprocess.run(["apiary-backups", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
held = connected()
backups("run", "--final", "--only", "databases:postgres")
try:
    ended = held.recv(1) == b""
except ConnectionError:
    ended = True
except TimeoutError:
    ended = False
print(json.dumps({"ended": ended, "refused": connected() is None}))
"""


def test_nobody_writes_to_a_database_that_is_saved_for_the_last_time(three: Hive) -> None:
    """Who is on another server would be told that it is kept, and it were lost."""
    network = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    address = three.on_server(
        f"docker inspect --format '{network}' {three.container('postgres', 'web3')}", server="web3"
    ).strip()
    said = three.on_server("python3 -", server="web3", stdin=CUT_OFF.replace("ADDRESS", address))
    assert json.loads(said) == {"ended": True, "refused": True}
    assert not is_served(three)
    # Its update was cut off there, and is taken back.
    three.on_server("apiary-backups fill --databases postgres", server="web3")
    until(lambda: is_served(three), 30, "the database lets everybody in again")
    keep(three, "after it stayed")
