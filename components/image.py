"""A container image on the server that runs it: built from a folder or a git repository, or pulled by name.

Makes one command. An image that is built gets a tag from its content, so only a changed folder builds
again, containers follow by their tag, and the old image goes when the last container of it has gone. The
failing step's own output is the error. The state knows a folder by its digest (cargo.py). Leaves alone: what it is
built from (`FROM`).

Of a repository the content is a commit. Where the stack file names a branch or a tag, a second command looks it
up on the server, once: the state then has the commit, so that neither a plan nor an update of something else
asks the network. Replacing that command looks again (operations/jobs.py), and builds only what has moved.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
from pulumi_command import remote

import settings
from components import cargo
from components.archive import Archive, ArchiveError, read_context
from components.bootstrap import Bootstrap
from components.host import Host
from components.labels import STACK, stack_tag
from components.server import Server, undo

# The classic builder: buildx is not on every host, and over ssh it would build on this side.
BUILD = """\
DOCKER_BUILDKIT=0 docker build --force-rm {options} --tag {tag} - <"$cargo/tar" 2>&1 | stdbuf -oL fold -b -w 4000
exit "${{PIPESTATUS[0]}}"
"""
LOOK_UP = "apiary-git commit {url} {ref}"
BUILD_GIT = """\
set -u
apiary-git build {options} 2>&1 | stdbuf -oL fold -b -w 4000
exit "${{PIPESTATUS[0]}}"
"""
PULL = """\
set -u
docker image inspect {tag} >/dev/null 2>&1 && exit 0
docker pull {tag} 2>&1 | stdbuf -oL fold -b -w 4000
exit "${{PIPESTATUS[0]}}"
"""
# A release that failed leaves the image before it to be deleted, and whoever takes the change back has built the same
# one again by then: what a container was made of is not old. A new tag of the very same image leaves the old tag to go.
REMOVE = """\
docker image inspect {tag} >/dev/null 2>&1 || exit 0
if docker ps --all --format '{{{{.Image}}}}' | grep -qxF {tag} ||
    {{ [ "$(docker image inspect --format '{{{{len .RepoTags}}}}' {tag})" = 1 ] &&
        [ -n "$(docker ps --all --quiet --filter ancestor={tag})" ]; }}; then
    echo {tag} stays: a container has it
    exit 0
fi
docker image rm {tag}"""


@dataclass(frozen=True)
class BuiltImage:
    """An image built on the server."""

    name: str  # folder in images/, e.g. `NginxStatic`
    context: Archive
    build_args: Mapping[str, str] = field(default_factory=dict)

    def tag(self) -> str:
        """`apiary/nginxstatic:<12 hex digits of all that goes into it>`."""
        recipe = json.dumps([self.context.digest, dict(self.build_args)], sort_keys=True)
        return f"apiary/{self.name.lower()}:{_short(recipe)}"

    def resource_name(self) -> str:
        """The same whatever the folder holds, so that a changed image replaces the one before it."""
        arguments = f"-{_short(json.dumps(dict(self.build_args), sort_keys=True))}" if self.build_args else ""
        return f"{self.name}{arguments}"


@dataclass(frozen=True)
class GitImage:
    """An image built on the server from a repository that the server fetches."""

    git: settings.Git
    build_args: Mapping[str, str] = field(default_factory=dict)
    token: str | None = field(default=None, repr=False)  # that may read the repository

    def tag(self, commit: str) -> str:
        """`apiary/site:<12 hex digits of all that goes into it>`, by the last part of the repository's name."""
        recipe = json.dumps([self.git.url, commit, self.git.dir, dict(self.build_args)], sort_keys=True)
        name = self.git.url.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git").lower()
        return f"apiary/{'-'.join(re.findall('[a-z0-9]+', name)) or 'git'}:{_short(recipe)}"

    def resource_name(self) -> str:
        """As Docker writes it, `https://git.example.org/site.git#main:sub/folder`."""
        git = self.git
        at = git.branch or git.tag or git.commit or ""
        return (
            git.url
            + (f"#{at}" if at or git.dir else "")
            + (f":{git.dir}" if git.dir else "")
            + (f"-{_short(json.dumps(dict(self.build_args), sort_keys=True))}" if self.build_args else "")
        )


@dataclass(frozen=True)
class NamedImage:
    """An image that a registry has, pulled when the server does not have it yet."""

    name: str  # e.g. `postgres:15`

    def tag(self) -> str:
        """The name itself."""
        return self.name

    def resource_name(self) -> str:
        """The name itself: another tag is another image."""
        return self.name


