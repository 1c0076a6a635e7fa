"""What converted entries need beside them, where the stack has it not: proxy, certificates, the job of databases."""

from __future__ import annotations

from collections.abc import Mapping

from operations.coming.entries import Entry
from operations.coming.errors import mapping
from operations.compose.scene import Scene

_MAIL = "hostmaster@example.com"


def companions(scene: Scene, stack: Mapping[str, object], server: str) -> list[Entry]:
    """The entries to be added for what the scene's sites and databases ask of `server`."""

    def has(section: str, folder: str) -> bool:
        entries = mapping(stack.get(section), f"{section}:")
        return any(
            isinstance(entry, dict) and entry.get("build_dir") == folder and entry.get("server", server) == server
            for entry in entries.values()
        )

    def free(section: str, name: str) -> str:
        known = {
            *scene.names.values(),
            *mapping(stack.get("applications"), "web:"),
            *mapping(stack.get("jobs"), "run:"),
        }
        return next(one for one in (name, f"{name}-{server}", f"apiary-{name}", f"apiary-{name}-2") if one not in known)

    made = []
    if scene.used and not has("jobs", "DBSetup"):
        made.append(Entry("jobs", free("jobs", "dbsetup"), {"build_dir": "DBSetup", "env": {"dbmap": "_dbmap"}}))
    if scene.sites and not has("applications", "HAProxy"):
        proxy = free("applications", "haproxy")
        volume = ["haproxycfg:/etc/haproxy"]
        env = {"domains": "all", "haproxy_container": f"${proxy}"}
        mail = scene.mail or _MAIL
        made += [
            Entry("applications", proxy,
                  {"build_dir": "HAProxy", "ipv6_web": True, "ports": [80, 443], "volumes": [*volume]}),
            Entry("jobs", free("jobs", "hasetup"), {"build_dir": "HAProxySetup", "env": {**env}, "volumes": [*volume]}),
            Entry("jobs", free("jobs", "certbot"),
                  {"build_dir": "CertBot", "env": {**env, "email": mail},
                   "volumes": [*volume, "letsencrypt:/etc/letsencrypt"]},
                  {"env": "who is told before a certificate ends"}),
        ]  # fmt: skip
        if mail == _MAIL:
            scene.told.do(f"put your own address in the place of {mail}")
    return made
