"""Credentials of databases are led to whose they are, and nobody else's are."""

import pytest

from operations.coming.told import Outcome
from tests.unit.compose_kit import converted, entry, refused, variables, verdicts

SHARED = "POSTGRES_HOST=db\nPOSTGRES_USER=shopper\nPOSTGRES_PASSWORD=s3cretpw\nPOSTGRES_DB=shop\n"


def test_a_database_server_that_is_told_of_itself_has_no_database_on_itself():
    files = {
        "compose.yaml": (
            "services: {db: {image: 'postgres:16', env_file: shop.env, environment: "
            "{DATABASE_URL: 'postgres://shopper:s3cretpw@db/shop'}}, web: {image: x, env_file: shop.env}}"
        ),
        "shop.env": SHARED,
    }
    done = converted(files)
    assert refused(done) == {}
    assert "db" not in entry(done, "db")
    assert entry(done, "web")["db"] == ["db:shop"]
    assert variables(done, "web")["POSTGRES_PASSWORD"] == "_db^password"


ALIKE = """
services:
  db: {image: "postgres:16", environment: {POSTGRES_USER: shop, POSTGRES_PASSWORD: changeme1, POSTGRES_DB: store}}
  files: {image: minio/minio, environment: {MINIO_ROOT_USER: shop, MINIO_ROOT_PASSWORD: changeme1}}
  web:
    image: x
    environment: {DB_HOST: db, DB_USER: shop, DB_PASSWORD: changeme1, DB_NAME: store, FILES_USER: shop,
                  FILES_PASSWORD: changeme1, JWT_SECRET: changeme1}
  old: {image: x, environment: {HOST: db, USER: shop, PASSWORD: changeme1, SIGNING_SECRET: changeme1}}
"""


def test_what_happens_to_be_the_same_as_a_database_s_password_is_not_the_database_s():
    done = converted(ALIKE)
    assert refused(done) == {}
    assert variables(done, "web") == {
        "DB_HOST": "$db", "DB_USER": "store", "DB_PASSWORD": "_db^password", "DB_NAME": "store", "FILES_USER": "shop",
        "FILES_PASSWORD": "_secrets^files_minio_root_password", "JWT_SECRET": "_secrets^files_minio_root_password",
    }  # fmt: skip
    assert "password of its database in db" in verdicts(done)["services.web.environment.DB_PASSWORD"][1]
    assert variables(done, "old")["PASSWORD"] == "_db^password"
    assert variables(done, "old")["SIGNING_SECRET"] == "_secrets^files_minio_root_password"
    assert done.secrets == {"files_minio_root_password": "changeme1"}


def test_a_shared_file_s_variable_that_speaks_of_no_database_stays_with_who_uses_none():
    files = {
        "compose.yaml": (
            "services: {db: {image: 'postgres:16', environment: {POSTGRES_PASSWORD: changeme1}}, "
            "ui: {image: x, env_file: all.env}}"
        ),
        "all.env": "DB_PASSWORD=changeme1\nUI_PASSWORD=changeme1\n",
    }
    assert variables(converted(files), "ui") == {"UI_PASSWORD": "_secrets^ui_ui_password"}


def test_what_a_server_does_with_its_first_database_is_told_since_it_has_none():
    done = converted({
        "compose.yaml": """
services:
  db:
    image: postgres:16
    environment: {POSTGRES_USER: shop, POSTGRES_PASSWORD: s3cretpw, POSTGRES_DB: shop}
    volumes: ["./more.sql:/docker-entrypoint-initdb.d/more.sql:ro", "/srv/db:/var/lib/postgresql/data"]
    healthcheck: {test: "pg_isready -d $$POSTGRES_DB -U $${POSTGRES_USER}"}
  own:
    image: mariadb:11
    environment: {MARIADB_ROOT_PASSWORD: r00tpasswd}
    healthcheck: {test: "mariadb-admin ping -p$$MARIADB_ROOT_PASSWORD"}
""",
        "more.sql": '-- CREATE TABLE: see b\nCREATE EXTENSION hstore;create extension if not exists "uuid-ossp";',
    })  # fmt: skip
    assert refused(done) == {}
    assert "test" not in entry(done, "db")["health"]
    assert "by POSTGRES_DB, which is gone" in verdicts(done)["services.db.healthcheck"][1]
    assert "finds no database of an application yet" in verdicts(done)["services.db.volumes[0].target"][1]
    assert entry(done, "own")["health"]["test"] == ["CMD-SHELL", "mariadb-admin ping -p$MARIADB_ROOT_PASSWORD"]
    assert not any("copy /srv/db" in step for step in done.told.todo)
    told = [step.split(" in each")[0] for step in done.told.todo if "extension" in step]
    assert told == ["have the extension hstore", "have the extension uuid-ossp"]


