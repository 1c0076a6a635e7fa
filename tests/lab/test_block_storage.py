"""Volumes on block storage: moved there from the disk, and there again on whatever server comes after.

The application writes rows all the time, each one confirmed by the disk before the next (stacks/data.yaml), so that
what is lost shows as a missing row, and how long nothing could be written as a gap between two.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab.hive import LABEL, Hive, until

# A hive of its own and five more starts of its server. That rows on block storage outlive a reboot: test_afterwards.
pytestmark = pytest.mark.soak
DEBIAN_13 = 2625
SERVER = "db1"
PLACE = "/srv/data/volumes/rows"


def rows(hive: Hive) -> list[float]:
    """When each row was written that the application has, in its own volume; every one whole and in order."""
    text = hive.on_server(f"docker exec {hive.container('writer', SERVER)} cat /rows/rows", server=SERVER)
    lines = text.splitlines()
    torn = [line for line in lines if len(line.split()) != 3]
    assert not torn, f"rows are torn: {torn}"
    numbers = [int(line.split()[0]) for line in lines]
    assert numbers == list(range(1, len(lines) + 1)), "a row is missing"
    return [float(line.split()[1]) for line in lines]


def written(hive: Hive) -> int:
    """How many rows have been confirmed."""
    return len(rows(hive))


def expect_kept(hive: Hive, before: int, what: str) -> None:
    """Every row of before is there, more are written, and by how long that was put off is printed."""
    until(lambda: written(hive) > before, 60, f"rows are written after {what}")
    times = rows(hive)
    gap = max(later - earlier for earlier, later in zip(times[before - 1 :], times[before:], strict=False))
    print(f"{what}: {before} rows before, all of them there; nothing was written for {gap:.1f} s")


def block(hive: Hive) -> dict[str, Any]:
    """The one volume at Vultr."""
    (found,) = json.loads(hive.paths.region.read_text())["blocks"].values()
    return dict(found)


def instance(hive: Hive) -> str:
    """The id of the server's instance."""
    instances = json.loads(hive.paths.region.read_text())["instances"]
    (found,) = [id for id, one in instances.items() if one["label"] == f"{LABEL}{SERVER}"]
    return str(found)


def let_go_of_storage(hive: Hive) -> None:
    """The state protects it no more, as docs/block-storage.md has it typed before it leaves the stack file."""
    state = json.loads(hive.output_of("stack", "export"))["deployment"]["resources"]
    (urn,) = [one["urn"] for one in state if one["type"] == "vultr:index/blockStorage:BlockStorage"]
    hive.pulumi("state", "unprotect", urn, "--yes")


def gib(hive: Hive) -> float:
    """The size of the file system that the volume is on."""
    return int(hive.on_server(f"df --output=size -B1 {PLACE} | tail -1", server=SERVER)) / (1 << 30)


def expect_on_block_storage(hive: Hive) -> None:
    """The volume is a folder of the block storage's file system, and the storage is attached to this server."""
    assert block(hive)["attached_to_instance"] == instance(hive)
    source = hive.on_server(f"findmnt -no SOURCE -T {PLACE}", server=SERVER).strip()
    named = f"/dev/disk/by-id/virtio-{block(hive)['mount_id']}"
    assert hive.on_server(f"readlink -f {named}", server=SERVER).strip() == source
    assert hive.on_server(f"wc -l < {PLACE}/rows", server=SERVER).strip() != "0"
    shown = json.loads(hive.on_server("docker volume inspect rows", server=SERVER))[0]
    assert shown["Options"]["device"] == PLACE


def test_volumes_of_a_server_that_lives_move_from_its_disk_with_every_row(stored: Hive) -> None:
    hive, machine = stored, instance(stored)
    until(lambda: written(hive) > 20, 60, "rows are written")
    before = written(hive)
    hive.settings["apiary:servers"][SERVER]["data"] = {"gb": 10}
    done = hive.up()
    assert "moved volume rows" in done.output
    assert instance(hive) == machine
    expect_kept(hive, before, "the move to block storage")
    expect_on_block_storage(hive)
    hive.expect_bootstrapped(SERVER)
    hive.expect_no_changes()


