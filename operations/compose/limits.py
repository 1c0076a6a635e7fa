"""Limits, restarts, health and order: what a service may use, when it is well, what comes first."""

from __future__ import annotations

import math
import re

from operations.coming.errors import Wrong, mapping, show, text, texts
from operations.coming.told import Outcome
from operations.compose import forms, sites
from operations.compose.scene import One

_ASKED = re.compile(
    r"(?:https?://)?\b(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])(?::(\d{1,5}))?(/[A-Za-z0-9/._~-]*)?"
)
_MOST_RETRIES = 100
_PLENTY = 60  # seconds, what a release has where nothing is said


def memory(one: One, value: object) -> None:
    """`mem_limit`, and the one below deploy."""
    _memory(one, value, one.at("mem_limit"))


def _memory(one: One, value: object, at: tuple[str | int, ...], word: str = "memory") -> None:
    if value in (0, "0", -1, "-1"):
        one.told.needless(at, "no limit is what there is anyway")
        return
    spelt, is_more = forms.mebibytes(value)
    one.entry.put(word, spelt, at)
    if is_more:
        one.told.differs(at, f"{word}: {spelt}, a whole number of MiB")
    else:
        one.told.becomes(at, f"{word}: {spelt}")


def shm_size(one: One, value: object) -> None:
    """The size of /dev/shm."""
    _memory(one, value, one.at("shm_size"), "shm_size")


def cpus(one: One, value: object) -> None:
    """`cpus`, and the one below deploy."""
    _cpus(one, value, one.at("cpus"))


def _cpus(one: One, value: object, at: tuple[str | int, ...]) -> None:
    if str(value) in ("0", "0.0"):
        one.told.needless(at, "no limit is what there is anyway")
        return
    one.entry.put("cpus", text(value, '"0.5"'), at)
    one.told.becomes(at, f"cpus: {text(value, '0.5')}")


def cpu_quota(one: One, value: object) -> None:
    """A share of processors as quota and period, in microseconds."""
    period, quota = _microseconds(one.data.get("cpu_period", 100_000)), _microseconds(value)
    if not period > 0 or not quota > 0 or "cpus" in one.data:
        one.told.needless(one.at("cpu_quota"), "no limit, or that of cpus")
        return
    _cpus(one, str(round(quota / period, 3)), one.at("cpu_quota"))


def _microseconds(value: object) -> float:
    spelt = text(value, "50000")
    return float(spelt) if re.fullmatch(r"-?\d{1,12}", spelt) else forms.seconds(spelt) * 1e6


def ulimits(one: One, value: object) -> None:
    """Limits of processes: one number, or soft and hard."""
    for name, limit in mapping(value, "{nofile: 65536}").items():
        if isinstance(limit, dict) and {"soft", "hard"} <= set(limit):
            both = {word: _whole(limit[word]) for word in ("soft", "hard")}
            one.entry.put("ulimits", {name: both}, one.at("ulimits", name))
        else:
            one.entry.put("ulimits", {name: _whole(limit)}, one.at("ulimits", name))
    one.told.as_is(*one.at("ulimits"))


def _whole(value: object) -> int:
    spelt = str(value)
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,12}", spelt):
        raise Wrong(f"{show(value)} is not a limit; write a whole number, or {{soft: 1024, hard: 2048}}")
    return int(spelt)


def grace(one: One, value: object) -> None:
    """Time to stop."""
    whole = math.ceil(forms.seconds(value))
    one.entry.put("grace_seconds", whole, one.at("stop_grace_period"))
    one.told.becomes(one.at("stop_grace_period"), f"grace_seconds: {whole}")


def replicas(one: One, value: object) -> None:
    """How many of it run."""
    _replicas(one, value, one.at("scale"))


def _replicas(one: One, value: object, at: tuple[str | int, ...]) -> None:
    if str(value) == "1":
        one.told.needless(at, "there is one of each")
    elif str(value) == "0":
        one.told.cannot(at, f"nothing of it runs; leave the service out by --leave-out services.{one.service}")
    else:
        one.told.cannot(
            at,
            f"on one server there is one container of each; leave this out, or write {one.service} twice, by two "
            "names, or spread it over several servers by replicas (docs/scale.md)",
        )


