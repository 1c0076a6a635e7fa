"""A visit to the lab's site, as `make up` ends with: from the prober, by name, over each family.

Asks every site of the stack's outputs and shows what the first one that echoes says. Changes nothing.
"""

from __future__ import annotations

import json
import subprocess

from lab.paths import Paths
from lab.shell import LabError, say

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
    return 1 if failed else 0


def _ask(paths: Paths, flag: str) -> dict[str, str]:
    command = ["curl", "-sS", flag, "--max-time", str(SECONDS), "-H", "Accept: application/json", f"https://{SITE}/"]
    done = _in_prober(paths, command)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        return {"shown": (done.stdout or done.stderr).strip(), "client": ""}
    return {"shown": json.dumps(answer, indent=2), "client": str(answer.get("client", ""))}


def _own_address(paths: Paths, flag: str) -> str:
    done = _in_prober(paths, ["ip", "-json", flag, "address", "show", "dev", "eth0", "scope", "global"])
    if done.returncode != 0:
        raise LabError("lab visit", f"the prober does not answer: {done.stderr.strip()}", "python -m lab up")
    return str(json.loads(done.stdout)[0]["addr_info"][0]["local"])


def _in_prober(paths: Paths, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", "exec", paths.name("prober"), *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS + 20,
    )
