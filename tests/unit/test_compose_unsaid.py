"""What compose files do not say and their readers know: what names a database, who asks whom, what a port speaks."""

from __future__ import annotations

import json

import pytest

from tests.unit.compose_kit import converted, entry, refused, variables, verdicts
from tests.unit.test_compose_published import SERVER, client


def todo(done):
    return "\n".join(done.told.todo)


def test_a_switch_is_no_name_of_a_database_and_the_servers_own_is_the_first_of_several():
    done = converted(
        client(DB_HOST="db", DB_USER="shop", DB_PASSWORD="s3cret-pw", BACKUP_DATABASE="true", SIDE_DB="other",
               REDIS_CACHE_DB="1", CACHE_DB="0", DB_NAME="shop-data")
    )  # fmt: skip
    assert entry(done, "web")["db"] == ["db:shop_data"]
    made = variables(done, "web")
    assert (made["BACKUP_DATABASE"], made["DB_NAME"], made["DB_USER"], made["CACHE_DB"]) == (
        "true", "shop_data", "shop_data", "0",
    )  # fmt: skip


def test_a_shared_files_password_comes_to_whoever_names_the_server_within_a_url():
    """Who waits for another service alone may speak with the database all the same."""
    shared = "APP_DB=postgres://shop:s3cret-pw@db:5432/shop-data\nPOSTGRES_PASSWORD=s3cret-pw\nPOSTGRES_USER=shop\n"
    source = f"services:\n  web: {{image: x, env_file: .env}}\n  off: {{image: y, env_file: off.env}}\n{SERVER}"
    done = converted({"compose.yaml": source, ".env": shared, "off.env": "POSTGRES_PASSWORD=s3cret-pw\n"})
    assert variables(done, "web")["POSTGRES_PASSWORD"] == "_db^password"
    assert "environment" not in entry(done, "off")


@pytest.mark.parametrize(
    ("ports", "site", "published"),
    [
        (["162:162", "162:162/udp"], None, [162, "162/udp"]),
        (["8065:8065", "8443:8443/udp", "8443:8443/tcp"], 8065, ["8443/udp", 8443]),
        (["7777:7777", "7777:7777/udp"], None, [7777, "7777/udp"]),
        # HTTP/3, which the proxy does not speak.
        (["80:80", "443:443", "443:443/udp"], 80, None),
    ],
)
def test_what_is_published_for_datagrams_as_well_is_no_site(ports, site, published):
    done = converted(f"services: {{web: {{image: x, ports: {json.dumps(ports)}}}}}")
    made = entry(done, "web")
    assert made.get("env", {}).get("http_port") == site
    assert made.get("ports") == published


def test_a_certificate_that_is_on_the_old_server_alone_is_a_file():
    done = converted("services: {web: {image: x, volumes: ['/opt/app/cert.p12:/opt/app/cert.p12:ro', '/srv/a:/a']}}")
    assert entry(done, "web")["volumes"] == ["/opt/app/cert.p12:/opt/app/cert.p12:ro", "/srv/a/:/a"]


def test_a_database_that_nobody_uses_is_told_with_what_to_write():
    done = converted(f"services:\n  web: {{image: x}}\n{SERVER}")
    assert 'write db: ["db:shop_data"] at whoever uses db' in todo(done)
    assert "whoever uses" not in todo(converted(client(DB_HOST="db", DB_PASSWORD="s3cret-pw")))


def test_who_is_named_nowhere_is_told_but_for_workers_of_an_image_that_is_asked():
    source = """\
services:
  web: {image: app, ports: ['80:80'], environment: {CACHE_HOST: cache}}
  search: {image: elasticsearch:9}
  socket: {image: app, command: socket}
  worker: {image: app, command: work}
  cache: {image: redis}
  apart: {image: z, networks: [own]}
networks: {own: }
"""
    assert "a name that it has within: search, socket; who is" in todo(converted(source))
    assert "has within" not in todo(converted("services: {web: {image: app}}"))


def test_what_is_started_again_only_when_it_fails_may_be_one_that_ends():
    source = """\
services:
  web: {image: app, restart: always, ports: ['80:80'], depends_on: [seed], environment: {API_HOST: api}}
  seed: {image: app, restart: on-failure}
  api: {image: api, restart: on-failure}
  asked: {image: api, restart: on-failure, healthcheck: {test: "true"}}
"""
    told = verdicts(converted(source))
    assert 'if it is to end, write restart: "no"' in told["services.seed.restart"][1]
    assert not [path for path in told if path in ("services.api.restart", "services.asked.restart")
                and "if it is to end" in told[path][1]]  # fmt: skip


def test_a_site_at_whatever_name_wants_its_domain():
    label = "traefik.http.routers.web.rule=PathPrefix(`/`)"
    source = f"services: {{web: {{image: x, expose: [80], labels: ['{label}']}}}}"
    [words] = refused(converted(source)).values()
    assert "whatever name a visitor asks for" in words
    assert "--domain web=example.com" in words
    path = 'services.web.labels["traefik.http.routers.web.rule"]'
    done = converted(source, domains={"web": "a.example"}, leave_out=(path,))
    assert entry(done, "web")["env"] == {"domains": ["a.example"], "http_port": 80}


