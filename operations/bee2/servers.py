"""Servers and zones: what was rented by number is rented by name, and the names lead there."""

from __future__ import annotations

from collections.abc import Mapping

from operations.bee2.scene import Scene
from operations.coming.entries import Entry, Path
from operations.coming.errors import Wrong, mapping, show, text, texts
from settings.domains import registrable
from settings.errors import did_you_mean

# Vultr's numbers of the plans that its API v1 had, by the names of v2.
PLANS = {
    "200": "vc2-1c-0.5gb",
    "201": "vc2-1c-1gb",
    "202": "vc2-1c-2gb",
    "203": "vc2-2c-4gb",
    "204": "vc2-4c-8gb",
    "205": "vc2-6c-16gb",
    "206": "vc2-8c-32gb",
}
DEBIAN = 2136
_SUFFIXES = ("suffix_bridge", "suffix_net", "static_web")
_LISTS = ("public", "private", "web")
_LEFT_OUT = {
    "playbook": "web.yml is the one of Docker hosts",
    "vpn": "there is no VPN: SSH with the stack's own key",
    "mail": "mail servers are not planned; it stays where it is",
}
_KNOWN = ("plan", "region", "os", "private_ip", "ipv6", "dns", "ip", *_LEFT_OUT)


def convert(scene: Scene, name: str) -> None:
    """Convert a server that has containers."""
    told, path = scene.told, ("servers", name)
    entry = Entry("servers", name, spread=("ipv6", "dns"))
    scene.entries.insert(sum(one.section == "servers" for one in scene.entries), entry)
    scene.sources[f"servers.{name}"] = path
    data = scene.hive.servers[name]
    for key in dict.fromkeys(("plan", "region", "os", *data)):
        if told.is_left_out(*path, key):
            told.left_out(*path, key)
            continue
        try:
            _key(scene, entry, name, key, data.get(key))
        except Wrong as error:
            told.cannot((*path, key, *error.below), str(error))


def _key(scene: Scene, entry: Entry, name: str, key: str, value: object) -> None:
    path = ("servers", name, key)
    if key == "plan":
        _plan(scene, entry, name, value)
    elif key == "region":
        _region(scene, entry, name, value)
    elif key == "os":
        was = "" if value is None else f"; was {show(value) if isinstance(value, str) else text(value, '2136')}"
        entry.put("os", DEBIAN, path, f"Debian 12{was}")
        scene.told.becomes(path, f"{DEBIAN}, Debian 12")
    elif value is None:
        return
    elif key == "private_ip":
        entry.put(key, text(value, "192.168.150.10"), path)
        scene.told.as_is(*path)
    elif key == "ipv6":
        _ipv6(scene, entry, path, mapping(value, "{docker: {static_web: 2:0:a}}"))
    elif key == "dns":
        _dns(scene, entry, path, mapping(value, "{web: [example.com]}"))
    elif key == "ip":
        raise Wrong("addresses of several networks have no place: each server has one network here; take it out")
    elif key in _LEFT_OUT:
        scene.told.needless(path, _LEFT_OUT[key])
    else:
        raise Wrong(f"is no key of Bee2's; {did_you_mean(key, _KNOWN)}")


def _chosen(given: Mapping[str, str], name: str) -> str | None:
    return given.get(name) or given.get("")


def _plan(scene: Scene, entry: Entry, name: str, value: object) -> None:
    path = ("servers", name, "plan")
    was = "" if value is None else text(value, "202")
    made = _chosen(scene.wish.plans, name) or PLANS.get(was)
    if made is None:
        what = f"{was} is no plan that Vultr had" if was else "is not there"
        raise Wrong(f"{what}; say --plan {name}=vc2-1c-2gb")
    entry.put("plan", made, path, f"was {was}" if was else "")
    scene.told.becomes(path, made)


def _region(scene: Scene, entry: Entry, name: str, value: object) -> None:
    path = ("servers", name, "region")
    provisioner = mapping(scene.hive.data.get("provisioner"), "{region: ewr}")
    is_vultrs = provisioner.get("type") in ("vultr", None)
    common = provisioner.get("region") if is_vultrs else None
    made = _chosen(scene.wish.regions, name) or text(value if value is not None else common or "", "ewr")
    if not made:
        raise Wrong(f"is not there, and provisioner.region is none of Vultr's; say --region {name}=ewr")
    entry.put("region", made.lower(), path)
    if value is not None:
        scene.told.becomes(path, made.lower())


def _ipv6(scene: Scene, entry: Entry, path: Path, given: Mapping[str, object]) -> None:
    docker = mapping(given.get("docker"), "{static_web: 2:0:a}")
    made = {}
    for key, value in docker.items():
        if key not in _SUFFIXES:
            raise Wrong(f"is no key of Bee2's; {did_you_mean(key, _SUFFIXES)}", "docker", key)
        made[key] = text(value, "2:0:a")
        entry.sources["ipv6", "docker", key] = (*path, "docker", key)
    if others := [key for key in given if key != "docker"]:
        raise Wrong("is no key of Bee2's; did you mean docker?", others[0])
    if made:
        entry.put("ipv6", {"docker": made}, path)
        scene.told.as_is(*path)


def _dns(scene: Scene, entry: Entry, path: Path, given: Mapping[str, object]) -> None:
    made: dict[str, object] = {}
    for key, value in given.items():
        if key not in _LISTS:
            raise Wrong(f"is no key of Bee2's; {did_you_mean(key, _LISTS)}", key)
        names = texts(value, "example.com")
        if names:
            made[key] = list(dict.fromkeys(names))
            entry.sources |= {("dns", key, index): (*path, key, index) for index in range(len(names))}
    if made:
        entry.put("dns", made, path)
        scene.told.as_is(*path)


def zones(scene: Scene) -> None:
    """Protect the zones, in which a hand may have written, and tell of names that Bee2 made without being told."""
    web: set[str] = set()
    found: dict[str, str] = {}
    for entry in scene.entries:
        dns = entry.settings.get("dns") if entry.section == "servers" else None
        for key, names in dns.items() if isinstance(dns, dict) else ():
            web |= set(names) if key == "web" else set()
            for name in names:
                if zone := registrable(name):
                    found.setdefault(zone, entry.name)
    for zone, server in sorted(found.items()):
        scene.entries.append(Entry("zones", zone, {"protect": True}))
        scene.sources[f'zones["{zone}"]'] = ("servers", server, "dns")
        below = sorted(name for name in web if registrable(name) == zone)
        if below and zone not in web:
            scene.told.differs(
                ("servers", server, "dns", "web"),
                f"Bee2 led {zone} and www.{zone} here too, for {below[0]}; add {zone} to dns.web to keep them",
            )
