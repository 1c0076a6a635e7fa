"""The region's block storage: virtual disks with what is written on them, apart from the servers that have them.

Makes one Docker volume for the region, in it a sparse file for each disk, and a loop device of the machine below for
each file as long as the disk is there: whichever servers have it one after another, they use the one device. Leaves
alone: what is on a disk, and how a server shows it (recipes/server.sh, `lab-disks`).
"""

from __future__ import annotations

from collections.abc import Mapping

from lab import images
from lab.paths import Paths
from lab.shell import docker

FILES = "/disks"
# Only the engine's own view of /dev has the devices that appear later.
RIGHTS = [
    *("--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
    *("--device-cgroup-rule", "b 7:* rmw", "--device-cgroup-rule", "c 10:237 rmw", "-v", "/dev:/dev"),
]
# A disk may grow and never shrinks, as at the API. `losetup --find` may lose its device to somebody else's.
MADE = f"""\
set -eu
while [ $# -gt 0 ]; do
    file={FILES}/$1.img
    [ -e "$file" ] && [ "$(stat -c %s "$file")" -ge $(($2 << 30)) ] || truncate -s "$2G" "$file"
    device=$(losetup --noheadings --output NAME --associated "$file" | head -n 1)
    for _ in 1 2 3 4 5; do
        [ -z "$device" ] || break
        device=$(losetup --find --show "$file") || sleep 0.2
    done
    losetup --set-capacity "$device"
    echo "$1 $(stat -c '%t %T' "$device")"
    shift 2
done
"""
REMOVED = """\
set -eu
for file; do
    [ -e "$file" ] || continue
    for device in $(losetup --noheadings --output NAME --associated "$file"); do losetup --detach "$device"; done
    rm "$file"
done
"""


def ensure(paths: Paths, disks: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Disks of at least these GB, by name: the numbers (major, minor) of their devices. Raises LabError."""
    if not disks:
        return {}
    docker("volume", "create", "--label", paths.label, _volume(paths), step="the region's disks")
    said = [word for name, size in disks.items() for word in (name, str(size))]
    lines = _run(paths, MADE, *said, step="plugging in a disk").splitlines()
    found = (line.split() for line in lines)
    return {name: (int(major, 16), int(minor, 16)) for name, major, minor in found}


def remove(paths: Paths, disk: str) -> None:
    """Forget a disk, and all that is on it. Raises LabError."""
    if _exists(paths):
        _run(paths, REMOVED, f"{FILES}/{disk}.img", step="removing a disk")


def remove_all(paths: Paths) -> None:
    """Give the machine's devices back, before the region's volumes go: a file that is in use would stay for ever."""
    if _exists(paths):
        _run(paths, f"set -- {FILES}/*.img\n{REMOVED}", step="removing the region's disks")
        docker("volume", "rm", "-f", _volume(paths), step="removing the region's disks")


def _volume(paths: Paths) -> str:
    return paths.name("disks")


def _exists(paths: Paths) -> bool:
    named = ("--filter", f"name=^{_volume(paths)}$")
    return bool(docker("volume", "ls", "-q", *named, step="looking for the region's disks").strip())


def _run(paths: Paths, script: str, *arguments: str, step: str) -> str:
    mounted = ["-v", f"{_volume(paths)}:{FILES}"]
    command = ["bash", "-c", script, "disks", *arguments]
    return docker("run", *paths.passing(), *RIGHTS, *mounted, images.tools(paths), *command, step=step)
