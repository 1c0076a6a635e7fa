"""Block volumes: disks that outlive the instance they are attached to."""

from __future__ import annotations

from provider.client import Client
from provider.creation import filled
from provider.errors import ApiError
from provider.protocol.base import CheckFailure, Context, Props
from provider.resource import VultrResource, changed

ATTACHED = 10.0 * 60  # seconds until a volume must be active, attached, detached
# What the API says of a volume that its last instance has given back and still has, or has just let go of.
HELD_VOLUME = ("is already attached", "not currently attached")


class BlockStorage(VultrResource):
    """A volume, attached to an instance or not."""

    token = "vultr:index/blockStorage:BlockStorage"  # noqa: S105 (a type's name)
    noun = "block storage"
    path, wrapper, listed = "/v2/blocks", "block", "blocks"
    sent = ("region", "sizeGb", "label", "blockType")
    seen = ("dateCreated", "cost", "status", "sizeGb", "region", "attachedToInstance", "label", "mountId",
            "blockType")  # fmt: skip
    alike = ("label", "region", "sizeGb")
    afterwards = ("attachedToInstance",)

    def check(self, ctx: Context, olds: Props, news: Props) -> tuple[Props, list[CheckFailure]]:
        """A smaller one is refused while it is planned: what is on it would not fit, and the API shrinks none."""
        inputs, failures = super().check(ctx, olds, news)
        had, wanted = olds.get("sizeGb"), inputs.get("sizeGb")
        if (
            isinstance(had, int | float)
            and isinstance(wanted, int | float)
            and wanted < had
            and olds.get("region") == inputs.get("region")
        ):
            reason = (
                f"{wanted:.0f} GB is less than the {had:.0f} GB that the volume {ctx.name} has: a volume only grows; "
                f"write {had:.0f} or more. For a smaller one: make another, and copy what is needed"
            )
            failures.append(CheckFailure("sizeGb", reason))
        return inputs, failures

    def settle(self, client: Client, id: str, inputs: Props) -> None:
        """Wait until it is active, then attach."""
        self.active(client, id)
        self.place(client, id, inputs)

    def active(self, client: Client, id: str, *, first: float = 1.0) -> None:
        """Wait until it can be used."""

        def look() -> str:
            status = client.get(f"{self.path}/{id}", self.wrapper).get("status")
            return "" if status == "active" else f"status {status}"

        client.wait(f"block storage {id} to be active", look, limit=ATTACHED, first=first)

    def unfinished(self, state: Props) -> str:
        """It is made, and not to be used yet."""
        return "status pending" if state.get("status") == "pending" else ""

    def place(self, client: Client, id: str, inputs: Props) -> None:
        """Have it attached to the instance that the inputs say and to no other, or to none."""
        wanted, live = str(inputs.get("attachedToInstance") or ""), {"live": bool(inputs.get("live"))}
        let_go: set[str] = set()  # by whom it has been, as far as the API was asked: it may take its time

        def look() -> str:
            holder = str(client.get(f"{self.path}/{id}", self.wrapper).get("attached_to_instance") or "")
            if holder == wanted:
                return ""
            try:
                if holder and holder not in let_go:
                    client.call("POST", f"{self.path}/{id}/detach", live)
                    let_go.add(holder)
                elif not holder:
                    client.call("POST", f"{self.path}/{id}/attach", {"instance_id": wanted, **live})
            except ApiError as error:
                if not error.says("locked", *HELD_VOLUME):
                    raise
                return error.said
            return f"it is being detached from {holder}" if holder else f"it is being attached to {wanted}"

        what = f"block storage {id} to be attached to {wanted or 'no instance'}"
        client.wait(what, look, limit=ATTACHED, first=0.0)

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """A PATCH that changes nothing is refused, and not sent; where it is now counts, not what the state says."""
        self.active(client, id, first=0.0)
        if body := filled(changed(olds, news, "sizeGb")) | changed(olds, news, "label"):
            client.insist(f"block storage {id} to be changed", lambda: client.call("PATCH", f"{self.path}/{id}", body))
        if news.get("attachedToInstance") or olds.get("attachedToInstance"):
            self.place(client, id, news)

    def drop(self, client: Client, id: str, state: Props) -> None:
        """Detached first where it is attached."""
        found = self.by_id(client, id, state)
        if found is not None and found.get("attached_to_instance"):
            self.place(client, id, {"live": True})
        super().drop(client, id, state)
