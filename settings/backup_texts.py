"""The small languages of backups: where a repository is, and by what it is known.

Makes: one pure function a language, checked text out. Leaves alone: whether the repository exists (the server finds
that out), and what goes with which kind of repository (`checks.backups`). Each function raises ValueError whose message
says what is wrong and what to write.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from settings import texts
from settings.crontab import Schedule
from settings.errors import show

KINDS = "s3:https://HOST/BUCKET, sftp:USER@HOST:/FOLDER, rest:https://HOST/PATH, {server: NAME}, or vultr"
ON_SERVER = "server:"  # as a repository on another server of the stack is kept here
_SFTP = re.compile(r"sftp:([a-zA-Z0-9_][\w.-]*)@([\w.-]+|\[[0-9a-fA-F:.]+\]):(/[!-~]*)")
_SFTP_URL = re.compile(r"sftp://([a-zA-Z0-9_][\w.-]*)@([\w.-]+|\[[0-9a-fA-F:.]+\])(?::\d+)?/(/?[!-~]+)")
_HOST_KEY = re.compile(r"(ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)|ssh-rsa) [A-Za-z0-9+/]+={0,3}(?: [ -~]*)?")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/=]+\n)+-----END CERTIFICATE-----")


def repository(value: object) -> object:
    """Check where backups go: a text, or a map `{server: NAME}`, which becomes `server:NAME`."""
    if isinstance(value, Mapping):
        if set(value) != {"server"} or not isinstance(value["server"], str):
            raise ValueError("a map here names another server of the stack and nothing else; write {server: web2}")
        return ON_SERVER + texts.name(value["server"])
    if not isinstance(value, str):
        return value
    if value.startswith(ON_SERVER):
        raise ValueError(f"{show(value)} is written {{server: {value.removeprefix(ON_SERVER)}}}")
    if value == "vultr" or _SFTP.fullmatch(value) or _SFTP_URL.fullmatch(value):
        return value
    kind, colon, rest = value.partition(":")
    if colon and kind in ("s3", "rest"):
        return _by_http(value, kind, rest)
    if value.startswith(("/", "./", "~", "local:")):
        raise ValueError(f"{show(value)} is on the server's own disk, and would be lost with it; write {KINDS}")
    raise ValueError(f"{show(value)} is no place for backups; write {KINDS}")


def _by_http(value: str, kind: str, rest: str) -> str:
    problem = f"{show(value)} is not a whole address; write e.g. {kind}:https://backups.example.com/hive"
    try:
        parts = urlsplit(rest)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ValueError(problem) from error
    if parts.username is not None or parts.password is not None:
        # Not repeated: it may be a secret.
        raise ValueError("holds a user or a password, for all to read; write access_key and secret_key for them")
    if parts.scheme not in ("http", "https") or not usable or not re.fullmatch(r"[!-~]+", rest):
        raise ValueError(problem)
    if parts.query or parts.fragment or (kind == "s3" and not parts.path.strip("/")):
        raise ValueError(problem)
    return value.rstrip("/")


def host_key(text: str) -> str:
    """Check a host key: one line of a known_hosts file without its host, as `ssh-keyscan HOST` prints it."""
    if not _HOST_KEY.fullmatch(text):
        raise ValueError(
            f"{show(text)} is no host key; write what `ssh-keyscan -t ed25519 HOST` prints after the host, "
            'e.g. "ssh-ed25519 AAAA..."'
        )
    return text


def certificates(text: str) -> str:
    """Check one certificate or several, in PEM."""
    found = _CERTIFICATE.findall(text)
    if not found or "".join(text.split()) != "".join("".join(found).split()):
        raise ValueError("is no certificate in PEM; write the authority's, from -----BEGIN CERTIFICATE----- on")
    return text


def when(text: str) -> str:
    """Check a time as in crontab."""
    Schedule.parse(text)
    return text
