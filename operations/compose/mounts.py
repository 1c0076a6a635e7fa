"""Volumes and bind mounts: what is data, what is a file, what the server has."""

from __future__ import annotations

import posixpath
import re

from operations.coming import hosts
from operations.coming.entries import content
from operations.coming.errors import SourceError, Wrong, mapping, path_of, show, text
from operations.coming.files import joined, spelt
from operations.coming.told import Outcome
from operations.compose import first_start, forms, mounted
from operations.compose.scene import One, Scene
from settings.host_places import is_server
from settings.references import AppRef

_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")
_OWN = ("/etc/localtime", "/lib/modules", "/etc/ssl/certs", "/etc/pki", "/usr/share/zoneinfo", "/etc/machine-id")
_LARGEST = 32_000  # bytes of a file that is written into the stack file
_A_FILE = re.compile(
    r".*\.(?:conf|cfg|cnf|ini|ya?ml|json|toml|xml|env|sql|sh|pem|crt|cert|key|txt|properties|lua|template|tmpl|htpasswd|"
    r"p12|pfx|jks|der|csr|pub|asc|csv|list|map|mmdb|sqlite3?|db|jar|mjs|rb|css|svg|png|ico|"
    r"acl|rules|config|js|py|php|html|cf|keyfile|gpg|j2|hcl|service|ts)|.*/(?:Caddyfile|Corefile|\.[a-z]+rc|\.htpasswd|\.env)"
)


def name_of(scene: Scene, source: str) -> str:
    """The name here of a volume that compose files name."""
    name = (scene.project.volumes.get(source) or {}).get("name")
    return scene.volume_of(str(name), f"volume {name}") if name else scene.volume_of(source, f"the project's {source}")


def nameless(one: One, target: str) -> str:
    """The name here of a volume that has none there."""
    return one.scene.volume_of(f"{one.service}{target.replace('/', '-')}", f"{target} of {one.service}")


def bound(one: One) -> dict[str, bool]:
    """The places of this machine that a service mounts, but its own source; whether it writes there."""
    build = one.data.get("build")
    context = str(build.get("context")) if isinstance(build, dict) else ""
    listed = one.data.get("volumes")
    found: dict[str, bool] = {}
    for index, item in enumerate(listed if isinstance(listed, list) else []):
        mount = mapping(item, "{}")
        path = posixpath.normpath(str(mount.get("source")))
        if mount.get("type") == "bind" and path != context and not one.told.is_left_out(*one.at("volumes", index)):
            is_read = mount.get("read_only") is True or _is_first(one, str(mount.get("target")))
            found[path] = found.get(path, False) or not is_read
    return found


def volumes(one: One, value: object) -> None:
    """Say what becomes of each mount."""
    for index, item in enumerate(value if isinstance(value, list) else []):
        at = one.at("volumes", index)
        if one.told.is_left_out(*at):
            one.told.left_out(*at)
            continue
        try:
            _mount(one, mapping(item, '"data:/data"'), at)
        except Wrong as error:
            one.told.cannot(at, str(error))


def _mount(one: One, mount: dict[str, object], at: tuple[str | int, ...]) -> None:
    kind, target = str(mount["type"]), posixpath.normpath(str(mount["target"]))
    mode = ":ro" if mount.get("read_only") is True else ""
    source = str(mount.get("source") or "")
    if one.database is not None and _is_first(one, target):
        mode = ":ro"
        texts = mounted.texts(one.scene.files, source) if kind == "bind" else {}
        spelt_out = {spelt(path, one.scene.project.folder): text for path, text in texts.items()}
        if not first_start.read(one, one.database, spelt_out, at):
            return
    _options(one, mount, at)
    if kind == "tmpfs":
        one.entry.put("tmpfs", {target: _in_memory(mapping(mount.get("tmpfs"), "{size: 64m}"))}, at)
        one.told.becomes(at, f"tmpfs: {{{target}: ...}}")
    elif kind == "volume" and not source and any(target.startswith(f"{known}/") for known in one.sources):
        one.told.needless(at, "it kept a part of the image from being hidden by its own source")
    elif kind == "volume" and not source:
        name = nameless(one, target)
        one.entry.put("volumes", [f"{name}:{target}{mode}"], at)
        one.told.becomes(at, f"the volume {name}, which outlives its container")
    elif kind == "volume":
        _named(one, source, target, mode, at)
    elif kind == "bind":
        _bind(one, source, target, mode, at)
    else:
        raise Wrong(f"no mount of type {show(kind)} is made here; put its files into the image, or into a volume")


