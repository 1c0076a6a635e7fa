"""Places for backups, and what servers reach them with: restic from Debian's packages, on either Debian."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from lab import acme, network, stores, warm
from lab.paths import CHECKOUT, Paths
from lab.shell import docker, packed, wait_for
from tests.lab.account import account

PATIENCE = 12  # seconds; restic itself tries for a quarter of an hour
SERVER = Path("/etc/ssl/certs/lab-world.pem")  # as in lab/servers.py
# Places for backups: test_swarm_data saves to one, all else of them, and of a server that keeps what another saves, is
# used by what is soak as well (test_backup_faults, test_backup_places).
soak = pytest.mark.soak
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks: [{import_role: {name: backup_store}}]
  handlers: [{name: reload ssh, command: pkill -HUP -o sshd}]
"""


@dataclass(frozen=True)
class Machine:
    """A container made of a server's disk, in the region's network."""

    name: str
    address: str

    def run(self, command: str, seconds: int = 120, **environment: str) -> subprocess.CompletedProcess[str]:
        words = [word for key, value in environment.items() for word in ("-e", f"{key}={value}")]
        return subprocess.run(
            ["docker", "exec", *words, self.name, "timeout", str(seconds), "bash", "-c", command],
            check=False,
            capture_output=True,
            text=True,
        )

    def must(self, command: str, seconds: int = 120, **environment: str) -> str:
        done = self.run(command, seconds, **environment)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout


def machine(region: Paths, name: str, suite: str = "bookworm", options: Sequence[str] = ()) -> Machine:
    plan = network.load_plan(region)
    assert plan is not None
    name = region.name(name)
    docker(
        *("run", "-d", "--init", "--name", name, "--label", region.label, "--network", region.name("net")),
        *("--dns", plan.nameserver, *options, warm.server(region, suite), "sleep", "infinity"),
    )
    address = docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name).strip()
    return Machine(name, address)


@pytest.fixture(scope="module")
def plan(region: Paths) -> network.Plan:
    stores.ensure(region, stores.STORES)
    found = network.load_plan(region)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def client(region: Paths, plan: network.Plan) -> Iterator[Machine]:
    """With files to save in /srv, and the authority that the lab's stack file names."""
    found = machine(region, "client")
    stack = yaml.safe_load((CHECKOUT / "Pulumi.lab.yaml").read_text())["config"]
    ca = stack["apiary:jobs"]["certbot"]["env"]["directory_ca"]
    files = {"ca.pem": ca, str(SERVER.relative_to("/")): acme.WORLD.pem()}
    docker("cp", "-", f"{found.name}:/", stdin=packed(files))
    found.must("head -c 3000000 /dev/urandom > /srv/file; date > /srv/small")
    yield found
    docker("rm", "-f", "-v", found.name)


S3 = {"AWS_ACCESS_KEY_ID": "lab-access", "AWS_SECRET_ACCESS_KEY": "lab-secret"}
REST = {"RESTIC_REST_USERNAME": "lab", "RESTIC_REST_PASSWORD": "lab-secret"}
OPERATOR = {"RESTIC_REST_USERNAME": "operator", "RESTIC_REST_PASSWORD": "operator-secret"}
WHERE = {
    "s3": ("s3:https://s3.lab.internal/hive/web1", S3),
    "rest": ("rest:https://rest.lab.internal/lab/web1", REST),
}


def restic(
    client: Machine, where: str, words: str, credentials: Mapping[str, str], seconds: int = 120
) -> subprocess.CompletedProcess[str]:
    common = {"RESTIC_PASSWORD": "the repository's", "RESTIC_REPOSITORY": where}
    return client.run(f"restic --cacert /ca.pem {words}", seconds, **common, **credentials)


def saved(client: Machine, where: str, credentials: Mapping[str, str]) -> set[str]:
    done = restic(client, where, "snapshots --json", credentials)
    assert done.returncode == 0, done.stderr
    return {snapshot["id"] for snapshot in json.loads(done.stdout)}


@pytest.fixture(scope="module", params=WHERE)
def repository(request: pytest.FixtureRequest, client: Machine) -> tuple[str, str, dict[str, str]]:
    """(store, repository, credentials), with one backup."""
    where, credentials = WHERE[request.param]
    for words in ("init", "backup /srv"):
        done = restic(client, where, words, credentials)
        assert done.returncode == 0, done.stderr
    return request.param, where, credentials


Repository = tuple[str, str, dict[str, str]]


@soak
def test_what_was_saved_comes_back(client: Machine, repository: Repository):
    _, where, credentials = repository
    assert restic(client, where, "check --read-data", credentials).returncode == 0
    assert restic(client, where, "restore latest --target /back", credentials).returncode == 0
    client.must("diff -r /srv /back/srv && rm -rf /back")


@soak
def test_nobody_gets_in_without_its_secret(client: Machine, repository: Repository):
    _, where, credentials = repository
    wrong = {key: value if "secret" not in value else "guessed" for key, value in credentials.items()}
    assert restic(client, where, "snapshots", wrong, PATIENCE).returncode != 0
    assert restic(client, where, "snapshots", {}, PATIENCE).returncode != 0


