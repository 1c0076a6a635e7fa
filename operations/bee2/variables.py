"""The environment of a container: names, references, secrets, and what Ruby made of a value."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

from operations.bee2.scene import One, role_of
from operations.coming import hosts
from operations.coming.entries import Parts, written
from operations.coming.errors import Wrong, kind_of, mapping, number, path_of, show, text, texts
from operations.coming.secrets import is_secret
from settings.databases import own_name
from settings.references import AppRef, JobRef, SecretRef, UserSecretRef

PORT = 8080  # where Bee2's proxy asks when a domain has none
_LOWER = re.compile(r"[a-z][a-z0-9_]*")
_DATABASE = re.compile(r"_([A-Za-z][A-Za-z0-9-]*)(?::([A-Za-z0-9_.-]+))?\^(password|adminpass)")
_SECRET = re.compile(r"_secrets\^([a-z][a-z0-9_]*)")  # the way out that errors here name
_SAYS_HOST = re.compile(r"HOST|SERVER|ADDR|ENDPOINT|UPSTREAM", re.IGNORECASE)
_LOGIN = re.compile(r"://[^:@/\s]*:([^@/\s]+)@")
_DOMAIN = re.compile(r"(?P<name>[^/]+)(?:/(?P<port>[0-9]{1,5}))?")


def environment(one: One) -> None:
    """Convert the whole `env`."""
    given = mapping(one.old.data.get("env") or None, "{db_host: $postgres}")
    met: dict[str, str] = {}
    for name, value in given.items():
        path = one.at("env", name)
        if one.told.is_left_out(*path):
            one.told.left_out(*path)
            continue
        try:
            _meet(met, name)
            if name.lower() == "domains":
                _domains(one, name, value, given)
            else:
                _variable(one, name, value)
        except Wrong as error:
            one.told.cannot((*path, *error.below), str(error))


def _meet(met: dict[str, str], name: str) -> None:
    if name.upper() in met:
        raise Wrong(f"reaches the container as {name.upper()}, as {met[name.upper()]} does; take one out")
    met[name.upper()] = name


def _variable(one: One, name: str, value: object) -> None:
    path = one.at("env", name)
    made = spelled(one, name, value)
    lower = name.lower()
    if _LOWER.fullmatch(lower):
        one.entry.put("env", {lower: made}, path)
        if lower != name:
            one.entry.comments[f"env.{lower}"] = f"was {name}"
        if isinstance(value, str) and made not in (value, written([value])):
            one.told.becomes(path, f"env.{lower}: {made}")
        elif name not in (lower, name.upper()):
            one.told.becomes(path, f"env.{lower}; the container gets {name.upper()}, as Bee2 gave it")
        else:
            one.told.as_is(*path)
    else:
        one.entry.put("environment", {name.upper(): made}, path)
        one.told.becomes(path, f"environment[{show(name.upper())}], the name that Bee2 gave to the container")


def spelled(one: One, name: str, value: object) -> object:
    """Spell a value as the stack file does. Raises Wrong."""
    if value is None:
        return ""
    if isinstance(value, (bool, float)):
        return value if isinstance(value, bool) else number(value)
    if isinstance(value, dict):
        raise Wrong(f"must be text, not {kind_of(value)}; write what the program is to read")
    if isinstance(value, list):
        return written([_inspected(value)])
    plain = text(value, "x")
    found = _meant(one, name, plain) if isinstance(value, str) else None
    if found is None and is_secret(name, plain):
        found = [UserSecretRef(one.scene.secrets.name(f"{one.old.name}_{name}", plain))]
    return written(found) if found else value if isinstance(value, int) else written([plain])


def _meant(one: One, name: str, value: str) -> Parts | None:
    """What a text refers to: as a whole, to a secret that is yet to be given, or by names within it."""
    if found := _reference(one, value):
        return found
    if match := _SECRET.fullmatch(value):
        one.scene.given[match[1]] = f"# what {path_of(*one.at('env', name))} was\n    "
        return [UserSecretRef(match[1])]
    parts = _named(one, name, value)
    return parts if any(not isinstance(part, str) for part in parts) else None


def _named(one: One, name: str, value: str) -> Parts:
    """Text with references to the containers that it names, by Bee2's own names for them or in an address."""
    scene, server = one.scene, one.old.server
    known: dict[str, str] = {}
    for other in scene.hive.on(server, "applications"):
        if other != one.old and (entry := scene.names.get(other.path)):
            known |= {other.name: entry, f"{scene.hive.prefix(server)}-app-{other.name}": entry}
    if value in known and ("-app-" in value or _SAYS_HOST.search(name)):
        return [AppRef(known[value])]
    parts: Parts = []
    for part in hosts.referred(value, known):
        match = _LOGIN.search(part) if isinstance(part, str) else None
        if isinstance(part, str) and match:
            secret = scene.secrets.name(f"{one.old.name}_{name}_password", unquote(match[1]))
            parts += [part[: match.start(1)], UserSecretRef(secret), part[match.end(1) :]]
        else:
            parts.append(part)
    return parts


