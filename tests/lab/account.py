"""Somebody's own way to the region's API, as to Vultr's: through the region's proxy, trusting its authority."""

from __future__ import annotations

import ssl

import httpx

from lab import control
from lab.paths import Paths


def account(region: Paths) -> httpx.Client:
    """A client of the API's second version, with a key."""
    environment = control.environment(region)
    return httpx.Client(
        base_url="https://api.vultr.com/v2",
        proxy=environment["HTTPS_PROXY"],
        verify=ssl.create_default_context(cafile=environment["SSL_CERT_FILE"]),
        headers={"Authorization": "Bearer lab"},
        timeout=60,
    )
