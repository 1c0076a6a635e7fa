"""Bee2's hive as a stack file.

Makes: `convert`, which says of each key what becomes of it, and checks the whole by the stack file's own rules. Leaves
alone: reading (reading) and writing (stack_text), data, and zones as they are at Vultr.
"""

from __future__ import annotations

import copy

from operations.bee2 import containers, known, redirects, servers, sites
from operations.bee2.reading import Container, Hive
from operations.bee2.scene import GONE, One, Scene, Wish, role_of, spelt
from operations.bee2.variables import spelled_database
from operations.coming.conversion import Conversion, judge, sources_of
from operations.coming.entries import Entry
from operations.coming.errors import Problem, SourceError, mapping
from operations.coming.files import Files
from operations.coming.told import Told
from settings.databases import own_name

_NEEDLESS = {
    "inventory": "Ansible runs on the server itself",
    "openvpn": "there is no VPN: SSH with the stack's own key",
    "security": "passwords are secrets of the stack",
    "sync": "copy files by `operations copy`, or build them by git",
}
_DOCKER = {"read_timeout": "nothing is asked for that long", "backup": "backups: of the stack (docs/backups.md)"}
_ANCHORS = "Bee2 reads no such key; what YAML's anchors take from it is in its places"
_PROVISIONER = {
    "token": "pulumi config set --secret vultr:apiKey",
    "region": "each server has its own",
    "state_file": "the state is Pulumi's",
    "ssh_key": "the stack has a key of its own",
}


def convert(hive: Hive, files: Files, wish: Wish) -> tuple[Conversion, Scene]:
    """Convert a hive. Raises SourceError for what is wrong before any key is looked at."""
    scene = Scene(hive, files, wish, Told(wish.leave_out))
    _top(scene)
    _leave_out(scene)
    _names(scene)
    for server in scene.taken():
        sites.parts(scene, server)
    ones = [_begun(scene, one) for one in hive.containers if one.path in scene.names]
    for one in ones:
        if not known.convert(one):
            containers.convert(one)
    known.gone(scene)
    for server in scene.taken():
        sites.complete(scene, server, ("servers", server))
        _passwords(scene, server)
    _placed(scene)
    for server in hive.servers:
        if server in scene.taken():
            servers.convert(scene, server)
            _more_web(scene, server)
            redirects.convert(scene, server)
        else:
            what = hive.servers[server].get("playbook") or "it has no containers"
            scene.told.needless(
                ("servers", server), f"{what}: only Docker web servers are taken over; it stays as it is"
            )
    servers.zones(scene)
    done = Conversion(scene.told, _ordered(scene), secrets=dict(scene.secrets.values))
    _check(done, scene)
    for path in scene.told.unmet:
        raise SourceError(
            [Problem(path, "is left out by --leave-out, and there is nothing; copy the path from the report")]
        )
    return done, scene


def _top(scene: Scene) -> None:
    """What stands beside servers and containers."""
    told, data = scene.told, scene.hive.data
    provisioner = mapping(data.get("provisioner"), "{type: vultr}")
    kind = provisioner.get("type")
    if kind not in ("vultr", None) and not (scene.wish.plans and scene.wish.regions):
        what = f"{kind}: servers are rented at Vultr only"
        told.cannot(("provisioner", "type"), f"{what}; say --region and --plan, and its applications are taken over")
    for key in provisioner:
        if key in _PROVISIONER:
            told.needless(("provisioner", key), _PROVISIONER[key])
    for key in data:
        if key in _NEEDLESS:
            told.needless((key,), _NEEDLESS[key])
        elif key not in ("provisioner", "servers", "docker", "applications", "jobs"):
            told.needless((key,), _ANCHORS)
    for key, inner in mapping(data.get("docker"), "{web1: {}}").items():
        if key in scene.hive.servers:
            for word, value in mapping(inner, "{applications: {}}").items():
                _of_docker(told, ("docker", key, word), value)
        else:
            told.needless(("docker", key), _DOCKER.get(key, _ANCHORS))


def _of_docker(told: Told, path: tuple[str, str, str], value: object) -> None:
    word = path[-1]
    if word == "networks" and value:
        names = ", ".join(map(str, value)) if isinstance(value, dict) else "them"
        told.cannot(path, f"each server has one network here; take it out, or stay with Bee2 for {names}")
    elif word == "prefix":
        told.needless(path, "the stack's name is in labels")
    elif word not in ("applications", "jobs"):
        told.needless(path, _ANCHORS)


def _leave_out(scene: Scene) -> None:
    kept = []
    for one in scene.hive.containers:
        if scene.told.is_left_out(*one.path):
            scene.told.left_out(*one.path)
        else:
            kept.append(one)
    scene.hive.containers = kept


