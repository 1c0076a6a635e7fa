"""The proxy, through the volume that is shared with it: challenges answered, certificates made live.

A challenge needs no server of its own: the answer is the token and the account's thumbprint, so the proxy is told
the thumbprint once and answers every challenge from then on; what other servers may have (others.py) it answers with
from the same map. A certificate takes its file's place by rename, then
that in the running proxy through the admin socket: no reload, no connection lost. Leaves alone: the configuration.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import http.client
import json
import os
import re
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from certjob.certificate import Certificate, read

CHALLENGE = "/.well-known/acme-challenge/"
HANDED = "/.well-known/apiary-certificate/"
HANDED_BYTES = 1 << 16  # more than the proxy answers with
# What is no certificate in the map: the account's, and one word about all that is handed out, by which another server
# sees that it has changed (playbooks/roles/swarm/files/apiary_certificates.py).
THUMBPRINT, SUM = "thumbprint", "0" * 32
SECONDS = 10.0
POLL = 0.25
SERVED, WAITS = "now served: ", "for the proxy to serve: "  # what has become of a certificate


class ProxyError(Exception):
    """One line: what the proxy did not do."""


@dataclass(frozen=True)
class Proxy:
    """The proxy `host`, with its volume at `root`."""

    host: str
    root: Path = Path("/etc/haproxy")
    http_port: int = 80
    https_port: int = 443

    @property
    def certificates(self) -> Path:
        """Where it has keys and certificates."""
        return self.root / "certs"

    @property
    def _map(self) -> Path:
        return self.root / "acme.map"

    def at(self, address: str) -> Proxy:
        """Another server's, of which only the door is known."""
        return replace(self, host=address)

    def own(self) -> dict[str, Certificate | None]:
        """name -> certificate, for names that the stack file has a certificate of its own for."""
        found: dict[str, Certificate | None] = {}
        for path, names in self._listed().items():
            if path.parent.name == "own":
                found |= dict.fromkeys(names, read(path.read_text()) if path.exists() else None)
        return found

    def _listed(self) -> dict[Path, list[str]]:
        """File -> the names that it is for, as the live configuration has them."""
        try:
            named = re.search(r" crt-list (\S+) ", (self.root / "haproxy.cfg").read_text())
            lines = Path(named[1]).read_text().splitlines() if named else []
        except FileNotFoundError:
            return {}
        return {Path(path): names for path, *names in map(str.split, lines)}

    def ready(self) -> bool:
        """Whether the proxy, or hasetup, has been here; what comes next may be put there then."""
        if not (self.certificates.is_dir() or (self.root / "run" / "proxy").exists()):
            return False
        self.certificates.mkdir(mode=0o700, exist_ok=True)
        return True

    def learn(self, thumbprint: str) -> None:
        """Have challenges answered for the account with this thumbprint, now and after every restart."""
        self._tell({**self._told(), THUMBPRINT: thumbprint})

    def hands(self) -> dict[str, str]:
        """What it hands to other servers: name -> a word (others.py)."""
        return {name: word for name, word in self._told().items() if name not in (THUMBPRINT, SUM)}

    def hand(self, name: str, word: str) -> None:
        """Have `word` handed to whoever asks for `name`, now and after every restart."""
        self._tell({**self._told(), name: word})

    def hand_only(self, names: Collection[str]) -> None:
        """Have nothing handed out but what has one of these names."""
        told = self._told()
        self._tell({name: word for name, word in told.items() if name == THUMBPRINT or name in names})

    def _told(self) -> dict[str, str]:
        lines = self._map.read_text().splitlines() if self._map.exists() else []
        return dict(line.split(" ", 1) for line in lines if " " in line)

    def _tell(self, wanted: Mapping[str, str]) -> None:
        """Make this what the proxy answers with: in its map, and in what it has read of it."""
        handed = sorted(one for one in wanted.items() if one[0] not in (THUMBPRINT, SUM))
        wanted = {name: word for name, word in wanted.items() if name != SUM}
        if handed:  # last of all: whoever sees it change finds what has
            wanted |= {SUM: hashlib.sha256(json.dumps(handed).encode()).hexdigest()}
        before = self._told()
        if before != wanted:
            _write(self._map, "".join(f"{name} {word}\n" for name, word in wanted.items()), 0o644)
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):  # it reads the file when it starts
            for name in before.keys() - wanted.keys():
                self._ask(f"del map {self._map} {name}")
            for name, word in wanted.items():
                if "not found" in self._ask(f"set map {self._map} {name} {word}"):
                    self._ask(f"add map {self._map} {name} {word}")

    def handed(self, domain: str, name: str) -> str | None:
        """What it hands out by this name; None where it has nothing, or refuses. Raises TimeoutError for a dead one."""
        try:
            status, word = self._visited(domain, f"{HANDED}{name}", HANDED_BYTES)
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException) as error:
            # Told after some seconds by its neighbours, of each name anew.
            if isinstance(error, OSError) and error.errno == errno.EHOSTUNREACH:
                raise TimeoutError(str(error)) from error
            return None
        return word if status == 200 else None

    def answers(self, names: Mapping[str, object], thumbprint: str, seconds: float) -> dict[str, str]:
        """name -> what came instead of the answer to a challenge, of those that did not give it in time.

        A dead one takes its time for each name: once all time is up it is asked for no more of them.
        """
        missing = dict.fromkeys(names, "")
        deadline = time.monotonic() + seconds
        while True:
            token = secrets.token_urlsafe(16)
            for name in list(missing):
                wrong = self._challenge(name, token, f"{token}.{thumbprint}")
                if wrong is None:
                    del missing[name]
                    continue
                missing[name] = wrong
                if time.monotonic() >= deadline:
                    return {name: said or wrong for name, said in missing.items()}
            if not missing or time.monotonic() >= deadline:
                return missing
            time.sleep(POLL)

    def _challenge(self, name: str, token: str, wanted: str) -> str | None:
        try:
            status, body = self._visited(name, f"{CHALLENGE}{token}", 1000)
        except (OSError, http.client.HTTPException) as error:
            return f"it does not answer: {error}"
        return None if (status, body) == (200, wanted) else f"it answers with status {status}"

    def _visited(self, name: str, path: str, most: int) -> tuple[int, str]:
        """(status, at most so many bytes) that a visitor of `name` gets over http.

        Raises HTTPException, OSError; TimeoutError for what has not come whole in time, however steadily it drips.
        """
        connection = http.client.HTTPConnection(self.host, self.http_port, timeout=SECONDS)
        is_late = threading.Event()
        try:
            connection.connect()
            limit = threading.Timer(SECONDS, _cut, (connection.sock, is_late))
            limit.start()
            try:
                connection.request("GET", path, headers={"Host": name})
                answer = connection.getresponse()
                body = answer.read(most).decode(errors="replace").strip()
            finally:
                limit.cancel()
                if is_late.is_set():
                    raise TimeoutError(f"it has not come to an end in {SECONDS:.0f} s")
        finally:
            connection.close()
        return answer.status, body

    def install(self, domain: str, pem: str, name: str, seconds: float) -> str:
        """Put a certificate in the domain's place, in the file and in the running proxy; what was done, if anything.

        `name` is one that it is served for: the domain itself may have a certificate of the stack file's. One that the
        proxy is not set up for yet waits in its file: hasetup takes it from there.

        Raises ProxyError when the proxy runs and does not serve it in time; the file is in place then.
        """
        path = self.certificates / f"{domain}.pem"
        known = read(pem)
        if known is None:
            raise ProxyError(f"the certificate for {domain} is broken, or its key is another's; it was not installed")
        with _locked(self.certificates / "lock"):
            changed = not path.exists() or path.read_text(errors="replace") != pem
            if changed:
                _write(path, pem, 0o600)
        deadline = time.monotonic() + seconds
        while True:
            served = self._served(name)
            if served == known.der:
                return SERVED if changed else ""
            if served is None or name not in self._listed().get(path, ()):
                return WAITS if changed else ""
            said, changed = self._set(path, pem), True
            if self._served(name) == known.der:
                return SERVED
            # It may just be about to reload, and to read the file itself.
            if time.monotonic() >= deadline:
                raise ProxyError(
                    f"{path} is in place, but the running proxy serves another: {said.strip() or 'no answer'}"
                )
            time.sleep(POLL)

    def _set(self, path: Path, pem: str) -> str:
        """What the running proxy says to a file's new content."""
        # An empty line would end the payload.
        payload = "\n".join(line for line in pem.splitlines() if line.strip())
        said = self._ask(f"set ssl cert {path} <<\n{payload}\n")
        if "Transaction" in said:
            said = self._ask(f"commit ssl cert {path}")
            if "Success" not in said:
                self._ask(f"abort ssl cert {path}")
        return said

    def _served(self, name: str) -> bytes | None:
        """The certificate that a visitor of `name` gets now, b"" for none; None while the proxy does not run."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with socket.create_connection((self.host, self.https_port), SECONDS) as plain:
                try:
                    with context.wrap_socket(plain, server_hostname=name) as visitor:
                        return visitor.getpeercert(binary_form=True) or b""
                except OSError:  # ssl.SSLError is one
                    return b""
        except OSError:
            return None

    def _ask(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SECONDS)
            connection.connect(str(self.root / "run" / "admin.sock"))
            connection.sendall(command.encode() + b"\n")
            answer = bytearray()
            while chunk := connection.recv(65536):
                answer += chunk
        return answer.decode(errors="replace")


def _cut(connection: socket.socket, is_late: threading.Event) -> None:
    is_late.set()
    with contextlib.suppress(OSError):  # it has just ended
        connection.shutdown(socket.SHUT_RDWR)


def _write(path: Path, text: str, mode: int) -> None:
    """Whole and on the disk before it takes the name; the same as hasetup/files.py."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # In a container the number is the same at every start: what a killed run left is written over.
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """hasetup and the start of the proxy take it too: nobody replaces what another is just putting there."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
