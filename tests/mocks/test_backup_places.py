"""Places for backups that the program makes: object storage, and another server of the stack."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.mocks.program import Graph
from tests.mocks.test_backups import COMMAND, comes_before
from tests.mocks.test_private import told

ACCOUNT = "vultr:index/objectStorage:ObjectStorage"


def at_keeper(stack_file: dict[str, Any], **both: str) -> dict[str, Any]:
    """web1 saves at web2; `both` says their private addresses."""
    servers = stack_file["servers"]
    servers["web2"] = {key: copy.deepcopy(servers["web1"][key]) for key in ("plan", "region", "os")}
    for name, address in both.items():
        servers[name]["private_ip"] = address
    for section in ("applications", "jobs"):
        for one in stack_file[section].values():
            one.setdefault("server", "web1")
    stack_file["backups"] = {"repository": {"server": "web2"}}
    return stack_file


@pytest.fixture
def kept(program: Any, stack_file: dict[str, Any]) -> Graph:
    made: Graph = program(at_keeper(stack_file), secret_keys=("secrets",))
    return made


def test_the_account_is_protected_and_its_keys_are_secret(program: Any, stack_file: dict[str, Any]) -> None:
    stack_file["backups"] = {"repository": "vultr"}
    graph = program(stack_file, secret_keys=("secrets",))
    account = graph.one(ACCOUNT, "apiary-test")
    assert account.protect
    assert account.inputs["label"] == "apiary-test"
    command = graph.one(COMMAND, "web1-backups")
    said = json.loads(command.inputs["stdin"])
    assert said["repository"] == "s3:https://ewr1.vultrobjects.com/apiary-apiary-test-id/web1"
    assert said["environment"] == {
        "RESTIC_PASSWORD": "generated backups-password",
        "AWS_ACCESS_KEY_ID": "access of apiary-test",
        "AWS_SECRET_ACCESS_KEY": "secret of apiary-test",
    }
    assert "stdin" in command.secret_inputs


def test_who_saves_on_a_server_of_the_stack_has_a_key_and_a_folder_there(kept: Graph) -> None:
    command = kept.one(COMMAND, "web1-backups")
    said = json.loads(command.inputs["stdin"])
    assert said["repository"] == "sftp:backup-web1@192.0.2.4:/repository"
    assert said["ssh"] == {"key": "private key web1-backups\n", "host_key": "ssh-ed25519 web2-host-key"}
    assert "stdin" in command.secret_inputs
    assert told(kept, "web2")["apiary_backup_store"] == {
        "web1": {"key": "ssh-ed25519 web1-backups", "from": "192.0.2.4"}
    }
    assert "apiary_backups" not in told(kept, "web2")
    assert "apiary_backup_store" not in told(kept, "web1")
    assert not [one.name for one in kept if one.name == "web2-backups"]


def test_a_server_is_ready_to_keep_before_anybody_saves_or_looks_for_anything(kept: Graph) -> None:
    [ready] = [one for one in kept.of_type("command:local:Command") if one.name == "web2"]
    assert comes_before(kept, ready, kept.one(COMMAND, "web1-backups"))


def test_between_servers_of_a_private_network_backups_take_no_other_way(
    program: Any, stack_file: dict[str, Any]
) -> None:
    addresses = {"web1": "192.168.150.10", "web2": "192.168.150.11"}
    graph = program(at_keeper(stack_file, **addresses), secret_keys=("secrets",))
    said = json.loads(graph.one(COMMAND, "web1-backups").inputs["stdin"])
    assert said["repository"] == "sftp:backup-web1@192.168.150.11:/repository"
    assert told(graph, "web2")["apiary_backup_store"]["web1"]["from"] == "192.168.150.10"
