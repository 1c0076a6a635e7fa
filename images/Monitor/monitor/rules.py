"""When the monitor alarms: Prometheus' rules. Pure: the same Watch gives the same bytes.

Every alert says what is the matter, where, and what to type, which is a line of the docs that it names. Times are
multiples of the seconds between two looks, so that a monitor that looks more often alarms sooner.

Leaves alone: whom it tells, and what is told together (`config`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from monitor.watch import Watch

CERTIFICATE_DAYS = 14  # CertBot renews from 30 days on
DISK_SECONDS = 86400  # what is full by then is told
DISK_ROOM = 0.5  # of a file system; more is not told of
DISK_LEAST = 0.05  # less is told whatever comes
MEMORY_LEAST = 0.05
RESTARTS = 3  # within RECENT
ERRORS, ERRORS_SHARE = 10, 0.05  # answers 5xx of an application within RECENT, and their share of all
# In looks.
SOON, BACK, LATER, RECENT, LONG = 4, 10, 20, 20, 120
HEARTBEAT = "Heartbeat"
# What is absent from a host that can't be asked is not known to be absent.
_ASKED = 'on () up{job="host"} == 1'


@dataclass(frozen=True)
class Alert:
    """One alert; `{{ }}` of Prometheus' templates in its texts."""

    name: str
    severity: str  # critical: visitors or data are concerned; warning: they will be
    expr: str
    summary: str
    doc: str  # page and heading
    type: str  # what to type
    looks: int = 0  # how often in a row it has to be so
    after: int = 0  # for how many looks it goes on being told of when it is over
    labels: dict[str, str] = field(default_factory=dict)


def alerts(watch: Watch, interval: int, disks: Sequence[str] = ()) -> list[Alert]:
    """Every alert of a monitor, in a stable order.

    `interval`: seconds between two looks. `disks`: mount points that have to be there.
    """
    return [
        *(_sites() if watch.sites else ()),
        *(_servers() if watch.servers else ()),
        *(_peers() if watch.peers else ()),
        *(_proxy(interval) if watch.proxy else ()),
        *_host(interval),
        *(_disk(mount) for mount in disks),
        *_containers(interval),
        *_replicas(interval),
        *(_late_job(job, late) for job, late in watch.jobs),
        *(_backups(watch.backups.late, watch.backups.drill_late, interval) if watch.backups else ()),
        *_itself(interval),
    ]


def render(watch: Watch, interval: int, disks: Sequence[str] = ()) -> str:
    """The file of rules, as JSON, which is YAML."""
    rules = [_rule(one, watch, interval) for one in alerts(watch, interval, disks)]
    if watch.heartbeat:
        rules.append({"alert": HEARTBEAT, "expr": "vector(1)", "labels": {"severity": "none"}})
    # Prometheus marks an alert as over by itself three looks, or 4 minutes, after it was last told of.
    groups = [{"name": "apiary", "interval": f"{interval}s", "rules": rules}]
    return json.dumps({"groups": groups}, indent=1) + "\n"


def _rule(alert: Alert, watch: Watch, interval: int) -> dict[str, object]:
    texts = {"summary": alert.summary, "type": alert.type, "doc": alert.doc}
    known = {"<stack>": watch.stack, "<server>": watch.server, "<name>": watch.name}
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": f"{alert.looks * interval}s",
        **({"keep_firing_for": f"{alert.after * interval}s"} if alert.after else {}),
        "labels": {"severity": alert.severity, **alert.labels},
        "annotations": {key: _filled(text, known) for key, text in texts.items()},
    }


def _filled(text: str, known: dict[str, str]) -> str:
    for sign, value in known.items():
        text = text.replace(sign, value)
    return text


def _sites() -> Iterator[Alert]:
    yield Alert(
        "SiteDown",
        "critical",
        'probe_success{job="sites"} == 0',
        "{{ $labels.instance }} does not answer over {{ $labels.family }} as it should",
        "docs/operations.md#a-site-is-down",
        "curl -4 -v https://{{ $labels.domain }}/ ; curl -6 -v https://{{ $labels.domain }}/",
        looks=SOON,
    )
    yield Alert(
        "CertificateExpires",
        "warning",
        f'min by (domain) (probe_ssl_earliest_cert_expiry{{job="sites"}}) - time() < {CERTIFICATE_DAYS * 86400}',
        f"the certificate of {{{{ $labels.domain }}}} ends in less than {CERTIFICATE_DAYS} days",
        "docs/certificates.md#one-domain-fails-what-happens",
        "make run JOB=<server>:certbot STACK=<stack>",
        looks=SOON,
    )


