"""The recovery kit: one page for a safe, with all that brings the hive back on an empty machine.

Makes: the page, as Markdown, secrets included, on standard output and nowhere else. Its lines stand in one block, to be
typed as they are: they work where the state is still there, and where it is lost. Leaves alone: everything.
"""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from operations import backups, retire
from operations.cli import PROGRAM, OperationError, Pulumi
from operations.hosts import key_of, plain
from operations.state import OBJECT_STORAGE, State

SECRET = "backups_password"  # noqa: S105 - the name under which it goes into the stack file, where that is free


@dataclass(frozen=True)
class Facts:
    """What the page is made of; text that is not known is empty."""

    stack: str
    project: str
    origin: str  # where the checkout comes from
    branch: str
    backend: str  # of the state
    password: str = field(repr=False)  # of the repository
    repository: str = ""
    has_password_setting: bool = False  # the stack file names a secret of its own for it
    secret: str = SECRET  # the name under which it goes into the stack file; nobody's there
    secrets: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # credentials of the repository, by setting
    passphrase: str = field(default="", repr=False)
    is_by_passphrase: bool = True  # that the stack file's secrets are encrypted
    servers: tuple[str, ...] = ()
    key: str = field(default="", repr=False)  # with which root logs in to them
    host_keys: tuple[str, ...] = ()  # of them, as in known_hosts
    doubts: tuple[str, ...] = ()  # what is wrong with this page, for its owner


def kit(pulumi: Pulumi) -> str:
    """The page. Raises OperationError where there are no backups, or nothing that the checkout could come from."""
    told = json.loads(pulumi.setting(f"{pulumi.project}:backups") or "{}")
    if not told:
        raise OperationError("the stack has no backups; write apiary:backups into the stack file, and pulumi up")
    stored = json.loads(pulumi.setting(f"{pulumi.project}:secrets") or "{}")
    names = {
        key: str(told[key]).removeprefix("_secrets^") for key in ("access_key", "secret_key", "key") if key in told
    }
    file = PROGRAM / f"Pulumi.{pulumi.stack}.yaml"
    spelled = yaml.safe_load(file.read_text())
    repository, opened = told["repository"], State.of(pulumi.export(secrets=True))
    secrets = tuple((setting, str(stored[name])) for setting, name in names.items())
    place = f"on server {repository['server']}" if isinstance(repository, dict) else repository
    if repository == "vultr":
        place, secrets = _rented(opened)
    facts = Facts(
        stack=pulumi.stack,
        project=pulumi.project,
        origin=_git("remote", "get-url", "origin"),
        branch=_git("branch", "--show-current"),
        backend=pulumi.backend(),
        password=backups.password(pulumi, told),
        repository=place,
        has_password_setting="password" in told,
        secret=free_name(stored),
        secrets=secrets,
        passphrase=_passphrase(),
        is_by_passphrase="encryptionsalt" in spelled,
        servers=tuple(sorted(json.loads(pulumi.setting(f"{pulumi.project}:servers") or "{}"))),
        key=key_of(opened) or "",
        host_keys=tuple(host_keys(opened)),
        doubts=_doubts(file, repository, is_up=key_of(opened) is not None),
    )
    if not facts.origin:
        raise OperationError(
            "this checkout comes from nowhere (`git remote get-url origin`), and would be lost with this machine: push "
            "it to a repository elsewhere, with the stack file"
        )
    return page(facts)


def _rented(opened: State) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The repository in the account's own object storage, and its keys. Raises OperationError before it is made."""
    found = next(opened.of_type(OBJECT_STORAGE), None)
    if found is None:
        raise OperationError("the object storage of the backups is not made yet; run pulumi up first")
    keys = {"access_key": "s3AccessKey", "secret_key": "s3SecretKey"}
    place = f"{found.outputs['s3Hostname']}/apiary-{found.id}"  # as components/object_storage.py has it
    return (
        f"s3:https://{place}, the object storage {found.outputs['label']} of the account",
        tuple((setting, plain(found.outputs[output])) for setting, output in keys.items()),
    )


def host_keys(opened: State) -> Iterator[str]:
    """A line of known_hosts for each server: its address, and the key by which its plugin knows it."""
    for server in opened.servers():
        words = next((word for word in server.ssh_options if word.startswith("KnownHostsCommand=")), "").split()
        yield f"{urlsplit(server.host).hostname} {' '.join(words[2:4])}"


def free_name(stored: Container[str]) -> str:
    """A name that no other secret of the stack file has."""
    names = itertools.chain([SECRET], (f"{SECRET}_{number}" for number in itertools.count(2)))
    return next(name for name in names if name not in stored)


def _passphrase() -> str:
    if named := os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        return Path(named).read_text().strip()
    return os.environ.get("PULUMI_CONFIG_PASSPHRASE", "")


