"""What several images have to say each by itself, since an image is built from its own folder, is the same in all."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from settings import texts

IMAGES = Path(__file__).parents[2] / "images"
DOCKERFILES = sorted(IMAGES.glob("*/Dockerfile"))
CLEAN = (
    "apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old "
    "/var/log/apt /var/log/dpkg.log"
)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_every_image_has_the_project_s_base_user_and_habits(path: Path):
    text = path.read_text()
    # A first step of its own: images that are built side by side would each make the same one, and Docker finds only
    # the last of these again, so that all but one of them would be built from nothing when a file changes.
    title = f"LABEL org.opencontainers.image.title={path.parent.name}"
    assert f"\nARG BASE=debian:bookworm-slim\nFROM ${{BASE}}\n{title}\n" in text
    assert "\nARG REFRESHED\n" in text
    assert CLEAN in text
    assert re.search(r"^USER (?!root)", text, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", text, re.MULTILINE)


def test_a_user_has_one_number_in_all_images():
    """A volume belongs to it, whichever image mounts it first."""
    user = r"(?:groupadd|useradd) --system --[ug]id (\d+)(?: --gid \w+)?(?: --[\w-]+(?: /\S+)?| \\\n)* (\w+)"
    numbers: dict[str, set[str]] = {}
    for path in DOCKERFILES:
        for number, name in re.findall(user, path.read_text()):
            numbers.setdefault(name, set()).add(number)
    assert {name: found for name, found in numbers.items() if len(found) != 1} == {}
    assert {"haproxy", "accesslog", "site"} <= numbers.keys()
    (site,) = numbers["site"]
    assert f"--owner {site} --group {site} /srv/site" in (IMAGES / "NginxStatic" / "Dockerfile").read_text()


def test_a_file_takes_its_name_in_the_same_way_in_both_jobs_that_write_the_proxy_s_volume():
    ours = _body(IMAGES / "HAProxySetup" / "hasetup" / "files.py", "write")
    assert ours == _body(IMAGES / "CertBot" / "certjob" / "proxy.py", "_write")


def test_both_database_servers_refuse_the_data_of_another_version_in_the_same_words():
    mariadb, postgresql = ((IMAGES / name / "start.sh").read_text() for name in ("MariaDB", "PostgreSQL"))
    for first, last in (
        ("refuse() {", "mountinfo; }"),
        ('if [ -n "$has" ]', "fi\n"),
        ('    if [ -e "$new" ]', 'in $data"\n'),
        ("    mv --no-target-directory", "fi\n"),
    ):
        part = _part(postgresql, first, last)
        assert _part(mariadb, first, last).replace("MariaDB", "PostgreSQL") == part


def test_a_path_that_the_stack_file_may_have_is_one_that_the_proxy_s_setup_takes():
    setup = (IMAGES / "HAProxySetup" / "hasetup" / "domains.py").read_text()
    assert f'_PATH = re.compile(r"{texts._URL_PATH.pattern}\\Z")' in setup
    assert f'_STATUSES = re.compile(r"{texts._STATUSES.pattern}\\Z")' in setup


def test_what_the_proxy_signs_at_its_start_is_known_to_its_setup():
    """It is taken for a certificate that stands in, and replaced."""
    setup = (IMAGES / "HAProxySetup" / "hasetup" / "certificates.py").read_text()
    start = (IMAGES / "HAProxy" / "start.sh").read_text()
    assert 'SELF_SIGNED = "Apiary self-signed"' in setup
    assert "CN = Apiary self-signed" in start


def _body(path: Path, name: str) -> str:
    """A function's statements, without its docstring."""
    found = next(
        node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef) and node.name == name
    )
    return "\n".join(ast.unparse(statement) for statement in found.body[1:])


def _part(text: str, first: str, last: str) -> str:
    start = text.index(first)
    return text[start : text.index(last, start) + len(last)]
