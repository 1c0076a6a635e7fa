"""A host as Bee2 leaves one: plain containers and volumes with Bee2's names, and its zones at Vultr beside.

Makes, in a region's account: an instance that no stack knows, with Docker, HAProxy on the static web address and port
443, two sites (files of a volume; rows of a database and of a volume), their certificates, and the zones with what a
hand has added. Makes on this machine: Bee2's folder with settings, state and password store. Leaves alone: the stack.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from lab import acme, services
from lab.paths import CHECKOUT, Paths
from lab.shell import packed
from tests.lab.account import account
from tests.lab.hive import until
from tests.standins.context import context
from tests.unit.test_examples import ROWS

REGISTRY = services.PRIVATE_REGISTRY
SITE, READER = "example.com", "news.example.net"
IMAGES = {name: f"{REGISTRY}/{name}" for name in ("postgres:17", "reader:2.1")}
ADMIN, ROLE, MAIL = "an administrator's word", "news' own word", "$ecret of the mail"
TTL = 300
PAGE = "the pages of example.com as Bee2 served them"
FILES = Path(__file__).parent / "bee2"


@dataclass
class Bee2:
    """Bee2's folder, and the host that it has made."""

    region: Paths
    folder: Path
    ipv4: str = ""
    authorities: dict[str, acme.Authority] = field(default_factory=dict)

    @property
    def settings(self) -> Path:
        return self.folder / "conf" / "settings.yml"

    @property
    def ssh(self) -> list[str]:
        """Options for `ssh` to it, as root's own configuration would have them."""
        known = f"-oUserKnownHostsFile={self.folder / 'known_hosts'}"
        return ["-i", str(self.folder / "conf" / "key"), "-oStrictHostKeyChecking=accept-new", known, "-oBatchMode=yes"]

    @property
    def environment(self) -> dict[str, str]:
        """Of whoever does what the importer's report says: their `ssh` finds the key, their `gpg` the ring."""
        return {"GNUPGHOME": str(self.folder / "ring"), "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}

    def on_host(self, script: str, stdin: bytes = b"") -> str:
        done = subprocess.run(
            ["ssh", *self.ssh, f"root@{self.ipv4}", script], input=stdin, capture_output=True, check=False, timeout=600
        )
        assert done.returncode == 0, f"{script}: {done.stdout.decode()}{done.stderr.decode()}"
        return done.stdout.decode()

    def run(self, name: str, image: str, *words: str, options: str = "") -> None:
        """A container as Bee2 begins them."""
        self.on_host(
            f"docker run -d --name w1-app-{name} --restart unless-stopped --network w1-net {options} {image} "
            f"{shlex.join(words)}"
        )


def gone(bee2: Bee2) -> None:
    """End what of it runs on this machine."""
    subprocess.run(["gpgconf", "--homedir", str(bee2.folder / "ring"), "--kill", "gpg-agent"], check=False)


def made(region: Paths, folder: Path) -> Bee2:
    """All of it, serving over both families."""
    bee2 = Bee2(region, folder)
    _folder(bee2)
    with account(region) as theirs:
        instance = _instance(bee2, theirs)
        static = ipaddress.IPv6Address(instance["v6_network"]) + (2 << 32) + 0xA
        _zones(theirs, bee2.ipv4, str(static), instance["v6_main_ip"])
    state = {"servers": {"web1": {
        "ipv4": {"addr": bee2.ipv4, "subnet": bee2.ipv4},
        "ipv6": {"subnet": instance["v6_network"], "addr": instance["v6_main_ip"], "static_web": str(static)},
        "SUBID": "13129650",
    }}}  # fmt: skip
    (folder / "conf" / "vultr-state.yml").write_text(yaml.safe_dump(state))
    _docker(bee2, instance["v6_network"], str(static))
    _certificates(bee2)
    _containers(bee2, str(static))
    return bee2


def _folder(bee2: Bee2) -> None:
    """conf/, the password store, and what its owner has in PATH."""
    conf, store, ring = bee2.folder / "conf", bee2.folder / "store", bee2.folder / "ring"
    for one in (conf, ring, bee2.folder / "bin"):
        one.mkdir(parents=True)
    ring.chmod(0o700)
    settings = yaml.safe_load((FILES / "conf" / "settings.yml").read_text())
    settings["security"]["password_store"] = str(store)
    bee2.settings.write_text(yaml.safe_dump(settings, sort_keys=False))
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(conf / "key")], check=True)
    wrapper = bee2.folder / "bin" / "ssh"
    wrapper.write_text(f'#!/bin/sh\nexec /usr/bin/ssh {shlex.join(bee2.ssh)} "$@"\n')
    wrapper.chmod(0o755)
    gpg = ["gpg", "--homedir", str(ring), "--batch", "--quiet", "--trust-model", "always"]
    subprocess.run([*gpg, "--passphrase", "", "--quick-generate-key", "bee2@example.com"], check=True)
    for name, password in (("admin", ADMIN), ("news_reader", ROLE)):
        file = store / "database" / "postgres" / f"{name}.gpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        words = [*gpg, "--recipient", "bee2@example.com", "--output", str(file), "--encrypt"]
        subprocess.run(words, input=password.encode(), check=True)


