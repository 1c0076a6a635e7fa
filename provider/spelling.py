"""When two spellings of a value are the same to Vultr, in one place.

What the API reads back is often spelled in another way than it was written: IPv6 addresses in full, targets without
their last dot or in Unicode, TXT in quotes, a priority of -1 where there is none. A value that only looks different is
no change: the state keeps the spelling that it has, and the program its own.

Each function gives a value to compare by, from a property and the properties beside it.
"""

from __future__ import annotations

import ipaddress

from provider.protocol.base import UNKNOWN, Props, Value

PRIORITIZED = ("MX", "SRV")
NAMED = ("CNAME", "NS", "MX", "SRV")  # data that ends with the name of a host


def address(value: Value, beside: Props) -> Value:
    """An address, of whichever spelling; anything else as it is."""
    try:
        return ipaddress.ip_address(str(value)).compressed
    except ValueError:
        return value


def full(value: str) -> str:
    """An IPv6 address with all its digits, the only spelling in which Vultr takes reverse entries."""
    try:
        return ipaddress.ip_address(value).exploded
    except ValueError:
        return value


def priority(value: Value, beside: Props) -> Value:
    """Records of most types have none, which Vultr reads back as -1."""
    return max(0, int(value or 0)) if beside.get("type") in PRIORITIZED else 0


def data(value: Value, beside: Props) -> Value:
    """What a record says, by its type."""
    text, kind = str(value), beside.get("type")
    match kind:
        case "A" | "AAAA":
            return address(text, beside)
        case "TXT":
            return unquoted(text)
        case "CAA":
            *head, last = text.split(maxsplit=2)
            return " ".join([*head, unquoted(last)]) if len(head) == 2 else text
        case "SSHFP":
            return text.lower()
        case _ if kind in NAMED:
            return host(text) or "."
    return text


def host(text: str) -> str:
    """A host's name, whatever its case and last dot, and whether its letters are written as they are or as `xn--`.

    SRV's weight and port may stand before it.
    """
    *front, name = text.lower().removesuffix(".").split(" ")
    return " ".join([*front, ".".join(letters(label) for label in name.split("."))])


def letters(label: str) -> str:
    """One step of a host's name as its letters; as it is where it has none of its own."""
    try:
        return label.encode("ascii").decode("idna") if label.startswith("xn--") else label
    except UnicodeError:
        return label


def unquoted(text: str) -> str:
    """Without the quotes around it."""
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text


def keys(value: Value, beside: Props) -> Value:
    """A public key without blanks around it."""
    return str(value).strip()


def name(value: Value, beside: Props) -> Value:
    """See host."""
    return host(str(value))


def scheme(value: Value, beside: Props) -> Value:
    """Whose account a server has; where nothing is said it is root's."""
    return value or "root"


def same(form: object, old: tuple[Value, Props], new: tuple[Value, Props]) -> bool:
    """Whether two values, each with those beside it, are one by the function `form`."""
    assert callable(form)  # noqa: S101 (a table of functions)
    if UNKNOWN in (old[0], new[0]):
        return False
    return bool(form(*old) == form(*new))