@pytest.mark.parametrize(
    ("image", "ports", "site"),
    [
        ("axllent/mailpit", ["1025:1025", "8025:8025"], 8025),
        ("jaegertracing/jaeger", ["4317:4317", "4318:4318", "16686:16686"], 16686),
        ("temporalio/auto-setup", ["7233:7233"], None),
        ("clickhouse/clickhouse-server", ["8123:8123", "9000:9000"], None),
        ("home-assistant", ["8123:8123"], 8123),
        ("minio/minio", ["9000:9000"], 9000),
        ("grafana/loki", ["3101:3100", "7946", "9095"], 3100),
        ("confluentinc/cp-kafka:7.4.0", ["9091:9091", "19092:19092"], None),
        ("bitnami/zookeeper", ["32181:32181", "3888:3888"], None),
        ("provectuslabs/kafka-ui", ["8080:8080"], 8080),
        # By the number that the machine has for it, and what only the machine comes to.
        ("requarks/wiki", ["443:3443", "80:3000"], 3000),
        ("openremote/proxy", ["80:80", "443:443", "127.0.0.1:8404:8404"], 80),
        ("x", ["9000", "8080:80"], 80),
    ],
)
def test_what_is_no_site_keeps_none_from_being_one(image, ports, site):
    done = converted(f"services: {{web: {{image: {image}, ports: {json.dumps(ports)}}}}}")
    assert refused(done) == {}
    made = entry(done, "web")
    assert made.get("env", {}).get("http_port") == site
    assert "ports" not in made


def test_what_leads_others_outwards_is_no_site():
    done = converted("services: {out: {image: ubuntu/squid, ports: ['56566:56566']}}")
    assert entry(done, "out")["ports"] == [56566]
    assert "env" not in entry(done, "out")


def test_a_port_to_which_a_proxy_elsewhere_may_have_led_is_told():
    """Beside a port that is published for something else."""
    source = """
services:
  watch: {{image: checkmk, expose: ["5000"], ports: ["8000:8000"]}}
  store: {{image: mongo, expose: [27017]}}
networks: {{default: {{name: proxies{external}}}}}
"""
    done = converted(source.format(external=", external: true"))
    assert "see whether a proxy on the network default led visitors to watch at its port 5000" in todo(done)
    assert "to store at" not in todo(done)
    assert "see whether a proxy on" not in todo(converted(source.format(external="")))
    named = source.format(external=", external: true").replace("expose", "environment: {VIRTUAL_PORT: 5000}, expose", 1)
    done = converted(named, domains={"watch": "watch.test.org"}, leave_out=("services.watch.ports[0]",))
    assert entry(done, "watch")["env"] == {"domains": ["watch.test.org"], "http_port": 5000}


def test_who_has_https_of_its_own_is_told_to_answer_over_http():
    """A Caddyfile with a domain leads to https, and the proxy comes to it by http: visitors would go in a circle."""
    done = converted("services: {web: {image: caddy, ports: ['80:80', '443:443']}}")
    assert "see that web answers over http" in todo(done)
    assert "answers over http" not in todo(converted("services: {web: {image: caddy, ports: ['80:80']}}"))


FRONT = """
services:
  caddy: {{image: caddy, ports: ["80:80", "443:443"], depends_on: [api]}}
  api: {{image: shop/api, {ports} environment: {{BASE_URL: "https://shop.test.org"}}}}
  shop: {{image: shop/web, ports: ["127.0.0.1:3002:3002"], environment: {{API_URL: "http://api:3001"}}}}
"""


def test_a_domain_leads_to_whoever_has_the_machines_ports_of_the_web():
    """Caddy or nginx leads from there to those that know the domain, and have no way of their own from outside."""
    done = converted(FRONT.format(ports="ports: ['127.0.0.1:3001:3001'],"))
    assert refused(done) == {}
    assert entry(done, "caddy")["env"] == {"domains": ["shop.test.org"], "http_port": 80}
    assert "env" not in entry(done, "api")
    assert "env" not in entry(done, "shop")
    assert "comes to caddy" in verdicts(done)["services.api.ports[0]"][1]


def test_who_has_a_port_of_its_own_keeps_its_domain():
    done = converted(FRONT.format(ports="ports: ['3001:3001'],"))
    assert entry(done, "api")["env"] == {"domains": ["shop.test.org"], "http_port": 3001}
    assert entry(done, "caddy")["env"]["domains"] == ["caddy.example.com"]
    done = converted(FRONT.format(ports="ports: ['127.0.0.1:3001:3001'],"), domains={"api": "api.test.org"})
    assert entry(done, "api")["env"]["domains"] == ["api.test.org"]


