"""What was saved is put back, tried, and brings the hive back on an empty machine by the lines of the recovery kit."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.paths import CHECKOUT
from operations import kit, retire
from operations.state import State
from tests.lab.hive import Hive, until
from tests.lab.test_backups import SITES, expect_kept, files, keep, rows, serves

# The hive of test_backups; a database that was dropped: test_swarm_data, a rehearsal: tests/unit/test_backups_drill.py.
pytestmark = pytest.mark.soak
PSQL = "psql --username postgres"


@pytest.fixture(scope="module")
def kept(saved: Hive) -> Hive:
    """The hive with a first note, saved; then a second one."""
    until(lambda: serves(saved), 60, "the sites are served")
    keep(saved, "saved")
    saved.operations("backup")
    keep(saved, "since")
    return saved


def snapshot(hive: Hive, item: str) -> str:
    told = json.loads(hive.operations("backups", "--json").stdout)["web1"]
    return next(one["snapshots"][-1]["id"] for one in told["items"] if one["item"] == item)


def test_a_database_that_was_dropped_by_mistake_comes_back(kept: Hive) -> None:
    kept.on_server(f"docker exec {kept.container('postgres')} {PSQL} -c 'DROP DATABASE guestbook WITH (FORCE)'")
    at = snapshot(kept, "database:postgres:guestbook")
    done = kept.operations("restore", "web1:postgres/guestbook", "--at", at[:12], "--yes")
    assert "stands still meanwhile: guestbook" in done.stdout
    assert "postgres/guestbook: as of 2" in done.stdout
    assert "restore: done; what uses it runs again, and is healthy" in done.stdout + done.stderr
    assert "saved" in rows(kept, "guestbook")
    assert "since" not in rows(kept, "guestbook")
    assert all(kept.get(f"http://{SITES[0]}/", family)[0] == 200 for family in ("-6", "-4"))
    assert kept.get(f"http://{SITES[0]}/", "-6", "--data", "after")[0] == 201
    kept.expect_no_changes()


def test_beside_it_is_looked_at_and_nothing_else_is_touched(kept: Hive) -> None:
    """What is loaded in place is loaded beside first, so that all that the others restore goes this way too."""
    kept.operations("restore", "web1:mariadb/shared", "--to", "look", "--yes")
    kept.operations("restore", "uploads", "--to", "look", "--yes")
    shown = "mariadb --user=mysql --batch --skip-column-names -e 'SELECT note FROM look.notes'"
    found = kept.on_server(f"docker exec {kept.container('mariadb')} {shown}").splitlines()
    assert ("saved" in found, "since" in found) == (True, False)
    assert "since" in rows(kept, "diary")
    listed = kept.on_server("ls $(docker volume inspect -f '{{.Mountpoint}}' look)").splitlines()
    assert ("saved" in listed, "since" in listed) == (True, False)


def test_an_application_comes_back_with_all_it_has(kept: Hive) -> None:
    """A database, as above, and a volume, as in tests/unit/test_backups_restore.py."""
    kept.operations("restore", "web1:diary", "--yes")
    assert ("saved" in rows(kept, "diary"), "since" in rows(kept, "diary")) == (True, False)
    kept.operations("restore", "web1:files", "--yes")
    assert ("saved" in files(kept), "since" in files(kept)) == (True, False)
    assert serves(kept)


SPOIL = {
    "guestbook": ("postgres/guestbook", "postgres", f"{PSQL} --dbname guestbook -c"),
    "diary": ("mariadb/shared", "mariadb", "mariadb --user=mysql shared -e"),
}


@pytest.mark.parametrize("name", SPOIL)
def test_what_does_not_serve_is_taken_back_with_all_that_was_written_since(kept: Hive, name: str) -> None:
    item, server, client = SPOIL[name]
    client = f"docker exec {kept.container(server)} {client}"
    kept.on_server(f"{client} 'ALTER TABLE notes RENAME COLUMN note TO spoilt'")
    kept.operations("backup")
    kept.on_server(f"{client} 'ALTER TABLE notes RENAME COLUMN spoilt TO note'")
    until(lambda: serves(kept), 60, "the sites are served")
    keep(kept, f"{name} since")
    done = kept.operations("restore", f"web1:{item}", "--yes", check=False)
    assert done.returncode == 1
    assert "what was there before is there again, and serves" in done.stdout + done.stderr
    expect_kept(kept, f"{name} since")
    assert kept.get(f"http://{name}.example.net/", "-6", "--data", "and goes on")[0] == 201
    kept.operations("backup")
    kept.expect_no_changes()


def test_a_rehearsal_proves_what_is_saved_and_leaves_nothing(kept: Hive) -> None:
    kept.operations("backup")
    containers = kept.on_server("docker ps -q --no-trunc | sort")
    done = kept.operations("drill", check=False)
    assert "select count(*) from notes: " in done.stdout, done.stdout + done.stderr
    assert "GET /healthz answered" in done.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    assert kept.on_server("docker ps -q --no-trunc | sort") == containers
    for what in ("ps -aq", "volume ls -q", "network ls -q"):
        assert kept.on_server(f"docker {what} --filter label=apiary.drill").split() == []
    page = kept.program / ".apiary" / "lab" / "drill-web1.html"
    assert "All of it is proved" in page.read_text()
    told = json.loads(kept.operations("backups", "--json").stdout)["web1"]
    assert all(one["proved"] for one in told["items"]), told
    assert "apiary_drill_status 1" in kept.on_server("cat /var/lib/apiary/metrics/backups.prom")
    assert kept.on_server("systemctl is-active apiary-backups-drill.timer").strip() == "active"


def test_the_lines_of_the_recovery_kit_bring_everything_back_without_the_state(kept: Hive, tmp_path: Path) -> None:
    """One more start of this hive. Data on a new server: test_backups; what is adopted: tests/engine/test_adopt.py."""
    keep(kept, "of the first life")
    pushed(kept, tmp_path / "origin.git")
    page = kept.operations("recovery-kit").stdout
    assert "Not yet" not in page
    # The machine and its state are gone; the server lives, and what was written since the last backup is there alone.
    shutil.rmtree(Path(kept.environment["PULUMI_BACKEND_URL"].removeprefix("file://").partition("?")[0]))
    again, said = recovered(kept, page, tmp_path)
    until(lambda: serves(again), 60, "the sites are served")
    expect_kept(again, "of the first life")
    assert re.search(r"volume:uploads: .* as of \d{4}-", said)
    assert "retire: server web1: instance" in said


def lose_state(hive: Hive) -> None:
    """Its state is gone, and another one begun, with what the recovery kit has besides: the keys of the servers
    and the repository's password.
    """
    there = hive.program / ".apiary" / "lab"
    shutil.copy(there / "id_ed25519", there / retire.KEY)
    known = kit.host_keys(State.of(json.loads(hive.output_of("stack", "export"))))
    (there / retire.KNOWN_HOSTS).write_text("\n".join(known) + "\n")
    if "apiary:backups" in hive.settings:
        hive.settings.setdefault("apiary:secrets", {})["backups_password"] = hive.passwords()["backups"]
        hive.settings["apiary:backups"]["password"] = "_secrets^backups_password"
    forget_state(hive)
    hive.pulumi("stack", "init")
    hive.operations("adopt", "--yes")


def forget_state(hive: Hive) -> None:
    """The folder that the state is in is empty."""
    folder = Path(hive.environment["PULUMI_BACKEND_URL"].removeprefix("file://").partition("?")[0])
    shutil.rmtree(folder)
    folder.mkdir()


def pushed(hive: Hive, origin: Path) -> None:
    """The program and its stack file are committed and pushed, as their owner has them."""
    hive.write()
    git = ["git", "-c", "user.name=Owner", "-c", "user.email=owner@example.com"]
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(origin)], check=True)
    for words in (
        ["init", "-q", "-b", "main"], ["add", "-A", "--", ":!.venv"], ["commit", "-qm", "The hive"],
        ["remote", "add", "origin", str(origin)], ["push", "-q", "-u", "origin", "main"],
    ):  # fmt: skip
        subprocess.run([*git, *words], cwd=hive.program, check=True)


# Of another machine: Python makes a virtual environment from the packages of this checkout, since a test fetches none.
PYTHON = """\
#!/bin/sh
[ "$1 $2" = "-m venv" ] || exec {python} "$@"
ln -sfn {packages} .venv
"""


def recovered(hive: Hive, page: str, folder: Path) -> tuple[Hive, str]:
    """The hive that the lines of a recovery kit bring up in an empty folder, and what they print.

    Of what they have to do nothing is done before: no login, no passphrase, no packages on PATH.
    """
    [lines] = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    python, home = folder / "python3", folder / "pulumi"
    python.write_text(PYTHON.format(python=sys.executable, packages=CHECKOUT / ".venv"))
    python.chmod(0o755)
    home.mkdir()
    for name in ("plugins", ".apiary-lab"):  # without the latter the lab's stand-ins refuse to run
        (home / name).symlink_to(Path(hive.environment["PULUMI_HOME"]) / name)
    left = {"PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_ACCESS_TOKEN"}
    known = {key: value for key, value in hive.environment.items() if key not in left}
    path = [one for one in known["PATH"].split(":") if not one.endswith("/.venv/bin")]
    done = subprocess.run(
        ["bash", "-c", f"set -e\n{lines}"],
        cwd=folder,
        env={
            **known, "PATH": ":".join(path), "PYTHON": str(python), "PULUMI_HOME": str(home), "PIP_NO_INDEX": "1",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return Hive(hive.paths, folder / "hive", hive.settings), done.stdout
