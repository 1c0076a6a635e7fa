"""An emulator as a process, for tests: started, killed, restarted, and asked through its own proxy."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from lab.api import limiter

_CHECKOUT = Path(__file__).resolve().parents[2]
API = "https://api.vultr.com"


class Patient(httpx.HTTPTransport):
    """Sends again what the region's own limit refused: tests of other things ask as fast as they can."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        while (answer := super().handle_request(request)).status_code == 429 and _is_limit(answer):
            answer.close()
            time.sleep(0.05)
        return answer


def _is_limit(answer: httpx.Response) -> bool:
    answer.read()
    return answer.content == json.dumps(limiter.BODY, separators=(",", ":")).encode()


class Emulator:
    """`python -m lab.api` for one directory; `api` speaks to it by the proxy, `control` to the handle."""

    def __init__(self, directory: Path, *options: str, environment: dict[str, str] | None = None) -> None:
        self.directory = directory
        self._options = options or ("--backend", "memory")
        self._environment = {**os.environ, "HTTPS_PROXY": "", "https_proxy": "", **(environment or {})}
        self.log = directory / "emulator.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.end(signal.SIGTERM)

    def start(self, seconds: float = 20) -> None:
        """Start and wait until it is ready. RuntimeError with the log when it does not get there."""
        self.directory.mkdir(parents=True, exist_ok=True)
        ready = self.directory / "run" / "api.json"
        ready.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lab.api", "--dir", str(self.directory), *self._options],
                cwd=_CHECKOUT, env=self._environment, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + seconds
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError(f"the emulator did not start:\n{self.log.read_text()}")
            time.sleep(0.02)
        self.info: dict[str, Any] = json.loads(ready.read_text())
        self.proxy = f"http://127.0.0.1:{self.info['proxy_port']}"
        context = ssl.create_default_context(cafile=self.info["ca"])
        self.api = httpx.Client(
            base_url=API, trust_env=False, timeout=20, headers={"Authorization": "Bearer a-key"},
            transport=Patient(proxy=self.proxy, verify=context),
        )  # fmt: skip
        self.control = httpx.Client(
            base_url=f"http://127.0.0.1:{self.info['control_port']}", trust_env=False, timeout=20
        )

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send the signal and wait for the end."""
        self.api.close()
        self.control.close()
        self.process.send_signal(number)
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise RuntimeError(f"the emulator does not end:\n{self.log.read_text()}") from None

    def state(self) -> dict[str, Any]:
        """The state file as it is on disk."""
        state: dict[str, Any] = json.loads((self.directory / "region.json").read_text())
        return state

    def until(self, true: Callable[[], bool], seconds: float = 10) -> None:
        """Wait for it. TimeoutError when it does not come true."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise TimeoutError(f"it did not come true in {seconds} s:\n{self.log.read_text()}")
            time.sleep(0.02)

    def active(self, id_: str, seconds: float = 10) -> dict[str, Any]:
        """The instance, once it is active, its machine runs, and nothing is locked."""
        deadline = time.monotonic() + seconds
        while True:
            instance: dict[str, Any] = self.api.get(f"/v2/instances/{id_}").json()["instance"]
            if (instance["status"], instance["power_status"], instance["server_status"]) == ("active", "running", "ok"):
                return instance
            if time.monotonic() > deadline:
                raise TimeoutError(f"the instance is still {instance['status']}:\n{self.log.read_text()}")
            time.sleep(0.02)
