"""The engine runs the program's own Vultr plugin, from wherever `pulumi` is called, and no other."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation

from lab.api.testing import Emulator
from tests.engine import vultr
from tests.engine.workplace import SECONDS, Project, Run, Workplace

ONE: vultr.Resources = {"zone": vultr.RESOURCES["zone"]}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def one(workplace: Workplace, request: pytest.FixtureRequest) -> Project:
    """A project that makes a zone."""
    return vultr.project(workplace, str(request.node.name).replace("_", "-")[:60], ONE)


def test_it_is_found_from_wherever_pulumi_is_called(one: Project) -> None:
    link = one.folder.with_name("link")
    link.symlink_to(one.folder)
    places: list[tuple[Path, list[str]]] = [
        (one.folder / "images" / "HAProxy", []), (Path("/"), ["-C", str(one.folder)]), (link, []),
    ]  # fmt: skip
    for folder, options in places:
        done = subprocess.run(
            [str(one.workplace.pulumi), *options, "preview", "--stack", one.stack, "--non-interactive"],
            cwd=folder, env=one.workplace.environment, capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert "vultr:index:DnsDomain zone create" in said
        assert "warning" not in said.lower()


def test_the_automation_api_runs_it_too(one: Project) -> None:
    environment = one.workplace.environment
    options = automation.LocalWorkspaceOptions(
        env_vars=environment,
        pulumi_command=automation.PulumiCommand(root=str(home_of_cli(one))),
    )
    stack = automation.select_stack(one.stack, work_dir=str(one.folder), opts=options)
    assert stack.preview().change_summary == {"create": 2}


def home_of_cli(project: Project) -> Path:
    """A folder as the Automation API wants one, with the CLI in its `bin`."""
    root = project.folder.with_name("cli")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    (root / "bin").symlink_to(project.workplace.pulumi.parent)
    return root


def test_without_its_environment_the_update_says_which_line_makes_it(one: Project) -> None:
    (one.folder / ".venv").unlink()
    run = one.run("preview")
    assert run.status != 0
    assert f"make -C '{one.folder}' .venv/.ready" in run.output


def test_an_official_plugin_that_is_installed_is_left_alone(one: Project, tmp_path: Path) -> None:
    home, started = tmp_path / "home", tmp_path / "started"
    shutil.copytree(one.workplace.environment["PULUMI_HOME"], home, symlinks=False)
    plugin = home / "plugins" / "resource-vultr-v2.27.1"
    plugin.mkdir()
    (plugin / "pulumi-resource-vultr").write_text(vultr.marker(started))
    (plugin / "pulumi-resource-vultr").chmod(0o755)
    vultr.succeeded(one.run("preview", environment={"PULUMI_HOME": str(home)}))
    assert not started.exists()
    # The same without the lines: so that the above can fail.
    text = (one.folder / "Pulumi.yaml").read_text()
    (one.folder / "Pulumi.yaml").write_text(text.partition("plugins:")[0])
    assert one.run("preview", environment={"PULUMI_HOME": str(home)}).status != 0
    assert started.exists()


def test_a_type_that_it_does_not_have_is_refused_by_name(workplace: Workplace) -> None:
    project = vultr.project(workplace, "unknown", {"users": ("StartupScript", {"script": "IyEvYmluL3NoCg=="})})
    run = project.run("preview")
    assert run.status != 0
    assert "the program's own Vultr plugin (provider/) has no resource type vultr:index/startupScript" in run.output
    assert "how to go back" in run.output


@pytest.mark.soak
def test_a_move_to_where_the_plan_is_not_sold_ends_in_its_preview(workplace: Workplace, emulator: Emulator) -> None:
    """What is asked of the API, when, and what is said: tests/provider/test_sold.py."""
    inputs: dict[str, Any] = {"region": "ewr", "plan": "vc2-1c-1gb", "os_id": 2136, "label": "mover"}
    project = vultr.project(workplace, "mover", {"mover": ("Instance", inputs)})
    there = vultr.reaching(emulator)
    vultr.succeeded(project.run("up", "--yes", environment=there))
    vultr.write(project, {"mover": ("Instance", {**inputs, "region": "hnl"})})
    for verb in (["preview"], ["up", "--yes", "--skip-preview"]):
        run = project.run(*verb, environment=there)
        assert run.status != 0
        assert "Vultr has no vc2-1c-1gb in hnl just now" in run.output
    before = vultr.resources_of(project)["mover"]["id"]
    vultr.write(project, {"mover": ("Instance", {**inputs, "region": "hnl", "plan": "vhp-1c-1gb-amd"})})
    vultr.succeeded(project.run("up", "--yes", environment=there))
    assert vultr.resources_of(project)["mover"]["id"] != before


@pytest.mark.soak
def test_a_refresh_reads_a_server_that_was_changed_by_hand_whatever_is_sold(
    workplace: Workplace, emulator: Emulator
) -> None:
    """The engine compares what it reads with what was recorded by the same call as what a program wants.

    As it is asked then, in tests/provider/test_sold.py.
    """
    inputs: dict[str, Any] = {"region": "ewr", "plan": "vc2-1c-1gb", "os_id": 2136, "label": "changed"}
    project = vultr.project(workplace, "changed", {"changed": ("Instance", inputs)})
    there = vultr.reaching(emulator)
    vultr.succeeded(project.run("up", "--yes", environment=there))
    id = vultr.resources_of(project)["changed"]["id"]
    emulator.api.patch(f"/v2/instances/{id}", json={"os_id": 2625}).raise_for_status()
    emulator.active(id)
    sold_out = {"method": "GET", "path": "/v2/regions/ewr/availability", "status": 200, "count": -1,
                "body": {"available_plans": []}}  # fmt: skip
    emulator.control.post("/faults", json=sold_out).raise_for_status()
    try:
        vultr.succeeded(project.run("refresh", "--yes", "--skip-preview", environment=there))
        assert vultr.resources_of(project)["changed"]["outputs"]["osId"] == 2625
        assert "Vultr has no vc2-1c-1gb in ewr just now" in project.run("preview", environment=there).output
    finally:
        emulator.control.delete("/faults").raise_for_status()


@pytest.mark.soak  # what the program does not use, or only in part: each type by itself is in tests/provider
def test_storage_and_balancers_live_a_whole_life(workplace: Workplace, emulator: Emulator) -> None:
    resources = {
        name: (kind, {key: value for key, value in inputs.items() if key != "attached_instances"})
        for name, (kind, inputs) in vultr.RESOURCES.items()
        if name in ("net", "bucket", "balancer", "files")
    }
    kind, inputs = resources["balancer"]
    project = vultr.project(workplace, "life", resources)

    def up(*options: str) -> str:
        run = project.run("up", "--yes", "--skip-preview", *options, environment=vultr.reaching(emulator))
        return vultr.succeeded(run).output

    up()
    made = vultr.resources_of(project)
    assert {made[name]["outputs"]["status"] for name in ("bucket", "balancer", "files")} == {"active"}
    assert made["bucket"]["outputs"]["s3SecretKey"]
    assert made["balancer"]["outputs"]["ipv4"]
    assert all(rule["ruleId"] for rule in made["balancer"]["outputs"]["forwardingRules"])
    exported = project.run("stack", "export").stdout
    stored = emulator.state()["object_storages"][made["bucket"]["id"]]
    assert stored["s3_secret_key"] not in exported
    up("--expect-no-changes")
    up("--refresh", "--expect-no-changes")

    resources["bucket"] = ("ObjectStorage", {**resources["bucket"][1], "label": "archive"})
    resources["files"] = ("VirtualFileSystemStorage", {**resources["files"][1], "label": "common", "size_gb": 20})
    rules = [*inputs["forwarding_rules"][1:], {**inputs["forwarding_rules"][0], "frontend_port": 8000}]
    changed = {**inputs, "forwarding_rules": rules, "balancing_algorithm": "leastconn", "vpc": ""}
    resources["balancer"] = (kind, changed)
    vultr.write(project, resources)
    up()
    balancer = emulator.state()["load_balancers"][made["balancer"]["id"]]
    assert sorted(rule["frontend_port"] for rule in balancer["forwarding_rules"]) == [443, 8000]
    assert (balancer["generic_info"]["balancing_algorithm"], balancer["generic_info"]["vpc"]) == ("leastconn", "")
    assert [rule["source"] for rule in balancer["firewall_rules"]] == ["192.0.2.0/24"]  # not touched
    assert emulator.state()["object_storages"][made["bucket"]["id"]]["label"] == "archive"
    files = emulator.state()["vfs"][made["files"]["id"]]
    assert (files["label"], files["storage_size"]["gb"]) == ("common", 20)
    up("--refresh", "--expect-no-changes")

    emulator.api.delete(f"/v2/load-balancers/{made['balancer']['id']}").raise_for_status()
    emulator.api.delete(f"/v2/vfs/{made['files']['id']}").raise_for_status()
    vultr.succeeded(project.run("refresh", "--yes", environment=vultr.reaching(emulator)))
    assert set(vultr.resources_of(project)) == {"net", "bucket"}
    up()
    vultr.succeeded(project.run("destroy", "--yes", "--skip-preview", environment=vultr.reaching(emulator)))
    left = emulator.state()
    assert (left["load_balancers"], left["object_storages"], left["vfs"], left["vpcs"]) == ({}, {}, {}, {})


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--parallel", "1"], id="one by one", marks=pytest.mark.soak),  # as nobody has it updated
        pytest.param([], id="at once"),
    ],
)
def test_a_zone_gets_another_ttl_with_all_its_sets_and_a_new_record(
    workplace: Workplace, emulator: Emulator, options: list[str]
) -> None:
    """Vultr refuses each of the changes by itself, and so does the emulator."""
    number = len(options)
    sets = {
        **{f"mx{n}": {"name": "", "type": "MX", "data": f"mx{n}.example.net", "priority": n} for n in (10, 20)},
        **{f"txt{n}": {"name": "", "type": "TXT", "data": f"text {n}"} for n in (1, 2, 3)},
        **{f"a{n}": {"name": "*.apps", "type": "A", "data": f"192.0.2.{n}"} for n in (1, 2)},
    }
    domain = f"ttl{number}.example"
    project = vultr.project(workplace, f"ttl{number}", {})

    def up(ttl: int, records: dict[str, dict[str, Any]], *more: str) -> list[dict[str, Any]]:
        made = {
            name: ("DnsRecord", {"domain": vultr.output("zone"), **one, "ttl": ttl}) for name, one in records.items()
        }
        vultr.write(project, {"zone": ("DnsDomain", {"domain": domain}), **made})
        environment = vultr.reaching(emulator)
        vultr.succeeded(project.run("up", "--yes", "--skip-preview", *options, *more, environment=environment))
        return list(emulator.state()["domains"][domain]["records"])

    before = up(300, sets)
    new = {"a3": {"name": "*.apps", "type": "A", "data": "192.0.2.3"}}
    after = up(600, new | sets)
    assert [one | {"ttl": 600 if one["type"] != "NS" else 300} for one in before] == after[:-1]
    assert (after[-1]["data"], after[-1]["ttl"]) == ("192.0.2.3", 600)
    up(600, new | sets, "--refresh", "--expect-no-changes")


HELD = """
import time

