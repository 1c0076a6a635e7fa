"""How the servers are. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from operations.status.report import Answers, Level, Row, Say, Told
from operations.status.stack import Wanted
from operations.status.words import duration, percent, plural, size

DISK = (0.80, 0.90)  # of a file system, in use: to watch, wrong
MEMORY = (0.10, 0.05)  # of the memory, available
LOAD = 4.0  # of a processor, over five minutes
CLOCK_SECONDS = (2.0, 10.0)  # apart from this machine's
CARE = "operations.md#care-of-a-server"
EMPTIED = "scale.md#how-do-i-take-a-server-out-or-empty-it-for-a-while"
MAJORITY = "scale.md#most-managers-are-away-what-now"


def servers(wanted: Wanted, answers: Answers) -> tuple[Row, ...]:
    return tuple(_server(Say(wanted, "server", server.name), answers) for server in wanted.servers)


def _server(say: Say, answers: Answers) -> Row:
    told = answers.servers[say.name]
    facts = told.facts
    if facts is None:
        _silent(say, told, answers)
        return Row(say.name, ("?",) * 6, tuple(say.found))
    for part, why in facts["problems"].items():
        what = {"containers": "Docker", "failed_units": "systemd"}.get(part, part)
        remedy = f"on {say.name} systemctl restart docker" if part == "containers" else f"on {say.name} apiary-status x"
        say(Level.WRONG, f"{what} can't be told: {why}", remedy, CARE)
    cells = (
        duration(facts["uptime"]),
        _load(say, facts),
        _memory(say, facts.get("memory")),
        _disk(say, facts.get("file_systems")),
        _clock(say, told, facts["time"]),
        _reboot(say, facts),
    )
    if say.name in say.wanted.drained:
        says = "is emptied: no record leads to it, and replicas run elsewhere"
        say(Level.WATCH, says, say.make(f"drain SERVER={say.name} OFF=1"), EMPTIED)
    if why := facts.get("swarm"):
        says = (
            "decides about the swarm, and can't: until another manager is back nothing is moved, released or restarted "
            f"({why.partition('. ')[0]}); where none comes back, before any is revived:"
        )
        say(Level.WRONG, says, say.make(f"recover SERVER={say.name}"), MAJORITY)
    for unit in facts.get("failed_units") or ():
        line = f"on {say.name} systemctl status {unit} --no-pager"
        say(Level.WRONG, f"{unit} has failed", line, CARE)
    return Row(say.name, cells, tuple(say.found))


def _silent(say: Say, told: Told, answers: Answers) -> None:
    # Of a site of several servers nobody knows which one has answered.
    own = [site for site in say.wanted.sites_on(say.name) if not site.beside]
    served = answers.answering(own)
    match told.cause:
        case "refused":
            line = say.pulumi("preview")
            say(Level.WRONG, f"answers, and does not let us in: {told.why}", line, "operations.md#change-keys")
        case "old":
            why = "its tools are older than this checkout: it has no apiary-status"
            say(Level.WRONG, why, say.pulumi("up"), "operations.md#an-update-failed")
        case "failed":
            line = f"on {say.name} apiary-status {say.wanted.tag}"
            say(Level.WRONG, f"does not tell how it is: {told.why}", line, CARE)
        case _ if served:
            # Whoever would revive it now would throw a living one away.
            says = f"lets nobody in from here ({told.why}), and serves {served} of {plural(len(own), 'site')}"
            see = "private-network.md#my-address-has-changed-and-i-am-outside-what-now"
            say(Level.WRONG, says, f"on {say.name} uptime", see)
        case _:
            nor = f", and none of {plural(len(own), 'site')} does" if own else ""
            line = say.make(f"revive SERVER={say.name}")
            say(Level.WRONG, f"does not answer: {told.why}{nor}", line, "operations.md#a-server-is-dead")


def _load(say: Say, facts: Mapping[str, Any]) -> str:
    if facts["load"][1] > LOAD * facts["cpus"]:
        says = f"a load of {facts['load'][1]:.1f} over five minutes, on {plural(facts['cpus'], 'processor')}"
        say(Level.WATCH, says, f"on {say.name} top -b -n 1", CARE)
    return f"{facts['load'][0]:.2f} / {facts['cpus']}"


def _memory(say: Say, memory: Mapping[str, int] | None) -> str:
    if memory is None:
        return "?"
    free = memory["available"] / memory["total"]
    if free < MEMORY[0]:
        level = Level.WRONG if free < MEMORY[1] else Level.WATCH
        says = f"{size(memory['available'])} of {size(memory['total'])} memory are left"
        say(level, says, f"on {say.name} docker stats --no-stream", CARE)
    return f"{1 - free:.0%} of {size(memory['total'])}"


def _disk(say: Say, file_systems: Iterable[Mapping[str, Any]] | None) -> str:
    """The fullest of them."""
    shown: tuple[float, str] = (-1.0, "?")
    for one in file_systems or ():
        room = one["used"] + one["free"]
        share = max(one["used"] / room if room else 1.0, _inodes(one))
        if share >= DISK[0]:
            what = "inodes" if share == _inodes(one) else size(room)
            says = f"{one['path']} is {percent(share)} full ({what})"
            level = Level.WRONG if share >= DISK[1] else Level.WATCH
            line = f"on {say.name} df -h {one['path']}; on {say.name} docker system df"
            say(level, says, line, CARE)
        if share > shown[0]:
            shown = (share, f"{percent(share)} of {size(room)} {'' if one['path'] == '/' else one['path']}")
    return shown[1].rstrip()


def _inodes(one: Mapping[str, Any]) -> float:
    return 1 - one["inodes_free"] / one["inodes"] if one["inodes"] else 0.0


def _clock(say: Say, told: Told, there: float) -> str:
    """What lies between question and answer may be right."""
    skew = min(there - told.asked, 0.0) + max(there - told.answered, 0.0)
    if abs(skew) > CLOCK_SECONDS[0]:
        level = Level.WRONG if abs(skew) > CLOCK_SECONDS[1] else Level.WATCH
        says = f"its clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
        say(level, says, f"on {say.name} timedatectl; date --utc", CARE)
    return f"{skew:+.0f} s" if abs(skew) >= 1 else "right"


def _reboot(say: Say, facts: Mapping[str, Any]) -> str:
    packages = facts.get("reboot")
    if packages is None:
        return "no"
    says = f"wants a reboot{': ' if packages else ''}{', '.join(packages[:3])}"
    say(Level.WATCH, says, f"on {say.name} systemctl reboot", CARE)
    return "wanted"
