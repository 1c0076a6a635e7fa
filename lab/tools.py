"""Pulumi for the lab: the CLI, its Python language host and the resource plugins.

Brings what is missing: a `pulumi` on PATH is used as it is, else one is built from pinned Go modules
(toolchain/build.sh); the official plugins are downloaded where Pulumi can, else the lab's stand-ins for them
are installed. Leaves alone: the user's own PULUMI_HOME, and Vultr's plugin, which is the program's own (Pulumi.yaml).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab.paths import CHECKOUT, Paths
from lab.plugins import install as stand_ins
from lab.shell import LabError, run, say

BUILD_SECONDS = 3600
GO = (1, 25)  # what stores/go.mod asks for
DOWNLOAD_SECONDS = 90


def ensure_pulumi(paths: Paths) -> Path:
    """The `pulumi` that the lab uses; raises LabError where there is none and none can be built."""
    found = shutil.which("pulumi")
    if found is not None:
        return Path(found)
    command = ["bash", str(CHECKOUT / "toolchain" / "build.sh"), str(paths.bin)]
    if not (paths.bin / "pulumi").exists():
        say("no `pulumi` on PATH: building one")
    # Standard output is for what a caller asked for, progress is not.
    try:
        done = subprocess.run(command, check=False, timeout=BUILD_SECONDS, stdout=sys.stderr)
        why = "" if done.returncode == 0 else "toolchain/build.sh failed (above)"
    except subprocess.TimeoutExpired:
        why = f"toolchain/build.sh did not end within {BUILD_SECONDS} s"
    if why:
        remedy = "do what it says, or install Pulumi and put it on PATH"
        raise LabError("building the Pulumi CLI", why, remedy)
    return paths.bin / "pulumi"


def ensure_go(paths: Paths) -> Path:
    """A Go compiler that can build what the lab builds: the one on PATH, else the pinned one.

    That is installed where toolchain/build.sh does so. Raises LabError.
    """
    own = paths.bin / "go" / "bin" / "go"
    for found in (shutil.which("go"), own):
        if found and _is_go(Path(found)):
            return Path(found)
    step = f"installing Go {'.'.join(map(str, GO))}"
    say(f"{step} ...")
    venv, pip = [sys.executable, "-m", "venv", str(own.parent.parent)], own.parent / "pip"
    lock = CHECKOUT / "toolchain" / "requirements.txt"
    for command in (venv, [str(pip), "install", "--quiet", "--require-hashes", "-r", str(lock)]):
        run(command, step, BUILD_SECONDS)
    if not _is_go(own):
        raise LabError(step, f"{own} does not run here", "install Go and put it on PATH")
    return own


def _is_go(go: Path) -> bool:
    """Whether it runs, and is new enough."""
    command, local = [str(go), "env", "GOVERSION"], {**os.environ, "GOTOOLCHAIN": "local"}
    try:
        said = subprocess.run(command, env=local, capture_output=True, text=True, timeout=60, check=False).stdout
    except OSError:
        return False
    version = re.match(r"go(\d+)\.(\d+)", said)
    return version is not None and tuple(map(int, version.groups())) >= GO


def ensure_plugins(paths: Paths, pulumi: Path) -> None:
    """Every plugin but Vultr's at the version of its SDK, official where it can be had; says which are used."""
    keep_no_logs(paths.pulumi)
    versions = stand_ins.sdk_versions(list(stand_ins.DISTRIBUTIONS))
    standing_in = [name for name in versions if _stands_in(paths, name)]
    missing = [name for name, version in versions.items() if not _folder(paths, name, version).is_dir()]
    if missing:
        say(f"plugins: trying to download {', '.join(missing)}")
        with ThreadPoolExecutor(max_workers=len(missing)) as pool:
            got = dict(
                zip(
                    missing, pool.map(lambda name: _download(paths, pulumi, name, versions[name]), missing), strict=True
                )
            )
        standing_in += [name for name, downloaded in got.items() if not downloaded]
    if standing_in:
        try:
            stand_ins.install(paths.pulumi, str(pulumi), names=standing_in)
        except stand_ins.InstallError as error:
            raise LabError("installing the stand-in plugins", str(error)) from None
    say(f"plugins: {plugins(paths)}")


def plugins(paths: Paths) -> str:
    """Which plugins are installed, for a person to read."""
    versions = stand_ins.sdk_versions(list(stand_ins.DISTRIBUTIONS))
    installed = [name for name, version in versions.items() if _folder(paths, name, version).is_dir()]
    standing_in = [name for name in installed if _stands_in(paths, name)]
    official = [name for name in installed if name not in standing_in]
    said = ["the program's own for vultr", *([f"official {', '.join(official)}"] if official else [])]
    if standing_in:
        said.append(f"the lab's stand-ins for {', '.join(standing_in)} (the official ones could not be downloaded)")
    return "; ".join(said)


def keep_no_logs(home: Path) -> None:
    """Have the CLI write no log of its runs in this PULUMI_HOME.

    It packs and encrypts everything that each run does, has no setting against that (3.259), and goes on without where
    it can't make the folder: a seventh of what a preview of the lab's stack costs.
    """
    logs = home / "logs"
    if logs.is_dir():
        shutil.rmtree(logs)
    home.mkdir(parents=True, exist_ok=True)
    logs.touch()


def _folder(paths: Paths, name: str, version: str) -> Path:
    return paths.pulumi / "plugins" / f"resource-{name}-v{version}"


def _stands_in(paths: Paths, name: str) -> bool:
    """Whether the stand-in was chosen for this plugin before; it is kept until `down --all`."""
    try:
        chosen: dict[str, str] = json.loads((paths.pulumi / stand_ins.MARK).read_text())["plugins"]
    except (OSError, ValueError, KeyError):
        return False
    return name in chosen


def _download(paths: Paths, pulumi: Path, name: str, version: str) -> bool:
    command = [str(pulumi), "plugin", "install", "resource", name, version]
    environment = {**os.environ, "PULUMI_HOME": str(paths.pulumi), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    log = paths.log / "plugins.log"
    try:
        with log.open("ab") as out:
            done = subprocess.run(
                command, env=environment, check=False, timeout=DOWNLOAD_SECONDS, stdout=out, stderr=out
            )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
