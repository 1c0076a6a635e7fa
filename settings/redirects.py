"""Redirects of a server: addresses that lead elsewhere, without an application.

Makes: checks of what is written on either side, and the parsed form. Leaves alone: whether a server answers for the
name (`checks.redirects`), and how the proxy does it (images/HAProxySetup/hasetup/redirects.py, whose alphabet this is).
"""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from settings import texts
from settings.errors import show

_CHARACTERS = "A-Za-z0-9/._~!$&()+,;=:@%-"
_SOURCE_PATH = re.compile(f"/[{_CHARACTERS}]*")
_TARGET = re.compile(f"(https?://[a-z0-9.-]+(:[0-9]{{1,5}})?)?(/[{_CHARACTERS}]*)?([?#][{_CHARACTERS}?#]*)?")


class Redirect(NamedTuple):
    """One line of `redirects`, parsed."""

    host: str
    path: str  # exactly this one; "" is the whole domain
    to: str

    @property
    def keeps_path(self) -> bool:
        """Whether the visitor's own path and query go along."""
        return not self.path and not urlsplit(self.to).path and "?" not in self.to and "#" not in self.to


def parse(source: str, to: str) -> Redirect:
    """Read one line that has been checked."""
    host, slash, path = source.partition("/")
    return Redirect(host, slash + path, to)


def source(text: str) -> str:
    """Check what leads elsewhere: `old.example.org`, all of it, or `example.com/feed`, this path and no other."""
    host, slash, path = text.partition("/")
    if not host or "://" in text:
        raise ValueError(f"{show(text)} is not a domain; write it without scheme, as in old.example.org")
    texts.domain(host)
    if "*" in path or "?" in path:
        raise ValueError(
            f"{show(text)}: redirects are from a whole domain, or from one path each; write example.com/feed"
        )
    if slash and not _SOURCE_PATH.fullmatch(slash + path):
        raise ValueError(f"{show(text)}: its path holds what no address does; write blanks and the like as %20")
    return text


def target(text: str) -> str:
    """Check where one leads: a URL (without a path the visitor's own goes along), or a path of the same domain."""
    problem = f'{show(text)} is no target; write a URL such as "https://example.com", or a path such as "/rss.xml"'
    if not text or not _TARGET.fullmatch(text) or text.startswith(("//", "?", "#")):
        raise ValueError(problem)
    if text.startswith("/"):
        return text
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(problem) from error
    if parts.hostname is None or port == 0:
        raise ValueError(problem)
    texts.domain(parts.hostname)
    return text
