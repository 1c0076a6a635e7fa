"""The stack's swarm: its servers, and the network that is theirs together.

Makes one local command for each server that says `swarm`, and one overlay network. The command asks the server what it
is, and only where it is nothing yet another manager for an invitation, which goes from one to the other through this
machine and stays nowhere: neither in the state nor on a disk. A swarm begins where no manager knows of one, at the
first manager of the stack file, and never while a manager can't be asked: it may have it. A server that comes back on
a new disk takes the place of the one that had its name.
To the engine nothing of it depends on an instance, although it waits for all of them: what is of the swarm goes on when
a server of it dies, and reviving that one must not take the rest down first.
Leaves alone: the ports between the servers and Docker's settings on them (playbooks/roles/swarm), and what runs there.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from ipaddress import IPv4Network

import pulumi
import pulumi_docker as docker
from pulumi_command import local

import settings
from components.host import Host
from components.labels import STACK, stack_tag
from components.server import apart, later
from settings import swarm

# The private network's, of which the overlay's own header takes 50 from what its containers have.
MTU = "1450"
ASK = """\
ask_{name}() {{ ssh -T {patience} {options} root@{host} apiary-swarm "$@"; }}
"""
PATIENT = "-o ConnectTimeout=15 -o ConnectionAttempts=5"
# Whoever leaves may be gone already, and the others with it.
BRIEF = "-o ConnectTimeout=5 -o ConnectionAttempts=1"
# Exit status 3 of apiary-swarm: this server is of no swarm; 4: the node is not of its swarm. Any other failure is one.
JOIN = """\
set -u
{asking}
if ! state=$(ask_{own} state </dev/null); then exit 1; fi
# The swarm that it is of may be no more: whoever decides now has another one.
if [ "$state" != none ] && ! ask_{own} decides </dev/null 2>/dev/null; then
    for other in {others}; do
        "ask_$other" has "${{state#* }}" </dev/null
        case $? in
            0) break ;;
            4) ask_{own} leave </dev/null || exit 1
               state=none
               break ;;
        esac
    done
fi
if [ "$state" = none ]; then
    invitation= unanswered=
    for other in {others}; do
        invitation=$("ask_$other" invite {name} {role} </dev/null) && break
        [ $? = 3 ] || unanswered="$unanswered $other"
        invitation=
    done
    if [ -n "$invitation" ]; then
        printf '%s\\n' "$invitation" | ask_{own} join {address} || exit 1
    elif [ -n "$unanswered" ]; then
        echo "no manager invites {name}, and of$unanswered it is not known whether they have a swarm (above);" >&2
        echo "bring them back first, e.g. make revive SERVER=..." >&2
        exit 1
    elif [ {name} = {first} ]; then
        ask_{own} init {address} {pool} </dev/null || exit 1
    else
        echo "{first} has not begun a swarm; run it again, {first} comes first" >&2
        exit 1
    fi
    state=$(ask_{own} state </dev/null) || exit 1
fi
for other in {managers}; do
    "ask_$other" known {name} "${{state#* }}" {members} </dev/null && told=1 && break
    [ $? != 3 ] || echo "$other decides about no swarm" >&2
done
[ -n "${{told:-}}" ] || {{ echo "no manager knows {name} now (above); run it again" >&2; exit 1; }}
ask_{own} cluster </dev/null
"""
# Not from the instance that has taken the place of the one that joined. Of a dead one the others forget; one that lives
# has to leave. Exit status 127: it has, and its bootstrap has taken apiary-swarm away since.
LEAVE = """\
{asking}
if there=$({ssh} cat /etc/apiary/instance </dev/null); then
    [ "$there" = {instance} ] || exit 0
    lives=1
