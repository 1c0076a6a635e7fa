"""Sites and images built from git: what is pushed is served when asked for, and what can't be built changes nothing."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.hive import Hive

PAGES, NOTES = "http://pages.example.net/", "http://notes.example.net/"


@pytest.fixture
def commit(whole: Hive, tmp_path: Path) -> Iterator[Commit]:
    """Puts other files into the repository; at the end it has those of the beginning."""
    made = Commit(whole, tmp_path)
    yield made
    made.undo()


class Commit:
    """Other contents for files of the lab's repository `site`."""

    def __init__(self, hive: Hive, folder: Path) -> None:
        self._hive = hive
        self._folder = folder
        self._before: dict[str, str] = {}

    def __call__(self, files: Mapping[str, str]) -> str:
        """The commit."""
        for name, content in files.items():
            self._before[name] = (self._hive.program / "lab" / "git" / "site" / name).read_text()
            (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / name).write_text(content)
        return self._hive.lab("commit", "site", str(self._folder)).strip()

    def undo(self) -> None:
        if self._before:
            self(dict(self._before))


@contextmanager
def visited(hive: Hive, url: str) -> Iterator[list[str]]:
    """Meanwhile the page is asked for again and again, over both families; the list then has each answer's status."""
    flag = f"/tmp/visited-{time.monotonic_ns()}"
    script = (
        f"until [ -e {flag} ]; do for family in -4 -6; do "
        f"curl $family --silent --location --insecure --max-time 10 --output /dev/null "
        f"--write-out '%{{http_code}}\\n' {url}; "
        "done; sleep 0.1; done"
    )
    statuses: list[str] = []
    visitor = subprocess.Popen(
        ["docker", "exec", hive.paths.name("prober"), "timeout", "600", "sh", "-c", script],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield statuses
    finally:
        hive.prober("touch", flag)
        statuses += visitor.communicate(timeout=60)[0].split()


def served(hive: Hive, url: str) -> str:
    """The page as visitors over both families see it; by http or where that leads."""
    pages = {hive.get(url, family, "--location", "--insecure") for family in ("-6", "-4")}
    [(status, page)] = pages
    assert status == 200, f"{url}: {status} {page}"
    return page


def test_a_job_builds_a_site_from_a_repository_and_nginx_serves_it(whole: Hive) -> None:
    assert "A job has built these pages from a git repository" in served(whole, PAGES)
    assert "Written in Markdown" in served(whole, f"{PAGES}posts/first/")


def test_a_new_commit_is_served_when_the_job_is_run_again(whole: Hive, commit: Commit) -> None:
    hash_ = commit({"pages/content/posts/first.md": "---\ntitle: The second edition\n---\nPushed a moment ago.\n"})
    assert "edition" not in served(whole, PAGES), "a commit alone changes nothing"
    with visited(whole, PAGES) as statuses:
        done = whole.operations("run", "web1:publish")
    assert (len(statuses) > 10, set(statuses)) == (True, {"200"})
    assert hash_[:7] in done.stdout, "the job's own words"
    assert "The second edition" in served(whole, PAGES)
    assert "Pushed a moment ago" in served(whole, f"{PAGES}posts/first/")


@pytest.mark.soak
def test_a_commit_that_can_t_be_built_leaves_the_site_of_before_and_says_why(whole: Hive, commit: Commit) -> None:
    """As tests/unit/test_site_builder.py shows it of the job alone, and test_jobs of any that fails."""
    before = served(whole, PAGES)
    commit({"pages/content/posts/first.md": "---\ntitle: {unclosed\n---\n"})
    done = whole.operations("run", "web1:publish", check=False)
    assert done.returncode not in (0, 1, 2), "the status is the generator's own"
    assert f"publish: ended with status {done.returncode}" in done.stdout
    assert "posts/first.md" in done.stdout, "and so are the words"
    assert "Hugo could not build it (above); the site of before stays" in done.stdout
    assert served(whole, PAGES) == before
    commit.undo()
    assert whole.up().touched() == {"publish-run"}, "the next update runs it again"
    assert "Written in Markdown" in served(whole, f"{PAGES}posts/first/")


def test_an_application_built_from_a_branch_is_released_when_asked_for_without_a_failed_request(
    whole: Hive, commit: Commit
) -> None:
    assert "Notes of a branch" in served(whole, NOTES)
    first = whole.container("notes")
    hash_ = commit({"notes/index.html": "<!DOCTYPE html><title>Notes</title><p>Another note."})
    whole.expect_no_changes()
    with visited(whole, NOTES) as statuses:
        done = whole.operations("release", "web1:notes")
    assert (len(statuses) > 10, set(statuses)) == (True, {"200"})
    assert f"release notes: done, it is at {hash_}" in done.stdout
    assert "Another note" in served(whole, NOTES)
    second = whole.container("notes")
    assert second != first
    labels = whole.on_server(f"docker inspect -f '{{{{json .Config.Labels}}}}' {second}")
    assert f'"org.opencontainers.image.revision":"{hash_}"' in labels
    assert len(whole.on_server("docker images -q apiary/site").split()) == 1, "the old image has gone"

    again = whole.operations("release", "web1:notes")
    assert f"release notes: nothing new, it is still at {hash_}" in again.stdout
    assert whole.container("notes") == second
    # What was fetched is on the server no more.
    assert whole.on_server("ls -d /var/tmp/apiary-git-* 2>/dev/null || true") == ""


@pytest.mark.soak
def test_a_release_that_can_t_be_built_leaves_the_old_one_and_says_why(whole: Hive, commit: Commit) -> None:
    before = whole.container("notes")
    dockerfile = (whole.program / "lab" / "git" / "site" / "notes" / "Dockerfile").read_text()
    commit({"notes/Dockerfile": f"{dockerfile}RUN echo the disk is on fire; exit 3\n"})
    done = whole.operations("release", "web1:notes", check=False)
    assert done.returncode != 0
    assert "the disk is on fire" in done.stdout
    assert "its branch is at" in done.stdout, "and how to go back"
    assert whole.container("notes") == before
    served(whole, NOTES)
    commit.undo()
    whole.operations("release", "web1:notes")
