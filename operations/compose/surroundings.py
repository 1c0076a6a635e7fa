"""Environment and network of a service: what it is told, and whom it finds."""

from __future__ import annotations

import re

from operations.coming import hosts
from operations.coming.entries import written
from operations.coming.errors import Wrong, mapping, path_of, show, text, texts
from operations.compose import databases
from operations.compose.scene import One
from settings.hosts import Server
from settings.models import Application

_NETWORK = Server.model_fields["ipv4_net"].default
_SHORTEST = 3  # characters: shorter names stand in texts by chance


def given(one: One) -> dict[str, str]:
    """Return the environment as the container has it: of its files, then its own, then what the caller's has."""
    found = dict(one.scene.project.from_files.get(one.service, {}))
    for name, value in mapping(one.data.get("environment"), "{NAME: value}").items():
        if isinstance(value, (dict, list)):
            raise Wrong("must be text; write it in quotes", name)
        if value is not None:
            found[name] = text(value, "value")
        elif name in one.scene.project.environment:
            found[name] = one.scene.project.environment[name]
        else:
            found.pop(name, None)  # named without a value, it is taken away from what files say
    return found


def aliases(one: One) -> list[str]:
    """The names and addresses besides its own by which others find a service."""
    found = [one.data[key] for key in ("container_name", "hostname") if isinstance(one.data.get(key), str)]
    # A whole name as the host's own is that by which the world knows it (GitLab, mail servers).
    found = [name for name in found if name != one.data.get("hostname") or "." not in str(name)]
    for how in mapping(one.data.get("networks"), "[front]").values():
        said = mapping(how, "{aliases: [web]}")
        aliases = said.get("aliases")
        found += aliases if isinstance(aliases, list) else []
        found += [said[key] for key in ("ipv4_address", "ipv6_address") if isinstance(said.get(key), str)]
    return [str(name) for name in found]


def networks_of(one: One) -> list[str]:
    """The networks that it is on, by the names that Docker has for them."""
    project = one.scene.project
    found = []
    for name in mapping(one.data.get("networks"), "[front]") or ["default"]:
        known = project.networks.get(name, {})
        found.append(str(known.get("name") or (name if known.get("external") else f"{project.name}_{name}")))
    return found


def environment(one: One, _: object) -> None:
    """Every variable, with references where it names another service, a database's password, or a secret."""
    said = mapping(one.data.get("environment"), "{NAME: value}")
    given = {name: value for name, value in one.environment.items() if name not in one.said.variables}
    values = {name: value for name, value in given.items() if _is_kept(one, name, value, said)}
    for name in said.keys() - one.environment.keys() - one.said.variables:
        one.told.needless(one.at("environment", name), "it is set nowhere, so the container does not have it")
    for name, parts in one.client.read(values).items():
        one.entry.put("environment", {name: written(parts)}, _at(one, name, said))
    if one.database is not None:
        variable = one.database.admin_variable.lower()
        one.entry.put("env", {variable: f"_{one.entry.name}^adminpass"}, one.at("environment"))
    for name, app in one.client.given.items():
        one.told.becomes(_at(one, name, said), f"the generated password of its database in {app}")
    for name, value in one.client.changed.items():
        one.told.differs(
            _at(one, name, said), f"{show(value)} is another name now: role and database are both called as db says"
        )
    for name, app in one.client.ruling.items():
        one.told.differs(_at(one, name, said), f"the administrator of {app}, who may do everything there, as it was")
    for name, value in one.client.second.items():
        one.told.differs(
            _at(one, name, said),
            f"{show(value)} stays text; if it is a further database for the same role, none is made: here each has a "
            "role of its own, by db",
        )
    for app, database in one.client.uses.items():
        named = [database, *one.client.more.get(app, [])]
        one.entry.put("db", [f"{app}:{name}" for name in named], one.at("environment"))
        one.scene.used.setdefault(app, set()).update(named)
        if app in one.client.guessed:
            one.told.do(
                f"see which database {one.entry.name} asks {app} for: none is named in the compose file, and "
                f"{database} is made; if its image has another name for it, write that into its environment, and "
                "convert again"
            )
        if app in one.client.unsaid:
            one.told.do(
                f"have {one.entry.name} log in to {app} as the role {database}, at the database {database}: it says "
                "nowhere in the compose file as whom it did"
            )
    if said:
        one.told.as_is(*one.at("environment"))


