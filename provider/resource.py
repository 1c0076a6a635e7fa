"""What all Vultr types have in common: one object at a path of the API, with its life.

Properties are tables in `types.py`, spellings are in `spelling.py`, requests and waits in `client.py`. The rules that
hold for every type are here and nowhere else:

- An object is gone when the API answers 404 to a request for it by its id. No other status, no broken answer, and no
  list in which it is missing says so. To delete what is gone is to succeed.
- A creation whose answer was lost is looked for before it is made again: among the objects that were not there before,
  by what tells them apart (`alike`). After a kill, only what a note on disk (`journal.py`) proves to have been begun
  for the very resource. What can't be told apart is an error, never a guess.
- What an update could not do is not in the state as if it were done.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping

from provider import spelling
from provider.client import Client, VultrClientPlugin, unwrap
from provider.errors import ApiError
from provider.journal import Journal, Note, hashed, ids
from provider.protocol.base import (
    UNKNOWN,
    CheckFailure,
    Context,
    Difference,
    Failure,
    PartialFailure,
    Props,
    Value,
)
from provider.protocol.bridge import BridgedResource, strip
from provider.protocol.schema import ZERO, empty, known
from provider.protocol.schema import settle as applied
from provider.types import PROPERTIES

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


def snake(name: str) -> str:
    """dateCreated -> date_created, v4SubnetMask -> v4_subnet_mask, dnsSec -> dns_sec."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def filled(values: Props) -> Props:
    """Without what a request need not say: null, empty text, zero, empty lists."""
    return {k: v for k, v in values.items() if v not in (None, "", 0, []) or v is False}


