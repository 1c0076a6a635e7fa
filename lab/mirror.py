"""Debian's mirror, as the machine's own apt has it, so that a machine that knows a nearer one or no other is served.

Reads apt's settings and changes nothing. Leaves alone: a machine that is no Debian, or whose mirror nobody but itself
can read. Then there is none here, and mmdebstrap uses the one that it knows.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

# What apt is configured for, whether or not its lists were ever fetched.
TARGETS = ("apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages")


@dataclass(frozen=True)
class Mirror:
    """Where Debian's packages are."""

    archive: str = ""  # URL without a slash at its end; empty: mmdebstrap's own
    security: str = ""

    def sources(self, suite: str) -> list[str]:
        """Lines of a sources.list; none where mmdebstrap writes its own."""
        if not self.archive:
            return []
        lines = [f"deb {self.archive} {suite} main", f"deb {self.archive} {suite}-updates main"]
        return [*lines, f"deb {self.security} {suite}-security main"] if self.security else lines

    @property
    def site(self) -> str:
        """What has to be reached, for a person to read."""
        return self.archive.removesuffix("/debian") or "Debian's mirror"


@cache
def of_this_machine() -> Mirror:
    """The mirror that apt uses here."""
    try:
        system = platform.freedesktop_os_release()
    except OSError:  # no Linux that says what it is
        return Mirror()
    if not shutil.which("apt-get"):
        return Mirror()
    done = subprocess.run(TARGETS, capture_output=True, text=True, timeout=30, check=False)
    return read(done.stdout.splitlines(), system)


def read(targets: Iterable[str], system: Mapping[str, str]) -> Mirror:
    """The mirror out of what `TARGETS` prints; `system` is the machine's os-release.

    Others name their suites as Debian does. The mirror is told by having the updates of the suite as well.
    """
    if system.get("ID") != "debian":
        return Mirror()
    offered: dict[str, list[str]] = {}  # suite -> URLs
    for release, component, url in (line.split(" ", 2) for line in targets if line.count(" ") >= 2):
        if component == "main" and _is_reachable(url):
            offered.setdefault(release, []).append(url.rstrip("/"))
    for suite in (system.get("VERSION_CODENAME", ""), "stable"):
        updates = offered.get(f"{suite}-updates", [])
        if archive := next((url for url in offered.get(suite, []) if url in updates), ""):
            return Mirror(archive, next(iter(offered.get(f"{suite}-security", [])), ""))
    return Mirror()


def _is_reachable(url: str) -> bool:
    """Whether a container could fetch from it, too: over the network, not from this machine, without a password."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    local = host == "localhost" or host.startswith("127.") or host == "::1"
    return parts.scheme in {"http", "https"} and bool(host) and not local and parts.username is None
