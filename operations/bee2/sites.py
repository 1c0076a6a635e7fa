"""What a server's sites need beside their applications: the proxy and its job, certificates, logs, the scheduler."""

from __future__ import annotations

from collections.abc import Callable

from operations.bee2.known import CONFIGURATION, keeps_logs
from operations.bee2.scene import Scene
from operations.coming.entries import Entry, Path
from operations.coming.errors import mapping

Make = Callable[[str, str, dict[str, object], str], None]  # section, role, settings, why
_DAYS = 365  # for which Bee2's LogRotate kept them
_NIGHTLY = "17 3 * * *"
_PEM = "/var/lib/docker/volumes/letsencrypt/_data/live/{}-combined.pem"


def parts(scene: Scene, server: str) -> None:
    """Choose the names of what a server's sites need, before anything refers to it."""
    wanted = {"certbot": "certbot", "scheduler": "scheduler"}
    has_sites = bool(scene.web(server)) or bool(scene.of_role(server, "proxy"))
    if has_sites or scene.of_role(server, "certbot"):
        wanted |= {"proxy": "haproxy", "hasetup": "hasetup"}
    if keeps_logs(scene, server):
        wanted |= {"logs": "logs"}
    if scene.of_role(server, "awstats"):
        wanted |= {"reports": "reports", "stats": "stats"}
    for role, name in wanted.items():
        found = scene.of_role(server, role) if role not in ("logs",) else []
        scene.parts[server, role] = scene.names[found[0].path] if found else scene.free(server, name)


def complete(scene: Scene, server: str, zone_path: Path) -> None:
    """Make what is missing on a server, and the environment of hasetup."""
    name = {role: made for (where, role), made in scene.parts.items() if where == server}
    jobs = [entry for entry in scene.entries if entry.section == "jobs"]

    def make(section: str, role: str, settings: dict[str, object], why: str) -> None:
        entry = Entry(section, name[role], settings, {"": why})
        scene.entries.append(entry)
        scene.sources[f"{section}.{entry.name}"] = zone_path

    if "proxy" in name and not scene.of_role(server, "proxy"):
        settings: dict[str, object] = {
            "build_dir": "HAProxy",
            "ipv6_web": True,
            "ports": [80, 443],
            "volumes": [CONFIGURATION],
        }
        make("applications", "proxy", settings, "new: what the sites are behind")
    if "logs" in name:
        settings = {"build_dir": "AccessLog", "env": {"keep_days": _DAYS},
                    "volumes": [f"{CONFIGURATION}:ro", "accesslog:/var/log/sites"]}  # fmt: skip
        make("applications", "logs", settings, "new: the access logs of all sites")
    if "hasetup" in name:
        if not scene.of_role(server, "hasetup"):
            make("jobs", "hasetup", {}, "new: tells the proxy of the sites")
        setup = next(entry for entry in scene.entries if (entry.section, entry.name) == ("jobs", name["hasetup"]))
        setup.settings |= {"build_dir": "HAProxySetup", "env": _setup(scene, server, name), "volumes": [CONFIGURATION]}
    if "reports" in name:
        _reports(scene, server, name, make)
    by_clock = {}
    if scene.of_role(server, "certbot"):
        by_clock["certbot"] = _NIGHTLY
    if "reports" in name:
        by_clock["reports"] = "7 * * * *"
    _by_clock(scene, server, name, by_clock, make)
    # Jobs stand in the order in which they run.
    jobs = [entry for entry in scene.entries if entry.section == "jobs"]
    order = ("HAProxySetup", "CertBot")
    jobs.sort(key=lambda entry: [entry.settings.get("build_dir") != folder for folder in order])
    scene.entries = [entry for entry in scene.entries if entry.section != "jobs"] + jobs


def _setup(scene: Scene, server: str, name: dict[str, str]) -> dict[str, object]:
    """The environment of hasetup, with the certificates that there are, for the time until the names lead here."""
    env: dict[str, object] = {"domains": "all", "haproxy_container": f"${name['proxy']}"}
    if "logs" in name:
        env["access_log"] = f"${name['logs']}"
    if not scene.of_role(server, "certbot"):
        return env
    served = {
        domain
        for entry in scene.entries
        if entry.section == "applications" and entry.settings.get("server", server) == server
        for domain in _domains(entry)
    }
    address = scene.hive.addresses.get(server)
    host = (address.ipv4 if address else "") or f"ADDRESS_OF_{server}"
    for number, domain in enumerate(one for one in scene.web(server) if one in served):
        secret = "certificate_" + "".join(char if char.isalnum() else "_" for char in domain.lower())
        env[f"certificate_bee2_{number}"] = f"_secrets^{secret}"
        scene.given[secret] = f"ssh root@{host} cat {_PEM.format(domain)} | "
    return env


def _domains(entry: Entry) -> list[str]:
    env = mapping(entry.settings.get("env"), "{}")
    found = env.get("domains")
    return [str(item) for item in found] if isinstance(found, list) else []


def _reports(scene: Scene, server: str, name: dict[str, str], make: Make) -> None:
    web = scene.web(server)
    if not web:
        return
    site = f"stats.{web[0]}"
    make("applications", "stats",
         {"build_dir": "NginxStatic",
          "env": {"domains": [site], "http_port": 8080, "password": f"_{name['stats']}^adminpass"},
          "volumes": ["reports:/srv/site:ro"]}, "new: was AWStatsCGI")  # fmt: skip
    make("jobs", "reports",
         {"build_dir": "Reports", "after": [name["logs"]], "env": {"program": "awstats"},
          "volumes": ["accesslog:/var/log/sites:ro", "reports:/srv/site"]}, "new: was AWStatsGenerator")  # fmt: skip
    scene.more_web.setdefault(server, []).append(site)


def _by_clock(scene: Scene, server: str, name: dict[str, str], lines: dict[str, str], make: Make) -> None:
    """See that the jobs are started by the clock: by the scheduler that there is, or by a new one."""
    entry = next((one for one in scene.entries if (one.section, one.name) == ("applications", name["scheduler"])), None)
    known = mapping(entry.settings.get("env"), "{}") if entry else {}
    missing = {role: when for role, when in lines.items() if f"+{name[role]}" not in known.values()}
    if not missing:
        return
    env: dict[str, object] = {}
    for role, when in missing.items():
        env |= {f"run_{role}": f"+{name[role]}", f"when_{role}": when}
    if entry is None:
        settings: dict[str, object] = {
            "build_dir": "JobScheduler",
            "env": env,
            "volumes": ["schedule:/var/lib/jobscheduler"],
        }
        make("applications", "scheduler", settings, f"new: {', '.join(missing)} by the clock")
        return
    entry.settings["env"] = {**known, **env}
    entry.comments |= {f"env.run_{role}": "new: Bee2's slept between two rounds" for role in missing}
