"""Storage that is no disk of a server: accounts of the object storage, and file systems that several servers mount."""

from __future__ import annotations

from provider.client import Client
from provider.protocol.base import Props
from provider.resource import VultrResource, unlike

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
        """The tier is told by the list alone (tpv's importer), and asked for where the state does not have it."""
        taken = self.taken(found)
        if not state.get("tierId"):
            entries = client.entries(self.path, self.listed)
            tiers = [entry.get("tier") or {} for entry in entries if entry.get("id") == id]
            taken["tierId"] = int(tiers[0].get("id") or 0) if tiers else 0
        return taken

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """Nothing but the label can be changed; an update before may have ended before it was active."""
        active(client, f"{self.noun} {id}", f"{self.path}/{id}", self.wrapper)
        if unlike(olds, news, "label"):
            client.call("PUT", f"{self.path}/{id}", {"label": news.get("label") or ""})