@pytest.mark.parametrize(
    ("url", "is_told"),
    [("https://links.shop.org/in", True), ("https://shop.org", False), ("https://www.shop.org", False)],
)
def test_a_host_below_its_domain_that_a_service_names_besides_may_be_its_own(url, is_told):
    said = f"{{DOMAIN: shop.org, NEXT_URL: '{url}', BACKUP: notshop.org}}"
    done = converted(f"services: {{web: {{image: x, ports: ['8080:80'], environment: {said}}}}}")
    assert entry(done, "web")["env"]["domains"] == ["shop.org"]
    assert ("links.shop.org" in todo(done)) is is_told


@pytest.mark.parametrize(
    ("name", "value", "is_told"),
    [
        ("SITE_DOMAIN", "localhost:8080", True),
        ("SOCKETS_URL", "ws://localhost:8080/ws", True),
        ("CORS_ORIGINS", "http://127.0.0.1:3000,http://localhost:8080", True),
        ("N8N_EDITOR_BASE_URL", "http://192.168.1.7:8080", True),
        ("ALLOWED_HOSTS", "localhost,127.0.0.1,api", True),
        ("CMD_DOMAIN", "localhost", True),
        ("HOST", "localhost", True),
        ("WEB_HOST", "localhost", True),
        ("APP_URL", "http://localhost", True),
        # What it listens at, another program's, and another machine.
        ("LISTEN", "0.0.0.0:8080", False),
        ("HTTP_BIND", "127.0.0.1:8080", False),
        ("SMTP_HOST", "localhost", False),
        ("REDIS_HOST", "localhost", False),
        ("NO_PROXY", "localhost,127.0.0.1", False),
        ("API", "http://localhost:9999", False),
        ("NEAR", "my-localhost:8080", False),
    ],
)
def test_the_address_at_which_a_site_was_tried_is_told_however_it_is_written(name, value, is_told):
    said = f"{{{name}: {json.dumps(value)}}}"
    done = converted(f"services: {{web: {{image: x, ports: ['8080:80'], environment: {said}}}}}")
    said = [words for path, (_, words) in verdicts(done).items() if path == f"services.web.environment.{name}"]
    assert any("visitors come to https://web.example.com here" in words for words in said) is is_told


def test_who_is_of_one_image_with_another_may_ask_for_the_same_by_itself():
    """A migration waits for the database, and the web service for the migration: both have the hosts in their image."""
    done = converted("""
services:
  setup: {image: shop, depends_on: [cache, broker], restart: on-failure}
  web: {image: shop, depends_on: [setup], environment: {BROKER_URL: "amqp://broker"}}
  other: {image: else, depends_on: [setup]}
  cache: {image: memcached}
  broker: {image: rabbitmq}
""")
    assert "see whether web asks cache as well" in todo(done)
    assert "see whether other asks" not in todo(done)
    assert "see whether setup asks" not in todo(done)


@pytest.mark.parametrize("condition", ["on-failure", "any", ""])
def test_what_is_started_again_when_it_fails_is_told_by_whatever_key(condition):
    policy = f"condition: {condition}" if condition else "delay: 5s"
    done = converted(f"services: {{fill: {{image: busybox, deploy: {{restart_policy: {{{policy}}}}}}}}}")
    assert ("services.fill.restart" in verdicts(done)) is (condition == "on-failure")


def test_services_in_a_list_of_a_configuration_are_told():
    """They gossip with one another, and nobody reaches whom nobody names."""
    files = {
        "compose.yaml": "services: {reader: {image: x, volumes: ['./a.yml:/a.yml:ro']}, "
        "writer: {image: x}, back: {image: y}}",
        "a.yml": "members: [\"reader\", 'writer']\nmore:\n  - back\nlevel: writer\n",
    }
    done = converted(files)
    assert "see whether writer, back in services.reader.volumes[0] are hosts" in todo(done)
    assert "write reach: [back, writer]" in todo(done)
    assert "are hosts" not in todo(converted({**files, "a.yml": "url: http://writer:1\nlist: [writer]\nlevel: back\n"}))


def test_a_first_role_that_was_a_superuser_is_told():
    done = converted(client(DB_HOST="db", DB_USER="shop", DB_PASSWORD="s3cret-pw"))
    assert "its role was a superuser" in str(done.told.verdicts)
    mysql = "{image: mysql, environment: {MYSQL_ROOT_PASSWORD: s3cret-pw}}"
    done = converted(f"services: {{web: {{image: x, depends_on: [db]}}, db: {mysql}}}")
    assert "superuser" not in str(done.told.verdicts)


@pytest.mark.parametrize(
    ("hook", "remedy"), [("post_start", "this one in its depends_on"), ("pre_stop", "at the signal")]
)
def test_what_is_run_in_a_container_later_is_refused_with_what_can_be_done(hook, remedy):
    done = converted(f"services: {{web: {{image: x, {hook}: [{{command: fill}}]}}}}")
    assert remedy in refused(done)[f"services.web.{hook}"]
