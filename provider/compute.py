"""The two Vultr types that wait for the API: the instance and the block volume."""

from __future__ import annotations

import base64
import time

from provider.client import ALREADY_ATTACHED, Client, VultrError
from provider.protocol.base import Context, Failure, Props
from provider.resource import VultrResource, changed, filled, snake, unwrap

META = '{"e2bfb730-ecaa-11e6-8f88-34363bc7c4c0":{"create":3600000000000,"update":3600000000000}}'
PREVIEW_META = META.replace("{", '{"_new_extra_shim":{},', 1)
CREATE_LIMIT = 59 * 60.0  # seconds for which a create is repeated


def wait_for(
    client: Client,
    where: tuple[str, str, str],
    target: str,
    pending: tuple[str, ...],
    *,
    words: str,
    failing: str,
) -> None:
    """Poll one field of an object; `where`: path, wrapper, field.

    Raises Failure with `words`; a failed read is `failing` and the API's text.
    """
    path, wrapper, field = where

    def state() -> str:
        try:
            return str(unwrap(client.call("GET", path), wrapper).get(field, ""))
        except VultrError as error:
            raise VultrError(f"{failing}{error}") from error

    try:
        client.poll(state, target, pending)
    except VultrError as error:
        raise Failure(f"{words}{error}") from error


