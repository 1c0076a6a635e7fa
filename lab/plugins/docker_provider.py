"""The docker plugin's provider, and what its resource types share: the engine and the pace of waiting."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable

from lab.plugins.docker_engine import Engine, EngineError
from provider.protocol.base import CheckFailure, Context, Failure, Plugin, Props, Resource
from provider.protocol.bridge import BridgedResource

DEFAULT_HOST = "unix:///var/run/docker.sock"
# Seconds between looks at a change of state: before the first, at least, at most, and in all.
WAIT_FIRST, WAIT_LEAST, WAIT_MOST, WAIT_LIMIT = 2.0, 5.0, 10.0, 30.0


class DockerPlugin(Plugin):
    """The provider: its inputs, and the one engine it stands for."""

    def __init__(self, version: str, resources: list[Resource]) -> None:
        super().__init__("docker", version, resources)
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    def check_config(self, ctx: Context, olds: Props, news: Props) -> tuple[Props, list[CheckFailure]]:
        """Fill in the host and spell nested values as compact JSON."""
        inputs = dict(news)
        if inputs.get("host") is None:
            inputs["host"] = os.environ.get("DOCKER_HOST") or DEFAULT_HOST
        for name in ("sshOpts", "registryAuth"):
            if isinstance(inputs.get(name), str):
                try:
                    inputs[name] = json.dumps(json.loads(inputs[name]), separators=(",", ":"), ensure_ascii=False)
                except ValueError as error:
                    return inputs, [CheckFailure(name, f"{name} must be a JSON list: {error}")]
        return inputs, []

    def configure(self, ctx: Context, args: Props) -> None:
        """A unix socket must answer at once; ssh is not contacted before the first operation."""
        if str(args.get("host") or DEFAULT_HOST).startswith("unix://"):
            try:
                Engine(str(args.get("host") or DEFAULT_HOST), []).prepare()
            except EngineError as error:
                text = "docker native provider returned an unexpected error from Configure: "
                raise Failure(text + "failed to connect to any docker daemon") from error

    @property
    def engine(self) -> Engine:
        """The engine of this provider."""
        with self._lock:
            if self._engine is None:
                options = self.config.get("sshOpts") or "[]"
                unchecked = str(self.config.get("disableDockerDaemonCheck") or "").lower() == "true"
                self._engine = Engine(
                    str(self.config.get("host") or DEFAULT_HOST),
                    list(json.loads(options) if isinstance(options, str) else options),
                    check=not unchecked,
                )
            return self._engine


class DockerResource(BridgedResource):
    """What the three types share."""

    def engine(self, ctx: Context) -> Engine:
        """The provider's engine, pinged on first use."""
        plugin = ctx.plugin
        if not isinstance(plugin, DockerPlugin):
            raise TypeError(f"{type(plugin).__name__} is not the docker plugin")
        try:
            plugin.engine.prepare()
        except EngineError as error:
            raise Failure(str(error)) from error
        return plugin.engine


def wait_until_removed(look: Callable[[], str]) -> None:
    """Call `look` until it says "removed", at the official plugin's pace. Raises Failure after 30 s."""
    started, pause, state = time.monotonic(), WAIT_FIRST, ""
    growing = 0.1
    while time.monotonic() - started + pause < WAIT_LIMIT:
        time.sleep(pause)
        state = look()
        if state == "removed":
            return
        growing *= 2
        pause = growing = min(max(growing, WAIT_LEAST), WAIT_MOST)
    time.sleep(max(0.0, WAIT_LIMIT - (time.monotonic() - started)))
    raise Failure(f"timeout while waiting for state to become 'removed' (last state: '{state}', timeout: 30s)")
