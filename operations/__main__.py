"""`python -m operations VERB`: verbs on a live stack; `make help` shows those that have a name there."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from operations import adopt, backups, graph, heal, jobs, kit, releases, restores, revive
from operations.cli import PROGRAM, OperationError, Pulumi


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; 0 when it is done, else a message and the status of what failed (`run`, `start`: of the job)."""
    options = _parser().parse_args(arguments)
    pulumi = Pulumi(options.stack)
    try:
        return _run(pulumi, options)
    except OperationError as error:
        print(f"{options.verb}: {error}", file=sys.stderr)
        return error.status


def _run(pulumi: Pulumi, options: argparse.Namespace) -> int:
    # The two that repair select it themselves: a torn file in the backend, which they remove, would stop it here.
    if options.verb not in ("heal", "revive"):
        # A mistyped name must not become an empty stack.
        pulumi.select(create=options.verb == "up")
    match options.verb:
        case "up":
            pulumi.run("up", "--yes")
        case "heal":
            heal.heal(
                pulumi,
                heal.Wish(
                    options.destroy, options.refresh, options.remove_unexplained, options.release_ips, options.yes
                ),
            )
        case "adopt":
            wish = adopt.Wish(options.zone, options.address, options.yes, options.delete)
            adopt.adopt(pulumi, wish)
        case "revive":
            revive.revive(pulumi, options.server, yes=options.yes, force=options.force)
        case "run":
            return jobs.run(pulumi, options.job)
        case "start":
            return jobs.start(pulumi, options.job)
        case "release":
            releases.release(pulumi, options.application)
        case "graph":
            graph.write(pulumi, options.file or PROGRAM / ".apiary" / options.stack / "graph.svg")
        case _:
            return _saved(pulumi, options)
    return 0


def _saved(pulumi: Pulumi, options: argparse.Namespace) -> int:
    """The verbs of backups."""
    match options.verb:
        case "backup":
            return backups.backup(pulumi, options.server)
        case "backups":
            return backups.show(pulumi, options.server, as_json=options.json)
        case "restore":
            return restores.restore(pulumi, restores.Wish(options.what, options.at, options.to, options.yes))
        case "drill":
            return restores.drill(pulumi, options.server)
        case "recovery-kit":
            print(kit.kit(pulumi), end="")
            return 0
        case "prune":
            return backups.prune(pulumi, options.server)
    raise AssertionError(options.verb)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m operations", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, words: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=words, description=words)
        made.add_argument("--stack", required=True)
        return made

    verb("up", "make the stack what its file says, creating it if need be")
    healing = verb("heal", "finish an update that was interrupted, whatever interrupted it")
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
    adopting = verb("adopt", "take what exists in the account into the state: zones, records, addresses, the SSH key")
    adopting.add_argument("--zone", action="append", default=[], help="only this zone; may be said again")
    adopting.add_argument("--address", action="append", default=[], metavar="SERVER=ADDRESS",
                          help="a reserved address that a server is to have")  # fmt: skip
    adopting.add_argument("--yes", action="store_true", help="don't ask before the import")
    adopting.add_argument("--delete", action="store_true", help="delete the records that are listed as in the way")
    reviving = verb("revive", "bring a dead or deleted server back with its IPv4")
    reviving.add_argument("server")
    reviving.add_argument("--yes", action="store_true", help="don't ask; needed where there is no terminal")
    reviving.add_argument("--force", action="store_true", help="even if it answers, or is not proved dead")
    verb("run", "run a job again, in a fresh container").add_argument("job", help="NAME or SERVER:NAME")
    verb("start", "start a job's stopped container again").add_argument("job", help="NAME or SERVER:NAME")
    verb("release", "release what is new on the git branch of an application").add_argument(
        "application", help="NAME or SERVER:NAME"
    )
    verb("backup", "save everything now").add_argument("server", nargs="?", help="only this one")
    listing = verb("backups", "list what is saved: of what, when, how large, proved when")
    listing.add_argument("server", nargs="?", help="only this one")
    listing.add_argument("--json", action="store_true", help="all of it, for a program")
    restoring = verb("restore", "put back what was saved: a database, a volume, an application, a server, the hive")
    restoring.add_argument("what", help="SERVER:NAME, SERVER:DATABASE_SERVER/NAME, SERVER, or hive")
    restoring.add_argument("--at", default="", help="2026-11-20, 2026-11-20 14:30, or a snapshot's id; else the newest")
    restoring.add_argument("--to", default="", help="another name: it is put beside what is there")
    restoring.add_argument("--yes", action="store_true", help="don't ask; needed where there is no terminal")
    verb("drill", "try all that is saved, in throw-away containers").add_argument(
        "server", nargs="?", help="only this one"
    )
    verb("recovery-kit", "print the page for a safe: all that brings the hive back on an empty machine")
    verb("prune", "remove backups that are not kept any more").add_argument("server", nargs="?", help="only this one")
    drawing = verb("graph", "draw the stack's graph of resources as SVG")
    drawing.add_argument("--file", type=Path, help="default: .apiary/STACK/graph.svg")
    return parser


if __name__ == "__main__":
    sys.exit(main())
