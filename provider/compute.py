"""The instance, which takes its time."""

from __future__ import annotations

import base64

from provider import clock, spelling, stock
from provider.client import Client
from provider.creation import filled, snake
from provider.errors import ApiError
from provider.objects import ALREADY_ATTACHED, LEAVING
from provider.options import impossible, mistimed
from provider.protocol.base import CheckFailure, Context, Difference, Failure, Props
from provider.protocol.bridge import strip
from provider.resource import VultrResource, changed, unlike

META = '{"e2bfb730-ecaa-11e6-8f88-34363bc7c4c0":{"create":3600000000000,"update":3600000000000}}'
PREVIEW_META = META.replace("{", '{"_new_extra_shim":{},', 1)
READY = 45.0 * 60  # seconds until a new or changed instance must be ready
DESTROYED = 15.0 * 60  # seconds until one that is being destroyed must be gone
HELD = 60.0  # seconds after which an address that a living server holds is not waited for any longer
DESTROYING = "pending destruction"
WORKING = ("pending", "resizing", "installing")  # of `status`
UNREADY = ("none", "locked", "installingbooting")  # of `server_status`
# What is not known while an instance is pending; the API says something all the same.
PENDING = ("mainIp", "v6Network", "v6MainIp", "netmaskV4", "gatewayV4", "v6NetworkSize")
UNTOLD = [""]  # of an imported instance's SSH keys: the API does not tell which it was made with
NOTHING = ("", "0.0.0.0", 0)  # noqa: S104 (what the API says of no address)


