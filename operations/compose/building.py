"""Images and who runs in them: what is pulled, what is built, as which user, with which capabilities."""

from __future__ import annotations

import copy
import posixpath
import re
from collections.abc import Mapping

from operations.coming.errors import Wrong, mapping, show, text, texts
from operations.coming.files import spelt
from operations.compose import databases, keeping
from operations.compose.reading import Data
from operations.compose.scene import One
from settings.checks.images import USERS, starts_daemon

_GIT = re.compile(
    r"(?:https?://\S+\.git|git://\S+|git@\S+|ssh://\S+|github\.com/\S+|https?://github\.com/[^#\s]+)(?:#\S*)?"
)
# What Docker gives to every container and most images that begin as root need until they have become another user; KILL
# after that too: without it their first process can't hand on the signal to stop, and they are cut off.
_USUAL = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID")
# Servers that lock in who is not logged in yet (sshd), or their parts (Postfix, vsftpd), by their ports.
_LOCK_IN = frozenset(("21", "22", "25", "465", "587"))
_OTHERS = "AUDIT_WRITE, FSETID, MKNOD, NET_BIND_SERVICE, NET_RAW, SETFCAP, SETPCAP, SYS_CHROOT"
# What reaches beyond the container, to the whole server.
_OVER_ALL = {
    "SYS_MODULE": "put code into the server's kernel, whose modules are there without it",
    "SYS_ADMIN": "take over the server",
    "SYS_RAWIO": "write to the server's memory and disks",
    "SYS_TIME": "set the server's clock, which the server keeps itself",
    "SYS_BOOT": "restart the server",
    "DAC_READ_SEARCH": "read every file of the server",
}
# As whom images run that are built on PostgreSQL's otherwise than on Debian, whatever their tags say: on Alpine, and on
# Ubuntu with a user of its own.
_OTHERWISE = {"timescaledb": USERS["postgres"][1], "timescaledb-ha": "1000:1000"}
# Images whose own first process has to be the first: s6-overlay.
_OWN_INIT = re.compile(r"(?:^|/)(?:linuxserver/|paperless-ngx/paperless-ngx|home-assistant/|homeassistant/|jlesage/)")
_WITHOUT = "have the Dockerfile do without it"
_NO_BUILD = {
    "dockerfile_inline": "write it into a Dockerfile in the context",
    "secrets": _WITHOUT,
    "ssh": _WITHOUT,
    "additional_contexts": _WITHOUT,
    "entitlements": _WITHOUT,
    "privileged": _WITHOUT,
    "network": _WITHOUT,
    "extra_hosts": _WITHOUT,
}
# Programs that need Docker itself, and what does their work here.
_MANAGERS = {
    "traefik": "the proxy (applications.haproxy) does its work",
    "nginx-proxy": "the proxy (applications.haproxy) does its work",
    "acme-companion": "the job certbot does its work",
    "docker-letsencrypt-nginx-proxy-companion": "the job certbot does its work",
    "caddy-docker-proxy": "the proxy (applications.haproxy) does its work",
    "https-portal": "the proxy (applications.haproxy) does its work, with --domain SERVICE=DOMAIN for each",
    "nginx-proxy-manager": "the proxy (applications.haproxy) does its work",
    "certbot": "the job certbot does its work",
    "swag": "the proxy (applications.haproxy) does its work",
    "watchtower": "make release APP=... does its work",
    "ofelia": "an application of build_dir JobScheduler does its work",
    "portainer": "pulumi preview and make status show what it would",
    "portainer-ce": "pulumi preview and make status show what it would",
    "node-exporter": "the monitor has the server's figures (docs/monitoring.md)",
    "cadvisor": "the monitor has the containers' figures (docs/monitoring.md)",
    "autoheal": "Docker and releases go by the health commands themselves",
}


def share(services: Mapping[str, Data]) -> dict[str, str]:
    """Have services whose image is what another one builds build it too: no registry has it. Return whose it is."""
    builders = {
        _tagged(data["image"]): name
        for name, data in services.items()
        if isinstance(data.get("build"), dict) and isinstance(data.get("image"), str)
    }
    shared: dict[str, str] = {}
    for name, data in services.items():
        builder = builders.get(_tagged(data.get("image")))
        if builder is not None and "build" not in data:
            data["build"] = copy.deepcopy(services[builder]["build"])
            shared[name] = builder
    return shared


