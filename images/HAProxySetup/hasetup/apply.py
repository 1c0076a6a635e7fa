"""A configuration made live: validated beside the live file, renamed over it, reloaded; or nothing changed.

The lock `run/lock` is held throughout. Whoever drains a server holds it shared: a reload would hide the old
worker's sessions from a drain that waits for their end.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hasetup import closed, sockets
from hasetup.access import MOST_THREADS, target
from hasetup.config import REFUSED, ROTATION
from hasetup.files import PRIVATE, write

# Takes a file, returns None when it is valid, else what the checker says.
Checker = Callable[[Path], str | None]
EMPTY_STATE = "1\n"  # the format's version and no server


class ApplyError(Exception):
    """The configuration is not live, what served before serves on; str() says why and what to do."""


@dataclass(frozen=True)
class Files:
    """The volume that is shared with the proxy."""

    root: Path = Path("/etc/haproxy")

    @property
    def live(self) -> Path:
        """What the proxy reads at its start and at every reload."""
        return self.root / "haproxy.cfg"

    @property
    def good(self) -> Path:
        """The last one that the proxy has loaded."""
        return self.root / "haproxy.cfg.good"

    @property
    def new(self) -> Path:
        """Where a new one is validated."""
        return self.root / "haproxy.cfg.new"

    @property
    def certificates(self) -> Path:
        """Keys and certificates, for the proxy's user alone."""
        return self.root / "certs"

    @property
    def acme_map(self) -> Path:
        """What the proxy knows of the ACME client's account; the client writes it."""
        return self.root / "acme.map"

    @property
    def maintenance_map(self) -> Path:
        """Which applications are closed to visitors; apiary-maintenance on the host writes it, too."""
        return self.root / "maintenance.map"

    @property
    def rotation(self) -> Path:
        """The script that decides who gets visitors."""
        return self.root / "rotation.lua"

    @property
    def refused(self) -> Path:
        """The script that answers whoever is refused."""
        return self.root / "refused.lua"

    @property
    def closed(self) -> Path:
        """There since an update has closed what it closes, before its releases."""
        return self.root / "closed"

    @property
    def released(self) -> Path:
        """There when these releases are through; the update puts it there (components/job.py)."""
        return self.root / "released"

    @property
    def run(self) -> Path:
        """Sockets, lock and saved state."""
        return self.root / "run"


