"""What an image is made of, and what follows from that: its tag, the name of its resource, what its builder is told.

Pure; no resource of its own. Leaves alone: how it gets to a server (image.py).
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

import settings
from components.archive import Archive
from components.labels import STACK, stack_tag


@dataclass(frozen=True)
class Build:
    """What `docker build` is told besides its context and tag."""

    args: Mapping[str, str] = field(default_factory=dict)
    dockerfile: str | None = None  # path in the context
    target: str | None = None  # the stage that is built
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # by their ids; another one builds nothing

    @classmethod
    def of(cls, container: settings.Container, secrets: Mapping[str, str]) -> Build:
        """That of a container; `secrets` are the stack's."""
        named = {id_: secrets[name] for id_, name in container.build_secret_names.items()}
        return cls(container.build_args, container.dockerfile, container.target, named)

    def recipe(self) -> list[object]:
        """All of it that makes another image."""
        chosen = [self.dockerfile, self.target]
        return [dict(self.args), *(chosen if any(chosen) else [])]

    def suffix(self) -> str:
        """For names: nothing where nothing is said."""
        [args, *chosen] = self.recipe()
        said = [args, *chosen] if chosen else args
        return f"-{short(json.dumps(said, sort_keys=True))}" if args or chosen else ""

    def told(self) -> dict[str, object]:
        """What its builder gets on standard input."""
        return {"secrets": dict(self.secrets)} if self.secrets else {}

    def words(self) -> list[str]:
        """Options of apiary-image and apiary-git."""
        return ["--dockerfile", self.dockerfile] if self.dockerfile else []

    def options(self) -> list[str]:
        """Options of `docker build`."""
        given = [word for name, value in sorted(self.args.items()) for word in ("--build-arg", f"{name}={value}")]
        return ["--label", f"{STACK}={stack_tag()}", *(["--target", self.target] if self.target else []), *given]


@dataclass(frozen=True)
class BuiltImage:
    """An image built on the server."""

    name: str  # folder in images/, e.g. `NginxStatic`
    context: Archive
    build: Build = field(default_factory=Build)

    def tag(self) -> str:
        """`apiary/nginxstatic:<12 hex digits of all that goes into it>`."""
        recipe = json.dumps([self.context.digest, *self.build.recipe()], sort_keys=True)
        return f"apiary/{self.name.lower()}:{short(recipe)}"

    def resource_name(self) -> str:
        """The same whatever the folder holds, so that a changed image replaces the one before it."""
        return f"{self.name}{self.build.suffix()}"

    def slot(self) -> str:
        """Where its context waits (cargo.py): another Dockerfile may leave out others of its files."""
        return f"images/{self.name}{f'-{short(self.build.dockerfile)}' if self.build.dockerfile else ''}"


@dataclass(frozen=True)
class GitImage:
    """An image built on the server from a repository that the server fetches."""

    git: settings.Git
    build: Build = field(default_factory=Build)
    token: str | None = field(default=None, repr=False)  # that may read the repository
    key: str | None = field(default=None, repr=False)  # private key that may, by SSH

    def tag(self, commit: str) -> str:
        """`apiary/site:<12 hex digits of all that goes into it>`, by the last part of the repository's name."""
        recipe = json.dumps([self.git.url, commit, self.git.dir, *self.build.recipe()], sort_keys=True)
        name = self.git.url.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git").lower()
        return f"apiary/{'-'.join(re.findall('[a-z0-9]+', name)) or 'git'}:{short(recipe)}"

    def resource_name(self) -> str:
        """As Docker writes it, `https://git.example.org/site.git#main:sub/folder`."""
        git = self.git
        at = git.branch or git.tag or git.commit or ""
        folder = f":{git.dir}" if git.dir else ""
        return git.url + (f"#{at}" if at or git.dir else "") + folder + self.build.suffix()

    def login(self) -> dict[str, str]:
        """What git gets on standard input."""
        given = {"token": self.token, "key": self.key, "host_key": self.git.host_key if self.key else None}
        return {name: value for name, value in given.items() if value}

    def told(self) -> dict[str, object]:
        """What git and the builder get on standard input."""
        return {**self.login(), **self.build.told()}

    def options(self, commit: str) -> str:
        """What apiary-git is told: `docker inspect` of a container then says which commit runs."""
        git = self.git
        labels = [f"org.opencontainers.image.source={git.url}", f"org.opencontainers.image.revision={commit}"]
        return shlex.join(
            [
                *([] if git.commit else ["--ref", git.ref]),
                *(["--dir", git.dir] if git.dir else []),
                *self.build.words(),
                *(git.url, commit, self.tag(commit)),
                *("--", *self.build.options()),
                *(option for label in labels for option in ("--label", label)),
            ]
        )


@dataclass(frozen=True)
class NamedImage:
    """An image that a registry has, pulled when the server does not have it yet."""

    name: str  # e.g. `postgres:15`

    @property
    def is_fixed(self) -> bool:
        """Whether it is named by its digest already."""
        return "@" in self.name

    def resource_name(self) -> str:
        """The name itself: another tag is another image."""
        return self.name


def short(text: str) -> str:
    """12 hexadecimal digits that are another's for another text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