def _names(scene: Scene) -> None:
    """Give every container that comes over its entry's name: the second of two equal ones has its server's behind."""
    for one in scene.hive.containers:
        if role_of(one) in GONE:
            continue
        bare, taken = spelt(one.name), set(scene.names.values())
        further = [f"{bare[:30]}-{spelt(one.server)}"[:40], f"{bare[:36]}-job"]
        name = next((name for name in (bare, *further) if name not in taken), None)
        if name is None:
            scene.told.cannot(one.path, f"{bare} is the name of several here; rename one")
            continue
        scene.names[one.path] = name
        if name != one.name:
            scene.told.becomes(one.path, f"called {name} here")


def _begun(scene: Scene, old: Container) -> One:
    name = scene.names[old.path]
    entry = Entry(old.section, name)
    if name != old.name:
        entry.comments[""] = f"was {old.name}"
    scene.entries.append(entry)
    return One(scene, old, entry)


def _passwords(scene: Scene, server: str) -> None:
    """Databases come over with their roles, and so keep the passwords that Bee2's store has."""
    if scene.wish.new_passwords:
        return
    by_name = {entry.name: entry for entry in scene.entries if entry.section == "applications"}
    for kind in ("postgres", "mysql"):
        holder = scene.database(server, kind)
        entry = by_name.get(scene.names.get(holder.path, "")) if holder else None
        if holder is None or entry is None:
            continue
        wanted = {} if f"_{entry.name}^adminpass" not in str(entry.settings.get("env")) else {"adminpass": "admin"}
        for one in scene.hive.on(server):
            listed = one.data.get("db")
            for item in listed if isinstance(listed, list) and one.path in scene.names else ():
                asked, _, named = str(item).partition(":")
                if asked == kind:
                    wanted[spelled_database(kind, named or one.name)] = named or one.name
        if not wanted:
            continue
        made = {}
        for database, stored in wanted.items():
            secret = f"{own_name(entry.name)}_{own_name(stored)}".lower()
            made[database] = f"_secrets^{secret}"
            scene.given[secret] = f"gpg --decrypt {_store(scene)}/database/{kind}/{stored}.gpg | "
        entry.put("passwords", made, holder.path, "as they were at Bee2")
        scene.told.becomes(holder.path, "its databases keep their passwords")


def _store(scene: Scene) -> str:
    security = scene.hive.data.get("security")
    given = security if isinstance(security, dict) else {}
    if isinstance(given.get("password_store"), str):
        return str(given["password_store"])
    return f"~/.password-store/{given.get('folder') or 'bee2'}"


def _placed(scene: Scene) -> None:
    """Say where each runs, where there are several servers."""
    if len(scene.taken()) < 2:
        return
    by_name = {scene.names[one.path]: one.server for one in scene.hive.containers if one.path in scene.names}
    by_name |= {name: server for (server, _), name in scene.parts.items()}
    for entry in scene.entries:
        source = scene.sources.get(f"{entry.section}.{entry.name}")
        near = next((one.server for one in scene.hive.containers if one.path == source), None)
        server = by_name.get(entry.name) or near
        if server and entry.section in ("applications", "jobs"):
            entry.settings = {"server": server, **entry.settings}


def _more_web(scene: Scene, server: str) -> None:
    more = scene.more_web.get(server)
    entry = next(one for one in scene.entries if (one.section, one.name) == ("servers", server))
    dns = entry.settings.get("dns")
    if more and isinstance(dns, dict):
        dns["web"] = [*dns.get("web", []), *more]


def _ordered(scene: Scene) -> list[Entry]:
    order = ("servers", "applications", "jobs", "zones")
    return sorted(scene.entries, key=lambda entry: order.index(entry.section))


def _check(done: Conversion, scene: Scene) -> None:
    whole: dict[str, dict[str, object]] = {}
    sources = dict(scene.sources)
    paths = {(entry_name): path for path, entry_name in scene.names.items()}
    for entry in done.entries:
        section = whole.setdefault(entry.section, {})
        if entry.name in section:
            raise SourceError([Problem(entry.name, "would be there twice; rename one of the two")])
        section[entry.name] = copy.deepcopy(entry.settings)
        near = scene.sources.get(f"{entry.section}.{entry.name}") or paths.get(entry.name)
        if near is None:
            server = next(iter(scene.taken()), "")
            near = ("servers", server, "dns") if entry.section == "zones" else ("servers", server)
        sources |= sources_of(entry, near)
    if not whole.get("servers"):
        raise SourceError([Problem("servers", "none has containers, so that there is nothing to take over")])
    judge(done, whole, sources)


def steps(scene: Scene, stack: str) -> list[str]:
    """Tell what is left for people to do, as commands."""
    setting = f"pulumi config set --secret --stack {stack} --path apiary:secrets."
    lines = [f"{command}{setting}{name}" for name, command in sorted(scene.given.items())]
    made = ["set what Bee2 keeps elsewhere:\n    " + "\n    ".join(lines)] if lines else []
    return [*scene.told.todo, *made, "bring it up beside the old one, copy, switch: docs/from-bee2.md"]
