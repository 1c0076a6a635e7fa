"""Secrets in commands go where nobody reads them, and the program has them all the same."""

import subprocess

import pytest

from tests.unit.compose_kit import converted, entry, refused, verdicts

HUSH = "h0rse-battery"
FILE = "/usr/local/etc/redis.conf"


def service(done, name="it"):
    """An entry of which nothing is refused, and in which no secret stands."""
    assert refused(done) == {}
    assert HUSH not in str(done.sections)
    return entry(done, name)


def one(image, *, stack="", **said):
    lines = "".join(f"    {key}: {value}\n" for key, value in {"image": image, **said}.items())
    return converted(f"services:\n  it:\n{lines}{stack}")


@pytest.mark.parametrize(
    ("image", "program", "user"),
    [("redis:7-alpine", "redis-server", "999:1000"), ("redis:7", "redis-server", "999:999"),
     ("valkey/valkey:8", "valkey-server", "999:999")],
)  # fmt: skip
@pytest.mark.parametrize("begins", [True, False])
def test_redis_reads_its_password_from_a_file_that_is_its_own(image, program, user, begins):
    line = f"{program if begins else ''} --requirepass {HUSH} --appendonly yes --masterauth {HUSH}"
    made = service(done := one(image, command=f'"{line.strip()}"'))
    assert made["command"] == [program, FILE, "--appendonly", "yes"]
    assert made["files"][FILE] == {
        "content": 'requirepass "${_secrets^it_requirepass}"\nmasterauth "${_secrets^it_requirepass}"\n',
        "mode": "0400",
        "user": user,
    }
    assert done.secrets == {"it_requirepass": HUSH}
    assert "environment" not in made
    assert "requirepass and masterauth" in verdicts(done)["services.it.command"][1]


def test_its_health_command_has_it_from_a_variable():
    check = f"{{test: [CMD, redis-cli, -a, {HUSH}, ping]}}"
    made = service(one("redis:7", command=f"redis-server --requirepass {HUSH}", healthcheck=check))
    assert made["health"]["test"] == ["CMD-SHELL", 'redis-cli -a "$IT_REQUIREPASS" ping']
    assert made["environment"] == {"IT_REQUIREPASS": "_secrets^it_requirepass"}
    check = "{test: redis-cli --pass 'changeme' ping | grep PONG}"
    made = service(one("redis:7", command="redis-server --requirepass changeme", healthcheck=check))
    assert made["health"]["test"] == ["CMD-SHELL", """redis-cli --pass ''"$IT_REQUIREPASS"'' ping | grep PONG"""]


def test_a_variable_that_holds_it_already_is_used():
    said = {
        "environment": f"{{REDIS_PASSWORD: {HUSH}}}",
        "command": f"sh -c \"exec redis-server --requirepass '{HUSH}'\"",
    }
    made = service(one("redis:7", **said))
    assert made["environment"] == {"REDIS_PASSWORD": "_secrets^it_redis_password"}
    assert made["command"] == ["sh", "-c", """exec redis-server --requirepass ''"$REDIS_PASSWORD"''"""]


@pytest.mark.parametrize(
    "command",
    [
        f"[redis-server, /etc/my.conf, --requirepass, {HUSH}]",
        f"[redis-server, --user, 'on >{HUSH} ~*']",
        f"[redis-server, --requirepass, '{HUSH}\"']",
    ],
)
def test_what_no_file_can_say_is_put_in_by_a_shell_before_the_images_entrypoint(command):
    made = service(one("redis:7", environment=f"{{PASSWORD: {HUSH}}}", command=command))
    assert "command" not in made
    shell, option, text = made["entrypoint"]
    assert (shell, option, text.split()[:3]) == ("sh", "-c", ["exec", "docker-entrypoint.sh", "redis-server"])
    assert made["user"] == "999:999"


