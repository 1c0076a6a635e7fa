"""The small languages inside settings: names, domains, addresses, identifiers.

Makes: one pure function a language, text in, checked and canonical text out. Leaves alone: the languages of
containers (`container_texts`), the models, and anything that needs the whole file (`checks`). Each function
raises ValueError whose message says what is wrong and what to write.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

import idna

from settings.errors import did_you_mean, show

_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_RECORD_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]*")
_PLAN = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_DIGITS = 7
# Numbers of Vultr's API v1 by the names that its successor has for the same.
_PLANS_OF_V1 = {
    200: "vc2-1c-0.5gb",
    201: "vc2-1c-1gb",
    202: "vc2-1c-2gb",
    203: "vc2-2c-4gb",
    204: "vc2-4c-8gb",
    205: "vc2-6c-16gb",
    206: "vc2-8c-32gb",
}
_REGIONS_OF_V1 = {
    1: "ewr",
    2: "ord",
    3: "dfw",
    4: "sea",
    5: "lax",
    6: "atl",
    7: "ams",
    8: "lhr",
    9: "fra",
    12: "sjc",
    19: "syd",
    24: "cdg",
    25: "nrt",
    39: "mia",
    40: "sgp",
}
_SYSTEMS = {2136: "Debian 12", 2625: "Debian 13"}
_OLD_SYSTEMS = {244: "Debian 9", 270: "Ubuntu 18.04", 352: "Debian 10", 387: "Ubuntu 20.04", 477: "Debian 11"}
_DOTS = re.compile("[.\u3002\uff0e\uff61]")  # those of other scripts as well (RFC 3490)
_URL_PATH = re.compile(r"/[A-Za-z0-9/._~!$&()*+,;=:@%?-]*")
_STATUSES = re.compile(r"[0-9]{3}(?:-[0-9]{3})?(?:,[0-9]{3}(?:-[0-9]{3})?)*")
_PRIVATE_NETS = tuple(IPv4Network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


def name(text: str) -> str:
    """Check a name of a server, application or job: it becomes a host name, so it is a DNS label of at most
    40.
    """
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{show(text)} is not a usable name; write lower-case letters, digits and hyphens, "
            "a letter first, at most 40 characters"
        )
    return text


def region_code(text: str) -> str:
    """Check the code of a region."""
    return _identifier(text, _SLUG, "digits and hyphens")


def plan_name(text: str) -> str:
    """Check the name of a plan; some kinds of plan can't be a server of a stack."""
    _identifier(text, _PLAN, "digits, dots and hyphens")
    if text.endswith("-v6"):
        raise ValueError(f"{show(text)} has no IPv4 address, and every server reserves one; write another plan")
    if re.fullmatch(r"vx1-[a-z]-\d+c-\d+g", text):  # those with a disk end with its size
        raise ValueError(f'{show(text)} has no disk of its own; write the one that has, as in "vx1-g-2c-8g-120s"')
    if text.startswith("vbm-"):
        raise ValueError(f"{show(text)} is bare metal, which is not rented here; write the plan of an instance")
    return text


def _identifier(text: str, pattern: re.Pattern[str], further: str) -> str:
    if not pattern.fullmatch(text):
        if pattern.fullmatch(text.lower()):
            raise ValueError(f"{show(text)} is written in lower case; write {show(text.lower())}")
        raise ValueError(f"{show(text)} is not an identifier; the provider writes lower-case letters, {further}")
    return text


def plan(value: object) -> object:
    """Refuse the number of a plan, which Vultr's API v1 had (until 2023-08) and quotes do not make a name."""
    number = _number(value)
    if number is None:
        return value
    name = _PLANS_OF_V1.get(number)
    remedy = f"it is called {name} now" if name else 'write its name, e.g. "vc2-1c-2gb"'
    raise ValueError(f"{number} is a plan's number in Vultr's API v1, which has ended; {remedy}")


def region(value: object) -> object:
    """Refuse a region as the API v1 had it: a number, or its code in capitals."""
    number = _number(value)
    if number is not None:
        code = _REGIONS_OF_V1.get(number)
        remedy = f'it is called "{code}" now' if code else 'write its code, e.g. "ewr"'
        raise ValueError(f"{number} is a region's number in Vultr's API v1, which has ended; {remedy}")
    if isinstance(value, str) and re.fullmatch(r"[A-Z]{3}", value):
        raise ValueError(f"{show(value)} is written in lower case; write {show(value.lower())}")
    return value


def operating_system(value: object) -> object:
    """Check the number of an operating system: the bootstrap is made for, and tried on, two."""
    number = _number(value)
    if number is None or (number in _SYSTEMS and isinstance(value, int)):
        return value
    if number in _SYSTEMS:
        raise ValueError(f"must be a whole number, not text; write {number} without quotes")
    known = ", ".join(f"{one} ({name})" for one, name in _SYSTEMS.items())
    old = f"{_OLD_SYSTEMS[number]}, which is not supported" if number in _OLD_SYSTEMS else "not supported"
    raise ValueError(f"{show(number)} is {old}; write {known}")


