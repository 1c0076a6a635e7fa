"""The job that makes pages of statistics: every line once, one failing page blocks no other, none outlives its logs."""

from __future__ import annotations

import gzip
import re
import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "Reports"))

from reports import awstats, goaccess, logs
from reports.__main__ import main, run
from reports.awstats import spell
from reports.entries import Reading, read
from reports.logs import ChangingError, lines, sites
from reports.pages import Summary, index
from reports.programs import Maker, ReportError, feed

LINE = '{site} 2001:db8::1 - - [{day}:16:21:53 +0000] "GET /{n} HTTP/1.1" 200 1 "-" "-" a/a-1 0/0/1/2 --\n'
# In GoAccess's place: its page holds what it was given, unless that says `broken`.
GOACCESS = """
import sys
data = sys.stdin.read()
page, refused = (word.split("=", 1)[1] for at in ("--output=", "--inv") for word in sys.argv if word.startswith(at))
open(page, "w").write(data)
open(refused, "w").writelines(line for line in data.splitlines(True) if "refused" in line)
if "broken" in data:
    sys.exit("Format Errors")
"""
# In AWStats's place, with its database: a month's page holds the lines of that month, and leads to one list and one
# picture. It takes the lines in order of time and leaves out those that say `refused`.
AWSTATS = """
import pathlib, sys, time
options = dict(word[1:].partition("=")[::2] for word in sys.argv[1:])
settings = pathlib.Path(options["configdir"], "awstats." + options["config"] + ".conf").read_text()
settings = dict(line.split("=", 1) for line in settings.splitlines())
data = pathlib.Path(settings["DirData"].strip('"'))
if "update" in options:
    found = last = 0
    for line in sys.stdin:
        moment = int(line.split()[0])
        if "refused" in line or moment < last:
            continue
        found, last = found + 1, moment
        name = time.strftime("awstats%m%Y.", time.gmtime(moment)) + options["config"] + ".txt"
        with (data / name).open("a") as file:
            file.write(line)
    print(f" Found {found} new qualified records.")
else:
    text = (data / f"awstats{options['month']}{options['year']}.{options['config']}.txt").read_text()
    if "broken" in text:
        sys.exit("<!DOCTYPE html>cut off")
    start = options["staticlinks"]
    print("Warning: odd\\n" * ("warned" in text), end="")
    print(f'<!DOCTYPE html><html><head></head><body>{settings["HTMLHeadSection"]}'
          f'<a href="{start}.html">back</a> <a href="{start}.allhosts.html">all</a> <img src="icons/os/linux.png">'
          f'<img src="icons/os/none.png"><pre>{options["output"]}{text}</pre></body></html>')
"""
ICONS = ("os/linux.png", "mime/unknown.png")


@pytest.fixture
def with_goaccess() -> Maker:
    return partial(goaccess.make, program=(sys.executable, "-c", GOACCESS))


@pytest.fixture
def with_awstats(tmp_path: Path) -> Maker:
    for name in ICONS:
        (tmp_path / "icon" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "icon" / name).write_text(name)
    return partial(awstats.make, program=(sys.executable, "-c", AWSTATS), icons=tmp_path / "icon")


@pytest.fixture(params=["goaccess", "awstats"])
def make(request: pytest.FixtureRequest) -> Maker:
    return request.getfixturevalue(f"with_{request.param}")


def line(site: str, what: int | str, day: int = 24, month: str = "Nov") -> str:
    return LINE.format(site=site, n=what, day=f"{day:02}/{month}/2026")


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


def test_each_site_has_a_page_and_the_list_leads_there(make: Maker, volume: Path, capsys: pytest.CaptureFixture[str]):
    assert main(make, volume / "logs", volume / "site") == 0
    page = (volume / "site" / "a.com" / "index.html").read_text()
    assert page.count("2001:db8::1") == 3
    listed = (volume / "site" / "index.html").read_text()
    assert '<a href="a.com/">a.com</a></td><td class="number">3</td><td>23/Nov/2026</td>' in listed
    assert "a.com: 3 requests since 23/Nov/2026" in capsys.readouterr().out
    left = {path.name for path in (volume / "site" / "a.com").iterdir()}
    assert left in ({"index.html"}, {"index.html", "2026-11.html", "2026-11.allhosts.html", "icons"})


