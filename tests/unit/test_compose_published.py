"""Traits of compose files as their projects publish them: what came over otherwise than it was meant."""

from __future__ import annotations

import json

import pytest

from operations.coming.told import Outcome
from tests.unit.compose_kit import converted, entry, refused, variables, verdicts

SERVER = """
  db:
    image: postgres:17
    environment: {POSTGRES_USER: shop, POSTGRES_PASSWORD: s3cret-pw, POSTGRES_DB: shop-data}
"""


def client(**said):
    lines = "".join(f"      {name}: {json.dumps(value)}\n" for name, value in said.items())
    return f"services:\n  web:\n    image: shop/web\n    restart: always\n    environment:\n{lines}{SERVER}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # A URL without a role, as Java has it: the database is called otherwise there too.
        ("jdbc:postgresql://db:5432/shop-data", "jdbc:postgresql://${$db}:5432/shop_data"),
        ("jdbc:postgresql://db/shop-data?user=shop&password=s3cret-pw&ssl=false",
         "jdbc:postgresql://${$db}/shop_data?user=shop_data&password=${_db^password}&ssl=false"),
        ("pg://db:5432?u=shop&p=s3cret-pw&d=shop-data", "pg://${$db}:5432?u=shop_data&p=${_db^password}&d=shop_data"),
        # .NET, and PDO of PHP.
        ("Host=db;Port=5432;Database=shop-data;Username=shop;Password=s3cret-pw",
         "Host=${$db};Port=5432;Database=shop_data;Username=shop_data;Password=${_db^password}"),
        ("Server=db;User Id=shop;Pwd=s3cret-pw;Database=shop-data",
         "Server=${$db};User Id=shop_data;Pwd=${_db^password};Database=shop_data"),
        ("pgsql:host=db;dbname=shop-data", "pgsql:host=${$db};dbname=shop_data"),
        ("host=db user=shop password='s3cret-pw' dbname=shop-data sslmode=disable",
         "host=${$db} user=shop_data password=${_db^password} dbname=shop_data sslmode=disable"),
    ],
)  # fmt: skip
def test_however_a_text_says_which_database_it_is_that_one_with_its_role(value, expected):
    done = converted(client(ACCESS=value, DB_PASSWORD="s3cret-pw"))
    assert variables(done, "web")["ACCESS"] == expected
    assert entry(done, "web")["db"] == ["db:shop_data"]


def test_a_password_behind_a_url_of_another_server_is_a_secret():
    done = converted(client(QUEUE="redis://cache:6379?db=2&password=hush-hush") + "  cache: {image: redis}\n")
    assert variables(done, "web")["QUEUE"] == "redis://${$cache}:6379?db=2&password=${_secrets^web_queue_password}"
    assert done.secrets == {"web_queue_password": "hush-hush"}


def test_of_a_list_of_urls_each_has_what_stands_behind_itself():
    urls = [f"postgres://shop:s3cret-pw@db/shop-data{more}" for more in ("?ssl=no", "?user=shop&password=s3cret-pw")]
    queues = ["redis://cache:6379?password=hush-hush"] * 2
    ways = "http://db/?to=https://x.org/y&password=s3cret-pw"
    text = client(ACCESS=",".join(urls), QUEUES=";".join(queues), WAY=ways) + "  cache: {image: redis}\n"
    done = converted(text)
    url, queue = (
        "postgres://shop_data:${_db^password}@${$db}/shop_data",
        "redis://${$cache}:6379?password=${_secrets^web_queues_password}",
    )
    assert variables(done, "web") == {
        "ACCESS": f"{url}?ssl=no,{url}?user=shop_data&password=${{_db^password}}",
        "QUEUES": f"{queue};{queue}",
        "WAY": "http://${$db}/?to=https://x.org/y&password=${_db^password}",
    }
    assert done.secrets == {"web_queues_password": "hush-hush"}


