"""Remote commands over SSH for the Command stand-in: dialling, its retries, one command on one connection.

One connection a command, as the official plugin does it. Failures carry the official plugin's words.
It runs no command locally, reads no SSH configuration of the user and keeps nothing between commands.
The SSH library is imported on first use only, so that the plugin starts fast.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from lab.plugins.command_output import CommandError, Output, go_quote
from provider.protocol.base import Value

if TYPE_CHECKING:
    import asyncssh

T = TypeVar("T")
DEFAULT_LIMIT = 10
LONGEST_PAUSE = 5.0  # longest wait between two dials, seconds
SIGNALS = {"ABRT": 6, "ALRM": 14, "FPE": 8, "HUP": 1, "ILL": 4, "INT": 2, "KILL": 9, "PIPE": 13,
           "QUIT": 3, "SEGV": 11, "TERM": 15, "USR1": 10, "USR2": 12}  # fmt: skip
SETENV_HINT = (
    "Unable to set '{}'. This only works if your SSH server is configured to accept\n"
    "\tthese variables via AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote "
    "host, you could\n\tprefix the command itself with the variables in the form 'VAR=value command'"
)


@dataclass
class Remote:
    """What one remote command needs.

    Variables that are `required` must be accepted by the server, those `offered` need not.
    """

    connection: Mapping[str, Any]
    command: str
    output: Output
    stdin: str = ""
    required: Mapping[str, str] = field(default_factory=dict)
    offered: Mapping[str, str] = field(default_factory=dict)
    status: Callable[[str], None] = lambda _text: None  # a passing line for the engine's display
    log: Callable[[str, str], None] = lambda _severity, _text: None  # severity: "warning" or "error"
    cancelled: threading.Event = field(default_factory=threading.Event)  # ends the dialling, not a running command


class Runner:
    """Runs remote commands for many threads on one event loop of its own."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def run(self, remote: Remote) -> None:
        """Run one command to its end; its output goes to `remote.output`. Raises CommandError."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, daemon=True, name="ssh").start()
        asyncio.run_coroutine_threadsafe(_run(remote), self._loop).result()


async def _run(remote: Remote) -> None:
    connection = await _connect(remote)
    try:
        await _execute(connection, remote)
    finally:
        connection.abort()


async def _connect(remote: Remote) -> asyncssh.SSHClientConnection:
    target = remote.connection
    proxy = target.get("proxy")
    login = _Login(target)
    if not proxy:
        return await _dial(remote, "Dial", target, lambda: _tcp_and_login(target, login))
    try:
        proxy_login = _Login(proxy)
        hop = await _dial(remote, "Dial proxy", proxy, lambda: _tcp_and_login(proxy, proxy_login))
        return await _dial(remote, "Dial", target, lambda: _login_through(hop, target, login))
    except CommandError as error:
        raise CommandError(f"proxy: {error}") from error


async def _dial(remote: Remote, what: str, end: Mapping[str, Any], attempt: Callable[[], Awaitable[T]]) -> T:
    """Repeat `attempt` up to the end's dialErrorLimit, with growing pauses. Raises CommandError."""
    limit = int(end.get("dialErrorLimit", DEFAULT_LIMIT))
    failed, pause = 0, 0.1
    while True:
        try:
            return await attempt()
        except CommandError as error:
            failed += 1
            if -1 < limit < failed:
                raise CommandError(f"after {failed - 1} failed attempts: {error}") from error
        remote.status(f"{what} {failed}/{'inf' if limit == -1 else limit} failed: retrying")
        await asyncio.sleep(pause)
        if remote.cancelled.is_set():
            raise CommandError("context canceled")
        pause = min(pause * 1.5, LONGEST_PAUSE)


