"""How an object is made once, whatever becomes of the answer to the request that makes it.

A creation whose answer was lost is looked for before it is made again: among the objects that were not there before, by
what tells them apart (`alike`). After a kill, only what a note on disk (`journal.py`) proves to have been begun for the
very resource. What can't be told apart is an error, never a guess.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping

from provider import spelling
from provider.client import Client, VultrClientPlugin, unwrap
from provider.errors import ApiError
from provider.journal import Journal, Note, hashed, ids
from provider.protocol.base import Context, Failure, Props, Value
from provider.protocol.bridge import BridgedResource
from provider.protocol.schema import empty

APPEARS_SECONDS = 60.0  # until an object can be read that was made
LOOKS = 4  # for an object whose creation was not answered: after 1, 2.5, 4.75, 8.1 s


class Ledger:
    """Which objects there were before this process made any, and which ones it or the engine knows.

    Safe for use by several threads.
    """

    def __init__(self) -> None:
        self._before: dict[str, list[Props]] = {}
        self._known: set[tuple[str, str]] = set()  # path of the collection, id
        self._lock = threading.Lock()

    def before(self, path: str, read: Callable[[], list[Props]]) -> list[Props]:
        """The entries of a collection before the first creation in it."""
        with self._lock:
            if path in self._before:
                return self._before[path]
        entries = list(read())
        with self._lock:
            return self._before.setdefault(path, entries)

    def know(self, path: str, id: str) -> bool:
        """Somebody owns this object; False when somebody did already."""
        with self._lock:
            new = (path, id) not in self._known
            self._known.add((path, id))
            return new

    def knows(self, path: str, id: str) -> bool:
        """Whether somebody owns this object."""
        with self._lock:
            return (path, id) in self._known


class VultrPluginBase(VultrClientPlugin):
    """What the resources need of the plugin."""

    journal: Journal
    ledger: Ledger


def plugin(ctx: Context) -> VultrPluginBase:
    """The plugin that serves this call."""
    if not isinstance(ctx.plugin, VultrPluginBase):
        raise TypeError(f"{ctx.plugin.name} is not the Vultr plugin")
    return ctx.plugin


def snake(name: str) -> str:
    """dateCreated -> date_created, v4SubnetMask -> v4_subnet_mask, dnsSec -> dns_sec."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def filled(values: Props) -> Props:
    """Without what a request need not say: null, empty text, zero, empty lists."""
    return {k: v for k, v in values.items() if v not in (None, "", 0, []) or v is False}


