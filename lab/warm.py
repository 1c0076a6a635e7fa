"""What the servers of a warm region begin with, and do not fetch: what is tested on them is less of a wait.

Makes: the disk of a server on which playbooks/bootstrap.sh has installed its packages, and a Docker volume with the
layers of images/ and of their base, on which each server's /var/lib/docker begins, by hard links. Docker's build cache
decides what of it counts: a step that has changed, and all that follow, runs on the server as ever.
Leaves alone: everything that a bootstrap configures; a region that is not warm.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from components.archive import read_context
from lab import engine, images, registry
from lab.paths import CHECKOUT, Paths
from lab.shell import LabError, docker, exclusive, packed, run_long, succeeds

LABEL = "apiary.lab.layers"  # of the volumes, its value the folder of the cache that they belong to
BUILD_SECONDS = 1800.0
RECIPE = """\
set -eu
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
cat > /bootstrap.sh <<'END OF BOOTSTRAP'
{bootstrap}
END OF BOOTSTRAP
bash /bootstrap.sh --packages
# Docker's first start is the bootstrap's, with the configuration that it writes.
systemctl disable docker.service docker.socket containerd.service
rm -rf /bootstrap.sh /usr/sbin/policy-rc.d /var/lib/apt/lists/* /var/cache/apt/*.bin
: > /etc/machine-id
"""
BUILD = """\
set -eu
# What systemd does for a server: the engine has mounted the cgroups, of either kind, read-only.
mount -o remount,rw /sys 2>/dev/null || true
for tree in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ ! -d "$tree" ] || mount -o remount,bind,rw "$tree" 2>/dev/null || true
done
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p /sys/fs/cgroup/init
    for process in $(cat /sys/fs/cgroup/cgroup.procs); do
        echo "$process" > /sys/fs/cgroup/init/cgroup.procs 2>/dev/null || true
    done
    sed 's/^\\| / +/g' /sys/fs/cgroup/cgroup.controllers > /sys/fs/cgroup/cgroup.subtree_control
fi
# With a network as the servers' own: another one would be another step to BuildKit.
dockerd --ip6tables=false >/dockerd.log 2>&1 &
daemon=$!
tries=0
until docker version >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 120 ] || { cat /dockerd.log; exit 1; }
    sleep 0.5
done
docker load --quiet --input /base.tar
export DOCKER_BUILDKIT=1
ls /contexts | xargs -P 3 -I NAME sh -c '
    mkdir -p /unpacked/NAME && tar -x -p -C /unpacked/NAME -f /contexts/NAME &&
        docker build --progress=plain --tag layers/NAME /unpacked/NAME >/NAME.log 2>&1 ||
        { tail -n 30 /NAME.log; exit 255; }
    echo NAME is built'
docker image prune --force
kill $daemon
wait $daemon
"""
# What Docker and BuildKit know is written to in its place: by a hard link it would be so in both volumes, and one of
# them know of layers that it does not have, as soon as a build of the other has failed.
COPY = """\
set -eu
cd /volumes/{source}
for part in *; do
    case $part in overlay2) how=-al ;; *) how=-a ;; esac
    cp $how "$part" /volumes/{target}/
done
"""
LOST = "layer does not exist"  # what BuildKit says of such layers
# Hard links: what is of a layer or of an image is never written to again, only removed.
FILL = """\
set -eu
cd /volumes
mkdir -p {target}/image/overlay2/layerdb
cp -al {source}/overlay2 {target}/
for part in imagedb distribution; do cp -al {source}/image/overlay2/$part {target}/image/overlay2/; done
cp -al {source}/image/overlay2/layerdb/sha256 {target}/image/overlay2/layerdb/
rm -f {target}/overlay2/backingFsBlockDev
# What BuildKit knows of them is in databases, which are written to.
cp -a {source}/buildkit {target}/
cat > {target}/image/overlay2/repositories.json
"""


def mark_of(paths: Paths) -> Path:
    """The file that says that a region is warm."""
    return paths.root / "warm"


def bring(paths: Paths) -> None:
    """Makes what servers of warm regions begin with, where it is missing."""
    for suite in ("bookworm", "trixie"):
        server(paths, suite)
    layers(paths)


def mark(paths: Paths) -> None:
    """Makes the region a warm one, for the servers that it gets from now on."""
    bring(paths)
    mark_of(paths).touch()


def is_warm(paths: Paths) -> bool:
    return mark_of(paths).exists()


def server(paths: Paths, suite: str) -> str:
    """The tag of the disk of a server of a warm region, made when missing."""
    script = RECIPE.format(bootstrap=(CHECKOUT / "playbooks" / "bootstrap.sh").read_text())
    return images.derived(paths, suite, images.Recipe("warm", script, images.BOOT, images.server))


def layers(paths: Paths) -> str:
    """The volume with the layers of images/ as they stand, made when missing: from the one before it, if there is one.

    Raises LabError with the end of the log of an image that can't be built.
    """
    contexts = {folder.name: read_context(folder) for folder in (CHECKOUT / "images").iterdir() if folder.is_dir()}
    base = images.base_tar(paths, "bookworm").name
    parts = [RECIPE, BUILD, base, *(contexts[name].digest for name in sorted(contexts))]
    name = f"apiary-lab-layers-{_short(str(paths.cache))}-{_short(' '.join(parts))}"
    with exclusive(_lock(paths), BUILD_SECONDS, "building the layers of images/"):
        done = paths.cache / "layers"
        before = done.read_text() if done.exists() else ""
        if before == name:
            if succeeds(["docker", "volume", "inspect", name]):
                return name
            done.unlink()  # somebody has removed it; until it is whole again it does not count
        old = _volumes(paths)
        if name not in old:
            docker("volume", "create", "--label", f"{LABEL}={paths.cache}", name)
            if before in old:
                _copy(paths, before, name)
        tars = {image: context.tar for image, context in contexts.items()}
        try:
            _build(paths, name, tars)
        except LabError as error:
            if LOST not in str(error):
                raise
            succeeds(["docker", "volume", "rm", name])
            docker("volume", "create", "--label", f"{LABEL}={paths.cache}", name)
            _build(paths, name, tars)
        done.write_text(name)
        for other in set(old) - {name}:
            succeeds(["docker", "volume", "rm", other])
    return name


def fill(paths: Paths, volume: str) -> None:
    """Puts the layers into the new volume of a server. Raises LabError."""
    source = layers(paths)
    image = registry.image_id(paths.registry, "library/debian", "bookworm-slim")
    tag = {"Repositories": {"debian": {"debian:bookworm-slim": image}}}
    with exclusive(_lock(paths), BUILD_SECONDS, "copying the layers of images/"):
        script = FILL.format(source=f"{source}/_data", target=f"{volume}/_data")
        _among_volumes(paths, script, json.dumps(tag).encode())


def remove(paths: Paths) -> None:
    """Removes the volumes of layers."""
    for volume in _volumes(paths):
        succeeds(["docker", "volume", "rm", volume], timeout=120)


def _volumes(paths: Paths) -> list[str]:
    """The volumes of layers of this cache, and of those that are gone: somebody has removed their checkout."""
    listed = docker("volume", "ls", "--filter", f"label={LABEL}", "--format", f'{{{{.Name}}}} {{{{.Label "{LABEL}"}}}}')
    pairs = [line.split(" ", maxsplit=1) for line in listed.splitlines()]
    return [name for name, cache in pairs if cache == str(paths.cache) or _is_gone(Path(cache))]


def _is_gone(folder: Path) -> bool:
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # somebody else's, who lets nobody look
    return False


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _lock(paths: Paths) -> Path:
    return paths.cache / "layers.lock"


def _copy(paths: Paths, source: str, target: str) -> None:
    _among_volumes(paths, COPY.format(source=f"{source}/_data", target=f"{target}/_data"))


def _among_volumes(paths: Paths, script: str, stdin: bytes = b"") -> None:
    """Runs a shell script as root where all of Docker's volumes are side by side: only there can they share files."""
    volumes = docker("info", "--format", "{{.DockerRootDir}}").strip() + "/volumes"
    docker(
        *("run", *paths.passing(), "--interactive", "--network", "none", "-v", f"{volumes}:/volumes"),
        *(images.tools(paths), "sh", "-c", script),
        step="the layers of images/",
        stdin=stdin,
        timeout=300,
    )


def _build(paths: Paths, volume: str, contexts: dict[str, bytes]) -> None:
    # One for each cache: a region that was killed may have left its own at work on this very volume.
    name = f"apiary-lab-layers-{_short(str(paths.cache))}-build"
    succeeds(["docker", "rm", "-f", name])
    docker(
        *("create", "--name", name, "--label", paths.label, "--init", "-v", f"{volume}:/var/lib/docker"),
        *("--entrypoint", "", *engine.server_flags(paths)),
        *(server(paths, "bookworm"), "sh", "-c", BUILD),
        step="the layers of images/",
    )
    try:
        base = registry.docker_archive(
            paths.registry, "library/debian", "bookworm-slim", images.base_tar(paths, "bookworm")
        )
        files = {"base.tar": base, **{f"contexts/{image.lower()}": context for image, context in contexts.items()}}
        docker("cp", "-", f"{name}:/", stdin=packed(files), timeout=300, step="the layers of images/")
        run_long(
            ["docker", "start", "-a", name],
            "building the layers of images/, for the warm regions of tests",
            log=paths.log / "layers.log",
            timeout=BUILD_SECONDS,
        )
    finally:
        succeeds(["docker", "rm", "-f", name])
