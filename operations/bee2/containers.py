"""The keys of a container that is taken over as it is: a row a key, and what it becomes."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network
from urllib.parse import urlsplit

from operations.bee2 import variables
from operations.bee2.scene import ENGINES, One, image_of, role_of
from operations.coming.errors import Wrong, items, mapping, show, text, texts
from settings.checks.images import USERS
from settings.databases import own_name
from settings.errors import did_you_mean

Act = Callable[[One, object], None]

# What Docker gives to every container, by its documentation.
_USUAL = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
)  # fmt: skip
_SSH = re.compile(r"(?:ssh://)?(?:[^@/\s]+@)?(?P<host>[A-Za-z0-9.-]+)(?::\d+/|:|/)(?P<path>[^\s]+)")
SOCKET = "/var/run/docker.sock"


def convert(one: One) -> None:
    """Convert every key. What can't be said is told, and the others go on."""
    if not {"image", "build_dir", "git"} & {key for key, value in one.old.data.items() if value is not None}:
        one.told.cannot(one.at(), 'has neither image, build_dir nor git (Bee2 said "Missing image key"); write one')
    for key, value in one.old.data.items():
        path = one.at(key)
        if one.told.is_left_out(*path):
            one.told.left_out(*path)
            continue
        act = _KEYS.get(key, _refused(f"is no key of Bee2's; {did_you_mean(key, _KEYS)}"))
        try:
            if value is not None:
                act(one, value)
        except Wrong as error:
            one.told.cannot((*path, *error.below), str(error))
    _rights(one)


def image(one: One, value: object) -> None:
    """The image that is pulled."""
    one.put("image", text(value, "nginx:1.27"), "image")
    one.told.as_is(*one.at("image"))


def build_dir(one: One, value: object) -> None:
    """A folder of Bee2's own, or of the hive's owner."""
    name = text(value, "TTRSS")
    if one.scene.files.kind(f"{one.scene.hive.folder}/dockerfiles/{name}") != "folder":
        raise Wrong(f"{name} is no folder of dockerfiles/ either; write image or git")
    one.put("build_dir", name, "build_dir")
    one.told.as_is(*one.at("build_dir"))
    one.told.do(f"copy dockerfiles/{name} of Bee2's folder to images/{name} of this checkout")


def git(one: One, value: object) -> None:
    """A repository; over SSH it was read with the owner's own key."""
    url = text(value, "https://git.example.org/site.git")
    made: dict[str, object] = {"url": url}
    if urlsplit(url).scheme not in ("http", "https"):
        match = _SSH.fullmatch(url)
        if match is None:
            raise Wrong(f"{show(url)} is not the address of a repository; write https://HOST/PATH.git")
        made["url"] = f"https://{match['host']}/{match['path']}"
    for key, word in (("branch", "branch"), ("git_dir", "dir")):
        if (inner := one.old.data.get(key)) not in (None, "", "."):
            made[word] = text(inner, "main")
    if made["url"] != url:
        secret = re.sub(r"[^a-z0-9]+", "_", f"git_{urlsplit(str(made['url'])).hostname}".lower())
        made["secret"] = f"_secrets^{secret}"
        one.scene.given[secret] = f"# a token that may read {made['url']}\n    "
        one.told.differs(one.at("git"), f"it is read over https, with the token _secrets^{secret}")
    else:
        one.told.becomes(one.at("git"), "git: {url: ...}")
    one.put("git", made, "git")


def _of_git(key: str) -> Act:
    def act(one: One, _: object) -> None:
        if one.old.data.get("git") is None:
            raise Wrong("is a part of git, which is not there; take it out")
        one.told.becomes(one.at(key), "a part of git")

    return act


def dockerfile(one: One, value: object) -> None:
    """Another name of the Dockerfile."""
    name = text(value, "Dockerfile")
    if name == "Dockerfile":
        one.told.needless(one.at("dockerfile"), "it is called so anyway")
        return
    one.put("dockerfile", name, "dockerfile")
    one.told.as_is(*one.at("dockerfile"))


