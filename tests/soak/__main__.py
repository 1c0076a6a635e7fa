"""`make soak`: what `make test` leaves out, part by part, with a summary at the end whatever becomes of any part.

A part is what one process of pytest runs: the tests of a hive of tests/lab, of one state of tests/engine, or of a file.
Each leaves its report in .lab/soak, so that a run that was broken off goes on where it was (--resume), for as long as
the checkout stays as it is. Ends with status 0 when all of it has passed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from lab import cli
from lab.paths import CHECKOUT, Paths
from tests.conftest import part_of

SECONDS = 5 * 3600  # of one part; each of its tests has a limit of its own, which is less
REPORTS = CHECKOUT / ".lab" / "soak"
PYTEST = (sys.executable, "-m", "pytest", "-m", "soak")
NO_TESTS = 5  # pytest's status


@dataclass(frozen=True)
class Test:
    name: str
    outcome: str  # passed, failed, skipped
    seconds: float


@dataclass
class Report:
    """What became of a part."""

    part: str
    revision: str  # of the checkout
    status: int  # pytest's
    seconds: float
    tests: list[Test] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return self.status == 0 and bool(self.tests)


def parts(tests: Iterable[str]) -> dict[str, list[str]]:
    """The tests' ids by the part that each belongs to."""
    found: dict[str, list[str]] = {}
    for test in tests:
        found.setdefault(part_of(test), []).append(test)
    return found


def chosen(words: Sequence[str]) -> dict[str, list[str]]:
    """The parts that `words` name, by themselves or by what pytest takes for a test; all of them without a word.

    SystemExit, with what pytest says, when a file can't be read or a word names nothing.
    """
    files = [word for word in words if "/" in word]
    found = parts(_collected(files)) if files else {}
    if len(files) < len(words) or not words:
        everything = parts(_collected(["tests"]))
        unknown = [word for word in words if word not in files and word not in everything]
        if unknown:
            raise SystemExit(f"there is no part {unknown[0]}; there are {', '.join(everything)}")
        found |= {part: tests for part, tests in everything.items() if part in words or not words}
    return found


def _collected(words: Sequence[str]) -> list[str]:
    plain = {**os.environ, "PYTEST_ADDOPTS": ""}  # with more words about them tests are a tree
    done = subprocess.run(
        [*PYTEST, "--collect-only", *words], cwd=CHECKOUT, env=plain, capture_output=True, text=True, check=False
    )
    if done.returncode:
        none = f"there is no soak test in {' '.join(words)}" if done.returncode == NO_TESTS else ""
        raise SystemExit(none or done.stdout + done.stderr)
    return [line for line in done.stdout.splitlines() if line.startswith("tests/") and "::" in line]


def revision() -> str:
    """Names the checkout as it is, changes that are not committed included."""
    git = ["git", "-C", str(CHECKOUT)]
    head, changes, new = (
        subprocess.run([*git, *words], capture_output=True, check=False).stdout
        for words in (["rev-parse", "HEAD"], ["diff", "HEAD"], ["ls-files", "--others", "--exclude-standard"])
    )
    return hashlib.sha256(head + changes + new).hexdigest()[:16]


def run(part: str, tests: Sequence[str], reports: Path, command: Sequence[str] = PYTEST) -> Report:
    """One part, to its end; what it prints is printed."""
    reports.mkdir(parents=True, exist_ok=True)
    page = reports / f"{part}.xml"
    page.unlink(missing_ok=True)
    begun = time.monotonic()
    # In a session of its own: what interrupts this program is passed on once, and what it made is taken down in peace.
    words = [*command, "-s", "--junitxml", str(page), *tests]
    process = subprocess.Popen(words, cwd=CHECKOUT, start_new_session=True)
    try:
        status = process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        print(f"==> soak: {part} did not end within {SECONDS} s", flush=True)
        status = _ended(process)
    except KeyboardInterrupt:
        _ended(process)
        raise
    report = Report(part, revision(), status, time.monotonic() - begun, read(page))
    (reports / f"{part}.json").write_text(json.dumps(asdict(report)))
    return report


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Its status, when it has been asked to take down what it made, and been killed if it does not."""
    process.send_signal(signal.SIGINT)
    try:
        return process.wait(600)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def read(page: Path) -> list[Test]:
    """What pytest has written of each test; nothing when it did not come so far."""
    if not page.exists():
        return []
    found: dict[str, Test] = {}
    for case in ElementTree.parse(page).iter("testcase"):  # noqa: S314 - pytest's own
        name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        outcome = "passed"
        for word, kind in (("skipped", "skipped"), ("failure", "failed"), ("error", "failed")):
            outcome = kind if case.find(word) is not None else outcome
        before = found.get(name)  # an error of its end is a second entry
        seconds = float(case.get("time", 0)) + (before.seconds if before else 0)
        found[name] = Test(name, "failed" if before and before.outcome == "failed" else outcome, seconds)
    return list(found.values())


def kept(part: str, reports: Path) -> Report | None:
    """The report of the part's last run."""
    try:
        told = json.loads((reports / f"{part}.json").read_text())
    except OSError:
        return None
    return Report(**{**told, "tests": [Test(**one) for one in told["tests"]]})


def summary(done: Sequence[Report], left: Sequence[str]) -> str:
    """What passed, what failed, what was not run, with the seconds that each took."""
    lines = []
    for report in done:
        lines.append(f"{'passed' if report.passed else 'FAILED'} {report.seconds:7.0f} s  {report.part}")
        lines += [f"  {one.outcome} {one.seconds:7.0f} s  {one.name}" for one in report.tests]
        if not report.tests:
            lines.append(f"  no test has ended (status {report.status})")
    lines += [f"not run           {part}" for part in left]
    failed = [report.part for report in done if not report.passed]
    lines.append(f"==> soak: {len(done) - len(failed)} of {len(done) + len(left)} parts passed")
    if failed:
        lines.append(f"again: make soak ONLY='{' '.join(failed)}'".replace("'" if len(failed) == 1 else "", ""))
    if left:
        lines.append("go on: make soak RESUME=1")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("only", nargs="*", help="a part, a file, a folder or a test's id")
    parser.add_argument("--resume", action="store_true", help="leave out what has passed in this checkout as it is")
    parser.add_argument("--list", action="store_true", help="print the parts as JSON, and run nothing")
    told = parser.parse_args(words)
    wanted = chosen(told.only)
    if told.list:
        print(json.dumps(list(wanted)))
        return 0
    reports, now = [kept(part, REPORTS) for part in wanted], revision()
    done = [one for one in reports if told.resume and one and one.passed and one.revision == now]
    left = [part for part in wanted if part not in {report.part for report in done}]
    try:
        while left:
            print(f"==> soak: {left[0]}, of {len(left)} parts", flush=True)
            done.append(run(left[0], wanted[left[0]], REPORTS))
            left.pop(0)
            clear()
    except KeyboardInterrupt:
        clear()
    print(summary(done, left), flush=True)
    return 0 if not left and all(report.passed for report in done) else 1


def clear() -> None:
    """Take down what a part that was killed has left of its regions."""
    for region in sorted((CHECKOUT / ".lab").glob("test-*/run")):
        cli.down(Paths.find(region.parent), everything=False)


if __name__ == "__main__":
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.default_int_handler)
    sys.exit(main())
