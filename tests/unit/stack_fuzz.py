"""Stack files as a person in a hurry writes them, and worse.

Makes: the text of a stack file from a chance, out of the project's own ones, the models' examples, and junk.
"""

from __future__ import annotations

import copy
import datetime
import random
import re
from collections.abc import Iterator
from typing import Any

import yaml

import settings
from lab.paths import CHECKOUT
from settings import models

PROJECT = "apiary"
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
FILES = sorted(
    [*CHECKOUT.glob("examples/*.yaml"), *CHECKOUT.glob("tests/*/stacks/*.yaml"), *CHECKOUT.glob("Pulumi.*.yaml")]
)


def _seed(text: str) -> dict[str, object]:
    """The settings of a stack file, its secrets given."""
    config: dict[str, object] = yaml.safe_load(text)["config"]
    names = [*re.findall(r"_secrets\^(\w+)", text), *re.findall(r"secrets?: (\w+)", text)]
    return {**config, f"{PROJECT}:secrets": dict.fromkeys(names, "given")}


SEEDS = [_seed(file.read_text()) for file in FILES]
MODELS: dict[str, type[settings.models.Settings]] = {
    "servers": models.Server,
    "applications": models.Application,
    "jobs": models.Job,
    "zones": models.Zone,
    "registries": models.Registry,
}
JUNK = [
    None, True, False, 0, -1, 80, 65536, 3.5, float("inf"), float("nan"), 10**30, "", " ", "x", "all", "a:b", "a: b",
    "$", "$$", "+", "_", "_x^y", "_db^password", "${", "${$db}", "$${x}", "${_secrets^none}", "\0", "\ud7ff", "ä\u2028",
    "\u202e", "../..", "/", "~",
    [], {}, [[]], [None], [{}], {"a": None}, {"": 1}, {1: 2}, {None: 1}, {True: 1}, {"x": {"y": ["z"]}}, ["a", "a"],
    "999.999.999.999", "::", "2:0:a", "2001:db8::/32", "0.0.0.0/0", "1-2:3-4", "80:80", "1m", "-5s", "512m", "1e400",
    "9" * 400, "9" * 5000,
    "example.com", "*.example.com", "xn--a", "co.uk", "é.example.com", "http://[", 
    "https://example.com:99999/", "a" * 300,
    "/var/run/docker.sock:/x", "no:/x", "* * * * *", "0 0 31 2 *", "2020-01-01", datetime.date(2020, 2, 3),
    datetime.datetime(2020, 2, 3, 4, 5, 6), b"\xff", "022", "0x1F", "1_000", "yes", "web1", "blog", "db", "haproxy",
]  # fmt: skip
WORDS = [
    "022", "0x1F", "1_000", "1e3", "yes", "2020-01-01", "12:30:45", "~", "!!binary aGk=", ".inf", "*id001", "&x y",
    "!x y", "{", "[", "- ", "|", ">-", "'", '"', "#", "?", "%", "@", "`", "\t",
    "\u00a0", "\ufeff", "<<: *id001", "=", "---", "...",
]  # fmt: skip
SLIPS = ["", "$", "^", ":", "/", "..", " ", "\n", "ä", "-", "_", "9" * 30, "${", "}", "%", "*", "\\", '"', "'"]


def _values() -> dict[str, list[object]]:
    """What is written somewhere under a key, by the key: in the files and in the models' examples."""
    found: dict[str, list[object]] = {}

    def walk(value: object) -> None:
        for key, inner in value.items() if isinstance(value, dict) else ():
            found.setdefault(str(key), []).append(inner)
            walk(inner)
        for inner in value if isinstance(value, list) else ():
            walk(inner)

    for seed in SEEDS:
        walk(seed)
    for model in (
        *MODELS.values(),
        models.Health,
        models.Backup,
        models.Backups,
        models.Alerts,
        models.Git,
        models.Dns,
    ):
        for name, field in model.model_fields.items():
            found.setdefault(name, []).extend(field.examples or [])
            walk(field.examples or [])
    return found


VALUES = _values()
WHOLE = [copy.deepcopy(value) for values in VALUES.values() for value in values]


