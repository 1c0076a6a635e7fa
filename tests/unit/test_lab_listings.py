"""The lab lists what is at Docker while other regions, and the servers' own ends, take things away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import network
from lab.servers import Servers
from lab.shell import LabError


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` whose answers are files beside it, named as what is asked: ps, network-ls, network-inspect; one that
    is missing is an error, and NAME.2, if there is one, is what the question is answered with from then on."""
    command = tmp_path / "docker"
    command.write_text(f"""#!/bin/sh
cd {tmp_path}
case $1 in network) asked=network-$2;; *) asked=$1;; esac
[ ! -e $asked.asked ] || asked=$(ls $asked.2 2>/dev/null || echo $asked)
: > $asked.asked
cat $asked
""")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_a_server_that_is_being_deleted_does_not_disturb_the_list(docker: Path):
    (docker / "ps").write_text("7c\tapiary-web1\t10.88.1.1\t2001:db8:77:1::1\t2001:db8:77:1::/64\trunning\n")
    assert Servers(docker).all() == [
        {
            "id": "7c",
            "name": "apiary-web1",
            "ipv4": "10.88.1.1",
            "ipv6": "2001:db8:77:1::1",
            "prefix": "2001:db8:77:1::/64",
            "state": "running",
        }
    ]
    assert not (docker / "inspect.asked").exists(), "asked about one by one, it may be gone"


def test_a_region_finds_its_subnet_while_the_network_of_another_goes(docker: Path):
    (docker / "network-ls").write_text("aa bb\n")
    (docker / "network-ls.2").write_text("aa\n")
    (docker / "network-inspect.2").write_text(json.dumps([{"IPAM": {"Config": [{"Subnet": "10.88.0.0/16"}]}}]))
    assert [str(subnet) for subnet in network._docker_subnets()] == ["10.88.0.0/16"]


def test_networks_that_can_never_be_looked_at_are_an_error(docker: Path):
    (docker / "network-ls").write_text("aa bb\n")
    with pytest.raises(LabError, match="network inspect aa bb"):
        network._docker_subnets()