def _is_kept(one: One, name: str, value: str, said: dict[str, object]) -> bool:
    """Whether a variable comes over; says why not."""
    at = _at(one, name, said)
    if one.told.is_left_out(*at):
        one.told.left_out(*at)
    elif one.database is not None and databases.is_first(one.database, name):
        _first(one, name, at)
    elif name in said:
        return True
    elif one.database is not None and not databases.is_heard(name):
        one.told.needless(at, "it is of a file that several services share, and nothing to a database server")
    elif _is_anothers(one, name, value):
        one.told.needless(at, "it is the password of a database server, which nobody but who uses it is told")
    else:
        return True
    return False


def _is_anothers(one: One, name: str, value: str) -> bool:
    """Whether a variable of a shared file holds a password that this service has no use for."""
    known = [server for server in one.scene.servers.values() if value in server.passwords]
    if not known or not databases.says_password(name) or not databases.is_of_database(name):
        return False
    uses = one.client.linked | {app for text in one.environment.values() if (app := one.client.hosts.get(text))}
    uses |= {place.app for text in one.environment.values() for place in hosts.places(text, one.client.hosts)}
    return databases.says_root(name) or not any(server.app in uses for server in known)


def _at(one: One, name: str, said: dict[str, object]) -> tuple[str | int, ...]:
    return one.at("environment", name) if name in said else one.at("env_file", name)


def _first(one: One, name: str, at: tuple[str | int, ...]) -> None:
    database = one.database
    if database is not None and name.removesuffix("_FILE") == database.admin_variable:
        one.told.becomes(at, f"a generated password, _{one.entry.name}^adminpass")
    else:
        one.told.needless(at, "the job dbsetup makes roles and databases, with generated passwords")


def env_file(one: One, value: object) -> None:
    """Files of variables, which are read now."""
    for index, _ in enumerate(value if isinstance(value, list) else []):
        one.told.becomes(one.at("env_file", index), "its variables are written out")


def links(one: One, value: object) -> None:
    """Other services by other names, which Compose starts before."""
    needed = mapping(one.data.get("depends_on"), "[db]")
    for index, item in enumerate(texts(value, "db")):
        service, _, alias = item.partition(":")
        at = one.at("links", index)
        if one.told.is_left_out("services", service):
            one.told.left_out(*at)
            continue
        if service not in one.scene.names:
            raise Wrong(f"{show(service)} is not a service; correct the name", index)
        name = one.scene.names[service]
        if service not in needed and name not in one.client.uses:
            one.entry.put("after", [name], at)
        if alias not in ("", service, name):
            one.told.differs(at, f"{alias} is called {name} now: in environment that is changed, elsewhere change it")
        elif service in needed:
            one.told.needless(at, "containers find each other by name, and reach whom they name")
        else:
            one.told.becomes(at, f"after: [{name}]" if name not in one.client.uses else f"db of {name}")


def reach(one: One) -> None:
    """Open the way to those that it comes after and names nowhere; tell of those that it may name."""
    said = mapping(one.data.get("environment"), "{NAME: value}")
    known = one.client.linked | one.client.met
    for name, host in _mentioned(one).items():
        app = one.client.hosts[host]
        if _is_address(host):
            why = f"{host} was the address of {app}, which has none that stays here; have it ask by name, ${{${app}}}"
            one.told.differs(_at(one, name, said), why)
        elif app not in known and app not in one.client.uses:
            one.told.differs(
                _at(one, name, said), f"{host} in it stays text; if it means the host, write ${{${app}}} in its place"
            )
    for name, value in one.client.unsure.items():
        app = one.client.hosts[value]
        if value != app or app not in known:
            one.told.differs(_at(one, name, said), f"{value} stays text; if it means the host, write ${app} afterwards")
    _subnets(one)
    ended = {one.scene.names[service] for service in one.scene.jobs}  # nobody reaches what has ended
    unnamed = sorted(one.client.linked - one.client.met - set(one.client.uses) - ended - {one.entry.name})
    if unnamed and "reach" in Application.model_fields:
        one.entry.put("reach", unnamed, one.at("depends_on" if "depends_on" in one.data else "links"))