def stack_file(chance: random.Random) -> str:
    """The text of a stack file."""
    config = copy.deepcopy(chance.choice(SEEDS)) if chance.random() < 0.8 else _built(chance)
    for _ in range(chance.choice([0, 1, 1, 1, 1, 2, 2, 3, 5])):
        config = _mutated(config, chance)
    text = yaml.dump({"config": config}, Dumper=DUMPER, allow_unicode=chance.random() < 0.5, sort_keys=False)
    for _ in range(chance.choice([0, 0, 0, 1, 2])):
        text = slip(text, chance)
    return text


def _built(chance: random.Random) -> dict[str, object]:
    """A stack file of settings that are each right by themselves, and together rarely."""
    config: dict[str, object] = {}
    names = ["web1", "web2", "db", "blog", "haproxy", "hasetup", "redis", "certbot", "example.com", "sub.example.com"]
    for section, model in MODELS.items():
        if section in ("servers", "applications") or chance.random() < 0.4:
            entries: dict[str, object] = {}
            for name in chance.sample(names, chance.randint(1, 3)):
                known = [*model.model_fields]
                fields = chance.sample(known, min(len(known), chance.randint(1, 6)))
                fields += ["plan", "region", "os"] if section == "servers" else []
                entries[name] = {
                    field: copy.deepcopy(chance.choice(VALUES[field])) for field in fields if field in VALUES
                }
            config[f"{PROJECT}:{section}"] = entries
    for section in ("backups", "alerts", "secrets"):
        if chance.random() < 0.4:
            config[f"{PROJECT}:{section}"] = copy.deepcopy(chance.choice([*VALUES.get(section, []), *WHOLE]))
    return config


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in nested maps and lists."""
    yield path
    if len(path) > 12:
        return
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    """What lies at a path."""
    for key in path:
        value = value[key]
    return value


def _mutated(config: dict[str, object], chance: random.Random) -> dict[str, object]:
    """Change one place: junk, gone, twice, another's value, another value of its own key, a key more."""
    paths = [path for path in places(config) if path]
    if not paths:
        return {f"{PROJECT}:servers": copy.deepcopy(chance.choice(WHOLE))}
    path = chance.choice(paths)
    holder = at(config, path[:-1])
    match chance.randrange(12):
        case 0:
            del holder[path[-1]]
        case 1 if isinstance(holder, list):
            holder.append(copy.deepcopy(chance.choice([*holder, *JUNK])))
        case 1 | 2 if isinstance(holder, dict):
            key = chance.choice([*VALUES, "zzz"])
            holder[key] = copy.deepcopy(chance.choice([*VALUES.get(key, []), *VALUES.get(key, []), *JUNK]))
        case 3:
            # The same object: written with an anchor, and then by its name.
            holder[path[-1]] = copy.deepcopy(at(config, chance.choice(paths)))
        case 4 if isinstance(holder, dict):
            holder[chance.choice(JUNK[11:30])] = holder.pop(path[-1])
        case 5 | 6 | 8 | 9 | 10 | 11 if VALUES.get(str(path[-1])):
            holder[path[-1]] = copy.deepcopy(chance.choice(VALUES[str(path[-1])]))
        case 7 if isinstance(holder[path[-1]], str):
            holder[path[-1]] = _scratched(holder[path[-1]], chance)
        case _:
            holder[path[-1]] = copy.deepcopy(chance.choice([*JUNK, *WHOLE]))
    return config


def _scratched(text: str, chance: random.Random) -> str:
    """A text with a few characters less, more, or from elsewhere."""
    start, end = sorted((chance.randint(0, len(text)), chance.randint(0, len(text))))
    piece = chance.choice([*SLIPS, text])
    return text[:start] + piece + text[end if chance.random() < 0.5 else start :]


def slip(text: str, chance: random.Random) -> str:
    """A slip of the keyboard: a line gone, twice, elsewhere; a value that YAML makes something else of."""
    lines = text.splitlines()
    index = chance.randrange(len(lines))
    match chance.randrange(5):
        case 0:
            del lines[index]
        case 1:
            lines.insert(index, chance.choice(lines))
        case 2:
            lines[index] = chance.choice(["  ", " ", ""]) + lines[index].removeprefix(
                chance.choice([" ", "  ", "    "])
            )
        case 3:
            lines[index] = lines[index].partition(":")[0] + ": " + chance.choice(WORDS)
        case _:
            lines[index] = _scratched(lines[index], chance)
    return "\n".join(lines) + "\n"