def _is_first(one: One, target: str) -> bool:
    """Whether a database server runs what is mounted there at its first start, and never writes to it."""
    return one.database is not None and posixpath.normpath(target).startswith(first_start.FOLDER)


def _options(one: One, mount: dict[str, object], at: tuple[str | int, ...]) -> None:
    """Options of a mount, of which those are told that make another one of it. Raises Wrong."""
    volume = mapping(mount.get("volume"), "{nocopy: true}")
    bind = mapping(mount.get("bind"), "{create_host_path: true}")
    if volume.get("subpath"):
        raise Wrong(f"a part of a volume is not mounted here; have {volume['subpath']} in a volume of its own")
    if bind.get("propagation") not in (None, "", "private", "rprivate"):
        raise Wrong("what is mounted in it on the server later is not seen here; take the propagation out")
    if volume.get("nocopy") is True:
        one.told.differs((*at, "volume", "nocopy"), "what the image has there is copied into it while it is empty")


def _in_memory(options: dict[str, object]) -> str:
    """Spell size and mode of a folder in memory as mount does."""
    found = []
    if size := options.get("size"):
        spelt, is_more = forms.mebibytes(size)
        found.append(f"size={forms.size(size) if is_more else spelt}")
    if mode := options.get("mode"):
        found.append(f"mode={mode:o}" if isinstance(mode, int) else f"mode={text(mode, '1777')}")
    return ",".join(found)


def _named(one: One, source: str, target: str, mode: str, at: tuple[str | int, ...]) -> None:
    known = one.scene.project.volumes.get(source) or {}
    options = {word: said for word, said in mapping(known.get("driver_opts"), "{type: none}").items() if said}
    if str(options.get("type")) in ("nfs", "nfs4", "cifs") or known.get("driver") not in (None, "local"):
        raise Wrong(
            f"volumes.{source} lies on another machine or with a driver of its own; copy its files into a plain volume "
            "(take driver and driver_opts out)"
        )
    if "bind" in str(options.get("o")) and options.get("device"):
        _bind(one, joined(one.scene.project.folder, str(options["device"])), target, mode, at)
        return
    if set(options) - {"type"} or options.get("type") not in (None, "none", "local"):
        raise Wrong(f"volumes.{source}.driver_opts say another kind of volume than there is here; take them out")
    name = name_of(one.scene, source)
    one.entry.put("volumes", [f"{name}:{target}{mode}"], at)
    if name == source:
        one.told.as_is(*at)
    else:
        one.told.becomes(at, f"the volume {name}")


