"""Entries of `env.domains`: `example.com`, `example.com/api`, `*.example.com`.

Makes: the parsed form, checks of the text, and by what a site of such an entry is asked for from outside. Leaves alone:
who serves which (`checks.domains`), and how the proxy leads there (images/HAProxySetup/hasetup/domains.py, whose
alphabet this is).
"""

import re
from typing import NamedTuple, NotRequired, TypedDict

from settings import texts
from settings.errors import show

WILDCARD = "*."
_SEGMENT = re.compile(r"[A-Za-z0-9._~-]+")
_PORT = re.compile(r"([^/:]+)[/:](\d{1,5})", re.ASCII)
# Whatever the application says of what it was not made for, it is the application that says it.
ANY_STATUS = "200-499"


class Visited(TypedDict):
    """What visitors are asked for of an entry, where that is not what the health check asks for."""

    path: str
    status: NotRequired[str]


class Entry(NamedTuple):
    """One entry, parsed."""

    host: str  # a domain, or `*.` and one: every name one level below
    below: str = ""  # `/api`: this path and all below it; "" is the whole domain

    @property
    def is_wildcard(self) -> bool:
        """Whether it is for every name one level below a domain."""
        return self.host.startswith(WILDCARD)

    @property
    def asked(self) -> str:
        """The host name by which it is asked for."""
        return f"apiary-health{self.host[1:]}" if self.is_wildcard else self.host

    def visited(self, path: str, *, strip: bool) -> Visited | None:
        """What visitors are asked for of it, whose application is healthy when it answers `path`."""
        found: Visited = {"path": path}
        if self.below and strip:
            found["path"] = self.below + path
        elif self.below and not f"{path.partition('?')[0]}/".startswith(f"{self.below}/"):
            found = {"path": self.below, "status": ANY_STATUS}
        if self.is_wildcard:
            found["status"] = ANY_STATUS
        return found if self.below or self.is_wildcard else None


def parse(text: str) -> Entry:
    """Read an entry that has been checked."""
    host, slash, below = text.partition("/")
    return Entry(host, slash + below)


def check(text: str) -> Entry:
    """Check an entry. Raises ValueError with what to write instead."""
    if match := _PORT.fullmatch(text):
        raise ValueError(f"{show(text)} holds a port; write {show(match[1])}, and http_port: {match[2]} beside it")
    if "://" in text:
        texts.domain(text)
    entry = parse(text)
    domain(entry.host)
    if "/" in text:
        segments = entry.below[1:].split("/")
        tidy = "/".join(one for one in segments if one not in ("", ".", ".."))
        if not tidy or tidy != entry.below[1:]:
            remedy = f"{entry.host}/{tidy}" if tidy else entry.host
            raise ValueError(f"{show(text)}: a path is written without a slash at its end; write {show(remedy)}")
        if not all(_SEGMENT.fullmatch(one) for one in segments):
            raise ValueError(
                f"{show(text)}: a path is of letters, digits and . _ ~ - between slashes; it holds all below it by "
                f'itself, as in "{entry.host}/api"'
            )
    return entry


def domain(text: str) -> str:
    """Check a domain, or all names one level below one: `*.example.com`."""
    if text.startswith(WILDCARD):
        texts.domain(text.removeprefix(WILDCARD))
    elif "*" in text:
        raise ValueError(f'{show(text)} is not a domain name; all names below one are written as in "*.example.com"')
    else:
        texts.domain(text)
    return text


def first(domains: tuple[str, ...]) -> Entry:
    """The entry by which an application is asked whether it is healthy: a name that is written out, if there is one."""
    return parse(min(domains, key=lambda text: (text.startswith(WILDCARD), text)))
