"""What is wrong with a hive, by what there should be and what was told, in the tables where it is. Pure."""

from __future__ import annotations

from operations.status.backups import backups
from operations.status.containers import containers
from operations.status.drift import drift
from operations.status.report import Answers, Report, Section
from operations.status.servers import servers
from operations.status.sites import sites
from operations.status.stack import Wanted

NO_BACKUPS = "none are made: there is no apiary:backups in the stack file"


def report(wanted: Wanted, answers: Answers) -> Report:
    """What is wrong, in the tables where it is."""
    jobs, applications = containers(wanted, answers)
    sections = [
        Section(
            "servers", ("up", "load", "memory used", "disk used", "clock", "reboot"), servers(wanted, answers),
            "none yet: pulumi up",
        ),
        Section("sites", ("IPv6", "IPv4", "certificate"), sites(wanted, answers), "none"),
        Section("applications", ("",), applications, "none"),
        Section("jobs", ("last run", "ended with", "by the clock"), jobs, "none"),
        Section("backups", ("newest", "took", "holds", "proved"), backups(wanted, answers), NO_BACKUPS),
        Section("drift", ("",), (drift(wanted, answers.drift),)),
    ]  # fmt: skip
    return Report(
        wanted.stack,
        answers.now,
        tuple(
            Section(one.title, one.columns, tuple(sorted(one.rows, key=lambda row: -row.level)), one.empty)
            for one in sections
        ),
    )