class VultrResource(BridgedResource):
    """One type: a collection of objects at a path, wrapped in a key. Most types are these tables."""

    noun = ""  # what a person calls it
    path = ""  # of the collection
    wrapper = ""  # of one object
    listed = ""  # of the collection's list; empty: there is none
    key = "id"  # the API's name of the id
    sent: tuple[str, ...] = ()  # properties of the POST
    seen: tuple[str, ...] = ()  # properties taken from the answer to a read
    # Properties that tell an object apart whose creation was not answered. The first of them must not be empty.
    alike: tuple[str, ...] = ()
    afterwards: tuple[str, ...] = ()  # properties that a creation sees to after the POST
    spelled: Mapping[str, Callable[[Value, Props], Value]] = {}
    zero_defaults = True
    repeats_reasons = False

    def __init__(self) -> None:
        self.properties = PROPERTIES[self.token]

    # What the types override

    def where(self, props: Props) -> str:
        """Path of the collection that holds the object."""
        return self.path

    def body(self, inputs: Props) -> Props:
        """Body of the POST that makes the object."""
        return filled({snake(name): inputs.get(name) for name in self.sent})

    def order(self, client: Client, path: str, body: Props, inputs: Props) -> Props:
        """Send the POST."""
        return client.call("POST", path, body)

    def settle(self, client: Client, id: str, inputs: Props) -> None:
        """What follows the POST, before the object is read back."""

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """The requests of an update. What `olds` says may be out of date, after an update that failed."""

    def complete(self, client: Client, id: str, found: Props, state: Props) -> Props:
        """The properties that a read sets, from the API's object and whatever else has to be asked."""
        return self.taken(found)

    def unfinished(self, state: Props) -> str:
        """What the object is still waiting for, after a creation or change that did not end; empty: nothing."""
        return ""

    def drop(self, client: Client, id: str, state: Props) -> None:
        """The requests of a deletion. An ApiError that says gone is none."""
        client.insist(f"{self.noun} {id} to be deleted", lambda: client.call("DELETE", f"{self.where(state)}/{id}"))

    # What they share

    def taken(self, found: Props) -> Props:
        """Properties from the API's object; what is missing there is the kind's zero value."""
        taken: Props = {}
        for name in self.seen:
            kind = self.properties[name].kind
            value = found.get(snake(name), ZERO.get(kind))
            taken[name] = int(value or 0) if kind == "int" else value
        return taken

    def fetch(self, client: Client, id: str, state: Props, *, shared: bool = False) -> Props | None:
        """Read the object: the properties that a read sets, spelled as in `state`, or None when it is gone."""
        found = self.from_list(client, id, state) if shared else None
        if found is None:
            found = self.by_id(client, id, state)
        if found is None:
            return None
        read = self.respelled(self.complete(client, id, found, state), state)
        # What an answer leaves out says nothing: a server must not be replaced for it.
        left_out = (name for name in self.seen if snake(name) not in found and state.get(name) is not None)
        return {**read, **{name: state[name] for name in left_out}}

    def by_id(self, client: Client, id: str, state: Props) -> Props | None:
        """The API's object, None when it is gone: the only place where that is concluded."""
        try:
            return client.get(f"{self.where(state)}/{id}", self.wrapper)
        except ApiError as error:
            if error.gone:
                return None
            raise

    def from_list(self, client: Client, id: str, state: Props) -> Props | None:
        """The API's object out of a list that others read too; None when that does not tell all of it."""
        if not self.listed:
            return None
        try:
            entries = client.entries(self.where(state), self.listed)
        except ApiError as error:
            if error.gone:
                return None
            raise
        wanted = {snake(name) for name in self.seen}
        return next((e for e in entries if str(e.get(self.key)) == id and wanted <= e.keys()), None)

    def respelled(self, found: Props, state: Props) -> Props:
        """What was read in the spelling of the state, where that says the same."""
        beside = {**state, **found}
        for name, form in self.spelled.items():
            old = state.get(name)
            if name in found and old is not None and spelling.same(form, (old, beside), (found[name], beside)):
                found[name] = old
        return found

    def client(self, ctx: Context) -> Client:
        """The API for one call of the engine."""
        return Client(ctx, self.noun)

    # Creation

    def make(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        """POST, wait if need be, read back. What fails after the POST leaves the object in the state."""
        client = self.client(ctx)
        id, made = self.post(client, inputs)
        state = {**inputs, **made}
        try:
            self.settle(client, id, inputs)
            found = self.appeared(client, id, state)
        except Failure as error:
            left = self.as_it_is(client, id, {**state, **dict.fromkeys(self.afterwards)})
            plugin(ctx).journal.tell(ctx.urn)
            raise PartialFailure(str(error), id, left) from error
        plugin(ctx).journal.tell(ctx.urn)
        return id, made | found

    def appeared(self, client: Client, id: str, state: Props) -> Props:
        """Read back what was made; it may take a moment until it can be read."""
        read: list[Props] = []

        def look() -> str:
            found = self.fetch(client, id, state)
            if found is None:
                return "it can't be read yet (404)"
            read.append(found)
            return ""

        client.wait(f"{self.noun} {id}", look, limit=APPEARS_SECONDS, first=0.0)
        return read[0]

    def as_it_is(self, client: Client, id: str, state: Props) -> Props:
        """The state with what can be read of the object now, as far as it can be read at all."""
        try:
            found = self.fetch(client, id, state)
        except Failure as error:
            client.ctx.log(f"{self.noun} {id} can't be read either: {error}", "debug")
            found = None
        return {**state, **(found or {}), "id": id}

    def post(self, client: Client, inputs: Props) -> tuple[str, Props]:
        """Make the object: its id, and the outputs that only this answer tells."""
        return str(self.ordered(client, inputs).get(self.key, "")), {}

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
        new = [e for e in entries if (id := str(e.get(self.key))) not in note.before and not ledger.knows(path, id)]
        if len(new) > 1:
            raise Failure(
                f"of {len(new)} {self.noun}s that were made since {note.at} ({', '.join(ids(new, self.key))}), one is "
                "this one, and nothing tells which. Delete those of no use in Vultr's portal, then say it again"
            )
        # Two creations that are alike must not both take it.
        return new[0] if new and ledger.know(path, str(new[0].get(self.key))) else None

    # What the bridge calls

    def check(self, ctx: Context, olds: Props, news: Props) -> tuple[Props, list[CheckFailure]]:
        """A missing property is named as the older bridge does it."""
        inputs, failures = super().check(ctx, olds, news)
        return inputs, [CheckFailure(f.property, missing(ctx.name, f.reason)) for f in failures]

    def look(self, ctx: Context, id: str, state: Props) -> tuple[str, Props] | None:
        """Read the object for a refresh or an import."""
        told: Props = {}
        if not state:
            id, told = self.imported(id)
        self.owned(ctx, id, {**state, **told})
        found = self.fetch(self.client(ctx), id, {**state, **told}, shared=True)
        return None if found is None else (id, told | found)

    def imported(self, id: str) -> tuple[str, Props]:
        """From an import's id to the object's own id, and the properties that the id holds."""
        return id, {}

    def change(self, ctx: Context, id: str, olds: Props, news: Props) -> Props:
        """Send what has changed and read back. A failure after that leaves in the state what is there now."""
        client = self.client(ctx)
        try:
            self.alter(client, id, olds, news)
            found = self.fetch(client, id, news)
        except Failure as error:
            if not client.written:
                raise
            raise PartialFailure(str(error), id, self.as_it_is(client, id, olds)) from error
        if found is None:
            raise Failure(
                f"{self.noun} {id} is gone (404): `pulumi refresh` takes it out of the state, and the next "
                "`pulumi up` makes it anew"
            )
        return found

    def remove(self, ctx: Context, id: str, state: Props) -> None:
        """Delete the object; one that is gone already is as good."""
        self.owned(ctx, id, state)
        client = self.client(ctx)
        try:
            self.drop(client, id, state)
        except ApiError as error:
            # Of what it is attached to, a 404 says nothing about the object itself.
            own = error.path == f"{self.where(state)}/{id}"
            if not error.gone or not (own or self.by_id(client, id, state) is None):
                raise

    def owned(self, ctx: Context, id: str, state: Props) -> None:
        """The engine has shown that it knows the object: no creation of it is open."""
        plugin(ctx).ledger.know(self.where(state), id)
        journal = plugin(ctx).journal
        for note in journal.find(ctx.urn):
            if note.id == id:
                journal.remove(note)

    def update(self, ctx: Context, id: str, olds: Props, news: Props) -> Props:
        """Change it in place. When that fails, the state holds what is there, not what was wanted."""
        planned = self.planned(olds, strip(news), ctx)
        if ctx.preview:
            if self.unfinished(olds):
                planned = {n: UNKNOWN if p.output else planned[n] for n, p in self.properties.items()}
            planned |= {n: UNKNOWN for n, p in self.properties.items() if p.output and olds.get(n) is None}
            return self._marked({**planned, "id": olds.get("id", id)})
        self.owned(ctx, id, olds)
        try:
            seen = self.change(ctx, id, olds, known(planned))
        except PartialFailure as error:
            raise self._partial(ctx, "updating", error, error.state) from error
        except Failure as error:
            raise self._failed(ctx, "updating", error) from error
        return self._marked({**applied(self.properties, planned, seen), "id": id})

    def planned(self, olds: Props | None, inputs: Props, ctx: Context) -> Props:
        """An empty value that may be computed counts as left out, an empty value is no change from null.

        A list with an unknown element is unknown as a whole. What only looks different is not.
        """
        planned = super().planned(olds, inputs, ctx)
        for name, prop in self.properties.items():
            given = inputs.get(name)
            if planned[name] is UNKNOWN or (isinstance(planned[name], list) and UNKNOWN in planned[name]):
                planned[name] = UNKNOWN
                if prop.kind == "set" and prop.computed and olds is not None and not empty(olds.get(name)):
                    planned[name] = olds.get(name)  # a change that is only known later is not seen at all
            elif prop.computed and ((prop.kind == "string" and given == "") or (prop.kind == "int" and given == 0)):
                planned[name] = UNKNOWN if olds is None else olds.get(name)
            elif given == [] and prop.kind == "set" and olds is None:
                planned[name] = UNKNOWN if prop.computed else None
            elif given is not None and empty(given) and not (prop.computed or prop.required):
                fresh = olds is None or olds.get(name) is not None
                planned[name] = planned[name] if fresh and prop.kind != "map" else None
        for name, form in self.spelled.items() if olds is not None else ():
            old = (olds or {}).get(name)
            if spelling.same(form, (old, olds or {}), (planned[name], planned)):
                planned[name] = old
        return planned

    def diff(self, ctx: Context, id: str, olds: Props, news: Props) -> Difference:
        """A list that is emptied is one deletion."""
        self.owned(ctx, id, olds)
        found = super().diff(ctx, id, olds, news)
        detailed: dict[str, str] = {}
        for path, kind in found.detailed.items():
            name, bracket, _index = path.partition("[")
            detailed[name if bracket and news.get(name) == [] else path] = kind
        found.detailed = detailed
        return found

    def read(self, ctx: Context, id: str, state: Props, inputs: Props) -> tuple[str, Props, Props] | None:
        """After a read, sets among the inputs are spelled as they were read.

        What is not finished is kept with the reason, and the next update finishes it.
        """
        found = super().read(ctx, id, state, inputs)
        if found is None:
            return None
        new_id, outputs, news = found
        sets = {n for n, p in self.properties.items() if p.kind == "set" and outputs.get(n)}
        news = {k: outputs[k] if k in sets else v for k, v in news.items()}
        if state and (why := self.unfinished(outputs)):
            reason = f"{self.noun} {new_id} is not finished: {why}; the next `pulumi up` waits for it"
            raise PartialFailure(reason, new_id, outputs, news)
        return new_id, outputs, news

    # Texts: the error itself, once

    def _text(self, ctx: Context, verb: str, error: Failure) -> str:
        return f"{verb or 'creating'} {self.noun}: {error}"

    def _logged(self, ctx: Context, error: Failure) -> None:
        """The engine shows the error by itself."""


def missing(resource: str, reason: str) -> str:
    """The reason of a check's failure, reworded where it is that a property is missing."""
    found = re.fullmatch(r"Missing required property '(.*)'", reason)
    if not found:
        return reason
    name = ".0.".join(snake(step) for step in found[1].split("."))
    text = f'The argument "{name}" is required, but no definition was found.'
    return f"Missing required argument. {text}. Examine values at '{resource}.{found[1]}'."


def unlike(olds: Props, news: Props, name: str) -> bool:
    """Whether a property has changed, where empty and missing are the same."""
    return (olds.get(name) or None) != (news.get(name) or None)


def changed(olds: Props, news: Props, *names: str) -> Props:
    """Those of `names` whose value differs, with their new values, by the API's names."""
    return {snake(name): news.get(name) for name in names if unlike(olds, news, name)}


def plugin(ctx: Context) -> VultrPluginBase:
    """The plugin that serves this call."""
    if not isinstance(ctx.plugin, VultrPluginBase):
        raise TypeError(f"{ctx.plugin.name} is not the Vultr plugin")
    return ctx.plugin
