"""The configuration reference, printed from the models.

Makes: docs/configuration.md, by `python -m settings.reference > docs/configuration.md`. Leaves alone: what
the settings are; a test fails when the file and the models differ.
"""

import json
import sys
from collections.abc import Iterator
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from settings import references
from settings.alerts import Alerts, Mail, Ntfy
from settings.backups import Backup, Backups, Keep
from settings.containers import Application, Container, Health, Job
from settings.drills import Drill, Rehearsal
from settings.hosts import Data, Dns, DockerIpv6, Ipv6, Record, Server, Swarm, Zone
from settings.kinds import Kind, Settings
from settings.models import Stack
from settings.options import Options
from settings.replicas import Replicas
from settings.site import RateLimit, Site
from settings.sources import Git, Registry, Source

_INTRO = """\
# Configuration

Generated from the models in `settings/` by `python -m settings.reference`; do not edit.

A stack file `Pulumi.<stack>.yaml` holds the sections below, each under the project's name: `apiary:servers`,
`apiary:applications` and so on. Unknown settings are errors, and every error of a file is reported at once,
by its path.

YAML may read unquoted text as something else: `1.10` as 1.1, `022` as 18, `1_000` as 1000, `True` as true, `2026-11-25`
as a point in time. What would arrive changed is refused by its path, to be written in quotes; of another file than
`Pulumi.<stack>.yaml` beside the program (`--config-file`) no spelling is seen, and numbers of `env` are not judged.
Other programs than Pulumi also read `no` and `on` as booleans, `2:0:10` and `53:53` as base-60 numbers. Suffixes, pairs
of ports, versions, dates and the like belong in quotes.
"""

_REFERENCES = """\
## References

The value of an `env` setting may stand for something that the program knows. Lists hold plain text only.

{table}

Numbers and booleans reach the container as text (`8080`, `true`), lists as their items joined by commas.
"""

_SECTIONS: tuple[tuple[str, type[Settings]], ...] = (
    ("Sections", Stack),
    ("`servers.NAME`", Server),
    ("`servers.NAME.ipv6`", Ipv6),
    ("`servers.NAME.ipv6.docker`", DockerIpv6),
    ("`servers.NAME.data`", Data),
    ("`servers.NAME.dns`", Dns),
    ("`applications.NAME` and `jobs.NAME`", Container),
    ("`applications.NAME` and `jobs.NAME`, their images", Source),
    ("`applications.NAME` and `jobs.NAME`, how they run", Options),
    ("`applications.NAME.git` and `jobs.NAME.git`", Git),
    ("`applications.NAME`", Application),
    ("`applications.NAME`, its replicas", Replicas),
    ("`applications.NAME.health`", Health),
    ("`applications.NAME.site`", Site),
    ("`applications.NAME.site.rate_limit`", RateLimit),
    ("`jobs.NAME`", Job),
    ("`applications.NAME.backup` and `jobs.NAME.backup`", Backup),
    ("`applications.NAME.drill`", Drill),
    ("`registries.HOST`", Registry),
    ("`backups`", Backups),
    ("`backups.keep`", Keep),
    ("`backups.drill`", Rehearsal),
    ("`zones.DOMAIN`", Zone),
    ("`zones.DOMAIN.records`, each", Record),
    ("`swarm`", Swarm),
    ("`alerts`", Alerts),
    ("`alerts.mail`", Mail),
    ("`alerts.ntfy`", Ntfy),
)


def render() -> str:
    """Return the whole reference as Markdown."""
    sections = [_section(title, model) for title, model in _SECTIONS]
    table = "\n".join(line for line in (references.__doc__ or "").splitlines() if line.startswith("|"))
    return "\n".join([_INTRO, *sections, _REFERENCES.format(table=table)])


def _section(title: str, model: type[Settings]) -> str:
    doc = " ".join((model.__doc__ or "").split())
    rows = "\n".join(_rows(model))
    head = "| setting | type | default | what it does | example |\n|---|---|---|---|---|"
    return f"## {title}\n\n{doc}\n\n{head}\n{rows}\n"


def _rows(model: type[Settings]) -> Iterator[str]:
    inherited = {name for base in model.__mro__[1:] if issubclass(base, Settings) for name in base.model_fields}
    for name, field in model.model_fields.items():
        if name not in inherited and not field.exclude:
            example = _code(field.examples[0]) if field.examples else ""
            cells = (f"`{name}`", _kind(field), _default(field), field.description or "", example)
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _code(value: object) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "" if value is None or value in ([], {}) or isinstance(value, Settings) else _code(value)


def _kind(field: FieldInfo) -> str:
    own = next((part.words for part in field.metadata if isinstance(part, Kind)), None)
    return own or _words(field.annotation)


def _words(annotation: object) -> str:
    own = next((part.words for part in getattr(annotation, "__metadata__", ()) if isinstance(part, Kind)), None)
    inner = get_args(annotation)
    origin = get_origin(annotation)
    if own:
        words = own
    elif origin is Literal:
        words = ", ".join(_code(choice) for choice in inner)
    elif origin is list:
        words = f"list: {_words(inner[0])}"
    elif origin is dict:
        words = f"map: {_words(inner[0])} to {_words(inner[1])}"
    elif type(None) in inner:
        words = _words(next(part for part in inner if part is not type(None)))
    elif isinstance(annotation, type) and issubclass(annotation, Settings):
        words = "map"
    else:
        words = {int: "whole number", bool: "`true` or `false`"}.get(annotation, "text")  # type: ignore[call-overload]
    return words


if __name__ == "__main__":
    sys.stdout.write(render())
