"""References: values in `env` and `environment`, whole or within text, that stand for something the program knows.

Makes: a pure parser from a value to what it means, its inverse for plain text (`escape`), and `resolve`,
which asks a `Lookup` for the text. Leaves alone: whether the thing referred to exists (`checks.references`),
and the secrets themselves, which a Lookup may hold as anything it likes, an unresolved output for instance.

| value | means |
|---|---|
| `$app` | host name of an application; on another server, that server's `private_ip` |
| `+job` | name of a job; an application may start it then, and wait for it (docs/schedule.md) |
| `_app^password`, `_app:database^password` | generated password of a database of `app`; by default that of `db` |
| `_app^adminpass` | generated administrator's password of the database server `app` |
| `_secrets^NAME` | the value of `secrets.NAME` |
| `_dbmap` | the databases to create, as JSON |
| `domains: all` | every served domain with its container, as JSON |
| `$$x`, `++x`, `__x` | the plain text `$x`, `+x`, `_x` |
| `x://u:${_app^password}@${$app}/` | text with what its references stand for, percent-encoded where a URL wants it |
| `$${x` | the plain text `${x`, anywhere |
"""

import re
from dataclasses import dataclass
from typing import Protocol, TypeVar

from settings import interpolation

SIGNS = "$+_"
KINDS = ("password", "adminpass")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_SECRET = re.compile(r"_([A-Za-z][A-Za-z0-9-]*)(?::([A-Za-z0-9_-]+))?\^([A-Za-z0-9_]+)")

T_co = TypeVar("T_co", covariant=True)


class ReferenceSyntaxError(ValueError):
    """A value that starts like a reference and is none. The message never repeats the value: it may be a
    secret.
    """


@dataclass(frozen=True)
class Literal:
    """Plain text, handed to the container as it is."""

    text: str


@dataclass(frozen=True)
class AppRef:
    """`$name`: the host name of an application."""

    name: str


@dataclass(frozen=True)
class JobRef:
    """`+name`: the name of a job, by which an application may start it."""

    name: str


@dataclass(frozen=True)
class SecretRef:
    """`_application:database^kind`; without a database, the one that `databases.meant` says."""

    application: str
    database: str | None
    kind: str


@dataclass(frozen=True)
class UserSecretRef:
    """`_secrets^name`: a secret of the stack file."""

    name: str


@dataclass(frozen=True)
class DomainsAll:
    """`domains: all`: the map of every served domain."""


@dataclass(frozen=True)
class DbMap:
    """`_dbmap`: the map of databases to create."""


@dataclass(frozen=True)
class Part:
    """A piece of text: plain, or what a reference stands for."""

    reference: Literal | AppRef | JobRef | SecretRef | UserSecretRef
    kept: str | None = None  # reserved characters that are not percent-encoded; None: nothing is


@dataclass(frozen=True)
class Text:
    """Text with references in it."""

    parts: tuple[Part, ...]


Reference = Literal | AppRef | JobRef | SecretRef | UserSecretRef | DomainsAll | DbMap | Text
Value = str | int | bool | list[str]


def parse(value: Value, *, key: str = "") -> Reference:  # noqa: PLR0911 - one a kind
    """Read one value of `env` or `environment`. `key` matters for `domains` alone, where `all` is a reference.

    Numbers become decimal text, booleans `true` and `false`, lists their items joined by commas.
    Raises ReferenceSyntaxError when the first character, or `${` anywhere, starts a reference that can't be read.
    """
    if isinstance(value, bool):
        return Literal("true" if value else "false")
    if isinstance(value, int):
        return Literal(str(value))
    if isinstance(value, list):
        return Literal(",".join(_plain_item(item) for item in value))
    if key == "domains" and value == "all":
        return DomainsAll()
    if not value or value[0] not in SIGNS or value.startswith(("${", "$${")):
        return parse_text(value)
    if value[1:2] == value[0]:
        return parse_text(value[1:])
    if value[0] == "_":
        return _parse_secret(value)
    if not _NAME.fullmatch(value[1:]):
        what = "an application" if value[0] == "$" else "a job"
        raise ReferenceSyntaxError(
            f'starts with "{value[0]}" but does not name {what}; for plain text write "{value[0] * 2}" in its place'
        )
    return AppRef(value[1:]) if value[0] == "$" else JobRef(value[1:])


