"""Nobody reaches a database server from outside its container while its databases are saved for the last time.

Applications of its own server have gone by then; those of other servers, or replicas, have not, and what they write
after the dump would be lost though they were told that it is kept. So their connections end, and new ones are refused,
until the container goes, or the server stays after all. Two ways in there are none: by the kernel's filter, in a table
of its own that no reboot outlives. What runs inside the container, such as the dump, is not touched.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

from apiary_backups import config, docker
from apiary_backups.errors import BackupsError
from apiary_backups.report import say

TABLE = "apiary_apart"
MARK = "apart"  # in the program's state, while the table may be there
SECONDS = 30
# Before Docker's own rules, for what is forwarded, and for what Docker's proxy on this host hands on.
CHAINS = ("forward", "output")


def cut(containers: Iterable[docker.Container]) -> None:
    """Keep everybody from these, from now on. Raises BackupsError."""
    config.put(config.STATE / MARK, "")
    inspected = docker.inspect([one.id for one in containers])
    addresses = [address for one in inspected for address in _addresses(one)]
    _nft(_rules(addresses))
    for one in inspected:
        _end_connections(int(one["State"]["Pid"]))


def mend() -> None:
    """Let everybody in again, where somebody may be kept out. Raises BackupsError."""
    if (mark := config.STATE / MARK).exists():
        _nft(_nothing())
        mark.unlink(missing_ok=True)


def _addresses(inspected: Mapping[str, Any]) -> list[str]:
    networks = inspected["NetworkSettings"].get("Networks") or {}
    return sorted({one[key] for one in networks.values() for key in ("IPAddress", "GlobalIPv6Address") if one.get(key)})


def _nothing() -> str:
    """That a table goes is said of one that is there."""
    return f"table inet {TABLE} {{}}\ndelete table inet {TABLE}\n"


def _rules(addresses: Iterable[str]) -> str:
    rules = []
    for address in addresses:
        family = "ip" if ip_address(address).version == 4 else "ip6"
        rules += [
            f"{family} daddr {address} meta l4proto tcp reject with tcp reset",
            f"{family} daddr {address} drop",
            f"{family} saddr {address} drop",
        ]
    chains = "".join(
        f"chain {hook} {{ type filter hook {hook} priority -150; {'; '.join(rules)}; }}\n" for hook in CHAINS
    )
    return f"{_nothing()}table inet {TABLE} {{\n{chains}}}\n" if rules else _nothing()


def _nft(text: str) -> None:
    try:
        done = subprocess.run(
            ["nft", "-f", "-"], input=text, text=True, capture_output=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackupsError(f"nft can't be run: {error}") from None
    if done.returncode != 0:
        raise BackupsError(f"nft: {done.stderr.strip().splitlines()[0] if done.stderr.strip() else done.returncode}")


def _end_connections(pid: int) -> None:
    """Of whoever is connected: what they have begun is undone by the server, and holds up no dump."""
    words = ["nsenter", "--target", str(pid), "--net", "ss", "--kill", "--tcp", "state", "established"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    else:
        said = done.stderr.strip()
    if said:
        say(f"connections that are open could not be ended ({said.splitlines()[0]}); no answer reaches them")