def haproxy_check(path: Path) -> str | None:
    """`haproxy -c` on the file: None, or its complaints followed by the lines they are about."""
    try:
        result = subprocess.run(
            ["haproxy", "-c", "-f", str(path)],
            # In the proxy they lead to the pipe; the checker only asks whether they are set.
            env={**os.environ, **{target(way + 1): "fd@1" for way in range(MOST_THREADS)}},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "haproxy -c has not ended within 60 seconds; is the host overloaded? Run this job again"
    if result.returncode == 0:
        return None
    said = (result.stderr + result.stdout).strip()
    lines = path.read_text().splitlines()
    numbers = sorted({int(number) for number in re.findall(rf"{re.escape(str(path))}:(\d+)\]", said)})
    quoted = [f"  line {number}: {lines[number - 1].strip()[:200]}" for number in numbers]
    return "\n".join([said, *quoted])


def apply(
    text: str,
    files: Files,
    *,
    proxy: str,
    check: Checker = haproxy_check,
    lock_seconds: float = 120.0,
    force: bool = False,
) -> str:
    """Make `text` the live configuration; returns the sentence for the log. Raises ApplyError.

    `proxy` is the proxy's container name, for the messages. With `force` it is reloaded even if the text is the
    same: a file that it names has changed.
    """
    try:
        files.run.mkdir(exist_ok=True)
        with _locked(files.run / "lock", lock_seconds):
            return _apply(text, files, proxy, check, force)
    except OSError as error:
        raise ApplyError(
            f"cannot write to {files.root}: {error}; it must be the volume that {proxy} has at /etc/haproxy"
        ) from error


def _apply(text: str, files: Files, proxy: str, check: Checker, force: bool) -> str:
    before = _read(files.live)
    if before == text and _read(files.good) == text and not force:
        return f"nothing has changed, {proxy} keeps running as it is"
    write(files.rotation, ROTATION)
    write(files.refused, REFUSED)
    files.acme_map.touch()
    write(files.new, text, PRIVATE)
    if (complaint := check(files.new)) is not None:
        raise ApplyError(f"the configuration in {files.new} is not valid, {proxy} keeps the old one:\n{complaint}")
    saved = _save_state(files, text)
    entries = _read(files.maintenance_map) or ""
    # Before the proxy leads anybody to them; by former names too, as it may refuse the new configuration.
    _close(files, closed.carried(entries, [_read(files.good) or "", before or ""], text))
    files.new.replace(files.live)
    try:
        _reload(files, text)
    except sockets.NotRunningError:
        _drop(files, text)
        return f"the configuration is in place; {proxy} is not running and will pick it up when it starts"
    except (sockets.ReloadError, OSError) as error:
        # A restart must not meet what a reload has refused.
        if before is None:
            files.live.unlink()
        else:
            write(files.live, before, PRIVATE)
        _close(files, entries)
        raise ApplyError(f"{proxy} did not reload, the old configuration is back: {error}") from error
    finally:
        # Loaded or not: at any later time these addresses would be old ones.
        write(files.run / "state", EMPTY_STATE)
    write(files.good, text, PRIVATE)
    _drop(files, text)
    without = "" if saved else " (without the servers' former state)"
    return f"{proxy} has reloaded the configuration{without}"


def _drop(files: Files, text: str) -> None:
    """Forget that applications were closed which are no more."""
    _close(files, closed.dropped(_read(files.maintenance_map) or "", text))


def _close(files: Files, entries: str) -> None:
    if entries != (_read(files.maintenance_map) or ""):
        write(files.maintenance_map, entries)


def _reload(files: Files, text: str) -> None:
    sockets.reload(files.run / "master.sock")
    if _read(files.live) != text:
        raise sockets.ReloadError("it was started anew meanwhile, and has taken another one; its log says why")


def _save_state(files: Files, text: str) -> bool:
    """Slots, weights and drain flags for the new worker. A proxy that does not tell them is reloaded all the same."""
    try:
        state = sockets.ask(files.run / "admin.sock", "show servers state")
    except (sockets.NotRunningError, OSError):
        return False
    if not state.startswith("1\n"):
        return False
    write(files.run / "state", still_true(state, text))
    return True


def still_true(state: str, text: str) -> str:
    """The saved state as it serves the new worker.

    Without a server that `text` has at another host or port: the state would win over the text. And with no server
    free before one that has an address: the first answer of the DNS gives each address to the first server that has
    none, and what the state says of the one that had it (its health, that it drains) would be lost.
    """
    version, header, *lines = state.splitlines()
    columns = header.removeprefix("# ").split()
    backend, number, name = (columns.index(column) for column in ("be_name", "srv_id", "srv_name"))
    address, host, port = (columns.index(column) for column in ("srv_addr", "srv_fqdn", "srv_port"))
    rows = [line.split() for line in lines if line.strip()]
    places: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        places.setdefault(row[backend], []).append((row[number], row[name]))
    kept = []
    for row in rows:
        if row[address] != "-" and f" {row[host]}:{row[port]} " in text:
            row[number], row[name] = places[row[backend]].pop(0)
            kept.append(" ".join(row))
    return "\n".join([version, header, *kept]) + "\n"


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _locked(path: Path, seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    raise ApplyError(
                        f"{path} is still held after {seconds:.0f} seconds, by another hasetup or by a"
                        " release that drains; run this job again when it is through"
                    ) from error
                time.sleep(sockets.POLL)
            else:
                break
        yield
