#!/usr/bin/env python3
"""Reads vars.json on the host: checks it, and makes Docker's daemon.json and its trust in registries of it.

    variables.py check vars.json     exit 1 and one line an error, or silence
    variables.py daemon vars.json /etc/docker/daemon.json
                                     writes it whole and at once if it differs, and then prints `changed`
    variables.py authorities vars.json /etc/docker/certs.d
                                     the same of the certificates that registries are told by, one file each

Standard library only: it runs before anything is installed. Touches nothing else.
"""

from __future__ import annotations

import glob
import ipaddress
import json
import os
import re
import sys
from typing import Any

Variables = dict[str, Any]

NETWORK_EXAMPLES = {4: "172.30.0.0/24", 6: "2001:db8:1:2:0:1::/96"}
SENDER = re.compile(r"[a-z0-9][a-z0-9-]{0,24}")  # of another server; useradd takes 32 letters, `backup-` among them
KEY = re.compile(r"ssh-ed25519 [A-Za-z0-9+/=]+")
# What BuildKit keeps of past builds beside the images themselves.
BUILD_CACHE = "2GB"
AUTHORITY = "apiary.crt"
LOG_OPTIONS = {"max-size": "10m", "max-file": "3"}


class BadVariables(ValueError):
    """One line an error, each with the key and what to write."""


def _network(variables: Variables, key: str, version: int) -> list[str]:
    value = variables.get(key)
    try:
        network = ipaddress.ip_network(str(value))
    except ValueError:
        return [f"{key}: {value!r} is not a network; write for example {NETWORK_EXAMPLES[version]}"]
    return [] if network.version == version else [f"{key}: {value!r} is not IPv{version}"]


def _ports(variables: Variables, key: str, addressed: bool) -> list[str]:
    errors: list[str] = []
    for index, entry in enumerate(variables.get(key, [])):
        where = f"{key}[{index}]"
        if entry.get("proto") not in ("tcp", "udp"):
            errors.append(f"{where}.proto: {entry.get('proto')!r} is neither tcp nor udp")
        if not isinstance(entry.get("port"), int) or not 0 < entry["port"] < 65536:
            errors.append(f"{where}.port: {entry.get('port')!r} is not a port; write 1 to 65535")
        if addressed and not _is_end(entry.get("last", entry.get("port")), entry.get("port")):
            errors.append(f"{where}.last: {entry['last']!r} ends no range from {entry.get('port')!r}")
        if addressed:
            errors += _addresses([entry.get("address")], where + ".address", variables)
    return errors


def _is_end(last: object, first: object) -> bool:
    return not isinstance(first, int) or (isinstance(last, int) and first <= last < 65536)


def _addresses(values: list[Any], where: str, variables: Variables) -> list[str]:
    errors: list[str] = []
    try:
        inside = ipaddress.IPv6Network(variables.get("apiary_net_subnet"))
    except (ValueError, TypeError):
        return []  # said already, of apiary_net_subnet itself
    for value in values:
        try:
            if ipaddress.IPv6Address(value) not in inside:
                errors.append(f"{where}: {value} lies outside apiary_net_subnet {inside}")
        except ValueError:
            errors.append(f"{where}: {value!r} is not an IPv6 address")
    return errors


def _own_address(variables: Variables) -> list[str]:
    value = variables.get("apiary_own_address")
    if value is None:
        return []
    try:
        if ipaddress.IPv6Address(value) in ipaddress.IPv6Network(variables.get("apiary_prefix")):
            return []
    except (ValueError, TypeError):
        return [f"apiary_own_address: {value!r} is not an IPv6 address"]
    return [f"apiary_own_address: {value} lies outside apiary_prefix {variables['apiary_prefix']}"]


def _gateways(variables: Variables) -> list[str]:
    nets = ("apiary_net_subnet_ipv4", "apiary_net_subnet")
    value: Any = variables.get("apiary_net_gateways")
    try:
        pairs = zip(value, nets, strict=True)
        inside = [ipaddress.ip_address(one) in ipaddress.ip_network(variables[net]) for one, net in pairs]
    except (ValueError, TypeError, KeyError):
        inside = []
    if inside == [True, True]:
        return []
    return [f"apiary_net_gateways: {value!r} are not one address of each of {' and '.join(nets)}"]


def _ipv6_only(variables: Variables) -> list[str]:
    errors: list[str] = []
    for value in variables.get("apiary_ipv6_only", []):
        try:
            ipaddress.IPv4Address(value)
        except ValueError:
            errors.append(f"apiary_ipv6_only: {value!r} is not an IPv4 address")
    return errors


