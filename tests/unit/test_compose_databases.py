"""Credentials of databases are led to whose they are, and nobody else's are."""

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
        "more.sql": "CREATE EXTENSION hstore;",
    })  # fmt: skip
    assert refused(done) == {}
    assert "test" not in entry(done, "db")["health"]
    assert "by POSTGRES_DB, which is gone" in verdicts(done)["services.db.healthcheck"][1]
    assert "finds no database of an application yet" in verdicts(done)["services.db.volumes[0].target"][1]
    assert entry(done, "own")["health"]["test"] == ["CMD-SHELL", "mariadb-admin ping -p$MARIADB_ROOT_PASSWORD"]
    assert not any("copy /srv/db" in step for step in done.told.todo)
