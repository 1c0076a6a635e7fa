"""Whoever names another service reaches it by the name that it has here, wherever that is written."""

import pytest

from operations.coming.told import Outcome
from tests.unit.compose_kit import converted, entry, refused, variables, verdicts

REST = "my_app: {image: x, container_name: the-app}, redis: {image: 'redis:7'}"


@pytest.mark.parametrize(
    ("command", "words", "reach"),
    [
        ("[serve, --redis-host, redis]", ["serve", "--redis-host", "redis"], ["redis"]),
        ("serve --cache=redis:6379", ["serve", "--cache=redis:6379"], ["redis"]),
        ("[wait, http://my_app:80/, --, 'my_app']", ["wait", "http://my-app:80/", "--", "my_app"], ["my-app"]),
        ("[sh, -c, 'curl the-app:80 && my_app']", ["sh", "-c", "curl my-app:80 && my_app"], ["my-app"]),
        ("[redis, my_app, redis-server, x.redis:1]", ["redis", "my_app", "redis-server", "x.redis:1"], None),
    ],
)
def test_a_command_names_others_by_the_names_of_their_entries_and_reaches_them(command, words, reach):
    done = converted(f"services: {{web: {{image: x, command: {command}}}, {REST}}}")
    assert refused(done) == {}
    assert entry(done, "web")["command"] == words
    assert entry(done, "web").get("reach") == reach
    renamed = verdicts(done)["services.web.command"][0] is Outcome.DIFFERS
    assert renamed == (reach == ["my-app"])


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("proxy_pass http://my_app:80;", "proxy_pass http://${$my-app}:80;"),
        ("upstream a { server redis; }", "upstream a { server ${$redis}; }"),
        ("targets: ['the-app:9090', 'x.org:1']", "targets: ['${$my-app}:9090', 'x.org:1']"),
        ("host = redis\nname = redis\n", "host = ${$redis}\nname = redis\n"),
        ("my_app runs on ${redis}", "my_app runs on $${redis}"),
    ],
)
def test_a_file_names_others_by_references(text, content):
    done = converted({
        "compose.yaml": f"services: {{web: {{image: x, volumes: ['./a.conf:/a.conf:ro']}}, {REST}}}", "a.conf": text,
    })  # fmt: skip
    assert refused(done) == {}
    assert entry(done, "web")["files"] == {"/a.conf": {"content": content}}
    assert "reach" not in entry(done, "web")


def test_a_value_that_may_be_a_host_is_told_and_one_that_is_is_a_reference():
    web = "web: {image: x, environment: {A: redis, B: my_app, C: 'x?at=redis:1&b=2'}}"
    done = converted(f"services: {{{web}, other: {{image: x, environment: {{A: redis}}}}, {REST}}}")
    assert refused(done) == {}
    assert variables(done, "web") == {"A": "redis", "B": "my_app", "C": "x?at=${$redis}:1&b=2"}
    told = {path: words for path, (_, words) in verdicts(done).items() if ".environment." in path}
    assert told == {
        "services.web.environment.B": "my_app stays text; if it means the host, write $my-app afterwards",
        "services.other.environment.A": "redis stays text; if it means the host, write $redis afterwards",
    }


def test_a_health_command_reaches_whom_it_asks():
    done = converted(f"services: {{web: {{image: x, healthcheck: {{test: curl http://redis:80}}}}, {REST}}}")
    assert entry(done, "web")["reach"] == ["redis"]


def test_of_a_folder_that_is_not_read_here_it_is_told_that_somebody_has_to_say_whom_it_names():
    done = converted(f"services: {{web: {{image: x, volumes: ['./conf:/conf:ro']}}, {REST}}}")
    assert any("write into reach of web whom" in step for step in done.told.todo)


def test_what_is_linked_comes_first_and_is_reached():
    done = converted(
        f"services: {{web: {{image: x, links: [redis, 'my_app:app', gone]}}, gone: {{image: y}}, {REST}}}",
        leave_out=("services.gone",),
    )
    assert refused(done) == {}
    assert entry(done, "web")["after"] == ["redis", "my-app"]
    assert entry(done, "web")["reach"] == ["my-app", "redis"]


@pytest.mark.parametrize("mode", ["", ":ro"])
def test_whom_the_configuration_in_a_folder_names_is_reached_and_another_name_is_told(mode):
    files = {
        "compose.yaml": (
            f"services: {{prom: {{image: x, restart: always, volumes: ['./conf:/etc/prom{mode}']}}, "
            "disk_figures: {image: y, restart: always}, web: {image: z, restart: always}}"
        ),
        "conf/jobs/a.yml": "static_configs: [{targets: ['disk_figures:9100']}]",
        "conf/readme.md": "see http://web:80/",
    }
    done = converted(files)
    assert refused(done) == {}
    assert entry(done, "prom")["reach"] == ["disk-figures"]
    told = verdicts(done)["services.prom.volumes[0].disk_figures"][1]
    assert told == "it is called disk-figures now; write that into conf/jobs/a.yml"


def test_the_name_by_which_the_world_knows_a_service_stays_and_is_its_domain():
    done = converted(
        "services: {git: {image: x, hostname: git.example.org, ports: ['80:80'], environment: "
        "{CONFIG: \"external_url 'https://git.example.org'\"}}, "
        "ci: {image: y, restart: always, environment: {GIT_URL: 'https://git.example.org/api'}}}"
    )
    assert variables(done, "git")["CONFIG"] == "external_url 'https://git.example.org'"
    assert variables(done, "ci")["GIT_URL"] == "https://git.example.org/api"
    assert entry(done, "git")["env"]["domains"] == ["git.example.org"]
