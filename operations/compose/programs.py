"""What is known of programs by the names of their images: how they take a secret without an option. Pure.

Each variable was held against the program's source or documentation; a wrong one is a server without its password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from operations.coming.images import named

# Images whose program reads a file like Redis's.
REDIS = {"redis": "redis-server", "valkey/valkey": "valkey-server"}
# Official images and those built on them, which run whatever they are given by a script of this name, and have a shell.
ENTRYPOINT = "docker-entrypoint.sh"
BY_ENTRYPOINT = {
    "cassandra", "couchdb", "ghost", "mariadb", "memcached", "mongo", "mysql", "node", "pgvector/pgvector",
    "postgis/postgis", "postgres", "rabbitmq", "redis", "valkey/valkey", "wordpress",
}  # fmt: skip
# By what stands behind the last slash, since the program is the same in whoever's image: options, and the variables
# that say the same.
_VARIABLES: Mapping[str, Mapping[str, str]] = {
    "cloudflared": {"token": "TUNNEL_TOKEN"},
    "dragonfly": {"requirepass": "DFLY_requirepass"},
    "meilisearch": {"master-key": "MEILI_MASTER_KEY"},
    "openbao": {"dev-root-token-id": "BAO_DEV_ROOT_TOKEN_ID"},
    "typesense": {"api-key": "TYPESENSE_API_KEY"},
    "vault": {"dev-root-token-id": "VAULT_DEV_ROOT_TOKEN_ID"},
}
# The first version that reads these; one before has no password then.
_SINCE = {"dragonfly": (1, 14)}
_KEYCLOAK = "keycloak"  # whose every option is a variable; `-Dname=value` is none of its options


def variable(image: str, flag: str) -> str | None:
    """The variable that an image's program reads for an option such as `--token`; None where it is not known."""
    bare = named(image).rpartition("/")[2]
    name = flag.lstrip("-")
    if bare == _KEYCLOAK and re.fullmatch(r"--[a-z0-9-]+", flag):
        return f"KC_{name.replace('-', '_').upper()}"
    version = re.match(r"v?(\d+)\.(\d+)", image.partition("@")[0].rpartition("/")[2].partition(":")[2])
    is_older = version and (int(version[1]), int(version[2])) < _SINCE.get(bare, (0, 0))
    return None if is_older or not flag.startswith("-") else _VARIABLES.get(bare, {}).get(name)
