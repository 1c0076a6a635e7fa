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

    def tool(
        self,
        *arguments: str,
        token: str | None = None,
        told: Mapping[str, object] | None = None,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        shims = self.root / "shims"
        shims.mkdir(exist_ok=True)
        (shims / "docker").write_text(DOCKER)
        (shims / "docker").chmod(0o755)
        return subprocess.run(
            [str(TOOL), *arguments],
            env={
                "PATH": f"{shims}:{os.environ['PATH']}",
                **dict.fromkeys(("TMPDIR", "APIARY_RUN"), str(self.temporary)),
                **environment,
            },
            input=json.dumps({"token": token} if token else told) if token or told else "",
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def shim(self, name: str, script: str) -> None:
        (self.root / "shims").mkdir(exist_ok=True)
        (self.root / "shims" / name).write_text(script)
        (self.root / "shims" / name).chmod(0o755)


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
    assert "docker build --progress=plain --tag x:1 -q a b --file " in done.stdout
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
    assert f"does not have commit {'0' * 40} any more; write the git.commit that is to run, or have" in done.stderr


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


def test_another_dockerfile_is_looked_for_in_the_folder_that_is_built(hoster: Hoster) -> None:
    commit = hoster.commit({"docker/web.Dockerfile": "FROM scratch\n"}, links={"out": "/etc"})
    done = hoster.tool("build", "--dockerfile", "docker/web.Dockerfile", hoster.url, commit, "x:1")
    assert done.returncode == 0, done.stderr
    assert "/tree/docker/web.Dockerfile " in done.stdout
    for wrong in ("web.Dockerfile", "out/hostname"):
        refused = hoster.tool("build", "--dockerfile", wrong, hoster.url, commit, "x:1")
        assert (refused.returncode, f"there is no {wrong} in its top" in refused.stderr) == (1, True)


def submodule(hoster: Hoster, url: str) -> str:
    """A commit of site.git with the repository `url` as `job/theme`, as git itself makes one."""
    theme = hoster.root.parent / "theme"
    theme.mkdir(exist_ok=True)
    (theme / "style").write_text("x\n")
    if not (hoster.root / "theme.git").exists():
        repositories.make(theme, hoster.root / "theme.git")
    head = repositories.git("rev-parse", "HEAD", cwd=hoster.root / "theme.git").strip()
    work = hoster.root.parent / "work"
    repositories.git("clone", "--quiet", str(hoster.bare), str(work), cwd=hoster.root)
    (work / ".gitmodules").write_text(f'[submodule "theme"]\n\tpath = job/theme\n\turl = {url}\n')
    repositories.git("add", ".gitmodules", cwd=work)
    repositories.git("update-index", "--add", "--cacheinfo", f"160000,{head},job/theme", cwd=work)
    author = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    repositories.git(*author, "commit", "--quiet", "--message", "theme", cwd=work)
    repositories.git("push", "--quiet", "origin", "HEAD:main", cwd=work)
    return repositories.git("rev-parse", "HEAD", cwd=work).strip()


def test_submodules_are_fetched_with_the_token_of_their_own_host(hoster: Hoster) -> None:
    commit = submodule(hoster, "../theme.git")
    hoster.server.token = TOKEN
    done = hoster.tool("build", "--dir", "job", hoster.url, commit, "x:1", token=TOKEN)
    assert done.returncode == 0, done.stderr
    assert "(in it: ./Dockerfile ./theme/style )" in done.stdout, "and git's own files are not in it"


def test_what_may_read_a_repository_is_shown_to_no_other_host(hoster: Hoster) -> None:
    other = hoster.url.replace("127.0.0.1", "localhost").replace("site.git", "theme.git")
    commit = submodule(hoster, other)
    hoster.server.token = TOKEN
    done = hoster.tool("build", "--dir", "job", hoster.url, commit, "x:1", token=TOKEN)
    assert done.returncode == 1
    assert "theme.git" in done.stderr
    hoster.server.token = None
    assert hoster.tool("build", "--dir", "job", hoster.url, commit, "x:1", token=TOKEN).returncode == 0


@pytest.mark.parametrize("url", ["{bare}", "file://{bare}", "ext::sh -c date"])
def test_a_submodule_leads_nowhere_but_over_http(hoster: Hoster, url: str) -> None:
    commit = submodule(hoster, url.format(bare=hoster.bare))
    done = hoster.tool("build", "--dir", "job", hoster.url, commit, "x:1")
    assert done.returncode == 1
    assert "not allowed" in done.stderr


KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nnobody else has it\n-----END OPENSSH PRIVATE KEY-----"
HOST_KEY = "ssh-ed25519 AAAA"
# Serves the repository by git's own program, as an SSH server would, to who has the key and knows it.
SSH = """#!/bin/bash
for command; do [ -z "$next" ] || key=$command; next=; case $command in
    -i) next=1 ;;
    UserKnownHostsFile=*) known=${command#*=} ;;
esac; done
[ "$(stat -c %a "$key")" = 600 ] && grep -q 'nobody else' "$key" ||
    { echo "x: Permission denied (publickey)." >&2; exit 255; }
[[ " $* " == *' StrictHostKeyChecking=yes '* ]] || { echo "Host key is not looked at." >&2; exit 255; }
[ "$(cat "$known")" = 'repository ssh-ed25519 AAAA' ] || { echo "Host key verification failed." >&2; exit 255; }
exec bash -c "${command//team/ROOT}"
"""


def test_a_repository_is_fetched_by_ssh_with_its_key_from_the_server_that_is_known(hoster: Hoster) -> None:
    hoster.shim("ssh", SSH.replace("ROOT", str(hoster.root)))
    commit = hoster.commit({"README": "by ssh"})
    url, told = "git@git.example.org:team/site.git", {"key": KEY, "host_key": HOST_KEY}
    found = hoster.tool("commit", url, "refs/heads/main", told=told)
    assert found.stdout == f"{commit}\n", found.stderr
    built = hoster.tool("build", "--dir", "job", url, commit, "x:1", told=told)
    assert built.returncode == 0, built.stderr
    assert "nobody else" not in built.stdout + built.stderr
    other = hoster.tool("commit", url, "HEAD", told={"key": KEY, "host_key": "ssh-ed25519 BBBB"})
    assert "its SSH server has another key than git.host_key says" in other.stderr
    wrong = hoster.tool("commit", url, "HEAD", told={"key": "x", "host_key": HOST_KEY})
    assert "the key (git.key) must be a deploy key of it" in wrong.stderr


def test_without_a_key_nothing_goes_by_ssh(hoster: Hoster) -> None:
    done = hoster.tool("commit", "git@git.example.org:team/site.git", "HEAD")
    assert (done.returncode, "not allowed" in done.stderr) == (1, True)
