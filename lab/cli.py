"""The lab's verbs, as `python -m lab --help` lists them."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lab import (
    browse,
    control,
    disks,
    engine,
    images,
    network,
    packages,
    registry,
    services,
    stores,
    tools,
    visit,
    warm,
)
from lab.paths import CHECKOUT, Paths, home
from lab.servers import Servers
from lab.shell import LabError, docker, exclusive, say, succeeds

STACK_FILE = CHECKOUT / "Pulumi.lab.yaml"


def up(paths: Paths, is_warm: bool = False, stack_file: Path | None = None) -> None:
    """Brings up what is missing of the region; quick when nothing is. `is_warm`: as a warm one (warm.py).

    With the stores that the stack file names: that of the region's own stack, unless another one is given.
    """
    started = time.monotonic()
    stack_file = stack_file or _stack_file(paths.stack)
    wanted = stores.wanted_by(stack_file.read_text()) if stack_file.exists() else []
    with exclusive(paths.run / "region.lock", 1200, "lab up"), ThreadPoolExecutor(max_workers=1) as pool:
        prepared = _prepared(paths, wanted, pool)
        engine.server_flags(paths)
        plan = network.ensure(paths)
        network.ensure_gateway6(paths, prepared.tools)
        changed = services.ensure(paths, plan, prepared.tools)
        if changed:
            services.check_ipv6(paths)
        if control.ensure(paths, plan):
            changed.append("api")
        tools.ensure_plugins(paths, prepared.pulumi)
        prepared.stores.result()
        changed += stores.ensure(paths, wanted)
        if is_warm:
            warm.mark(paths)
    news = f"started {', '.join(changed)}" if changed else "nothing to do"
    say(f"the region is up on {plan.subnet} ({news}, {time.monotonic() - started:.1f} s)")


def prepare(paths: Paths) -> None:
    """Brings what is dear to make, for several regions at once: programs, a Docker engine, the disk images, and what
    the servers of warm regions begin with.

    Prints the folder of the CLI, for PATH.
    """
    with exclusive(paths.run / "region.lock", 1200, "lab prepare"), ThreadPoolExecutor(max_workers=1) as pool:
        prepared = _prepared(paths, stores.STORES, pool)
        warm.bring(paths)
        prepared.stores.result()
    print(prepared.pulumi.parent)


def down(paths: Paths, everything: bool) -> None:
    """Removes the region; keeps `.lab/cache`, the Pulumi CLI and the plugins, unless `everything`."""
    started = time.monotonic()
    with exclusive(paths.run / "region.lock", 120, "lab down"):
        control.stop(paths)
        gone = [
            paths.state,
            paths.root / "ca",
            paths.acme,
            paths.root / "stores",
            paths.pulumi / "apiary-vultr",  # the provider's notes of what was being made
            *([paths.root] if everything else []),
        ]
        if engine.answers():
            if (paths.run / "ip6tables").exists():
                services.allow_bridge(paths, "-D")
            disks.remove_all(paths)
            if network.vpcs(paths):
                network.untrack_vpcs(paths, images.tools(paths))
            engine.clean(paths)
            if everything:
                warm.remove(paths)
                images.remove_all()
            engine.stop(paths)
            gone.append(paths.run)  # last: by it `make down` knows what is left
        else:
            say("no Docker engine answers: its objects, if any, stay; run `down` again when it does")
        for file in (paths.region, paths.plan, paths.root / "ca.pem", warm.mark_of(paths)):
            file.unlink(missing_ok=True)
        for folder in gone:
            shutil.rmtree(folder, ignore_errors=True)
    say(f"the region is gone ({time.monotonic() - started:.1f} s)")


def status(paths: Paths) -> int:
    """Prints what runs; 0 when the region is up, 1 when something of it is missing."""
    if not engine.answers():
        print("engine    none answers")
        return 1
    plan, known = network.load_plan(paths), services.status(paths)
    print(f"network   {plan.subnet if plan else 'none'}")
    print(f"plugins   {tools.plugins(paths)}")
    wanted = [service.name for service in services.services(paths, plan)] if plan else []
    for name in dict.fromkeys([*wanted, *known]):
        print(f"{name:<15} {known.get(name, 'missing')}")
    api = control.info(paths)
    print(f"{'api':<15} " + (f"running, proxy http://127.0.0.1:{api['proxy_port']}" if api else "missing"))
    for server in Servers(paths.root).all():
        print(f"server    {server['name']} {server['state']} {server['ipv4']} {server['ipv6']} {server['id']}")
    return 0 if plan and api and all(known.get(name) == "running" for name in wanted) else 1


def logs(paths: Paths, name: str | None) -> int:
    """Prints the end of a log: the lab's, a service's, or a server's journal; else what there is."""
    files = {file.stem: file for file in sorted(paths.log.glob("*.log"))}
    if name is None:
        print("\n".join([*files, *services.status(paths), *(server["name"] for server in Servers(paths.root).all())]))
        return 0
    if name in files:
        print("\n".join(files[name].read_text(errors="replace").splitlines()[-200:]))
        return 0
    if name in services.status(paths):
        return subprocess.run(["docker", "logs", "--tail", "200", paths.name(name)], check=False).returncode
    for server in Servers(paths.root).all():
        if name in (server["name"], server["id"]):
            command = ["docker", "exec", paths.name(server["id"]), "journalctl", "--no-pager", "-n", "200"]
            return subprocess.run(command, check=False).returncode
    raise LabError("lab logs", f"there is no {name!r}", "`python -m lab logs` lists what there is")


