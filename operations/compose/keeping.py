"""Where official images keep their data, so that these outlive the container and are their user's.

Makes: `settle`, once the mounts are converted. Docker keeps what an image puts into a volume without a name, and
Compose carries that from container to container; here a new container begins with a new one, so a database's gets a
name. Leaves alone: as whom an image runs (building).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from operations.coming.images import named
from operations.compose import mounts
from operations.compose.scene import One
from settings.checks.images import USERS

# The folders that official images have for their data, the first one for all that a database holds. A new volume there
# becomes a copy of it, with its owner.
_POSTGRES = ("/var/lib/postgresql/data", "/var/lib/postgresql")
_WITHOUT_DATA = 18  # the first PostgreSQL whose image has no folder data, and does not start with a volume there
_MYSQL = ("/var/lib/mysql",)
_REDIS = ("/data",)
_FOLDERS = {
    "postgres": _POSTGRES, "postgis": _POSTGRES, "pgvector": _POSTGRES, "pgvecto-rs": _POSTGRES, "mariadb": _MYSQL,
    "mysql": _MYSQL, "mongo": ("/data/db", "/data/configdb"), "redis": _REDIS, "valkey": _REDIS,
    "rabbitmq": ("/var/lib/rabbitmq",), "clickhouse-server": ("/var/lib/clickhouse", "/var/log/clickhouse-server"),
    "couchdb": ("/opt/couchdb/data",), "cassandra": ("/var/lib/cassandra",), "neo4j": ("/data", "/logs"),
    "timescaledb": _POSTGRES, "timescaledb-ha": ("/home/postgres/pgdata", "/home/postgres/pgdata/data"),
}  # fmt: skip
_PASSING = ("redis", "valkey", "rabbitmq")  # caches and queues, whose owner says where they keep something
_ELSEWHERE = {"PGDATA", "MYSQL_DATADIR"}


def settle(one: One) -> None:
    """Have a database's data in a volume with a name; refuse what its image does not start with."""
    name = named(one.image)
    bare = name.rpartition("/")[2]
    runs = one.database is not None or (name in USERS and not one.line)
    if not runs or one.is_job or bare in _PASSING or bare not in _FOLDERS or _ELSEWHERE & set(one.environment):
        return
    mounted = dict(_mounted(one))
    folder = _folders(one)[0]
    if _FOLDERS[bare] == _POSTGRES:
        data, above = _POSTGRES
        if data in mounted and folder != data:
            _refuse(one, mounted[data])
            return
        if above in mounted and folder == data:
            _move(one, mounted[above], data)
            return
    if any(f"{folder}/".startswith(f"{target}/") or target.startswith(f"{folder}/") for target in mounted):
        return
    volume = mounts.nameless(one, folder)
    at = one.at("volumes")
    one.entry.put("volumes", [f"{volume}:{folder}"], at)
    one.told.differs(at, f"the volume {volume} at {folder}, where its data lie: there it was one without a name")


def foreign(one: One) -> str:
    """Where a new volume lies that the image has no folder for, so that it would be root's; empty for none."""
    listed = one.entry.settings.get("volumes")
    for mount in listed if isinstance(listed, list) else []:
        source, target, *mode = str(mount).split(":")
        if not source.startswith("/") and mode != ["ro"] and target not in _folders(one):
            return target
    return ""


def _folders(one: One) -> tuple[str, ...]:
    own = _FOLDERS.get(named(one.image).rpartition("/")[2], ())
    version = _version(one.image)
    return own[1:] if own == _POSTGRES and (version is None or version >= _WITHOUT_DATA) else own


def _version(image: str) -> int | None:
    """The version of PostgreSQL that a tag says: `17-alpine`, `pg16`, `2.19-pg17`; None for the newest, `latest`."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    found = re.search(r"pg(\d+)", tag) or re.match(r"(\d+)", tag)
    return int(found[1]) if found else None


def _mounted(one: One) -> Iterator[tuple[str, int | None]]:
    """What is mounted, by its place in the container: which of its volumes that is, None for a folder in memory."""
    volumes, memory = one.entry.settings.get("volumes"), one.entry.settings.get("tmpfs")
    for index, mount in enumerate(volumes if isinstance(volumes, list) else []):
        yield str(mount).split(":")[1], index
    for target in memory if isinstance(memory, dict) else ():
        yield str(target), None


def _refuse(one: One, index: int | None) -> None:
    version = _version(one.image)
    which = f"PostgreSQL {version}" if version else "the newest PostgreSQL, which the image names,"
    data, above = _POSTGRES
    remedy = f"mount it at {above}" if version else "name the version that the data are of, as in image: postgres:17"
    one.told.cannot(
        (one.entry.source_of(("volumes", index)) if index is not None else None) or one.at("volumes"),
        f"{which} does not start with a volume at {data}; {remedy}",
    )


def _move(one: One, index: int | None, data: str) -> None:
    volumes = one.entry.settings.get("volumes")
    if index is None or not isinstance(volumes, list):
        return
    source, _, *mode = str(volumes[index]).split(":")
    volumes[index] = ":".join([source, data, *mode])
    one.told.differs(
        one.entry.source_of(("volumes", index)) or one.at("volumes"),
        f"at {data}, where the image has its data: there they lay in a volume without a name within it",
    )
