"""The emulator, reached as any client reaches the lab: by its proxy and its authority, named in the environment."""

import pytest

from lab.api.testing import Emulator

TABLES = ("instances", "blocks", "reserved_ips", "vpcs", "firewall_groups", "ssh_keys", "domains")


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    with Emulator(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def environment(emulator):
    """What `lab env` sets, and REQUESTS_CA_BUNDLE for clients that do not know SSL_CERT_FILE."""
    proxies = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), emulator.proxy)
    roots = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(emulator.info["ca"]))
    return {**proxies, **roots, "NO_PROXY": "", "no_proxy": "", "VULTR_API_KEY": "a-key"}


@pytest.fixture
def lab_env(environment, monkeypatch):
    """The environment, in this process."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def unlimited(emulator):
    """For clients that give up at the first 429: a fast machine asks oftener than the region answers one key.

    The limit has its own tests (conformance/test_vultr_api_time.py), and the provider's waiting too.
    """
    emulator.control.post("/pace", json={"requests": 0}).raise_for_status()
    yield
    emulator.control.post("/pace", json={"requests": None}).raise_for_status()


@pytest.fixture
def nothing_left(emulator):
    """Afterwards: the client has deleted all that it made."""
    yield
    state = emulator.state()
    assert {name: state[name] for name in TABLES if state[name]} == {}
