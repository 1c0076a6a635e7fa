"""What all Vultr types have in common: one object at a path of the API, with its life.

Properties are tables in `types.py`, spellings are in `spelling.py`, requests and waits in `client.py`, creations in
`creation.py`. The other rules that hold for every type are here:

- An object is gone when the API answers 404 to a request for it by its id. No other status, no broken answer, and no
  list in which it is missing says so. To delete what is gone is to succeed.
- What an update could not do is not in the state as if it were done.
"""

from __future__ import annotations

import re

from provider import spelling
from provider.client import Client
from provider.creation import APPEARS_SECONDS, Creation, plugin, snake
from provider.errors import ApiError
from provider.kinds import fit, told
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
from provider.protocol.bridge import strip
from provider.protocol.schema import empty, known
from provider.protocol.schema import settle as applied
from provider.types import PROPERTIES


class VultrResource(Creation):
    """One type: a collection of objects at a path, wrapped in a key. Most types are these tables."""

    seen: tuple[str, ...] = ()  # properties taken from the answer to a read
    afterwards: tuple[str, ...] = ()  # properties that a creation sees to after the POST
    zero_defaults = True
    repeats_reasons = False

    def __init__(self) -> None:
        self.properties = PROPERTIES[self.token]

    # What the types override

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
        return {name: self.value(name, found.get(snake(name)), self.properties[name].kind) for name in self.seen}

    def value(self, name: str, said: Value, kind: str) -> Value:
        """One value of the API's, of its kind. Raises Failure."""
        return told(said, kind, f"{snake(name)} of this {self.noun}")

    def fetch(self, client: Client, id: str, state: Props, *, shared: bool = False) -> Props | None:
        """Read the object: the properties that a read sets, spelled as in `state`, or None when it is gone."""
        found = self.from_list(client, id, state) if shared else None
        if found is None:
            found = self.by_id(client, id, state)
        if found is None:
            return None
        read = self.respelled(self.complete(client, id, found, state), state)
        # What an answer leaves out says nothing: a server must not be replaced for it.
        left_out = (name for name in self.seen if self.untold(name, found) and state.get(name) is not None)
        return {**read, **{name: state[name] for name in left_out}}

    def untold(self, name: str, found: Props) -> bool:
        """Whether the API's object does not tell a property; null is none of those for which it would be replaced."""
        return found.get(snake(name)) is None and (snake(name) not in found or self.properties[name].force_new)

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

    # What the bridge calls

    def check(self, ctx: Context, olds: Props, news: Props) -> tuple[Props, list[CheckFailure]]:
        """A missing property is named as the older bridge does it; a value of another kind is refused first."""
        wrong: dict[str, tuple[str, str]] = {}
        news = fit(self.properties, news, wrong)
        if wrong:
            # What is secret is not shown, nor anything beside it.
            hidden = {str(path[0]) for path in ctx.secret_paths} | {n for n, p in self.properties.items() if p.secret}
            shown = {
                path: f"{expected}, got {'a secret' if re.split(r'[.[]', path)[0] in hidden else value}"
                for path, (expected, value) in wrong.items()
            }
            return news, [self._wrong(ctx, path, text) for path, text in shown.items()]
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