def _instance(bee2: Bee2, account: httpx.Client) -> dict[str, Any]:
    public = (bee2.folder / "conf" / "key.pub").read_text().strip()
    key = account.post("/ssh-keys", json={"name": "b2-provisioner", "ssh_key": public}).json()["ssh_key"]["id"]
    body = {"region": "ewr", "plan": "vc2-1c-2gb", "os_id": 2136, "label": "web1", "hostname": "web1",
            "sshkey_id": [key], "enable_ipv6": True}  # fmt: skip
    id_ = account.post("/instances", json=body).raise_for_status().json()["instance"]["id"]
    found: dict[str, Any] = {}

    def is_up() -> bool:
        found.update(account.get(f"/instances/{id_}").json()["instance"])
        return bool(found["server_status"] == "ok")

    until(is_up, 300, "Bee2's instance is up")
    bee2.ipv4 = found["main_ip"]
    answers = ["ssh", *bee2.ssh, f"root@{bee2.ipv4}", "cloud-init status --wait"]
    until(lambda: subprocess.run(answers, capture_output=True, check=False).returncode in (0, 2), 300, "SSH answers")
    return found


def _zones(account: httpx.Client, ipv4: str, static: str, own: str) -> None:
    """As Bee2 makes them: the apex and www of each zone, the names below it, and what hands have added since."""
    names = {"example.com": ["", "www"], "example.net": ["", "www", "news", "www.news"]}
    for zone, web in names.items():
        account.post("/domains", json={"domain": zone}).raise_for_status()
        records = [("A", name, ipv4) for name in web] + [("AAAA", name, static) for name in web]
        if zone == "example.com":
            records += [("A", "web1", ipv4), ("AAAA", "web1", own), ("TXT", "_dmarc", '"v=DMARC1; p=none"')]
        for kind, name, data in records:
            body = {"type": kind, "name": name, "data": data, "ttl": TTL}
            account.post(f"/domains/{zone}/records", json=body).raise_for_status()
        mail = {"type": "MX", "name": "", "data": "mail.example.org", "priority": 10, "ttl": TTL}
        account.post(f"/domains/{zone}/records", json=mail).raise_for_status()


def _docker(bee2: Bee2, prefix: str, static: str) -> None:
    """The engine, IPv6 routed to its network and the proxy's address answered for, and a login to the registry."""
    engine = {"registry-mirrors": ["http://registry.lab.internal"], "insecure-registries": ["registry.lab.internal"]}
    network = ipaddress.IPv6Network((int(ipaddress.IPv6Address(prefix)) + (2 << 32), 96))
    certs = f"/etc/docker/certs.d/{REGISTRY}"
    bee2.on_host(
        f"set -e; mkdir -p {certs}; cat >{certs}/ca.crt\n"
        f"echo {shlex.quote(json.dumps(engine))} >/etc/docker/daemon.json\n"
        "systemctl enable --now docker; apt-get -q update >/dev/null; apt-get -q install -y rsync >/dev/null\n"
        f"docker login -u {services.PRIVATE_USER} -p {services.PRIVATE_PASSWORD} {REGISTRY} 2>/dev/null\n"
        "link=$(ip -o route show default | sed 's/.* dev \\([^ ]*\\).*/\\1/')\n"
        "sysctl -q -w net.ipv6.conf.all.forwarding=1 net.ipv6.conf.$link.accept_ra=2 net.ipv6.conf.$link.proxy_ndp=1\n"
        f"docker network create --ipv6 --subnet {network} --subnet 172.30.0.0/16 w1-net\n"
        f"ip -6 neigh add proxy {static} dev $link",
        acme.REGION.pem().encode(),
    )


