"""The region's own containers: DNS and metadata, registry, git server, ACME directory, two probers, a browser's window.

Makes: `ns`, `metadata`, `registry`, `git`, `acme`, `prober`, `prober-routed` and, when asked for, `window`, each with a
fixed address of the plan. Their programs come from the tools image and from this folder, mounted read-only. Leaves
alone: servers and the emulator.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab import acme, forward, images, metadata, network
from lab.network import Plan
from lab.paths import Paths
from lab.shell import LabError, docker, docker_json, say, succeeds, wait_for

HERE = Path(__file__).resolve().parent
DNS = HERE / "dns.py"
METADATA = HERE / "metadata.py"
GIT = HERE / "repositories.py"
CONTENT = HERE / "git"  # each folder is a repository's first commit
FORWARD = HERE / "forward.py"
READY_SECONDS = 60.0  # a second on an idle machine

# What the zones of the API name as theirs (lab/api/domains.py), for who looks them up as a resolver does.
NAME_SERVERS = ("ns1.vultr.com", "ns2.vultr.com")

REGISTRY_CONFIG = """
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: /storage}
  maintenance: {readonly: {enabled: true}, uploadpurging: {enabled: false}}
http: {addr: ":80"}
"""

# The same images again for who logs in, over https, and what is pushed: for as long as the container lives.
PRIVATE_REGISTRY = "private.lab.internal"
PRIVATE_USER, PRIVATE_PASSWORD = "lab", "the-password-of-the-lab"
PRIVATE_REGISTRY_CONFIG = """
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: /tmp/private}
auth:
  htpasswd: {realm: lab, path: /tmp/htpasswd}
