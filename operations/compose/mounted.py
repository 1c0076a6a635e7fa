"""What lies in folders that a service mounts: configuration that names other services.

Makes: `texts`, the texts of a file or a folder, and `name`, by which a service reaches whom its configuration names.
Leaves alone: the texts themselves, which are copied as they are.
"""

from __future__ import annotations

import re

from operations.coming import hosts
from operations.coming.entries import Path
from operations.coming.errors import SourceError
from operations.coming.files import Files, spelt
from operations.compose.scene import One

_LARGEST = 100_000  # characters; what people write to configure something is below
_SHORTEST = 3  # characters: shorter names stand in lists by chance
_CONFIGURES = re.compile(
    r".*\.(?:conf|cfg|cnf|ini|ya?ml|json|toml|xml|env|properties|template|tmpl|config|cf|j2|hcl|hjson)|.*/(?:Caddyfile|Corefile)"
)


def texts(files: Files, path: str, like: re.Pattern[str] = re.compile(".*")) -> dict[str, str]:
    """Return the texts of a file, or of those in a folder, by path, whose paths are `like` that; what is no text, or
    too long, is passed over.
    """
    found = {}
    for one in filter(like.fullmatch, files.inside(path) if files.kind(path) == "folder" else [path]):
        try:
            text = files.read(one)
        except SourceError:
            continue
        if len(text) <= _LARGEST and "\0" not in text:
            found[one] = text
    return found


def listed(one: One, text: str, where: str) -> None:
    """Tell of other services that are items of a list in a configuration: whether hosts are meant is not known."""
    known = one.client.met | one.client.linked
    found = {host: app for host, app in hosts.listed(text, one.client.others).items() if len(host) > _SHORTEST}
    if names := sorted(set(found.values()) - known):
        spelt_there = ", ".join(host for host in found if found[host] in names)
        one.told.do(
            f"see whether {spelt_there} in {where} are hosts, or words: in lists they stay as they are; if "
            f"{one.entry.name} asks them, write reach: [{', '.join(names)}] at it"
        )


def name(one: One, path: str, at: Path) -> None:
    """Have a service reach whom the configuration in a folder names; tell of those that are called otherwise here."""
    if path == one.scene.project.folder:
        return  # the compose file is in it, which names everybody
    known = {host: app for host, app in one.client.others.items() if app not in one.client.uses}
    for file, text in texts(one.scene.files, path, _CONFIGURES).items():
        here = spelt(file, one.scene.project.folder)
        for host in dict.fromkeys(text[place.start : place.end] for place in hosts.places(text, known)):
            one.client.linked.add(known[host])
            if host != known[host]:
                one.told.differs((*at, host), f"it is called {known[host]} now; write that into {here}")
        listed(one, text, here)
