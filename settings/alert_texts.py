"""The languages of alerts: addresses of mail, of a mail server, of a service that is told. Pure checkers of text.

What may be a secret is not repeated in a message.
"""

import re
from urllib.parse import urlsplit

from settings.errors import show

SECRET = re.compile(r"_secrets\^[A-Za-z0-9_]+")
_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?")
_REMEDY = "set it with pulumi config set --secret --path apiary:secrets.NAME, and write _secrets^NAME"


def mail(text: str) -> str:
    """Check an address of mail."""
    if not _MAIL.fullmatch(text) or ".." in text:
        raise ValueError(f'{show(text)} is not an address of mail; write e.g. "owner@example.com"')
    return text


def mail_server(text: str) -> str:
    """Check `host:port`."""
    host, _, port = text.rpartition(":")
    if not _HOST.fullmatch(host) or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise ValueError(f'{show(text)} is not a mail server with its port; write e.g. "smtp.example.com:587"')
    return text


def url_or_secret(text: str) -> str:
    """Check an address by http or https, or a reference to a secret that is one."""
    return text if SECRET.fullmatch(text) else url(text)


def url(text: str) -> str:
    """Check an address by http or https; it is not repeated, since whoever knows it may use it."""
    problem = f'is not an address; write e.g. "https://ntfy.sh/my-hive"; one that is a secret: {_REMEDY}'
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(problem) from None
    if parts.scheme not in ("http", "https") or not usable or not re.fullmatch(r"[!-~]+", text):
        raise ValueError(problem)
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"holds a user or password, which would be kept in plain text; {_REMEDY}")
    return text
