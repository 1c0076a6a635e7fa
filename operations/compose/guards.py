"""What a reverse proxy that is left out was told of all sites at once: who may come, and whom it believed.

Makes: `gather`, which reads it of the services that go, and `tell`, which makes words of every site of it or tells each
by its own path: leaving out the proxy does not leave out what kept visitors out. Leaves alone: what a site says itself.
"""

from __future__ import annotations

import posixpath
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from operations.coming import yaml_data
from operations.coming.entries import Path
from operations.coming.errors import SourceError, path_of
from operations.coming.told import Told
from operations.compose import proxied, sites, traefik_middlewares
from operations.compose.proxied import BY_CERTIFICATE, HASHED, Option, Said
from operations.compose.scene import One, Scene

_TRAEFIK_FILES = tuple(f"/etc/traefik/traefik.{ending}" for ending in ("yml", "yaml", "toml"))
_DIRECTIVES = "directives of its own, which are not read; write what they keep out into site: of whom they are for"
_ELSEWHERE = "what it says of sites is not read; write what it keeps out into site: of whom it is for"
_CHOSEN = "which services are sites at all is not read of it; leave the others out"
_REFUSED = {
    "providers.docker.constraints": _CHOSEN,
    "providers.swarm.constraints": _CHOSEN,
    "providers.file.directory": _ELSEWHERE,
    "providers.file.filename": _ELSEWHERE,
    "unread": _ELSEWHERE,
    "htpasswd": HASHED,
    "directives": _DIRECTIVES,
}
_ENTRY = re.compile(r"entrypoints\.[^.]+\.(.+)")
_OLD_GUARD = re.compile(r"auth\.|whitelist|whitelistsourcerange|\bca(?:\.|:|\b)|clientca", re.IGNORECASE)


def gather(scene: Scene) -> None:
    """Read what the proxies that are left out were told of all sites. Has to come before those services go."""
    for service, data in scene.project.services.items():
        if not scene.told.is_left_out("services", service):
            continue
        image = str(data.get("image") or "").rpartition("/")[2].partition("@")[0].partition(":")[0]
        if image == "traefik":
            scene.guards += _traefik(scene, service, data)
        elif image in ("nginx-proxy", "caddy-docker-proxy"):
            scene.guards += _others(service, data, image)


def tell(scene: Scene, ones: Sequence[One]) -> None:
    """Say what becomes of each, once every site has said its own words."""
    behind = [one for one in ones if one.said.hosts]
    for option in scene.guards if behind else ():
        entry = _ENTRY.fullmatch(option.name)
        if entry and entry[1] == "http.middlewares":
            for name in filter(None, re.split(r"[\s,]+", option.value)):
                trial = Said(Told())
                traefik_middlewares.read(trial, name, option.at, scene.middlewares)
                _everywhere(scene, behind, option, f"{name} stands before every site", trial)
        elif entry and entry[1] == "forwardedheaders.trustedips":
            trial = Said(Told())
            proxied.networks(trial, "trusted_proxies", option.value, option.at)
            _everywhere(scene, behind, option, "it holds for every site", trial)
        elif option.name == "providers.docker.exposedbydefault":
            if option.value.lower() == "false":
                _by_name_alone(behind)
        elif why := _why(option.name, entry[1] if entry else "", option.value):
            _refuse(scene, option, why)


def _why(name: str, below: str, value: str) -> str:
    """Why it can't be said; empty for what keeps nobody out."""
    if below == "http.tls.options" and value.partition("@")[0].lower() != "default":
        return BY_CERTIFICATE
    if below.startswith("proxyprotocol.") and value.lower() != "false":
        return "the proxy here is not told visitors' addresses by the PROXY protocol; let them come to it themselves"
    if name == "entrypoints" and _OLD_GUARD.search(value):
        return "it guards every site; write what it keeps out into site: of each (allow_from, password)"
    return _REFUSED.get(name, "")


def _refuse(scene: Scene, option: Option, why: str) -> None:
    bare = re.sub(r",? and leave it out by --leave-out$", "", why)
    spelt = f"{option.name}: " if "." in option.name else ""
    scene.told.guard(option.at, f"{spelt}{bare}; then --leave-out '{path_of(*option.at)}'")


def _everywhere(scene: Scene, ones: Sequence[One], option: Option, spelt: str, trial: Said) -> None:
    """Make words of what a trial has read for every site, where it can be said and no site says another one."""
    if trial.told.refused or trial.moved:
        words = trial.told.refused[0].words if trial.told.refused else "redirects of the server say it here"
        _refuse(scene, option, f"{spelt}: {words}")
        return
    for one in ones:
        for word, value in trial.site.items():
            if one.said.site.get(word, value) != value:
                _refuse(scene, option, f"{spelt}, and {one.service} says another {word}; write there what both say")
            else:
                one.said.word(word, value, option.at)
    if not trial.site:
        scene.told.needless(option.at, f"{spelt}, and needs no word here")


