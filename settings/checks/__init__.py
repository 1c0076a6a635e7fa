"""Checks that need the whole stack file.

Makes: `check`, which runs every check on a draft; each reports what it finds and none stops another. Leaves
alone: single settings, which the models check.
"""

from collections.abc import Callable, Collection

from settings.checks import (
    addresses,
    alerts,
    backups,
    containers,
    databases,
    domains,
    drills,
    files,
    firewall,
    images,
    neighbours,
    reach,
    records,
    redirects,
    references,
    schedule,
    sources,
    storage,
    swarm,
)
from settings.draft import Draft


def check(
    draft: Draft,
    *,
    build_dirs: Collection[str] | None = None,
    playbooks: Collection[str] | None = None,
    is_there: Callable[[str], bool] | None = None,
) -> None:
    """Run every whole-file check, adding to `draft.problems`."""
    images.check(draft)
    sources.check(draft, build_dirs=build_dirs, is_there=is_there)
    containers.check(draft, playbooks=playbooks)
    files.check(draft, is_there)
    addresses.check(draft)
    firewall.check(draft)
    reach.check(draft)
    domains.check(draft)
    redirects.check(draft)
    records.check(draft)
    references.check(draft)
    neighbours.check(draft)
    schedule.check(draft)
    databases.check(draft)
    alerts.check(draft)
    backups.check(draft)
    drills.check(draft)
    storage.check(draft)
    swarm.check(draft)