def test_a_page_that_can_t_be_made_leaves_the_old_one_and_blocks_no_other(make: Maker, volume: Path, capsys):
    assert main(make, volume / "logs", volume / "site") == 0
    (volume / "logs" / "a.com" / "access.log").write_text(line("a.com", "broken", 25))
    (volume / "logs" / "b.com").mkdir()
    (volume / "logs" / "b.com" / "access.log").write_text(line("b.com", 9))
    assert main(make, volume / "logs", volume / "site") == 1
    assert "GET /3 " in (volume / "site" / "a.com" / "index.html").read_text()
    assert "GET /9 " in (volume / "site" / "b.com" / "index.html").read_text()
    listed = (volume / "site" / "index.html").read_text()
    assert "not made anew" in listed
    assert '<a href="b.com/">' in listed
    said = capsys.readouterr().err
    assert "a.com: the old page stays" in said
    assert "Format Errors" in said or "cut off" in said


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-10], lambda data: b"no" + data, lambda data: data[:12] + b"\xff" * 40]
)
def test_a_damaged_compressed_file_is_that_site_s_failure_alone(make: Maker, volume: Path, damage):
    path = volume / "logs" / "a.com" / "2026-11-23.001.log.gz"
    path.write_bytes(damage(path.read_bytes()))
    (volume / "logs" / "b.com").mkdir()
    (volume / "logs" / "b.com" / "access.log").write_text(line("b.com", 9))
    assert main(make, volume / "logs", volume / "site") == 1
    assert (volume / "site" / "b.com" / "index.html").exists()


def test_a_page_goes_with_its_logs_and_nothing_else_does(make: Maker, volume: Path):
    for name in ("gone.com", "icons"):
        (volume / "site" / name).mkdir()
        (volume / "site" / name / "index.html").write_text("x")
    assert main(make, volume / "logs", volume / "site") == 0
    assert sorted(path.name for path in (volume / "site").iterdir()) == ["a.com", "icons", "index.html"]


def test_a_site_without_requests_is_listed_without_a_page(make: Maker, volume: Path):
    (volume / "logs" / "quiet.com").mkdir()
    (volume / "logs" / "quiet.com" / "access.log").touch()
    assert main(make, volume / "logs", volume / "site") == 0
    assert not (volume / "site" / "quiet.com").exists()
    assert "<td>quiet.com</td>" in (volume / "site" / "index.html").read_text()


def test_without_logs_the_list_says_what_to_do(make: Maker, tmp_path: Path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "site").mkdir()
    assert main(make, tmp_path / "logs", tmp_path / "site") == 0
    assert "run this job again" in (tmp_path / "site" / "index.html").read_text()


