"""What Bee2's sample becomes is planned by the engine with its secrets set and nothing else added."""

from __future__ import annotations

import re
import subprocess

import yaml

from lab.paths import CHECKOUT
from operations.state import CONTAINER, State
from tests.engine.workplace import Workplace

GOLDEN = CHECKOUT / "tests" / "unit" / "bee2_files" / "golden.yaml"


def test_the_converted_sample_is_planned_with_all_that_it_runs(workplace: Workplace) -> None:
    project = workplace.project("bee2", "bee2", {})
    text = GOLDEN.read_text()
    (project.folder / "Pulumi.bee2.yaml").write_text(text)
    project.made()
    names = sorted(set(re.findall(r"_secrets\^(\w+)", text)))
    assert "postgres_admin" in names
    for key in ("vultr:apiKey", *(f"apiary:secrets.{name}" for name in names)):
        subprocess.run(
            ["pulumi", "config", "set", "--secret", "--path", key],
            input="given", cwd=project.folder, env=workplace.environment, text=True, check=True, capture_output=True,
        )  # fmt: skip
    planned = State.of_plan(project.plan())
    config = yaml.safe_load(text)["config"]
    wanted = {*config["apiary:applications"], *config["apiary:jobs"], "haproxy-door"}
    assert {one.name for one in planned.of_type(CONTAINER)} == wanted
