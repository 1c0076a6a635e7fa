"""Runs the whole program under Pulumi's mocks and records what it registers, as data to assert on.

Mocks answer with what a provider would: addresses, ids, keys. They simulate no diff and no replacement; the
engine tests do that.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import io
import json
import re
import runpy
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks, resource, rpc
from pulumi.runtime.proto import source_pb2
from pulumi.runtime.settings import set_root_resource
from pulumi.runtime.stack import run_in_stack

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"  # where every branch is
PREFIXES = {"web1": "2001:db8:77:1", "web2": "2001:db8:77:2", "db1": "2001:db8:77:3"}

RESERVED = "2001:db8:77:4"  # of every server that reserves one
# Where in a program a resource is made is of no interest here, and under pytest that is far down: a fifth of a run.
resource._get_stack_trace = source_pb2.StackTrace


@dataclass(frozen=True)
class Registered:
    """One resource as the engine would see it."""

    type: str
    name: str
    urn: str
    inputs: dict[str, Any]
    secret_inputs: frozenset[str]
    parent: str
    provider: str
    dependencies: frozenset[str]
    property_dependencies: dict[str, frozenset[str]]
    delete_before_replace: bool | None  # None: the provider decides
    deleted_with: str
    retain_on_delete: bool
    protect: bool
    replace_on_changes: tuple[str, ...]
    ignore_changes: tuple[str, ...]
    secret_outputs: frozenset[str]
    aliases: tuple[str, ...]  # names that it had before
    cargo: bytes  # the tar that it sends to a server

    def sent(self) -> dict[str, bytes]:
        """The files that it sends to a server, by their path."""
        with tarfile.open(fileobj=io.BytesIO(self.cargo)) as tar:
            return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]


@dataclass
class Graph:
    """Everything that one run of the program registered."""

    resources: list[Registered] = field(default_factory=list)

    def __iter__(self) -> Iterator[Registered]:
        return iter(self.resources)

    def of_type(self, type_: str) -> list[Registered]:
        return [resource for resource in self.resources if resource.type == type_]

    def one(self, type_: str, name: str) -> Registered:
        found = [resource for resource in self.of_type(type_) if resource.name == name]
        assert len(found) == 1, f"{len(found)} resources {type_} {name}: {[r.name for r in self.of_type(type_)]}"
        return found[0]

    def by_urn(self, urn: str) -> Registered:
        return next(resource for resource in self.resources if resource.urn == urn)


class Providers(mocks.Mocks):
    """The outputs that the program goes on with."""

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(f"the program calls no function of a provider, but it called {args.token}")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        return f"{args.name}-id", {**args.inputs, **self._computed(args)}

    def _computed(self, args: mocks.MockResourceArgs) -> dict[str, Any]:
        computed: dict[str, Any] = {}
        match args.typ:
            case "vultr:index/reservedIp:ReservedIp":
                computed = {"subnet": f"192.0.2.{len(args.name)}", "subnetSize": 32}
                if args.inputs["ipType"] == "v6":
                    computed = {"subnet": f"{RESERVED}::", "subnetSize": 64}
            case "vultr:index/instance:Instance":
                prefix = PREFIXES.get(args.name) or f"2001:db8:77:f{args.name.removeprefix('web')}"
                computed = {"v6Network": f"{prefix}::", "v6MainIp": f"{prefix}:5400:ff:fe00:1", "mainIp": "192.0.2.4"}
            case "vultr:index/blockStorage:BlockStorage":
                computed = {"mountId": f"ewr-{args.name}"}
            case "tls:index/privateKey:PrivateKey":
                computed = {
                    "privateKeyOpenssh": pulumi.Output.secret(f"private key {args.name}\n"),
                    "privateKeyPem": pulumi.Output.secret(f"private key in PEM of {args.name}"),
                    "publicKeyOpenssh": f"ssh-ed25519 {args.name}\n",
                }
            case "vultr:index/objectStorage:ObjectStorage":
                computed = {
                    "s3Hostname": "ewr1.vultrobjects.com",
                    "s3AccessKey": f"access of {args.name}",
                    "s3SecretKey": f"secret of {args.name}",
                }
            case "random:index/randomPassword:RandomPassword":
                computed = {"result": pulumi.Output.secret(f"generated {args.name}")}
            case "docker:index/container:Container":
                computed = {
                    "name": f"{args.name}-1234567",
                    "networkDatas": [{"ipAddress": "172.30.0.130", "globalIpv6Address": "2001:db8:77:1:0:2:8000:1"}],
                }
            case "command:local:Command" if args.name.endswith("-joined"):
                computed = {"stdout": "number-of-the-swarm\n"}
            case "command:remote:Command" if str(args.inputs.get("create")).startswith("apiary-git commit "):
                computed = {"stdout": f"{COMMIT}\n"}
            case "command:remote:Command" if str(args.inputs.get("create")).startswith("apiary-image digest "):
                name = args.inputs["create"].split()[2]
                computed = {"stdout": f"{name.partition(':')[0]}@sha256:{hashlib.sha256(name.encode()).hexdigest()}\n"}
        return computed


class Recorder(mocks.MockMonitor):
    """Keeps the options of each registration, which Pulumi's own monitor forgets."""

    def __init__(self) -> None:
        super().__init__(Providers())
        self.graph = Graph()

    def RegisterResource(self, request: Any) -> Any:
        answer = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            inputs = rpc.deserialize_properties(request.object, keep_unknowns=True)
            secret = {key for key, value in inputs.items() if rpc.is_rpc_secret(value)}
            self.graph.resources.append(
                Registered(
                    type=request.type,
                    name=request.name,
                    urn=answer.urn,
                    inputs={key: rpc.unwrap_rpc_secret(value) for key, value in inputs.items()},
                    secret_inputs=frozenset(secret),
                    parent=request.parent,
                    provider=request.provider,
                    dependencies=frozenset(request.dependencies),
                    property_dependencies={
                        key: frozenset(value.urns) for key, value in request.propertyDependencies.items()
                    },
                    delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
                    deleted_with=request.deletedWith,
                    retain_on_delete=request.retainOnDelete,
                    protect=request.protect,
                    replace_on_changes=tuple(request.replaceOnChanges),
                    ignore_changes=tuple(request.ignoreChanges),
                    secret_outputs=frozenset(request.additionalSecretOutputs),
                    aliases=tuple(alias.spec.name for alias in request.aliases),
                    cargo=_cargo(inputs),
                )
            )
        return answer


