"""A closed site whose application gets another name stays closed, from the first request by the new name on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "HAProxySetup"))

from hasetup import apply, closed, sockets
from hasetup.apply import ApplyError, Files
from hasetup.config import render
from hasetup.domains import parse_domains

CLOSED = "blog 1764400000\nblog@203.0.113.7 let-in\nother 5\n"
MOVED = "news 1764400000\nnews@203.0.113.7 let-in\nother 5\n"


def rendered(**apps: str) -> str:
    """The configuration in which these applications serve one name or path each."""
    raw = {
        name: {"app": app.replace("_", "-"), "port": 80, "www": name[0] != "*", "tls": False}
        for app, name in apps.items()
    }
    return render(parse_domains(json.dumps(raw)))


BEFORE = rendered(blog="example.com", other="example.com/api", wild="*.example.net")


@pytest.mark.parametrize(
    ("after", "names"),
    [
        (BEFORE, []),
        (rendered(news="example.com", other="example.com/api", wild="*.example.net"), [("blog", "news")]),
        (rendered(blog="example.com", api_2="example.com/api", wilder="*.example.net"),
         [("other", "api-2"), ("wild", "wilder")]),
        # Gone, with another site beside it; and taken over by one that there was.
        (rendered(news="example.org", other="example.com/api", wild="*.example.net"), []),
        (rendered(other="example.com", wild="*.example.net"), []),
        ("", []),
    ],
)  # fmt: skip
def test_an_application_of_the_same_names_is_the_one_that_is_gone(after: str, names: list[tuple[str, str]]) -> None:
    assert closed.renamed(BEFORE, after) == names


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path)
    files.run.mkdir()
    for path in (files.live, files.good):
        path.write_text(BEFORE)
    files.maintenance_map.write_text(CLOSED)
    return files


def test_the_proxy_finds_it_closed_by_both_names_when_it_is_told_of_the_new_one_and_by_that_alone_after(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(sockets, "reload", lambda _: seen.append(files.maintenance_map.read_text()))
    after = rendered(news="example.com", other="example.com/api", wild="*.example.net")
    apply.apply(after, files, proxy="haproxy", check=lambda _: None)
    assert seen == ["".join(sorted({*CLOSED.splitlines(True), *MOVED.splitlines(True)}))]
    assert files.maintenance_map.read_text() == MOVED
    # Opened, and back: an open one stays open by each name.
    files.maintenance_map.write_text("other 5\n")
    apply.apply(BEFORE, files, proxy="haproxy", check=lambda _: None)
    assert files.maintenance_map.read_text() == "other 5\n"


def test_what_the_proxy_refuses_leaves_closed_what_was(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise sockets.ReloadError("no")

    monkeypatch.setattr(sockets, "reload", refuse)
    with pytest.raises(ApplyError):
        apply.apply(rendered(news="example.com"), files, proxy="haproxy", check=lambda _: None)
    assert (files.maintenance_map.read_text(), files.live.read_text()) == (CLOSED, BEFORE)


def test_a_proxy_that_is_down_finds_it_closed_by_the_new_name_alone(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_: object) -> None:
        raise sockets.NotRunningError

    monkeypatch.setattr(sockets, "reload", nobody)
    after = rendered(news="example.com", other="example.com/api", wild="*.example.net")
    for _ in range(2):
        apply.apply(after, files, proxy="haproxy", check=lambda _: None)
        assert (files.maintenance_map.read_text(), files.live.read_text()) == (MOVED, after)


def test_a_run_that_was_killed_before_it_was_told_is_finished_by_the_next(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = rendered(news="example.com", other="example.com/api", wild="*.example.net")
    files.live.write_text(after)
    files.maintenance_map.write_text("".join(sorted({*CLOSED.splitlines(True), *MOVED.splitlines(True)})))
    monkeypatch.setattr(sockets, "reload", lambda _: None)
    apply.apply(after, files, proxy="haproxy", check=lambda _: None)
    assert files.maintenance_map.read_text() == MOVED


def test_what_changes_no_name_writes_no_map(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "reload", lambda _: None)
    number = files.maintenance_map.stat().st_ino
    apply.apply(rendered(blog="example.com", more="example.org"), files, proxy="haproxy", check=lambda _: None)
    assert files.maintenance_map.stat().st_ino == number
