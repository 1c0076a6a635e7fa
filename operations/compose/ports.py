"""Published ports: which is a site behind the proxy, which is published, which nobody outside has to reach."""

from __future__ import annotations

import re
from ipaddress import ip_address

from operations.coming.errors import Wrong, mapping, show
from operations.compose import sites
from operations.compose.scene import One

# TCP ports of programs that do not speak HTTP; all others that a service publishes are taken for sites.
_NO_WEB = frozenset((
    20, 21, 22, 23, 25, 53, 110, 111, 119, 135, 137, 139, 143, 161, 162, 179, 194, 389, 445, 465, 514, 515, 548, 554,
    563, 587, 631, 636, 853, 873, 990, 993, 995, 1080, 1194, 1723, 1883, 1935, 2049, 2222, 2525, 3389, 3478, 4190, 5222,
    5223, 5269, 5349, 5671, 5900, 6514, 6667, 6697, 6881, 8554, 8883, 9418, 10011, 10200, 10300, 10400, 21115, 21116,
    21117, 22000, 25565, 25575, 27015, 30033, 50000, 51413, 64738,
))  # fmt: skip
# Those that other containers reach by name, and that stand open to the world by mistake more often than not: databases,
# queues, catchers of mail, what programs speak among themselves.
_INSIDE = frozenset((
    1025, 1433, 1521, 2181, 2379, 2380, 3306, 3310, 4222, 4317, 4318, 4369, 5432, 5433, 5672, 6379, 7233, 7687, 7946,
    9042, 9092, 9200, 9300, 11211, 14250, 19530, 25672, 26257, 26379, 27017, 28015, 29092, 50051, 61613, 61616,
))  # fmt: skip
# Numbers that are so with some images alone: web applications have them as well (ownCloud, Home Assistant, MinIO).
_CLICKHOUSE = re.compile("clickhouse", re.IGNORECASE)
_BY_IMAGE = {
    9200: re.compile(r"elastic|opensearch|zinc|manticore|quickwit", re.IGNORECASE),
    8123: _CLICKHOUSE,
    9000: _CLICKHOUSE,
}
# Programs that lead others outwards: whoever asks them for a site wants somebody else's.
_OUTWARDS = re.compile(r"squid|tinyproxy|privoxy|3proxy|dante|socks", re.IGNORECASE)
# Programs to which nobody comes by HTTP at any number, and from outside hardly ever.
_INWARDS = re.compile(r"(?:^|/)(?:cp-)?(?:kafka|zookeeper)(?:-native)?(?=[:@]|$)")
_HTTPS = re.compile(r"\d*443|8448|8834|8920")  # by custom
_NUMBER = re.compile(r"[0-9]{1,5}")


def convert(one: One, value: object) -> None:
    """Say what becomes of each published port."""
    ports = [mapping(port, '"8080:80"') for port in (value if isinstance(value, list) else [])]
    left = {index for index in range(len(ports)) if one.told.is_left_out(*one.at("ports", index))}
    both = {str(port["target"]) for port in ports if str(port.get("protocol")) == "udp"} - {"443"}  # that is HTTP/3
    webs = [
        index
        for index, port in enumerate(ports)
        # Who listens to datagrams at a number as well speaks no HTTP there (SNMP, calls).
        if index not in left and _is_site(one, port) and str(port["target"]) not in both
    ]
    webs.sort(key=lambda index: (is_closed(ports[index].get("host_ip")), not ports[index].get("published")))
    wished = one.said.port
    chosen = next((index for index in webs if ports[index]["target"] == wished), None)
    if chosen is None and not wished:
        chosen = next((index for index in webs if not _is_https(ports[index])), None)
    has_site = chosen is not None or sites.by_words(one, is_site=bool(webs and wished))
    for index, port in enumerate(ports):
        if index in left:
            one.told.left_out(*one.at("ports", index))
        elif index == chosen and is_closed(port.get("host_ip")) and (front := sites.behind(one)):
            one.told.needless(one.at("ports", index), f"who comes from outside comes to {front}, and not to it")
        elif index == chosen and is_closed(port.get("host_ip")) and not sites.is_named(one):
            one.told.cannot(
                one.at("ports", index),
                f"{port['host_ip']} let nobody in from outside, and a site is everybody's; name its domain by --domain "
                f"{one.service}=example.com if a proxy led visitors there, or leave it out by --leave-out "
                f"'services.{one.service}.ports[{index}]'",
            )
        elif index == chosen:
            sites.site(one, int(str(port["target"])), one.at("ports", index))
        elif index in webs and chosen is not None and port["target"] == ports[chosen]["target"]:
            one.told.needless(one.at("ports", index), "it is the port of the site already")
        elif index in webs:
            _further(one, index, port, has_site=has_site)
        elif has_site and (str(port["target"]), port.get("protocol")) == ("443", "udp"):
            one.told.needless(one.at("ports", index), "it is HTTP/3, and visitors speak HTTP/2 with the proxy")
        else:
            _port(one, index, port)