fi
for other in {others}; do "ask_$other" dismiss {name} </dev/null && break; done
[ -n "${{lives:-}}" ] || exit 0
ask_{own} leave </dev/null
status=$?
[ "$status" = 127 ] || exit "$status"
"""


class Swarm(pulumi.ComponentResource):
    """One swarm; its services are made by way of its first manager."""

    joined: dict[str, local.Command]  # by server: it is of the swarm then
    first: str  # the manager by which services are made
    manager: Host  # the same
    begun: local.Command  # another one, and all that the swarm had is gone
    network: docker.Network

    def __init__(
        self,
        name: str,
        stack: settings.Stack,
        hosts: Mapping[str, Host],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("apiary:docker:Swarm", name, None, opts)
        managers = swarm.managers(stack)
        self.joined = {}
        # The first one begins it, and each further manager is one of those that the next may ask.
        for server in [*managers, *(other for other in swarm.members(stack) if other not in managers)]:
            self.joined[server] = self._joined(server, stack, hosts)
        self.first = managers[0]
        self.manager = hosts[self.first]
        number = apart(self.joined[managers[0]].stdout).apply(lambda said: said.strip())
        self.begun = local.Command(
            f"{name}-begun",
            create="true",
            triggers=[number],
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(self.joined.values())),
        )
        nets, is_encrypted = swarm.nets(stack), swarm.is_encrypted(stack)
        self.network = docker.Network(
            name,
            driver="overlay",
            # Containers of one server join it too: the proxies, and whoever names an application with replicas.
            attachable=True,
            # The gateway is Docker's own choice, which is read back; nobody answers there.
            ipam_configs=[
                docker.NetworkIpamConfigArgs(subnet=nets["overlay"], gateway=str(IPv4Network(nets["overlay"])[1]))
            ],
            options={"com.docker.network.driver.mtu": MTU, **({"encrypted": ""} if is_encrypted else {})},
            labels=[
                docker.NetworkLabelArgs(label=STACK, value=stack_tag()),
                docker.NetworkLabelArgs(label="apiary.swarm", value=number),
                # Options are not compared (below); another label makes another network.
                *([docker.NetworkLabelArgs(label="apiary.encrypted", value="true")] if is_encrypted else []),
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=self.manager.server.provider,
                depends_on=list(self.joined.values()),
                # A new one comes first: replicas move to it in place, and Docker removes none that a service is on.
                deleted_with=self.begun,
                # Read back they have one more, the network's own number; the plugin ignores all of them, or none.
                ignore_changes=["options"],
            ),
        )
        self.register_outputs({"network": self.network.id})

    def _joined(self, server: str, stack: settings.Stack, hosts: Mapping[str, Host]) -> local.Command:
        managers = swarm.managers(stack)
        asked = sorted({server, *managers})
        others = [_word(other) for other in managers if other != server]
        role = str(stack.servers[server].swarm)
        # The servers themselves, of which the engine must not know; and the first begins before the others join.
        waits = [hosts[other].bootstrap.command.id for other in swarm.members(stack)]
        first = next(iter(self.joined.values()), None)
        waits += [first.id] if first else []
        asking = later(apart(_asking(asked, hosts)), waits)
        instance = apart(hosts[server].server.instance.id)
        words = {
            "own": _word(server),
            "name": server,
            "role": role,
            # Whoever is none leaves at the end of this update; it gets no new replica in it, and decides nothing.
            "members": " ".join(
                f"{member}={stack.servers[member].swarm}:{'pause' if stack.servers[member].drain else 'active'}"
                for member in swarm.members(stack)
            ),
            "first": managers[0],
            "others": " ".join(others),
            "managers": " ".join([_word(other) for other in managers]),
            "address": str(stack.servers[server].private_ip),
            "pool": swarm.nets(stack)["pool"],
        }
        script = asking.apply(lambda known: JOIN.format(asking=known, **words))
        return local.Command(
            f"{server}-joined",
            create=script,
            # Safe to repeat: another role is given so, and another way to a server is no change at all.
            update=script,
            delete=pulumi.Output.all(asking, instance).apply(
                lambda known: LEAVE.format(
                    asking=known[0].replace(PATIENT, BRIEF),
                    instance=shlex.quote(known[1]),
                    ssh=_way(known[0].replace(PATIENT, BRIEF), server),
                    **words,
                )
            ),
            # Of another number it is another swarm, which who was of the one before has to join.
            environment={"SWARM": apart(first.stdout).apply(str.strip)} if first else None,
            triggers=[instance],
            logging=local.Logging.STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, hide_diffs=["create", "update", "delete"]),
        )


def _way(asking: str, server: str) -> str:
    """How a server is reached, for another command than apiary-swarm."""
    [line] = [line for line in asking.splitlines() if line.startswith(f"ask_{_word(server)}()")]
    return line.partition("{ ")[2].partition(" apiary-swarm ")[0]


def _word(server: str) -> str:
    """A server's name as a shell may call a function by it."""
    return server.replace("-", "_")


def _asking(servers: list[str], hosts: Mapping[str, Host]) -> pulumi.Output[str]:
    """A shell function for each server, by which its apiary-swarm is run."""

    def spelt(known: list[tuple[str, list[str]]]) -> str:
        return "".join(
            ASK.format(
                name=_word(server),
                patience=PATIENT,
                options=shlex.join([*options, "-o", "ControlPath=none"]),
                host=host,
            )
            for server, (host, options) in zip(servers, known, strict=True)
        )

    ways = [hosts[server].server.connection for server in servers]
    return pulumi.Output.all(*(pulumi.Output.all(way.host, way.ssh_options()) for way in ways)).apply(
        lambda known: spelt([(one[0], one[1]) for one in known])
    )
