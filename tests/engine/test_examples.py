"""An example is planned by the engine as its reader would have it: copied, its secrets set by the lines at its head."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from lab.paths import CHECKOUT
from operations.state import CONTAINER, SERVICE, State
from tests.engine.workplace import Workplace

EXAMPLES = sorted((CHECKOUT / "examples").glob("*.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_planned_with_all_that_it_runs(workplace: Workplace, example: Path) -> None:
    project = workplace.project(f"example-{example.stem}", example.stem, {})
    text = example.read_text()
    (project.folder / f"Pulumi.{example.stem}.yaml").write_text(text)
    project.made()
    head = "".join(re.findall(r"^#  (.*\n)", text, re.MULTILINE))
    answering = 'pulumi() { echo "given" | command pulumi "$@"; }\n'
    subprocess.run(
        ["bash", "-eu"],
        input=f"{answering}pulumi config set --secret vultr:apiKey\n{head}",
        cwd=project.folder,
        env=workplace.environment,
        text=True,
        check=True,
        capture_output=True,
    )
    planned = State.of_plan(project.plan())
    config = yaml.safe_load(text)["config"]
    spread = {name for name, entry in config["apiary:applications"].items() if "replicas" in entry}
    # Of what is public, the proxies have doors.
    doors = {f"{name}-door" for name, entry in config["apiary:applications"].items() if entry.get("ipv6_web")}
    wanted = {*config["apiary:applications"], *config["apiary:jobs"], *doors} - spread
    assert {one.name for one in planned.of_type(CONTAINER)} == wanted
    assert {one.name for one in planned.of_type(SERVICE)} == spread
