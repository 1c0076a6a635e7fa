"""The state of a stack as an `up` leaves it, without a host: what previews of a change are compared with.

No update runs for it. Everything in it comes from the program and the plugins: the resources, their parents,
providers, dependencies and options from a first preview; their inputs from a run of the same program under
mocks, which answers with addresses, keys and ids (tests/mocks/program.py); the defaults and automatic names
among the inputs from the plugins' own checks, in a second preview. That the engine finds nothing to change in
it is a test of its own: where that holds, every difference which a changed stack file makes is real.

Not in it is what only a host knows (what a command printed, a container's mounts); no diff looks at that.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pulumi
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pulumi.runtime import mocks

from tests.engine.plans import UNKNOWN
from tests.engine.workplace import Project
from tests.mocks import program
from tests.mocks.program import Graph, Providers

PREFIX = "apiary:"
_SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}  # the engine's mark
# What the engine reads back of a container that nobody asked for.
_CONTAINER: dict[str, Any] = {
    "command": [],
    "entrypoints": ["/start"],
    "memoryReservation": 0,
    **dict.fromkeys(("attach", "logs", "rm", "stdinOpen", "tty", "wait"), False),
}
# What the plugin adds to a password's inputs.
_PASSWORD: dict[str, Any] = {
    **dict.fromkeys(("lower", "upper", "number", "numeric"), True),
    **dict.fromkeys(("minLower", "minUpper", "minNumeric", "minSpecial"), 0),
    "bcryptHash": "none",
}
_NOT_IN_STATE = ("sourcePosition", "stackTrace")


def settle(project: Project, secrets: Mapping[str, str]) -> None:
    """Give the project's stack the state of its stack file; `secrets` are its encrypted values in plain text."""
    skeleton = [step["newState"] for step in project.plan()["steps"]]
    graph, answers = _mocked(project, secrets)
    resources = _resources(skeleton, graph, answers)
    _import(project, resources)
    checked = {step["urn"]: step["newState"].get("inputs", {}) for step in project.plan()["steps"]}
    for resource in resources:
        _complete(resource, checked.get(resource["urn"], {}))
    _import(project, resources)


