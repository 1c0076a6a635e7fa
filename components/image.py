"""A container image on the server that runs it: built from a folder, or pulled by name.

Makes one remote command. An image that is built gets a tag from its content, so only a changed folder builds
again, containers follow by their tag, and the old image goes when the last container of it has gone. The
failing step's own output is the error. Leaves alone: what it is built from (`FROM`).
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_command import remote

import settings
from components.archive import Archive
from components.bootstrap import Bootstrap
from components.host import Host
from components.labels import STACK, stack_tag
from components.server import Server

# The classic builder: buildx is not on every host, and over ssh it would build on this side.
BUILD = """\
set -u
base64 -d | DOCKER_BUILDKIT=0 docker build --force-rm {options} --tag {tag} - 2>&1 | stdbuf -oL fold -b -w 4000
exit "${{PIPESTATUS[1]}}"
"""
PULL = """\
set -u
docker image inspect {tag} >/dev/null 2>&1 && exit 0
docker pull {tag} 2>&1 | stdbuf -oL fold -b -w 4000
exit "${{PIPESTATUS[0]}}"
"""
# After a rebuild the address answers for another instance, on which this image has just been made.
# The context comes on standard input here too, and a command that leaves it unread fails with `EOF`.
REMOVE = """\
set -eu
cat >/dev/null
grep -qxF {instance} /etc/apiary/instance || exit 0
docker image inspect {tag} >/dev/null 2>&1 || exit 0
docker image rm {tag}
"""


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

    tag: str

    def __init__(
        self,
        name: str,
        source: BuiltImage | NamedImage,
        server: Server,
        bootstrap: Bootstrap,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("apiary:docker:Image", name, None, opts)
        self.tag = source.tag()
        tag = shlex.quote(self.tag)
        remote.Command(
            name,
            connection=server.connection.command(),
            create=BUILD.format(tag=tag, options=_options(source))
            if isinstance(source, BuiltImage)
            else PULL.format(tag=tag),
            stdin=source.context.base64 if isinstance(source, BuiltImage) else None,
            update="cat >/dev/null",
            delete=server.instance.id.apply(lambda instance: REMOVE.format(tag=tag, instance=instance)),
            triggers=[server.instance.id, self.tag],
            logging=remote.Logging.STDOUT_AND_STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[bootstrap],
                deleted_with=server.instance,
                hide_diffs=["stdin"],
            ),
        )
        self.register_outputs({"tag": self.tag})


class Images:
    """The images of all servers, each made once: containers of one recipe share it."""

    def __init__(self, contexts: Mapping[str, Archive]) -> None:
        """`contexts` has the folders of images/ by their name."""
        self._contexts = contexts
        self._made: dict[str, Image] = {}

    def of(self, container: settings.Container, name: str, host: Host) -> Image:
        """The image of `container` on `host`, the server `name`."""
        source: BuiltImage | NamedImage
        if container.build_dir is not None:
            source = BuiltImage(container.build_dir, self._contexts[container.build_dir], container.build_args)
        else:
            source = NamedImage(str(container.image))
        resource = f"{name}/{source.resource_name()}"
        if resource not in self._made:
            self._made[resource] = Image(resource, source, host.server, host.bootstrap)
        return self._made[resource]


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _options(source: BuiltImage) -> str:
    options = ["--label", f"{STACK}={stack_tag()}"]
    for key, value in sorted(source.build_args.items()):
        options += ["--build-arg", f"{key}={value}"]
    return shlex.join(options)
