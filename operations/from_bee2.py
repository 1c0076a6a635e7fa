"""A Bee2 hive into an Apiary hive: `python -m operations from-bee2 convert SETTINGS --stack prod`.

Says of every key what becomes of it, and writes all of it or nothing. Leaves alone: Bee2's own folder and servers,
which are only read; data (`operations copy`) and zones (`operations from-bee2 switch`), which follow.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Collection, Sequence

import yaml

from operations import adopt
from operations.bee2 import convert, reading
from operations.bee2.scene import Wish
from operations.cli import PROGRAM, OperationError, Pulumi, say
from operations.coming import stack_text, writing
from operations.coming.errors import SourceError
from operations.coming.files import Disk

_HEAD = "# Written by `python -m operations from-bee2 convert`. It is yours now: edit it as you like."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    converting = steps.add_parser("convert", help="put Bee2's settings into a stack file, key by key")
    converting.add_argument("settings", metavar="SETTINGS", help="Bee2's conf/settings.yml")
    converting.add_argument("--stack", default="", help="stack whose file gets the sections; else they are printed")
    converting.add_argument(
        "--state", default="", metavar="F", help="Bee2's state, where the settings don't lead to it"
    )
    converting.add_argument("--plan", action="append", default=[], metavar="[SERVER=]PLAN", help="what is rented")
    converting.add_argument("--region", action="append", default=[], metavar="[SERVER=]REGION", help="and where")
    converting.add_argument("--new-passwords", action="store_true",
                            help="databases get generated passwords; else they keep theirs")  # fmt: skip
    converting.add_argument("--leave-out", action="append", default=[], metavar="PATH",
                            help="a container or a key, as the report has it, that is not to come over")  # fmt: skip
    converting.add_argument("--secret", metavar="NAME", help="print the value of this secret and nothing else")
    switching = steps.add_parser("switch", help="take the zones that Bee2 made into the stack, and lead them here")
    switching.add_argument("--stack", required=True)
    switching.add_argument("--keep-address", action="append", default=[], metavar="SERVER=ADDRESS",
                           help="give the old reserved IPv4 to the new server; before the first update")  # fmt: skip
    switching.add_argument("--yes", action="store_true", help="don't ask before the import, nor before the update")


def run(said: argparse.Namespace) -> int:
    """Do the step. 1 when a key can't be said; raises OperationError for what can't be read or done."""
    if said.step == "switch":
        return _switch(said)
    name = str(yaml.safe_load((PROGRAM / "Pulumi.yaml").read_text())["name"])
    into = PROGRAM / f"Pulumi.{said.stack}.yaml" if said.stack else None
    disk = Disk()
    try:
        state = os.path.abspath(said.state) if said.state else ""
        hive = reading.load(os.path.abspath(said.settings), disk, state=state)
        wish = Wish(tuple(said.leave_out), _by_server(said.plan, "--plan", hive.servers),
                    _by_server(said.region, "--region", hive.servers), said.new_passwords)  # fmt: skip
        done, scene = convert.convert(hive, disk, wish)
        if said.secret is not None:
            return writing.print_secret(done, said.secret)
        if not writing.report(done):
            return 1
        source = into.read_text(encoding="utf-8") if into and into.exists() else ""
        text = stack_text.whole(_HEAD, done.entries, name, source)
        writing.verify(text, done, name)
        writing.write(into, text)
    except SourceError as error:
        raise OperationError(f"nothing is written:\n{error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise OperationError(f"{into}: {error}; name a stack whose file can be read and written") from error
    steps = convert.steps(scene, said.stack or "STACK")
    if done.secrets:
        again = _words(said)
        steps.insert(0, writing.setting(list(done.secrets), again, said.stack or "STACK", name))
    writing.todo(steps)
    return 0


def _words(said: argparse.Namespace) -> str:
    """The same command again, as far as it decides what is a secret."""
    words = ["python", "-m", "operations", "from-bee2", "convert", said.settings]
    for flag, values in (("--plan", said.plan), ("--region", said.region), ("--leave-out", said.leave_out)):
        words += [word for value in values for word in (flag, value)]
    return shlex.join(words)


def _by_server(given: Sequence[str], flag: str, servers: Collection[str]) -> dict[str, str]:
    """`web1=vc2-1c-2gb`, or a value for all, under `""`. Raises OperationError."""
    found = {}
    for item in given:
        name, equals, value = item.rpartition("=")
        if not value or (equals and name not in servers):
            raise OperationError(
                f"{flag} {item}: write SERVER=VALUE with one of {', '.join(servers)}, or a value for all"
            )
        found[name] = value
    return found


def _switch(said: argparse.Namespace) -> int:
    """Import what Bee2 made at Vultr, show what would change, ask, and make it so."""
    pulumi = Pulumi(said.stack)
    pulumi.select()
    adopt.adopt(pulumi, adopt.Wish(addresses=said.keep_address, yes=said.yes))
    if said.keep_address:
        say("switch: the address is the stack's; detach it from the old server, then: pulumi up")
        return 0
    if not said.yes:
        pulumi.run("preview", "--diff")
        adopt.agree(f"Make it so? Visitors of these names are led to the servers of stack {pulumi.stack}.", yes=False)
    pulumi.run("up", "--yes", "--skip-preview")
    say("switch: done; visitors who know the old addresses come to the old server for one lifetime of the records")
    return 0
