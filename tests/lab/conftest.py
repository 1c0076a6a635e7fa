"""The hives that the lab tests share: each brought up once, changed by each of its tests, destroyed at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL

import pytest
import yaml

from lab import cli, network, stores
from lab.paths import CHECKOUT, Paths
from tests.conftest import HIVES
from tests.lab import private_image
from tests.lab.hive import PROBER, Hive

STACKS = Path(__file__).parent / "stacks"
SWARM = CHECKOUT / "Pulumi.swarm.yaml"


def _region(name: str, is_warm: bool = True, stack_file: Path = STACKS / "spine.yaml") -> Iterator[Paths]:
    """`is_warm`: what is tested there begins after a server has been made ready and its images are built.

    The region has what the stack file names.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APIARY_LAB_CACHE", str(CHECKOUT / ".lab" / "cache"))
        root = CHECKOUT / ".lab" / name
        patch.setenv("APIARY_LAB_DIR", str(root))
        cli.down(Paths.find(root), everything=False)
        paths = Paths.find(root)
        cli.up(paths, is_warm, stack_file)
        yield paths
        cli.down(paths, everything=False)


@pytest.fixture(scope="session")
def region(worker_id: str) -> Iterator[Paths]:
    """A region of the tests' own, beside the one that `make up` made, with the same caches; its servers are bare."""
    yield from _region(f"test-{worker_id}", is_warm=False)


@pytest.fixture(scope="session")
def changed_region(worker_id: str) -> Iterator[Paths]:
    """The region of the hive that is looked at and changed."""
    yield from _region(f"test-{worker_id}-changed")


@pytest.fixture(scope="session")
def healed_region(worker_id: str) -> Iterator[Paths]:
    """The region of the hive that is broken and brought back."""
    yield from _region(f"test-{worker_id}-healed")


@pytest.fixture(scope="session")
def whole_region(worker_id: str) -> Iterator[Paths]:
    """The region of the whole hive."""
    yield from _region(f"test-{worker_id}-whole", stack_file=cli.STACK_FILE)


@pytest.fixture(scope="session")
def two_region(worker_id: str) -> Iterator[Paths]:
    """The region of the hive of two servers."""
    yield from _region(f"test-{worker_id}-two")


@pytest.fixture(scope="session")
def saved_region(worker_id: str) -> Iterator[Paths]:
    """The region of the hive that is saved and comes back."""
    yield from _region(f"test-{worker_id}-saved")


def _spine(region: Paths, program: Path) -> Hive:
    """The spine (stacks/spine.yaml) and a database-like container that nobody may reach, not up yet."""
    found = Hive.copy_of_the_checkout(region, program, STACKS / "spine.yaml")
    # Without an entrypoint, so that a test says what runs.
    shell = found.program / "images" / "Shell"
    shell.mkdir()
    (shell / "Dockerfile").write_text("ARG BASE=debian:bookworm-slim\nFROM ${BASE}\n")
    found.settings["apiary:applications"]["database"] = {
        "build_dir": "Echo",
        "stateful": True,
        "env": {"http_port": 5432},
    }
    found.pulumi("stack", "select", "--create")
    return found


@pytest.fixture(scope="session")
def settled(changed_region: Paths, tmp_path_factory: pytest.TempPathFactory) -> Hive:
    """The spine, with the scheduler of Pulumi.lab.yaml and its jobs, `slow`, whose end takes longer than the ten
    seconds that Docker gives by itself, and a job of a private image; brought up by one update.
    """
    found = _spine(changed_region, tmp_path_factory.mktemp("program"))
    whole = yaml.safe_load((CHECKOUT / "Pulumi.lab.yaml").read_text())["config"]
    found.settings["apiary:applications"]["scheduler"] = whole["apiary:applications"]["scheduler"]
    found.settings["apiary:jobs"] |= {job: whole["apiary:jobs"][job] for job in ("tick", "tock")}
    found.settings["apiary:applications"]["slow"] = {
        "build_dir": "Shell",
        "command": ["sh", "-c", "trap 'sleep 13; echo clean; exit 0' TERM; while :; do sleep 0.1; done"],
        "grace_seconds": 120,
    }
    private_image.add(found)
    found.up()
    return found


