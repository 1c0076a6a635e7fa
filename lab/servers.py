"""The region's servers: systemd containers with a bare Debian, seen from inside as a provider's machine.

Makes, for one instance: the container `apiary-lab-HASH-<id>` and the volume of the same name for its
/var/lib/docker; its disk and addresses; for each VPC that a server is on, a bridge network of its own.
Leaves alone: everything inside from the first boot on. The address plan is the emulator's; who may log in, and what to
do at the first boot, the server's own cloud-init asks the region's metadata service.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path

from lab import acme, disks, engine, images, network, registry, warm
from lab.api.backend import PrivateLink, ServerSpec
from lab.paths import Paths
from lab.shell import LabError, docker, packed, succeeds

__all__ = ["PrivateLink", "ServerSpec", "Servers"]

PRIVATE = "var/lib/lab/private"  # the MAC address and, when it was made with it, the address of the link to its VPC
DISKS = "var/lib/lab/disks"  # a line for each: name, letter, major and minor number of its device
STOP_SECONDS = 25  # for a clean shutdown; then it is pulled
INSTANCE = "apiary.lab.instance"
VISITORS = ("prober", "prober-routed", "acme")  # the region's services that come to sites as the world does


class Servers:
    """Runs servers on this machine's Docker engine. Calls block; those on what does not exist succeed."""

    def __init__(self, directory: str | Path | None = None) -> None:
        self._paths = Paths.find(directory)
        self._disks = threading.Lock()
        self._wiring = threading.Lock()  # a VPC's network comes with its first server and goes with its last one

    def name(self, server_id: str, /) -> str:
        """The container's and the volume's name."""
        return self._paths.name(server_id)

    def runs(self, os_id: int, /) -> bool:
        """Whether there is a Debian of that number here."""
        return os_id in images.SUITES

    def create(self, spec: ServerSpec) -> None:
        """Makes and starts a server; returns when PID 1 runs (SSH answers about two seconds later).

        Raises LabError. A server of that id that exists already is only started.
        """
        if self.exists(spec.id):
            return self.start(spec.id)
        plan = network.load_plan(self._paths)
        if plan is None:
            raise LabError("creating a server", "the region is not up", f"{self._paths.verb} up")
        suite = images.suite_of(spec.os_id)
        is_warm = warm.is_warm(self._paths)
        image = (warm if is_warm else images).server(self._paths, suite)
        images.base(self._paths, suite)
        registry.add(self._paths.registry, "library/debian", f"{suite}-slim", images.base_tar(self._paths, suite))
        name = self.name(spec.id)
        arguments = [
            "create",
            "--name",
            name,
            "--hostname",
            spec.hostname,
            "--label",
            self._paths.label,
            "--label",
            f"{INSTANCE}={spec.id}",
            "--label",
            f"apiary.lab.name={spec.label}",
            "--label",
            f"apiary.lab.ipv4={spec.ipv4}",
            "--label",
            f"apiary.lab.ipv6={spec.ipv6 or ''}",
            "--label",
            f"apiary.lab.prefix={spec.prefix or ''}",
            "--network",
            self._paths.name("net"),
            "--ip",
            spec.ipv4,
            "--restart",
            "unless-stopped",
            "--stop-signal",
            "SIGRTMIN+3",
            "--tmpfs",
            "/run",
            "--tmpfs",
            "/tmp:exec",  # noqa: S108 - inside the container
            "-v",
            f"{name}:/var/lib/docker",
            "--sysctl",
            "net.ipv6.conf.all.disable_ipv6=0",
            *engine.server_flags(self._paths),
        ]
        for key, value in _environment(spec, plan).items():
            arguments += ["-e", f"{key}={value}"]
        docker("volume", "create", "--label", self._paths.label, name, step=f"creating server {spec.label}")
        try:
            if is_warm:
                warm.fill(self._paths, name)
            docker(*arguments, image, step=f"creating server {spec.label}", timeout=120)
            root = {"etc/ssl/certs/lab-world.pem": acme.WORLD.pem()}
            docker("cp", "-", f"{name}:/", stdin=packed(root), step=f"creating server {spec.label}")
            if spec.private:
                link = {PRIVATE: f"{spec.private.mac} {spec.private.address}\n"}
                docker("cp", "-", f"{name}:/", stdin=packed(link), step=f"wiring server {spec.label}")
                with self._wiring:
                    self._connect(name, spec.private)
            docker("start", name, step=f"starting server {spec.label}", timeout=120)
        except LabError:
            self.delete(spec.id)
            raise
        return None

    def start(self, server_id: str, /) -> None:
        """Powers it on."""
        if self.exists(server_id):
            docker("start", self.name(server_id), step="starting a server", timeout=120)

    def stop(self, server_id: str, /) -> None:
        """Shuts it down cleanly, within STOP_SECONDS or by force."""
        if self.exists(server_id):
            docker("stop", "-t", str(STOP_SECONDS), self.name(server_id), step="stopping a server", timeout=120)

    def reboot(self, server_id: str, /) -> None:
        """Shuts it down cleanly and powers it on; disk, addresses and identity stay."""
        if self.exists(server_id):
            docker(
                "restart",
                "-t",
                str(STOP_SECONDS),
                self.name(server_id),
                step="rebooting a server",
                timeout=120,
            )

    def kill(self, server_id: str, /) -> None:
        """Pulls the plug: it exists, does not run, and says nothing to anyone."""
        if self.running(server_id):
            docker("kill", self.name(server_id), step="killing a server")

    def delete(self, server_id: str, /) -> None:
        """Removes the server with its disk and volume. Raises LabError when something of it stays."""
        name = self.name(server_id)
        deadline = time.monotonic() + 60
        while self.exists(server_id):
            if not succeeds(["docker", "rm", "-f", "-v", name], timeout=90) and time.monotonic() > deadline:
                raise LabError(
                    "deleting a server",
                    f"Docker does not remove the container {name}",
                    f"docker rm -f {name}",
                )
        while succeeds(["docker", "volume", "inspect", name]):
            if not succeeds(["docker", "volume", "rm", "-f", name]) and time.monotonic() > deadline:
                raise LabError(
                    "deleting a server",
                    f"Docker does not remove the volume {name}",
                    f"docker volume rm {name}",
                )
        with self._wiring:
            self._forget_networks()

    def wire(self, server_id: str, link: PrivateLink | None, /) -> None:
        """Plugs the server into this VPC, and out of any other, while it runs or not. Configures nothing in it.

        Raises LabError.
        """
        if not self.exists(server_id):
            return
        name, step = self.name(server_id), "wiring a server"
        with self._wiring:
            wanted = network.vpc(self._paths, link.vpc) if link else None
            plugged = [one for one in network.vpcs(self._paths) if name in _members(one)]
            if plugged == ([wanted] if wanted else []):
                return
            for one in plugged:
                if self.running(server_id):
                    docker("exec", name, "sh", "-c", "! [ -e /sys/class/net/enp6s0 ] || ip link del enp6s0", step=step)
                docker("network", "disconnect", "-f", one, name, step=step)
            docker("cp", "-", f"{name}:/", stdin=packed({PRIVATE: f"{link.mac}\n" if link else ""}), step=step)
            if link:
                self._connect(name, link)
                if self.running(server_id):
                    script = "for path in /sys/class/net/eth*; do lab-private ${path##*/}; done"
                    docker("exec", name, "sh", "-c", script, step=step)
            self._forget_networks()

    def plug(self, server_id: str, wanted: Mapping[str, int], /) -> None:
        """Gives the server these virtual disks and no other, by name with their GB, now and at each start.

        What is still mounted of one that is taken away stays with those who have it open. Raises LabError.
        """
        if not self.exists(server_id):
            return
        name, step = self.name(server_id), "plugging in a disk"
        with self._disks:
            devices = disks.ensure(self._paths, wanted)
        lines = [
            f"{disk} {chr(ord('b') + number)} {major} {minor}\n"
            for number, (disk, (major, minor)) in enumerate(sorted(devices.items()))
        ]
        docker("cp", "-", f"{name}:/", stdin=packed({DISKS: "".join(lines)}), step=step)
        if self.running(server_id):
            docker("exec", name, "lab-disks", step=step)

    def erase(self, disk: str, /) -> None:
        """Forgets a virtual disk with all that is on it. Raises LabError."""
        with self._disks:
            disks.remove(self._paths, disk)

    def deliver(self, network: str, server_id: str | None, /) -> None:
        """Lets visitors' packets for a reserved /64 onto the region's link, where its server answers for it; or not.

        Raises LabError.
        """
        unreachable = f"unreachable {network}/64"
        command = (
            f"ip -6 route del {unreachable} 2>/dev/null || true" if server_id else f"ip -6 route replace {unreachable}"
        )
        for service in VISITORS:
            name = self._paths.name(service)
            if docker("ps", "-q", "--filter", f"name=^{name}$", step="looking for a prober").strip():
                docker("exec", name, "sh", "-c", command, step=f"delivering {network}/64")

    def _connect(self, name: str, link: PrivateLink) -> None:
        made = network.ensure_vpc(self._paths, link.vpc, images.tools(self._paths))
        docker("network", "connect", made, name, step="wiring a server")

    def _forget_networks(self) -> None:
        for one in network.vpcs(self._paths):
            if not _members(one):
                network.remove_vpc(self._paths, one, images.tools(self._paths))

    def exists(self, server_id: str, /) -> bool:
        """Whether the container exists. Raises LabError when the engine does not answer."""
        found = docker("ps", "-aq", "--filter", f"name=^{self.name(server_id)}$", step="looking for a server")
        return bool(found.strip())

    def running(self, server_id: str, /) -> bool:
        """Whether it is powered on."""
        found = docker("ps", "-q", "--filter", f"name=^{self.name(server_id)}$", step="looking for a server")
        return bool(found.strip())

    def all(self) -> list[dict[str, str]]:
        """Every server of this lab: id, name (its label), addresses, state ("running", "exited")."""
        # One question: between two of them a server may be deleted.
        labels = (INSTANCE, *(f"apiary.lab.{key}" for key in ("name", "ipv4", "ipv6", "prefix")))
        fields = "\t".join([*(f'{{{{.Label "{label}"}}}}' for label in labels), "{{.State}}"])
        mine = ("--filter", f"label={self._paths.label}", "--filter", f"label={INSTANCE}")
        listed = docker("ps", "-a", *mine, "--format", fields, step="listing the servers")
        return [
            dict(zip(("id", "name", "ipv4", "ipv6", "prefix", "state"), line.split("\t"), strict=True))
            for line in listed.splitlines()
        ]


def _members(network_name: str) -> list[str]:
    """The names of the containers on a network, also of those that do not run."""
    listed = docker(
        "ps", "-a", "--filter", f"network={network_name}", "--format", "{{.Names}}", step="looking at a VPC"
    )
    return listed.split()


def _environment(spec: ServerSpec, plan: network.Plan) -> dict[str, str]:
    """What PID 1's script sets up before systemd runs."""
    environment = {
        "LAB_HOSTNAME": spec.hostname,
        "LAB_IPV4": spec.ipv4,
        "LAB_MAC": spec.mac,
        "LAB_GATEWAY": plan.gateway,
        "LAB_NAMESERVER": plan.nameserver,
    }
    if spec.ipv6:
        environment |= {
            "LAB_IPV6": f"{spec.ipv6}/64",
            "LAB_ON_LINK": f"{network.PROBERS} {network.ROUTED}",
            "LAB_GATEWAY6": network.GATEWAY6,
        }
    return environment
