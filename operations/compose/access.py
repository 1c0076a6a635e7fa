"""How texts say where a server is, as whom one logs in there, and at which database. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)"
    # A password ends with the last `@` before the host, as programs take it.
    r"(?:(?P<user>[^:@/?#\s]*)(?::(?P<password>[^/?#\s\"',;]*(?=@)|[^@/\s]*))?@)?"
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
# What stands behind a URL: `jdbc:postgresql://db/shop?user=shop&password=...`, `pg://db?u=shop&p=...&d=shop`.
QUERY = re.compile(
    r"[?&;](?:(?P<user>user(?:name)?|u)|(?P<password>password|(?P<short>p))|(?P<name>database|dbname|d))"
    r"=(?P<value>[^&;\s\"']+)",
    re.IGNORECASE,
)
BEHIND = re.compile(r"/?[?&;][^\s\"']*")
ANOTHER = re.compile(r"[,;]+[A-Za-z][A-Za-z0-9+.-]*://")  # of a list


def behind(text: str, at: int) -> Iterator[re.Match[str]]:
    """What `QUERY` finds in what stands right behind a URL, which ends at a place."""
    found = BEHIND.match(text, at)
    if not found:
        return iter(())
    following = ANOTHER.search(text, at, found.end())
    return QUERY.finditer(text, at, following.start() if following else found.end())


def logins(words: Sequence[str]) -> list[tuple[str, str]]:
    """User and password of the URLs in a command, where they stand there as they are."""
    found = [match for word in words for match in URL.finditer(word)]
    return [(match["user"], match["password"]) for match in found if match["password"] and "$" not in match["password"]]