def cmd(one: One, value: object) -> None:
    """Ruby split it at blanks."""
    one.put("command", text(value, "serve --quiet").split(), "cmd")
    one.told.becomes(one.at("cmd"), "command, split at blanks as Bee2 did")


def env(one: One, _: object) -> None:
    """See `variables`."""
    variables.environment(one)


def volumes(one: One, value: object) -> None:
    """Named volumes keep their names; folders become volumes, which backups save."""
    for index, item in enumerate(texts(value, "data:/data")):
        path = one.at("volumes", index)
        source, _, rest = item.partition(":")
        if source == SOCKET:
            one.told.needless(path, "nothing is given the whole server")
            continue
        target, _, mode = rest.partition(":")
        if not target.startswith("/") or mode not in ("", "rw", "ro"):
            raise Wrong(f"{show(item)} is no volume; write data:/data or data:/data:ro", index)
        if source.startswith("/"):
            source = _folder(one, source, index)
        made = f"{source}:{target}" + (":ro" if mode == "ro" else "")
        one.entry.put("volumes", [made], path)
        if made == item:
            one.told.as_is(*path)
        else:
            one.told.becomes(path, made)


def _folder(one: One, source: str, index: int) -> str:
    """The volume that a folder of the old host becomes: what lies there is not known here, but files have an ending."""
    bare = source.rstrip("/")
    if "." in bare.rpartition("/")[2] or bare.split("/")[1] in ("", "dev", "etc", "proc", "run", "sys", "tmp", "usr"):
        raise Wrong(f"{source} is the old host's own, or a file; leave it out, and write a file into files:", index)
    volume = re.sub(r"[^A-Za-z0-9_.-]+", "-", bare).strip("-._")
    if len(volume) < 2:
        raise Wrong(f"{source} has no name for a volume; write data:/data", index)
    one.told.do(f"copy the folder too: {bare}={volume} among what make copy is told")
    return volume


def ports(one: One, value: object) -> None:
    """Published at the same port, over TCP."""
    for index, item in enumerate(items(value, "[25]")):
        if not isinstance(item, int) and not (isinstance(item, str) and item.isdecimal() and len(item) < 6):
            raise Wrong(f"{show(item)} is no port of Bee2's; write e.g. 25", index)
        one.entry.put("ports", [int(item)], one.at("ports", index))
    one.told.as_is(*one.at("ports"))


def db(one: One, value: object) -> None:
    """The application that serves one, and its name where it isn't that of the entry."""
    for index, item in enumerate(texts(value, "postgres")):
        path = one.at("db", index)
        kind, _, named = item.partition(":")
        holder = one.scene.database(one.old.server, kind)
        name = one.scene.names.get(holder.path) if holder else None
        if name is None:
            what = "is no database server here" if kind not in ENGINES.values() else "is not on this server"
            raise Wrong(f"{show(kind)} {what}; take it out, and write _{kind}^adminpass in env", index)
        database = variables.spelled_database(kind, named or one.old.name)
        spelt = name if one.old.name == one.entry.name and database == own_name(one.old.name) else f"{name}:{database}"
        one.entry.put("db", [spelt], path)
        if spelt == item:
            one.told.as_is(*path)
        else:
            one.told.becomes(path, spelt)


def static_ip(one: One, value: object) -> None:
    """An address of its own; over IPv6 the part behind the server's /64, which is another one now."""
    given = mapping(value, '{ipv6: "2001:db8:1:2:0:2:0:b"}')
    for key, inner in given.items():
        if key != "ipv6":
            raise Wrong("containers have no IPv4 address of their own choice; take it out", key)
        prefix = one.scene.hive.addresses.get(one.old.server)
        try:
            address = IPv6Address(text(inner, "2001:db8:1:2:0:2:0:b"))
            is_own = bool(prefix and prefix.prefix) and address in IPv6Network(prefix.prefix if prefix else "::/0")
        except ValueError:
            is_own, address = False, IPv6Address(0)
        if not is_own:
            raise Wrong("is not in the server's /64 as the state has it; write static_ipv6 with what follows it", key)
        suffix = ":".join(f"{int(group, 16):x}" for group in address.exploded.split(":")[4:])
        one.entry.put("static_ipv6", suffix.removeprefix("0:"), one.at("static_ip", key))
        one.told.becomes(one.at("static_ip", key), f"static_ipv6: {suffix.removeprefix('0:')}")


