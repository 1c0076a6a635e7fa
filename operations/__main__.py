"""`python -m operations VERB`: verbs on a live stack; `make help` shows those that have a name there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from operations import adopt, backups, graph, heal, jobs, releases, revive
from operations.cli import PROGRAM, OperationError, Pulumi
from operations.status import SECONDS, tell

# What a verb does; the exit status, or None for 0.
Act = Callable[[Pulumi, argparse.Namespace], int | None]


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; 0 when it is done, else a message and the status of what failed (`run`, `start`: of the job).

    `status`: 1 when something is wrong, 2 when that can't be told.
    """
    options = _parser().parse_args(arguments)
    pulumi = Pulumi(options.stack)
    try:
        return _run(pulumi, options)
    except OperationError as error:
        print(f"{options.verb}: {error}", file=sys.stderr)
        return error.status


def _run(pulumi: Pulumi, options: argparse.Namespace) -> int:
    # The two that repair select it themselves: a torn file in the backend, which they remove, would stop it here. And
    # `status` has no second to lose.
    if options.verb not in ("heal", "revive", "status"):
        # A mistyped name must not become an empty stack.
        pulumi.select(create=options.verb == "up")
    return options.act(pulumi, options) or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m operations", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, words: str, act: Act) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=words, description=words)
        made.add_argument("--stack", required=True)
        made.set_defaults(act=act)
        return made

    verb("up", "make the stack what its file says, creating it if need be", lambda pulumi, _: pulumi.run("up", "--yes"))
    healing = verb("heal", "finish an update that was interrupted, whatever interrupted it", _heal)
    healing.add_argument("--destroy", action="store_true", help="end with destroy instead of up")
    healing.add_argument(
        "--refresh", action="store_true", help="compare with reality also when nothing looks interrupted"
    )
    healing.add_argument(
        "--remove-unexplained", action="store_true",
        help="also delete servers, firewalls and keys of this stack's name that its state can't explain",
    )  # fmt: skip
    healing.add_argument(
        "--release-ips", action="store_true", help="also release reserved addresses that may have served"
    )
    healing.add_argument("--yes", action="store_true", help="also when the stack file now replaces or deletes a server")
    adopting = verb(
        "adopt", "take what exists in the account into the state: zones, records, addresses, the SSH key", _adopt
    )
    adopting.add_argument("--zone", action="append", default=[], help="only this zone; may be said again")
    adopting.add_argument("--address", action="append", default=[], metavar="SERVER=ADDRESS",
                          help="a reserved address that a server is to have")  # fmt: skip
    adopting.add_argument("--yes", action="store_true", help="don't ask before the import")
    adopting.add_argument("--delete", action="store_true", help="delete the records that are listed as in the way")
    reviving = verb(
        "revive",
        "bring a dead or deleted server back with its IPv4",
        lambda pulumi, said: revive.revive(pulumi, said.server, yes=said.yes, force=said.force),
    )
    reviving.add_argument("server")
    reviving.add_argument("--yes", action="store_true", help="don't ask; needed where there is no terminal")
    reviving.add_argument("--force", action="store_true", help="even if it answers, or is not proved dead")
    verb("run", "run a job again, in a fresh container", lambda pulumi, said: jobs.run(pulumi, said.job)).add_argument(
        "job", help="NAME or SERVER:NAME"
    )
    verb(
        "start", "start a job's stopped container again", lambda pulumi, said: jobs.start(pulumi, said.job)
    ).add_argument("job", help="NAME or SERVER:NAME")
    verb(
        "release",
        "release what is new on the git branch of an application",
        lambda pulumi, said: releases.release(pulumi, said.application),
    ).add_argument("application", help="NAME or SERVER:NAME")
    verb("backup", "save everything now", lambda pulumi, said: backups.backup(pulumi, said.server)).add_argument(
        "server", nargs="?", help="only this one"
    )
    listing = verb(
        "backups",
        "list what is saved: of what, when, how large, proved when",
        lambda pulumi, said: backups.show(pulumi, said.server, as_json=said.json),
    )
    listing.add_argument("server", nargs="?", help="only this one")
    listing.add_argument("--json", action="store_true", help="all of it, for a program")
    verb(
        "prune", "remove backups that are not kept any more", lambda pulumi, said: backups.prune(pulumi, said.server)
    ).add_argument("server", nargs="?", help="only this one")
    drawing = verb("graph", "draw the stack's graph of resources as SVG", _graph)
    drawing.add_argument("--file", type=Path, help="default: .apiary/STACK/graph.svg")
    telling = verb(
        "status",
        "how the hive is: servers, sites, jobs, backups, drift; 1 when something is wrong",
        lambda pulumi, said: tell(pulumi, as_json=said.json, seconds=said.seconds),
    )
    telling.add_argument("--json", action="store_true", help="for a program to read")
    telling.add_argument("--seconds", type=float, default=SECONDS,
                         help=f"until what is silent is given up; default: {SECONDS}")  # fmt: skip
    return parser


def _heal(pulumi: Pulumi, said: argparse.Namespace) -> None:
    wish = heal.Wish(said.destroy, said.refresh, said.remove_unexplained, said.release_ips, said.yes)
    heal.heal(pulumi, wish)


def _adopt(pulumi: Pulumi, said: argparse.Namespace) -> None:
    adopt.adopt(pulumi, adopt.Wish(said.zone, said.address, said.yes, said.delete))


def _graph(pulumi: Pulumi, said: argparse.Namespace) -> None:
    graph.write(pulumi, said.file or PROGRAM / ".apiary" / said.stack / "graph.svg")


if __name__ == "__main__":
    sys.exit(main())
