"""The content of the region's registry: base images written in the layout that docker-registry serves.

Written as files, not pushed: the registry can then be read-only from its first moment, and needs no pushing
client. Makes `.lab/cache/registry`; leaves alone what is already there.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import platform
import shutil
import time
from pathlib import Path
from typing import Any

from lab.shell import packed, say

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CHUNK = 1 << 20


def add(storage: Path, repository: str, tag: str, tree: Path) -> None:
    """Makes `repository:tag` of one layer, the uncompressed tar `tree`, unless it is there already."""
    store = storage / "docker" / "registry" / "v2"
    current = store / "repositories" / repository / "_manifests" / "tags" / tag / "current" / "link"
    marker = storage / f"{repository.replace('/', '-')}-{tag}.source"
    source = f"{tree.name} {tree.stat().st_size}"
    if current.exists() and marker.exists() and marker.read_text() == source:
        return
    started = time.monotonic()
    layer, layer_size, diff_id = _layer(store, tree)
    config = _blob(
        store,
        json.dumps(
            {
                "architecture": _architecture(),
                "os": "linux",
                "created": "1970-01-01T00:00:00Z",
                "config": {
                    "Cmd": ["bash"],
                    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                },
                "rootfs": {"type": "layers", "diff_ids": [diff_id]},
                "history": [{"created": "1970-01-01T00:00:00Z"}],
            },
            sort_keys=True,
        ).encode(),
    )
    manifest = _blob(
        store,
        json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {
                    "mediaType": "application/vnd.docker.container.image.v1+json",
                    "size": config[1],
                    "digest": config[0],
                },
                "layers": [
                    {
                        "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                        "size": layer_size,
                        "digest": layer,
                    }
                ],
            },
            indent=1,
        ).encode(),
    )
    home = store / "repositories" / repository
    for digest in (layer, config[0]):
        _link(home / "_layers" / "sha256" / digest.removeprefix("sha256:"), digest)
    _link(home / "_manifests" / "revisions" / "sha256" / manifest[0].removeprefix("sha256:"), manifest[0])
    tags = home / "_manifests" / "tags" / tag
    _link(tags / "index" / "sha256" / manifest[0].removeprefix("sha256:"), manifest[0])
    _link(tags / "current", manifest[0])
    marker.write_text(source)
    say(f"{repository}:{tag} put into the lab's registry in {time.monotonic() - started:.0f} s")


def image_id(storage: Path, repository: str, tag: str) -> str:
    """What Docker calls the image once it has pulled it, `sha256:...`: the digest of its configuration."""
    return str(_manifest(storage, repository, tag)["config"]["digest"])


def docker_archive(storage: Path, repository: str, tag: str, tree: Path) -> bytes:
    """What `docker load` makes the same image of: a tar, with `tree`, which the image was made of."""
    config = image_id(storage, repository, tag)
    content = _place(storage / "docker" / "registry" / "v2", config.removeprefix("sha256:")).read_bytes()
    names = [f"{repository.removeprefix('library/')}:{tag}"]
    manifest = json.dumps([{"Config": "config.json", "RepoTags": names, "Layers": ["layer.tar"]}]).encode()
    files = {"config.json": content, "layer.tar": tree.read_bytes(), "manifest.json": manifest}
    return packed(files)


def _manifest(storage: Path, repository: str, tag: str) -> dict[str, Any]:
    store = storage / "docker" / "registry" / "v2"
    link = store / "repositories" / repository / "_manifests" / "tags" / tag / "current" / "link"
    found: dict[str, Any] = json.loads(_place(store, link.read_text().removeprefix("sha256:")).read_text())
    return found


def _layer(store: Path, tree: Path) -> tuple[str, int, str]:
    """Digest and size of the compressed layer, digest of the plain one."""
    store.mkdir(parents=True, exist_ok=True)
    partial = store / "layer.part"
    plain = hashlib.sha256()
    with (
        partial.open("wb") as raw,
        gzip.GzipFile("", "wb", 1, raw, mtime=0) as packed,
        tree.open("rb") as source,
    ):
        while chunk := source.read(_CHUNK):
            plain.update(chunk)
            packed.write(chunk)
    with partial.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    target = _place(store, digest)
    shutil.move(partial, target)
    return f"sha256:{digest}", target.stat().st_size, f"sha256:{plain.hexdigest()}"


def _blob(store: Path, content: bytes) -> tuple[str, int]:
    digest = hashlib.sha256(content).hexdigest()
    _place(store, digest).write_bytes(content)
    return f"sha256:{digest}", len(content)


def _place(store: Path, digest: str) -> Path:
    place = store / "blobs" / "sha256" / digest[:2] / digest / "data"
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _link(folder: Path, digest: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "link").write_text(digest)


def _architecture() -> str:
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