def fault(paths: Paths, words: Sequence[str], clear: bool) -> None:
    """Sets a fault of the emulator from `key=value` words, removes all, or prints what is set."""
    if clear:
        control.request(paths, "DELETE", "/faults")
        return
    if not words:
        print(json.dumps((control.request(paths, "GET", "/state") or {}).get("faults"), indent=1))
        return
    body = dict(_pair(word, "lab fault") for word in words)
    print(json.dumps(control.request(paths, "POST", "/faults", body), indent=1))


def store(paths: Paths, name: str, how: str | None) -> None:
    """Brings a store up and prints how a stack file names it, or makes it fail."""
    if how is not None:
        stores.fault(paths, name, how)
        return
    with exclusive(paths.run / "region.lock", 1200, "lab store"):
        stores.ensure(paths, [name])
    print("\n".join(stores.told(name)))


def pace(paths: Paths, words: Sequence[str], reset: bool) -> None:
    """Sets how long things take in the region from `setting=number` words, or puts all back; prints what holds."""
    known = control.request(paths, "GET", "/pace")["pace"]
    change = dict.fromkeys(known) if reset else dict(_pair(word, "lab pace") for word in words)
    if change:
        known = control.request(paths, "POST", "/pace", change)["pace"]
    for name, setting in known.items():
        print(f"{name:<17} {setting['value']:>7g}   {setting['meaning']}")


FAULTS = """
a request:  path=REGEX object=LABEL method=GET status=500 body=TEXT headers={...} delay=SECONDS drop=true after=true
            count=1 (-1: until cleared); needs path or object, and one of status, delay, drop
an object:  hold=LABEL state=pending|installing|locked|resizing seconds=30     (of a volume: pending)
a release:  release=destruction|reserved_release|vpc_release|block_creation|block_release seconds=900
            [object=LABEL] [count=1]

LABEL is an object's id, label, name, description or address. A fault with an object meets the requests that have it
in their path or body.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; the process's exit status. Errors are printed, never raised."""
    options = _parser().parse_args(arguments)
    try:
        return _run(Paths.find(options.dir or (options.stack and _home(options.stack))), options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "lab: interrupted; `python -m lab up` goes on from here, `down` removes what there is",
            file=sys.stderr,
        )
        return 130


def _stack_file(stack: str) -> Path:
    return CHECKOUT / f"Pulumi.{stack}.yaml"


def _home(stack: str) -> Path:
    if not _stack_file(stack).exists():
        raise LabError("lab --stack", f"there is no Pulumi.{stack}.yaml", "write it, or name another stack")
    return home(stack)


