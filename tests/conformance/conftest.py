"""What several of the tests here ask for: the ways on which visitors come."""

from __future__ import annotations

import pytest

from tests.conformance.proxy import FAMILIES, VERSIONS


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """IPv4, then IPv6."""
    return str(request.param)


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """curl's option for HTTP/1.1, then for HTTP/2."""
    return str(request.param)
