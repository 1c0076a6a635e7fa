"""What the host does with git repositories: finds a commit, and builds exactly that."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import repositories

TOOL = Path(__file__).parents[2] / "playbooks" / "roles" / "tools" / "files" / "apiary-git"
TOKEN = "a token that nobody else has"
# Says what it was given, as the real one would build it; DOCKER_FAILS is its status.
DOCKER = """#!/bin/sh
for last; do :; done
echo "docker $* (in it: $(cd "$last" && find . -type f | sort | tr '\\n' ' '))"
env | grep -c -i token && exit 99
exit ${DOCKER_FAILS:-0}
"""


def tar(files: Mapping[str, str], links: Mapping[str, str] | None = None) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content.encode())
            archive.addfile(member, io.BytesIO(content.encode()))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return packed.getvalue()


@dataclass
class Hoster:
    """A repository `site.git`, served over http."""

    root: Path
    url: str
    server: repositories.Server

    @property
    def temporary(self) -> Path:
        return self.root.parent / "temporary"

    @property
    def bare(self) -> Path:
        return self.root / "site.git"

    def commit(self, files: Mapping[str, str], links: Mapping[str, str] | None = None, branch: str = "main") -> str:
        return repositories.commit(self.bare, tar(files, links), branch)

    def tool(self, *arguments: str, token: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        shims = self.root / "shims"
        shims.mkdir(exist_ok=True)
        (shims / "docker").write_text(DOCKER)
        (shims / "docker").chmod(0o755)
        return subprocess.run(
            [str(TOOL), *arguments],
            env={"PATH": f"{shims}:{os.environ['PATH']}", "TMPDIR": str(self.temporary), **environment},
            input=json.dumps({"token": token}) if token else "",
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip


@pytest.fixture
def hoster(tmp_path: Path) -> Iterator[Hoster]:
    root = tmp_path / "git"
    root.mkdir()
    folder = tmp_path / "first"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    (folder / "job").mkdir(parents=True)
    (folder / "job" / "Dockerfile").write_text("FROM scratch\n")
    (folder / "README").write_text("first\n")
    repositories.make(folder, root / "site.git")
    server = repositories.Server(("127.0.0.1", 0), root)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Hoster(root, f"http://127.0.0.1:{server.server_address[1]}/site.git", server)
    server.shutdown()
    server.server_close()
    assert list(temporary.iterdir()) == [], "whatever comes of it, what was fetched is gone at the end"


def test_a_branch_a_tag_and_the_default_branch_are_looked_up(hoster: Hoster) -> None:
    first = hoster.tool("commit", hoster.url, "HEAD").stdout.strip()
    repositories.git("tag", "--annotate", "--message", "x", "v1", first, cwd=hoster.bare)
    other = hoster.commit({"README": "next"}, branch="next")
    assert len(first) == 40
    assert other != first
    for ref, commit in (("refs/heads/main", first), ("refs/heads/next", other), ("refs/tags/v1", first)):
        assert hoster.tool("commit", hoster.url, ref).stdout == f"{commit}\n", ref


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("refs/heads/mian", "has no branch mian; it has: main, next"),
        ("refs/tags/v1", "has no tag v1; it has: none"),
    ],
)
def test_a_branch_or_tag_that_is_not_there_is_refused_with_those_there_are(
    hoster: Hoster, ref: str, message: str
) -> None:
    hoster.commit({"README": "next"}, branch="next")
    done = hoster.tool("commit", hoster.url, ref)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{hoster.url} {message}\n"


def test_exactly_the_commit_is_built_and_git_s_own_files_are_not_in_it(hoster: Hoster) -> None:
    commit = hoster.commit({"job/page": "one"})
    hoster.commit({"job/later": "two"})
    done = hoster.tool(
        "build", "--ref", "refs/heads/main", "--dir", "job", hoster.url, commit, "x:1", "--", "-q", "a b"
    )
    assert done.returncode == 0, done.stderr
    assert f"{hoster.url} at {commit} (refs/heads/main)" in done.stdout
    assert "docker build --force-rm --tag x:1 -q a b /" in done.stdout
    assert "(in it: ./Dockerfile ./page )" in done.stdout
    whole = hoster.tool("build", hoster.url, hoster.commit({"Dockerfile": "FROM scratch"}), "x:2")
    assert "(in it: ./Dockerfile ./README ./job/Dockerfile ./job/later ./job/page )" in whole.stdout


def test_a_build_that_fails_has_its_own_status(hoster: Hoster) -> None:
    commit = hoster.commit({"README": "x"})
    assert hoster.tool("build", "--dir", "job", hoster.url, commit, "x:1", DOCKER_FAILS="7").returncode == 7


def test_a_server_that_gives_no_commits_by_name_is_asked_for_everything(hoster: Hoster) -> None:
    repositories.git("config", "uploadpack.allowAnySHA1InWant", "false", cwd=hoster.bare)
    commit = hoster.commit({"job/page": "one"})
    hoster.commit({"job/page": "two"})
    done = hoster.tool("build", "--dir", "job", hoster.url, commit, "x:1")
    assert done.returncode == 0, done.stderr
    assert "./page" in done.stdout


def test_a_commit_that_has_gone_says_how_to_look_again(hoster: Hoster) -> None:
    done = hoster.tool("build", "--ref", "refs/heads/main", hoster.url, "0" * 40, "x:1")
    assert done.returncode == 1
    assert f"does not have commit {'0' * 40} any more; have its branch looked up again" in done.stderr


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("nope", "nope is not a folder of it at this commit; folders at its top: etc, job"),
        ("etc", "etc is not a folder of it at this commit"),
        ("README", "README is not a folder of it at this commit"),
        (None, "there is no Dockerfile in its top at this commit; git.dir names the folder that has one"),
    ],
)
def test_what_can_t_be_built_is_refused_with_what_there_is(hoster: Hoster, folder: str | None, message: str) -> None:
    commit = hoster.commit({}, links={"etc": "/etc"})
    done = hoster.tool("build", *(["--dir", folder] if folder else []), hoster.url, commit, "x:1")
    assert done.returncode == 1
    assert message in done.stderr
    assert "docker" not in done.stdout


def test_a_private_repository_needs_its_token_which_nothing_shows(hoster: Hoster) -> None:
    commit = hoster.commit({"README": "private"})
    hoster.server.token = TOKEN
    for wrong in (None, "another"):
        refused = hoster.tool("commit", hoster.url, "HEAD", token=wrong)
        assert refused.returncode == 1
        assert "the token (git.secret) must be allowed to read it" in refused.stderr
    found = hoster.tool("commit", hoster.url, "HEAD", token=TOKEN)
    assert found.stdout == f"{commit}\n", found.stderr
    built = hoster.tool("build", "--dir", "job", hoster.url, commit, "x:1", token=TOKEN)
    assert built.returncode == 0, built.stderr
    assert TOKEN not in "".join([built.stdout, built.stderr, *hoster.server.seen])


def test_a_repository_s_url_leads_nowhere_but_over_http(hoster: Hoster) -> None:
    for url in (str(hoster.bare), f"file://{hoster.bare}", "ext::sh -c date"):
        done = hoster.tool("commit", url, "HEAD")
        assert done.returncode == 1
        assert "not allowed" in done.stderr
