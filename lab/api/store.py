"""The region's state: one JSON document, kept in DIR/region.json.

Shape: {"version": 1, "domains": {name: {"date_created", "dns_sec", "soa", "records": [{"id", "type",
"name", "data", "priority", "ttl"}]}}, "instances": {id: {...}}, "ssh_keys": {...}, "reserved_ips": {...},
"firewall_groups": {...}, "vpcs": {...}, "vpc2s": {...}, "blocks": {...}, "reverse_ipv4": {ip: name},
"reverse_ipv6": {instance: {ip: name}}, "deleting": {instance: ipv4}, "counters": {...}, "bad_keys":
[...]}. Fields that begin with "_" are never answered.

Every change is on disk before the client hears of it. Only the event loop's thread may touch the document.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lab.api.errors import gone
from lab.api.files import write_atomically

JSON = dict[str, Any]
VERSION: Final = 1
_TABLES: Final = (
    "domains", "instances", "ssh_keys", "reserved_ips", "firewall_groups", "vpcs", "vpc2s", "blocks",
    "object_storages", "load_balancers", "vfs",
    "reverse_ipv4", "reverse_ipv6", "deleting", "counters", "emulator",
)  # fmt: skip


class Store:
    """The document at `path`, read once and written whole at each `save`.

    Raises SystemExit when the file is of another version or is no JSON: it is never overwritten then.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data: JSON = {"version": VERSION, "bad_keys": ["bad-key"]}
        if path.exists():
            try:
                self.data = json.loads(path.read_bytes())
            except ValueError as error:
                raise SystemExit(f"lab.api: {path} is damaged ({error}); move it away to start empty") from error
            if self.data.get("version") != VERSION:
                raise SystemExit(
                    f"lab.api: {path} is of version {self.data.get('version')}, not {VERSION}; "
                    "run `make down` with the program that wrote it, or move it away"
                )
        for table in _TABLES:
            self.data.setdefault(table, {})
        self._written = b""

    def save(self) -> None:
        """Write the document if it differs from what was written last. Raises OSError (disk full)."""
        content = json.dumps(self.data, separators=(",", ":")).encode()
        if content != self._written:
            write_atomically(self.path, content)
            self._written = content

    def table(self, name: str) -> dict[str, Any]:
        """The objects of one kind, by id, oldest first."""
        table: dict[str, Any] = self.data[name]
        return table

    def get(self, name: str, id_: object) -> JSON:
        """One object; ApiError 404 in the words of its kind when there is none."""
        found: JSON | None = self.table(name).get(id_) if isinstance(id_, str) else None
        if found is None:
            raise gone(name)
        return found

    def count(self, name: str) -> int:
        """The next number of the counter `name`, from 1; never the same twice in a region's life."""
        counters = self.table("counters")
        counters[name] = int(counters.get(name, 0)) + 1
        return int(counters[name])


def public(value: Mapping[str, Any]) -> JSON:
    """The object without the fields that begin with "_"."""
    return {key: field for key, field in value.items() if not key.startswith("_")}


def now() -> str:
    """The time as the API writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
