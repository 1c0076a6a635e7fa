"""The HTTP side of the Vultr stand-in: one request, its retries, and polling for a state.

It sends what the official plugin sends (same headers, same retries, same waits) to
https://api.vultr.com, by way of HTTPS_PROXY where that is set, and trusts SSL_CERT_FILE.
Standard library only, so that the plugin starts fast. It knows no resource types. An interrupt shortens no
wait: the official plugin finishes what it has begun, too.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

HOST = "api.vultr.com"
USER_AGENT = "Terraform/v2.36.1"
DELAY = 10.0  # silence before the first poll, seconds
LONGEST_POLL = 10.0  # longest time between two polls, seconds
GIVE_UP = 3600.0  # longest wait for a state, seconds
ALREADY_ATTACHED = "Floating IPv4 address is already attached to another server"


class VultrError(Exception):
    """A refused or failed request; the text is the raw body of the answer, or the cause of the failure."""


class Client:
    """Requests with one API key. Safe for use by several threads: each request has its own connection."""

    def __init__(self, api_key: str, rate_limit: int = 500, retry_limit: int = 3) -> None:
        """`rate_limit`: longest wait between two attempts, ms; `retry_limit`: attempts after the first."""
        self.api_key = api_key
        self.longest = rate_limit / 1000
        self.retries = retry_limit
        self._tls: ssl.SSLContext | None = None

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send one request and return the answer's JSON object ({} when there is no body).

        Raises VultrError with the answer's raw body when the status is not 200 to 204.
        """
        status, text = self._send(method, path, body)
        if not 200 <= status <= 204:
            raise VultrError(text)
        if status == 204 or not text:
            return {}
        try:
            answer = json.loads(text)
        except ValueError as error:
            raise VultrError(go_json_error(text, error)) from error
        if not isinstance(answer, dict):
            raise VultrError(f"json: cannot unmarshal {go_kind(answer)} into Go value")
        return answer

    def poll(self, read: Callable[[], str], target: str, pending: tuple[str, ...]) -> None:
        """Wait until `read()` gives `target`: 10 s of silence, then after 3, 6, 10, 10, ... seconds.

        Raises VultrError when `read` does, when the state is neither `target` nor pending, or after an hour.
        """
        time.sleep(DELAY)
        pause, end = 3.0, time.monotonic() + GIVE_UP
        while True:
            state = read()
            if state == target:
                return
            if state not in pending:
                wanted = target
                raise VultrError(f"unexpected state '{state}', wanted target '{wanted}'. last error: %!s(<nil>)")
            if time.monotonic() > end:
                raise VultrError(
                    f"timeout while waiting for state to become '{target}' (last state: '{state}', timeout: 1h0m0s)"
                )
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_POLL)

    def repeat_while(self, send: Callable[[], dict[str, Any]], refusal: str, limit: float) -> dict[str, Any]:
        """Repeat `send` while it is refused with a text that holds `refusal`, after 0.5, 1, 2, 4, 8, 10 s.

        Raises the last VultrError after `limit` seconds, and any other one at once.
        """
        pause, end = 0.5, time.monotonic() + limit
        while True:
            try:
                return send()
            except VultrError as error:
                if refusal not in str(error) or time.monotonic() + pause > end:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_POLL)

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, str]:
        """Attempts until the answer is final. Gives the status and the raw body."""
        last, attempt = "", 0
        while True:
            attempt += 1
            try:
                status, headers, text = self._attempt(method, path, body)
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, ssl.SSLCertVerificationError):  # not repeated: it will not heal
                    raise VultrError(
                        f'{method.title()} "https://{HOST}{path}": tls: failed to verify certificate: '
                        f"{error.verify_message}"
                    ) from error
                status, headers, text = 0, {}, ""
                last = f'{method.title()} "https://{HOST}{path}": {error or "EOF"}'
            else:
                if status != 429 and (status < 500 or status == 501):
                    return status, text
                last = json.dumps(text, ensure_ascii=False)
            if attempt > self.retries:
                raise VultrError(f"gave up after {attempt} attempts, last error: {last}")
            time.sleep(self._pause(attempt, headers))

    def _pause(self, attempt: int, headers: Mapping[str, str]) -> float:
        """Seconds before the next attempt: Retry-After, else 2/3 of the longest wait, doubled up to it."""
        asked = headers.get("retry-after", "")
        if asked.isdigit():
            return float(asked)
        shortest: float = self.longest * 2 / 3
        return min(shortest * 2.0 ** (attempt - 1), self.longest)

    def _attempt(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, dict[str, str], str]:
        connection = self._connection()
        headers = {
            "Authorization": f"Bearer {self.api_key}",
            "User-Agent": USER_AGENT,
            "Accept": "application/json",
            "Content-Type": "application/json",
        }
        try:
            data = json.dumps(body, separators=(",", ":")).encode() if body is not None else None
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, text
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPSConnection:
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or None)
        proxy = proxy_for(HOST)
        if proxy is None:
            return http.client.HTTPSConnection(HOST, context=self._tls)
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port or 80, context=self._tls)
        headers = {}
        if parts.username:
            login = f"{parts.username}:{parts.password or ''}".encode()
            headers["Proxy-Authorization"] = "Basic " + base64.b64encode(login).decode()
        connection.set_tunnel(HOST, 443, headers)
        return connection


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


def go_json_error(text: str, error: ValueError) -> str:
    """The words in which the official plugin reports an answer that is not JSON, as far as recorded."""
    stripped = text.strip()
    if not stripped:
        return "EOF"
    for literal in ("true", "false", "null"):
        start = stripped.rfind(literal[0])
        tail = stripped[start:] if start >= 0 else ""
        if tail and len(tail) < len(literal) and literal.startswith(tail):
            # The decoder reads on behind the end of the body and meets a blank there.
            return f"invalid character ' ' in literal {literal} (expecting '{literal[len(tail)]}')"
    if stripped[0] not in '{["0123456789-tfn':
        return f"invalid character '{stripped[0]}' looking for beginning of value"
    return "unexpected EOF" if "Expecting" in str(error) or "Unterminated" in str(error) else str(error)


def go_kind(value: object) -> str:
    """The JSON kind of a value in the decoder's words."""
    if isinstance(value, list):
        return "array"
    return "string" if isinstance(value, str) else "bool" if isinstance(value, bool) else "number"
