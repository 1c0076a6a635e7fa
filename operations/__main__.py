"""`python -m operations VERB`: verbs on a live stack; `make help` shows those that have a name there."""

from __future__ import annotations

import argparse
import sys

from operations.cli import OperationError, Pulumi


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; 0 when it is done, 1 with a message when it is not."""
    parser = argparse.ArgumentParser(prog="python -m operations", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, words in {"up": "make the stack what its file says, creating it if need be"}.items():
        verbs.add_parser(verb, help=words, description=words).add_argument("--stack", required=True)
    options = parser.parse_args(arguments)
    pulumi = Pulumi(options.stack)
    try:
        pulumi.select()
        pulumi.run("up", "--yes")
    except OperationError as error:
        print(f"{options.verb}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
