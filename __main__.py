"""Apiary: one stack file becomes a running web host.

    stack file -> settings -> access -> server -> bootstrap -> network, volumes, images -> applications -> jobs
                                          \\-> zones

This file only wires; what a part makes, and what it leaves alone, is said in the first lines of its own file.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pulumi

import settings
from components import majority, runtime, stack_file
from components.access import Access
from components.application import Application, ApplicationArgs
from components.archive import read_folder
from components.backups import Backups, Repository
from components.bootstrap import Bootstrap, BootstrapArgs, variables
from components.carried import Carried
from components.certificates import Account
from components.closing import Closing
from components.docker_access import DockerAccess
from components.environment import Secrets, contents, environment
from components.first_manager import kept as first_manager_kept
from components.host import Host
from components.image import Image, Images
from components.job import Job, JobArgs
from components.monitoring import Monitoring, MonitoringArgs
from components.network import Network, subnets
from components.registries import Registries
from components.replicated import Replicated, ReplicatedArgs
from components.reverse import Reverse
from components.server import Server, ServerArgs
from components.swarm import Swarm
from components.verdict import Verdict, VerdictArgs
from components.volumes import Volumes, names_on
from components.vpc import Vpc
from components.zone import Zone, records
from settings import saved, swarm
from settings.domains import shared
from settings.order import (
    closed_by,
    closes,
    container_order,
    database_servers,
    jobs_named,
    proxy_setups,
    startable,
    waits_for,
    zones_before,
)

HERE = Path(__file__).parent
IMAGES = HERE / "images"
PLAYBOOKS = HERE / "playbooks"

runtime.prepare()

try:
    stack = settings.load(
        stack_file.read(),
        name=pulumi.get_stack(),
        build_dirs={folder.name for folder in IMAGES.iterdir() if folder.is_dir()},
        playbooks={file.name for file in PLAYBOOKS.glob("*.yml")},
        is_there=lambda path: (HERE / path).exists(),
        spelt=stack_file.spelt(HERE),
    )
except settings.SettingsError as report:
    raise pulumi.RunError(str(report)) from None

for said in settings.unwatched(stack).values():
    pulumi.warn(said)

access = Access("access")
secrets = Secrets("secrets", stack)
playbooks = read_folder(PLAYBOOKS, ["**/__pycache__"])
registries: dict[str, Registries] = {}
images = Images(IMAGES, stack.secrets, registries)

account = Account("certificates", stack) if any(shared(stack, server) for server in stack.servers) else None

vpcs = {region: Vpc(region, subnet) for region, subnet in stack.private_nets().items()}

first_manager = first_manager_kept(stack)
servers = {
    name: Server(
        name,
        ServerArgs.of(stack, name),
        access,
        vpcs[wanted.region] if wanted.private_ip else None,
        after=[first_manager] if first_manager else [],
    )
    for name, wanted in stack.servers.items()
}
repository = Repository("backups", stack, servers) if stack.backups else None

hosts: dict[str, Host] = {}
backups: dict[str, Backups] = {}
for name in saved.keeper_first(stack):
    wanted, server = stack.servers[name], servers[name]
    plan = server.prefix.apply(partial(settings.plan, stack, name))
    told = variables(
        stack,
        name,
        server.instance.id,
        server.ipv6,
        plan,
        backups=repository.variables(name) if repository else {},
        mount_id=server.data.mount_id if server.data else None,
    )
    bootstrap = Bootstrap(name, BootstrapArgs(playbooks, wanted.playbook, told), server)
    if stack.registries_on(name):
        registries[name] = Registries(name, stack, server, bootstrap)
    network = Network(name, subnets(plan), server, bootstrap)
    volumes = Volumes(name, names_on(stack, name), server, bootstrap)
    if repository and saved.has_backups(stack, name):
        keeper = [hosts[stack.backups.store_server].bootstrap] if stack.backups and stack.backups.store_server else []
        backups[name] = Backups(name, stack, repository, server, after=[bootstrap, volumes, *keeper])
    filled = backups[name].filled if name in backups else {}
    static = frozenset(settings.static_suffixes(stack, name))
    hosts[name] = Host(server, bootstrap, network, volumes, plan, wanted.private_ip, static, filled)


joined = Swarm("swarm", stack, hosts) if swarm.members(stack) else None
# Of an application with replicas: the very same image, on each server that may run one.
copies: dict[str, list[Image]] = {}
for name, site in swarm.replicated(stack).items():
    first, *others = swarm.runs_on(stack, name)
    image = images.of(site, first, hosts[first])
    copies[name] = [image, *(images.of(site, other, hosts[other], image) for other in others)]


def image_of(name: str) -> Image:
    """The image of a container, on the server where that runs."""
    if name in copies:
        return copies[name][0]
    wanted = stack.containers()[name]
    return images.of(wanted, stack.server_of(wanted), hosts[stack.server_of(wanted)])


moved = Carried("carried", stack, hosts, image_of).commands
for name, command in moved.items():
    hosts[stack.server_of(stack.containers()[name])].carried[name] = command

# By server, what comes before the records that lead visitors to it: all that its sites are made of.
visited: dict[str, list[pulumi.Output[str]]] = {name: [] for name in hosts}
for server_name, its_images in visited.items():
    for name, site in stack.led_to(server_name).items():
        if site.domains:
            its_images.extend(one.command.id for one in copies.get(name) or [image_of(name)])
            its_images.extend([moved[name].id] if name in moved else [])
# Waited for as one: each record and each proxy waits for all of it.
ready = {server_name: pulumi.Output.all(*its_images) for server_name, its_images in visited.items()}
all_sites = list(ready.values())

zones = {
    zone: Zone(zone, wanted_records, protect=zone in stack.zones and stack.zones[zone].protect)
    for zone, wanted_records in records(stack, hosts, ready).items()
}

reverses = {
    name: Reverse(name, reverse, hosts[stack.server_of(stack.applications[name])])
    for name, reverse in settings.reverse_names(stack).items()
}

closings = {
    job: Closing(
        f"{job}-closing",
        stack.jobs[job],
        host,
        environment=environment(job, stack, secrets),
        image=image_of(job),
        applications=[app for app, wanted in stack.applications.items() if not wanted.ipv6_web],
    )
    for name, host in hosts.items()
    for job in proxy_setups(stack, name)
    if closes(stack.jobs[job])
}

applications: dict[str, Application] = {}
replicated: dict[str, Replicated] = {}
jobs: dict[str, Job] = {}
fills: dict[str, pulumi.CustomResource] = {}  # of databases, by the application that serves them
containers, neighbours = stack.containers(), settings.neighbours(stack)
monitoring = set(settings.monitors(stack).values())
for name in container_order(stack):
    container, beside = containers[name], neighbours[name]
    host = hosts[stack.server_of(container)]
    image = image_of(name)
    variables_of, contents_of = environment(name, stack, secrets, all_sites), contents(name, stack, secrets, all_sites)
    variables_of |= account.told(name, hosts) if account else {}
    before: dict[str, Application | Replicated | Job] = {**applications, **replicated, **jobs}
    after: list[pulumi.Resource] = [before[other] for other in waits_for(stack, name)]
    after += [fills[other] for other in database_servers(stack, name) if other in fills]
    closed = [closings[job] for job in closed_by(stack, name)]
    overlay = joined.network.id if joined and swarm.is_attached(stack, name) else None
    if joined and name in copies:
        elsewhere = [other for other in swarm.members(stack) if other not in swarm.runs_on(stack, name)]
        ends = [before[other].done for other in waits_for(stack, name)]
        ends += [fills[other].id for other in database_servers(stack, name) if other in fills]
        ends += [one.done for one in closed]
        where = hosts[swarm.runs_on(stack, name)[0]]
        instances = [hosts[other].server.instance.id for other in swarm.spread_over(stack, name)]
        spread = ReplicatedArgs(
            stack.applications[name], variables_of, contents_of, elsewhere, copies[name], where, instances, ends
        )
        replicated[name] = Replicated(name, spread, joined)
    elif name in stack.applications:
        may_start = {job: jobs[job] for job in jobs_named(stack.applications[name])}
        given: list[DockerAccess | Monitoring] = [DockerAccess(name, may_start, host)] if may_start else []
        if name in monitoring:
            ipv4 = {other: there.server.ipv4 for other, there in hosts.items()}
            given.append(Monitoring(name, MonitoringArgs(stack, after, ipv4), host))
        wanted_application = ApplicationArgs(
            stack.applications[name], variables_of, contents_of, beside, given, [*after, *closed], overlay
        )
        applications[name] = Application(name, wanted_application, image, host)
        if (there := backups.get(stack.server_of(container))) and name in there.databases:
            fills[name] = there.fill(name, applications[name])
    else:
        after += [zones[zone] for zone in zones_before(stack, name)]
        may_be_started, closing = name in startable(stack), closings.get(name)
        wanted_job = JobArgs(
            stack.jobs[name], variables_of, contents_of, beside, after, may_be_started, overlay, closing
        )
        jobs[name] = Job(name, wanted_job, image, host)

verdicts: dict[str, Verdict] = {}
for name, host in hosts.items():
    sites, redirects = settings.domains_map(stack, name), settings.redirects_map(stack, name)
    setups = [jobs[job] for job in proxy_setups(stack, name)]
    if (sites or redirects) and setups:
        proxies = [applications[other] for other, app in stack.applications_on(name).items() if app.ipv6_web]
        led = [other for other, app in stack.led_to(name).items() if app.domains]
        served = {other: applications[other] for other in led if other in applications}
        spread_over = {other: replicated[other] for other in led if other in replicated}
        verdicts[name] = Verdict(name, VerdictArgs(sites, redirects, served, spread_over, [*proxies, *setups]), host)

for name, there in backups.items():
    on_it: list[pulumi.Resource] = [{**applications, **jobs}[other] for other in stack.containers_on(name)]
    on_it += [fills[other] for other in there.databases if other in fills]
    on_it += [reverses[other] for other in stack.containers_on(name) if other in reverses]
    there.done([hosts[name].server, *on_it, *([verdicts[name]] if name in verdicts else [])])
if repository:
    repository.done(list(backups.values()))

pulumi.export(
    "servers",
    {
        name: {
            "ipv4": host.server.ipv4,
            "ipv6": host.server.ipv6,
            "prefix": host.server.prefix,
            "web_ipv6": host.server.ipv6
            if stack.servers[name].ipv6.is_nat
            else host.plan.apply(lambda addresses: addresses.web),
            "host_key": host.server.connection.host_key,
        }
        for name, host in hosts.items()
    },
)
pulumi.export("sites", sorted({domain for name in stack.servers for domain in settings.domains_map(stack, name)}))
if backups:
    pulumi.export("backups", {name: saved.saved(stack, name).shown() for name in backups})
pulumi.export("passwords", secrets.shown({"backups": repository.password} if repository else {}))


async def end() -> None:
    """When all is declared."""
    await runtime.all_begun()
    await majority.keep(stack, hosts)


pulumi.run(end)
