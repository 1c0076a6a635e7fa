"""Which mirror the lab's disk images come from."""

from __future__ import annotations

import pytest

from lab.mirror import Mirror, read

DEBIAN = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
NEAR = "http://mirror.example.net/debian"


def targets(url: str = NEAR, security: str = "http://security.example.net/debian-security/") -> list[str]:
    """What apt prints on a machine with two more sources, one of which calls its suite as Debian does."""
    return [
        "bookworm main https://tools.example.com/",
        f"bookworm main {url}/",
        f"bookworm contrib {url}/",
        f"bookworm-updates main {url}/",
        f"bookworm-security main {security}",
        "nodistro main https://deb.example.com/node/",
    ]


def test_the_mirror_is_the_one_that_the_machine_uses() -> None:
    mirror = read(targets(), DEBIAN)
    assert mirror == Mirror(NEAR, "http://security.example.net/debian-security")
    assert mirror.sources("trixie") == [
        f"deb {NEAR} trixie main",
        f"deb {NEAR} trixie-updates main",
        "deb http://security.example.net/debian-security trixie-security main",
    ]


def test_a_machine_that_follows_stable_has_one_as_well() -> None:
    assert read([line.replace("bookworm", "stable") for line in targets()], DEBIAN).archive == NEAR


@pytest.mark.parametrize(
    "url",
    ["file:/srv/debian", "http://localhost:3142/debian", "http://127.0.0.1/debian", "cdrom:[Debian]",
     "https://me:secret@mirror.example.net/debian"],
)  # fmt: skip
def test_what_a_container_could_not_read_is_no_mirror(url: str) -> None:
    assert read(targets(url), DEBIAN) == Mirror()


@pytest.mark.parametrize(
    ("lines", "system"), [([], DEBIAN), (targets(), {"ID": "ubuntu", "VERSION_CODENAME": "noble"}), (["W: odd"], {})]
)
def test_without_one_mmdebstrap_takes_its_own(lines: list[str], system: dict[str, str]) -> None:
    mirror = read(lines, system)
    assert mirror.sources("bookworm") == []
    assert mirror.site == "Debian's mirror"
