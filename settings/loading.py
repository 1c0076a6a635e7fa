"""Reading a stack file.

Makes: a checked `Stack`, or one error that holds every problem. Leaves alone: files and environment; what it
needs to know beyond the raw data is handed in.
"""

from collections.abc import Callable, Collection, Mapping

from settings import checks, draft
from settings.errors import SettingsError
from settings.models import Stack
from settings.spelling import Path


def load(
    raw: object,
    *,
    name: str,
    build_dirs: Collection[str] | None = None,
    playbooks: Collection[str] | None = None,
    is_there: Callable[[str], bool] | None = None,
    spelt: Mapping[Path, str] | None = None,
) -> Stack:
    """Read the raw sections (`servers`, `applications`, `jobs`, `zones`, `backups`, `alerts`, `secrets`) of `name`.

    `build_dirs` are the folders of images/ and `playbooks` the files of playbooks/ that may be named, `is_there` says
    whether a path of the checkout exists; None leaves them unchecked. `spelt` is how the file spells its unquoted
    values (`spelling.spellings`). Raises SettingsError, and nothing else, whatever `raw` is.
    """
    read = draft.read(raw, name, spelt)
    checks.check(read, build_dirs=build_dirs, playbooks=playbooks, is_there=is_there)
    if read.problems:
        raise SettingsError(read.problems)
    return read.stack
