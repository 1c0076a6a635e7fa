"""Compose files are read as the Compose Specification says: variables, merging, extends, include, profiles."""

import pytest

from operations.coming.errors import Wrong, number
from operations.compose import forms, variables
from tests.unit.compose_kit import problems, read

SET = {"A": "a", "EMPTY": "", "B": "b"}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("$A-${A}", "a-a"),
        ("${A:-x}${EMPTY:-x}${NONE:-x}", "axx"),
        ("${A-x}${EMPTY-x}${NONE-x}", "ax"),
        ("${A:+x}${EMPTY:+x}${NONE:+x}", "x"),
        ("${A+x}${EMPTY+x}${NONE+x}", "xx"),
        ("${A:?no}${A?no}[${EMPTY?no}]", "aa[]"),
        ("${NONE:-${EMPTY:-${B}}}", "b"),
        ("${NONE:-http://${B}:80/{x}", "http://b:80/{x"),
        ("${A:-${NONE?never asked}}", "a"),
        ("$$A $${A} $$$A", "$A ${A} $a"),
        ("${NONE:-}", ""),
        ("${NONE:-a b:c?d-e+f}", "a b:c?d-e+f"),
        ("5 $", "5 $"),
        ("^(a|$A)?$|$(id)$1", "^(a|a)?$|$(id)$1"),
    ],
)
def test_variables_are_replaced_as_compose_does(template, text):
    assert variables.substitute(template, SET) == text


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("${NONE}", "the variable NONE is not set; set it in .env, or by --env-file FILE (NONE= for an empty one)"),
        ("${NONE?it is the site's name}", "needs the variable NONE: it is the site's name; set it in .env"),
        ("${EMPTY:?}", "needs the variable EMPTY; set it in .env"),
        ("${}", 'without the name of a variable; write "$${"'),
        ("${A", 'is not closed; write "${A}"'),
        ("${A:-b", 'is not closed; write "}"'),
        ("${A!}", 'is not closed; write "${A}"'),
        ("${A:-" * 40, "nested too deep"),
    ],
)
def test_a_variable_that_is_not_set_or_not_closed_is_refused_with_what_to_write(template, words):
    with pytest.raises(Wrong, match=r".") as caught:
        variables.substitute(template, SET)
    assert words in str(caught.value)


def test_files_of_variables_are_read_as_compose_reads_them():
    source = (
        "# a comment\n\nPLAIN=a b # comment\nHASH=a#b\nexport EXPORTED=yes\nSINGLE='$A \"x\" # no comment'\n"
        'DOUBLE="line\\nbreak $A" # comment\nMULTI="one\ntwo"\nAFTER=${PLAIN}!\nCOLON: value\nEMPTY=\nNAMED\n'
        "SPACED = x\nDOLLAR=a$$b\r\n"
    )
    assert variables.parse(source, {"A": "1"}) == {
        "PLAIN": "a b", "HASH": "a#b", "EXPORTED": "yes", "SINGLE": '$A "x" # no comment', "DOUBLE": "line\nbreak 1",
        "MULTI": "one\ntwo", "AFTER": "a b!", "COLON": "value", "EMPTY": "", "NAMED": None, "SPACED": "x",
        "DOLLAR": "a$b",
    }  # fmt: skip
    assert variables.parse("A='x' $B # c\n", {}, raw=True) == {"A": "'x' $B # c"}
    source = "COLOUR=#f00\nBLANK= #f00 #c\nTAB=a\t#b\nHASHED=$2y$10$/x\nOWN=1\nOF=$OWN\n"
    assert variables.parse(source, {"OWN": "2"}) == {
        "COLOUR": "#f00", "BLANK": "#f00", "TAB": "a\t#b", "HASHED": "$2y$10$/x", "OWN": "1", "OF": "2",
    }  # fmt: skip
    with pytest.raises(Wrong, match="line 2: the quote of B is not closed"):
        variables.parse("A=1\nB='x\n", {})
    with pytest.raises(Wrong, match="line 1 sets no variable; write NAME=value"):
        variables.parse("= x\n", {})


def test_yaml_is_read_as_compose_reads_it_not_as_python_does():
    made = read(
        "services: {web: {image: x, environment: {YES: yes, TIME: 22:22, OCTAL: 022, FLOAT: 1.10, BIG: 1_000, "
        "TRUE: True, DATE: 2026-01-01, QUOTED: '022', EXP: 1e3, NULL: null}}}"
    )
    assert made.services["web"]["environment"] == {
        "YES": "yes", "TIME": "22:22", "OCTAL": 18, "FLOAT": 1.1, "BIG": 1000, "TRUE": True, "DATE": "2026-01-01",
        "QUOTED": "022", "EXP": 1000.0, "NULL": None,
    }  # fmt: skip
    assert [number(value) for value in (1.1, 1000.0, 1e21, 0.00001, -2.0)] == ["1.1", "1000", "1e+21", "1e-05", "-2"]


