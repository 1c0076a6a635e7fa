"""Databases, on the whole hive: made, used, rotated, left alone, and never lost. Also what the servers refuse."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from tests.lab.hive import Hive, until
from tests.lab.test_neighbours import addresses, knocked, unfiltered

SITES = {"guestbook": "guestbook.example.net", "diary": "diary.example.net"}
SERVERS = {"postgres": "PostgreSQL", "mariadb": "MariaDB"}
# Where each keeps its data, and the variable of the administrator's password.
ROOTS = {"PostgreSQL": "/var/lib/postgresql", "MariaDB": "/var/lib/mysql"}
VARIABLES = {"PostgreSQL": "POSTGRES_PASSWORD", "MariaDB": "MARIADB_ROOT_PASSWORD"}
PARTS = ("postgres/guestbook/password", "mariadb/shared/password", "postgres/adminpass", "mariadb/adminpass")


def passwords(hive: Hive) -> dict[str, str]:
    """Every generated password by its name, from the state."""
    state = json.loads(hive.output_of("stack", "export", "--show-secrets"))
    return {
        resource["urn"].rpartition("::")[2]: json.loads(resource["outputs"]["result"]["plaintext"])
        for resource in state["deployment"]["resources"]
        if resource["type"] == "random:index/randomPassword:RandomPassword"
    }


def keep(hive: Hive, note: str) -> None:
    """Have both sites keep a note."""
    for site in SITES.values():
        status, body = hive.get(f"{hive.scheme}://{site}/", "-6", "--data", note)
        assert status == 201, f"{site}: {status} {body}"


def kept(hive: Hive, site: str) -> list[str]:
    status, body = hive.get(f"{hive.scheme}://{site}/", "-4")
    assert status == 200, f"{site}: {status} {body}"
    return [note["note"] for note in json.loads(body)["notes"]]


def is_kept(hive: Hive, site: str, note: str) -> bool:
    """Whether a site serves a note, over both families."""
    answers = [hive.get(f"{hive.scheme}://{site}/", family) for family in ("-6", "-4")]
    return all(status == 200 and note in [one["note"] for one in json.loads(body)["notes"]] for status, body in answers)


def logs_in(hive: Hive, server: str, name: str, password: str) -> bool:
    """Whether a role may log in over the network with this password; fails when it does not answer at all."""
    if SERVERS[server] == "PostgreSQL":
        command = f"PGPASSWORD={password} psql --host postgres --username {name} --dbname {name} -Atc 'SELECT 1'"
        denied = "password authentication failed"
    else:
        command = f"MYSQL_PWD={password} mariadb --host mariadb --user {name} -Ne 'SELECT 1' {name}"
        denied = "Access denied"
    said = hive.on_server(
        f"docker exec {hive.container(server)} sh -c {shlex.quote(command)} 2>&1", check=False
    ).strip()
    assert said == "1" or denied in said, said
    return said == "1"


def image(hive: Hive, folder: str) -> str:
    [tag] = hive.on_server(f"docker images --format '{{{{.Repository}}}}:{{{{.Tag}}}}' apiary/{folder.lower()}").split()
    return tag


def test_both_databases_are_written_and_read_through_their_sites(whole: Hive) -> None:
    keep(whole, "of the first day")
    for site in SITES.values():
        assert "of the first day" in kept(whole, site)


@pytest.mark.soak
def test_who_does_not_use_a_database_does_not_reach_its_server(whole: Hive) -> None:
    """Over neither family, whatever password it may know; from within the containers. As of any: test_neighbours."""
    ports = {"postgres": 5432, "mariadb": 3306}
    held = {server: addresses(whole, whole.container(server)) for server in ports}

    def opened(asker: str) -> set[tuple[str, int]]:
        inside = whole.container(asker)
        return {
            (server, family)
            for server, port in ports.items()
            for family, address in held[server].items()
            if knocked(whole, inside, [address], port)
        }

    everything = {(server, family) for server in ports for family in (4, 6)}
    for asker, used in {"guestbook": "postgres", "diary": "mariadb", "site": "", "haproxy": "", "echo": ""}.items():
        assert opened(asker) == {(server, family) for server, family in everything if server == used}, asker
    with unfiltered(whole):
        assert opened("site") == everything
    assert opened("site") == set()


def test_a_role_reaches_its_own_database_alone(whole: Hive) -> None:
    known = passwords(whole)
    assert logs_in(whole, "postgres", "guestbook", known["postgres/guestbook/password"])
    for database in ("postgres", "template1"):
        said = whole.on_server(
            f"docker exec -e PGPASSWORD={known['postgres/guestbook/password']} {whole.container('postgres')} "
            f"psql --host postgres --username guestbook --dbname {database} -Atc 'SELECT 1' 2>&1",
            check=False,
        )
        assert "permission denied" in said, said
    said = whole.on_server(
        f"docker exec -e MYSQL_PWD={known['mariadb/shared/password']} {whole.container('mariadb')} "
        "mariadb --host mariadb --user shared -Ne 'SHOW DATABASES'"
    )
    assert set(said.split()) == {"information_schema", "shared"}


def test_a_rotation_is_one_update_and_costs_no_data(whole: Hive) -> None:
    """Every password at once, the administrators' too, and new images of both servers in the same update."""
    keep(whole, "before the rotation")
    before = passwords(whole)
    assert set(PARTS) <= set(before)
    for folder in SERVERS.values():
        (whole.program / "images" / folder / "changed").write_text("a new image\n")
    applications = whole.settings["apiary:applications"]
    applications["postgres"]["rotate"] = {"guestbook": "2", "adminpass": "2"}
    applications["mariadb"]["rotate"] = {"shared": "2", "adminpass": "2"}
    done = whole.up()
    after = passwords(whole)
    assert all(before[name] != after[name] for name in PARTS)
    assert 'database "guestbook": password changed' in done.output
    assert 'database "shared": password changed' in done.output
    order = [name.rpartition("::")[2] for operation, name in done.steps if operation == "create-replacement"]
    for server in SERVERS:
        assert order.index(server) < order.index("dbsetup-run")
    for application in SITES:
        assert order.index("dbsetup-run") < order.index(application)

    for server, name in (("postgres", "guestbook"), ("mariadb", "shared")):
        assert logs_in(whole, server, name, after[f"{server}/{name}/password"])
        assert not logs_in(whole, server, name, before[f"{server}/{name}/password"]), "the old one still works"
    for site in SITES.values():
        assert "before the rotation" in kept(whole, site)
    keep(whole, "after the rotation")
    _nowhere(whole, done.output, {before[name] for name in PARTS} | {after[name] for name in PARTS})


