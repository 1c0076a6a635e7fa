"""The stack file as typed models, checked as a whole; addresses, references and DNS as pure functions.

Nothing here imports Pulumi, reads a file or asks the network. Start with `load`.
"""

from settings.addresses import AddressError, Plan, in_prefix
from settings.container_texts import Port, VolumeMount, go_duration
from settings.domains import (
    RecordPlan,
    Route,
    dns_records,
    domains_map,
    reverse_names,
    serves_https,
    zone_for,
    zones_of,
)
from settings.errors import Problem, SettingsError
from settings.jobs import job_order
from settings.loading import load
from settings.models import Application, Container, Git, Health, Job, Record, Server, Stack, Zone
from settings.plans import plan, static_suffixes
from settings.reach import Opening, openings
from settings.references import Lookup, parse, resolve

__all__ = [
    "AddressError",
    "Application",
    "Container",
    "Git",
    "Health",
    "Job",
    "Lookup",
    "Opening",
    "Plan",
    "Port",
    "Problem",
    "Record",
    "RecordPlan",
    "Route",
    "Server",
    "SettingsError",
    "Stack",
    "VolumeMount",
    "Zone",
    "dns_records",
    "domains_map",
    "go_duration",
    "in_prefix",
    "job_order",
    "load",
    "openings",
    "parse",
    "plan",
    "resolve",
    "reverse_names",
    "serves_https",
    "static_suffixes",
    "zone_for",
    "zones_of",
]