def test_anchors_and_merge_keys_are_followed_and_those_without_an_end_are_refused():
    made = read(
        "x-a: &a {image: x, user: root}\nx-b: &b {user: '1', tty: true}\n"
        "services: {web: {<<: [*a, *b], tty: false}, job: {!!merge <<: *a}}"
    )
    assert made.services == {"web": {"image": "x", "user": "root", "tty": False}, "job": {"image": "x", "user": "root"}}
    laughs = "".join(f"x-{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]\n" for n in range(1, 12))
    assert "anchors make this endless" in "".join(problems(f"x-0: &x0 ha\n{laughs}services: {{}}").values())
    assert "anchors make this endless" in "".join(problems("services: &a {web: *a}").values())


@pytest.mark.parametrize(
    ("source", "path", "words"),
    [
        ("services: [", "compose.yaml", "is not YAML"),
        ("a\tb: : c", "compose.yaml", "is not YAML"),
        ("[" * 5000, "compose.yaml", "is not YAML"),
        ("", "compose.yaml", "is empty; name a compose file"),
        ("- a", "compose.yaml", "must be a map, not a list; write services"),
        ("services: 1", "compose.yaml: services", "must be a map, not a whole number; write"),
        ("services: {}", "services", "there is none to convert; write"),
        ("services: {web: }", "compose.yaml: services.web", "must be a map, not nothing; write image: NAME"),
        ("services: {web: {image: a, image: b}}", "compose.yaml: services.web.image", "stands here twice"),
        ("services: {web: {image: x, ports: 80}}", "compose.yaml: services.web.ports", 'must be a list, not a whole'),
        ("services: {web: {image: x, ports: [x]}}", "compose.yaml: services.web.ports[0]", '"x" is not a port; write'),
        ("services: {web: {image: x, volumes: [{}]}}", "compose.yaml: services.web.volumes[0]", "no usable target"),
        ("services: {web: {image: x, env_file: [a.env]}}", "services.web.env_file[0]", "a.env is not there; put it"),
        ("services: {web: {image: x, depends_on: [dbs]}, db: {image: y}}", "services.web.depends_on.dbs", "did you m"),
        ("services: {web: {image: x, volumes: ['a:/b']}}", "services.web.volumes", "is not in volumes at the top;"),
        ("services: {web: {image: x, extends: y}}", "compose.yaml: services.web.extends", "is not a service; known"),
        ("services: {a: {extends: b}, b: {extends: a}}", "compose.yaml: services.a.extends", "extends itself in"),
        ("include: [x.yaml]\nservices: {}", "/home/me/shop/x.yaml", "No such file"),
        ("services: {web: {image: !x y}}", "compose.yaml: services.web.image", "!x is not a tag that Compose knows"),
    ],
)  # fmt: skip
def test_what_can_not_be_read_is_told_by_path_and_remedy(source, path, words):
    found = problems(source)
    assert words in found.get(path, f"missing: {found}")


def test_several_files_are_merged_by_the_rules_of_the_specification():
    first = """
services:
  web:
    image: one
    command: [a, b]
    entrypoint: [e]
    environment: [A=1, B=2]
    ports: ["80:80", "443:443"]
    volumes: [data:/data, ./x:/x]
    dns: 9.9.9.9
    cap_add: [KILL]
    healthcheck: {test: [CMD, a], interval: 1s}
    depends_on: [db]
    labels: {a: b}
    ulimits: {nofile: 1}
    logging: {driver: syslog, options: {a: b}}
  db: {image: db}
volumes: {data: }
"""
    second = """
services:
  web:
    image: two
    command: [c]
    environment: {B: 3, C: 4}
    ports: ["80:80", "81:81"]
    volumes: [other:/data]
    dns: [1.1.1.1]
    cap_add: [KILL, CHOWN]
    healthcheck: {test: [CMD, b]}
    depends_on: {db: {condition: service_healthy}, cache: {condition: service_started}}
    labels: !override {c: d}
    ulimits: !reset null
    logging: {driver: json-file}
    entrypoint: !reset null
  cache: {image: cache}
volumes: {other: }
"""
    web = read({"a.yaml": first, "b.yaml": second}, paths=("a.yaml", "b.yaml")).services["web"]
    assert web["image"] == "two"
    assert web["command"] == ["c"]
    assert web["environment"] == {"A": "1", "B": 3, "C": 4}
    assert [port["target"] for port in web["ports"]] == ["80", "443", "81"]
    assert [(one["source"], one["target"]) for one in web["volumes"]] == [("other", "/data"), ("/home/me/shop/x", "/x")]
    assert web["dns"] == ["9.9.9.9", "1.1.1.1"]
    assert web["cap_add"] == ["KILL", "CHOWN"]
    assert web["healthcheck"] == {"test": ["CMD", "b"], "interval": "1s"}
    assert web["depends_on"] == {"db": {"condition": "service_healthy"}, "cache": {"condition": "service_started"}}
    assert web["labels"] == {"c": "d"}
    assert web["logging"] == {"driver": "json-file"}
    assert "ulimits" not in web
    assert "entrypoint" not in web