def _cargo(inputs: Mapping[str, Any]) -> bytes:
    """What a command sends: its file is there when it is registered, whichever folder is current later."""
    interpreter = rpc.unwrap_rpc_secret(inputs.get("interpreter")) or []
    paths = [path for word in interpreter for path in re.findall(r"(?:<|cat - )(\.apiary/\S+)", word)]
    if not paths:
        return b""
    checksum, tar = Path(paths[0]).read_bytes().split(b"\n", 1)
    assert checksum.decode() == hashlib.sha256(tar).hexdigest()
    return tar


def run(stack_file: Mapping[str, Any], *, stack: str = "test", secret_keys: tuple[str, ...] = ()) -> Graph:
    """Run `__main__.py` on `stack_file`, the sections without their `apiary:`; raises what the program raises."""
    recorder = Recorder()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    mocks.set_mocks(recorder.mocks, project="apiary", stack=stack, preview=False, monitor=recorder)
    set_root_resource(None)  # type: ignore[arg-type]  # the program's own one comes, as from the engine
    pulumi.runtime.set_all_config(
        {f"apiary:{section}": json.dumps(value) for section, value in stack_file.items()},
        [f"apiary:{key}" for key in secret_keys],
    )
    try:
        loop.run_until_complete(run_in_stack(lambda: runpy.run_path(str(ROOT / "__main__.py"))))
    finally:
        gc.enable()  # the program lives for seconds and switches it off; this process lives on
    return recorder.graph
