"""What people bring is built and pulled as they have it, and what is secret of that reaches the server alone."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

COMMAND, SENT, CONTAINER = "command:remote:Command", "command:local:Command", "docker:index/container:Container"
SECRET = "correct horse"  # of the stack file's secret `mail`
LOGIN = {"user": "bot", "password": "_secrets^mail"}
REPOSITORY = {"url": "git@git.example.org:team/site.git", "key": "_secrets^mail", "host_key": "ssh-ed25519 AAAA"}


@pytest.fixture
def web(stack_file: dict[str, Any]) -> dict[str, Any]:
    """A job that is built from a folder."""
    job: dict[str, Any] = stack_file["jobs"].setdefault("web", {"build_dir": "Reports"})
    return job


def options(create: str) -> list[str]:
    return shlex.split(next(line for line in create.splitlines() if "apiary-image build" in line))


def test_a_stage_and_build_arguments_reach_the_builder(
    web: dict[str, Any], stack_file: dict[str, Any], program: Any
) -> None:
    web |= {"target": "release", "build_args": {"A": "b c"}, "dockerfile": "Dockerfile"}
    graph = program(stack_file)
    [sent] = [one for one in graph.of_type(SENT) if one.name.startswith("web1/Reports-")]
    words = options(sent.inputs["create"])
    tag = graph.one(CONTAINER, "web").inputs["image"]
    assert words[words.index("build") + 1 : words.index("--")] == [tag, "--dockerfile", "Dockerfile", "$cargo/context"]
    assert words[words.index("--target") + 1] == "release"
    assert words[words.index("--build-arg") + 1] == "A=b c"


@pytest.mark.parametrize("change", [{"target": "test"}, {"dockerfile": "Dockerfile"}, {"build_args": {"A": "b"}}])
def test_another_recipe_is_another_image(
    web: dict[str, Any], stack_file: dict[str, Any], program: Any, change: dict[str, Any]
) -> None:
    before = program(stack_file).one(CONTAINER, "web").inputs["image"]
    web |= change
    assert program(stack_file).one(CONTAINER, "web").inputs["image"] != before


def test_a_build_s_secret_is_told_on_standard_input_alone_and_another_one_builds_nothing(
    web: dict[str, Any], stack_file: dict[str, Any], program: Any
) -> None:
    web |= {"build_secrets": {"npm": "_secrets^mail"}}

    def sent() -> Any:
        graph = program(stack_file, secret_keys=("secrets",))
        return next(one for one in graph.of_type(SENT) if one.name == "web1/Reports")

    first = sent()
    assert "stdin" in first.secret_inputs
    assert json.loads(first.inputs["stdin"]) == {"secrets": {"npm": SECRET}}
    assert SECRET not in str({key: value for key, value in first.inputs.items() if key != "stdin"})
    assert SECRET.encode() not in first.cargo
    stack_file["secrets"]["mail"] = "another"
    assert sent().inputs["triggers"] == first.inputs["triggers"]


def test_a_repository_by_ssh_has_its_key_and_its_server_s_on_standard_input_alone(
    stack_file: dict[str, Any], program: Any
) -> None:
    stack_file["jobs"]["feed"] = {"git": {**REPOSITORY, "dir": "sites"}, "dockerfile": "docker/web.Dockerfile"}
    graph = program(stack_file)
    [looked_up] = [one for one in graph.of_type(COMMAND) if one.name.endswith("-commit")]
    built = graph.one(COMMAND, f"web1/{REPOSITORY['url']}#:sites-{looked_up.name.split('-')[-2]}")
    for command in (looked_up, built):
        assert "stdin" in command.secret_inputs
        assert json.loads(command.inputs["stdin"]) == {"key": SECRET, "host_key": REPOSITORY["host_key"]}
    assert " --dir sites --dockerfile docker/web.Dockerfile " in built.inputs["create"]


def test_a_tag_is_looked_up_once_and_what_runs_is_its_digest(stack_file: dict[str, Any], program: Any) -> None:
    stack_file["jobs"]["job"] = {"image": "quay.io/team/shop:1.4"}
    graph = program(stack_file)
    looked_up = graph.one(COMMAND, "web1/quay.io/team/shop:1.4-digest")
    assert looked_up.inputs["create"].startswith("apiary-image digest quay.io/team/shop:1.4 | ")
    assert "triggers" not in looked_up.inputs, "a rebuilt server gets what was there before"
    image = graph.one(CONTAINER, "job").inputs["image"]
    assert image.startswith("quay.io/team/shop@sha256:")
    pulled = graph.one(COMMAND, "web1/quay.io/team/shop:1.4")
    assert f"apiary-image pull {image}" in pulled.inputs["create"]
    assert pulled.inputs["triggers"] == ["web1-id", image]
    assert looked_up.urn in graph.one(CONTAINER, "job").dependencies, "by that `make release` finds it"


TOOL = """\
#!/bin/sh
[ ! -e "$0.broken" ] || { echo why >&2; exit 1; }
echo "$2" >>"$0.asked"
echo "at $(wc -l <"$0.asked")"
"""


def test_what_was_found_stays_when_the_command_changes_and_on_a_new_disk(
    stack_file: dict[str, Any], program: Any, tmp_path: Path
) -> None:
    stack_file["jobs"]["job"] = {"image": "quay.io/team/shop:1.4"}
    command = program(stack_file).one(COMMAND, "web1/quay.io/team/shop:1.4-digest").inputs
    tool = tmp_path / "apiary-image"
    tool.write_text(TOOL)
    tool.chmod(0o755)

    def run(word: str, **environment: str) -> tuple[int, str]:
        script = command[word].replace("/var/lib/apiary", str(tmp_path))
        environment |= {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["sh", "-c", script], input="{}", env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    assert run("create") == (0, "at 1\n")
    assert run("update") == (0, "at 1\n"), "an update looks nothing up"
    assert run("create") == (0, "at 2\n"), "who replaces it asks again"
    (tmp_path / "apiary-image.broken").touch()
    assert run("create")[0] != 0
    assert run("update") == (0, "at 2\n"), "what failed has changed nothing"
    (tmp_path / "apiary-image.broken").unlink()
    [found] = (tmp_path / "found").iterdir()
    found.unlink()
    assert command["addPreviousOutputInEnv"] is True
    for _ in range(2):
        assert run("update", PULUMI_COMMAND_STDOUT="at 2") == (0, "at 2\n"), "a new disk gets what ran"
    assert run("create", PULUMI_COMMAND_STDOUT="at 2") == (0, "at 3\n")


def test_an_image_that_names_its_digest_is_not_looked_up(stack_file: dict[str, Any], program: Any) -> None:
    fixed = f"quay.io/team/shop@sha256:{'0' * 64}"
    stack_file["jobs"]["job"] = {"image": fixed}
    graph = program(stack_file)
    assert graph.one(CONTAINER, "job").inputs["image"] == fixed
    assert not [one for one in graph.of_type(COMMAND) if one.inputs["create"].startswith("apiary-image digest quay")]


def test_a_server_is_logged_in_before_anything_is_pulled_or_built(stack_file: dict[str, Any], program: Any) -> None:
    stack_file["registries"] = {"ghcr.io": LOGIN}
    graph = program(stack_file)
    login = graph.one(COMMAND, "web1-registries")
    assert login.secret_inputs >= {"stdin"}
    assert json.loads(login.inputs["stdin"]) == {"ghcr.io": {"user": "bot", "password": SECRET}}
    assert login.inputs["update"] == login.inputs["create"], "another password is tried"
    assert "echo '{}' | apiary-image login" in login.inputs["delete"]
    assert login.delete_before_replace, "the old one would log out what the new one has logged in"
    assert SECRET not in str({key: value for key, value in login.inputs.items() if key != "stdin"})
    images = [one for one in graph if one.type in (COMMAND, SENT) and one.name.startswith("web1/")]
    assert images
    assert all(login.urn in one.dependencies for one in images)


def test_without_registries_nobody_logs_in(stack_file: dict[str, Any], program: Any) -> None:
    assert not [one for one in program(stack_file).of_type(COMMAND) if one.name.endswith("-registries")]


def test_docker_trusts_a_registry_s_own_authority_before_anything_asks_it(
    stack_file: dict[str, Any], program: Any
) -> None:
    assert b"authorities" not in program(stack_file).one(SENT, "web1").sent()["vars.json"]
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    stack_file["registries"] = {"r.example": {**LOGIN, "ca": pem}, "ghcr.io": LOGIN}
    told = json.loads(program(stack_file).one(SENT, "web1").sent()["vars.json"])
    assert told["apiary_registry_authorities"] == {"r.example": pem}
