"""A database goes to another server with its site, by one edit, with every row that was confirmed.

From the disk to block storage and back, where both servers have backups: older rows never take the place of newer ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml

from lab import stores
from lab.paths import CHECKOUT
from tests.lab.conftest import STACKS, _region
from tests.lab.hive import Hive, until
from tests.lab.test_backups import Writer

pytestmark = pytest.mark.soak

SITE = "guestbook.example.net"
MOVED = {"apiary:applications": ("postgres", "guestbook"), "apiary:jobs": ("dbsetup",)}


@pytest.fixture(scope="module")
def moved(worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hive]:
    """The hive, up, with the site and its database on web1."""
    for region in _region(f"test-{worker_id}-moves-data"):
        stores.ensure(region, ["s3"])
        found = Hive.copy_of_the_checkout(region, tmp_path_factory.mktemp("moves-data"), STACKS / "moves_data.yaml")
        whole = yaml.safe_load((CHECKOUT / "Pulumi.lab.yaml").read_text())["config"]
        found.settings["apiary:backups"]["ca"] = whole["apiary:jobs"]["certbot"]["env"]["directory_ca"]
        found.pulumi("stack", "select", "--create")
        found.up()
        yield found


def to(hive: Hive, server: str) -> None:
    """The edit: where the site and its database run, and where its domain leads."""
    servers = hive.settings["apiary:servers"]
    for name in ("web1", "web2"):
        servers[name]["dns"]["web"] = [SITE] if name == server else []
    for section, names in MOVED.items():
        for name in names:
            hive.settings[section][name]["server"] = server


def rows(hive: Hive, server: str) -> set[str]:
    container = hive.container("postgres", server)
    query = "psql --username postgres --dbname guestbook -Atc 'SELECT note FROM notes'"
    return set(hive.on_server(f"docker exec {container} {query}", server=server).splitlines())


def expect_moved(hive: Hive, old: str, new: str) -> None:
    """Moves while a visitor writes: every confirmed row is there, and more can be written."""
    hive.operations("backup")  # older than what is written from here on
    before, writer = rows(hive, old), Writer.begin(hive, SITE)
    until(lambda: len(rows(hive, old)) > len(before) + 20, 60, "rows are written")
    to(hive, new)
    hive.up()
    until(lambda: hive.get(f"http://{SITE}/", "-6")[0] == 200, 60, f"the site is served by {new}")
    there = len(rows(hive, new))
    until(lambda: len(rows(hive, new)) > there, 60, "rows are written again")
    confirmed = writer.stop()
    lost = (before | confirmed) - rows(hive, new)
    assert not lost, f"{len(lost)} of {len(confirmed)} confirmed rows are lost: {sorted(lost)[:5]}"
    assert len(confirmed) > 20
    hive.expect_no_changes()


def test_a_database_moves_from_the_disk_to_another_server_s_block_storage(moved: Hive) -> None:
    expect_moved(moved, "web1", "web2")
    shown = json.loads(moved.on_server("docker volume inspect pgdata", server="web2"))[0]
    assert shown["Options"]["device"] == "/srv/data/volumes/pgdata"


def test_it_is_saved_there_and_moves_back_to_the_disk(moved: Hive) -> None:
    moved.operations("backup")
    told = json.loads(moved.operations("backups", "--json").stdout)["web2"]
    kept = {one["item"]: one["last"]["status"] for one in told["items"]}
    assert kept["database:postgres:guestbook"] == "ok"
    expect_moved(moved, "web2", "web1")


def test_a_server_that_is_rebuilt_after_a_move_has_the_rows_of_after_the_move(moved: Hive) -> None:
    """What fills the new disk is its own newest backup, not one of before the data left and came back."""
    writer = Writer.begin(moved, SITE)
    before = rows(moved, "web1")
    until(lambda: len(rows(moved, "web1")) > len(before) + 20, 60, "rows are written")
    moved.settings["apiary:servers"]["web1"]["os"] = 2625
    moved.up()
    until(lambda: moved.get(f"http://{SITE}/", "-4")[0] == 200, 60, "the site is served again")
    confirmed = writer.stop()
    lost = (before | confirmed) - rows(moved, "web1")
    assert not lost, f"{len(lost)} of {len(confirmed)} confirmed rows are lost: {sorted(lost)[:5]}"
    moved.expect_no_changes()
