"""Which snapshots are kept: as restic keeps them, but that no date makes the true ones go."""

from __future__ import annotations

import json
import random
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from operations import pruning
from tests.unit.backups_hive import backup
from tests.unit.backups_server import Server, use_true_restic
from tests.unit.test_operations_backups import FakePulumi

from apiary_backups import keeping  # isort: skip
from apiary_backups.items import Item  # isort: skip

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
UPLOADS = "volume:uploads"
KEEP = {"daily": 7, "weekly": 5, "monthly": 12}


def shot(identity: str, time: datetime, tag: str = UPLOADS) -> dict[str, Any]:
    return {"id": identity, "time": time.isoformat(), "tags": [tag], "hostname": "web1"}


def nightly(count: int) -> list[dict[str, Any]]:
    """The newest is `true0`."""
    return [shot(f"true{age}", NOW - timedelta(days=age, hours=10)) for age in range(count)]


def kept(found: list[dict[str, Any]], keep: dict[str, int] = KEEP, **how: Any) -> list[str]:
    goes = keeping.fate(found, keep, NOW, **how).goes
    return sorted(one["id"] for one in found if one["id"] not in goes)


def test_the_last_of_each_of_so_many_days_weeks_and_months_is_kept() -> None:
    found = nightly(100)
    assert kept(found, {"daily": 3}) == ["true0", "true1", "true2"]
    found.append(shot("again", NOW))
    assert kept(found, {"daily": 1}) == ["again"]
    assert kept(found, {}) == sorted(one["id"] for one in found), "where nothing is said, nothing goes"
    with pytest.raises(ValueError, match="hourly is no period"):
        kept(found, {"hourly": 3})


def test_each_item_is_counted_by_itself_and_what_is_of_others_is_left_alone() -> None:
    found = [
        *nightly(3),
        *(shot(f"letters{age}", NOW - timedelta(days=age), "volume:letters") for age in range(3)),
        *(shot(f"mine{age}", NOW - timedelta(days=age), "my own") for age in range(3)),
        {**shot("untagged", NOW - timedelta(days=9)), "tags": None},
    ]
    assert kept(found, {"daily": 1}) == ["letters0", "mine0", "mine1", "mine2", "true0", "untagged"]


def test_what_is_dated_later_than_now_stays_and_counts_for_nothing() -> None:
    strange = [shot(f"ahead{month}", datetime(2099, month, 1, tzinfo=UTC)) for month in range(1, 13)]
    fate = keeping.fate([*nightly(10), *strange], KEEP, NOW)
    assert sorted(fate.ahead) == sorted(one["id"] for one in strange)
    assert kept([*nightly(10), *strange]) == sorted([*kept(nightly(10)), *fate.ahead])
    assert "true0" in kept([*nightly(10), *strange])


def test_what_was_saved_just_now_stays_whatever_its_date_is() -> None:
    found = [*nightly(10), shot("now", NOW - timedelta(days=2000))]
    assert "now" not in kept(found, {"daily": 3})
    assert "now" in kept(found, {"daily": 3}, spared=["now"])


def test_first_passes_go() -> None:
    old, young = (shot(f"{hours}", NOW - timedelta(hours=hours), f"draft:{UPLOADS}") for hours in (30, 3))
    ahead = shot("ahead", NOW + timedelta(days=900), f"draft:{UPLOADS}")
    assert kept([old, young, ahead]) == ["3"]
    assert kept([old, young, ahead], draft_age=timedelta(0)) == []


@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_the_true_restic_keeps(real: Server, seed: int) -> None:
    """Of dates that are no later than now."""
    chance = random.Random(seed)  # noqa: S311 - of dates
    real.restic.init()
    folder = real.volume("uploads", a="one")
    words, environment = real.restic.calls.command(), real.restic.calls.environment()
    for _ in range(12):
        age = timedelta(minutes=chance.randrange(60 * 24 * chance.choice([3, 30, 400])))
        moment = f"{datetime.now(UTC) - age:%Y-%m-%d %H:%M:%S}"
        told = ["backup", "--time", moment, "--tag", UPLOADS, "--host", "web1", "--group-by", "host,tags", str(folder)]
        subprocess.run([*words, *told], env=environment, check=True, capture_output=True)
    keep = {"daily": chance.randrange(1, 4), "weekly": chance.randrange(1, 4), "monthly": chance.randrange(1, 9)}
    found = real.restic._all()
    options = [word for period, count in keep.items() for word in (f"--keep-{period}", str(count))]
    asked = [*words, "forget", "--dry-run", "--group-by", "host,tags", *options]
    said = subprocess.run(asked, env=environment, check=True, capture_output=True).stdout
    [group] = json.loads(said)
    restics = sorted(one["id"] for one in group["remove"] or [])
    assert sorted(keeping.fate(found, keep, datetime.now(UTC)).goes) == restics


# --- on a server


def nights(hive: Server, monkeypatch: pytest.MonkeyPatch, *moments: str) -> None:
    for moment in moments:
        with monkeypatch.context() as patch:
            patch.setenv("RESTIC_CLOCK", moment)
            assert backup(hive) == 0


