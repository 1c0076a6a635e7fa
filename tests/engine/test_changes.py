"""A changed stack file changes the right resources and no others, in the right order.

Compared with a state in which all of the hive exists (settled.py). `operations` has every resource that does
not stay the same, so each of these is also a promise about all the others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tests.engine.plans import Step, operations
from tests.engine.workplace import Project, Workplace
from tests.mocks.program import COMMIT, RESERVED

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


# What sites close is closed before the releases, and the job that opens the rest runs after each time.
CLOSED = {"command:Command hasetup-closing": BESIDE}


def judged(how: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Visitors are asked for last, when a container behind the proxy, or what the proxy is told, is another one."""
    return {"command:Command web1-verdict": how}


def records(domain: str, zone: str, how: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {
        f"vultr:DnsRecord {zone}/{name}/{type_}": how for name in (domain, f"www.{domain}") for type_ in ("A", "AAAA")
    }


def test_new_sites_and_domains_bring_their_own_resources_and_are_made_known_to_the_proxy(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    """A site of an image that is there, one of a new image in a new zone, and another domain of an old one."""
    config = edited["config"]
    config["apiary:servers"]["web1"]["dns"]["web"] += ["blog.example.com", "wiki.new.example", "press.example.com"]
    config["apiary:applications"]["site"]["env"]["domains"].append("press.example.com")
    config["apiary:applications"]["blog"] = {
        "server": "web1", "build_dir": "NginxStatic", "env": {"domains": ["blog.example.com"], "http_port": 8080},
    }  # fmt: skip
    config["apiary:applications"]["wiki"] = {
        "server": "web1", "image": "nginx:1.27", "env": {"domains": ["wiki.new.example"], "http_port": 80},
    }  # fmt: skip
    assert operations(elsewhere(edited).steps()) == {
        "apiary:Application blog": CREATED,
        **container("blog", CREATED),
        **routed("blog", CREATED),
        **records("blog", "example.com", CREATED),
        "apiary:Application wiki": CREATED,
        "apiary:Image web1/nginx:1.27": CREATED,
        "command:Command web1/nginx:1.27": CREATED,
        "command:Command web1/nginx:1.27-digest": CREATED,
        "apiary:Zone new.example": CREATED,
        "vultr:DnsDomain new.example": CREATED,
        **container("wiki", CREATED),
        **routed("wiki", CREATED),
        **records("wiki", "new.example", CREATED),
        **container("site", BESIDE),
        **routed("site", BESIDE),
        **records("press", "example.com", CREATED),
        "command:Command hasetup-closing": UPDATED,  # which does nothing: these close nothing
        **job("hasetup"),
        **judged(STOPPED_FIRST),
    }


def test_what_changed_is_released_alone_and_each_in_its_own_way(elsewhere: Elsewhere, edited: dict[str, Any]) -> None:
    """One beside the old one; one that can't run twice; and a job that the clock runs, whose scheduler stays.

    The host is told the job's new container before it runs: a run that fails ends the update.
    """
    applications = edited["config"]["apiary:applications"]
    applications["shop"]["env"]["motto"] = "changed"
    applications["postgres"]["env"]["lang"] = "C.UTF-8"
    edited["config"]["apiary:jobs"]["tidy"]["command"] = ["false"]
    project = elsewhere(edited)
    steps = project.steps()
    plan = operations(steps)
    assert plan.pop("command:Command postgres-stop-first-release") == STOPPED_FIRST
    assert plan == {
        **container("shop", BESIDE),
        **routed("shop", BESIDE),
        **judged(BESIDE),
        **container("postgres", STOPPED_FIRST),
        **job("tidy"),
        "command:Command tidy-startable": UPDATED,
    }
    made, told, run = (
        steps.index(step)
        for step in (
            ("create-replacement", "docker:Container tidy"),
            ("update", "command:Command tidy-startable"),
            ("create-replacement", "command:Command tidy-run"),
        )
    )
    assert made < told < run
    # The way is in the plain text, as a person or a pull request's comment shows it.
    preview = project.run("preview")
    assert preview.status == 0, preview.output
    shown = {word for line in preview.stdout.splitlines() for word in line.split() if word.endswith("-release")}
    assert shown == {"shop-rolling-release", "postgres-stop-first-release"}, preview.stdout


def test_what_needs_no_release_releases_nothing(elsewhere: Elsewhere, edited: dict[str, Any]) -> None:
    """A larger plan, another time limit of a job, and another way to release, which is seen in the preview."""
    edited["config"]["apiary:servers"]["web2"]["plan"] = "vc2-4c-8gb"
    edited["config"]["apiary:jobs"]["tidy"]["timeout"] = 30
    edited["config"]["apiary:applications"]["shop"]["stateful"] = True
    assert operations(elsewhere(edited).steps()) == {
        "vultr:Instance web2": UPDATED,
        "command:Command web2": BESIDE,  # the bootstrap, which waits until Docker is up again
        "command:Command tidy-startable": UPDATED,
        "command:Command tidy-run": UPDATED,  # which does nothing
        "command:Command shop-stop-first-release": CREATED,
        "command:Command shop-rolling-release": DELETED,
        "command:Command shop-drain": DELETED,
    }


def test_a_rotated_password_is_in_force_before_anything_that_uses_it_is_released(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    """The administrator's in the server, then the application's by the job."""
    rotated = {"adminpass": "2026-11", "shop": "2026-11"}
    edited["config"]["apiary:applications"]["postgres"]["rotate"] = rotated
    steps = elsewhere(edited).steps()
    assert operations(steps) == {
        "random:RandomPassword postgres/adminpass": BESIDE,
        "random:RandomPassword postgres/shop/password": BESIDE,
        **container("postgres", STOPPED_FIRST),
        "command:Command postgres-stop-first-release": STOPPED_FIRST,
        **job("dbsetup"),
        **container("shop", BESIDE),
        **routed("shop", BESIDE),
        **judged(BESIDE),
    }
    restarted, told, released = (
        steps.index(("create-replacement", step))
        for step in (
            "command:Command postgres-stop-first-release",
            "command:Command dbsetup-run",
            "docker:Container shop",
        )
    )
    assert restarted < told < released


def test_a_changed_file_reaches_what_is_made_of_it_alone(elsewhere: Elsewhere, edited: dict[str, Any]) -> None:
    """One of an image builds it and releases its application, one of the playbooks only runs them again."""
    project = elsewhere(edited)
    (project.folder / "images" / "NginxStatic" / "another.txt").write_text("changed")
    (project.folder / "playbooks" / "another.yml").write_text("changed")
    assert operations(project.steps()) == {
        "command:Command web1/NginxStatic": BESIDE,
        **container("site", BESIDE),
        **routed("site", BESIDE),
        **judged(BESIDE),
        "command:Command web1": BESIDE,
        "command:Command web2": BESIDE,
    }


def test_a_site_is_closed_before_what_is_released_with_that_and_opened_after(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    """The proxy too is released, and another application, which may fail."""
    config = edited["config"]
    config["apiary:applications"]["site"] |= {"site": {"allow_from": ["203.0.113.0/24"]}}
    config["apiary:applications"]["site"]["env"]["edition"] = "for the office"
    config["apiary:applications"]["shop"]["env"]["motto"] = "changed"
    config["apiary:applications"]["haproxy"]["env"] = {"stop_seconds": 6}
    steps = elsewhere(edited).steps()
    closing = steps.index(("create-replacement", "command:Command hasetup-closing"))
    opening = steps.index(("create-replacement", "command:Command hasetup-run"))
    for released in ("site", "shop"):
        assert closing < steps.index(("create-replacement", f"docker:Container {released}")) < opening
    for released in ("site", "shop", "haproxy"):
        assert steps.index(("create-replacement", f"command:Command {released}-rolling-release")) < opening
        assert opening < steps.index(("delete-replaced", f"docker:Container {released}"))


def test_a_removed_site_goes_with_all_it_had_and_its_data_stay(elsewhere: Elsewhere, edited: dict[str, Any]) -> None:
    config = edited["config"]
    config["apiary:servers"]["web1"]["dns"]["web"].remove("shop.example.net")
    for section, name in (("applications", "shop"), ("applications", "postgres"), ("jobs", "dbsetup")):
        del config[f"apiary:{section}"][name]
    plan = operations(elsewhere(edited).steps())
    assert plan.pop("docker:Volume web1/pgdata") in (DELETED, ("discard",))
    assert plan.pop("command:Command web1") == BESIDE, "the bootstrap closes the private port"
    told = CLOSED | job("hasetup") | judged(STOPPED_FIRST)
    gone = {name: how for name, how in plan.items() if name not in told}
    assert set(gone.values()) == {DELETED}
    assert {*container("shop", DELETED), *routed("shop", DELETED), *records("shop", "example.net", DELETED)} <= set(
        gone
    )
    assert {name for name in gone if name.startswith(("vultr:DnsDomain", "random:"))} == {
        "vultr:DnsDomain example.net",
        "random:RandomPassword postgres/adminpass",
        "random:RandomPassword postgres/shop/password",
    }
    assert {name: how for name, how in plan.items() if how != DELETED} == told


def test_a_rebuilt_server_takes_all_that_is_on_it_along_and_leaves_the_other_alone(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    edited["config"]["apiary:servers"]["web2"]["os"] = 2625
    steps = elsewhere(edited).steps()
    changed = operations(steps)
    assert changed["vultr:Instance web2"] == STOPPED_FIRST
    # The same IPv4, the same keys; another process of the Docker plugin for what is on another system's Docker.
    for kept in ("vultr:ReservedIp web2", "tls:PrivateKey web2-host-key"):
        assert ("same", kept) in steps
    assert changed["pulumi:docker web2-ams"] == UPDATED
    # Its network is reserved: it moves on to the new instance, after that is there, and nothing in it changes.
    assert changed["vultr:ReservedIp web2/ipv6"] == UPDATED
    made, moved = steps.index(("create-replacement", "vultr:Instance web2")), ("update", "vultr:ReservedIp web2/ipv6")
    met = steps.index(("update", "pulumi:docker web2-ams"))
    assert made < steps.index(moved) < steps.index(("create-replacement", "command:Command web2"))
    assert not [name for name in changed if name.startswith("vultr:Dns")]
    gone = steps.index(("delete-replaced", "vultr:Instance web2"))
    for on_the_host in ("docker:Container collector", "docker:Network web2", "docker:Container report"):
        assert steps.index(("delete-replaced", on_the_host)) < gone, "stopped cleanly while the host still is"
        assert gone < made < met < steps.index(("create-replacement", on_the_host))
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
    assert changed["vultr:ReservedIp web1"] == BESIDE
    assert changed["pulumi:docker web1-lax"] == CREATED
    assert changed["vultr:Instance web1"] == STOPPED_FIRST
    gone = steps.index(("delete-replaced", "vultr:Instance web1"))
    last = [name for operation, name in steps[gone + 1 :] if operation in ("delete", "delete-replaced")]
    assert sorted(last) == ["apiary:Vpc ewr", "pulumi:docker web1-ewr", "vultr:ReservedIp web1", "vultr:Vpc ewr"], (
        "these need no host"
    )
    for on_the_host in ("docker:Container site", "docker:Network web1", "command:Command web1/NginxStatic"):
        assert steps.index(("delete-replaced", on_the_host)) < gone < steps.index(("create-replacement", on_the_host))
    assert ("same", "tls:PrivateKey web1-host-key") in steps
    assert changed["vultr:DnsRecord example.com/@/A"] == UPDATED
    assert not [name for name in changed if "web2" in name or name.split()[1] in ("collector", "report")]


def test_a_reserved_network_can_t_follow_to_another_region_and_the_preview_says_so(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    edited["config"]["apiary:servers"]["web2"]["region"] = "lax"
    project = elsewhere(edited)
    changed = operations(project.steps())
    assert changed["vultr:ReservedIp web2"] == changed["vultr:ReservedIp web2/ipv6"] == BESIDE
    assert changed["vultr:DnsRecord example.com/web2/AAAA"] == UPDATED
    shown = project.run("preview").output
    assert f"{RESERVED}:: stays in region ams: another network, of lax, takes its place" in shown, shown
    assert "stays in region ams: another address, of lax, takes its place" in shown, shown


def test_reserving_the_network_of_a_server_that_lives_changes_its_addresses_and_not_its_instance(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    edited["config"]["apiary:servers"]["web1"]["ipv6"] = {"reserved": True}
    changed = operations(elsewhere(edited).steps())
    assert changed["vultr:ReservedIp web1/ipv6"] == CREATED
    assert "vultr:Instance web1" not in changed
    assert changed["docker:Network web1"] == changed["docker:Container haproxy"] == STOPPED_FIRST
    records = {name for name in changed if name.startswith("vultr:DnsRecord")}
    assert records == {name for name in records if name.endswith("/AAAA")} != set()
    assert "vultr:DnsRecord example.com/@/AAAA" in records


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


def at_the_door(name: str) -> list[Step]:
    """The order in which a proxy and its door are others: two doors can't have one address."""
    return [
        ("delete-replaced", f"docker:Container {name}"),
        ("delete-replaced", f"docker:Container {name}-door"),
        ("create-replacement", f"docker:Container {name}-door"),
        ("create-replacement", f"docker:Container {name}"),
        ("create-replacement", f"command:Command {name}-rolling-release"),
    ]


def test_a_renamed_proxy_goes_before_its_port_and_address_are_taken_again(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    renamed(edited["config"], "applications", "haproxy", "front")
    edited["config"]["apiary:jobs"]["hasetup"]["env"]["haproxy_container"] = "$front"
    steps = under("front", "haproxy", elsewhere(edited).steps())
    assert [step for step in steps if step in at_the_door("front")] == at_the_door("front")
    plan = operations(steps)
    assert set(plan) == {
        *(name for _, name in at_the_door("front")),
        "command:Command front-door-prepared",
        *job("hasetup"),
        *judged(STOPPED_FIRST),
        *(f"command:Command {name}-carried" for name in ("front", "hasetup")),
    }
    assert {name: how for name, how in plan.items() if "hasetup-" in name or name.endswith("hasetup")} == {
        **job("hasetup"),
        # Who shares its volume has to know both names, should it move.
        "command:Command hasetup-carried": UPDATED,
    }
    assert plan["command:Command front-carried"] == UPDATED


def test_a_release_of_the_proxy_comes_up_beside_the_old_one_and_leaves_its_door_alone(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    edited["config"]["apiary:applications"]["haproxy"]["env"] = {"version": "2"}
    assert operations(elsewhere(edited).steps()) == {
        **container("haproxy", BESIDE),
        "command:Command haproxy-rolling-release": BESIDE,
        **judged(BESIDE),
    }


def test_another_port_of_the_proxy_is_another_door_and_the_old_one_goes_first(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    edited["config"]["apiary:applications"]["haproxy"]["ports"].append("8443:8443")
    steps = elsewhere(edited).steps()
    assert [step for step in steps if step in at_the_door("haproxy")] == at_the_door("haproxy")


def test_what_is_renamed_is_replaced_in_its_own_way_and_keeps_what_it_had(
    elsewhere: Elsewhere, edited: dict[str, Any]
) -> None:
    """A site, a job, a job that the clock runs, and a database with its passwords."""
    config = edited["config"]
    applications = ("site", "pages"), ("postgres", "db")
    jobs = ("report", "digest"), ("tidy", "sweep")
    for section, pairs in (("applications", applications), ("jobs", jobs)):
        for old, new in pairs:
            renamed(config, section, old, new)
    config["apiary:applications"]["scheduler"]["env"]["run_tidy"] = "+sweep"
    config["apiary:applications"]["shop"]["env"] |= {"db_host": "$db", "db_password": "_db^password"}
    config["apiary:applications"]["db"]["env"]["postgres_password"] = "_db^adminpass"
    shop = config["apiary:applications"]["shop"]["environment"]
    shop["database__url"] = shop["database__url"].replace("_postgres^", "_db^").replace("$postgres", "$db")
    config["apiary:jobs"]["dbsetup"]["after"] = ["db"]
    steps = elsewhere(edited).steps()
    for old, new in (*applications, *jobs):
        steps = under(new, old, steps)
    assert operations(steps) == {
        **container("pages", BESIDE),
        **routed("pages", BESIDE),
        **CLOSED,
        **job("hasetup"),
        **judged(STOPPED_FIRST),
        **container("digest", STOPPED_FIRST),
        "command:Command digest-run": STOPPED_FIRST_UNDER_ANOTHER_NAME,
        # Known by its new name alone.
        **container("sweep", STOPPED_FIRST),
        "command:Command sweep-startable": ("create-replacement", "replace", "delete-replaced"),
        "command:Command sweep-run": STOPPED_FIRST_UNDER_ANOTHER_NAME,
        "command:Command scheduler-docker-access": UPDATED,
        **container("scheduler", STOPPED_FIRST),
        "command:Command scheduler-stop-first-release": STOPPED_FIRST,
        **container("db", STOPPED_FIRST),
        "command:Command db-stop-first-release": STOPPED_FIRST_UNDER_ANOTHER_NAME,
        "command:Command db-carried": UPDATED,
        **container("shop", BESIDE),
        **routed("shop", BESIDE),
        **job("dbsetup"),
    }
    for kept in ("random:RandomPassword db/adminpass", "random:RandomPassword db/shop/password"):
        assert ("same", kept) in steps


def test_a_server_that_is_attached_to_a_new_private_network_shows_in_the_preview(
    workplace: Workplace, settled_hive: Project, edited: dict[str, Any]
) -> None:
    """The network's id is not known yet: that must not hide the attachment, nor make it another instance."""
    state = json.loads(settled_hive.run("stack", "export").stdout)
    resources = state["deployment"]["resources"]
    network = next(one for one in resources if one["urn"].endswith("vultr:index/vpc:Vpc::ewr"))
    without = [one for one in resources if one["urn"] not in (network["urn"], network["parent"])]
    for one in without:
        one["dependencies"] = [urn for urn in one.get("dependencies", []) if urn != network["urn"]]
        for urns in one.get("propertyDependencies", {}).values():
            urns[:] = [urn for urn in urns if urn != network["urn"]]
        if one["urn"].endswith("vultr:index/instance:Instance::web1"):
            one["inputs"]["vpcIds"] = one["outputs"]["vpcIds"] = []
    state["deployment"]["resources"] = without
    project = workplace.project("attached", settled_hive.stack, edited)
    with project.state(state):
        assert operations(project.steps()) == {
            "apiary:Vpc ewr": CREATED,
            "vultr:Vpc ewr": CREATED,
            "vultr:Instance web1": UPDATED,
        }


def test_after_a_rename_its_line_may_go(elsewhere: Elsewhere, edited: dict[str, Any]) -> None:
    """And may stay as well: a name that nothing has any more is no difference."""
    edited["config"]["apiary:applications"]["site"]["renamed_from"] = "before"
    edited["config"]["apiary:jobs"]["report"]["renamed_from"] = "earlier"
    assert operations(elsewhere(edited).steps()) == {}


def test_a_protected_zone_is_deleted_by_no_update_that_forgets_its_last_name(
    workplace: Workplace, settled_hive: Project, edited: dict[str, Any]
) -> None:
    """Refused in the preview, before anything else of the update is done. The zone of a removed site goes: above."""
    zone = "vultr:index/dnsDomain:DnsDomain::example.net"
    state = json.loads(settled_hive.run("stack", "export").stdout)
    for resource in state["deployment"]["resources"]:
        if resource["urn"].endswith(zone):
            resource["protect"] = True
    edited["config"]["apiary:servers"]["web1"]["dns"]["web"].remove("shop.example.net")
    del edited["config"]["apiary:applications"]["shop"]["env"]["domains"]
    del edited["config"]["apiary:applications"]["shop"]["health"]
    project = workplace.project("zone", settled_hive.stack, edited)
    with project.state(state):
        preview = project.run("preview")
    assert preview.status != 0
    assert "example.net" in preview.output
    assert "protect" in preview.output
