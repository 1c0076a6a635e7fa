"""The job that makes pages of statistics: every line once, one failing page blocks no other, none outlives its logs."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "GoAccess"))

from reports import logs
from reports.__main__ import main
from reports.logs import ChangingError, lines, sites
from reports.pages import Summary, index

LINE = '{site} 2001:db8::1 - - [{day}/Nov/2026:16:21:53 +0000] "GET /{n} HTTP/1.1" 200 1 "-" "-" a/a-1 0/0/1/2 --\n'
# In GoAccess's place: its page holds what it was given, unless that says `broken`.
FAKE = """
import sys
data = sys.stdin.read()
(page,) = (word.split("=", 1)[1] for word in sys.argv if word.startswith("--output="))
open(page, "w").write(data)
if "broken" in data:
    sys.exit("Format Errors")
"""
PROGRAM = (sys.executable, "-c", FAKE)


def line(site: str, number: int, day: int = 24) -> str:
    return LINE.format(site=site, n=number, day=day)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    folder = tmp_path / "logs" / "a.com"
    folder.mkdir(parents=True)
    (folder / "2026-11-23.001.log.gz").write_bytes(gzip.compress(line("a.com", 1, 23).encode()))
    (folder / "2026-11-24.001.log").write_text(line("a.com", 2))
    (folder / "access.log").write_text(line("a.com", 3, 25))
    (folder.parent / "unserved").mkdir()
    (folder.parent / "unserved" / "access.log").write_text("- 1.2.3.4 - - junk\n")
    (tmp_path / "site").mkdir()
    return tmp_path


def numbers(folder: Path) -> list[int]:
    return [int(one.split(b"GET /")[1].split()[0]) for one in lines(folder)]


def test_a_site_is_read_from_its_oldest_file_to_the_one_that_is_written(volume: Path):
    assert sites(volume / "logs") == ["a.com"]
    assert numbers(volume / "logs" / "a.com") == [1, 2, 3]


def test_a_file_that_is_compressed_meanwhile_is_read_once(volume: Path):
    folder = volume / "logs" / "a.com"
    (folder / "2026-11-24.001.log.gz").write_bytes(gzip.compress(line("a.com", 2).encode()))
    assert numbers(folder) == [1, 2, 3], "compressed, its original not removed yet"
    (folder / "2026-11-24.001.log").unlink()
    assert numbers(folder) == [1, 2, 3]


def test_a_rotation_between_the_list_and_the_reading_loses_and_doubles_nothing(
    volume: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = volume / "logs" / "a.com"
    listed, times = logs._rotated, [0]

    def rotated_meanwhile(of: Path) -> list[str]:
        found = listed(of)
        times[0] += 1
        if times[0] == 1:
            (folder / "access.log").rename(folder / "2026-11-25.001.log")
            (folder / "access.log").write_text(line("a.com", 4, 25))
        return found

    monkeypatch.setattr(logs, "_rotated", rotated_meanwhile)
    assert numbers(folder) == [1, 2, 3, 4]


def test_files_that_never_stand_still_are_an_error_not_an_endless_job(volume: Path, monkeypatch: pytest.MonkeyPatch):
    names = iter(range(1000))
    monkeypatch.setattr(logs, "_rotated", lambda _: [f"{next(names)}.log"])
    with pytest.raises(ChangingError, match="run this job again"):
        numbers(volume / "logs" / "a.com")


def test_each_site_has_a_page_and_the_list_leads_there(volume: Path, capsys: pytest.CaptureFixture[str]):
    assert main(volume / "logs", volume / "site", PROGRAM) == 0
    page = (volume / "site" / "a.com" / "index.html").read_text()
    assert page.count("2001:db8::1") == 3
    listed = (volume / "site" / "index.html").read_text()
    assert '<a href="a.com/">a.com</a></td><td class="number">3</td><td>23/Nov/2026</td>' in listed
    assert "a.com: 3 requests since 23/Nov/2026" in capsys.readouterr().out
    assert sorted(path.name for path in (volume / "site" / "a.com").iterdir()) == ["index.html"]


def test_a_page_that_can_t_be_made_leaves_the_old_one_and_blocks_no_other(volume: Path, capsys):
    assert main(volume / "logs", volume / "site", PROGRAM) == 0
    (volume / "logs" / "a.com" / "access.log").write_text("broken\n")
    (volume / "logs" / "b.com").mkdir()
    (volume / "logs" / "b.com" / "access.log").write_text(line("b.com", 9))
    assert main(volume / "logs", volume / "site", PROGRAM) == 1
    assert "GET /3 " in (volume / "site" / "a.com" / "index.html").read_text()
    assert "GET /9 " in (volume / "site" / "b.com" / "index.html").read_text()
    listed = (volume / "site" / "index.html").read_text()
    assert "not made anew" in listed
    assert '<a href="b.com/">' in listed
    said = capsys.readouterr().err
    assert "a.com: the old page stays" in said
    assert "Format Errors" in said


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-10], lambda data: b"no" + data, lambda data: data[:12] + b"\xff" * 40]
)
def test_a_damaged_compressed_file_is_that_site_s_failure_alone(volume: Path, damage):
    path = volume / "logs" / "a.com" / "2026-11-23.001.log.gz"
    path.write_bytes(damage(path.read_bytes()))
    (volume / "logs" / "b.com").mkdir()
    (volume / "logs" / "b.com" / "access.log").write_text(line("b.com", 9))
    assert main(volume / "logs", volume / "site", PROGRAM) == 1
    assert (volume / "site" / "b.com" / "index.html").exists()


def test_a_page_goes_with_its_logs_and_nothing_else_does(volume: Path):
    for name in ("gone.com", "icons"):
        (volume / "site" / name).mkdir()
        (volume / "site" / name / "index.html").write_text("x")
    assert main(volume / "logs", volume / "site", PROGRAM) == 0
    assert sorted(path.name for path in (volume / "site").iterdir()) == ["a.com", "icons", "index.html"]


def test_a_site_without_requests_is_listed_without_a_page(volume: Path):
    (volume / "logs" / "quiet.com").mkdir()
    (volume / "logs" / "quiet.com" / "access.log").touch()
    assert main(volume / "logs", volume / "site", PROGRAM) == 0
    assert not (volume / "site" / "quiet.com").exists()
    assert "<td>quiet.com</td>" in (volume / "site" / "index.html").read_text()


def test_without_logs_the_list_says_what_to_do(tmp_path: Path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "site").mkdir()
    assert main(tmp_path / "logs", tmp_path / "site", PROGRAM) == 0
    assert "run this job again" in (tmp_path / "site" / "index.html").read_text()


def test_a_missing_volume_is_named_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(tmp_path / "logs", tmp_path / "site", PROGRAM) == 1
    assert f"AccessLog's volume belongs at {tmp_path / 'logs'}" in capsys.readouterr().err


def test_names_are_text_in_the_list():
    assert "<b>" not in index([Summary("<b>", 1, "<b>")], "<b>")
