"""The Vultr account, as far as the verbs need it: lists, and deletions by id.

Asks as the Vultr plugin does, by the same requests: their pace, what is repeated, proxy and authorities.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import Any

from operations.cli import OperationError, Pulumi
from provider import clock, stock
from provider.errors import ApiError
from provider.lists import Lists
from provider.protocol.base import Failure
from provider.transport import Transport

VERSION = "/v2"
# A server that is being made or removed is locked for a while.
PATIENCE_SECONDS = 180.0
PAUSE_SECONDS = 2.0
FINAL = (401, 403)  # a refusal of the key, which no waiting changes


@dataclass(frozen=True)
class Account:
    """The account of one API key."""

    key: str
    _transport: Transport = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_transport", Transport(self.key))

    @classmethod
    def of(cls, pulumi: Pulumi) -> Account:
        """The account whose key the stack file holds, or VULTR_API_KEY. Raises OperationError."""
        key = pulumi.setting("vultr:apiKey") or os.environ.get("VULTR_API_KEY")
        if not key:
            raise OperationError(
                f"account: neither the stack file has a vultr:apiKey, nor is VULTR_API_KEY set; "
                f"pulumi config set --secret vultr:apiKey KEY --stack {pulumi.stack}"
            )
        return cls(key)

    def list(self, path: str, key: str) -> list[dict[str, Any]]:
        """All entries of a list, every page of it. Raises OperationError."""
        try:
            return Lists(self._transport).read(f"{VERSION}{path}", key)
        except Failure as error:
            raise _said(error) from error

    def exists(self, path: str) -> bool:
        """Whether an object is there. Raises OperationError when that is not answered."""
        try:
            self._transport.call("GET", f"{VERSION}{path}")
        except ApiError as error:
            if error.gone:
                return False
            raise _said(error) from error
        return True

    def must_sell(self, region: str, plan: str) -> None:
        """Raises OperationError where a region does not have a plan just now, or that is not answered."""
        try:
            lack = stock.lacking(lambda path: self._transport.call("GET", path), region, plan)
        except Failure as error:
            raise _said(error) from error
        if lack:
            raise OperationError(
                f"account: {lack}. The server would be deleted before another one is made; nothing has been touched: "
                f"{stock.REMEDY}"
            )

    def delete(self, path: str) -> None:
        """Delete an object and wait until it is gone; one that is gone already is no error. Raises OperationError."""
        deadline = clock.now() + PATIENCE_SECONDS
        while True:
            try:
                self._transport.call("DELETE", f"{VERSION}{path}")
            except ApiError as error:
                if error.gone:
                    return
                if error.status in FINAL or clock.now() > deadline:
                    raise _said(error) from error
            if not self.exists(path):
                return
            if clock.now() > deadline:
                raise OperationError(
                    f"account: {path} is still there {PATIENCE_SECONDS:.0f} s after its deletion; see in Vultr's "
                    "portal what holds it, then run this again"
                )
            clock.rest(PAUSE_SECONDS, threading.Event())


def _said(error: Failure) -> OperationError:
    return OperationError(f"account: {error}")
