"""What the servers of a warm region begin with is built once, and anew when images/ has changed."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from lab import images, registry, warm
from lab.paths import CHECKOUT, Paths
from lab.shell import LabError


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.delenv("APIARY_LAB_CACHE", raising=False)
    return Paths.find(tmp_path / "lab")


class Volumes:
    """Docker's volumes, and what was built into them, copied between them, and removed."""

    def __init__(self) -> None:
        self.there: list[str] = []
        self.caches: dict[str, str] = {}  # by volume
        self.built: list[str] = []
        self.copied: list[tuple[str, str]] = []
        self.fails = False
        self.lost: set[str] = set()  # of these BuildKit knows layers that are not there

    def docker(self, *arguments: str, **_: object) -> str:
        match arguments:
            case ("volume", "ls", *_):
                return "\n".join(f"{name} {self.caches[name]}" for name in self.there)
            case ("volume", "create", *_):
                self.add(arguments[-1], arguments[-2].removeprefix(f"{warm.LABEL}="))
        return ""

    def add(self, name: str, cache: str) -> None:
        self.there.append(name)
        self.caches[name] = cache

    def succeeds(self, command: list[str], timeout: float = 0) -> bool:
        if command[2] == "rm":
            self.there.remove(command[-1])
            self.lost.discard(command[-1])
        return command[-1] in self.there

    def build(self, paths: Paths, volume: str, contexts: dict[str, bytes]) -> None:
        if self.fails:
            raise LabError("building", "no network")
        if volume in self.lost:
            raise LabError("building", "#8 ERROR: layer does not exist")
        self.built.append(volume)


