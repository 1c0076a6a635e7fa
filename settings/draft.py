"""From raw data to models, as far as it goes.

Makes: a `Draft`: the models of everything that can be read, and the problems of everything that can't. What
is wrong is taken out piece by piece (the item, the setting, the entry), so that the checks of the whole file
still see the rest and all problems come in one report. Leaves alone: checks of more than one setting
(`checks`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from settings import container_texts, image_texts, spelling, texts
from settings.errors import Key, Problem, closest, kind_of, path_of, show
from settings.foreign import stands_for
from settings.models import (
    Alerts,
    Application,
    Backups,
    Health,
    Job,
    Record,
    Registry,
    Server,
    Settings,
    Stack,
    Swarm,
    Zone,
)
from settings.plain import Finding, explain, owner_at, setting_at, spelt, unknown

_DEPTH = 8  # no setting lies deeper; YAML anchors can make data without an end
_ROUNDS = 20  # each round takes at least one wrong piece out
_NAMES: Mapping[str, Callable[[str], str]] = {"zones": texts.domain, "registries": image_texts.registry}  # others' own
SINGLE = ("alerts", "backups", "swarm")  # sections that are settings themselves, not entries by name
_WHOLE_FILE = "(stack file)"  # the path of a problem that has none

M = TypeVar("M", bound=Settings)


@dataclass
class Draft:
    """A stack as far as it could be read, and everything known to be wrong with it.

    Paths given to `report`, `whole` and `written` are those of `stack`, from which wrong list items are gone; what
    is reported counts as the stack file does, so a message names another place by `written` too.
    """

    stack: Stack = field(default_factory=Stack.model_construct)
    problems: list[Problem] = field(default_factory=list)
    names: dict[str, frozenset[str]] = field(default_factory=dict)  # section -> every name written, readable or not
    unread: set[str] = field(default_factory=set)  # paths of what could not be read
    doubtful: set[str] = field(default_factory=set)  # paths that an unknown setting may have meant
    removed: dict[tuple[Key, ...], set[int]] = field(default_factory=dict)  # list -> indices of items taken out

    def refuse(self, message: str, *keys: Key) -> None:
        """Add a problem with something that could not be read, at its path in the stack file."""
        path = path_of(*keys) or _WHOLE_FILE
        self.problems.append(Problem(path, message))
        self.unread.add(path)

    def report(self, message: str, *keys: Key) -> None:
        """Add a problem of the whole file, unless what lies there could not be read in the first place."""
        path = self.written(*keys)
        if not any(_within(path, unread) for unread in self.unread):
            self.problems.append(Problem(path, message))

    def problems_at(self, path: str, message: str) -> None:
        """Add a problem of the whole file at a path already spelt."""
        self.problems.append(Problem(path, message))

    def whole(self, *keys: Key) -> bool:
        """Whether everything at and below a path could be read, so that what is absent is truly absent."""
        if not (doubts := self.unread | self.doubtful):
            return True
        path = self.written(*keys)
        return _WHOLE_FILE not in doubts and not any(_within(one, path) or _within(path, one) for one in doubts)

    def written(self, *keys: Key) -> str:
        """Spell a path, counting list items as the stack file does."""
        counted: list[Key] = []
        for position, key in enumerate(keys):
            index = key
            if isinstance(index, int):
                for gone in sorted(self.removed.get(keys[:position], ())):
                    index += gone <= index
            counted.append(index)
        return path_of(*counted)


def _within(path: str, outer: str) -> bool:
    return path == outer or (path.startswith(outer) and path[len(outer)] in ".[")


def read(raw: object, name: str, spelt: Mapping[spelling.Path, str] | None = None) -> Draft:
    """Read the sections of a stack file. Never raises: whatever `raw` is, the draft says what is wrong with
    it. `spelt` is how the file spells its unquoted values (`spelling`), where that is known.
    """
    draft = Draft()
    data = _text_keys({} if raw is None else raw, (), draft)
    if not isinstance(data, dict):
        draft.refuse(f"must be a map of settings, not {kind_of(data)}; write e.g. servers: ...")
        data = {}
    known = [section for section in Stack.model_fields if section != "name"]
    for section in data.keys() - known:
        draft.problems.append(Problem(path_of(section), unknown(section, Stack)))
        if (meant := stands_for(Stack, section) or closest(section, known)) and meant not in data:
            draft.doubtful.add(meant)
    sections = {section: _section(data.get(section), section, draft) for section in known if section not in SINGLE}
    draft.names = {section: frozenset(entries) for section, entries in sections.items()}
    if not sections["servers"] and draft.whole("servers"):
        example = "web1: {plan: vc2-1c-2gb, region: ewr, os: 2136}"
        draft.refuse(f"missing; a stack needs at least one server, e.g. {example}", "servers")
    draft.stack = Stack.model_construct(
        name=name,
        servers=_entries(sections["servers"], "servers", Server, draft),
        applications=_entries(sections["applications"], "applications", Application, draft),
        jobs=_entries(sections["jobs"], "jobs", Job, draft),
        zones=_entries(sections["zones"], "zones", Zone, draft),
        registries=_entries(sections["registries"], "registries", Registry, draft),
        secrets=_secrets(sections["secrets"], draft),
        alerts=_entry(data["alerts"], ("alerts",), Alerts, draft) if data.get("alerts") is not None else None,
        swarm=_entry(data["swarm"], ("swarm",), Swarm, draft) if data.get("swarm") is not None else None,
        backups=_entry(data["backups"], ("backups",), Backups, draft) if "backups" in data else None,
    )
    _spellings(raw, spelt or {}, draft)
    return draft


def _spellings(raw: object, spelt: Mapping[spelling.Path, str], draft: Draft) -> None:
    """Report what YAML has made another value of, where nothing else is wrong with it. No message repeats a value of
    the environment: it may be a secret.
    """
    for path, written in spelt.items():
        value = spelling.at(raw, path)
        is_text = path[0] in ("applications", "jobs") and path[2:3] in (("env",), ("environment",), ("labels",))
        if not spelling.changed(value, written, as_text=is_text):
            continue
        where = path_of(*path)
        if any(_within(where, unread) for unread in draft.unread):
            continue
        if is_text:
            sign = ', and its "+", which else begins a reference, twice' if written[:1] == "+" else ""
            draft.refuse(f"YAML reads this as another value than it is written; write it in quotes{sign}", *path)
        else:
            draft.refuse(f"YAML reads {show(written)} as {show(value)}; write {show(value)}, or what is meant", *path)


def _text_keys(value: object, path: tuple[Key, ...], draft: Draft) -> object:
    """Copy maps and lists, leaving out keys that are not text, which no setting can have."""
    if len(path) >= _DEPTH:
        return value
    if isinstance(value, list):
        return [_text_keys(item, (*path, index), draft) for index, item in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    copy: dict[str, object] = {}
    for key, inner in value.items():
        if not isinstance(key, str):
            hint = " (YAML reads an unquoted yes, no, on or off so)" if isinstance(key, bool) else ""
            draft.refuse(f"this key is {kind_of(key)}, not text{hint}; write it in quotes", *path, show(key))
        elif any("\ud800" <= char <= "\udfff" for char in key):
            draft.refuse("this key is not valid text; write it in plain characters", *path, key)
        else:
            copy[key] = _text_keys(inner, (*path, key), draft)
    return copy


def _section(value: object, section: str, draft: Draft) -> dict[str, object]:
    if isinstance(value, dict):
        return value
    if value is not None:
        example = spelt((section,), setting_at(Stack, (section,)))
        draft.refuse(f"must be a map, not {kind_of(value)}; write e.g. {example}", section)
    return {}


def _check_name(check: Callable[[str], str], section: str, name: str, draft: Draft) -> None:
    """Report a bad name of an entry; what the entry holds is read and checked all the same."""
    try:
        check(name)
    except ValueError as error:
        draft.problems.append(Problem(path_of(section, name), str(error)))


def _entries(section: dict[str, object], at: str, model: type[M], draft: Draft) -> dict[str, M]:
    made: dict[str, M] = {}
    for name, value in section.items():
        _check_name(_NAMES.get(at, texts.name), at, name, draft)
        # `example.com:` with nothing behind it is a zone of defaults; anything else needs settings.
        entry = _entry({} if value is None and at == "zones" else value, (at, name), model, draft)
        if entry is not None:
            made[name] = entry
    return made


def _entry(value: object, at: tuple[str, ...], model: type[M], draft: Draft) -> M | None:
    """Read one entry, taking out what is wrong with it; None when nothing usable is left."""
    for _ in range(_ROUNDS):
        try:
            return model.model_validate(value)
        except ValidationError as error:
            findings = cast(list[Finding], error.errors(include_url=False, include_input=False))
        # Unknown ones first: what one of them means is not missing.
        for finding in sorted(findings, key=lambda one: one["type"] == "missing"):
            _refuse_finding(finding, value, at, model, draft)
        if not isinstance(value, dict) or any(not finding["loc"] for finding in findings):
            return None
        taken: set[tuple[Key, ...]] = set()
        # From the end, so that the indices of what is still to be taken out stay true.
        for finding in sorted(findings, key=lambda one: [str(part).zfill(9) for part in one["loc"]], reverse=True):
            loc = _bare(finding["loc"])
            if not any(loc[: len(piece)] == piece for piece in taken):
                piece = _piece(loc, model)
                taken.add(piece)
                _take_out(value, piece, model)
                if isinstance(piece[-1], int):
                    draft.removed.setdefault((*at, *piece[:-1]), set()).add(piece[-1])
    return None


def _bare(loc: tuple[Key, ...]) -> tuple[Key, ...]:
    return tuple(part for part in loc if part != "[key]")


def _refuse_finding(finding: Finding, value: object, at: tuple[str, ...], model: type[Settings], draft: Draft) -> None:
    loc = _bare(finding["loc"])
    owner = owner_at(model, loc)
    if finding["type"] == "extra_forbidden" and owner:
        word = str(loc[-1])
        if meant := stands_for(owner, word) or closest(word, owner.model_fields):
            draft.doubtful.add(path_of(*at, *loc[:-1], meant))
    if finding["type"] == "missing" and path_of(*at, *loc) in draft.doubtful:
        draft.unread.add(path_of(*at, *loc))
    else:
        draft.refuse(explain(finding, model, _value_at(value, loc)), *at, *loc)


def _value_at(value: object, loc: tuple[Key, ...]) -> object:
    for part in loc:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def _required(loc: tuple[Key, ...], model: type[Settings]) -> bool:
    setting = setting_at(model, loc)
    return setting is not None and setting.is_required


def _piece(loc: tuple[Key, ...], model: type[Settings]) -> tuple[Key, ...]:
    """Return what goes when `loc` is wrong: a record without a usable required setting goes as a whole, and so does a
    list whose items mean something by their place.
    """
    by_place = loc[-2:-1] == ("entrypoint",) or (loc[-2:-1] == ("test",) and owner_at(model, loc[:-1]) is Health)
    return loc[:-1] if by_place or (owner_at(model, loc) is Record and _required(loc, model)) else loc


def _take_out(value: dict[str, Any], loc: tuple[Key, ...], model: type[Settings]) -> None:
    """Remove the wrong piece at `loc`; where something required would be missing, put its example."""
    holder = _value_at(value, loc[:-1])
    setting = setting_at(model, loc)
    if isinstance(holder, list) and isinstance(loc[-1], int):
        del holder[loc[-1]]
    elif isinstance(holder, dict):
        holder.pop(loc[-1], None)
        if setting is not None and _required(loc, model):
            holder[loc[-1]] = setting.example


def _secrets(section: dict[str, object], draft: Draft) -> dict[str, str]:
    """Read `secrets` by hand: no message may repeat a value."""
    texts_by_name: dict[str, str] = {}
    for name, value in section.items():
        _check_name(texts.secret_name, "secrets", name, draft)
        if isinstance(value, str):
            try:
                texts_by_name[name] = container_texts.argument(value)
            except ValueError as error:
                draft.refuse(str(error), "secrets", name)
        elif value is None:
            draft.refuse("is empty; set it with pulumi config set --secret", "secrets", name)
        else:
            remedy = "write it in quotes" if isinstance(value, (bool, int, float)) else "write one text"
            draft.refuse(f"must be text, not {kind_of(value)}; {remedy}", "secrets", name)
    return texts_by_name
