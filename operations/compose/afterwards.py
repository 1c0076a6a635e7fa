"""What is said once every service has been converted, since it takes all of them.

Makes: databases that nobody names by a variable, passwords that are kept, services that may be meant to end, and which
data have to come over. Leaves alone: each service's own keys (`keys`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from operations.coming.errors import mapping
from operations.coming.images import named
from operations.compose import databases, limits, ports, sites
from operations.compose.scene import One, Scene

# Of an application that is there already: it asks, and is asked for nothing.
_WORKER = re.compile(
    r"work|cron|schedul|queue|beat|clock|backup|migrat|init|seed|sidekiq|housekeep|jobs?$", re.IGNORECASE
)
# This machine or its network, as visitors wrote it to try a site: with a number, or a scheme.
_TRIED = re.compile(
    r"(?:(?P<scheme>https?|wss?)://)?(?<![\w.-])(?:localhost|0\.0\.0\.0|(?:127|10)(?:\.\d+){3}|192\.168(?:\.\d+){2})"
    r"(?::(?P<port>\d+))?(?![\w.:-])"
)
# Names of visitors' hosts, which a program compares with; and what it listens at itself.
_NAMES_HOSTS = re.compile(r"(?:^|_)(?:HOSTS|DOMAINS?|ORIGINS?)$|^(?:APP_?|SITE_?)?HOST$", re.IGNORECASE)
_LISTENS = re.compile(r"LISTEN|BIND|ADDR", re.IGNORECASE)


def ended(made: Sequence[One]) -> None:
    """Tell of services that may be meant to end: nobody comes to them, from outside or from another service."""
    met = {app for one in made for app in one.client.met if app != one.entry.name}
    awaited = {name for one in made for name in mapping(one.data.get("depends_on"), "[db]")}
    for one in made:
        limits.may_end(one, is_awaited=one.service in awaited, is_met=one.entry.name in met)


def addresses(made: Sequence[One]) -> None:
    """Tell of variables that hold the address at which a site was tried: visitors come to its domain here."""
    known = {port: domain for one in made for port, domain in _tried(one)}
    only = next(iter(known.values())) if len(set(known.values())) == 1 else ""
    for one in made:
        mine = next((domain for _, domain in _tried(one)), only)
        for name, value in one.environment.items():
            if domain := _meant(name, value, known) or (mine if _names_this_machine(one, name, value) else ""):
                where = "environment" if name in mapping(one.data.get("environment"), "{NAME: value}") else "env_file"
                one.told.differs(
                    one.at(where, name), f"visitors come to https://{domain} here; if it is that address, write it so"
                )


def _meant(name: str, value: str, known: Mapping[str, str]) -> str:
    """The domain of the site that a value leads to by the port where it was tried."""
    for match in _TRIED.finditer(value):
        port = match["port"] or {"http": "80", "ws": "80", "https": "443", "wss": "443"}.get(match["scheme"] or "", "")
        is_meant = match["scheme"] or not (_LISTENS.search(name) or match[0].startswith("0."))
        if port in known and is_meant:
            return known[port]
    return ""


def _names_this_machine(one: One, name: str, value: str) -> bool:
    """Whether a variable says by which names visitors come, and this machine's is one."""
    called = {f"{word}_host".replace("-", "_") for word in (one.service, named(one.image).rpartition("/")[2])}
    is_own = _NAMES_HOSTS.search(name) or sites.OWN_NAME.fullmatch(name) or name.lower() in called
    return bool(is_own) and not sites.ANOTHERS.search(name) and "localhost" in re.findall(r"[\w.:-]+", value)


def _tried(one: One) -> Iterator[tuple[str, str]]:
    """The ports of this machine at which a site was, with its domain."""
    env, ports = one.entry.settings.get("env"), one.data.get("ports")
    domains = env.get("domains") if isinstance(env, dict) else None
    if not isinstance(env, dict) or not isinstance(domains, list) or not isinstance(ports, list):
        return
    for port in ports:
        if domains and isinstance(port, dict) and str(port.get("target")) == str(env.get("http_port")):
            yield str(port.get("published")), str(domains[0])


