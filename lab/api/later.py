"""What the API lets go of later than it says, and states in which an object is held.

Kept in the region's state with the time at which it ends, so that a restart forgets nothing:
`later`: [{"at", "what", "id", "of"}], what one of RELEASES; `delays`: the releases that a fault makes longer;
`holds`: {id: {"state", "until"}}. Times are seconds since the epoch.
"""

import time
from collections.abc import Collection
from typing import Any, Final

from lab.api import pace
from lab.api.store import Store

JSON = dict[str, Any]

RELEASES: Final = ("destruction", "reserved_release", "vpc_release", "block_creation", "block_release")
#: What an instance shows while it is held in a state.
INSTANCE_STATES: Final[dict[str, JSON]] = {
    "pending": {"status": "pending", "server_status": "none"},
    "installing": {"status": "active", "server_status": "installingbooting"},
    "locked": {"status": "active", "server_status": "locked"},
    "resizing": {"status": "resizing", "server_status": "locked"},
}
BLOCK_STATES: Final[dict[str, JSON]] = {"pending": {"status": "pending"}}


def postpone(store: Store, what: str, id_: str, of: str = "", names: Collection[str] = ()) -> None:
    """Let `what` of the object end later: after its pace, or after what a fault says for an object of these names."""
    seconds = pace.value(store, what)
    for delay in store.data["delays"]:
        if (
            delay["release"] == what
            and delay["count"]
            and (not delay["object"] or delay["object"] in {id_, of, *names})
        ):
            seconds = delay["seconds"]
            delay["count"] -= delay["count"] > 0
            break
    if seconds > 0:
        entry = {"at": time.time() + seconds, "what": what, "id": id_, "of": of}
        store.data["later"].append(entry)
    else:
        _end(store, what, id_, of)


def waiting(store: Store, what: str, id_: str) -> list[str]:
    """On behalf of whom (`of`) this object is not let go of yet; [] when it is."""
    return [entry["of"] for entry in store.data["later"] if (entry["what"], entry["id"]) == (what, id_)]


def settle(store: Store) -> None:
    """End what is due. To be called before anything is read."""
    now = time.time()
    later = store.data["later"]
    if any(entry["at"] <= now for entry in later):
        store.data["later"] = [entry for entry in later if entry["at"] > now]
        for entry in later:
            if entry["at"] <= now:
                _end(store, entry["what"], entry["id"], entry["of"])
    holds = store.table("holds")
    for id_ in [id_ for id_, hold in holds.items() if hold["until"] <= now]:
        del holds[id_]


def _end(store: Store, what: str, id_: str, of: str) -> None:
    if what == "reserved_release":
        reserved = store.table("reserved_ips").get(id_)
        if reserved is not None and reserved["instance_id"] == of:
            reserved["instance_id"] = ""
    if what == "block_release":
        block = store.table("blocks").get(id_)
        if block is not None and block["attached_to_instance"] == of:
            block["attached_to_instance"] = ""


def held(store: Store, id_: str) -> str | None:
    """The state in which a fault holds the object."""
    hold = store.table("holds").get(id_)
    return hold["state"] if hold else None


def locked(store: Store, instance: JSON) -> bool:
    """Whether the API refuses to touch the instance now."""
    state = {**instance, **INSTANCE_STATES.get(held(store, instance["id"]) or "", {})}
    return state["status"] in ("pending", "resizing") or state["server_status"] in ("none", "locked")