http: {addr: ":443", tls: {certificate: /tls/cert.pem, key: /tls/key.pem}}
"""
REGISTRY = """
printf '%s' "$CONFIG" >/tmp/config.yml
printf '%s' "$PRIVATE" >/tmp/private.yml
printf '%s\\n' 'lab:$2b$05$4SU2BorpxAgwl/0AEpjUwerAs1KiwIgN.lB3INOyJUkfXhi3N2N5.' >/tmp/htpasswd
cp -r /storage /tmp/private
docker-registry serve /tmp/private.yml &
exec docker-registry serve /tmp/config.yml
"""

# An address of its own in the region's IPv6, on-link to the servers. The resolver is the region's.
# Without a default route, so that nothing which a probe asks for ever leaves the region.
PROBER = """
ip route delete default
ip -6 addr replace {address}/128 dev eth0 nodad
{route}
echo nameserver {nameserver} > /etc/resolv.conf
exec sleep infinity
"""


# On the servers' link alone: the machine below keeps its own provider's metadata service, and each region its own.
INSTANCES = """
ip address replace {address}/32 dev eth0
exec python3 -u /metadata.py --state /state/region.json
"""


# Beside the servers as a prober is, so that it validates over IPv6; its log says what it asked whom.
AUTHORITY = """
ip route delete default
ip -6 addr replace {address}/128 dev eth0 nodad
ip -6 route replace {site} dev eth0
exec pebble -strict -config /acme/pebble.json -dnsserver {nameserver}:53
"""


WINDOW = """
ip -6 addr replace {address}/128 dev eth0 nodad
ip -6 route replace {site} dev eth0
echo nameserver {nameserver} > /etc/resolv.conf
exec python3 -u /forward.py --state /state/region.json --roots /state/acme/roots.pem --address {url}
"""


@dataclass(frozen=True)
class Service:
    """A container: `ready` is a command inside it that succeeds once it serves."""

    name: str
    address: str
    command: list[str]
    ready: list[str]
    options: list[str] = field(default_factory=list)


def services(paths: Paths, plan: Plan) -> list[Service]:
    """What runs in the region, in order of need."""
    probing = [
        "--cap-add",
        "NET_ADMIN",
        "--cap-add",
        "NET_RAW",
        "--sysctl",
        "net.ipv6.conf.all.disable_ipv6=0",
    ]
    on_link = PROBER.format(
        address=network.PROBERS.replace("::/64", "::100"),
        nameserver=plan.nameserver,
        route=f"ip -6 route replace {network.SITE} dev eth0",
    )
    routed = PROBER.format(
        address=network.ROUTED.replace("::/64", "::100"),
        nameserver=plan.nameserver,
        route=f"ip -6 route replace {network.PROBERS} dev eth0",
    )
    authority = AUTHORITY.format(
        address=network.PROBERS.replace("::/64", "::54"), site=network.SITE, nameserver=plan.nameserver
    )
    login, tls = f"{PRIVATE_USER}:{PRIVATE_PASSWORD}", paths.root / "private-registry"
    acme.REGION.issue(tls, [PRIVATE_REGISTRY])
    return [
        Service(
            "ns",
            plan.nameserver,
            [
                "python3",
                "-u",
                "/dns.py",
                "--state",
                "/state/region.json",
                "--subnet",
                plan.subnet,
                "--site",
                network.SITE,
                *(word for name in NAME_SERVERS for word in ("--host", f"{name}={plan.nameserver}")),
                "--host",
                f"registry.lab.internal={plan.registry}",
                "--host",
                f"{PRIVATE_REGISTRY}={plan.registry}",
                "--host",
                f"git.lab.internal={plan.git}",
                "--host",
                f"{acme.HOST}={plan.acme}",
                *(
                    word
                    for store, (_, names) in network.STORES.items()
                    for name in names
                    for word in ("--host", f"{name}={plan.store(store)}")
                ),
            ],
            ["dig", "+short", "+time=1", "+tries=1", "@127.0.0.1", "-x", plan.gateway],
            ["-v", f"{DNS}:/dns.py:ro", "-v", f"{paths.root}:/state:ro"],
        ),
        Service(
            "metadata",
            plan.metadata,
            ["sh", "-c", INSTANCES.format(address=metadata.ADDRESS)],
            ["curl", "-s", "-o", "/dev/null", f"http://{metadata.ADDRESS}/"],
            ["--cap-add", "NET_ADMIN", "-v", f"{METADATA}:/metadata.py:ro", "-v", f"{paths.root}:/state:ro"],
        ),
        Service(
            "registry",
            plan.registry,
            ["sh", "-c", REGISTRY],
            ["sh", "-c", f"curl -sf http://127.0.0.1/v2/ && curl -ksf -u {login} https://127.0.0.1/v2/"],
            [
                *("-e", f"CONFIG={REGISTRY_CONFIG}", "-e", f"PRIVATE={PRIVATE_REGISTRY_CONFIG}"),
                *("-v", f"{paths.registry}:/storage:ro", "-v", f"{tls}:/tls:ro"),
            ],
        ),
        Service(
            "git",
            plan.git,
            ["python3", "-u", "/repositories.py", "--from", "/content", "--to", "/srv/git"],
            ["git", "ls-remote", "http://127.0.0.1/site.git", "HEAD"],
            ["-v", f"{GIT}:/repositories.py:ro", "-v", f"{CONTENT}:/content:ro"],
        ),
        Service(
            "acme",
            plan.acme,
            ["sh", "-c", authority],
            ["curl", "-skf", "-o", "/dev/null", "https://127.0.0.1/dir"],
            [*probing, "-e", "PEBBLE_VA_NOSLEEP=1", "-v", f"{acme.prepare(paths)}:/acme:ro"],
        ),
        Service(
            "prober",
            plan.prober,
            ["sh", "-c", on_link],
            ["grep", "-q", plan.nameserver, "/etc/resolv.conf"],
            probing,
        ),
        Service(
            "prober-routed",
            plan.prober_routed,
            ["sh", "-c", routed],
            ["grep", "-q", plan.nameserver, "/etc/resolv.conf"],
            probing,
        ),
    ]


def window(paths: Paths, plan: Plan, port: int) -> Service:
    """What a browser on this machine reaches the region through: only when somebody asks for it (browse.py)."""
    script = WINDOW.format(
        address=network.PROBERS.replace("::/64", "::102"),
        site=network.SITE,
        nameserver=plan.nameserver,
        url=f"http://127.0.0.1:{port}",
    )
    return Service(
        "window",
        plan.window,
        ["sh", "-c", script],
        ["curl", "-sf", "-o", "/dev/null", f"http://127.0.0.1:{forward.PORT}/"],
        [
            *("--cap-add", "NET_ADMIN", "--sysctl", "net.ipv6.conf.all.disable_ipv6=0"),
            *("--publish", f"127.0.0.1:{port}:{forward.PORT}"),
            *("-v", f"{FORWARD}:/forward.py:ro", "-v", f"{paths.root}:/state:ro"),
        ],
    )


def ensure(paths: Paths, plan: Plan, image: str) -> list[str]:
    """All services running and serving; the names of those that had to be made or started."""
    paths.registry.mkdir(parents=True, exist_ok=True)
    changed = run(paths, services(paths, plan), image)
    acme.trust(paths, ("prober", "prober-routed"))
    return changed


def run(paths: Paths, wanted: Sequence[Service], image: str) -> list[str]:
    """These services running and serving; the names of those that had to be made or started. Raises LabError."""
    lines = _listed(paths, '{{.Names}} {{.State}} {{.Label "apiary.lab.recipe"}}')
    known = {name: (state, recipe) for name, state, recipe in (line.split(" ") for line in lines)}
    changed = []
    for service in wanted:
        name, recipe = paths.name(service.name), _recipe(service, image)
        if known.get(name) == ("running", recipe):
            continue
        changed.append(service)
        if name in known:
            docker("rm", "-f", "-v", name)
        docker(
            "run",
            "-d",
            "--init",
            "--name",
            name,
            "--hostname",
            service.name,
            "--label",
            paths.label,
            "--label",
            f"apiary.lab.service={service.name}",
            "--label",
            f"apiary.lab.recipe={recipe}",
            "--restart",
            "unless-stopped",
            "--network",
            paths.name("net"),
            "--ip",
            service.address,
            *service.options,
            image,
            *service.command,
            step=f"starting the region's {service.name}",
        )
    for service in changed:
        _await(paths, service)
    return [service.name for service in changed]


def check_ipv6(paths: Paths) -> None:
    """Proves that the link carries IPv6. Where the firewall filters bridged frames, lets this bridge through.

    Raises LabError when the probers do not reach each other even then.
    """
    target = network.ROUTED.replace("::/64", "::100")
    ping = ["docker", "exec", paths.name("prober"), "ping", "-6", "-c", "1", "-W", "1", target]
    if wait_for(lambda: succeeds(ping), 3):
        return
    link = network.bridge(paths)
    say(f"the host's firewall drops IPv6 on {link}; adding a rule for this bridge alone")
    allow_bridge(paths, "-I")
    if not wait_for(lambda: succeeds(ping), 10):  # a failed neighbour entry has to age first
        raise LabError(
            "IPv6 on the lab's link",
            f"{target} does not answer the prober on {link}",
            "let bridged IPv6 through: sysctl net.bridge.bridge-nf-call-ip6tables=0",
        )


def allow_bridge(paths: Paths, action: str) -> None:
    """Adds ("-I") or removes ("-D") the host's rule that lets IPv6 pass between the ports of this bridge."""
    link = network.bridge(paths)
    rule = ["-i", link, "-o", link, "-m", "comment", "--comment", paths.name("link"), "-j", "ACCEPT"]
    command = ["ip6tables", action, "FORWARD", *rule]
    network.on_host(paths, images.tools(paths), *command, step="the lab's rule in the firewall")
    marker = paths.run / "ip6tables"
    if action == "-I":
        marker.write_text(link)
    else:
        marker.unlink(missing_ok=True)