def test_a_folder_stands_for_its_compose_file_and_the_override_in_it():
    files = {
        "x/docker-compose.yml": "services: {web: {image: a, user: '1'}}",
        "x/docker-compose.override.yml": "services: {web: {image: b}}",
    }
    assert read(files, paths=("x",)).services == {"web": {"image": "b", "user": "1"}}
    named = {
        **files,
        "x/.env": "COMPOSE_FILE=docker-compose.yml:more/b.yml${NONE:-}\n",
        "x/more/b.yml": "services: {b: {image: c}}",
    }
    assert list(read(named, paths=("x",)).services) == ["web", "b"]
    assert read(named, paths=("x",)).services["web"]["image"] == "a"
    assert "holds no compose.yaml or" in "".join(problems({"x/a.txt": ""}, paths=("x",)).values())


def test_extends_takes_what_another_service_has_from_its_own_folder():
    files = {
        "compose.yaml": "services: {web: {extends: {file: base/common.yaml, service: app}, environment: {B: 2}}}",
        "base/common.yaml": (
            "services: {app: {extends: root, build: ./src, env_file: app.env, environment: {A: 1, B: 1}}, "
            "root: {volumes: ['./data:/data']}}"
        ),
        "base/app.env": "FROM_FILE=yes\n",
    }
    made = read(files)
    assert made.services["web"] == {
        "volumes": [{"type": "bind", "source": "/home/me/shop/base/data", "target": "/data"}],
        "build": {"context": "/home/me/shop/base/src"},
        "env_file": [{"path": "/home/me/shop/base/app.env"}],
        "environment": {"A": 1, "B": 2},
    }
    assert made.from_files["web"] == {"FROM_FILE": "yes"}


def test_include_brings_another_project_with_its_own_folder_and_variables():
    files = {
        "compose.yaml": "include: [db/compose.yaml]\nservices: {web: {image: '${WEB}', depends_on: [db]}}",
        ".env": "WEB=web:1\nSHARED=outer\n",
        "db/compose.yaml": (
            "services: {db: {image: '${DB}', environment: {S: '${SHARED}'}, volumes: ['./d:/d', v:/v]}}\nvolumes: {v: }"
        ),
        "db/.env": "DB=postgres:16\nSHARED=inner\n",
    }
    made = read(files)
    assert made.services["web"]["image"] == "web:1"
    assert made.services["db"]["image"] == "postgres:16"
    assert made.services["db"]["environment"] == {"S": "outer"}
    assert made.services["db"]["volumes"][0]["source"] == "/home/me/shop/db/d"
    assert "v" in made.volumes
    both = {**files, "compose.yaml": "include: [db/compose.yaml, b.yaml]", "b.yaml": "services: {db: {image: other}}"}
    assert "comes from b.yaml as well" in problems(both)["services.db"]
    endless = {"compose.yaml": "include: [compose.yaml]\nservices: {web: {image: x}}"}
    assert "includes itself in the end" in "".join(problems(endless).values())


def test_what_is_included_is_changed_by_who_includes_it():
    """As Compose does since 2025; before, it refused that."""
    source = """\
include: [db/compose.yaml]
services:
  web: {image: x}
  db:
    environment: {B: 2}
    volumes: !override ['w:/w']
    command: !reset null
volumes: {w: }
"""
    theirs = "services: {db: {image: 'postgres:16', environment: {A: 1}, volumes: ['./d:/d'], command: serve}}"
    over = "services: {db: {environment: {B: 3}, ports: ['1:1']}}"
    files = {"compose.yaml": source, "over.yaml": over, "db/compose.yaml": theirs}
    made = read(files, paths=("compose.yaml", "over.yaml"))
    assert list(made.services) == ["web", "db"]
    db = made.services["db"]
    assert (db["image"], db["environment"], len(db["ports"])) == ("postgres:16", {"A": 1, "B": 3}, 1)
    assert [one["target"] for one in db["volumes"]] == ["/w"]
    assert "command" not in db


