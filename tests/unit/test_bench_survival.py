"""What a visitor has lost, and for how long he was not served, by his rows alone."""

from __future__ import annotations

import pytest

from bench.survival import Cell, Row, outcome


def written(*moments: float) -> list[Row]:
    return [Row(f"at {at}", at) for at in moments]


def test_nothing_is_lost_where_every_row_is_there_and_the_longest_silence_counts() -> None:
    rows = written(1.0, 2.0, 3.0, 4.5, 30.0, 31.0)
    assert outcome(rows, {row.text for row in rows}, 2.5) == Cell(0.0, 25.5)


def test_what_came_after_the_last_backup_is_lost_in_seconds_of_writes() -> None:
    rows = written(1.0, 2.0, 3.0, 4.0, 60.0, 61.0)
    assert outcome(rows, {"at 1.0", "at 2.0", "at 60.0", "at 61.0"}, 4.1) == Cell(2.0, pytest.approx(55.9))


def test_rows_that_were_confirmed_before_it_went_away_count_too() -> None:
    """As while an update still prepares what will stop the server."""
    rows = written(1.0, 2.0, 5.0, 40.0)
    assert outcome(rows, {"at 1.0", "at 2.0", "at 40.0"}, 3.0).lost == 3.0


def test_all_is_lost_where_no_row_of_before_is_there() -> None:
    rows = written(1.0, 2.0, 9.0)
    found = outcome(rows, {"at 9.0"}, 2.5)
    assert found == Cell(None, 6.5)
    assert str(found) == "all; 6 s"


def test_a_visitor_who_was_always_served_says_so() -> None:
    rows = written(1.0, 1.1, 1.2, 1.3)
    assert str(outcome(rows, {row.text for row in rows}, 1.15)) == "nothing; not away"


@pytest.mark.parametrize(("begun", "moments"), [(0.5, (1.0, 2.0)), (3.0, (1.0, 2.0))])
def test_without_a_row_on_either_side_nothing_is_claimed(begun: float, moments: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="nothing was confirmed"):
        outcome(written(*moments), set(), begun)