def parse_text(text: str) -> Reference:
    """Read text that holds references by `${...}` alone, as the content of a file does. Raises ReferenceSyntaxError."""
    pieces = interpolation.pieces(text)
    parts = tuple(
        Part(_within(one.text), interpolation.kept(pieces, index)) if one.is_reference else Part(Literal(one.text))
        for index, one in enumerate(pieces)
    )
    if not any(one.is_reference for one in pieces):
        return Literal("".join(one.text for one in pieces))
    return parts[0].reference if len(parts) == 1 else Text(parts)


def _within(inner: str) -> AppRef | JobRef | SecretRef | UserSecretRef:
    try:
        meant = parse(inner)
    except ReferenceSyntaxError:
        meant = None
    if isinstance(meant, AppRef | JobRef | SecretRef | UserSecretRef):
        return meant
    raise ReferenceSyntaxError(
        'holds "${" and no reference behind it; write ${$app}, ${+job}, ${_app^password}, ${_app:database^password}, '
        "${_app^adminpass} or ${_secrets^NAME}, or $${ for plain text"
    )


def parts(reference: Reference) -> tuple[Reference, ...]:
    """Return what a value refers to: the references in a text, or itself."""
    return tuple(part.reference for part in reference.parts) if isinstance(reference, Text) else (reference,)


def _plain_item(item: str) -> str:
    if item[:1] and item[0] in SIGNS:
        if item[1:2] != item[0]:
            raise ReferenceSyntaxError(
                f'an item starts with "{item[0]}", but lists hold plain text only; '
                f'write the reference as the whole value, or "{item[0] * 2}" for plain text'
            )
        return item[1:]
    return item


def _parse_secret(value: str) -> Reference:
    if value == "_dbmap":
        return DbMap()
    match = _SECRET.fullmatch(value)
    if match and match[1] == "secrets" and match[2] is None:
        return UserSecretRef(match[3])
    if match and match[3] in KINDS and not (match[2] and match[3] == "adminpass"):
        return SecretRef(match[1], match[2], match[3])
    raise ReferenceSyntaxError(
        'starts with "_" but is not a reference; write "_app^password", "_app:database^password", '
        '"_app^adminpass", "_secrets^NAME" or "_dbmap", or "__" in its place for plain text'
    )


def escape(text: str) -> str:
    """Spell plain text so that `parse` gives it back unchanged (outside `domains`)."""
    doubled = text[:1] if text[:1] in SIGNS and not text.startswith("${") else ""
    return doubled + interpolation.plain(text)


def spell(reference: Reference) -> str:  # noqa: PLR0911 - one a kind
    """Spell a reference as the stack file does; the inverse of `parse`."""
    match reference:
        case Literal(text):
            return escape(text)
        case AppRef(name):
            return f"${name}"
        case JobRef(name):
            return f"+{name}"
        case SecretRef(application, database, kind):
            return f"_{application}{':' + database if database else ''}^{kind}"
        case UserSecretRef(name):
            return f"_secrets^{name}"
        case DbMap():
            return "_dbmap"
        case DomainsAll():
            return "all"
        case Text(of):
            spelt = [spell_within(part.reference) for part in of]
            return "".join([spell(of[0].reference), *spelt[1:]] if isinstance(of[0].reference, Literal) else spelt)


def spell_within(reference: Reference) -> str:
    """Spell a reference as it stands inside text."""
    return interpolation.plain(reference.text) if isinstance(reference, Literal) else f"${{{spell(reference)}}}"


class Lookup(Protocol[T_co]):
    """What `resolve` asks for; `T_co` is text, or whatever will become text."""

    def host(self, application: str) -> T_co:
        """Host name (network alias) of an application."""

    def job(self, job: str) -> T_co:
        """Name by which a job is started."""

    def password(self, reference: SecretRef) -> T_co:
        """Generated secret of a database."""

    def secret(self, name: str) -> T_co:
        """Value of `secrets.name`."""

    def domains(self) -> T_co:
        """Every served domain, as JSON."""

    def databases(self) -> T_co:
        """The databases to create, as JSON."""

    def text(self, text: Text) -> T_co:
        """A text with all of its parts resolved, and percent-encoded where they ask for it."""


def resolve(reference: Reference, lookup: Lookup[T_co]) -> str | T_co:  # noqa: PLR0911 - one a kind
    """Return the text of a reference; a Literal is its own text and asks nothing."""
    match reference:
        case Literal(text):
            return text
        case AppRef(name):
            return lookup.host(name)
        case JobRef(name):
            return lookup.job(name)
        case SecretRef():
            return lookup.password(reference)
        case UserSecretRef(name):
            return lookup.secret(name)
        case DbMap():
            return lookup.databases()
        case Text():
            return lookup.text(reference)
        case DomainsAll():
            return lookup.domains()
