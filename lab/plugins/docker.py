"""Stand-in of the Pulumi docker plugin: Container, Network, Volume and the provider.

Talks to a Docker engine over its unix socket or over ssh, as the official plugin does, and keeps its ways: what it
never applies, what it does not notice, its waits and its texts. Images are not covered.
"""

from __future__ import annotations

import base64
import io
import json
import os
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.plugins import docker_container
from lab.plugins.base import CheckFailure, Context, Failure, PartialFailure, Plugin, Props
from lab.plugins.bridge import Bare, BridgedResource
from lab.plugins.docker_engine import ANSWER_TIMEOUT, Engine, EngineError, frames
from lab.plugins.docker_tables import CONTAINER, NETWORK, VOLUME
from lab.plugins.schema import empty

DEFAULT_HOST = "unix:///var/run/docker.sock"
UPDATABLE = (
    "restart", "maxRetryCount", "cpuShares", "memory", "memoryReservation", "cpuSet", "memorySwap",
    "deviceReadBps", "deviceReadIops", "deviceWriteBps", "deviceWriteIops",
)  # fmt: skip
WAIT_FIRST, WAIT_LEAST, WAIT_MOST, WAIT_LIMIT = 2.0, 5.0, 10.0, 30.0  # seconds between looks at a change of state


class DockerPlugin(Plugin):
    """The provider: its inputs, and the one engine it stands for."""

    def __init__(self, version: str, resources: list[Any]) -> None:
        super().__init__("docker", version, resources)
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    def check_config(self, ctx: Context, olds: Props, news: Props) -> tuple[Props, list[CheckFailure]]:
        """Fill in the host and spell nested values as compact JSON."""
        inputs = dict(news)
        if inputs.get("host") is None:
            inputs["host"] = os.environ.get("DOCKER_HOST") or DEFAULT_HOST
        for name in ("sshOpts", "registryAuth"):
            if isinstance(inputs.get(name), str):
                try:
                    inputs[name] = json.dumps(json.loads(inputs[name]), separators=(",", ":"), ensure_ascii=False)
                except ValueError as error:
                    return inputs, [CheckFailure(name, f"{name} must be a JSON list: {error}")]
        return inputs, []

    def configure(self, ctx: Context, args: Props) -> None:
        """A unix socket must answer at once; ssh is not contacted before the first operation."""
        if str(args.get("host") or DEFAULT_HOST).startswith("unix://"):
            try:
                Engine(str(args.get("host") or DEFAULT_HOST), []).prepare()
            except EngineError as error:
                text = "docker native provider returned an unexpected error from Configure: "
                raise Failure(text + "failed to connect to any docker daemon") from error

    @property
    def engine(self) -> Engine:
        """The engine of this provider."""
        with self._lock:
            if self._engine is None:
                options = self.config.get("sshOpts") or "[]"
                unchecked = str(self.config.get("disableDockerDaemonCheck") or "").lower() == "true"
                self._engine = Engine(
                    str(self.config.get("host") or DEFAULT_HOST),
                    list(json.loads(options) if isinstance(options, str) else options),
                    check=not unchecked,
                )
            return self._engine


class DockerResource(BridgedResource):
    """What the three types share."""

    def engine(self, ctx: Context) -> Engine:
        """The provider's engine, pinged on first use."""
        plugin = ctx.plugin
        if not isinstance(plugin, DockerPlugin):
            raise TypeError(f"{type(plugin).__name__} is not the docker plugin")
        try:
            plugin.engine.prepare()
        except EngineError as error:
            raise Failure(str(error)) from error
        return plugin.engine


def wait_until_removed(look: Callable[[], str]) -> None:
    """Call `look` until it says "removed", at the official plugin's pace. Raises Failure after 30 s."""
    started, pause, state = time.monotonic(), WAIT_FIRST, ""
    growing = 0.1
    while time.monotonic() - started + pause < WAIT_LIMIT:
        time.sleep(pause)
        state = look()
        if state == "removed":
            return
        growing *= 2
        pause = growing = min(max(growing, WAIT_LEAST), WAIT_MOST)
    time.sleep(max(0.0, WAIT_LIMIT - (time.monotonic() - started)))
    raise Failure(f"timeout while waiting for state to become 'removed' (last state: '{state}', timeout: 30s)")


