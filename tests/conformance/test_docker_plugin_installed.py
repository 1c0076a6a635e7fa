"""The stand-in as an installed plugin: a real CLI runs it, without warnings; outside the lab it refuses.

Needs `pulumi` and its Python language host on PATH (`make` puts them there) and the local Docker engine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.plugins.install import install
from tests.conformance.debian import debian

PROGRAM = """
import pulumi
import pulumi_docker as docker

provider = docker.Provider("dk", host="{host}")
options = pulumi.ResourceOptions(provider=provider)
volume = docker.Volume("conf-vol", opts=options)
docker.Container(
    "conf-full", image="{image}", command=["sleep", "100000"],
    envs=["B=2", pulumi.Output.secret("TOKEN=conf-secret")], labels=[dict(label="b", value="1")],
    volumes=[dict(volume_name=volume.name, container_path="/data")], memory=64, memory_swap=64, cpus="0.5",
    healthcheck=dict(tests=["CMD", "true"], interval="1s"), wait=True, restart="unless-stopped", opts=options,
)
pulumi.export("volume", volume.mountpoint)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    install(tmp_path / "home", names=["docker"])
    return tmp_path / "home"


def executable(home: Path) -> Path:
    return next(home.glob("plugins/resource-docker-v*/pulumi-resource-docker"))


def test_a_second_installation_does_nothing(home: Path) -> None:
    before = executable(home).stat().st_mtime_ns
    assert [plugin.fresh for plugin in install(home, names=["docker"])] == [False]
    assert executable(home).stat().st_mtime_ns == before


def test_a_damaged_installation_is_repaired(home: Path) -> None:
    executable(home).unlink()
    assert [plugin.fresh for plugin in install(home, names=["docker"])] == [True]
    assert executable(home).is_file()


def test_outside_the_lab_it_refuses(home: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PULUMI_HOME": str(tmp_path / "production")}
    run = subprocess.run(
        [executable(home), "127.0.0.1:1"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert run.returncode == 1
    assert "runs only in a lab" in run.stderr
    assert run.stdout == ""


def test_it_starts_fast_and_ends_with_sigterm(home: Path) -> None:
    def start() -> tuple[float, subprocess.Popen[str]]:
        began = time.monotonic()
        process = subprocess.Popen(
            [executable(home)],
            env={**os.environ, "PULUMI_HOME": str(home)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
        return time.monotonic() - began, process

    times = []
    for _ in range(4):
        seconds, process = start()
        times.append(seconds)
        process.terminate()
        process.communicate(timeout=10)
        assert process.returncode == 0
    assert min(times) < 1.0  # 0.2 s on an idle machine


def test_up_refresh_and_destroy_by_the_real_engine(home: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: conf\nruntime: python\n")
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    (project / "__main__.py").write_text(PROGRAM.format(host=host, image=debian()))
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{tmp_path}",
        "PULUMI_CONFIG_PASSPHRASE": "x",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }

    def pulumi(*arguments: str) -> str:
        run = subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--color=never"],
            cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout + run.stderr

    pulumi("stack", "init", "dev")
    try:
        first = pulumi("up", "--yes", "--skip-preview")
        assert "warning" not in first.lower()
        assert "conf-secret" not in first
        pulumi("preview", "--expect-no-changes")
        pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
        assert "conf-secret" not in pulumi("stack", "export")
    finally:
        pulumi("destroy", "--yes", "--skip-preview")
