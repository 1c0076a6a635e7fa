"""The region's places for backups: an S3 server, restic's rest-server, and the provider's object storage.

Makes, only when somebody wants them: the programs, from the Go modules pinned in stores/, once into the cache; services
`store-NAME`, each with TLS, credentials and a volume of its own, which goes with the region:

    s3       https://s3.lab.internal, keys S3_KEYS; signed by the lab's authority, as the ACME directory is
    rest     https://rest.lab.internal/USER/..., which can be added to and not changed (--append-only); the same data at
             port 8443 for the operator, who may do all. Signed by the lab's authority
    objects  https://ewr1.vultrobjects.com and ams1...: S3 for the accounts of the emulator's object storage, with their
             keys, as soon as an account is active. Signed by whom every server of the region trusts

Faults are real ones: no container, none that answers, no processor, no space, a file system that is read-only.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import acme, images, network, services, tools
from lab.network import Plan
from lab.paths import Paths
from lab.shell import LabError, docker, exclusive, run_long, succeeds

SOURCES = Path(__file__).resolve().parent / "stores"
S3_KEYS = ("lab-access", "lab-secret")
REST_USER = ("lab", "lab-secret")
REST_OPERATOR = ("operator", "operator-secret")
BUILD_SECONDS = 1200.0
FLAGS = ("-mod=readonly", "-trimpath", "-ldflags=-s -w")
SPACE = "256k"  # left for what is new in a store that is full
SLOW = "0.01"  # processors

S3 = "exec /store/s3 serve s3 --addr :443 --cert /tls/cert.pem --key /tls/key.pem --dir-cache-time 1s {keys} /data"
REST = """
printf '%s' "$USERS" > /run/users
printf '%s' "$OPERATORS" > /run/operators
serve="/store/rest-server --path /data --tls --tls-cert /tls/cert.pem --tls-key /tls/key.pem"
$serve --listen :443 --htpasswd-file /run/users --private-repos --append-only &
$serve --listen :8443 --htpasswd-file /run/operators &
wait -n
exit 1
"""
# What lies over the folder of the data goes; what is in it by then stays. Beside a dead process nothing is mounted.
MEND = """
while [ "$(grep -c ' /data ' /proc/mounts)" -gt 1 ]; do umount -l /data; done
umount -l /space 2>/dev/null || true
"""
FULL = f"""
set -e
mkdir -p /space
mount -t tmpfs -o size={SPACE} tmpfs /space
mkdir /space/new /space/work
mount -t overlay -o lowerdir=/data,upperdir=/space/new,workdir=/space/work overlay /data
"""
READ_ONLY = "set -e; mount --bind /data /data; mount -o remount,bind,ro /data"
# Name -> what happens to the store.
FAULTS = {
    "gone": "nobody is at its address",
    "silent": "it takes connections and never answers",
    "slow": "it has a hundredth of a processor",
    "full": "it has no space for what is new",
    "read-only": "its file system takes no writes",
    "whole": "an end to all of these",
}


@dataclass(frozen=True)
class Store:
    """`program` is the name of what runs, `package` where it is in the Go module of stores/."""

    program: str
    package: str
    authority: acme.Authority


_S3 = ("s3", "./s3")
STORES = {
    "s3": Store(*_S3, acme.REGION),
    "rest": Store("rest-server", "github.com/restic/rest-server/cmd/rest-server", acme.REGION),
    "objects": Store(*_S3, acme.WORLD),
}


def wanted_by(stack_file: str) -> list[str]:
    """The stores that the text of a stack file names."""
    named = [name for name, (_, hosts) in network.STORES.items() if any(host in stack_file for host in hosts)]
    by_the_program = re.search(r"^\s*repository:\s*[\"']?vultr\b", stack_file, re.MULTILINE)
    return [*named, *(["objects"] if by_the_program and "objects" not in named else [])]


def build(paths: Paths, names: Collection[str]) -> Path:
    """The folder with the programs of these stores, built where they are missing. Raises LabError."""
    folder = paths.cache / "stores" / _sources()
    for program, package in sorted({(STORES[name].program, STORES[name].package) for name in names}):
        if (folder / program).exists():
            continue
        with exclusive(paths.cache / "stores.lock", BUILD_SECONDS, "building the region's stores"):
            if (folder / program).exists():
                continue
            go = tools.ensure_go(paths)
            folder.mkdir(parents=True, exist_ok=True)
            partial = folder / f"{program}.new"
            run_long(
                [str(go), "build", "-C", str(SOURCES), *FLAGS, "-o", str(partial), package],
                f"building the region's {program}",
                log=paths.log / f"{program}.log",
                timeout=BUILD_SECONDS,
                # In the region's containers there is no library of this machine's.
                env={"CGO_ENABLED": "0"},
                remedy="check the network; the modules are fetched as `go` is set up here",
            )
            partial.rename(folder / program)
    return folder


def ensure(paths: Paths, names: Collection[str]) -> list[str]:
    """These stores built, running and serving; the names of the services that had to be made or started."""
    plan = network.load_plan(paths)
    if plan is None:
        raise LabError("the region's stores", "the region is not up", f"{paths.verb} up")
    programs = build(paths, names)
    return services.run(paths, [service(paths, plan, name, programs) for name in names], images.tools(paths))


def service(paths: Paths, plan: Plan, name: str, programs: Path) -> services.Service:
    """The container of a store."""
    store, (_, hosts) = STORES[name], network.STORES[name]
    tls = paths.root / "stores" / name
    store.authority.issue(tls, hosts)
    volume = paths.name(f"store-{name}")
    docker("volume", "create", "--label", paths.label, volume, step=f"the volume of the store {name}")
    options = [
        *(
            "-v",
            f"{programs / store.program}:/store/{store.program}:ro",
            "-v",
            f"{tls}:/tls:ro",
            "-v",
            f"{volume}:/data",
        ),
        # For its faults: mounts over /data.
        *("--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined"),
    ]
    ready = "curl -sk -o /dev/null https://127.0.0.1/"
    match name:
        case "rest":
            options += ["-e", f"USERS={_htpasswd(REST_USER)}", "-e", f"OPERATORS={_htpasswd(REST_OPERATOR)}"]
            script, ready = REST, f"{ready} && curl -sk -o /dev/null https://127.0.0.1:8443/"
        case "s3":
            options += ["-e", "RCLONE_CONFIG="]
            script = S3.format(keys=f"--auth-key {','.join(S3_KEYS)}")
        case _:
            options += ["-e", "RCLONE_CONFIG=", "-e", "ACCOUNTS=/state/region.json", "-v", f"{paths.root}:/state:ro"]
            # Without a key at all the server would let everybody in.
            script = S3.format(keys='--auth-key "nobody,$(head -c 24 /dev/urandom | base64)"')
    return services.Service(f"store-{name}", plan.store(name), ["bash", "-c", script], ["sh", "-c", ready], options)


def fault(paths: Paths, name: str, how: str) -> None:
    """Makes a store fail in one of the ways of FAULTS, or serve again. Raises LabError."""
    container, step = paths.name(f"store-{name}"), f"lab store {name} {how}"
    if services.status(paths).get(f"store-{name}") is None:
        raise LabError(step, "it is not there", f"python -m lab store {name}")
    succeeds(["docker", "unpause", container])
    docker("start", container, step=step)
    docker("update", "--cpus", str(os.cpu_count() or 1), container, step=step)
    docker("exec", container, "sh", "-c", MEND, step=step)
    match how:
        case "gone":
            docker("stop", "-t", "1", container, step=step)
        case "silent":
            docker("pause", container, step=step)
        case "slow":
            docker("update", "--cpus", SLOW, container, step=step)
        case "full":
            docker("exec", container, "sh", "-c", FULL, step=step)
        case "read-only":
            docker("exec", container, "sh", "-c", READ_ONLY, step=step)


def told(name: str) -> Sequence[str]:
    """How a stack file names a store: lines for a person to read."""
    host = network.STORES[name][1][0]
    access, secret = S3_KEYS if name == "s3" else REST_USER
    match name:
        case "s3":
            return [f"repository: s3:https://{host}/hive", f"access_key: {access}", f"secret_key: {secret}"]
        case "rest":
            operator, password = REST_OPERATOR
            return [
                f"repository: rest:https://{host}/{access}", f"access_key: {access}", f"secret_key: {secret}",
                f"the operator's, who may prune: https://{operator}:{password}@{host}:8443/{access}",
            ]  # fmt: skip
        case _:
            return ["repository: vultr"]


def _sources() -> str:
    files = [SOURCES / "go.mod", SOURCES / "go.sum", *sorted(SOURCES.rglob("*.go"))]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _htpasswd(user: tuple[str, str]) -> str:
    digest = hashlib.sha1(user[1].encode(), usedforsecurity=False).digest()
    return f"{user[0]}:{{SHA}}{base64.b64encode(digest).decode()}\n"
