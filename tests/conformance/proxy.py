"""A real HAProxy on this machine with what hasetup writes, for tests.

Leaves alone: health checks by the name of a container, for which there is no Docker here; the lab has it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "HAProxySetup"))

from hasetup.access import Access, target
from hasetup.config import REFUSED, ROTATION, render
from hasetup.domains import parse_domains
from hasetup.passwords import hashed
from hasetup.pem import self_signed

from tests.conformance.ports import free_port

PROGRAM = "/usr/sbin/haproxy"
FAMILIES = {"IPv4": "127.0.0.1", "IPv6": "[::1]"}
VERSIONS = ("--http1.1", "--http2")
needs_proxy = pytest.mark.skipif(
    not (Path(PROGRAM).exists() and shutil.which("curl")), reason="needs haproxy and curl (Debian: haproxy, curl)"
)


@contextmanager
def running(
    folder: Path,
    told: Mapping[str, Any],
    servers: Mapping[str, int | Sequence[int]] | None = None,
    edited: Callable[[str], str] = lambda text: text,
    *,
    passwords: Mapping[str, Mapping[str, str]] | None = None,
    access: Access = Access(),  # noqa: B008 - it can't be changed
) -> Iterator[dict[str, int]]:
    """A proxy on loopback, over both families, for DOMAINS as `told`: the port of each scheme.

    `servers` are the ports on 127.0.0.1 at which applications listen, each with one or more; `edited` changes its text.
    With an access log that is collected its lines go into the pipe run/access. A reload is a SIGUSR2 to the number in
    run/pid.
    """
    (folder / "run").mkdir(exist_ok=True)
    (folder / "run" / "state").write_text("1\n")
    (folder / "acme.map").write_text("thumbprint account\n")
    (folder / "maintenance.map").touch()
    (folder / "rotation.lua").write_text(ROTATION)
    (folder / "refused.lua").write_text(REFUSED)
    domains = parse_domains(json.dumps(told))
    names = [name for domain in domains if domain.tls for name in domain.names]
    (folder / "all.pem").write_text(self_signed(names))
    (folder / "all.list").write_text(f"{folder}/all.pem {' '.join(names)}\n")
    ports = {"http": free_port(), "https": free_port(), "inside": free_port()}
    hashes = hashed(domains, json.dumps(passwords or {}))
    text = render(domains, crt_list=f"{folder}/all.list", passwords=hashes, access=access).replace(
        "/etc/haproxy", str(folder)
    )
    for number, scheme in ((80, "http"), (443, "https"), (8404, "inside")):
        text = re.sub(rf"(bind \S+):{number}\b", rf"\1:{ports[scheme]}", text)
    text = text.replace("bind 0.0.0.0:", "bind 127.0.0.1:").replace("bind [::]:", "bind [::1]:")
    for application, of in (servers or {}).items():
        listed = [of] if isinstance(of, int) else of
        template = rf"server-template {application}- \d+ \S+ (check .*?) resolvers .*"
        each = [rf"server {application}-{number} 127.0.0.1:{port} \1" for number, port in enumerate(listed, 1)]
        text, count = re.subn(template, "\n    ".join(each), text)
        assert count == 1, f"{application} has no server in {text}"
    (folder / "haproxy.cfg").write_text(edited(text))
    if not (folder / "run" / "access").exists():
        os.mkfifo(folder / "run" / "access")
    ways = {target(way): os.open(folder / "run" / "access", os.O_RDWR) for way in access.ways}
    with (folder / "log").open("wb") as log:
        proxy = subprocess.Popen(
            [PROGRAM, "-W", "-db", "-f", str(folder / "haproxy.cfg")],
            stdout=log,
            stderr=log,
            pass_fds=list(ways.values()),
            env={**os.environ, **{name: f"fd@{way}" for name, way in ways.items()}},
        )
    (folder / "run" / "pid").write_text(str(proxy.pid))
    try:
        until = time.monotonic() + 60
        while proxy.poll() is None and time.monotonic() < until and not _is_ready(ports, servers or {}):
            time.sleep(0.05)
        assert _is_ready(ports, servers or {}), (folder / "log").read_text()
        yield ports
        assert proxy.poll() is None, (folder / "log").read_text()[-3000:]
    finally:
        proxy.terminate()
        proxy.wait(30)
        for way in ways.values():
            os.close(way)


def curl(
    ports: Mapping[str, int],
    url: str,
    family: str,
    version: str,
    *options: str,
    shown: str = "%{http_code}",
    stdin: IO[bytes] | None = None,
) -> tuple[str, str]:
    """(body, what curl shows of the answer in the end) of a URL without a port, asked over one family."""
    scheme, host, path = re.fullmatch(r"(https?)://([^/]+)(/.*)", url).groups()  # type: ignore[union-attr]
    port = ports[scheme]
    done = subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--insecure", "--noproxy", "*", "--max-time", "30", version),
            *("--globoff", "--write-out", f"\n{shown}", "--connect-to", f"{host}:{port}:{FAMILIES[family]}:{port}"),
            *(*options, f"{scheme}://{host}:{port}{path}"),
        ],
        stdin=stdin or subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    body, _, told = done.stdout.rpartition("\n")
    # 55: what it still sends is not taken any more; the answer has come all the same, or `shown` says that it has not.
    assert done.returncode in (0, 55), done.stderr
    return body, told


def _is_ready(ports: Mapping[str, int], servers: Mapping[str, int | Sequence[int]]) -> bool:
    """Whether it listens, and has found its applications healthy."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", ports["https"])) != 0:
            return False
    for application in servers:
        shown = ["curl", "--silent", "--noproxy", "*", f"http://127.0.0.1:{ports['inside']}/stats;csv"]
        lines = subprocess.run(shown, capture_output=True, text=True, check=True).stdout.splitlines()
        mine = [line.split(",") for line in lines if line.startswith(f"app-{application},{application}-")]
        if not mine or any(not one[17].startswith("UP") or one[36] in ("", "INI", "* ") for one in mine):
            return False
    return True
