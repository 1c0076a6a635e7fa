"""A closed site whose application gets another name stays closed, from the first request by the new name on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
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


Followed = Callable[..., tuple[set[str], str]]


@pytest.fixture
def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Followed:
    """One configuration after another: what is closed when the proxy is told, and in the end."""
    seen: list[str] = []
    files = Files(tmp_path)
    files.run.mkdir()
    monkeypatch.setattr(sockets, "reload", lambda _: seen.append(files.maintenance_map.read_text()))

    def follow(entries: str, *configurations: str) -> tuple[set[str], str]:
        for path in (files.live, files.good):
            path.write_text(configurations[0])
        files.maintenance_map.write_text(entries)
        for after in configurations[1:]:
            apply.apply(after, files, proxy="haproxy", check=lambda _: None)
        return set(seen[-1].splitlines(True)), files.maintenance_map.read_text()

    return follow


@pytest.mark.parametrize(
    ("after", "entries"),
    [
        (rendered(news="example.com", other="example.com/api", wild="*.example.net"), MOVED),
        (rendered(blog="example.com", api_2="example.com/api", wilder="*.example.net"),
         "api-2 5\nblog 1764400000\nblog@203.0.113.7 let-in\n"),
        # The same one, by other names; with a further one.
        (rendered(blog="example.org", other="example.com/api"), CLOSED),
        # Gone, with another site beside it; and taken over by one that keeps what it had.
        (rendered(news="example.org", other="example.com/api", wild="*.example.net"), "other 5\n"),
        (render(parse_domains(json.dumps({"example.com": {"app": "wild", "port": 80}, "*.example.net": {"app": "wild",
         "port": 80, "www": False}}))), ""),
        # Names that change hands: each is another application than it was, and none opens by that.
        (rendered(other="example.com", news="example.com/api"), "news 5\nother 5\n"),
        (rendered(wild="example.com", blog="*.example.net"),
         "blog 1764400000\nblog@203.0.113.7 let-in\nwild 1764400000\nwild@203.0.113.7 let-in\n"),
        (rendered(), ""),
    ],
)  # fmt: skip
def test_whatever_is_led_to_a_site_that_is_closed_it_stays_so(followed: Followed, after: str, entries: str) -> None:
    meanwhile, done = followed(CLOSED, BEFORE, after)
    assert done == entries
    assert meanwhile >= {*CLOSED.splitlines(True), *entries.splitlines(True)}


def test_domains_that_two_closed_applications_exchange_are_closed_in_every_step(followed: Followed) -> None:
    entries = "blog 1\nshop 2\nshop@203.0.113.9 let-in\n"
    before = rendered(blog="example.com", shop="example.org")
    _, done = followed(entries, before, rendered(shop="example.com", blog="example.org"))
    assert done == entries
    # With a new name among them.
    meanwhile, done = followed(entries, before, rendered(shop="example.com", store="example.org"))
    assert done == "shop 2\nshop@203.0.113.9 let-in\nstore 2\nstore@203.0.113.9 let-in\n"
    assert meanwhile == {*entries.splitlines(True), *done.splitlines(True)}


def test_an_application_that_is_no_more_closes_no_later_one_of_its_name(followed: Followed) -> None:
    without, again = rendered(other="example.com/api"), rendered(blog="example.org", other="example.com/api")
    meanwhile, done = followed(CLOSED, BEFORE, without, again)
    assert (meanwhile, done) == ({"other 5\n"}, "other 5\n")
    # Nor where its entry was left, from before it was forgotten.
    meanwhile, done = followed(CLOSED, without, again)
    assert (meanwhile, done) == ({"other 5\n"}, "other 5\n")


@pytest.mark.parametrize("before", [["", ""], ["", "# packaged"], [BEFORE, "# packaged"]])
def test_a_proxy_that_had_to_forget_its_configuration_opens_nothing(before: list[str]) -> None:
    assert closed.carried(CLOSED, before, BEFORE) == CLOSED


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
    apply.apply(
        rendered(blog="example.com", other="example.com/api", more="example.org"),
        files,
        proxy="haproxy",
        check=lambda _: None,
    )
    assert files.maintenance_map.stat().st_ino == number
