"""What a service tells the reverse proxy that it had of its site: by labels for Traefik and Caddy, by variables for
nginx-proxy.

Makes: `read`, which says of each of those labels and variables what becomes of it and returns the site: its domains,
its port, the words of `site:`, redirects. Leaves alone: putting them into the entry (`ports`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from operations.coming.entries import Path
from operations.coming.told import Told
from operations.compose import forms
from settings import entries, texts
from settings.errors import show

NOT_CONVERTED = "is not converted; write it by hand afterwards where the stack file has a word for it, and leave it out"
PATHS = f"a site at a path {NOT_CONVERTED} by --leave-out"
ASKED = (
    "the proxy here asks no other program who may come; write site: {password: {NAME: _secrets^NAME}} or allow_from "
    "afterwards, or have the application ask for a login itself (OpenID Connect), and leave it out by --leave-out"
)
HASHED = (
    "its passwords are hashed there; write site: {password: {NAME: _secrets^NAME}} afterwards, with the password among "
    "the secrets, and leave it out by --leave-out"
)
NO_WORD = "the proxy here does nothing of the kind; have the application do it, or leave it out by --leave-out"
BY_CERTIFICATE = (
    "what lets in only visitors with a certificate is not converted: the proxy here asks nobody for one; let in whom "
    "allow_from or password of its site names, and leave it out by --leave-out"
)
BY_HTTPS = "the proxy leads http to https anyway"
CERTIFICATES = "the job certbot gets certificates for all domains"

_MIB = 1 << 20
_DOMAIN = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.IGNORECASE)


@dataclass(frozen=True)
class Option:
    """One setting of a proxy as a whole, e.g. `entrypoints.websecure.http.middlewares`, in lower case."""

    name: str
    value: str
    at: Path


@dataclass
class Said:
    """A site as a service describes it to its proxy."""

    told: Told
    hosts: dict[str, Path] = field(default_factory=dict)  # that lead to it, by whoever says so
    moved: dict[str, tuple[str, Path]] = field(default_factory=dict)  # hosts that lead elsewhere: the URL
    ports: dict[str, Path] = field(default_factory=dict)
    site: dict[str, object] = field(default_factory=dict)
    sources: dict[str, Path] = field(default_factory=dict)  # of the words of `site`
    below: str = ""  # the path of its domains that leads to it, `/api`; "" is all of them
    health: str = ""
    mail: str = ""  # who is told before a certificate ends
    variables: frozenset[str] = frozenset()  # that are the proxy's, and nothing to the container
    is_off: bool = False  # it says that it is none

    @property
    def port(self) -> str:
        """The port that it names; the first one."""
        return next(iter(self.ports), "")

    @property
    def domains(self) -> list[str]:
        """Its domains, without `www.`."""
        return list(dict.fromkeys(host.removeprefix("www.") for host in self.hosts if host not in self.moved))

    @property
    def entries(self) -> list[str]:
        """Its domains, each with the path, as `env.domains` has them."""
        return [domain + self.below for domain in self.domains]

    @property
    def is_site(self) -> bool:
        """Whether it describes one."""
        return bool(self.domains) and not self.is_off

    def host(self, name: str, at: Path) -> None:
        """A host that leads to it."""
        if not _DOMAIN.fullmatch(name):
            self.told.cannot(at, f"{show(name)}: names that stand for many are not converted; write each domain")
            return
        try:
            self.hosts.setdefault(texts.domain(name.lower()), at)
        except ValueError as error:
            self.told.cannot(at, str(error))

    def path(self, path: str, at: Path) -> bool:
        """A path of its domains that leads to it, with all below; whether that can be said here."""
        below = path.rstrip("/")
        try:
            entries.check(f"example.com{below}")
        except ValueError as error:
            self.told.cannot(at, str(error))
            return False
        if self.below not in ("", below):
            self.told.cannot(at, f"one application is at one path of its domains, {self.below}; leave this one out")
            return False
        self.below = below
        return True

    def move(self, host: str, to: str, at: Path) -> None:
        """A host that leads to a URL; without a path the visitor's own goes along."""
        self.moved[host.lower()] = (to, at)

    def word(self, word: str, value: object, at: Path, words: str = "") -> None:
        """A word of `site`; told as `differs` with `words` where it is not quite the same."""
        if not self._put(word, value, at):
            return
        spelt = f"site: {{{word}: {value}}}".replace("'", "")
        if words:
            self.told.differs(at, f"{spelt}; {words}")
        else:
            self.told.becomes(at, spelt)

    def also(self, other: Said) -> None:
        """The words of another part of what it says of itself."""
        for word, value in other.site.items():
            self._put(word, value, other.sources[word])

    def _put(self, word: str, value: object, at: Path) -> bool:
        if self.site.get(word, value) != value:
            # The one in the place of the other would let in whom that keeps out.
            self.told.cannot(
                at, f"one application has one {word} here; leave this one out, and see that the other does"
            )
            return False
        self.site[word] = value
        self.sources[word] = at
        return True

    def settle(self) -> None:
        """Say where `www.` leads, and what leads elsewhere, once all hosts are known."""
        words: dict[str, Path] = {}
        for domain in self.domains:
            word, at = self._www(domain)
            words[word] = at
        if len(words) > 1:
            for at in words.values():
                self.told.differs(at, "www. of all its domains is led alike here: to the domain")
        elif words:
            [(word, at)] = words.items()
            if self.below and word != "bare":
                self.told.differs(at, "what becomes of www. says the application that serves all of the domain")
            elif word != "bare":
                self.word("www", word, at)
        for host, (_, at) in list(self.moved.items()):
            if host in self.domains or host.removeprefix("www.") in self.domains:
                del self.moved[host]
                self.told.becomes(at, f"site: {{www: {next(iter(words), 'bare')}}}")
            else:
                self.told.becomes(at, f"redirects of the server: {host}")

    def _www(self, domain: str) -> tuple[str, Path]:
        names = (domain, f"www.{domain}")
        served = [name for name in names if name in self.hosts and name not in self.moved]
        at = self.hosts[served[0]]
        if served == list(names):
            return "both", self.hosts[names[1]]
        leads_there = urlsplit(self.moved.get(domain, ("", at))[0]).hostname == names[1]
        return ("www" if served == [names[1]] or leads_there else "bare"), at


