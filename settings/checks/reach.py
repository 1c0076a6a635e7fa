"""Checks of what may be reached from outside: ports opened without an address, or twice."""

from settings.container_texts import OpenPort, parse_open
from settings.draft import Draft
from settings.errors import path_of, show
from settings.models import Application


def check(draft: Draft) -> None:
    """Report ports and names that nothing could answer for."""
    for name, app in draft.stack.applications.items():
        _address(draft, name, app)
        _twice(draft, name, app)


def _address(draft: Draft, name: str, app: Application) -> None:
    at = ("applications", name)
    if app.has_address or not (draft.whole(*at, "static_ipv6") and draft.whole(*at, "ipv6_web")):
        return
    for key, value, what in (("open", app.open, "ports"), ("dns", app.dns, "names")):
        if value:
            message = (
                f'the application has no IPv6 address of its own for these {what}; write static_ipv6: "2:0:b" as well'
            )
            draft.report(message, *at, key)


def _twice(draft: Draft, name: str, app: Application) -> None:
    """Report ports that `open` holds twice, or `ports` opens already at the same address."""
    at = ("applications", name)
    taken = [
        (OpenPort(port.proto, port.container, port.container), path_of(*at, "ports", index))
        for index, port in enumerate(app.published)
    ]
    for index, text in enumerate(app.open):
        wanted = parse_open(text)
        first = next((path for other, path in taken if other.overlaps(wanted)), None)
        if first:
            draft.report(f"{show(text)} is opened by {first} already; leave one out", *at, "open", index)
        taken.append((wanted, path_of(*at, "open", index)))
