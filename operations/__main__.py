"""`python -m operations VERB`: verbs on a live stack; `make help` shows those that have a name there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from operations import (
    adopt,
    backups,
    copies,
    drain,
    from_bee2,
    from_compose,
    graph,
    heal,
    jobs,
    kit,
    maintenance,
    recover,
    releases,
    restores,
    retire,
    revive,
)
from operations.cli import PROGRAM, OperationError, Pulumi
from operations.status import SECONDS, tell

# What a verb does; the exit status, or None for 0.
Act = Callable[[Pulumi, argparse.Namespace], int | None]
# Verbs that begin before there is a stack: what they do, their arguments, and the act.
_OF_FILES: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], int]]] = {
    "from-bee2": ("bring a Bee2 hive over, step by step", from_bee2.arguments, from_bee2.run),
    "from-compose": ("put compose files into a stack file, key by key", from_compose.arguments, from_compose.run),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; 0 when it is done, else a message and the status of what failed (`run`, `start`: of the job).

    `status`: 1 when something is wrong, 2 when that can't be told.
    """
    said = _parser().parse_args(arguments)
    if said.verb in _OF_FILES:
        try:
            return _OF_FILES[said.verb][2](said)
        except OperationError as error:
            print(f"{said.verb}: {error}", file=sys.stderr)
            return error.status
    pulumi = Pulumi(said.stack)
    try:
        # Those that repair select it themselves: a torn file in the backend, which they remove, would stop it here.
        # And `status` has no second to lose.
        if said.verb not in ("heal", "revive", "recover", "status"):
            # A mistyped name must not become an empty stack.
            pulumi.select(create=said.verb == "up")
        act: Act = said.act
        return act(pulumi, said) or 0
    except OperationError as error:
        print(f"{said.verb}: {error}", file=sys.stderr)
        return error.status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m operations", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, words: str, act: Act) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=words, description=words)
        made.add_argument("--stack", required=True)
        made.set_defaults(act=act)
        return made

    verb("up", "make the stack what its file says, creating it if need be", _up)
    heal.arguments(verb("heal", "finish an update that was interrupted, whatever interrupted it", _heal))
    adopt.arguments(
        verb("adopt", "take what exists in the account into the state: zones, records, addresses, the SSH key", _adopt)
    )
    retire.arguments(verb("retire", "save and delete servers that run on although the state is lost", _retire))
    reviving = verb("revive", "bring a dead or deleted server back with its IPv4", _revive)
    reviving.add_argument("server", nargs="+", help="several that are dead: all at once")
    reviving.add_argument("--yes", action="store_true", help="don't ask; needed where there is no terminal")
    reviving.add_argument("--force", action="store_true", help="even if it answers, or is not proved dead")
    running = verb("run", "run a job again, in a fresh container", _run)
    running.add_argument("job", help="NAME or SERVER:NAME")
    starting = verb("start", "start a job's stopped container again", _start)
    starting.add_argument("job", help="NAME or SERVER:NAME")
    verb("release", "release what is new on the git branch of an application", _release).add_argument(
        "application", help="NAME or SERVER:NAME"
    )
    maintenance.arguments(
        verb("maintenance", "close an application to visitors while you work on it, or open it", _maintenance)
    )
    recover.arguments(
        verb("recover", "have one manager of the swarm go on alone, where most of them are lost", _recover)
    )
    emptying = verb("drain", "empty a server of the swarm without a failed request, before it goes", _drain)
    emptying.add_argument("server")
    emptying.add_argument("--off", action="store_true", help="have it be one of the others again")
    saving = verb("backup", "save everything now", _backup)
    saving.add_argument("--anew", action="store_true", help="begin anew where its repository is lost")
    listing = verb("backups", "list what is saved: of what, when, how large, proved when", _backups)
    listing.add_argument("--all", action="store_true", help="every snapshot, with its id")
    listing.add_argument("--json", action="store_true", help="all of it, for a program")
    restoring = verb(
        "restore", "put back what was saved: a database, a volume, an application, a server, the hive", _restore
    )
    restoring.add_argument("what", help="SERVER:NAME, SERVER:DATABASE_SERVER/NAME, SERVER, or hive")
    restoring.add_argument("--at", default="", help="2026-11-20, 2026-11-20 14:30, or a snapshot's id; else the newest")
    restoring.add_argument("--to", default="", help="another name: it is put beside what is there")
    restoring.add_argument("--yes", action="store_true", help="don't ask; needed where there is no terminal")
    rehearsing = verb("drill", "try all that is saved, in throw-away containers", _drill)
    copies.arguments(verb("copy", "copy the data of an old host into a server: warm, then with --final", _copy))
    verb("recovery-kit", "print the page for a safe: all that brings the hive back on an empty machine", _recovery_kit)
    pruning = verb("prune", "remove backups that are not kept any more", _prune)
    for one in (saving, listing, rehearsing, pruning):
        one.add_argument("server", nargs="?", help="only this one")
    drawing = verb("graph", "draw the stack's graph of resources as SVG", _graph)
    drawing.add_argument("--file", type=Path, help="default: .apiary/STACK/graph.svg")
    for name, (words, arguments, _) in _OF_FILES.items():
        arguments(verbs.add_parser(name, help=words, description=words))
    telling = verb(
        "status", "how the hive is: servers, sites, jobs, backups, drift; 1 when something is wrong", _status
    )
    telling.add_argument("--json", action="store_true", help="for a program to read")
    telling.add_argument("--seconds", type=float, default=SECONDS,
                         help=f"until what is silent is given up; default: {SECONDS}")  # fmt: skip
    return parser


