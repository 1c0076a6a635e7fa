"""What nobody may read stands in no stack file, also where it came in a file."""

import json

import pytest

from tests.unit.compose_kit import converted, entry, refused, variables, verdicts

KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQ\n-----END EC PRIVATE KEY-----\n"
SHOP = """
services:
  db: {image: "postgres:16", environment: {POSTGRES_USER: shop, POSTGRES_PASSWORD: n0t-for-all, POSTGRES_DB: shop}}
  web:
    image: x
    environment: {DB_HOST: db, DB_PASSWORD: n0t-for-all, ADMIN_PASSWORD: password}
    volumes: ["./tls.key:/tls.key:ro", "./app.yml:/app.yml:ro"]
    configs: [mail]
  mail: {image: y, environment: {SMTP_PASSWORD: letters-99}}
configs: {mail: {content: "pass letters-99 letters-999"}}
"""


def test_keys_passwords_and_secrets_in_files_are_references():
    done = converted({"compose.yaml": SHOP, "tls.key": KEY, "app.yml": "password: n0t-for-all\n"})
    assert refused(done) == {}
    assert entry(done, "web")["files"] == {
        "/tls.key": {"content": "${_secrets^web_tls_key}"},
        "/app.yml": {"content": "password: ${_db:shop^password}\n"},
        "/mail": {"content": "pass ${_secrets^mail_smtp_password} letters-999"},
    }
    assert done.secrets["web_tls_key"] == KEY
    assert "the password of db in it is the generated one now" in verdicts(done)["services.web.volumes[1]"][1]
    assert "n0t-for-all" not in str(done.sections)
    assert "MHcCAQ" not in str(done.sections)


def test_a_database_that_is_named_in_a_file_alone_is_made_too():
    server = "db: {image: 'postgres:16', environment: {POSTGRES_PASSWORD: n0t-for-all, POSTGRES_DB: shop}}"
    files = {
        "compose.yaml": f"services: {{{server}, web: {{image: x, volumes: ['./app.yml:/app.yml:ro']}}}}",
        "app.yml": "database: {host: db, password: n0t-for-all}\n",
    }
    done = converted(files)
    assert entry(done, "web")["db"] == ["db:shop"]
    assert entry(done, "web")["files"]["/app.yml"]["content"] == (
        "database: {host: ${$db}, password: ${_db:shop^password}}\n"
    )
    assert any("the configuration of web logs in to db as the role shop" in step for step in done.told.todo)


@pytest.mark.parametrize("key", ["command", "entrypoint", "healthcheck"])
def test_a_secret_in_a_command_is_told_whoever_says_that_it_is_one(key):
    value = "{test: [CMD, ping, -a, h0rse-battery]}" if key == "healthcheck" else "[serve, -a, h0rse-battery]"
    first = f"cache: {{image: x, {key}: {value}}}"
    found = refused(converted(f"services: {{{first}, web: {{image: y, environment: {{CACHE_PASS: h0rse-battery}}}}}}"))
    assert "would stand in it for all to read" in found[f"services.cache.{key}"]
    server = "db: {image: 'postgres:16', environment: {POSTGRES_PASSWORD: h0rse-battery}}"
    found = refused(converted(f"services: {{{first}, {server}}}"))
    assert "which is a generated one now, would stand" in found[f"services.cache.{key}"]


@pytest.mark.parametrize(
    ("command", "is_refused"),
    [
        ("redis-server --requirepass h0rse-battery --appendonly yes", True),
        ("[serve, --api-key=h0rse-battery]", True),
        ("[serve, --secret-token, h0rse-battery]", True),
        ("[sh, -c, 'redis-server --requirepass $$REDIS_PASSWORD']", False),
        ("[serve, --password, $$PASSWORD, --token-file, /run/t, --password-stdin, --pass, --quiet]", False),
    ],
)
def test_an_option_of_a_command_that_says_a_secret_is_told(command, is_refused):
    """Of an image that nothing is known of."""
    found = refused(converted(f"services: {{cache: {{image: x, command: {command}}}}}"))
    assert list(found) == (["services.cache.command"] if is_refused else [])
    assert all("would stand in it for all to read" in words for words in found.values())