def _nat(variables: Variables) -> list[str]:
    nat = variables.get("apiary_nat")
    if nat is None:
        return []
    errors: list[str] = []
    try:
        ipaddress.IPv6Address(nat.get("address"))
    except ValueError:
        errors.append(f"apiary_nat.address: {nat.get('address')!r} is not an IPv6 address")
    for index, entry in enumerate(nat.get("forwarded", [])):
        where = f"apiary_nat.forwarded[{index}]"
        if entry.get("proto") not in ("tcp", "udp"):
            errors.append(f"{where}.proto: {entry.get('proto')!r} is neither tcp nor udp")
        for key in ("port", "to_port"):
            if not isinstance(entry.get(key), int) or not 0 < entry[key] < 65536:
                errors.append(f"{where}.{key}: {entry.get(key)!r} is not a port; write 1 to 65535")
        errors += _addresses([entry.get("to")], where + ".to", variables)
    return errors


def _ssh_from(variables: Variables, client: str | None) -> list[str]:
    sources = variables.get("apiary_ssh_from", [])
    errors: list[str] = []
    networks = []
    for source in sources:
        try:
            networks.append(ipaddress.ip_network(source, strict=False))
        except ValueError:
            errors.append(f"apiary_ssh_from: {source!r} is not an address or network")
    if networks and client and not errors:
        here = ipaddress.ip_address(client.split("%")[0])
        mapped = getattr(here, "ipv4_mapped", None)
        here = mapped or here
        if not any(here in network for network in networks):
            errors.append(
                f"ssh_from: this update came from {here}, which none of {', '.join(sources)} holds: "
                "it would lock itself out; add that address, or run it from one of them"
            )
    return errors


def _private(variables: Variables) -> list[str]:
    own, peers = variables.get("apiary_private_ip"), variables.get("apiary_private_peers", [])
    reached = variables.get("apiary_private_reached", [])
    errors = _ports(variables, "apiary_private_ports", addressed=False)
    errors += _ports(variables, "apiary_private_reached", addressed=False)
    addresses = [("apiary_private_ip", own)] * (own is not None) + [("apiary_private_peers", ip) for ip in peers]
    addresses += [(f"apiary_private_reached[{index}].address", one.get("address")) for index, one in enumerate(reached)]
    for key, value in addresses:
        try:
            ipaddress.IPv4Address(value)
        except ValueError:
            errors.append(f"{key}: {value!r} is not an IPv4 address")
    if own is None and (peers or reached or variables.get("apiary_private_ports")):
        errors.append("apiary_private_ip: missing, but there are private peers or ports")
    return errors


def _swarm(variables: Variables) -> list[str]:
    swarm = variables.get("apiary_swarm")
    if swarm is None:
        return []
    errors: list[str] = []
    try:
        ipaddress.IPv4Network(swarm.get("gateway"))
    except ValueError:
        errors.append(f"apiary_swarm.gateway: {swarm.get('gateway')!r} is not an IPv4 network")
    if not isinstance(swarm.get("encrypted", False), bool):
        errors.append(f"apiary_swarm.encrypted: {swarm['encrypted']!r} is neither true nor false")
    for index, peer in enumerate(swarm.get("peers", [])):
        try:
            ipaddress.IPv4Address(peer)
        except ValueError:
            errors.append(f"apiary_swarm.peers[{index}]: {peer!r} is not an IPv4 address")
    if variables.get("apiary_private_ip") is None:
        errors.append("apiary_private_ip: missing, but the server is of a swarm")
    return errors


def _backups(variables: Variables) -> list[str]:
    errors: list[str] = []
    if not isinstance(variables.get("apiary_backups", False), bool):
        errors.append(f"apiary_backups: {variables['apiary_backups']!r} is neither true nor false")
    for sender, one in (variables.get("apiary_backup_store") or {}).items():
        where = f"apiary_backup_store.{sender}"
        if not SENDER.fullmatch(sender):
            errors.append(f"{where}: the name of an account is made of it; write at most 25 of a-z, 0-9 and -")
        if not KEY.fullmatch(str(one.get("key"))):
            errors.append(f"{where}.key: {one.get('key')!r} is not a public key; write for example ssh-ed25519 AAAA...")
        try:
            ipaddress.ip_address(one.get("from"))
        except ValueError:
            errors.append(f"{where}.from: {one.get('from')!r} is not an address")
    return errors


def _data(variables: Variables) -> list[str]:
    data = variables.get("apiary_data")
    if data is None:
        return []
    name = data.get("device")
    # It becomes the name of a file.
    is_name = isinstance(name, str) and name.startswith("virtio-") and "/" not in name
    return [] if is_name else [f"apiary_data.device: {name!r} is no name in /dev/disk/by-id; write virtio-..."]


