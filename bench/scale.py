"""How the program's own time grows: with applications, servers and records; beside Terraform with the same objects.

Makes: for each size a stack file, its state as an update would leave it (tests/engine/settled.py), previews that find
nothing to do, and with a `terraform` plans of the same objects: one `terraform_data` for each custom resource,
with its inputs and dependencies. No provider is asked, so the time is the engines' own. Needs no region.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from bench.report import Report
from lab.paths import CHECKOUT
from tests.engine.settled import settle
from tests.engine.workplace import Project, Workplace

RUNS = 3
APPLICATIONS = (10, 50, 200, 500)
SERVERS = (1, 3, 10)
RECORDS = (10, 100, 1000, 5000)
SPINE = CHECKOUT / "tests" / "lab" / "stacks" / "spine.yaml"
TERRAFORM_SECONDS = 600


def measure(report: Report, folder: Path) -> None:
    """Adds a row for each size; prints them as they come."""
    sizes: list[tuple[str, dict[str, Any]]] = [
        *((f"{count} applications, a domain each", with_applications(count)) for count in APPLICATIONS),
        *((f"{count} servers with three applications each", with_servers(count)) for count in SERVERS),
        *((f"{count} records of a zone", with_records(count)) for count in RECORDS),
    ]
    with closing(Workplace(folder / "engine")) as workplace:
        for number, (what, stack_file) in enumerate(sizes):
            name = f"size{number}"
            project = workplace.project(name, name, stack_file).made()
            settle(project, {})
            _preview(report, what, project)
            if shutil.which("terraform"):
                _terraform(report, what, project, folder / f"terraform-{name}")
    report.notes.append(
        "The state is the one that an update would leave (tests/engine/settled.py), so no host or API is asked. "
        "Terraform: a plan of one `terraform_data` for each custom resource of it, with its inputs and dependencies."
    )


def with_applications(count: int) -> dict[str, Any]:
    """The spine with so many sites, each an application of its own with a domain of its own."""
    stack_file = _spine()
    config = stack_file["config"]
    for number in range(count - len(config["apiary:applications"]) + 1):
        domain = f"app{number}.example.com"
        config["apiary:applications"][f"app{number}"] = {
            "build_dir": "Echo",
            "env": {"domains": [domain], "http_port": 8080},
        }
        config["apiary:servers"]["web1"]["dns"]["web"].append(domain)
    return stack_file


def with_servers(count: int) -> dict[str, Any]:
    """So many servers, each with what the spine has."""
    spine = _spine()["config"]
    config: dict[str, Any] = {"vultr:apiKey": "placeholder"}
    for number in range(1, count + 1):

        def own(name: str, number: int = number) -> str:
            return f"{name}{number}"

        domains = [f"{own('site')}.example.com", f"{own('echo')}.example.net"]
        server = {**spine["apiary:servers"]["web1"], "dns": {"public": [f"{own('web')}.example.com"], "web": domains}}
        config.setdefault("apiary:servers", {})[own("web")] = server
        served = dict(zip(("site", "echo"), domains, strict=True))
        for section in ("apiary:applications", "apiary:jobs"):
            for name, entry in spine[section].items():
                copied = {**json.loads(json.dumps(entry)), "server": own("web")}
                if name in served:
                    copied["env"]["domains"] = [served[name]]
                if "haproxy_container" in copied.get("env", {}):
                    copied["env"]["haproxy_container"] = f"${own('haproxy')}"
                config.setdefault(section, {})[own(name)] = copied
    return {"config": config}


def with_records(count: int) -> dict[str, Any]:
    """The spine, and a zone with so many records that the stack file writes."""
    stack_file = _spine()
    records = [{"type": "A", "name": f"host{number}", "data": "192.0.2.1"} for number in range(count)]
    stack_file["config"]["apiary:zones"] = {"example.org": {"records": records}}
    return stack_file


def _spine() -> dict[str, Any]:
    config = yaml.safe_load(SPINE.read_text())["config"]
    return {"config": {**config, "vultr:apiKey": "placeholder"}}


def _preview(report: Report, what: str, project: Project) -> None:
    runs = [project.run("preview", "--expect-no-changes") for _ in range(RUNS)]
    for run in runs:
        if run.status:
            raise RuntimeError(f"a preview with nothing to do failed: {run.output[-4000:]}")
    exported = project.run("stack", "export").stdout
    report.add(f"{what}: resources, components aside", "", len(_custom(exported)))
    report.add(f"{what}: no-change `pulumi preview`", "s", *(run.seconds for run in runs))
    report.add(f"{what}: no-change `pulumi preview`, of one processor", "s", *(run.worked for run in runs))
    report.add(f"{what}: state", "kB", len(exported) / 1000)


def _custom(exported: str) -> list[Mapping[str, Any]]:
    resources = json.loads(exported)["deployment"]["resources"]
    return [one for one in resources if one["custom"] and not one["type"].startswith("pulumi:")]


def _terraform(report: Report, what: str, project: Project, folder: Path) -> None:
    folder.mkdir()
    resources = _custom(project.run("stack", "export").stdout)
    labels = {one["urn"]: f"r{number}" for number, one in enumerate(resources)}
    objects = {
        labels[one["urn"]]: {
            "input": json.dumps(one["inputs"], sort_keys=True).replace("${", "$${").replace("%{", "%%{"),
            "depends_on": [f"terraform_data.{labels[urn]}" for urn in one.get("dependencies") or () if urn in labels],
        }
        for one in resources
    }
    (folder / "main.tf.json").write_text(json.dumps({"resource": {"terraform_data": objects}}))
    for words in (["init"], ["apply", "-auto-approve", "-refresh=false"]):
        _run(folder, *words)
    report.add(
        f"{what}: `terraform plan -refresh=false`", "s", *(_run(folder, "plan", "-refresh=false") for _ in range(RUNS))
    )


def _run(folder: Path, *words: str) -> float:
    """Seconds. Raises RuntimeError with what it printed."""
    started = time.monotonic()
    done = subprocess.run(
        ["terraform", *words, "-input=false", "-no-color"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TERRAFORM_SECONDS,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"terraform {words[0]} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.monotonic() - started