def unnamed(scene: Scene, made: Sequence[One]) -> None:
    """Have databases made that a server was told of, and that whoever uses them names in files of its own."""
    for name, server in scene.servers.items():
        if not server.database:
            continue
        is_used = name in scene.used  # then who only waits for it is no user of it
        for one in made:
            named = one.client.met | (set() if is_used else one.client.linked)
            if name in named - one.client.nameless - {one.entry.name, *one.client.uses}:
                database = server.called.setdefault(
                    server.database, databases.usable(server, server.database, one.entry.name)
                )
                at = one.at("depends_on" if "depends_on" in one.data else "volumes")
                one.entry.put("db", [f"{name}:{database}"], at)
                one.client.uses[name] = database
                scene.used.setdefault(name, set()).add(database)
                scene.told.do(
                    f"see that the configuration of {one.entry.name} logs in to {name} as the role {database}, at the "
                    f"database {database}"
                )


def unused(scene: Scene, made: Sequence[One]) -> None:
    """Tell of those whom nobody names, and who may be known by name within other images: databases, and all others."""
    for name, server in scene.servers.items():
        rulers = [one.entry.name for one in made if name in one.client.nameless]
        for ruler in rulers:
            scene.told.do(
                f'write db: ["{name}:NAME"] at {ruler} for each database that it makes in {name}, so that make copy '
                "can bring it over: it names none in the compose file, and logs in as the administrator, as it did"
            )
        if rulers:
            continue
        if name not in scene.used:
            first = databases.usable(server, server.database or name, name)
            scene.told.do(
                f'write db: ["{name}:{first}"] at whoever uses {name}: nobody says so here, and until somebody does no '
                "job makes a role or a database in it"
            )
        elif server.engine == databases.POSTGRES:
            one = next(one for one in made if one.entry.name == name)
            said = mapping(one.data.get("environment"), "{NAME: value}")
            scene.told.differs(
                one.at("environment", "POSTGRES_USER") if "POSTGRES_USER" in said else one.at("image"),
                "its role was a superuser, and those who log in here own a database each, and no more: whoever makes "
                "extensions that need one (PostGIS, vector), roles or further databases has it done by hand "
                "(docs/databases.md)",
            )
    named = {app for one in made for app in one.client.met | one.client.linked | set(one.client.uses)}
    alone = [
        one.entry.name
        for one in made
        if not (one.is_job or one.database or one.entry.name in named or "ports" in one.entry.settings)
        if not (_WORKER.search(one.service) and _is_shared(one, made))
        if "domains" not in mapping(one.entry.settings.get("env"), "{}")
        if any(other is not one and not other.is_job and _networks(one) & _networks(other) for other in made)
    ]
    if alone:
        scene.told.do(
            f"see whether another image asks for one of these by a name that it has within: {', '.join(alone)}; who is "
            "named nowhere is reached by nobody here, so write reach: [NAME] at who asks"
        )


def alike(scene: Scene, made: Sequence[One]) -> None:
    """Tell of services that name fewer hosts than another one of their image: it may ask for the same by itself."""
    named = {one.entry.name: one.client.met | one.client.linked | set(one.client.uses) for one in made}
    servers = {name for name, others in named.items() if not others - {name}}  # those that ask nobody
    for one in made:
        kin = [other for other in made if other is not one and _image(other) == _image(one)]
        missing = {name for other in kin for name in named[other.entry.name] & servers} - named[one.entry.name]
        if found := sorted(missing - {one.entry.name, *(other.entry.name for other in kin)}):
            scene.told.do(
                f"see whether {one.entry.name} asks {', '.join(found)} as well, which others of its image name; then "
                f"write reach: [{', '.join(found)}] at it, and db: for a database"
            )


def _image(one: One) -> object:
    return one.data.get("build") or one.data.get("image")


def _is_shared(one: One, made: Sequence[One]) -> bool:
    """Whether another one is of the same image."""
    return any(other is not one and _image(other) == _image(one) for other in made)


def _networks(one: One) -> set[str]:
    return set(mapping(one.data.get("networks"), "[front]")) or {"default"}


def circles(made: Sequence[One]) -> None:
    """Take the order out of what a job names, where that comes after the job: a migration is told of the whole
    application, and starts before it. It has the name as text, and reaches it.
    """
    waits = {one.entry.name: _listed(one, "after") for one in made}
    for one in made:
        if not one.is_job:
            continue
        for name in sorted(one.client.met & waits.keys()):
            if one.entry.name not in _reached(name, waits):
                waits[one.entry.name] = {*waits[one.entry.name], name}
                continue
            for word in ("environment", "env", "files"):
                if word in one.entry.settings:
                    one.entry.settings[word] = _plain(one.entry.settings[word], name)
            one.entry.put("reach", [name], one.at("environment"))
            one.told.differs(one.at("environment"), f"{name} is named in it, and comes after it: here as plain text")