def deploy(one: One, value: object) -> None:
    """What a swarm would do with it."""
    for key, inner in mapping(value, "{resources: {limits: {memory: 512M}}}").items():
        at = one.at("deploy", key)
        if inner is None:
            one.told.needless(at, "it is empty")
        elif key == "resources":
            _resources(one, mapping(inner, "{limits: {memory: 512M}}"))
        elif key == "replicas":
            _replicas(one, inner, at)
        elif key == "restart_policy":
            _restart_policy(one, mapping(inner, "{condition: any}"))
        elif key == "labels":
            for label in inner.values() if isinstance(inner, dict) else ():
                text("" if label is None else label, "shop")
            for name in sites.pairs(inner):
                if not sites.PROXIES.match(name):
                    one.told.needless((*at, name), "they are of the service in a swarm, which is none here")
        elif key in ("mode", "endpoint_mode", "placement", "update_config", "rollback_config", "job"):
            one.told.needless(at, "it is of a swarm; releases replace containers one by one, each when it is healthy")
        else:
            one.told.cannot(at, "it is no key of Compose; correct it, or take it out")


def _resources(one: One, value: dict[str, object]) -> None:
    at = one.at("deploy", "resources")
    for name, limit in mapping(value.get("limits"), "{memory: 512M}").items():
        here = (*at, "limits", name)
        if name == "memory":
            _memory(one, limit, here)
        elif name == "cpus":
            _cpus(one, limit, here)
        elif name == "pids":
            _pids(one, limit, here)
        else:
            one.told.cannot(here, "containers have limits of memory, cpus and pids; take it out")
    reserved = mapping(value.get("reservations"), "{memory: 256M}")
    if "devices" in reserved:
        one.told.cannot(
            (*at, "reservations", "devices"), "servers at Vultr of these plans have no such device; take it out"
        )
    if set(reserved) - {"devices"}:
        one.told.needless((*at, "reservations"), "nothing is set aside for a container; limit the others")


def _restart_policy(one: One, value: dict[str, object]) -> None:
    condition = value.get("condition", "any")
    words = {"any": "unless-stopped", "on-failure": "on-failure", "none": "no"}
    if condition not in words:
        raise Wrong(f'{show(condition)} is not a condition; write any, on-failure or "none"', "restart_policy")
    if "restart" not in one.data:
        _restart(one, words[str(condition)], one.at("deploy", "restart_policy"))


def pids(one: One, value: object) -> None:
    """Most processes."""
    _pids(one, value, one.at("pids_limit"))


def _pids(one: One, value: object, at: tuple[str | int, ...]) -> None:
    whole = _whole(value)
    if whole <= 0:
        one.told.needless(at, "no limit is what there is anyway")
    else:
        one.entry.put("pids_limit", whole, at)
        one.told.becomes(at, f"pids_limit: {whole}")


def restart(one: One, value: object) -> None:
    """When Docker starts it again."""
    spelt = "no" if value is False or value is None else text(value, "unless-stopped")
    _restart(one, spelt, one.at("restart"))


def _restart(one: One, spelt: str, at: tuple[str | int, ...]) -> None:
    policy, _, tries = spelt.partition(":")
    if policy not in ("no", "always", "on-failure", "unless-stopped"):
        raise Wrong(f'{show(spelt)} is no restart policy; write "no", always, on-failure or unless-stopped')
    if one.is_job:
        one.told.needless(at, "it is a job, which ends and stays stopped")
    elif policy in ("unless-stopped", "no"):
        why = "it is what there is anyway" if policy == "unless-stopped" else "an application stays up"
        one.told.needless(at, why)
    else:
        one.entry.put("restart", policy, at)
        if tries:
            one.told.differs(at, f"restart: {policy}, however often it fails")
        else:
            one.told.as_is(*at)


# Health


def healthcheck(one: One, value: object) -> None:
    """Docker's health command, and by it the path that the proxy asks for."""
    if one.is_job:
        one.told.needless(one.at("healthcheck"), "a job ends; its exit status says how it went")
        return
    check = mapping(value, "{test: [CMD, pg_isready]}")
    test = _test(check)
    if one.database is not None and one.database.is_betrayed(" ".join(test)):
        one.told.differs(one.at("healthcheck"), "the image's own, since a password would stand in this one")
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
    retries = min(_whole(check.get("retries", 3)), _MOST_RETRIES)
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


# Order


def depends_on(one: One, value: object) -> None:
    """What comes first: jobs that have to end, and applications that have to be there."""
    for other, how in mapping(value, "[db]").items():
        at = one.at("depends_on", other)
        if one.told.is_left_out(*at) or one.told.is_left_out("services", other):
            one.told.left_out(*at)
            continue
        condition = mapping(how, "{condition: service_started}").get("condition", "service_started")
        if condition not in ("service_started", "service_healthy", "service_completed_successfully"):
            raise Wrong(f"{show(condition)} is not a condition; write service_healthy", other)
        name = one.scene.names[other]
        if name in one.client.uses:
            one.told.becomes(at, f"db, which waits for the database in {name}")
        else:
            one.entry.put("after", [name], at)
            one.told.becomes(at, f"after: [{name}]")
