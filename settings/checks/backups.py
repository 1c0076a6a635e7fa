"""Checks of backups: what belongs to which kind of repository, and what containers and servers say of theirs."""

import re

from settings import database_images, databases
from settings.checks.common import Placed, placed
from settings.draft import Draft
from settings.errors import did_you_mean, show
from settings.models import Application, Backups, Container

# What goes with each kind of repository: required, and allowed.
_WITH = {
    "s3": (("access_key", "secret_key"), ("ca",)),
    "rest": ((), ("access_key", "secret_key", "ca")),
    "sftp": (("key", "host_key"), ()),
    "server": ((), ()),
    "vultr": ((), ()),
}
# Places that can let servers add and nothing else.
_ADD_ONLY = ("s3", "rest")
# As the role backup_store makes accounts of them.
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9-]{0,24}")
_CREDENTIALS = ("access_key", "secret_key", "key", "host_key", "ca")
_EXAMPLES = {
    "access_key": "access_key: _secrets^backup_access",
    "secret_key": "secret_key: _secrets^backup_secret",
    "key": "key: _secrets^backup_key",
    "host_key": 'host_key: "ssh-ed25519 ..."',
}


def check(draft: Draft) -> None:
    """Report repositories that lack something, and words about backups where there are none to be made."""
    backups = draft.stack.backups
    if backups is not None:
        _credentials(draft, backups)
        _secrets(draft, backups)
        _server(draft, backups)
        _hot(draft, backups)
        if backups.append_only and backups.scheme not in _ADD_ONLY and draft.whole("backups", "repository"):
            message = (
                f"{_shown(backups)} lets servers remove what they have saved; leave it out, or use restic's "
                "rest-server with --append-only (rest:https://...), or a bucket whose key may not delete "
                "(s3:https://...)"
            )
            draft.report(message, "backups", "append_only")
        if "keep" in backups.model_fields_set and not backups.keep.periods and draft.whole("backups", "keep"):
            draft.report("keeps nothing; write e.g. keep: {daily: 7, weekly: 5, monthly: 12}", "backups", "keep")
    _containers(draft)
    if backups is None and draft.whole("backups"):
        for name, server in draft.stack.servers.items():
            if not server.restore:
                draft.report(
                    "there is nothing to restore from: the stack has no backups; leave it out",
                    "servers",
                    name,
                    "restore",
                )


def _credentials(draft: Draft, backups: Backups) -> None:
    required, allowed = _WITH[backups.scheme]
    for setting in _CREDENTIALS:
        is_said = getattr(backups, setting) is not None
        if setting in required and not is_said and draft.whole("backups", setting):
            draft.report(f"missing, with {show(backups.repository)}; write {_EXAMPLES[setting]}", "backups", setting)
        elif is_said and setting not in (*required, *allowed):
            draft.report(f"is not asked for by {_shown(backups)}; leave it out", "backups", setting)
    if backups.scheme == "rest" and (backups.access_key is None) != (backups.secret_key is None):
        missing = "access_key" if backups.access_key is None else "secret_key"
        if draft.whole("backups", missing):
            draft.report(f"missing beside the other one; write {_EXAMPLES[missing]}", "backups", missing)


def _shown(backups: Backups) -> str:
    return f"{{server: {backups.store_server}}}" if backups.store_server else show(backups.repository)


def _secrets(draft: Draft, backups: Backups) -> None:
    known = draft.names["secrets"]
    for setting, name in backups.secret_names.items():
        if name not in known and draft.whole("secrets"):
            remedy = did_you_mean(name, known, sign="_secrets^")
            draft.report(f"{show(name)} is not a secret; {remedy}", "backups", setting)


def _server(draft: Draft, backups: Backups) -> None:
    name, known = backups.store_server, draft.names["servers"]
    if name is None:
        return
    if name not in known:
        if draft.whole("servers") or known:
            draft.report(f"{show(name)} is not a server; {did_you_mean(name, known)}", "backups", "repository")
        return
    _reached(draft, name)
    if len(known) == 1:
        message = f"{name} is the only server: what is saved there is lost with it; name another place"
        draft.report(message, "backups", "repository")
        return
    for one in placed(draft):
        if one.server == name and any(mount.name for mount in one.container.mounts) and one.container.backup.save:
            draft.report(
                f"{name} keeps the backups of the others and has none itself, but {one.section}.{one.name} has volumes "
                "there; run it on another server, or write backup: false for what can be made again",
                "backups",
                "repository",
            )
            break


