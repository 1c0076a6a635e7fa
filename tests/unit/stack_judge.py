"""Stack files that nobody has thought of: each is planned whole, or refused with a path and a remedy.

Makes: `judge`, which reads a stack file as the program does and plans all that the program plans of it, and `one`.
"""

from __future__ import annotations

import json
import random
import re
import sys

import yaml

import settings
from lab.paths import CHECKOUT
from settings import carried, databases, options, order, saved, swarm
from settings.references import Reference, SecretRef, Text
from tests.unit.stack_fuzz import PROJECT, stack_file

sys.path.insert(0, str(CHECKOUT / "images" / "HAProxySetup"))

from hasetup.config import render
from hasetup.domains import parse_domains

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
FOLDERS = {folder.name for folder in (CHECKOUT / "images").iterdir() if folder.is_dir()}
PLAYBOOKS = {file.name for file in (CHECKOUT / "playbooks").glob("*.yml")}
# What a message says to do. A problem that only says what is wrong leaves its reader alone.
REMEDY = re.compile(
    r"\b(write|take|leave|name|correct|put|give|set|did you mean|rename|publish|copy|have|use|choose|let|make|add|"
    r"known here|there are none|must be|say|run|list|keep|spell|belongs|remove|say it|wait|open|drop|move|end|is meant|"
    r"one of|go|goes|shorten|is told|point|lead|writes|names its own|is called|as in|stands?|comes in|by the clock|"
    r"is a role|are started|is a file|share|as a whole|e\.g\.)(\b|(?<=\.))"
)


def handed_over(text: str) -> dict[str, object] | None:
    """The sections as the engine hands them over, or as nearly as Python reads YAML; None for what is no YAML."""
    try:
        read = yaml.load(text, Loader=LOADER)  # noqa: S506 - a safe one
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    config = read.get("config") if isinstance(read, dict) else None
    prefix = f"{PROJECT}:"
    mine = config.items() if isinstance(config, dict) else ()
    return {str(key).removeprefix(prefix): value for key, value in mine if str(key).startswith(prefix)}


def judge(text: str, *, as_json: bool) -> settings.Stack | None:
    """A stack of which all can be planned, or a report in which every line has a path and a remedy."""
    sections = handed_over(text)
    if sections is None:
        return None
    raw = _through_json(sections) if as_json else sections
    try:
        stack = settings.load(
            raw,
            name="fuzz",
            build_dirs=FOLDERS,
            playbooks=PLAYBOOKS,
            is_there=lambda path: (CHECKOUT / path).exists(),
            spelt=settings.spellings(text, PROJECT),
        )
    except settings.SettingsError as error:
        _told(error)
        return None
    planned(stack)
    return stack


def _told(report: settings.SettingsError) -> None:
    assert str(report).encode()
    for problem in report.problems:
        assert problem.path, problem
        assert problem.message.isprintable(), problem
        assert "pydantic" not in problem.message, problem
        assert REMEDY.search(problem.message), str(problem)


def _through_json(sections: dict[str, object]) -> object:
    """As the engine sends it; data without an end, which it refuses by itself, stay as they are."""
    try:
        return json.loads(json.dumps(sections, default=str, skipkeys=True))
    except ValueError:
        return sections


def planned(stack: settings.Stack) -> None:
    """All that the program asks of a stack that it has taken."""
    wanted = order.container_order(stack)
    assert sorted(wanted) == sorted(stack.containers())
    json.dumps(stack.private_nets())
    for zone, wish in settings.zones_of(stack).items():
        assert zone, wish
    settings.reverse_names(stack)
    for name in saved.keeper_first(stack):
        _server(stack, name)
    assert sorted(settings.neighbours(stack)) == sorted(wanted)
    for name in wanted:
        _container(stack, name)
        assert swarm.runs_on(stack, name)
    if swarm.members(stack):
        assert swarm.managers(stack)
        json.dumps(swarm.nets(stack))
    for name in settings.monitors(stack).values():
        json.dumps(settings.watched(stack, name, dict.fromkeys(stack.servers, "192.0.2.1")))


def _server(stack: settings.Stack, name: str) -> None:
    for prefix in ("2001:db8:1:2::/64", None):
        plan = settings.plan(stack, name, prefix)
    assert plan.statics == {}, plan
    for record in settings.dns_records(stack, name):
        assert record.zone in settings.zones_of(stack), record
    settings.openings(stack, name)
    stack.registries_on(name)
    stack.private_peers(name)
    json.dumps([settings.domains_map(stack, name), settings.redirects_map(stack, name)])
    order.proxy_setups(stack, name)
    # The proxy's own reader takes what it is told, and writes it down.
    served = settings.proxy_map(stack, name)
    render(parse_domains(json.dumps(served)), crt_list="/etc/haproxy/certificates.list")
    if stack.backups is not None and saved.has_backups(stack, name):
        json.dumps([saved.saved(stack, name).shown(), saved.told(stack, name)])
        saved.place("s3:https://example.com/x", name)


def _container(stack: settings.Stack, name: str) -> None:
    container = stack.containers()[name]
    order.waits_for(stack, name)
    order.database_servers(stack, name)
    order.jobs_named(container)
    order.zones_before(stack, name)
    databases.used(name, container)
    databases.made_by(stack, name)
    json.dumps([carried.labels(stack, name), carried.placed(stack, name), carried.together(stack, name)])
    json.dumps(options.arguments(container))
    options.missed(container)
    for reference in [*container.variables.values(), *container.contents.values()]:
        assert isinstance(settings.resolve(reference, Answers(stack, name)), str)


class Answers:
    """Answers the references of a container without asking anybody (settings.references.Lookup)."""

    def __init__(self, stack: settings.Stack, asker: str) -> None:
        self.stack, self.asker = stack, asker

    def host(self, application: str) -> str:
        return str(self.stack.server_of(self.stack.applications[application]))

    def job(self, job: str) -> str:
        return str(self.stack.server_of(self.stack.jobs[job]))

    def password(self, reference: SecretRef) -> str:
        if reference.kind == "adminpass":
            return reference.application
        return databases.meant(self.asker, self.stack.containers()[self.asker], reference).name

    def secret(self, name: str) -> str:
        return self.stack.secrets[name]

    def domains(self) -> str:
        return json.dumps(settings.proxy_map(self.stack, self.stack.server_of(self.stack.containers()[self.asker])))

    def databases(self) -> str:
        return json.dumps(databases.made_by(self.stack, self.asker))

    def text(self, text: Text) -> str:
        return "".join(self._resolved(part.reference) for part in text.parts)

    def _resolved(self, reference: Reference) -> str:
        return settings.resolve(reference, self)


def one(seed: int) -> settings.Stack | None:
    """Write one stack file and judge it; an AssertionError or any other one tells a fault."""
    chance = random.Random(seed)  # noqa: S311 - which file, not a secret
    return judge(stack_file(chance), as_json=chance.random() < 0.7)
