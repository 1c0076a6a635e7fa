"""The validator's findings in plain words.

Makes: one sentence for each error that pydantic reports: what is wrong and what to write, without a word of
pydantic's. Leaves alone: where the errors come from (`draft`). Values are repeated only where a choice or a
range is missed; what may be a secret has neither.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, get_args, get_origin

from pydantic.fields import FieldInfo

from settings.errors import Key, did_you_mean, kind_of, show
from settings.foreign import advice, misspelt
from settings.kinds import Settings

_LISTED = 12  # settings of a section, at most, that a message lists
_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a map",
    "model_type": "a map of settings",
    "model_attributes_type": "a map of settings",
}


@dataclass(frozen=True)
class Setting:
    """What a model says of one setting, or of an item in it."""

    example: object
    choices: tuple[object, ...]  # of a setting that is one of a few words
    is_required: bool
    is_item: bool = False


class Finding(TypedDict):
    """One error as pydantic's `errors()` gives it; only these parts are used."""

    type: str
    loc: tuple[Key, ...]
    ctx: dict[str, Any]


def explain(finding: Finding, model: type[Settings], value: object) -> str:
    """Say what is wrong with `value`, found below an entry of `model`, and what to write instead."""
    loc = tuple(part for part in finding["loc"] if part != "[key]")
    setting = setting_at(model, loc)
    match finding["type"]:
        case "extra_forbidden":
            message = unknown(str(loc[-1]), owner_at(model, loc))
        case "missing":
            message = f"missing; write e.g. {spelt(loc, setting)}"
        case "value_error":
            message = str(finding["ctx"]["error"])
        case "literal_error":
            message = _not_a_choice(setting, value)
        case "greater_than_equal":
            message = f"{show(value)} is too small; write at least {finding['ctx']['ge']}"
        case "less_than_equal":
            message = f"{show(value)} is too large; write at most {finding['ctx']['le']}"
        case kind if kind in _WANTED:
            message = _wrong_kind(_WANTED[kind], loc, setting, value)
        case _:
            message = f"is not usable here; write e.g. {spelt(loc, setting)}"
    return message


def unknown(word: str, section: type[Settings] | None) -> str:
    """Say of a setting that a section does not have which one is meant, or what to do without it."""
    if section is None:
        return "unknown setting; leave it out"
    known = [name for name, field in section.model_fields.items() if not field.exclude]
    near = misspelt(word, known)
    remedy = advice(section, word) or (f'did you mean "{near}"?' if near else _all_of(known))
    return f"unknown setting; {remedy}"


def _all_of(known: Sequence[str]) -> str:
    """Where to look: a part of a long list, which happens to come first, says nothing."""
    if len(known) > _LISTED:
        return "nothing of a like name or meaning is known here; docs/configuration.md has every setting of the section"
    return "known here: " + ", ".join(sorted(known))


def _wrong_kind(wanted: str, loc: Sequence[Key], setting: Setting | None, value: object) -> str:
    if not loc:
        what = "is empty" if value is None else f"must be a map of settings, not {kind_of(value)}"
        return f"{what}; write its settings indented below its name"
    if value is None:
        or_not = "" if setting and setting.is_required else ", or leave it out"
        return f"is empty; write e.g. {spelt(loc, setting)}{or_not}"
    if wanted == "text" and isinstance(value, (bool, int, float)):
        example = f", e.g. {spelt(loc, setting)}" if setting else ""
        return f"must be text, but YAML read it as {kind_of(value)}; write it in quotes{example}"
    if wanted == "a whole number" and isinstance(value, str) and value.isascii() and value.isdigit():
        return f"must be a whole number, not text; write {value[:20]} without quotes"
    return f"must be {wanted}, not {kind_of(value)}; write e.g. {spelt(loc, setting)}"


def _not_a_choice(setting: Setting | None, value: object) -> str:
    choices = [str(choice) for choice in setting.choices] if setting else []
    if isinstance(value, bool):
        return f"YAML reads an unquoted yes, no, on or off as true or false; write one of {_listed(choices)} in quotes"
    if isinstance(value, str):
        remedy = did_you_mean(value, choices)
        return f"{show(value)} is not one of {_listed(choices)}" + (f"; {remedy}" if remedy.startswith("did") else "")
    return f"must be one of {_listed(choices)}, not {kind_of(value)}"


def _listed(choices: Sequence[str]) -> str:
    return ", ".join(show(choice) for choice in choices)


def spelt(loc: Sequence[Key], setting: Setting | None) -> str:
    """Spell a setting with its example as one line of YAML; an item or a map's value without its key."""
    if setting is None:
        return "what docs/configuration.md shows"
    names = [part for part in loc if isinstance(part, str)]
    example = json.dumps(setting.example, ensure_ascii=False)
    return example if setting.is_item or not names else f"{names[-1]}: {example}"


def setting_at(model: type[Settings], loc: Sequence[Key]) -> Setting | None:
    """Describe the setting, or the item of one, at `loc` below a model; None where there is none."""
    here: type[Settings] | None = model
    found: Setting | None = None
    for part in loc:
        if here is None or isinstance(part, int):
            found = _item(found) if found else None
        else:
            field = here.model_fields.get(part)
            here = _model_in(field.annotation) if field else None
            found = _described(field) if field else None
    return found


def _described(field: FieldInfo) -> Setting:
    return Setting(field.examples[0] if field.examples else None, _choices(field.annotation), field.is_required())


def _choices(annotation: object) -> tuple[object, ...]:
    """Return the words of `Literal[...]` or `Literal[...] | None`; none for anything else."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next((words for inner in get_args(annotation) if (words := _choices(inner))), ())


def _item(setting: Setting) -> Setting | None:
    example = setting.example
    items = list(example.values()) if isinstance(example, dict) else example
    return Setting(items[0], (), False, is_item=True) if isinstance(items, list) and items else None


def owner_at(model: type[Settings], loc: Sequence[Key]) -> type[Settings] | None:
    """Return the model that the last part of `loc` is, or would be, a setting of."""
    owner: type[Settings] | None = model
    for part in loc[:-1]:
        if isinstance(part, int):
            continue
        field = owner.model_fields.get(part) if owner else None
        owner = _model_in(field.annotation) if field else None
    return owner


def _model_in(annotation: object) -> type[Settings] | None:
    """Return the model inside `Model`, `list[Model]`, `dict[str, Model]` or `Model | None`."""
    if isinstance(annotation, type) and not get_origin(annotation) and issubclass(annotation, Settings):
        return annotation
    return next((model for inner in get_args(annotation) if (model := _model_in(inner))), None)