def _up(pulumi: Pulumi, _: argparse.Namespace) -> None:
    pulumi.run("up", "--yes")
    maintenance.again(pulumi)


def _heal(pulumi: Pulumi, said: argparse.Namespace) -> None:
    wish = heal.Wish(said.destroy, said.refresh, said.remove_unexplained, said.release_ips, said.yes)
    heal.heal(pulumi, wish)


def _adopt(pulumi: Pulumi, said: argparse.Namespace) -> None:
    adopt.adopt(pulumi, adopt.Wish(said.zone, said.address, said.yes, said.delete))


def _retire(pulumi: Pulumi, said: argparse.Namespace) -> None:
    retire.retire(pulumi, retire.Wish(said.yes, said.lose))


def _revive(pulumi: Pulumi, said: argparse.Namespace) -> None:
    revive.revive(pulumi, *said.server, yes=said.yes, force=said.force)


def _run(pulumi: Pulumi, said: argparse.Namespace) -> int:
    return jobs.run(pulumi, said.job)


def _start(pulumi: Pulumi, said: argparse.Namespace) -> int:
    return jobs.start(pulumi, said.job)


def _release(pulumi: Pulumi, said: argparse.Namespace) -> None:
    releases.release(pulumi, said.application)


def _maintenance(pulumi: Pulumi, said: argparse.Namespace) -> None:
    maintenance.maintain(pulumi, said.application, said.let_in, off=said.off)


def _recover(pulumi: Pulumi, said: argparse.Namespace) -> None:
    recover.recover(pulumi, said.server, force=said.force)


def _drain(pulumi: Pulumi, said: argparse.Namespace) -> None:
    drain.drain(pulumi, said.server, off=said.off)


def _backup(pulumi: Pulumi, said: argparse.Namespace) -> int:
    return backups.backup(pulumi, said.server, is_anew=said.anew)


def _backups(pulumi: Pulumi, said: argparse.Namespace) -> int:
    return backups.show(pulumi, said.server, as_json=said.json, is_whole=said.all)


def _restore(pulumi: Pulumi, said: argparse.Namespace) -> int:
    return restores.restore(pulumi, restores.Wish(said.what, said.at, said.to, said.yes))


def _drill(pulumi: Pulumi, said: argparse.Namespace) -> int:
    return restores.drill(pulumi, said.server)


def _copy(pulumi: Pulumi, said: argparse.Namespace) -> None:
    copies.copy(
        pulumi, copies.Wish(said.host, said.what, said.server, said.project, said.ssh, said.over, said.final, said.back)
    )


def _recovery_kit(pulumi: Pulumi, _: argparse.Namespace) -> None:
    print(kit.kit(pulumi), end="")


def _prune(pulumi: Pulumi, said: argparse.Namespace) -> int:
    return backups.prune(pulumi, said.server)


def _graph(pulumi: Pulumi, said: argparse.Namespace) -> None:
    graph.write(pulumi, said.file or PROGRAM / ".apiary" / said.stack / "graph.svg")


def _status(pulumi: Pulumi, said: argparse.Namespace) -> int:
    return tell(pulumi, as_json=said.json, seconds=said.seconds)


if __name__ == "__main__":
    sys.exit(main())
