"""Each of examples/ comes up green, with stand-ins for its images, and is served through the proxy over both families.

The stand-ins (tests/standins) are on the server under the images' own names, as an image that was put there by hand:
what a container gets is the example's, word for word.
"""

from __future__ import annotations

import base64
import shlex
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.paths import CHECKOUT
from tests.lab.conftest import STACKS, _region
from tests.lab.hive import Hive, until
from tests.standins.context import context
from tests.standins.insists import Row
from tests.unit.test_examples import EXAMPLES, ROWS, secrets

# A hive of its own, and up to eight images each. Each is planned in tests/engine/test_examples.py, and what they are
# made of is what the whole hive is made of.
pytestmark = pytest.mark.soak
# Three servers and a fourth: planned as the others, and what it is made of is brought up in a smaller shape, by
# test_swarm.py (Pulumi.swarm.yaml) and with its database by test_grown.py (the stack of docs/scale.md).
ELSEWHERE = ("three-servers",)
KEPT = ("haproxycfg:", "letsencrypt:")
LAB = yaml.safe_load((CHECKOUT / "Pulumi.lab.yaml").read_text())["config"]
EACH = [pytest.param(example, id=example.stem) for example in EXAMPLES if example.stem not in ELSEWHERE]


@pytest.fixture(scope="module")
def hive(worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hive]:
    """A hive of the proxy alone, up."""
    stack_file = STACKS / "examples.yaml"
    for region in _region(f"test-{worker_id}-examples", stack_file=stack_file):
        found = Hive.copy_of_the_checkout(region, tmp_path_factory.mktemp("examples"), stack_file)
        found.pulumi("stack", "select", "--create")
        found.up()
        yield found


def in_the_lab(example: Path) -> dict[str, Any]:
    """The example as its reader has it, but for GitHub, which the lab has not, and backups, which others test.

    Its volumes have names of their own: the one before it has left some.
    """
    config: dict[str, Any] = yaml.safe_load(example.read_text())["config"]
    del config["apiary:backups"]
    server = config["apiary:servers"]["web1"]
    server.pop("data", None)
    server["plan"] = "vc2-1c-2gb"  # one server for all; a smaller plan than the last one's is refused
    server["registry_mirrors"] = ["http://registry.lab.internal"]
    certbot = config["apiary:jobs"]["certbot"]["env"]
    certbot |= {word: LAB["apiary:jobs"]["certbot"]["env"][word] for word in ("directory", "directory_ca")}
    for entry in [*config["apiary:applications"].values(), *config["apiary:jobs"].values()]:
        if entry.pop("git", None):
            entry["image"] = "shop"
        entry.pop("backup", None)
        volumes = entry.get("volumes", [])
        entry["volumes"] = [one if one.startswith(KEPT) else f"{example.stem}-{one}" for one in volumes]
    return {"vultr:apiKey": "lab", "apiary:secrets": secrets(example), **config}


def within_reach(hive: Hive, config: dict[str, Any]) -> dict[str, Any]:
    """What the machine under the lab gives of the open files that an example asks for; the rows of its images alike.

    A server at Vultr may raise its own limits; this machine's may be the last word.
    """
    rows = dict(ROWS)
    for entry in config["apiary:applications"].values():
        wanted = (entry.get("ulimits") or {}).get("nofile", 0)
        most = int(hive.on_server(f"ulimit -Hn {wanted} 2>/dev/null; ulimit -Hn")) if wanted else 0
        if most < wanted:
            what = (
                f"{entry['image']} is shown with {most} open files: this machine gives no more, {wanted} are asked for"
            )
            warnings.warn(what, stacklevel=2)
            entry["ulimits"]["nofile"] = most
            rows[entry["image"]] = {**ROWS[entry["image"]], "nofile": most}
    return rows


def images(config: dict[str, Any]) -> set[str]:
    entries = [*config["apiary:applications"].values(), *config["apiary:jobs"].values()]
    return {entry["image"] for entry in entries if "image" in entry}


def put(hive: Hive, image: str, row: Row) -> None:
    """Build the stand-in on the server, under the image's name."""
    sent = base64.b64encode(context(image, row)).decode()
    hive.on_server(f"base64 -d | DOCKER_BUILDKIT=1 docker build -q -t {shlex.quote(image)} -", stdin=sent)


def sites(config: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Domain, path and status of all that the example serves: what its reader opens, and what the proxy asks."""
    for entry in config["apiary:applications"].values():
        row = ROWS.get(entry.get("image", ""))
        for domain in (entry.get("env") or {}).get("domains", ()):
            assert row is not None, domain
            for path in {"/", entry.get("health", {}).get("path", "/")} & set(row["paths"]):
                yield domain, path, row["paths"][path]


@pytest.mark.parametrize("example", EACH)
def test_an_example_comes_up_green_and_is_served(hive: Hive, example: Path) -> None:
    config = in_the_lab(example)
    rows = within_reach(hive, config)
    for image in sorted(images(config)):
        put(hive, image, rows[image])
    hive.settings = config
    hive.up()
    for name, entry in config["apiary:applications"].items():
        if ROWS.get(entry.get("image", ""), {}).get("server") in (None, "redis") and "image" in entry:
            logs = f"docker logs {hive.container(name)} 2>&1"
            assert "is well, to " in hive.on_server(logs), hive.on_server(logs)
    for domain, path, status in sites(config):
        for family in ("-6", "-4"):
            asked = partial(hive.get, f"https://{domain}{path}", family)
            until(lambda asked=asked, status=status: asked()[0] == status, 60, f"{status} of {domain}{path}")
    hive.expect_no_changes()
