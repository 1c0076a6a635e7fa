"""Credentials of databases are led to whose they are, and nobody else's are."""

from tests.unit.compose_kit import converted, entry, refused, variables

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
