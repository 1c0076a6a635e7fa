"""What an image insists on, of what a container is given: pure, so that an example is asked without being run.

A row is one of images.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

OURS = ("DOMAINS", "HTTP_PORT", "HOSTNAME", "HOME", "PATH")  # variables of the stack file's own words, and Docker's
STEPS_DOWN = ("CHOWN", "KILL", "SETGID", "SETUID")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Given:
    """What a container is given."""

    environment: Mapping[str, str]
    uid: int
    command: Sequence[str]
    mounts: Collection[str]
    capabilities: Collection[str] | None = None  # None: they show when they are used
    is_first: bool = True  # whether its process is the first of the container


def complaints(row: Row, given: Given) -> list[str]:
    """What the image would not put up with."""
    if role(row, given.command) in ("chown", "wget"):
        return []  # a program of the image's, and not what it is for
    found = [*_variables(row, given.environment), *_user(row, given)]
    if role(row, given.command) is None:
        found.append(f"does not know the command {' '.join(given.command)!r}")
    if role(row, given.command) != "migrate":
        found += [f"keeps data in {path}, and nothing is mounted there" for path in row.get("volumes", {})
                  if path not in given.mounts and role(row, given.command) == "serve"]  # fmt: skip
    if row.get("first") and not given.is_first:
        found.append("its own process has to be the first")
    return found


def role(row: Row, command: Sequence[str]) -> str | None:
    """What a command does: serve, work, migrate or once; None for one that the image does not know."""
    said = " ".join(command)
    known = row.get("commands") or {"serve": ".*"}
    if re.fullmatch(r"(?:/bin/)?chown .+", said) and any("chown" in one for one in row.get("programs", ())):
        return "chown"
    if re.match(r"(?:\S*/)?wget ", said):
        return "wget"
    return next((name for name, pattern in known.items() if re.fullmatch(pattern, said)), None)


def value_of(row: Row, environment: Mapping[str, str], name: str) -> str | None:
    """A variable, or what stands in the file that NAME_FILE names."""
    if name in environment:
        return environment[name]
    file = environment.get(f"{name}_FILE") if name in row.get("files", ()) else None
    if file is None:
        return (row.get("default") or {}).get(name)
    path = Path(file)
    return path.read_text().strip() if path.is_file() else file


def addresses(row: Row, environment: Mapping[str, str]) -> list[tuple[str, int]]:
    """Hosts and ports of all that it connects to, its database among them."""
    known = {**(row.get("default") or {}), **environment}
    urls = [re.sub(r"\{(\w+)\}", lambda one: known.get(one[1], ""), text) for text in row.get("reaches", ())]
    database = login(row, environment)
    found = [_address(url) for url in urls if url.strip(":0123456789")]
    return [*found, *([(database["host"], database["port"])] if database else [])]


def login(row: Row, environment: Mapping[str, str]) -> dict[str, Any] | None:
    """How it logs in to its database."""
    said = row.get("database")
    if not said:
        return None
    port = 3306 if said["engine"] == "mysql" else 5432
    if "url" in said:
        url = urlsplit(environment.get(said["url"], ""))
        return {"host": url.hostname or "", "port": url.port or port, "user": unquote(url.username or ""),
                "password": unquote(url.password or ""), "name": url.path.strip("/")}  # fmt: skip
    words = {word: value_of(row, environment, said[word]) or "" for word in ("host", "user", "password", "name")}
    host, _, own = words.pop("host").partition(":")
    return {"host": host, "port": int(own or port), **words}


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url if "://" in url else f"tcp://{url}")
    return parts.hostname or "", parts.port or {"redis": 6379, "https": 443}.get(parts.scheme, 80)


def _variables(row: Row, environment: Mapping[str, str]) -> list[str]:
    found = []
    for name, pattern in (row.get("needs") or {}).items():
        value = value_of(row, environment, name)
        if value is None:
            found.append(f"needs the variable {name}")
        elif not re.fullmatch(pattern, value, re.DOTALL):
            found.append(f"{name} is not what it has to be, {pattern}")
    names = re.sub(r"\|\s+", "|", row.get("names", ""))
    if names:
        begins = {one.lower() for one in re.findall(r"(?:^|\|)([A-Za-z]+_?)", re.sub(r"\((?:\?:)?", "", names))}
        for name in environment.keys() - OURS:
            if any(name.lower().startswith(one) for one in begins) and not re.fullmatch(names, name):
                found.append(f"does not know the variable {name}")
    how = login(row, environment)
    if how and row["database"].get("superuser") and how["user"] != "postgres":
        found.append(f"makes extensions, and {how['user']} is no superuser")
    return found


def _user(row: Row, given: Given) -> list[str]:
    own = row.get("user", 0)
    if given.uid not in {own, *row.get("may", ())}:
        return [f"runs as user {own}, not as {given.uid}"]
    changes = given.uid == 0 and (row.get("becomes") or row.get("steps_down"))
    if not changes or given.capabilities is None:
        return []
    wanted = STEPS_DOWN if row.get("becomes") else STEPS_DOWN[1:]
    missing = [name for name in wanted if name not in given.capabilities]
    found = [f"changes to user {changes}, and lacks {', '.join(missing)}"] if missing else []
    leaves = [path for path, owner in row.get("volumes", {}).items() if row.get("steps_down") and owner != changes]
    return found + [f"can't write to {path}, which is user 0's" for path in leaves]
