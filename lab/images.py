"""The images of the region, each named by the hash of its recipe and kept in `.lab/cache` as a tar as well.

- base: a minimal Debian, what `debian:SUITE-slim` is; by mmdebstrap where that runs (root on Debian or Ubuntu), from
  the machine's own mirror (mirror.py), else pulled from Docker Hub. Served to the servers by the region's registry.
- server: the disk of a fresh cloud server (recipes/server.sh on the base).
- tools: what the region's own containers run (recipes/tools.sh on the base).

Leaves alone: every image that is not named apiary-lab-*; a `debian:...` of the user's is never retagged.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import packages
from lab.mirror import of_this_machine
from lab.paths import NAMES, Paths
from lab.shell import LabError, docker, exclusive, packed, run_long, say, succeeds

RECIPES = Path(__file__).resolve().parent / "recipes"
SUITES = {2136: "bookworm", 2625: "trixie"}  # Vultr's os id -> Debian's suite
LABEL = "apiary.lab.image=1"
# As Docker Hub's `debian:...-slim` (https://github.com/debuerreotype/debuerreotype), so that an image that builds here
# builds there: /usr is merged without the package that would bring Perl, and of each package some parts are left out.
# Under the names that the files have there: recipes/server.sh removes them, a server's disk is not slim.
SLIM = [
    "--variant=minbase",
    "--include=ca-certificates,usr-is-merged",
    "--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr",
    *(
        f"--dpkgopt=path-exclude=/usr/share/{part}/*"
        for part in ("doc", "groff", "info", "lintian", "linda", "locale", "man")
    ),
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=path-include=/usr/share/locale/locale.alias",
    "--dpkgopt=force-unsafe-io",
    '--aptopt=Acquire::Languages "none"',
    '--customize-hook=mv "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap" "$1/etc/dpkg/dpkg.cfg.d/docker"',
    '--customize-hook=mv "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1/etc/apt/apt.conf.d/docker-no-languages"',
]
BUILD_SECONDS = 900.0
BOOT = 'CMD ["/sbin/lab-init"]'


def suite_of(os_id: int) -> str:
    """Debian's suite of a Vultr operating system. Raises LabError for one that the lab does not have."""
    if os_id not in SUITES:
        known = ", ".join(f"{number} (Debian {suite})" for number, suite in SUITES.items())
        raise LabError("server image", f"the lab has no operating system {os_id}", f"use one of {known}")
    return SUITES[os_id]


def base(paths: Paths, suite: str) -> str:
    """The tag of the minimal Debian, made when missing; its tree is in `base_tar`."""
    tag = f"apiary-lab-base:{suite}-{_hash(suite, *_origin(suite))}"
    if _loaded(tag) and base_tar(paths, suite).exists():
        return tag
    with exclusive(paths.cache / "base.lock", BUILD_SECONDS, "building images"):
        return _base(paths, suite, tag)


def _base(paths: Paths, suite: str, tag: str) -> str:
    tar = base_tar(paths, suite)
    if not tar.exists():
        if _can_mmdebstrap(paths):
            _mmdebstrap(paths, suite, tar)
        else:
            _pull(paths, suite, tar)
    before = docker("image", "ls", "--quiet", "--no-trunc", tag).split()
    docker(
        "import",
        "--change",
        'CMD ["bash"]',
        "--change",
        f"LABEL {LABEL}",
        str(tar),
        tag,
        step=f"importing the Debian {suite} base",
        timeout=300,
    )
    for image in before:  # it has lost its tag to the new one; while something is made of it, it stays
        succeeds(["docker", "image", "rm", image])
    return tag


def base_tar(paths: Paths, suite: str) -> Path:
    """The file tree of the base, uncompressed (about 85 MB)."""
    return paths.cache / f"base-{suite}-{_hash(suite, *_origin(suite))}.tar"


def server(paths: Paths, suite: str) -> str:
    """The tag of a fresh server's disk, made when missing (a minute, 240 MB)."""
    return derived(paths, suite, Recipe("server", (RECIPES / "server.sh").read_text(), BOOT))


def tools(paths: Paths) -> str:
    """The tag of the region's own containers' image, made when missing (half a minute)."""
    return derived(paths, "bookworm", Recipe("tools", (RECIPES / "tools.sh").read_text(), 'CMD ["bash"]'))


def remove_all() -> None:
    """Removes the lab's images; one that another lab's container still uses stays.

    By label and name both: an image that somebody builds on one of these inherits its labels.
    """
    tags = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"label={LABEL}").split()
    for tag in tags:
        if tag.startswith(NAMES) and not succeeds(["docker", "image", "rm", tag], timeout=60):
            say(f"the image {tag} stays: a container or an image that is not this lab's is made of it")


@dataclass(frozen=True)
class Recipe:
    """An image made by a shell script, run as root in another image."""

    kind: str  # the image is apiary-lab-KIND
    script: str
    command: str  # what its containers run, as in a Dockerfile's CMD
    parent: Callable[[Paths, str], str] | None = None  # None: the minimal Debian


