"""A Docker engine for the lab: the one that answers, else one started here, and the flags its servers need.

Makes: at most the package docker.io and one dockerd process (pid in `.lab/cache`, log in `.lab/log`), only as
root and only when no engine answers. Leaves alone: an engine that runs already, its configuration and its
other containers.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from lab import packages
from lab.paths import NAMES, Paths
from lab.shell import LabError, docker, docker_json, say, succeeds, wait_for

FREE_BYTES = 4 << 30
START_SECONDS = 60.0
BOOT_SECONDS = 40.0
SYSTEMD = Path("/run/systemd/system")  # exists where systemd is the init
PRIVILEGED = ["--privileged", "--cgroupns=private"]
# Where --privileged is refused because the machine itself lacks CAP_SYS_RESOURCE.
CAPABILITIES = [
    "--cap-add",
    "ALL",
    "--cap-drop",
    "SYS_RESOURCE",
    "--security-opt",
    "seccomp=unconfined",
    "--security-opt",
    "systempaths=unconfined",
    "--security-opt",
    "apparmor=unconfined",
    "--device-cgroup-rule",
    "a *:* rmw",
]
CANDIDATES = (
    PRIVILEGED,
    [*CAPABILITIES, "--cgroupns=private"],
    [*CAPABILITIES, "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw"],
)
LOST_COUNT = "has active endpoints"  # Docker before 23 may count a container that is gone, until it starts again
# What a server must be able to do: its own sysctls, mounts, control groups, raw packets.
PROOF = """
set -e
echo 1 > /proc/sys/net/ipv4/ip_forward
mount -t tmpfs none /mnt && umount /mnt
tree=/sys/fs/cgroup; [ -d $tree/memory ] && tree=$tree/memory
mkdir $tree/lab-proof && rmdir $tree/lab-proof
python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'
"""


def answers() -> bool:
    """Whether a Docker engine answers on the CLI's current context."""
    return succeeds(["docker", "version", "--format", "{{.Server.Version}}"], timeout=15)


def ensure(paths: Paths) -> None:
    """An engine that answers. Raises LabError when there is none and none may be started."""
    if not answers():
        _start(paths)
    data = docker("info", "--format", "{{.DockerRootDir}}").strip()
    for folder, remedy in (
        (str(paths.root), "free some, or set APIARY_LAB_DIR to a larger disk"),
        (data, "free some (`docker system df` lists what Docker keeps), or give Docker a larger disk: its `data-root`"),
    ):
        try:
            free = shutil.disk_usage(folder).free
        except OSError:
            continue  # Docker's, on another machine
        if free < FREE_BYTES:
            raise LabError("disk space", f"{free / (1 << 30):.1f} GiB free under {folder}, the lab needs 4", remedy)


def _record(paths: Paths) -> Path:
    """Which dockerd was started, and by which lab: others with the same cache find it, should that one go first."""
    return paths.cache / "dockerd.json"


def stop(paths: Paths) -> None:
    """Ends the dockerd that this lab started, or one that is gone, if it is still that one and nothing runs on it."""
    record = _record(paths)
    if not record.exists():
        return
    started = json.loads(record.read_text())
    owner = Paths(Path(started["lab"]))
    if owner.root != paths.root and owner.run.exists():
        return
    if _birth(started["pid"]) == started["birth"]:
        others = docker("ps", "--format", "{{.Names}}").split() if answers() else []
        if others:
            say(f"the Docker engine that the lab started stays: {', '.join(others[:5])} run on it")
            return
        os.kill(started["pid"], signal.SIGTERM)
        if not wait_for(lambda: _birth(started["pid"]) != started["birth"], START_SECONDS):
            raise LabError("stopping dockerd", f"process {started['pid']} does not end", "look at " + str(paths.log))
    record.unlink()


def server_flags(paths: Paths) -> list[str]:
    """The `docker create` flags that boot a systemd server here; probed once, remembered in the cache."""
    memory = paths.cache / "server-flags.json"
    identity = docker("info", "--format", "{{.ID}} {{.ServerVersion}} cgroup {{.CgroupVersion}}").strip()
    if memory.exists():
        known = json.loads(memory.read_text())
        if known["engine"] == identity:
            return [str(flag) for flag in known["flags"]]
    flags = _probe(paths)
    memory.write_text(json.dumps({"engine": identity, "flags": flags}) + "\n")
    return flags