def check(variables: Variables, ssh_client: str | None = None) -> None:
    """Raises BadVariables with every error at once.

    `ssh_client`: the address this run came from, if over SSH.
    """
    errors: list[str] = []
    if not variables.get("apiary_instance"):
        errors.append("apiary_instance: missing; write the instance's id")
    for key in ("apiary_prefix", "apiary_bridge_subnet", "apiary_net_subnet"):
        errors += _network(variables, key, 6)
    errors += _network(variables, "apiary_net_subnet_ipv4", 4)
    if variables.get("apiary_ndp", "exact") not in ("exact", "subnet"):
        errors.append(f"apiary_ndp: {variables['apiary_ndp']!r} is neither exact nor subnet")
    errors += _addresses(variables.get("apiary_addresses", []), "apiary_addresses", variables)
    errors += _ports(variables, "apiary_published", addressed=True)
    errors += _ports(variables, "apiary_published_ipv4", addressed=False)
    errors += _private(variables)
    errors += _gateways(variables)
    errors += _ipv6_only(variables)
    errors += _own_address(variables)
    errors += _nat(variables)
    errors += _swarm(variables)
    errors += _backups(variables)
    errors += _data(variables)
    errors += _ssh_from(variables, ssh_client)
    if errors:
        raise BadVariables("\n".join(errors))


def daemon(variables: Variables) -> dict[str, Any]:
    """Docker's daemon.json.

    `ip6tables` is off on every engine: containers' IPv6 is routed, and ufw alone decides about it. From
    engine 27 on the default is on, and two masters of one FORWARD chain would each let through what the
    other denies.
    """
    settings: dict[str, Any] = {
        "ipv6": True,
        "fixed-cidr-v6": variables["apiary_bridge_subnet"],
        "ip6tables": False,
        # A server of a swarm can't have it (dockerd refuses both).
        "live-restore": variables.get("apiary_swarm") is None,
        "userland-proxy": False,
        "log-driver": "json-file",
        "log-opts": LOG_OPTIONS,
        "builder": {"gc": {"enabled": True, "defaultKeepStorage": BUILD_CACHE}},
    }
    if variables.get("apiary_swarm") is not None:
        # Of a plain container it is an option; a service has none.
        settings["no-new-privileges"] = True
    mirrors = [_with_port(mirror) for mirror in variables.get("apiary_registry_mirrors", [])]
    if mirrors:
        settings["registry-mirrors"] = mirrors
    # BuildKit takes no http from the mirrors' own list; engine 20.10 reads the scheme, later ones take it off.
    if plain := ["/".join(mirror.split("/")[:3]) for mirror in mirrors if mirror.startswith("http://")]:
        settings["insecure-registries"] = plain
    return settings


def _with_port(mirror: str) -> str:
    """A mirror by http with its port: engine 26 asks by https, on 443, where none is written."""
    return re.sub(r"^(http://(?:[^/:\[]+|\[[^]]+\]))(?=/|$)", r"\1:80", mirror)


def replace(path: str, text: str) -> bool:
    """Makes `text` the file's content, never half of it. Returns whether it was something else before."""
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return False
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)
    return True


def trust(variables: Variables, folder: str) -> bool:
    """Makes `folder`/HOST/apiary.crt for each registry with an authority of its own, and removes others of that name.

    Returns whether anything was something else before.
    """
    wanted = {
        os.path.join(folder, host, AUTHORITY): text
        for host, text in variables.get("apiary_registry_authorities", {}).items()
    }
    others = set(glob.glob(os.path.join(folder, "*", AUTHORITY))) - set(wanted)
    for path in others:
        os.remove(path)
        if not os.listdir(os.path.dirname(path)):
            os.rmdir(os.path.dirname(path))
    changed = {path for path, text in wanted.items() if replace(path, text)}
    return bool(changed or others)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["check", path] | ["daemon" | "authorities", path, _]:
            with open(path, encoding="utf-8") as file:
                variables = json.load(file)
        case _:
            sys.stderr.write(__doc__ or "")
            return 2
    client = os.environ.get("SSH_CONNECTION", "").split(" ")[0] or None
    try:
        check(variables, client)
    except BadVariables as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if arguments[0] == "daemon" and replace(
        arguments[2], json.dumps(daemon(variables), indent=2, sort_keys=True) + "\n"
    ):
        sys.stdout.write("changed\n")
    if arguments[0] == "authorities" and trust(variables, arguments[2]):
        sys.stdout.write("changed\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