class _Login:
    """Keys, passwords and the pinned host key of one end, read before the first dial. Raises CommandError."""

    def __init__(self, end: Mapping[str, Any]) -> None:
        self.user = str(end.get("user", "root"))
        self.password = end.get("password")
        self.keys: list[Any] = []
        self.pinned = _host_key(end["hostKey"]) if end.get("hostKey") is not None else None
        if end.get("privateKey") is not None:
            self.keys.append(_private_key(str(end["privateKey"]), end.get("privateKeyPassword")))
        self.agent = end.get("agentSocketPath") or os.environ.get("SSH_AUTH_SOCK") or None
        if self.agent:
            _probe_agent(self.agent)

    async def open(self, address: str, **transport: Value) -> asyncssh.SSHClientConnection:
        """Handshake and log in. `transport`: a connected `sock`, or `tunnel`, `host` and `port`."""
        import asyncssh  # noqa: PLC0415 (on first use)

        tried: list[str] = ["none"]

        class Client(asyncssh.SSHClient):
            """Notes which methods the server let us try, for the error text."""

            def auth_method(self, name: str) -> None:
                if name not in tried:
                    tried.append(name)

            def password_auth_requested(self) -> None:
                self.auth_method("password")

        wanted = self.pinned
        try:
            return await asyncssh.connect(
                options=asyncssh.SSHClientConnectionOptions(
                    client_factory=Client,
                    config=None,
                    username=self.user,
                    client_keys=self.keys or None,
                    agent_path=self.agent,
                    password=self.password,
                    known_hosts=([wanted], [], []) if wanted else None,
                    server_host_key_algs=[wanted.get_algorithm()] if wanted else (),
                    login_timeout=0,
                    keepalive_interval=0,
                    gss_host=None,
                ),
                **transport,
            )
        except asyncssh.HostKeyNotVerifiable as error:
            raise CommandError("ssh: handshake failed: ssh: host key mismatch") from error
        except asyncssh.PermissionDenied as error:
            if (self.keys or self.agent) and "publickey" not in tried:
                tried.insert(1, "publickey")
            methods = " ".join(tried)
            raise CommandError(
                "ssh: handshake failed: ssh: unable to authenticate, "
                f"attempted methods [{methods}], no supported methods remain"
            ) from error
        except asyncssh.KeyExchangeFailed as error:
            raise CommandError(f"ssh: handshake failed: ssh: {_no_common(str(error))}") from error
        except (asyncssh.ConnectionLost, ConnectionResetError, BrokenPipeError) as error:
            if wanted is not None and wanted.get_algorithm() == "ssh-rsa":  # today's servers hang up at once
                offer = "ssh: no common algorithm for host key; we offered: [ssh-rsa]"
                raise CommandError(f"ssh: handshake failed: {offer}") from error
            raise CommandError("ssh: handshake failed: EOF") from error
        except asyncssh.ChannelOpenError as error:
            raise CommandError(f"ssh: rejected: connect failed ({error.reason})") from error
        except (OSError, asyncssh.Error) as error:
            raise CommandError(f"ssh: handshake failed: {error}") from error


async def _tcp_and_login(end: Mapping[str, Any], login: _Login) -> asyncssh.SSHClientConnection:
    host, port = str(end["host"]), int(end.get("port", 22))
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    limit = float(end.get("perDialTimeout", 15)) or None
    try:
        # Only the TCP connect is limited: a server that accepts and stays silent holds the command.
        async with asyncio.timeout(limit):
            _reader, writer = await asyncio.open_connection(host, port)
    except TimeoutError as error:
        raise CommandError(f"dial tcp {address}: i/o timeout") from error
    except socket.gaierror as error:
        raise CommandError(f"dial tcp: lookup {host}: no such host") from error
    except OSError as error:
        text = os.strerror(error.errno).lower() if error.errno else str(error).lower()
        raise CommandError(f"dial tcp {address}: connect: {text}") from error
    sock = writer.get_extra_info("socket").dup()
    sock = socket.socket(fileno=sock.detach())
    writer.transport.abort()
    return await login.open(address, sock=sock)


async def _login_through(
    hop: asyncssh.SSHClientConnection, end: Mapping[str, Any], login: _Login
) -> asyncssh.SSHClientConnection:
    host, port = str(end["host"]), int(end.get("port", 22))
    return await login.open(f"{host}:{port}", host=host, port=port, tunnel=hop)


