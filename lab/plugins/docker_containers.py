"""docker:index/container:Container: how it is made, waited for, changed and removed.

The translation of its properties is `docker_container.py`; this module talks to the engine, and keeps the
official plugin's ways: what it never applies, what it does not notice, its waits and its texts.
"""

from __future__ import annotations

import base64
import io
import json
import tarfile
import time
from pathlib import Path

from lab.plugins import docker_container
from lab.plugins.docker_engine import ANSWER_TIMEOUT, Engine, EngineError, frames
from lab.plugins.docker_provider import DockerResource
from lab.plugins.docker_tables import CONTAINER
from provider.protocol.base import Context, Failure, PartialFailure, Props
from provider.protocol.bridge import Bare
from provider.protocol.schema import empty

UPDATABLE = (
    "restart", "maxRetryCount", "cpuShares", "memory", "memoryReservation", "cpuSet", "memorySwap",
    "deviceReadBps", "deviceReadIops", "deviceWriteBps", "deviceWriteIops",
)  # fmt: skip


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
                _pull(engine, name, tag)
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
                content = _content(upload)
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
                    "you have supplied a 'wait' argument, but the container does not have a healthcheck "
                    "defined. "
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
        changed = [
            n for n in UPDATABLE if olds.get(n) != news.get(n) and not (empty(olds.get(n)) and empty(news.get(n)))
        ]
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
                engine.call(
                    "POST",
                    f"/containers/{id}/stop",
                    {"t": max(0, int(state.get("destroyGraceSeconds") or 0))},
                )
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


def _pull(engine: Engine, name: str, tag: str) -> None:
    """Pull an image; its progress is a stream of JSON lines, of which one may say what went wrong."""
    answer = engine.call("POST", "/images/create", {"fromImage": name, "tag": tag}, raw=True)
    for line in answer.splitlines():
        if line.strip() and "error" in (entry := json.loads(line)):
            raise EngineError(str(entry["error"]))


def _content(upload: Props) -> bytes:
    """The bytes of an upload, from the one of its three sources that is given. Raises OSError."""
    if upload.get("content"):
        return str(upload["content"]).encode()
    if upload.get("contentBase64"):
        return base64.b64decode(upload["contentBase64"])
    return Path(upload["source"]).read_bytes()