@soak
def test_nobody_is_believed_without_the_labs_authority(client: Machine, repository: Repository):
    _, where, credentials = repository
    done = client.run("restic snapshots", PATIENCE, RESTIC_PASSWORD="x", RESTIC_REPOSITORY=where, **credentials)
    assert done.returncode != 0
    assert "unknown authority" in done.stderr, done.stderr


@soak
@pytest.mark.parametrize("how", ["gone", "silent"])
def test_a_store_that_does_not_answer_is_back_with_all_it_had(
    region: Paths, client: Machine, repository: Repository, how: str
):
    name, where, credentials = repository
    before = saved(client, where, credentials)
    stores.fault(region, name, how)
    try:
        assert restic(client, where, "snapshots", credentials, PATIENCE).returncode != 0
    finally:
        stores.fault(region, name, "whole")
    assert wait_for(lambda: restic(client, where, "snapshots", credentials, 5).returncode == 0, 20)
    assert saved(client, where, credentials) == before


@soak
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_store_that_takes_nothing_new_still_gives(region: Paths, client: Machine, repository: Repository, how: str):
    name, where, credentials = repository
    before = saved(client, where, credentials)
    client.must("head -c 2000000 /dev/urandom > /srv/file")
    stores.fault(region, name, how)
    try:
        assert restic(client, where, "backup /srv", credentials, PATIENCE).returncode != 0
        assert restic(client, where, "--no-lock dump latest /srv/small", credentials).returncode == 0
    finally:
        stores.fault(region, name, "whole")
    assert saved(client, where, credentials) == before
    assert restic(client, where, "backup /srv", credentials).returncode == 0


@soak
def test_a_slow_store_is_slower(region: Paths, client: Machine, repository: Repository):
    name, where, credentials = repository

    def seconds() -> float:
        client.must("head -c 8000000 /dev/urandom > /srv/file")
        started = time.monotonic()
        assert restic(client, where, "backup /srv", credentials, 300).returncode == 0
        return time.monotonic() - started

    usual = seconds()
    stores.fault(region, name, "slow")
    try:
        assert seconds() > 2 * usual
    finally:
        stores.fault(region, name, "whole")


@soak
def test_a_server_can_add_and_the_operator_alone_can_remove(client: Machine, plan: network.Plan):
    where, operators = (f"rest:https://rest.lab.internal{port}/lab/web2" for port in ("", ":8443"))
    assert restic(client, where, "init", REST).returncode == 0
    for _ in range(2):
        assert restic(client, where, "backup /srv", REST).returncode == 0
    both = saved(client, where, REST)
    restic(client, where, "forget --keep-last 1 --prune", REST, PATIENCE)
    assert saved(client, where, REST) == both
    assert len(both) == 2
    assert restic(client, operators, "forget --keep-last 1 --prune", REST, PATIENCE).returncode != 0
    assert restic(client, operators, "forget --keep-last 1 --prune", OPERATOR).returncode == 0
    assert len(saved(client, where, REST)) == 1


@soak
def test_a_user_of_the_rest_server_has_its_own_folder_only(client: Machine, plan: network.Plan):
    assert restic(client, "rest:https://rest.lab.internal/else", "init", REST, PATIENCE).returncode != 0


@soak
def test_the_keys_of_an_account_open_the_object_storage_as_long_as_there_is_one(
    region: Paths, client: Machine, plan: network.Plan
):
    with account(region) as api:
        made = api.post("/object-storage", json={"cluster_id": 2, "tier_id": 1, "label": "hive"}).json()
        path = f"/object-storage/{made['object_storage']['id']}"

        def storage() -> dict[str, str]:
            return dict(api.get(path).json()["object_storage"])

        assert wait_for(lambda: storage()["status"] == "active", 20)
        keys = {"AWS_ACCESS_KEY_ID": storage()["s3_access_key"], "AWS_SECRET_ACCESS_KEY": storage()["s3_secret_key"]}
        where = f"s3:https://{storage()['s3_hostname']}/a-bucket/web1"
        with_the_worlds_authorities = {"RESTIC_PASSWORD": "x", "RESTIC_REPOSITORY": where, **keys}
        client.must("restic init && restic backup /srv/small", **with_the_worlds_authorities)
        for others in (S3, {**keys, "AWS_SECRET_ACCESS_KEY": "guessed"}, {"AWS_ACCESS_KEY_ID": "nobody"}):
            environment = {**with_the_worlds_authorities, **others}
            assert client.run("restic snapshots", PATIENCE, **environment).returncode != 0
        answer: httpx.Response = api.delete(path)
        assert answer.status_code == 204
        assert wait_for(lambda: client.run("restic snapshots", 5, **with_the_worlds_authorities).returncode != 0, 20)


# --- restic itself


