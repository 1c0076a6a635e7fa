"""Backups to the places that the program makes: a server of the stack of another Debian, and Vultr's object storage."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab import stores
from lab.paths import CHECKOUT, Paths
from tests.lab.conftest import STACKS
from tests.lab.hive import Hive, until
from tests.lab.test_restore import forget_state, lose_state, pushed, recovered

# A hive of its own, of two servers. What a backup is, wherever it goes: test_backups; what each of these places takes
# and gives: test_stores.
pytestmark = pytest.mark.soak
DOCS = CHECKOUT / "docs" / "restore.md"
# The command of `on SERVER COMMAND...`, by what the update has told of the server.
ON = """
import json, subprocess, sys
from operations.cli import Pulumi
from operations.hosts import Host
from operations.state import State
[server] = [one for one in State.of(Pulumi('lab').export()).servers() if one.name == sys.argv[1]]
sys.exit(subprocess.run(['ssh', *Host(server)._login(), *sys.argv[2:]]).returncode)
"""


@pytest.fixture(scope="module")
def places(region: Paths, tmp_path_factory: pytest.TempPathFactory) -> Hive:
    stores.ensure(region, ["objects"])
    found = Hive.copy_of_the_checkout(region, tmp_path_factory.mktemp("places"), STACKS / "places.yaml")
    found.pulumi("stack", "select", "--create")
    found.up()
    return found


FILE = "$(docker volume inspect --format '{{.Mountpoint}}' files)/kept"


def write(hive: Hive, content: str) -> None:
    hive.on_server(f"echo {content} > {FILE}")


def read(hive: Hive) -> str:
    return hive.on_server(f"cat {FILE}").strip()


def lose(hive: Hive) -> None:
    """The file is gone; what a container has emptied stays so, in the very folder that it writes to."""
    hive.on_server(f"rm {FILE}")
    assert "volume:files: is empty, and a container had it before" in hive.on_server("apiary-backups fill --volumes")
    hive.on_server(f"docker exec {hive.container('files')} touch /srv/still && rm {FILE.removesuffix('kept')}still")


def test_a_server_of_the_stack_keeps_what_another_has(places: Hive):
    write(places, "first")
    places.on_server("apiary-backups run")
    assert "config" in places.on_server("ls /srv/backups/web1/repository", server="store1")
    lose(places)
    places.operations("restore", "web1:volume:files", "--yes")
    assert read(places) == "first"
    places.expect_no_changes()
    places.expect_bootstrapped("store1")
    places.expect_bootstrapped("web1")


def test_a_keeper_is_not_rebuilt_with_what_it_keeps(places: Hive):
    with places.changed() as settings:
        settings["apiary:servers"]["store1"]["os"] = 2136
        done = places.up(check=False)
    assert done.status != 0
    assert "keeps the backups of web1 on its own disk" in done.output
    assert "config" in places.on_server("ls /srv/backups/web1/repository", server="store1")
    places.up()


def test_what_a_server_of_the_stack_keeps_is_carried_over_by_hand_where_the_state_is_lost(places: Hive):
    """The lines of docs/restore.md, from where those of the recovery kit end."""
    write(places, "without a state")
    of = {name: places.outputs()["servers"][name]["ipv4"] for name in ("web1", "store1")}
    lose_state(places)
    refused = places.operations("retire", "--yes", check=False)
    assert refused.returncode != 0
    assert "the backups are on the disk of server store1" in refused.stderr
    assert read(places) == "without a state", "nothing was deleted"
    [lines] = re.findall(r"^```sh\n(old=\(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    names = {"WEB1": of["web1"], "WEB2": of["store1"], "web2": "store1", "prod": "lab"}
    script = re.sub("|".join(names), lambda found: names[found[0]], lines)
    # `on` of docs/operations.md, to a server whose keys only the lines have made.
    on = f'on() {{ {sys.executable} -c "{ON}" "$@"; }}'
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{on}\n{script}"],
        cwd=places.program, env={**places.environment, "YES": "1"}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    assert read(places) == "without a state"
    places.expect_no_changes()


def test_object_storage_of_the_programs_own_takes_its_place_by_one_edit(places: Hive):
    places.settings["apiary:backups"] = {"repository": "vultr"}
    places.up()
    [account] = json.loads(places.paths.region.read_text())["object_storages"].values()
    assert account["label"] == "apiary-lab"
    write(places, "second")
    places.on_server("apiary-backups run")
    lose(places)
    places.operations("restore", "web1:volume:files", "--yes")
    assert read(places) == "second"
    places.expect_no_changes()
    # Nobody's key opens what the others saved at the server any more; what they saved is there.
    assert places.on_server("ls /etc/apiary/backup-store", server="store1").split() == []
    assert "config" in places.on_server("ls /srv/backups/web1/repository", server="store1")


def test_a_server_that_has_lost_what_it_was_told_is_told_it_by_the_next_backup(places: Hive):
    before = places.on_server("cat /etc/apiary/backups.json")
    places.on_server("rm /etc/apiary/backups.json")
    done = places.operations("backup")
    assert "web1 is told anew what to save" in done.stdout
    assert places.on_server("cat /etc/apiary/backups.json") == before
    places.expect_no_changes()


def kept_on(hive: Hive, server: str) -> str:
    """What the one file of a server's volume says; from within its container, since its folder is another one then."""
    name = {"web1": "files", "store1": "more"}[server]
    return hive.on_server(f"docker exec {hive.container(name, server)} cat /srv/kept", server=server).strip()