def test_what_redis_asks_of_its_clients_is_a_secret():
    done = converted("services: {web: {image: x, environment: {REDIS_AUTH: h0rse-battery}}}")
    assert done.secrets == {"web_redis_auth": "h0rse-battery"}


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("smtp_password = hushhush9", "smtp_password"),
        ("gitlab_rails['smtp_password'] = \"hushhush9\"", "smtp_password"),
        ('  "api_key": "hushhush9",', "api_key"),
        ("secret_token: hushhush9", "secret_token"),
        ("# password: hushhush9", ""),
        ("password: ${MAIL_PASSWORD}", ""),
        ("password_file: /run/secrets/mail", ""),
        ("passwords: many", ""),
    ],
)
def test_what_is_called_like_a_secret_in_configuration_is_told_by_its_name_and_not_its_value(line, name):
    done = converted({
        "compose.yaml": "services: {web: {image: x, restart: always, volumes: ['./a.conf:/etc/a.conf:ro']}}",
        "a.conf": f"first = 1\n{line}\n",
    })  # fmt: skip
    told = [step for step in done.told.todo if "is a secret" in step]
    assert ([f"see whether {name} in services.web.volumes[0]" in step for step in told]) == ([True] if name else [])
    assert "hushhush9" not in "".join(done.told.todo)


def test_a_role_and_its_database_keep_their_names_where_a_secret_is_the_same_word():
    """Nor is anything put into a reference: what came of it would be none."""
    done = converted("""
services:
  db: {image: "postgres:16", environment: {POSTGRES_USER: shop2026, POSTGRES_PASSWORD: n0t-for-all}}
  web:
    image: x
    environment:
      MAIN_URL: postgres://shop2026:n0t-for-all@db/shop2026
      QUEUE_URL: postgres://shop2026:n0t-for-all@db/queue
      CACHE_URL: redis://redis-01/0
  mail: {image: y, environment: {API_TOKEN: shop2026, SMTP_PASSWORD: redis-01}}
  redis-01: {image: redis}
""")
    assert variables(done, "web") == {
        "MAIN_URL": "postgres://shop2026:${_db:shop2026^password}@${$db}/shop2026",
        "QUEUE_URL": "postgres://queue:${_db:queue^password}@${$db}/queue",
        "CACHE_URL": "redis://${$redis-01}/0",
    }


def test_of_a_role_and_a_password_that_are_one_word_the_password_is_put_behind_its_word():
    done = converted(
        {
            "compose.yaml": """
services:
  db: {image: "postgres:16", environment: {POSTGRES_USER: shop2026, POSTGRES_PASSWORD: shop2026}}
  web: {image: x, environment: {DB_HOST: db}, volumes: ["./app.yml:/app.yml:ro"]}
""",
            "app.yml": "user: shop2026\npassword: shop2026\n",
        }
    )
    content = entry(done, "web")["files"]["/app.yml"]["content"]
    assert content == "user: shop2026\npassword: ${_db:shop2026^password}\n"


def test_the_end_of_a_line_stays_behind_a_secret():
    one = "a: {image: x, environment: {APP_KEY: 4bc-12345}}"
    text = f'services: {{{one}, b: {{image: y, environment: {{NOTE: "4bc-12345\\n"}}}}}}'
    assert variables(converted(text), "b") == {"NOTE": "${_secrets^a_app_key}\n"}


@pytest.mark.parametrize(
    "value",
    [
        "{'default':{'NAME':'shop','PASSWORD':'words','USER':'shop','HOST':'db'}}",
        '[{"host": "db", "password": "words"}]',
    ],
)
def test_a_databases_password_in_a_configuration_of_one_line_is_the_generated_one(value):
    """A word as password, which is looked for behind the word for one alone."""
    server = "{image: 'postgres:16', environment: {POSTGRES_PASSWORD: words, POSTGRES_DB: shop, POSTGRES_USER: shop}}"
    web = f"{{image: x, depends_on: [db], environment: {{DATABASES: {json.dumps(value)}}}}}"
    done = converted(f"services: {{db: {server}, web: {web}}}")
    made = variables(done, "web")["DATABASES"]
    assert "words" not in made
    assert "${_db" in made
    assert "${$db}" in made


@pytest.mark.parametrize(("host", "is_its"), [("db", True), ("mail.example.org", False)])
def test_a_word_is_a_databases_password_in_a_url_of_that_database(host, is_its):
    files = {
        "compose.yaml": SHOP.replace("n0t-for-all", "letters"),
        "tls.key": KEY,
        "app.yml": f'{{"at": "postgres://shop:letters@{host}:5432/shop"}}',
    }
    made = entry(converted(files), "web")["files"]["/app.yml"]["content"]
    assert ("shop:${_db:shop^password}@${$db}:5432" in made) == is_its
    assert ("letters" in made) != is_its
