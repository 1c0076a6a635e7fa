"""`python -m lab.truth` (`make truth`): runs the table of facts against the Vultr API with the key in VULTR_API_KEY.

It says before what it will rent, for how long and what that costs, and asks; it deletes all that it made, however it
ends, and offers to delete what a killed run has left. It prints each row that differs. Exit status: 0 all hold, 1 some
differ or something is left, 2 nothing was done, 130 interrupted. In a shell of the lab it asks the lab's region.
"""

import argparse
import os
import secrets
import signal
import sys
import threading
import time
from types import FrameType

import httpx

from lab.truth import account
from lab.truth.runner import Api, InterruptedRun, Outcome, Run
from lab.truth.table import Fact, Table, load

REGION = "ewr"
MINUTES = 17


def say(text: str) -> None:
    """A line for whoever watches."""
    print(text, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.truth", description=__doc__)
    parser.add_argument("--yes", action="store_true", help="agree beforehand to what would be asked")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="these rows alone")
    parser.add_argument("--region", default=REGION, help=f"where to rent (default {REGION})")
    parser.add_argument("--list", action="store_true", help="print the rows with their sources; rents nothing")
    return parser


def _agreed(question: str, yes: bool) -> bool:
    if yes:
        return True
    try:
        return input(f"{question} Type yes: ").strip().lower() == "yes"
    except EOFError:
        say("\nnobody answers; YES=1 agrees beforehand")
        return False


def _chosen(table: Table, only: list[str] | None) -> list[Fact]:
    facts = [fact for fact in table.facts if fact.steps]
    if only is None:
        return facts
    if missing := set(only) - {fact.id for fact in facts}:
        raise SystemExit(f"lab.truth: there is no row {', '.join(sorted(missing))}; --list names them")
    return [fact for fact in facts if fact.id in only]


def main() -> int:
    """The exit status."""
    options, table = _parser().parse_args(), load()
    facts = _chosen(table, options.only)
    if options.list:
        for fact in facts:
            say(f"{fact.id:<34} {'unknown: ' if fact.unknown else ''}{fact.fact}\n{'':<34} {fact.source}")
        return 0
    key = os.environ.get("VULTR_API_KEY", "")
    if not key:
        print("lab.truth: no key: VULTR_API_KEY=... make truth", file=sys.stderr)
        return 2
    stop = threading.Event()

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        say("\ninterrupted: deleting what was made" if not stop.is_set() else "still deleting; kill -9 leaves the rest")
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    api, clean = Api(key, stop), Api(key, threading.Event())  # what deletes is not interrupted
    try:
        return _run(table, facts, options, api, clean)
    except (httpx.HTTPError, RuntimeError) as error:
        print(f"lab.truth: {error or type(error).__name__}", file=sys.stderr)
        return 1
    finally:
        api.close()
        clean.close()


def _run(table: Table, facts: list[Fact], options: argparse.Namespace, api: Api, clean: Api) -> int:
    if left := account.leftovers(clean):
        say("an earlier run was killed and left:")
        for item in left:
            say(f"    {item.name}")
        if not _agreed("Delete these?", options.yes):
            return 2
        if kept := account.delete(clean, left, say):
            say("could not be deleted:\n    " + "\n    ".join(kept))
            return 1
    lines, _ = account.bill(account.kinds_of(table, facts))
    say(f"{len(facts)} rows, about {MINUTES} minutes; in region {options.region} this rents, and deletes again:")
    for line in lines:
        say(f"    {line}")
    if not _agreed("Rent these?", options.yes):
        return 2
    tag = f"{account.PREFIX}{secrets.token_hex(4)}"
    run = Run(table, api, tag, {"region": options.region, "zone": f"{tag}.net"}, say)
    outcomes: list[Outcome] = []
    started, ended_early, failed = time.monotonic(), False, ""
    try:
        for fact in facts:
            outcomes.append(run.play(fact))
            say(_line(outcomes[-1]))
    except InterruptedRun:
        ended_early = True
    except httpx.HTTPError as error:
        failed = f"the API can't be reached: {error or type(error).__name__}"
    finally:
        kept = _clean(clean, tag)
    return _report(outcomes, kept, failed, ended_early, time.monotonic() - started)


def _clean(api: Api, tag: str) -> list[str]:
    """Delete all of this run; what is left, and why."""
    try:
        return account.delete(api, account.leftovers(api, tag), say)
    except (httpx.HTTPError, RuntimeError) as error:
        return [f"what is tagged {tag}: {error or type(error).__name__}"]


def _line(outcome: Outcome) -> str:
    word = (
        "skipped"
        if outcome.skipped
        else "unknown"
        if outcome.fact.unknown
        else "DIFFERS"
        if outcome.differs
        else "holds"
    )
    return f"{word:<8} {outcome.fact.id}"


def _report(outcomes: list[Outcome], kept: list[str], failed: str, ended_early: bool, seconds: float) -> int:
    differing = [outcome for outcome in outcomes if outcome.differs and not outcome.fact.unknown]
    skipped = [outcome for outcome in outcomes if outcome.skipped]
    for outcome in (outcome for outcome in outcomes if outcome.fact.unknown and not outcome.skipped):
        word = "is not" if outcome.differs else "is"
        say(f"\nunknown: {outcome.fact.id} {word} as the emulator takes it: {outcome.fact.fact}")
        say("    " + "\n    ".join(outcome.differs or outcome.seen))
    for outcome in differing:
        say(f"\ndiffers: {outcome.fact.id}: {outcome.fact.fact}\n    {outcome.fact.source}")
        say("    " + "\n    ".join(outcome.differs))
    for outcome in skipped:
        say(f"\nskipped: {outcome.fact.id}: {outcome.skipped}")
    say(f"\n{len(outcomes)} rows in {seconds:.0f} s: {len(differing)} differ, {len(skipped)} skipped")
    if failed:
        say(failed)
    if kept:
        say("LEFT BEHIND, and billed; delete it by hand, or run this again:\n    " + "\n    ".join(kept))
    else:
        say("nothing is left behind")
    if ended_early:
        return 130
    return 1 if differing or skipped or kept or failed else 0


if __name__ == "__main__":
    sys.exit(main())
