"""The emulator of the Vultr API as a background process of the lab: start, stop, and its control endpoint.

Makes: one process (`python -m lab.api`), its log `.lab/log/api.log`; `.lab/run/api.json` is the emulator's
own word on where it listens. Leaves alone: the region's state, which is the emulator's.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from lab.network import SITE, Plan
from lab.paths import CHECKOUT, Paths
from lab.shell import LabError, say, wait_for

START_SECONDS = 60.0  # a second on an idle machine
STOP_SECONDS = 15.0
ACTION_SECONDS = 120.0  # a reboot or a deletion, with the machine's own shutdown


def info(paths: Paths) -> dict[str, Any] | None:
    """api.json of an emulator whose process lives: pid, proxy_port, control_port, ca. None when none runs."""
    try:
        known: dict[str, Any] = json.loads((paths.run / "api.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return known if _is_emulator(int(known["pid"])) else None


def ensure(paths: Paths, plan: Plan) -> bool:
    """An emulator that answers; whether it had to be started. Raises LabError."""
    known = info(paths)
    if known and _answers(paths):
        return False
    if known:
        stop(paths)
    (paths.run / "api.json").unlink(missing_ok=True)
    log = paths.log / "api.log"
    command = [
        sys.executable,
        "-m",
        "lab.api",
        "--dir",
        str(paths.root),
        "--port",
        "0",
        "--ipv4-net",
        plan.subnet,
        "--ipv6-net",
        SITE,
    ]
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={
                key: value
                for key, value in os.environ.items()
                if (key, value) != ("SSL_CERT_FILE", str(paths.root / "ca.pem"))
            },
        )
    up = wait_for(lambda: process.poll() is not None or _answers(paths), START_SECONDS)
    if not up or process.poll() is not None:
        if process.poll() is None:
            process.kill()
        tail = "\n    ".join(log.read_text(errors="replace").splitlines()[-8:])
        raise LabError(
            "starting the emulator of the Vultr API",
            f"it does not answer; {log} ends:\n    {tail}",
            "end what holds its port, or read the log; then run `up` again",
        )
    return True


def stop(paths: Paths) -> None:
    """Ends the emulator, if it runs."""
    known = info(paths)
    if known:
        pid = int(known["pid"])
        os.kill(pid, signal.SIGTERM)
        if not wait_for(lambda: not _is_emulator(pid), STOP_SECONDS):
            say(f"the emulator (process {pid}) does not end by itself; killing it")
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not _is_emulator(pid), STOP_SECONDS)
    (paths.run / "api.json").unlink(missing_ok=True)


def request(paths: Paths, method: str, path: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
    """The answer of the control endpoint, parsed. Raises LabError with the emulator's own message."""
    step = f"asking the emulator ({method} {path})"
    known = info(paths)
    if known is None:
        raise LabError(step, "it does not run", f"{paths.verb} up")
    data = None if body is None else json.dumps(body).encode()
    call = urllib.request.Request(
        f"http://127.0.0.1:{int(known['control_port'])}{path}",
        data=data,
        method=method,
        headers={"Content-Type": "application/json"},
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(call, timeout=ACTION_SECONDS) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        raise LabError(step, _message(error)) from None
    except OSError as error:
        raise LabError(step, str(error), f"read {paths.log / 'api.log'}; {paths.verb} up restarts it") from None
    return json.loads(content) if content.strip() else None


def environment(paths: Paths) -> dict[str, str]:
    """The variables with which `pulumi` works on the lab. Raises LabError when the region is not up."""
    known = info(paths)
    if known is None:
        raise LabError("lab env", "the region is not up", f"{paths.verb} up")
    proxy, none = f"http://127.0.0.1:{int(known['proxy_port'])}", "127.0.0.1,localhost"
    binaries = f"{CHECKOUT / '.venv' / 'bin'}:{paths.bin}"
    path = os.environ.get("PATH", "/usr/bin:/bin")
    return {
        "PATH": path if path.startswith(binaries) else f"{binaries}:{path}",
        "APIARY_LAB_DIR": str(paths.root),
        "STACK": paths.stack,  # for `make`
        "PULUMI_HOME": str(paths.pulumi),
        "PULUMI_BACKEND_URL": f"file://{paths.state}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE": "lab",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "GOGC": "400",  # the CLI lives for seconds: what it does not collect goes with it
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "NO_PROXY": none,
        "no_proxy": none,
        # A visitor of the lab's sites is in the region: nothing of it leads to this machine.
        "APIARY_VISITOR": f"docker exec -i {paths.name('prober')}",
        "SSL_CERT_FILE": str(known.get("ca") or paths.root / "ca.pem"),
    }


def _message(error: urllib.error.HTTPError) -> str:
    """The emulator's own words, where it has any."""
    text = error.read().decode(errors="replace").strip()
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text or str(error)


def _answers(paths: Paths) -> bool:
    known = info(paths)
    if known is None:
        return False
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://127.0.0.1:{int(known['control_port'])}/state", timeout=5):
            return True
    except OSError:
        return False


def _is_emulator(pid: int) -> bool:
    """Whether the process lives and is an emulator: a pid alone may have a new owner."""
    process = Path(f"/proc/{pid}")
    try:
        dead = (process / "stat").read_text().rsplit(")", 1)[1].split()[0] in {"Z", "X"}
        return not dead and b"lab.api" in (process / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
