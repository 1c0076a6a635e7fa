"""A visit to the lab's site, as `make up` ends with: from the prober, by name, over each family.

Asks the application that echoes what it sees of a request, and shows its answers. Changes nothing.
"""

from __future__ import annotations

import json

from lab.paths import Paths
from lab.shell import LabError, run, say

SITE = "echo.example.net"
SECONDS = 10


def visit(paths: Paths) -> int:
    """Print the site's answer over IPv6 and IPv4; 0 when both came and name the prober's own address."""
    failed = False
    for family, flag in (("IPv6", "-6"), ("IPv4", "-4")):
        print(f"\n$ lab prober curl {flag} https://{SITE}/")
        answer = _ask(paths, flag)
        print(answer["shown"])
        own = _own_address(paths, flag)
        if answer["client"] == own:
            say(f"over {family} the site saw {own}, the prober's own address")
        else:
            failed = True
            say(f"over {family} the site saw {answer['client'] or 'nothing'}, but the prober is {own}")
    if not failed:
        more = "" if paths.stack == "lab" else f" STACK={paths.stack}"
        say(f"all its sites in your own browser: make browse{more}")
    return 1 if failed else 0


def _ask(paths: Paths, flag: str) -> dict[str, str]:
    command = ["curl", "-sS", flag, "--max-time", str(SECONDS), "-H", "Accept: application/json", f"https://{SITE}/"]
    try:
        said = _in_prober(paths, command)
    except LabError as error:
        return {"shown": error.why, "client": ""}
    try:
        answer = json.loads(said)
    except ValueError:  # another site's page, or one of the proxy's own
        return {"shown": said.strip(), "client": ""}
    return {"shown": json.dumps(answer, indent=2), "client": str(answer.get("client", ""))}


def _own_address(paths: Paths, flag: str) -> str:
    said = _in_prober(paths, ["ip", "-json", flag, "address", "show", "dev", "eth0", "scope", "global"])
    return str(json.loads(said)[0]["addr_info"][0]["local"])


def _in_prober(paths: Paths, command: list[str]) -> str:
    """What a command prints there. Raises LabError."""
    exec_ = ["docker", "exec", paths.name("prober"), *command]
    return run(exec_, "lab visit", timeout=SECONDS + 20, remedy=f"{paths.verb} up")
