"""What a server promises."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.mocks.program import Graph, Providers


def test_the_address_survives_a_rebuild(graph: Graph) -> None:
    instance = graph.one("vultr:index/instance:Instance", "web1")
    reserved = graph.one("vultr:index/reservedIp:ReservedIp", "web1")
    assert instance.inputs["reservedIpId"] == "web1-id"
    assert instance.property_dependencies["reservedIpId"] == {reserved.urn}
    # Otherwise the new instance would wait an hour for the address that the old one holds.
    assert instance.delete_before_replace is True


def test_the_provider_is_known_while_the_server_is_being_replaced(graph: Graph) -> None:
    provider = graph.one("pulumi:providers:docker", "web1-ewr")
    instance = graph.one("vultr:index/instance:Instance", "web1")
    assert instance.urn not in provider.dependencies
    assert provider.urn not in instance.dependencies, "another provider for another Docker comes after the instance"


def test_the_docker_of_another_system_is_met_by_another_provider(
    stack_file: dict[str, Any], program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plugin agrees with a Docker on a version once. Of the system that is there: a refresh, before the server is
    rebuilt, must not write down the one that the stack file asks for.
    """
    computed = Providers._computed
    there = 2136

    def answered(self: Providers, args: Any) -> dict[str, Any]:
        system = {"osId": there} if args.typ == "vultr:index/instance:Instance" else {}
        return {**computed(self, args), **system}

    monkeypatch.setattr(Providers, "_computed", answered)
    stack_file["servers"]["web1"]["os"] = 2625
    for there in (2136, 2625):
        options = program(stack_file).one("pulumi:providers:docker", "web1-ewr").inputs["sshOpts"]
        assert f"KnownHostsCommand=/bin/echo %H ssh-ed25519 web1-host-key os-{there}" in options


def test_the_host_key_is_injected_at_first_boot_and_stays_secret(graph: Graph) -> None:
    instance = graph.one("vultr:index/instance:Instance", "web1")
    config = yaml.safe_load(instance.inputs["userData"])
    assert config["ssh_keys"]["ed25519_private"] == "private key web1-host-key\n"
    assert config["ssh_deletekeys"] is True
    assert config["ssh_pwauth"] is False
    assert "userData" in instance.secret_inputs
    assert "kvm" in instance.secret_outputs, "a token for the server's console is in it (terraform-provider-vultr 690)"


def test_a_server_s_reverse_names_go_with_it_and_before_its_next_ones(graph: Graph) -> None:
    for kind in ("reverseIpv4:ReverseIpv4", "reverseIpv6:ReverseIpv6"):
        entry = graph.one(f"vultr:index/{kind}", "web1")
        assert not entry.retain_on_delete
        assert entry.delete_before_replace
        assert entry.inputs["reverse"] == "web1.example.com"


def test_the_cloud_firewall_opens_ssh_and_what_is_published_and_nothing_else(graph: Graph) -> None:
    rules = graph.of_type("vultr:index/firewallRule:FirewallRule")
    opened = sorted((rule.inputs["ipType"], rule.inputs["protocol"], rule.inputs["port"]) for rule in rules)
    assert opened == [
        ("v4", "icmp", ""), ("v4", "tcp", "22"), ("v4", "tcp", "80"),
        ("v6", "icmp", ""), ("v6", "tcp", "22"), ("v6", "tcp", "80"),
    ]  # fmt: skip


def test_a_second_server_has_everything_of_its_own(stack_file: dict[str, Any], program: Any) -> None:
    stack_file["servers"]["web2"] = {**stack_file["servers"]["web1"], "dns": {"public": ["web2.example.com"]}}
    for section in ("applications", "jobs"):
        for container in stack_file[section].values():
            container["server"] = "web1"
    graph = program(stack_file)
    for type_ in ("vultr:index/instance:Instance", "docker:index/network:Network"):
        assert {resource.name for resource in graph.of_type(type_)} == {"web1", "web2"}
    assert {provider.name for provider in graph.of_type("pulumi:providers:docker")} == {"web1-ewr", "web2-ewr"}
    for container in graph.of_type("docker:index/container:Container"):
        assert "::web1-ewr::" in container.provider


def test_the_text_of_the_user_data_is_the_same_for_ever(graph: Graph) -> None:
    """Vultr replaces the instance, with its disk, for another text that means the same."""
    assert graph.one("vultr:index/instance:Instance", "web1").inputs["userData"] == (
        "#cloud-config\n"
        '{"disable_root": false, "ssh_deletekeys": true, "ssh_keys": {"ed25519_private": '
        '"private key web1-host-key\\n", "ed25519_public": "ssh-ed25519 web1-host-key"}, "ssh_pwauth": false}\n'
    )