def test_a_rebuilt_server_has_every_row_that_was_ever_confirmed(stored: Hive) -> None:
    hive, before, machine, volume = stored, written(stored), instance(stored), block(stored)["id"]
    hive.settings["apiary:servers"][SERVER]["os"] = DEBIAN_13
    done = hive.up()
    assert instance(hive) != machine
    assert block(hive)["id"] == volume
    assert "unmounted /srv/data" in done.output
    assert "formatted" not in done.output
    expect_kept(hive, before, "a rebuild with another Debian")
    expect_on_block_storage(hive)
    hive.expect_no_changes()


def test_a_dead_server_comes_back_with_every_row(stored: Hive) -> None:
    hive, volume = stored, block(stored)["id"]
    before = written(hive)
    hive.lab("kill", f"{LABEL}{SERVER}")
    # Its storage is let go of late.
    hive.lab("fault", "release=block_release", "seconds=5")
    done = hive.operations("revive", SERVER, "--yes")
    assert block(hive)["id"] == volume
    assert "formatted" not in done.stdout
    expect_kept(hive, before, "a dead server")
    expect_on_block_storage(hive)
    hive.expect_no_changes()


def test_it_grows_by_one_edit_and_with_the_next_start_at_the_latest(stored: Hive) -> None:
    hive, before, machine = stored, written(stored), instance(stored)
    assert gib(hive) < 10
    hive.settings["apiary:servers"][SERVER]["data"] = {"gb": 12}
    done = hive.up()
    assert (instance(hive), block(hive)["size_gb"]) == (machine, 12)
    if gib(hive) < 11:  # this machine's kernel, or its rights, are such that a mounted one can't grow
        assert "with the next start of this server" in done.output
        hive.reboot(SERVER)
        until(lambda: answers(hive), 120, "it is up again")
    assert gib(hive) > 11
    expect_kept(hive, before, "growing")
    hive.expect_no_changes()


def answers(hive: Hive) -> bool:
    """Whether Docker runs on the server, and its application in it."""
    if SERVER not in hive.servers():
        return False
    label = "label=apiary.resource=applications.writer"
    # Asked of its socket, systemd would have us wait until the storage comes.
    return bool(said(hive, "timeout", "5", "docker", "ps", "-q", "--filter", label).strip())


def said(hive: Hive, *command: str) -> str:
    """What a command prints on the server, nothing while that is not there."""
    try:
        return hive.server_command(*command, server=SERVER).stdout
    except (AssertionError, OSError):  # it goes down just now, or comes up
        return ""


def test_without_it_the_server_boots_and_says_so_and_nothing_is_written_elsewhere(stored: Hive) -> None:
    hive, before = stored, written(stored)
    named = f"/dev/disk/by-id/virtio-{block(hive)['mount_id']}"
    # As after a detachment in the portal, which the server sees when it starts.
    born = hive.on_server("stat -c %Y /proc/1", server=SERVER)
    hive.on_server("mv /var/lib/lab/disks /var/lib/lab/disks.away; systemctl --no-block reboot", server=SERVER)
    until(lambda: said(hive, "stat", "-c", "%Y", "/proc/1") not in ("", born), 120, "it has started again")
    until(lambda: "is not there" in said(hive, "journalctl", "-u", "apiary-data"), 120, "it says so")
    assert hive.server_command("test", "-e", named, server=SERVER).returncode != 0
    assert not answers(hive)
    assert hive.on_server("systemctl is-active ssh", server=SERVER).strip() == "active"
    assert not hive.on_server("ls -A /srv/data 2>/dev/null", check=False, server=SERVER).strip()
    # It comes, and all goes on by itself.
    hive.on_server("mv /var/lib/lab/disks.away /var/lib/lab/disks; lab-disks", server=SERVER)
    until(lambda: answers(hive), 120, "its application runs")
    expect_kept(hive, before, "a start without the storage")
    expect_on_block_storage(hive)


def test_no_update_makes_it_smaller_or_gives_it_up(stored: Hive) -> None:
    """Refused before anything is touched, each with what to do."""
    hive, before, volume = stored, written(stored), block(stored)
    for change, words in (
        ({"data": {"gb": 10}}, "a volume only grows; write 12 or more"),
        ({"data": {"gb": 40, "type": "storage_opt"}}, "protect"),
        ({"data": None}, "protect"),
        ({"region": "ams"}, "protect"),
    ):
        with hive.changed() as settings:
            settings["apiary:servers"][SERVER] |= change
            refused = hive.pulumi("up", "--yes", check=False)
            assert refused.status != 0, change
            assert words in refused.output, refused.output[-3000:]
        assert block(hive) == volume
    assert written(hive) > before
    hive.expect_no_changes()