def write_all(hive: Hive, content: str) -> None:
    for server, name in (("web1", "files"), ("store1", "more")):
        hive.on_server(f"docker exec {hive.container(name, server)} sh -c 'echo {content} > /srv/kept'", server=server)


def test_the_whole_hive_is_put_back_by_one_line(places: Hive):
    applications = places.settings["apiary:applications"]
    applications["more"] = {**applications["files"], "server": "store1", "volumes": ["more:/srv"]}
    places.up()
    write_all(places, "saved")
    places.operations("backup")
    write_all(places, "since")
    done = places.operations("restore", "hive", "--yes")
    assert "web1: " in done.stdout
    assert "store1: " in done.stdout
    assert [kept_on(places, server) for server in ("web1", "store1")] == ["saved", "saved"]
    places.expect_no_changes()


def test_a_volume_on_block_storage_is_put_back_in_its_place(places: Hive):
    places.settings["apiary:servers"]["store1"]["data"] = {"gb": 10}
    places.up()
    inspected = json.loads(places.on_server("docker volume inspect more", server="store1"))[0]
    assert inspected["Options"]["device"] == "/srv/data/volumes/more"
    write_all(places, "on block storage")
    places.operations("backup")
    write_all(places, "since")
    places.operations("restore", "store1:more", "--yes")
    assert kept_on(places, "store1") == "on block storage"
    assert places.on_server("cat /srv/data/volumes/more/kept", server="store1").strip() == "on block storage"
    assert places.on_server("ls -A /srv/data/volumes", server="store1").split() == ["more"]
    places.expect_no_changes()
    places.reboot("store1")
    until(lambda: places.on_server("docker ps -q --filter name=more", check=False, server="store1") != "", 120, "up")
    assert kept_on(places, "store1") == "on block storage"


def test_what_the_object_storage_has_comes_back_by_the_lines_of_the_recovery_kit(places: Hive, tmp_path: Path):
    """Without the state, with the servers that run."""
    write_all(places, "of the last minute")
    pushed(places, tmp_path / "origin.git")
    page = places.operations("recovery-kit").stdout
    forget_state(places)
    [account] = json.loads(places.paths.region.read_text())["object_storages"]
    again, said = recovered(places, page, tmp_path)
    assert "volume:files: " in said
    assert [kept_on(again, server) for server in ("web1", "store1")] == ["of the last minute"] * 2
    assert list(json.loads(places.paths.region.read_text())["object_storages"]) == [account]


def test_the_account_outlives_a_mistake(places: Hive):
    done = places.pulumi("destroy", "--yes", "--skip-preview", check=False)
    assert done.status != 0
    assert "protect" in done.output
    assert json.loads(Path(places.paths.region).read_text())["object_storages"]
