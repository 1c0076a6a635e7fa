"""What holds after an update, whatever it was."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

from lab.paths import CHECKOUT
from tests.lab.hive import Hive

SECONDS = 60  # seven on an idle machine


def test_a_second_update_changes_nothing(hive: Hive) -> None:
    hive.expect_no_changes()


def test_make_up_again_changes_nothing_and_takes_seconds(hive: Hive, tmp_path: Path) -> None:
    """As it is typed, with the lab, the update and the visit."""
    hive.write()
    # The region is the checkout's, the stack that of the copy.
    for part in ("Makefile", "lab", ".venv", "requirements-dev.txt"):
        (tmp_path / part).symlink_to(CHECKOUT / part)
    (tmp_path / "operations").symlink_to(hive.program / "operations")
    before = hive.on_server("docker ps --no-trunc --format '{{.ID}} {{.CreatedAt}}'")
    started = time.monotonic()
    done = subprocess.run(
        ["make", "up"], cwd=tmp_path, env=hive.environment, check=False, capture_output=True, text=True, timeout=300
    )
    seconds = time.monotonic() - started
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "nothing to do" in done.stderr, "the region was up"
    assert re.search(r"Resources:\n +\d+ unchanged\n", done.stdout), done.stdout[-4000:]
    assert done.stderr.count("the prober's own address") == 2, done.stdout[-4000:] + done.stderr[-2000:]
    assert hive.on_server("docker ps --no-trunc --format '{{.ID}} {{.CreatedAt}}'") == before
    assert seconds < SECONDS


def test_a_refresh_finds_nothing_changed(hive: Hive) -> None:
    refreshed = hive.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes", check=False)
    assert refreshed.status == 0, refreshed.output[-4000:]
    hive.expect_no_changes()


def test_the_playbook_s_second_run_changes_nothing(hive: Hive) -> None:
    """The same archive is run again on the host, as the update would."""
    state = json.loads(hive.output_of("stack", "export"))
    [bootstrap] = [
        resource
        for resource in state["deployment"]["resources"]
        if resource["type"] == "command:remote:Command"
        and resource["urn"].endswith("Bootstrap$command:remote:Command::web1")
    ]
    again = f"base64 -d <<'TAR' | tar -x -C \"$folder\"\n{bootstrap['inputs']['stdin']}\nTAR\n"
    output = hive.on_server(
        "set -e; folder=$(mktemp -d); trap 'rm -rf $folder' EXIT\n" + again + 'cd "$folder"; bash bootstrap.sh web.yml'
    )
    assert output.splitlines()[-1].startswith("recap"), output
    assert "changed=0 failures=0" in output.splitlines()[-1], output


def test_no_secret_is_in_the_state_in_plain_text(hive: Hive) -> None:
    exported = hive.output_of("stack", "export")
    assert "PRIVATE KEY" not in exported
    key = (hive.program / ".apiary" / "lab" / "id_ed25519").read_text().splitlines()[2]
    assert key not in exported
    assert (hive.program / ".apiary" / "lab" / "id_ed25519").stat().st_mode & 0o077 == 0
