"""A scheduler in the stack file: what can't run at the times that are written is refused before anything is touched."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import settings
from tests.unit.test_settings import good

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "JobScheduler"))

from jobscheduler import table

SCHEDULER = {"build_dir": "JobScheduler", "env": {"run_setup": "+hasetup", "when_setup": "30 4 * * *"}}


def problems(env: dict[str, object] | None = None, **more: object) -> dict[str, str]:
    """What is said of a stack with this scheduler, by path."""
    raw = good()
    raw["applications"]["scheduler"] = {**SCHEDULER, "env": SCHEDULER["env"] if env is None else env, **more}
    try:
        settings.load(raw, name="test")
    except settings.SettingsError as error:
        return {problem.path.removeprefix("applications.scheduler."): problem.message for problem in error.problems}
    return {}


def test_a_scheduler_that_is_right_is_taken():
    env = {**SCHEDULER["env"], "run_b": "+hasetup", "when_b": "@daily", "timezone": "Europe/Berlin", "catch_up": False}
    assert problems(env) == {}


RIGHT = SCHEDULER["env"]
CASES = [
    (
        {"run_setup": "+hasetup", "when_setup": "61 * * * *"},
        "env.when_setup",
        'minute "61": "61" is not a value; write 0 to 59',
    ),
    ({"run_setup": "+hasetup", "when_setup": "* * * *"}, "env.when_setup", '"* * * *" has 4 fields; write five'),
    ({"run_setup": "+hasetup", "when_setup": "0 0 30 2 *"}, "env.when_setup", '"0 0 30 2 *" never comes'),
    ({"run_setup": "+hasetup", "when_setup": 5}, "env.when_setup", "must be a time as in crontab, not a whole number"),
    (
        {"run_setup": "+hasetup", "when_setup": ["* * * * *"]},
        "env.when_setup",
        "must be a time as in crontab, not a list",
    ),
    (
        {"run_setup": "+hasetup"},
        "env.run_setup",
        'says what to run, but nothing says when; write when_setup: "30 4 * * *" (04:30 every day)',
    ),
    ({**RIGHT, "when_b": "@daily"}, "env.when_b", "says when, but nothing says what to run; write run_b: +job"),
    (
        {"run_setup": "+hasetup", "when_setop": "@daily"},
        "env.run_setup",
        "says what to run, but nothing says when; is when_setop meant? The names after run_ and when_ must be the same",
    ),
    (
        {"run_setup": "hasetup", "when_setup": "@daily"},
        "env.run_setup",
        'a scheduler runs jobs; write run_setup: "+hasetup"',
    ),
    ({"run_setup": "$haproxy", "when_setup": "@daily"}, "env.run_setup", "a scheduler runs jobs; write"),
    (
        {"run_setup": "+hasetop", "when_setup": "@daily"},
        "env.run_setup",
        '"+hasetop" is not a job; did you mean "+hasetup"?',
    ),
    ({}, "env", "a scheduler needs something to run; write e.g. run_logs: +logs and when_logs:"),
    ({**RIGHT, "timezone": "Europe/Berln"}, "env.timezone", '"Europe/Berln" is not a time zone; did you mean'),
    ({**RIGHT, "timezone": 2}, "env.timezone", '"2" is not a time zone'),
    ({**RIGHT, "catch_up": "maybe"}, "env.catch_up", '"maybe" is neither true nor false'),
]


@pytest.mark.parametrize(("env", "path", "message"), CASES)
def test_a_mistake_is_named_with_its_place_and_a_remedy(env, path, message):
    found = problems(env)
    assert path in found, found
    assert found[path].startswith(message)


def test_a_scheduler_of_another_image_is_held_to_its_times_too():
    env = {"run_setup": "+hasetup", "when_setup": "never"}
    assert "has 1 fields" in problems(env, build_dir="Echo")["env.when_setup"]


def test_what_only_looks_like_a_time_elsewhere_is_left_alone():
    assert problems({"run_mode": "fast", "when_full": "stop", "run_setup": "+hasetup"}, build_dir="Echo") == {}


@pytest.mark.parametrize(
    "more",
    [
        {"volumes": ["xy:/run/apiary"]},
        {"volumes": ["xy:/run/apiary/y"]},
        {"volumes": ["xy:/run"]},
        {"tmpfs": {"/run": ""}},
    ],
)
def test_nothing_lies_over_the_place_of_the_socket(more):
    [(path, message)] = problems(**more).items()
    assert path.startswith(("volumes[0]", "tmpfs"))
    assert message == "/run/apiary is where it finds its access to hasetup; mount something else here"


def test_the_container_understands_what_is_accepted_here():
    """The same names in upper case, references resolved."""
    raw = good()
    raw["applications"]["scheduler"] = {**SCHEDULER, "env": {**RIGHT, "timezone": "Europe/Berlin", "catch_up": False}}
    application = settings.load(raw, name="test").applications["scheduler"]
    environment = {key: settings.references.spell(value) for key, value in application.variables.items()}
    read = table.read({**environment, "RUN_SETUP": "hasetup"})
    assert [(entry.name, entry.job, entry.when) for entry in read.entries] == [
        ("setup", "hasetup", "30 4 * * * Europe/Berlin")
    ]
    assert read.catch_up is False


def test_both_sides_read_times_by_the_same_code():
    ours = Path(settings.crontab.__file__)
    assert ours.read_bytes() == Path(table.__file__).with_name("crontab.py").read_bytes()
