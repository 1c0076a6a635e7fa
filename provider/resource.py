"""What all types of the Vultr stand-in have in common: one object at a path of the API, with its life.

Properties and texts are tables in `types.py`; requests and waits are in `client.py`.
"""

from __future__ import annotations

import re

from provider.client import Client, VultrError
from provider.protocol.base import UNKNOWN, CheckFailure, Context, Difference, Failure, PartialFailure, Plugin, Props
from provider.protocol.bridge import BridgedResource
from provider.protocol.schema import ZERO, empty
from provider.types import PROPERTIES, WORDS, Words


def snake(name: str) -> str:
    """dateCreated -> date_created, v4SubnetMask -> v4_subnet_mask, dnsSec -> dns_sec."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def filled(values: Props) -> Props:
    """Without what the official client leaves out of a request: null, empty text, zero, empty lists."""
    return {k: v for k, v in values.items() if v not in (None, "", 0, []) or v is False}


class VultrResource(BridgedResource):
    """One type: a collection of objects at a path, wrapped in a key. Most types are these tables."""

    path = ""  # of the collection; {group}, {domain} stand for properties
    wrapper = ""
    sent: tuple[str, ...] = ()  # properties of the POST
    seen: tuple[str, ...] = ()  # properties taken from the answer to a read
    words: Words
    zero_defaults = True
    repeats_reasons = False

    def __init__(self) -> None:
        self.properties = PROPERTIES[self.token]
        self.words = WORDS[self.token.rpartition(":")[2]]

    # What the types override

    def where(self, props: Props) -> str:
        """Path of the collection that holds the object."""
        return self.path

    def body(self, inputs: Props) -> Props:
        """Body of the POST that makes the object."""
        return filled({snake(name): inputs.get(name) for name in self.sent})

    def settle(self, client: Client, id: str, inputs: Props) -> None:
        """What follows the POST, before the object is read back."""

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """The requests of an update."""

    def fetch(self, client: Client, id: str, state: Props) -> Props | None:
        """Read the object: the properties that a read sets, or None when it is gone."""
        try:
            found = unwrap(client.call("GET", f"{self.where(state)}/{id}"), self.wrapper)
        except VultrError as error:
            if self.words.gone in str(error):
                return None
            raise refusal(self.words.read, error, id, state) from error
        return self.taken(found)

    def taken(self, found: Props) -> Props:
        """Properties from the API's object; what is missing there is the kind's zero value."""
        taken: Props = {}
        for name in self.seen:
            kind = self.properties[name].kind
            value = found.get(snake(name), ZERO.get(kind))
            taken[name] = int(value or 0) if kind == "int" else value
        return taken

    def drop(self, client: Client, id: str, state: Props) -> None:
        """The requests of a deletion."""
        self.ask(client, self.words.delete, "DELETE", f"{self.where(state)}/{id}", None, id)

    # What the bridge calls

    def check(self, ctx: Context, olds: Props, news: Props) -> tuple[Props, list[CheckFailure]]:
        """A missing property is named as the older bridge does it."""
        inputs, failures = super().check(ctx, olds, news)
        return inputs, [CheckFailure(f.property, missing(ctx.name, f.reason)) for f in failures]

    def make(self, ctx: Context, inputs: Props) -> tuple[str, Props]:
        """POST, wait if need be, read back. What fails after the POST leaves the object in the state."""
        client = client_of(ctx)
        id, made = self.post(client, inputs)
        state = {**inputs, **made}
        try:
            self.settle(client, id, inputs)
            found = self.fetch(client, id, state)
        except Failure as error:
            raise PartialFailure(str(error), id, {**state, "id": id}) from error
        if found is None:
            raise Gone(f"expected non-nil error with nil state during Create of {ctx.urn}")
        return id, made | found

    def post(self, client: Client, inputs: Props) -> tuple[str, Props]:
        """Make the object: its id, and the outputs that only this answer tells."""
        answer = self.ask(client, self.words.create, "POST", self.where(inputs), self.body(inputs))
        return str(unwrap(answer, self.wrapper).get("id", "")), {}

    def look(self, ctx: Context, id: str, state: Props) -> tuple[str, Props] | None:
        """Read the object for a refresh or an import."""
        known: Props = {}
        if not state:
            id, known = self.imported(id)
        found = self.fetch(client_of(ctx), id, {**state, **known})
        return None if found is None else (id, known | found)

    def imported(self, id: str) -> tuple[str, Props]:
        """From an import's id to the object's own id, and the properties that the id holds."""
        return id, {}

    def change(self, ctx: Context, id: str, olds: Props, news: Props) -> Props:
        """Send what has changed and read back."""
        client = client_of(ctx)
        self.alter(client, id, olds, news)
        found = self.fetch(client, id, news)
        if found is None:
            raise Gone(f"Resource provider reported that the resource did not exist while updating {ctx.urn}.")
        return found

    def remove(self, ctx: Context, id: str, state: Props) -> None:
        """Delete the object; that it is gone already is an error."""
        self.drop(client_of(ctx), id, state)

    def planned(self, olds: Props | None, inputs: Props, ctx: Context) -> Props:
        """An empty text that may be computed counts as left out, an empty value is no change from null.

        A list with an unknown element is unknown as a whole.
        """
        planned = super().planned(olds, inputs, ctx)
        for name, prop in self.properties.items():
            given = inputs.get(name)
            if planned[name] is UNKNOWN or (isinstance(planned[name], list) and UNKNOWN in planned[name]):
                planned[name] = UNKNOWN
                if prop.kind == "set" and prop.computed and olds is not None:
                    planned[name] = olds.get(name)  # a change that is only known later is not seen at all
            elif prop.computed and prop.kind == "string" and given == "":
                planned[name] = UNKNOWN if olds is None else olds.get(name)
            elif given == [] and prop.kind == "set" and olds is None:
                planned[name] = UNKNOWN if prop.computed else None
            elif given is not None and empty(given) and not (prop.computed or prop.required):
                fresh = olds is None or olds.get(name) is not None
                planned[name] = planned[name] if fresh and prop.kind != "map" else None
        return planned

    def diff(self, ctx: Context, id: str, olds: Props, news: Props) -> Difference:
        """A list that is emptied is one deletion."""
        found = super().diff(ctx, id, olds, news)
        detailed: dict[str, str] = {}
        for path, kind in found.detailed.items():
            name, bracket, _index = path.partition("[")
            detailed[name if bracket and news.get(name) == [] else path] = kind
        found.detailed = detailed
        return found

    def read(self, ctx: Context, id: str, state: Props, inputs: Props) -> tuple[str, Props, Props] | None:
        """After a read, sets among the inputs are spelled as they were read."""
        found = super().read(ctx, id, state, inputs)
        if found is None:
            return None
        new_id, outputs, news = found
        sets = {n for n, p in self.properties.items() if p.kind == "set" and outputs.get(n)}
        return new_id, outputs, {k: outputs[k] if k in sets else v for k, v in news.items()}

    @staticmethod
    def ask(  # noqa: PLR0917 (a request is these)
        client: Client,
        words: str,
        method: str,
        path: str,
        body: Props | None = None,
        id: str = "",
    ) -> Props:
        """One request; its refusal carries `words`."""
        try:
            return client.call(method, path, body)
        except VultrError as error:
            raise Failure(words.format(id=id) + str(error)) from error


def refusal(words: str, error: VultrError, id: str, state: Props) -> Failure:
    """A failed read in the type's words."""
    return Failure(words.format(id=id, group=state.get("firewallGroupId", "")) + str(error))


