"""Checks of redirects: that somebody answers where they begin, and that they end somewhere."""

from urllib.parse import urlsplit

from settings.checks.common import led_to, readable
from settings.draft import Draft
from settings.errors import did_you_mean, show
from settings.redirects import Redirect, parse


def check(draft: Draft) -> None:
    """Report redirects of nobody's domain, of one that is served, and those that lead in a circle."""
    lines = {
        (name, source): parse(source, to)
        for name, server in draft.stack.servers.items()
        for source, to in server.redirects.items()
    }
    known = {(one.host, one.path): one for one in lines.values()}
    for (server, source), one in lines.items():
        at = ("servers", server, "redirects", source)
        served = {entry.host: name for name, app in led_to(draft, server).items() for _, entry in readable(app)}
        here = {other.host for (name, _), other in lines.items() if name == server and not other.path}
        if not one.path and one.to.startswith("/"):
            draft.report("is the whole domain, and would lead to itself; write a URL of another one", *at)
        elif not one.path and one.host in served:
            message = f"is served by applications.{served[one.host]}; leave one out, or redirect a path of it"
            draft.report(message, *at)
        elif one.path and one.host not in {*served, *here} and draft.whole("applications"):
            remedy = did_you_mean(one.host, served)
            draft.report(f"no application of this server serves {show(one.host)}; {remedy}", *at)
        elif _is_circle(one, known):
            draft.report("leads in a circle, back to where it begins; write where it is to end", *at)


def _is_circle(first: Redirect, known: dict[tuple[str, str], Redirect]) -> bool:
    """Whether a visitor who follows it comes back to it: `www.` leads to its domain, http to https."""
    seen: set[Redirect] = set()
    one: Redirect | None = first
    path = first.path or "/"
    while one and one not in seen:
        seen.add(one)
        url = urlsplit(one.to)
        host = (url.hostname or one.host).removeprefix("www.")
        path = path if one.keeps_path else url.path or "/"
        one = known.get((host, path)) or known.get((host, ""))
    return one == first