def _by_name_alone(ones: Sequence[One]) -> None:
    """Only those are sites that say so."""
    for one in ones:
        labels = {name.lower() for name in sites.pairs(one.data.get("labels"))}
        if any(name.startswith("traefik.http.") for name in labels) and "traefik.enable" not in labels:
            one.said.is_off = True


# Reading


def _traefik(scene: Scene, service: str, data: Mapping[str, object]) -> Iterator[Option]:
    """Its arguments, its variables, and the file that it finds or is told of; of which two take the place of none."""
    at: Path = ("services", service)
    named = list(_TRAEFIK_FILES)
    for word, place in _words(data.get("command")):
        name, _, value = word.removeprefix("--").partition("=")
        if name.lower() == "configfile":
            named.append(value)
        elif word.startswith("--"):
            yield Option(_spelt(name), value, (*at, *place))
    for name, value in sites.pairs(data.get("environment")).items():
        if name.upper().startswith("TRAEFIK_"):
            yield Option(_spelt(name[8:].replace("_", ".")), value, (*at, "environment", name))
    for target, text, place in _files(scene, service, data):
        if target in named:
            yield from _of_file(text, target, place)


def _spelt(name: str) -> str:
    """`entrypoints.x.http.middlewares[0]` is one of the middlewares."""
    return re.sub(r"\[\d+\]|\.\d+(?=\.|$)", "", name.lower())


def _words(command: object) -> Iterator[tuple[str, Path]]:
    """The words of a command, each with its place in the service."""
    if isinstance(command, str):
        try:
            yield from ((word, ("command",)) for word in shlex.split(command))
        except ValueError:
            yield from ((word, ("command",)) for word in command.split())
    for index, word in enumerate(command if isinstance(command, list) else []):
        yield str(word), ("command", index)


def _files(scene: Scene, service: str, data: Mapping[str, object]) -> Iterator[tuple[str, str | None, Path]]:
    """What it has mounted as files or with folders: path inside, text (None: can't be read), where that is said."""
    mounts = data.get("volumes")
    for index, mount in enumerate(mounts if isinstance(mounts, list) else []):
        if not isinstance(mount, dict) or mount.get("type") != "bind":
            continue
        target, source = posixpath.normpath(str(mount.get("target"))), posixpath.normpath(str(mount.get("source")))
        inside = [target] if target.rpartition(".")[1] else [f for f in _TRAEFIK_FILES if f.startswith(f"{target}/")]
        for file in inside:
            path = source + file.removeprefix(target)
            if scene.files.kind(path) == "file" or file == target:
                yield file, _text(scene, path), ("services", service, "volumes", index)
    granted = data.get("configs")
    for index, grant in enumerate(granted if isinstance(granted, list) else []):
        if isinstance(grant, dict):
            known = scene.project.configs.get(str(grant.get("source")))
            said = known if isinstance(known, dict) else {}
            text = str(said["content"]) if "content" in said else _text(scene, str(said.get("file")))
            yield str(grant.get("target") or f"/{grant.get('source')}"), text, ("services", service, "configs", index)


def _text(scene: Scene, path: str) -> str | None:
    try:
        return scene.files.read(path)
    except SourceError:
        return None


def _of_file(text: str | None, name: str, at: Path) -> Iterator[Option]:
    """The options of a static configuration, YAML or TOML."""
    found: Sequence[object] | None = None
    if text is not None:
        with suppress(ValueError):
            found = [tomllib.loads(text)] if name.endswith(".toml") else yaml_data.documents(text, name)
    if found is None:
        yield Option("unread", name, at)
    for document in found or ():
        yield from (Option(_spelt(option), value, at) for option, value in _flat(document))


def _flat(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        yield name, ",".join(str(item) for item in value)
    elif value is not None:
        yield name, str(value).lower() if isinstance(value, bool) else str(value)


def _others(service: str, data: Mapping[str, object], image: str) -> Iterator[Option]:
    """What nginx-proxy and caddy-docker-proxy find in files."""
    at: Path = ("services", service)
    mounts = data.get("volumes")
    for index, mount in enumerate(mounts if isinstance(mounts, list) else []):
        target = str(mount.get("target")) if isinstance(mount, dict) else ""
        if image == "nginx-proxy" and target.startswith("/etc/nginx/htpasswd"):
            yield Option("htpasswd", target, (*at, "volumes", index))
        elif image == "nginx-proxy" and target.startswith("/etc/nginx/") and mount.get("type") == "bind":
            yield Option("directives", target, (*at, "volumes", index))
    for name in sites.pairs(data.get("environment")):
        if image == "caddy-docker-proxy" and name == "CADDY_DOCKER_CADDYFILE_PATH":
            yield Option("directives", name, (*at, "environment", name))
    for word, place in _words(data.get("command")):
        if image == "caddy-docker-proxy" and word.lstrip("-").startswith("caddyfile-path"):
            yield Option("directives", word, (*at, *place))