async def _execute(connection: asyncssh.SSHClientConnection, remote: Remote) -> None:
    import asyncssh  # noqa: PLC0415 (on first use)
    from asyncssh.channel import SSHClientChannel  # noqa: PLC0415 (on first use)
    from asyncssh.packet import String  # noqa: PLC0415 (on first use)

    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    class Session(asyncssh.SSHClientSession[bytes]):
        """Takes the output as it comes."""

        def data_received(self, data: bytes, datatype: int | None) -> None:
            remote.output.feed("stdout" if datatype is None else "stderr", data)

        def connection_lost(self, exc: Exception | None) -> None:
            if not done.done():
                done.set_result(None)

    # Opened by hand: the library's own way neither asks the server whether it accepted a variable nor can
    # it stop before the command when one was refused. (Its internals: the version is pinned by the lock.)
    channel: Any = SSHClientChannel(connection, asyncio.get_running_loop(), "strict", None, "strict", 1 << 21, 1 << 15)
    try:
        packet = await channel._open(b"session")
        packet.check_end()
        channel._session = Session()
        channel._env, channel._command, channel._subsystem = {}, remote.command, None
        for name, value in remote.required.items():
            if not await channel._make_request(b"env", String(name), String(value)):
                remote.log("error", SETENV_HINT.format(name))
                raise CommandError(f'could not set environment variable "{name}": ssh: setenv failed')
        for name, value in remote.offered.items():
            if not await channel._make_request(b"env", String(name), String(value)):
                remote.log("warning", SETENV_HINT.format(name))
        if not await channel._make_request(b"exec", String(remote.command)):
            raise CommandError(f"ssh: command {remote.command} failed")
        channel._session.session_started()
        connection.create_task(channel._start_reading(), channel.logger)
        writer = asyncio.ensure_future(_write(channel, remote.stdin.encode(), done))
        await done
        writer.cancel()
    except asyncssh.Error as error:
        raise CommandError(f"{error.reason or 'EOF'}") from error
    while remote.output.stuck:
        await asyncio.sleep(1)
    remote.output.close()
    failure = _exit_text(channel)
    if failure:
        raise CommandError(f"{failure}: running {go_quote(remote.command)}:\n{remote.output.mixed()}")


async def _write(channel: Value, data: bytes, done: asyncio.Future[None]) -> None:
    """Send standard input in pieces, no faster than the server takes it, then its end."""
    try:
        for start in range(0, len(data), 1 << 16):
            channel.write(data[start : start + (1 << 16)])
            while channel.get_write_buffer_size() > 1 << 20 and not done.done():
                await asyncio.sleep(0.01)
        channel.write_eof()
    except (OSError, RuntimeError):
        if not done.done() and not channel.is_closing():
            raise


def _exit_text(channel: Value) -> str:
    """The official words for how the command ended; empty for success."""
    signal = channel.get_exit_signal()
    if signal:
        status = 128 + SIGNALS.get(signal[0], 0)
        return f"Process exited with status {status} from signal {signal[0]}"
    status = channel.get_exit_status()
    if status is None:
        return "wait: remote command exited without exit status or exit signal"
    return f"Process exited with status {status}" if status else ""


def _host_key(text: str) -> Value:
    import asyncssh  # noqa: PLC0415 (on first use)

    problem = ""
    for line in text.strip().splitlines():
        fields = line.split()
        blob = fields[1] if len(fields) > 1 else ""
        try:
            base64.b64decode(blob, validate=True)
            return asyncssh.import_public_key(line)
        except binascii.Error:
            problem = "illegal base64 data at input byte 0"
        except asyncssh.KeyImportError as error:
            problem = str(error)
    trace = f"; last parsing error for ignored line: {problem}" if problem else ""
    raise CommandError(f"failed to parse host key: ssh: no key found{trace}")


def _private_key(text: str, passphrase: object) -> Value:
    import asyncssh  # noqa: PLC0415 (on first use)

    if "-----BEGIN " not in text:
        raise CommandError("ssh: no key found")
    try:
        return asyncssh.import_private_key(text, None if passphrase is None else str(passphrase))
    except asyncssh.KeyEncryptionError as error:
        raise CommandError("x509: decryption password incorrect") from error
    except asyncssh.KeyImportError as error:
        if passphrase is None and "assphrase" in str(error):
            raise CommandError("ssh: this private key is passphrase protected") from error
        raise CommandError(f"ssh: {error}") from error


def _probe_agent(path: str) -> None:
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)
    except OSError as error:
        raise CommandError(f"dial unix {path}: connect: {os.strerror(error.errno or 0).lower()}") from error


def _no_common(text: str) -> str:
    """'No matching host key algorithm found, sent a and received b,c' in the official words."""
    if "host key" not in text or " sent " not in text:
        return text
    sent, _, received = text.partition(" sent ")[2].partition(" and received ")
    offers = f"we offered: [{sent.replace(',', ' ')}], peer offered: [{received.replace(',', ' ')}]"
    return f"no common algorithm for host key; {offers}"
