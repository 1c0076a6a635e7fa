"""`make soak` runs all of its parts, whatever becomes of any, tells of each, and goes on where it was."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.soak import __main__ as soak

GOOD = "import pytest\n@pytest.mark.soak\ndef test_one(): pass\n"
BAD = "import pytest\n@pytest.mark.soak\ndef test_two(): assert False\n@pytest.mark.soak\ndef test_three(): pass\n"
DEAD = "import os\nimport pytest\n@pytest.mark.soak\ndef test_four(): os._exit(9)\n"
TORN = (
    "import pytest\n@pytest.fixture\ndef torn():\n    yield\n    assert False\n"
    "@pytest.mark.soak\ndef test_five(torn): pass\n"
)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file a part, instead of the true ones."""
    for name, text in {"good": GOOD, "bad": BAD, "dead": DEAD, "torn": TORN}.items():
        (tmp_path / f"test_{name}.py").write_text(text)
    everything = {name: [str(tmp_path / f"test_{name}.py")] for name in ("bad", "dead", "torn", "good")}
    monkeypatch.setattr(soak, "chosen", lambda words: {part: everything[part] for part in words or everything})
    monkeypatch.setattr(soak, "REPORTS", tmp_path / "reports")
    monkeypatch.setattr(soak, "revision", lambda: "one")
    monkeypatch.setattr(soak, "clear", lambda: None)
    alone = (sys.executable, "-m", "pytest", "-m", "soak", "-p", "no:cacheprovider", "-p", "no:xdist")
    monkeypatch.setattr(soak.run, "__defaults__", (alone,))
    return tmp_path


def test_all_parts_are_run_and_told_whatever_becomes_of_any(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert soak.main([]) == 1
    said = capfd.readouterr().out
    told = {line.split()[-1]: line.split()[0] for line in said.splitlines() if " s  " in line}
    assert {part: told[part] for part in ("good", "bad", "dead", "torn")} == {
        "good": "passed", "bad": "FAILED", "dead": "FAILED", "torn": "FAILED",
    }  # fmt: skip
    tests = {name.rpartition("::")[2]: outcome for name, outcome in told.items()}
    assert {name: tests[name] for name in ("test_one", "test_two", "test_three", "test_five")} == {
        "test_one": "passed", "test_two": "failed", "test_three": "passed", "test_five": "failed",
    }  # fmt: skip
    assert "no test has ended (status 9)" in said
    assert "1 of 4 parts passed" in said
    assert "again: make soak ONLY='bad dead torn'" in said


def test_it_goes_on_with_what_has_not_passed_in_this_checkout(
    files: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def ran() -> list[str]:
        return [line.split()[2].rstrip(",") for line in capfd.readouterr().out.splitlines() if ", of " in line]

    assert soak.main(["good", "bad"]) == 1
    assert ran() == ["good", "bad"]
    (files / "test_bad.py").write_text(GOOD)
    assert soak.main(["--resume", "good", "bad"]) == 0
    assert ran() == ["bad"]
    assert soak.main(["--resume", "good", "bad"]) == 0
    assert ran() == []
    assert soak.main(["good"]) == 0
    assert ran() == ["good"], "without the word all are run"
    monkeypatch.setattr(soak, "revision", lambda: "another")
    assert soak.main(["--resume", "good", "bad"]) == 0
    assert ran() == ["good", "bad"]


def test_an_interrupted_run_says_what_is_left(
    files: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = soak.run

    def interrupted(part: str, *rest: object) -> soak.Report:
        if part == "torn":
            raise KeyboardInterrupt
        return run(part, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(soak, "run", interrupted)
    assert soak.main(["good", "torn", "bad"]) == 1
    said = capfd.readouterr().out
    assert "1 of 3 parts passed" in said
    assert [line.split()[-1] for line in said.splitlines() if line.startswith("not run")] == ["torn", "bad"]
    assert "go on: make soak RESUME=1" in said


def test_a_file_is_limited_to_its_tests_of_its_hive() -> None:
    found = soak.chosen(["tests/lab/test_moves.py"])
    assert list(found) == ["moves"]
    assert all(test.startswith("tests/lab/test_moves.py::") for test in found["moves"])


def test_what_is_none_of_it_is_told() -> None:
    with pytest.raises(SystemExit, match="no soak test in tests/lab/test_up"):
        soak.chosen(["tests/lab/test_up.py"])