def missing(resource: str, reason: str) -> str:
    """The reason of a check's failure, reworded where it is that a property is missing."""
    found = re.fullmatch(r"Missing required property '(.*)'", reason)
    if not found:
        return reason
    name = ".0.".join(snake(step) for step in found[1].split("."))
    text = f'The argument "{name}" is required, but no definition was found.'
    return f"Missing required argument. {text}. Examine values at '{resource}.{found[1]}'."


class Gone(Failure):
    """A text that stands for itself, without the bridge's frame."""

    framed = False


def unwrap(answer: Props, key: str) -> Props:
    """The object in an answer. The official plugin crashes where it is missing."""
    found = answer.get(key)
    if not isinstance(found, dict):
        raise Failure(f"error reading from server: EOF (the answer has no {key!r}: the official plugin crashes here)")
    return found


def changed(olds: Props, news: Props, *names: str) -> Props:
    """Those of `names` whose value differs, with their new values, by the API's names."""
    return {snake(n): news.get(n) for n in names if (olds.get(n) or None) != (news.get(n) or None)}


class VultrClientPlugin(Plugin):
    """A plugin that has a client once it is configured."""

    client: Client


def client_of(ctx: Context) -> Client:
    """The client of the plugin that serves this call."""
    if not isinstance(ctx.plugin, VultrClientPlugin):
        raise TypeError(f"{ctx.plugin.name} is not the Vultr plugin")
    return ctx.plugin.client
