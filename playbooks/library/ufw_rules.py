#!/usr/bin/python3
"""Ansible module: converges the ufw rules that bear our comment, and turns ufw on. Users' own rules stay.

    ufw_rules:
      interfaces: [ens3, enp6s0]                     # the public one, and the private one if there is one
      networks: ["2001:db8:1:2:0:2::/96", ...]       # containers' networks, either family
      bridges: []                                    # containers' bridges besides those that Docker calls br-...
      published: [{address, proto, port, last}]      # containers' public IPv6 addresses; ports from `port` to `last`
      ssh_from: []                                   # addresses or networks; empty: from anywhere

A rule's comment says all that the rule says, so comparing comments is comparing rules: ufw spells rules in
its own way. New rules come before stale ones go, and SSH is allowed before ufw is turned on: nobody is
locked out in between. ufw lets what is connected go on; so connections through a rule that went are
forgotten, and a closed port is closed to them too.
All of it in one process, by the functions that ufw's command calls (ufw 0.36, the same on Debian 12 and 13): for each
rule the command starts anew and asks iptables some fifteen questions, and a new host gets two dozen rules.
Returns: `added`, `removed` (lists of comments), `enabled_now` (ufw was off before).
"""

from __future__ import annotations

import contextlib
import gettext
import io
import ipaddress
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MARK = "apiary "
PROGRAM = "/usr/sbin/ufw"
BRIDGES = ("docker0", "br-+")  # Docker's, of the default network and of all others


@dataclass(frozen=True)
class Rule:
    """`words`: the rule as ufw's command line takes it, with neither `route` nor a comment."""

    comment: str
    words: tuple[str, ...]
    routed: bool = False
    first: bool = False  # a denial: goes above every other rule

    def command(self) -> list[str]:
        """Arguments after `ufw` that add this rule."""
        start = (["route"] if self.routed else []) + (["prepend"] if self.first else [])
        return [*start, *self.words, "comment", MARK + self.comment]


def desired(
    interfaces: Sequence[str],
    networks: Iterable[str],
    published: Iterable[Mapping[str, Any]],
    ssh_from: Iterable[str],
    bridges: Iterable[str] = (),
) -> list[Rule]:
    """The rules of a web host, in the order in which they are safe to add.

    Raises ValueError for what is no address or network.
    """
    rules = []
    for source in list(ssh_from) or ["any"]:
        place = source if source == "any" else str(ipaddress.ip_network(source, strict=False))
        words = ("allow", "proto", "tcp", "from", place, "to", "any", "port", "22")
        rules.append(Rule(f"ssh from {place}", words))
    rules += [
        # Whatever address a container asks from, a link-local or a forged one too.
        Rule(f"host closed on {bridge}", ("deny", "in", "on", bridge, "from", "any", "to", "any"), first=True)
        for bridge in (*BRIDGES, *bridges)
    ]
    for text in networks:
        network = str(ipaddress.ip_network(text, strict=False))
        rules += [
            # The gateways of these networks are addresses of the host: nobody logs in there.
            Rule(f"host closed at {network}", ("deny", "from", "any", "to", network), first=True),
            Rule(f"host closed to {network}", ("deny", "from", network, "to", "any"), first=True),
            *(
                Rule(
                    f"no forged {network}" + (f" on {interface}" if interface != interfaces[0] else ""),
                    ("deny", "in", "on", interface, "from", network, "to", "any"),
                    routed=True,
                    first=True,
                )
                for interface in interfaces
            ),
            Rule(
                f"way out of {network} by {interfaces[0]}",
                ("allow", "out", "on", interfaces[0], "from", network, "to", "any"),
                routed=True,
            ),
            # Where br_netfilter is loaded, traffic between two containers of one bridge is forwarded
            # traffic too.
            Rule(f"among {network}", ("allow", "from", network, "to", network), routed=True),
        ]
    for entry in published:
        address, proto = str(ipaddress.ip_address(entry["address"])), str(entry["proto"])
        last = entry.get("last", entry["port"])
        port = str(entry["port"]) if last == entry["port"] else f"{entry['port']}:{last}"
        words = ("allow", "proto", proto, "from", "any", "to", address, "port", port)
        rules.append(Rule(f"published {address} {port}/{proto}", words, routed=True))
    return list(dict.fromkeys(rules))


