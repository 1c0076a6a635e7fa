"""A bad stack file stops the preview: every error at once, by path, with what to write, and nothing planned."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.engine.workplace import Project, Workplace

# Of a processor: far above what reading takes, below what a plan of all would take beside it. Nobody is waited for: who
# asks outside the machine is hung up on (tests/engine/workplace.py).
SECONDS = 15


@pytest.fixture
def project(workplace: Workplace, request: pytest.FixtureRequest) -> Project:
    return workplace.project(request.node.name, "bad", {"config": {}}).made()


def _several(config: dict[str, Any]) -> list[str]:
    config["apiary:applications"]["shop"]["env"]["db_host"] = "$postgress"
    config["apiary:applications"]["shop"]["env"]["mail_password"] = "_secrets^male"
    config["apiary:applications"]["site"]["build_dir"] = "NginxStatik"
    config["apiary:applications"]["site"]["env"]["domains"] = ["example.com", "shop.example.net"]
    config["apiary:servers"]["web2"]["ipv6"] = {"docker": {"suffix_net": "1:0:0/96"}}
    config["apiary:jobs"]["report"]["server"] = "web3"
    return [
        'applications.shop.env.db_host: "$postgress" is not an application; did you mean "$postgres"?',
        'did you mean "_secrets^mail"?',
        'did you mean "NginxStatic"?',
        "shop.example.net",
        "servers.web2.ipv6.docker",
        "jobs.report.server",
    ]


def _wrong_shapes(config: dict[str, Any]) -> list[str]:
    config["apiary:aplications"] = {"x": {"image": "nginx"}}
    config["apiary:jobs"] = ["report"]
    config["apiary:servers"]["web1"]["os"] = "Debian"
    config["apiary:applications"]["site"]["ports"] = "80"
    config["apiary:applications"]["site"]["replicas"] = 3
    return [
        'aplications: unknown setting; did you mean "applications"?',
        "jobs: ",
        "servers.web1.os: ",
        "applications.site.ports: ",
        "applications.site.replicas: ",
    ]


def _nothing_at_all(config: dict[str, Any]) -> list[str]:
    for key in [key for key in config if key.startswith("apiary:")]:
        del config[key]
    return ["servers: "]


def _a_secret_elsewhere(config: dict[str, Any]) -> list[str]:
    config["apiary:applications"]["shop"]["env"]["token"] = config["apiary:secrets"]["mail"]
    return ["applications: holds an encrypted value", "--path apiary:secrets.NAME", "_secrets^NAME"]


@pytest.mark.parametrize(
    "spoil",
    [
        _several,
        # What else is wrong, and how it is said: tests/unit/test_settings_errors.py.
        pytest.param(_wrong_shapes, marks=pytest.mark.soak),
        pytest.param(_nothing_at_all, marks=pytest.mark.soak),
        _a_secret_elsewhere,
    ],
    ids=lambda spoil: spoil.__name__,
)
def test_all_that_is_wrong_is_said_at_once_and_nothing_is_planned(
    project: Project, edited: dict[str, Any], spoil: Any
) -> None:
    expected = spoil(edited["config"])
    project.write(edited)
    preview = project.run("preview")
    missing = [line for line in expected if line not in preview.output]
    assert not missing, preview.output
    assert preview.status != 0
    assert "Traceback" not in preview.output
    planned = re.findall(r"(?m)^ +\+ +(\S+) ", preview.output)
    assert set(planned) <= {"pulumi:pulumi:Stack", "1"}, preview.output  # `+ 1 to create` is the stack
    assert preview.worked < SECONDS
    assert "correct horse" not in preview.output


def test_the_plan_of_a_bad_stack_file_holds_no_resource(project: Project, edited: dict[str, Any]) -> None:
    _several(edited["config"])
    project.write(edited)
    preview = project.run("preview", "--json")
    assert preview.status != 0
    planned = {step["newState"]["type"] for step in json.loads(preview.stdout)["steps"]}
    assert planned <= {"pulumi:pulumi:Stack"}


UNQUOTED = ("022", "0755", "01761234567", "01099", "0899", "+49", "1_000", "0x1F", "0b11", "0o17", "1.0", "1e3", "True")


def test_every_value_that_yaml_makes_another_of_is_found_in_the_file_itself(
    project: Project, edited: dict[str, Any]
) -> None:
    """What Pulumi's own reader does to a number is seen in no value: only the file has its text."""
    edited["config"]["apiary:applications"]["shop"]["env"] |= {f"odd_{n}": f"ODD{n}." for n in range(len(UNQUOTED))}
    edited["config"]["apiary:applications"]["shop"]["env"]["plain"] = 1000
    project.write(edited)
    path = project.folder / f"Pulumi.{project.stack}.yaml"
    text = path.read_text()
    for n, written in enumerate(UNQUOTED):
        assert f" ODD{n}." in text
        text = text.replace(f" ODD{n}.\n", f" {written}\n")
    path.write_text(text)
    preview = project.run("preview")
    found = re.findall(r"applications\.shop\.env\.(\S+): ", preview.output)
    assert set(found) == {f"odd_{n}" for n in range(len(UNQUOTED))}, preview.output