def test_a_missing_volume_is_named_with_its_place(make: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(make, tmp_path / "logs", tmp_path / "site") == 1
    assert f"AccessLog's volume belongs at {tmp_path / 'logs'}" in capsys.readouterr().err


def test_names_are_text_in_the_list():
    assert "<b>" not in index([Summary("<b>", 1, "<b>", page=True)], "<b>")


def test_a_line_that_is_none_of_a_request_is_told_and_blocks_no_page(
    make: Maker, volume: Path, capsys: pytest.CaptureFixture[str]
):
    junk = (
        "junk\n",
        line("a.com", 5).replace("/Nov/", "/Now/"),
        line("a.com", 5).replace("24/", "31/"),
        line("a.com", "x" * 5000),
    )
    (volume / "logs" / "a.com" / "access.log").write_text(line("a.com", 3) + "".join(junk))
    assert main(make, volume / "logs", volume / "site") == 0
    heard = capsys.readouterr()
    assert "a.com: 3 requests" in heard.out
    assert "ERROR: a.com: 4 of 7 lines can't be read and are in no page, the first: 'junk" in heard.err


def test_a_line_that_is_being_written_is_left_to_the_next_run(
    make: Maker, volume: Path, capsys: pytest.CaptureFixture[str]
):
    (volume / "logs" / "a.com" / "access.log").write_text(line("a.com", 3) + line("a.com", 4)[:90])
    assert main(make, volume / "logs", volume / "site") == 0
    heard = capsys.readouterr()
    assert "a.com: 3 requests" in heard.out
    assert heard.err == ""


def test_a_log_of_which_no_line_can_be_read_leaves_the_page_and_fails(
    make: Maker, volume: Path, capsys: pytest.CaptureFixture[str]
):
    (volume / "logs" / "b.com").mkdir()
    (volume / "logs" / "b.com" / "access.log").write_text(line("b.com", 9))
    assert main(make, volume / "logs", volume / "site") == 0
    (volume / "logs" / "b.com" / "access.log").write_text("a new format\n")
    assert main(make, volume / "logs", volume / "site") == 1
    assert "GET /9 " in (volume / "site" / "b.com" / "index.html").read_text()
    assert "b.com: the old page stays: 1 of 1 lines can't be read" in capsys.readouterr().err


def test_requests_that_a_program_leaves_out_are_told(make: Maker, volume: Path, capsys: pytest.CaptureFixture[str]):
    (volume / "logs" / "a.com" / "access.log").write_text(line("a.com", "refused"))
    assert main(make, volume / "logs", volume / "site") == 0
    assert "ERROR: a.com: 1 of 3 requests are in no page" in capsys.readouterr().err


def test_a_site_whose_first_page_can_t_be_made_has_no_link_that_leads_nowhere(make: Maker, volume: Path):
    (volume / "logs" / "a.com" / "access.log").write_text(line("a.com", "broken"))
    assert main(make, volume / "logs", volume / "site") == 1
    assert not (volume / "site" / "a.com").exists()
    assert "<td>a.com</td>" in (volume / "site" / "index.html").read_text()


def test_every_file_of_a_page_can_be_read_by_the_web_server(make: Maker, volume: Path):
    assert main(make, volume / "logs", volume / "site") == 0
    for path in (volume / "site").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


def test_each_month_has_a_page_and_all_links_lead_to_a_file(with_awstats: Maker, volume: Path):
    (volume / "logs" / "a.com" / "2026-10-31.001.log").write_text(line("a.com", 10, 31, "Oct"))
    assert main(with_awstats, volume / "logs", volume / "site") == 0
    folder = volume / "site" / "a.com"
    newest, older = (folder / "index.html").read_text(), (folder / "2026-10.html").read_text()
    assert newest == (folder / "2026-11.html").read_text()
    assert "GET 10" not in newest
    assert "GET /10 " in older
    assert newest.count("2001:db8::1") == 3
    assert "<a href='../'>All sites</a> &nbsp; November 2026 &nbsp; <a href='2026-10.html'>October 2026</a>" in newest
    assert "<a href='2026-11.html'>November 2026</a> &nbsp; October 2026" in older
    for page in folder.glob("*.html"):
        assert "default-src 'none'" in page.read_text(), "no script works in it"
        for link in re.findall(r"""(?:href|src)=["']([^"']+)""", page.read_text()):
            assert (folder / link).exists(), f"{page.name}: {link}"
    assert (folder / "icons" / "os" / "none.png").read_text() == "mime/unknown.png"


def test_a_month_goes_with_its_logs_and_the_files_of_one_program_with_the_other(
    with_awstats: Maker, with_goaccess: Maker, volume: Path
):
    october, folder = volume / "logs" / "a.com" / "2026-10-31.001.log", volume / "site" / "a.com"
    october.write_text(line("a.com", 10, 31, "Oct"))
    (folder / ".new-killed").mkdir(parents=True)
    (folder / ".new-killed" / "page.html").write_text("half a page")
    assert main(with_awstats, volume / "logs", volume / "site") == 0
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"icons"}
    october.unlink()
    assert main(with_awstats, volume / "logs", volume / "site") == 0
    assert not list(folder.glob("2026-10*"))
    assert main(with_goaccess, volume / "logs", volume / "site") == 0
    assert [path.name for path in folder.iterdir()] == ["index.html"]


