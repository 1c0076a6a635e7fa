"""Database servers in compose files, and who is a client of which: by what its variables are called, what it runs."""

from __future__ import annotations

import json

import pytest

from tests.unit.compose_kit import converted, entry, refused, variables, verdicts
from tests.unit.test_compose_published import SERVER, client


@pytest.mark.parametrize("kind", ["postgres12", "postgres12_pgx", "pdo_pgsql", "mysqli", "mysql8", "PostgreSQL"])
def test_a_kind_of_database_with_a_version_or_a_driver_is_no_name_of_one(kind):
    done = converted(client(DB=kind, DB_HOST="db", DB_USER="shop", DB_PASSWORD="s3cret-pw"))
    assert entry(done, "web")["db"] == ["db:shop_data"]
    assert variables(done, "web")["DB"] == kind


def test_who_names_the_database_that_every_server_has_gets_one_of_its_own():
    done = converted(client(DB_HOST="db", DB_USER="shop", DB_PASSWORD="s3cret-pw", DATABASE_NAME="postgres"))
    (use,) = entry(done, "web")["db"]
    assert variables(done, "web")["DATABASE_NAME"] == use.partition(":")[2] == "web"
    assert "is another name now" in verdicts(done)["services.web.environment.DATABASE_NAME"][1]


def test_of_two_servers_with_one_password_each_has_the_variables_that_are_called_as_its_host():
    second = SERVER.replace("  db:", "  logs:").replace("POSTGRES_USER: shop", "POSTGRES_USER: logger").replace(
        "POSTGRES_DB: shop-data", "POSTGRES_DB: lines"
    )  # fmt: skip
    said = client(
        DB_HOST="db", DB_USER="shop", DB_PASSWORD="s3cret-pw", DB_NAME="shop-data", LOGS_DB_HOST="logs",
        LOGS_DB_USER="logger", LOGS_DB_PASSWORD="s3cret-pw", LOGS_DB_NAME="lines",
    )  # fmt: skip
    done = converted(said + second)
    made = variables(done, "web")
    assert (made["DB_PASSWORD"], made["LOGS_DB_PASSWORD"]) == ("_db^password", "_logs^password")
    assert (made["DB_NAME"], made["LOGS_DB_NAME"]) == ("shop_data", "lines")
    assert (made["DB_USER"], made["LOGS_DB_USER"]) == ("shop_data", "lines")
    assert entry(done, "web")["db"] == ["db:shop_data", "logs:lines"]


@pytest.mark.parametrize(
    "runs",
    [
        "entrypoint: [sh, -c, 'while true; do pg_dump -U postgres > /saved/all; sleep 86400; done']",
        "command: bash -c 'pg_dumpall -h db -U postgres'",
        "command: [psql, -h, db]",
    ],
)
def test_who_runs_another_program_from_a_database_servers_image_is_a_client(runs):
    """A dump by the clock was refused, as a server that waits for itself, or lost the variables it logs in by."""
    saver = f"""
  saver:
    image: postgres:17
    depends_on: [db]
    environment: {{PGHOST: db, PGUSER: shop, PGPASSWORD: s3cret-pw, POSTGRES_DB: shop-data}}
    {runs}
"""
    done = converted(client(DB_HOST="db", DB_PASSWORD="s3cret-pw") + saver)
    assert not refused(done)
    assert entry(done, "saver")["db"] == ["db:shop_data"]
    assert variables(done, "saver") == {
        "PGHOST": "$db", "PGUSER": "shop_data", "PGPASSWORD": "_db^password", "POSTGRES_DB": "shop_data",
    }  # fmt: skip
    assert "not the official image" not in str(verdicts(done))


@pytest.mark.parametrize(
    "runs",
    [
        "command: [postgres, -c, max_connections=200]",
        "command: -c shared_buffers=256MB",
        "command: [sh, -c, 'docker-entrypoint.sh postgres -c log_statement=all']",
        "entrypoint: [bash, -c, 'cp /x /y && exec postgres -c ssl=on']",
    ],
)
def test_who_runs_the_server_with_words_of_its_own_stays_one(runs):
    done = converted(client(DB_HOST="db", DB_PASSWORD="s3cret-pw") + f"    {runs}\n")
    assert entry(done, "web")["db"] == ["db:shop_data"]


def ruler(server, **said):
    done = converted(
        f"services:\n  web: {{image: x, depends_on: [db], environment: {json.dumps(said)}}}\n"
        f"  db: {{image: {server[0]}, volumes: ['d:/var/lib/mysql', 'e:/var/lib/postgresql'], "
        f"environment: {json.dumps(server[1])}}}\nvolumes: {{d: , e: }}\n"
    )
    assert not refused(done)
    return done, variables(done, "web")


