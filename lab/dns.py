"""The region's DNS server: authoritative for the zones of the emulator's state, a forwarder for everything
else.

Runs on its own inside a container, with Debian's python3-dnslib and nothing of the lab:

    python3 dns.py --state /lab/region.json --subnet 10.88.0.0/16 --site 2001:db8:77::/48

Reads `domains` ({zone: {"records": [{type, name, data, priority, ttl}]}}), `reverse_ipv4` ({address: name}) and
`reverse_ipv6` ({instance: {address: name}}) from the state, again whenever the file has changed; a file that
can't be parsed keeps the last good one. AAAA of outside names are answered as "no such data": the region's IPv6
is a documentation prefix without a way out, and clients would wait for time-outs before they try IPv4.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Iterable
from typing import Any

from dnslib import AAAA, CAA, CNAME, MX, NS, PTR, QTYPE, RCODE, RD, RR, SOA, SRV, TXT, A, DNSError, DNSHeader, DNSRecord

TTL = 300  # seconds, for records without one and for negative answers
FORWARD_SECONDS = 5.0
PRIMARY = "ns1.vultr.com"
INTERNAL = "lab.internal"  # the region's own services by name, whatever its addresses are

Record = dict[str, Any]
Reverse = dict[str, str]


class Zones:
    """What the region knows. Names are lower case, without the final dot; "" is no name."""

    def __init__(self, state: dict[str, Any], subnet: str, site: str, hosts: Reverse | None = None) -> None:
        self.zones: dict[str, dict[str, list[Record]]] = {}
        for zone, content in (state.get("domains") or {}).items():
            names: dict[str, list[Record]] = {}
            for record in content.get("records") or []:
                name = _name(record.get("name") or "")
                names.setdefault(f"{name}.{_name(zone)}" if name else _name(zone), []).append(record)
            self.zones[_name(zone)] = names
        reverse = dict(state.get("reverse_ipv4") or {})
        for entries in (state.get("reverse_ipv6") or {}).values():
            reverse.update(entries)
        pointers = {
            ipaddress.ip_address(address).reverse_pointer: [{"type": "PTR", "data": name}]
            for address, name in reverse.items()
        }
        self.zones[INTERNAL] = {}
        for name, address in (hosts or {}).items():
            # Of what belongs to others, the region has that name and nothing beside it.
            zone = INTERNAL if name.endswith("." + INTERNAL) else name
            self.zones.setdefault(zone, {})[name] = [{"type": "A", "data": address}]
        for apex in (_reverse_zone(subnet), _reverse_zone(site)):
            self.zones[apex] = {name: data for name, data in pointers.items() if name.endswith("." + apex)}

    def zone_of(self, name: str) -> str | None:
        """The longest zone that holds the name, None when it is not ours."""
        labels = name.split(".")
        for start in range(len(labels)):
            if (zone := ".".join(labels[start:])) in self.zones:
                return zone
        return None

    def lookup(self, name: str, zone: str) -> list[Record] | None:
        """The records at a name: its own, [] when only names lie below it, a wildcard's; None: no name."""
        names = self.zones[zone]
        if name in names:
            return names[name]
        if name == zone or any(other.endswith("." + name) for other in names):
            return []
        labels = name.split(".")
        for start in range(1, len(labels)):
            parent = ".".join(labels[start:])
            if "*." + parent in names:
                return names["*." + parent]
            if parent in names or parent == zone or any(other.endswith("." + parent) for other in names):
                return None
        return None

    def delegation(self, name: str, zone: str) -> tuple[str, list[Record]] | None:
        """The NS records of a cut between the zone's apex and the name."""
        while name != zone:
            servers = [record for record in self.zones[zone].get(name, []) if record["type"] == "NS"]
            if servers:
                return name, servers
            name = name.split(".", 1)[1]
        return None


