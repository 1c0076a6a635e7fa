"""What nobody may read in a stack file, in the files that are written into it: private keys, secrets, passwords.

Makes: `settle`, once every service has said its secrets. Leaves alone: files that are kept beside the stack file.
"""

from __future__ import annotations

import re

from operations.coming.entries import Path, content
from operations.coming.errors import path_of
from operations.coming.secrets import is_secret
from operations.compose import hidden
from operations.compose.scene import One
from settings.references import Reference, SecretRef, UserSecretRef

_PRIVATE = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")
# A line of configuration that gives a value to a name: YAML, JSON, INI, TOML, Ruby.
_GIVES = re.compile(
    r"^[^#;\n]{0,80}?\b(\w{1,60})[\"']?\]?[ \t]*(?:=>|[:=])[ \t]*[\"']?([^\s\"',;}{$]{8,200})", re.MULTILINE
)
_WORD = r"(?<![\w{{^])(){}(?!\w)"
_GIVEN = (
    r"(?im:((?<![\w-])(?:(?:db|database|pg|postgres|mysql|sql)[_-]?)?(?:password|passwd|pass|pwd)[\"']?\]?"
    r"[ \t]*(?:=>|[:=])[ \t]*[\"']?){}(?=[\"']?[ \t]*(?:[,;}}\]]|$)))"
)
_IN_URL = r"(://[^\s:/@]*:){}(?=@\$\{{\$APPLICATION\}})"
_REFERENCE = r"(?<!\$)\$\{[^{}]*\}"


def settle(one: One) -> None:
    """Put references into the files of a service, and take secrets out of its commands. Words (`changeme`) stand for
    themselves, and are left.
    """
    hidden.hide(one)
    _in_variables(one)
    files = one.entry.settings.get("files")
    for target, made in files.items() if isinstance(files, dict) else ():
        text = made.get("content") if isinstance(made, dict) else None
        at = one.entry.source_of(("files", target))
        if not isinstance(text, str) or at is None:
            continue
        if _PRIVATE.search(text):
            secret = one.scene.secrets.name(f"{one.entry.name}_{target.rpartition('/')[2]}", text)
            made["content"] = content([UserSecretRef(secret)])
            one.told.becomes(at, f"files: {{{target}: ...}}, a secret, since a private key is in it")
        else:
            made["content"] = _referred(one, text, at)
            _seen(one, str(made["content"]), at)


def _in_variables(one: One) -> None:
    """Put references into configuration that stands in a variable, line by line, and where one holds what another one
    says is a secret.
    """
    variables = one.entry.settings.get("environment")
    if not isinstance(variables, dict):
        return
    for name, text in variables.items():
        at = one.entry.source_of(("environment", name))
        if not isinstance(text, str) or at is None:
            continue
        is_file = "\n" in text or text.lstrip()[:1] in ("{", "[")
        # In one line, what equals a database's password may be anything; who means it says so by its name (Client).
        made = _referred(one, text, at, also_databases=is_file)
        variables[name] = re.sub(r"\A\$\{(_secrets\^\w+)\}\Z", r"\1", made)
        if is_file:
            _seen(one, str(variables[name]), at)


def _seen(one: One, text: str, at: Path) -> None:
    """Tell of what is called like a secret and still stands in a text: nobody else says that it is one."""
    names = dict.fromkeys(match[1] for match in _GIVES.finditer(text) if is_secret(match[1], match[2]))
    if names:
        one.told.do(
            f"see whether {', '.join(names)} in {path_of(*at)} is a secret: it stands in the stack file in plain text "
            "until ${_secrets^NAME} is written in its place"
        )


def _referred(one: One, text: str, at: Path, *, also_databases: bool = True) -> str:
    known: dict[str, Reference] = {value: UserSecretRef(name) for name, value in one.scene.secrets.values.items()}
    for app, database in one.client.uses.items() if also_databases else ():
        known |= dict.fromkeys(one.scene.servers[app].passwords, SecretRef(app, database, "password"))
    # A role and its database keep their names, also where somebody's secret is the same word.
    names = {*one.client.uses.values(), *(name for more in one.client.more.values() for name in more)}
    for value, reference in sorted(known.items(), key=lambda item: -len(item[0])):
        # A short one, or a word, stands in texts by chance, but not behind the word for a database's password, nor in
        # front of the database.
        is_told = hidden.is_told(value) and value not in names
        around = [_WORD] if is_told else []
        if isinstance(reference, SecretRef) and not is_told:
            around = [_GIVEN, _IN_URL.replace("APPLICATION", re.escape(reference.application))]
        made = text
        for pattern in around:
            made = _put(made, pattern.format(re.escape(content([value]))), content([reference]))
        if made == text:
            continue
        text = made
        if isinstance(reference, SecretRef):
            role = one.client.uses.get(reference.application)
            one.told.differs(
                at, f"the password of {reference.application} in it is the generated one now, that of the role {role}"
            )
    return text


def _put(text: str, pattern: str, reference: str) -> str:
    """The text with a reference behind the first group of a pattern; within other references nothing is looked for."""
    return re.sub(
        f"{_REFERENCE}|{pattern}", lambda found: found[0] if found[1] is None else f"{found[1]}{reference}", text
    )
