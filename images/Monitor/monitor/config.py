"""The configuration of Prometheus, Alertmanager and blackbox exporter. Pure: the same Watch gives the same bytes.

All of it is JSON, which is YAML. Valid for Debian's versions: Prometheus 2.42 and 2.53, Alertmanager 0.25 and 0.28,
blackbox exporter 0.23 and 0.26. Leaves alone: when it alarms (`rules`), and what the messages look like
(alerts.tmpl, `ntfy`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from monitor.rules import HEARTBEAT
from monitor.watch import Mail, Watch

# Where everything listens, inside this container alone.
PROMETHEUS, ALERTMANAGER, BLACKBOX, OWN = 9090, 9093, 9115, 9099
HERE = "127.0.0.1"
# The proxy's own word for an address that leads to no application, whatever statuses a site counts as healthy.
NOWHERE = {"header": "Apiary-State", "regexp": "^nowhere$", "allow_missing": True}
AGENT = "apiary-health"  # as the proxy asks: a site behind a password lets it know that it serves, and counts no visit
FAMILIES = {"IPv4": "ip4", "IPv6": "ip6"}
REPEAT = "12h"  # a message that is still true
# Of what HAProxy says: enough for alerts and the page.
PROXY_SERIES = "haproxy_backend_(http_responses_total|total_time_average_seconds)"
HOST_SERIES = "apiary_.*|node_(memory_(MemAvailable|MemTotal)_bytes|textfile_.*)"
DISK_SERIES = "node_filesystem_(avail|size)_bytes"
ALERTMANAGER_SERIES = "alertmanager_notifications_failed_total"


def prometheus(watch: Watch, interval: int, rules: str, disks: Sequence[str] = ()) -> str:
    """`rules`: path of the file with the rules. `disks`: mount points that are looked at; all without any."""
    mounts = "|".join(map(re.escape, disks)) or ".*"
    host = _scrape("host", f"{HERE}:{OWN}", "/metrics/host", HOST_SERIES)
    host["metric_relabel_configs"] = [
        {
            "source_labels": ["__name__", "mountpoint"],
            "regex": f"({HOST_SERIES});.*|{DISK_SERIES};({mounts})",
            "action": "keep",
        }
    ]
    scrapes = [
        host,
        _scrape("alertmanager", f"{HERE}:{ALERTMANAGER}", "/metrics", ALERTMANAGER_SERIES),
    ]
    if watch.proxy:
        scrape = _scrape("proxy", f"{HERE}:{OWN}", "/metrics/proxy", PROXY_SERIES)
        scrape["metric_relabel_configs"] += [
            {"source_labels": ["proxy"], "regex": "app-(.*)", "target_label": "application"},
            {"regex": "proxy", "action": "labeldrop"},
        ]
        scrapes.append(scrape)
    if watch.sites:
        probes = [
            (
                [site.url],
                _module(family, site.status),
                {
                    "domain": site.domain,
                    "family": family,
                    **_of(site.application),
                    # Whose sites they are, where that is another server.
                    **({"peer": site.server} if site.server != watch.server else {}),
                },
            )
            for site in watch.sites
            for family in FAMILIES
        ]
        scrapes.append(_probes("sites", probes, "probe_(success|duration_seconds|ssl_earliest_cert_expiry)"))
    if watch.peers:
        ports = [
            ([f"{peer.address}:{peer.port}"], "tcp", {"peer": peer.server, **_of(peer.application)})
            for peer in watch.peers
        ]
        scrapes.append(_probes("peers", ports, "probe_success"))
    if watch.servers:
        pings = [([server.address], "ping", {"peer": server.name}) for server in watch.servers]
        scrapes.append(_probes("servers", pings, "probe_success"))
    return _text(
        {
            "global": {
                "scrape_interval": f"{interval}s",
                "scrape_timeout": f"{min(interval, 10)}s",
                "evaluation_interval": f"{interval}s",
                "external_labels": {"stack": watch.stack, "server": watch.server},
            },
            "rule_files": [rules],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"{HERE}:{ALERTMANAGER}"]}]}]},
            "scrape_configs": scrapes,
        }
    )


def blackbox(watch: Watch, authorities: str | None) -> str:
    """`authorities`: file of the certificates that are trusted; the system's without one."""
    tls = {"tls_config": {"ca_file": authorities}} if authorities else {}
    modules: dict[str, object] = {
        "tcp": {"prober": "tcp", "timeout": "5s", "tcp": {"preferred_ip_protocol": "ip4"}},
        "ping": {"prober": "icmp", "timeout": "5s", "icmp": {"preferred_ip_protocol": "ip4"}},
    }
    for status in sorted({site.status for site in watch.sites}):
        for family, protocol in FAMILIES.items():
            modules[_module(family, status)] = {
                "prober": "http",
                "timeout": "8s",
                "http": {
                    "preferred_ip_protocol": protocol,
                    "ip_protocol_fallback": False,
                    "follow_redirects": False,
                    "valid_status_codes": statuses(status),
                    "headers": {"User-Agent": AGENT},
                    "fail_if_header_matches": [NOWHERE],
                    **tls,
                },
            }
    return _text({"modules": modules})


