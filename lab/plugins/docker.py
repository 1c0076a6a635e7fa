"""Stand-in of the Pulumi docker plugin: Container, Network, Volume, what a swarm has (docker_swarm.py), the provider.

Talks to a Docker engine over its unix socket or over ssh, as the official plugin does. Images are not
covered.
"""

from __future__ import annotations

import time

from lab.plugins.docker_containers import Container
from lab.plugins.docker_engine import EngineError
from lab.plugins.docker_provider import WAIT_FIRST, DockerPlugin, DockerResource, wait_until_removed
from lab.plugins.docker_swarm import Secret, Service, ServiceConfig
from lab.plugins.docker_tables import NETWORK, VOLUME
from provider.protocol.base import Context, Failure, Plugin, Props


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
            names = {
                "subnet": "Subnet",
                "ipRange": "IPRange",
                "gateway": "Gateway",
                "auxAddress": "AuxiliaryAddresses",
            }
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
        # Labels of one that was there are only seen by a refresh, where none are asked for.
        return id, {**found[1], **({} if inputs.get("labels") else {"labels": []})} if found else {}

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


def plugin(version: str) -> Plugin:
    """The plugin that reports `version`."""
    return DockerPlugin(version, [Container(), Network(), Volume(), Service(), Secret(), ServiceConfig()])