@pytest.fixture(scope="session")
def healed(healed_region: Paths, tmp_path_factory: pytest.TempPathFactory) -> Hive:
    """The spine with a reserved network, whose first update was killed, and which `heal` has brought up."""
    found = _spine(healed_region, tmp_path_factory.mktemp("healed"))
    # One image less to build on each server that it gets.
    found.settings["apiary:applications"]["site"]["build_dir"] = "Echo"
    # Whatever breaks and comes back keeps every address.
    found.settings["apiary:servers"]["web1"]["ipv6"] = {"reserved": True}
    found.interrupt(["up", "--yes", "--skip-preview"], r"Instance web1 creating", [SIGKILL])
    found.operations("heal")
    return found


@pytest.fixture(scope="session")
def two(two_region: Paths, tmp_path_factory: pytest.TempPathFactory) -> Hive:
    """Two servers (stacks/two.yaml): SSH of web1 is open to this machine and to the on-link prober, of db1 to all.

    db1 has rows on block storage, which it writes all the time.
    """
    plan = network.load_plan(two_region)
    assert plan is not None
    found = Hive.copy_of_the_checkout(two_region, tmp_path_factory.mktemp("two"), STACKS / "two.yaml")
    found.settings["apiary:servers"]["web1"]["ssh_from"] = [plan.gateway, plan.prober, PROBER["-6"]]
    data = yaml.safe_load((STACKS / "data.yaml").read_text())["config"]["apiary:applications"]
    found.settings["apiary:servers"]["db1"]["data"] = {"gb": 10}
    found.settings["apiary:applications"]["writer"] = {"server": "db1", **data["writer"]}
    return with_a_writer(found)


@pytest.fixture
def stray(two: Hive) -> Iterator[str]:
    """On the default bridge of each server a container that the stack knows nothing of: it may make and forge packets,
    and publishes a port.
    """
    name = "stray"
    run = (
        "image=$(docker inspect --format '{{.Image}}' $(docker ps -q | head -n 1)); "
        f"docker run --detach --name {name} --restart unless-stopped --cap-add NET_ADMIN --cap-add NET_RAW "
        "--publish 8099:8099 --entrypoint sleep $image inf"
    )
    for server in two.servers():
        two.on_server(run, server=server)
    yield name
    for server in two.servers():
        two.on_server(f"docker rm --force {name}", server=server)


@pytest.fixture(scope="session")
def swarm_region(worker_id: str) -> Iterator[Paths]:
    """The region of the hive that is a swarm."""
    yield from _region(f"test-{worker_id}-swarm", stack_file=SWARM)


@pytest.fixture(scope="session")
def grown_region(worker_id: str) -> Iterator[Paths]:
    """The region of the hive that becomes a swarm."""
    yield from _region(f"test-{worker_id}-grown", stack_file=SWARM)


@pytest.fixture(scope="session")
def three(swarm_region: Paths, tmp_path_factory: pytest.TempPathFactory) -> Hive:
    """The servers of Pulumi.swarm.yaml, without certificates; what `echo` asks, and who asks it, on one each.

    One of them has data as well (stacks/swarm_data.yaml), whose backups go to the region's S3 server.
    """
    stores.ensure(swarm_region, ["s3"])
    found = Hive.copy_of_the_checkout(swarm_region, tmp_path_factory.mktemp("swarm"), SWARM)
    data = yaml.safe_load((STACKS / "swarm_data.yaml").read_text())["config"]
    data["apiary:backups"]["ca"] = found.settings["apiary:jobs"]["certbot1"]["env"]["directory_ca"]
    found.settings["apiary:servers"]["web3"] |= data.pop("apiary:servers")["web3"]
    for section, entries in data.items():
        found.settings.setdefault(section, {}).update(entries)
    applications = found.settings["apiary:applications"]
    applications["echo"]["env"]["ledger"] = "$ledger"
    applications["echo"]["files"] = {
        "/etc/echo.yml": {"content": "size: small"},
        "/run/keys/echo": {"content": "${_secrets^echo}", "mode": "0400"},
    }
    applications["asker"] = {"server": "web2", "build_dir": "Echo", "env": {"http_port": 8080, "echo": "$echo"}}
    applications["ledger"] = {"server": "web1", "build_dir": "Echo", "private": [5432], "env": {"http_port": 5432}}
    found.settings["apiary:secrets"]["echo"] = "known-to-everybody"
    for number in (1, 2, 3):
        # Of what is made again there is no backup: the other two servers have none at all.
        applications[f"proxy{number}"] |= {"ports": [80], "backup": False}
        found.settings["apiary:jobs"][f"hasetup{number}"]["backup"] = False
        del found.settings["apiary:jobs"][f"certbot{number}"]
    found.pulumi("stack", "select", "--create")
    found.up()
    return found


