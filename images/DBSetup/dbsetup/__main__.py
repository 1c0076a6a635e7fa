"""`python3 -m dbsetup`: exits with 0 all is there, 1 something failed (the rest was done), 2 unusable input."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping

from dbsetup.dbmap import InputError, Server, parse_dbmap
from dbsetup.report import SetupError

SetUp = Callable[[Server, float], Iterator[str]]


def set_up(server: Server, wait_seconds: float) -> Iterator[str]:
    """By kind; the drivers are loaded only where they are needed."""
    if server.kind == "postgresql":
        from dbsetup import postgresql  # noqa: PLC0415

        return postgresql.set_up(server, wait_seconds)
    from dbsetup import mysql  # noqa: PLC0415

    return mysql.set_up(server, wait_seconds)


def main(environment: Mapping[str, str], set_up: SetUp = set_up) -> int:
    """Set up every server; one that fails keeps no other from its turn."""
    try:
        servers = parse_dbmap(environment.get("DBMAP"))
        wait_seconds = float(environment.get("WAIT_SECONDS") or 60)
    except InputError as error:
        print(f"dbsetup: nothing was changed:\n{error}", file=sys.stderr)
        return 2
    except ValueError:
        print("dbsetup: nothing was changed:\nWAIT_SECONDS is not a number of seconds", file=sys.stderr)
        return 2
    if not servers:
        print("dbsetup: DBMAP has no server; nothing to do")
    failed = []
    for server in servers:
        try:
            for line in set_up(server, wait_seconds):
                print(f"dbsetup: {server.name}: {line}")
        except SetupError as error:
            failed.append(server.name)
            print(f"dbsetup: {server.name}: FAILED: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
