"""Compose files read and merged: variables, long forms, absolute paths, `extends`, `include`.

Makes: `Reading`, whose `model` is what several files say together. Leaves alone: which services are active (project).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence

from operations.coming.errors import Key, Problem, SourceError, Wrong, kind_of, mapping, path_of, show, texts
from operations.coming.files import Files, joined
from operations.coming.files import spelt as spelt_path
from operations.coming.yaml_data import Override, Reset, documents
from operations.compose import variables
from operations.compose.forms import FORMS
from operations.compose.merging import merge
from settings.errors import did_you_mean

SHARED = ("networks", "volumes", "configs", "secrets")
_DEEPEST = 20  # extends and include
_GIT = ("http://", "https://", "git://", "git@", "ssh://", "github.com/")

Data = dict[str, object]


class Reading:
    """One project: a folder, its variables, and the problems of all its files."""

    def __init__(
        self,
        files: Files,
        folder: str,
        environment: Mapping[str, str],
        env_files: Sequence[str],
        depth: int = 0,
    ) -> None:
        self.files = files
        self.folder = folder
        self._depth = depth
        # Problems below a service count only where the service is used.
        self.problems: list[tuple[tuple[Key, ...], Problem]] = []
        self._extending: list[tuple[str, str]] = []
        self._documents: dict[str, Data] = {}
        self.environment = self._variables(environment, env_files)

    def _variables(self, environment: Mapping[str, str], env_files: Sequence[str]) -> dict[str, str]:
        named = list(env_files)
        if not named and self.files.kind(posixpath.join(self.folder, ".env")) == "file":
            named = [posixpath.join(self.folder, ".env")]
        found: dict[str, str] = {}
        for path in named:
            found |= self.variables_of(path, {**found, **environment})
        return {**found, **environment}

    def variables_of(self, path: str, environment: Mapping[str, str], *, raw: bool = False) -> dict[str, str]:
        try:
            read = variables.parse(self.files.read(path), environment, raw=raw)
        except Wrong as error:
            raise SourceError([Problem(self.spelt(path), str(error))]) from error
        return {
            name: value if value is not None else environment[name]
            for name, value in read.items()
            if value is not None or name in environment
        }

    def spelt(self, path: str) -> str:
        return spelt_path(path, self.folder)

    def refuse(self, path: tuple[Key, ...], message: str, file: str = "") -> None:
        where = path_of(*path)
        self.problems.append((path, Problem(f"{self.spelt(file)}: {where}" if file else where, message)))

    # Files, each in long forms with absolute paths

    def model(self, paths: Sequence[str], folder: str) -> Data:
        """Merge files, on top of what they include."""
        self._name(paths, folder)
        merged: Data = {}
        own: list[Data] = []
        for path in paths:
            data = self._file(path, folder)
            services = data.get("services")
            for name in list(services) if isinstance(services, dict) else []:
                if isinstance(services, dict) and isinstance(services[name], dict):
                    services[name] = self._extended(name, services, path, folder)
            own.append(mapping(services, "services:"))
            merged = mapping(merge(merged, data), "services:")
        return self._included(merged, own)

    def _name(self, paths: Sequence[str], folder: str) -> None:
        """Know the project's name as the variable by which files may speak of it."""
        if "COMPOSE_PROJECT_NAME" in self.environment:
            return
        found = posixpath.basename(folder)
        for path in paths:
            for document in documents(self.files.read(path), self.spelt(path)):
                said = document.get("name") if isinstance(document, dict) else None
                # What is wrong with a variable in it is said where the whole file is read.
                said = variables.Interpolation(self.environment, path).data(said)
                found = said if isinstance(said, str) and "$" not in said else found
        self.environment["COMPOSE_PROJECT_NAME"] = re.sub(r"[^a-z0-9_-]", "", found.lower()).lstrip("_-")

    def _file(self, path: str, folder: str) -> Data:
        if path in self._documents:
            return self._documents[path]
        name = self.spelt(path)
        made: Data = {}
        for document in documents(self.files.read(path), name):
            interpolation = variables.Interpolation(self.environment, name)
            data = interpolation.data(document)
            self.problems += interpolation.problems
            if data is None:
                continue
            if not isinstance(data, dict):
                raise SourceError(
                    [Problem(name, f"must be a map, not {kind_of(data)}; write services: {{web: {{image: NAME}}}}")]
                )
            long = self._long(_version_1(data), path, folder)
            # Not yet merged with the file before: `!reset` and `!override` are kept for that.
            made = mapping(merge(made, long), "services:") if made else long
        if not made:
            raise SourceError([Problem(name, "is empty; name a compose file")])
        self._documents[path] = made
        return made

    def _long(self, data: Data, file: str, folder: str) -> Data:
        made: Data = dict(data)
        for section in ("services", *SHARED):
            if section not in data or isinstance(data[section], (Reset, Override)):
                continue
            try:
                entries = mapping(data[section], f"{section}:")
            except Wrong as error:
                self.refuse((section,), str(error), file)
                made.pop(section)
                continue
            made[section] = {}
            for name, entry in entries.items():
                value = self._entry(section, name, entry, file, folder)
                if value is not None:
                    made[section][name] = value  # type: ignore[index]
        made["include"] = self._includes(data.get("include"), file)
        return made

    def _entry(self, section: str, name: str, entry: object, file: str, folder: str) -> object:
        path: tuple[Key, ...] = (section, name)
        if isinstance(entry, (Reset, Override)):
            return entry
        if section != "services":
            if entry is None or isinstance(entry, dict):
                return self._shared(dict(entry or {}), folder)
            self.refuse(path, f"must be a map, not {kind_of(entry)}; leave it empty, or write its settings below", file)
            return None
        if not isinstance(entry, dict):
            self.refuse(path, f"must be a map, not {kind_of(entry)}; write image: NAME below it", file)
            return None
        made: Data = {}
        for key, value in entry.items():
            form = FORMS.get(key)
            try:
                made[key] = _formed(form, value) if form else value
            except Wrong as error:
                self.refuse((*path, key, *error.below), str(error), file)
        return self._placed(made, folder)

    def _shared(self, entry: Data, folder: str) -> Data:
        if isinstance(entry.get("file"), str):
            entry["file"] = joined(folder, str(entry["file"]))
        return entry

    def _placed(self, service: Data, folder: str) -> Data:
        """Make the paths of a service absolute: they are relative to the project's folder, or to that of the file that
        is extended.
        """

        def items(key: str) -> list[Data]:
            value = service.get(key)
            value = value.value if isinstance(value, Override) else value
            return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []

        for one in items("env_file"):
            one["path"] = joined(folder, str(one["path"]))
        for one in items("volumes"):
            source = one.get("source")
            if one["type"] == "bind" and isinstance(source, str):
                # A slash at the end says that it is a folder, also where it is not there.
                one["source"] = joined(folder, source) + ("/" if source.endswith("/") and source != "/" else "")
        build = service.get("build")
        if isinstance(build, dict) and isinstance(build.get("context"), str):
            context = str(build["context"])
            if not context.startswith(_GIT):
                build["context"] = joined(folder, context)
        return service

    # extends

    def _extended(self, name: str, services: Data, file: str, folder: str) -> object:
        service = mapping(services[name], "image: NAME")
        extends = service.get("extends")
        if not isinstance(extends, dict):
            return service
        path: tuple[Key, ...] = ("services", name, "extends")
        own = {key: value for key, value in service.items() if key != "extends"}
        base = str(extends["service"])
        other = joined(folder, str(extends["file"])) if extends.get("file") else file
        if (other, base) in self._extending or len(self._extending) > _DEEPEST:
            self.refuse(path, f"{show(base)} extends itself in the end; take one extends out", file)
            return own
        self._extending.append((other, base))
        try:
            there = services
            if other != file:
                if self.files.kind(other) != "file":
                    self.refuse((*path, "file"), f"{self.spelt(other)} is not there; correct the path", file)
                    return own
                found = self._file(other, posixpath.dirname(other)).get("services")
                there = mapping(found, "services:")
            if not isinstance(there.get(base), dict):
                self.refuse(path, f"{show(base)} is not a service; {did_you_mean(base, there)}", file)
                return own
            inherited = self._extended(base, there, other, folder if other == file else posixpath.dirname(other))
        finally:
            self._extending.pop()
        return merge(inherited, own, ("services", name))

    # include

    def _includes(self, value: object, file: str) -> list[object]:
        made: list[object] = []
        entries = value if isinstance(value, list) else [] if value is None else [value]
        for index, entry in enumerate(entries):
            try:
                one = {"path": entry} if isinstance(entry, str) else mapping(entry, "{path: other/compose.yaml}")
                named = texts(one.get("path") or {}, "other/compose.yaml")
                paths = [joined(posixpath.dirname(file), path) for path in named]
                beside = posixpath.dirname(file)
                project = one.get("project_directory")
                made.append({
                    "paths": paths,
                    "folder": joined(beside, str(project)) if project else posixpath.dirname(paths[0]),
                    "env_files": [joined(beside, path) for path in texts(one.get("env_file"), ".env")],
                })  # fmt: skip
            except Wrong as error:
                self.refuse(("include", index, *error.below), str(error), file)
        return made

    def _included(self, merged: Data, own: Sequence[Data]) -> Data:
        """Add what is included; `own` are the services as each file says them, with what it resets and overrides."""
        mine = {name for services in own for name in services}
        for index, one in enumerate(list(merged.get("include") or [])):  # type: ignore[call-overload]
            if self._depth >= _DEEPEST:
                raise SourceError([Problem(path_of("include", index), "includes itself in the end; take it out")])
            inner = Reading(self.files, one["folder"], self.environment, one["env_files"], self._depth + 1)
            model = inner.model(one["paths"], one["folder"])
            self.problems += inner.problems
            for section in ("services", *SHARED):
                theirs = mapping(model.get(section), "services:")
                ours = mapping(merged.setdefault(section, {}), "services:")
                for name, entry in theirs.items():
                    if section == "services" and name in ours and name in mine:
                        ours[name] = entry
                        for services in own:
                            if name in services:
                                ours[name] = merge(ours[name], services[name], (section, name))
                    elif section == "services" and ours.get(name, entry) != entry:
                        self.refuse(
                            (section, name),
                            f"comes from {self.spelt(one['paths'][0])} as well; change it by a file that is listed "
                            "beside that in include",
                        )
                    ours.setdefault(name, entry)
        return merged


def _formed(form: object, value: object) -> object:
    if isinstance(value, Reset):
        return value
    if isinstance(value, Override):
        return Override(_formed(form, value.value))
    return form(value)  # type: ignore[operator]


def _version_1(data: Data) -> Data:
    """Files of before 2016 are the map of services itself, and name volumes nowhere else."""
    is_old = "services" not in data and all(
        isinstance(entry, dict) and ("image" in entry or "build" in entry) for entry in data.values()
    )
    if not is_old or not data:
        return data
    mounts = [mount for entry in data.values() for mount in mapping(entry, "{}").get("volumes") or []]  # type: ignore[attr-defined]
    names = [str(mount).partition(":")[0] for mount in mounts if ":" in str(mount)]
    return {"services": data, "volumes": {name: None for name in names if not name.startswith(("/", ".", "~"))}}