@pytest.mark.parametrize("suite", ["bookworm", pytest.param("trixie", marks=pytest.mark.soak)])  # the next Debian
def test_either_debian_has_a_restic_that_fails_with_what_it_saves(region: Paths, suite: str):
    one = machine(region, f"restic-{suite}", suite)
    try:
        one.must("RESTIC_PASSWORD=x restic -r /there init")
        failing = "RESTIC_PASSWORD=x restic -r /there backup --stdin-from-command -- sh -c 'echo half; exit 1'"
        assert one.run(failing).returncode != 0
        assert "snapshot" not in one.must("RESTIC_PASSWORD=x restic -r /there snapshots")
    finally:
        docker("rm", "-f", "-v", one.name)


@soak
def test_nothing_but_restic_comes_from_another_debian(region: Paths):
    """Not by hand, and not by what upgrades by itself; restic does, by both. By Debian's own lists of today."""
    one = machine(region, "pinned")
    try:
        one.must("apt-get -qq update && apt-get -qqy --allow-downgrades install restic/bookworm", 300)
        taken = [line for line in one.must("apt-get -s dist-upgrade").splitlines() if line.startswith("Inst ")]
        newer = [line for line in taken if "Debian:13" in line and "Debian:12" not in line]
        assert [line.split()[1] for line in newer] == ["restic"]
        # In trixie alone.
        assert one.run("apt-get -s install docker-cli").returncode != 0
        by_itself = one.must("unattended-upgrade --dry-run --verbose 2>&1", 300)
        [upgraded] = [line for line in by_itself.splitlines() if line.startswith("Packages that will be upgraded:")]
        names = set(upgraded.partition(": ")[2].split())
        assert "restic" in names
        assert names <= {line.split()[1] for line in taken}
    finally:
        docker("rm", "-f", "-v", one.name)


# --- another server of the stack


@pytest.fixture(scope="module")
def keeper(region: Paths, client: Machine) -> Iterator[Machine]:
    """A server that keeps what `client` and somebody else save, as the role leaves it; with the clients' keys made."""
    client.must("for who in web1 web2; do ssh-keygen -qt ed25519 -N '' -C '' -f /var/tmp/$who; done")
    keys = {who: client.must(f"cat /var/tmp/{who}.pub").strip() for who in ("web1", "web2")}
    senders = {
        "web1": {"key": keys["web1"], "from": client.address},
        "web2": {"key": keys["web2"], "from": "192.0.2.1"},
    }
    found = machine(region, "keeper")
    docker("cp", str(CHECKOUT / "playbooks"), f"{found.name}:/playbooks")
    variables = json.dumps({"apiary_backup_store": senders})
    docker("cp", "-", f"{found.name}:/", stdin=packed({"playbooks/play.yml": PLAY, "vars.json": variables}))
    found.must("mkdir -p /run/sshd; ssh-keygen -qA; /usr/sbin/sshd")
    play = "cd /playbooks && ansible-playbook -c local -i localhost, play.yml -e @/vars.json"
    found.must(play, ANSIBLE_CONFIG="/playbooks/ansible.cfg")
    assert "changed=0" in found.must(play, ANSIBLE_CONFIG="/playbooks/ansible.cfg")
    client.must(f"echo 'repository {found.must('cat /etc/ssh/ssh_host_ed25519_key.pub').strip()}' > /var/tmp/known")
    yield found
    docker("rm", "-f", "-v", found.name)


SSH = (
    "-i /var/tmp/{who} -o UserKnownHostsFile=/var/tmp/known -o HostKeyAlias=repository -o StrictHostKeyChecking=yes "
    "-o IdentitiesOnly=yes -o BatchMode=yes"
)


@soak
def test_a_server_keeps_what_another_saves(client: Machine, keeper: Machine):
    where, options = f"sftp:backup-web1@{keeper.address}:/repository", f"-o sftp.args='{SSH.format(who='web1')}'"
    for words in ("init", "backup /srv", "check --read-data", "restore latest --target /back", "forget latest --prune"):
        done = restic(client, where, f"{options} {words}", {})
        assert done.returncode == 0, f"{words}: {done.stderr}"
    keeper.must("test -e /srv/backups/web1/repository/config")


@soak
@pytest.mark.parametrize(
    "command",
    [
        f"ssh {SSH.format(who='web1')} backup-web1@HOST id",  # a shell
        f"ssh {SSH.format(who='web1')} root@HOST id",
        f"ssh {SSH.format(who='web1')} -N -o ExitOnForwardFailure=yes -R 9999:127.0.0.1:22 backup-web1@HOST",
        f"ssh {SSH.format(who='web1')} -W 127.0.0.1:22 backup-web1@HOST < /dev/null",
        f"echo ls | sftp {SSH.format(who='web2')} backup-web2@HOST",  # not from here
        f"echo ls | sftp {SSH.format(who='web2')} backup-web1@HOST",  # another's account
        f"echo 'ls /srv' | sftp -b - {SSH.format(who='web1')} backup-web1@HOST",  # out of its folder
        f"echo 'mkdir /else' | sftp -b - {SSH.format(who='web1')} backup-web1@HOST",
    ],
)
def test_who_saves_on_a_server_can_do_nothing_else_there(client: Machine, keeper: Machine, command: str):
    done = client.run(command.replace("HOST", keeper.address), PATIENCE)
    assert done.returncode not in {0, 124}, done.stdout + done.stderr
    assert "uid=" not in done.stdout
