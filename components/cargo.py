"""Folders on their way to a server: a command that gets one, and a state that knows no more of it than its digest.

Makes a local command that runs `ssh`, and the file that it sends, `.apiary/<stack>/cargo/<slot>/<digest>` (git-ignored,
readable by this user alone), written when an update runs, and not in a preview. On the server it is checked before it
is used, so what was cut off on its way is never taken for the whole; no file of it is left there, however it ends.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import pulumi
from pulumi_command import local

from components.archive import Archive, ArchiveError
from components.connection import Connection

# A server that was just created refuses connections until cloud-init has run: up to about five minutes.
FIRST_SECONDS = 300
# Cloud-init may restart the SSH server after that has let somebody in. What came of it is the bootstrap's to say.
BOOTED = "! command -v cloud-init >/dev/null || timeout 600 cloud-init status --wait >/dev/null 2>&1; true"
SECONDS = 45
CONNECT_SECONDS = 15
# A connection is kept for what comes after the question whether there is one: a second one costs as much as the first.
KEPT_SECONDS = 5
CHECKSUM = 64  # hexadecimal digits at the head of a file that is sent

# The first lines of what runs on the server. Not in /tmp, which may be in memory.
RECEIVE = """\
set -u
cargo=$(mktemp -d -p /var/tmp apiary-cargo.XXXXXX) || exit 1
trap 'rm -rf "$cargo"' EXIT
read -r checksum && cat >"$cargo/tar" && echo "$checksum  $cargo/tar" | sha256sum --check --status 2>/dev/null || {
    echo 'the files did not arrive whole; run it again' >&2
    exit 1
}
"""
# In front of it, what is told in secret: in no argument, and in no file.
TOLD = "IFS= read -r told || exit 1\n"
# What speaks of the archive gets it, a deletion does not.
SEND = """\
set -- -T {options} -o ControlPath="$(mktemp -u /tmp/apiary-ssh.XXXXXXXXXXXX)" root@{host}
end=$(($(date +%s) + {patience}))
until said=$(ssh -o ControlMaster=yes -o ControlPersist={kept} "$@" {ready} 2>&1 </dev/null); do
    [ "$(date +%s)" -lt "$end" ] || {{ echo "$said" >&2; exit 255; }}
    sleep 1
done
# By the same connection, which ends by itself. Where it has gone, an SSH server that is reloaded refuses for a moment;
# what has begun is never begun again.
set -- -o ConnectionAttempts=5 "$@"
case $0 in *'"$cargo/tar"'*) {sending} ;; esac
exec ssh "$@" "$0" </dev/null
"""


def command(
    name: str,
    archive: pulumi.Input[Archive],
    slot: str,
    connection: Connection,
    use: str,
    *,
    triggers: pulumi.Input[Sequence[pulumi.Input[object]]],
    is_first: bool = False,
    delete: pulumi.Input[str] | None = None,
    told: pulumi.Output[str] | None = None,
    opts: pulumi.ResourceOptions,
) -> local.Command:
    """A command that has `archive` on the server, as "$cargo/tar", and does with it what `use` says in bash.

    It runs again when `triggers` change, not when only the way to the server does. `slot` is where the archive waits,
    the same for whatever takes its place. `is_first` gives a server time that may still be booting. `told` is one line,
    "$told" on the server.
    """
    path = pulumi.Output.from_input(archive).apply(lambda known: keep(known, slot))
    return local.Command(
        name,
        # The command line itself is the last word, `$0`: a failure shows what ran on the server, and no more.
        interpreter=pulumi.Output.all(connection.ssh_options(), connection.host, path).apply(
            lambda known: ["/bin/sh", "-c", _send(*known, is_first=is_first, is_told=told is not None)]
        ),
        create=use,
        stdin=None if told is None else pulumi.Output.concat(told, "\n"),
        update="true",
        delete=delete,
        triggers=triggers,
        logging=local.Logging.STDOUT_AND_STDERR,
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(hide_diffs=["interpreter"])),
    )


def keep(archive: Archive, slot: str) -> str:
    """The path of the file that sends `archive`, relative to the program; in an update it is there then.

    It has the checksum of the tar in its first line, and takes the place of what was in its slot before. Raises
    pulumi.RunError when the files change meanwhile, or there is no room.
    """
    folder = Path(".apiary") / pulumi.get_stack() / "cargo" / slot
    path = folder / archive.digest[:16]
    if pulumi.runtime.is_dry_run() or path.exists():
        return str(path)
    try:
        _write(archive, path)
    except ArchiveError as error:
        raise pulumi.RunError(str(error)) from None
    except OSError as error:
        raise pulumi.RunError(f"{path}: {error.strerror}; make room, or make it writable, and run again") from None
    return str(path)


def _write(archive: Archive, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.iterdir():
        old.unlink()
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b") as file:
        file.write(b"0" * CHECKSUM + b"\n")
        archive.write(file)
        file.seek(CHECKSUM + 1)
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        file.write(checksum.encode())
    fresh.rename(path)


def _send(
    options: list[str],
    host: str,
    path: str,
    *,
    is_first: bool = False,
    is_told: bool = False,
    seconds: int | None = None,
) -> str:
    file, receive = shlex.quote(path), shlex.quote(TOLD + RECEIVE if is_told else RECEIVE)
    sending = f'ssh "$@" {receive}"$0"'
    return SEND.format(
        options=shlex.join([*options, "-o", f"ConnectTimeout={CONNECT_SECONDS}"]),
        host=host,
        kept=KEPT_SECONDS,
        patience=(FIRST_SECONDS if is_first else SECONDS) if seconds is None else seconds,
        ready=shlex.quote(BOOTED if is_first else "true"),
        sending=f"cat - {file} | {sending}; exit $?" if is_told else f"exec {sending} <{file}",
    )