def test_profiles_choose_services_and_what_is_not_chosen_needs_no_variables():
    source = (
        "services: {web: {image: x}, debug: {image: '${NONE}', profiles: [debug]}, "
        "tool: {image: y, profiles: [tools, debug], volumes: [v:/v]}}\nvolumes: {v: {name: '${NONE}'}}"
    )
    made = read(source)
    assert list(made.services) == ["web"]
    assert made.inactive == {"debug": ["debug"], "tool": ["tools", "debug"]}
    assert "NONE" in "".join(problems(source, profiles=("debug",)).values())
    assert list(read(source, profiles=("*",), environment={"NONE": "z"}).services) == ["web", "debug", "tool"]
    assert list(read(source, environment={"COMPOSE_PROFILES": "tools", "NONE": "z"}).services) == ["web", "tool"]
    assert list(read("services: {web: {image: x, profiles: ['${OFF:-}']}}").services) == ["web"]
    needs = "services: {web: {image: x, depends_on: [db]}, db: {image: y, profiles: [data]}}"
    assert "is of profile data" in problems(needs)["services.web.depends_on.db"]


def test_the_environment_wins_over_files_and_named_files_stand_for_dotenv():
    files = {"compose.yaml": "services: {web: {image: '$A-$B'}}", ".env": "A=1\nB=1\n", "other.env": "A=2\nB=2\n"}
    assert read(files).services["web"]["image"] == "1-1"
    assert read(files, env_files=("other.env",)).services["web"]["image"] == "2-2"
    assert read(files, environment={"A": "3"}).services["web"]["image"] == "3-1"


def test_all_forms_of_env_file_are_read_in_order():
    files = {
        "compose.yaml": (
            "services: {web: {image: x, env_file: "
            "[a.env, {path: b.env, format: raw}, {path: none.env, required: false}]}}"
        ),
        "a.env": "A=1\nB='1'\nTOLD\nUNTOLD\n",
        "b.env": "B='2'\n",
    }
    assert read(files, environment={"TOLD": "t"}).from_files["web"] == {"A": "1", "B": "'2'", "TOLD": "t"}


def test_files_of_before_2016_are_services_themselves():
    made = read("web: {image: x, links: ['db:database'], volumes: ['data:/data']}\ndb: {build: ./db}")
    assert list(made.services) == ["web", "db"]


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ([80], [{"target": "80", "protocol": "tcp"}]),
        (["8080:80"], [{"target": "80", "published": "8080", "protocol": "tcp"}]),
        (["127.0.0.1:53:53/udp"], [{"target": "53", "published": "53", "host_ip": "127.0.0.1", "protocol": "udp"}]),
        (["127.0.0.1::80"], [{"target": "80", "host_ip": "127.0.0.1", "protocol": "tcp"}]),
        ([":443:443"], [{"target": "443", "published": "443", "protocol": "tcp"}]),
        (["::80"], [{"target": "80", "protocol": "tcp"}]),
        (["[::1]:80:81"], [{"target": "81", "published": "80", "host_ip": "::1", "protocol": "tcp"}]),
        (["6000-6010:7000-7010"], [{"target": "7000-7010", "published": "6000-6010", "protocol": "tcp"}]),
    ],
)
def test_short_and_long_ports_are_one(short, long):
    assert forms.ports(short) == long


@pytest.mark.parametrize(
    ("written", "seconds"), [("1m30s", 90), ("1.5s", 1.5), ("500ms", 0.5), ("1h", 3600), ("0", 0), ("10s500ms", 10.5)]
)
def test_durations(written, seconds):
    assert forms.seconds(written) == seconds


@pytest.mark.parametrize(
    ("written", "spelt"),
    [("512M", "512m"), ("1.5g", "1536m"), ("2gb", "2g"), (268435456, "256m"), ("128mb", "128m"), ("1GiB", "1g")],
)
def test_amounts(written, spelt):
    assert forms.mebibytes(written) == (spelt, False)
    assert forms.mebibytes("1000k") == ("1m", True)


@pytest.mark.parametrize("value", ["10", "-1s", "1 s", True, [], None, "1y"])
def test_what_is_no_duration_is_refused(value):
    with pytest.raises(Wrong, match=r"write e\.g\. 30s"):
        forms.seconds(value)


@pytest.mark.parametrize(
    ("name", "environment", "expected"),
    [
        ("", {}, "shop"),
        ("name: My.Store", {}, "mystore"),
        ("name: store", {"COMPOSE_PROJECT_NAME": "other"}, "other"),
        ("name: ${COMPOSE_PROJECT_NAME:-${STORE}2}", {"STORE": "._store"}, "store2"),
    ],
)
def test_the_project_s_name_may_be_spoken_of(name, environment, expected):
    files = {
        "compose.yaml": f"{name}\ninclude: [more.yaml]\nservices: {{a: {{image: 'x:${{COMPOSE_PROJECT_NAME}}'}}}}",
        "more.yaml": "services: {b: {image: 'y:${COMPOSE_PROJECT_NAME:?}'}}",
    }
    made = read(files, environment=environment)
    assert [made.services[service]["image"] for service in "ab"] == [f"x:{expected}", f"y:{expected}"]
