"""The true restic, whose repositories of these tests open at once.

A new repository's key is made so dear to try (scrypt) that each call takes a third of a second of a processor, and
`init` four times that. How dear is written in the key's file: here `init` copies one repository whose key is cheap.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shlex
import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

PASSWORD = "correct horse"
CHEAP = {"N": 2, "r": 1, "p": 1}
WRAPPER = """\
#!/bin/sh
for last; do :; done
if [ "$last" = init ] && [ "$RESTIC_PASSWORD" = {password} ] && mkdir "$RESTIC_REPOSITORY" 2>/dev/null; then
    exec cp -a {template}/. "$RESTIC_REPOSITORY"
fi
exec {restic} "$@"
"""


def wrapped(restic: Path, folder: Path) -> Path:
    """A program in `folder` that is this restic, with what it needs there."""
    template, program = folder / "template", folder / "light-restic"
    environment = {**os.environ, "RESTIC_PASSWORD": PASSWORD, "RESTIC_REPOSITORY": str(template)}
    subprocess.run([restic, "init"], env=environment, check=True, capture_output=True)
    _cheapen(template)
    words = {"password": PASSWORD, "template": str(template), "restic": str(restic)}
    program.write_text(WRAPPER.format(**{key: shlex.quote(value) for key, value in words.items()}))
    program.chmod(0o755)
    return program


def _cheapen(repository: Path) -> None:
    """Encrypt the repository's own key anew, by the same password (restic's design, "Keys, Encryption and MAC")."""
    [path] = (repository / "keys").iterdir()
    told = json.loads(path.read_text())
    data = base64.b64decode(told["data"])
    plain = _crypt(_derived(told), data[:16], data[16:-16])
    told |= CHEAP
    keys = _derived(told)
    encrypted = _crypt(keys, data[:16], plain)
    told["data"] = base64.b64encode(data[:16] + encrypted + _mac(keys, data[:16], encrypted)).decode()
    text = json.dumps(told)
    path.unlink()
    path.with_name(hashlib.sha256(text.encode()).hexdigest()).write_text(text)


def _derived(told: dict[str, str]) -> bytes:
    numbers = {name.lower(): int(told[name]) for name in CHEAP}
    salt = base64.b64decode(told["salt"])
    return hashlib.scrypt(PASSWORD.encode(), salt=salt, **numbers, maxmem=1 << 30, dklen=64)


def _crypt(keys: bytes, nonce: bytes, text: bytes) -> bytes:
    """AES-256 in counter mode is its own inverse."""
    return Cipher(algorithms.AES(keys[:32]), modes.CTR(nonce)).encryptor().update(text)


def _mac(keys: bytes, nonce: bytes, text: bytes) -> bytes:
    """Poly1305-AES."""
    pad = Cipher(algorithms.AES(keys[32:48]), modes.ECB()).encryptor().update(nonce)  # noqa: S305 - as it is defined
    return Poly1305.generate_tag(keys[48:64] + pad, text)