def networks(said: Said, word: str, value: str, at: Path) -> None:
    """Networks that may come, or are believed."""
    found: list[str] = []
    for item in re.split(r"[,\s]+", value.strip()):
        try:
            found += [texts.source(item)] if item else []
        except ValueError as error:
            if item not in ("0.0.0.0/0", "::/0"):
                said.told.cannot(at, str(error))
                return
    if found:
        said.word(word, found, at)
    else:
        said.told.needless(at, "everybody may come anyway")


def body_limit(said: Said, amount: object, at: Path) -> None:
    """What a request may bring along."""
    if str(amount).strip() in ("0", ""):
        said.told.needless(at, "there is no limit anyway")
        return
    size = forms.size(amount)
    mebibytes = math.ceil(size / _MIB)
    said.word("body_limit", f"{mebibytes}m", at, "" if size == mebibytes * _MIB else "a whole number of MiB")


def rate_limit(said: Said, rate: float, burst: int, at: Path) -> None:
    """So many requests a second, and so many at once: here counted in a window that goes along."""
    seconds = 10 if rate * 10 >= 1 else 3600
    requests = max(1, burst, round(rate * seconds))
    said.word(
        "rate_limit", {"requests": requests, "seconds": seconds}, at, "counted within the seconds before each request"
    )


def moved_to(text: str) -> str | None:
    """The URL that a redirect leads to, as the stack file has it: without a path where the visitor's own goes along.

    None for one that puts in anything else of the visitor's.
    """
    bare = re.sub(r"/?(?:\$\{?1\}?|\{uri\}|\{http\.request\.uri\})$", "", text)
    try:
        url = urlsplit(bare if "://" in bare else f"https://{bare}")
    except ValueError:
        return None
    if not url.hostname or not _DOMAIN.fullmatch(url.hostname) or "{" in bare or "$" in bare:
        return None
    if bare != text and url.path not in ("", "/"):
        return None
    return f"{url.scheme}://{url.netloc}" if bare != text else f"{url.scheme}://{url.netloc}{url.path or '/'}"