def status(paths: Paths) -> dict[str, str]:
    """Service -> "running", "exited" ... for those that exist."""
    return dict(line.split(" ", 1) for line in _listed(paths, '{{.Label "apiary.lab.service"}} {{.State}}'))


def _listed(paths: Paths, shape: str) -> list[str]:
    """A line in this shape (of `docker ps`) for each service that exists."""
    mine = ["--filter", f"label={paths.label}", "--filter", "label=apiary.lab.service"]
    return docker("ps", "-a", *mine, "--format", shape).splitlines()


def route_to(paths: Paths, servers: Sequence[dict[str, str]]) -> None:
    """Gives the routed prober its routes: each server's /64s, and private IPv4 behind the first one.

    A packet to any address in a /64 then goes to the server itself: no neighbour entry is needed.
    """
    commands = ["set -e"]
    up = [server for server in servers if server["state"] == "running"]
    region = json.loads(paths.region.read_text()) if paths.region.exists() else {}
    reserved = [ip for ip in region.get("reserved_ips", {}).values() if ip["ip_type"] == "v6"]
    for server in up:
        if server["ipv6"]:
            commands += [
                f"ip -6 route replace {server['ipv6']}/128 dev eth0",
                *(
                    f"ip -6 route replace {prefix} via {server['ipv6']} dev eth0"
                    for prefix in (
                        server["prefix"],
                        *(f"{ip['subnet']}/64" for ip in reserved if ip["instance_id"] == server["id"]),
                    )
                ),
            ]
    for server in up[:1]:
        commands.append(f"ip route replace 172.16.0.0/12 via {server['ipv4']} dev eth0")
    docker("exec", paths.name("prober-routed"), "sh", "-c", "\n".join(commands), step="routing the prober")


