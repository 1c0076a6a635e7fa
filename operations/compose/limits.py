"""Limits, restarts and order: what a service may use, when it is started again, what comes first."""

from __future__ import annotations

import math
import re

from operations.coming.errors import Wrong, mapping, show, text
from operations.compose import forms, sites
from operations.compose.scene import One


def memory(one: One, value: object) -> None:
    """`mem_limit`, and the one below deploy."""
    _memory(one, value, one.at("mem_limit"))


def _memory(one: One, value: object, at: tuple[str | int, ...], word: str = "memory") -> None:
    if value in (0, "0", -1, "-1"):
        one.told.needless(at, "no limit is what there is anyway")
        return
    spelt, is_more = forms.mebibytes(value)
    _once(one, word, spelt, at)
    if is_more:
        one.told.differs(at, f"{word}: {spelt}, a whole number of MiB")
    else:
        one.told.becomes(at, f"{word}: {spelt}")


def _once(one: One, word: str, value: object, at: tuple[str | int, ...]) -> None:
    """Write a limit, where the other key for it does not say another one, which Compose refuses too."""
    known = one.entry.settings.get(word, value)
    if known == value:
        one.entry.put(word, value, at)
    else:
        one.told.cannot(at, f"another key for it says {known}; leave one of them out")


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
    _once(one, "cpus", text(value, '"0.5"'), at)
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
            both = {word: whole(limit[word]) for word in ("soft", "hard")}
            one.entry.put("ulimits", {name: both}, one.at("ulimits", name))
        else:
            one.entry.put("ulimits", {name: whole(limit)}, one.at("ulimits", name))
    one.told.as_is(*one.at("ulimits"))


def whole(value: object) -> int:
    """Read a whole number. Raises Wrong."""
    spelt = str(value)
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,12}", spelt):
        raise Wrong(f"{show(value)} is not a limit; write a whole number, or {{soft: 1024, hard: 2048}}")
    return int(spelt)


def grace(one: One, value: object) -> None:
    """Time to stop."""
    seconds = math.ceil(forms.seconds(value))
    one.entry.put("grace_seconds", seconds, one.at("stop_grace_period"))
    one.told.becomes(one.at("stop_grace_period"), f"grace_seconds: {seconds}")


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


_CONDITIONS = {"any": "always", "always": "always", "unless-stopped": "unless-stopped", "on-failure": "on-failure",
               "none": "no", "no": "no"}  # fmt: skip


def _restart_policy(one: One, value: dict[str, object]) -> None:
    """What deploy says of restarts, which wins over `restart`."""
    condition = "no" if value.get("condition") is False else value.get("condition", "any")
    at = one.at("deploy", "restart_policy")
    if condition not in _CONDITIONS:
        raise Wrong(f'{show(condition)} is not a condition; write any, on-failure or "none"', "restart_policy")
    one.entry.settings.pop("restart", None)
    _restart(one, _CONDITIONS[str(condition)] + (":1" if value.get("max_attempts") else ""), at)


def pids(one: One, value: object) -> None:
    """Most processes."""
    _pids(one, value, one.at("pids_limit"))


def _pids(one: One, value: object, at: tuple[str | int, ...]) -> None:
    most = whole(value)
    if most <= 0:
        one.told.needless(at, "no limit is what there is anyway")
    else:
        _once(one, "pids_limit", most, at)
        one.told.becomes(at, f"pids_limit: {most}")


def may_end(one: One, *, is_awaited: bool, is_met: bool) -> None:
    """Tell of a service that says nothing of restarts, and that may be one which ends: nobody comes to it.

    `is_met`: another service names it. That others wait for a script says nothing: it may end once it is healthy; nor
    that they wait for one that is started again when it fails.
    """
    deploy = one.data.get("deploy")
    policy = deploy.get("restart_policy") if isinstance(deploy, dict) else None
    says = policy.get("condition", "any") if isinstance(policy, dict) else one.data.get("restart", "")
    fails = str(says).startswith("on-failure")
    is_said = says != "" and not fails
    words = one.entry.settings.get("command")
    is_script = isinstance(words, list) and any(re.fullmatch(r"-[a-z]*c", word) for word in words[:-1])
    is_asked = ((is_awaited and not fails) or "healthcheck" in one.data) and not is_script
    is_visited = is_met or is_asked or any(key in one.data for key in ("ports", "expose")) or one.said.is_site
    if not (is_said or is_visited or one.is_job or one.database):
        one.told.differs(
            one.at("restart"),
            'it stays up here, and is started again when it ends; if it is to end, write restart: "no"',
        )


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
        if mapping(how, "{restart: true}").get("restart") is True:
            one.told.differs(
                (*at, "restart"), f"it is not started again when {name} is; it has to connect again itself"
            )
    if not value:
        one.told.needless(one.at("depends_on"), "it names nobody")