class Answers(Providers):
    """The mocks' answers, with keys that are keys: the official plugin reads them again in every preview."""

    SECRET = ("privateKeyOpenssh", "privateKeyPem", "privateKeyPemPkcs8", "result", "bcryptHash")

    def __init__(self) -> None:
        self._keys: dict[str, dict[str, Any]] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """As the program meets it: with secrets."""
        id_, outputs = self.plain(args)
        return id_, {
            key: pulumi.Output.secret(value) if key in self.SECRET else value for key, value in outputs.items()
        }

    def plain(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """As the state keeps it, before it is encrypted."""
        return super().new_resource(args)

    def _computed(self, args: mocks.MockResourceArgs) -> dict[str, Any]:
        match args.typ:
            case "tls:index/privateKey:PrivateKey":
                return self._keys.setdefault(args.name, _key_pair())
            case "random:index/randomPassword:RandomPassword":
                return {**_PASSWORD, "result": f"generated {args.name}"}
            case "vultr:index/instance:Instance":
                return {**super()._computed(args), "features": ["ipv6"], "vpcIds": []}
            case "docker:index/container:Container":
                return {**_CONTAINER, **super()._computed(args), **_given(args.inputs)}
            case "command:remote:Command":
                return {"stdout": "", "stderr": "", **super()._computed(args)}
            case _:
                return super()._computed(args)


def _key_pair() -> dict[str, Any]:
    key = Ed25519PrivateKey.generate()
    openssh, pkcs8 = (
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
        for form in (serialization.PrivateFormat.OpenSSH, serialization.PrivateFormat.PKCS8)
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return {
        "privateKeyOpenssh": openssh,
        "privateKeyPem": pkcs8,
        "privateKeyPemPkcs8": pkcs8,
        "publicKeyOpenssh": f"{public.decode()}\n",
        "ecdsaCurve": "P224",
        "rsaBits": 2048,
    }


def _mocked(project: Project, secrets: Mapping[str, str]) -> tuple[Graph, Answers]:
    """What the program registers, and what it was answered.

    In a process of its own: Pulumi's SDK remembers the first stack of a process for ever.
    """
    config = yaml.safe_load((project.folder / f"Pulumi.{project.stack}.yaml").read_text())["config"]
    sections = {key.removeprefix(PREFIX): value for key, value in config.items() if key.startswith(PREFIX)}
    sections["secrets"] = dict(secrets)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        return apart.submit(_run, project.folder, project.stack, sections).result()


def _run(folder: Path, stack: str, sections: dict[str, Any]) -> tuple[Graph, Answers]:
    answers = Answers()
    mocked = patch.multiple(program, Providers=lambda: answers, ROOT=folder)
    with contextlib.chdir(folder), mocked:  # the program writes its key file where it runs
        return program.run(sections, stack=stack, secret_keys=("secrets",)), answers


def _resources(skeleton: Iterable[Mapping[str, Any]], graph: Graph, answers: Answers) -> list[dict[str, Any]]:
    """The planned resources with the inputs and outputs that the mocks gave them, default providers first."""
    mocked = {(one.type, one.name): one for one in graph}
    defaults: dict[str, dict[str, Any]] = {}
    resources = []
    for planned in skeleton:
        resource = {key: value for key, value in planned.items() if key not in _NOT_IN_STATE}
        if resource["custom"]:
            one = mocked[(resource["type"], resource["urn"].split("::", 3)[3])]
            inputs = _given(one.inputs)
            if resource["type"].startswith("pulumi:providers:"):
                inputs = _provider_inputs(inputs)
            id_, outputs = answers.plain(
                mocks.MockResourceArgs(typ=one.type, name=one.name, inputs=inputs, provider="", resource_id="")
            )
            if not resource["type"].startswith(("command:", "pulumi:")):
                outputs["id"] = id_
            resource |= {"id": id_, "inputs": inputs, "outputs": outputs}
            _complete(resource, planned["inputs"])
            hidden = {*one.secret_inputs, *resource.get("additionalSecretOutputs", [])}
            for side in ("inputs", "outputs"):
                resource[side] = {
                    key: _hidden(key, value) if key in hidden else value for key, value in resource[side].items()
                }
        if "provider" in resource:
            resource["provider"] = _provider(resource["provider"], defaults)
        resources.append(resource)
    return [*defaults.values(), *resources]


def _hidden(key: str, value: Any) -> dict[str, str]:
    # Within the connection of a command the key is a secret again; the outer one is what encrypts both.
    if key == "connection":
        inner = {**_SECRET, "ciphertext": json.dumps(value["privateKey"])}
        return _secret({**value, "privateKey": inner})
    return _secret(value)


def _secret(value: Any) -> dict[str, str]:
    return {**_SECRET, "plaintext": json.dumps(value)}


def _provider_inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """A provider's inputs are text, lists as JSON in its shortest form."""
    texts = {}
    for key, value in inputs.items():
        data = json.loads(value) if isinstance(value, str) and value.startswith("[") else value
        texts[key] = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    return texts


def _given(value: Any) -> Any:
    """Without what was left open."""
    match value:
        case dict():
            return {key: _given(inner) for key, inner in value.items() if inner is not None}
        case list():
            return [_given(inner) for inner in value]
        case _:
            return value


def _provider(reference: str, defaults: dict[str, dict[str, Any]]) -> str:
    """The reference with the id in place of the unknown one; a default provider is added to `defaults`."""
    urn = reference.removesuffix(f"::{UNKNOWN}")
    type_, name = urn.split("::")[2:]
    package = type_.rsplit(":", 1)[1]
    if name.startswith("default_"):
        version, server = _sdk(package)
        defaults.setdefault(
            urn,
            {
                "urn": urn,
                "custom": True,
                "id": f"{name}-id",
                "type": type_.rsplit("$", 1)[-1],
                "inputs": {"__internal": {"pluginDownloadURL": server} if server else {}, "version": version},
                "outputs": {"version": version},
            },
        )
    return f"{urn}::{name}-id"


def _sdk(package: str) -> tuple[str, str]:
    """The version of a package's SDK, and where that says its plugin is to be downloaded: "" for Pulumi's own place."""
    distribution = metadata.distribution({"vultr": "ediri-vultr"}.get(package, f"pulumi-{package}"))
    (said,) = (file for file in distribution.files or () if file.name == "pulumi-plugin.json")
    return distribution.version, json.loads(said.read_text()).get("server", "")


def _complete(resource: dict[str, Any], checked: Mapping[str, Any]) -> None:
    """Add what the plugin's check has added to the inputs: defaults, automatic names."""
    if not resource["custom"]:
        return
    for key, value in checked.items():
        known = "[secret]" not in json.dumps(value) and UNKNOWN not in json.dumps(value)
        if known and not _is_secret(resource["inputs"].get(key)):
            resource["inputs"][key] = value
            resource["outputs"][key] = _without_marks(value)
    for mark in ("__defaults", "__internal"):
        resource["outputs"].pop(mark, None)


def _is_secret(value: Any) -> bool:
    return isinstance(value, dict) and _SECRET.items() <= value.items()


def _without_marks(value: Any) -> Any:
    match value:
        case dict():
            return {key: _without_marks(inner) for key, inner in value.items() if key != "__defaults"}
        case list():
            return [_without_marks(inner) for inner in value]
        case _:
            return copy.copy(value)


def _import(project: Project, resources: list[dict[str, Any]]) -> None:
    deployment = json.loads(project.run("stack", "export").stdout)
    deployment["deployment"]["resources"] = resources
    done = project.run("stack", "import", stdin=json.dumps(deployment))
    assert done.status == 0, done.output
