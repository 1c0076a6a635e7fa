"""The verbs that repair, with the real CLI: what they get past, and what they say where they can't."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from lab.paths import CHECKOUT
from tests.engine.workplace import SECONDS, Project, Workplace

NOTHING = "import pulumi\n"


@pytest.fixture
def project(workplace: Workplace, hive_file: dict[str, Any], request: pytest.FixtureRequest) -> Project:
    made = workplace.project(request.node.name, "repaired", hive_file)
    shutil.copytree(CHECKOUT / "operations", made.folder / "operations")
    return made


def verb(project: Project, *arguments: str, backend: str) -> subprocess.CompletedProcess[str]:
    """`python -m operations ARGUMENTS` in the project."""
    return subprocess.run(
        [sys.executable, "-m", "operations", *arguments, "--stack", project.stack],
        cwd=project.folder,
        env={**project.workplace.environment, "PULUMI_BACKEND_URL": backend},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.parametrize(
    "torn", ["repaired", pytest.param("another", marks=pytest.mark.soak)]
)  # one more, of somebody else
def test_heal_gets_past_a_write_that_was_cut_off(project: Project, torn: str) -> None:
    """The file of another stack is not ours to remove, and must not stop us either."""
    (project.folder / "__main__.py").write_text(NOTHING)
    # Only without `metadata=skip` is there a file to tear.
    state = project.folder / "state"
    state.mkdir()
    backend = {"PULUMI_BACKEND_URL": f"file://{state}"}
    for stack in ("another", "repaired"):
        made = Project(project.workplace, project.folder, stack).run("stack", "init", environment=backend)
        assert made.status == 0, made.output
    file = state / ".pulumi" / "stacks" / "apiary" / f"{torn}.json.attrs"
    assert file.stat().st_size
    file.write_bytes(b"")
    assert "EOF" in project.run("stack", "ls", environment=backend).output, "the real CLI stumbles over it"
    healed = verb(project, "heal", backend=backend["PULUMI_BACKEND_URL"])
    assert healed.returncode == 0, healed.stdout + healed.stderr
    assert (f"removed {file}" in healed.stdout) is (torn == "repaired")
    assert file.exists() is (torn == "another") or file.stat().st_size


def test_a_lock_within_a_bucket_is_known_by_what_the_cli_refuses(project: Project) -> None:
    """Of a bucket and of a folder the CLI keeps the same lock; asking changes neither the state nor the stack file."""
    state = project.folder / "state"
    state.mkdir()
    backend = {"PULUMI_BACKEND_URL": f"file://{state}"}
    assert project.run("stack", "init", environment=backend).status == 0
    before = project.run("stack", "export", environment=backend).stdout, _content(project)

    def updating() -> str:
        asked = f"from operations.cli import Pulumi; print(Pulumi({project.stack!r}).updating(is_service=False))"
        done = subprocess.run(
            [sys.executable, "-c", asked],
            cwd=project.folder,
            env={**project.workplace.environment, **backend},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert updating() == ""
    lock = {"pid": 7, "username": "ann", "hostname": "laptop", "timestamp": "2026-11-30T07:00:00.5Z"}
    folder = state / ".pulumi" / "locks" / "organization" / "apiary" / project.stack
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.json").write_text(json.dumps(lock))
    assert "created by ann@laptop (pid 7)" in updating()
    (folder / "a.json").unlink()
    assert (project.run("stack", "export", environment=backend).stdout, _content(project)) == before


def _content(project: Project) -> str:
    return (project.folder / f"Pulumi.{project.stack}.yaml").read_text()


GROUP = """
import pulumi

pulumi.ComponentResource("apiary:host:Server", "web1")
"""


# Both repair it by the same lines before they do anything else.
@pytest.mark.parametrize(
    "words", [["heal"], pytest.param(["revive", "web1"], marks=pytest.mark.soak)], ids=lambda w: w[0]
)
def test_heal_and_revive_get_past_a_state_that_names_what_it_does_not_have(
    workplace: Workplace, hive_file: dict[str, Any], words: list[str]
) -> None:
    """As the engine leaves it after `up --continue-on-error`, when something fails and something else is removed."""
    name = f"integrity-{words[0]}"
    project = workplace.project(name, name, hive_file)
    shutil.copytree(CHECKOUT / "operations", project.folder / "operations")
    (project.folder / "__main__.py").write_text(GROUP)
    project.made()
    assert project.run("up", "--yes", "--skip-preview").status == 0
    exported = project.run("stack", "export").json()
    server = exported["deployment"]["resources"][-1]
    missing = server["urn"].replace("::web1", "::ignores-drain")
    server["dependencies"] = [missing]
    done = project.run("stack", "import", "--force", stdin=json.dumps(exported))
    assert done.status == 0, done.output
    assert "integrity" in project.run("refresh", "--yes").output, "the real CLI stumbles over it"
    backend = project.workplace.environment["PULUMI_BACKEND_URL"]
    # It ends at the account, which nobody answers for here, with a state that can be read again.
    assert f"forgot web1 -> {missing}" in verb(project, *words, backend=backend).stdout
    refreshed = project.run("refresh", "--yes")
    assert refreshed.status == 0, refreshed.output
    assert "forgot" not in verb(project, *words, backend=backend).stdout


def test_heal_says_what_is_wrong_with_the_stack_file_in_words(project: Project, hive_file: dict[str, Any]) -> None:
    config = {**hive_file["config"], "apiary:servers": {"web1": {"plan": "vc2-1c-2gb", "os": "Debian"}}}
    project.write({**hive_file, "config": config})
    project.made()
    healed = verb(project, "heal", backend=project.workplace.environment["PULUMI_BACKEND_URL"])
    assert healed.returncode != 0
    assert "`pulumi preview` failed:\n" in healed.stderr
    assert "servers.web1.os: " in healed.stderr
    assert '"steps"' not in healed.stderr
    assert "{" not in healed.stderr, healed.stderr


def test_a_stack_that_is_not_there_is_named_with_those_that_are(project: Project) -> None:
    project.made()
    project.workplace.forget()
    backend = project.workplace.environment["PULUMI_BACKEND_URL"]
    mistyped = Project(project.workplace, project.folder, "repared")
    for words in (["heal"], ["revive", "web1"], ["graph"]):
        done = verb(mistyped, *words, backend=backend)
        assert done.returncode != 0
        assert "there is no stack 'repared'; there are: " in done.stderr
        assert "repaired" in done.stderr
