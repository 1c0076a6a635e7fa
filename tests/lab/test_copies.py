"""Data of a host that this stack does not run come over while visitors are served, and not a row is missing.

web2 plays the old host: a plain container and a volume with Bee2's names, of which the state knows nothing.
"""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from lab.paths import CHECKOUT
from lab.shell import packed
from operations.state import State
from tests.lab.conftest import _region
from tests.lab.hive import Hive, until
from tests.lab.test_moves import SITE, _counting, rows, served

OLD = "w1-app-blog"
# As the site does: a row, on the disk, and the next one.
WRITER = "n=0; while :; do n=$((n + 1)); echo $n >>/state/rows; sync /state/rows; sleep 0.05; done"


@pytest.fixture(scope="module")
def hive(worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hive]:
    """The hive, up, with the site on web1 and the old host beside it."""
    for region in _region(f"test-{worker_id}-copies"):
        found = _counting(region, tmp_path_factory.mktemp("copies"))
        found.on_server(
            f"docker run -d --name {OLD} --restart unless-stopped --init -v blog-data:/state debian:bookworm-slim "
            f"sh -c {shlex.quote(WRITER)}; apt-get -q update; apt-get -q install -y rsync",
            server="web2",
        )
        yield found


DATABASES = {"PostgreSQL": ("pg", "/var/lib/postgresql"), "MariaDB": ("my", "/var/lib/mysql")}
# As an application comes, for each request, and as a superuser where it has made none of its own.
COMES = {
    "pg": "psql -q -U postgres -d shop -c \"INSERT INTO orders VALUES (4, 'late')\"",
    "my": "mariadb --host=127.0.0.1 --user=app --password=x shop --execute \"INSERT INTO orders VALUES (4, 'late')\"",
}
ASK = {
    "pg": "psql -q -A -t -U postgres -d {} -c",
    "my": "mariadb --user=mysql --skip-column-names --database={} --execute",
}


def asked(hive: Hive, server: str, container: str, client: str, statement: str) -> str:
    words = f"docker exec {container} {client} {shlex.quote(statement)}"
    return hive.on_server(words, server=server).strip()


def written(hive: Hive) -> int:
    return int(hive.on_server("wc -l </var/lib/docker/volumes/blog-data/_data/rows", server="web2"))


@pytest.mark.soak
def test_an_old_host_s_volume_comes_warm_and_then_for_good_with_every_row(hive: Hive) -> None:
    state = State.of(json.loads(hive.output_of("stack", "export")))
    old = next(server for server in state.servers() if server.name == "web2")
    words = ("copy", str(urlsplit(old.host).hostname), "blog-data=rows", "--server", "web1",
             f"--ssh={shlex.join(old.ssh_options)}")  # fmt: skip
    until(lambda: served(hive), 120, "the site is served")
    # The visits of the first start are in the way, and stay on the disk.
    assert "--over rows" in hive.operations(*words, check=False).stderr
    hive.operations(*words, "--over", "rows")
    until(lambda: served(hive), 60, "the site is served from the copy")
    assert rows(hive, "web1") > 0
    assert hive.on_server(f"docker ps -q --filter name={OLD}", server="web2"), "the old one does not run any more"
    warm = written(hive)
    until(lambda: written(hive) > warm, 60, "the old one goes on")
    load = hive.load(SITE)
    done = hive.operations(*words, "--final")
    until(lambda: served(hive), 60, "the site is served for good")
    requests, failed = load.stop()
    assert "entries, checksums equal" in done.stderr
    assert not hive.on_server(f"docker ps -q --filter name={OLD}", server="web2"), "the old one still writes"
    brought = written(hive)
    # In order and without a gap: first all rows of the old one, behind them the visits since.
    assert rows(hive, "web1") >= brought > warm
    times = sorted(float(one.split()[0]) for one in failed)
    gap = times[-1] - times[0] if times else 0.0
    print(f"the last copy: {brought} rows, all there; of {requests} visits {len(failed)} failed, within {gap:.1f} s")
    assert "is newer, and is left alone" in hive.operations(*words, "--final").stdout
    hive.expect_no_changes()


