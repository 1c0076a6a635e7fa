"""A real OpenSSH server of the test's own: unprivileged, on a free loopback port, with its own keys."""

from __future__ import annotations

import contextlib
import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.ports import free_port


@dataclass
class SshServer:
    """Where the server listens, and the keys to reach it with."""

    port: int
    host_key: str  # public, one line
    keys: dict[str, str]  # private keys, PEM: "ok" is authorised, "bad" is not, "pkcs8" is "ok" in another form
    process: subprocess.Popen[bytes]

    def connection(self, **more: object) -> dict[str, object]:
        """A connection input as the SDK would send it."""
        return {
            "host": "127.0.0.1", "port": self.port, "user": getpass.getuser(), "privateKey": self.keys["ok"],
            "hostKey": self.host_key, "dialErrorLimit": 1, "perDialTimeout": 15, **more,
        }  # fmt: skip


def available() -> bool:
    """Whether this machine has an SSH server program."""
    return Path("/usr/sbin/sshd").exists() and shutil.which("ssh-keygen") is not None


def new_key(path: Path, kind: str = "ed25519") -> None:
    """Make a key pair without passphrase."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "test", "-f", str(path)], check=True)


@contextlib.contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """Run a server until the block ends."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 (heavy)

    for name in ("host", "ok", "bad"):
        new_key(folder / name)
    authorised = folder / "authorized_keys"
    authorised.write_text((folder / "ok.pub").read_text())
    port = free_port()
    config = folder / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nAuthorizedKeysFile {authorised}\n"
        f"PidFile {folder}/pid\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nAcceptEnv OK_*\nMaxStartups 200:30:400\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(config)], stderr=log, stdout=log)
    try:
        wait_for_port(port, process, folder / "log")
        keys = {name: (folder / name).read_text() for name in ("ok", "bad")}
        private = serialization.load_ssh_private_key(keys["ok"].encode(), None)
        keys["pkcs8"] = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        yield SshServer(port, (folder / "host.pub").read_text(), keys, process)
    finally:
        process.terminate()
        process.wait(10)


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the server accepts connections; fails with its log."""
    end = time.monotonic() + 10
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"no SSH server: {log.read_text()}")
