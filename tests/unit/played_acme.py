"""An ACME directory that is played over http (RFC 8555): no signature is checked, all the rest is as an order goes."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PROBLEM = "urn:ietf:params:acme:error:"


@dataclass
class Directory:
    """What it does, and what was asked of it."""

    url: str = ""
    refused_nonces: int = 0  # of the next requests
    refused_order: tuple[str, str] | None = None  # kind, detail
    wrong: dict[str, tuple[str, str]] = field(default_factory=dict)  # name -> kind, detail of its challenge
    pending: int = 0  # how often an authorization is asked for until it is looked at
    processing: int = 0  # how often an order is asked for until it is made
    retry_after: str | None = None  # with what is not through yet
    offers: str = "http-01"
    drips: bool = False  # whether the certificate comes a byte at a time, and never all of it
    valid: bool = False  # whether it knows of an earlier proof
    accounts: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  # paths, in order
    bodies: dict[str, Any] = field(default_factory=dict)  # path -> the last payload
    names: list[str] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)
    strange: bool = False  # whether what it gives is of another key
    chain: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def authorization(self, name: str) -> dict[str, Any]:
        challenge: dict[str, Any] = {
            "type": self.offers,
            "url": f"{self.url}/challenge/{name}",
            "token": base64.urlsafe_b64encode(name.encode().ljust(32, b"-")).decode().rstrip("="),
            "status": "pending",
        }
        status = "valid" if self.valid else "pending"
        if name in self.answered:
            if self.pending > 0:
                self.pending -= 1
            elif name in self.wrong:
                kind, detail = self.wrong[name]
                status = challenge["status"] = "invalid"
                challenge["error"] = {"type": PROBLEM + kind, "detail": detail, "status": 403}
            else:
                status = challenge["status"] = "valid"
        return {
            "identifier": {"type": "dns", "value": name},
            "status": status,
            "expires": "2099-01-01T00:00:00Z",
            "challenges": [challenge],
        }

    def order(self) -> dict[str, Any]:
        order: dict[str, Any] = {
            "status": "pending",
            "identifiers": [{"type": "dns", "value": name} for name in self.names],
            "authorizations": [f"{self.url}/authorization/{name}" for name in self.names],
            "finalize": f"{self.url}/finalize",
        }
        if self.chain and self.processing > 0:
            self.processing -= 1
            order["status"] = "processing"
        elif self.chain:
            order |= {"status": "valid", "certificate": f"{self.url}/certificate"}
        elif self.valid or self.answered.issuperset(self.names):
            order["status"] = "ready"
        return order

    def sign(self, request: bytes) -> None:
        wanted = x509.load_der_x509_csr(request)
        names = wanted.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert sorted(names.get_values_for_type(x509.DNSName)) == sorted(self.names)
        now = datetime.datetime.now(datetime.UTC)
        key, issuer = (
            ec.generate_private_key(ec.SECP256R1()),
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Played")]),
        )
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(issuer)
            .public_key(key.public_key() if self.strange else wanted.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=90))
            .add_extension(names, critical=False)
            .sign(key, hashes.SHA256())
        )
        self.chain = leaf.public_bytes(serialization.Encoding.PEM).decode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    played: ClassVar[Directory]

    def do_GET(self) -> None:
        url = self.played.url
        self._answer(200, {one: f"{url}/{one}" for one in ("newNonce", "newAccount", "newOrder", "revokeCert")})

    def do_HEAD(self) -> None:
        self._answer(200, None)

    def do_POST(self) -> None:
        signed = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        payload = base64.urlsafe_b64decode(signed["payload"] + "==")
        body = json.loads(payload) if payload else None
        with self.played.lock:
            self._post(self.path, body)

    def _post(self, path: str, body: Any) -> None:
        played = self.played
        played.asked.append(path)
        if played.refused_nonces:
            played.refused_nonces -= 1
            self._problem("badNonce", "JWS has an invalid anti-replay nonce")
            return
        played.bodies[path] = body
        match path.split("/")[1:]:
            case ["newAccount"]:
                played.accounts.append(body)
                self._answer(201, {"status": "valid"}, Location=f"{played.url}/account/{len(played.accounts)}")
            case ["newOrder"] if played.refused_order:
                self._problem(*played.refused_order)
            case ["newOrder"]:
                played.names = [one["value"] for one in body["identifiers"]]
                self._answer(201, played.order(), Location=f"{played.url}/order")
            case ["authorization", name]:
                found = played.authorization(name)
                self._answer(200, found, **self._later(found["status"] == "pending"))
            case ["challenge", name]:
                played.answered.add(name)
                found = played.authorization(name)["challenges"][0] | {"status": "pending"}
                self._answer(200, found, Link=f'<{played.url}/authorization/{name}>;rel="up"')
            case ["order"]:
                order = played.order()
                self._answer(200, order, **self._later(order["status"] == "processing"))
            case ["finalize"]:
                played.sign(base64.urlsafe_b64decode(body["csr"] + "=="))
                self._answer(200, played.order() | {"status": "processing"})
            case ["certificate"] if played.drips:
                self._drip()
            case ["certificate"]:
                self._answer(200, played.chain)
            case _:
                self._problem("malformed", f"no such thing: {path}")

    def _drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        with contextlib.suppress(OSError):  # nobody reads on
            for _ in range(100):
                self.wfile.write(b" ")
                time.sleep(0.1)

    def _later(self, is_not_through: bool) -> dict[str, str]:
        after = self.played.retry_after
        return {"Retry-After": after} if after and is_not_through else {}

    def _problem(self, kind: str, detail: str) -> None:
        self._answer(400, {"type": PROBLEM + kind, "detail": detail}, "application/problem+json")

    def _answer(self, status: int, body: Any, content_type: str = "application/json", **headers: str) -> None:
        text = body if isinstance(body, str) else json.dumps(body) if body is not None else ""
        self.send_response(status)
        self.send_header("Replay-Nonce", base64.urlsafe_b64encode(b"nonce").decode())
        self.send_header("Content-Type", "application/pem-certificate-chain" if isinstance(body, str) else content_type)
        self.send_header("Content-Length", str(len(text)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """What was asked stands in `asked`."""


@contextlib.contextmanager
def directory(**does: Any) -> Iterator[Directory]:
    """One that is up meanwhile, at `url`."""
    played = Directory(**does)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"played": played}))
    played.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield played
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
