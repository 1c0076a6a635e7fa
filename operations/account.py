"""The Vultr account, as far as the sweep needs it: lists, and deletions by id.

Goes through the proxy and trusts the authorities that the environment names, as the Vultr plugin does.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from operations.cli import OperationError, Pulumi

BASE = "https://api.vultr.com/v2"
ANSWER_SECONDS = 60
PAGE = 100
# A server that is being made or removed is locked for a while.
PATIENCE_SECONDS = 180.0
ASIDE = (
    "that is not Vultr's API, or a fault of it: see who answers there, a proxy perhaps; nothing was concluded from it"
)


class Refused(OperationError):
    """An answer other than success; `code` is its HTTP status."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Account:
    """The account of one API key."""

    key: str

    @classmethod
    def of(cls, pulumi: Pulumi) -> Account:
        """The account whose key the stack file holds. Raises OperationError."""
        key = pulumi.setting("vultr:apiKey")
        if not key:
            raise OperationError(
                f"account: the stack file has no vultr:apiKey; "
                f"pulumi config set --secret vultr:apiKey KEY --stack {pulumi.stack}"
            )
        return cls(key)

    def request(self, method: str, path: str) -> dict[str, Any]:
        """The parsed answer, {} without one. Raises Refused, or OperationError when nobody answers."""
        call = urllib.request.Request(  # noqa: S310 - BASE is https
            f"{BASE}{path}", method=method, headers={"Authorization": f"Bearer {self.key}"}
        )
        try:
            with urllib.request.urlopen(call, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
                content = answer.read()
        except urllib.error.HTTPError as error:
            content = error.read()
            text = content.decode(errors="replace")[:300]
            if error.code == 404 and _parsed(content) is None:
                raise OperationError(f"account: {method} {path} was answered 404 {text!r}; {ASIDE}") from None
            advice = "; the stack's vultr:apiKey is refused" if error.code in (401, 403) else ""
            raise Refused(f"account: {method} {path} was answered {error.code} {text}{advice}", error.code) from None
        except OSError as error:
            raise OperationError(
                f"account: {method} {path}: {error}; check the network, and HTTPS_PROXY and SSL_CERT_FILE if set"
            ) from None
        parsed = _parsed(content) if content.strip() else {}
        if parsed is None:
            raise OperationError(
                f"account: {method} {path} was answered with something that is no JSON object; {ASIDE}"
            )
        return parsed

    def list(self, path: str, key: str) -> list[dict[str, Any]]:
        """All entries of a list, every page of it."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            query = {"per_page": str(PAGE)} | ({"cursor": cursor} if cursor else {})
            answer = self.request("GET", f"{path}?{urlencode(query)}")
            if not isinstance(answer.get(key), list):
                raise OperationError(f"account: GET {path} was answered without its list {key!r}; {ASIDE}")
            found += answer[key]
            cursor = str(((answer.get("meta") or {}).get("links") or {}).get("next") or "")
            if not cursor:
                return found

    def exists(self, path: str) -> bool:
        """Whether an object is there."""
        try:
            self.request("GET", path)
        except Refused as error:
            if error.code == 404:
                return False
            raise
        return True

    def delete(self, path: str) -> None:
        """Delete an object and wait until it is gone; one that is gone already is no error."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.request("DELETE", path)
            except Refused as error:
                if error.code == 404:
                    return
                if time.monotonic() > deadline:
                    raise
            if not self.exists(path):
                return
            if time.monotonic() > deadline:
                raise OperationError(
                    f"account: {path} is still there {PATIENCE_SECONDS:.0f} s after its deletion; see in Vultr's "
                    "portal what holds it, then run this again"
                )
            time.sleep(2)


def _parsed(content: bytes) -> dict[str, Any] | None:
    """The JSON object of an answer; None when it is another thing, which says nothing of what is there."""
    try:
        parsed = json.loads(content)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
