"""The life of instances: what the API has promised is carried out by the backend, off the event loop.

Everything to be done is in the state before it begins (`status: pending`, the table `deleting`), each step
may be repeated, and `resume` continues after a crash. Work on one instance is serial; a machine is only
made when no machine that is being deleted still holds its IPv4 address.

A new instance is `pending`, then `active` and `installingbooting`, then `ok`; how long, says `pace`.

A build that fails leaves the instance `suspended`: the next read of it answers the reason once, then the
instance is shown as it is; a PATCH (what a client's next update sends), a start or a reinstall builds it
again.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from lab.api import later, pace
from lab.api.backend import Backend, PrivateLink, ServerSpec
from lab.api.catalogue import PLANS
from lab.api.store import Store

log = logging.getLogger("lab.api")
JSON = dict[str, Any]
Task = asyncio.Task[Exception | None]  # its result: what kept the work from being done
A = TypeVar("A")
R = TypeVar("R")


class Machines:
    """Runs the backend's calls on a few threads and writes their outcome to the state."""

    def __init__(self, store: Store, backend: Backend, workers: int = 4) -> None:
        self.backend = backend
        self._store = store
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="machine")
        self._locks: dict[str, asyncio.Lock] = {}
        self._removals: dict[str, Task] = {}
        self._tasks: set[Task] = set()

    # What may be asked for. Each returns at once; the task ends when the work is done or has failed, and never raises.

    def build(self, id_: str) -> Task:
        """Make the machine of a pending instance (again, if something of it is there already)."""
        return self._spawn("build", id_, self._build)

    def remove(self, id_: str, ipv4: str) -> Task:
        """Delete the machine of an instance that is no longer in the state."""
        self._store.table("deleting")[id_] = ipv4
        task = self._spawn("delete", id_, self._remove)
        self._removals[id_] = task
        return task

    def start(self, id_: str) -> Task:
        """Start a stopped or dead machine."""
        return self._power("start", id_, self.backend.start, "running")

    def halt(self, id_: str) -> Task:
        """Stop the machine."""
        return self._power("halt", id_, self.backend.stop, "stopped")

    def reboot(self, id_: str) -> Task:
        """Restart the machine, also a stopped or dead one."""
        return self._power("reboot", id_, self.backend.reboot, "running")

    def kill(self, id_: str) -> Task:
        """Make the machine unreachable while the API goes on calling it active and running."""
        instance = self._store.table("instances").get(id_)
        if instance is not None:
            instance["_dead"] = True

        async def work(id_: str) -> None:
            await self._call(self.backend.kill, id_)

        return self._spawn("kill", id_, work)

    def wire(self, id_: str) -> Task:
        """Give the machine the VPC interface that the state says, now; one that is still to be built gets it then."""

        async def work(id_: str) -> None:
            instance = self._store.table("instances").get(id_)
            if instance is not None and instance["status"] == "active":
                await self._call(lambda id_: self.backend.wire(id_, private_link(self._store, instance)), id_)

        return self._spawn("wire", id_, work)

    def plug(self, id_: str) -> Task:
        """Give the machine the volumes that the state says, now; one that is still to be built gets them then."""

        async def work(id_: str) -> None:
            instance = self._store.table("instances").get(id_)
            if instance is not None and instance["status"] != "pending":
                await self._plug(id_)

        return self._spawn("plug", id_, work)

    def erase(self, disk: str, id_: str) -> Task:
        """Take a volume out of the machine that has it, if any, and forget it with all that is on it."""

        async def work(_: str) -> None:
            if id_ in self._store.table("instances"):
                await self._plug(id_)
            await self._call(self.backend.erase, disk)

        return self._spawn("erase", id_ or disk, work)

    async def _plug(self, id_: str) -> None:
        disks = volumes(self._store, id_)
        instance = self._store.table("instances").get(id_)
        # Nothing to ask of a machine that never had any.
        if instance is not None and (disks or instance.get("_plugged")):
            await self._call(lambda id_: self.backend.plug(id_, disks), id_)
            instance["_plugged"] = bool(disks)
            self._store.save()

    def deliver(self, network: str, id_: str | None) -> Task:
        """Lead a reserved IPv6 network to this machine and to no other; None: to nobody."""

        async def work(network: str) -> None:
            await self._call(lambda network: self.backend.deliver(network, id_), network)

        return self._spawn("delivery", network, work)

    def resize(self, id_: str, plan: str) -> Task:
        """Move the machine to another plan; it reboots, and is resizing and without its disk until then."""
        resized = self._store.table("instances").get(id_)
        if resized is not None:
            resized.update(plan=plan, status="resizing", server_status="locked", disk=0)

        async def work(id_: str) -> None:
            instance = self._store.table("instances").get(id_)
            if instance is not None:
                await self._plug(id_)
                await self._call(self.backend.reboot, id_)
                await asyncio.sleep(pace.value(self._store, "resizing"))
                set_plan(instance, plan)
                _booted(instance)
                instance.update(status="active", server_status="ok", power_status="running")
                self._store.save()

        return self._spawn("resize", id_, work)

    def resume(self) -> None:
        """Continue what was under way when the emulator ended, and start machines that should be running."""
        for id_, ipv4 in list(self._store.table("deleting").items()):
            self.remove(id_, ipv4)
        for id_, instance in self._store.table("instances").items():
            if instance["status"] == "pending":
                instance["_wipe"] = True  # whatever is there was not finished
                self.build(id_)
            elif instance["status"] == "resizing":
                self.resize(id_, instance["plan"])
            elif (instance["status"], instance["power_status"]) == ("active", "running"):
                self._spawn("resume", id_, self._ensure_running)

    async def settle(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Stop waiting for what is under way; the next start resumes it."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pool.shutdown(wait=False, cancel_futures=True)

    # How it is done.

    def _spawn(self, what: str, id_: str, work: Callable[[str], Any]) -> Task:
        async def run() -> Exception | None:
            async with self._locks.setdefault(id_, asyncio.Lock()):
                try:
                    await work(id_)
                except Exception as error:  # of Docker, of the disk, of this program: whoever waits is told
                    log.exception("%s of instance %s failed", what, id_)
                    return error
            return None

        task = asyncio.get_running_loop().create_task(run(), name=f"{what} {id_}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _call(self, function: Callable[[A], R], argument: A) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, argument)

    def _power(self, what: str, id_: str, call: Callable[[str], None], power: str) -> Task:
        async def work(id_: str) -> None:
            instance = self._store.table("instances").get(id_)
            if instance is not None:
                if power == "running":
                    await self._plug(id_)
                await self._call(call, id_)
                instance.pop("_dead", None)
                instance["power_status"] = power
                if power == "running":
                    _booted(instance)
                self._store.save()

        return self._spawn(what, id_, work)

    async def _build(self, id_: str) -> None:
        instance: JSON | None = self._store.table("instances").get(id_)
        if instance is None or instance["status"] != "pending":
            return
        await asyncio.sleep(pace.value(self._store, "pending"))
        deleting = self._store.table("deleting").items()
        ipv4 = instance["main_ip"]
        others = [other for other, ip in deleting if ip == ipv4]
        holders = [self._removals.get(other) or self.remove(other, ipv4) for other in others]
        if holders:
            await asyncio.wait(holders)
        try:
            if instance.get("_wipe") or await self._call(self.backend.exists, id_):
                await self._call(self.backend.delete, id_)
            await self._call(self.backend.create, specification(self._store, instance))
            await self._plug(id_)
        except Exception as error:
            instance.update(status="suspended", server_status="none", _failure=f"{type(error).__name__}: {error}")
            raise
        else:
            for field in ("_wipe", "_fresh"):
                instance.pop(field, None)
            instance.update(status="active", power_status="running", server_status="installingbooting")
        finally:
            if id_ in self._store.table("instances"):
                self._store.save()
        await self._finish(id_)

    async def _finish(self, id_: str) -> None:
        instance = self._store.table("instances").get(id_)
        if instance is not None and instance["server_status"] == "installingbooting":
            await asyncio.sleep(pace.value(self._store, "installing"))
            instance["server_status"] = "ok"
            self._store.save()

    async def _remove(self, id_: str) -> None:
        try:
            await self._call(self.backend.delete, id_)
        finally:
            self._removals.pop(id_, None)
        self._store.table("deleting").pop(id_, None)
        self._store.save()

    async def _ensure_running(self, id_: str) -> None:
        instance = self._store.table("instances").get(id_)
        if instance is None or instance.get("_dead"):
            return
        if not await self._call(self.backend.exists, id_):
            log.error("the machine of instance %s is gone; delete or reinstall the instance", id_)
        elif not await self._call(self.backend.running, id_):
            await self._plug(id_)
            await self._call(self.backend.start, id_)
        await self._finish(id_)


def _booted(instance: JSON) -> None:
    """Count a restart: a reserved IPv6 can't be detached before the next one."""
    instance["_boots"] = instance.get("_boots", 0) + 1


def set_plan(instance: JSON, plan: str) -> None:
    """Give the instance the sizes of the plan."""
    size = PLANS[plan]
    instance.update(plan=plan, vcpu_count=size["vcpu_count"], ram=size["ram"], disk=size["disk"],
                    allowed_bandwidth=size["bandwidth"] * 1000 // 1024)  # fmt: skip


def rebuild(instance: JSON) -> None:
    """Put the instance back to before its first boot, disk lost, addresses kept."""
    instance.update(status="pending", power_status="running", server_status="none", _wipe=True)
    for field in ("_failure", "_dead"):
        instance.pop(field, None)


def volumes(store: Store, id_: str) -> dict[str, int]:
    """The volumes that a machine has, by their mount id: GB. Not those that it has just given back."""
    return {
        block["mount_id"]: block["size_gb"]
        for block in store.table("blocks").values()
        if block["attached_to_instance"] == id_ and not later.waiting(store, "block_release", block["id"])
    }


def private_link(store: Store, instance: JSON) -> PrivateLink | None:
    """The instance's interface on the first VPC that it is on."""
    for entry in instance["_vpcs"]:
        size = store.get("vpcs", entry["id"])["v4_subnet_mask"]
        return PrivateLink(entry["id"], entry["mac_address"], f"{entry['ip_address']}/{size}")
    return None


def specification(store: Store, instance: JSON) -> ServerSpec:
    """What the backend has to make for this instance."""
    network = instance["v6_network"]
    return ServerSpec(
        id=instance["id"],
        label=instance["label"],
        hostname=instance["hostname"],
        os_id=instance["os_id"],
        ipv4=instance["main_ip"],
        prefix=f"{network}/{instance['v6_network_size']}" if network else None,
        ipv6=instance["v6_main_ip"] or None,
        mac=instance["_mac"],
        private=private_link(store, instance),
    )
