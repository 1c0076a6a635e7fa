"""What visitors get of the sites, and the certificates. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operations.status.report import FAMILIES, Answers, Level, Row, Say, Told
from operations.status.stack import Site, Wanted
from operations.status.words import DAY

SLOW_MS = 3000
# certbot's job renews in the last third of a certificate's life: (share of its life, at most so many days)
CERTIFICATE = {Level.WRONG: (1 / 6, 7.0), Level.WATCH: (1 / 4, 21.0)}


def sites(wanted: Wanted, answers: Answers) -> tuple[Row, ...]:
    rows = [
        Row(site.domain, ("none", "none", "?"), because=Level.WRONG)
        if answers.servers[site.server].cause == "silent" and not answers.answering([site])
        else _site(Say(wanted, "site", site.domain), site, answers)
        for site in once(wanted.sites, answers.servers)
    ]
    if any(visit["no_route"] for visit in answers.visits.values()):
        say = Say(wanted, "site", "all of them")
        lost = sorted({family for (_, family), visit in answers.visits.items() if visit["no_route"]})
        says = f"this machine has no {' and no '.join(lost)}, so nothing is known of them over it"
        see = "monitoring.md#where-are-the-sites-asked-from"
        say(Level.WATCH, says, f"APIARY_VISITOR='ssh SOMEWHERE-ELSE' {say.make('status')}", see)
        rows.append(Row(say.name, ("", "", ""), tuple(say.found)))
    return tuple(rows)


def once(wanted: Sequence[Site], servers: Mapping[str, Told]) -> list[Site]:
    """Each domain once: of several servers that serve it, as the first of those that can be asked has it."""
    found: dict[str, Site] = {}
    for site in sorted(wanted, key=lambda one: servers[one.server].cause == "silent"):
        found.setdefault(site.domain, site)
    return [site for site in wanted if found[site.domain] is site]


def _site(say: Say, site: Site, answers: Answers) -> Row:
    visits = {family: answers.visits.get((site.domain, family)) for family in FAMILIES}
    wrong: dict[str, list[str]] = {}
    for family, visit in visits.items():
        says = _visit(site, family, visit, answers.visitor)
        if says:
            wrong.setdefault(says, []).append(family)
    for says, families in wrong.items():
        see = "only-ipv6-is-down" if families == ["IPv6"] else "a-site-is-down"
        flag = {"IPv6": " -6", "IPv4": " -4"}[families[0]] if len(families) == 1 else ""
        line = f"curl -v{flag} {'https' if site.tls else 'http'}://{site.asked}{site.path}"
        say(Level.WRONG, f"{says} over {' and '.join(families)}", line, f"operations.md#{see}")
    if any(visit and visit.get("maintenance") for visit in visits.values()):
        is_spread = any(one.name == site.application for one in say.wanted.spread)
        off = say.make(f"maintenance APP={'' if is_spread else f'{site.server}:'}{site.application} OFF=1")
        see = "sites.md#how-do-i-close-a-site-while-i-work-on-it"
        say(Level.WATCH, "under maintenance: visitors get 503", off, see)
    slow = [
        f"{visit['ms']} ms over {family}" for family, visit in visits.items() if visit and (visit["ms"] or 0) > SLOW_MS
    ]
    if slow and not wrong:
        says, line = f"slow: {' and '.join(slow)}", f"on {site.server} docker stats --no-stream"
        say(Level.WATCH, says, line, "operations.md#a-site-is-down")
    cells = (*(_answer(visit) for visit in visits.values()), _certificate(say, site, visits, answers.now))
    return Row(site.domain, cells, tuple(say.found))


def _visit(site: Site, family: str, visit: Mapping[str, Any] | None, why: str) -> str:
    if visit is None:
        return f"no answer ({why})"
    if visit["no_route"]:
        return ""
    leads = site.leads(family)
    if leads and visit["addresses"] and sorted(visit["addresses"]) != leads:
        by = visit["asked"] or "the resolver here"
        return f"leads to {', '.join(visit['addresses'])} instead of {', '.join(leads)} (says {by})"
    if visit["error"]:
        return str(visit["error"])
    if visit["nowhere"]:
        return f"answers {visit['status']}, by the proxy itself: it leads to no application there"
    return "" if site.counts(visit["status"]) else f"answers {visit['status']} instead of {site.statuses}"


def _answer(visit: Mapping[str, Any] | None) -> str:
    if visit is None:
        return "?"
    if visit["no_route"]:
        return "no route"
    return "none" if visit["error"] else f"{visit['status']} {visit['ms']} ms"


def _certificate(say: Say, site: Site, visits: Mapping[str, Mapping[str, Any] | None], now: float) -> str:
    """The days that are left, of the one that is nearest to its end."""
    if not site.tls:
        return "by http"
    known = [visit for visit in visits.values() if visit]
    see = "certificates.md#one-domain-fails-what-happens"
    jobs = [job.name for job in say.wanted.on(site.server, "job") if job.image.startswith("apiary/certbot:")]
    line = say.make(f"start JOB={site.server}:{jobs[0]}") if jobs else say.pulumi("up")
    distrust = sorted({str(visit["distrust"]) for visit in known if visit["distrust"]})
    if distrust:
        say(Level.WRONG, f"its certificate is not accepted: {'; '.join(distrust)}", line, see)
        return "not accepted"
    told = [visit["certificate"] for visit in known if visit["certificate"]]
    if not told:
        return "?"
    worst = min(told, key=lambda one: one["ends"])
    left, life = (worst["ends"] - now) / DAY, (worst["ends"] - worst["begins"]) / DAY
    for level, (share, days) in CERTIFICATE.items():
        if left < min(days, share * life):
            say(level, f"its certificate ends in {left:.1f} days, and was not renewed", line, see)
            break
    return f"{left:.0f} days"
