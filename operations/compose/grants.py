"""Configs and secrets of a service: files with the text that they have now, or with references."""

from __future__ import annotations

import re

from operations.coming.entries import Parts, content
from operations.coming.errors import Wrong, show
from operations.compose.mounts import referred
from operations.compose.scene import One, Scene
from settings.references import SecretRef, UserSecretRef


def configs(one: One, value: object) -> None:
    """Configs: files with the text that they have now."""
    for index, item in enumerate(value if isinstance(value, list) else []):
        at = one.at("configs", index)
        name = str(item["source"])
        known = one.scene.project.configs.get(name, {})
        target = str(item.get("target") or f"/{name}")
        text = held(one.scene, known)
        if text is None:
            one.told.cannot(at, f"configs.{name} has no text here; give it file: or content: in the compose file")
        else:
            one.entry.put("files", {target: _owned({"content": referred(one, text, at)}, item)}, at)
            one.told.becomes(at, f"files: {{{target}: ...}}")


def secrets(one: One, value: object) -> None:
    """Secrets: files with references to the stack's secrets, or to a database's password."""
    for index, item in enumerate(value if isinstance(value, list) else []):
        at = one.at("secrets", index)
        name = str(item["source"])
        if one.database is not None and name in one.database.secrets | one.database.names:
            is_password = name in one.database.secrets
            why = "its administrator's password is generated" if is_password else "the job dbsetup makes it"
            one.told.needless(at, why)
            continue
        known = one.scene.project.secrets.get(name, {})
        target = str(item.get("target") or name)
        target = target if target.startswith("/") else f"/run/secrets/{target}"
        one.entry.put("files", {target: _owned({"content": content(_secret(one, name, known))}, item)}, at)
        is_cut = (held(one.scene, known) or "").endswith("\n")
        one.told.becomes(at, f"files: {{{target}: ...}}" + (", without the end of its last line" if is_cut else ""))


def _secret(one: One, name: str, known: dict[str, object]) -> Parts:
    text = (held(one.scene, known) or "").rstrip("\n")
    for app, server in one.scene.servers.items():
        if name in server.names and app in one.client.uses:
            if text != one.client.uses[app]:
                words = "it is another name now: role and database are both called as db says"
                one.told.differs(one.at("secrets", name), words)
            return [one.client.uses[app]]
        if (name in server.secrets or (text and text in server.passwords)) and app in one.client.uses:
            return [SecretRef(app, one.client.uses[app], "password")]
    if text:
        return [UserSecretRef(one.scene.secrets.name(name, text))]
    # It has no value to be known by, and is one for all who are given it.
    given = one.scene.unset.setdefault(name, "") or one.scene.secrets.name(name, text)
    one.scene.unset[name] = given
    one.told.do(f"secrets.{name} of the compose file has no value here; set secrets.{given} by hand")
    return [UserSecretRef(given)]


def held(scene: Scene, known: dict[str, object]) -> str | None:
    """What a config or a secret holds, where that is known here."""
    if isinstance(known.get("content"), str):
        return str(known["content"])
    if isinstance(known.get("environment"), str):
        return scene.project.environment.get(str(known["environment"]))
    path = known.get("file")
    if isinstance(path, str) and scene.files.kind(path) == "file":
        return scene.files.read(path)
    return None


def _owned(made: dict[str, object], item: dict[str, object]) -> dict[str, object]:
    mode = item.get("mode")
    if mode is not None:
        # An unquoted 0440 is read as a number.
        digits = f"{mode:04o}" if isinstance(mode, int) else str(mode)
        if not re.fullmatch(r"0?[0-7]{3}", digits):
            raise Wrong(f'{show(mode)} is not a mode; write mode: "0440"')
        made["mode"] = digits.zfill(4)
    if item.get("uid") is not None or item.get("gid") is not None:
        made["user"] = f"{item.get('uid') or 0}:{item.get('gid') or 0}"
    return made