def labels(one: One, value: object) -> None:
    """Labels, for tools of the owner's."""
    given = mapping(value, "{com.example.team: shop}")
    for name, inner in given.items():
        if name.startswith("traefik."):
            one.told.needless(one.at("labels", name), "Traefik's; the proxy here goes by env.domains")
        else:
            one.entry.put("labels", {name: text(inner, "shop")}, one.at("labels", name))
            one.told.as_is(*one.at("labels", name))


def traefik(one: One, value: object) -> None:
    """What Bee2 made Traefik's labels of: the site, where env says none."""
    http = mapping(mapping(value, "{http: {hosts: [example.com], port: 80}}").get("http"), "{port: 80}")
    hosts, port = texts(http.get("hosts"), "example.com"), text(http.get("port", 80), "80")
    given = {name.lower() for name in mapping(one.old.data.get("env") or None, "{http_port: 80}")}
    if "domains" in given or not hosts:
        one.told.needless(one.at("traefik"), "the proxy goes by env.domains")
        return
    if not (port.isascii() and port.isdigit()):
        raise Wrong(f"{show(port)} is no port; write e.g. 80", "http", "port")
    one.put("env", {"domains": hosts, "http_port": int(port[:6])}, "traefik")
    one.told.becomes(one.at("traefik"), "env.domains and http_port")
    known = one.scene.web(one.old.server)
    one.scene.more_web.setdefault(one.old.server, []).extend(host for host in hosts if host not in known)


def _same(word: str) -> Act:
    def act(one: One, value: object) -> None:
        one.put(word, value, word)
        one.told.as_is(*one.at(word))

    return act


def _needless(why: str) -> Act:
    def act(one: One, _: object) -> None:
        key = next(key for key, row in _KEYS.items() if row is act)
        one.told.needless(one.at(key), why)

    return act


def _refused(why: str) -> Act:
    def act(_: One, __: object) -> None:
        raise Wrong(why)

    return act


def _capadd(one: One, value: object) -> None:
    texts(value, "NET_ADMIN")
    one.told.becomes(one.at("capadd"), "capabilities")


_KEYS: dict[str, Act] = {
    "image": image,
    "build_dir": build_dir,
    "git": git,
    "branch": _of_git("branch"),
    "git_dir": _of_git("git_dir"),
    "dockerfile": dockerfile,
    "cmd": cmd,
    "capadd": _capadd,
    "db": db,
    "env": env,
    "volumes": volumes,
    "ports": ports,
    "ipv6_web": _same("ipv6_web"),
    "static_ipv6": _same("static_ipv6"),
    "static_ip": static_ip,
    "hostname": _same("hostname"),
    "labels": labels,
    "server": _needless("it is said by the whole"),
    "link": _needless("every container finds every other by name"),
    "traefik": traefik,
    "networks": _refused("each server has one network here; take it out, or stay with Bee2 for these"),
    "ipv4": _refused("ports are published on the server's only IPv4; take it out (ipv4 means something else here)"),
    "internal_dns": _refused("containers find each other by name; take it out, and use $app"),
}


def _rights(one: One) -> None:
    """As which user it runs, and what it may: Bee2 left both to Docker."""
    if role_of(one.old) == "official":
        name = image_of(one.old)
        known = USERS[name]
        tag = str(one.old.data.get("image")).rpartition(":")[2]
        one.put("user", known["alpine" in tag], "image", "no capability is left to change to it")
        if name in ENGINES:
            one.put("grace_seconds", 60, "image")
        return
    if one.told.is_left_out(*one.at("capadd")):
        more = []
    else:
        given = one.old.data.get("capadd")
        more = [str(name).upper().removeprefix("CAP_") for name in given] if isinstance(given, list) else []
    why = "Docker's own at Bee2" + (", and capadd" if more else "") + ": leave out what it does not need"
    one.put("capabilities", sorted({*_USUAL, *more}), "capadd" if more else "image", why)
