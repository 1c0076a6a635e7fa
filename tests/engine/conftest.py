"""One workplace for all of the engine tests, and two states: made by the emulated API, and as an `up` leaves it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.api.testing import Emulator
from tests.engine.golden import STACK_FILES
from tests.engine.settled import settle
from tests.engine.workplace import Project, Workplace, read_stack_file

# What tests/engine/stacks/hive.yaml holds encrypted.
SECRETS = {"mail": "correct horse battery staple", "token": "nine lives of a cat"}
# All that needs the API or nothing, and no waiting.
MADE_WITHOUT_A_HOST = (
    "tls:index/privateKey:PrivateKey",
    "random:index/randomPassword:RandomPassword",
    "vultr:index/sSHKey:SSHKey",
    "vultr:index/reservedIp:ReservedIp",
    "vultr:index/firewallGroup:FirewallGroup",
    "vultr:index/dnsDomain:DnsDomain",
)
COMPONENTS = ("apiary:host:Access", "apiary:host:Server", "apiary:dns:Zone", "apiary:secrets:Secrets")


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    place = Workplace(tmp_path_factory.mktemp("engine"))
    yield place
    place.close()


@pytest.fixture(scope="session")
def hive_file() -> dict[str, Any]:
    return read_stack_file(STACK_FILES["hive"])


@pytest.fixture
def edited(hive_file: dict[str, Any]) -> dict[str, Any]:
    """The hive's stack file, to change."""
    return copy.deepcopy(hive_file)


@pytest.fixture(scope="session")
def settled_hive(workplace: Workplace, hive_file: dict[str, Any]) -> Project:
    """The hive, with a state in which all of it exists; tests leave it as it is."""
    project = workplace.project("settled", "settled", hive_file).made()
    settle(project, SECRETS)
    return project


@pytest.fixture
def elsewhere(
    workplace: Workplace, settled_hive: Project, request: pytest.FixtureRequest
) -> Callable[[dict[str, Any]], Project]:
    """Another copy of the program with a stack file of its own, working on the state of the settled hive."""

    def copy_of(stack_file: dict[str, Any]) -> Project:
        return workplace.project(request.node.name, settled_hive.stack, stack_file)

    return copy_of


@pytest.fixture(scope="session")
def begun_hive(workplace: Workplace, hive_file: dict[str, Any], tmp_path_factory: Any) -> Project:
    """A hive of which an `up` has made what needs no host, at an emulated API that is gone by now."""
    project = workplace.project("begun", "begun", hive_file).made()
    folder: Path = tmp_path_factory.mktemp("api")
    targets = [f"--target=**{type_}::**" for type_ in (*COMPONENTS, *MADE_WITHOUT_A_HOST)]
    with Emulator(folder) as emulator:
        proxies = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), emulator.proxy)
        environment = {**proxies, "SSL_CERT_FILE": str(emulator.info["ca"])}
        done = project.run("up", "--yes", "--skip-preview", *targets, environment=environment)
    assert done.status == 0, done.output
    return project