@pytest.mark.parametrize(
    ("image", "command", "kept", "variables"),
    [
        ("cloudflare/cloudflared:2026.1", f"tunnel --no-autoupdate run --token {HUSH}",
         ["tunnel", "--no-autoupdate", "run"], {"TUNNEL_TOKEN": "_secrets^it_token"}),
        ("quay.io/keycloak/keycloak:26", f"start --db=postgres --db-password={HUSH} --hostname=a.org",
         ["start", "--db=postgres", "--hostname=a.org"], {"KC_DB_PASSWORD": "_secrets^it_db_password"}),
        ("getmeili/meilisearch:v1", f"meilisearch --master-key {HUSH}", ["meilisearch"],
         {"MEILI_MASTER_KEY": "_secrets^it_master_key"}),
        ("docker.dragonflydb.io/dragonflydb/dragonfly:v1.27.1", f"dragonfly --logtostderr --requirepass={HUSH}",
         ["dragonfly", "--logtostderr"], {"DFLY_requirepass": "_secrets^it_requirepass"}),
        ("hashicorp/vault:1.18", f"vault server -dev -dev-root-token-id={HUSH}", ["vault", "server", "-dev"],
         {"VAULT_DEV_ROOT_TOKEN_ID": "_secrets^it_dev_root_token_id"}),
        ("quay.io/openbao/openbao", f"server -dev -dev-root-token-id {HUSH}", ["server", "-dev"],
         {"BAO_DEV_ROOT_TOKEN_ID": "_secrets^it_dev_root_token_id"}),
        ("typesense/typesense:28", f"--data-dir /data --api-key={HUSH}", ["--data-dir", "/data"],
         {"TYPESENSE_API_KEY": "_secrets^it_api_key"}),
    ],
)  # fmt: skip
def test_a_program_that_reads_a_variable_for_it_is_given_that(image, command, kept, variables):
    made = service(one(image, command=command))
    assert (made["command"], made["environment"]) == (kept, variables)


def test_an_official_image_runs_it_by_its_own_entrypoint():
    said = {"environment": f"{{POSTGRES_PASSWORD: x1, LDAP: {HUSH}}}"}
    command = f"[postgres, -c, 'my.ldap_password={HUSH} 1', -c, max_connections=50]"
    made = service(
        one("mongo:7", environment=said["environment"], command=f"[mongod, --tlsCertificateKeyFilePassword, {HUSH}]")
    )
    assert (
        made["entrypoint"][2]
        == 'exec docker-entrypoint.sh mongod --tlsCertificateKeyFilePassword "$IT_TLSCERTIFICATEKEYFILEPASSWORD"'
    )
    made = service(one("postgres:16", environment="{POSTGRES_PASSWORD: x1}", command=command,
                       stack=f"  web: {{image: y, environment: {{LDAP_PASSWORD: {HUSH}}}}}\n"))  # fmt: skip
    assert made["entrypoint"][2] == (
        """exec docker-entrypoint.sh postgres -c my.ldap_password="$WEB_LDAP_PASSWORD"' 1' -c max_connections=50"""
    )
    assert made["environment"]["WEB_LDAP_PASSWORD"] == "_secrets^web_ldap_password"


def test_a_database_s_password_is_the_generated_one_there_too():
    database = "  db: {image: 'postgres:16', environment: {POSTGRES_PASSWORD: h0rse-battery, POSTGRES_DB: it}}\n"
    command, said = f"[sh, -c, 'exec serve --db postgres://it:{HUSH}@db/it']", f"{{DB_HOST: db, DB_PASSWORD: {HUSH}}}"
    done = one("x", command=command, stack=database, depends_on="[db]", environment=said)
    made = service(done)
    assert made["environment"]["DB_PASSWORD"].endswith("^password")
    assert made["command"][2] == 'exec serve --db postgres://it:"$DB_PASSWORD"@db/it'


@pytest.mark.parametrize(
    "said",
    [
        {"image": "x", "command": f"[serve, --token, {HUSH}]"},
        {"image": "x", "entrypoint": f"[serve, --token, {HUSH}]"},
        {"image": "redis:7", "entrypoint": "[/init]", "command": f"[--requirepass, {HUSH}]"},
        # Others' images of these programs begin otherwise.
        {"image": "bitnami/redis:7.2", "command": f"redis-server --requirepass {HUSH}"},
        {"image": "ghcr.io/immich-app/postgres:16", "command": f"[postgres, -c, 'x.token={HUSH}', --token, {HUSH}]"},
        # What its program does not read is no variable of it.
        {"image": "quay.io/keycloak/keycloak:26", "command": f"start -Dkc.db.password={HUSH}"},
        {"image": "dragonflydb/dragonfly:v1.12.0", "command": f"dragonfly --requirepass {HUSH}"},
        {"image": "cloudflare/cloudflared", "command": f"tunnel run --token {HUSH} {HUSH}"},
        {"image": "x", "command": f"[sh, -c, serve, {HUSH}, --token, {HUSH}]"},
    ],
)
def test_where_nothing_is_known_of_what_runs_it_is_refused(said):
    done = one(**said)
    [words] = refused(done).values()
    assert "would stand in it for all to read; have the program read its environment" in words


