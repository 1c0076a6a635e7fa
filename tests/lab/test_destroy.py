"""The end: what was made is gone, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess

from tests.lab.hive import Hive, until


def test_destroy_leaves_nothing(hive: Hive) -> None:
    assert len(machines(hive)) == 1
    hive.pulumi("destroy", "--yes", "--skip-preview")
    region = json.loads(hive.paths.region.read_text())
    for table in ("instances", "reserved_ips", "firewall_groups", "ssh_keys", "domains"):
        assert not region[table], f"{table}: {region[table]}"
    # The API answers before the machine has gone, as Vultr's does.
    until(lambda: machines(hive) == [], 30, "the machine has gone")


def machines(hive: Hive) -> list[str]:
    """The containers of the region that are none of its own services, but named by an instance's id."""
    everything = ["docker", "ps", "-a", "--filter", f"label={hive.paths.label}", "--format", "{{.Names}}"]
    names = subprocess.run(everything, check=True, capture_output=True, text=True).stdout.split()
    return [name for name in names if re.search(r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", name)]
