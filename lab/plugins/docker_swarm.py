"""docker:index/service:Service, secret:Secret and serviceConfig:ServiceConfig: what a swarm runs, and what it is given.

They talk to the engine of a manager. The translation of a service's properties is `docker_service.py`. Left out is
`converge_config`, which waits in the official plugin: the program waits by a command of its own.
"""

from __future__ import annotations

import base64
import binascii
import json
import time

from lab.plugins import docker_service
from lab.plugins.docker_engine import Engine, EngineError
from lab.plugins.docker_provider import WAIT_FIRST, DockerResource
from lab.plugins.docker_references import pinned
from lab.plugins.docker_swarm_tables import CONFIG, SECRET, SERVICE
from lab.plugins.docker_tables import duration_ns
from provider.protocol.base import Context, Failure, Props


class Service(DockerResource):
    """docker:index/service:Service. Create and update return before any task runs."""

    token = "docker:index/service:Service"  # noqa: S105
    properties = SERVICE

    def make(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        engine, spec = self.engine(ctx), docker_service.spec(inputs)
        _look_up(engine, spec["TaskTemplate"])
        try:
            id = str(engine.call("POST", "/services/create", body=spec)["ID"])
        except EngineError as error:
            raise Failure(str(error)) from error
        found = self.look(ctx, id, inputs)
        return id, found[1] if found else {}

    def look(self, ctx: Context, id: str, state: Props) -> tuple[str, Props] | None:
        """Found by its id, or by its name. Two seconds pass first, as in the official plugin."""
        engine = self.engine(ctx)
        time.sleep(WAIT_FIRST)
        try:
            every = engine.call("GET", "/services")
        except EngineError as error:
            raise Failure(f"Error fetching service information from Docker: {error}") from error
        names = (id, state.get("name"))
        found = next((one for one in every if one["ID"] == id or one["Spec"]["Name"] in names), None)
        if found is None:
            return None
        return str(found["ID"]), docker_service.seen(found)

    def change(self, ctx: Context, id: str, olds: Props, news: Props) -> Props:
        engine = self.engine(ctx)
        try:
            version = engine.call("GET", f"/services/{id}")["Version"]["Index"]
            engine.call("POST", f"/services/{id}/update", {"version": version}, docker_service.spec(news))
        except EngineError as error:
            raise Failure(str(error)) from error
        found = self.look(ctx, id, news)
        return found[1] if found else {}

    def remove(self, ctx: Context, id: str, state: Props) -> None:
        """Its containers on the engine's own host have the grace period, and no longer, to be gone."""
        engine = self.engine(ctx)
        grace = state["taskSpec"]["containerSpec"].get("stopGracePeriod") or "0s"
        try:
            containers = _containers(engine, str(state["name"])) if grace != "0s" else []
        except EngineError as error:
            raise Failure(str(error)) from error
        try:
            engine.call("DELETE", f"/services/{id}")
        except EngineError as error:
            raise Failure(f"Error deleting service with ID '{id}': {error}") from error
        for container in containers:
            _wait_until_gone(engine, container, duration_ns(grace) / 10**9)


def _look_up(engine: Engine, task: Props) -> None:
    """Pin a new service to what its image's registry has; whatever goes wrong leaves it as it is."""
    spec = task["ContainerSpec"]
    try:
        found = engine.call("GET", f"/distribution/{spec['Image']}/json")
    except EngineError:
        return
    spec["Image"] = pinned(spec["Image"], found["Descriptor"]["digest"])
    if platforms := found.get("Platforms"):
        # Nodes say armv7l where images say arm.
        task["Placement"]["Platforms"] = [
            {"Architecture": "" if one["architecture"] == "arm" else one["architecture"], "OS": one["os"]}
            for one in platforms
        ]


def _containers(engine: Engine, name: str) -> list[str]:
    """Those of a service that may still run. Raises EngineError, also where there is no such service."""
    found = engine.call("GET", "/tasks", {"filters": json.dumps({"service": {name: True}})})
    states = [one["Status"] for one in found if one["Status"]["State"] != "shutdown"]
    return [id for one in states if (id := (one.get("ContainerStatus") or {}).get("ContainerID"))]


def _wait_until_gone(engine: Engine, id: str, seconds: float) -> None:
    """Wait for a container, then remove what is left of it. Those of other nodes are not there. Raises Failure."""
    try:
        engine.call("POST", f"/containers/{id}/wait", {"condition": "removed"}, timeout=seconds)
    except EngineError as error:
        if "No such container" not in str(error):
            raise Failure(f"error on wait for container with ID '{id}': {error}") from error
    try:
        engine.call("DELETE", f"/containers/{id}", {"v": 1, "force": 1})
    except EngineError as error:
        if not any(text in str(error) for text in ("No such container", "is already in progress")):
            raise Failure(f"Error deleting container with ID '{id}': {error}") from error


class Given(DockerResource):
    """What secrets and configs share: nothing of them changes in place."""

    kind: str  # as the engine calls several of them

    def data(self, inputs: Props) -> str:
        """What is in it, in base64. Raises Failure."""
        try:
            base64.b64decode(inputs.get("data") or "", validate=True)
        except binascii.Error as error:
            raise Failure(f"failed to decode data: {error}") from error
        return str(inputs.get("data") or "")

    def make(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        labels = {one["label"]: one["value"] for one in inputs.get("labels") or []}
        body = {"Name": inputs["name"], "Labels": labels, "Data": self.data(inputs)}
        try:
            id = str(self.engine(ctx).call("POST", f"/{self.kind}/create", body=body)["ID"])
        except EngineError as error:
            raise Failure(str(error)) from error
        return id, {}

    def inspect(self, engine: Engine, id: str) -> Props | None:
        """What the engine says of it; None whatever the failure: the official plugin takes any for gone."""
        try:
            return dict(engine.call("GET", f"/{self.kind}/{id}"))
        except EngineError:
            return None

    def remove(self, ctx: Context, id: str, state: Props) -> None:
        try:
            self.engine(ctx).call("DELETE", f"/{self.kind}/{id}")
        except EngineError as error:
            raise Failure(str(error)) from error


class Secret(Given):
    """docker:index/secret:Secret. What is in it can't be read back."""

    token = "docker:index/secret:Secret"  # noqa: S105
    properties = SECRET
    kind = "secrets"

    def look(self, ctx: Context, id: str, state: Props) -> tuple[str, Props] | None:
        info = self.inspect(self.engine(ctx), id)
        return None if info is None else (str(info["ID"]), {"name": info["Spec"]["Name"]})


class ServiceConfig(Given):
    """docker:index/serviceConfig:ServiceConfig. Of `data` and `dataRaw` one is given."""

    token = "docker:index/serviceConfig:ServiceConfig"  # noqa: S105
    properties = CONFIG
    kind = "configs"

    def data(self, inputs: Props) -> str:
        if bool(inputs.get("data")) == bool(inputs.get("dataRaw")):
            raise Failure('"data": one of `data,data_raw` must be specified, and not both')
        raw = inputs.get("dataRaw")
        return base64.b64encode(raw.encode()).decode() if raw else super().data(inputs)

    def look(self, ctx: Context, id: str, state: Props) -> tuple[str, Props] | None:
        info = self.inspect(self.engine(ctx), id)
        if info is None:
            return None
        spec = info["Spec"]
        text = base64.b64decode(spec.get("Data") or "").decode(errors="replace")
        content = {"dataRaw": text} if state.get("dataRaw") else {"data": spec.get("Data") or ""}
        labels = [{"label": key, "value": value} for key, value in sorted((spec.get("Labels") or {}).items())]
        return str(info["ID"]), {"name": spec["Name"], "labels": labels, **content}