def _nowhere(hive: Hive, output: str, secrets: set[str]) -> None:
    """No password in what the update printed, what the containers log, in a process's arguments, or the state."""
    names = [*SERVERS, *SITES]
    logs = "".join(hive.on_server(f"docker logs {hive.container(name)} 2>&1") for name in names)
    logs += hive.on_server(
        "for job in $(docker ps -aq --filter label=apiary.resource=jobs.dbsetup); do docker logs $job 2>&1; done"
    )
    assert "as it should be" in logs or "password changed" in logs
    arguments = hive.on_server("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '", check=False)
    assert "mariadbd" in arguments
    for where, text in (
        ("the update's output", output),
        ("a log", logs),
        ("a process's arguments", arguments),
        ("the state", hive.output_of("stack", "export")),
    ):
        for secret in secrets:
            assert secret not in text, f"a password is in {where}"


@pytest.mark.soak
def test_what_left_the_file_is_kept_and_said_and_data_survive_the_end_of_all_that_uses_them(whole: Hive) -> None:
    """One application gets another database; the other one goes, with its server, and all of its passwords.

    Three updates of the whole hive. That nothing is dropped: tests/unit/test_dbsetup.py.
    """
    keep(whole, "before it left")
    old = passwords(whole)
    with whole.changed() as settings:
        applications = settings["apiary:applications"]
        applications["diary"]["db"] = ["mariadb:another"]
        applications["diary"]["env"] |= {"db_name": "another", "db_user": "another"}
        applications["mariadb"]["rotate"] = {"adminpass": "2"}
        for name in ("guestbook", "postgres"):
            del applications[name]
        settings["apiary:servers"]["web1"]["dns"]["web"].remove(SITES["guestbook"])
        done = whole.up()
        assert 'database "another": database made, account made' in done.output
        assert 'left alone: database "shared", role "shared"' in done.output
        assert kept(whole, SITES["diary"]) == []
        assert "postgres/guestbook/password" not in passwords(whole)
        assert "pgdata" in whole.on_server("docker volume ls -q").split()
    # And, as docs/databases.md types it, an end of everything that uses them.
    targets = [f"--target=**docker:index/{kind}::**" for kind in ("container:Container", "volume:Volume")]
    whole.pulumi("destroy", "--yes", "--skip-preview", "--target-dependents", *targets)
    assert whole.on_server("docker ps --all --quiet --filter label=apiary.stack=apiary-lab") == ""
    done = whole.up()
    assert 'left alone: database "another", role "another"' in done.output
    new = passwords(whole)
    assert new["postgres/adminpass"] != old["postgres/adminpass"], "generated anew, and put in force by the server"
    assert logs_in(whole, "postgres", "guestbook", new["postgres/guestbook/password"])
    for site in SITES.values():
        assert "before it left" in kept(whole, site)
    whole.expect_no_changes()


