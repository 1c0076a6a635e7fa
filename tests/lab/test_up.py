"""What holds after an update, whatever it was."""

from __future__ import annotations

from tests.lab.hive import Hive


def test_a_second_update_changes_nothing(hive: Hive) -> None:
    hive.expect_no_changes()


def test_the_playbook_s_second_run_changes_nothing(hive: Hive) -> None:
    hive.expect_bootstrapped()


def test_no_secret_is_in_the_state_in_plain_text(hive: Hive) -> None:
    exported = hive.output_of("stack", "export")
    assert "PRIVATE KEY" not in exported
    key = (hive.program / ".apiary" / "lab" / "id_ed25519").read_text().splitlines()[2]
    assert key not in exported
    assert (hive.program / ".apiary" / "lab" / "id_ed25519").stat().st_mode & 0o077 == 0
