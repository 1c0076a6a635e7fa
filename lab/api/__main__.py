"""`python -m lab.api --dir DIR`: runs the emulator in the foreground until SIGTERM or SIGINT.

When ready it writes DIR/run/api.json {"pid", "proxy_port", "control_port", "ca"}. Ports are kept from the
last run when they are free, so that a shell set up for the lab stays valid. One emulator runs for one DIR.
"""

import argparse
import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TypeVar

import uvicorn
from starlette.types import ASGIApp

from lab.api.addresses import Addresses
from lab.api.authority import HOST, prepare
from lab.api.backend import load_backend
from lab.api.connect import ConnectProxy, upstream_of
from lab.api.control import control
from lab.api.faults import Faults
from lab.api.files import write_atomically
from lab.api.machines import Machines
from lab.api.region import Region
from lab.api.requestlog import RequestLog
from lab.api.service import Service
from lab.api.store import Store

T = TypeVar("T")
log = logging.getLogger("lab.api")


class _Server(uvicorn.Server):
    """uvicorn without its signal handling: there are two of them here, and one shutdown for all."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(app: ASGIApp, context: ssl.SSLContext | None) -> _Server:
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", proxy_headers=False, server_header=False,
        timeout_keep_alive=120, timeout_graceful_shutdown=3, http="h11", ws="none",
        ssl_context_factory=(lambda *_: context) if context else None,
    )  # fmt: skip
    return _Server(config)


async def _socket(port: int) -> socket.socket:
    # With the protocol named, asyncio sets TCP_NODELAY; without it each answer waits 40 ms for a delayed ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener


async def _kept(take: Callable[[int], Awaitable[T]], wanted: int, last: int) -> T:
    """Take the wanted port; without one, the last one if it is free, else any."""
    for port in [wanted] if wanted else [last, 0]:
        try:
            return await take(port)
        except OSError as error:
            if port == wanted:
                raise SystemExit(f"lab.api: can't listen on 127.0.0.1:{port}: {error.strerror}") from error
    raise SystemExit("lab.api: no free port")


async def run(options: argparse.Namespace) -> None:
    """Serve until a signal comes."""
    directory: Path = options.dir
    store = Store(directory / "region.json")
    last = store.table("emulator")
    context, bundle = prepare(directory)
    backend = load_backend(options.backend, directory)
    machines = Machines(store, backend)
    region = Region(store, Addresses(store, options.ipv4_net, options.ipv6_net), machines)
    faults, requests = Faults(store), RequestLog(directory / "log" / "api-requests.jsonl")

    tls, plain = await _socket(0), await _kept(_socket, 0, int(last.get("control_port", 0)))
    own_ports = {options.port, int(last.get("proxy_port", 0))} - {0}
    upstream = upstream_of(os.environ, own_ports, str(last.get("upstream", "")))
    proxy = ConnectProxy(HOST, tls.getsockname()[1], upstream)
    proxy_port = await _kept(proxy.listen, options.port, int(last.get("proxy_port", 0)))
    control_port = plain.getsockname()[1]
    last.update(proxy_port=proxy_port, control_port=control_port, upstream=upstream.url)
    store.save()

    api = _server(Service(region, faults, requests), context)
    handle = _server(control(region, faults, requests), None)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    serving = [asyncio.create_task(api.serve([tls])), asyncio.create_task(handle.serve([plain]))]
    machines.resume()
    ready = directory / "run" / "api.json"
    content = {"pid": os.getpid(), "proxy_port": proxy_port, "control_port": control_port, "ca": str(bundle)}
    write_atomically(ready, json.dumps(content).encode())
    log.info("ready: proxy 127.0.0.1:%s, control 127.0.0.1:%s", proxy_port, control_port)

    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([stopped, *serving], return_when=asyncio.FIRST_COMPLETED)
    ready.unlink(missing_ok=True)
    api.should_exit = handle.should_exit = True
    await proxy.close()
    await asyncio.gather(*serving)
    await machines.close()
    store.save()
    stopped.cancel()


def main() -> None:
    """Read the command line, take the lock of DIR, run."""
    parser = argparse.ArgumentParser(prog="python -m lab.api", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="the lab's directory")
    parser.add_argument("--port", type=int, default=0, help="port of the proxy; 0 keeps the last one, or any")
    parser.add_argument("--backend", choices=["servers", "memory"], default="servers")
    parser.add_argument("--ipv4-net", type=IPv4Network, default=IPv4Network("10.88.0.0/16"),
                        help="the lab's network; servers get addresses of its second /20")  # fmt: skip
    parser.add_argument("--ipv6-net", type=IPv6Network, default=IPv6Network("2001:db8:77::/48"))
    options = parser.parse_args()
    options.dir = options.dir.resolve()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    (options.dir / "run").mkdir(parents=True, exist_ok=True)
    with (options.dir / "run" / "api.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SystemExit(f"lab.api: an emulator already runs for {options.dir}; stop it first") from error
        asyncio.run(run(options))


if __name__ == "__main__":
    main()