def test_data_survive_a_reboot_and_a_server_that_is_killed(whole: Hive) -> None:
    keep(whole, "before the reboot")
    for server in SERVERS:
        whole.on_server(f"docker kill --signal KILL {whole.container(server)}")
        whole.on_server(f"docker start $(docker ps -aq --filter label=apiary.resource=applications.{server})")
    whole.reboot()
    for site in SITES.values():
        # Not by one answer: a check that began while the machine came up ends later, and takes the site away once more.
        until(lambda site=site: is_kept(whole, site, "before the reboot"), 120, f"{site} is back with its notes")


# --- what the images refuse and heal, with containers of their own on the hive's server


def of_both(check: Callable[[Hive, str], None], hive: Hive) -> None:
    """A check of both images, side by side: what they wait for takes its time. Containers and volumes go afterwards."""
    try:
        with ThreadPoolExecutor() as both:
            list(both.map(partial(check, hive), SERVERS.values()))
    finally:
        names = " ".join(map(tried, SERVERS.values()))
        hive.on_server(f"docker rm --force {names} >/dev/null 2>&1; docker volume rm --force {names} >/dev/null")


def tried(folder: str) -> str:
    """The name of the container that tries an image, and of its volume."""
    return f"try-{folder.lower()}"


def run(hive: Hive, folder: str, options: str = "--volume {volume}:{root}", value: str = "x") -> str:
    """Run the image to its end, as the program runs containers; what it says."""
    words = options.format(volume=tried(folder), root=ROOTS[folder])
    return hive.on_server(
        f"timeout 100 docker run --rm --init --cap-drop ALL --security-opt no-new-privileges:true "
        f"--env {VARIABLES[folder]}={value} {words} {image(hive, folder)} 2>&1",
        check=False,
    )


def start(hive: Hive, folder: str) -> None:
    hive.on_server(
        f"docker run --detach --name {tried(folder)} --init --cap-drop ALL --security-opt no-new-privileges:true "
        f"--env {VARIABLES[folder]}=x --volume {tried(folder)}:{ROOTS[folder]} {image(hive, folder)}"
    )


def healthy(hive: Hive, folder: str) -> None:
    check = ("docker", "exec", tried(folder), "/usr/local/bin/healthy.sh")
    until(lambda: hive.server_command(*check).returncode == 0, 120, f"{folder} is healthy")


@pytest.mark.soak
def test_a_first_start_that_was_killed_half_way_is_made_good_by_the_next(whole: Hive) -> None:
    """A moment that is hard to meet."""
    of_both(_killed_half_way, whole)


def _killed_half_way(hive: Hive, folder: str) -> None:
    name = tried(folder)
    start(hive, folder)
    # At once: a command of Docker's may take longer than what is left of the first start.
    hive.on_server(
        f"pid=$(docker inspect --format '{{{{.State.Pid}}}}' {name}); "
        f"timeout 60 sh -c 'until [ -e /var/lib/docker/volumes/{name}/_data/data.new ]; do :; done' && "
        f"kill -KILL $pid && docker wait {name} && docker start {name}"
    )
    healthy(hive, folder)
    assert "did not come to its end" in hive.on_server(f"docker logs {name} 2>&1")
    hive.on_server(f"docker exec {name} test ! -e {ROOTS[folder]}/data.new")


@pytest.mark.soak
def test_data_of_another_version_and_of_another_container_are_not_touched(whole: Hive) -> None:
    """Four starts of a database server, of what no update of the program does."""
    of_both(_not_touched, whole)


