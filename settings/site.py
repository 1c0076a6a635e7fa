"""What the proxy does for the visitors of an application's domains, beyond reaching it.

Makes: `Site`, the model of `site:`, and `told`, what the proxy is told of it: only what differs from the defaults, so
that a hive which says nothing is told nothing. Leaves alone: how the proxy says it (HAProxySetup).
"""

import re
from typing import Annotated, Literal, NotRequired, TypedDict

from pydantic import AfterValidator, Field

from settings import kinds as k
from settings import option_texts
from settings.errors import show
from settings.git_texts import secret_name

TIMEOUT_SECONDS = 60  # of an application that says nothing
_USER = re.compile(r"[A-Za-z0-9._@-]{1,64}")


Www = Literal["bare", "www", "both", "none"]


class Told(TypedDict):
    """A site as the proxy gets it."""

    timeout: NotRequired[int]  # seconds
    body_limit: NotRequired[int]  # bytes
    www: NotRequired[Literal["www", "both", "none"]]
    allow_from: NotRequired[list[str]]  # networks
    rate_limit: NotRequired[tuple[int, int]]  # requests, in so many seconds
    trusted_proxies: NotRequired[list[str]]  # networks
    password: NotRequired[list[str]]  # the names of those who have one
    compress: NotRequired[Literal[False]]
    security_headers: NotRequired[Literal[True]]
    strip: NotRequired[Literal[True]]
    sticky: NotRequired[Literal[True]]


# With which status the proxy refuses visitors by which word, and only while the application is healthy.
REFUSED = {"allow_from": "403", "rate_limit": "429", "password": "401"}

# By which an application may be closed to somebody (images/HAProxySetup/hasetup/closing.py).
CLOSING = frozenset({"allow_from", "body_limit", "password", "rate_limit", "trusted_proxies"})


def name_of(domain: str, told: Told | None) -> str:
    """The name under which a domain's site answers, and does not lead on."""
    return f"www.{domain}" if told and told.get("www") == "www" else domain


def statuses(own: str, told: Told | None) -> str:
    """Which statuses say that a site serves: the application's `own`, or that the proxy lets one not in, or no more.

    It refuses so only while the application is healthy; what asks is the server itself, or the monitor.
    """
    return ",".join([own, *(status for word, status in REFUSED.items() if told and word in told)])


def _body(text: str) -> str:
    option_texts.parse_amount(text, least=1)
    return text


def _user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise ValueError(f"{show(text)} is not a name to log in with; write letters, digits and . _ @ -, at most 64")
    return text


BodyLimit = Annotated[str, k.Kind("amount of data"), AfterValidator(_body)]
User = Annotated[str, k.Kind("name"), AfterValidator(_user)]


class RateLimit(k.Settings):
    """How often one visitor may ask."""

    requests: int = Field(description="So many of one visitor.", examples=[100], ge=1, le=1_000_000)
    seconds: int = Field(
        default=10, description="In this time, counted back from each request.", examples=[60], ge=1, le=86400
    )


class Site(k.Settings):
    """What the proxy does for the visitors of an application's domains."""

    timeout: int = Field(
        default=TIMEOUT_SECONDS,
        description="Seconds that the application may be silent, before its answer and within it; then 504, or the "
        "end of the answer. A WebSocket may be silent on both sides for this time, and for an hour at least.",
        examples=[600],
        ge=1,
        le=86400,
    )
    body_limit: BodyLimit | None = Field(
        default=None,
        description="What a request may bring along at most; a larger one gets 413, one that does not say how large "
        "it is 411. No limit when left out.",
        examples=["100m"],
    )
    www: Www = Field(
        default="bare",
        description="Where `www.` before a domain leads: `bare`, to the domain; `www`, from the domain to it; `both` "
        "are served; `none`, there is no such name.",
        examples=["none"],
    )
    allow_from: list[k.Source] = Field(
        default_factory=list,
        description="Networks and addresses that may come; all others get 403. Everybody may when left out.",
        examples=[["203.0.113.0/24", "2001:db8:5::/48"]],
    )
    rate_limit: RateLimit | None = Field(
        default=None,
        description="How often one visitor may ask: an IPv4 address, a /64 over IPv6. Beyond that 429, with "
        "Retry-After. Each server's proxy counts for itself: of replicas behind three servers, three times as often.",
        examples=[{"requests": 100, "seconds": 10}],
    )
    trusted_proxies: list[k.Source] = Field(
        default_factory=list,
        description="Networks or addresses of a CDN or proxy in front: the last address in its X-Forwarded-For is then "
        "the visitor. Nobody else's is believed.",
        examples=[["173.245.48.0/20", "2400:cb00::/32"]],
    )
    password: dict[User, k.SecretSetting] = Field(
        default_factory=dict,
        description="Who comes in, by name, with which password, a secret of the stack; all others get 401. The "
        "application is not told of it.",
        examples=[{"anna": "_secrets^anna_password"}],
    )
    compress: bool = Field(
        default=True,
        description="Whether text is compressed for visitors who take gzip, where the application has not done so.",
        examples=[False],
    )
    security_headers: bool = Field(
        default=False,
        description="Whether answers say `X-Content-Type-Options: nosniff`, `X-Frame-Options: SAMEORIGIN` and "
        "`Referrer-Policy: strict-origin-when-cross-origin`, each unless the application says otherwise.",
        examples=[True],
    )
    strip: bool = Field(
        default=False,
        description="Whether the path of an entry such as `example.com/api` is taken off before the application sees "
        "it; X-Forwarded-Prefix then says which.",
        examples=[True],
    )
    sticky: bool = Field(
        default=False,
        description="Whether a cookie keeps each visitor on one of the application's containers, as long as that "
        "serves. Not with replicas on several servers.",
        examples=[True],
    )

    @property
    def secret_names(self) -> dict[str, str]:
        """The names of the secrets of `password`, by user."""
        return {user: secret_name(text) for user, text in self.password.items()}

    @property
    def told(self) -> Told:
        """What differs from the defaults, as the proxy gets it."""
        told: Told = {}
        if self.timeout != TIMEOUT_SECONDS:
            told["timeout"] = self.timeout
        if self.body_limit is not None:
            told["body_limit"] = option_texts.parse_amount(self.body_limit, least=1) << 20
        if self.www != "bare":
            told["www"] = self.www
        if self.allow_from:
            told["allow_from"] = sorted(self.allow_from)
        if self.rate_limit is not None:
            told["rate_limit"] = (self.rate_limit.requests, self.rate_limit.seconds)
        if self.trusted_proxies:
            told["trusted_proxies"] = sorted(self.trusted_proxies)
        if self.password:
            told["password"] = sorted(self.password)
        if not self.compress:
            told["compress"] = False
        if self.security_headers:
            told["security_headers"] = True
        if self.strip:
            told["strip"] = True
        if self.sticky:
            told["sticky"] = True
        return told
