"""What containers have of the server itself has to be there: Docker would make an empty folder in place of a file.

Makes one remote command for a container that has paths, devices or limits of the server, before the container: it makes
the folders (written with a slash at their end), for the container's user where that is a number and writes there, and
refuses whatever else is not there, a link to what is the server itself, and a limit above what the server's Docker can
give, so that a release fails before what served is touched. It looks again whenever the container is made anew. Leaves
alone: what is there.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_command import remote

import settings
from components.files import number
from components.host import Host
from settings import host_places
from settings.option_texts import parse_device, parse_limit

MADE = "[ -d {path} ] || mkdir -p {path} || refuse {is_file}"
OWNED = "[ -d {path} ] || {{ mkdir -p {path} && chown {user} {path}; }} || refuse {is_file}"
PRESENT = "[ -e {path} ] || refuse {is_missing}"
OWN = "case $(readlink -f -- {path})/ in {open}{places}) refuse {is_server} ;; esac"
SCRIPT = """\
status=0
refuse() { echo "$1" >&2; status=1; }
"""
# Docker raises its own hard limits where it has CAP_SYS_RESOURCE (bit 24): not on a server that is a container itself.
# Beyond fs.nr_open nobody opens files.
LIMITS = """\
proc=${APIARY_PROC:-/proc} docker=$(pidof -s dockerd)
raises=$(( 0x$(sed -n 's/^CapEff:[[:space:]]*//p' "$proc/$docker/status") >> 24 & 1 ))
within() { # within LIMIT HARD MESSAGE: HARD is -1 for none
    most=unlimited
    if [ "$raises" = 0 ]; then most=$(prlimit --pid "$docker" "--$1" --output HARD --noheadings | tr -d ' ')
    elif [ "$1" = nofile ]; then most=$(cat "$proc/sys/fs/nr_open"); fi
    [ "$most" = unlimited ] || { [ "$2" -ge 0 ] && [ "$2" -le "$most" ]; } || refuse "$3; write at most $most"
}
"""
WITHIN = "within {limit} {hard} {is_more}"


def host_paths(
    setting: str,
    container: settings.Container,
    inputs: Mapping[str, Any],
    host: Host,
    parent: pulumi.Resource | None,
) -> list[pulumi.Resource]:
    """What the container at `setting` of the stack file has to wait for; nothing when it mounts no such path.

    `inputs` is all that the container is made of.
    """
    mounts = [mount for mount in container.mounts if mount.host_path]
    devices = sorted({parse_device(text).host for text in container.devices})
    limits = {limit: parse_limit(value).hard for limit, value in sorted(container.ulimits.items())}
    if not (mounts or devices or limits):
        return []
    user = number(container.user) or ""
    found = remote.Command(
        f"{setting.partition('.')[2]}-host-paths",
        connection=host.server.connection.command(),
        create=host.server.ipv4.apply(
            lambda address: script(setting, address, user, mounts=mounts, devices=devices, limits=limits)
        ),
        # Another way to connect, or to say it, is no reason to look again.
        update="true",
        # As one value: in a list the Command plugin refuses a secret that is not known yet.
        triggers=pulumi.Output.all(
            host.server.instance.id, _digest(inputs), *(_spelled(mount) for mount in mounts), *devices, *limits
        ),
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[host.bootstrap], deleted_with=host.server.instance),
    )
    return [found]


def _digest(inputs: Mapping[str, Any]) -> pulumi.Output[str]:
    """Another one whenever the container is; secret as soon as anything in it is."""
    return pulumi.Output.from_input(dict(inputs)).apply(
        lambda known: hashlib.sha256(json.dumps(known, sort_keys=True, default=vars).encode()).hexdigest()
    )


def script(
    setting: str,
    address: str,
    user: str,
    *,
    mounts: list[settings.VolumeMount],
    devices: list[str],
    limits: Mapping[str, int],
) -> str:
    """Makes folders, for `user` (`999:999`; none is root) where the container writes, and ends with a status and what
    to do about every path that is not as it has to be, and each of the hard `limits` that the server can't give.
    """
    lines = []
    for mount in mounts:
        path = str(mount.host_path)
        place = f"{setting}.volumes: {path}"
        is_file = (
            f"{place} is not a folder on the server; write {path}:{mount.path}, without the slash, if it is a file"
        )
        is_missing = (
            f"{place} is not on the server; put it there and run again (scp FILE root@{address}:{path}), or, where it "
            f"is to be a folder that is made, write {path}/:{mount.path}"
        )
        made = OWNED if user and not mount.read_only else MADE
        lines.append(
            (made if mount.is_made else PRESENT).format(
                path=shlex.quote(path), user=user, is_file=shlex.quote(is_file), is_missing=shlex.quote(is_missing)
            )
        )
        is_server = f"{place} leads to what is the whole server; mount a folder of its own"
        lines.append(
            OWN.format(
                path=shlex.quote(path),
                open=f"{host_places.METRICS}/*) ;; " if mount.read_only else "",
                places=_places(read_only=mount.read_only),
                is_server=shlex.quote(is_server),
            )
        )
    for path in devices:
        is_missing = (
            f"{setting}.devices: {path} is not on the server; leave it out, or load the kernel's module that has it "
            f"(ssh root@{address} modprobe NAME)"
        )
        lines.append(PRESENT.format(path=shlex.quote(path), is_missing=shlex.quote(is_missing)))
    for limit, hard in limits.items():
        is_more = (
            f"{setting}.ulimits: {limit} {hard} is more than Docker can give on this server, which is a container "
            "itself and may raise no limit"
        )
        lines.append(WITHIN.format(limit=limit, hard=hard, is_more=shlex.quote(is_more)))
    return SCRIPT + (LIMITS if limits else "") + "\n".join([*lines, 'exit "$status"'])


def _places(*, read_only: bool) -> str:
    """The pattern of a shell for what is the server, and what is around it, each with a slash at its end."""
    places = [*host_places.NEVER, *([] if read_only else host_places.READ)]
    around = {"/", *(f"{place[:at]}/" for place in places for at, sign in enumerate(place) if sign == "/" and at)}
    return "|".join(["//", *sorted(around), *(f"{place}/*" for place in places)])


def _spelled(mount: settings.VolumeMount) -> str:
    return f"{mount.host_path}/" if mount.is_made else str(mount.host_path)
