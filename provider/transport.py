"""The HTTP side: connections that are kept, the pace of requests, and what is repeated.

Requests go to https://api.vultr.com, by way of HTTPS_PROXY where that is set (NO_PROXY exempts), and trust
SSL_CERT_FILE. What is repeated: everything that Vultr refused because there were too many requests (429, after
Retry-After), and on server errors and broken connections what does no harm when it is done twice. A POST is never
repeated blindly: `ApiError.sent` says that it may have been carried out. It knows no resource types.

Standard library only, so that the provider starts fast.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import math
import os
import select
import socket
import ssl
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from provider import clock
from provider.errors import ApiError, BadAnswer, Interrupted, is_object
from provider.protocol.base import Props

HOST = "api.vultr.com"
USER_AGENT = "apiary-vultr"
# Vultr allows 30 requests a second (OpenAPI description): never more than BURST + RATE of them in any second.
RATE = 20.0
BURST = 8
ANSWER_SECONDS = 90.0  # the longest time for connecting, and without a byte of the answer
WHOLE_SECONDS = 180.0  # the longest time for all of an answer, that comes byte by byte
GLANCE_SECONDS = 10.0  # both, of what is not worth waiting for
KEPT = 8  # idle connections
STALE = 1.0  # idle seconds after which a connection carries no POST any more: the other side may be closing it just now
FIRST_PAUSE = 0.5  # seconds before a request is repeated, doubled each time
LONGEST_PAUSE = 8.0
BUSY_SECONDS = 300.0  # how long a request is repeated that Vultr has no room for
LOCKED = "currently locked"  # in a 500: waited for by those who know what for, not repeated here
TIMED_OUT = 408  # by whoever is in front of the API: what was asked for may have been done


class _Unanswered(Exception):
    """A request without an answer; `sent`: whether it may have been carried out."""

    def __init__(self, cause: Exception, *, sent: bool) -> None:
        super().__init__(str(cause))
        self.cause, self.sent = cause, sent


class Pace:
    """A bucket of tokens, one a request. Safe for use by several threads."""

    def __init__(self, rate: float = RATE, burst: int = BURST) -> None:
        self._rate, self._burst = rate, float(burst)
        self._tokens, self._at, self._closed_until = float(burst), clock.now(), 0.0
        self._lock = threading.Lock()

    def reserve(self, now: float) -> float:
        """Take a token; the seconds to wait until it may be used."""
        with self._lock:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate) - 1.0
            self._at = now
            return max(-self._tokens / self._rate, self._closed_until - now, 0.0)

    def close(self, until: float) -> None:
        """Nobody sends anything before `until`: Vultr has asked for that."""
        with self._lock:
            self._closed_until = max(self._closed_until, until)


class Transport:
    """Requests with one API key. Safe for use by several threads."""

    def __init__(
        self,
        api_key: str,
        *,
        retries: int = 3,
        longest: float = LONGEST_PAUSE,
        cancelled: threading.Event | None = None,
    ) -> None:
        """`longest`: seconds between two attempts, at most; `cancelled`: set when nobody wants to wait any more."""
        self._key = api_key
        self._retries, self._longest = retries, longest
        self._cancelled = cancelled or threading.Event()
        self._pace = Pace()
        self._idle: list[tuple[http.client.HTTPSConnection, float]] = []  # with the time of the last answer
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, once: bool = False) -> Props:
        """Send one request and return the answer's JSON object ({} when there is no content).

        `once`: it is not repeated, whatever the answer, and waited for no longer than GLANCE_SECONDS.
        Raises ApiError, BadAnswer when a success can't be read, Interrupted while it waits to repeat.
        """
        status, said = self._send(method, path, body, once=once)
        if status == 404 and not is_object(said):
            raise BadAnswer(method, path, status, said, "with something that is no JSON")
        if not 200 <= status <= 299:
            raise ApiError(method, path, status, said, sent=status >= 500 or status == TIMED_OUT)
        if not said.strip():
            return {}
        try:
            answer = json.loads(said)
        except ValueError as error:
            raise BadAnswer(method, path, status, said, "with something that is no JSON") from error
        if not isinstance(answer, dict):
            raise BadAnswer(method, path, status, said, "with something that is no object")
        return answer

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None, *, once: bool) -> tuple[int, str]:
        """Attempts until the answer is final: its status and content."""
        retries = 0 if once else self._retries
        patience, whole = (GLANCE_SECONDS, GLANCE_SECONDS) if once else (ANSWER_SECONDS, WHOLE_SECONDS)
        failures, busy_until, pause = 0, 0.0, FIRST_PAUSE
        while True:
            if (wait := self._pace.reserve(clock.now())) > 1:  # Vultr has asked for it
                self._rest(wait, method, path)
            elif wait > 0:
                clock.sleep(wait)
            try:
                status, headers, said = self._attempt(method, path, body, patience, whole)
            except _Unanswered as broken:
                error = broken.cause
                again = not isinstance(error, ssl.SSLCertVerificationError) and (method != "POST" or not broken.sent)
                failures += 1
                if not again or failures > retries:
                    said = str(error) or type(error).__name__
                    raise ApiError(method, path, 0, said, sent=broken.sent) from error
            else:
                if status == 429 and not once:
                    now = clock.now()
                    busy_until = busy_until or now + BUSY_SECONDS
                    # Never at once: `Retry-After: 0`, or a time that is over, would be asked for minutes.
                    seconds = max(retry_after(headers), min(2 * pause, self._longest))
                    if now + seconds > busy_until:
                        return status, said
                    self._pace.close(now + seconds)
                    self._rest(seconds, method, path)
                    pause = min(pause * 2, self._longest)
                    continue
                # 501 is no fault; above 504 are those of the network in front of the API.
                fault = (status >= 500 or status == TIMED_OUT) and status != 501 and LOCKED not in said
                failures += fault
                if not fault or method == "POST" or failures > retries:
                    return status, said
            self._rest(pause, method, path)
            pause = min(pause * 2, self._longest)

    def _rest(self, seconds: float, method: str, path: str) -> None:
        if clock.rest(seconds, self._cancelled):
            raise Interrupted(
                f"interrupted before {method} {path}, while Vultr had no room for requests or did not answer"
            )

    def _attempt(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        patience: float = ANSWER_SECONDS,
        whole: float = WHOLE_SECONDS,
    ) -> tuple[int, dict[str, str], str]:
        """One request: status, headers and content of its answer. Raises _Unanswered.

        `patience`: seconds without a byte; `whole`: seconds until its last one.
        """
        headers = {
            "Authorization": f"Bearer {self._key}",
            "User-Agent": USER_AGENT,
            "Accept": "application/json",
            "Content-Type": "application/json",
        }
        data = json.dumps(body, separators=(",", ":")).encode() if body is not None else None
        try:
            connection = self._connection(STALE if method == "POST" else math.inf, patience)
        except (OSError, http.client.HTTPException) as error:
            raise _Unanswered(error, sent=False) from error
        late = threading.Event()
        # The socket itself: a connection forgets that of its last answer before that has been read.
        watch = threading.Timer(whole, _break_off, (connection.sock, late))
        watch.daemon = True
        watch.start()
        try:
            connection.request(method, quote(path, safe="/?&=%:,"), data, headers)
            answer = connection.getresponse()
            said = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            cause = TimeoutError(f"the answer did not end within {whole:.0f} s") if late.is_set() else error
            raise _Unanswered(cause, sent=True) from error
        finally:
            watch.cancel()
        if late.is_set():
            connection.close()
            raise _Unanswered(TimeoutError(f"the answer did not end within {whole:.0f} s"), sent=True)
        self._keep(connection, kept=not answer.will_close)
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, said

    def _connection(self, longest: float, patience: float) -> http.client.HTTPSConnection:
        """One that was used less than `longest` seconds ago and is still wanted by the other side, or a new one.

        `patience`: the longest time for connecting, and without a byte of the answer.
        """
        while True:
            with self._lock:
                fresh = self._idle and clock.now() - self._idle[-1][1] < longest
                connection = self._idle.pop()[0] if fresh else None
            if connection is None:
                connection = self._new(patience)
                connection.connect()
                return connection
            # An idle connection that can be read has been closed by the other side.
            if connection.sock is not None and not select.select([connection.sock], [], [], 0)[0]:
                connection.sock.settimeout(patience)
                return connection
            connection.close()

    def _keep(self, connection: http.client.HTTPSConnection, *, kept: bool) -> None:
        with self._lock:
            if kept and len(self._idle) < KEPT:
                self._idle.append((connection, clock.now()))
                return
        connection.close()

    def _new(self, patience: float) -> http.client.HTTPSConnection:
        with self._lock:
            if self._tls is None:
                self._tls = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or None)
        proxy = proxy_for(HOST)
        if proxy is None:
            return http.client.HTTPSConnection(HOST, context=self._tls, timeout=patience)
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port or 80, context=self._tls, timeout=patience
        )
        headers = {}
        if parts.username:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            headers["Proxy-Authorization"] = "Basic " + base64.b64encode(login).decode()
        connection.set_tunnel(HOST, 443, headers)
        return connection


def _break_off(channel: socket.socket | None, late: threading.Event) -> None:
    """End a connection that another thread reads from."""
    late.set()
    if channel is not None:
        with contextlib.suppress(OSError):  # it has ended just now
            # Not TLS's own, which takes from the reader what it reads with.
            socket.socket.shutdown(channel, socket.SHUT_RDWR)


def retry_after(headers: Mapping[str, str]) -> float:
    """The seconds for which an answer asks to wait, as a number or a time; 0 when it does not say."""
    asked = headers.get("retry-after", "").strip()
    with contextlib.suppress(ValueError):
        if math.isfinite(seconds := float(asked)):
            return max(seconds, 0.0)
    with contextlib.suppress(ValueError, OverflowError):
        # By the clock of who asks, which may not be this machine's.
        now = _moment(headers["date"]) if "date" in headers else datetime.now(UTC)
        return max((_moment(asked) - now).total_seconds(), 0.0)
    return 0.0


def _moment(text: str) -> datetime:
    """A time as HTTP writes it. Raises ValueError, OverflowError."""
    moment = parsedate_to_datetime(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def proxy_for(host: str) -> str | None:
    """The proxy to use for https to `host` by HTTPS_PROXY and NO_PROXY (either case), or None."""
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    if not proxy:
        return None
    exempt = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    for entry in (e.strip().lower() for e in exempt.split(",")):
        name = entry.removeprefix("*").removeprefix(".")
        if entry == "*" or (name and (host == name or host.endswith("." + name))):
            return None
    return proxy