def _tagged(image: object) -> str:
    spelt = str(image)
    return spelt if ":" in spelt.rpartition("/")[2] else f"{spelt}:latest"


def image(one: One, value: object) -> None:
    """The image that is pulled."""
    if "build" in one.data:
        builder = one.scene.builders.get(one.service)
        one.told.needless(one.at("image"), f"it is what {builder} builds" if builder else "it is built")
        return
    named = text(value, "nginx:1.27")
    bare = named.partition("@")[0].rpartition("/")[2].partition(":")[0]
    if bare in _MANAGERS and not one.is_job:
        one.told.cannot(
            one.at("image"), f"{_MANAGERS[bare]}; leave the service out by --leave-out services.{one.service}"
        )
        return
    one.same("image", named)
    mounted = [str(mount.get("target")) for mount in one.data.get("volumes") or () if isinstance(mount, dict)]  # type: ignore[attr-defined]
    serves = not one.is_job and databases.serves(one.line)
    if one.database is None and serves and databases.is_like(named, mounted):
        one.told.differs(
            one.at("image"),
            "it is not the official image of a database server, nor known as one built on it, so roles and passwords "
            "stay as they are, and no job makes databases in it",
        )
    if _OWN_INIT.search(named) and "init" not in one.data:
        one.entry.put("init", False, one.at("image"), "its own has to be the first process")


def build(one: One, value: object) -> None:
    """An image that is built, from a folder here or a repository."""
    said = mapping(value, "{context: ./app}")
    context = said.get("context")
    if not isinstance(context, str):
        raise Wrong("has no context; write the folder with the Dockerfile, context: ./app")
    if _GIT.fullmatch(context):
        _git(one, context)
    else:
        folder = _folder(one, said)
        one.entry.put("build_dir", folder, one.at("build", "context"))
        here = spelt(context, one.scene.project.folder)
        one.told.becomes(one.at("build", "context"), f"build_dir: {folder}")
        one.told.do(
            f"copy {here if here != '.' else 'the folder of the compose file'} to images/{folder} of this checkout"
        )
    for key, inner in said.items():
        if inner is not None:
            _build_key(one, key, inner)


def _folder(one: One, said: dict[str, object]) -> str:
    """The folder of images/ for a context: one for all services that build the same."""
    context = str(said["context"])
    known = one.scene.folders
    if context not in known:
        here = context == one.scene.project.folder
        bare = one.scene.name_of(one.scene.project.name if here else posixpath.basename(context))
        name = base = "".join(part.capitalize() for part in bare.split("-"))
        while name in known.values():
            name = f"{base}{len(known) + 1}"
        known[context] = name
    return known[context]


def _git(one: One, context: str) -> None:
    url, _, fragment = context.partition("#")
    ref, _, folder = fragment.partition(":")
    url = f"https://{url}" if url.startswith("github.com/") else url
    made = {"url": url}
    if ref:
        made["commit" if re.fullmatch(r"[0-9a-f]{40}", ref) else "branch"] = ref
    if folder.strip("/"):
        made["dir"] = folder.strip("/")
    one.entry.put("git", made, one.at("build", "context"))
    one.told.becomes(one.at("build", "context"), f"git: {{url: {url}, ...}}")


def _build_key(one: One, key: str, value: object) -> None:
    at = one.at("build", key)
    if key == "args":
        _args(one, mapping(value, "{VERSION: 1.2}"))
    elif key == "target" or (key == "dockerfile" and posixpath.normpath(text(value, "Dockerfile")) != "Dockerfile"):
        one.entry.put(key, posixpath.normpath(text(value, "release")) if key == "dockerfile" else text(value, "x"), at)
        one.told.as_is(*at)
    elif key in _NO_BUILD and value not in ([], {}, False, "default"):
        one.told.cannot(at, _NO_BUILD[key])
    elif key != "context":
        one.told.needless(at, "images are built on the server, and kept as long as they are used")


