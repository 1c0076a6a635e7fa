"""The collector of access lines: what is read is written, through every rotation, restart and full disk."""

from __future__ import annotations

import datetime
import errno
import gzip
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "AccessLog"))

from accesslog.__main__ import Collector, main
from accesslog.keeper import compress, keep
from accesslog.options import InputError, Options, parse
from accesslog.pipe import CAPACITY, Pipe
from accesslog.store import Store, day, sorted_by_site

IMAGE = Path(__file__).parents[2] / "images" / "AccessLog"
NOON = datetime.datetime(2026, 3, 28, 12, tzinfo=datetime.UTC).timestamp()
DAY = 86400.0
BIG = 2**40


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "access"
    os.mkfifo(path)
    return path


@pytest.fixture
def proxy(pipe: Path) -> Iterator[int]:
    """The proxy's side of the pipe: open for both ways, never waiting."""
    fd = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    yield fd
    os.close(fd)


@pytest.fixture
def sites(tmp_path: Path) -> Path:
    path = tmp_path / "sites"
    path.mkdir()
    return path


def everything(folder: Path) -> list[str]:
    """The lines of all files of a site, rotated or not, oldest first."""
    files = [*sorted(folder.glob("2*.log*")), folder / "access.log"]
    texts = [gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes() for file in files]
    return b"".join(texts).decode().splitlines()


@pytest.fixture
def beat(tmp_path: Path) -> Path:
    return tmp_path / "beat"


@pytest.fixture
def collector(pipe: Path, sites: Path, beat: Path) -> Collector:
    return Collector(Options(), pipe=pipe, sites=sites, beat=beat)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- which line is whose


def test_a_line_goes_to_the_site_that_the_proxy_names_and_a_message_to_nobody():
    lines = [
        b"@a.com www.a.com 1.2.3.4 - - x\n",
        b"Proxy http stopped (cumulated conns: FE: 4).\n",
        b"@a.com a.com y\n",
    ]
    found, messages = sorted_by_site(lines)
    assert found == {"a.com": [b"www.a.com 1.2.3.4 - - x\n", b"a.com y\n"]}
    assert messages == [lines[1]]


@pytest.mark.parametrize(
    "site",
    ["-", "", "..", "../../etc", "a.com/../..", "a..com", ".a.com", "A.com", "localhost", "a\x00.com", "a." * 200],
)
def test_what_is_no_domain_names_no_folder(site: str):
    assert list(sorted_by_site([f"@{site} line\n".encode()])[0]) == ["unserved"]


# --- the pipe


def test_lines_come_whole_however_they_were_cut(pipe: Path, proxy: int):
    reader = Pipe(pipe)
    assert reader.find()
    os.write(proxy, b"one\ntw")
    assert reader.lines(1) == [b"one\n"]
    os.write(proxy, b"o\nthree\n")
    assert reader.lines(1) == [b"two\n", b"three\n"]
    assert reader.lines(0) == []


def test_the_next_reader_begins_where_the_last_one_ended(pipe: Path, proxy: int):
    lines = [f"{number:06d} {'x' * 200}\n".encode() for number in range(3000)]
    first = Pipe(pipe)
    first.find()
    for line in lines:
        assert os.write(proxy, line) == len(line)
    found = first.lines(1)
    assert 0 < len(found) < len(lines)
    found += first.finish()
    first.close()
    second = Pipe(pipe)
    second.find()
    while more := second.lines(0):
        found += more
    assert found == lines


