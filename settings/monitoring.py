"""What a monitor (images/Monitor) watches, and whom it tells.

Makes: `watched`, a pure function of a checked `Stack`: the content of the file that the monitor reads. Leaves alone:
when it alarms, and how it is configured (images/Monitor/monitor).
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from settings.crontab import Schedule
from settings.domains import domains_map
from settings.entries import parse as parse_entry
from settings.models import Stack
from settings.monitors import PROXY, servers_watched
from settings.references import JobRef
from settings.saved import has_backups
from settings.site import name_of, statuses

# A run begins within a minute of its time, and a night with a change of the clock is an hour longer.
SPARE_SECONDS = 900 + 3600
# What a backup or a rehearsal itself may take.
RUN_SECONDS = 2 * 3600
_DAY = 86400
# A year and more than one leap day: the longest time between two days that a job runs on. No day is asked of today.
_FIRST, _DAYS = date(2024, 1, 1), 366 * 9


def watched(stack: Stack, name: str, addresses: Mapping[str, str]) -> dict[str, Any]:
    """What the monitor `name` is told, with all secrets: the caller sees to it that it stays one.

    `addresses`: the public IPv4 address of each server, by its name.
    """
    monitor = stack.applications[name]
    server = stack.server_of(monitor)
    return {
        "name": name,
        "stack": stack.name,
        "server": server,
        "proxy": any(mount.path == PROXY for mount in monitor.mounts),
        "sites": list(_sites(stack, name)),
        "peers": list(_peers(stack, server)),
        "servers": [{"name": other, "address": addresses[other]} for other in stack.servers if other != server],
        "jobs": dict(sorted(_late_jobs(stack, server))),
        "backups": _late_backups(stack, server),
        "alerts": _alerts(stack),
    }


def _sites(stack: Stack, name: str) -> Iterator[dict[str, str]]:
    for server in servers_watched(stack, name):
        for domain, route in domains_map(stack, server).items():
            entry, visited = parse_entry(domain), route.get("visited", {})
            called, asked = (name_of(host, route.get("site")) for host in (entry.host, entry.asked))
            called += entry.below
            yield {
                "domain": called,
                "server": server,
                "application": route["app"],
                "scheme": "https" if route["tls"] else "http",
                "path": visited.get("path", route["path"]),
                "status": statuses(visited.get("status", route["status"]), route.get("site")),
                **({"host": asked} if asked != called else {}),
            }


def _peers(stack: Stack, server: str) -> Iterator[dict[str, str | int]]:
    """The private ports of the other servers: whatever answers there says that its server is alive."""
    for peer, address in stack.private_peers(server).items():
        for name, application in stack.applications_on(peer).items():
            for port in application.private_published:
                if port.proto == "tcp":
                    yield {"server": peer, "application": name, "address": address, "port": port.host}


def _late_jobs(stack: Stack, server: str) -> Iterator[tuple[str, int]]:
    """The jobs by the clock, and after how many seconds without a start each is late."""
    late: dict[str, int] = {}
    for application in stack.applications_on(server).values():
        for key, reference in application.variables.items():
            when = application.env.get(f"when_{key.removeprefix('RUN_').lower()}")
            if key.startswith("RUN_") and isinstance(reference, JobRef) and isinstance(when, str):
                gap = longest_gap(Schedule.parse(when))
                if gap is not None:
                    late[reference.name] = min(gap + SPARE_SECONDS, late.get(reference.name, gap + SPARE_SECONDS))
    yield from late.items()


def _late_backups(stack: Stack, server: str) -> dict[str, int | None] | None:
    """After how many seconds a backup and a rehearsal are late; None where nothing of the server is saved."""
    if stack.backups is None or not has_backups(stack, server):
        return None
    drill = stack.backups.drill

    def late(when: str) -> int | None:
        gap = longest_gap(Schedule.parse(when))
        return None if gap is None else gap + SPARE_SECONDS + RUN_SECONDS

    found = late(stack.backups.when)
    return None if found is None else {"late": found, "drill_late": late(drill.when) if drill.scheduled else None}


def longest_gap(schedule: Schedule) -> int | None:
    """The most seconds between two moments of a schedule, changes of the clock aside; None where it is many years."""
    moments = sorted(60 * (60 * hour + minute) for hour in schedule.hours for minute in schedule.minutes)
    days = [day for day in range(_DAYS) if schedule.is_on(_FIRST + timedelta(days=day))]
    if len(days) < 2:
        return None
    within = [later - earlier for earlier, later in pairwise(moments)]
    apart = max(later - earlier for earlier, later in pairwise(days))
    return max([*within, apart * _DAY - moments[-1] + moments[0]])


def _alerts(stack: Stack) -> dict[str, Any]:
    def plain(text: str | None) -> str | None:
        sign = "_secrets^"
        return stack.secrets[text.removeprefix(sign)] if text and text.startswith(sign) else text

    alerts = stack.alerts
    mail, ntfy = (alerts.mail, alerts.ntfy) if alerts else (None, None)
    return {
        "mail": {**mail.model_dump(), "password": plain(mail.password)} if mail else None,
        "webhook": [plain(url) for url in alerts.webhook] if alerts else [],
        "ntfy": {"url": plain(ntfy.url), "token": plain(ntfy.token)} if ntfy else None,
        "heartbeat": plain(alerts.heartbeat) if alerts else None,
    }
