"""Checks that need the whole stack file.

Makes: `check`, which runs every check on a draft; each reports what it finds and none stops another. Leaves
alone: single settings, which the models check.
"""

from collections.abc import Collection

from settings.checks import (
    addresses,
    alerts,
    backups,
    containers,
    databases,
    domains,
    drills,
    firewall,
    images,
    reach,
    records,
    references,
    schedule,
    storage,
)
from settings.draft import Draft


def check(draft: Draft, *, build_dirs: Collection[str] | None = None, playbooks: Collection[str] | None = None) -> None:
    """Run every whole-file check, adding to `draft.problems`."""
    images.check(draft)
    containers.check(draft, build_dirs=build_dirs, playbooks=playbooks)
    addresses.check(draft)
    firewall.check(draft)
    reach.check(draft)
    domains.check(draft)
    records.check(draft)
    references.check(draft)
    schedule.check(draft)
    databases.check(draft)
    alerts.check(draft)
    backups.check(draft)
    drills.check(draft)
    storage.check(draft)
