"""Visitors of every sort while something happens: `with Visitors(hive, ["example.com"]) as visitors: ...`."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.lab.hive import Hive

PROGRAM = Path(__file__).with_name("visiting.py")
KINDS = ("fresh", "kept", "h2")


class Visitors:
    """The visitors of `hosts`; afterwards `requests` (by kind and family) and `failed` are known."""

    def __init__(
        self,
        hive: Hive,
        hosts: Sequence[str],
        kinds: Sequence[str] = KINDS,
        *,
        websocket: str = "",
        download_seconds: int = 20,
        seconds: int = 900,
    ) -> None:
        self._prober = hive.paths.name("prober")
        self._told = {
            "hosts": list(hosts),
            "scheme": hive.scheme,
            "flag": f"/tmp/stop-{time.monotonic_ns()}",
            "seconds": seconds,
            "kinds": list(kinds),
            "websocket": websocket,
            "download": download_seconds,
        }
        self.requests: dict[str, int] = {}
        self.failed: list[str] = []

    def __enter__(self) -> Visitors:
        self._process = subprocess.Popen(
            ["docker", "exec", self._prober, "python3", "-c", PROGRAM.read_text(), json.dumps(self._told)],
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["docker", "exec", self._prober, "touch", str(self._told["flag"])], check=True)
        out, err = self._process.communicate(timeout=180)
        if error is None:
            assert self._process.returncode == 0, err
            result = json.loads(out)
            self.requests, self.failed = result["requests"], result["failed"]