def _listed(one: One, word: str) -> set[str]:
    found = one.entry.settings.get(word)
    return {str(name) for name in found} if isinstance(found, list) else set()


def _reached(name: str, waits: Mapping[str, set[str]]) -> set[str]:
    """Whom one waits for, directly or not."""
    found, pending = set[str](), [name]
    while pending:
        more = waits.get(pending.pop(), set()) - found
        found |= more
        pending += more
    return found


def _plain(value: object, name: str) -> object:
    """A setting with the name of an application in the place of references to it."""
    if isinstance(value, dict):
        return {key: _plain(inner, name) for key, inner in value.items()}
    if not isinstance(value, str) or value == f"${name}":
        return name if value == f"${name}" else value
    return re.sub(rf"(?<!\$)\$\{{\${re.escape(name)}\}}", name, value)


def unsaid(one: One) -> None:
    """Tell of databases whose password stands nowhere in what was converted: a configuration of its own has it."""
    text = repr(one.entry.settings)
    for app, database in one.client.uses.items():
        if f"_{app}^" not in text and f"_{app}:" not in text:
            one.told.do(
                f"put the generated password of {app}/{database} (pulumi stack output passwords --show-secrets) into "
                f"the configuration of {one.entry.name}, and {database} as its role"
            )


def keep(one: One) -> None:
    """Give a database server the passwords that there are, where the caller wants to keep them."""
    server = one.database
    if server is None or not one.scene.wish.keep_passwords:
        return
    known = dict.fromkeys(sorted(one.scene.used.get(one.entry.name, ())), server.password)
    known["adminpass"] = server.root or (server.password if server.user == "postgres" else "")
    for name, value in known.items():
        if value:
            secret = one.scene.secrets.name(f"{one.entry.name}_{name}", value)
            one.entry.put("passwords", {name: f"_secrets^{secret}"}, one.at("environment"))


def unreached(scene: Scene, made: Sequence[One]) -> None:
    """Tell that nobody outside comes to any of them: a proxy of its own, on a network of theirs, may have led there."""
    waiting = [one for one in made if not one.is_job and one.database is None]
    is_open = scene.sites or any("ports" in one.entry.settings for one in made)
    if waiting and not is_open and not any("ports" in one.data for one in waiting):
        named = {app for one in made for app in one.client.met | one.client.linked}
        fitting = sorted(waiting, key=lambda one: ("expose" not in one.data, one.entry.name in named))
        name = fitting[0].service
        scene.told.do(
            "see whether anybody outside comes to one of them: no port is published, and nothing here is a site; where "
            f"a proxy led there, convert again with --domain {name}=DOMAIN, and its port in expose"
        )
        return
    networks = scene.project.networks
    for one in waiting:
        outer = [name for name in sorted(_networks(one)) if networks.get(name, {}).get("external")]
        taken = {str(port.get("target")) for port in one.data.get("ports") or [] if isinstance(port, dict)}  # type: ignore[attr-defined]
        exposed = [str(port) for port in one.data.get("expose") or [] if str(port) not in taken]  # type: ignore[attr-defined]
        port = next((port for port in exposed if ports.is_web(one, port)), "")
        if outer and port and str(port) != str(mapping(one.entry.settings.get("env"), "{}").get("http_port")):
            scene.told.do(
                f"see whether a proxy on the network {outer[0]} led visitors to {one.entry.name} at its port {port}: "
                f"then convert again with --domain {one.service}=DOMAIN, and VIRTUAL_PORT={port} in its environment"
            )


def copies(scene: Scene, made: Sequence[One]) -> None:
    """Tell which data have to come over."""
    servers = [one for one in made if one.database is not None]
    named = [mount for one in made if one not in servers for mount in one.entry.settings.get("volumes", [])]  # type: ignore[attr-defined]
    names = sorted({str(mount).partition(":")[0] for mount in named if not str(mount).startswith("/")})
    if names:
        spelt = [f"{name} (now the folder {scene.copies[name]})" if name in scene.copies else name for name in names]
        scene.told.do(f"copy from the old server, volume by volume: {', '.join(spelt)} (docs/from-compose.md)")
    for one in servers:
        names = sorted(scene.used.get(one.entry.name, ()))
        if names:
            server = scene.servers[one.entry.name]
            former = {name: old for old, name in server.called.items()}
            words = " ".join(
                f"{one.service}:{former.get(name, name)}={one.entry.name}"
                + (f":{name}" if former.get(name, name) != name else "")
                for name in names
            )
            scene.told.do(f'bring over by a dump: make copy WHAT="{words}" (docs/from-compose.md)')
