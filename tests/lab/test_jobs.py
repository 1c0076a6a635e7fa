"""What jobs promise."""

from __future__ import annotations

import json

import pytest

from tests.lab.hive import Hive


def test_a_job_stays_stopped_after_its_run(hive: Hive) -> None:
    state = hive.on_server("docker ps -a --filter label=apiary.resource=jobs.hasetup --format '{{.State}} {{.Status}}'")
    assert state.startswith("exited Exited (0)"), state


@pytest.mark.soak
def test_a_job_that_fails_or_takes_too_long_fails_the_update_with_its_output_and_runs_again(hive: Hive) -> None:
    """The one below fails and tells as well."""
    with hive.changed() as settings:
        settings["apiary:jobs"]["count"] = {
            "build_dir": "Shell",
            # Fails the first time it runs, and counts in the volume that it ran.
            "command": [
                "sh",
                "-c",
                "echo counting; date >> /count/runs; [ $(wc -l < /count/runs) -gt 1 ] || exit 7",
            ],
            "volumes": ["count:/count"],
        }
        failed = hive.up(check=False)
        assert failed.status != 0
        assert "counting" in failed.output
        assert "count: ended with status 7" in failed.output
        hive.expect_served()

        again = hive.up()
        assert again.touched() == {"count-run"}, "the image and the container are there already"
        assert runs(hive) == 2
        hive.expect_no_changes()
        assert runs(hive) == 2

        settings["apiary:jobs"]["count"]["env"] = {"changed": "yes"}
        hive.up()
        assert runs(hive) == 3

        # One that takes too long is stopped.
        settings["apiary:jobs"]["slow"] = {
            "build_dir": "Shell",
            "command": ["sleep", "600"],
            "timeout": 3,
            "grace_seconds": 1,
        }
        failed = hive.up(check=False)
        assert failed.status != 0
        assert "slow: stopped, because it ran for more than 3 seconds" in failed.output
        assert not hive.on_server("docker ps -q --filter label=apiary.resource=jobs.slow").split()
    hive.up()
    assert runs(hive) == 3, "data outlive the job that wrote them"
    hive.expect_no_changes()


def test_a_migration_that_fails_leaves_the_old_release_serving_and_one_that_ends_well_goes_before_the_new(
    hive: Hive,
) -> None:
    before = hive.container("echo")
    load = hive.load()
    with hive.changed() as settings:
        echo = settings["apiary:applications"]["echo"]
        echo["after"] = ["migrate"]
        echo["env"]["version"] = "migrated"
        migrate = settings["apiary:jobs"]["migrate"] = {
            "build_dir": "Shell",
            "command": ["sh", "-c", "echo adding a column; echo the column is there already >&2; exit 3"],
        }
        failed = hive.up(check=False)
        assert failed.status != 0
        assert "migrate: ended with status 3" in failed.output
        assert "adding a column" in failed.output
        assert "the column is there already" in failed.output
        assert hive.container("echo") == before
        assert not any(name.startswith("echo") for name in failed.touched())
        hive.expect_served()

        migrate["command"] = ["sh", "-c", "echo the column is there"]
        hive.up()
        for family in ("-6", "-4"):
            assert "migrated" in hive.get("http://echo.example.net/", family, "-H", "Accept: application/json")[1]
        ended = hive.on_server(f"docker inspect -f '{{{{.State.FinishedAt}}}}' {hive.job('migrate')}")
        began = hive.on_server(f"docker inspect -f '{{{{.State.StartedAt}}}}' {hive.container('echo')}")
        assert ended[:19] <= began[:19], "to the second"
    requests, lost = load.stop()
    assert requests > 100
    assert lost == []
    hive.up()
    hive.expect_nothing_left()
    hive.expect_no_changes()


def test_what_a_job_prints_is_not_in_the_state_in_plain_text(hive: Hive) -> None:
    state = json.loads(hive.output_of("stack", "export"))
    [run] = [one for one in state["deployment"]["resources"] if one["urn"].endswith("::hasetup-run")]
    assert "routes" not in json.dumps(run["outputs"])
    assert isinstance(run["outputs"]["stdout"], dict), "stdout is encrypted"


def runs(hive: Hive) -> int:
    return int(hive.on_server("wc -l < /var/lib/docker/volumes/count/_data/runs").strip())
