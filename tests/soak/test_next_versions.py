"""The databases of the next Debian: PostgreSQL 17 and MariaDB 11.8, made, written, read, and left as they were."""

from __future__ import annotations

import json

import pytest

from lab import images, registry
from tests.lab.hive import Hive
from tests.lab.test_databases import SITES, keep, kept

pytestmark = pytest.mark.timeout(3600)
NEXT = {"guestbook": ("postgres", "PostgreSQL", "17."), "diary": ("mariadb", "MariaDB", "11.")}


def test_sites_are_given_databases_on_servers_of_the_next_debian(whole: Hive) -> None:
    images.base(whole.paths, "trixie")
    registry.add(whole.paths.registry, "library/debian", "trixie-slim", images.base_tar(whole.paths, "trixie"))
    with whole.changed() as settings:
        applications = settings["apiary:applications"]
        for site, (server, folder, _) in NEXT.items():
            password = {"PostgreSQL": "postgres_password", "MariaDB": "mariadb_root_password"}[folder]
            applications[f"{server}next"] = applications[server] | {
                "build_args": {"BASE": "debian:trixie-slim"},
                "env": {password: f"_{server}next^adminpass"},
                "volumes": [f"{server}next:{applications[server]['volumes'][0].partition(':')[2]}"],
            }
            applications[site]["db"] = [f"{server}next"]
            applications[site]["env"] |= {
                "db_host": f"${server}next",
                "db_name": site,
                "db_user": site,
                "db_password": f"_{server}next^password",
            }
        whole.up()
        for server, folder, version in NEXT.values():
            command = {"PostgreSQL": "postgres --version", "MariaDB": "mariadbd --version"}[folder]
            assert version in whole.on_server(f"docker exec {whole.container(f'{server}next')} {command}")
        for site in SITES.values():
            assert kept(whole, site) == []
        keep(whole, "of the next version")
        for site in SITES.values():
            assert kept(whole, site) == ["of the next version"]
        whole.expect_no_changes()
    whole.up()
    for site in SITES.values():
        status, body = whole.get(f"{whole.scheme}://{site}/", "-6")
        assert status == 200
        assert "of the next version" not in [note["note"] for note in json.loads(body)["notes"]]
