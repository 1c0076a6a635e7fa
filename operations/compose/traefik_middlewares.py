"""What Traefik's middlewares do, that a router names, as words of a site.

https://doc.traefik.io/traefik/middlewares/http/overview/ lists them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from operations.coming.entries import Path
from operations.coming.errors import Wrong, show
from operations.compose import forms, proxied
from operations.compose.proxied import ASKED, HASHED, NO_WORD, PATHS, Said

_MOVES = re.compile(r"\^?(?:https\?|https?|\(https\?\)|https\?\))?:?(?:\\?/){0,2}(?:\(\?:(?P<both>www\\?\.)\)\?)?"
                    r"(?P<host>[A-Za-z0-9\\.-]+?)(?:/\(\.\*\)|/\?\(\.\*\)|\(\.\*\)|/\.\*|)\$?")  # fmt: skip


@dataclass
class Part:
    """The options of one router, service or middleware, with where each stands."""

    options: dict[str, tuple[str, Path]] = field(default_factory=dict)

    def text(self, option: str) -> str:
        """An option's value; empty where it is not said."""
        return self.options.get(option, ("", ()))[0]


Parts = dict[tuple[str, str], Part]  # by kind and name


def read(said: Said, value: str, at: Path, shared: Parts) -> set[Path]:
    """Read the middlewares of a router, one after another."""
    met: set[Path] = set()
    names = [name.strip() for name in value.split(",") if name.strip()]
    is_known = True
    for name in names:
        bare, _, provider = name.lower().partition("@")
        part = shared.get(("middlewares", bare))
        if part is None or provider not in ("", "docker", "swarm"):
            said.told.cannot(at, f"{name} is of none of these files; write here what it does, or leave it out")
            is_known = False
            continue
        met |= {place for _, place in part.options.values()}
        _middleware(said, _heard(said, part, at), shared, met)
    if is_known:
        said.told.becomes(at, f"what becomes of {', '.join(names)}")
    return met


def _heard(said: Said, part: Part, at: Path) -> Part:
    """The middleware; where the service that says it is left out, all is told of who names it, so that nothing goes."""
    is_gone = any(said.told.is_left_out(*place[:2]) for _, place in part.options.values())
    return Part({option: (value, at) for option, (value, _) in part.options.items()}) if is_gone else part


def _middleware(said: Said, part: Part, shared: Parts, met: set[Path]) -> None:
    kind = next(iter(part.options)).partition(".")[0]
    below = Part({option.partition(".")[2]: found for option, found in part.options.items()})
    row = _ROWS.get(kind)
    for _, place in part.options.values():
        if row is None:
            said.told.cannot(place, NO_WORD)
    if kind == "chain":
        for value, place in below.options.values():
            met |= read(said, value, place, shared)
    elif row is not None:
        try:
            row(said, below)
        except Wrong as error:
            for _, place in part.options.values():
                said.told.cannot(place, str(error))


def _rest(said: Said, part: Part, known: Mapping[str, str]) -> None:
    """The options that a row has not read: why they are not needed, else they can't be said."""
    for option, (_, at) in part.options.items():
        why = next((why for start, why in known.items() if option.startswith(start)), None)
        if why == "":
            continue
        if why:
            said.told.needless(at, why)
        else:
            said.told.cannot(at, NO_WORD)


def _to_https(said: Said, part: Part) -> None:
    if part.text("scheme").lower() != "https":
        raise Wrong(NO_WORD)
    _rest(said, part, {"": proxied.BY_HTTPS})


def _to_url(said: Said, part: Part) -> None:
    """A redirect from one host to another: any other is the application's."""
    value, at = part.options.get("regex", ("", ()))
    match, to = _MOVES.fullmatch(value), proxied.moved_to(part.text("replacement"))
    host = match["host"].replace("\\", "") if match else ""
    if to is None or "." not in host:
        raise Wrong(f"{value} to {part.text('replacement')} is not converted; write it into redirects of the server")
    said.move(host, to, at)
    _rest(said, part, {"regex": "", "replacement": "it stands with the regex", "permanent": "it is by 301 anyway"})


def _allow(said: Said, part: Part) -> None:
    if "sourcerange" in part.options:
        proxied.networks(said, "allow_from", *part.options["sourcerange"])
    _rest(said, part, {"sourcerange": ""})


def _rate(said: Said, part: Part) -> None:
    value, at = part.options.get("average", ("0", next(iter(part.options.values()))[1]))
    period = part.text("period") or "1s"
    seconds = float(_whole(period)) if period.isdigit() else forms.seconds(period)
    average, burst = _whole(value), _whole(part.text("burst") or "1")
    if average == 0 or seconds <= 0:
        said.told.needless(at, "there is no limit anyway")
    else:
        proxied.rate_limit(said, average / seconds, burst, at)
    _rest(said, part, {"average": "", "burst": "it stands with average", "period": "it stands with average"})


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise Wrong(f"{show(text)} is not a number of requests; write e.g. 100")
    return int(text)


def _buffering(said: Said, part: Part) -> None:
    if "maxrequestbodybytes" in part.options:
        proxied.body_limit(said, *part.options["maxrequestbodybytes"])
    _rest(said, part, {"maxrequestbodybytes": "", "mem": "nothing is held back", "maxresponse": "nothing is held back"})


def _headers(said: Said, part: Part) -> None:
    sent = "the proxy says it of every request"
    _rest(said, part, {
        "customrequestheaders.x-forwarded-proto": sent, "customrequestheaders.x-forwarded-for": sent,
        "customrequestheaders.x-forwarded-host": sent, "sslredirect": proxied.BY_HTTPS,
        "sslforcehost": proxied.BY_HTTPS, "sslproxyheaders": sent,
    })  # fmt: skip


def _refused(why: str) -> Callable[[Said, Part], None]:
    def row(_: Said, __: Part) -> None:
        raise Wrong(why)

    return row


def _compress(said: Said, part: Part) -> None:
    for _, at in part.options.values():
        said.told.needless(at, "text is compressed anyway")


def _strip(said: Said, part: Part) -> None:
    value, at = part.options.get("prefixes", ("", ()))
    if not said.below or value.strip().rstrip("/") != said.below:
        raise Wrong(PATHS)
    said.word("strip", True, at)
    _rest(said, part, {"prefixes": "", "forceslash": "what is left begins with a slash"})


_ROWS: Mapping[str, Callable[[Said, Part], None]] = {
    "chain": lambda _, __: None,
    "redirectscheme": _to_https,
    "redirectregex": _to_url,
    "ipallowlist": _allow,
    "ipwhitelist": _allow,
    "ratelimit": _rate,
    "buffering": _buffering,
    "headers": _headers,
    "compress": _compress,
    "basicauth": _refused(HASHED),
    "digestauth": _refused(HASHED),
    "forwardauth": _refused(ASKED),
    "stripprefix": _strip,
    "stripprefixregex": _refused(PATHS),
    "addprefix": _refused(PATHS),
    "replacepath": _refused(PATHS),
    "replacepathregex": _refused(PATHS),
}
