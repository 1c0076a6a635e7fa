"""Checks of references in `env`: whether what they refer to exists, and can be reached."""

import re
from collections.abc import Mapping

from settings.checks.common import Placed, placed, server_of
from settings.containers import Written
from settings.draft import Draft
from settings.errors import Key, closest, did_you_mean, show
from settings.interpolation import pieces
from settings.models import Application, Container
from settings.references import (
    SIGNS,
    AppRef,
    DbMap,
    JobRef,
    Reference,
    ReferenceSyntaxError,
    SecretRef,
    UserSecretRef,
    parse,
    parts,
)

# Values of these variables are never repeated: what looks like a reference may be a secret that begins with
# $.
_SENSITIVE = re.compile(r"pass|secret|token|key|credential|auth")


# What people write within text for `${$app}` and `${_app^password}`.
_IN_TEXT = re.compile(
    r"(?<![A-Za-z0-9_$])(?:\$(?P<app>[A-Za-z][A-Za-z0-9_-]*)"
    r"|_(?P<name>[A-Za-z][A-Za-z0-9-]*)(?::[A-Za-z0-9_-]+)?\^[A-Za-z0-9_]+)"
)

# What says of a server which private network it is on.
_NETWORK = ("region", "private_ip")


def check(draft: Draft) -> None:
    """Report references to nothing, and to containers on another server."""
    for one in placed(draft):
        for written in one.container.written:
            at = (one.section, one.name, *written.path)
            try:
                reference = written.parse()
            except ReferenceSyntaxError as error:
                draft.report(str(error), *at)
                continue
            for meant in parts(reference):
                is_run = isinstance(meant, JobRef) and written.path[-1].startswith("RUN_")
                if written.path[0] == "environment" and (is_run or isinstance(meant, DbMap)):
                    draft.report("means something in env alone; write it there, under a name in lower case", *at)
                else:
                    _exists(draft, one, meant, at)
            _looks_like_one(draft, written, at)
        _twice(draft, one)
        for index, text in enumerate(one.container.command or []):
            _literal(draft, text, (one.section, one.name, "command", index))
        for key, text in one.container.build_args.items():
            _literal(draft, text, (one.section, one.name, "build_args", key))
        for key, text in one.container.labels.items():
            _literal(draft, text, (one.section, one.name, "labels", key))


def _twice(draft: Draft, one: Placed) -> None:
    """Report a variable that both `env` and `environment` give: nothing says which is meant."""
    by_env = {key.upper(): key for key in one.container.env}
    for name in one.container.environment:
        if name in by_env:
            there = draft.written(one.section, one.name, "env", by_env[name])
            draft.report(
                f"is given by {there} already; leave one of them out", one.section, one.name, "environment", name
            )


def _read_as_text(value: object) -> str:
    """What of a value is no reference as a whole: nothing behind a sign of one, all behind a doubled sign."""
    text = value if isinstance(value, str) else ""
    is_doubled = text[:1] in SIGNS and text[1:2] == text[:1] and not text.startswith("$${")
    is_text = text[:1] not in SIGNS or text.startswith(("${", "$${"))
    return text[2:] if is_doubled else text if is_text else ""


def _looks_like_one(draft: Draft, written: Written, at: tuple[Key, ...]) -> None:
    """Report what reads like a reference within text, and would reach the container as it is written."""
    texts = written.value if isinstance(written.value, list) else [written.value]
    for text in texts:
        for piece in pieces(str(text) if written.path[0] == "files" else _read_as_text(text)):
            for match in () if piece.is_reference else _IN_TEXT.finditer(piece.text):
                app, name = match["app"], match["name"]
                if app in draft.names["applications"] or name == "secrets" or name in draft.names["applications"]:
                    draft.report(
                        f'holds "{match[0]}", which is no reference within text; write "${{{match[0]}}}", or put the '
                        "plain text into a secret: _secrets^NAME",
                        *at,
                    )