def test_requests_that_ended_out_of_order_are_all_counted(
    with_awstats: Maker, volume: Path, capsys: pytest.CaptureFixture[str]
):
    days = [(25, "Nov"), (31, "Oct"), (24, "Nov"), (1, "Nov")]
    written = "".join(line("a.com", number, *day) for number, day in enumerate(days, 4))
    (volume / "logs" / "a.com" / "access.log").write_text(written)
    assert main(with_awstats, volume / "logs", volume / "site") == 0
    assert capsys.readouterr().err == ""
    counted = [(volume / "site" / "a.com" / f"2026-{month}.html").read_text().count("GET /") for month in (10, 11)]
    assert counted == [1, 5]


def test_a_page_that_opens_with_a_warning_is_not_published(
    with_awstats: Maker, volume: Path, capsys: pytest.CaptureFixture[str]
):
    (volume / "logs" / "a.com" / "access.log").write_text(line("a.com", "warned"))
    assert main(with_awstats, volume / "logs", volume / "site") == 1
    assert "ended with status 0:\n\nWarning: odd" in capsys.readouterr().err


def spelled(*replaced: tuple[str, str]) -> bytes:
    text = line("a.com", 1)
    for old, new in replaced:
        text = text.replace(old, new, 1)
    (entry,) = read([text.encode(errors="surrogateescape")], Reading())
    return spell(entry)


@pytest.mark.parametrize(
    ("replaced", "means"),
    [
        ((), b'1795537313 2001:db8::1 GET /1 200 1 "-" "-"\n'),
        ((("GET", "PATCH"),), b'1795537313 2001:db8::1 GET /1 200 1 "-" "-"\n'),
        ((("/1 ", r"/\"<b>\u00e9 "),), b'1795537313 2001:db8::1 GET /%22%3Cb%3E%C3%A9 200 1 "-" "-"\n'),
        ((("/1 ", " "), (" 200 ", " -1 ")), b'1795537313 2001:db8::1 GET - -1 1 "-" "-"\n'),
        ((('"-" "-"', r'"\"x\\" "a\tb \"c\""'),), b'1795537313 2001:db8::1 GET /1 200 1 "%22x%5C" "a%09b %22c%22"\n'),
        ((('"-" "-"', '"\udcff" "\\q\udcfe"'),), b'1795537313 2001:db8::1 GET /1 200 1 "%FF" "%5Cq%FE"\n'),
    ],
)
def test_awstats_gets_each_request_in_a_spelling_that_it_can_t_misread(replaced, means: bytes):
    assert spelled(*replaced) == means


def test_a_program_before_another_one_that_fails_is_a_failure():
    with pytest.raises(ReportError, match=r"(?s)^sh ended with status 3:.*no room"):
        feed([["sh", "-c", "echo no room >&2; exit 3"], ["cat"]], [b"x\n"] * 100_000)


def test_a_program_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]):
    assert run({"PROGRAM": "awstat"}) == 2
    assert "PROGRAM: 'awstat' is not goaccess or awstats" in capsys.readouterr().err


def test_a_monitor_that_looks_whether_a_site_is_well_is_no_visitor():
    visit = LINE.format(site="a.example", day="24/Nov/2026", n=1)
    looked = visit.replace('"-" "-" a/', '"-" "apiary-health" a/')
    assert looked != visit
    reading = Reading()
    assert [entry.string for entry in read([looked.encode(), visit.encode()], reading)] == [visit.encode()]
    assert (reading.entries, reading.unreadable) == (1, 0)
