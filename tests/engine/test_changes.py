"""A changed stack file changes the right resources and no others, in the right order.

Compared with a state in which all of the hive exists (settled.py). `operations` has every resource that does
not stay the same, so each of these is also a promise about all the others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.plans import Step, operations
from tests.engine.workplace import Project, Workplace
from tests.mocks.program import COMMIT

Elsewhere = Callable[[dict[str, Any]], Project]

FEED = "command:Command web2/https://git.example.org/feed.git#main:job"
CREATED = ("create",)
DELETED = ("delete",)
UPDATED = ("update",)
# The new one is made while the old one serves, ...
BESIDE = ("create-replacement", "replace", "delete-replaced")
# ... or the old one goes first.
STOPPED_FIRST = ("delete-replaced", "replace", "create-replacement")


def container(name: str, how: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {f"docker:Container {name}": how}


def routed(name: str, how: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """What is planned with each release of an application that the proxy routes to."""
    return {f"command:Command {name}-{part}": how for part in ("rolling-release", "drain")}


def job(name: str) -> dict[str, tuple[str, ...]]:
    """A job's container goes first, and with it the run that is known to depend on it."""
    return {**container(name, STOPPED_FIRST), f"command:Command {name}-run": STOPPED_FIRST}


def records(domain: str, zone: str, how: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {
        f"vultr:DnsRecord {zone}/{name}/{type_}": how for name in (domain, f"www.{domain}") for type_ in ("A", "AAAA")
    }


def test_a_new_site_brings_its_own_resources_and_is_made_known_to_the_proxy(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    config = edited["config"]
    config["apiary:servers"]["web1"]["dns"]["web"].append("blog.example.com")
    config["apiary:applications"]["blog"] = {
        "server": "web1", "build_dir": "NginxStatic", "env": {"domains": ["blog.example.com"], "http_port": 8080},
    }  # fmt: skip
    assert operations(elsewhere(edited).steps()) == {
        "apiary:Application blog": CREATED,
        **container("blog", CREATED),
        **routed("blog", CREATED),
        **records("blog", "example.com", CREATED),
        **job("hasetup"),
    }


def test_a_new_site_of_a_new_image_in_a_new_zone_brings_these_too(elsewhere: Elsewhere, edited: dict[str, Any]) -> None:
    config = edited["config"]
    config["apiary:servers"]["web1"]["dns"]["web"].append("wiki.new.example")
    config["apiary:applications"]["wiki"] = {
        "server": "web1", "image": "nginx:1.27", "env": {"domains": ["wiki.new.example"], "http_port": 80},
    }  # fmt: skip
    assert operations(elsewhere(edited).steps()) == {
        "apiary:Application wiki": CREATED,
        "apiary:Image web1/nginx:1.27": CREATED,
        "command:Command web1/nginx:1.27": CREATED,
        "apiary:Zone new.example": CREATED,
        "vultr:DnsDomain new.example": CREATED,
        **container("wiki", CREATED),
        **routed("wiki", CREATED),
        **records("wiki", "new.example", CREATED),
        **job("hasetup"),
    }


def test_a_changed_variable_releases_that_application_alone(elsewhere: Elsewhere, edited: dict[str, Any]) -> None:
    edited["config"]["apiary:applications"]["shop"]["env"]["motto"] = "changed"
    assert operations(elsewhere(edited).steps()) == {**container("shop", BESIDE), **routed("shop", BESIDE)}


def test_what_can_t_run_twice_goes_before_it_comes(elsewhere: Elsewhere, edited: dict[str, Any]) -> None:
    edited["config"]["apiary:applications"]["postgres"]["env"]["lang"] = "C.UTF-8"
    plan = operations(elsewhere(edited).steps())
    assert plan["docker:Container postgres"] == STOPPED_FIRST
    assert "vultr:Instance web1" not in plan
    assert not [name for name in plan if name.startswith(("docker:Volume", "docker:Network", "random:"))]


def test_a_preview_says_which_release_will_roll_and_which_stops_first(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    """In its plain text, as a person or a pull request's comment shows it."""
    applications = edited["config"]["apiary:applications"]
    applications["shop"]["env"]["motto"] = "changed"
    applications["postgres"]["env"]["lang"] = "C.UTF-8"
    run = elsewhere(edited).run("preview")
    assert run.status == 0, run.output
    shown = {word for line in run.stdout.splitlines() for word in line.split() if word.endswith("-release")}
    assert shown == {"shop-rolling-release", "postgres-stop-first-release"}, run.stdout


def test_another_way_to_release_is_seen_in_the_preview_and_releases_nothing(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    edited["config"]["apiary:applications"]["shop"]["stateful"] = True
    assert operations(elsewhere(edited).steps()) == {
        "command:Command shop-stop-first-release": CREATED,
        "command:Command shop-rolling-release": DELETED,
        "command:Command shop-drain": DELETED,
    }


def test_a_rotated_password_is_in_the_database_before_its_application_is_released(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    edited["config"]["apiary:applications"]["postgres"]["rotate"] = {"shop": "2026-11"}
    steps = elsewhere(edited).steps()
    assert operations(steps) == {
        "random:RandomPassword postgres/shop/password": BESIDE,
        **job("dbsetup"),
        **container("shop", BESIDE),
        **routed("shop", BESIDE),
    }
    told = steps.index(("create-replacement", "command:Command dbsetup-run"))
    assert told < steps.index(("create-replacement", "docker:Container shop"))


def test_a_rotated_administrator_s_password_restarts_the_server_before_the_job_that_uses_it(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    edited["config"]["apiary:applications"]["postgres"]["rotate"] = {"adminpass": "2026-11"}
    steps = elsewhere(edited).steps()
    assert {name.split()[1] for name in operations(steps)} == {
        "postgres/adminpass", "postgres", "postgres-stop-first-release", "dbsetup", "dbsetup-run",
    }  # fmt: skip
    restarted = steps.index(("create-replacement", "command:Command postgres-stop-first-release"))
    assert restarted < steps.index(("create-replacement", "command:Command dbsetup-run"))


def test_another_domain_of_a_site_brings_records_and_a_new_map(elsewhere: Elsewhere, edited: dict[str, Any]) -> None:
    config = edited["config"]
    config["apiary:servers"]["web1"]["dns"]["web"].append("press.example.com")
    config["apiary:applications"]["site"]["env"]["domains"].append("press.example.com")
    assert operations(elsewhere(edited).steps()) == {
        **container("site", BESIDE),
        **routed("site", BESIDE),
        **records("press", "example.com", CREATED),
        **job("hasetup"),
    }


def test_a_removed_site_goes_with_all_it_had_and_its_data_stay(elsewhere: Elsewhere, edited: dict[str, Any]) -> None:
    config = edited["config"]
    config["apiary:servers"]["web1"]["dns"]["web"].remove("shop.example.net")
    for section, name in (("applications", "shop"), ("applications", "postgres"), ("jobs", "dbsetup")):
        del config[f"apiary:{section}"][name]
    plan = operations(elsewhere(edited).steps())
    assert plan.pop("docker:Volume web1/pgdata") in (DELETED, ("discard",))
    assert plan.pop("command:Command web1") == BESIDE, "the bootstrap closes the private port"
    gone = {name: how for name, how in plan.items() if name not in job("hasetup")}
    assert set(gone.values()) == {DELETED}
    assert {*container("shop", DELETED), *routed("shop", DELETED), *records("shop", "example.net", DELETED)} <= set(
        gone
    )
    assert {name for name in gone if name.startswith(("vultr:DnsDomain", "random:"))} == {
        "vultr:DnsDomain example.net",
        "random:RandomPassword postgres/adminpass",
        "random:RandomPassword postgres/shop/password",
    }
    assert {name: how for name, how in plan.items() if how != DELETED} == job("hasetup")


def test_a_changed_site_builds_one_image_and_releases_what_is_made_of_it(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    project = elsewhere(edited)
    (project.folder / "images" / "NginxStatic" / "another.txt").write_text("changed")
    assert operations(project.steps()) == {
        "command:Command web1/NginxStatic": BESIDE,
        **container("site", BESIDE),
        **routed("site", BESIDE),
    }


def test_a_changed_playbook_runs_again_and_releases_nothing(elsewhere: Elsewhere, edited: dict[str, Any]) -> None:
    project = elsewhere(edited)
    (project.folder / "playbooks" / "another.yml").write_text("changed")
    assert operations(project.steps()) == {"command:Command web1": BESIDE, "command:Command web2": BESIDE}


def test_a_rebuilt_server_takes_all_that_is_on_it_along_and_leaves_the_other_alone(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    edited["config"]["apiary:servers"]["web2"]["os"] = 2625
    steps = elsewhere(edited).steps()
    changed = operations(steps)
    assert changed["vultr:Instance web2"] == STOPPED_FIRST
    # The same IPv4, the same keys, the same provider.
    for kept in ("vultr:ReservedIp web2", "tls:PrivateKey web2-host-key", "pulumi:docker web2"):
        assert ("same", kept) in steps
    gone = steps.index(("delete-replaced", "vultr:Instance web2"))
    for on_the_host in ("docker:Container collector", "docker:Network web2", "docker:Container report"):
        assert steps.index(("delete-replaced", on_the_host)) < gone, "stopped cleanly while the host still is"
        assert gone < steps.index(("create-replacement", on_the_host))
    for command in ("web2", "web2/Echo", "collector-stop-first-release", "report-run"):
        assert "create-replacement" in changed[f"command:Command {command}"]
    assert ("same", f"{FEED}-commit") in steps, "the commit that ran there before, wherever its branch has gone"
    assert "create-replacement" in changed[FEED]
    assert not [name for name in changed if "web1" in name or name.split()[1] in ("site", "shop", "haproxy", "hasetup")]


def test_a_server_moves_to_another_region_in_one_update_that_contacts_nobody_too_late(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    """Its address changes, so that whoever asks the old host for anything must ask while the host still is."""
    edited["config"]["apiary:servers"]["web1"]["region"] = "lax"
    steps = elsewhere(edited).steps()
    changed = operations(steps)
    assert changed["vultr:ReservedIp web1"] == changed["pulumi:docker web1"] == BESIDE
    assert changed["vultr:Instance web1"] == STOPPED_FIRST
    gone = steps.index(("delete-replaced", "vultr:Instance web1"))
    last = [name for operation, name in steps[gone + 1 :] if operation in ("delete", "delete-replaced")]
    assert sorted(last) == ["apiary:Vpc ewr", "pulumi:docker web1", "vultr:ReservedIp web1", "vultr:Vpc ewr"], (
        "these need no host"
    )
    for on_the_host in ("docker:Container site", "docker:Network web1", "command:Command web1/NginxStatic"):
        assert steps.index(("delete-replaced", on_the_host)) < gone < steps.index(("create-replacement", on_the_host))
    assert ("same", "tls:PrivateKey web1-host-key") in steps
    assert changed["vultr:DnsRecord example.com/@/A"] == UPDATED
    assert not [name for name in changed if "web2" in name or name.split()[1] in ("collector", "report")]


def test_another_branch_is_looked_up_and_built_before_the_old_image_goes(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    edited["config"]["apiary:jobs"]["feed"]["git"]["branch"] = "next"
    following = FEED.replace("#main", "#next")
    plan = operations(elsewhere(edited).steps())
    for image in (f"apiary:Image {following.split()[1]}", following, f"{following}-commit"):
        assert plan[image] == CREATED
    for image in (FEED, f"{FEED}-commit"):
        assert plan[image] == DELETED
    assert plan["docker:Container feed"] == STOPPED_FIRST
    assert "create-replacement" in plan["command:Command feed-run"]


def test_a_commit_in_place_of_its_branch_is_known_beforehand_and_asks_nobody(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    git = edited["config"]["apiary:jobs"]["feed"]["git"]
    del git["branch"]
    git["commit"] = COMMIT
    plan = operations(elsewhere(edited).steps())
    assert plan[FEED.replace("#main", f"#{COMMIT}")] == CREATED
    assert not [name for name, how in plan.items() if name.endswith("-commit") and how != DELETED]
    assert "docker:Container feed" not in plan, "it is the commit that the branch was at, so the image is the same"


@pytest.mark.parametrize("plan", ["vc2-4c-8gb"])
def test_a_larger_plan_keeps_the_server(elsewhere: Elsewhere, edited: dict[str, Any], plan: str) -> None:
    edited["config"]["apiary:servers"]["web2"]["plan"] = plan
    assert operations(elsewhere(edited).steps()) == {"vultr:Instance web2": UPDATED}


def renamed(config: dict[str, Any], section: str, old: str, new: str) -> None:
    """Rename a container where it stands, as somebody would in the file."""
    entries = config[f"apiary:{section}"]
    config[f"apiary:{section}"] = {
        new if name == old else name: {**entry, "renamed_from": old} if name == old else entry
        for name, entry in entries.items()
    }


def under(new: str, old: str, steps: list[Step]) -> list[Step]:
    """The steps with the old name's, which are its deletions, told under the new one."""
    return [(operation, re.sub(rf" {old}(?=$|-)", f" {new}", name)) for operation, name in steps]


# The engine tells it in another order where the names differ; what counts is that the old one goes first.
STOPPED_FIRST_UNDER_ANOTHER_NAME = ("delete-replaced", "create-replacement", "replace")


def test_a_renamed_proxy_goes_before_its_port_and_address_are_taken_again(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    renamed(edited["config"], "applications", "haproxy", "front")
    edited["config"]["apiary:jobs"]["hasetup"]["env"]["haproxy_container"] = "$front"
    assert operations(under("front", "haproxy", elsewhere(edited).steps())) == {
        **container("front", STOPPED_FIRST),
        "command:Command front-stop-first-release": STOPPED_FIRST_UNDER_ANOTHER_NAME,
        **job("hasetup"),
    }


def test_a_renamed_site_is_released_beside_the_old_one(elsewhere: Elsewhere, edited: dict[str, Any]) -> None:
    renamed(edited["config"], "applications", "site", "pages")
    assert operations(under("pages", "site", elsewhere(edited).steps())) == {
        **container("pages", BESIDE),
        **routed("pages", BESIDE),
        **job("hasetup"),
    }


def test_a_renamed_job_runs_under_its_new_name(elsewhere: Elsewhere, edited: dict[str, Any]) -> None:
    renamed(edited["config"], "jobs", "report", "digest")
    assert operations(under("digest", "report", elsewhere(edited).steps())) == {
        **container("digest", STOPPED_FIRST),
        "command:Command digest-run": STOPPED_FIRST_UNDER_ANOTHER_NAME,
    }


def test_a_changed_job_that_is_run_by_the_clock_leaves_its_scheduler_alone(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    """The host is told the new container before the job runs: a run that fails ends the update."""
    edited["config"]["apiary:jobs"]["tidy"]["command"] = ["false"]
    steps = elsewhere(edited).steps()
    assert operations(steps) == {**job("tidy"), "command:Command tidy-startable": UPDATED}
    made, told, run = (
        steps.index(step)
        for step in (
            ("create-replacement", "docker:Container tidy"),
            ("update", "command:Command tidy-startable"),
            ("create-replacement", "command:Command tidy-run"),
        )
    )
    assert made < told < run


def test_another_time_limit_of_a_job_is_told_to_the_host_and_runs_nothing(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    edited["config"]["apiary:jobs"]["tidy"]["timeout"] = 30
    plan = operations(elsewhere(edited).steps())
    assert plan.pop("command:Command tidy-startable") == UPDATED
    assert plan == {"command:Command tidy-run": UPDATED}, "which does nothing"


def test_a_renamed_job_that_is_run_by_the_clock_is_known_by_its_new_name_alone(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    renamed(edited["config"], "jobs", "tidy", "sweep")
    edited["config"]["apiary:applications"]["scheduler"]["env"]["run_tidy"] = "+sweep"
    plan = operations(under("sweep", "tidy", elsewhere(edited).steps()))
    assert plan.pop("command:Command sweep-startable") == ("create-replacement", "replace", "delete-replaced")
    assert plan.pop("command:Command sweep-run") == STOPPED_FIRST_UNDER_ANOTHER_NAME
    assert plan == {
        **container("sweep", STOPPED_FIRST),
        "command:Command scheduler-docker-access": UPDATED,
        **container("scheduler", STOPPED_FIRST),
        "command:Command scheduler-stop-first-release": STOPPED_FIRST,
    }


def test_a_renamed_database_keeps_its_passwords_and_its_data(elsewhere: Elsewhere, edited: dict[str, Any]) -> None:
    config = edited["config"]
    renamed(config, "applications", "postgres", "db")
    config["apiary:applications"]["shop"]["env"] |= {"db_host": "$db", "db_password": "_db^password"}
    config["apiary:applications"]["db"]["env"]["postgres_password"] = "_db^adminpass"
    config["apiary:jobs"]["dbsetup"]["after"] = ["db"]
    steps = under("db", "postgres", elsewhere(edited).steps())
    assert operations(steps) == {
        **container("db", STOPPED_FIRST),
        "command:Command db-stop-first-release": STOPPED_FIRST_UNDER_ANOTHER_NAME,
        **container("shop", BESIDE),
        **routed("shop", BESIDE),
        **job("dbsetup"),
    }
    for kept in ("random:RandomPassword db/adminpass", "random:RandomPassword db/shop/password"):
        assert ("same", kept) in steps


def test_after_a_rename_its_line_may_go(elsewhere: Elsewhere, edited: dict[str, Any]) -> None:
    """And may stay as well: a name that nothing has any more is no difference."""
    edited["config"]["apiary:applications"]["site"]["renamed_from"] = "before"
    edited["config"]["apiary:jobs"]["report"]["renamed_from"] = "earlier"
    assert operations(elsewhere(edited).steps()) == {}


@pytest.mark.parametrize("protected", [True, False])
def test_a_protected_zone_is_deleted_by_no_update_that_forgets_its_last_name(
    workplace: Workplace, settled_hive: Project, edited: dict[str, Any], protected: bool
) -> None:
    """Refused in the preview, before anything else of the update is done."""
    zone = "vultr:index/dnsDomain:DnsDomain::example.net"
    state = json.loads(settled_hive.run("stack", "export").stdout)
    for resource in state["deployment"]["resources"]:
        if resource["urn"].endswith(zone):
            resource["protect"] = protected
    edited["config"]["apiary:servers"]["web1"]["dns"]["web"].remove("shop.example.net")
    del edited["config"]["apiary:applications"]["shop"]["env"]["domains"]
    project = workplace.project(f"zone-{protected}", settled_hive.stack, edited)
    with project.state(state):
        preview = project.run("preview")
    if protected:
        assert preview.status != 0
        assert "example.net" in preview.output
        assert "protect" in preview.output
    else:
        assert preview.status == 0, preview.output
        assert "vultr:index:DnsDomain example.net delete" in preview.output