def test_the_pipe_holds_a_megabyte_while_nobody_reads(pipe: Path, proxy: int):
    Pipe(pipe).find()
    line = b"x" * 255 + b"\n"
    for _ in range(CAPACITY // len(line)):
        assert os.write(proxy, line) == len(line)


def test_a_pipe_that_is_made_anew_is_found(pipe: Path):
    reader = Pipe(pipe)
    assert reader.find()
    pipe.unlink()
    assert reader.find(), "what is out of sight is still written to"
    os.mkfifo(pipe)
    assert reader.find()
    with pipe.open("wb", buffering=0) as proxy:
        proxy.write(b"new\n")
        assert reader.lines(1) == [b"new\n"]


@pytest.mark.parametrize("error", [PermissionError, FileNotFoundError])
def test_a_pipe_that_the_proxy_is_just_making_is_waited_for(
    pipe: Path, error: type[OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_yet(*_: object) -> int:
        raise error

    reader = Pipe(pipe)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", not_yet)
        assert not reader.find()
    assert reader.find()


def test_something_else_in_the_pipe_s_place_is_not_read(tmp_path: Path):
    (tmp_path / "access").write_text("line\n")
    reader = Pipe(tmp_path / "access")
    assert not reader.find()
    assert reader.lines(0) == []


# --- the files


def test_each_site_has_a_file_that_is_appended_to(sites: Path, clock: Clock):
    store = Store(sites, BIG, clock)
    store.write({"a.com": [b"1\n", b"2\n"], "b.com": [b"3\n"]})
    store.write({"a.com": [b"4\n"]})
    assert (sites / "a.com" / "access.log").read_text() == "1\n2\n4\n"
    assert (sites / "b.com" / "access.log").read_text() == "3\n"
    assert (sites / "a.com" / "access.log").stat().st_mode & 0o777 == 0o640


def test_yesterday_s_lines_get_yesterday_s_name_also_where_nobody_comes_any_more(sites: Path, clock: Clock):
    store = Store(sites, BIG, clock)
    store.write({"a.com": [b"1\n"], "idle.com": [b"2\n"]})
    clock.now += DAY
    store.write({"a.com": [b"3\n"]})
    assert [path.name for path in store.rotate()] == ["2026-03-28.001.log"]
    for site in ("a.com", "idle.com"):
        assert names(sites / site) == ["2026-03-28.001.log", "access.log"]
    assert (sites / "a.com" / "access.log").read_text() == "3\n"


def test_a_file_that_is_too_large_is_rotated_within_its_day(sites: Path, clock: Clock):
    store = Store(sites, 10, clock)
    for number in range(6):
        store.write({"a.com": [f"line {number}\n".encode()]})
    assert names(sites / "a.com") == ["2026-03-28.001.log", "2026-03-28.002.log", "access.log"]
    assert everything(sites / "a.com") == [f"line {number}" for number in range(6)]


def test_a_number_is_not_given_twice_when_files_are_compressed(sites: Path, clock: Clock):
    store = Store(sites, BIG, clock)
    for number in range(3):
        store.write({"a.com": [f"{number}\n".encode()]})
        store.rotate(everything=True)
        keep(sites, keep_days=30, keep_bytes=BIG, now=clock.now)
    assert names(sites / "a.com") == [f"2026-03-28.00{number}.log.gz" for number in (1, 2, 3)] + ["access.log"]
    assert everything(sites / "a.com") == ["0", "1", "2"]


def test_an_empty_file_is_not_rotated(sites: Path, clock: Clock):
    store = Store(sites, BIG, clock)
    store.write({"a.com": [b"1\n"]})
    store.rotate(everything=True)
    clock.now += DAY
    assert store.rotate() == []
    store.write({"a.com": [b"2\n"]})
    assert names(sites / "a.com") == ["2026-03-28.001.log", "access.log"]


def test_a_file_that_was_left_over_night_is_rotated_under_its_own_day(sites: Path, clock: Clock):
    store = Store(sites, BIG, clock)
    store.write({"a.com": [b"1\n"]})
    store.close()
    os.utime(sites / "a.com" / "access.log", (NOON, NOON))
    clock.now += 3 * DAY
    Store(sites, BIG, clock).write({"a.com": [b"2\n"]})
    assert names(sites / "a.com") == ["2026-03-28.001.log", "access.log"]


def test_a_line_that_a_crash_has_cut_does_not_spoil_the_next(sites: Path, clock: Clock):
    (sites / "a.com").mkdir()
    (sites / "a.com" / "access.log").write_text("whole\ncut of")
    os.utime(sites / "a.com" / "access.log", (NOON, NOON))
    Store(sites, BIG, clock).write({"a.com": [b"next\n"]})
    assert (sites / "a.com" / "access.log").read_text().splitlines() == ["whole", "cut of", "next"]


def test_a_file_that_somebody_moves_or_removes_is_made_anew(sites: Path, clock: Clock):
    store = Store(sites, BIG, clock)
    store.write({"a.com": [b"1\n"]})
    path = sites / "a.com" / "access.log"
    path.rename(sites / "a.com" / "mine")
    store.write({"a.com": [b"2\n"]})
    assert path.read_text() == "2\n"
    path.unlink()
    path.parent.joinpath("mine").unlink()
    path.parent.rmdir()
    store.write({"a.com": [b"3\n"]})
    assert path.read_text() == "3\n"


def test_a_folder_that_can_t_be_written_to_is_refused_at_once(tmp_path: Path, clock: Clock):
    with pytest.raises(PermissionError, match="nowhere"):
        Store(tmp_path / "nowhere", BIG, clock)


def test_what_a_full_disk_refuses_is_written_when_there_is_room(
    sites: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    store = Store(sites, BIG, clock)
    write, room = os.write, [9]

    def little_room(fd: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(fd, data[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(os, "write", little_room)
    with pytest.raises(OSError, match="No space"):
        store.write({"a.com": [b"first\n", b"second\n"], "b.com": [b"third\n"]})
    assert store.waits
    with pytest.raises(OSError, match="No space"):
        store.flush()
    room[0] = BIG
    store.flush()
    assert not store.waits
    assert everything(sites / "a.com") == ["first", "second"]
    assert everything(sites / "b.com") == ["third"]


# --- what becomes of them


def rotated(sites: Path, name: str, text: str = "line\n") -> Path:
    path = sites / "a.com" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_a_compressed_file_holds_the_same_has_the_same_time_and_mode(sites: Path):
    path = rotated(sites, "2026-03-28.001.log", "one\ntwo\n")
    path.chmod(0o640)
    os.utime(path, (NOON, NOON))
    packed = compress(path)
    assert names(sites / "a.com") == ["2026-03-28.001.log.gz"]
    assert gzip.decompress(packed.read_bytes()) == b"one\ntwo\n"
    assert (packed.stat().st_mode & 0o777, packed.stat().st_mtime) == (0o640, NOON)


def test_files_are_kept_for_so_many_days_and_no_more(sites: Path):
    for name in ("2026-03-24.001.log.gz", "2026-03-25.001.log.gz", "2026-03-27.001.log", "access.log", "notes.txt"):
        rotated(sites, name)
    done = keep(sites, keep_days=3, keep_bytes=BIG, now=NOON)
    assert [path.name for path in done.expired] == ["2026-03-24.001.log.gz"]
    assert names(sites / "a.com") == ["2026-03-25.001.log.gz", "2026-03-27.001.log.gz", "access.log", "notes.txt"]


def test_the_oldest_go_when_all_are_too_large_and_what_is_written_to_never_does(sites: Path):
    for name in ("2026-03-25.001.log.gz", "2026-03-26.001.log.gz", "2026-03-26.002.log.gz"):
        (sites / "a.com").mkdir(exist_ok=True)
        (sites / "a.com" / name).write_bytes(b"x" * 1000)
    rotated(sites, "access.log", "y" * 500)
    done = keep(sites, keep_days=30, keep_bytes=1600, now=NOON)
    assert [path.name for path in done.evicted] == ["2026-03-26.001.log.gz", "2026-03-25.001.log.gz"]
    assert names(sites / "a.com") == ["2026-03-26.002.log.gz", "access.log"]
    keep(sites, keep_days=30, keep_bytes=1, now=NOON)
    assert names(sites / "a.com") == ["access.log"]


def test_a_compression_that_was_broken_off_is_done_again(sites: Path):
    rotated(sites, "2026-03-28.001.log", "one\n")
    rotated(sites, "2026-03-28.001.log.part", "half")
    rotated(sites, "2026-03-27.001.log", "two\n")
    rotated(sites, "2026-03-27.001.log.gz", "two\n")  # its original was still there when the power went
    keep(sites, keep_days=30, keep_bytes=BIG, now=NOON)
    assert names(sites / "a.com") == ["2026-03-27.001.log.gz", "2026-03-28.001.log.gz"]
    assert gzip.decompress((sites / "a.com" / "2026-03-28.001.log.gz").read_bytes()) == b"one\n"


def test_a_disk_without_room_to_compress_still_loses_its_oldest(sites: Path, monkeypatch: pytest.MonkeyPatch):
    rotated(sites, "2026-03-27.001.log", "x" * 1000)
    rotated(sites, "2026-03-28.001.log", "x" * 1000)

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("accesslog.keeper.shutil.copyfileobj", no_room)
    with pytest.raises(OSError, match="No space"):
        keep(sites, keep_days=30, keep_bytes=1500, now=NOON)
    assert "2026-03-27.001.log" not in names(sites / "a.com")
    assert "2026-03-28.001.log" in names(sites / "a.com")


# --- all of it


def run(collector: Collector) -> tuple[threading.Thread, list[int]]:
    status: list[int] = []
    thread = threading.Thread(target=lambda: status.append(collector.run()), daemon=True)
    thread.start()
    return thread, status


def until(condition, what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def test_no_line_is_lost_in_rotations_and_restarts_under_load(pipe: Path, proxy: int, sites: Path, beat: Path):
    wanted = 60_000
    sent = threading.Event()

    def load() -> None:
        for number in range(wanted):
            line = f'@a.com a.com 2001:db8::1 - - [x] "GET /{number} HTTP/1.1" 200 0 "-" "-"\n'.encode()
            while True:
                try:
                    assert os.write(proxy, line) == len(line)
                    break
                except BlockingIOError:
                    time.sleep(0.001)  # a test can wait for room, the proxy would not
        sent.set()

    writer = threading.Thread(target=load)
    options = Options(rotate_bytes=200_000)
    collector = Collector(options, pipe=pipe, sites=sites, beat=beat)
    thread, status = run(collector)
    writer.start()
    for number in range(30):
        time.sleep(0.02)
        collector.rotate()
        if number % 5 == 4:
            collector.stop()
            thread.join(20)
            assert status == [0]
            collector = Collector(options, pipe=pipe, sites=sites, beat=beat)
            thread, status = run(collector)
    assert sent.wait(60)
    writer.join()
    collector.stop()
    thread.join(20)
    assert status == [0]
    assert len(list((sites / "a.com").glob("2*"))) >= 10
    keep(sites, keep_days=30, keep_bytes=BIG, now=time.time())
    found = [int(line.split("GET /")[1].split()[0]) for line in everything(sites / "a.com")]
    assert len(found) == wanted
    assert sorted(found) == list(range(wanted))


def test_a_collector_that_finds_no_pipe_waits_for_it_and_says_so(
    tmp_path: Path, sites: Path, beat: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "later"
    collector = Collector(Options(), pipe=path, sites=sites, beat=beat)
    thread, status = run(collector)
    until(beat.exists, "it is healthy while it waits")
    os.mkfifo(path)
    with path.open("wb", buffering=0) as proxy:
        proxy.write(b"@a.com a.com line\nProxy http stopped\n")
        until((sites / "a.com" / "access.log").exists, "the line is collected")
    collector.stop()
    thread.join(20)
    assert status == [0]
    said = capsys.readouterr().err
    assert f"waiting for {path}" in said
    assert "the proxy says: Proxy http stopped" in said


def test_a_disk_that_refuses_makes_it_unhealthy_and_keeps_the_lines_in_the_pipe(
    collector: Collector, proxy: int, beat: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    write, full = os.write, [True]

    def refusing(fd: int, data: bytes) -> int:
        if full[0] and fd != proxy:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data)

    monkeypatch.setattr("accesslog.store.os.write", refusing)
    os.write(proxy, b"@a.com a.com 1\n")
    thread, status = run(collector)
    until(lambda: "No space" in (beat.read_text() if beat.exists() else ""), "the reason is in the health file")
    os.write(proxy, b"@a.com a.com 2\n")
    full[0] = False
    until(lambda: beat.read_text() == "", "it is healthy again")
    collector.stop()
    thread.join(20)
    assert status == [0]
    assert everything(collector.sites / "a.com") == ["a.com 1", "a.com 2"]
    assert "writes to" in capsys.readouterr().err


def test_lines_that_can_t_be_saved_at_its_end_are_counted(
    collector: Collector, proxy: int, beat: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    def refusing(fd: int, data: bytes) -> int:
        raise OSError(errno.EIO, "Input/output error")

    os.write(proxy, b"@a.com a.com 1\n@a.com a.com 2\n")
    monkeypatch.setattr("accesslog.store.os.write", refusing)
    thread, status = run(collector)
    until(lambda: "Input/output" in (beat.read_text() if beat.exists() else ""), "told")
    collector.stop()
    thread.join(20)
    assert status == [1]
    assert "2 lines are lost" in capsys.readouterr().err


# --- its input, and its health


def test_options_have_defaults_and_are_read_from_the_environment():
    assert parse({}) == Options(30, 2000 * 2**20, 64 * 2**20)
    assert parse({"KEEP_DAYS": "7", "KEEP_MB": "100", "ROTATE_MB": " "}) == Options(7, 100 * 2**20, 64 * 2**20)


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "3651", "٣"])
def test_unusable_options_are_told_all_at_once(value: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(InputError) as caught:
        parse({"KEEP_DAYS": value, "ROTATE_MB": "0"})
    assert str(caught.value).splitlines()[0].startswith(f"KEEP_DAYS: {value!r} is not a whole number from 1 to 3650")
    assert "ROTATE_MB" in str(caught.value)
    assert main({"KEEP_DAYS": value}) == 2
    assert "nothing is collected" in capsys.readouterr().err


@pytest.mark.parametrize(("content", "age", "healthy"), [("", 1, True), ("disk full", 1, False), ("", 60, False)])
def test_health_is_a_fresh_round_without_a_complaint(tmp_path: Path, content: str, age: float, healthy: bool):
    beat, script = tmp_path / "beat", tmp_path / "healthy.sh"
    beat.write_text(content)
    os.utime(beat, (time.time() - age, time.time() - age))
    script.write_text((IMAGE / "healthy.sh").read_text().replace("/dev/shm/accesslog.beat", str(beat)))
    done = subprocess.run(["sh", str(script)], check=False, capture_output=True, text=True)
    assert (done.returncode == 0) == healthy, done.stdout
    assert content in done.stdout


def test_days_are_those_of_utc():
    assert day(NOON) == "2026-03-28"