def _number(value: object) -> int | None:
    """What is a number, in quotes or not; none of more digits than the provider ever gave."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) <= _DIGITS else None
    return value


def folder(text: str) -> str:
    """Check the name of a folder under images/."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise ValueError(
            f"{show(text)} is not the name of a folder under images/; write the bare name, e.g. NginxStatic"
        )
    return text


def playbook(text: str) -> str:
    """Check the file name of a playbook."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*\.ya?ml", text):
        raise ValueError(f"{show(text)} is not a file of playbooks/; write the bare file name, e.g. web.yml")
    return text


def secret_name(text: str) -> str:
    """Check a name in `secrets`, which references spell as `_secrets^NAME`."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", text):
        raise ValueError("is not a usable name; write letters, digits and _ , a letter first")
    return text


def domain(text: str) -> str:
    """Check a full domain name: ASCII (IDNA 2008 for other scripts), lower case, two labels or more, no final dot."""
    labels = _labels(text, _LABEL)
    if len(labels) < 2:
        raise ValueError(
            f"{show(text)} is not a domain name; write letters, digits and hyphens between dots, as in blog.example.com"
        )
    return text


def _labels(text: str, label: re.Pattern[str]) -> list[str]:
    """Split a name into labels of the given kind, the last one no number; one and more."""
    bare = text.strip().lower().rstrip(".")
    if "/" in text:
        raise ValueError(f'{show(text)} is not a bare domain name; write it without "://" or "/", as in example.com')
    if not text.isascii():
        raise ValueError(_not_ascii(text))
    if text != bare:
        raise ValueError(f"{show(text)} must be lower case without blanks or a final dot; write {show(bare)}")
    labels = text.split(".")
    _refuse_long(text, labels)
    if labels[-1].isdigit() or not all(label.fullmatch(one) for one in labels):
        raise ValueError(
            f"{show(text)} is not a domain name; write letters, digits and hyphens between dots, as in blog.example.com"
        )
    _refuse_no_idna(text, labels)
    return labels


def host_target(text: str) -> str:
    """Check what an MX or NS record points at: the name of a host (RFC 1123), a final dot allowed."""
    return _target(text, _LABEL)


def name_target(text: str) -> str:
    """Check what a CNAME or SRV record points at: any name, `_` in it too (RFC 2181), a final dot allowed."""
    return _target(text, _RECORD_LABEL)


def _target(text: str, label: re.Pattern[str]) -> str:
    bare = text.removesuffix(".")
    if not bare:
        raise ValueError(f"{show(text)} is the root, to which nothing leads here; write a name, as in mail.example.com")
    if label is _LABEL and "_" in bare and all(_RECORD_LABEL.fullmatch(one) for one in bare.split(".")):
        raise ValueError(f'{show(text)} has "_" in it, which no mail or name server\'s name has; write its own name')
    if len(_labels(bare, label)) < 2 and bare == text:
        raise ValueError(
            f"{show(text)} is one word, and names are not relative to the zone here; write it in full, as in "
            f'{text}.example.com, or with a final dot, "{text}.", if it is meant so'
        )
    return bare


def record_name(text: str) -> str:
    """Check a record's name within its zone: `""` is the apex, `_dmarc`, `*.apps` are allowed."""
    if not text:
        return text
    if text == "@":
        raise ValueError('"@" is not used here; the zone\'s own name is written name: ""')
    if not text.isascii():
        raise ValueError(_not_ascii(text))
    labels = text.split(".")
    _refuse_long(text, labels)
    tail = labels[1:] if labels[0] == "*" else labels
    if not all(_RECORD_LABEL.fullmatch(label) for label in tail):
        raise ValueError(
            f"{show(text)} is not a record name; write it in lower case and relative to the zone, as in mail or _dmarc"
        )
    _refuse_no_idna(text, labels)
    return text


def _refuse_long(text: str, labels: list[str]) -> None:
    if len(text) > 253:
        raise ValueError(f"{show(text)} has {len(text)} characters; a domain name has at most 253")
    for label in labels:
        if len(label) > 63:
            raise ValueError(f"{show(text)} has a part of {len(label)} characters; at most 63 may stand between dots")


def _not_ascii(text: str) -> str:
    """Say what to write for a name in another script: its form after IDNA 2008, which is what registries use.

    Upper case, full-width letters and dots and the like are first mapped as browsers map them (UTS 46, not
    transitional: `ß` and the final sigma stay what they are).
    """
    labels = []
    for label in _DOTS.split(text.strip()):
        try:
            # A label at a time: `_dmarc` and `*` beside other scripts are not idna's business.
            labels.append(label.lower() if label.isascii() else idna.encode(label, uts46=True).decode("ascii"))
        except idna.IDNAError as error:
            return f"{show(text)} is not a domain name after IDNA 2008: {error}; write another name"
    return f"{show(text)} is not ASCII; write its ASCII form, {show('.'.join(labels).rstrip('.'))}"


