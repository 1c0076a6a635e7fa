"""The way of a browser on this machine into the region: an HTTP proxy for the names of its zones, and a page about it.

Runs as the region's service `window`, beside the servers as any visitor, with the region's resolver. Serves on every
address of its container, of which the lab publishes one port on the machine's loopback:

    GET /                the sites, and what to click
    GET /proxy.pac       for a browser: these names by this proxy, everything else as before
    GET /authority.pem   who signs the sites' certificates
    CONNECT NAME:PORT, GET http://NAME/...   forwarded, for names of the region's zones alone

Leaves alone: the content, which it does not see where it is https; names outside the region, which it refuses.

    python3 forward.py --state /state/region.json --roots /state/acme/roots.pem --address http://127.0.0.1:8800
"""

from __future__ import annotations

import argparse
import html
import json
import select
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PORT = 8080
CONNECT_SECONDS, IDLE_SECONDS = 10.0, 600.0
HOP_BY_HOP = {"proxy-connection", "connection", "keep-alive", "proxy-authorization", "te", "upgrade"}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>The lab's sites</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}}
code{{background:#eee;padding:.1em .3em}}li{{margin:.2em 0}}</style>
<h1>The lab's sites</h1>
<p>{news}</p><ul>{sites}</ul>
<h2>What to click</h2>
<p><b>Firefox.</b> Settings, General, Network Settings: <i>Automatic proxy configuration URL</i>,
<code>{address}/proxy.pac</code>. Then open
<a href="/authority.pem">authority.pem</a> and tick <i>Trust this CA to identify websites</i>.</p>
<p><b>Chrome, Edge, Safari.</b> The system's proxy settings: <i>Automatic proxy configuration</i>, the same address.
Then save <a href="/authority.pem">authority.pem</a> and import it as an authority: Settings, Privacy and security,
Security, Manage certificates.</p>
<p>Take both back when you are done: the authority is made anew with each lab.</p></html>"""
PAC = """function FindProxyForURL(url, host) {{
  var zones = {zones};
  for (var i = 0; i < zones.length; i++)
    if (host == zones[i] || dnsDomainIs(host, "." + zones[i])) return "PROXY {proxy}";
  return "DIRECT";
}}
"""


class Region:
    """What the emulator has recorded, read anew at each question."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def _domains(self) -> dict[str, Any]:
        return dict(json.loads(self._state.read_text())["domains"])

    def zones(self) -> list[str]:
        """The names of the zones."""
        return sorted(self._domains())

    def sites(self) -> list[str]:
        """Every name that has a `www.` beside it, as the names of sites have."""
        found = {
            ".".join(part for part in (record["name"], zone) if part)
            for zone, domain in self._domains().items()
            for record in domain["records"]
            if record["type"] in ("A", "AAAA")
        }
        return sorted((name for name in found if f"www.{name}" in found), key=lambda name: name.split(".")[::-1])

    def has(self, name: str) -> bool:
        """Whether a name lies in one of the zones."""
        return any(name == zone or name.endswith(f".{zone}") for zone in self.zones())


class Handler(BaseHTTPRequestHandler):
    """One connection of a browser."""

    protocol_version = "HTTP/1.0"  # of what is answered here; what is forwarded is one request a connection
    region: Region
    roots: Path
    address: str

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        if (upstream := self._dial(host, int(port) if port.isdigit() else 0)) is not None:
            with upstream:
                self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
                pump(self.connection, upstream)

    def _plain(self) -> None:
        """A request for http, or one for this proxy itself."""
        parts = urlsplit(self.path)
        if not parts.netloc:
            self._own()
        elif (upstream := self._dial(parts.hostname or "", parts.port or 80)) is not None:
            path = parts._replace(scheme="", netloc="").geturl() or "/"
            lines = [f"{self.command} {path} HTTP/1.1"]
            lines += [f"{name}: {value}" for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP]
            with upstream:
                upstream.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1"))
                length = int(self.headers.get("Content-Length") or 0)
                while length > 0 and (data := self.rfile.read(min(length, 65536))):
                    upstream.sendall(data)
                    length -= len(data)
                pump(self.connection, upstream)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _plain

    def _own(self) -> None:
        proxy = urlsplit(self.address).netloc
        match self.path:
            case "/":
                self._answer("text/html; charset=utf-8", page(self.region, self.address))
            case "/proxy.pac":
                zones = json.dumps(self.region.zones())
                self._answer("application/x-ns-proxy-autoconfig", PAC.format(zones=zones, proxy=proxy))
            case "/authority.pem":
                self._answer("application/x-x509-ca-cert", self.roots.read_text())
            case _:
                self.send_error(404)

    def _answer(self, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def _dial(self, host: str, port: int) -> socket.socket | None:
        """The site itself; None when that was answered with an error."""
        name = host.lower().rstrip(".")
        if not self.region.has(name):
            self.send_error(403, explain=f"{html.escape(name)} is no name of the lab's zones")
            return None
        try:
            return socket.create_connection((name, port), timeout=CONNECT_SECONDS)
        except OSError as error:
            self.send_error(502, explain=f"{html.escape(name)}:{port}: {html.escape(str(error))}")
            return None

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: where somebody goes is theirs."""


def page(region: Region, address: str) -> str:
    """The page about the proxy."""
    names = region.sites()
    news = "Every one of them by its own name, once this browser asks this proxy for them:" if names else "None yet."
    sites = "".join(f'<li><a href="https://{html.escape(name)}/">{html.escape(name)}</a></li>' for name in names)
    return PAGE.format(news=news, sites=sites, address=html.escape(address))


def pump(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until both sides have said all, or nobody says anything for long."""
    towards = {one: other, other: one}
    open_ = {one, other}
    while open_:
        readable, _, _ = select.select(list(open_), [], [], IDLE_SECONDS)
        if not readable:
            return
        for side in readable:
            try:
                data = side.recv(65536)
                towards[side].sendall(data)
                if not data:
                    towards[side].shutdown(socket.SHUT_WR)
            except OSError:
                return  # one of them has gone
            if not data:
                open_.discard(side)


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--roots", type=Path, required=True)
    parser.add_argument("--address", required=True)
    options = parser.parse_args()
    Handler.region, Handler.roots, Handler.address = Region(options.state), options.roots, options.address
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()


if __name__ == "__main__":
    main()
