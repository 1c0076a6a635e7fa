"""How an installed stand-in starts: it refuses to run outside of a lab, then it is served like any plugin."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from provider.protocol.base import Plugin
from provider.protocol.server import serve

MARK = ".apiary-lab"


def refuse_outside_lab(plugin: Plugin) -> None:
    """Exit with a clear message unless PULUMI_HOME is a lab's own: production must never meet a stand-in."""
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    if not (home / MARK).is_file():
        sys.exit(
            f"pulumi-resource-{plugin.name}: this is the lab's stand-in, which runs only in a lab, "
            f"and {home} holds no file {MARK}. Install the official plugin: "
            f"pulumi plugin install resource {plugin.name} {plugin.version}"
        )


def main(plugin: Plugin) -> None:
    """Entry point of an installed stand-in."""
    refuse_outside_lab(plugin)
    serve(plugin, sys.argv[1:])
