"""A visit to every site over both families, as visitors make it: the names looked up, then asked, every check on.

Runs where visitors are, as a program that is said to `python3 -` (asking.py): standard library only, and nothing is
written there. Prints a line of JSON as soon as a visit is over:

    {"domain", "family",                "IPv6" or "IPv4"
     "asked",                           the name server that told the addresses; "" for the resolver of the machine
     "addresses": [...], "status", "ms",
     "certificate": {"begins", "ends"}, seconds since the epoch; null when it was not accepted, or is not asked for
     "maintenance",                     whether visitors are told that it is being worked on
     "nowhere",                         whether the proxy says it, of an address that leads to no application
     "distrust",                        why the certificate was not accepted
     "error",                           why there is no status; null when there is one
     "no_route"}                        whether this machine has no way at all to the family's addresses

Names are asked of their zone's own name servers, so that what is told is what the zone says now, not what somebody
remembers; where none of these can be reached, of the machine's resolver.
"""

from __future__ import annotations

import errno
import http.client
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

RESOLVERS = "/etc/resolv.conf"
TYPES = {"IPv4": 1, "IPv6": 28}  # A, AAAA
NS = 2
FAMILIES = {"IPv4": socket.AF_INET, "IPv6": socket.AF_INET6}
DNS_SECONDS = 1.5  # of one question
ANSWER_SECONDS = 5.0  # to connect, and then for each part of an answer
AT_ONCE = 128
NO_ROUTE = (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
# As the proxy and the verdict on an update call themselves: the sites' statistics leave them out, and a site behind a
# password answers them.
AGENT = "apiary-health"
STATE = "Apiary-State"  # what the proxy tells those who look after sites besides (images/HAProxySetup)
PORTS = {"http": 80, "https": 443, "dns": 53}


class NoAnswerError(Exception):
    """Why, in one line."""


def question(name: str, kind: int, number: int) -> bytes:
    """A query for a name, recursion desired (RFC 1035)."""
    labels = [label.encode("idna") for label in name.rstrip(".").split(".")]
    packed = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + packed + struct.pack("!2H", kind, 1)


def answers(packet: bytes, kind: int) -> list[str]:
    """The data of a reply's answers of one type: addresses or names. Raises NoAnswerError for what is no reply."""
    try:
        _, flags, asked, given, _, _ = struct.unpack_from("!6H", packet)
        if not flags & 0x8000:
            raise NoAnswerError("sends a question back")
        if flags & 0x000F not in (0, 3):  # an error that is not "no such name"
            raise NoAnswerError(f"refuses with code {flags & 0x000F}")
        at = 12
        for _ in range(asked):
            at = _name(packet, at)[1] + 4
        found = []
        for _ in range(given):
            at = _name(packet, at)[1]
            type_, _, _, size = struct.unpack_from("!2HIH", packet, at)
            at += 10
            if type_ == kind:
                data = packet[at : at + size]
                found.append(_name(packet, at)[0] if kind == NS else _address(data))
            at += size
    except (struct.error, IndexError, OSError, ValueError) as error:
        raise NoAnswerError(f"sends no DNS reply ({error})") from None
    return found


def _address(data: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)


def _name(packet: bytes, at: int) -> tuple[str, int]:
    """A name, its parts elsewhere in the packet followed, and where it ends."""
    labels, end, hops = [], 0, 0
    while size := packet[at]:
        if size & 0xC0:
            end = end or at + 2
            at = struct.unpack_from("!H", packet, at)[0] & 0x3FFF
            hops += 1
            if hops > 20:
                raise ValueError("a name that leads to itself")
            continue
        labels.append(packet[at + 1 : at + 1 + size].decode("ascii"))
        at += 1 + size
    return ".".join(labels), end or at + 1


def ask_dns(server: str, name: str, kind: int) -> list[str]:
    """What a server says of a name. Raises NoAnswerError."""
    number = struct.unpack("!H", os.urandom(2))[0]
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.settimeout(DNS_SECONDS)
            client.connect((server, PORTS["dns"]))
            client.send(question(name, kind, number))
            while True:
                packet = client.recv(65535)
                if packet[:2] == struct.pack("!H", number):
                    return answers(packet, kind)
    except OSError as error:
        raise NoAnswerError(f"{server} does not answer ({error})") from None


def resolvers() -> list[str]:
    try:
        with open(RESOLVERS, encoding="utf-8") as file:
            words = [line.split() for line in file]
    except OSError:
        return []
    return [word[1].partition("%")[0] for word in words if len(word) > 1 and word[0] == "nameserver"]


def name_servers(zone: str) -> list[tuple[str, str]]:
    """(name, address) of the zone's own, as the world is told them; none where nobody here tells."""
    for resolver in resolvers():
        try:
            names = ask_dns(resolver, zone, NS)
        except NoAnswerError:
            continue
        return [(name, address) for name in sorted(names) for address in _resolved(name, socket.AF_UNSPEC)[:1]]
    return []


def _resolved(name: str, family: int) -> list[str]:
    try:
        found = socket.getaddrinfo(name, None, family, socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def look_up(name: str, family: str, servers: list[tuple[str, str]]) -> tuple[list[str], str]:
    """The addresses of a name, and who told them."""
    for called, address in servers:
        try:
            return ask_dns(address, name, TYPES[family]), called
        except NoAnswerError:
            continue
    return _resolved(name, FAMILIES[family]), ""


def visit(site: dict[str, Any], family: str, servers: list[tuple[str, str]]) -> dict[str, Any]:
    """One visit, to its end."""
    addresses, asked = look_up(site["host"], family, servers)
    told: dict[str, Any] = {"domain": site["domain"], "family": family, "asked": asked, "addresses": addresses,
                            "status": None, "ms": None, "certificate": None, "distrust": None, "error": None,
                            "maintenance": False, "nowhere": False, "no_route": False}  # fmt: skip
    if not addresses:
        return {**told, "error": "has no address in DNS"}
    try:
        try:
            return {**told, **request(addresses[0], site, ssl.create_default_context())}
        except ssl.SSLCertVerificationError as error:
            told["distrust"] = error.verify_message
            return {**told, **request(addresses[0], site, blind())}
    except OSError as error:
        return {**told, "error": f"no answer ({reason(error)})", "no_route": error.errno in NO_ROUTE}
    except http.client.HTTPException as error:
        return {**told, "error": f"no HTTP answer ({error!r})"}


def reason(error: OSError) -> str:
    return "timed out" if isinstance(error, TimeoutError) else error.strerror or str(error)


def blind() -> ssl.SSLContext:
    """To see what is behind a certificate that is not accepted, which is told."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def request(address: str, site: dict[str, Any], trust: ssl.SSLContext) -> dict[str, Any]:
    """A GET, and how long its answer took, the connection included."""
    scheme = "https" if site["tls"] else "http"
    started = time.monotonic()
    connection = http.client.HTTPConnection(address, PORTS[scheme], timeout=ANSWER_SECONDS)
    try:
        connection.connect()
        certificate = None
        if site["tls"]:
            tls = connection.sock = trust.wrap_socket(connection.sock, server_hostname=site["host"])
            dates = tls.getpeercert() or {}
            if "notAfter" in dates:
                certificate = {
                    "begins": ssl.cert_time_to_seconds(str(dates["notBefore"])),
                    "ends": ssl.cert_time_to_seconds(str(dates["notAfter"])),
                }
        connection.request("GET", site["path"], headers={"Host": site["host"], "User-Agent": AGENT})
        answer = connection.getresponse()
    finally:
        connection.close()
    return {
        "status": answer.status,
        "ms": round((time.monotonic() - started) * 1000),
        "certificate": certificate,
        "maintenance": answer.getheader(STATE) == "maintenance",
        "nowhere": answer.getheader(STATE) == "nowhere",
    }


def main(told: dict[str, Any]) -> None:
    """`told`: {"sites": [{"domain": how the site is called, "host": by which it is asked for, "zone", "path", "tls"}],
    "seconds": until it ends, whatever is still missing}.
    """
    lock = threading.Lock()

    def end() -> None:
        os._exit(0)

    bell = threading.Timer(told["seconds"], end)
    bell.daemon = True
    bell.start()

    def one(site: dict[str, Any], family: str) -> None:
        line = json.dumps(visit(site, family, servers[site["zone"]]))
        with lock:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        zones = sorted({site["zone"] for site in told["sites"]})
        servers = dict(zip(zones, pool.map(name_servers, zones), strict=True))
        for done in [pool.submit(one, site, family) for site in told["sites"] for family in FAMILIES]:
            done.result()