def answer(zones: Zones, query: DNSRecord) -> DNSRecord | None:
    """The reply to a query for a name of the region's, None when it has to be forwarded."""
    name, qtype = _name(str(query.q.qname)), QTYPE[query.q.qtype]
    zone = zones.zone_of(name)
    if zone is None:
        return None
    reply = DNSRecord(DNSHeader(id=query.header.id, qr=1, aa=1, ra=1, rd=query.header.rd), q=query.q)
    for _ in range(8):  # a chain of CNAMEs
        cut = zones.delegation(name, zone)
        if cut and not (name == cut[0] and qtype == "DS"):
            reply.header.aa = 0
            reply.add_auth(*_rrs(cut[0], cut[1]))
            return reply
        found = zones.lookup(name, zone)
        if found is None:
            reply.header.rcode = RCODE.NXDOMAIN
            break
        if name == zone and qtype in {"SOA", "ANY"}:
            reply.add_answer(_soa(zone))
        exact = [record for record in found if qtype in (record["type"], "ANY")]
        reply.add_answer(*_rrs(name, exact))
        alias = next((record for record in found if record["type"] == "CNAME"), None)
        if exact or alias is None:
            break
        reply.add_answer(*_rrs(name, [alias]))
        name = _name(str(alias["data"]))
        target = zones.zone_of(name)
        if target is None:
            return reply  # the asking resolver follows it
        zone = target
    if not any(qtype in (QTYPE[rr.rtype], "ANY") for rr in reply.rr):
        reply.add_auth(_soa(zone))
    return reply


def respond(zones: Zones, packet: bytes, tcp: bool, upstream: str) -> bytes | None:
    """The bytes to send back for a packet, None for what is no query."""
    try:
        query = DNSRecord.parse(packet)
    except DNSError as error:
        print(f"dns: malformed packet: {error}", file=sys.stderr, flush=True)
        return None
    if query.header.qr or not query.questions:
        return None
    reply = answer(zones, query)
    if reply is None:
        if QTYPE[query.q.qtype] == "AAAA":
            reply = query.reply(ra=1, aa=0)
        else:
            try:
                return forward(packet, tcp, upstream)
            except OSError as error:
                print(f"dns: {query.q.qname}: no answer from {upstream}: {error}", file=sys.stderr, flush=True)
                reply = query.reply(ra=1, aa=0)
                reply.header.rcode = RCODE.SERVFAIL
    edns = next((record for record in query.ar if record.rtype == QTYPE.OPT), None)
    if edns is not None:
        reply.add_ar(RR(rtype=QTYPE.OPT, rclass=1232, ttl=0, rdata=edns.rdata))
    limit = max(512, edns.rclass) if edns is not None else 512
    content = bytes(reply.pack())
    return content if tcp or len(content) <= limit else bytes(reply.truncate().pack())


def forward(packet: bytes, tcp: bool, upstream: str) -> bytes:
    """The answer of the machine's own resolver: by UDP, which every one speaks, then by TCP.

    Raises OSError.
    """
    content = _forward_udp(packet, upstream)
    if tcp and content[2] & 0x02:  # truncated
        with socket.create_connection((upstream, 53), FORWARD_SECONDS) as stream:
            stream.sendall(struct.pack("!H", len(packet)) + packet)
            return _exactly(stream, struct.unpack("!H", _exactly(stream, 2))[0])
    return content


def _forward_udp(packet: bytes, upstream: str) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        datagram.settimeout(FORWARD_SECONDS)
        datagram.connect((upstream, 53))
        datagram.send(packet)
        while True:
            content = datagram.recv(65535)
            if len(content) > 11 and content[:2] == packet[:2]:
                return content