class Instance(VultrResource):
    """A virtual machine."""

    token = "vultr:index/instance:Instance"  # noqa: S105 (a type's name)
    path, wrapper = "/v2/instances", "instance"
    sent = ("region", "plan", "label", "osId", "appId", "imageId", "isoId", "snapshotId", "firewallGroupId",
            "hostname", "backups", "scriptId", "ipxeChainUrl", "userScheme", "appVariables")  # fmt: skip
    seen = ("os", "ram", "disk", "mainIp", "vcpuCount", "dateCreated", "status", "allowedBandwidth",
            "netmaskV4", "gatewayV4", "powerStatus", "serverStatus", "internalIp", "kvm", "v6Network",
            "v6MainIp", "v6NetworkSize",
            "tags", "firewallGroupId", "region", "plan", "osId", "appId", "features",
            "hostname", "userScheme")  # fmt: skip

    def create(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        """In previews the timeouts are spelled differently."""
        id, outputs = super().create(ctx, inputs)
        return id, {**outputs, "__meta": PREVIEW_META} if ctx.preview else outputs

    def update(self, ctx: Context, id: str, olds: Props, news: Props) -> Props:
        """See create."""
        outputs = super().update(ctx, id, olds, news)
        return {**outputs, "__meta": PREVIEW_META} if ctx.preview else outputs

    def _marked(self, outputs: Props) -> Props:
        """The timeouts are part of every state."""
        return {**super()._marked(outputs), "__meta": META}

    def body(self, inputs: Props) -> Props:
        """One POST holds all there is to know, the reserved IPv4 included."""
        data = str(inputs.get("userData") or "")
        return (
            super().body(inputs)
            | filled(
                {
                    "enable_ipv6": bool(inputs.get("enableIpv6")),
                    "disable_public_ipv4": bool(inputs.get("disablePublicIpv4")),
                    "ddos_protection": bool(inputs.get("ddosProtection")),
                    "activation_email": bool(inputs.get("activationEmail")),
                    "attach_vpc": sorted(inputs.get("vpcIds") or []),
                    "attach_vpc2": sorted(inputs.get("vpc2Ids") or []),
                    "sshkey_id": inputs.get("sshKeyIds"),
                    "user_data": base64.b64encode(data.encode()).decode(),
                    "reserved_ipv4": inputs.get("reservedIpId"),
                }
            )
            | {"tags": sorted(inputs.get("tags") or []) or None}
        )

    def post(self, client: Client, inputs: Props) -> tuple[str, Props]:
        """Repeated for up to 59 minutes while the reserved IPv4 is attached to another instance."""
        check_options(inputs)
        body = self.body(inputs)
        try:
            answer = client.repeat_while(lambda: client.call("POST", self.path, body), ALREADY_ATTACHED, CREATE_LIMIT)
        except VultrError as error:
            text = f"cannot create instance with reserved IP: {error}" if ALREADY_ATTACHED in str(error) else str(error)
            raise Failure(self.words.create + text) from error
        made = unwrap(answer, self.wrapper)
        return str(made.get("id", "")), {"defaultPassword": made.get("default_password", "")}

    def settle(self, client: Client, id: str, inputs: Props) -> None:
        """Wait until it is active, then until it runs: each with its own 10 s of silence."""
        path, failing = f"{self.path}/{id}", f"error retrieving Server {id} : "
        for field, target, pending, end in (
            ("status", "active", ("pending", "installing"), "completed"),
            ("power_status", "running", ("stopped",), "in a active state "),
        ):
            words = f"error while waiting for Server {id} to be {end}: "
            where = (path, self.wrapper, field)
            wait_for(client, where, target, pending, words=words, failing=failing)
        if inputs.get("backups") == "enabled":
            self.schedule(client, id, inputs, "error setting backup schedule: ")

    def schedule(self, client: Client, id: str, inputs: Props, words: str) -> None:
        """Set the times of backups."""
        wanted = inputs.get("backupsSchedule") or {}
        body = {"type": wanted.get("type"), "hour": wanted.get("hour") or 0, "dow": wanted.get("dow") or 0}
        body |= filled({"dom": wanted.get("dom")})
        self.ask(client, words, "POST", f"{self.path}/{id}/backup-schedule", body, id)

    def fetch(self, client: Client, id: str, state: Props) -> Props | None:
        """Four requests, also without backups and networks."""
        found = super().fetch(client, id, state)
        if found is None:
            return None
        path = f"{self.path}/{id}"
        backup = unwrap(
            self.ask(client, "error getting backup schedule: ", "GET", f"{path}/backup-schedule"),
            "backup_schedule",
        )
        vpcs, vpc2s = (self.networks(client, path, kind) for kind in ("vpcs", "vpc2"))
        found["tags"] = sorted(found["tags"] or [])
        found["features"] = found["features"] or []
        found["backups"] = "enabled" if backup["enabled"] else "disabled"
        found["backupsSchedule"] = (
            {"type": backup.get("type", "")} | {k: int(backup.get(k) or 0) for k in ("hour", "dow", "dom")}
            if backup["enabled"]
            else None
        )
        if state.get("vpcIds"):
            found["vpcIds"] = sorted(vpcs)
        if state.get("vpc2Ids"):
            found["vpc2Ids"] = sorted(vpc2s)
        return found

    def networks(self, client: Client, path: str, kind: str) -> list[str]:
        """Ids of the attached networks, all pages."""
        ids: list[str] = []
        cursor = ""
        while True:
            query = f"?cursor={cursor}" if cursor else ""
            answer = self.ask(client, f"error getting list of attached {kind}: ", "GET", f"{path}/{kind}{query}")
            ids += [str(entry["id"]) for entry in answer.get("vpcs") or []]
            cursor = ((answer.get("meta") or {}).get("links") or {}).get("next", "")
            if not cursor:
                return ids

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """One PATCH; null means "leave alone"."""
        body: Props = filled(changed(olds, news, "plan", "backups"))
        body |= filled({"label": news.get("label"), "firewall_group_id": news.get("firewallGroupId")})
        body |= {"enable_ipv6": bool(news.get("enableIpv6"))}
        body["tags"] = sorted(news.get("tags") or []) if unlike(olds, news, "tags") else None
        body["ddos_protection"] = bool(news.get("ddosProtection")) if changed(olds, news, "ddosProtection") else None
        for name, suffix in (("vpcIds", "vpc"), ("vpc2Ids", "vpc2")):
            old, new = set(olds.get(name) or []), set(news.get(name) or [])
            body |= filled({f"attach_{suffix}": sorted(new - old), f"detach_{suffix}": sorted(old - new)})
        scheduled = bool(news.get("backupsSchedule"))
        if "backups" in body and body["backups"] == "disabled" and scheduled:
            raise Failure("Backups are being set to disabled please remove backups_schedule")
        if news.get("backups") == "enabled" and not scheduled:
            raise Failure("Backups are being set to enabled please add backups_schedule")
        self.ask(client, self.words.update, "PATCH", f"{self.path}/{id}", body, id)
        self.alter_more(client, id, olds, news)

    def alter_more(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """ISO, backup times, and the wait for a new plan."""
        path = f"{self.path}/{id}"
        if changed(olds, news, "isoId"):
            if news.get("isoId"):
                words = f"error attaching iso to instance {id} : "
                self.ask(client, words, "POST", f"{path}/iso/attach", {"iso_id": news["isoId"]})
            else:
                self.ask(client, f"error detaching iso from instance {id} : ", "POST", f"{path}/iso/detach")
        if news.get("backups") != "disabled" and unlike(olds, news, "backupsSchedule"):
            self.schedule(client, id, news, f"error setting backup for {id} : ")
        if changed(olds, news, "plan"):
            words = f"error while waiting for instance {id} to have updated plan : "
            failing = f"error retrieving instance {id} : "
            where = (path, self.wrapper, "plan")
            wait_for(client, where, news["plan"], (str(olds.get("plan")),), words=words, failing=failing)

    def drop(self, client: Client, id: str, state: Props) -> None:
        """Networks and ISO are detached first, if the state holds any."""
        for name, suffix, title in (("vpcIds", "vpc", "VPCs"), ("vpc2Ids", "vpc2", "VPC2s")):
            if state.get(name):
                body = {"tags": None, f"detach_{suffix}": sorted(state[name]), "ddos_protection": None}
                words = f"error detaching {title} prior to deleting instance {id} : "
                self.ask(client, words, "PATCH", f"{self.path}/{id}", body)
        if state.get("isoId"):
            words = f"error detaching ISO prior to deleting instance {id} : "
            self.ask(client, words, "POST", f"{self.path}/{id}/iso/detach")
        super().drop(client, id, state)


class BlockStorage(VultrResource):
    """A volume, attached to an instance or not."""

    token = "vultr:index/blockStorage:BlockStorage"  # noqa: S105 (a type's name)
    path, wrapper = "/v2/blocks", "block"
    sent = ("region", "sizeGb", "label", "blockType")
    seen = (
        "dateCreated",
        "cost",
        "status",
        "sizeGb",
        "region",
        "attachedToInstance",
        "label",
        "mountId",
        "blockType",
    )

    def settle(self, client: Client, id: str, inputs: Props) -> None:
        """Wait until it is active, then attach."""
        words, failing = (
            f"error while waiting for block {id} to be completed: ",
            f"error retrieving block {id} : ",
        )
        where = (f"{self.path}/{id}", self.wrapper, "status")
        wait_for(client, where, "active", ("pending",), words=words, failing=failing)
        if not inputs.get("attachedToInstance"):
            return
        for _second in range(31):
            answer = self.ask(client, "error attaching: ", "GET", f"{self.path}/{id}")
            if unwrap(answer, self.wrapper).get("status") == "active":
                break
            time.sleep(1)
        else:
            raise Failure("block storage was not in ready state after 30 seconds")
        self.attach(client, id, inputs)

    def attach(self, client: Client, id: str, inputs: Props) -> None:
        """One attach request."""
        body = {"instance_id": inputs["attachedToInstance"], "live": bool(inputs.get("live"))}
        self.ask(client, "error attaching block storage ({id}): ", "POST", f"{self.path}/{id}/attach", body, id)

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """The PATCH is sent also when it is empty; then detach and attach if the instance is another one."""
        body = filled({snake(n): news.get(n) for n in ("sizeGb", "label") if unlike(olds, news, n)})
        self.ask(client, self.words.update, "PATCH", f"{self.path}/{id}", body, id)
        if not unlike(olds, news, "attachedToInstance"):
            return
        if olds.get("attachedToInstance"):
            now = unwrap(self.ask(client, "error getting block storage: ", "GET", f"{self.path}/{id}"), self.wrapper)
            if now.get("attached_to_instance"):
                words = "error detaching block storage ({id}): "
                self.ask(client, words, "POST", f"{self.path}/{id}/detach", {"live": bool(news.get("live"))}, id)
        if news.get("attachedToInstance"):
            self.attach(client, id, news)


def unlike(olds: Props, news: Props, name: str) -> bool:
    """Whether a property has changed, where empty and missing are the same."""
    return (olds.get(name) or None) != (news.get(name) or None)


def check_options(inputs: Props) -> None:
    """Refuse what the official plugin refuses before the POST."""
    backups, scheduled = inputs.get("backups"), bool(inputs.get("backupsSchedule"))
    if backups == "enabled" and not scheduled:
        raise Failure("Backups are set to enabled please provide a backups_schedule")
    if backups == "disabled" and scheduled:
        raise Failure("Backups are set to disabled please remove backups_schedule")
    sources = [snake(name) for name in ("appId", "isoId", "snapshotId", "imageId") if inputs.get(name)]
    if len(sources) > 1:
        raise Failure(f"too many options have been selected : [{' '.join(sources)}] : please select one")
    if sources and inputs.get("osId"):
        raise Failure(f"Please do not set {sources[0]} with os_id")
    if not sources and not inputs.get("osId"):
        raise Failure("error occurred while getting your intended os type")