class Creation(BridgedResource):
    """One type of the API as far as making an object goes: a collection of objects at a path, wrapped in a key."""

    noun = ""  # what a person calls it
    path = ""  # of the collection
    wrapper = ""  # of one object
    listed = ""  # of the collection's list; empty: there is none
    key = "id"  # the API's name of the id
    sent: tuple[str, ...] = ()  # properties of the POST
    # Properties that tell an object apart whose creation was not answered. The first of them must not be empty.
    alike: tuple[str, ...] = ()
    spelled: Mapping[str, Callable[[Value, Props], Value]] = {}

    def where(self, props: Props) -> str:
        """Path of the collection that holds the object."""
        return self.path

    def body(self, inputs: Props) -> Props:
        """Body of the POST that makes the object."""
        return filled({snake(name): inputs.get(name) for name in self.sent})

    def order(self, client: Client, path: str, body: Props, inputs: Props) -> Props:
        """Send the POST."""
        return client.call("POST", path, body)

    def client(self, ctx: Context) -> Client:
        """The API for one call of the engine."""
        return Client(ctx, self.noun)

    def by_id(self, client: Client, id: str, state: Props) -> Props | None:
        """The API's object, None when it is gone: the only place where that is concluded."""
        try:
            return client.get(f"{self.where(state)}/{id}", self.wrapper)
        except ApiError as error:
            if error.gone:
                return None
            raise

    def ordered(self, client: Client, inputs: Props) -> Props:
        """The API's new object: made now, or by an earlier request whose answer nobody got."""
        path, body, ctx = self.where(inputs), self.body(inputs), client.ctx
        journal, ledger = plugin(ctx).journal, plugin(ctx).ledger
        wanted = hashed(path, body)
        twins: list[Props] = []
        if self.told_apart(inputs):
            twins = self.twins(client, inputs, ledger.before(path, lambda: client.entries(path, self.listed)))
        for old in journal.find(ctx.urn):
            found = self.cut_off(client, old, inputs)
            if found is None:
                continue
            self.provably_lost(client, old, str(found.get(self.key)), wanted)
            ctx.log(f"taking over {self.noun} {found.get(self.key)}: its creation was cut off on {old.at}")
            journal.take(old)
            ledger.know(path, str(found.get(self.key)))
            return found
        note = Note(ctx.urn, wanted, ids(twins, self.key))
        journal.write(note)
        try:
            made = unwrap(self.order(client, path, body, inputs), self.wrapper, "POST", path)
        except ApiError as error:
            if not error.sent:
                journal.remove(note)
                raise
            made = self.searched(client, note, inputs, error)
        except Failure:
            journal.remove(note)
            raise
        note.id = str(made.get(self.key, ""))
        ledger.know(path, note.id)
        journal.write(note)
        return made

    def provably_lost(self, client: Client, note: Note, id: str, wanted: str) -> None:
        """Raises Failure unless the object of an earlier creation is in no state, and is what is wanted now."""
        journal = plugin(client.ctx).journal
        if note.told:
            raise Failure(
                f"{self.noun} {id} was made for this resource on {note.at}, just before the update was killed, and "
                "nothing tells here whether the state has it. If it has (`pulumi stack --show-ids`), say it with "
                f"`--refresh`. If not: `make heal` puts it right, or delete {id} in Vultr's portal"
            )
        if not note.id and not journal.own(note):
            raise Failure(
                f"a creation of this {self.noun} was cut off on {note.at}, with another API key, and nothing tells "
                f"whether it has made {id}. Delete that one if it is of no use (`make heal` or Vultr's portal); if it "
                f"is another's, delete the note {journal.path(note)}; then say it again"
            )
        if note.wanted != wanted:
            raise Failure(
                f"the creation of this {self.noun} was cut off on {note.at} and has made {id}, but something else is "
                "wanted now. Delete that one (`make heal` does, or Vultr's portal), then say it again"
            )

    def twins(self, client: Client, inputs: Props, entries: list[Props]) -> list[Props]:
        """Those of the API's objects that can't be told apart from what `inputs` would make."""
        return [entry for entry in entries if all(self.matches(name, inputs, entry) for name in self.alike)]

    def told_apart(self, inputs: Props) -> bool:
        """Whether an object that `inputs` make could be found among others."""
        return bool(self.listed and self.alike) and not empty(inputs.get(self.alike[0]))

    def matches(self, name: str, inputs: Props, entry: Props) -> bool:
        """Whether an object of the API has a property as `inputs` want it; what they leave open fits."""
        wanted = inputs.get(name)
        if wanted is None:
            return True
        found = entry.get(snake(name))
        if name in self.spelled:
            there = {other: entry.get(snake(other)) for other in self.properties}
            return spelling.same(self.spelled[name], (wanted, inputs), (found, there))
        if isinstance(wanted, list):
            return sorted(map(str, wanted)) == sorted(map(str, found or []))
        return str(wanted).lower() == str(found).lower() if name == "region" else bool((wanted or "") == (found or ""))

    def searched(self, client: Client, note: Note, inputs: Props, error: ApiError) -> Props:
        """The object of a POST that was not answered. Raises Failure when it is not found."""
        client.ctx.log(f"{error}; looking whether {self.noun} was made all the same")
        found: list[Props] = []
        looks = 0

        def look() -> str:
            nonlocal looks
            looks += 1
            one = self.cut_off(client, note, inputs)
            found.extend([one] if one is not None else [])
            return "" if found or looks >= LOOKS else "not there"

        try:
            client.wait(f"{self.noun} whose creation was not answered", look, limit=APPEARS_SECONDS)
        except Failure as second:
            raise Failure(f"{error}. Whether it was made is not known either: {second}") from second
        if not found:
            hope = "It has not been made, or can't be seen yet: the next `pulumi up` looks for it first"
            raise Failure(f"{error}. {hope}") from error
        return found[0]

    def cut_off(self, client: Client, note: Note, inputs: Props) -> Props | None:
        """The object that a creation made of which `note` tells, None when there is none."""
        path, ledger = self.where(inputs), plugin(client.ctx).ledger
        if note.id:
            return None if ledger.knows(path, note.id) else self.by_id(client, note.id, inputs)
        if not self.told_apart(inputs):
            return None
        entries = self.twins(client, inputs, client.entries(path, self.listed, shared=False))
        # By their ids: what is made meanwhile moves others to the next page, where they are listed once more.
        by_id = {str(entry.get(self.key)): entry for entry in entries}
        new = [entry for id, entry in by_id.items() if id not in note.before and not ledger.knows(path, id)]
        if len(new) > 1:
            raise Failure(
                f"of {len(new)} {self.noun}s that were made since {note.at} ({', '.join(ids(new, self.key))}), one is "
                "this one, and nothing tells which. Delete those of no use in Vultr's portal, then say it again"
            )
        # Two creations that are alike must not both take it.
        return new[0] if new and ledger.know(path, str(new[0].get(self.key))) else None
