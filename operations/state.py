"""What an exported state says, as plain objects. Pure: reads no file and starts nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

CONTAINER = "docker:index/container:Container"
NETWORK = "docker:index/network:Network"
SERVICE = "docker:index/service:Service"
OF_SWARM = (SERVICE, "docker:index/secret:Secret", "docker:index/serviceConfig:ServiceConfig")
PROVIDER = "pulumi:providers:docker"
INSTANCE = "vultr:index/instance:Instance"
RESERVED_IP = "vultr:index/reservedIp:ReservedIp"
FIREWALL = "vultr:index/firewallGroup:FirewallGroup"
FIREWALL_RULE = "vultr:index/firewallRule:FirewallRule"
BLOCK = "vultr:index/blockStorage:BlockStorage"
OBJECT_STORAGE = "vultr:index/objectStorage:ObjectStorage"
VPC = "vultr:index/vpc:Vpc"
SSH_KEY = "vultr:index/sSHKey:SSHKey"
DOMAIN = "vultr:index/dnsDomain:DnsDomain"
RECORD = "vultr:index/dnsRecord:DnsRecord"
CLIENT_KEY = "apiary:host:Access$tls:index/privateKey:PrivateKey"
IMAGE = "apiary:docker:Image"


@dataclass(frozen=True)
class Resource:
    """One resource of a state, or one that a pending operation names."""

    urn: str
    type: str
    id: str  # empty while it is not created
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    parent: str  # urn or empty
    provider: str  # urn::id or empty
    dependencies: tuple[str, ...]  # urns
    doomed: bool  # replaced already, and still to be deleted
    gone: bool  # deleted already, and still to be made anew: only a mark for the engine
    custom: bool  # a plugin's; else a component

    @property
    def name(self) -> str:
        return _name(self.urn)

    @property
    def full_type(self) -> str:
        """The type with those of its parents: `apiary:host:Server$vultr:index/instance:Instance`."""
        return self.urn.split("::")[2]


@dataclass(frozen=True)
class Server:
    """A host of the stack, as the state knows it: enough to log in, also when the program can't run."""

    name: str
    urn: str  # of its Docker provider
    host: str  # `ssh://root@ADDRESS:22`
    ssh_options: tuple[str, ...]
    instance: Resource | None  # None before it is created


@dataclass(frozen=True)
class State:
    """A whole state."""

    resources: tuple[Resource, ...]
    pending: tuple[tuple[str, Resource], ...]  # (`creating`, `updating`, `deleting`, ..., resource)

    @classmethod
    def of(cls, exported: Mapping[str, Any]) -> State:
        """From what `pulumi stack export` prints; a stack without any update is an empty state."""
        deployment = exported.get("deployment") or {}
        return cls(
            tuple(_resource(entry) for entry in deployment.get("resources") or ()),
            tuple(
                (str(entry["type"]), _resource(entry["resource"]))
                for entry in deployment.get("pending_operations") or ()
            ),
        )

    @classmethod
    def of_plan(cls, plan: Mapping[str, Any]) -> State:
        """The state that a first update would lead to, from what `pulumi preview --json` prints."""
        planned = [step["newState"] for step in plan.get("steps") or () if step["op"] == "create"]
        return cls.of({"deployment": {"resources": planned}})

    def of_type(self, type_: str) -> Iterator[Resource]:
        """The resources of one type, doomed ones too: they exist as well."""
        return (resource for resource in self.resources if resource.type == type_)

    def creating(self, type_: str) -> Iterator[Resource]:
        """What was being created when an update was cut off: it may exist without being recorded."""
        return (resource for kind, resource in self.pending if kind == "creating" and resource.type == type_)

    def ids(self, type_: str) -> frozenset[str]:
        return frozenset(resource.id for resource in self.of_type(type_) if resource.id)

    def is_clean(self) -> bool:
        """Whether no operation is open and nothing waits to be deleted or to be made anew."""
        return not self.pending and not any(resource.doomed or resource.gone for resource in self.resources)

    def servers(self) -> list[Server]:
        """Every server whose Docker provider is recorded, sorted by name.

        One that moves to another region has two, until the move is through: then it is the one of its new address.
        """
        instances = {resource.name: resource for resource in self.of_type(INSTANCE) if not resource.doomed}
        addresses = {ip.name: str(ip.outputs.get("subnet")) for ip in self.of_type(RESERVED_IP) if not ip.doomed}
        found: dict[str, Server] = {}
        for provider in self.of_type(PROVIDER):
            name, host = _name(provider.parent), str(provider.inputs.get("host", ""))
            if provider.doomed or (name in found and f"@{addresses.get(name)}:" not in host):
                continue
            options = tuple(json.loads(provider.inputs.get("sshOpts") or "[]"))
            found[name] = Server(name, provider.urn, host, options, instances.get(name))
        return [found[name] for name in sorted(found)]

    def on(self, server: Server) -> list[Resource]:
        """What the state has in the server's Docker, or was creating there.

        Of a server that is just being replaced that is nothing: it may well not answer.
        """
        everything = [
            *(resource for resource in self.resources if not resource.gone),
            *(resource for _, resource in self.pending),
        ]
        return [resource for resource in everything if resource.provider.startswith(f"{server.urn}::")]


