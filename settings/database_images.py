"""What images and folders tell of database servers: which engine one surely is, and whose files are no plain files.

Makes: tables, and two pure functions. An image that is built on an official one, and takes its variables, is known as
that engine. Of all others it is only known that their files can't be read while they are written to.
"""

from collections.abc import Mapping
from typing import Literal

Engine = Literal["postgresql", "mysql"]
# By the last part of an image's name. TimescaleDB is missing: a plain dump of it does not go in again.
_ENGINES: Mapping[str, Engine] = {
    "postgres": "postgresql", "postgis": "postgresql", "pgvector": "postgresql",
    "mariadb": "mysql", "mysql": "mysql", "percona": "mysql", "percona-server": "mysql",
}  # fmt: skip
# What a database server of the name may be, where its stack file says so; None where nothing here dumps it.
_FAMILIES: Mapping[str, Engine | None] = {
    **dict.fromkeys(("postgresql", "postgresql-repmgr", "timescaledb", "timescaledb-ha", "pgvecto-rs"), "postgresql"),
    **dict.fromkeys(("mysql-server", "mariadb-server", "mariadb-galera", "percona-xtradb-cluster"), "mysql"),
    **dict.fromkeys(
        ("mongo", "mongodb", "mongodb-community-server", "percona-server-mongodb", "clickhouse", "clickhouse-server",
         "influxdb", "cassandra", "scylla", "elasticsearch", "opensearch", "couchdb", "cockroach", "arangodb", "neo4j")
    ),
}  # fmt: skip
_FOLDERS: Mapping[str, Engine | None] = {
    **dict.fromkeys(
        ("/var/lib/postgresql", "/var/lib/pgsql", "/home/postgres/pgdata", "/bitnami/postgresql"), "postgresql"
    ),
    **dict.fromkeys(("/var/lib/mysql", "/bitnami/mysql", "/bitnami/mariadb"), "mysql"),
    **dict.fromkeys(
        ("/data/db", "/bitnami/mongodb", "/var/lib/clickhouse", "/var/lib/influxdb", "/var/lib/influxdb2",
         "/var/lib/cassandra", "/var/lib/scylla", "/usr/share/elasticsearch/data", "/usr/share/opensearch/data",
         "/opt/couchdb/data", "/cockroach/cockroach-data", "/var/lib/arangodb3")
    ),
}  # fmt: skip


def engine(image: str | None) -> Engine | None:
    """What an image surely serves: an official one, or one that is built on it."""
    return _ENGINES.get(_bare(image))


def kept_as_files(image: str | None, folder: str) -> tuple[str, Engine | None] | None:
    """Where an application mounts a volume at `folder`: what tells that a database's files are in it, and what may be
    said of the application to have its databases dumped; None where nothing tells it.
    """
    name = _bare(image)
    if name in _FAMILIES:
        return f"the image {name}", _FAMILIES[name]
    known = next((one for one in _FOLDERS if f"{folder}/".startswith(f"{one}/")), None)
    return None if known is None else (f"at {folder}", _FOLDERS[known])


def _bare(image: str | None) -> str:
    return (image or "").partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
