"""Removes what an interrupted update made without recording it, at Vultr and on the stack's servers."""

from __future__ import annotations

from dataclasses import dataclass, field

from operations import lost
from operations.account import Account
from operations.cli import OperationError, Pulumi, say
from operations.hosts import Host, Refused, Unreachable, ensure_key
from operations.state import CONTAINER, FIREWALL, IMAGE, NETWORK, OF_SWARM, Server, State


@dataclass
class Swept:
    """What a sweep did, and what it could not decide or reach."""

    removed: list[str] = field(default_factory=list)
    asked: list[lost.Lost] = field(default_factory=list)
    dead: list[tuple[Server, Unreachable | Refused]] = field(default_factory=list)  # with something of ours on them


def account(pulumi: Pulumi, state: State, *, remove_asked: bool, release_ips: bool) -> Swept:
    """Sweep the account of the stack file's API key.

    `remove_asked` also removes what nothing proves to be this state's, `release_ips` also such reserved
    addresses. Raises OperationError when the API refuses or does not answer.
    """
    api = Account.of(pulumi)
    swept = Swept()
    lists = _lists(api, state)
    for found in lost.find(state, pulumi.tag, lists):
        is_address = found.path.startswith("/reserved-ips/")
        allowed = (release_ips if is_address else remove_asked) and not found.path.startswith("/domains/")
        if found.action == "leave":
            say(f"    left alone: {found.what}: {found.why}")
            continue
        if found.action == "adopt":
            pulumi.restore(lost.adopted(pulumi.export(), found))
            swept.removed.append(f"took {found.what} into the state: {found.why}")
        elif found.action == "remove" or allowed:
            api.delete(found.path)
            swept.removed.append(f"removed {found.what}: {found.why}")
        else:
            swept.asked.append(found)
            continue
        say(f"    {swept.removed[-1]}")
    return swept


def servers(pulumi: Pulumi, state: State, swept: Swept) -> None:
    """Sweep containers and networks on every server of the state that answers, and services by a manager of a swarm."""
    ensure_key(pulumi, state)
    known = {id_ for kind in (CONTAINER, NETWORK, *OF_SWARM) for id_ in state.ids(kind)}
    names = {server.name for server in state.servers()}
    for server in state.servers():
        if server.instance is None:
            continue
        host = Host(server)
        try:
            removed = host.sweep(pulumi.tag, known, names) if host.is_ready() else []
        except (Unreachable, Refused) as error:
            # A server that was only just ordered has nothing on it that could be lost.
            if state.on(server):
                swept.dead.append((server, error))
            say(f"    {error}")
            continue
        for what in removed:
            say(f"    removed {what} on {server.name}: the state does not know it")
        swept.removed += removed


def images(pulumi: Pulumi, state: State) -> list[str]:
    """Remove images that the stack built and no longer uses, on every server of the state that answers."""
    wanted = {str(image.outputs.get("tag")) for image in state.of_type(IMAGE)}
    # A door's has a name of its own.
    wanted |= {str(one.inputs.get("image")) for one in state.of_type(CONTAINER) if not one.doomed}
    done = []
    for server in state.servers():
        if server.instance is None or not any(resource.type == CONTAINER for resource in state.on(server)):
            continue
        try:
            done += Host(server).prune_images(pulumi.tag, wanted)
        except OperationError as error:
            say(f"    {error}")
    return done


def _lists(api: Account, state: State) -> lost.Lists:
    domains = api.list("/domains", "domains")
    present = {entry["domain"] for entry in domains}
    groups = api.list("/firewalls", "firewall_groups")
    owned = {group["id"] for group in groups} & state.ids(FIREWALL)
    return lost.Lists(
        instances=api.list("/instances", "instances"),
        firewall_groups=groups,
        vpcs=api.list("/vpcs", "vpcs"),
        ssh_keys=api.list("/ssh-keys", "ssh_keys"),
        reserved_ips=api.list("/reserved-ips", "reserved_ips"),
        blocks=api.list("/blocks", "blocks"),
        domains=domains,
        records={zone: api.list(f"/domains/{zone}/records", "records") for zone in lost.zones(state) & present},
        rules={group: api.list(f"/firewalls/{group}/rules", "firewall_rules") for group in owned},
    )
