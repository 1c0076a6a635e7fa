"""Debian's packages that the lab needs of this machine, installed by root where they are missing.

Leaves alone: what is installed, and any machine but Debian and Ubuntu.
"""

from __future__ import annotations

import os
import shutil

from lab.paths import Paths
from lab.shell import LabError, run_long


def can_install() -> bool:
    """Whether this is root on Debian or Ubuntu."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(paths: Paths, *packages: str) -> None:
    """Raises LabError."""
    for step, words in (
        ("apt-get update", ["update", "-q"]),
        (f"installing {', '.join(packages)}", ["install", "-qy", "--no-install-recommends", *packages]),
    ):
        run_long(
            ["apt-get", *words],
            step,
            log=paths.log / "apt.log",
            timeout=600,
            env={"DEBIAN_FRONTEND": "noninteractive"},
            remedy="check the network and /etc/apt/sources.list, then run it again",
        )


def ensure_ssh(paths: Paths) -> None:
    """The client by which the Docker provider and the program's own verbs reach a server. Raises LabError."""
    if shutil.which("ssh"):
        return
    if not can_install():
        raise LabError(
            "looking for an SSH client",
            "there is no `ssh` on PATH, and only root on Debian or Ubuntu may install it",
            "install an OpenSSH client (apt-get install openssh-client), or run this as root",
        )
    install(paths, "openssh-client")
