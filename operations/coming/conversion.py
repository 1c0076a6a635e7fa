"""What a conversion is, and whether the program would take it: what is wrong is led back to the keys it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import settings
from operations.coming.entries import Entry, Path
from operations.coming.errors import Problem, SourceError, mapping, path_of
from operations.coming.told import Told

_REFERRED = re.compile(r"_secrets\^([A-Za-z][A-Za-z0-9_]*)")
PLACE = {"plan": "vc2-1c-2gb", "region": "ewr", "os": 2136}


@dataclass
class Conversion:
    """What is to be added to a stack file, and what was said of each key. Nothing is written while `told.refused`."""

    told: Told
    entries: list[Entry] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)  # to be added to dns.web of `server`
    server: str = ""
    makes_server: bool = False
    secrets: dict[str, str] = field(default_factory=dict, repr=False)  # that are to be set
    redirects: dict[str, str] = field(default_factory=dict)  # to be added to `server`
    sections: dict[str, dict[str, object]] = field(default_factory=dict, repr=False)  # the stack file with it all


def sources_of(entry: Entry, source: Path) -> dict[str, Path]:
    """The key that each setting came from, by its path in the stack file; `source` is that of the entry itself."""
    below = {path_of(entry.section, entry.name, *path): key for path, key in entry.sources.items()}
    return {path_of(entry.section, entry.name): source, **below}


def judge(done: Conversion, whole: dict[str, dict[str, object]], sources: Mapping[str, Path]) -> None:
    """Read the stack file as the program does, and lead what is wrong back. Raises SourceError for what was there."""
    # Their values are encrypted in the file, or not set yet: neither is the matter here.
    named = {name for section in ("applications", "jobs") for name in _REFERRED.findall(str(whole.get(section)))}
    whole["secrets"] = dict.fromkeys([*mapping(whole.get("secrets"), "x: y"), *named, *done.secrets], "x")
    done.sections = whole
    try:
        settings.load(whole, name="new")
    except settings.SettingsError as error:
        _lead_back(error, sources, done.told)


def _lead_back(error: settings.SettingsError, sources: Mapping[str, Path], told: Told) -> None:
    for problem in error.problems:
        near = [path for path in sources if problem.path == path or problem.path.startswith((f"{path}.", f"{path}["))]
        if not near:
            raise SourceError([
                Problem(problem.path, f"{problem.message} (in the stack file as it would be; correct that first)")
            ]) from error  # fmt: skip
        place = max(near, key=len)
        source = sources[place]
        if place.count(".") == 1 and any(one.path.startswith(path_of(*source)) for one in told.refused):
            continue  # that the entry is not whole is no news
        word = problem.path.rpartition(".")[2]
        if problem.message.startswith("unknown setting"):
            told.cannot(source, f"{word} can't be said yet; take it out, or leave it out by --leave-out")
        else:
            told.cannot(source, f"{problem.path} would be refused: {problem.message}")
