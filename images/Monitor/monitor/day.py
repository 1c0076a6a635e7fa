"""The figures of a day, asked of Prometheus: what the page is drawn from."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from monitor import config
from monitor.watch import Watch

SECONDS = 86400
STEP = 900  # seconds of one point
POINTS = SECONDS // STEP

# By time; None where nothing is known.
Line = tuple[float | None, ...]


class NoFiguresError(Exception):
    """Prometheus can't be asked."""


@dataclass(frozen=True)
class SiteDay:
    """A site."""

    domain: str
    application: str
    up: Mapping[str, Line]  # family -> share of the looks that found it well, 0 to 1
    seconds: Line  # until its answer was whole
    visits: Line  # requests in STEP that were not the monitor's; all None where its proxy is not read
    days: float | None  # left of its certificate; None without one


@dataclass(frozen=True)
class Fact:
    """Something of the host, as a share of all there is."""

    name: str
    used: Line
    size: float | None  # bytes of all


@dataclass(frozen=True)
class Fire:
    """An alert that is on."""

    summary: str
    type: str
    doc: str
    since: str  # 2026-11-28T21:00:00Z
    severity: str


@dataclass(frozen=True)
class Day:
    """All of it."""

    server: str
    stack: str
    end: int  # seconds of 1970
    sites: tuple[SiteDay, ...]
    facts: tuple[Fact, ...]
    fires: tuple[Fire, ...]


UP = f'avg by (domain, family) (avg_over_time(probe_success{{job="sites"}}[{STEP}s]))'
TOOK = f'avg by (domain) (avg_over_time(probe_duration_seconds{{job="sites"}}[{STEP}s]))'
DAYS = 'min by (domain) (probe_ssl_earliest_cert_expiry{job="sites"}) - time()'
# Every look at a site is a request to it.
VISITS = (
    f"clamp_min(sum by (application) (increase(haproxy_backend_http_responses_total[{STEP}s])) - on (application) "
    f'sum by (application) (count_over_time(probe_success{{job="sites"}}[{STEP}s])), 0)'
)
MEMORY = "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes"
DISK = "1 - node_filesystem_avail_bytes / node_filesystem_size_bytes"


def gather(watch: Watch, now: float) -> Day:
    """The day until now, the last point being of the time that is under way. Raises NoFiguresError."""
    end = int(now)
    up, took = _range(UP, end), _range(TOOK, end)
    visits = _range(VISITS, end) if watch.proxy else []
    left = {one["metric"].get("domain"): float(one["value"][1]) / 86400 for one in _instant(DAYS)}
    return Day(
        server=watch.server,
        stack=watch.stack,
        end=end,
        sites=tuple(
            SiteDay(
                domain=site.domain,
                application=site.application,
                up={family: _line(up, end, domain=site.domain, family=family) for family in config.FAMILIES},
                seconds=_line(took, end, domain=site.domain),
                visits=_line(visits, end, application=site.application),
                days=left.get(site.domain),
            )
            for site in watch.sites
        ),
        facts=tuple(_facts(end)),
        fires=tuple(_fires()),
    )


def _facts(end: int) -> list[Fact]:
    memory = Fact("memory", _line(_range(MEMORY, end), end), _size("node_memory_MemTotal_bytes"))
    disks = _range(DISK, end)
    mounts = sorted({one["metric"].get("mountpoint", "") for one in disks})
    return [
        memory,
        *(
            Fact(
                f"disk {mount}",
                _line(disks, end, mountpoint=mount),
                _size(f"node_filesystem_size_bytes{{mountpoint={json.dumps(mount)}}}"),
            )
            for mount in mounts
        ),
    ]


def _fires() -> list[Fire]:
    found = [
        one
        for one in _ask("/api/v1/alerts", {})["alerts"]
        if one["state"] == "firing" and one["labels"]["severity"] != "none"
    ]
    fires = [
        Fire(
            summary=one["annotations"]["summary"],
            type=one["annotations"]["type"],
            doc=one["annotations"]["doc"],
            since=one["activeAt"][:19] + "Z",
            severity=one["labels"]["severity"],
        )
        for one in found
    ]
    return sorted(set(fires), key=lambda fire: (fire.severity, fire.since, fire.summary))


def _size(query: str) -> float | None:
    found = _instant(query)
    return float(found[0]["value"][1]) if found else None


def _line(found: list[dict[str, Any]], end: int, **labels: str) -> Line:
    """The points of the first series that has these labels."""
    for one in found:
        if all(one["metric"].get(name) == value for name, value in labels.items()):
            known = {round((float(moment) - end) / STEP): float(value) for moment, value in one["values"]}
            return tuple(known.get(at) for at in range(1 - POINTS, 1))
    return (None,) * POINTS


def _range(query: str, end: int) -> list[dict[str, Any]]:
    asked = {"query": query, "start": end - SECONDS + STEP, "end": end, "step": STEP}
    return list(_ask("/api/v1/query_range", asked)["result"])


def _instant(query: str) -> list[dict[str, Any]]:
    return list(_ask("/api/v1/query", {"query": query})["result"])


def _ask(path: str, asked: Mapping[str, object]) -> dict[str, Any]:
    connection = http.client.HTTPConnection(config.HERE, config.PROMETHEUS, timeout=10)
    try:
        connection.request("GET", f"{path}?{urlencode(asked)}")
        answer = connection.getresponse()
        found = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoFiguresError(repr(error)) from error
    finally:
        connection.close()
    if found.get("status") != "success":
        raise NoFiguresError(str(found.get("error")))
    return dict(found["data"])
