"""Storage that is no disk of a server: accounts of the object storage, and file systems that several servers mount."""

from __future__ import annotations

from provider.client import Client
from provider.creation import filled, snake
from provider.errors import ApiError, BadAnswer
from provider.protocol.base import Props
from provider.resource import VultrResource, changed, unlike

READY = 30 * 60.0  # seconds until a new one must be active


def active(client: Client, what: str, path: str, wrapper: str) -> None:
    """Wait until the object at `path` says that it is active."""

    def look() -> str:
        status = client.get(path, wrapper).get("status")
        return "" if status == "active" else f"status {status}"

    client.wait(f"{what} to be active", look, limit=READY)


class ObjectStorage(VultrResource):
    """An account of the object storage: where it is, and its keys. Buckets are made with these, not by the API."""

    token = "vultr:index/objectStorage:ObjectStorage"  # noqa: S105 (a type's name)
    noun = "object storage"
    path, wrapper, listed = "/v2/object-storage", "object_storage", "object_storages"
    sent = ("clusterId", "tierId", "label")
    seen = ("dateCreated", "clusterId", "label", "location", "region", "status", "s3Hostname", "s3AccessKey",
            "s3SecretKey")  # fmt: skip
    alike = ("label", "clusterId")

    def settle(self, client: Client, id: str, inputs: Props) -> None:
        """Wait until it is active: its keys are told only then."""
        active(client, f"{self.noun} {id}", f"{self.path}/{id}", self.wrapper)

    def unfinished(self, state: Props) -> str:
        """It is made, and has no keys yet."""
        return "status pending" if state.get("status") == "pending" else ""

    def complete(self, client: Client, id: str, found: Props, state: Props) -> Props:
        """The tier is told by the list alone (tpv's importer), and asked for where the state does not have it.

        Its number stands there as `OBJSTORETIERID`, unlike in the list of tiers (govultr).
        """
        taken = self.taken(found)
        if not state.get("tierId"):
            entries = client.entries(self.path, self.listed)
            tiers = [entry.get("tier") or {} for entry in entries if entry.get("id") == id]
            taken["tierId"] = self.value("tier", tiers[0].get("OBJSTORETIERID"), "int") if tiers else 0
        return taken

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """Nothing but the label can be changed; an update before may have ended before it was active."""
        active(client, f"{self.noun} {id}", f"{self.path}/{id}", self.wrapper)
        if unlike(olds, news, "label"):
            client.call("PUT", f"{self.path}/{id}", {"label": news.get("label") or ""})


class VirtualFileSystemStorage(VultrResource):
    """A file system that instances of one region mount by its tag. The API gives it without a wrapper."""

    token = "vultr:index/virtualFileSystemStorage:VirtualFileSystemStorage"  # noqa: S105
    noun = "file system storage"
    path, wrapper, listed = "/v2/vfs", "vfs", "vfs"
    seen = ("region", "label", "tags", "diskType", "status", "dateCreated")
    alike = ("label", "region")

    def body(self, inputs: Props) -> Props:
        """Its size in an object of its own."""
        said = filled({snake(name): inputs.get(name) for name in ("region", "label", "diskType")})
        return said | {"storage_size": {"gb": inputs["sizeGb"]}, "tags": sorted(inputs.get("tags") or [])}

    def order(self, client: Client, path: str, body: Props, inputs: Props) -> Props:
        """Wrapped as other objects are."""
        return {self.wrapper: client.call("POST", path, body)}

    def by_id(self, client: Client, id: str, state: Props) -> Props | None:
        """The answer itself is the object."""
        try:
            return self.current(client, id)
        except ApiError as error:
            if error.gone:
                return None
            raise

    def current(self, client: Client, id: str) -> Props:
        """The API's object. Raises ApiError, BadAnswer for an answer that is another thing."""
        path = f"{self.path}/{id}"
        found = client.call("GET", path)
        if found.get("id") != id:
            raise BadAnswer("GET", path, 200, str(found), f"without its object {id!r}")
        return found

    def settle(self, client: Client, id: str, inputs: Props) -> None:
        """Wait until it is active, then attach it."""
        self.active(client, id)
        self.place(client, id, set(inputs.get("attachedInstances") or []))

    def active(self, client: Client, id: str, *, first: float = 1.0) -> None:
        """Wait until it can be used."""

        def look() -> str:
            status = self.current(client, id).get("status")
            return "" if status == "active" else f"status {status}"

        client.wait(f"{self.noun} {id} to be active", look, limit=READY, first=first)

    def unfinished(self, state: Props) -> str:
        """It is made, and not to be used yet."""
        return "status pending" if state.get("status") == "pending" else ""

    def attachments(self, client: Client, id: str) -> list[Props]:
        """Where it is attached, as the API says it."""
        return client.entries(f"{self.path}/{id}/attachments", "attachments", paged=False, shared=False)

    def place(self, client: Client, id: str, wanted: set[str]) -> None:
        """Have it attached to these instances and to no other, and wait until it is."""
        asked: set[tuple[str, str]] = set()

        def look() -> str:
            states = {str(entry.get("target_id")): str(entry.get("state")) for entry in self.attachments(client, id)}
            todo = [("PUT", one) for one in sorted(wanted - states.keys())]
            todo += [("DELETE", one) for one in sorted(states.keys() - wanted)]
            for method, instance in todo:
                if (method, instance) not in asked:
                    try:
                        client.call(method, f"{self.path}/{id}/attachments/{instance}")
                    except ApiError as error:
                        if method == "PUT" or not error.gone:  # an attachment goes with its instance
                            raise
                    asked.add((method, instance))
            late = [f"{one} {state}" for one, state in states.items() if one in wanted and state != "ATTACHED"]
            return ", ".join([*late, *(f"{one} is being {'at' if m == 'PUT' else 'de'}tached" for m, one in todo)])

        client.wait(f"{self.noun} {id} to be attached as it is wanted", look, limit=READY, first=0.0)

    def complete(self, client: Client, id: str, found: Props, state: Props) -> Props:
        """Size, prices and attachments are told apart."""
        billing, size = found.get("billing") or {}, found.get("storage_size") or {}
        there = self.attachments(client, id)
        return self.taken(found) | {
            "sizeGb": self.value("storage_size", size.get("gb"), "int"),
            "cost": billing.get("monthly") or 0,
            "charges": billing.get("charges") or 0,
            "tags": sorted(found.get("tags") or []),
            "attachedInstances": sorted(str(entry.get("target_id")) for entry in there),
            "attachments": [
                {"instanceId": entry.get("target_id"), "mount": entry.get("mount_tag"), "state": entry.get("state")}
                for entry in there
            ],
        }

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """Label and size in one request, which always holds the size; then where it is attached."""
        self.active(client, id, first=0.0)
        if changed(olds, news, "label", "sizeGb"):
            body = {"label": news.get("label"), "storage_size": {"gb": news["sizeGb"]}}
            client.insist(f"{self.noun} {id} to be changed", lambda: client.call("PUT", f"{self.path}/{id}", body))
        self.place(client, id, set(news.get("attachedInstances") or []))

    def drop(self, client: Client, id: str, state: Props) -> None:
        """Refused while it is attached anywhere, for a while after its list says that it is not."""
        self.place(client, id, set())
        what = f"{self.noun} {id} to be let go of by all instances"
        client.insist(what, lambda: client.call("DELETE", f"{self.path}/{id}"), "from all machines", "locked")