class Image(pulumi.ComponentResource):
    """One image on one server; containers of `tag` depend on this component."""

    tag: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        source: BuiltImage | GitImage | NamedImage,
        server: Server,
        bootstrap: Bootstrap,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("apiary:docker:Image", name, None, opts)
        opts = pulumi.ResourceOptions(parent=self, depends_on=[bootstrap], deleted_with=server.instance)
        match source:
            case BuiltImage():
                self.tag = pulumi.Output.from_input(source.tag())
                cargo.command(
                    name,
                    source.context,
                    f"images/{source.name}",
                    server.connection,
                    BUILD.format(tag=shlex.quote(source.tag()), options=shlex.join(_options(source))),
                    triggers=[server.instance.id, self.tag],
                    delete=self._removal(server),
                    opts=opts,
                )
            case GitImage():
                token = pulumi.Output.secret(json.dumps({"token": source.token})) if source.token else None
                commit = self._commit(name, source.git, server, token, opts)
                self.tag = commit.apply(source.tag)
                build = commit.apply(lambda found: BUILD_GIT.format(options=_git_options(source, found)))
                self._fetch(name, build, token, server, opts)
            case NamedImage():
                self.tag = pulumi.Output.from_input(source.tag())
                self._fetch(name, PULL.format(tag=shlex.quote(source.tag())), None, server, opts)
        self.register_outputs({"tag": self.tag})

    def _fetch(
        self,
        name: str,
        create: pulumi.Input[str],
        token: pulumi.Output[str] | None,
        server: Server,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """The command that has the server get the image, or what it is built from, by itself."""
        remote.Command(
            name,
            connection=server.connection.command(),
            create=create,
            stdin=token,
            update="cat >/dev/null",
            delete=self._removal(server),
            triggers=[server.instance.id, self.tag],
            logging=remote.Logging.STDOUT_AND_STDERR,
            add_previous_output_in_env=False,
            opts=opts,
        )

    def _removal(self, server: Server) -> pulumi.Output[str]:
        return pulumi.Output.all(self.tag, server.instance.id).apply(
            lambda known: undo(known[1], REMOVE.format(tag=shlex.quote(known[0])))
        )

    def _commit(
        self,
        name: str,
        git: settings.Git,
        server: Server,
        token: pulumi.Output[str] | None,
        opts: pulumi.ResourceOptions,
    ) -> pulumi.Output[str]:
        """The commit that is built: the one written, or the one that a branch or tag was at when it was looked up.

        A rebuilt server gets the same commit: it is in the state, not on the server.
        """
        if git.commit is not None:
            return pulumi.Output.from_input(git.commit)
        found = remote.Command(
            f"{name}-commit",
            connection=server.connection.command(),
            create=LOOK_UP.format(url=shlex.quote(git.url), ref=shlex.quote(git.ref)),
            stdin=token,
            add_previous_output_in_env=False,
            opts=opts,
        )
        commit: pulumi.Output[str] = found.stdout.apply(lambda printed: printed.strip())
        return commit


class Images:
    """The images of all servers, each made once: containers of one recipe share it."""

    def __init__(self, folder: Path, secrets: Mapping[str, str]) -> None:
        """`folder` is images/, `secrets` are the stack's."""
        self._folder = folder
        self._secrets = secrets
        self._contexts: dict[str, Archive] = {}
        self._made: dict[str, Image] = {}

    def of(self, container: settings.Container, name: str, host: Host) -> Image:
        """The image of `container` on `host`, the server `name`."""
        source: BuiltImage | GitImage | NamedImage
        if container.git is not None:
            secret = container.git.secret_name
            source = GitImage(container.git, container.build_args, self._secrets[secret] if secret else None)
        elif container.build_dir is not None:
            source = BuiltImage(container.build_dir, self._context(container.build_dir), container.build_args)
        else:
            source = NamedImage(str(container.image))
        resource = f"{name}/{source.resource_name()}"
        if resource not in self._made:
            self._made[resource] = Image(resource, source, host.server, host.bootstrap)
        return self._made[resource]

    def _context(self, build_dir: str) -> Archive:
        """Read once, and only what a container of the stack is built from; raises pulumi.RunError with the remedy."""
        if build_dir not in self._contexts:
            try:
                context = read_context(self._folder / build_dir)
                context.digest  # noqa: B018 - reads every file, which may fail
            except ArchiveError as error:
                raise pulumi.RunError(f"images/{build_dir}: {error}") from None
            self._contexts[build_dir] = context
        return self._contexts[build_dir]


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _options(source: BuiltImage | GitImage) -> list[str]:
    """What `docker build` is told besides its context and tag."""
    options = ["--label", f"{STACK}={stack_tag()}"]
    for key, value in sorted(source.build_args.items()):
        options += ["--build-arg", f"{key}={value}"]
    return options


def _git_options(source: GitImage, commit: str) -> str:
    """What apiary-git is told: `docker inspect` of a container then says which commit runs."""
    git = source.git
    labels = [f"org.opencontainers.image.source={git.url}", f"org.opencontainers.image.revision={commit}"]
    return shlex.join(
        [
            *([] if git.commit else ["--ref", git.ref]),
            *(["--dir", git.dir] if git.dir else []),
            *(git.url, commit, source.tag(commit)),
            *("--", *_options(source)),
            *(option for label in labels for option in ("--label", label)),
        ]
    )
