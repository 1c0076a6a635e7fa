"""DNS records, and the one TTL that Vultr has for all records of a name and type.

Vultr refuses whatever would leave two TTLs in such a set (DNSControl, pull request 4609), so no record of a larger
set can be given another one where it is. The others step aside for it: each is renamed to a name of its own, the one
left is changed, and they come back with the new TTL. Nothing is deleted, every record keeps its id, and there is always
one that answers.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

from provider import spelling
from provider.client import Client
from provider.creation import plugin
from provider.errors import ApiError
from provider.protocol.base import Failure, Props
from provider.resource import VultrResource, unlike

REFUSED = 400


class DnsRecord(VultrResource):
    """A record of a zone. A fixed name asks for the old one to be deleted first when it is replaced."""

    token = "vultr:index/dnsRecord:DnsRecord"  # noqa: S105 (a type's name)
    noun = "DNS record"
    wrapper, listed = "record", "records"
    seen = ("type", "name", "data", "priority", "ttl")
    alike = ("data", "type", "name", "priority")
    spelled = {"data": spelling.data, "priority": spelling.priority, "name": spelling.name}  # noqa: RUF012 (a table)

    def __init__(self) -> None:
        super().__init__()
        self._sets: dict[tuple[str, str, str], threading.Lock] = {}
        self._lock = threading.Lock()

    def where(self, props: Props) -> str:
        """Records live in their domain."""
        return f"/v2/domains/{props['domain']}/records"

    def body(self, inputs: Props) -> Props:
        """All of it; the empty name is the zone itself."""
        return {"name": inputs.get("name") or "", "type": inputs["type"], **self.content(inputs)}

    @staticmethod
    def content(inputs: Props) -> Props:
        """Fields of both POST and PATCH."""
        content: Props = {"data": inputs["data"], "ttl": inputs.get("ttl") or 3600}
        if inputs["type"] in spelling.PRIORITIZED:
            content["priority"] = spelling.priority(inputs.get("priority"), inputs)
        return content

    def order(self, client: Client, path: str, body: Props, inputs: Props) -> Props:
        """A set that is there gets the new record's TTL first."""
        with self.alone(inputs):
            try:
                return super().order(client, path, body, inputs)
            except ApiError as error:
                first, *rest = self.differing(client, inputs, "", error)
            self.without(client, inputs, rest, lambda: self.place(client, inputs, first, str(inputs.get("name") or "")))
            return super().order(client, path, body, inputs)

    def settle(self, client: Client, id: str, inputs: Props) -> None:
        """Those who stand aside since an earlier creation was killed."""
        with self.alone(inputs):
            self.returned(client, inputs, id)

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """All fields but the type, which is another record."""
        body = {"name": news.get("name") or "", **self.content(news)}

        def change() -> Props:
            return client.call("PATCH", f"{self.where(news)}/{id}", body)

        with self.alone(olds, news):
            try:
                change()
            except ApiError as error:
                self.without(client, news, self.differing(client, news, id, error), change)
            if unlike(olds, news, "ttl") or unlike(olds, news, "name"):
                self.returned(client, news, id)

    def drop(self, client: Client, id: str, state: Props) -> None:
        """Not while it stands aside for another one."""
        with self.alone(state):
            super().drop(client, id, state)

    # The set

    @contextlib.contextmanager
    def alone(self, *records: Props) -> Iterator[None]:
        """Nobody else in this process writes a record of these names and types."""
        keys = {(self.where(one), name_of(one), str(one["type"])) for one in records}
        with contextlib.ExitStack() as held:
            for key in sorted(keys):  # an order, so that no two wait for one another
                with self._lock:
                    lock = self._sets.setdefault(key, threading.Lock())
                held.enter_context(lock)
            yield

    def differing(self, client: Client, wanted: Props, id: str, error: ApiError) -> list[Props]:
        """The other records of the set whose TTL may be why it was refused. Raises the refusal when there are none."""
        if error.status != REFUSED:
            raise error
        ttl, key = self.content(wanted)["ttl"], (wanted["type"], name_of(wanted))
        entries = client.entries(self.where(wanted), self.listed, shared=False)
        others = [e for e in entries if (e.get("type"), name_of(e)) == key and e.get("ttl") != ttl]
        found = [e for e in others if str(e.get("id")) != id]
        if not found:
            raise error
        client.ctx.log(
            f"{len(found)} more of the {shown(wanted)} get{'s' if len(found) == 1 else ''} the TTL {ttl}: "
            f"Vultr has one for all of a name and type ({error.said})"
        )
        return found

    def without(self, client: Client, wanted: Props, others: Sequence[Props], change: Callable[[], object]) -> None:
        """Make a change while `others` stand aside, who then have the TTL of `wanted`; their own if it fails."""
        aside: list[Props] = []
        try:
            for entry in others:
                aside.append(entry)
                self.place(client, wanted, entry, aside_of(entry, wanted))
            change()
        except Failure as error:
            self.back(client, wanted, aside, str(error), own_ttl=True)
            raise
        self.back(client, wanted, aside)

    def returned(self, client: Client, wanted: Props, id: str) -> None:
        """Those other than `id` come back who still stand aside, because an update was killed."""
        path = self.where(wanted)
        before = plugin(client.ctx).ledger.before(path, lambda: client.entries(path, self.listed))
        for entry in before:
            if not is_aside(entry, wanted) or str(entry.get("id")) == id:
                continue
            found = self.by_id(client, str(entry.get("id")), wanted)
            if found is not None and found.get("type") == wanted["type"] and is_aside(found, wanted):
                self.back(client, wanted, [found])

    def place(self, client: Client, wanted: Props, entry: Props, name: str, ttl: int = 0) -> None:
        """Give a record this name and a TTL, that of `wanted` if none is given. One that is gone needs none."""
        body = {"name": name, **self.content({**entry, "ttl": ttl or wanted.get("ttl")})}
        try:
            client.call("PATCH", f"{self.where(wanted)}/{entry['id']}", body)
        except ApiError as error:
            if not error.gone:
                raise

    def back(
        self, client: Client, wanted: Props, aside: Sequence[Props], why: str = "", *, own_ttl: bool = False
    ) -> None:
        """Bring records back to the name of `wanted`. Raises Failure that names each one that does not come."""
        home, left = str(wanted.get("name") or ""), []
        for entry in aside:
            try:
                try:
                    self.place(client, wanted, entry, home, entry["ttl"] if own_ttl else 0)
                except ApiError as error:
                    # Nobody knows which TTL the others have, after a change that was not answered.
                    if not own_ttl or error.status != REFUSED:
                        raise
                    self.place(client, wanted, entry, home)
                found = self.by_id(client, str(entry["id"]), wanted)
                problem = "" if found is None or name_of(found) == name_of({"name": home}) else "Vultr keeps it there"
            except Failure as error:
                problem = str(error)
            if problem:
                left.append(f"{entry.get('data')} at {aside_of(entry, wanted)}.{wanted['domain']} ({problem})")
        if left:
            raise Failure(
                f"{why + '; and ' if why else ''}of the {shown(wanted)}, which stood aside for a new TTL, some are "
                f"left: {'; '.join(left)}. Say it again; what is there still, give the name {home!r} in Vultr's portal"
            )

    # Imports

    def imported(self, id: str) -> tuple[str, Props]:
        """Import ids are `<domain>,<record>`."""
        domain, comma, record = id.partition(",")
        if not comma:
            raise Failure(f"a DNS record is imported by `<domain>,<record id>`, not by {id!r}")
        return record, {"domain": domain}

    def _imported(self, outputs: Props) -> Props:
        """A priority that is none is no input."""
        inputs = super()._imported(outputs)
        if not spelling.priority(outputs.get("priority"), outputs):
            inputs.pop("priority", None)
        return {**inputs, "name": outputs.get("name") or ""}


def name_of(record: Props) -> str:
    """A record's name within its zone, to compare by."""
    return spelling.host(str(record.get("name") or ""))


def aside_of(entry: Props, wanted: Props) -> str:
    """Where a record stands aside of the name of `wanted`: alone there, and it tells where it belongs."""
    home = str(wanted.get("name") or "").lower().replace("*", "any")
    return f"ttl-{entry.get('id')}" + (f".{home}" if home else "")


def is_aside(entry: Props, wanted: Props) -> bool:
    """Whether a record stands aside of the name of `wanted`."""
    return name_of(entry) == name_of({"name": aside_of(entry, wanted)})


def shown(wanted: Props) -> str:
    """MX records of example.com."""
    return f"{wanted['type']} records of {'.'.join(filter(None, (wanted.get('name'), wanted['domain'])))}"
