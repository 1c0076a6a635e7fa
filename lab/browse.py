"""The hive in one's own browser: every site by its own name, over https with the lab's authority.

Makes: the region's service `window` (forward.py), published on one port of this machine's loopback; prints what to open
and what to click. Leaves alone: the browser and its settings.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lab import acme, images, network, services
from lab.paths import Paths
from lab.shell import LabError, succeeds

PORT = 8800
BROWSERS = ("chromium", "google-chrome", "chromium-browser", "chrome", "microsoft-edge")
TEXT = """\
The lab's sites, and what to click: http://127.0.0.1:{port}/

In a browser of its own, with nothing to click (it forgets everything when it is closed):

  {command}

In your usual one:
  1. let it take its proxy from http://127.0.0.1:{port}/proxy.pac (only the lab's names go there)
     Firefox: Settings, Network Settings, Automatic proxy configuration URL; others: the system's proxy settings
  2. open http://127.0.0.1:{port}/authority.pem and trust it for websites; take both back afterwards
  3. open {site}

On a machine that is not the one before you, first there: ssh -L {port}:127.0.0.1:{port} THIS-MACHINE
"""


def browse(paths: Paths, port: int) -> int:
    """Bring the window up on `port` of the loopback and print how to use it; 0. Raises LabError."""
    plan = network.ensure(paths)
    try:
        services.run(paths, [services.window(paths, plan, port)], images.tools(paths))
    except LabError as error:
        succeeds(["docker", "rm", "-f", paths.name("window")])
        if not re.search("already (in use|allocated)|bind", error.why):
            raise
        remedy = f"end what listens there, or take another: make browse PORT={port + 1}"
        raise LabError("lab browse", f"port {port} of 127.0.0.1 is taken: {error.why}", remedy) from None
    print(TEXT.format(port=port, command=command(port, acme.signers(paths)), site="https://echo.example.net/"))
    return 0


def command(port: int, signers: str) -> str:
    """The line that starts a browser with a profile of its own, this proxy, and trust in `signers` (PEM)."""
    browser = next(filter(shutil.which, BROWSERS), BROWSERS[0])
    trusted = ",".join(public_key_hash(signer) for signer in x509.load_pem_x509_certificates(signers.encode()))
    words = [
        browser,
        '--user-data-dir="$(mktemp -d)"',
        f"--proxy-server=http://127.0.0.1:{port}",
        f"--ignore-certificate-errors-spki-list={trusted}",
        *("--no-first-run", f"http://127.0.0.1:{port}/"),
    ]
    return " ".join(words)


def public_key_hash(certificate: x509.Certificate) -> str:
    """Base64 of the SHA-256 of the key, as browsers name who may be trusted."""
    key = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(hashlib.sha256(key).digest()).decode()