def _servers() -> Iterator[Alert]:
    yield Alert(
        "ServerDown",
        "critical",
        'max by (peer) (probe_success{job=~"servers|peers"}) == 0',
        "{{ $labels.peer }} answers neither a ping nor at a private port",
        "docs/operations.md#a-server-is-dead",
        "make revive SERVER={{ $labels.peer }} STACK=<stack>",
        looks=SOON,
        # What is not told beside it needs a while when it is back.
        after=BACK,
    )


def _peers() -> Iterator[Alert]:
    yield Alert(
        "PrivatePortDown",
        "critical",
        'probe_success{job="peers"} == 0',
        "{{ $labels.application }} of {{ $labels.peer }} does not answer at its private port",
        "docs/operations.md#a-site-is-down",
        "on {{ $labels.peer }} docker ps -a",
        looks=SOON,
    )


def _proxy(interval: int) -> Iterator[Alert]:
    recent = f"[{RECENT * interval}s]"
    yield Alert(
        "ProxyDown",
        "critical",
        'up{job="proxy"} == 0',
        "the proxy of <server> does not answer",
        "docs/operations.md#a-site-is-down",
        "make run JOB=<server>:hasetup STACK=<stack>",
        looks=SOON,
        after=SOON,
    )
    bad = f'sum by (application) (increase(haproxy_backend_http_responses_total{{code="5xx"}}{recent}))'
    every = f"sum by (application) (increase(haproxy_backend_http_responses_total{recent}))"
    yield Alert(
        "SiteErrors",
        "warning",
        f"{bad} > {ERRORS} and {bad} / {every} > {ERRORS_SHARE}",
        "of the last answers of {{ $labels.application }} more than one in twenty were errors of its own (5xx)",
        "docs/operations.md#a-site-is-down",
        "on <server> docker ps -a",
    )


def _host(interval: int) -> Iterator[Alert]:
    free = "node_filesystem_avail_bytes / node_filesystem_size_bytes"
    yield Alert(
        "DiskWillBeFull",
        "warning",
        # Where there is much room, a build of an image would look like the beginning of the end.
        f"predict_linear(node_filesystem_avail_bytes[{LONG * interval}s], {DISK_SECONDS}) <= 0 "
        f"and {free} < {DISK_ROOM} or {free} < {DISK_LEAST}",
        "{{ $labels.mountpoint }} of <server> will be full within a day, or is nearly so",
        "docs/operations.md#care-of-a-server",
        "on <server> df -h",
        looks=LATER,
    )
    yield Alert(
        "MemoryShort",
        "warning",
        f"node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes < {MEMORY_LEAST}",
        "of the memory of <server> hardly any is left",
        "docs/operations.md#care-of-a-server",
        "on <server> docker stats --no-stream",
        looks=LATER,
    )


def _disk(mount: str) -> Alert:
    there = f'node_filesystem_size_bytes{{mountpoint="{mount}"}}'
    return Alert(
        "DiskGone",
        "critical",
        f"absent({there}) and {_ASKED}",
        f"nothing is mounted at {mount} of <server>",
        "docs/operations.md#care-of-a-server",
        "on <server> df -h",
        looks=SOON,
        labels={"mountpoint": mount},
    )


def _containers(interval: int) -> Iterator[Alert]:
    yield Alert(
        "ContainerRestarts",
        "warning",
        f"increase(apiary_container_restarts_total[{RECENT * interval}s]) >= {RESTARTS}",
        "{{ $labels.application }} ends again and again, and is started again",
        "docs/operations.md#a-site-is-down",
        "on <server> docker logs --tail 50 {{ $labels.container }}",
    )
    yield Alert(
        "ContainerDown",
        "critical",
        "apiary_container_up == 0",
        "{{ $labels.application }} does not run, or is not healthy",
        "docs/operations.md#a-site-is-down",
        "on <server> docker logs --tail 50 {{ $labels.container }}",
        looks=SOON,
    )
    yield Alert(
        "JobFailed",
        "warning",
        "apiary_job_exit_status != 0",
        "the job {{ $labels.task }} has ended with status {{ $value }}",
        "docs/schedule.md#how-do-i-see-what-ran",
        "on <server> docker logs --tail 50 {{ $labels.container }}",
    )


