"""Health: when a service is well, and what the proxy asks it for."""

from __future__ import annotations

import math
import re

from operations.coming import hosts
from operations.coming.errors import mapping, texts
from operations.coming.told import Outcome
from operations.compose import databases, forms, hidden
from operations.compose.databases import Server
from operations.compose.limits import whole
from operations.compose.scene import One

_ASKED = re.compile(
    r"(?:https?://)?\b(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])(?::(\d{1,5}))?(/[A-Za-z0-9/._~-]*)?"
)
# Programs that ask a server as somebody; pg_isready and a ping are answered without.
_LOGS_IN = re.compile(r"(?<![\w-])(?:psql|(?:mysql|mariadb)(?![\w-])|(?:mysql|mariadb-)admin(?!.*\bping\b))", re.DOTALL)
_MOST_RETRIES = 100
_PLENTY = 60  # seconds, what a release has where nothing is said


def healthcheck(one: One, value: object) -> None:
    """Docker's health command, and by it the path that the proxy asks for."""
    if one.is_job:
        one.told.needless(one.at("healthcheck"), "a job ends; its exit status says how it went")
        return
    check = mapping(value, "{test: [CMD, pg_isready]}")
    test = _test(check)
    one.client.linked |= set(hosts.words(test, one.client.others)[1].values())
    hidden.learn(one, test)
    if one.database is not None and one.database.is_betrayed(" ".join(test)):
        one.told.differs(one.at("healthcheck"), "the image's own, since a password would stand in this one")
        return
    if one.database is not None and (gone := _gone(one.database, " ".join(test))):
        one.told.differs(one.at("healthcheck"), f"the image's own, since this one asks by {gone}, which is gone")
        return
    health: dict[str, object] = {}
    if test:
        health["test"] = test
    if test != ["NONE"]:
        health |= _times(one, check, has_test=bool(test))
        _path(one, test or [], health)
    if health:
        one.entry.put("health", health, one.at("healthcheck"))
    for key in check:
        _check_told(one, key, check[key], health)


def _gone(server: Server, text: str) -> str:
    """What a text goes by that the server does not have here: a variable of its first role or database, or these
    themselves where it logs in as one, since the job that makes them waits until the server is healthy.
    """
    named = re.findall(r"\$\{?([A-Z_]+)", text)
    first = next((name for name in named if databases.is_first(server, name) and name != server.admin_variable), "")
    read = set(re.findall(r"/run/secrets/([\w.-]+)", text))
    if (first := first or next(iter(sorted(read & server.secrets)), "")) or not _LOGS_IN.search(text):
        return first
    words = {re.sub(r"^-[uUd](?=\w)", "", word) for word in re.findall(r"[\w.-]+", text)}
    return next((name for name in (server.user, server.database) if name in words - databases.ALWAYS_THERE), "")


_SAID = {
    "timeout": (Outcome.DIFFERS, "5s for all; health.timeout is another thing, the time that a release has"),
    "start_interval": (Outcome.NEEDLESS, "a release asks at its own pace"),
}


def _check_told(one: One, key: str, value: object, health: dict[str, object]) -> None:
    at = one.at("healthcheck", key)
    if key in _SAID:
        one.told.say(at, *_SAID[key])
    elif key == "retries" and value != health.get("retries", value):
        one.told.differs(at, f"health.retries: {_MOST_RETRIES}, the most")
    elif key == "disable":
        one.told.say(
            at, *((Outcome.BECOMES, "health: {test: [NONE]}") if value else (Outcome.NEEDLESS, "it is so anyway"))
        )
    elif key in ("test", "interval", "retries", "start_period"):
        one.told.becomes(at, f"health.{key}")
    else:
        one.told.cannot(at, "it is no key of Compose; correct it, or take it out")


def _test(check: dict[str, object]) -> list[str]:
    if check.get("disable") is True:
        return ["NONE"]
    test = check.get("test")
    if test is None:
        return []
    if isinstance(test, str):
        return ["CMD-SHELL", test] if test.strip() else []
    words = texts(test, "[CMD, pg_isready]")
    return words if words != [] else []


def _times(one: One, check: dict[str, object], *, has_test: bool) -> dict[str, object]:
    if not has_test:
        if set(check) & {"interval", "retries", "start_period"}:
            one.told.needless(one.at("healthcheck"), "the image's own test keeps its own times")
        return {}
    made: dict[str, object] = {}
    interval = forms.seconds(check.get("interval", "30s"))
    retries = min(whole(check.get("retries", 3)), _MOST_RETRIES)
    begin = forms.seconds(check.get("start_period", "0s"))
    for key in ("interval", "start_period"):
        if key in check:
            made[key] = forms.duration(check[key])
    if "retries" in check:
        made["retries"] = retries
    patience = math.ceil(begin + interval * retries)
    if patience > _PLENTY:
        made["timeout"] = min(patience, 3600)
    return made


def _path(one: One, test: list[str], health: dict[str, object]) -> None:
    """Have the proxy ask for the path that the test asks for, where it is that of the site."""
    env = one.entry.settings.get("env")
    site = env.get("http_port") if isinstance(env, dict) else None
    match = _ASKED.search(" ".join(test))
    if site is not None and match and (match[2] or "/") != "/" and int(match[1] or 80) == site:
        health["path"] = match[2]