def _doubts(file: Path, repository: object, *, is_up: bool) -> tuple[str, ...]:
    found = []
    if not is_up:
        found.append("nothing of it is up yet, so that the keys of its servers are missing: print it after `pulumi up`")
    if _git("status", "--porcelain", "--", file.name):
        found.append(f"{file.name} has changes here that are not committed")
    if _git("rev-list", "--count", "@{upstream}..HEAD") != "0":
        found.append("there are commits here that are not pushed, or the branch follows none")
    if repository == "vultr":
        found.append("the repository is of the same account as the servers: who loses the account loses both")
    if isinstance(repository, dict):
        found.append(
            f"the repository is on the disk of server {repository['server']}: where the state is lost, that one is "
            "made anew without it, and the lines stop before that. A repository elsewhere is not lost with it"
        )
    return tuple(found)


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=PROGRAM, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def lines(facts: Facts) -> list[str]:
    """What is to be typed, in order. Pure."""
    stack, quoted = facts.stack, shlex.quote
    setting = f"pulumi config set --stack {stack} --path"
    settings = [
        f"{setting} --secret '{facts.project}:secrets.{facts.secret}' -- {quoted(facts.password)}",
        f"{setting} '{facts.project}:backups.password' '_secrets^{facts.secret}'",
    ]
    opened = f" PULUMI_CONFIG_PASSPHRASE={quoted(facts.passphrase)}" if facts.is_by_passphrase else ""
    folder = facts.backend.removeprefix("file://").partition("?")[0]
    return [
        f"git clone --branch {quoted(facts.branch or 'main')} {quoted(facts.origin)} hive && cd hive",
        "make .venv/.ready",
        f'export PATH="$PWD/.venv/bin:$PATH"{opened}',
        *([f"mkdir -p {quoted(folder)}"] if facts.backend.startswith("file:///") else []),
        f"pulumi login {quoted(facts.backend)}",
        f"if ! pulumi stack select {stack}; then  # the state is lost",
        f"  pulumi stack init {stack}",
        *(f"  {line}" for line in ([] if facts.has_password_setting else settings)),
        "fi",
        f"mkdir -p -m 700 .apiary/{stack}",
        *_file(f".apiary/{stack}/{retire.KEY}", facts.key),
        *_file(f".apiary/{stack}/{retire.KNOWN_HOSTS}", "\n".join(facts.host_keys)),
        # What only a lost state has left: of one that is there they find nothing to do.
        f"make adopt STACK={stack} YES=1 &&",
        f"make retire STACK={stack} YES=1 &&",
        f"pulumi up --stack {stack} --yes &&",
        f"make backups STACK={stack}",
    ]


def _file(path: str, content: str) -> list[str]:
    """The lines that write a file which nobody else reads."""
    return [f"(umask 077; cat > {path}) <<'END'", *content.strip().splitlines(), "END"]


def page(facts: Facts) -> str:
    """The page of these facts. Pure."""
    own = [f"- {setting} of the repository: `{value}`" for setting, value in facts.secrets if "\n" not in value]
    keys = [f"- {setting} of the repository:\n\n```text\n{value.strip()}\n```\n" for setting, value in facts.secrets
            if "\n" in value]  # fmt: skip
    unlocked = (
        f"- passphrase of the stack file: `{facts.passphrase}`"
        if facts.passphrase
        else "- passphrase of the stack file: empty"
        if facts.is_by_passphrase
        else "- the stack file's secrets are opened by Pulumi's service, or a key of a cloud: the access to that"
    )
    doubts = [f"> **Not yet:** {one}.\n" for one in facts.doubts]
    return "\n".join(
        [
            f"# Recovery kit of the hive `{facts.stack}`",
            "",
            "For a safe: whoever holds this page reads every backup, and is root on every server. Print it anew when a "
            "password, a key or an address in it changes, as after a rebuild (`make recovery-kit`).",
            "",
            *doubts,
            "## What to have",
            "",
            f"- servers: {', '.join(facts.servers)}",
            f"- checkout with the stack file: `{facts.origin}`, branch `{facts.branch or 'main'}`",
            unlocked,
            f"- repository of the backups: `{facts.repository}`",
            f"- its password: `{facts.password}`",
            *own,
            *keys,
            f"- state: `{facts.backend}`; it may be lost",
            "- a Debian or Ubuntu machine with git, make, Python 3.11 and Pulumi",
            "- the account at Vultr whose API key is in the stack file",
            "",
            "## The lines",
            "",
            "They may be said again from the second one on. `make adopt` takes what the account has into a new state: "
            "addresses, zones, block storage, the object storage with the backups where that is the account's own. A "
            "server that runs on although the state is lost serves until `make retire`, which saves it a last time, "
            "with those who write stopped, and deletes it; one that is dead comes back as of its last backup. "
            "Where one lives and can't be saved nothing is deleted, and it says what to do. `pulumi up` fills what is "
            "empty from the newest backup, and says what came from when. A server that the state knows and that is "
            f"dead: `make revive SERVER=NAME STACK={facts.stack}` in the place of `pulumi up`.",
            "",
            "```sh",
            *lines(facts),
            "```",
            "",
            f"Where the state was lost: commit Pulumi.{facts.stack}.yaml afterwards; it names the repository's "
            "password from then on.",
            "",
        ]
    )
