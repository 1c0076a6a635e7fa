"""Compose files into a stack file: `python -m operations from-compose FILE...`.

Says of every key what becomes of it, and writes all of it or nothing. Leaves alone: the data, which are copied
afterwards (docs/from-compose.md), and the stack itself, which `pulumi up` makes.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

import yaml

from operations.cli import PROGRAM, OperationError
from operations.coming import stack_text, writing
from operations.coming.conversion import Conversion
from operations.coming.errors import SourceError
from operations.coming.files import Disk
from operations.compose import convert, project
from operations.compose.scene import Wish

_WHAT = "nothing is written:"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="compose files, or a folder with one; later ones win")
    parser.add_argument(
        "--profile", action="append", default=[], help="services of this profile too; may be said again"
    )
    parser.add_argument("--env-file", action="append", default=[], metavar="F", help="variables, in the place of .env")
    parser.add_argument("-o", "--into", type=Path, metavar="Pulumi.x.yaml",
                        help="stack file that gets the entries, made if need be; else they are printed")  # fmt: skip
    parser.add_argument("--server", default="", help="server that it shall run on")
    parser.add_argument("--prefix", default="", help="before every name, for a second project in one stack")
    parser.add_argument("--domain", action="append", default=[], metavar="SERVICE=DOMAIN", help="domain of a site")
    parser.add_argument("--leave-out", action="append", default=[], metavar="PATH",
                        help="a service or a key, as the report has it, that is not to come over")  # fmt: skip
    parser.add_argument("--keep-passwords", action="store_true",
                        help="databases keep the passwords they have; else new ones are generated")  # fmt: skip
    parser.add_argument("--secret", metavar="NAME", help="print the value of this secret and nothing else")


def run(said: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> int:
    """Convert, report and write. 1 when a key can't be said; raises OperationError for files that can't be read."""
    into: Path | None = said.into
    name = str(yaml.safe_load((PROGRAM / "Pulumi.yaml").read_text())["name"])
    try:
        source = into.read_text(encoding="utf-8") if into and into.exists() else ""
        stack = stack_text.sections(source, name) if source.strip() else {}
        done = _converted(said, environment, stack)
        if said.secret is not None:
            return writing.print_secret(done, said.secret)
        if not writing.report(done):
            return 1
        text = stack_text.added(source, done, name) if source.strip() else stack_text.new(done, name)
        writing.verify(text, done, name)
    except SourceError as error:
        raise OperationError(f"{_WHAT}\n{error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise OperationError(f"{into}: {error}; name a stack file that can be read and written") from error
    writing.write(into, text)
    _todo(done, said, name)
    return 0


def _converted(said: argparse.Namespace, environment: Mapping[str, str], stack: Mapping[str, object]) -> Conversion:
    domains = dict(item.partition("=")[::2] for item in said.domain)
    if "" in {*domains, *domains.values()}:
        raise OperationError("--domain wants a service and its domain; write --domain web=example.com")
    wish = Wish(said.prefix, domains, tuple(said.leave_out), said.server, said.keep_passwords)
    read = project.load(
        [os.path.abspath(file) for file in said.files],
        Disk(),
        environment,
        env_files=[os.path.abspath(file) for file in said.env_file],
        profiles=said.profile,
    )
    return convert.convert(read, Disk(), wish, stack)


def _todo(done: Conversion, said: argparse.Namespace, name: str) -> None:
    """Tell what is left for people to do."""
    steps = list(done.told.todo)
    if done.secrets:
        words = ["python", "-m", "operations", "from-compose", *said.files]
        for flag, values in (("--profile", said.profile), ("--env-file", said.env_file)):
            words += [word for value in values for word in (flag, value)]
        words += [word for value in said.leave_out for word in ("--leave-out", value)]
        words += ["--prefix", said.prefix] if said.prefix else []
        words += ["--keep-passwords"] if said.keep_passwords else []
        stack = said.into.name.removeprefix("Pulumi.").removesuffix(".yaml") if said.into else "STACK"
        steps.append(writing.setting(list(done.secrets), shlex.join(words), stack, name))
    writing.todo(steps)
