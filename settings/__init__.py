"""The stack file as typed models, checked as a whole; addresses, references and DNS as pure functions.

Nothing here imports Pulumi, reads a file or asks the network. Start with `load`.
"""

from settings.addresses import Plan, own_address
from settings.container_texts import VolumeMount
from settings.domains import RecordPlan, dns_records, domains_map, proxy_map, redirects_map, reverse_names, zones_of
from settings.errors import SettingsError
from settings.loading import load
from settings.models import Application, Backups, Container, Data, Git, Health, Job, Registry, Stack
from settings.monitoring import watched
from settings.monitors import monitors, unwatched
from settings.neighbours import Neighbours, neighbours
from settings.plans import plan, static_suffixes
from settings.reach import Opening, openings
from settings.references import resolve
from settings.spelling import spellings

__all__ = [
    "Application",
    "Backups",
    "Container",
    "Data",
    "Git",
    "Health",
    "Job",
    "Neighbours",
    "Opening",
    "Plan",
    "RecordPlan",
    "Registry",
    "SettingsError",
    "Stack",
    "VolumeMount",
    "dns_records",
    "domains_map",
    "load",
    "monitors",
    "neighbours",
    "openings",
    "own_address",
    "plan",
    "proxy_map",
    "redirects_map",
    "resolve",
    "reverse_names",
    "spellings",
    "static_suffixes",
    "unwatched",
    "watched",
    "zones_of",
]
