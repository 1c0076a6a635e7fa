"""The stack file as the engine hands it over, and as it is written.

Reads the project's configuration, secrets decrypted, and the file itself for the spelling of what YAML may have made
another value of. Leaves alone what it means (settings/).
"""

from __future__ import annotations

import json
from pathlib import Path

import pulumi
from pulumi.runtime import config as engine

import settings


def read() -> dict[str, object]:
    """Every setting under the project's name: `apiary:servers` becomes `{"servers": {...}}`.

    Raises pulumi.RunError for an encrypted value outside `secrets`: the engine tells only which top-level key
    holds one, so it could not be kept secret on its way to a container.
    """
    prefix = f"{pulumi.get_project()}:"
    sections = {
        key.removeprefix(prefix): _structured(value)
        for key, value in {**engine.get_config_env(), **engine.CONFIG.get()}.items()
        if key.startswith(prefix)
    }
    misplaced = [
        section for section in sections if section != "secrets" and engine.is_config_secret(f"{prefix}{section}")
    ]
    if misplaced:
        raise pulumi.RunError(
            f"{', '.join(sorted(misplaced))}: holds an encrypted value; "
            f"set it with `pulumi config set --secret --path {prefix}secrets.NAME` and refer to it as `_secrets^NAME`"
        )
    return sections


def spelt(folder: Path) -> dict[tuple[str | int, ...], str]:
    """How the stack's file in the project's folder spells its unquoted values; nothing is known without that file.

    With `--config-file` the engine has read another one, and does not tell which.
    """
    file = folder / f"Pulumi.{pulumi.get_stack()}.yaml"
    return settings.spellings(file.read_text(encoding="utf-8"), pulumi.get_project()) if file.is_file() else {}


def _structured(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value
