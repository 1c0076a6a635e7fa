"""What a host tells of itself (apiary-status): from what is there, and in spite of what fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.unit.scripts import load

TOOL = Path(__file__).parents[2] / "playbooks" / "roles" / "tools" / "files" / "apiary-status"
tool = load(TOOL)

STARTED = "2026-11-28T10:00:00.123456789Z"
SECONDS = datetime(2026, 11, 28, 10, tzinfo=UTC).timestamp()


def told(name: str, resource: str, **changed: Any) -> dict[str, Any]:
    """As `docker inspect` tells of a container."""
    return {
        "Id": f"id-{name}",
        "Name": f"/{name}",
        "Created": STARTED,
        "RestartCount": 2,
        "State": {
            "Status": "running", "ExitCode": 0, "OOMKilled": False, "Error": "", "StartedAt": STARTED,
            "FinishedAt": "0001-01-01T00:00:00Z", "Health": {"Status": "healthy"}, **changed.pop("State", {}),
        },
        "Config": {"Labels": {"apiary.resource": resource}, "Env": changed.pop("Env", [])},
        "Mounts": changed.pop("Mounts", []),
    }  # fmt: skip


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of commands: `docker` prints ps and inspect, `systemctl` prints units; a missing file is an error."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("docker", "systemctl"):
        command = folder / name
        command.write_text(
            f'#!/bin/sh\ncd {folder}\necho "$@" >> asked\ncase $1 in inspect|ps|info) cat $1;; *) cat units;; esac\n'
        )
        command.chmod(0o755)
    (folder / "units").write_text("")
    (folder / "ps").write_text("id-shop\n")
    (folder / "info").write_text("{}")
    (folder / "inspect").write_text(json.dumps([told("shop", "applications.shop")]))
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(tool, "NEIGHBOURS", folder / "neighbours")
    monkeypatch.setattr(tool, "REBOOT", tmp_path / "reboot-required")
    monkeypatch.setattr(tool, "BACKUPS", tmp_path / "backups.json")
    monkeypatch.setattr(tool, "SAVED", tmp_path / "backups")
    return folder


def test_a_host_that_is_well(commands: Path) -> None:
    known = tool.facts("apiary-prod")
    assert known["problems"] == {}
    assert (known["reboot"], known["failed_units"], known["backups"], known["schedule"]) == (None, [], None, {})
    assert known["containers"] == [
        {
            "id": "id-shop", "name": "shop", "resource": "applications.shop", "status": "running", "exit_code": 0,
            "error": "", "out_of_memory": False, "health": "healthy", "restarts": 2,
            "created": SECONDS + 0.123456, "started": SECONDS + 0.123456, "finished": None,
        }
    ]  # fmt: skip
    assert "label=apiary.stack=apiary-prod" in (commands / "asked").read_text()
    assert 0 < known["memory"]["available"] < known["memory"]["total"]
    assert any(one["path"] == "/" for one in known["file_systems"])


def test_replicas_are_told_apart_from_the_stacks_own_containers(commands: Path) -> None:
    one = told("shop.1.x", "")
    one["Config"]["Labels"]["com.docker.swarm.service.name"] = "shop"
    (commands / "inspect").write_text(json.dumps([one]))
    known = tool.facts("apiary-prod")
    assert known["replicas"] == [{"service": "shop", "name": "shop.1.x", "health": "healthy"}]
    [asked] = [line for line in (commands / "asked").read_text().splitlines() if "by its swarm" in line]
    assert "--all" not in asked


@pytest.mark.parametrize(
    ("swarm", "why"),
    [
        ({"LocalNodeState": "inactive"}, None),
        ({"ControlAvailable": True, "Error": ""}, None),
        ({"ControlAvailable": True, "Error": "The swarm does not have a leader."}, "The swarm does not have a leader."),
    ],
)
def test_a_manager_that_can_decide_nothing_says_why(commands: Path, swarm: dict[str, Any], why: str | None) -> None:
    (commands / "info").write_text(json.dumps(swarm))
    assert tool.facts("apiary-prod")["swarm"] == why


def test_what_was_refused_is_told(commands: Path) -> None:
    (commands / "neighbours").write_text('#!/bin/sh\n[ "$1" = refused ] && echo \'[{"from": "applications.shop"}]\'\n')
    (commands / "neighbours").chmod(0o755)
    assert tool.facts("apiary-prod")["refused"] == [{"from": "applications.shop"}]


def test_what_fails_is_told_as_such_and_takes_nothing_along(commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (commands / "docker").write_text("#!/bin/sh\necho Cannot connect to the Docker daemon >&2; exit 1\n")
    (commands / "systemctl").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(tool, "SECONDS", 0.2)
    tool.BACKUPS.write_text("{")
    known = tool.facts("x")
    assert known["problems"].pop("backups").startswith("JSONDecodeError")
    assert known["problems"] == {
        "containers": "`docker ps`: Cannot connect to the Docker daemon",
        "failed_units": "`systemctl list-units` gave no answer in 0 s",
    }
    assert "containers" not in known
    assert known["memory"]["total"] > 0


def test_a_container_that_goes_between_list_and_look_is_no_error(commands: Path) -> None:
    (commands / "docker").write_text(
        f"#!/bin/sh\ncd {commands}\n"
        "[ $1 != ps ] || { cat ps; exit 0; }\n"
        "[ -e twice ] || { : > twice; echo Error: No such container: x >&2; exit 1; }\ncat inspect\n"
    )
    assert [one["name"] for one in tool.facts("x")["containers"]] == ["shop"]


def test_units_that_failed_and_a_reboot_that_is_due(commands: Path) -> None:
    (commands / "units").write_text(
        "ndppd.service loaded failed failed NDP Proxy Daemon\nx.timer loaded failed failed X\n"
    )
    tool.REBOOT.write_text("*** System restart required ***\n")
    assert tool.facts("x")["reboot"] == []
    tool.REBOOT.with_name("reboot-required.pkgs").write_text("libc6\nlinux-image-6.1\nlibc6\n")
    known = tool.facts("x")
    assert (known["failed_units"], known["reboot"]) == (["ndppd.service", "x.timer"], ["libc6", "linux-image-6.1"])


def test_file_systems_that_nobody_writes_to_or_that_are_seen_twice_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("proc", "data disk", "again", "iso"):
        (tmp_path / name).mkdir()
    (tmp_path / "proc" / "mounts").write_text(
        f"/dev/vda1 {tmp_path}/again ext4 rw 0 0\n"
        f"/dev/vda1 {tmp_path} ext4 rw,relatime 0 0\n"
        f"/dev/sr0 {tmp_path}/iso ext4 ro,relatime 0 0\n"
        "proc /proc proc rw 0 0\n"
        "overlay /var/lib/docker/overlay2/ab/merged overlay rw 0 0\n"
        f"/dev/vdb {tmp_path}/gone ext4 rw 0 0\n"
    )
    monkeypatch.setattr(tool, "PROC", tmp_path / "proc")
    [one] = tool.file_systems()
    assert one["path"] == str(tmp_path)
    assert one["used"] + one["free"] <= one["total"]
    (tmp_path / "proc" / "mounts").write_text(f"/dev/sr0 {tmp_path}/iso ext4 ro,relatime 0 0\n")
    assert tool.file_systems() == []


def test_of_a_schedule_the_last_line_of_each_entry_is_told_by_its_job(commands: Path, tmp_path: Path) -> None:
    volume = tmp_path / "schedule"
    volume.mkdir()
    lines = [
        {"event": "ended", "job": "nightly", "due": "2026-11-27T10:00:00.000+00:00", "status": 0},
        {"event": "failed", "job": "nightly", "due": "2026-11-28T10:00:00.000+00:00", "why": "could not be started"},
        {"event": "ended", "job": "gone", "due": "2026-11-28T10:00:00.000+00:00"},
    ]
    (volume / "runs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"event": "en')
    scheduler = told(
        "scheduler-1", "applications.scheduler",
        Env=["RUN_NIGHTLY=logs", "WHEN_NIGHTLY=0 10 * * *", "RUN_NEW=certs", "WHEN_NEW=@daily", "RUN_ODD=x"],
        Mounts=[{"Source": str(volume), "Destination": "/var/lib/jobscheduler"}],
    )  # fmt: skip
    (commands / "inspect").write_text(json.dumps([scheduler, told("shop", "applications.shop")]))
    assert tool.facts("x")["schedule"] == {
        "logs": {
            "entry": "nightly",
            "when": "0 10 * * *",
            "event": "failed",
            "due": SECONDS,
            "why": "could not be started",
        },
        "certs": {"entry": "new", "when": "@daily", "event": None, "due": None, "why": None},
    }


def test_a_long_record_is_read_from_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "TAIL_BYTES", 60)
    file = tmp_path / "runs.jsonl"
    file.write_text("".join(json.dumps({"job": f"j{number}", "event": "ended"}) + "\n" for number in range(9)))
    assert [line["job"] for line in tool.record(file)] == ["j8"]
    assert list(tool.record(tmp_path / "nowhere")) == []


@pytest.mark.usefixtures("commands")
def test_of_backups_what_is_to_be_saved_and_what_was_is_told_and_no_secret() -> None:
    tool.BACKUPS.write_text(
        json.dumps(
            {
                "environment": {"RESTIC_PASSWORD": "hush"},
                "volumes": {"uploads": {}},
                "databases": {"postgres": {"engine": "postgresql"}},
                "applications": {"shop": {"databases": [["postgres", "my shop"], ["elsewhere", "other"]]}},
            }
        )
    )
    (tool.SAVED / "last").mkdir(parents=True)
    (tool.SAVED / "last" / "volume:uploads.json").write_text('{"item": "volume:uploads", "status": "ok", "time": 1}')
    os.utime(tool.BACKUPS, (1700, 1700))
    known = tool.facts("x")["backups"]
    assert known == {
        "since": 1700,
        "items": ["database:postgres:my%20shop", "roles:postgres", "volume:uploads"],
        "saved": [{"item": "volume:uploads", "status": "ok", "time": 1}],
        "drill": None,
    }
    (tool.SAVED / "drill.json").write_text('{"status": "ok", "time": 2}')
    assert tool.facts("x")["backups"]["drill"] == {"status": "ok", "time": 2}


@pytest.mark.usefixtures("commands")
def test_as_a_command_it_prints_one_object_and_wants_one_word() -> None:
    done = subprocess.run([sys.executable, TOOL, "x"], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout)["time"] > 0
    assert subprocess.run([sys.executable, TOOL], capture_output=True, check=False, timeout=60).returncode == 2
