"""What a compose file says of addresses and networks, which containers do not have here."""

from __future__ import annotations

import pytest

from operations.coming.told import Outcome
from tests.unit.compose_kit import converted, variables, verdicts

FILES = {
    "compose.yaml": """
services:
  web:
    image: shop/web
    restart: always
    volumes: ["./web.conf:/etc/web.conf:ro"]
    environment: {TRUST_PROXY: '["loopback", "172.18.0.0/16"]', OTHER: 172.19.0.0/16}
networks: {default: {ipam: {config: [{subnet: 172.18.0.0/16}, {subnet: "fd00:77::/64"}]}}}
""",
    "web.conf": "trusted = fd00:77::/64\n",
}


def test_who_believes_the_network_that_containers_had_is_told_that_it_is_another_one():
    told = verdicts(converted(FILES))
    for path, subnet in (("environment.TRUST_PROXY", "172.18.0.0/16"), ("volumes[0]", "fd00:77::/64")):
        found = [words for one, (outcome, words) in told.items() if one == f"services.web.{path}"]
        assert any(f"{subnet} in it was the network" in words and "172.30.0.0/24" in words for words in found), told
    assert told["services.web.environment.TRUST_PROXY"][0] is Outcome.DIFFERS
    assert "services.web.environment.OTHER" not in told


def test_a_name_that_stood_for_two_services_stands_for_the_first():
    done = converted("""
services:
  app: {image: shop/app, restart: always, networks: {inner: {aliases: [api.internal]}}}
  worker: {extends: {service: app}, command: work, environment: {API: "http://api.internal:8080"}}
networks: {inner: {}}
""")
    assert variables(done, "worker")["API"] == "http://${$app}:8080"
    assert "it stands for app and worker there" in verdicts(done)['services.worker.networks["api.internal"]'][1]


@pytest.mark.parametrize(
    ("networks", "host"),
    [
        ("", "db.shop_default"),
        ("networks: {default: {name: shop-net}}", "db.shop-net"),
        ("networks: {default: {name: shop-net}}", "the-db.shop-net"),
    ],
)
def test_a_name_with_that_of_its_network_is_the_service(networks, host):
    """Docker answers to it, and here nobody does."""
    done = converted(f"""
services:
  app: {{image: shop/app, restart: always, environment: {{DB_HOST: {host}, DB_NAME: wares, DB_PASSWORD: s3cretpw}}}}
  db: {{image: "mariadb:11", container_name: the-db, environment: {{MARIADB_ROOT_PASSWORD: s3cretpw}}}}
{networks}
""")
    assert variables(done, "app")["DB_HOST"] == "$db"