def _inspected(value: list[object]) -> str:
    """A list as Ruby writes one into text, which is what the container got."""
    return "[" + ", ".join("nil" if item is None else json.dumps(item, ensure_ascii=False) for item in value) + "]"


def _reference(one: One, value: str) -> Parts | None:
    """What a value stands for; None for plain text, as which it goes on. Raises Wrong for what is no more."""
    sign, name, scene, server = value[:1], value[1:], one.scene, one.old.server
    if sign in ("$", "+"):
        section = "applications" if sign == "$" else "jobs"
        found = scene.find(server, section, name)
        # Where it is a job here, the scheduler may start it as one.
        if found is None and sign == "+" and (other := scene.find(server, "applications", name)):
            found = other if role_of(other) == "certbot" else None
        if found is None:
            return None
        entry = scene.names.get(found.path)
        if entry is None:
            raise Wrong(f"{show(value)} has no container any more; take the line out")
        if sign == "$" and role_of(found) == "certbot":
            raise Wrong(f"{show(value)} is a job here; take the line out")
        return [AppRef(entry) if sign == "$" else JobRef(entry)]
    if match := _DATABASE.fullmatch(value):
        return [_password(one, match[1], match[2], match[3])]
    return None


def _password(one: One, kind: str, database: str | None, which: str) -> SecretRef:
    scene = one.scene
    holder = scene.database(one.old.server, kind) or scene.find(one.old.server, "applications", kind)
    name = scene.names.get(holder.path) if holder else None
    if name is None:
        raise Wrong(f"there is no database server {kind} on {one.old.server}; write a secret, _secrets^NAME")
    if which == "adminpass":
        return SecretRef(name, None, which)
    listed = one.old.data.get("db")
    uses = [str(item) for item in listed if str(item).partition(":")[0] == kind] if isinstance(listed, list) else []
    if database is None and one.old.name == one.entry.name and len(uses) < 2:
        return SecretRef(name, None, which)
    return SecretRef(name, spelled_database(kind, database or one.old.name), which)


def spelled_database(kind: str, name: str) -> str:
    """The name that Bee2's DBSetup gave to a database: PostgreSQL reads names without quotes as lower case."""
    made = own_name(name)
    return made.lower() if kind == "postgres" else made


def _domains(one: One, name: str, value: object, given: dict[str, object]) -> None:
    path = one.at("env", name)
    if value == "all":
        raise Wrong("all: only images of Apiary can read what they get there (JSON); see docs/from-bee2.md")
    found = [parsed(item, index) for index, item in enumerate(texts(value, "example.com"))]
    if not found:
        raise Wrong("is empty; take the line out")
    names = [domain for domain, _ in found]
    ports = {port for _, port in found}
    if len(ports) > 1:
        raise Wrong("one application answers on one port here; make it an application for each port")
    one.entry.put("env", {"domains": names}, path)
    port = ports.pop()
    if not any(key.lower() == "http_port" for key in given):
        one.entry.put("env", {"http_port": port or PORT}, path)
        if port:
            one.entry.comments["env.http_port"] = f"was {names[0]}/{port}"
    elif port:
        raise Wrong(f"the port {port} is that of http_port here, which is there already; write it there")
    if len(names) > 1:
        one.told.differs(path, "the container gets them joined by commas, and not by blanks")
    else:
        one.told.as_is(*path)


def parsed(item: str, index: int) -> tuple[str, int | None]:
    """A domain, and the port that stands behind it. Raises Wrong."""
    match = _DOMAIN.fullmatch(item)
    if match is None:
        raise Wrong(f"{show(item)} is no domain; write example.com, or example.com/80", index)
    return match["name"], int(match["port"]) if match["port"] else None