def test_every_database_that_urls_name_is_made_and_copied():
    urls = {name: f"postgres://shop:s3cret-pw@db/{name}" for name in ("shop", "shop_queue")}
    done = converted(client(DATABASE_URL=urls["shop"], QUEUE_DATABASE_URL=urls["shop_queue"]))
    assert variables(done, "web") == {
        "DATABASE_URL": "postgres://shop:${_db:shop^password}@${$db}/shop",
        "QUEUE_DATABASE_URL": "postgres://shop_queue:${_db:shop_queue^password}@${$db}/shop_queue",
    }
    assert entry(done, "web")["db"] == ["db:shop", "db:shop_queue"]
    assert any('WHAT="db:shop=db db:shop_queue=db"' in step for step in done.told.todo)


def test_a_second_database_of_the_same_role_is_told():
    done = converted(client(DB_HOST="db", DB_PWD="s3cret-pw", DBNAME="shop", VISIBILITY_DBNAME="seen"))
    outcome, words = verdicts(done)["services.web.environment.VISIBILITY_DBNAME"]
    assert outcome is Outcome.DIFFERS
    assert "a role of its own" in words


def test_whoever_logged_in_as_administrator_still_does():
    mariadb = "  my: {image: mariadb, environment: {MARIADB_ROOT_PASSWORD: r00t-pw, MARIADB_PASSWORD: s3cret-pw}}\n"
    said = {"DB_HOST": "my", "DB_USER": "shop", "DB_PASSWORD": "s3cret-pw", "MYSQL_ROOT_PASSWORD": "r00t-pw"}
    done = converted(client(**said, APP_ADMIN_PASSWORD="r00t-pw") + mariadb)
    mine = variables(done, "web")
    assert (mine["DB_PASSWORD"], mine["MYSQL_ROOT_PASSWORD"]) == ("_my^password", "_my^adminpass")
    assert mine["APP_ADMIN_PASSWORD"] == "_secrets^web_app_admin_password"  # of its own accounts
    assert verdicts(done)["services.web.environment.MYSQL_ROOT_PASSWORD"][0] is Outcome.DIFFERS
    said = {"DB_HOST": "db", "POSTGRES_ADMIN_USERNAME": "shop", "POSTGRES_ADMIN_PASSWORD": "s3cret-pw"}
    mine = variables(converted(client(**said)), "web")
    assert (mine["POSTGRES_ADMIN_USERNAME"], mine["POSTGRES_ADMIN_PASSWORD"]) == ("postgres", "_db^adminpass")


@pytest.mark.parametrize(
    ("test", "is_own"),
    [
        ("psql -U shop -c 'select 1'", False),
        ("pg_isready -U shop && psql --username=shop --list", False),
        ("psql -U postgres -d shop-data -c 'select 1'", False),
        ("psql -U postgres -c 'select 1'", True),
        ("pg_isready -U shop -d shop-data", True),
    ],
)
def test_a_database_is_not_asked_as_a_role_that_is_made_once_it_is_healthy(test, is_own):
    done = converted(client(DB_HOST="db", DB_PASSWORD="s3cret-pw") + f'    healthcheck: {{test: "{test}"}}\n')
    assert ("test" in entry(done, "db")["health"]) is is_own
    assert is_own or "the image's own" in verdicts(done)["services.db.healthcheck"][1]


def test_a_site_at_the_port_of_search_engines_is_one():
    done = converted(
        'services: {cloud: {image: owncloud/ocis, ports: ["9200:9200"]}}', domains={"cloud": "c.example.org"}
    )
    assert entry(done, "cloud")["env"] == {"domains": ["c.example.org"], "http_port": 9200}
    done = converted('services: {search: {image: "docker.elastic.co/elasticsearch/elasticsearch:8", ports: [9200]}}')
    assert "env" not in entry(done, "search")


def test_a_secret_without_a_value_is_one_for_all_who_are_given_it():
    done = converted("""
services:
  web: {image: shop/web, restart: always, secrets: [key]}
  worker: {image: shop/web, restart: always, secrets: [key]}
secrets: {key: {external: true}}
""")
    files = {"/run/secrets/key": {"content": "${_secrets^key}"}}
    assert entry(done, "web")["files"] == entry(done, "worker")["files"] == files
    assert [step for step in done.told.todo if "secrets.key" in step] == [
        "secrets.key of the compose file has no value here; set secrets.key by hand"
    ]


