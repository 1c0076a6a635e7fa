"""How texts say where a server is, as whom one logs in there, and at which database. Pure."""

from __future__ import annotations

import re

URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)"
    r"(?:(?P<user>[^:@/?#\s]*)(?::(?P<password>[^@/\s]*))?@)?"
    r"(?P<host>[A-Za-z0-9_.-]+)(?P<port>:\d+)?(?:/(?P<path>[A-Za-z0-9_.-]+))?"
)
GO_DSN = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)?(?P<user>[^:@/\s]+):(?P<password>[^@\s]*)@tcp\((?P<host>[A-Za-z0-9_.-]+)(?P<port>:\d+)?\)/(?P<path>[A-Za-z0-9_-]+)"
)
# `host=db user=shop password=...` of libpq, `mysql:host=db;dbname=shop` of PDO, `Server=db;Uid=shop;Pwd=...` of .NET.
WORDS_DSN = re.compile(
    r"\b(?:(?P<host>host|server|data source)|(?P<user>user(?: ?id|name)?|uid)|(?P<password>password|pwd)"
    r"|(?P<name>dbname|database|initial catalog)) ?= ?(?P<value>'[^']*'|[^\s;]+)",
    re.IGNORECASE,
)
# What stands behind a URL: `jdbc:postgresql://db/shop?user=shop&password=...`.
QUERY = re.compile(r"[?&;](?:(?P<user>user(?:name)?)|(?P<password>password))=(?P<value>[^&;\s\"']+)", re.IGNORECASE)
BEHIND = re.compile(r"[?&;][^\s\"']*")