def probe(paths: Paths, command: Sequence[str], routed: bool, servers: Sequence[dict[str, str]] = ()) -> int:
    """Runs a command in a prober with this process's own input and output; its exit status."""
    if routed:
        route_to(paths, servers)
    name = paths.name("prober-routed" if routed else "prober")
    return subprocess.run(["docker", "exec", "-i", name, *command], check=False).returncode


def commit(paths: Paths, repository: str, folder: Path, branch: str) -> str:
    """Puts the files of a folder into one of the git server's repositories; returns the commit. Raises LabError."""
    step = f"committing to {repository}"
    if not folder.is_dir():
        raise LabError(step, f"{folder} is not a folder", "name the folder whose files are to be committed")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(folder, ".")
    command = ["python3", "/repositories.py", "--to", "/srv/git", "--commit", repository, "--branch", branch]
    return docker("exec", "-i", paths.name("git"), *command, step=step, stdin=packed.getvalue()).strip()


def _recipe(service: Service, image: str) -> str:
    """Changes when the container would be made differently, or would run another program."""
    programs = {
        "ns": [DNS],
        "metadata": [METADATA],
        "window": [FORWARD],
        "git": [GIT, *sorted(file for file in CONTENT.rglob("*") if file.is_file())],
    }
    program = b"".join(file.read_bytes() for file in programs.get(service.name, []))
    return hashlib.sha256(repr((service, image)).encode() + program).hexdigest()[:12]


def _await(paths: Paths, service: Service) -> None:
    name = paths.name(service.name)
    ready = ["docker", "exec", name, *service.ready]
    started = time.monotonic()
    if not wait_for(lambda: succeeds(ready), READY_SECONDS):
        state = docker_json("inspect", name)[0]["State"]["Status"]
        logs = docker("logs", "--tail", "8", name)
        raise LabError(
            f"starting the region's {service.name}",
            f"it is {state} and silent after {time.monotonic() - started:.0f} s; it said: {logs.strip()}",
            "python -m lab down, then up; a host firewall may block bridged traffic",
        )
