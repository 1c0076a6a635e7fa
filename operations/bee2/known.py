"""The containers that Bee2 itself brought: what stands in their place here."""

from __future__ import annotations

from operations.bee2 import variables
from operations.bee2.scene import GONE, One, Scene, role_of
from operations.coming.entries import Entry
from operations.coming.errors import Wrong, mapping, show, texts

CONFIGURATION = "haproxycfg:/etc/haproxy"
_SITE = "/www/"
_LOGS = "logs-web"


def convert(one: One) -> bool:
    """Convert one that is known; False for all others."""
    role = role_of(one.old)
    act = {"proxy": _proxy, "certbot": _certbot, "dbsetup": _dbsetup, "static": _static, "scheduler": _scheduler}.get(
        role
    )
    if role == "hasetup":
        one.told.becomes(one.at(), "build_dir: HAProxySetup, which finds out the rest by itself")
        return True
    if act is None:
        return False
    try:
        act(one)
    except Wrong as error:
        one.told.cannot(one.at(*error.below), str(error))
    return True


def gone(scene: Scene) -> None:
    """Tell of those of which nothing is left."""
    words = {
        "awstats": "the job reports with program: awstats, and the site stats. (docs/logs.md)",
        "backup": "backups: of the stack save every volume and database (docs/backups.md)",
        "logs": "the application logs rotates by itself",
        "redirects": "redirects of its server",
    }
    for one in scene.hive.containers:
        if role_of(one) in GONE:
            scene.told.becomes(one.at(), words[role_of(one)])


def _env(one: One) -> dict[str, object]:
    return {name.lower(): value for name, value in mapping(one.old.data.get("env") or None, "{test: false}").items()}


def _proxy(one: One) -> None:
    was = one.old.data.get("image")
    one.put("build_dir", "HAProxy", "image" if was else "build_dir", f"was image {was}" if was else "")
    one.put("ipv6_web", True, "ipv6_web")
    one.put("ports", [80, 443], "ports")
    one.put("volumes", [CONFIGURATION], "volumes")
    one.told.becomes(one.at(), "the proxy of build_dir HAProxy")


def _certbot(one: One) -> None:
    """An application there, which slept between two rounds; a job here."""
    given = _env(one)
    one.entry.section = "jobs"
    one.entry.comments[""] = "was an application" if one.old.section == "applications" else ""
    one.put("build_dir", "CertBot", "build_dir")
    proxy, setup = (one.scene.parts[one.old.server, role] for role in ("proxy", "hasetup"))
    one.put("after", [setup], "build_dir")
    made: dict[str, object] = {"domains": "all", "haproxy_container": f"${proxy}"}
    if not given.get("email"):
        raise Wrong("says no email; write who is told before a certificate ends", "env")
    made["email"] = given["email"]
    if isinstance(given.get("test"), bool):
        made["test"] = given["test"]
    one.put("env", made, "env")
    one.put("volumes", [CONFIGURATION, "letsencrypt:/etc/letsencrypt"], "volumes")
    one.told.becomes(one.at(), "a job, which the scheduler starts")


def _dbsetup(one: One) -> None:
    dropped = [name for name, value in _env(one).items() if name != "dbmap"]
    one.put("build_dir", "DBSetup", "build_dir")
    one.put("env", {"dbmap": "_dbmap"}, "env", f"was {', '.join(dropped)}" if dropped else "")
    one.told.becomes(one.at(), "build_dir: DBSetup with dbmap alone")


def _scheduler(one: One) -> None:
    one.put("build_dir", "JobScheduler", "build_dir")
    given = mapping(one.old.data.get("env") or None, "{run_x: +job}")
    for name, value in given.items():
        path = one.at("env", name)
        runs = _runs(given, name)
        if (job := gone_job(one, runs)) is not None:
            one.told.needless(path, f"{job} has no container any more")
            continue
        try:
            one.entry.put("env", {name.lower(): variables.spelled(one, name, value)}, path)
            one.told.as_is(*path)
        except Wrong as error:
            one.told.cannot((*path, *error.below), str(error))
    one.put("volumes", ["schedule:/var/lib/jobscheduler"], "volumes")


def _runs(given: dict[str, object], name: str) -> object:
    """The job that a line of the scheduler, `run_x` or `when_x`, is about."""
    which = name.lower().partition("_")[2]
    return next((value for key, value in given.items() if key.lower() == f"run_{which}"), None)


def gone_job(one: One, runs: object) -> str | None:
    """The name of a job of which nothing is left."""
    if not isinstance(runs, str) or runs[:1] not in ("+", "$"):
        return None
    section = "jobs" if runs[0] == "+" else "applications"
    found = one.scene.find(one.old.server, section, runs[1:])
    return found.name if found and role_of(found) in GONE else None


def _static(one: One) -> None:
    """A site an application: there, one served many, each from a volume at /www/DOMAIN."""
    domains = _env(one).get("domains")
    sites = [variables.parsed(item, index)[0] for index, item in enumerate(texts(domains, "example.com"))]
    if not sites or domains == "all":
        raise Wrong("names no domains; write e.g. domains: [example.com]", "env")
    mounts = {}
    for item in texts(one.old.data.get("volumes"), "example-web:/www/example.com"):
        source, _, rest = item.partition(":")
        mounts[rest.partition(":")[0].rstrip("/")] = source
    for number, site in enumerate(sites):
        volume = mounts.pop(f"{_SITE}{site}", None)
        if volume is None:
            raise Wrong(f"has no volume at {_SITE}{site}; write the one that holds the site", "volumes")
        entry = one.entry
        if number:
            entry = Entry("applications", one.scene.free(one.old.server, f"{one.entry.name[:36]}-{number + 1}"))
            entry.comments[""] = f"new: was a site of {one.old.name}"
            add(one.scene, entry, one)
        entry.put("build_dir", "NginxStatic", one.at("build_dir"))
        entry.put("env", {"domains": [site], "http_port": variables.PORT}, one.at("env"))
        was = f"was {volume}:{_SITE}{site}"
        if _LOGS in mounts.values() and not number:
            was += f"; {_LOGS} went to `logs`"
        entry.put("volumes", [f"{volume}:/srv/site:ro"], one.at("volumes"), was)
    for target, volume in mounts.items():
        if volume != _LOGS:
            raise Wrong(f"{show(f'{volume}:{target}')} is no site of it; take it out", "volumes")
    one.told.becomes(one.at(), "NginxStatic with its site at /srv/site" + (", one for each" if len(sites) > 1 else ""))


def add(scene: Scene, entry: Entry, near: One) -> None:
    """Put a new entry beside the one of a container."""
    scene.entries.append(entry)
    scene.sources[f"{entry.section}.{entry.name}"] = near.old.path


def keeps_logs(scene: Scene, server: str) -> bool:
    """Whether access logs were kept there."""
    return any(
        role_of(one) in ("logs", "awstats") or f"{_LOGS}:" in str(one.data.get("volumes"))
        for one in scene.hive.on(server)
    )