ROOT = ("mysql:8", {"MYSQL_ROOT_PASSWORD": "admins-own-pw"})
POSTGRES = ("postgres:18", {"POSTGRES_PASSWORD": "admins-own-pw"})


@pytest.mark.parametrize(
    ("server", "said", "made"),
    [
        (ROOT, {"DB": "mysql8", "MYSQL_USER": "root", "MYSQL_PWD": "admins-own-pw"},
         {"DB": "mysql8", "MYSQL_USER": "root", "MYSQL_PWD": "_db^adminpass"}),
        (POSTGRES, {"POSTGRES_USER": "postgres", "POSTGRES_PASSWORD": "admins-own-pw", "POSTGRES_IP": "db"},
         {"POSTGRES_USER": "postgres", "POSTGRES_PASSWORD": "_db^adminpass", "POSTGRES_IP": "db"}),
        (POSTGRES, {"URL": "postgresql://postgres:admins-own-pw@db"},
         {"URL": "postgresql://postgres:${_db^adminpass}@${$db}"}),
    ],
)  # fmt: skip
def test_who_logs_in_as_administrator_and_names_no_database_stays_that(server, said, made):
    """It makes its databases by itself, under names that stand nowhere: another role may not."""
    done, found = ruler(server, **said)
    assert found == made
    assert "db" not in entry(done, "web")
    assert entry(done, "web")["after"] == ["db"]
    assert any('write db: ["db:NAME"] at web for each database' in step for step in done.told.todo)
    assert not any("no job makes a role" in step or "make copy WHAT" in step for step in done.told.todo)


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (POSTGRES, {"PGUSER": "postgres", "PGPASSWORD": "admins-own-pw", "PGDATABASE": "wares"}),
        (POSTGRES, {"URL": "postgresql://postgres:admins-own-pw@db/wares"}),
        (ROOT, {"DB_USER": "root", "DB_PASSWORD": "admins-own-pw", "DB_NAME": "wares"}),
    ],
)
def test_who_names_its_database_gets_a_role_of_its_own(server, said):
    done, found = ruler(server, **said)
    assert entry(done, "web")["db"] == ["db:wares"]
    assert "adminpass" not in str(found)


def test_a_database_that_neither_side_names_is_told():
    said = {"POSTGRES_USER": "flow", "POSTGRES_PWD": "admins-own-pw", "SEEDS": "db"}
    done, found = ruler(("postgres:18", {"POSTGRES_USER": "flow", "POSTGRES_PASSWORD": "admins-own-pw"}), **said)
    assert found["POSTGRES_PWD"] == "_db^password"
    assert any("see which database web asks db for" in step for step in done.told.todo)
    done, _ = ruler(("postgres:18", {"POSTGRES_DB": "flow", "POSTGRES_PASSWORD": "admins-own-pw"}), **said)
    assert not any("see which database" in step for step in done.told.todo)


def test_who_names_a_server_in_a_file_alone_is_a_client_too():
    """A dashboard with the database's password in its configuration, beside the application that uses it."""
    done = converted({
        "compose.yaml": client(DB_HOST="db", DB_NAME="shop-data", DB_PASSWORD="s3cret-pw")
        + "  board: {image: board, volumes: ['./board.yml:/etc/board.yml']}\n  waits: {image: x, depends_on: [db]}\n",
        "board.yml": "url: db:5432\nsecureJsonData: {password: s3cret-pw}\n",
    })  # fmt: skip
    made = entry(done, "board")
    assert made["db"] == ["db:shop_data"]
    assert (
        made["files"]["/etc/board.yml"]["content"]
        == "url: ${$db}:5432\nsecureJsonData: {password: ${_db:shop_data^password}}\n"
    )
    assert any("the configuration of board logs in to db as the role shop_data" in step for step in done.told.todo)
    assert "db" not in entry(done, "waits")


@pytest.mark.parametrize(
    ("url", "made"),
    [
        ("postgres://shop:p@ss@w0rd@db/shop-data", "postgres://shop_data:${_db^password}@${$db}/shop_data"),
        ("[\"postgres://shop:p@ss@w0rd@db/shop-data\",\"me@example.org\"]",
         "[\"postgres://shop_data:${_db^password}@${$db}/shop_data\",\"me@example.org\"]"),
        ("postgres://shop:p@ss@w0rd@db/shop-data?mail=me@example.org",
         "postgres://shop_data:${_db^password}@${$db}/shop_data?mail=me@example.org"),
    ],
)  # fmt: skip
def test_a_password_in_a_url_ends_with_the_last_sign_before_the_host(url, made):
    """As programs take it; and what is the same word elsewhere, `SHOP_PASSWORD`, is that of an account."""
    source = client(URL=url, SHOP_PASSWORD="p@ss@w0rd").replace("s3cret-pw", "p@ss@w0rd")
    found = variables(converted(source), "web")
    assert found == {"URL": made, "SHOP_PASSWORD": "_secrets^web_shop_password"}