class Instance(VultrResource):
    """A virtual machine."""

    token = "vultr:index/instance:Instance"  # noqa: S105 (a type's name)
    noun = "instance"
    path, wrapper, listed = "/v2/instances", "instance", "instances"
    sent = ("region", "plan", "label", "osId", "appId", "imageId", "isoId", "snapshotId", "firewallGroupId",
            "hostname", "backups", "scriptId", "ipxeChainUrl", "userScheme", "appVariables")  # fmt: skip
    seen = ("os", "ram", "disk", "mainIp", "vcpuCount", "dateCreated", "status", "allowedBandwidth",
            "netmaskV4", "gatewayV4", "powerStatus", "serverStatus", "internalIp", "kvm", "v6Network",
            "v6MainIp", "v6NetworkSize",
            "tags", "firewallGroupId", "region", "plan", "osId", "appId", "features",
            "hostname", "userScheme")  # fmt: skip
    alike = ("label", "region", "tags")
    spelled = {"userScheme": spelling.scheme}  # noqa: RUF012 (a table)

    def __init__(self) -> None:
        super().__init__()
        self._wanted: set[str] = set()  # URNs whose inputs the program has given to this process

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
        return super().body(inputs) | filled(
            {
                "enable_ipv6": bool(inputs.get("enableIpv6")),
                "disable_public_ipv4": bool(inputs.get("disablePublicIpv4")),
                "ddos_protection": bool(inputs.get("ddosProtection")),
                "activation_email": bool(inputs.get("activationEmail")),
                "attach_vpc": sorted(inputs.get("vpcIds") or []),
                "sshkey_id": inputs.get("sshKeyIds"),
                "user_data": base64.b64encode(data.encode()).decode(),
                "reserved_ipv4": inputs.get("reservedIpId"),
                "tags": sorted(inputs.get("tags") or []),
            }
        )

    def check(self, ctx: Context, olds: Props, news: Props) -> tuple[Props, list[CheckFailure]]:
        """From here on the program's own inputs are compared. What can't be made is refused in the preview."""
        self._wanted.add(ctx.urn)
        inputs, failures = super().check(ctx, olds, news)
        if not olds and not failures and (wrong := impossible(inputs)):
            failures.append(CheckFailure("", f"{wrong}. Examine values at '{ctx.name}'."))
        return inputs, failures

    def diff(self, ctx: Context, id: str, olds: Props, news: Props) -> Difference:
        """Nothing is deleted for another instance that can't be made, or that Vultr does not sell: the preview says so.

        The engine also compares what nobody is about to make, and before it has the inputs checked: on a refresh what
        it has read with what was recorded, and, where what an instance depends on is replaced, the recorded inputs
        with some of them unknown, in the region that it may be leaving.
        """
        found = super().diff(ctx, id, olds, news)
        if ctx.urn in self._wanted and found.replaces:
            self.spared(ctx, news, ", ".join(sorted(set(found.replaces))))
        return found

    def spared(self, ctx: Context, news: Props, asked: str) -> None:
        """Raises Failure where the server would be deleted, for another `asked`, and no other could be made."""
        deleted = f"This server would be deleted before another one is made, for another {asked}; nothing has been"
        if wrong := impossible(strip(news)):
            raise Failure(f"{wrong}. {deleted} touched. Put that right, or take back what changes {asked}")
        region, plan = news.get("region"), news.get("plan")
        if not isinstance(region, str) or not isinstance(plan, str):
            return
        try:
            lack = stock.lacking(self.client(ctx).glance, region.lower(), plan)
        except ApiError as error:
            ctx.log(f"whether {plan} can be had in {region} is not known: {error}", "warning")
            return
        if lack:
            raise Failure(
                f"{lack}. {deleted} touched. To have another one, {stock.REMEDY}; to keep this one, take back what "
                f"changes {asked}"
            )

    def post(self, client: Client, inputs: Props) -> tuple[str, Props]:
        """The password is told only now, and never when the answer was lost."""
        if wrong := impossible(inputs):
            raise Failure(wrong)
        made = self.ordered(client, inputs)
        return str(made.get("id", "")), {"defaultPassword": made.get("default_password") or ""}

    def order(self, client: Client, path: str, body: Props, inputs: Props) -> Props:
        """Sent again while the reserved IPv4 has not been let go of by its last server."""
        reserved = inputs.get("reservedIpId")
        started = clock.now()

        def send() -> Props:
            try:
                return client.call("POST", path, body)
            except ApiError as error:
                waited = clock.now() - started
                if error.says(ALREADY_ATTACHED) and waited > HELD and (holder := self.holder(client, str(reserved))):
                    raise Failure(
                        f"{error}. Instance {holder} has the reserved IP {reserved}, and lives: detach it there, or "
                        "delete that instance in Vultr's portal if it is of no use"
                    ) from error
                raise

        what = f"reserved IP {reserved} to be let go of by its last instance"
        try:
            return client.insist(what, send, ALREADY_ATTACHED, limit=LEAVING)
        except ApiError as error:
            if error.status == 400 and (lack := self.lacking(client, inputs)):
                raise Failure(f"{error}. {lack}: {stock.REMEDY}, then say `pulumi up` again") from error
            raise

    @staticmethod
    def lacking(client: Client, inputs: Props) -> str:
        """Why a creation may have been refused, as far as the list of what is sold tells."""
        try:
            return stock.lacking(client.glance, str(inputs["region"]).lower(), str(inputs["plan"]))
        except ApiError as error:
            client.ctx.log(f"what is sold in {inputs['region']} is not known: {error}", "debug")
            return ""
        except Failure as error:  # there is no such region
            return str(error)

    @staticmethod
    def holder(client: Client, reserved: str) -> str:
        """The living instance that has a reserved IP, empty when there is none."""
        try:
            instance = str(client.get(f"/v2/reserved-ips/{reserved}", "reserved_ip").get("instance_id") or "")
            return instance if instance and client.get(f"/v2/instances/{instance}", "instance") else ""
        except ApiError as error:
            if error.gone or error.says(DESTROYING):
                return ""
            raise

    def settle(self, client: Client, id: str, inputs: Props) -> None:
        """Wait until it is active and its system answers for it, then set the times of backups."""
        self.ready(client, id)
        self.schedule(client, id, inputs)

    def ready(self, client: Client, id: str, plan: str = "", *, first: float = 1.0, start: bool = False) -> None:
        """Wait until nothing is being done to it any more, on the plan that is named; `start` a suspended one once."""
        starts = [f"{self.path}/{id}/start"] if start else []

        def look() -> str:
            found = client.get(f"{self.path}/{id}", self.wrapper)
            if found.get("status") == "suspended" and starts:
                client.call("POST", starts.pop())
                return "it was suspended, and is started again"
            if found.get("status") == "suspended":
                raise Failure(
                    f"instance {id} is suspended: see in Vultr's portal why. The next `pulumi up` starts it again; to "
                    f"have another one instead: `pulumi up --replace '{client.ctx.urn}'`"
                )
            if plan and found.get("plan") != plan:
                return f"plan {found.get('plan')}"
            return waiting_for(str(found.get("status") or ""), str(found.get("server_status") or ""))

        client.wait(f"instance {id} to be ready", look, limit=READY, first=first)

    def unfinished(self, state: Props) -> str:
        """Only what ends by itself: a server that is locked by a backup is finished."""
        status, server = str(state.get("status") or ""), str(state.get("serverStatus") or "")
        unready = status in WORKING or server == "installingbooting"
        return waiting_for(status, server) if unready else ""

    def schedule(self, client: Client, id: str, inputs: Props) -> None:
        """Set the times of backups, where they are not those that are wanted."""
        wanted = inputs.get("backupsSchedule") or {}
        if inputs.get("backups") != "enabled" or not wanted:
            return
        path = f"{self.path}/{id}/backup-schedule"
        now = client.get(path, "backup_schedule")
        body = {"type": wanted.get("type"), "hour": wanted.get("hour") or 0, "dow": wanted.get("dow") or 0}
        body |= filled({"dom": wanted.get("dom")})
        if any((now.get(name) or 0) != value for name, value in body.items()):
            client.insist(f"backups of instance {id}", lambda: client.call("POST", path, body))

    def by_id(self, client: Client, id: str, state: Props) -> Props | None:
        """One that is being destroyed is waited for: it is gone when the API says 404."""
        found: list[Props] = []

        def look() -> str:
            try:
                one = super(Instance, self).by_id(client, id, state)
            except ApiError as error:
                if not error.says(DESTROYING):
                    raise
                return error.said
            found.extend([one] if one is not None else [])
            return ""

        client.wait(f"instance {id} to be destroyed", look, limit=DESTROYED, first=0.0)
        return found[0] if found else None

    def complete(self, client: Client, id: str, found: Props, state: Props) -> Props:
        """Two requests, three with a VPC where the instance does not list its own."""
        taken = self.taken(found)
        if taken["status"] == "pending":
            taken |= {name: None for name in PENDING if taken[name] in NOTHING}
        backup = client.get(f"{self.path}/{id}/backup-schedule", "backup_schedule")
        taken["tags"] = sorted(taken["tags"] or [])
        taken["features"] = taken["features"] or []
        taken["backups"] = "enabled" if backup.get("enabled") else "disabled"
        taken["backupsSchedule"] = (
            {"type": backup.get("type", "")} | {k: self.value(k, backup.get(k), "int") for k in ("hour", "dow", "dom")}
            if backup.get("enabled")
            else None
        )
        if state.get("vpcIds") or "region" not in state:  # or imported
            taken["vpcIds"] = sorted(self.networks(client, id, found))
        return taken

    def look(self, ctx: Context, id: str, state: Props) -> tuple[str, Props] | None:
        """An import asks for what no refresh needs."""
        found = super().look(ctx, id, state)
        return found if found is None or state else (id, found[1] | self.given(self.client(ctx), id))

    def given(self, client: Client, id: str) -> Props:
        """What was asked for at its creation, as far as the API tells it."""
        path = f"{self.path}/{id}"
        found = client.get(path, self.wrapper)
        features = found.get("features") or []
        try:
            data = str(client.get(f"{path}/user-data", "user_data").get("data") or "")
        except ApiError as error:
            if not error.gone:
                raise
            data = ""  # it has none
        reserved = [
            str(entry["id"])
            for entry in client.entries("/v2/reserved-ips", "reserved_ips")
            if entry.get("instance_id") == id and entry.get("subnet") == found.get("main_ip")
        ]
        return {
            "label": found.get("label") or "",
            "enableIpv6": "ipv6" in features or bool(found.get("v6_main_ip")),
            "ddosProtection": "ddos_protection" in features,
            "userData": base64.b64decode(data).decode(errors="replace") or None,
            "reservedIpId": reserved[0] if reserved else None,
            "sshKeyIds": UNTOLD,
        }

    def _imported(self, outputs: Props) -> Props:
        """Keys that are not known are no input."""
        return {name: value for name, value in super()._imported(outputs).items() if value != UNTOLD}

    def planned(self, olds: Props | None, inputs: Props, ctx: Context) -> Props:
        """Keys that are not known are not compared: they would replace what has just been imported."""
        planned = super().planned(olds, inputs, ctx)
        return planned | {"sshKeyIds": UNTOLD} if (olds or {}).get("sshKeyIds") == UNTOLD else planned

    def networks(self, client: Client, id: str, found: Props) -> list[str]:
        """Ids of the attached VPCs."""
        if isinstance(found.get("vpcs"), list):
            return [str(entry["id"]) for entry in found["vpcs"]]
        return [str(entry["id"]) for entry in client.entries(f"{self.path}/{id}/vpcs", "vpcs", shared=False)]

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """What a creation or change before has left open is waited for, then one PATCH with what has changed."""
        if wrong := mistimed(news):
            raise Failure(wrong)
        self.ready(client, id, first=0.0, start=True)
        body = changed(olds, news, "plan", "backups", "label", "firewallGroupId")
        body |= {snake(n): bool(news.get(n)) for n in ("enableIpv6", "ddosProtection") if unlike(olds, news, n)}
        if sorted(olds.get("tags") or []) != sorted(news.get("tags") or []):
            body["tags"] = sorted(news.get("tags") or [])
        old, new = set(olds.get("vpcIds") or []), set(news.get("vpcIds") or [])
        body |= filled({"attach_vpc": sorted(new - old), "detach_vpc": sorted(old - new)})
        if body:
            try:
                client.insist(f"instance {id} to be changed", lambda: client.call("PATCH", f"{self.path}/{id}", body))
            except ApiError as error:
                if error.status != 400 or "plan" not in body:
                    raise
                raise Failure(f"{error}. {stock.upgrades(client.glance, id, client.ctx.urn)}") from error
        if unlike(olds, news, "isoId"):
            iso, path = news.get("isoId"), f"{self.path}/{id}/iso"
            action, said = ("attach", {"iso_id": iso}) if iso else ("detach", None)
            client.insist(f"the ISO of instance {id}", lambda: client.call("POST", f"{path}/{action}", said))
        if client.written:
            self.ready(client, id, str(news.get("plan") or ""), first=1.0 if "plan" in body else 0.0)
        self.schedule(client, id, news)

    def drop(self, client: Client, id: str, state: Props) -> None:
        """One that is being destroyed already is as good as gone."""
        try:
            client.insist(f"instance {id} to be unlocked", lambda: client.call("DELETE", f"{self.path}/{id}"), "locked")
        except ApiError as error:
            if not error.says(DESTROYING):
                raise


def waiting_for(status: str, server_status: str) -> str:
    """What is still being done to an instance, empty when nothing is."""
    if status != "active":
        return f"status {status or 'unknown'}"
    return f"active, server_status {server_status}" if server_status in UNREADY else ""
