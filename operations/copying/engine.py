"""What is asked of a database server, whichever it is: by shell in its own container, where its programs are.

Each script has the database's name as `$1`, and that of the one beside it as `$2` where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Engine:
    """The scripts of one kind of server.

    The old host is asked to read, and of its database nothing is changed but who gets in: `close`, `settle` and `open`
    have the names of `aside` as `$2` and `$3`, and behind them what `accounts` has printed.
    """

    ready: str  # sees that the database is there and lets in, whatever an earlier copy has left
    source: str  # sees that the one to be read is there, `$2` as of `aside`; prints `closed` where nobody gets in
    tables: str  # prints a line a table, quoted as the server wants it: table, tab, the expression of its checksum
    count: str  # prints what a statement gives, which is `$2`, a line a row: table, tab, number of rows, tab, checksum
    dump: str
    prepare: str  # an empty database for it, beside the one that it becomes
    load: str  # from standard input, into that one
    place: str  # puts that one in the place of the other
    others: str  # prints the addresses of who is connected to the database, a line each
    accounts: str  # prints what has to be closed for it, a line each, and sees that it can be
    close: str  # nobody gets in any more, and who is connected is cut off; said again, it goes on
    settle: str  # when all has come: closed for good, under its own name
    open: str  # takes that back
    hides: bool  # whether what is closed is read by the first name of `aside`


NONE = """\
set -e
name=$1
none() { echo "there is no database $name; write it in db: of an application, then pulumi up" >&2; exit 1; }
"""
