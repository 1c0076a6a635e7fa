#!/usr/bin/python3
"""Ansible module: files and folders of the host, all of a role's at once.

    host_files:
      source: "{{ role_path }}/files"
      folders: {/etc/apiary: "0755"}                  # path -> mode in octal digits
      files: {/usr/local/sbin/tool: "0755"}           # the same; the content is that of `tool` in `source`
      texts: {/etc/tool.conf: "{{ ... }}"}            # path -> content; mode 0644
      lines: {/etc/default/ufw: {"^IPV6=": "IPV6=yes"}}
      blocks: {/etc/ufw/after.rules: {name: apiary, text: "{{ ... }}", before: "^COMMIT"}}
      links: {/etc/localtime: /usr/share/zoneinfo/UTC}  # path -> what it leads to
      absent: [/etc/old.conf]

Each module of Ansible's own starts a process or two for each file, also where all is as it should be. `lines` and
`blocks` change files of somebody else, which have to exist. Of the lines that match a pattern the last one becomes what
is given, or all of them go where that is empty; one that is missing is added at the end. A block stands between
`# BEGIN name` and `# END name`, as those of Ansible's blockinfile; a new one comes before the last line that matches
`before`, or at the end. What is new takes its place when it is whole. Returns `changed` and `written`, the paths that
were not as they should be. Leaves alone: everything else in those folders.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

TEXT_BITS = 0o644
DICTIONARIES = ("folders", "files", "texts", "links", "lines", "blocks")


def converge(
    source: Path,
    folders: Mapping[str, str],
    files: Mapping[str, str],
    texts: Mapping[str, str] | None = None,
    *,
    links: Mapping[str, str] | None = None,
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
    contents = {path: ((source / Path(path).name).read_bytes(), int(mode, 8)) for path, mode in files.items()}
    contents |= {path: (text.encode(), TEXT_BITS) for path, text in (texts or {}).items()}
    for path, (content, bits) in contents.items():
        file = Path(path)
        is_plain = file.is_file() and not file.is_symlink()
        if is_plain and _is_owned(file, bits, owner) and file.read_bytes() == content:
            continue
        _put(file, content, bits, owner)
        written.append(path)
    for path, target in (links or {}).items():
        link = Path(path)
        if link.is_symlink() and os.readlink(link) == target:
            continue
        partial = _partial(link)
        partial.unlink(missing_ok=True)
        partial.symlink_to(target)
        partial.replace(link)
        written.append(path)
    for path in absent:
        if os.path.lexists(path):
            Path(path).unlink()
            written.append(path)
    return written


def edit(lines: Mapping[str, Mapping[str, str]], blocks: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Change lines and blocks in files of somebody else, which keep mode and owner; the files that had to be.

    Raises OSError, also for a file that is missing; ValueError, naming it, for one with half a block.
    """
    written = []
    for path in dict.fromkeys([*lines, *blocks]):
        file = Path(path)
        before = file.read_text(encoding="utf-8", errors="surrogateescape")
        text = before
        for pattern, line in lines.get(path, {}).items():
            text = with_line(text, pattern, line)
        if path in blocks:
            block = blocks[path]
            try:
                text = with_block(text, block["name"], block["text"], block.get("before"))
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
        if text != before:
            found = file.stat()
            _put(file, text.encode(errors="surrogateescape"), stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid))
            written.append(path)
    return written


def with_line(text: str, pattern: str, line: str) -> str:
    """The text with that line in place of the last one that matches, or at its end; without any, if it is empty."""
    found = _lines(text)
    matching = [number for number, one in enumerate(found) if re.search(pattern, one)]
    if not line:
        found = [one for number, one in enumerate(found) if number not in matching]
    elif matching:
        found[matching[-1]] = line
    else:
        found.append(line)
    return _text(found)


def with_block(text: str, name: str, block: str, before: str | None = None) -> str:
    """The text with that block in place of the one of this name, else before the last line that matches, or at its end.

    Raises ValueError for a block that has no end: what follows may be its own or somebody's.
    """
    begin, end = f"# BEGIN {name}", f"# END {name}"
    wanted = [begin, *_lines(block), end]
    found = _lines(text)
    if begin in found:
        first = found.index(begin)
        if end not in found[first:]:
            raise ValueError(f"line {first + 1}, `{begin}`, has no `{end}` after it; write it where the block ends")
        last = found.index(end, first)
        return _text([*found[:first], *wanted, *found[last + 1 :]])
    matching = [number for number, one in enumerate(found) if before and re.search(before, one)]
    place = matching[-1] if matching else len(found)
    return _text([*found[:place], *wanted, *found[place:]])


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _put(file: Path, content: bytes, bits: int, owner: tuple[int, int]) -> None:
    partial = _partial(file)
    partial.write_bytes(content)
    _give(partial, bits, owner)
    partial.replace(file)


def _partial(file: Path) -> Path:
    return file.with_name(f".{file.name}.new")


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
            **{name: {"type": "dict", "default": {}} for name in DICTIONARIES},
            "absent": {"type": "list", "elements": "path", "default": []},
        }
    )
    options = module.params
    try:
        written = converge(
            Path(options["source"]),
            options["folders"],
            options["files"],
            options["texts"],
            links=options["links"],
            absent=options["absent"],
        )
        written += edit(options["lines"], options["blocks"])
    except (OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(written), written=written)


if __name__ == "__main__":
    main()
