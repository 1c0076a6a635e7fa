"""The server of the whole hive dies: certificates and the authority's account come back from the last backup."""

from __future__ import annotations

import pytest

from tests.lab.hive import LABEL, Hive, until
from tests.lab.test_certificates import serial, sites

# One more start of the whole hive. Other data: test_backups.
pytestmark = pytest.mark.soak
ACCOUNT = "cd /var/lib/docker/volumes/letsencrypt/_data && find accounts -type f | sort | xargs sha256sum"


def test_the_authority_is_asked_for_nothing_when_the_server_comes_back(whole: Hive) -> None:
    served, account = {site: serial(whole, site) for site in sites(whole)}, whole.on_server(ACCOUNT)
    assert all(served.values()), served
    assert "private_key.json" in account
    whole.operations("backup")
    whole.lab("kill", f"{LABEL}web1")
    done = whole.operations("revive", "web1", "--yes")
    assert "volume:letsencrypt: " in done.stdout
    until(lambda: {site: serial(whole, site) for site in served} == served, 60, "the same certificates are served")
    assert whole.on_server(ACCOUNT) == account
