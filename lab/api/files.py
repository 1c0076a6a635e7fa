"""Files that are whole or not there: written beside their place, then renamed.

That survives a killed process at any moment. It does not call fsync: a lab need not survive a power cut.
"""

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `content` in one step, with these permission bits. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    os.chmod(temporary, mode)
    os.replace(temporary, path)