def test_who_shares_another_s_network_is_told_what_it_loses():
    done = converted("""
services:
  vpn: {image: vpn/client, restart: always, cap_add: [NET_ADMIN]}
  seed: {image: shop/seed, network_mode: "service:vpn"}
""")
    words = refused(done)["services.seed.network_mode"]
    assert all(part in words for part in ("network of vpn", "leaves by the server", "localhost"))


def test_a_host_name_with_underscores_is_one_with_hyphens():
    done = converted("services: {books_db: {image: shop/db, hostname: books_db, restart: always}}")
    assert entry(done, "books-db")["hostname"] == "books-db"
    assert verdicts(done)["services.books_db.hostname"][0] is Outcome.DIFFERS


def test_options_of_a_volume_that_are_left_empty_are_none():
    done = converted("""
services: {web: {image: shop/web, restart: always, volumes: ["sites:/sites"]}}
volumes: {sites: {driver_opts: {type: "${KIND:-}", o: "${OPTIONS:-}", device: ""}}}
""")
    assert entry(done, "web")["volumes"] == ["sites:/sites"]


def test_nobody_reaches_a_job_that_has_ended():
    done = converted("""
services:
  init: {image: shop/init, restart: "no"}
  web: {image: shop/web, restart: always, depends_on: {init: {condition: service_completed_successfully}}}
""")
    assert entry(done, "web")["after"] == ["init"]
    assert "reach" not in entry(done, "web")


def test_of_configuration_that_lies_elsewhere_it_is_told_that_somebody_has_to_say_whom_it_names():
    done = converted("""
services:
  front: {image: nginx, restart: always, volumes: ["/srv/nginx/site.conf:/etc/nginx/conf.d/site.conf:ro"]}
  web: {image: shop/web, restart: always}
""")
    assert "write into reach of front whom what lies in /srv/nginx/site.conf names, if it names any" in done.told.todo


def test_a_host_in_a_text_of_a_kind_of_its_own_is_told_where_it_is_closed():
    done = converted("""
services:
  web:
    image: shop/web
    restart: always
    environment: {STORAGE: "minio|minio?key=1", NO_PROXY: "localhost,minio", PATHS: "/srv/minio,minio-data"}
  far: {image: shop/web, restart: always, depends_on: [minio], environment: {STORAGE: "minio|minio?key=1"}}
  minio: {image: minio/minio, restart: always}
""")
    told = {path for path, (_, words) in verdicts(done).items() if "in it stays text" in words}
    assert told == {"services.web.environment.STORAGE"}  # the other one reaches it


def test_where_nobody_comes_from_outside_it_is_told_how_a_site_is_named():
    files = "services: {web: {image: shop/web, restart: always, expose: [80]}, db: {image: postgres}}"
    assert any("--domain web=DOMAIN" in step for step in converted(files).told.todo)
    assert not any(
        "comes to one of them" in step for step in converted(files, domains={"web": "a.example.org"}).told.todo
    )


def test_who_has_a_database_s_password_uses_it_though_it_waits_for_nobody():
    done = converted(
        {
            "compose.yaml": """
services:
  web: {image: shop/web, restart: always, secrets: [pw]}
  old: {image: shop/old, restart: always, environment: {DB_PASSWORD: s3cret-pw}}
  my:
    image: mariadb
    secrets: [pw]
    environment: {MYSQL_DATABASE: example, MYSQL_ROOT_PASSWORD_FILE: /run/secrets/pw}
    healthcheck: {test: 'mariadb -e "select 1" --password="$$(cat /run/secrets/pw)"'}"""
            + SERVER
            + "secrets: {pw: {file: ./pw.txt}}",
            "pw.txt": "r00t-pw",
        }
    )
    assert entry(done, "web")["files"] == {"/run/secrets/pw": {"content": "${_my:example^password}"}}
    assert (entry(done, "web")["db"], entry(done, "old")["db"]) == (["my:example"], ["db:shop_data"])
    assert "by pw, which is gone" in verdicts(done)["services.my.healthcheck"][1]