def _bind(one: One, source: str, target: str, mode: str, at: tuple[str | int, ...]) -> None:
    path = posixpath.normpath(source) if source else ""
    _no_socket(one, path, at)
    folder = one.scene.project.folder
    kind = one.scene.files.kind(path)
    inside = path.startswith(folder.rstrip("/") + "/") or path == folder
    # What is copied beside the stack file from here is no place of the server's.
    is_copied = kind == "file" and (inside or not path.startswith("/etc/"))
    mode = ":ro" if _is_own(path) else mode  # which nobody writes to
    if not (inside or is_copied):
        _no_server(path, mode)
    if kind == "folder":
        mounted.name(one, path, at)
    # A file that is only read is configuration, wherever it lies.
    if not (kind == "file" and mode) and _is_source(one, path, target, at):
        return
    if is_copied:
        _file(one, path, target, mode, at)
    elif path == "/etc/timezone":
        one.told.needless(at, "the server's time zone is its timezone; a container has that of TZ in its environment")
    elif not inside:
        is_named = path == "/etc/localtime" or _A_FILE.fullmatch(path) is not None
        is_file = kind == "file" or (kind is None and is_named and not source.endswith("/"))
        one.entry.put("volumes", [f"{path}{'' if is_file else '/'}:{target}{mode}"], at)
        one.told.becomes(at, f"the same {'file, which has to be there' if is_file else 'folder, which is made'}")
        # What every server has of its own stays; what a database server has comes by a dump.
        if not _is_own(path) and one.database is None:
            one.told.do(f"copy {path} to the same place on the server, before pulumi up")
            is_said = is_named or target.startswith(("/etc/", "/config"))
            if mode and kind is None and is_said and len(one.scene.names) > 1:
                one.told.do(f"write into reach of {one.entry.name} whom what lies in {path} names, if it names any")
    elif kind is None and any(map(_A_FILE.fullmatch, (path, target))) and not source.endswith("/"):
        raise Wrong(f"{spelt(path, folder)} is not here to be read; put it there, or correct the path")
    elif (around := _around(one, path)) is not None:
        whole = spelt(around, folder)
        raise Wrong(
            f"it lies in {whole}, which is mounted too, and they would be two volumes here; leave it out by "
            f"--leave-out '{path_of(*at)}' where a container sees it in {whole} anyway, or what mounts "
            "all of that, or put it elsewhere"
        )
    elif mode and not one.scene.bound.get(path):
        _kept(one, path, target, at)
    else:
        bare = re.sub(r"[^A-Za-z0-9]+", "-", spelt(path, folder)).strip("-")
        name = one.scene.volume_of(bare or one.scene.name_of(one.scene.project.name), f"folder {path}")
        one.entry.put("volumes", [f"{name}:{target}{mode}"], at)
        one.told.becomes(at, f"the volume {name}, which is saved by backups")
        one.scene.copies[name] = spelt(path, folder)


def _is_own(path: str) -> bool:
    return any(f"{path}/".startswith(f"{own}/") for own in (*_OWN, "/etc/timezone"))


def _no_server(path: str, mode: str) -> None:
    """Raises Wrong for a place that no container is given."""
    if not is_server(path, read_only=bool(mode)):
        return
    elsewhere = f"put it elsewhere, such as /srv/{path.partition('/root/')[2] or path.rpartition('/')[2]}"
    if path.startswith("/root/"):
        raise Wrong(f"no container is given what is root's; {elsewhere}")
    if not is_server(path, read_only=True):
        raise Wrong(f"{path} is the server's, which no container changes; {elsewhere}, or mount it to be read only")
    raise Wrong(f"{path} is the server itself; give the container the one folder it needs")


def _no_socket(one: One, path: str, at: tuple[str | int, ...]) -> None:
    """Raises Wrong for the Docker socket, and what else is there while the server runs."""
    if path.startswith(("/run/", "/var/run/")) and path not in _SOCKETS:
        raise Wrong(f"{path} is the server's own while it runs; leave it out by --leave-out '{path_of(*at)}'")
    if path != "/" and any(f"{socket}/".startswith(f"{path.rstrip('/')}/") for socket in _SOCKETS):
        raise Wrong(
            "the Docker socket is the whole server, and no container is given it; what a proxy, a scheduler or an "
            "updater does with it the program does itself (docs/from-compose.md): "
            f"leave the service out by --leave-out services.{one.service}, or where it does other work too and goes "
            f"without the socket, this mount alone by --leave-out '{path_of(*at)}'"
        )