@pytest.fixture
def volumes(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Volumes:
    found = Volumes()
    checkout = paths.root / "checkout"
    (checkout / "images" / "Echo").mkdir(parents=True)
    (checkout / "images" / "Echo" / "Dockerfile").write_text("FROM debian:bookworm-slim\n")
    monkeypatch.setattr(warm, "CHECKOUT", checkout)
    monkeypatch.setattr(warm, "docker", found.docker)
    monkeypatch.setattr(warm, "succeeds", found.succeeds)
    monkeypatch.setattr(warm, "_build", found.build)
    monkeypatch.setattr(warm, "_copy", lambda _, source, target: found.copied.append((source, target)))
    monkeypatch.setattr(images, "base_tar", lambda *_: Path("base-bookworm-1.tar"))
    return found


def change(paths: Paths) -> None:
    (paths.root / "checkout" / "images" / "Echo" / "Dockerfile").write_text("FROM debian:trixie-slim\n")


def test_the_layers_are_built_once(paths: Paths, volumes: Volumes):
    assert warm.layers(paths) == warm.layers(paths)
    assert volumes.built == volumes.there == [warm.layers(paths)]


def test_a_changed_image_is_built_beside_the_layers_of_the_others_which_then_go(paths: Paths, volumes: Volumes):
    before = warm.layers(paths)
    change(paths)
    after = warm.layers(paths)
    assert volumes.copied == [(before, after)]
    assert volumes.built == [before, after]
    assert volumes.there == [after]


def test_layers_that_could_not_be_built_are_built_at_the_next_attempt(paths: Paths, volumes: Volumes):
    before = warm.layers(paths)
    change(paths)
    volumes.fails = True
    with pytest.raises(LabError, match="no network"):
        warm.layers(paths)
    assert before in volumes.there, "it is what the next attempt begins with"
    volumes.fails = False
    assert volumes.built == [before, warm.layers(paths)]


def test_layers_of_which_some_are_lost_are_built_from_nothing(
    paths: Paths, volumes: Volumes, monkeypatch: pytest.MonkeyPatch
):
    warm.layers(paths)
    change(paths)
    monkeypatch.setattr(warm, "_copy", lambda _, source, target: volumes.lost.add(target))
    after = warm.layers(paths)
    assert (volumes.there, volumes.built[-1]) == ([after], after)


@pytest.mark.parametrize("name", ["buildkit", "image", "network"])
def test_what_docker_knows_is_copied_and_its_layers_are_linked(tmp_path: Path, name: str):
    for folder in ("overlay2/layer", name):
        (tmp_path / "source" / folder).mkdir(parents=True)
        (tmp_path / "source" / folder / "file").write_text("before")
    (tmp_path / "target").mkdir()
    script = warm.COPY.format(source="source", target="target").replace("/volumes", str(tmp_path))
    subprocess.run(["sh", "-c", script], check=True)
    for folder in ("overlay2/layer", name):
        (tmp_path / "target" / folder / "file").write_text("after")
    assert (tmp_path / "source" / name / "file").read_text() == "before"
    assert (tmp_path / "source" / "overlay2" / "layer" / "file").read_text() == "after", "no room is taken twice"


def test_layers_that_somebody_removed_are_built_again_to_their_end(paths: Paths, volumes: Volumes):
    volumes.there.remove(warm.layers(paths))
    volumes.fails = True
    with pytest.raises(LabError, match="no network"):
        warm.layers(paths)
    volumes.fails = False
    assert volumes.built == [warm.layers(paths)] * 2


def test_make_clean_leaves_no_layers_but_those_of_other_checkouts(paths: Paths, volumes: Volumes, tmp_path: Path):
    (tmp_path / "other" / "cache").mkdir(parents=True)
    volumes.add("another-s", str(tmp_path / "other" / "cache"))
    volumes.add("nobody-s", str(tmp_path / "gone" / "cache"))
    warm.layers(paths)
    warm.remove(paths)
    assert volumes.there == ["another-s"]


def test_layers_of_a_checkout_that_can_t_be_looked_at_are_left_alone(
    paths: Paths, volumes: Volumes, monkeypatch: pytest.MonkeyPatch
):
    def look(folder: Path, **_: bool) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    volumes.add("another-s", "/home/another/cache")
    monkeypatch.setattr(Path, "stat", look)
    warm.remove(paths)
    assert volumes.there == ["another-s"]


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_the_disk_of_a_warm_server_has_what_the_bootstrap_installs_and_starts_nothing_of_it(
    suite: str, paths: Paths, monkeypatch: pytest.MonkeyPatch
):
    """By the bootstrap itself: what it can't install is found when it is written, and on whatever has no cache."""
    asked: list[tuple[str, images.Recipe]] = []
    monkeypatch.setattr(images, "derived", lambda paths, suite, recipe: asked.append((suite, recipe)) or "tag")
    assert warm.server(paths, suite) == "tag"
    [(made, recipe)] = asked
    assert made == suite
    assert (CHECKOUT / "playbooks" / "bootstrap.sh").read_text() in recipe.script
    lines = recipe.script.splitlines()
    assert lines.index("bash /bootstrap.sh --packages") < lines.index(
        "systemctl disable docker.service docker.socket containerd.service"
    )
    assert recipe.command == images.BOOT


def test_what_is_loaded_from_the_registry_s_files_is_the_image_that_would_be_pulled(tmp_path: Path):
    """Else no layer that is built on it is used on a server that has pulled it."""
    tree = tmp_path / "tree.tar"
    with tarfile.open(tree, "w") as tar:
        tar.addfile(tarfile.TarInfo("etc"))
    registry.add(tmp_path, "library/debian", "bookworm-slim", tree)
    archive = registry.docker_archive(tmp_path, "library/debian", "bookworm-slim", tree)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}
    [image] = json.loads(files["manifest.json"])
    assert image["RepoTags"] == ["debian:bookworm-slim"]
    digest = f"sha256:{hashlib.sha256(files[image['Config']]).hexdigest()}"
    assert digest == registry.image_id(tmp_path, "library/debian", "bookworm-slim")
    [diff_id] = json.loads(files[image["Config"]])["rootfs"]["diff_ids"]
    assert diff_id == f"sha256:{hashlib.sha256(files[image['Layers'][0]]).hexdigest()}"
