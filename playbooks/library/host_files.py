#!/usr/bin/python3
"""Ansible module: files and folders of the host, all of a role's at once.

`copy` and `file` start a process or two for each of them, also where all is as it should be. Takes `folders` and
`files` (path -> mode in octal digits; a file's name is that in `source`, the role's folder of files), and `absent`,
paths of files. What is new takes its place when it is whole. Returns `changed` and `written`, the paths that were not
as they should be. Leaves alone: everything else in those folders.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path


def converge(
    source: Path,
    folders: Mapping[str, str],
    files: Mapping[str, str],
    absent: Sequence[str] = (),
    owner: tuple[int, int] = (0, 0),
) -> list[str]:
    """Make them what they should be; what was not. Raises OSError, ValueError for a mode that is none."""
    written = []
    for path, mode in folders.items():
        folder, bits = Path(path), int(mode, 8)
        if not folder.is_dir():
            folder.mkdir(parents=True)
        elif _is_owned(folder, bits, owner):
            continue
        _give(folder, bits, owner)
        written.append(path)
    for path, mode in files.items():
        file, bits = Path(path), int(mode, 8)
        content = (source / file.name).read_bytes()
        is_plain = file.is_file() and not file.is_symlink()
        if is_plain and _is_owned(file, bits, owner) and file.read_bytes() == content:
            continue
        partial = file.with_name(f".{file.name}.new")
        partial.write_bytes(content)
        _give(partial, bits, owner)
        partial.replace(file)
        written.append(path)
    for path in absent:
        if os.path.lexists(path):
            Path(path).unlink()
            written.append(path)
    return written


def _is_owned(path: Path, bits: int, owner: tuple[int, int]) -> bool:
    found = path.stat()
    return stat.S_IMODE(found.st_mode) == bits and (found.st_uid, found.st_gid) == owner


def _give(path: Path, bits: int, owner: tuple[int, int]) -> None:
    os.chown(path, *owner)
    path.chmod(bits)


def main() -> None:
    from ansible.module_utils.basic import AnsibleModule  # noqa: PLC0415 - only there on the host

    module = AnsibleModule(
        argument_spec={
            "source": {"type": "path", "default": "."},
            "folders": {"type": "dict", "default": {}},
            "files": {"type": "dict", "default": {}},
            "absent": {"type": "list", "elements": "path", "default": []},
        }
    )
    options = module.params
    try:
        written = converge(Path(options["source"]), options["folders"], options["files"], options["absent"])
    except (OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(written), written=written)


if __name__ == "__main__":
    main()