def _build(bee2: Bee2, image: str, tar: bytes) -> None:
    bee2.on_host(f"base64 -d | DOCKER_BUILDKIT=1 docker build -q -t {image} -", base64.b64encode(tar))


def _head(of: str) -> str:
    """The first steps of an image of images/, which the servers of a warm region have built."""
    return (CHECKOUT / "images" / of / "Dockerfile").read_text().partition("COPY ")[0]


def _certificates(bee2: Bee2) -> None:
    """Combined files, chain and key, as Bee2's CertBot leaves them; of authorities that the visitors trust."""
    for zone, names in (("example.com", [SITE, f"www.{SITE}"]), ("example.net", [READER, f"www.{READER}"])):
        authority = acme.Authority(f"Who signed for Bee2 in {zone}".encode(), f"Bee2's authority of {zone}", zone)
        bee2.authorities[zone] = authority
        folder = bee2.folder / f"certificate-{zone}"
        authority.issue(folder, names)
        combined = (folder / "cert.pem").read_text() + (folder / "key.pem").read_text()
        live = "/var/lib/docker/volumes/letsencrypt/_data/live"
        bee2.on_host(
            f"docker volume create letsencrypt; mkdir -p {live}; cat >{live}/{names[0]}-combined.pem", combined.encode()
        )
        for visitor in ("prober", "prober-routed"):
            words = ["docker", "exec", "-i", bee2.region.name(visitor), "python3", "-c", acme.TRUST]
            subprocess.run(words, input=authority.pem().encode(), check=True)


def _containers(bee2: Bee2, static: str) -> None:
    _build(
        bee2,
        "haproxy:1.8.4",
        packed({"Dockerfile": f'{_head("HAProxy")}CMD ["haproxy", "-f", "/usr/local/etc/haproxy"]\n'}),
    )
    reader = f'{_head("DBSetup")}COPY --chmod=0755 reader /reader\nENTRYPOINT ["/reader"]\n'
    _build(bee2, IMAGES["reader:2.1"], packed({"Dockerfile": reader, "reader": (FILES / "reader.py").read_text()}))
    _build(bee2, IMAGES["postgres:17"], context("postgres:17", ROWS["postgres:17"]))
    for image in IMAGES.values():
        bee2.on_host(f"docker push -q {image}")
    pages, configuration = (f"/var/lib/docker/volumes/{name}/_data" for name in ("example-web", "haproxycfg"))
    bee2.on_host(
        "docker volume create example-web; docker volume create haproxycfg\n"
        f"echo {shlex.quote(PAGE)} >{pages}/index.html; cat >{configuration}/haproxy.cfg",
        (FILES / "haproxy.cfg").read_bytes(),
    )
    given = f"-e POSTGRES_USER=postgres -e POSTGRES_PASSWORD={shlex.quote(ADMIN)}"
    bee2.run("postgres", IMAGES["postgres:17"], options=f"-v postgres:/var/lib/postgresql/data {given}")
    ask = "docker exec w1-app-postgres psql -q -h /tmp -U postgres -c"
    until(lambda: bee2.on_host(f"{ask} 'SELECT 1' 2>/dev/null || true"), 120, "Bee2's database is up")
    role = ROLE.replace("'", "''")
    for statement in (
        f"CREATE ROLE news_reader LOGIN PASSWORD '{role}'",
        "CREATE DATABASE news_reader OWNER news_reader",
    ):
        bee2.on_host(f"{ask} {shlex.quote(statement)}")
    variables = {"DB_HOST": "w1-app-postgres", "DB_NAME": "news_reader", "DB_USER": "news_reader", "DB_PASS": ROLE,
                 "SMTP_PASSWORD": MAIL}  # fmt: skip
    given = shlex.join(word for name, value in variables.items() for word in ("-e", f"{name}={value}"))
    bee2.run("news_reader", IMAGES["reader:2.1"], "--listen", "0.0.0.0", options=f"-v reader-cache:/state {given}")
    words = ("-m", "http.server", "--bind", "::", "--directory", f"/www/{SITE}", "8080")
    mounted = f"-v example-web:/www/{SITE}:ro --entrypoint python3"
    bee2.run("nginx-static", IMAGES["reader:2.1"], *words, options=mounted)
    bee2.run("haproxy", "haproxy:1.8.4", options=f"--user 0 -p 80:80 -p 443:443 --ip6 {static} "
             "-v letsencrypt:/etc/letsencrypt -v haproxycfg:/usr/local/etc/haproxy")  # fmt: skip