def _around(one: One, path: str) -> str | None:
    """The folder around another one, where both are mounted and one of them is written to."""
    known, project = one.scene.bound, one.scene.project.folder
    inside = [other for other in sorted(known) if other == project or other.startswith(f"{project.rstrip('/')}/")]
    return next(
        (other for other in inside if path.startswith(f"{other}/") and (known[other] or known.get(path, True))), None
    )


def _is_source(one: One, path: str, target: str, at: tuple[str | int, ...]) -> bool:
    """Whether a mount is the source that the image is built from, as on a developer's machine. Raises Wrong."""
    build = one.data.get("build")
    context = str(build.get("context")) if isinstance(build, dict) else ""
    if path == context:
        one.told.needless(at, "it is what the image is built from, and the image has it")
        one.sources.append(target)
        return True
    if context.startswith(f"{one.scene.project.folder}/") and path.startswith(f"{context}/"):
        raise Wrong(
            f"it lies in {spelt(context, one.scene.project.folder)}, from which the image is built; leave it out by "
            f"--leave-out '{path_of(*at)}' if it is source, or put it elsewhere if it is data"
        )
    return False


def _kept(one: One, path: str, target: str, at: tuple[str | int, ...]) -> None:
    """A folder, or a large file, that is only read: kept beside the stack file."""
    here = spelt(path, one.scene.project.folder)
    relative = re.sub(r"[^A-Za-z0-9/._-]+", "-", here).strip("./")
    there = posixpath.join("config", one.scene.name_of(one.scene.project.name), relative)
    one.entry.put("files", {target: {"from": there}}, at)
    one.told.becomes(at, f"files: {{{target}: {{from: {there}}}}}")
    one.told.do(f"copy {here} to {there} of this checkout")
    if len(one.scene.names) > 1 and one.scene.files.kind(path) != "folder":
        one.told.do(f"write into reach of {one.entry.name} whom what lies in {there} names; it reaches nobody else")


def _file(one: One, path: str, target: str, mode: str, at: tuple[str | int, ...]) -> None:
    try:
        text = one.scene.files.read(path)
    except SourceError as error:
        if mode:
            _kept(one, path, target, at)
            return
        here = spelt(path, one.scene.project.folder)
        raise Wrong(f"{here} is no text; write {here}:{target}:ro if it is only read, or mount its folder") from error
    if len(text.encode()) > _LARGEST:
        _kept(one, path, target, at)
        return
    made = {"content": referred(one, text, at)} | ({"mode": "0555"} if text.startswith("#!") else {})
    one.entry.put("files", {target: made}, at)
    said = f"files: {{{target}: ...}}, with the text of {spelt(path, one.scene.project.folder)}"
    if not mode:
        said += ", which the container can only read"
    if any(is_written and path.startswith(f"{other}/") for other, is_written in one.scene.bound.items()):
        one.told.differs(at, f"{said}; what is written to its folder later is not seen")
    else:
        one.told.say(at, Outcome.BECOMES if mode else Outcome.DIFFERS, said)


def referred(one: One, text: str, at: tuple[str | int, ...]) -> str:
    """A file's text, in which references stand for other services, so that it reaches them by their names here."""
    for host in dict.fromkeys(text[place.start : place.end] for place in hosts.places(text, one.client.others)):
        if host != one.client.hosts[host]:
            one.told.differs((*at, host), f"it is called {one.client.hosts[host]} now, and so in that file")
    parts = hosts.referred(text, one.client.others)
    one.client.met |= {part.name for part in parts if isinstance(part, AppRef)}
    mounted.listed(one, text, path_of(*at))
    return content(parts)


def tmpfs(one: One, value: object) -> None:
    """Folders in memory."""
    for index, item in enumerate(value if isinstance(value, list) else []):
        path, _, options = str(item).partition(":")
        one.entry.put("tmpfs", {path: options}, one.at("tmpfs", index))
    one.told.as_is(*one.at("tmpfs"))