def test_a_url_of_one_who_was_trusted_without_a_password_gets_one():
    server = ("postgres:18", {"POSTGRES_HOST_AUTH_METHOD": "trust", "POSTGRES_DB": "planks"})
    done, found = ruler(server, URL="postgresql://postgres@db/planks")
    assert found["URL"] == "postgresql://planks:${_db^password}@${$db}/planks"
    assert not any("put the generated password" in step for step in done.told.todo)


def kept(image, mounts="[]", **said):
    said = {"POSTGRES_PASSWORD": "s3cret-pw", "MYSQL_ROOT_PASSWORD": "s3cret-pw", **said}
    db = f"{{image: '{image}', volumes: {mounts}, environment: {json.dumps(said)}}}"
    done = converted(f"services: {{db: {db}}}\nvolumes: {{d: }}")
    return done, entry(done, "db").get("volumes")


@pytest.mark.parametrize(
    ("image", "volume"),
    [
        ("postgres:16-alpine", "db-var-lib-postgresql-data:/var/lib/postgresql/data"),
        ("postgres:18", "db-var-lib-postgresql:/var/lib/postgresql"),
        ("postgres", "db-var-lib-postgresql:/var/lib/postgresql"),
        ("mariadb:11", "db-var-lib-mysql:/var/lib/mysql"),
        ("pgvector/pgvector:pg17", "db-var-lib-postgresql-data:/var/lib/postgresql/data"),
        ("mongo:7", "db-data-db:/data/db"),
        ("redis:7", None),
        ("linuxserver/mariadb:11", None),
    ],
)
def test_a_database_without_a_volume_gets_one_since_a_new_container_would_begin_empty(image, volume):
    done, volumes = kept(image)
    assert volumes == (volume and [volume])
    assert ("services.db.volumes" in verdicts(done)) is (volume is not None)


@pytest.mark.parametrize(
    ("image", "mounts"),
    [
        ("postgres:16", "['d:/var/lib/postgresql/data']"),
        ("postgres:18", "['d:/var/lib/postgresql']"),
        ("mysql:8", "['d:/var/lib/mysql']"),
        ("mongo:7", "['d:/data']"),
    ],
)
def test_data_that_have_a_volume_stay_there(image, mounts):
    done, volumes = kept(image, mounts)
    assert [mount.partition(":")[2] for mount in volumes] == [mounts[4:-2]]
    assert not refused(done)


def test_data_in_memory_or_elsewhere_get_no_volume():
    said = "{image: 'mysql:8', tmpfs: [/var/lib/mysql], environment: {MYSQL_ROOT_PASSWORD: s3cret-pw}}"
    done = converted(f"services: {{db: {said}}}")
    assert "volumes" not in entry(done, "db")
    _, volumes = kept("postgres:16", "['d:/srv']", PGDATA="/srv/pg")
    assert [mount.partition(":")[2] for mount in volumes] == ["/srv"]


def test_a_volume_around_that_of_the_image_is_mounted_where_the_data_lie():
    """PostgreSQL before 18: the image's own volume without a name would lie within it, and be another one each time."""
    done, volumes = kept("postgres:15", "['d:/var/lib/postgresql']")
    assert [mount.partition(":")[2] for mount in volumes] == ["/var/lib/postgresql/data"]
    assert "without a name" in verdicts(done)["services.db.volumes[0]"][1]
    assert entry(done, "db")["user"] == "999:999"


@pytest.mark.parametrize(
    ("image", "remedy"),
    [
        ("postgres:18-alpine", "mount it at /var/lib/postgresql"),
        ("postgres", "image: postgres:17"),
        ("postgres:latest", "image: postgres:17"),
        ("postgres:alpine", "name the version"),
    ],
)
def test_what_the_image_does_not_start_with_is_refused(image, remedy):
    """PostgreSQL 18 and later ends when a volume lies where the data of those before lay."""
    done, _ = kept(image, "['d:/var/lib/postgresql/data']")
    assert remedy in refused(done)["services.db.volumes[0]"]
    done, _ = kept(image, "['d:/var/lib/postgresql/data']", PGDATA="/var/lib/postgresql/data/own")
    assert not refused(done)
