"""Whether applications serve: healthy by their own rule, and their domains through the proxy.

By the tools of an update (`apiary-await`, `apiary-verdict`), and by what the last one has proved of whom.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from apiary_backups import files
from apiary_backups.docker import Container
from apiary_backups.errors import BackupsError

AWAIT_SECONDS = 300
PROOF_SECONDS = 120
VERDICT_RECORD = Path("/var/lib/apiary/verdict.json")


def prove(containers: Iterable[Container]) -> None:
    """Each application is healthy by its own rule, and each of its domains answers through the proxy. Raises
    BackupsError.
    """
    record = _verdict_record()
    touched = {}
    for one in containers:
        if one.kind != "applications":
            continue
        asked = question(one.name)
        if asked:
            touched[one.name] = {**record["applications"][one.name], "container": one.id}
        proved(["apiary-await", one.id, "--timeout", str(AWAIT_SECONDS), *asked])
    if touched:
        # With no record of an earlier one: none of these is excused for having failed before.
        told = {"proxy": record.get("proxy", []), "applications": touched}
        environment = {**os.environ, "APIARY_RECORD": str(files.folder() / "verdict.json")}
        Path(environment["APIARY_RECORD"]).unlink(missing_ok=True)
        proved(["apiary-verdict"], json.dumps(told), environment)


def question(application: str) -> list[str]:
    """What `apiary-await` is told to ask an application with sites, by its own rule; nothing for any other."""
    sites = (_verdict_record().get("applications", {}).get(application) or {}).get("sites")
    if not sites:
        return []
    # As apiary-verdict has it: a name of its own before one that stands for many, and without a path.
    entry = min(sites, key=lambda text: (text.startswith("*."), text))
    rule, host = sites[entry], entry.partition("/")[0]
    host = f"apiary-health{host[1:]}" if host.startswith("*.") else host
    return ["--http", str(rule["port"]), str(rule["path"]), str(rule["status"]), host]


def proved(command: Sequence[str], told: str = "", environment: dict[str, str] | None = None) -> None:
    """Run a tool that waits until something is proved. Raises BackupsError with what it said."""
    try:
        done = subprocess.run(
            command, input=told, text=True, errors="replace", capture_output=True, env=environment, check=False,
            timeout=AWAIT_SECONDS + PROOF_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackupsError(f"{command[0]}: {error}") from None
    if done.returncode != 0:
        raise BackupsError(done.stderr.strip() or f"{command[0]} ended with status {done.returncode}")


def _verdict_record() -> dict[str, Any]:
    """What the last verdict of an update has proved; nothing where no application here has sites."""
    try:
        found = json.loads(VERDICT_RECORD.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
