"""A container image on the server that runs it: built from a folder or a git repository, or pulled by name.

Makes one command. An image that is built gets a tag from its content, so only a changed folder builds
again, containers follow by their tag, and the old image goes when the last container of it has gone. The
failing step's own output is the error. The state knows a folder by its digest (cargo.py), and of a build's secrets
nothing in plain text. Leaves alone: what it is built from (`FROM`), and Docker's cache of builds, which keeps itself
small (playbooks/variables.py).

Of a repository the content is a commit, of a name in a registry a digest. Where the stack file names a branch or a tag,
a second command looks it up on the server, once: the state then has the commit or the digest, so that neither a plan
nor an update of something else asks the network, and a rebuilt server gets the same. Replacing that command looks again
(operations/jobs.py), and builds or pulls only what has moved.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

import pulumi
from pulumi_command import local, remote

import settings
from components import cargo
from components.archive import Archive, ArchiveError, read_context
from components.host import Host
from components.image_sources import Build, BuiltImage, GitImage, NamedImage, short
from components.registries import Registries
from components.server import Server, undo

# From a folder: what `.dockerignore` names stays out of the image, and only what is used of it is read.
BUILD = """\
mkdir "$cargo/context" && tar -x -p -C "$cargo/context" -f "$cargo/tar" && rm "$cargo/tar" || exit 1
{told} | apiary-image build {words} "$cargo/context" -- {options} 2>&1 | stdbuf -oL fold -b -w 4000
exit "${{PIPESTATUS[1]}}"
"""
# Whatever else of the command changes, its connection or a token, what was found stays: as the server has it, and on a
# new disk as it was printed the last time (role sshd accepts that variable).
FOUND = """\
{look_up} | {{ read -r found && mkdir -p /var/lib/apiary/found && printf '%s\\n' "$found" >{file}.new &&
    mv {file}.new {file} && printf '%s\\n' "$found"; }}
"""
FOUND_BEFORE = """\
if [ -s {file} ]; then
    cat >/dev/null
    exec cat {file}
fi
if [ -n "${{PULUMI_COMMAND_STDOUT:-}}" ]; then
    cat >/dev/null
    mkdir -p /var/lib/apiary/found && printf '%s\\n' "$(printf %s "$PULUMI_COMMAND_STDOUT")" >{file} && exec cat {file}
fi
"""
LOOK_UP = "apiary-git commit {url} {ref}"
BUILD_GIT = """\
set -u
apiary-git build {options} 2>&1 | stdbuf -oL fold -b -w 4000
exit "${{PIPESTATUS[0]}}"
"""
DIGEST = "apiary-image digest {name}"
PULL = """\
set -u
apiary-image pull {tag} 2>&1 | stdbuf -oL fold -b -w 4000
exit "${{PIPESTATUS[0]}}"
"""
# A release that failed leaves the image before it to be deleted, and whoever takes the change back has built the same
# one again by then: what a container was made of is not old. A new tag of the very same image leaves the old tag to go.
REMOVE = """\
docker image inspect {tag} >/dev/null 2>&1 || exit 0
if docker ps --all --no-trunc --format '{{{{.Image}}}}' | grep -qxF {tag} ||
    {{ [ "$(docker image inspect --format '{{{{len .RepoTags}}}}' {tag})" -le 1 ] &&
        [ -n "$(docker ps --all --quiet --filter ancestor={tag})" ]; }}; then
    echo {tag} stays: a container has it
    exit 0
fi
# By its digest alone it would keep the tag that it was found by.
case {tag} in *@*) docker image rm "$(docker image inspect --format '{{{{.Id}}}}' {tag})" 2>/dev/null && exit 0 ;; esac
docker image rm {tag}"""


# Of replicas Swarm keeps some that have ended.
ENDED = """\
docker ps --all --quiet --filter ancestor={tag} --filter status=exited --filter label=com.docker.swarm.task |
    xargs --no-run-if-empty docker rm >/dev/null