def derived(paths: Paths, suite: str, recipe: Recipe) -> str:
    """The tag of the image, made when missing.

    Run and commit: works with every engine, with or without a builder.
    """
    on = [recipe.parent(paths, suite)] if recipe.parent else []
    tag = f"apiary-lab-{recipe.kind}:{suite}-{_hash(suite, *_origin(suite), recipe.script, recipe.command, *on)}"
    if _loaded(tag):
        return tag
    with exclusive(paths.cache / "images.lock", BUILD_SECONDS, "building images"):
        return tag if _loaded(tag) else _build(paths, suite, recipe, tag)


def _build(paths: Paths, suite: str, recipe: Recipe, tag: str) -> str:
    kind = recipe.kind
    tar = paths.cache / f"{tag.replace(':', '-')}.tar"
    if tar.exists():
        run_long(
            ["docker", "load", "-i", str(tar)],
            f"loading the {kind} image ({suite})",
            log=paths.log / "image.log",
            timeout=300,
        )
        if _loaded(tag):
            return tag
    parent = (recipe.parent or base)(paths, suite)
    name = paths.name(f"build-{kind}-{suite}")
    succeeds(["docker", "rm", "-f", name])
    docker("create", "--name", name, "--label", paths.label, parent, "/bin/sh", "/recipe.sh")
    try:
        docker("cp", "-", f"{name}:/", stdin=packed({"recipe.sh": recipe.script}))
        run_long(
            ["docker", "start", "-a", name],
            f"building the {kind} image (Debian {suite})",
            log=paths.log / f"image-{kind}-{suite}.log",
            timeout=BUILD_SECONDS,
            remedy=f"containers must reach {of_this_machine().site}: check DNS and the firewall, then run it again",
        )
        # What is made of the image is not the lab's by that alone: the builder's own label ends here.
        labels = f"LABEL {LABEL} {paths.label.partition('=')[0]}="
        docker("commit", "--change", recipe.command, "--change", labels, name, tag, timeout=300)
    finally:
        succeeds(["docker", "rm", "-f", name])
    docker("tag", tag, f"apiary-lab-{kind}:{suite}")
    partial = tar.with_suffix(".part")
    docker("save", "-o", str(partial), tag, f"apiary-lab-{kind}:{suite}", timeout=300)
    partial.rename(tar)
    for old in set(paths.cache.glob(f"apiary-lab-{kind}-{suite}-*.tar")) - {tar}:
        old.unlink()
        succeeds(["docker", "image", "rm", f"apiary-lab-{kind}:{suite}-{old.stem.rsplit('-', 1)[-1]}"])
    return tag


def _mmdebstrap(paths: Paths, suite: str, tar: Path) -> None:
    partial = tar.with_suffix(".part.tar")
    scratch = paths.cache / "tmp"
    scratch.mkdir(exist_ok=True)
    try:
        run_long(
            [
                "mmdebstrap",
                *SLIM,
                *_keyring(),
                suite,
                str(partial),
                *of_this_machine().sources(suite),
            ],
            f"building the Debian {suite} base by mmdebstrap",
            log=paths.log / f"image-base-{suite}.log",
            timeout=BUILD_SECONDS,
            env={"TMPDIR": str(scratch)},
            remedy=f"this machine must reach {of_this_machine().site} and have 1 GiB free; then run it again",
        )
        partial.rename(tar)
    finally:
        partial.unlink(missing_ok=True)
        shutil.rmtree(scratch, ignore_errors=True)


def _pull(paths: Paths, suite: str, tar: Path) -> None:
    """The base from Docker Hub, flattened, so that the region's registry can serve the same tree."""
    image, name = f"debian:{suite}-slim", paths.name(f"pull-{suite}")
    pulled = not _loaded(image)
    if pulled:
        run_long(
            ["docker", "pull", image],
            f"pulling {image}",
            log=paths.log / "image-pull.log",
            timeout=BUILD_SECONDS,
            remedy="run it as root on Debian or Ubuntu, where no Docker Hub is needed, "
            "or give this machine access to Docker Hub",
        )
    succeeds(["docker", "rm", "-f", name])
    docker("create", "--name", name, "--label", paths.label, image, "true")
    partial = tar.with_suffix(".part.tar")
    try:
        docker("export", "-o", str(partial), name, timeout=300)
        partial.rename(tar)
    finally:
        succeeds(["docker", "rm", "-f", name])
        if pulled:
            succeeds(["docker", "image", "rm", image])
        partial.unlink(missing_ok=True)


def _can_mmdebstrap(paths: Paths) -> bool:
    """Whether mmdebstrap runs here as root; installs it on Debian and Ubuntu."""
    if not packages.can_install():
        return False
    wanted = [
        package
        for package, proof in (
            ("mmdebstrap", shutil.which("mmdebstrap")),
            ("debian-archive-keyring", _keyring()),
        )
        if not proof
    ]
    if wanted:
        packages.install(paths, *wanted)
    return True


def _keyring() -> list[str]:
    ring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    return [f"--keyring={ring}"] if ring.exists() else []


def _origin(suite: str) -> list[str]:
    """Where the packages come from and what is left out of them: with another mirror it is another image."""
    mirror = of_this_machine()
    return [mirror.site, *mirror.sources(suite), *SLIM]


def _loaded(tag: str) -> bool:
    return succeeds(["docker", "image", "inspect", tag])


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
