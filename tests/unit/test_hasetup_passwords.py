"""Passwords of sites: what hasetup makes of them, and what it says of those that are missing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "HAProxySetup"))

from hasetup.__main__ import main
from hasetup.apply import Files


def test_passwords_become_hashes_that_stay_the_same_and_are_for_the_proxy_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    files = Files(tmp_path)
    domains = {"example.com": {"app": "shop", "port": 80, "site": {"password": ["anna", "bob"]}}}
    environment = {"DOMAINS": json.dumps(domains), "PASSWORDS": json.dumps({"shop": {"anna": "x y", "bob": "x y"}})}
    texts = []
    for _ in range(2):
        assert main(environment, files, check=lambda _: None) == 0
        texts.append(files.live.read_text())
    assert texts[0] == texts[1]
    hashes = re.findall(r"^    user (\S+) password (\$6\$\S+)$", texts[0], re.MULTILINE)
    assert [user for user, _ in hashes] == ["anna", "bob"]
    assert hashes[0][1] != hashes[1][1]
    salt = hashes[0][1].split("$")[2]
    again = ["openssl", "passwd", "-6", "-salt", salt, "-stdin"]
    done = subprocess.run(again, input="x y\n", capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashes[0][1]
    assert files.live.stat().st_mode & 0o777 == 0o600
    assert "x y" not in texts[0] + capsys.readouterr().out
    # openssl hashes the first 256 bytes of a longer one, and no visitor would ever be let in by all of it.
    long = {"shop": {"anna": "x y", "bob": "ä" * 128 + "x"}}
    for given in (long, {}, {"shop": {"anna": "x y"}}, {"shop": {"anna": "x y", "bob": "a\nb"}}, {"shop": 3}, []):
        assert main({**environment, "PASSWORDS": json.dumps(given)}, files, check=lambda _: None) == 2
        said = capsys.readouterr().err
        assert "no password of" in said
        assert "x y" not in said