def _replicas(interval: int) -> Iterator[Alert]:
    """Of what has replicas, which no single server's containers tell: a manager of the swarm does."""
    missing = "apiary_replicas_running < apiary_replicas_wanted"
    look = "on <server> docker service ps --no-trunc {{ $labels.application }}"
    yield Alert(
        "ReplicasDown",
        "critical",
        f"{missing} and apiary_replicas_running == 0",
        "of {{ $labels.application }} no replica runs and is healthy",
        "docs/scale.md#how-do-i-see-its-replicas",
        look,
        looks=SOON,
    )
    yield Alert(
        "ReplicasMissing",
        "warning",
        f"{missing} and apiary_replicas_running > 0",
        "of {{ $labels.application }} only {{ $value }} replicas run and are healthy, and more should",
        "docs/scale.md#how-do-i-see-its-replicas",
        look,
        looks=SOON,
    )
    yield Alert(
        "ReplicasRestart",
        "warning",
        f"increase(apiary_replicas_failed_total[{RECENT * interval}s]) >= {RESTARTS}",
        "replicas of {{ $labels.application }} end again and again, and are started again",
        "docs/scale.md#how-do-i-see-its-replicas",
        look,
    )
    yield Alert(
        "ManagersAway",
        "critical",
        "apiary_swarm_decides == 0",
        "most managers of the swarm are away, as <server> has it: nothing is moved, released or restarted",
        "docs/scale.md#most-managers-are-away-what-now",
        "make status STACK=<stack>",
        looks=SOON,
    )


def _late_job(job: str, late: int) -> Alert:
    started = f'apiary_job_started_timestamp_seconds{{task="{job}"}}'
    return Alert(
        "JobMissed",
        "warning",
        f'time() - {started} > {late} or absent(apiary_job_known{{task="{job}"}}) and {_ASKED}',
        f"the job {job} has not been started at its time",
        "docs/schedule.md#how-do-i-see-what-ran",
        f"make start JOB=<server>:{job} STACK=<stack>",
        looks=SOON,
        labels={"task": job},
    )


def _backups(late: int, drill_late: int | None, interval: int) -> Iterator[Alert]:
    yield Alert(
        "BackupLate",
        "critical",
        f"time() - apiary_backup_last_success_timestamp_seconds > {late}",
        "there is no backup of {{ $labels.item }} on <server> that is young enough",
        "docs/monitoring.md#a-backup-is-late-or-failed",
        "make backup STACK=<stack>",
        looks=SOON,
    )
    # A new server has none before its first night.
    yield Alert(
        "BackupLate",
        "critical",
        f"absent(apiary_backup_last_success_timestamp_seconds) and {_ASKED}",
        "there is no backup of <server> at all",
        "docs/monitoring.md#a-backup-is-late-or-failed",
        "make backup STACK=<stack>",
        looks=-(-late // interval),
    )
    yield Alert(
        "BackupFailed",
        "critical",
        "apiary_backup_last_status == 0",
        "the last backup of {{ $labels.item }} on <server> has failed, or saved suspiciously little"
        '{{ range query (printf "apiary_backup_reason{item=%q}" $labels.item) }}: {{ .Labels.reason }}{{ end }}',
        "docs/monitoring.md#a-backup-is-late-or-failed",
        "on <server> journalctl -u apiary-backups -n 50",
    )
    yield Alert(
        "DrillFailed",
        "critical",
        "apiary_drill_status == 0",
        "the rehearsal of a restore on <server> has failed"
        '{{ range query "apiary_drill_reason" }}: {{ .Labels.reason }}{{ end }}',
        "docs/monitoring.md#a-backup-is-late-or-failed",
        "make drill STACK=<stack>",
    )
    if drill_late:
        # One that never was is late from the first backup on.
        last = "(apiary_drill_last_success_timestamp_seconds or apiary_backup_since_timestamp_seconds)"
        yield Alert(
            "DrillLate",
            "warning",
            f"time() - {last} > {drill_late}",
            "no restore has been rehearsed on <server> when it should have been",
            "docs/monitoring.md#a-backup-is-late-or-failed",
            "make drill STACK=<stack>",
            looks=SOON,
        )


def _itself(interval: int) -> Iterator[Alert]:
    yield Alert(
        "MonitorBlind",
        "critical",
        'up{job="host"} == 0 or node_textfile_scrape_error > 0 or '
        f'time() - node_textfile_mtime_seconds{{file=~".*/containers.prom"}} > {max(120, SOON * interval)}',
        "the monitor of <server> learns nothing of its host",
        "docs/monitoring.md#the-monitor-is-blind-or-silent",
        "on <server> systemctl status apiary-node-exporter apiary-facts.timer",
        looks=SOON,
    )
    yield Alert(
        "AlertsNotDelivered",
        "critical",
        f"sum by (integration) (increase(alertmanager_notifications_failed_total[{RECENT * interval}s])) > 0",
        "alerts of <server> do not arrive by {{ $labels.integration }}",
        "docs/monitoring.md#the-monitor-is-blind-or-silent",
        "on <server> 'docker logs --tail 50 $(docker ps -q --filter label=apiary.resource=applications.<name>)'",
    )