@pytest.mark.parametrize("nights_before", [[], ["2020-01-01T02:17:00+00:00"]])
def test_what_a_run_has_saved_is_there_after_it_whatever_the_clock_was(
    hive: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], nights_before: list[str]
) -> None:
    hive.told["keep"] = {"daily": 3}
    nights(hive, monkeypatch, *nights_before, *(f"2099-01-0{day}T02:17:00+00:00" for day in (1, 2, 3)))
    (hive.place / "volumes/uploads/_data/a").write_text("tonight")
    assert backup(hive) == 0
    newest = hive.restic.newest()[Item.volume("uploads")]
    assert newest.bytes == len("tonight")
    assert f"{newest.time:%Y}" != "2099"
    assert "15 snapshots are dated later than now" in capsys.readouterr().out
    assert backup(hive) == 0
    times = [f"{one.time:%Y}" for one in hive.restic.snapshots(Item.volume("uploads"))]
    assert times.count("2099") == 3
    assert len(times) == 5, "and of the others the newest of a day, and the oldest"


def test_what_a_run_of_the_past_has_saved_is_there_after_it(hive: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a clock that begins at its first day after a power cut."""
    hive.told["keep"] = {"daily": 1}
    assert backup(hive) == 0
    (hive.place / "volumes/uploads/_data/a").write_text("by the wrong clock")
    nights(hive, monkeypatch, "2020-01-01T02:17:00+00:00")
    found = hive.restic.snapshots(Item.volume("uploads"))
    assert len("by the wrong clock") in [one.bytes for one in found]
    assert len(found) == 2


def test_who_may_only_add_removes_and_changes_nothing_but_locks(hive: Server, restic: Path) -> None:
    """As docs/backups.md says of what its key needs."""
    use_true_restic(hive, restic)
    hive.told |= {"append_only": True, "keep": {"daily": 1}}
    hive.told["volumes"]["letters"] = {"stop": ["shop"]}
    place = hive.place / "repository"
    before: dict[Path, bytes] = {}
    for text in ("one", "two"):
        (hive.place / "volumes/uploads/_data/a").write_text(text)
        assert backup(hive) == 0
        files = {one: one.read_bytes() for one in place.rglob("*") if one.is_file() and one.parent.name != "locks"}
        assert before.items() <= files.items()
        before = files
    assert [one["tags"] for one in hive.restic._all()].count(["draft:volume:letters"]) == 2


# --- on the operator's machine


@pytest.fixture
def hacked(real: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Ten nights were saved, and pruned from here."""
    real.told["repository"] = str(tmp_path / "hive" / "web1")
    real.restic.init()
    real.volume("uploads", a="one")
    for age in range(10):
        added(real, datetime.now(UTC) - timedelta(days=age))
    monkeypatch.setenv("PRUNE_REPOSITORY", str(tmp_path / "hive"))
    return real


def added(server: Server, moment: datetime, tag: str = UPLOADS) -> None:
    command = server.restic.calls.command("backup", "--time", f"{moment:%Y-%m-%d %H:%M:%S}", "--tag", tag)
    folder = str(server.place / "volumes" / "uploads" / "_data")
    subprocess.run(
        [*command, "--host", "web1", folder], env=server.restic.calls.environment(), check=True, capture_output=True
    )


def pruned(server: Server) -> int:
    pulumi = FakePulumi(server.place, [])
    told = {"repository": "rest:https://h/p", "append_only": True}
    return pruning.prune(pulumi, told, "correct horse", ["web1"])  # type: ignore[arg-type]


def ids(server: Server) -> set[str]:
    return {one["id"] for one in server.restic._all()}


def test_the_operators_prune_lets_no_date_displace_what_was_saved(
    hacked: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    assert pruned(hacked) == 0
    true = ids(hacked)
    assert len(true) >= 7
    for month in range(1, 13):
        added(hacked, datetime(2099, month, 1, 12, tzinfo=UTC))
    for age in range(2, 40, 3):
        added(hacked, (datetime.now(UTC) - timedelta(days=age)).replace(hour=23, minute=59, second=59))
    capfd.readouterr()
    assert pruned(hacked) == 0
    assert true <= ids(hacked)
    said = capfd.readouterr().out
    assert "12 snapshots are dated later than now" in said
    assert "13 snapshots are dated before the last prune, and were not there then" in said
    assert pruned(hacked) == 0
    assert true <= ids(hacked), "what was strange has become known"


def test_where_it_was_never_pruned_from_here_all_of_the_last_days_stays(hacked: Server) -> None:
    true = ids(hacked)
    young = {one.id for one in hacked.restic.snapshots() if one.time > datetime.now(UTC) - timedelta(days=6, hours=23)}
    assert len(young) == 7
    for age in range(10):
        added(hacked, (datetime.now(UTC) - timedelta(days=age)).replace(hour=0, minute=0, second=1))
        added(hacked, (datetime.now(UTC) - timedelta(days=age + 1)).replace(hour=23, minute=59, second=59))
    assert pruned(hacked) == 0
    assert young <= ids(hacked)
    assert not true <= ids(hacked), "what is older is thinned by its dates"


def test_the_operators_prune_drops_first_passes_of_runs_that_are_over(hacked: Server) -> None:
    for age in (0, 2, 3):
        added(hacked, datetime.now(UTC) - timedelta(days=age), f"draft:{UPLOADS}")
    assert pruned(hacked) == 0
    assert [one["tags"] for one in hacked.restic._all()].count([f"draft:{UPLOADS}"]) == 1


def test_what_the_last_prune_has_seen_is_said_where_it_cant_be_read(
    hacked: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    (hacked.place / pruning.FILE).write_text("{")
    before = ids(hacked)
    assert pruned(hacked) == 1
    assert ids(hacked) == before
    assert "pruned.json can't be read" in capsys.readouterr().out