SAME = """
services:
  web: {image: x, ports: ["80:80"], environment: {DATABASE_URL: "postgres://postgres:s3cretpw@db/postgres"}}
  worker: {image: x, environment: {DATABASE_URL: "postgres://postgres:s3cretpw@db/postgres"}}
  clock: {image: x, environment: {DB_HOST: db, DB_NAME: postgres, DB_PASSWORD: s3cretpw}}
  db: {image: "postgres:16", environment: {POSTGRES_PASSWORD: s3cretpw}}
"""


def test_services_that_share_a_database_of_a_name_that_none_may_have_share_it_here_too():
    done = converted(SAME)
    assert [entry(done, name)["db"] for name in ("web", "worker", "clock")] == [["db:web"]] * 3
    assert variables(done, "worker") == {"DATABASE_URL": "postgres://web:${_db^password}@${$db}/web"}
    assert variables(done, "clock")["DB_NAME"] == "web"
    assert any('make copy WHAT="db:postgres=db:web"' in step for step in done.told.todo)


def test_a_variable_that_chooses_a_kind_of_database_keeps_it():
    keycloak = (
        "services: {id: {image: keycloak, environment: {KC_DB: postgres, KC_DB_URL: 'jdbc:postgresql://db/keycloak', "
        "KC_DB_USERNAME: keycloak, KC_DB_PASSWORD: s3cretpw}}, db: {image: 'postgres:16', environment: "
        "{POSTGRES_DB: keycloak, POSTGRES_USER: keycloak, POSTGRES_PASSWORD: s3cretpw}}}"
    )
    assert variables(converted(keycloak), "id") == {
        "KC_DB": "postgres", "KC_DB_URL": "jdbc:postgresql://${$db}/keycloak", "KC_DB_USERNAME": "keycloak",
        "KC_DB_PASSWORD": "_db^password",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("image", "is_server"),
    [
        ("lscr.io/linuxserver/mariadb:11.4.4", False), ("supabase/postgres:15.1", False), ("bitnami/mysql", False),
        ("me/postgres", False), ("mirror.example.com:5000/library/postgres@sha256:" + "a" * 64, True),
        ("docker.io/mariadb:11", True), ("registry.example.com/mysql:8", True), ("localhost/postgres", True),
        ("ghcr.io/immich-app/postgres:14", True), ("docker.io/pgvector/pgvector:pg16", True),
    ],
)  # fmt: skip
def test_only_the_official_images_and_those_built_on_them_are_taken_for_such_database_servers(image, is_server):
    kind = "MYSQL_ROOT" if "mysql" in image or "mariadb" in image else "POSTGRES"
    done = converted(
        f"services: {{web: {{image: x, environment: {{DB_HOST: db, DB_NAME: a, DB_PASSWORD: s3cretpw}}}}, "
        f"db: {{image: '{image}', volumes: [/config], environment: {{{kind}_PASSWORD: s3cretpw}}}}}}"
    )
    assert refused(done) == {}
    assert ("db" in entry(done, "web")) is is_server
    if not is_server:
        # Everything stays as it was, for its own entrypoint.
        secret = "_secrets^web_db_password"
        assert (variables(done, "db"), variables(done, "web")["DB_PASSWORD"]) == ({f"{kind}_PASSWORD": secret}, secret)
        assert "user" not in entry(done, "db")
        assert "no job makes databases in it" in verdicts(done)["services.db.image"][1]