def _run(paths: Paths, options: argparse.Namespace) -> int:
    match options.verb:
        case "up" | "prepare":
            up(paths, options.warm) if options.verb == "up" else prepare(paths)
        case "down":
            down(paths, options.all)
        case "status" | "logs":
            return status(paths) if options.verb == "status" else logs(paths, options.name)
        case "env":
            for key, value in control.environment(paths).items():
                print(f"export {key}={shlex.quote(value)}")
        case "delete-instance" | "reboot" | "kill":
            action = "delete" if options.verb == "delete-instance" else options.verb
            control.request(paths, "POST", f"/instances/{quote(options.name, safe='')}/{action}")
        case "prober":
            if not options.command:
                raise LabError("lab prober", "no command is given", "for example: prober curl -6 http://example.com")
            _need_probers(paths, "lab prober")
            servers = Servers(paths.root).all() if options.routed else []
            return services.probe(paths, options.command, options.routed, servers)
        case "visit" | "browse":
            _need_probers(paths, f"lab {options.verb}")
            return visit.visit(paths) if options.verb == "visit" else browse.browse(paths, options.port)
        case "fault" | "pace":
            verb = fault if options.verb == "fault" else pace
            verb(paths, options.words, options.reset)
        case "store":
            store(paths, options.name, options.state)
        case "commit":
            print(services.commit(paths, options.repository, Path(options.folder), options.branch))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description="A Vultr region on this machine.")
    region = parser.add_mutually_exclusive_group()
    region.add_argument("--dir", help="the region's folder (APIARY_LAB_DIR, else that of the stack lab: .lab)")
    region.add_argument("--stack", help="the stack whose region it is: each has its own, with what its file names")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    upping = verbs.add_parser("up", help="bring the region up; does only what is missing")
    upping.add_argument(
        "--warm", action="store_true", help="its servers have their packages and images' layers already"
    )
    verbs.add_parser("prepare", help="bring a Docker engine, a Pulumi CLI and the disk images; print where the CLI is")
    gone = verbs.add_parser("down", help="remove the region with all its servers")
    gone.add_argument("--all", action="store_true", help="and the cache, the images, the Pulumi CLI and the plugins")
    verbs.add_parser("status", help="what runs; exit status 1 when something is missing")
    verbs.add_parser("env", help='shell lines for pulumi: eval "$(python -m lab env)"')
    for verb, text in (
        ("delete-instance", "delete an instance out of band"),
        ("reboot", "reboot an instance"),
        ("kill", "pull an instance's plug"),
    ):
        verbs.add_parser(verb, help=text).add_argument("name", help="label or id of the instance")
    prober = verbs.add_parser("prober", help="run a command in the prober's own network namespace")
    prober.add_argument("--routed", action="store_true", help="from behind routes to the servers' prefixes")
    prober.add_argument("command", nargs=argparse.REMAINDER)
    verbs.add_parser("visit", help="ask the lab's site from the prober, over IPv6 and IPv4, and show the answers")
    browsing = verbs.add_parser("browse", help="let a browser on this machine reach the sites by their names")
    browsing.add_argument("--port", type=int, default=browse.PORT, help=f"of 127.0.0.1 ({browse.PORT})")
    faults = verbs.add_parser(
        "fault",
        help="make the emulator fail, or hold an object in a state: key=value ...; without words, show",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=FAULTS,
    )
    faults.add_argument("words", nargs="*", metavar="key=value")
    faults.add_argument("--clear", dest="reset", action="store_true", help="remove all faults")
    storing = verbs.add_parser(
        "store",
        help="bring a place for backups up and say how to name it, or make it fail",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"{state:<10} {meaning}" for state, meaning in stores.FAULTS.items()),
    )
    storing.add_argument("name", choices=stores.STORES)
    storing.add_argument("state", nargs="?", choices=stores.FAULTS)
    pacing = verbs.add_parser("pace", help="how long things take in the region: setting=seconds ...; without, show")
    pacing.add_argument("words", nargs="*", metavar="setting=number")
    pacing.add_argument("--reset", action="store_true", help="put all settings back")
    committing = verbs.add_parser("commit", help="put the files of a folder into a repository of the lab's git server")
    committing.add_argument("repository", help="its name, e.g. site")
    committing.add_argument("folder")
    committing.add_argument("--branch", default="main")
    verbs.add_parser("logs", help="the end of a log").add_argument("name", nargs="?")
    return parser


@dataclass(frozen=True)
class _Prepared:
    """What a region is made of."""

    pulumi: Path  # the CLI
    tools: str  # tag of the image of its services
    stores: Future[Path]  # their programs, built while all else goes on


def _prepared(paths: Paths, wanted: Collection[str], pool: ThreadPoolExecutor) -> _Prepared:
    """Brings the programs and images of a region, where they are missing."""
    packages.ensure_ssh(paths)
    pulumi = tools.ensure_pulumi(paths)
    # Not earlier: who has neither gets the Go of the one for the other.
    building = pool.submit(stores.build, paths, wanted)
    engine.ensure(paths)
    images.server(paths, "bookworm")
    with exclusive(paths.cache / "registry.lock", 1200, "filling the registry"):
        registry.add(paths.registry, "library/debian", "bookworm-slim", _base_tree(paths, "bookworm"))
    return _Prepared(pulumi, images.tools(paths), building)


def _base_tree(paths: Paths, suite: str) -> Path:
    images.base(paths, suite)
    return images.base_tar(paths, suite)


def _need_probers(paths: Paths, step: str) -> None:
    if not succeeds(["docker", "exec", paths.name("prober"), "true"]):
        docker("version", step=step)
        raise LabError(step, "the region is not up", f"{paths.verb} up")


def _pair(word: str, step: str) -> tuple[str, Any]:
    key, found, value = word.partition("=")
    if not found or not key:
        raise LabError(step, f"{word!r} is not key=value", f"python -m {step} --help")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value