"""


class Image(pulumi.ComponentResource):
    """One image on one server; containers of `tag` depend on this component."""

    tag: pulumi.Output[str]
    found: pulumi.Output[str] | None  # the commit or the digest that it is of; None of a folder
    command: remote.Command | local.Command  # done when the image is on the server

    def __init__(
        self,
        name: str,
        source: BuiltImage | GitImage | NamedImage,
        host: Host,
        registries: Registries | None,
        *,
        found: pulumi.Output[str] | None = None,
        is_spread: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`registries` are those that the server is logged in to, if there are any. `found` is the commit or the digest
        that another server has looked up, and that is to be the same on this one. `is_spread`: replicas run of it.
        """
        super().__init__("apiary:docker:Image", name, None, opts)
        server = host.server
        first: list[pulumi.Resource] = [host.bootstrap, *([registries.command] if registries else [])]
        opts = pulumi.ResourceOptions(parent=self, depends_on=first, deleted_with=server.instance)
        self.found = found
        self._remove = (ENDED if is_spread else "") + REMOVE
        match source:
            case BuiltImage():
                self.tag = pulumi.Output.from_input(source.tag())
                told = _secretly(source.build.told())
                self.command = cargo.command(
                    name,
                    source.context,
                    source.slot(),
                    server.connection,
                    BUILD.format(
                        told='printf %s "$told"' if told else "true",
                        words=shlex.join([source.tag(), *source.build.words()]),
                        options=shlex.join(source.build.options()),
                    ),
                    triggers=[server.instance.id, self.tag],
                    delete=self._removal(server),
                    told=told,
                    opts=opts,
                )
            case GitImage():
                commit = self.found = found or self._commit(name, source, server, opts)
                self.tag = commit.apply(source.tag)
                build = commit.apply(lambda found: BUILD_GIT.format(options=source.options(found)))
                self.command = self._fetch(name, build, _secretly(source.told()), server, opts)
            case NamedImage():
                self.tag = self.found = found or self._digest(name, source, server, opts)
                pull = self.tag.apply(lambda tag: PULL.format(tag=shlex.quote(tag)))
                self.command = self._fetch(name, pull, None, server, opts)
        self.register_outputs({"tag": self.tag})

    def _fetch(
        self,
        name: str,
        create: pulumi.Input[str],
        told: pulumi.Output[str] | None,
        server: Server,
        opts: pulumi.ResourceOptions,
    ) -> remote.Command:
        """The command that has the server get the image, or what it is built from, by itself."""
        return remote.Command(
            name,
            connection=server.connection.command(),
            create=create,
            stdin=told,
            update="cat >/dev/null",
            delete=self._removal(server),
            triggers=[server.instance.id, self.tag],
            logging=remote.Logging.STDOUT_AND_STDERR,
            add_previous_output_in_env=False,
            opts=opts,
        )

    def _removal(self, server: Server) -> pulumi.Output[str]:
        return pulumi.Output.all(self.tag, server.instance.id).apply(
            lambda known: undo(known[1], self._remove.format(tag=shlex.quote(known[0])))
        )

    def _commit(self, name: str, source: GitImage, server: Server, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
        """The commit that is built: the one written, or the one that a branch or tag was at when it was looked up."""
        git = source.git
        if git.commit is not None:
            return pulumi.Output.from_input(git.commit)
        look_up = LOOK_UP.format(url=shlex.quote(git.url), ref=shlex.quote(git.ref))
        return _looked_up(f"{name}-commit", look_up, _secretly(source.login()), server, opts)

    def _digest(
        self, name: str, source: NamedImage, server: Server, opts: pulumi.ResourceOptions
    ) -> pulumi.Output[str]:
        """The image by its digest: the one written, or the one that its tag was at when it was looked up."""
        if source.is_fixed:
            return pulumi.Output.from_input(source.name)
        return _looked_up(f"{name}-digest", DIGEST.format(name=shlex.quote(source.name)), None, server, opts)


def _looked_up(
    name: str, look_up: str, told: pulumi.Output[str] | None, server: Server, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """What a command of its own prints, once. It is in the state, also while its server is away: one that is rebuilt or
    revived (operations/revive.py) gets the same.
    """
    file = f"/var/lib/apiary/found/{short(f'{name} {look_up}')}"
    create = FOUND.format(look_up=look_up, file=file)
    found = remote.Command(
        name,
        connection=server.connection.command(),
        create=create,
        update=FOUND_BEFORE.format(file=file) + create,
        stdin=told,
        add_previous_output_in_env=True,
        opts=opts,
    )
    printed: pulumi.Output[str] = found.stdout.apply(lambda text: text.strip())
    return printed


def _secretly(told: Mapping[str, object]) -> pulumi.Output[str] | None:
    """For standard input, and nothing else."""
    return pulumi.Output.secret(json.dumps(told)) if told else None


class Images:
    """The images of all servers, each made once: containers of one recipe share it."""

    def __init__(self, folder: Path, secrets: Mapping[str, str], registries: Mapping[str, Registries]) -> None:
        """`folder` is images/, `secrets` are the stack's; `registries` are by server, filled later."""
        self._folder = folder
        self._secrets = secrets
        self._registries = registries
        self._contexts: dict[tuple[str, str], Archive] = {}
        self._made: dict[str, Image] = {}

    def of(self, container: settings.Container, name: str, host: Host, like: Image | None = None) -> Image:
        """The image of `container` on `host`, the server `name`; the very same as `like`, where that is given."""
        is_spread = isinstance(container, settings.Application) and container.is_replicated
        source = self._source(container)
        resource = f"{name}/{source.resource_name()}"
        if resource not in self._made:
            self._made[resource] = Image(
                resource,
                source,
                host,
                self._registries.get(name),
                found=like.found if like else None,
                is_spread=is_spread,
            )
        return self._made[resource]

    def _source(self, container: settings.Container) -> BuiltImage | GitImage | NamedImage:
        if container.git is not None:
            token, key = (
                self._secrets[secret] if secret else None
                for secret in (container.git.secret_name, container.git.key_name)
            )
            return GitImage(container.git, Build.of(container, self._secrets), token, key)
        if container.build_dir is not None:
            context = self._context(container.build_dir, container.dockerfile or "Dockerfile")
            return BuiltImage(container.build_dir, context, Build.of(container, self._secrets))
        return NamedImage(str(container.image))

    def _context(self, build_dir: str, dockerfile: str) -> Archive:
        """Read once, and only what a container of the stack is built from; raises pulumi.RunError with the remedy."""
        key = (build_dir, dockerfile)
        if key not in self._contexts:
            try:
                context = read_context(self._folder / build_dir, dockerfile)
                context.digest  # noqa: B018 - reads every file, which may fail
            except ArchiveError as error:
                raise pulumi.RunError(f"images/{build_dir}: {error}") from None
            self._contexts[key] = context
        return self._contexts[key]