# One row after another, each confirmed by the disk; after whatever has happened it counts on from what is there.
WRITER = """\
#!/bin/sh
trap 'exit 0' TERM
number=0
[ ! -e /rows/rows ] || number=$(wc -l </rows/rows)
while :; do
    # A server that stops ends what still runs all at once, `date` before its shell.
    number=$((number + 1)) at=$(date +%s.%N) || exit 1
    echo "$number $at $HOSTNAME" >>/rows/rows && sync /rows/rows || exit 1
    sleep 0.1 & wait $!
done
"""


@pytest.fixture(scope="session")
def store_region(worker_id: str) -> Iterator[Paths]:
    """The region of the hive whose volumes are on block storage."""
    yield from _region(f"test-{worker_id}-store")


@pytest.fixture(scope="session")
def stored(store_region: Paths, tmp_path_factory: pytest.TempPathFactory) -> Hive:
    """A server with one application that writes to a volume on its disk (stacks/data.yaml), up."""
    return with_a_writer(
        Hive.copy_of_the_checkout(store_region, tmp_path_factory.mktemp("store"), STACKS / "data.yaml")
    )


def with_a_writer(found: Hive) -> Hive:
    """The hive with its application's image, up."""
    writer = found.program / "images" / "Writer"
    writer.mkdir()
    (writer / "write").write_text(WRITER)
    (writer / "write").chmod(0o755)
    (writer / "Dockerfile").write_text(
        'ARG BASE=debian:bookworm-slim\nFROM ${BASE}\nCOPY write /usr/local/bin/write\nCMD ["write"]\n'
    )
    found.pulumi("stack", "select", "--create")
    found.up()
    return found


@pytest.fixture(scope="session")
def whole(whole_region: Paths, tmp_path_factory: pytest.TempPathFactory) -> Hive:
    """The stack of Pulumi.lab.yaml as it stands, up."""
    found = Hive.copy_of_the_checkout(whole_region, tmp_path_factory.mktemp("whole"))
    found.pulumi("stack", "select", "--create")
    found.up()
    return found


@pytest.fixture(scope="session")
def saved(first_saved: tuple[Hive, str]) -> Hive:
    """A hive with data (stacks/backups.yaml), whose backups go to the region's S3 server.

    Its first update was killed at the worst moment, and `heal` has brought it up.
    """
    return first_saved[0]


@pytest.fixture(scope="session")
def first_saved(saved_region: Paths, tmp_path_factory: pytest.TempPathFactory) -> tuple[Hive, str]:
    """The same, with what `heal` has printed."""
    stores.ensure(saved_region, ["s3"])
    found = Hive.copy_of_the_checkout(saved_region, tmp_path_factory.mktemp("saved"), STACKS / "backups.yaml")
    whole = yaml.safe_load((CHECKOUT / "Pulumi.lab.yaml").read_text())["config"]
    found.settings["apiary:backups"]["ca"] = whole["apiary:jobs"]["certbot"]["env"]["directory_ca"]
    # Whatever breaks and comes back keeps every address.
    found.settings["apiary:servers"]["web1"]["ipv6"] = {"reserved": True}
    # Healthy with its notes alone, of which a rehearsal asks as well.
    applications = found.settings["apiary:applications"]
    for site, drill in (
        ("guestbook", {"sql": "select count(*) from notes", "at_least": 1}),
        ("diary", {"path": "/healthz"}),
    ):
        applications[site] |= {"health": {"path": "/"}, "drill": drill}
    found.pulumi("stack", "select", "--create")
    found.interrupt(["up", "--yes", "--skip-preview"], r"Instance web1 creating", [SIGKILL])
    return found, found.operations("heal").stdout


@pytest.fixture
def hive(request: pytest.FixtureRequest) -> Hive:
    """The hive of the test's group (tests/conftest.py)."""
    name = "healed" if request.path.stem in HIVES["rebuilt"] else "settled"
    found: Hive = request.getfixturevalue(name)
    return found
