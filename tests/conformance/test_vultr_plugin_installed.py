"""The Vultr provider under the real engine and against the emulated API: kills, interrupts, a refused key.

Needs `pulumi` and its Python language host on PATH (`make` puts them there).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.api.testing import Emulator
from lab.paths import CHECKOUT

PROGRAM = """
import ediri_vultr as vultr

address = vultr.ReservedIp("web1", region="ewr", ip_type="v4", label="conf-web1")
server = vultr.Instance(
    "web1", region="ewr", plan="vc2-1c-1gb", os_id=2136, label="conf-web1", tags=["conf"], enable_ipv6=True,
    hostname="web1", reserved_ip_id=address.id,
)
vultr.ReverseIpv6("web1", instance_id=server.id, ip=server.v6_main_ip, reverse="web1.example.com")
zone = vultr.DnsDomain("zone", domain="example.com")
for number in range(40):
    vultr.DnsRecord(f"r{number}", domain=zone.id, name=f"r{number}", type="A", data=server.main_ip, ttl=300)
vultr.DnsRecord("aaaa", domain=zone.id, name="", type="AAAA", data=server.v6_main_ip, ttl=300)
vultr.DnsRecord("mx", domain=zone.id, name="", type="MX", data="mail.example.com", priority=10, ttl=300)
"""


class Stack:
    """A project with one stack, in a PULUMI_HOME of its own."""

    def __init__(self, folder: Path, emulator: Emulator) -> None:
        self.folder, self.emulator = folder, emulator
        folder.mkdir()
        plugin = f"plugins: {{providers: [{{name: vultr, path: {CHECKOUT / 'provider'}}}]}}\n"
        (folder / "Pulumi.yaml").write_text(f"name: conf\nruntime: python\n{plugin}")
        (folder / "__main__.py").write_text(PROGRAM)
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": "x",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "VULTR_API_KEY": "a-key",
            "SSL_CERT_FILE": str(emulator.info["ca"]),
            **dict.fromkeys(("HTTPS_PROXY", "https_proxy"), emulator.proxy),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["pulumi", *arguments, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *arguments: str, fails: bool = False) -> str:
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=300)
        assert (process.returncode != 0) is fails, said
        return said

    def up(self, *arguments: str) -> str:
        return self("up", "--yes", "--skip-preview", *arguments)

    def instances(self) -> list[str]:
        """The ids of the account's instances."""
        return [one["id"] for one in self.emulator.api.get("/v2/instances").json()["instances"]]

    def recorded(self) -> dict[str, Any]:
        """The resources of the state by type and name."""
        exported = json.loads(self("stack", "export", "--show-secrets"))
        resources = exported["deployment"].get("resources") or []
        return {"::".join(one["urn"].split("::")[2:]): one for one in resources}

    def requests(self) -> int:
        return len((self.emulator.directory / "log" / "api-requests.jsonl").read_text().splitlines())

    def held(self) -> None:
        """From now on every instance is shown as pending."""
        pending = {"status": "pending", "server_status": "none", "main_ip": "0.0.0.0", "v6_network": ""}
        body = {"instance": {"id": "held", "region": "ewr", "plan": "vc2-1c-1gb", **pending}}
        fault = {"method": "GET", "path": "^/v2/instances/[^/]+$", "status": 200, "body": body, "count": -1}
        self.emulator.control.post("/faults", json=fault).raise_for_status()

    def released(self) -> None:
        self.emulator.control.delete("/faults").raise_for_status()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Emulator(tmp_path / "api") as emulator:
        stack = Stack(tmp_path / "project", emulator)
        stack("stack", "init", "dev")
        yield stack


def until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_whole_life(stack: Stack) -> None:
    """Made once, unchanged afterwards, refreshed by a handful of requests, left alone by a refused key, and deleted."""
    first = stack.up()
    assert "warning" not in first.lower()
    stack("preview", "--expect-no-changes")
    before = stack.requests()
    stack("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    assert stack.requests() - before <= 8, "42 records, a zone, an address, a server and its name"

    recorded = stack.recorded()
    stack.emulator.control.post("/bad-keys", json={"keys": ["a-key"]}).raise_for_status()
    said = stack("refresh", "--yes", "--skip-preview", fails=True)
    assert "answered 401" in said
    assert "pulumi config set --secret vultr:apiKey" in said
    stack.emulator.control.post("/bad-keys", json={"keys": []}).raise_for_status()
    assert stack.recorded() == recorded

    # Deleted in the portal.
    (server,) = stack.instances()
    stack.emulator.api.delete(f"/v2/instances/{server}").raise_for_status()
    stack("refresh", "--yes", "--skip-preview")
    assert not [name for name in stack.recorded() if "instance" in name or "reverse" in name]
    stack.up()
    assert len(stack.instances()) == 1
    stack("destroy", "--yes", "--skip-preview")
    assert not stack.instances()
    assert not list((stack.folder / "home" / "apiary-vultr").iterdir()), "nothing is open any more"


@pytest.mark.soak
def test_an_interrupted_creation_is_recorded_and_finished(stack: Stack) -> None:
    """What the plugin does then: tests/provider; what becomes of the update: test_heal in tests/lab."""
    stack.held()
    process = stack.start("up", "--yes", "--skip-preview")
    until(stack.instances, process)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert "interrupted while waiting for instance" in said, said
    (server,) = stack.instances()
    assert stack.recorded()["vultr:index/instance:Instance::web1"]["id"] == server
    stack.released()
    stack.up()
    assert stack.instances() == [server]
    stack("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    stack.up("--expect-no-changes")


@pytest.mark.soak
def test_a_killed_creation_is_taken_up_and_not_doubled(stack: Stack) -> None:
    """Engine, program and plugin are killed while the server is being made, before anybody has recorded it.

    As the first update of test_backups in tests/lab, whose server serves afterwards.
    """
    stack.held()
    process = stack.start("up", "--yes", "--skip-preview")
    notes = stack.folder / "home" / "apiary-vultr"
    until(lambda: stack.instances() and any('"id": "' in note.read_text() for note in notes.glob("*.json")), process)
    subprocess.run(["pkill", "--signal", "KILL", "--session", str(process.pid)], check=True)
    process.communicate(timeout=60)
    (server,) = stack.instances()
    stack.released()
    stack("cancel", "--yes")
    said = stack.up()
    assert f"taking over instance {server}" in said, said
    assert stack.instances() == [server]
    stack("refresh", "--yes", "--skip-preview", "--expect-no-changes", "--clear-pending-creates")
    stack.up("--expect-no-changes")
