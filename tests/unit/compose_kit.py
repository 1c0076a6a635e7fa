"""Compose files as texts in memory, read and converted as the verb does it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from operations.coming.errors import Problem, SourceError
from operations.coming.told import Outcome
from operations.compose import convert, project
from operations.compose.scene import Wish

FOLDER = "/home/me/shop"


class Memory:
    """Files by path; a folder is there when something lies in it."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = {posixpath.join(FOLDER, path): text for path, text in files.items()}

    def kind(self, path):
        if path in self.files:
            return "file"
        return "folder" if any(known.startswith(path.rstrip("/") + "/") for known in self.files) else None

    def inside(self, path):
        return sorted(known for known in self.files if known.startswith(path.rstrip("/") + "/"))

    def read(self, path):
        if path not in self.files:
            raise SourceError([Problem(path, "No such file; name a file that can be read")])
        return self.files[path]


def read(files, *, environment=None, paths=("compose.yaml",), env_files=(), profiles=()):
    """Read compose files: one text, or several by name."""
    files = {"compose.yaml": files} if isinstance(files, str) else files
    return project.load(
        [posixpath.join(FOLDER, path) for path in paths],
        Memory(files),
        environment or {},
        env_files=[posixpath.join(FOLDER, path) for path in env_files],
        profiles=profiles,
    )


def converted(files, *, stack=None, environment=None, paths=("compose.yaml",), profiles=(), **wish):
    """Read and convert."""
    files = {"compose.yaml": files} if isinstance(files, str) else files
    made = read(files, environment=environment, paths=paths, profiles=profiles)
    return convert.convert(made, Memory(files), Wish(**wish), stack or {})


def verdicts(done):
    """Path to outcome and words."""
    return {one.path: (one.outcome, one.words) for one in done.told.verdicts}


def refused(done):
    """Path to what to do, of all that can't be said."""
    return {one.path: one.words for one in done.told.verdicts if one.outcome is Outcome.CANNOT}


def entry(done, name):
    """The settings of an entry."""
    [found] = [one for one in done.entries if one.name == name]
    return found.settings


def variables(done, name):
    """What a container is told, by the names that it has them under."""
    settings = entry(done, name)
    return {**{key.upper(): value for key, value in settings.get("env", {}).items()}, **settings.get("environment", {})}


def problems(*args, **kwargs):
    """The problems of files that can't be read."""
    try:
        read(*args, **kwargs)
    except SourceError as error:
        return {problem.path: problem.message for problem in error.problems}
    raise AssertionError("the files were read")
