"""A person's own browser reaches the lab's sites by their names, as `make browse` says."""

from __future__ import annotations

import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import browse
from lab.shell import LabError
from tests.lab.browser import ATTEMPTS, PAGE_SECONDS, QUIET, chromium
from tests.lab.hive import Hive

SITE = "https://echo.example.net/"
# A person's browser is not told to take any certificate.
HEADLESS = " ".join(word for word in QUIET if word != "--ignore-certificate-errors")


@dataclass(frozen=True)
class Window:
    """What `make browse` has printed, and where it listens."""

    address: str
    line: str  # the browser's, without what it opens

    def shown(self, url: str, line: str | None = None) -> str:
        """The document, and what the browser says besides."""
        command = f"{line or self.line} {HEADLESS} --dump-dom {url}"
        for _ in range(ATTEMPTS):  # on a busy machine the browser may end without anything
            done = subprocess.run(
                ["sh", "-c", command], check=False, capture_output=True, text=True, timeout=PAGE_SECONDS
            )
            if done.stdout.strip() or "Page load failed" in done.stderr:
                break
        return done.stdout + done.stderr

    def curl(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["curl", "-sS", *words], check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def window(whole: Hive) -> Window:
    chromium()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr("builtins.print", lambda text, **_: said.append(text))
        assert browse.browse(whole.paths, port) == 0
    line = next(line.strip() for line in said[0].splitlines() if "--proxy-server" in line)
    return Window(f"http://127.0.0.1:{port}", line.rsplit(" ", 1)[0])


def test_a_browser_of_its_own_opens_a_site_with_nothing_to_click(window: Window) -> None:
    shown = window.shown(SITE)
    assert "::102" in shown, "the site sees the browser's own address, over IPv6"
    assert "Echo" in shown or "x-forwarded-for" in shown.lower()


def test_without_the_authority_the_browser_refuses_the_site(window: Window) -> None:
    distrusting = re.sub(r"--ignore-certificate-errors-spki-list=\S+", "", window.line)
    assert "ERR_CERT_AUTHORITY_INVALID" in window.shown(SITE, distrusting)


def test_what_there_is_to_click_is_there(window: Window, tmp_path: Path) -> None:
    """The page, the authority that a browser imports, and the proxy's configuration."""
    authority = tmp_path / "authority.pem"
    authority.write_text(window.curl(f"{window.address}/authority.pem").stdout)
    answered = window.curl(
        "-x", window.address, "--cacert", str(authority), "-o", "/dev/null", "-w", "%{http_code}", SITE
    )
    assert answered.stdout == "200", answered.stderr
    page = window.curl(f"{window.address}/").stdout
    assert f'<a href="{SITE}">' in page
    assert f"{window.address}/proxy.pac" in page
    assert "example.net" in window.curl(f"{window.address}/proxy.pac").stdout


def test_what_is_not_the_labs_does_not_pass(window: Window) -> None:
    refused = window.curl(
        "-x", window.address, "-o", "/dev/null", "-w", "%{http_code}", "http://www.example.org.invalid/"
    )
    assert refused.stdout == "403"
    assert "403" in window.curl("-x", window.address, "https://www.example.org.invalid/").stderr


def test_a_port_that_is_taken_is_named_with_another(whole: Hive) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LabError, match=rf"(?s)port {port} of 127.0.0.1 is taken.*make browse PORT={port + 1}"):
            browse.browse(whole.paths, port)