def _is_https(port: dict[str, object]) -> bool:
    return _HTTPS.fullmatch(str(port["target"])) is not None or str(port.get("published")) == "443"


def _further(one: One, index: int, port: dict[str, object], *, has_site: bool) -> None:
    """A port that would be a site too."""
    at, target = one.at("ports", index), int(str(port["target"]))
    if _is_https(port) and has_site:
        one.told.needless(at, "the proxy speaks https with visitors, and http with the container")
        one.told.do(
            f"see that {one.entry.name} answers over http: who leads from http to https by itself (a Caddyfile that "
            "begins with a domain, an nginx with return 301) would send visitors in a circle behind the proxy"
        )
        return
    if _is_local(port.get("host_ip")) or not port.get("published"):
        _port(one, index, port)
        return
    how = "the proxy speaks http with containers" if _HTTPS.fullmatch(str(target)) else "one application is one site"
    one.told.cannot(
        at,
        f"{how}, and {target} is a further port of it; name the one that is the site by VIRTUAL_PORT in environment; "
        "say app_protocol: tcp in its long form if it does not speak http, or "
        f"leave this one out by --leave-out 'services.{one.service}.ports[{index}]'",
    )


def _port(one: One, index: int, port: dict[str, object]) -> None:
    at = one.at("ports", index)
    target, published = str(port["target"]), port.get("published")
    first = int(target.partition("-")[0])
    if _is_inside(one, first) or one.database is not None:
        one.told.needless(
            at, f"containers reach it by name, and nobody else should; if the world shall, write ports: [{first}]"
        )
    elif _is_local(port.get("host_ip")):
        one.told.needless(at, "it is the machine's own, and containers reach it by name")
    elif one.is_job:
        one.told.cannot(at, "a job publishes no ports; let it stay up, with restart: unless-stopped")
    else:
        _published(one, port, target, published, at)


def _published(one: One, port: dict[str, object], target: str, published: object, at: tuple[str | int, ...]) -> None:
    protocol = str(port.get("protocol") or "tcp")
    outer = str(published) if published not in (None, "") else ""
    if not outer:
        one.told.needless(at, "it had another number on the server at each start, so nobody goes by it")
        return
    if "-" in outer and "-" not in target:
        raise Wrong(f"{show(outer)} leaves the number open; write one, as in {outer.partition('-')[0]}:{target}")
    spelt = (outer if outer == target else f"{outer}:{target}") + (f"/{protocol}" if protocol != "tcp" else "")
    one.entry.put("ports", [int(spelt) if _NUMBER.fullmatch(spelt) else spelt], at)
    if port.get("host_ip") in (None, "", "0.0.0.0", "::"):  # noqa: S104 - what compose files say
        one.told.becomes(at, f"ports: {spelt}, open to the world")
    else:
        one.told.differs(at, f"ports: {spelt}, open to the world at every address of the server")


def _is_site(one: One, port: object) -> bool:
    if not isinstance(port, dict) or str(port.get("protocol") or "tcp") != "tcp" or one.is_job or one.database:
        return False
    target = str(port.get("target"))
    if port.get("app_protocol") not in (None, "http", "https", "http2", "h2c"):
        return False
    # Another port of the machine in front of 22, 25 or 5432 does not make it another program.
    return is_web(one, target)


def is_web(one: One, port: str) -> bool:
    """Whether a service may be a site at a port."""
    if not _NUMBER.fullmatch(port) or not 0 < int(port) < 65536 or _OUTWARDS.search(one.image):
        return False
    return int(port) not in _NO_WEB and not _is_inside(one, int(port))


def _is_inside(one: One, port: int) -> bool:
    """Whether other containers alone come to a port."""
    if _INWARDS.search(one.image):
        return True
    kind = _BY_IMAGE.get(port)
    return bool(kind.search(one.image)) if kind and one.image else port in _INSIDE


def is_closed(address: object) -> bool:
    """Whether nobody reaches an address from outside."""
    try:
        known = ip_address(str(address))
    except ValueError:
        return address == "localhost"
    return not known.is_global and not known.is_unspecified


def _is_local(address: object) -> bool:
    try:
        return ip_address(str(address)).is_loopback
    except ValueError:
        return address == "localhost"
