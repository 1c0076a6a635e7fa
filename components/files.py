"""The files of a container on their way to its server, and where it finds them.

Makes one local command (cargo.py) for a container that has files: it puts them below /var/lib/apiary/files, which root
alone may enter, into a folder called after their digest, before the container starts. Other files are another folder,
and so another container; the old folder goes when no container has it any more. In the state stands their digest, and
where there is a secret in them not even that in plain text.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pulumi
import pulumi_docker as docker

import settings
from components import cargo
from components.archive import Archive, ArchiveError, Member, read_folder
from components.host import Host
from components.server import undo
from settings.files import File

CHECKOUT = Path(__file__).parents[1]
ROOT = "/var/lib/apiary/files"
# Readable inside, by whatever user the image has; outside nobody but root gets there.
MODE = "0444"
PLACE = """\
set -e
mkdir -p {parent}
chmod 0700 {root}
fresh=$(mktemp -d -p {parent} fresh.XXXXXX)
tar --extract --no-same-owner --file "$cargo/tar" --directory "$fresh"
cd "$fresh"
{owners}
chmod 0755 .
if [ -e {folder} ]; then rm -rf "$fresh"; else mv -T "$fresh" {folder}; fi
"""
# Somebody may have it again: whoever took a failed release back.
REMOVE = """\
mounted() {{
    docker ps --all --quiet |
        xargs --no-run-if-empty docker inspect --format '{{{{range .Mounts}}}}{{{{println .Source}}}}{{{{end}}}}'
}}
mounted | grep -qF {folder}/ || rm -rf {folder}
"""


def files(
    name: str,
    container: settings.Container,
    contents: Mapping[str, pulumi.Input[str]],
    host: Host,
    parent: pulumi.Resource | None,
) -> tuple[list[pulumi.Resource], list[docker.ContainerVolumeArgs]]:
    """What the container has to wait for, and its mounts; nothing when it has no files.

    `contents` are those that the stack file writes, by their paths in the container, with references resolved.
    """
    wanted = container.given_files
    if not wanted:
        return [], []
    owners = {path: file.user or number(container.user) for path, file in wanted.items()}
    archive = pulumi.Output.all(**contents).apply(lambda known: archive_of(wanted, known))
    digest = archive.apply(lambda known: _digest(known, wanted, owners))
    folder = pulumi.Output.concat(f"{ROOT}/{name}/", digest)
    placed = cargo.command(
        f"{name}-files",
        archive,
        f"files/{name}",
        host.server.connection,
        folder.apply(lambda known: place(name, known, wanted, owners)),  # type: ignore[arg-type]
        # As one value: in a list the Command plugin refuses a secret that is not known yet.
        triggers=pulumi.Output.all(host.server.instance.id, digest),
        delete=pulumi.Output.all(host.server.instance.id, folder).apply(
            lambda known: undo(known[0], REMOVE.format(folder=shlex.quote(known[1])))
        ),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[host.bootstrap], deleted_with=host.server.instance),
    )
    mounts = [
        docker.ContainerVolumeArgs(
            host_path=pulumi.Output.concat(folder, f"/{index}"), container_path=path, read_only=True
        )
        for index, path in enumerate(wanted)
    ]
    return [placed], mounts


def archive_of(wanted: Mapping[str, File], contents: Mapping[str, str]) -> Archive:
    """The files by their numbers, folders with all that is in them. Raises pulumi.RunError when one can't be read."""
    members: list[Member] = []
    try:
        for index, (path, file) in enumerate(wanted.items()):
            source = CHECKOUT / file.source if file.source is not None else contents[path].encode()
            if isinstance(source, Path) and source.is_dir():
                if file.mode is not None:
                    raise pulumi.RunError(
                        f"files {path}: {source} is a folder, whose modes are its own; leave mode out"
                    )
                inside = read_folder(source).members
                members.append(Member(str(index), tarfile.DIRTYPE, 0o755))
                members += [Member(f"{index}/{one.path}", one.kind, one.mode, one.source, one.link) for one in inside]
            else:
                members.append(Member(str(index), tarfile.REGTYPE, int(file.mode or MODE, 8), source))
        archive = Archive(tuple(members))
        _ = archive.digest
    except ArchiveError as error:
        raise pulumi.RunError(str(error)) from None
    return archive


def place(name: str, folder: str, wanted: Mapping[str, File], owners: Mapping[str, str | None]) -> str:
    """The script that puts what has arrived into `folder`, as one step."""
    lines = [
        f"chown --recursive --no-dereference {owner} ./{index}"
        for index, owner in enumerate(owners[path] for path in wanted)
        if owner
    ]
    return PLACE.format(
        root=ROOT, parent=shlex.quote(f"{ROOT}/{name}"), folder=shlex.quote(folder), owners="\n".join(lines)
    )


def _digest(archive: Archive, wanted: Mapping[str, File], owners: Mapping[str, str | None]) -> str:
    """Of what counts of an archive, and of what is no part of one: owners, and the bits that a umask decides."""
    modes = [file.mode for file in wanted.values()]
    return hashlib.sha256(json.dumps([archive.digest, modes, list(owners.values())]).encode()).hexdigest()[:16]


def number(user: str | None) -> str | None:
    """A container's user where it is a number, which means the same outside."""
    return user if user and user.replace(":", "").isdigit() else None
