"""Checks of schedulers: what they run and when, and the place where an application finds its access to Docker.

A scheduler is an application built from images/JobScheduler, or any other whose `env` has `run_x: +job` and
`when_x` side by side. In one of images/JobScheduler every `run_x` has to be such a pair.
"""

from settings import texts
from settings.crontab import CrontabError, Schedule
from settings.draft import Draft
from settings.errors import Key, closest, kind_of, show
from settings.models import Application
from settings.order import SOCKET_FOLDER, jobs_named
from settings.references import JobRef, Literal, ReferenceSyntaxError, parse

IMAGE = "JobScheduler"
_RUN, _WHEN = "run_", "when_"
_EXAMPLE = '"30 4 * * *" (04:30 every day)'


def check(draft: Draft) -> None:
    """Report times that can't be read, and what has no time or no job."""
    for name, application in draft.stack.applications.items():
        if _is_scheduler(application):
            _pairs(draft, name, application)
            _zone(draft, name, application)
            _catch_up(draft, name, application)
        _mounts(draft, name, application)


def _is_scheduler(application: Application) -> bool:
    pairs = (key.removeprefix(_RUN) for key in application.env if key.startswith(_RUN))
    return application.build_dir == IMAGE or any(
        _job(application, one) and f"{_WHEN}{one}" in application.env for one in pairs
    )


def _job(application: Application, one: str) -> str | None:
    """The job that `run_ONE` refers to."""
    try:
        reference = parse(application.env[f"{_RUN}{one}"])
    except ReferenceSyntaxError:
        return None
    return reference.name if isinstance(reference, JobRef) else None


def _pairs(draft: Draft, name: str, application: Application) -> None:
    at, env = ("applications", name, "env"), application.env
    runs = {key.removeprefix(_RUN) for key in env if key.startswith(_RUN)}
    whens = {key.removeprefix(_WHEN) for key in env if key.startswith(_WHEN)}
    ours = application.build_dir == IMAGE
    if ours and not runs and not whens and draft.whole(*at):
        draft.report(f"a scheduler needs something to run; write e.g. run_logs: +logs and when_logs: {_EXAMPLE}", *at)
    for one in sorted(runs):
        if ours and _job(application, one) is None:
            _no_job(draft, application, one, (*at, f"{_RUN}{one}"))
        if one in whens:
            _time(draft, env[f"{_WHEN}{one}"], (*at, f"{_WHEN}{one}"))
        elif ours and draft.whole(*at, f"{_WHEN}{one}"):
            remedy = _remedy(_WHEN, one, whens - runs)
            draft.report(f"says what to run, but nothing says when; {remedy}", *at, f"{_RUN}{one}")
    for one in sorted(whens - runs):
        if ours and draft.whole(*at, f"{_RUN}{one}"):
            remedy = _remedy(_RUN, one, runs - whens)
            draft.report(f"says when, but nothing says what to run; {remedy}", *at, f"{_WHEN}{one}")


def _remedy(prefix: str, one: str, lonely: set[str]) -> str:
    """What to write beside a lonely key; another lonely one may be meant."""
    if near := closest(one, lonely):
        return f"is {prefix}{near} meant? The names after run_ and when_ must be the same"
    return f"write {prefix}{one}: " + (_EXAMPLE if prefix == _WHEN else "+job")


def _no_job(draft: Draft, application: Application, one: str, at: tuple[str, ...]) -> None:
    try:
        reference = parse(application.env[at[-1]])
    except ReferenceSyntaxError:
        return  # reported where references are checked
    near = closest(reference.text, draft.names["jobs"]) if isinstance(reference, Literal) else None
    draft.report(f'a scheduler runs jobs; write {at[-1]}: "+{near or one}"', *at)


def _time(draft: Draft, value: object, at: tuple[str, ...]) -> None:
    if not isinstance(value, str):
        draft.report(f"must be a time as in crontab, not {kind_of(value)}; write e.g. {_EXAMPLE}", *at)
        return
    try:
        Schedule.parse(value)
    except CrontabError as error:
        draft.report(str(error), *at)


def _zone(draft: Draft, name: str, application: Application) -> None:
    value, at = application.env.get("timezone", "UTC"), ("applications", name, "env", "timezone")
    try:
        texts.timezone(value if isinstance(value, str) else str(value))
    except ValueError as error:
        draft.report(str(error), *at)


def _catch_up(draft: Draft, name: str, application: Application) -> None:
    value = application.env.get("catch_up", True)
    if not isinstance(value, bool) and value not in ("true", "false"):
        draft.report(f"{show(value)} is neither true nor false", "applications", name, "env", "catch_up")


def _mounts(draft: Draft, name: str, application: Application) -> None:
    try:
        named = jobs_named(application)
    except ReferenceSyntaxError:
        return
    if not named:
        return
    places: list[tuple[str, Key]] = [(mount.path, index) for index, mount in enumerate(application.mounts)]
    places += [(path, path) for path in application.tmpfs]
    for path, key in places:
        if f"{path}/".startswith(f"{SOCKET_FOLDER}/") or f"{SOCKET_FOLDER}/".startswith(f"{path}/"):
            message = f"{SOCKET_FOLDER} is where it finds its access to {', '.join(named)}; mount something else here"
            draft.report(message, "applications", name, "volumes" if isinstance(key, int) else "tmpfs", key)