made["address"].id.apply(lambda _: (Path("recorded").touch(), time.sleep(90)))
"""


def killed_when_recorded(project: Project, emulator: Emulator) -> None:
    """An update is killed, with its plugins, when the engine has the address in its state."""
    program = project.folder / "__main__.py"
    text = program.read_text()
    program.write_text(text + HELD)
    process = subprocess.Popen(
        [str(project.workplace.pulumi), "up", "--yes", "--skip-preview", "--stack", project.stack, "--non-interactive"],
        cwd=project.folder, env={**project.workplace.environment, **vultr.reaching(emulator)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    emulator.until((project.folder / "recorded").exists, SECONDS)
    subprocess.run(["pkill", "--signal", "KILL", "--session", str(process.pid)], check=True)
    process.wait()
    program.write_text(text)
    vultr.succeeded(project.run("cancel", "--yes"))


def test_the_address_that_is_replaced_after_a_kill_is_not_taken_for_its_own_replacement(
    workplace: Workplace, emulator: Emulator
) -> None:
    """The engine asks for the new one without a word of the old one, and deletes the old one afterwards."""
    project = vultr.project(workplace, "replaced-after-kill", {"address": vultr.RESOURCES["address"]})
    killed_when_recorded(project, emulator)
    recorded = vultr.resources_of(project)["address"]

    def replaced(*options: str) -> Run:
        options = ("--yes", "--skip-preview", "--replace", recorded["urn"], *options)
        return project.run("up", *options, environment=vultr.reaching(emulator))

    refused = replaced()
    assert refused.status != 0, refused.output
    assert "--refresh" in refused.output
    assert list(emulator.state()["reserved_ips"]) == [recorded["id"]], "it still serves, and there is no other"
    vultr.succeeded(replaced("--refresh"))
    now = vultr.resources_of(project)["address"]["id"]
    assert now != recorded["id"]
    assert list(emulator.state()["reserved_ips"]) == [now]


def test_an_update_after_a_kill_goes_on_from_what_is_recorded(workplace: Workplace, emulator: Emulator) -> None:
    project = vultr.project(workplace, "goes-on-after-kill", {"address": vultr.RESOURCES["address"]})
    killed_when_recorded(project, emulator)
    before = vultr.resources_of(project)["address"]
    vultr.succeeded(project.run("up", "--yes", "--skip-preview", environment=vultr.reaching(emulator)))
    replace = ("--yes", "--skip-preview", "--replace", before["urn"])
    vultr.succeeded(project.run("up", *replace, environment=vultr.reaching(emulator)))
    assert vultr.resources_of(project)["address"]["id"] in emulator.state()["reserved_ips"]
    assert before["id"] not in emulator.state()["reserved_ips"]
