"""The end: what was made is gone, and nothing else."""

from __future__ import annotations

import json
import subprocess

from tests.lab.hive import Hive


def test_destroy_leaves_nothing(hive: Hive) -> None:
    hive.pulumi("destroy", "--yes", "--skip-preview")
    region = json.loads(hive.paths.region.read_text())
    for table in ("instances", "reserved_ips", "firewall_groups", "ssh_keys", "domains"):
        assert not region[table], f"{table}: {region[table]}"
    mine = ["docker", "ps", "-a", "--filter", f"label={hive.paths.label}", "--filter", "name=apiary-lab"]
    servers = [
        name
        for name in subprocess.run(
            [*mine, "--format", "{{.Names}}"], check=True, capture_output=True, text=True
        ).stdout.split()
        if not name.endswith(("ns", "registry", "prober", "prober-routed"))
    ]
    assert servers == []
