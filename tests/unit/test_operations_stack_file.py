"""A verb that changes the stack file changes the one word that it means, and nothing that its owner has written."""

from __future__ import annotations

import pytest
import yaml

from lab.paths import CHECKOUT
from operations.stack_file import NotSo, put

TEXT = """\
# My hive.
config:
  apiary:servers:
    web1: &server  # the first
      plan: vc2-1c-2gb   # small
      swarm: manager
    web2: {<<: *server, private_ip: 192.168.150.12}
    web3:
      <<: *server
      private_ip: 192.168.150.13
      drain: false  # not yet
    web4: *server
"""
SERVERS = "apiary:servers"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("web1", "      plan: vc2", "      drain: true\n      plan: vc2"),
        ("web2", "{<<: *server, ", "{drain: true, <<: *server, "),
        ("web3", "drain: false  # not yet", "drain: true  # not yet"),
    ],
)
def test_the_word_is_put_there_and_all_else_is_as_it_was(name: str, old: str, new: str) -> None:
    if name == "web1":  # every server has what the anchor's has
        with pytest.raises(NotSo):
            put(TEXT, SERVERS, name, "drain", "true")
        return
    done = put(TEXT, SERVERS, name, "drain", "true")
    assert done == TEXT.replace(old, new)
    assert yaml.safe_load(done)["config"][SERVERS][name]["drain"] is True


def test_taken_out_again_the_text_is_what_it_was() -> None:
    assert put(put(TEXT, SERVERS, "web2", "drain", "true"), SERVERS, "web2", "drain", None) == TEXT
    block = "config:\n  apiary:servers:\n    web1:\n      plan: a\n      region: b\n"
    assert put(put(block, SERVERS, "web1", "drain", "true"), SERVERS, "web1", "drain", None) == block
    last = "config:\n  apiary:servers:\n    web1: {plan: a, drain: true}\n"
    assert put(last, SERVERS, "web1", "drain", None) == last.replace(", drain: true", "")
    assert put(block, SERVERS, "web1", "drain", None) == block


def test_where_it_would_be_another_servers_word_too_it_is_not_put() -> None:
    with pytest.raises(NotSo):
        put(TEXT, SERVERS, "web4", "drain", "true")


@pytest.mark.parametrize("server", ["web1", "web2", "web3"])
def test_the_file_of_three_servers(server: str) -> None:
    text = (CHECKOUT / "Pulumi.swarm.yaml").read_text()
    if server == "web1":
        with pytest.raises(NotSo):
            put(text, SERVERS, server, "drain", "true")
        return
    done = put(text, SERVERS, server, "drain", "true")
    assert set(text.splitlines()) < set(done.splitlines())
    assert put(done, SERVERS, server, "drain", None) == text