def _literal(draft: Draft, text: str, at: tuple[Key, ...]) -> None:
    """Report what means something in `env`, and would reach a program or a build as it is written."""
    try:
        meant = parse(text)
    except ReferenceSyntaxError:
        return
    match meant:
        case AppRef(name):
            known = name in draft.names["applications"]
        case JobRef(name):
            known = name in draft.names["jobs"]
        case SecretRef(name, _, _):
            known = name in draft.names["applications"]
        case UserSecretRef(name):
            known = name in draft.names["secrets"]
        case DbMap():
            known = True
        case _:
            known = False
    if known:
        remedy = (
            "write the name itself, without the sign"
            if isinstance(meant, AppRef | JobRef)
            else "a build keeps its arguments for all to see; have the program read it from env when it runs"
            if at[2] == "build_args"
            else "write it into env, and have the program read the variable"
        )
        draft.report(f"{show(text)} is a reference, which means something in env and environment alone; {remedy}", *at)


def _exists(draft: Draft, one: Placed, reference: Reference, at: tuple[Key, ...]) -> None:
    match reference:
        case AppRef(name):
            _container(draft, one, "applications", name, at)
        case JobRef(name):
            _container(draft, one, "jobs", name, at)
        case SecretRef(application, _, _):
            _known(draft, application, "applications", "_", at)
        case UserSecretRef(name):
            _known(draft, name, "secrets", "_secrets^", at)


def _container(draft: Draft, one: Placed, section: str, name: str, at: tuple[Key, ...]) -> None:
    other, sign, other_sign = ("jobs", "$", "+") if section == "applications" else ("applications", "+", "$")
    if name not in draft.names[section] and name in draft.names[other]:
        what = "a job" if other == "jobs" else "an application"
        draft.report(f'{show(name)} is {what}; write "{other_sign}{name}"', *at)
        return
    if not _known(draft, name, section, sign, at):
        return
    containers: Mapping[str, Container] = getattr(draft.stack, section)
    if name not in containers:
        return  # it could not be read
    there = Placed(section, name, containers[name], server_of(draft, section, name, containers[name]))
    if there.server is not None and one.server is not None and there.server != one.server:
        remedy = _out_of_reach(draft, one.server, there)
        if remedy:
            draft.report(f'"{sign}{name}" runs on {there.server}, this container on {one.server}, {remedy}', *at)


def _out_of_reach(draft: Draft, here: str, there: Placed) -> str | None:
    """Why a container of another server can't be reached from `here`, and what to write; None when it can be."""
    if not isinstance(there.container, Application):
        return "and the name of a job means something on its own server only; move one of them"
    servers = draft.stack.servers
    ends = (here, str(there.server))
    if not all(name in servers and draft.whole("servers", name, key) for name in ends for key in _NETWORK):
        return None  # what is wrong with it is reported there
    if servers[here].region != servers[ends[1]].region:
        return (
            f"and a private network does not reach from {servers[here].region} to {servers[ends[1]].region}; "
            "move one of them, or write a public name"
        )
    lacking = [name for name in ends if servers[name].private_ip is None]
    if lacking:
        return (
            "and they share no network; write private_ip for "
            + " and ".join(f"servers.{name}" for name in lacking)
            + f", and the port in applications.{there.name}.private"
        )
    if not there.container.private and draft.whole("applications", there.name, "private"):
        return f"and publishes nothing there; write its port, e.g. private: [5432], in applications.{there.name}"
    return None


def _known(draft: Draft, name: str, section: str, sign: str, at: tuple[Key, ...]) -> bool:
    known = draft.names[section]
    if name in known:
        return True
    if not draft.whole(section) and not known:
        return False  # the whole section could not be read; that is reported
    what = {"applications": "an application", "jobs": "a job", "secrets": "a secret"}[section]
    near = _renamed(draft, name) or closest(name, known)
    remedy = f'did you mean "{sign}{near}"?' if near else did_you_mean(name, known, sign=sign)
    if _SENSITIVE.search(str(at[-1])) and near is None:
        remedy = f'for plain text write "{sign[0] * 2}" in place of its first "{sign[0]}"; ' + remedy
        draft.report(f"refers to {what} that does not exist; {remedy}", *at)
    else:
        draft.report(f'"{sign}{name}" is not {what}; {remedy}', *at)
    return False


def _renamed(draft: Draft, name: str) -> str | None:
    """What a container is called now that was called `name` before."""
    return next((one.name for one in placed(draft) if one.container.renamed_from == name), None)
