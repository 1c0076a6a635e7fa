"""`make down` and `make clean` take what the lab made, and nothing that somebody made of it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import engine, images
from lab.paths import Paths
from lab.shell import docker, succeeds

IMAGE = "apiary-lab-nothing:test"
THEIRS = "somebodys-own:test"


@pytest.fixture
def paths(region: Paths, tmp_path: Path) -> Iterator[Paths]:
    """A lab without a region, on the engine that the other tests have, and an image with the labels of its builder."""
    paths = Paths.find(tmp_path / ".lab")
    tree = io.BytesIO()
    tarfile.open(fileobj=tree, mode="w").close()
    labels = [f"LABEL {paths.label}", f"LABEL {images.LABEL}", 'CMD ["/nothing"]']
    changes = [word for label in labels for word in ("--change", label)]
    for tag in (IMAGE, THEIRS):
        docker("import", *changes, "-", tag, stdin=tree.getvalue())
    yield paths
    for container in docker("ps", "-aq", "--filter", f"label={paths.label}").split():
        docker("rm", "-f", container)
    for tag in (IMAGE, THEIRS):
        succeeds(["docker", "image", "rm", tag])


def made(paths: Paths) -> set[str]:
    return set(docker("ps", "-a", "--filter", f"label={paths.label}", "--format", "{{.Names}}").split())


def test_a_container_that_somebody_made_of_the_labs_image_stays(paths: Paths) -> None:
    docker("create", "--name", f"mine-{paths.hash}", IMAGE)
    docker("create", "--name", paths.name("prober"), IMAGE)
    docker("create", *paths.passing()[1:], IMAGE)
    assert len(made(paths)) == 3, "the image hands its labels down"
    engine.clean(paths)
    assert made(paths) == {f"mine-{paths.hash}"}


def test_an_image_that_somebody_made_of_the_labs_stays(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    # Only this test's images, however many labs this machine has.
    monkeypatch.setattr(images, "LABEL", paths.label)
    images.remove_all()
    left = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"label={paths.label}").split()
    assert left == [THEIRS]


def test_an_image_that_the_lab_builds_hands_no_label_of_a_region_down(region: Paths) -> None:
    labels = docker("image", "inspect", "--format", "{{json .Config.Labels}}", images.tools(region))
    assert region.hash not in labels
