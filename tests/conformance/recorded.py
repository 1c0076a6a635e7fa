"""Tables of recorded calls: one JSON object a line, with `{"$secret": x}` and "$unknown" for its marks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from provider.protocol.base import SECRET, SIGNATURE, UNKNOWN_TEXT
from provider.protocol.dispatch import Dispatcher

FOLDER = Path(__file__).parent
EMPTY = (
    "diffs",
    "replaces",
    "stables",
    "detailedDiff",
    "deleteBeforeReplace",
    "hasDetailedDiff",
    "inputDiff",
    "property",
)


def load(name: str) -> list[dict[str, Any]]:
    """The lines of a table."""
    return [json.loads(line) for line in (FOLDER / name).read_text().splitlines()]


def case_id(case: dict[str, Any]) -> str:
    """A short name for a parametrised test."""
    return str(case["case"]).replace(" ", "-").replace(",", "")[:70]


def spelled(value: Any) -> Any:
    """From the table's marks to the protocol's."""
    if isinstance(value, dict):
        if "$secret" in value:
            return {SIGNATURE: SECRET, "value": spelled(value["$secret"])}
        return {k: spelled(v) for k, v in value.items()}
    if isinstance(value, list):
        return [spelled(v) for v in value]
    return UNKNOWN_TEXT if value == "$unknown" else value


def comparable(answer: Any) -> Any:
    """An answer without what the protocol does not distinguish from nothing, and without accidental order."""
    if isinstance(answer, dict):
        out = {k: comparable(v) for k, v in answer.items() if not (k in EMPTY and v in ([], {}, False, ""))}
        if out.get("kind") == "ADD":
            out.pop("kind")
        for name in ("diffs", "replaces", "stables"):
            if isinstance(out.get(name), list):
                out[name] = sorted(out[name])
        return out
    if isinstance(answer, list):
        return [comparable(v) for v in answer]
    return answer


def request_of(case: dict[str, Any]) -> dict[str, Any]:
    """The request of a case, complete as the engine sends it."""
    kind, _, name = case["urn"].partition("::")
    urn = f"urn:pulumi:dev::lab::{case['urn']}"
    return {
        **spelled(case["request"]),
        "urn": urn,
        "type": kind,
        "name": name,
        "preview": case.get("preview", False),
    }


def answer_to(dispatcher: Dispatcher, case: dict[str, Any]) -> dict[str, Any]:
    """What the plugin answers, comparable; the id of a preview is left out."""
    answer = comparable(dispatcher.call(case["method"], request_of(case)))
    if case.get("preview"):
        answer.pop("id", None)
    if case["method"] == "Configure":
        answer = {k: v for k, v in answer.items() if v}
    return answer
