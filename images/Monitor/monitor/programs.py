"""Prometheus, Alertmanager and blackbox exporter as processes: started together, ended together, told of changes."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from monitor import config, rules
from monitor.settings import Told
from monitor.watch import Watch

FILES = Path("/dev/shm/monitor")  # noqa: S108 - in memory: they hold secrets
DATA = Path("/var/lib/monitor")
TEMPLATES = Path("/usr/share/apiary/alerts.tmpl")
SYSTEM_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
KEPT = "30h"  # the page shows a day
END_SECONDS = 8
# Little memory for a little more work.
SPARING = {"GOGC": "20", "GOMAXPROCS": "1"}


@dataclass(frozen=True)
class Program:
    """One of them."""

    name: str
    words: tuple[str, ...]
    port: int


def programs(files: Path, data: Path, interval: int) -> tuple[Program, ...]:
    """In the order in which they are started. `interval`: seconds between two looks."""
    here = config.HERE
    return (
        Program(
            "blackbox exporter",
            (
                "prometheus-blackbox-exporter",
                f"--config.file={files / 'blackbox.yml'}",
                f"--web.listen-address={here}:{config.BLACKBOX}",
                "--log.level=warn",
            ),
            config.BLACKBOX,
        ),
        Program(
            "alertmanager",
            (
                "prometheus-alertmanager",
                f"--config.file={files / 'alertmanager.yml'}",
                f"--storage.path={data / 'alertmanager'}",
                f"--web.listen-address={here}:{config.ALERTMANAGER}",
                # What has been told is not told again after a power cut.
                f"--data.maintenance-interval={interval}s",
                # One alone needs no peers.
                "--cluster.listen-address=",
                "--log.level=warn",
            ),
            config.ALERTMANAGER,
        ),
        Program(
            "prometheus",
            (
                "prometheus",
                f"--config.file={files / 'prometheus.yml'}",
                f"--storage.tsdb.path={data / 'prometheus'}",
                f"--storage.tsdb.retention.time={KEPT}",
                f"--web.listen-address={here}:{config.PROMETHEUS}",
                "--web.enable-lifecycle",
                # What Alertmanager was not there for it is told at the next look, not a minute later.
                f"--rules.alert.resend-delay={interval}s",
                # What was so before an end and is so still goes on being so, since when it was.
                "--rules.alert.for-grace-period=0s",
                f"--rules.alert.for-outage-tolerance={KEPT}",
                "--query.max-concurrency=2",
                "--log.level=warn",
            ),
            config.PROMETHEUS,
        ),
    )


def texts(watch: Watch, told: Told, files: Path) -> dict[str, str]:
    """Every file of their configuration by its name, in the order in which they are to be written."""
    authorities: dict[str, str] = {}
    if told.authorities:
        system = SYSTEM_AUTHORITIES.read_text() if SYSTEM_AUTHORITIES.is_file() else ""
        authorities["authorities.pem"] = system + told.authorities
    return {
        **authorities,
        "rules.yml": rules.render(watch, told.interval, told.disks),
        "prometheus.yml": config.prometheus(watch, told.interval, str(files / "rules.yml"), told.disks),
        "blackbox.yml": config.blackbox(watch, str(files / "authorities.pem") if authorities else None),
        "alertmanager.yml": config.alertmanager(watch, told.interval, str(TEMPLATES)),
    }


def write(found: Mapping[str, str], files: Path) -> bool:
    """Each whole and at once; whether any of them was another."""
    files.mkdir(mode=0o700, parents=True, exist_ok=True)
    changed = False
    for name, text in found.items():
        path = files / name
        if path.is_file() and path.read_text() == text:
            continue
        beside = path.with_suffix(".new")
        beside.touch(mode=0o600)
        beside.write_text(text)
        beside.replace(path)
        changed = True
    return changed


class Running:
    """All of them."""

    def __init__(self, wanted: Sequence[Program], environment: Mapping[str, str]) -> None:
        self._wanted = wanted
        self._processes = [
            subprocess.Popen(program.words, env={**SPARING, **environment}, stdin=subprocess.DEVNULL)
            for program in wanted
        ]

    def ended(self) -> str | None:
        """Which one has ended, and how; None while all run."""
        for program, process in zip(self._wanted, self._processes, strict=True):
            if (status := process.poll()) is not None:
                return f"{program.name} has ended with status {status}"
        return None

    def well(self) -> bool:
        """Whether every one of them answers."""
        return all(
            _asked(program.port, "GET", "/-/ready" if program.port != config.BLACKBOX else "/-/healthy")[0]
            for program in self._wanted
        )

    def reload(self) -> list[str]:
        """Have them read their files again; what the ones that refused say. Those go on as before."""
        refused = []
        for program in self._wanted:
            good, said = _asked(program.port, "POST", "/-/reload")
            if not good:
                refused.append(f"{program.name}: {said}")
        return refused

    def stop(self) -> None:
        """End them; what has not ended after END_SECONDS is killed."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _asked(port: int, method: str, path: str) -> tuple[bool, str]:
    connection = http.client.HTTPConnection(config.HERE, port, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        said = answer.read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return False, repr(error)
    else:
        return answer.status == http.client.OK, said
    finally:
        connection.close()


def environment() -> dict[str, str]:
    """What the programs see of this one's environment: nothing that is meant for it."""
    return {key: os.environ[key] for key in ("PATH", "HOME", "TZ") if key in os.environ}


def say(text: str) -> None:
    """One line of the log."""
    print(f"monitor: {text}", file=sys.stderr, flush=True)
