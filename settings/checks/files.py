"""Checks of files: whether they are in the checkout, and lie where nothing else is mounted."""

from collections.abc import Callable

from settings.checks.common import placed
from settings.draft import Draft


def check(draft: Draft, is_there: Callable[[str], bool] | None) -> None:
    """Report files that are not there, and places that are taken."""
    for one in placed(draft):
        taken = {
            mount.path: draft.written(one.section, one.name, "volumes", i)
            for i, mount in enumerate(one.container.mounts)
        }
        taken |= {path: draft.written(one.section, one.name, "tmpfs", path) for path in one.container.tmpfs}
        for path, file in one.container.given_files.items():
            at = (one.section, one.name, "files", path)
            if path in taken:
                draft.report(f"{path} is taken by {taken[path]}; mount one of them elsewhere", *at)
            if file.source is not None and is_there is not None and not is_there(file.source):
                draft.report(f"{file.source} is not in the checkout; put it there, or mend its path", *at)