def _not_touched(hive: Hive, folder: str) -> None:
    name = tried(folder)
    start(hive, folder)
    healthy(hive, folder)
    assert "another container works on the data" in run(hive, folder)
    hive.on_server(f"docker stop --time 60 {name}")
    assert hive.on_server(f"docker inspect --format '{{{{.State.ExitCode}}}}' {name}").strip() == "0", "by itself"
    mark = {"PostgreSQL": "PG_VERSION", "MariaDB": "apiary-version"}[folder]
    data = f"/var/lib/docker/volumes/{name}/_data/data"
    listing = f"cd {data} && find . -type f -printf '%p %s %T@\\n' | sort"
    hive.on_server(f"echo 9.6 > {data}/{mark}")
    before = hive.on_server(listing)
    said = run(hive, folder)
    assert f"are {folder} 9.6, this image is {folder}" in said, said
    assert "docs/databases.md" in said
    assert hive.on_server(listing) == before


def test_without_a_volume_or_a_password_it_does_not_start(whole: Hive) -> None:
    of_both(_not_started, whole)


def _not_started(hive: Hive, folder: str) -> None:
    assert "nothing is mounted at" in run(hive, folder, options="")
    assert f"{VARIABLES[folder]} is empty" in run(hive, folder, value="")


def dbsetup(hive: Hive, wanted: dict[str, Any]) -> str:
    network = hive.on_server("docker network ls -q --filter label=apiary.stack=apiary-lab").strip()
    return hive.on_server(
        f"docker run --rm --init --cap-drop ALL --network {network} --env WAIT_SECONDS=3 "
        "--label apiary.resource=jobs.beside --label apiary.reach=mariadb,postgres "
        f"--env DBMAP={shlex.quote(json.dumps(wanted))} {image(hive, 'DBSetup')} 2>&1; echo status $?"
    )


def test_names_and_passwords_of_any_kind_mean_themselves(whole: Hive) -> None:
    """On the real servers: quotes, wildcards and statements in them. The databases are dropped at the end."""
    known = passwords(whole)
    names = {"a_b%c": "p'w\"`\\;--", "axb": "x", "q\"u`o't\\e; DROP DATABASE shared;--": "%s {} $x"}
    wanted = {
        server: {
            "kind": kind, "host": server, "adminpass": known[f"{server}/adminpass"],
            "databases": {name: {"password": password} for name, password in names.items()},
        }
        for server, kind in (("postgres", "postgresql"), ("mariadb", "mysql"))
    }  # fmt: skip
    # Longer than an account of MySQL may be.
    said = dbsetup(whole, wanted)
    assert "a name is longer than 32 bytes" in said
    assert said.endswith("status 2\n")
    for server in wanted.values():
        server["databases"] = {name[:32]: password for name, password in server["databases"].items()}
    try:
        made, again = dbsetup(whole, wanted), dbsetup(whole, wanted)
        assert made.endswith("status 0\n"), made
        assert again.count("as it should be") == 6, again
        assert 'left alone: database "guestbook", role "guestbook"' in again, again
    finally:
        for name in (name[:32] for name in names):
            mysql = name.replace("`", "``"), name.replace("'", "''").replace("\\", "\\\\")
            for server, statements in (
                ("mariadb", [f"DROP DATABASE IF EXISTS `{mysql[0]}`", f"DROP USER IF EXISTS '{mysql[1]}'@'%'"]),
                (
                    "postgres",
                    [f'DROP {what} IF EXISTS "{name.replace(chr(34), chr(34) * 2)}"' for what in ("DATABASE", "ROLE")],
                ),
            ):
                client = "psql --quiet --command" if server == "postgres" else "mariadb --user=mysql --execute"
                for statement in statements:
                    whole.on_server(f"docker exec {whole.container(server)} {client} {shlex.quote(statement)}")


def test_a_wrong_administrator_s_password_is_told_with_the_way_out_and_keeps_no_other_server_waiting(
    whole: Hive,
) -> None:
    known = passwords(whole)
    wanted = {
        "absent": {"kind": "mysql", "host": "absent", "adminpass": "wrongpass", "databases": {}},
        "mariadb": {"kind": "mysql", "host": "mariadb", "adminpass": "wrongpass", "databases": {}},
        "postgres": {
            "kind": "postgresql", "host": "postgres", "adminpass": known["postgres/adminpass"],
            "databases": {"guestbook": {"password": known["postgres/guestbook/password"]}},
        },
    }  # fmt: skip
    said = dbsetup(whole, wanted)
    assert said.endswith("status 1\n")
    assert "absent: FAILED: no answer for 3 s" in said
    assert "mariadb: FAILED: it refuses the password of its administrator" in said
    assert 'postgres: database "guestbook": as it should be' in said
    assert "wrongpass" not in said