@pytest.mark.soak
def test_databases_of_an_old_host_come_by_dump_warm_and_then_for_good(hive: Hive) -> None:
    """Beside PostgreSQL the one whose databases have no other names: what is put in their place is written anew."""
    state = State.of(json.loads(hive.output_of("stack", "export")))
    old = next(server for server in state.servers() if server.name == "web2")
    for image, (kind, path) in DATABASES.items():
        folder = CHECKOUT / "images" / image
        tar = packed({file.name: file.read_text() for file in folder.iterdir()})
        hive.on_server(
            f"base64 -d | docker build -q -t old-{kind} - && docker run -d --name w1-app-{kind} -e POSTGRES_PASSWORD=x "
            f"-e MARIADB_ROOT_PASSWORD=x -v old-{kind}:{path} old-{kind}",
            server="web2", stdin=base64.b64encode(tar).decode(),
        )  # fmt: skip
        root = "postgres" if kind == "pg" else "mysql"
        is_up = f"docker exec w1-app-{kind} {ASK[kind].format(root)} 'SELECT 1' 2>/dev/null || true"
        until(lambda is_up=is_up: "1" in hive.on_server(is_up, server="web2"), 120, f"{image} is up")
        asked(hive, "web2", f"w1-app-{kind}", ASK[kind].format(root), "CREATE DATABASE shop")
        asked(
            hive, "web2", f"w1-app-{kind}", ASK[kind].format("shop"), "CREATE TABLE orders (id int, word varchar(80))"
        )
        asked(hive, "web2", f"w1-app-{kind}", ASK[kind].format("shop"), "CREATE VIEW seen AS SELECT * FROM orders")
        asked(
            hive,
            "web2",
            f"w1-app-{kind}",
            ASK[kind].format("shop"),
            "INSERT INTO orders VALUES (1, 'gr\u00fcn'), (2, NULL)",
        )
    account = "CREATE USER app@'%' IDENTIFIED BY 'x'; GRANT ALL ON shop.* TO app@'%'"
    asked(hive, "web2", "w1-app-my", ASK["my"].format("mysql"), account)
    with hive.changed() as settings:
        applications = settings["apiary:applications"]
        for image, (kind, path) in DATABASES.items():
            variable = "postgres_password" if kind == "pg" else "mariadb_root_password"
            applications[kind] = {
                "server": "web1", "build_dir": image, "env": {variable: f"_{kind}^adminpass"},
                "volumes": [f"new-{kind}:{path}"], "health": {"timeout": 180},
            }  # fmt: skip
        applications["counter"]["db"] = ["pg:shop", "my:shop"]
        settings["apiary:jobs"]["dbsetup"] = {"server": "web1", "build_dir": "DBSetup", "env": {"dbmap": "_dbmap"}}
        hive.up()
        words = ("copy", str(urlsplit(old.host).hostname), "w1-app-pg:shop=pg", "w1-app-my:shop=my", "--server", "web1",
                 f"--ssh={shlex.join(old.ssh_options)}")  # fmt: skip
        hive.operations(*words)
        for kind in ("pg", "my"):
            asked(hive, "web2", f"w1-app-{kind}", ASK[kind].format("shop"), "INSERT INTO orders VALUES (3, 'last')")
        done = hive.operations(*words, "--final")
        assert done.stderr.count("1 tables, 3 rows, checksums equal on both sides") == 2, done.stderr
        for kind, comes in COMES.items():
            late = f"docker exec w1-app-{kind} {comes} 2>&1 || true"
            assert "not currently accepting" in (said := hive.on_server(late, server="web2")) or "locked" in said, said
        for kind in ("pg", "my"):
            here = hive.container(kind)
            assert (
                asked(hive, "web1", here, ASK[kind].format("shop"), "SELECT word FROM seen WHERE id = 1") == "gr\u00fcn"
            )
        assert hive.operations(*words, "--final").stderr.count("is newer, and is left alone") == 2
        hive.operations(*words, "--back")
        for kind, comes in COMES.items():
            hive.on_server(f"docker exec w1-app-{kind} {comes}", server="web2")
        assert hive.operations(*words, "--final").stderr.count("1 tables, 4 rows, checksums equal on both sides") == 2
        hive.expect_no_changes()
    hive.up()