FIRST = """
services:
  web: {{image: x, environment: {{DB_HOST: db, DB_NAME: shop, DB_USER: reader, DB_PASSWORD: re4derpass}}}}
  db:
    image: {image}
    volumes: ["./first{file}:/docker-entrypoint-initdb.d{file}"]
    environment: {{POSTGRES_DB: shop, POSTGRES_PASSWORD: s3cretpw, MYSQL_DATABASE: shop, MYSQL_ROOT_PASSWORD: s3cretpw}}
"""


@pytest.mark.parametrize(
    ("image", "script", "why"),
    [
        ("postgres:16", 'psql --dbname "$POSTGRES_DB" -c "GRANT ALL ON SCHEMA public TO x"', "asks for POSTGRES_DB"),
        ("postgres:16", "CREATE TABLE wares (id int);", "fills a database"),
        ("mysql:8", "INSERT INTO shop.wares VALUES (1);", "fills a database"),
        ("mariadb:11", 'mariadb -p"$MYSQL_ROOT_PASSWORD" -e "CREATE DATABASE x"', "asks for MYSQL_ROOT_PASSWORD"),
        ("mysql:8", 'echo "GRANT ALL ON ${MYSQL_DATABASE}.* TO x"', "asks for MYSQL_DATABASE"),
        # By their names, of which there is none yet: the server would end at its first start.
        ("mysql:8", "CREATE USER reader; GRANT ALL ON `shop`.* TO reader;", "names shop, the first"),
        ("mysql:8", "USE shop; CREATE USER reader;", "names shop, the first"),
        ("postgres:16", "CREATE ROLE reader; GRANT CONNECT ON DATABASE shop TO reader;", "names shop, the first"),
        ("postgres:16", "\\c shop\nCREATE EXTENSION citext;", "names shop, the first"),
        ("postgres:16", "psql -U postgres -d shop -c 'CREATE EXTENSION citext'", "names shop, the first"),
    ],
)
def test_a_first_start_that_would_find_no_database_is_refused_with_what_to_do(image, script, why):
    text = FIRST.format(image=image, file="/a.sh")
    [(path, words)] = refused(converted({"compose.yaml": text, "first/a.sh": script})).items()
    assert words.startswith(f"first/a.sh {why}")
    assert "--leave-out 'services.db.volumes[0]'" in words
    assert refused(converted({"compose.yaml": text, "first/a.sh": script}, leave_out=(path,))) == {}


@pytest.mark.parametrize(
    ("image", "script"),
    [
        ("postgres:16", "psql -U \"$POSTGRES_USER\" <<SQL\nCREATE ROLE reader PASSWORD 're4derpass';\nSQL\n"),
        ("mysql:8", "CREATE DATABASE IF NOT EXISTS `shop`;\nCREATE USER reader@'%' IDENTIFIED BY 're4derpass';"),
        ("mysql:8", "CREATE DATABASE shop; CREATE USER `reader`; USE shop; CREATE TABLE wares (id int);"),
        # A comment, a password, and a word of the same letters name no database.
        ("mysql:8", "# to shop\nCREATE USER reader IDENTIFIED BY 're4derpass'; GRANT ALL ON shops.* TO reader;"),
    ],
)
def test_roles_of_a_first_start_are_told_and_their_passwords_stand_nowhere(image, script):
    done = converted({"compose.yaml": FIRST.format(image=image, file="/a.sql"), "first/a.sql": script})
    assert refused(done) == {}
    assert "makes role reader" in verdicts(done)["services.db.volumes[0].target"][1]
    assert "re4derpass" not in str(done.sections)
    assert variables(done, "web")["DB_USER"] == "shop"


def test_a_folder_of_a_first_start_is_one_of_files_and_no_empty_volume():
    files = {"compose.yaml": FIRST.format(image="mysql:8", file=""), "first/a.sql": "CREATE USER reader;"}
    done = converted(files)
    assert entry(done, "db")["files"] == {"/docker-entrypoint-initdb.d": {"from": "config/shop/first"}}
    assert entry(done, "db")["volumes"] == ["db-var-lib-mysql:/var/lib/mysql"]
    assert any("copy first to config/shop/first" in step for step in done.told.todo)