def ours(added: str) -> dict[str, list[str]]:
    """From what `ufw show added` prints: comment -> arguments after `ufw` that delete the rule."""
    found: dict[str, list[str]] = {}
    for line in added.splitlines():
        if not line.startswith("ufw "):
            continue
        words = shlex.split(line)[1:]
        if len(words) < 2 or words[-2] != "comment" or not words[-1].startswith(MARK):
            continue
        rule = words[:-2]
        delete = ["route", "delete", *rule[1:]] if rule[0] == "route" else ["delete", *rule]
        found[words[-1].removeprefix(MARK)] = delete
    return found


def plan(wanted: Iterable[Rule], added: str) -> tuple[list[Rule], dict[str, list[str]]]:
    """(rules to add, in order; stale rules of ours, comment -> delete arguments)."""
    present = ours(added)
    wanted = list(wanted)
    names = {rule.comment for rule in wanted}
    return [rule for rule in wanted if rule.comment not in present], {
        k: v for k, v in present.items() if k not in names
    }


def forgotten(stale: Iterable[str]) -> list[list[str]]:
    """Arguments of `conntrack` that forget the connections through published rules, by the rules' comments.

    Of a range every connection of its protocol to that address, since conntrack knows no ranges: those that are
    still allowed are taken up again with the visitor's next packet.
    """
    found = []
    for comment in stale:
        kind, _, rest = comment.partition(" ")
        if kind != "published":
            continue
        address, _, what = rest.partition(" ")
        port, _, proto = what.partition("/")
        one = [] if ":" in port else ["--reply-port-src", port]
        # By who answers: with NAT the visitor asked another address.
        found.append(["-D", "-f", "ipv6", "--reply-src", address, "-p", proto, *one])
    return found


class Ufw:
    """What ufw's command does, with one front end and one lock for all that is asked of it.

    Raises UfwError with what ufw says about it.
    """

    def __init__(self) -> None:
        gettext.install("ufw")  # its texts are translated by a builtin
        sys.argv[0] = PROGRAM  # it looks who may write to what it was started from
        from ufw import common, frontend, util  # noqa: PLC0415 - only there on the host

        self._error, self._parse = common.UFWError, frontend.parse_command
        with self._told("ufw"):
            self._lock = util.create_lock()  # held as long as this process lives
            self._frontend = frontend.UFWFrontend(dryrun=False)

    def __call__(self, *arguments: str) -> str:
        """What `ufw --force ARGUMENTS` prints."""
        with self._told(f"ufw {' '.join(arguments)}"):
            asked = self._parse(["ufw", *arguments])
            rule, families = asked.data.get("rule", ""), asked.data.get("iptype", "")
            return str(self._frontend.do_action(asked.action, rule, families, force=True))

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """It prints its reason and ends the process, or raises an error of its own."""
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                yield
        except (self._error, SystemExit, ValueError) as error:
            reason = said.getvalue().strip() or str(getattr(error, "value", error))
            raise UfwError(f"{what}: {reason}") from error


class UfwError(Exception):
    """ufw refused; the message says what was asked and what it said."""


def main() -> None:
    from ansible.module_utils.basic import AnsibleModule  # noqa: PLC0415 - only there on the host

    module = AnsibleModule(
        argument_spec={
            "interfaces": {"type": "list", "elements": "str", "required": True},
            "networks": {"type": "list", "elements": "str", "required": True},
            "published": {"type": "list", "elements": "dict", "default": []},
            "ssh_from": {"type": "list", "elements": "str", "default": []},
            "bridges": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        wanted = desired(
            options["interfaces"], options["networks"], options["published"], options["ssh_from"], options["bridges"]
        )
    except (ValueError, KeyError) as error:
        module.fail_json(msg=f"a rule cannot be made: {error}")
    try:
        ufw = Ufw()
        missing, stale = plan(wanted, ufw("show", "added"))
        off = "inactive" in ufw("status")
        if not module.check_mode:
            for rule in missing:
                ufw(*rule.command())
            for delete in stale.values():
                ufw(*delete)
            for arguments in forgotten(stale):
                status, _, err = module.run_command(["conntrack", *arguments])
                # It fails also when there was no such connection.
                if status != 0 and "0 flow entries" not in err:
                    module.fail_json(msg=f"conntrack {' '.join(arguments)}: {err.strip()}")
            if off:
                ufw("enable")
    except UfwError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(missing or stale or off),
        added=[rule.comment for rule in missing],
        removed=list(stale),
        enabled_now=off,
    )


if __name__ == "__main__":
    main()