def _hot(draft: Draft, backups: Backups) -> None:
    """Report databases that nobody has said to be one: their files would be saved while they are written to."""
    for one in placed(draft):
        app = one.container
        if not isinstance(app, Application) or app.engine or one.server in (None, backups.store_server):
            continue
        if not draft.whole(one.section, one.name):
            continue
        for mount in app.mounts:
            found = database_images.kept_as_files(app.image, mount.path) if mount.name and not mount.read_only else None
            if found is None or not _is_read_hot(draft, one, str(mount.name)):
                continue
            why, engine = found
            dumped = f"database: {engine}, and its databases are dumped instead; or " if engine else ""
            draft.report(
                f"volume {mount.name} has the files of a database ({why}), and nobody can rely on what is read of them "
                f"while it runs; write {dumped}backup: {{stop: true}}, so that it stands still meanwhile; "
                "backup: {before: [COMMAND]}, one that has it write all down; or backup: false",
                one.section,
                one.name,
                "backup",
            )
            break


def _is_read_hot(draft: Draft, one: Placed, volume: str) -> bool:
    """Whether a volume is saved, and nobody who writes to it says how."""
    beside = [
        other.container
        for other in placed(draft)
        if other.server == one.server and any(mount.name == volume for mount in other.container.mounts)
    ]
    writing = [other for other in beside if any(m.name == volume and not m.read_only for m in other.mounts)]
    if any(isinstance(other, Application) and other.engine for other in writing):
        return False
    said = [other.backup for other in writing]
    return any(backup.save for backup in said) and not any(backup.stop or backup.before for backup in said)


def _containers(draft: Draft) -> None:
    for one in placed(draft):
        backup, at = one.container.backup, (one.section, one.name, "backup")
        asked = [word for word in ("stop", "before") if getattr(backup, word)]
        if backup.before == []:
            draft.report("is no command; write e.g. before: [redis-cli, save]", *at, "before")
        if "save" in backup.model_fields_set and draft.whole(one.section, one.name, "volumes"):
            _unheard(draft, one, at)
        if not asked:
            continue
        if draft.stack.backups is None and draft.whole("backups"):
            draft.report("the stack has no backups; write apiary:backups, or leave it out", *at)
        elif not backup.save:
            draft.report(f"is not saved, so {' and '.join(asked)} say nothing; leave one of both out", *at)
        elif isinstance(one.container, Application) and one.container.engine is not None:
            message = "a database server is dumped while it runs, and nobody waits; leave it out"
            draft.report(message, *at, asked[0])
        elif one.section == "jobs" and backup.before:
            draft.report("a job's container does not run at that time; write it in an application", *at, "before")
        elif not _writes(one.container) and draft.whole(one.section, one.name, "volumes"):
            draft.report("writes to no named volume, so there is nothing to save; leave it out", *at)


def _unheard(draft: Draft, one: Placed, at: tuple[str, ...]) -> None:
    """Report a word on what is saved from who has no say in it."""
    if isinstance(one.container, Application) and one.container.engine is not None:
        return
    names = {mount.name for mount in one.container.mounts if mount.name}
    written = {
        mount.name: other
        for other in placed(draft)
        if other.server == one.server
        for mount in other.container.mounts
        if mount.name in names and not mount.read_only
    }
    if _writes(one.container) or names - written.keys():
        return
    servers = sorted({used.server for used in databases.used(one.name, one.container)})
    if names:
        volume, writer = sorted(written.items())[0]
        message = f"is not asked: it only reads {volume}, and {writer.section}.{writer.name} writes to it; say it there"
    elif servers:
        message = (
            f"has no named volume, and its databases are saved with those of applications.{servers[0]}; say it there, "
            "for all of them, or leave it out"
        )
    else:
        message = "has no named volume, so that nothing of it is saved anyway; leave it out"
    draft.report(message, *at)


def _writes(container: Container) -> bool:
    return any(mount.name and not mount.read_only for mount in container.mounts)


def _reached(draft: Draft, keeper: str) -> None:
    """Report servers that can't save on the keeper: by their name, or because it lets nobody in from where they are."""
    for name in draft.names["servers"] - {keeper}:
        if not _ACCOUNT.fullmatch(name):
            message = f"{name} has an account of its name on {keeper}: write at most 25 of a-z, 0-9 and - there"
            draft.report(message, "backups", "repository")
        here, there = (draft.stack.servers.get(one) for one in (name, keeper))
        if here is None or there is None or there.ssh_from is None:
            continue
        if not (here.private_ip and there.private_ip and here.region == there.region):
            draft.report(
                f"{keeper} lets in nobody but ssh_from, and {name} has no fixed address to name there; give both a "
                "private_ip in one region",
                "backups",
                "repository",
            )