def _args(one: One, args: dict[str, object]) -> None:
    for name, given in args.items():
        at = one.at("build", "args", name)
        if given is None and name not in one.scene.project.environment:
            one.told.needless(at, "it is not set, so the Dockerfile's own value holds")
            continue
        value = one.scene.project.environment[name] if given is None else text(given, "1.2")
        if one.client.is_secret(name, value):
            raise Wrong("a build keeps its arguments for all to read; have the program read it later", "args", name)
        one.entry.put("build_args", {name: value}, at)
    one.told.becomes(one.at("build", "args"), "build_args")


def user(one: One, value: object) -> None:
    """The user that it runs as."""
    one.same("user", text(value, '"1000:1000"'))


def cap_add(one: One, value: object) -> None:
    """Capabilities that are given."""
    names = [name.upper().removeprefix("CAP_") for name in texts(value, "NET_ADMIN")]
    if "ALL" in names:
        raise Wrong("ALL would be the whole server; name the few that are needed")
    one.entry.put("capabilities", names, one.at("cap_add"))
    for name in names:
        if name in _OVER_ALL:
            one.told.differs(
                (*one.at("cap_add"), name), f"it may {_OVER_ALL[name]}; take it out where the program goes without"
            )
    one.told.becomes(one.at("cap_add"), "capabilities")


def cap_drop(one: One, _: object) -> None:
    """Capabilities that are taken."""
    one.told.needless(one.at("cap_drop"), "all are dropped that are not given back")


def settle(one: One) -> None:
    """Give what has no word in Compose, since Docker gives it by itself: the capabilities of who begins as root."""
    if _known_user(one) or one.database is not None or ("build_dir" in one.entry.settings and one.is_job):
        return
    named = str(one.entry.settings.get("user", "root")).partition(":")[0]
    dropped = _dropped(one)
    if named not in ("root", "0") or "ALL" in dropped:
        return
    ports = one.data.get("ports")
    listens = {str(port.get("target")) for port in (ports if isinstance(ports, list) else []) if isinstance(port, dict)}
    usual = [*_USUAL, "SYS_CHROOT"] if listens & _LOCK_IN else [*_USUAL]
    if usual := [name for name in usual if name not in dropped]:
        one.entry.put("capabilities", usual, one.at(), "for images that begin as root; try without")
        one.told.differs(
            ("services",),
            f"images that begin as root get of Docker's own capabilities those that most need, not {_OTHERS}; a "
            "program that is refused what it did (ping: NET_RAW; chroot: SYS_CHROOT) needs cap_add: [NET_RAW]",
        )


def _dropped(one: One) -> set[str]:
    return {name.upper().removeprefix("CAP_") for name in texts(one.data.get("cap_drop"), "ALL")}


def _known_user(one: One) -> bool:
    """Whether the image is one of which is known as whom it runs."""
    name = re.sub(r"^(?:docker\.io/)?(?:library/)?", "", one.image)
    name, tag = re.split(r"[:@]", name + ":", maxsplit=1)
    bare = name.rpartition("/")[2]
    known = USERS.get(name) or (USERS["postgres"] if one.database and one.database.engine == "postgresql" else None)
    known = known or (USERS.get(bare) if one.database else None)
    if known is None or "user" in one.data:
        return known is not None
    command = one.entry.settings.get("command")
    stays = "entrypoint" in one.entry.settings or not starts_daemon(command if isinstance(command, list) else None)
    if stays and one.database is None:
        return False  # as root, which it was
    if "ALL" not in _dropped(one) and (foreign := keeping.foreign(one)):
        one.entry.put("capabilities", [*_USUAL], one.at("image"), "for the image's entrypoint, which becomes its user")
        one.told.differs(
            one.at("image"),
            f"it begins as root, since {foreign} is no folder of the image, and would not be its user's otherwise",
        )
        return True
    chosen = _OTHERWISE.get(bare, known["alpine" in tag])
    one.entry.put("user", chosen, one.at("image"), "the image's own, which it would change to")
    one.told.becomes(
        one.at("image"), f"user: {show(chosen)} beside it, since no capability is left to change to that user"
    )
    return True