class Network(DockerResource):
    """docker:index/network:Network. Every create, read and delete starts with two seconds of waiting."""

    token = "docker:index/network:Network"  # noqa: S105
    properties = NETWORK

    def make(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        engine = self.engine(ctx)
        body: Props = {"Name": inputs["name"], "IPAM": {"Driver": inputs.get("ipamDriver") or ""}}
        for ours, theirs in {"driver": "Driver", "options": "Options", "internal": "Internal"}.items():
            if inputs.get(ours):
                body[theirs] = inputs[ours]
        for ours, theirs in {"attachable": "Attachable", "ingress": "Ingress", "ipv6": "EnableIPv6"}.items():
            if inputs.get(ours):
                body[theirs] = True
        if inputs.get("labels"):
            body["Labels"] = {label["label"]: label["value"] for label in inputs["labels"]}
        if inputs.get("ipamOptions"):
            body["IPAM"]["Options"] = inputs["ipamOptions"]
        if inputs.get("ipamConfigs"):
            names = {"subnet": "Subnet", "ipRange": "IPRange", "gateway": "Gateway", "auxAddress": "AuxiliaryAddresses"}
            body["IPAM"]["Config"] = [{names[k]: v for k, v in c.items() if v} for c in inputs["ipamConfigs"]]
        if (engine.api or (1, 41)) < (1, 44):
            body["CheckDuplicate"] = True
        try:
            id = str(engine.call("POST", "/networks/create", body=body)["Id"])
        except EngineError as error:
            raise Failure(f"Unable to create network: {error}") from error
        found = self.look(ctx, id, inputs)
        return id, found[1] if found else {}

    def look(self, ctx: Context, id: str, state: Props) -> tuple[str, Props] | None:
        engine = self.engine(ctx)
        time.sleep(WAIT_FIRST)
        try:
            info = engine.call("GET", f"/networks/{id}")
        except EngineError:
            return None  # whatever the reason: the official plugin takes any failure for "gone"
        ipam = info.get("IPAM") or {}
        return str(info["Id"]), {
            "name": info["Name"],
            "labels": [{"label": k, "value": v} for k, v in sorted((info.get("Labels") or {}).items())],
            "driver": info["Driver"],
            "internal": info["Internal"],
            "attachable": info["Attachable"],
            "ingress": info["Ingress"],
            "ipv6": info["EnableIPv6"],
            "ipamDriver": ipam.get("Driver") or "",
            "ipamOptions": ipam.get("Options") or {},
            "scope": info["Scope"],
            "options": info.get("Options") or {},
            "ipamConfigs": [
                {
                    "subnet": c.get("Subnet") or "",
                    "ipRange": c.get("IPRange") or "",
                    "gateway": c.get("Gateway") or "",
                    "auxAddress": c.get("AuxiliaryAddresses") or c.get("AuxAddress") or {},
                }
                for c in ipam.get("Config") or []
            ],
        }

    def remove(self, ctx: Context, id: str, state: Props) -> None:
        engine = self.engine(ctx)

        def attempt() -> str:
            try:
                engine.call("GET", f"/networks/{id}")
            except EngineError:
                return "removed"
            try:
                engine.call("DELETE", f"/networks/{id}")
            except EngineError as error:
                if "has active endpoints" in str(error):
                    return "pending"
                raise Failure(str(error)) from error
            return "removed"

        wait_until_removed(attempt)


class Volume(DockerResource):
    """docker:index/volume:Volume. A volume of that name is adopted silently."""

    token = "docker:index/volume:Volume"  # noqa: S105
    properties = VOLUME

    def make(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        engine = self.engine(ctx)
        body: Props = {"Name": inputs.get("name") or ""}
        if inputs.get("driver"):
            body["Driver"] = inputs["driver"]
        if inputs.get("driverOpts"):
            body["DriverOpts"] = inputs["driverOpts"]
        if inputs.get("labels"):
            body["Labels"] = {label["label"]: label["value"] for label in inputs["labels"]}
        try:
            id = str(engine.call("POST", "/volumes/create", body=body)["Name"])
        except EngineError as error:
            raise Failure(f"Unable to create volume: {error}") from error
        found = self.look(ctx, id, inputs)
        return id, found[1] if found else {}

    def look(self, ctx: Context, id: str, state: Props) -> tuple[str, Props] | None:
        engine = self.engine(ctx)
        try:
            info = engine.call("GET", f"/volumes/{id}")
        except EngineError as error:
            if error.status == 404:
                return None
            raise Failure(f"Unable to inspect volume: {error}") from error
        return id, {
            "name": info["Name"],
            "labels": [{"label": k, "value": v} for k, v in sorted((info.get("Labels") or {}).items())],
            "driver": info["Driver"],
            "driverOpts": info.get("Options") or {},
            "mountpoint": info["Mountpoint"],
        }

    def change(self, ctx: Context, id: str, olds: Props, news: Props) -> Props:
        return {}

    def remove(self, ctx: Context, id: str, state: Props) -> None:
        engine = self.engine(ctx)

        def attempt() -> str:
            try:
                engine.call("DELETE", f"/volumes/{id}", {"force": 1})
            except EngineError as error:
                if "volume is in use" in str(error):
                    return "in_use"
                raise Failure(str(error)) from error
            return "removed"

        wait_until_removed(attempt)


class Container(DockerResource):
    """docker:index/container:Container. Replacements delete first."""

    token = "docker:index/container:Container"  # noqa: S105
    properties = CONTAINER
    deletes_first = True

    def make(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        engine = self.engine(ctx)
        self._find_image(engine, inputs["image"])
        query = {"name": inputs["name"]}
        if inputs.get("platform"):
            query["platform"] = inputs["platform"]
        try:
            id = str(engine.call("POST", "/containers/create", query, docker_container.creation(inputs))["Id"])
        except EngineError as error:
            raise Failure(f"Unable to create container: {error}") from error
        try:
            self._connect(engine, id, inputs)
            self._upload(engine, id, inputs)
            logs = self._run(engine, id, inputs, ctx.timeout or ANSWER_TIMEOUT)
        except Failure as error:
            raise PartialFailure(str(error), id, {}) from error
        found = self._look(engine, id, inputs)
        if found is None:
            raise Bare(f"expected non-nil error with nil state during Create of {ctx.urn}")
        return id, {**found[1], **logs}

    def _find_image(self, engine: Engine, image: str) -> None:
        """Pull what is not there."""
        try:
            engine.call("GET", f"/images/{image}/json")
        except EngineError as error:
            if error.status != 404:
                raise Failure(f"Unable to create container with image {image}: {error}") from error
            name, _, tag = image.partition("@") if "@" in image else image.rpartition(":")
            if "/" in tag or not name:
                name, tag = image, "latest"
            try:
                answer = engine.call("POST", "/images/create", {"fromImage": name, "tag": tag}, raw=True)
                for line in answer.splitlines():
                    if line.strip() and "error" in (entry := json.loads(line)):
                        raise EngineError(str(entry["error"]))
            except EngineError as pull:
                raise Failure(
                    f"Unable to create container with image {image}: unable to pull image {image}: "
                    f"error pulling image {image}: {pull}"
                ) from pull

    def _connect(self, engine: Engine, id: str, inputs: Props) -> None:
        networks = inputs.get("networksAdvanced") or []
        if networks:
            try:
                engine.call("POST", "/networks/bridge/disconnect", body={"Container": id, "Force": False})
            except EngineError as error:
                if "is not connected to the network bridge" not in str(error):
                    raise Failure(f"Unable to disconnect the default network: {error}") from error
        for network in networks:
            body = {"Container": id, "EndpointConfig": docker_container.endpoint(network)}
            try:
                engine.call("POST", f"/networks/{network['name']}/connect", body=body)
            except EngineError as error:
                raise Failure(f"Unable to connect to network '{network['name']}': {error}") from error

    def _upload(self, engine: Engine, id: str, inputs: Props) -> None:
        for upload in inputs.get("uploads") or []:
            given = [k for k in ("content", "contentBase64", "source") if upload.get(k)]
            if len(given) != 1:
                rule = "one of" if not given else "only one of"
                verb = "must" if not given else "can"
                raise Failure(
                    f"error with upload content: {rule} 'content', 'content_base64', or 'source' {verb} be set"
                )
            try:
                content = {
                    "content": lambda u: u["content"].encode(),
                    "contentBase64": lambda u: base64.b64decode(u["contentBase64"]),
                    "source": lambda u: Path(u["source"]).read_bytes(),
                }[given[0]](upload)
            except OSError as error:
                raise Failure(f"could not read file: {error}") from error
            entry = tarfile.TarInfo(upload["file"])
            entry.size, entry.mtime = len(content), int(time.time())
            default_mode = "0744" if upload.get("executable") else "0644"
            entry.mode = int(upload.get("permissions") or default_mode, 8)
            archive = io.BytesIO()
            with tarfile.open(fileobj=archive, mode="w") as tar:
                tar.addfile(entry, io.BytesIO(content))
            try:
                engine.call(
                    "PUT", f"/containers/{id}/archive", {"path": "/"}, archive.getvalue(),
                    content_type="application/x-tar",
                )  # fmt: skip
            except EngineError as error:
                raise Failure(f"Unable to upload volume content: {error}") from error

    def _run(self, engine: Engine, id: str, inputs: Props, limit: float) -> Props:
        if inputs.get("start"):
            try:
                engine.call("POST", f"/containers/{id}/start")
            except EngineError as error:
                raise Failure(f"Unable to start container: {error}") from error
            if inputs.get("wait"):
                self._wait_healthy(engine, id, float(inputs.get("waitTimeout") or 0))
        if not inputs.get("attach"):
            return {}
        try:
            engine.call("POST", f"/containers/{id}/wait", {"condition": "not-running"}, timeout=limit)
        except EngineError as error:
            raise Failure(f"Unable to wait container end of execution: {error}") from error
        if not inputs.get("logs"):
            return {}
        try:
            stream = engine.call("GET", f"/containers/{id}/logs", {"stdout": 1, "stderr": 1}, raw=True)
        except EngineError as error:
            raise Failure(f"unable to read container logs: {error}") from error
        text = stream if inputs.get("tty") else b"".join(frames(stream))
        return {"containerLogs": text.decode(errors="replace")}

    def _wait_healthy(self, engine: Engine, id: str, limit: float) -> None:
        """Look once a second; what keeps the container from getting healthy is not looked at."""
        ends = time.monotonic() + limit
        while True:
            try:
                state = engine.call("GET", f"/containers/{id}/json")["State"]
            except EngineError as error:
                raise Failure(f"error inspecting container state: {error}") from error
            if not state.get("Health"):
                raise Failure(
                    "you have supplied a 'wait' argument, but the container does not have a healthcheck defined. "
                    "Please remove the 'wait' argument or add a 'healthcheck' attribute"
                )
            if state["Health"]["Status"] == "healthy":
                return
            if time.monotonic() + 1 > ends:
                time.sleep(max(0.0, ends - time.monotonic()))
                raise Failure("container failed to be in healthy state")
            time.sleep(1)

    def look(self, ctx: Context, id: str, state: Props) -> tuple[str, Props] | None:
        return self._look(self.engine(ctx), id, state)

    def _look(self, engine: Engine, id: str, state: Props) -> tuple[str, Props] | None:
        """Presence is decided from the list of all containers, the rest is read from one of them."""
        try:
            if not any(entry["Id"] == id for entry in engine.call("GET", "/containers/json", {"all": 1})):
                return None
        except EngineError as error:
            raise Failure(f"error fetching container information from Docker: {error}\n") from error
        try:
            info = engine.call("GET", f"/containers/{id}/json")
        except EngineError as error:
            raise Failure(str(error)) from error
        return str(info["Id"]), docker_container.seen(info, state)

    def change(self, ctx: Context, id: str, olds: Props, news: Props) -> Props:
        """Limits and restart policy are applied, `mustRun` starts; every other change is only recorded."""
        engine = self.engine(ctx)
        if not olds.get("mustRun") and news.get("mustRun") and news.get("start"):
            try:
                engine.call("POST", f"/containers/{id}/start")
            except EngineError as error:
                raise Failure(f"Unable to start container: {error}") from error
        changed = [n for n in UPDATABLE if olds.get(n) != news.get(n) and not (empty(olds.get(n)) and empty(news.get(n)))]
        if changed:
            try:
                engine.call("POST", f"/containers/{id}/update", body=docker_container.update(news))
            except EngineError as error:
                raise Failure(f"Unable to update a container: {error}") from error
        return {}

    def remove(self, ctx: Context, id: str, state: Props) -> None:
        """TERM, the grace (none unless given), KILL; volumes without a name go too."""
        engine = self.engine(ctx)
        if not state.get("attach"):
            try:
                engine.call("POST", f"/containers/{id}/stop", {"t": max(0, int(state.get("destroyGraceSeconds") or 0))})
            except EngineError as error:
                if "no such container" not in str(error).lower():
                    raise Failure(f"Error stopping container {id}: {error}") from error
        try:
            engine.call("DELETE", f"/containers/{id}", {"v": int(bool(state.get("removeVolumes"))), "force": 1})
        except EngineError as error:
            if not any(t in str(error).lower() for t in ("no such container", "is already in progress")):
                raise Failure(f"Error deleting container {id}: {error}") from error
        try:
            condition = "removed" if state.get("rm") else "not-running"
            engine.call("POST", f"/containers/{id}/wait", {"condition": condition})
        except EngineError as error:
            if not any(t in str(error).lower() for t in ("no such container", "is already in progress")):
                raise Failure(f"Error waiting for container removal '{id}': {error}") from error


def plugin(version: str) -> Plugin:
    """The plugin that reports `version`."""
    return DockerPlugin(version, [Container(), Network(), Volume()])