def alertmanager(watch: Watch, interval: int, templates: str) -> str:
    """Who is told, and what together; with the password of mail. `templates`: path of the file of mail's texts."""
    receiver: dict[str, object] = {"name": "owner"}
    if watch.mail:
        receiver["email_configs"] = [_mail(watch.mail, to) for to in watch.mail.to]
    # By the way of `own`, which keeps the addresses from Alertmanager's log.
    ways = [f"webhook/{number}" for number, _ in enumerate(watch.webhooks)] + ["ntfy"] * (watch.ntfy is not None)
    webhooks = [{"url": f"http://{HERE}:{OWN}/{way}", "send_resolved": True} for way in ways]
    if webhooks:
        receiver["webhook_configs"] = webhooks
    routes, receivers = [], [receiver]
    if watch.heartbeat:
        beat = {"url": f"http://{HERE}:{OWN}/heartbeat", "send_resolved": False}
        receivers.append({"name": "heartbeat", "webhook_configs": [beat]})
        # It is told again as soon as it may: what is missed is the message.
        every = {"group_wait": "0s", "group_interval": f"{interval}s", "repeat_interval": f"{interval}s"}
        routes.append({"receiver": "heartbeat", "matchers": [f'alertname="{HEARTBEAT}"'], **every})
    return _text(
        {
            "templates": [templates],
            "route": {
                "receiver": "owner",
                "group_by": ["alertname", "domain", "peer"],
                # The families of a site are looked at within one interval, not at one moment.
                "group_wait": f"{interval * 2}s",
                "group_interval": f"{interval * 2}s",
                "repeat_interval": REPEAT,
                "routes": routes,
            },
            "inhibit_rules": [
                _instead('alertname="ServerDown"', 'alertname="PrivatePortDown"', ["peer"]),
                # Of their sites too. A site of this server has no peer, nor has its proxy.
                _instead('alertname="ServerDown"', 'alertname="SiteDown"', ["peer"]),
                _instead('alertname="ProxyDown"', 'alertname="SiteDown"', ["peer"]),
            ],
            "receivers": receivers,
        }
    )


def statuses(text: str) -> list[int]:
    """`200-202,401` as numbers."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return sorted(found)


def _module(family: str, status: str) -> str:
    return f"{family}-{status}"


def _of(application: str) -> dict[str, str]:
    return {"application": application}


def _mail(mail: Mail, to: str) -> dict[str, object]:
    login = {"auth_username": mail.user, "auth_password": mail.password} if mail.user else {}
    return {
        "to": to,
        "from": mail.sender,
        "smarthost": mail.server,
        "require_tls": mail.tls,
        "send_resolved": True,
        "headers": {"Subject": '{{ template "apiary.subject" . }}'},
        "text": '{{ template "apiary.text" . }}',
        "html": "",
        **login,
    }


def _instead(told: str, hushed: str, equal: Sequence[str]) -> dict[str, object]:
    return {"source_matchers": [told], "target_matchers": [hushed], "equal": list(equal)}


def _scrape(job: str, target: str, path: str, series: str) -> dict[str, list[object]]:
    made: dict[str, object] = {
        "job_name": job,
        "metrics_path": path,
        "static_configs": [{"targets": [target]}],
        "metric_relabel_configs": [_keep(series)],
    }
    return made  # type: ignore[return-value]


def _probes(job: str, probes: Sequence[tuple[list[str], str, dict[str, str]]], series: str) -> dict[str, list[object]]:
    made: dict[str, object] = {
        "job_name": job,
        "metrics_path": "/probe",
        "static_configs": [
            {"targets": targets, "labels": {"__param_module": module, **labels}} for targets, module, labels in probes
        ],
        "relabel_configs": [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": f"{HERE}:{BLACKBOX}"},
        ],
        "metric_relabel_configs": [_keep(series)],
    }
    return made  # type: ignore[return-value]


def _keep(series: str) -> dict[str, object]:
    return {"source_labels": ["__name__"], "regex": series, "action": "keep"}


def _text(found: object) -> str:
    return json.dumps(found, indent=1) + "\n"