def test_an_address_that_a_service_had_is_no_longer_its_own():
    done = converted("""
services:
  dns: {image: shop/dns, restart: always, networks: {inner: {ipv4_address: 172.20.0.2}}}
  web:
    image: shop/web
    restart: always
    networks: [inner]
    dns: [172.20.0.2, 9.9.9.9]
    extra_hosts: ["resolver:172.20.0.2"]
    environment: {UPSTREAM: "http://172.20.0.2:8080", SERVERS: "172.20.0.2#5054;1.1.1.1"}
networks: {inner: {ipam: {config: [{subnet: 172.20.0.0/24}]}}}
""")
    assert variables(done, "web")["UPSTREAM"] == "http://${$dns}:8080"
    assert verdicts(done)["services.web.environment.SERVERS"][0] is Outcome.DIFFERS
    assert all(
        "was the address of dns" in refused(done)[f"services.web.{key}"] for key in ("dns", "extra_hosts.resolver")
    )


@pytest.mark.parametrize("name", ["REV_SERVER_DOMAIN", "SMTP_SERVER_HOST", "LDAP_SERVER_DOMAIN"])
def test_the_name_of_somebody_else_is_not_that_of_the_site(name):
    done = converted(f"services: {{web: {{image: shop/web, ports: [80], environment: {{{name}: a.example.org}}}}}}")
    assert entry(done, "web")["env"]["domains"] == ["web.example.com"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INITIAL_ADMIN_PW", "hush-hush"),
        ("REDISCLI_AUTH", "hush-hush"),
        ("APP_KEYS", "one-key,another-key"),
        ("RABBITMQ_ERLANG_COOKIE", "crumbs-of-it"),
        ("MP_UI_AUTH", "anna:hush-hush"),
        ("VAULT_DEV_ROOT_TOKEN_ID", "hush-hush"),
    ],
)
def test_what_is_a_secret_by_a_further_name_stands_nowhere(name, value):
    done = converted(client(**{name: value}))
    assert variables(done, "web")[name].startswith("_secrets^")
    assert value in done.secrets.values()


def test_what_one_service_says_is_a_secret_is_one_wherever_it_stands():
    done = converted(client(LOGIN="anna:hush-4711", PASSWORD="hush-4711", CODE="hush-4711"))
    mine = variables(done, "web")
    # But what only equals a database's password is that no more than its name is.
    told = converted(client(DB_HOST="db", DB_PASSWORD="s3cret-pw", TITLE="The s3cret-pw shop"))
    assert variables(told, "web")["TITLE"] == "The s3cret-pw shop"
    assert (mine["LOGIN"], mine["CODE"]) == ("anna:${_secrets^web_password}", "_secrets^web_password")


def test_a_short_password_of_a_database_is_a_reference_behind_the_word_for_it_and_told_where_it_stands_nowhere():
    server = "  my: {image: mysql, environment: {MYSQL_USER: shop, MYSQL_PASSWORD: shop, MYSQL_DATABASE: store}}\n"
    lines = "url: jdbc:mysql://my:3306/store\nname: shop\npassword: shop\nadmin_password: shop\nshop: 1\n"
    done = converted(client(SETTINGS=lines) + server)
    assert variables(done, "web")["SETTINGS"] == (
        "url: jdbc:mysql://${$my}:3306/store\nname: shop\npassword: ${_my:store^password}\n"
        "admin_password: shop\nshop: 1\n"
    )
    assert "that of the role store" in verdicts(done)["services.web.environment.SETTINGS"][1]
    done = converted(client(URL="jdbc:mysql://my:3306/store") + server)
    assert any("put the generated password of my/store" in step for step in done.told.todo)
    done = converted(client(URL="mysql://shop:shop@my:3306/store") + server)
    assert not any("put the generated password" in step for step in done.told.todo)


def test_blanks_around_the_address_of_a_host_are_none():
    done = converted('services: {web: {image: shop/web, restart: always, extra_hosts: ["ldap:192.0.2.9 "]}}')
    assert entry(done, "web")["extra_hosts"] == {"ldap": "192.0.2.9"}