def _probe(paths: Paths) -> list[str]:
    from lab import images  # noqa: PLC0415 - images are built by the engine that this module finds

    image = images.server(paths, "bookworm")
    name = paths.name("probe")
    reasons = []
    for flags in CANDIDATES:
        say(f"trying to boot a server with {' '.join(flags[:2])} ... {flags[-1]}")
        succeeds(["docker", "rm", "-f", "-v", name], timeout=60)
        try:
            docker(
                "run",
                "-d",
                "--name",
                name,
                "--label",
                paths.label,
                "--network",
                "none",
                "--stop-signal",
                "SIGRTMIN+3",
                "--tmpfs",
                "/run",
                "--tmpfs",
                "/tmp",  # noqa: S108 - inside the container
                "-v",
                "/var/lib/docker",
                *flags,
                image,
                step="booting a server",
            )
            if wait_for(lambda: _booted(name), BOOT_SECONDS):
                docker("exec", name, "/bin/sh", "-c", PROOF, step="using a server")
                return list(flags)
            logs = docker("logs", "--tail", "5", name)
            reasons.append(f"systemd was not up after {BOOT_SECONDS:.0f} s; it said: {logs.strip() or 'nothing'}")
        except LabError as error:
            reasons.append(error.why)
        finally:
            succeeds(["docker", "rm", "-f", "-v", name], timeout=60)
    tried = "\n    ".join(f"{' '.join(flags)}: {why}" for flags, why in zip(CANDIDATES, reasons, strict=True))
    raise LabError(
        "booting a server",
        f"this Docker engine runs no systemd container:\n    {tried}",
        "use a rootful Docker engine on Linux, not a rootless one, with all capabilities",
    )


def _booted(name: str) -> bool:
    said = "systemctl is-system-running | grep -qxE 'running|degraded'"
    return succeeds(["docker", "exec", name, "/bin/sh", "-c", said])


def _start(paths: Paths) -> None:
    step = "starting a Docker engine"
    if os.geteuid() != 0:
        raise LabError(
            step,
            "no Docker engine answers, and only root may start one",
            "start Docker (systemctl start docker), join the group docker, or run this as root",
        )
    if not shutil.which("dockerd"):
        _install(paths)
        if wait_for(answers, 5):
            return  # the package's own service has started it
    log = paths.log / "dockerd.log"
    if SYSTEMD.exists():
        say(f"{step} by systemd ...")
        if not succeeds(["systemctl", "start", "docker"], timeout=START_SECONDS) or not wait_for(
            answers, START_SECONDS
        ):
            raise LabError(step, "`systemctl start docker` brought no engine", "journalctl -u docker")
        return
    say(f"{step} ...")
    with log.open("ab") as out:
        process = subprocess.Popen(
            ["dockerd", "--pidfile", str(paths.run / "dockerd.pid")],
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    _record(paths).write_text(json.dumps({"pid": process.pid, "birth": _birth(process.pid), "lab": str(paths.root)}))
    if not wait_for(lambda: process.poll() is not None or answers(), START_SECONDS) or process.poll() is not None:
        if process.poll() is None:
            process.terminate()
        _record(paths).unlink()
        tail = "\n    ".join(log.read_text(errors="replace").splitlines()[-6:])
        raise LabError(
            step,
            f"dockerd did not come up; {log} ends:\n    {tail}",
            "where it names cgroups: apt-get install cgroupfs-mount; else start an engine yourself",
        )


def _install(paths: Paths) -> None:
    if not shutil.which("apt-get"):
        raise LabError("installing Docker", "no Docker engine and no apt-get here", "install Docker and start it")
    packages.install(paths, "docker.io", "iptables", "ca-certificates")
    if not shutil.which("docker"):  # Debian 13 packages the client apart
        packages.install(paths, "docker-cli")


def _birth(pid: int) -> str:
    """When a process started, in the kernel's ticks; "" when it does not run.

    A pid alone may have a new owner.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def clean(paths: Paths) -> None:
    """Removes every container, volume and network of this lab, found by label, so also after a crash.

    Containers by their name too: one that somebody made of an image of a container of the lab's has its labels.
    A network that the engine can't let go of stays, and is told: with no container on it it is in nobody's way.
    """
    step = "removing the lab's Docker objects"
    mine = f"label={paths.label}"
    if containers := docker("ps", "-aq", "--filter", mine, "--filter", f"name=^{NAMES}", step=step).split():
        docker("rm", "-f", "-v", *containers, step=step, timeout=180)
    if volumes := docker("volume", "ls", "-q", "--filter", mine, step=step).split():
        docker("volume", "rm", "-f", *volumes, step=step, timeout=120)
    for network in docker("network", "ls", "-q", "--filter", mine, step=step).split():
        for container in docker_json("network", "inspect", network)[0]["Containers"]:
            docker("network", "disconnect", "-f", network, container, step=step)
        try:
            docker("network", "rm", network, step=step)
        except LabError as error:
            if LOST_COUNT not in error.why:
                raise
            say(
                f"the network {network} stays, with nothing on it: the Docker engine counts a container that is gone. "
                f"After a restart of Docker `{paths.verb} down` removes it; until then `{paths.verb} up` uses it again"
            )
