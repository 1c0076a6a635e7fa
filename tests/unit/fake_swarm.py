"""A manager's engine that keeps what it is sent as a real one does, and the stand-ins driven against it."""

from __future__ import annotations

import copy
import uuid
from typing import Any

from lab.plugins.docker import plugin
from lab.plugins.docker_engine import EngineError
from provider.protocol.dispatch import Dispatcher

KINDS = {"Service": "service", "Secret": "secret", "ServiceConfig": "serviceConfig"}


POINTERS = ("Init", "MaxAttempts", "Window", "Delay")


def lean(value: Any) -> Any:
    """JSON as Go's omitempty leaves it: nothing that is zero or empty, but for what is behind a pointer there."""
    if isinstance(value, dict):
        left = {key: lean(inner) for key, inner in value.items()}
        return {key: inner for key, inner in left.items() if inner not in (None, "", 0, False, []) or key in POINTERS}
    return [lean(inner) for inner in value] if isinstance(value, list) else value


class Swarm:
    """An engine's answers about services, secrets and configs."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, dict[str, Any]]] = {"services": {}, "secrets": {}, "configs": {}}
        self.sent: list[tuple[str, str, Any]] = []
        self.registry: dict[str, str] = {}  # digests, by the names of images
        self.running: dict[str, float] = {}  # of containers here, how many seconds they take to be gone
        self.elsewhere: list[str] = []  # containers of other nodes

    def call(self, method: str, path: str, query: Any = None, body: Any = None, *, timeout: float = 1200) -> Any:
        self.sent.append((method, path, copy.deepcopy(body)))
        _, kind, *rest = path.split("/")
        if kind not in self.held:
            return self._besides(kind, path, timeout)
        held = self.held[kind]
        if rest == ["create"]:
            if any(one["Spec"]["Name"] == body["Name"] for one in held.values()):
                raise EngineError(f"Error response from daemon: {body['Name']} already exists", 409)
            made = uuid.uuid4().hex
            held[made] = {"ID": made, "Version": {"Index": 1}, "Spec": lean(body)}
            return {"ID": made}
        if not rest:
            return list(held.values())
        if rest[0] not in held:
            raise EngineError(f"Error response from daemon: {kind} {rest[0]} not found", 404)
        if method == "DELETE":
            del held[rest[0]]
        elif rest[1:] == ["update"]:
            assert query == {"version": held[rest[0]]["Version"]["Index"]}
            held[rest[0]] |= {"Spec": lean(body), "Version": {"Index": query["version"] + 1}}
        return held.get(rest[0])

    def _besides(self, kind: str, path: str, timeout: float) -> Any:
        """What its registry, the swarm's tasks and its own host's containers are to it."""
        if kind == "distribution":
            image = path.removeprefix("/distribution/").removesuffix("/json")
            if image not in self.registry:
                raise EngineError("Error response from daemon: unauthorized", 401)
            platforms = [{"architecture": "amd64", "os": "linux"}, {"architecture": "arm", "os": "linux"}]
            return {"Descriptor": {"digest": self.registry[image]}, "Platforms": platforms}
        if kind == "tasks":
            if not self.held["services"]:
                raise EngineError("Error response from daemon: service shop not found", 404)
            states = [
                {"State": "running", "ContainerStatus": {"ContainerID": id}} for id in (*self.elsewhere, *self.running)
            ]
            return [{"Status": state} for state in [*states, {"State": "shutdown"}, {"State": "pending"}]]
        container = path.split("/")[2]
        if container not in self.running:
            raise EngineError(f"Error response from daemon: No such container: {container}", 404)
        assert not self.held["services"], "waited for before the service has gone"
        if self.running[container] > timeout:
            raise EngineError("context deadline exceeded")
        return {"StatusCode": 0}


class Lab:
    """Drives the plugin as the engine does."""

    def __init__(self) -> None:
        self.dispatcher = Dispatcher(plugin("5.2.0"))

    def ask(self, verb: str, kind: str, **request: Any) -> Any:
        urn = f"urn:pulumi:dev::demo::docker:index/{KINDS[kind]}:{kind}::shop"
        return self.dispatcher.call(verb, {"urn": urn, **request})

    def check(self, kind: str, olds: dict[str, Any] | None = None, **news: Any) -> dict[str, Any]:
        answer = self.ask("Check", kind, olds=olds or {}, news=news)
        assert not answer.get("failures"), answer
        return dict(answer["inputs"])

    def diff(self, kind: str, id: str, olds: Any, news: Any) -> dict[str, str]:
        answer = self.ask("Diff", kind, id=id, olds=olds, news=news)
        return {path: entry["kind"] for path, entry in answer["detailedDiff"].items()}


def shop(**container: Any) -> dict[str, Any]:
    """A service as the program writes it (components/replicated.py)."""
    pace = {"parallelism": 1, "delay": "2s", "monitor": "5s", "maxFailureRatio": "0.0", "order": "start-first"}
    return {
        "name": "shop",
        "labels": [{"label": "apiary.stack", "value": "apiary-lab"}],
        "taskSpec": {
            "containerSpec": {
                "image": "apiary/echo:123", "env": {"HTTP_PORT": "8080"}, "init": True, "stopGracePeriod": "1m",
                "capDrops": ["ALL"], "capAdds": ["CAP_NET_BIND_SERVICE"], "readOnly": True,
                "healthcheck": {"interval": "5s", "timeout": "0s", "startPeriod": "0s"},
                "mounts": [
                    {"type": "tmpfs", "target": "/scratch", "tmpfsOptions": {"sizeBytes": 1048576, "mode": 0o770}},
                    {"type": "tmpfs", "target": "/run", "tmpfsOptions": {"sizeBytes": 1048576}},
                ],
                "hosts": [{"host": "h.example", "ip": "192.0.2.9"}],
                **container,
            },
            "networksAdvanceds": [{"id": "net"}],
            "placement": {"constraints": ["node.labels.apiary.server!=web3"]},
            "resources": {"limits": {"memoryBytes": 67108864, "nanoCpus": 500000000}},
            "restartPolicy": {"condition": "any", "delay": "2s", "maxAttempts": 0, "window": "0s"},
        },
        "mode": {"replicated": {"replicas": 4}},
        "endpointSpec": {"mode": "dnsrr"},
        "updateConfig": {**pace, "failureAction": "rollback"},
        "rollbackConfig": {**pace, "failureAction": "pause"},
    }  # fmt: skip