def _subnets(one: One) -> None:
    """Tell of the networks that containers had, where a variable or a file believes them: here it is another one."""
    pools = [mapping(known.get("ipam"), "{config: []}").get("config") for known in one.scene.project.networks.values()]
    listed = [item for pool in pools for item in (pool if isinstance(pool, list) else []) if isinstance(item, dict)]
    files = one.entry.settings.get("files")
    said = one.entry.settings.get("environment")
    texts = {("environment", name): words for name, words in (said if isinstance(said, dict) else {}).items()}
    texts |= {("files", path): made for path, made in (files if isinstance(files, dict) else {}).items()}
    for subnet in sorted({str(item["subnet"]) for item in listed if item.get("subnet")}):
        for place, words in texts.items():
            at = one.entry.source_of(place)
            if subnet in str(words) and at is not None:
                one.told.differs(
                    at,
                    f"{subnet} in it was the network of these containers; here it is the server's ipv4_net, {_NETWORK} "
                    "where that says nothing, and its own /96 of IPv6",
                )


def _mentioned(one: One) -> dict[str, str]:
    """Variables whose text has a service's name as a word of its own, which no reference has come for."""
    hosts = [host for host in one.client.others if len(host) > _SHORTEST]
    if not hosts:
        return {}
    spelt = "|".join(map(re.escape, sorted(hosts, key=len, reverse=True)))
    word = re.compile(rf"(?<![\w./\\-])(?:{spelt})(?![\w./\\-])")
    environment = one.entry.settings.get("environment")
    texts = environment.items() if isinstance(environment, dict) else ()
    found = {
        name: word.search(str(text))
        for name, text in texts
        if text not in one.client.others and name.lower() != "no_proxy"
    }
    return {name: match[0] for name, match in found.items() if match}


def _is_address(host: str) -> bool:
    return ":" in host or re.fullmatch(r"[\d.]+", host) is not None


def networks(one: One, value: object) -> None:
    """Networks: who names whom decides here who reaches whom."""
    for name, how in mapping(value, "[front]").items():
        at = one.at("networks", name)
        one.told.needless(at, "who names another reaches it, nobody else does")
        for key, inner in mapping(how, "{aliases: [web]}").items():
            if key == "aliases":
                for alias in texts(inner, "web"):
                    if alias != one.entry.name:
                        one.told.differs(
                            (*at, key),
                            f"{alias} is called {one.entry.name} now: in environment that is changed, elsewhere you do",
                        )
            elif key in ("ipv4_address", "ipv6_address", "link_local_ips"):
                one.told.needless((*at, key), "it is found by its name, and has no address that stays")
            elif key not in ("priority", "gw_priority", "driver_opts", "interface_name", "mac_address"):
                one.told.cannot((*at, key), "it is no key of Compose; correct it, or take it out")
    for name in mapping(value, "[front]"):
        if one.scene.project.networks.get(name, {}).get("internal") is True:
            one.told.differs(
                ("networks", name, "internal"), "its containers may reach the internet; nobody reaches them"
            )
        driver = one.scene.project.networks.get(name, {}).get("driver")
        if driver in ("macvlan", "ipvlan", "host"):
            path = path_of("services", one.service, "networks", name)
            one.told.cannot(
                ("networks", name, "driver"),
                f'a container has a public address by static_ipv6: "2:0:b"; take {path} out',
            )


def network_mode(one: One, value: object) -> None:
    """Another network than that of all."""
    mode = text(value, "bridge")
    if mode in ("bridge", "default"):
        one.told.needless(one.at(one.key), "it is so anyway")
    elif mode == "host":
        one.told.cannot(
            one.at(one.key),
            "it would pass by the server's firewall; take it out, and publish its ports, or write static_ipv6 and open "
            "afterwards (docs/addresses.md)",
        )
    elif mode == "none":
        one.told.cannot(one.at(one.key), "every container has a network; take it out: nobody reaches it anyway")
    else:
        other = mode.partition(":")[2] or mode
        one.told.cannot(
            one.at(one.key),
            f"it shares the network of {other}, and has its own here: what it sends leaves by the server, not by "
            f"{other} (a VPN), ports that {other} publishes for it are not its own, localhost is {other} no longer. "
            "Run both in one image where it needs that; else take it out, publish its ports itself, and write "
            f"{other} for localhost",
        )
