"""What a stand-in is built of, on a server of the lab: the first steps of an image of images/, which it has built."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from lab.paths import CHECKOUT
from lab.shell import packed
from tests.standins.insists import Row

HERE = Path(__file__).parent
PROGRAM = "/usr/local/bin/standin"


def context(image: str, row: Row) -> bytes:
    """The tar of a build of the stand-in of `image`."""
    files = {
        "Dockerfile": "\n".join(_dockerfile(row)) + "\n",
        "standin": f"#!/usr/bin/env python3\n{(HERE / 'standin.py').read_text()}",
        "insists.py": (HERE / "insists.py").read_text(),
        "standin.json": json.dumps({**row, "image": image}),
    }
    return packed(files)


def _dockerfile(row: Row) -> Iterator[str]:
    on = row.get("base") or ("DBSetup" if "database" in row else "Echo")
    yield (CHECKOUT / "images" / on / "Dockerfile").read_text().partition("COPY ")[0]
    if "server" in row and "base" in row:
        yield "RUN apt-get update && apt-get install --yes --no-install-recommends python3"
    yield "ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1"
    for user in sorted({row.get("user", 0), row.get("becomes", 0), *row.get("may", ())} - {0}):
        yield f"RUN getent passwd {user} || useradd --uid {user} --user-group --no-create-home standin{user}"
    for path, owner in row.get("volumes", {}).items():
        if owner:
            yield f"RUN mkdir -p {path} && chown {owner}:{owner} {path} && chmod 0755 {Path(path).parent}"
    yield f"COPY --chmod=0755 standin {PROGRAM}"
    yield f"COPY --chmod=0644 insists.py {Path(PROGRAM).parent}/"
    yield "COPY --chmod=0644 standin.json /standin.json"
    for program in row.get("programs", ()):
        yield f"RUN ln -sf {PROGRAM} {program}"
    yield f"USER {row.get('user', 0)}"
    yield f'ENTRYPOINT ["{PROGRAM}"]'
