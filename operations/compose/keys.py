"""The keys of a compose service, and what becomes of each: one row a key.

Makes: `KEYS`, in the order in which they are converted. A key that is not here is none of Compose's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from operations.coming.errors import Wrong, items, mapping, text, texts
from operations.compose import building, commands, grants, health, limits, mounts, ports, sites, surroundings
from operations.compose.scene import One
from settings.option_texts import parse_device

Row = Callable[[One, object], None]

_REFUSED = "it would share what is the server's; take it out, and give back by cap_add what is really needed"


def _needless(why: str) -> Row:
    """Nothing has to be said."""

    def row(one: One, _: object) -> None:
        one.told.needless(one.at(one.key), why)

    return row


def _cannot(remedy: str, *fine: object) -> Row:
    """It has no word, but for values that say what is so anyway."""

    def row(one: One, value: object) -> None:
        if value in (None, False, "", [], {}) or value in fine:
            one.told.needless(one.at(one.key), "it is so anyway")
        else:
            one.told.cannot(one.at(one.key), remedy)

    return row


def _text(word: str) -> Row:
    """The same word, a text."""
    return lambda one, value: one.same(word, text(value, word))


def _flag(word: str) -> Row:
    """The same word, true or false."""

    def row(one: One, value: object) -> None:
        if not isinstance(value, bool):
            raise Wrong(f"must be true or false; write {word}: true")
        one.same(word, value)

    return row


def _read_only(one: One, value: object) -> None:
    if value is True:
        one.same("read_only", True)
    else:
        one.told.needless(one.at("read_only"), "it is so anyway")


def _init(one: One, value: object) -> None:
    if not isinstance(value, bool):
        raise Wrong("must be true or false; write init: true")
    if value:
        one.told.needless(one.at("init"), "every container has one")
    else:
        one.same("init", False)


def _sysctls(one: One, value: object) -> None:
    for name, setting in mapping(value, "{net.core.somaxconn: 1024}").items():
        one.entry.put(
            "sysctls", {name: setting if isinstance(setting, int) else text(setting, "1024")}, one.at("sysctls", name)
        )
    one.told.as_is(*one.at("sysctls"))


def _devices(one: One, value: object) -> None:
    for index, item in enumerate(items(value, '["/dev/net/tun"]')):
        at = one.at("devices", index)
        if isinstance(item, dict):
            source = text(item.get("source"), "/dev/net/tun")
            parts = [source, item.get("target") or source, *([item["permissions"]] if item.get("permissions") else [])]
            spelt = ":".join(str(part) for part in parts)
        else:
            spelt = text(item, "/dev/net/tun")
        try:
            parse_device(spelt)
        except ValueError as error:
            one.told.cannot(at, str(error))
            continue
        host, _, rest = spelt.partition(":")
        one.entry.put("devices", [host if rest == host else spelt], at)
        one.told.as_is(*at)


def _group_add(one: One, value: object) -> None:
    groups = texts(value, "video")
    one.same("group_add", [int(item) if re.fullmatch(r"[0-9]{1,10}", item) else item for item in groups])


def _extra_hosts(one: One, value: object) -> None:
    for name, addresses in mapping(value, "{ldap: 192.0.2.1}").items():
        found = texts(addresses, "192.0.2.1")
        if len(set(found)) > 1:
            one.told.cannot(
                one.at("extra_hosts", name), f"a host has one address here; leave one of {', '.join(found)}"
            )
        if (app := one.client.hosts.get(found[0])) if found else None:
            one.told.cannot(
                one.at("extra_hosts", name),
                f"{found[0]} was the address of {app}, which has none that stays here; write {app} for {name}, and "
                "take it out",
            )
            continue
        for address in found[:1]:
            one.entry.put("extra_hosts", {name: address}, one.at("extra_hosts", name))
            one.told.as_is(*one.at("extra_hosts", name))


def _dns(one: One, value: object) -> None:
    for address in texts(value, "9.9.9.9"):
        if (app := one.client.hosts.get(address)) is not None:
            raise Wrong(
                f"{address} was the address of {app}, which has none that stays here; take it out, or name another "
                "one: without, names are asked of the server's own resolver"
            )
    one.entry.put("nameservers", texts(value, "9.9.9.9"), one.at("dns"))
    one.told.becomes(one.at("dns"), "nameservers")


def _labels(one: One, value: object) -> None:
    kept = 0
    for name, label in mapping(value, "{com.example.team: shop}").items():
        if sites.PROXIES.match(name):
            text("" if label is None else label, "shop")
            continue  # told with the site
        if re.match(r"com\.centurylinklabs\.watchtower|wud\.|diun\.|ofelia\.|homepage\.|glance\.", name):
            one.told.needless(one.at("labels", name), "nobody goes by it here: no container sees the others' labels")
        else:
            one.entry.put("labels", {name: "" if label is None else text(label, "shop")}, one.at("labels", name))
            kept += 1
    if kept:
        one.told.as_is(*one.at("labels"))


def _stop_signal(one: One, value: object) -> None:
    spelt = text(value, "SIGQUIT")
    one.same("stop_signal", spelt if spelt.startswith("SIG") or spelt.isdigit() else f"SIG{spelt.upper()}")


def _security(one: One, value: object) -> None:
    for index, item in enumerate(texts(value, "no-new-privileges:true")):
        at = one.at("security_opt", index)
        if re.fullmatch(r"no-new-privileges(?:[:=]true)?", item):
            one.told.needless(at, "it holds for every container")
        else:
            one.told.cannot(at, "Docker's own profiles hold for all, and no-new-privileges; take it out")


def _hostname(one: One, value: object) -> None:
    said = text(value, "rabbit-1")
    spelt = said.replace("_", "-").strip("-")  # Docker takes it, who reads it as a host's name does not
    if spelt == said:
        one.same("hostname", said)
    else:
        one.entry.put("hostname", spelt, one.at("hostname"))
        one.told.differs(one.at("hostname"), f"hostname: {spelt}, since a host name has no underscores")


def _external_links(one: One, value: object) -> None:
    for index, item in enumerate(texts(value, "other:alias")):
        one.told.cannot(one.at("external_links", index), f"{item} is of other files; convert them together")


_NO_GPU = "servers of these plans have none; take it out"
_ISOLATION = _cannot(_REFUSED, "private", "shareable")
_NO_LIMIT = _cannot("containers have limits of memory, cpus and pids, and ulimits; take it out", 0)
_LOGS = _needless("logs are kept and rotated by the host (docs/logs.md)")
_WINDOWS = _cannot("it is of Windows; take it out", "default")
_TERMINAL = _needless("nobody sits at its terminal")
_AFTER = _cannot(
    'have a service that ends do it: restart: "no", and this one in its depends_on; it starts once that is well'
)
_BEFORE = _cannot("nothing is run in it before it is stopped; have its program do that at the signal to stop")

KEYS: Mapping[str, Row] = {
    "image": building.image,
    "build": building.build,
    "environment": surroundings.environment,
    "env_file": surroundings.env_file,
    "user": building.user,
    "command": commands.command,
    "entrypoint": commands.entrypoint,
    "working_dir": _text("working_dir"),
    "hostname": _hostname,
    "domainname": _cannot("a container has a host name alone; write the whole name into hostname"),
    "ports": ports.convert,
    "expose": _needless("nothing has to be exposed: who names a container reaches its ports"),
    "volumes": mounts.volumes,
    "volumes_from": _cannot("write the volumes of that service here as well"),
    "volume_driver": _cannot("volumes lie on the server; take it out", "local"),
    "tmpfs": mounts.tmpfs,
    "configs": grants.configs,
    "secrets": grants.secrets,
    "depends_on": limits.depends_on,
    "links": surroundings.links,
    "external_links": _external_links,
    "networks": surroundings.networks,
    "network_mode": surroundings.network_mode,
    "net": surroundings.network_mode,
    "healthcheck": health.healthcheck,
    "restart": limits.restart,
    "deploy": limits.deploy,
    "scale": limits.replicas,
    "mem_limit": limits.memory,
    "memswap_limit": _needless("memory counts swap already"),
    "mem_swappiness": _needless("memory counts swap already"),
    "mem_reservation": _needless("nothing is set aside for a container; limit the others"),
    "cpus": limits.cpus,
    "cpu_quota": limits.cpu_quota,
    "cpu_period": _needless("it is counted in cpus, with cpu_quota"),
    "cpu_shares": _needless("containers share alike what is left; limit the others by cpus"),
    "cpu_percent": _WINDOWS,
    "cpu_count": _WINDOWS,
    "cpu_rt_runtime": _NO_LIMIT,
    "cpu_rt_period": _NO_LIMIT,
    "cpuset": _NO_LIMIT,
    "pids_limit": limits.pids,
    "shm_size": limits.shm_size,
    "ulimits": limits.ulimits,
    "blkio_config": _NO_LIMIT,
    "storage_opt": _NO_LIMIT,
    "oom_kill_disable": _cannot("the server would stop instead; take it out, and allow more memory"),
    "oom_score_adj": _needless("which container the kernel ends first is not chosen here; limit memory"),
    "sysctls": _sysctls,
    "devices": _devices,
    "device_cgroup_rules": _cannot("name the devices themselves, in devices"),
    "gpus": _cannot(_NO_GPU),
    "group_add": _group_add,
    "extra_hosts": _extra_hosts,
    "dns": _dns,
    "dns_opt": _cannot("containers ask as the server does; take it out"),
    "dns_search": _cannot("containers ask for whole names; write those, and take it out"),
    "labels": _labels,
    "label_file": _cannot("write the labels into labels, or take it out"),
    "annotations": _needless("nobody goes by them here"),
    "stop_signal": _stop_signal,
    "stop_grace_period": limits.grace,
    "init": _init,
    "read_only": _read_only,
    "cap_add": building.cap_add,
    "cap_drop": building.cap_drop,
    "privileged": _cannot(
        "it would be the whole server; take it out, and write the few it needs: cap_add: [NET_ADMIN]"
    ),
    "security_opt": _security,
    "pid": _ISOLATION,
    "ipc": _ISOLATION,
    "uts": _ISOLATION,
    "userns_mode": _ISOLATION,
    "cgroup": _ISOLATION,
    "cgroup_parent": _ISOLATION,
    "runtime": _cannot("containers run under Docker's own runtime; take it out", "runc"),
    "use_api_socket": _cannot("it would be the whole server; take it out"),
    "logging": _LOGS,
    "log_driver": _LOGS,
    "log_opt": _LOGS,
    "container_name": _needless("its container is named by itself; others find it by the name of its entry"),
    "tty": _TERMINAL,
    "stdin_open": _TERMINAL,
    "attach": _LOGS,
    "platform": _cannot("servers are x86-64; name an image of that, and take it out", "linux/amd64", "linux/x86_64"),
    "pull_policy": _needless("an image is pulled when it is named anew"),
    "mac_address": _cannot("take it out; a program that keeps its licence by it needs an address of its own elsewhere"),
    "develop": _needless("it is of a developer's machine"),
    "post_start": _AFTER,
    "pre_stop": _BEFORE,
    "provider": _cannot("what runs is an image; write image, or take the service out"),
    "models": _cannot("what runs is an image; write a service that serves the model"),
    "isolation": _WINDOWS,
    "credential_spec": _WINDOWS,
    "extends": _needless("it is written out"),
}
