"""Compose files as one project, by the rules of the Compose Specification.

Makes: `load`, from files to a `Project` in long forms: what is active, with its variables. Leaves alone: reading and
merging (reading), and what becomes of it (convert).
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from operations.coming.errors import Key, Problem, SourceError, Wrong, mapping, path_of, show
from operations.coming.files import Files, joined
from operations.compose.merging import clean
from operations.compose.reading import SHARED, Data, Reading
from settings.errors import did_you_mean

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
OVERRIDES = ("compose.override.yaml", "compose.override.yml", "docker-compose.override.yml",
             "docker-compose.override.yaml")  # fmt: skip


@dataclass
class Project:
    """What the files say together; `services` are the active ones, each key in its long form."""

    name: str
    folder: str
    environment: Mapping[str, str] = field(repr=False)
    services: dict[str, Data] = field(default_factory=dict)
    inactive: dict[str, list[str]] = field(default_factory=dict)  # the profiles of services that are left out
    optional: set[str] = field(default_factory=set)  # active services that are so by a profile
    networks: dict[str, Data] = field(default_factory=dict)
    volumes: dict[str, Data] = field(default_factory=dict)
    configs: dict[str, Data] = field(default_factory=dict)
    secrets: dict[str, Data] = field(default_factory=dict)
    others: dict[str, object] = field(default_factory=dict)  # further keys at the top
    # Variables of `env_file`, by service; those of `environment` win.
    from_files: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)

    def shared(self, section: str) -> dict[str, Data]:
        """The entries of a section that services share."""
        return {
            "networks": self.networks, "volumes": self.volumes, "configs": self.configs, "secrets": self.secrets,
        }[section]  # fmt: skip


def load(
    paths: Sequence[str],
    files: Files,
    environment: Mapping[str, str],
    *,
    env_files: Sequence[str] = (),
    profiles: Sequence[str] = (),
) -> Project:
    """Read files (absolute paths; a folder stands for the compose file in it and its override, or for those that
    COMPOSE_FILE names) as one project.

    `environment` wins over `env_files`, for which `.env` beside the first file stands when none is named. Raises
    SourceError with every problem.
    """
    chosen = [found for path in paths for found in _chosen(path, files, environment, env_files)]
    folder = posixpath.dirname(chosen[0])
    reading = Reading(files, folder, environment, env_files)
    try:
        model = reading.model(chosen, folder)
        active = [*profiles, *_listed(reading.environment.get("COMPOSE_PROFILES", ""))]
        return _project(reading, model, active)
    except Wrong as error:
        where = path_of(*error.below) if error.below else posixpath.basename(chosen[0])
        raise SourceError([Problem(where, str(error))]) from error


def _chosen(path: str, files: Files, environment: Mapping[str, str], env_files: Sequence[str]) -> list[str]:
    if files.kind(path) != "folder":
        return [path]
    known = Reading(files, path, environment, env_files).environment
    if named := known.get("COMPOSE_FILE"):
        parts = named.split(known.get("COMPOSE_PATH_SEPARATOR") or ":")
        return [joined(path, part) for part in parts if part]
    here = [posixpath.join(path, name) for name in NAMES if files.kind(posixpath.join(path, name)) == "file"]
    if not here:
        raise SourceError([Problem(path, f"holds no {' or '.join(NAMES)}; name the file")])
    beside = [posixpath.join(path, name) for name in OVERRIDES if files.kind(posixpath.join(path, name)) == "file"]
    return [here[0], *beside[:1]]


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _project(reading: Reading, model: Data, profiles: Sequence[str]) -> Project:
    """Choose the active services and read their variables. Raises SourceError with every problem."""
    name = model.get("name") or reading.environment.get("COMPOSE_PROJECT_NAME") or posixpath.basename(reading.folder)
    made = Project(str(name), reading.folder, reading.environment)
    for service, entry in mapping(clean(model.get("services")), "services:").items():
        data = mapping(entry, "image: NAME")
        build = data.get("build")
        if isinstance(build, dict):
            build.setdefault("context", reading.folder)
        wanted = _list(data.pop("profiles", None))
        if "" in wanted:  # as `${NAME:-}` leaves it: none has to be active
            wanted = []
        if wanted and "*" not in profiles and not {str(profile) for profile in wanted} & set(profiles):
            made.inactive[service] = [str(profile) for profile in wanted]
        else:
            made.services[service] = data
            made.optional |= {service} if wanted else set()
    used = _shared(reading, made, model)
    _env_files(reading, made)
    _depended(reading, made)
    for key, value in model.items():
        if key not in ("services", "include", "name", "version", *SHARED):
            made.others[key] = value
    problems = [
        problem
        for path, problem in reading.problems
        if not (path[:1] == ("services",) and len(path) > 1 and path[1] in made.inactive)
        and not (len(path) > 1 and path[0] in SHARED and (path[0], path[1]) not in used)
    ]
    if not made.services and not problems:
        named = sorted({profile for wanted in made.inactive.values() for profile in wanted})
        hint = f"name one of {', '.join(named)} by --profile" if named else "write services: {web: {image: NAME}}"
        problems.append(Problem("services", f"there is none to convert; {hint}"))
    if problems:
        raise SourceError(problems)
    return made


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _shared(reading: Reading, made: Project, model: Data) -> set[tuple[Key, Key]]:
    """Take what services share, and return which of it is used."""
    used: set[tuple[Key, Key]] = set()
    for section in SHARED:
        entries = mapping(clean(model.get(section)), f"{section}:")
        made.shared(section).update({name: mapping(entry, "{}") for name, entry in entries.items()})
    for service, data in made.services.items():
        for section, name in _named(data):
            used.add((section, name))
            known = made.shared(section)
            if name not in known and (section, name) != ("networks", "default"):
                near = did_you_mean(name, known) if known else "there is none yet"
                reading.refuse(
                    ("services", service, section),
                    f"{show(name)} is not in {section} at the top; write it there, or correct the name: {near}",
                )
    return used


def _env_files(reading: Reading, made: Project) -> None:
    for name, service in made.services.items():
        found: dict[str, str] = {}
        for index, one in enumerate(_list(service.get("env_file"))):
            file = mapping(one, "{path: .env}")
            path, at = str(file["path"]), ("services", name, "env_file", index)
            if reading.files.kind(path) != "file":
                if file.get("required", True) is not False:
                    where = reading.spelt(path)
                    reading.refuse(at, f"{where} is not there; put it there, or write required: false")
                continue
            try:
                around = {**reading.environment, **found}
                found |= reading.variables_of(path, around, raw=file.get("format") == "raw")
            except SourceError as error:
                reading.problems += [(at, problem) for problem in error.problems]
        made.from_files[name] = found


def _depended(reading: Reading, made: Project) -> None:
    for name, service in made.services.items():
        needed = mapping(service.get("depends_on"), "[db]")
        for other, how in list(needed.items()):
            path = ("services", name, "depends_on", other)
            if other in made.services:
                continue
            if isinstance(how, dict) and how.get("required") is False:
                del needed[other]
            elif other in made.inactive:
                reading.refuse(path, f"is of profile {made.inactive[other][0]}; name that by --profile as well")
            else:
                reading.refuse(path, f"{show(other)} is not a service; {did_you_mean(other, made.services)}")


def _named(service: Data) -> list[tuple[str, str]]:
    """What a service uses of the sections that services share."""
    found = [("networks", name) for name in mapping(service.get("networks"), "[front]")]
    for section in ("configs", "secrets"):
        found += [(section, str(mapping(one, "{source: x}")["source"])) for one in _list(service.get(section))]
    for one in _list(service.get("volumes")):
        mount = mapping(one, "{source: data, target: /data}")
        if mount.get("type") == "volume" and mount.get("source"):
            found.append(("volumes", str(mount["source"])))
    return found
