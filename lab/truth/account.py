"""What a run rents, what that costs, and the deletion of all that carries the tag of this or an earlier run.

Everything that a run makes is found again by its tag, label, name or description, never by memory: a run that was
killed leaves nothing that the next one does not see. What does not begin with PREFIX is never touched.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from lab.api.catalogue import DATE, HOURS, PLANS
from lab.truth.runner import Api
from lab.truth.table import Fact, Kind, Table

PREFIX: Final = "apiary-truth-"
LONGEST: Final = 30 * 60.0  # seconds for which a deletion is tried: a VPC has been held for 15 minutes and more


@dataclass(frozen=True)
class Found:
    """An object that a run has made."""

    path: str  # of the object: what is deleted
    name: str


#: list, wrapper, the field that holds the tag, and the object's id; in the order in which they can be deleted.
_LISTS: Final = (
    ("/v2/blocks", "blocks", "label", "id"),
    ("/v2/instances", "instances", "tags", "id"),
    ("/v2/reserved-ips", "reserved_ips", "label", "id"),
    ("/v2/firewalls", "firewall_groups", "description", "id"),
    ("/v2/vpcs", "vpcs", "description", "id"),
    ("/v2/ssh-keys", "ssh_keys", "name", "id"),
    ("/v2/domains", "domains", "domain", "domain"),
)


def kinds_of(table: Table, facts: list[Fact]) -> list[Kind]:
    """The objects that these facts need, each once, with what they need themselves."""
    found: dict[str, Kind] = {}

    def add(name: str) -> None:
        if name not in found:
            for need in table.kinds[name].needs:
                add(need)
            found[name] = table.kinds[name]

    for fact in facts:
        for need in (*fact.needs, *fact.rents):
            add(need)
    return list(found.values())


def bill(kinds: list[Kind]) -> tuple[list[str], float]:
    """A line for each thing that costs, and the sum in US dollars: each is billed for one hour at least."""
    lines, total = [], 0.0
    for kind in kinds:
        monthly = float(PLANS[kind.plan]["monthly_cost"]) if kind.plan else kind.monthly
        if monthly:
            hour = monthly / HOURS
            total += hour
            what = f"{kind.name} ({kind.plan})" if kind.plan else kind.name
            lines.append(f"{what:<28} {monthly:6.2f} a month, {hour:.4f} an hour")
    lines.append(f"{'prices of ' + DATE:<28} {total:.4f} US dollars in all, for one hour of each")
    return lines, total


def leftovers(api: Api, tag: str = PREFIX) -> list[Found]:
    """All objects whose tag, label, name or description begins with `tag`, in the order of their deletion."""
    found = []
    for path, wrapper, field, key in _LISTS:
        for item in _all(api, path, wrapper):
            value = item.get(field) or ""
            texts = value if isinstance(value, list) else [value]
            for text in texts:
                if str(text).startswith(tag) and tag.startswith(PREFIX):
                    found.append(Found(f"{path}/{item[key]}", f"{wrapper.rstrip('s')} {text}"))
                    break
    return found


def _all(api: Api, path: str, wrapper: str) -> Iterator[dict[str, Any]]:
    cursor, before = "", {""}
    while True:
        answer = api.ask("GET", f"{path}?per_page=500" + (f"&cursor={cursor}" if cursor else ""))
        if answer.status_code != 200:
            raise RuntimeError(f"GET {path}: {answer.status_code} {answer.text[:300]}")
        content = answer.json()
        yield from content[wrapper]
        cursor = content.get("meta", {}).get("links", {}).get("next", "")
        if not cursor:
            return
        if cursor in before:
            raise RuntimeError(f"GET {path}: names a page as the next one that it has given: {cursor}")
        before.add(cursor)


def delete(api: Api, found: list[Found], say: Callable[[str], None]) -> list[str]:
    """Delete these, waiting for what is locked or still held; what could not be deleted, with the last answer."""
    deadline, left = time.monotonic() + LONGEST, list(found)
    refusals: dict[str, str] = {}
    pause, told = 0.5, time.monotonic()
    while left:
        remaining = []
        for item in left:
            refused = _delete(api, item)
            if refused:
                refusals[item.path] = refused
                remaining.append(item)
            else:
                say(f"    deleted {item.name}")
        left = remaining
        if not left or time.monotonic() > deadline:
            break
        if time.monotonic() - told > 30:
            told = time.monotonic()
            say(f"    waiting for {left[0].name}: {refusals[left[0].path]}")
        api.pause(pause)
        pause = min(pause * 1.5, 10)
    return [f"{item.name} ({item.path}): {refusals[item.path]}" for item in left]


def _delete(api: Api, item: Found) -> str:
    """Delete one; "" when it is gone, else what the API said."""
    answer = api.ask("DELETE", item.path)
    if answer.status_code in (200, 204, 404):
        return ""
    return answer.text[:200] or str(answer.status_code)
