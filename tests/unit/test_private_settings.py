"""What the stack file may say of the private side: who logs in, private addresses, private ports."""

from __future__ import annotations

from typing import Any

import pytest

import settings
from tests.unit.test_settings import good
from tests.unit.test_settings_errors import put, report

WEB1 = ("servers", "web1")
SSH_FROM = (*WEB1, "ssh_from")


def loaded(raw: Any) -> settings.Stack:
    return settings.load(raw, name="test")


def test_networks_that_may_log_in_are_spelt_as_vultr_reads_them_back():
    raw = good()
    put(raw, SSH_FROM, ["203.0.113.0/24", "198.51.100.7", "2001:DB8:0::/48"])
    assert loaded(raw).servers["web1"].ssh_from == ["203.0.113.0/24", "198.51.100.7/32", "2001:db8::/48"]


@pytest.mark.parametrize(
    ("sources", "path", "message"),
    [
        (["home"], "[0]", '"home" is neither a network nor an address; write'),
        (["0.0.0.0/0"], "[0]", '"0.0.0.0/0" is everywhere; leave the whole setting out'),
        (["203.0.113.7/24"], "[0]", '"203.0.113.7/24" has bits set behind its length; write "203.0.113.0/24"'),
        (["::ffff:203.0.113.7"], "[0]", '"::ffff:203.0.113.7" is IPv4 in disguise'),
        ([], "", "is empty: nobody could log in, this program neither"),
        (["2001:db8:5::/48"], "", "holds IPv6 only, but this program logs in over IPv4"),
        (["203.0.113.0/24", "203.0.113.7"], "[1]", "203.0.113.7/32 lies in servers.web1.ssh_from[0], 203.0.113.0/24"),
        (["203.0.113.7", "203.0.113.7"], "[1]", "203.0.113.7/32 lies in servers.web1.ssh_from[0]"),
    ],
)
def test_what_would_lock_everybody_out_or_is_no_network_is_refused(sources: list[str], path: str, message: str) -> None:
    raw = good()
    put(raw, SSH_FROM, sources)
    found = report(raw)
    assert set(found) == {f"servers.web1.ssh_from{path}"}
    assert found[f"servers.web1.ssh_from{path}"].startswith(message)


def test_a_container_on_port_22_would_open_what_ssh_from_narrows():
    raw = good()
    put(raw, ("applications", "haproxy", "ports"), [80, "2222:22"])
    loaded(raw)
    put(raw, SSH_FROM, ["203.0.113.0/24"])
    assert report(raw)["applications.haproxy.ports[1]"].startswith("port 22 of this container would open port 22")


def test_more_rules_than_a_firewall_group_holds_are_refused_before_vultr_does():
    raw = good()
    put(raw, SSH_FROM, [f"198.51.100.{number}" for number in range(60)])
    assert "Vultr allows 50: 60 for SSH" in report(raw)["servers.web1.ssh_from"]
    raw = good()
    put(raw, ("applications", "haproxy", "ports"), list(range(8000, 8040)))
    assert "publish fewer ports" in report(raw)["servers.web1"]
