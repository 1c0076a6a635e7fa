"""Who takes an example as it is has a stack file that is right, and its head names every secret that it needs."""

from __future__ import annotations

import re
import subprocess
from functools import partial
from pathlib import Path

import pytest
import yaml

import settings
from lab.paths import CHECKOUT
from settings import databases, saved
from tests.standins import insists
from tests.unit import stack_judge

EXAMPLES = sorted((CHECKOUT / "examples").glob("*.yaml"))
ROWS: dict[str, insists.Row] = yaml.safe_load((CHECKOUT / "tests" / "standins" / "images.yaml").read_text())


def secrets(example: Path) -> dict[str, str]:
    """What the lines at an example's head set."""
    head = "".join(re.findall(r"^#  (.*\n)", example.read_text(), re.MULTILINE))
    recording = 'pulumi() { printf "%s\\n" "$*"; }\n'
    done = subprocess.run(["bash", "-eu"], input=recording + head, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert all(line.startswith("config set --secret --path apiary:secrets.") for line in lines), lines
    return {line.rpartition(".")[2]: "given" for line in lines}


def of(example: Path) -> settings.Stack:
    """The example with its secrets, as the program reads it."""
    config = yaml.safe_load(example.read_text())["config"]
    sections = {key.removeprefix("apiary:"): value for key, value in config.items()}
    return settings.load({**sections, "secrets": secrets(example)}, name="example")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_a_stack_file_without_a_mistake(example: Path) -> None:
    stack = of(example)
    assert stack.backups is not None
    assert set(re.findall(r"_secrets\^(\w+)", example.read_text())) == set(stack.secrets)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_all_that_an_example_has_is_saved_or_left_out_by_a_word(example: Path) -> None:
    """The certificates and the account at their authority above all, and each database that is used."""
    stack = of(example)
    certificates: set[str] = set()
    for server in filter(partial(saved.has_backups, stack), stack.servers):
        here = saved.saved(stack, server)
        mounts = [mount for one in stack.containers_on(server).values() for mount in one.mounts if mount.name]
        left_out = {name.removeprefix("databases of ") for name in here.left_out}
        assert {mount.name for mount in mounts} <= here.volumes.keys() | left_out
        certificates |= {mount.name for mount in mounts if mount.path == "/etc/letsencrypt"} & here.volumes.keys()
        for name, app in stack.applications_on(server).items():
            for used in databases.used(name, app):
                there = stack.server_of(stack.applications[used.server])
                assert used.server in saved.saved(stack, there).databases
    assert certificates


def asked(name: str, stack: settings.Stack) -> tuple[insists.Row, insists.Given] | None:
    """What a container of an example is given, and what its image insists on; None for images of this checkout."""
    container = stack.containers()[name]
    row = ROWS.get("shop" if container.git else str(container.image))
    if row is None:
        assert container.image is None, f"{container.image} has no row in tests/standins/images.yaml"
        return None
    answers = stack_judge.Answers(stack, name)
    answers.host = lambda application: application
    environment = {one: settings.resolve(value, answers) for one, value in container.variables.items()}
    user = int(container.user.partition(":")[0]) if container.user else row.get("user", 0)
    command = [*(container.entrypoint or ()), *(container.command or ())]
    mounts = {mount.path for mount in container.mounts}
    capabilities = {one.removeprefix("CAP_") for one in container.capabilities}
    return row, insists.Given(environment, user, command, mounts, capabilities, not container.init)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_gives_each_image_what_it_insists_on(example: Path) -> None:
    stack = of(example)
    for name in stack.containers():
        if (pair := asked(name, stack)) is None:
            continue
        row, given = pair
        assert insists.complaints(row, given) == [], name
        container = stack.containers()[name]
        if isinstance(container, settings.Application) and container.domains:
            assert container.http_port == row["port"], name
            assert container.health.path in row["paths"], name
        for host, _ in insists.addresses(row, given.environment):
            assert host in settings.neighbours(stack)[name].reached, f"{name} may not reach {host}"


def test_the_list_of_examples_names_every_one() -> None:
    listed = re.findall(r"^\| \[(.*)\]\(\1\) \|", (CHECKOUT / "examples" / "README.md").read_text(), re.MULTILINE)
    assert listed == [path.name for path in EXAMPLES]
