"""List what there is: of each item its snapshots, the last run of it, and what the last rehearsal proved."""

from __future__ import annotations

import argparse
import json
from typing import Any

from apiary_backups import config as configuration
from apiary_backups import items
from apiary_backups.config import Config
from apiary_backups.errors import NoRepositoryError
from apiary_backups.items import Item
from apiary_backups.report import say, size
from apiary_backups.repository import never_lost
from apiary_backups.restic import Restic, Snapshot


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be said with it."""
    parser.add_argument("--json", action="store_true", help="all of it, for a program")


def main(config: Config, options: argparse.Namespace) -> int:
    """Raises BackupsError where the repository does not answer."""
    repository = Restic(config)
    try:
        repository.probe()
        found = repository.snapshots()
    except NoRepositoryError:
        never_lost(config, repository)
        found = []
    told = listed(config, repository.place, found)
    if options.json:
        say(json.dumps(told))
        return 0
    for one in told["items"]:
        newest = one["snapshots"][-1] if one["snapshots"] else None
        what = f"{newest['time']}  {size(newest['bytes'])}  {len(one['snapshots'])} kept" if newest else "never saved"
        ahead = sum(snapshot["ahead"] for snapshot in one["snapshots"])
        say(f"{one['item']}: {what}" + (f", {ahead} of them dated later than now" if ahead else ""))
    for name, why in told["left_out"].items():
        say(f"{name}: left out: {why}")
    return 0


def listed(config: Config, place: str, snapshots: list[Snapshot]) -> dict[str, Any]:
    """What there is, for `--json`; times in ISO 8601, the oldest snapshot first, but for those that are dated
    `ahead` of now, which come before it.

    `{"server", "repository", "items": [{"item", "snapshots": [{"id", "time", "bytes", "server", "ahead"}], "last",
    "proved"}], "left_out": {volume: why}}`; `last` is the record of the last run.
    """
    by_item: dict[Item, list[Snapshot]] = {}
    for snapshot in snapshots:
        by_item.setdefault(snapshot.item, []).append(snapshot)
    records = {Item.parse(record.item): record for record in items.all_last()}
    wanted = {*by_item, *records, *map(Item.volume, config.volumes), *map(Item.roles, config.databases)}
    proved = _proved()
    return {
        "server": config.server,
        "repository": place,
        "items": [
            {
                "item": str(item),
                "snapshots": [
                    {
                        "id": one.id,
                        "time": one.time.isoformat(),
                        "bytes": one.bytes,
                        "server": one.host,
                        "ahead": one.is_ahead,
                    }
                    for one in by_item.get(item, [])
                ],
                "last": vars(records[item]) if item in records else None,
                "proved": proved.get(str(item)),
            }
            for item in sorted(wanted)
        ],
        "left_out": dict(config.left_out),
    }


def _proved() -> dict[str, Any]:
    """When each item was proved last; none that never was."""
    try:
        told = json.loads((configuration.STATE / "drill.json").read_text())
        items_told = dict(told.get("items", {}))
        return {name: {"time": one["proved"]} for name, one in items_told.items() if one.get("proved")}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
