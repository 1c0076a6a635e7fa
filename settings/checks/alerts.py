"""Checks of monitors and of what they are told: one a server, with what it needs; and secrets that exist."""

import re

from settings import alert_texts
from settings.checks.common import Placed, placed
from settings.draft import Draft
from settings.errors import did_you_mean, show
from settings.models import Application
from settings.monitors import DATA, FOLDER, IMAGE, is_monitor

INTERVALS = (1, 300)
_MOUNT = re.compile(r"/|(/[A-Za-z0-9_.@-]+)+")
_EXAMPLE = (
    f'monitor: {{build_dir: {IMAGE}, volumes: ["metrics:{DATA}", "haproxycfg:/etc/haproxy:ro", "day:/srv/site"]}}'
)


def check(draft: Draft) -> None:
    """Report alerts that nobody sends, that can't be sent, and monitors that could not watch."""
    found = [one for one in placed(draft) if isinstance(one.container, Application) and is_monitor(one.container)]
    _told(draft, found)
    first: dict[str, str] = {}
    for one in found:
        _volumes(draft, one)
        _interval(draft, one)
        _disks(draft, one)
        if "domains" in one.container.env:
            message = "a monitor serves no site; its page of a day is one of NginxStatic, which mounts the same volume"
            draft.report(message, one.section, one.name, "env", "domains")
        if one.server is not None and (other := first.setdefault(one.server, one.name)) != one.name:
            message = f"{one.server} is watched by applications.{other} already, and a server has one; leave one out"
            draft.report(message, one.section, one.name)


def _told(draft: Draft, found: list[Placed]) -> None:
    alerts = draft.stack.alerts
    if alerts is None:
        return
    if not found and draft.whole("applications"):
        draft.report(f"nothing would send them; add an application that watches: {_EXAMPLE}", "alerts")
    known = draft.names["secrets"]
    for path, secret in alerts.references.items():
        at = ("alerts", *path)
        if secret not in known:
            if draft.whole("secrets"):
                draft.report(f"{show(secret)} is not a secret; {did_you_mean(secret, known, sign='_secrets^')}", *at)
        elif path[-1] not in ("password", "token") and secret in draft.stack.secrets:
            try:
                alert_texts.url(draft.stack.secrets[secret])
            except ValueError:
                draft.report(f"secrets.{secret} is no address by http or https; set it anew", *at)
    if alerts.mail and bool(alerts.mail.user) != bool(alerts.mail.password) and draft.whole("alerts", "mail"):
        missing, remedy = ("user", "hive@example.com") if alerts.mail.password else ("password", "_secrets^NAME")
        draft.report(f"missing; a login has both: write {missing}: {remedy}", "alerts", "mail", missing)
    if alerts.mail and alerts.mail.password and not alerts.mail.tls and draft.whole("alerts", "mail"):
        message = "no password is handed in where everybody can read it; leave tls out, or user and password"
        draft.report(message, "alerts", "mail", "tls")


def _disks(draft: Draft, one: Placed) -> None:
    value = one.container.env.get("disks", "/")
    if not isinstance(value, str) or not value.split() or not all(map(_MOUNT.fullmatch, value.split())):
        message = f"{show(value)} are no mount points; write e.g. disks: / /srv/data, or leave it out to watch all"
        draft.report(message, one.section, one.name, "env", "disks")


def _volumes(draft: Draft, one: Placed) -> None:
    at = (one.section, one.name, "volumes")
    kept = [mount for mount in one.container.mounts if mount.path == DATA and not mount.read_only]
    if not kept and draft.whole(*at):
        message = "what it has measured and told would be lost with each release; write volumes: "
        draft.report(f'{message}["metrics:{DATA}"], with what else is there', *at)
    places: list[tuple[str, str | int]] = [(mount.path, index) for index, mount in enumerate(one.container.mounts)]
    places += [(path, path) for path in one.container.tmpfs]
    for path, key in places:
        if f"{path}/".startswith(f"{FOLDER}/") or f"{FOLDER}/".startswith(f"{path}/"):
            section = "volumes" if isinstance(key, int) else "tmpfs"
            message = f"{FOLDER} is where it finds what its host has for it; mount something else here"
            draft.report(message, one.section, one.name, section, key)


def _interval(draft: Draft, one: Placed) -> None:
    value, (first, last) = one.container.env.get("interval", INTERVALS[0]), INTERVALS
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and first <= int(text[:9]) <= last):
        message = f"{show(value)} is no number of seconds from {first} to {last}"
        draft.report(message, one.section, one.name, "env", "interval")