def _refuse_no_idna(text: str, labels: list[str]) -> None:
    """Refuse `xn--` labels that stand for nothing: no registry has them, and no browser shows them."""
    for label in labels:
        if label.startswith("xn--"):
            try:
                meant = idna.ulabel(label)
                spelt = idna.alabel(meant).decode("ascii")
            except idna.IDNAError as error:
                raise ValueError(
                    f"{show(text)} is not a domain name after IDNA 2008: {show(label)} stands for nothing that may be "
                    f"in one ({error}); write another name"
                ) from error
            if spelt != label:
                raise ValueError(f"{show(text)} spells {show(meant)} in another way; write {show(spelt)}")


def plain_text(text: str) -> str:
    """Check text that ends up in one line of a request or a file: not empty, no control characters."""
    if not text.strip():
        raise ValueError("is empty; write a value or leave the line out")
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise ValueError("holds a line break or another control character; write it on one line")
    return text


def private_ipv4(text: str) -> str:
    """Check a private IPv4 address (RFC 1918)."""
    try:
        address = IPv4Address(text)
    except ValueError:
        address = None
    if address is None or not any(address in net for net in _PRIVATE_NETS):
        raise ValueError(f'{show(text)} is not a private IPv4 address; write e.g. "192.168.150.10"')
    return str(address)


def private_ipv4_net(text: str) -> str:
    """Check a private IPv4 network of /16 to /28: Docker needs room for the gateway and every container."""
    try:
        net = IPv4Network(text)
    except ValueError:
        net = None
    if net is None or not 16 <= net.prefixlen <= 28 or not any(net.subnet_of(private) for private in _PRIVATE_NETS):
        raise ValueError(
            f'{show(text)} is not a private IPv4 network of /16 to /28 with its host bits 0; write e.g. "172.30.0.0/24"'
        )
    return str(net)


def source(text: str) -> str:
    """Check and canonically spell where connections may come from: a network of either family, or one address."""
    example = 'write e.g. "203.0.113.0/24", "2001:db8:5::/48" or one address'
    try:
        net = ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError(f"{show(text)} is neither a network nor an address; {example}") from error
    if net.prefixlen == 0:
        raise ValueError(f"{show(text)} is everywhere; leave the whole setting out for that")
    if isinstance(net, IPv6Network) and net.network_address.ipv4_mapped:
        raise ValueError(f"{show(text)} is IPv4 in disguise; write it as IPv4")
    if "/" in text and str(net.network_address) != str(ip_address(text.partition("/")[0])):
        raise ValueError(f'{show(text)} has bits set behind its length; write "{net}"')
    return str(net)


def ip_text(text: str, version: int) -> str:
    """Check and canonically spell an IP address of `version` 4 or 6."""
    try:
        address = ip_address(text)
    except ValueError:
        address = None
    if address is None or address.version != version or (isinstance(address, IPv6Address) and address.scope_id):
        example = "203.0.113.7" if version == 4 else "2001:db8:5::7"
        raise ValueError(f"{show(text)} is not an IPv{version} address; write e.g. {example}")
    return str(address)


def url_path(text: str) -> str:
    """Check the path of a request: one that the proxy's configuration can hold (hasetup/domains.py)."""
    if not _URL_PATH.fullmatch(text):
        raise ValueError(f'{show(text)} is not a path; write it from "/" on, without blanks, quotes or #, e.g. "/up"')
    return text


def statuses(text: str) -> str:
    """Check which statuses count as healthy, and spell them without blanks: `200-399,401`.

    They end up in the proxy's configuration (hasetup/domains.py). 5xx is what the proxy itself says for a site that
    is down, and 1xx is no answer yet.
    """
    spelt = "".join(text.split())
    if not _STATUSES.fullmatch(spelt):
        raise ValueError(f'{show(text)} is not a list of statuses; write them and their ranges, as in "200-399,401"')
    for part in spelt.split(","):
        first, _, last = part.partition("-")
        if not 200 <= int(first) <= int(last or first) <= 499:
            raise ValueError(
                f'{show(part)} is no status or range from 200 to 499, its lower end first; write "200-399"'
            )
    return spelt


def mirror_url(text: str) -> str:
    """Check a registry mirror: Docker takes scheme, host and port, nothing more."""
    problem = f'{show(text)} is not a registry mirror; write scheme and host only, as in "https://mirror.example.com"'
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError as error:
        raise ValueError(problem) from error
    if not usable or parts.username or parts.path.strip("/") or parts.query or parts.fragment or not text.isprintable():
        raise ValueError(problem)
    return text.rstrip("/")


def timezone(text: str) -> str:
    """Check a time zone against the tz database, if this machine has one."""
    if not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}", text):
        raise ValueError(f'{show(text)} is not a time zone; write e.g. "Etc/UTC" or "Europe/Berlin"')
    if _has_zone("Etc/UTC") and not _has_zone(text):
        raise ValueError(f"{show(text)} is not a time zone; {did_you_mean(text, available_timezones())}")
    return text


def _has_zone(text: str) -> bool:
    try:
        ZoneInfo(text)
    except (OSError, ValueError, KeyError):
        return False
    return True