def test_who_has_a_server_s_secret_and_says_no_role_gets_a_database_and_is_told_its_name():
    done = converted({
        "compose.yaml": """
services:
  web: {image: "odoo:17", secrets: [hush], depends_on: [db], environment: {PASSWORD_FILE: /run/secrets/hush}}
  db:
    image: postgres:16
    secrets: [hush]
    environment: {POSTGRES_DB: postgres, POSTGRES_USER: odoo, POSTGRES_PASSWORD_FILE: /run/secrets/hush}
secrets: {hush: {file: hush.txt}}
""",
        "hush.txt": "s3cretpw",
    })  # fmt: skip
    assert refused(done) == {}
    assert entry(done, "web")["db"] == ["db:web"]
    assert entry(done, "web")["files"] == {"/run/secrets/hush": {"content": "${_db:web^password}"}}
    assert any("have web log in to db as the role web, at the database web" in step for step in done.told.todo)


def test_a_password_within_configuration_in_a_variable_is_a_reference():
    done = converted("""
services:
  web:
    image: x
    environment: {CONFIG: "db:\\n  password: kem4lpass\\n  host: db\\n", OTHER: kem4lpass}
    depends_on: [db]
  db: {image: "postgres:16", environment: {POSTGRES_DB: videos, POSTGRES_USER: kemal, POSTGRES_PASSWORD: kem4lpass}}
""")
    assert variables(done, "web")["CONFIG"] == "db:\n  password: ${_db:videos^password}\n  host: ${$db}\n"
    assert "generated one now" in verdicts(done)["services.web.environment.CONFIG"][1]


def test_who_logs_in_by_a_url_has_no_other_word_for_that_password():
    done = converted(
        "services: {flow: {image: x, environment: {CONN: 'postgresql://flow:flowflow@db/flow', "
        "ADMIN_NAME: flow, WWW_USER_PASSWORD: flowflow, DB_PASSWORD: flowflow}}, "
        "db: {image: 'postgres:13', environment: "
        "{POSTGRES_USER: flow, POSTGRES_PASSWORD: flowflow, POSTGRES_DB: flow}}}"
    )
    assert variables(done, "flow") == {
        "CONN": "postgresql://flow:${_db^password}@${$db}/flow", "ADMIN_NAME": "flow", "DB_PASSWORD": "_db^password",
        "WWW_USER_PASSWORD": "_secrets^flow_www_user_password",
    }  # fmt: skip


def test_two_databases_whose_names_would_be_spelt_alike_stay_two():
    done = converted(
        "services: {a: {image: x, environment: {URL: 'mysql://root:s3cretpw@db/Shop-1'}}, "
        "b: {image: x, environment: {URL: 'mysql://root:s3cretpw@db/shop_1'}}, "
        "db: {image: 'mysql:8', environment: {MYSQL_ROOT_PASSWORD: s3cretpw}}}"
    )
    assert [entry(done, name)["db"] for name in "ab"] == [["db:shop_1"], ["db:b"]]
    assert any('make copy WHAT="db:shop_1=db:b db:Shop-1=db:shop_1"' in step for step in done.told.todo)


def test_the_name_of_a_role_that_a_secret_holds_is_that_of_the_database_too():
    done = converted(
        {
            "compose.yaml": """
services:
  web:
    image: shop/web
    restart: always
    environment: {DB_HOST: pg, DB_NAME: store, DB_USER_FILE: /run/secrets/role, DB_PASS_FILE: /run/secrets/pw}
    secrets: [role, pw]
  pg:
    image: postgres:17
    environment: {POSTGRES_DB: store, POSTGRES_USER_FILE: /run/secrets/role, POSTGRES_PASSWORD_FILE: /run/secrets/pw}
    secrets: [role, pw]
    healthcheck: {test: psql -U keeper -c 'select 1'}
secrets: {role: {file: ./role.txt}, pw: {file: ./pw.txt}}
""",
            "role.txt": "keeper\n",
            "pw.txt": "s3cret-pw",
        }
    )
    assert entry(done, "web")["files"] == {
        "/run/secrets/role": {"content": "store"},
        "/run/secrets/pw": {"content": "${_pg:store^password}"},
    }
    assert verdicts(done)["services.web.secrets.role"][0] is Outcome.DIFFERS
    assert "files" not in entry(done, "pg")
    assert done.secrets == {}
    assert "by keeper, which is gone" in verdicts(done)["services.pg.healthcheck"][1]
