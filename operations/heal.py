"""Finishes an update that was interrupted, whatever interrupted it.

The order matters: no process of the dead update may still work, and the backend must be readable, before
anything is compared; what was made and not recorded goes before the engine makes it again; the engine must
forget its open operations before it goes on. Leaves alone: volumes, block storage, addresses that may have served, and
whatever nothing proves to be this stack's.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from operations import guard, maintenance, recovery, sweep
from operations.cli import OperationError, Pulumi, say
from operations.hosts import Refused
from operations.state import State, without_gone


@dataclass(frozen=True)
class Wish:
    """What the caller asked for besides."""

    destroy: bool = False  # end with `destroy` instead of `up`
    refresh: bool = False  # compare with reality also when nothing looks wrong
    remove_asked: bool = False
    release_ips: bool = False
    yes: bool = False  # also where the stack file now asks for another server


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb is told."""
    parser.add_argument("--destroy", action="store_true", help="end with destroy instead of up")
    parser.add_argument(
        "--refresh", action="store_true", help="compare with reality also when nothing looks interrupted"
    )
    parser.add_argument(
        "--remove-unexplained", action="store_true",
        help="also delete servers, firewalls and keys of this stack's name that its state can't explain",
    )  # fmt: skip
    parser.add_argument(
        "--release-ips", action="store_true", help="also release reserved addresses that may have served"
    )
    parser.add_argument("--yes", action="store_true", help="also when the stack file now replaces or deletes a server")


def heal(pulumi: Pulumi, wish: Wish) -> None:
    """Bring the stack to what its file says. Raises OperationError with the step that could not be done."""
    with recovery.alone(pulumi):
        say(f"heal {pulumi.stack}: 1/5 what is left of an interrupted update on this machine")
        found = recovery.clear(pulumi)
        pulumi.select()
        recovery.repair(pulumi)
        state = State.of(pulumi.export())
        for kind, resource in state.pending:
            say(f"  was cut off: {kind} {resource.full_type.rsplit('$', 1)[-1]} {resource.name}")

        say(f"heal {pulumi.stack}: 2/5 what it made without recording it")
        swept = _sweep(pulumi, state, wish)
        state = State.of(pulumi.export())
        dirty = bool(found or swept.removed or not state.is_clean())

        say(f"heal {pulumi.stack}: 3/5 the state against reality")
        if wish.destroy and swept.dead:
            say("  skipped: a server does not answer; it is destroyed without being asked")
            _forget_pending(pulumi)
        elif not state.resources:
            say("  the state is empty")
        elif dirty or wish.refresh:
            refresh(pulumi)
        else:
            say("  no operation is open; skipped (--refresh compares all the same)")

        _forget_gone(pulumi)

        say(f"heal {pulumi.stack}: 4/5 {'destroy' if wish.destroy else 'up'}")
        if wish.destroy:
            pulumi.run("destroy", "--yes", "--skip-preview")
        else:
            _spare_servers(pulumi, yes=wish.yes)
            pulumi.run("up", "--yes", "--skip-preview", "--suppress-outputs")
            maintenance.again(pulumi)

        say(f"heal {pulumi.stack}: 5/5 images that nothing uses any more")
        removed = [] if wish.destroy else sweep.images(pulumi, State.of(pulumi.export()))
        say("\n".join(f"  removed {what}" for what in removed) or "  none")
        say(f"heal {pulumi.stack}: done; {'what was left over is dealt with' if dirty else 'nothing was left over'}")


def _spare_servers(pulumi: Pulumi, *, yes: bool = False) -> None:
    """A verb that finishes what was cut off must not cost a server that the update never meant to touch.

    Also where that is meant there is a preview, which refuses what would end a swarm.
    """
    if (lost := guard.costs(pulumi)) and not yes:
        raise OperationError(
            f"up: what the stack file says now replaces or deletes server {', '.join(lost)} with its disk. "
            f"If that is meant: `pulumi up --stack {pulumi.stack}`, which shows it first, or heal --yes; "
            "if not, undo the change in the stack file and run heal again"
        )


def refresh(pulumi: Pulumi) -> None:
    """Compare the state with reality and forget open operations. Raises OperationError when something can't be read."""
    pulumi.run("refresh", "--yes", "--skip-preview", "--clear-pending-creates", "--run-program")


def _sweep(pulumi: Pulumi, state: State, wish: Wish) -> sweep.Swept:
    swept = sweep.Swept()
    if state.resources or state.pending:
        swept = sweep.account(pulumi, state, remove_asked=wish.remove_asked, release_ips=wish.release_ips)
        sweep.servers(pulumi, state, swept)
    if swept.asked:
        raise OperationError(
            "sweep: these carry this stack's name, are not in its state, and can't be proved to be lost:\n"
            + "\n".join(f"  {found.what}: {found.why}" for found in swept.asked)
            + "\nnothing of them was touched. If they are of no use: delete them by hand, or run heal again "
            "with --remove-unexplained (servers, firewalls, keys) or --release-ips (addresses). A zone, an "
            "address or the SSH key that is to stay: `make adopt` takes it into the state"
        )
    refused = [error for _, error in swept.dead if isinstance(error, Refused)]
    if refused and not wish.destroy:
        raise refused[0]
    if swept.dead and not wish.destroy:
        names = ", ".join(server.name for server, _ in swept.dead)
        raise OperationError(
            f"server {names}: does not answer (above), so it can't be brought to what the stack file "
            f"says; bring it back with `python -m operations revive --stack {pulumi.stack} "
            f"{names.replace(',', '')}`, or tear everything down with --destroy"
        )
    if not swept.removed:
        say("  nothing")
    return swept


def _forget_gone(pulumi: Pulumi) -> None:
    corrected = without_gone(pulumi.export())
    if corrected is not None:
        say("  what a replacement had deleted already is made anew")
        pulumi.restore(corrected)


def _forget_pending(pulumi: Pulumi) -> None:
    exported = pulumi.export()
    deployment = exported.get("deployment") or {}
    if deployment.pop("pending_operations", None):
        pulumi.restore(exported)