def test_no_service_is_given_a_secret_that_is_only_the_beginning_of_its_own():
    web = f"  web: {{image: y, environment: {{A_TOKEN: {HUSH}}}}}\n"
    done = one("node:22", command=f"[serve, --token, {HUSH}2]", stack=web)
    made = service(done)
    assert made["environment"] == {"IT_TOKEN": "_secrets^it_token"}
    assert made["entrypoint"][2] == 'exec docker-entrypoint.sh serve --token "$IT_TOKEN"'


def test_a_password_in_a_url_of_a_command_is_one():
    """Nobody else says so; and that of a database is another one here."""
    url = "amqp://shop:sh0rt@mq:5672"
    done = one("node:22", command=f"[serve, '--broker={url}', 'redis://guest:guest@mq']")
    assert entry(done, "it")["entrypoint"][2].endswith(
        'serve --broker=amqp://shop:"$IT_SHOP_PASSWORD"@mq:5672 redis://guest:guest@mq'
    )
    assert done.secrets == {"it_shop_password": "sh0rt"}
    [words] = refused(one("x", command=f"[serve, '{url}']")).values()
    assert "the secret it_shop_password would stand in it" in words
    said = "{POSTGRES_USER: words, POSTGRES_PASSWORD: words, POSTGRES_DB: words}"
    server = f"  db: {{image: 'postgres:16', environment: {said}}}\n"
    serve = "[serve, 'postgres://words:words@db/words']"
    done = one("node:22", command=serve, environment="{DB_HOST: db}", stack=server)
    assert entry(done, "it")["entrypoint"][2].endswith('serve postgres://words:"$DB_PASSWORD"@db/words')
    assert service(done)["environment"]["DB_PASSWORD"] == "_db^password"


def test_what_an_option_says_is_no_password_of_a_database_that_is_called_alike():
    server = "  db: {image: 'postgres:16', environment: {POSTGRES_PASSWORD: shop_hosted}}\n"
    made = entry(done := one("typesense/typesense", command="--data-dir /d --api-key=shop_hosted", stack=server), "it")
    assert refused(done) == {}
    assert made["environment"] == {"TYPESENSE_API_KEY": "_secrets^it_api_key"}


def test_a_password_in_a_url_of_a_health_command_is_one():
    done = one("x", healthcheck="{test: 'ask http://root:hush-99@localhost/'}")
    assert entry(done, "it")["health"]["test"][1] == 'ask http://root:"$IT_ROOT_PASSWORD"@localhost/'


@pytest.mark.parametrize("value", [HUSH, "two words-1", "a'b\"c-12345", "$HOME-`id`;1", "*-99999 \\ x"])
@pytest.mark.parametrize("before", ["", "p=", "-p"])
def test_what_a_shell_puts_in_is_the_very_same(value, before):
    """Every quote in which it may have stood."""
    words = ["printf", "<%s>", f"{before}{value}", "'", '"x"', "$(id)"]
    text = yaml_list(words)
    done = one("node:22", command=text, environment=f"{{TOKEN: {yaml(value)}}}")
    assert refused(done) == {}
    shell = entry(done, "it")["entrypoint"][2].replace("docker-entrypoint.sh ", "")
    said = subprocess.run(
        ["sh", "-c", shell], check=True, env={"TOKEN": value, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert said.stdout == "".join(f"<{word}>" for word in words[2:])
    assert value not in shell


def yaml(text):
    return "'" + text.replace("'", "''").replace("$", "$$") + "'"


def yaml_list(words):
    return f"[{', '.join(map(yaml, words))}]"
