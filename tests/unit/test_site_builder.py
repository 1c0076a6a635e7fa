"""SiteBuilder's scripts: a site is published whole or not at all, and what can't be built leaves the one of before."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import repositories
from tests.unit.test_git_tool import tar

SCRIPTS = Path(__file__).parents[2] / "images" / "SiteBuilder"
# Makes a page of its own words, or fails with them.
HUGO = """#!/bin/sh
cat words
[ "$2" = "$OUTPUT" ] && cp words "$2/index.html"
grep -q broken words && exit 255
exit 0
"""


@dataclass
class Builder:
    """The image's scripts, with a volume and a repository of the test's own."""

    folder: Path

    @property
    def volume(self) -> Path:
        return self.folder / "volume"

    @property
    def page(self) -> str:
        return (self.volume / "current" / "index.html").read_text()

    def commit(self, files: Mapping[str, str], branch: str = "main") -> str:
        return repositories.commit(self.folder / "site.git", tar(files), branch)

    def run(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(SCRIPTS / script), *arguments],
            env={
                "PATH": f"{self.folder / 'bin'}:{SCRIPTS}:{os.environ['PATH']}",
                "SITE": str(self.volume),
                "TMPDIR": str(self.folder / "temporary"),
                **environment,
            },
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def build(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run("build.sh", **{"SOURCE": str(self.folder / "site.git"), **environment})


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    for name in ("volume", "temporary", "bin", "first"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin" / "hugo").write_text(HUGO)
    (tmp_path / "bin" / "hugo").chmod(0o755)
    (tmp_path / "first" / "index.html").write_text("plain")
    repositories.make(tmp_path / "first", tmp_path / "site.git")
    return Builder(tmp_path)


def pages(folder: Path, word: str, number: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    for name in ("index.html", *(f"{n}.html" for n in range(number))):
        (folder / name).write_text(word)
    return folder


def test_a_folder_without_a_generator_is_published_as_it_is_and_git_s_own_files_are_not(builder: Builder) -> None:
    done = builder.build()
    assert done.returncode == 0, done.stderr
    assert builder.page == "plain"
    assert sorted(path.name for path in (builder.volume / "current").iterdir()) == ["index.html"]
    assert list((builder.folder / "temporary").iterdir()) == []


def test_the_branch_and_the_folder_that_are_named_are_built_by_their_generator(builder: Builder) -> None:
    builder.commit({"docs/hugo.toml": "", "docs/words": "of the branch"}, branch="next")
    done = builder.build(BRANCH="next", FOLDER="docs")
    assert done.returncode == 0, done.stderr
    assert builder.page == "of the branch"


def test_what_can_t_be_built_leaves_the_site_of_before_with_the_generator_s_words_and_status(builder: Builder) -> None:
    builder.commit({"hugo.toml": "", "words": "good"})
    assert builder.build().returncode == 0
    builder.commit({"words": "broken front matter"})
    done = builder.build()
    assert done.returncode == 255
    assert "broken front matter" in done.stdout
    assert "Hugo could not build it (above); the site of before stays" in done.stderr
    assert builder.page == "good"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"SOURCE": ""}, "there is no SOURCE; write the repository's URL into the job's env"),
        ({"SOURCE": "/none.git"}, "/none.git could not be fetched (above)"),
        ({"BRANCH": "mian"}, "could not be fetched (above)"),
        ({"FOLDER": "nope"}, "there is no folder nope in it"),
        ({"FOLDER": "../.."}, "the folder ../.. lies outside the repository"),
        ({"COMMAND": "exit 9"}, "COMMAND failed (above)"),
        ({"COMMAND": "true"}, "there is no index.html in what was built"),
    ],
)
def test_whatever_fails_is_said_and_leaves_the_site_of_before(
    builder: Builder, environment: dict[str, str], message: str
) -> None:
    assert builder.build().returncode == 0
    done = builder.build(**environment)
    assert done.returncode == (9 if message == "COMMAND failed (above)" else done.returncode) != 0
    assert message in done.stderr
    assert "the site of before stays" in done.stderr
    assert builder.page == "plain"


def test_a_command_puts_the_pages_where_it_is_told_and_never_learns_the_token(builder: Builder) -> None:
    done = builder.build(COMMAND='echo "made, token: $TOKEN" > "$OUTPUT/index.html"', TOKEN="hunter2")
    assert done.returncode == 0, done.stderr
    assert builder.page == "made, token: \n"


def test_a_reader_sees_the_old_site_or_the_new_one_and_nothing_between(builder: Builder) -> None:
    builder.run("publish.sh", str(pages(builder.folder / "a", "a", 50)))
    seen: list[tuple[str, ...]] = []
    failures: list[OSError] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set() and not failures:
            try:
                # As a request does it: the link is followed once.
                site = os.open(builder.volume / "current", os.O_RDONLY)
                words = []
                for name in ("index.html", "0.html", "49.html"):
                    file = os.open(name, os.O_RDONLY, dir_fd=site)
                    words.append(os.read(file, 10).decode())
                    os.close(file)
                os.close(site)
                seen.append(tuple(words))
            except OSError as error:
                failures.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    for word in ("b", "a", "b"):
        assert builder.run("publish.sh", str(pages(builder.folder / word, word, 50))).returncode == 0
        # Who began with the publication before the last has ended: that is how long it stays.
        passed, deadline = len(seen), time.monotonic() + 30
        while len(seen) < passed + 2 and not failures:
            assert time.monotonic() < deadline
            time.sleep(0.001)
    ended.set()
    thread.join(10)
    assert failures == []
    assert {words[0] for words in seen} == {"a", "b"}
    assert all(len(set(words)) == 1 for words in seen)


def test_the_publication_before_stays_to_go_back_to_and_older_ones_go(builder: Builder) -> None:
    for word in ("one", "two", "three"):
        done = builder.run("publish.sh", str(pages(builder.folder / word, word)), "1a2b3c4")
        assert done.returncode == 0, done.stderr
    builds = {path.name: (path / "index.html").read_text() for path in (builder.volume / "builds").iterdir()}
    assert sorted(builds.values()) == ["three", "two"]
    assert all("1a2b3c4" in name for name in builds)
    assert builder.page == "three"


def test_what_a_killed_publication_left_behind_goes_with_the_next(builder: Builder) -> None:
    pages(builder.volume / ".new-99", "half")
    (builder.volume / ".new-link").symlink_to("builds/none")
    done = builder.run("publish.sh", str(pages(builder.folder / "a", "whole")))
    assert done.returncode == 0, done.stderr
    assert builder.page == "whole"
    assert sorted(path.name for path in builder.volume.iterdir()) == [".lock", "builds", "current"]