def _name(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]


def _resource(entry: Mapping[str, Any]) -> Resource:
    return Resource(
        urn=str(entry["urn"]),
        type=str(entry["type"]),
        id=str(entry.get("id") or ""),
        inputs=entry.get("inputs") or {},
        outputs=entry.get("outputs") or {},
        parent=str(entry.get("parent") or ""),
        provider=str(entry.get("provider") or ""),
        dependencies=tuple(entry.get("dependencies") or ()),
        doomed=bool(entry.get("delete")),
        gone=bool(entry.get("pendingReplacement")),
        custom=bool(entry.get("custom", entry.get("id"))),
    )


def named_by(entry: Mapping[str, Any]) -> set[str]:
    """The URNs of the resources that an exported one can't be read without."""
    named = {entry.get("parent"), entry.get("deletedWith"), str(entry.get("provider") or "").rpartition("::")[0]}
    named |= {*(entry.get("dependencies") or ()), *(entry.get("replaceWith") or ())}
    named |= {urn for urns in (entry.get("propertyDependencies") or {}).values() for urn in urns or ()}
    return {str(urn) for urn in named if urn}


def without_gone(exported: Mapping[str, Any]) -> dict[str, Any] | None:
    """The exported state without what an interrupted replacement has deleted already; None where nothing is.

    The engine would delete all of it again before it goes on, and some of it on a server that is gone. Without
    it there is only to be made anew, which is what was left to do.
    """
    deployment = exported.get("deployment") or {}
    entries = deployment.get("resources") or []
    kept = [entry for entry in entries if not entry.get("pendingReplacement")]
    if len(kept) == len(entries):
        return None
    # One that was made anew meanwhile has the same name.
    gone = {entry["urn"] for entry in entries} - {entry["urn"] for entry in kept}
    resources = [_without(entry, gone) for entry in kept]
    return {**exported, "deployment": {**deployment, "resources": resources}}


def without(exported: Mapping[str, Any], gone: set[str]) -> dict[str, Any]:
    """The exported state without these, by URN: they are gone, and only to be made anew."""
    deployment = exported.get("deployment") or {}
    entries = deployment.get("resources") or []
    resources = [_without(entry, gone) for entry in entries if entry["urn"] not in gone]
    return {**exported, "deployment": {**deployment, "resources": resources}}


def alone(exported: Mapping[str, Any], urns: set[str]) -> dict[str, Any]:
    """The exported state with these, by URN, depending on nothing: so they stay when what they were made with goes."""
    deployment = exported.get("deployment") or {}
    entries = deployment.get("resources") or []
    all_ = {entry["urn"] for entry in entries}
    resources = [_without(entry, all_) if entry["urn"] in urns else entry for entry in entries]
    return {**exported, "deployment": {**deployment, "resources": resources}}


def _without(entry: Mapping[str, Any], gone: set[str]) -> dict[str, Any]:
    """A resource that depends on nothing of `gone` any more."""
    changed = dict(entry)
    if "dependencies" in changed:
        changed["dependencies"] = [urn for urn in changed["dependencies"] if urn not in gone]
    if "propertyDependencies" in changed:
        changed["propertyDependencies"] = {
            key: [urn for urn in urns or () if urn not in gone] for key, urns in changed["propertyDependencies"].items()
        }
    if changed.get("deletedWith") in gone:
        del changed["deletedWith"]
    return changed