def _exactly(stream: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        part = stream.recv(size - len(content))
        if not part:
            raise ConnectionError("connection closed early")
        content += part
    return content


def _name(text: str) -> str:
    return text.rstrip(".").lower()


def _reverse_zone(network: str) -> str:
    """10.88.0.0/16 -> 88.10.in-addr.arpa, 2001:db8:77::/48 -> 7.7.0.0.8.b.d.0.1.0.0.2.ip6.arpa."""
    net = ipaddress.ip_network(network)
    labels = net.network_address.reverse_pointer.split(".")
    bits = 8 if net.version == 4 else 4
    return ".".join(labels[(net.max_prefixlen - net.prefixlen) // bits :])


def _soa(zone: str) -> RR:
    times = (1, 3600, 600, 604800, TTL)
    return RR(zone, QTYPE.SOA, ttl=TTL, rdata=SOA(PRIMARY, "dnsadm.vultr.com", times))


def _rrs(name: str, records: Iterable[Record]) -> list[RR]:
    found = []
    for record in records:
        try:
            data = _rdata(record["type"], str(record["data"]), int(record.get("priority") or 0))
        except (ValueError, TypeError) as error:
            print(
                f"dns: {name} {record['type']} {record['data']!r} left out: {error}",
                file=sys.stderr,
                flush=True,
            )
            continue
        found.append(RR(name, getattr(QTYPE, record["type"]), ttl=int(record.get("ttl") or TTL), rdata=data))
    return found


def _rdata(kind: str, data: str, priority: int) -> Any:  # noqa: ANN401, PLR0911 - dnslib is untyped; one a type
    if kind in {"A", "AAAA"}:
        return {"A": A, "AAAA": AAAA}[kind](str(ipaddress.ip_address(data)))
    if kind in {"CNAME", "NS", "PTR"}:
        return {"CNAME": CNAME, "NS": NS, "PTR": PTR}[kind](data)
    if kind == "MX":
        return MX(data, priority)
    if kind == "SRV":
        weight, port, target = data.split()
        return SRV(priority, int(weight), int(port), target)
    if kind == "CAA":
        flags, tag, value = data.split(None, 2)
        return CAA(int(flags), tag, value.strip('"'))
    if kind == "TXT":
        # One pair of quotes around the whole, and nothing escaped: a backslash is a backslash.
        text = (data[1:-1] if len(data) > 1 and data[0] == data[-1] == '"' else data).encode()
        pieces = [text[at : at + 255] for at in range(0, max(len(text), 1), 255)]
        return TXT(pieces)
    if kind == "SSHFP":
        algorithm, type_, fingerprint = data.split()
        return RD(bytes([int(algorithm), int(type_)]) + bytes.fromhex(fingerprint))
    raise ValueError(f"type {kind} is not served")


class State:
    """The zones of a file that others replace at any time."""

    def __init__(self, path: str, subnet: str, site: str, hosts: Reverse) -> None:
        self._path, self._networks = path, (subnet, site, hosts)
        self._lock = threading.Lock()
        self._seen: object = object()
        self._zones = Zones({}, *self._networks)

    def zones(self) -> Zones:
        """The zones as of now; one stat when nothing has changed."""
        with self._lock:
            try:
                status = os.stat(self._path)
                seen: object = (status.st_mtime_ns, status.st_size, status.st_ino)
            except FileNotFoundError:
                seen = None
            if seen != self._seen:
                try:
                    state: dict[str, Any] = {}
                    if seen is not None:
                        with open(self._path, encoding="utf-8") as file:
                            state = json.load(file)
                    self._zones = Zones(state, *self._networks)
                except (OSError, ValueError, KeyError, AttributeError) as error:
                    print(f"dns: {self._path} not read: {error}", file=sys.stderr, flush=True)
                self._seen = seen
            return self._zones


def serve(state: State, host: str, port: int, upstream: str) -> None:
    """Answers on UDP and TCP until the process ends."""

    class Udp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            packet, sock = self.request
            content = respond(state.zones(), packet, False, upstream)
            if content is not None:
                sock.sendto(content, self.client_address)

    class Tcp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(10)
            try:
                while True:
                    packet = _exactly(self.request, struct.unpack("!H", _exactly(self.request, 2))[0])
                    content = respond(state.zones(), packet, True, upstream)
                    if content is None:
                        return
                    self.request.sendall(struct.pack("!H", len(content)) + content)
            except OSError:
                return  # the client has gone, or said nothing for 10 s

    class UdpServer(socketserver.ThreadingUDPServer):
        daemon_threads = True
        max_packet_size = 65535

    class TcpServer(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    tcp = TcpServer((host, port), Tcp)
    threading.Thread(target=tcp.serve_forever, daemon=True).start()
    with UdpServer((host, port), Udp) as udp:
        udp.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--state", required=True)
    parser.add_argument("--subnet", required=True)
    parser.add_argument("--host", action="append", default=[], metavar="NAME=IPV4", help="of the region itself")
    parser.add_argument("--site", required=True)
    parser.add_argument("--upstream", default="127.0.0.11")
    parser.add_argument("--listen", default="0.0.0.0:53")
    options = parser.parse_args()
    host, port = options.listen.rsplit(":", 1)
    hosts = dict(words.split("=", 1) for words in options.host)
    serve(State(options.state, options.subnet, options.site, hosts), host, int(port), options.upstream)


if __name__ == "__main__":
    main()
