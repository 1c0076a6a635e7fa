"""Bee2's settings as a stack file: the sample to the letter, what can't be said by its path, and no traceback."""

from __future__ import annotations

import copy
import random
from pathlib import Path

import pytest
import yaml

import operations.__main__ as operations
from operations.bee2 import convert, reading
from operations.bee2.scene import Wish
from operations.coming import stack_text
from operations.coming.errors import Problem, SourceError
from operations.coming.told import Outcome

FILES = Path(__file__).parent / "bee2_files"
SETTINGS = (FILES / "conf/settings.yml").read_text()
STATE = (FILES / "conf/vultr-state.yml").read_text()
GOLDEN = FILES / "golden.yaml"


class Memory:
    """Bee2's folder /b, with what its dockerfiles/ has."""

    def __init__(self, settings, folders=("Own",)):
        self.files = {"/b/conf/settings.yml": settings, "/b/conf/vultr-state.yml": STATE}
        self.folders = {f"/b/dockerfiles/{name}" for name in folders}

    def kind(self, path):
        return "file" if path in self.files else "folder" if path in self.folders else None

    def inside(self, path):
        return sorted(known for known in self.files if known.startswith(path.rstrip("/") + "/"))

    def read(self, path):
        if path not in self.files:
            raise SourceError([Problem(path, "No such file; name a file that can be read")])
        return self.files[path]


def converted(settings, **wish):
    files = Memory(settings if isinstance(settings, str) else yaml.safe_dump(settings, sort_keys=False))
    return convert.convert(reading.load("/b/conf/settings.yml", files), files, Wish(**wish))


def hive(**containers):
    """A hive of one server with these applications; `job_x` is the job x."""
    found = {"applications": {}, "jobs": {}}
    for name, data in containers.items():
        section = "jobs" if name.startswith("job_") else "applications"
        found[section][name.removeprefix("job_")] = data
    server = {"plan": 202, "region": "EWR", "dns": {"public": ["web1.example.com"], "web": ["example.com"]}}
    return {"provisioner": {"type": "vultr"}, "servers": {"web1": server}, "docker": {"web1": found}}


def entry(settings, name, **wish):
    done, _ = converted(settings, **wish)
    assert done.told.refused == []
    return next(one for one in done.entries if one.name == name).settings


def refused(settings, **wish):
    """Path to what to do, of all that can't be said or read."""
    try:
        done, _ = converted(settings, **wish)
    except SourceError as error:
        return {one.path: one.message for one in error.problems}
    return {one.path: one.words for one in done.told.verdicts if one.outcome is Outcome.CANNOT}


def run(*words):
    return operations.main(["from-bee2", "convert", *map(str, words)])


# The sample


def test_the_sample_becomes_the_stack_file_beside_it_comments_included():
    done, _ = converted(SETTINGS)
    assert done.told.refused == []
    assert stack_text.whole("# Bee2's sample", done.entries, "apiary") == GOLDEN.read_text()


def test_what_is_left_to_do_names_bee2_s_own_places():
    _, scene = converted(SETTINGS)
    steps = "\n".join(convert.steps(scene, "prod"))
    certificate = "/var/lib/docker/volumes/letsencrypt/_data/live/news.example.net-combined.pem"
    assert f"ssh root@203.0.113.10 cat {certificate} | pulumi config set --secret --stack prod --path " in steps
    assert "gpg --decrypt ~/.password-store/bee2/database/postgres/news_reader.gpg | pulumi config set" in steps


def test_both_layouts_say_the_same():
    old = yaml.safe_load(SETTINGS)
    inner = old["docker"].pop("web1")
    for section in ("applications", "jobs"):
        old[section] = {name: {"server": "web1", **data} for name, data in inner[section].items()}
    del old["docker"]
    new = [one.settings for one in converted(SETTINGS)[0].entries]
    assert [one.settings for one in converted(old)[0].entries] == new


def test_databases_get_new_passwords_when_that_is_said():
    assert "passwords" not in entry(SETTINGS, "postgres", new_passwords=True)


# The verb


@pytest.fixture
def program(tmp_path, monkeypatch):
    (tmp_path / "Pulumi.yaml").write_text("name: apiary\n")
    monkeypatch.setattr("operations.from_bee2.PROGRAM", tmp_path)
    return tmp_path


def test_the_stack_s_file_gets_the_sections_beside_what_pulumi_wrote_into_it(program, capsys):
    into = program / "Pulumi.prod.yaml"
    into.write_text("encryptionsalt: v1:x\nconfig:\n  vultr:apiKey:\n    secure: v1:y\n")
    assert run(FILES / "conf/settings.yml", "--stack", "prod") == 0
    written = yaml.safe_load(into.read_text())
    assert written["encryptionsalt"] == "v1:x"
    assert written["config"]["vultr:apiKey"] == {"secure": "v1:y"}
    golden = yaml.safe_load(GOLDEN.read_text())["config"]
    assert {key: value for key, value in written["config"].items() if key != "vultr:apiKey"} == golden
    out, err = capsys.readouterr()
    assert out == ""
    assert "ecret" not in err.replace("secret", "")
    before = into.read_bytes()
    assert run(FILES / "conf/settings.yml", "--stack", "prod") == 1
    assert into.read_bytes() == before
    assert "apiary:servers: is there already; name another stack" in capsys.readouterr().err


def test_what_can_not_be_said_ends_with_1_all_at_once_and_nothing_is_written(program, capsys):
    settings = yaml.safe_load(SETTINGS)
    settings["servers"]["web1"]["plan"] = 999
    settings["docker"]["web1"]["applications"]["news_reader"]["ipv4"] = "203.0.113.9"
    (program / "settings.yml").write_text(yaml.safe_dump(settings))
    assert run(program / "settings.yml", "--stack", "prod") == 1
    err = capsys.readouterr().err
    assert "servers.web1.plan: CAN'T BE SAID; 999 is no plan that Vultr had; say --plan web1=vc2-1c-2gb" in err
    assert "docker.web1.applications.news_reader.ipv4: CAN'T BE SAID; ports are published" in err
    assert "2 of it can't be said; nothing is written" in err
    assert not (program / "Pulumi.prod.yaml").exists()
    leave_out = ("--leave-out", "docker.web1.applications.news_reader.ipv4")
    assert run(program / "settings.yml", "--stack", "prod", "--plan", "web1=vc2-1c-1gb", *leave_out) == 0


def test_a_secret_is_printed_for_pulumi_alone(program, capsys):
    assert run(FILES / "conf/settings.yml", "--secret", "news_reader_smtp_password") == 0
    assert capsys.readouterr() == ("$ecret", "")
    assert run(FILES / "conf/settings.yml", "--secret", "other") == 1
    assert run(program / "none.yml") == 1
    assert run(FILES / "conf/settings.yml", "--plan", "web9=x") == 1


class Steps:
    """A stack on which every step is only noted."""

    stack = "prod"

    def __init__(self):
        self.done = []

    def select(self):
        self.done.append("select")

    def run(self, *words):
        self.done.append(" ".join(words))


@pytest.fixture
def steps(monkeypatch):
    found = Steps()
    monkeypatch.setattr("operations.from_bee2.Pulumi", lambda _: found)
    monkeypatch.setattr(
        "operations.adopt.adopt", lambda _, wish: found.done.append(f"adopt {','.join(wish.addresses)}".strip())
    )
    return found


def test_names_are_led_here_only_when_what_exists_is_in_the_state_and_the_change_was_shown(steps, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert operations.main(["from-bee2", "switch", "--stack", "prod"]) == 1
    assert steps.done == ["select", "adopt", "preview --diff"]
    steps.done.clear()
    assert operations.main(["from-bee2", "switch", "--stack", "prod", "--yes"]) == 0
    assert steps.done == ["select", "adopt", "up --yes --skip-preview"], "nobody reads what was agreed to beforehand"


def test_an_address_is_kept_by_taking_it_before_there_is_a_server(steps):
    words = ["from-bee2", "switch", "--stack", "prod", "--keep-address", "web1=203.0.113.10", "--yes"]
    assert operations.main(words) == 0
    assert steps.done == ["select", "adopt web1=203.0.113.10"]


# What becomes of a key


def test_names_of_variables_reach_the_container_as_bee2_gave_them():
    env = {"discovery.type": "single-node", "Http_Proxy": "x", "hosts": ["a", "b"], "ratio": 1.5, "nothing": None}
    found = entry(hive(es={"image": "es:7", "env": env}), "es")
    assert found["environment"] == {"DISCOVERY.TYPE": "single-node"}
    assert found["env"] == {"http_proxy": "x", "hosts": '["a", "b"]', "ratio": "1.5", "nothing": ""}


def test_truth_is_what_ruby_read():
    text = yaml.safe_dump(hive(x={"image": "x:1", "env": {"debug": "WORD"}})).replace("WORD", "yes")
    assert entry(text, "x")["env"] == {"debug": True}


def test_text_that_begins_like_a_reference_stays_text():
    found = entry(hive(x={"image": "x:1", "env": {"price": "$9", "a": "+49", "b": "_x", "c": "${HOME}"}}), "x")
    assert found["env"] == {"price": "$$9", "a": "++49", "b": "__x", "c": "$${HOME}"}


def test_references_follow_a_name_that_is_spelled_otherwise():
    found = entry(hive(My_Shop={"image": "x:1"}, y={"image": "y:1", "env": {"shop_host": "$My_Shop"}}), "y")
    assert found["env"] == {"shop_host": "$my-shop"}


def test_equal_names_on_two_servers_are_told_apart_and_referred_to_on_their_own():
    settings = hive(redis={"image": "redis:6"}, x={"image": "x:1", "env": {"redis_host": "$redis"}})
    settings["servers"]["web2"] = {"plan": 201, "region": "FRA"}
    settings["docker"]["web2"] = {
        "applications": {"redis": {"image": "redis:6"}, "y": {"image": "y:1", "env": {"redis_host": "$redis"}}}
    }
    assert entry(settings, "x") == entry(settings, "x") | {"server": "web1", "env": {"redis_host": "$redis"}}
    assert entry(settings, "y") == entry(settings, "y") | {"server": "web2", "env": {"redis_host": "$redis-web2"}}
    assert entry(settings, "redis-web2")["server"] == "web2"


def test_a_database_is_found_by_what_serves_it():
    settings = hive(
        pg={"image": "postgres:10", "env": {"postgres_password": "_postgres^adminpass"}},
        shop={"image": "x:1", "db": ["postgres", "postgres:Other"], "env": {"db_pass": "_postgres^password"}},
        job_dbsetup={"build_dir": "DBSetup", "env": {"database_json": "_dbmap", "postgres_host": "$pg"}},
    )
    assert entry(settings, "shop")["db"] == ["pg", "pg:other"]
    assert entry(settings, "shop")["env"] == {"db_pass": "_pg:shop^password"}
    assert entry(settings, "pg")["passwords"] == {
        "adminpass": "_secrets^pg_admin", "other": "_secrets^pg_other", "shop": "_secrets^pg_shop"
    }  # fmt: skip


def test_a_hive_without_a_proxy_s_job_gets_one_and_each_static_site_an_application():
    volumes = ["a:/www/example.com:ro", "b:/www/example.net"]
    settings = hive(
        haproxy={"build_dir": "HAProxy", "ipv6_web": True, "ports": [80, 443]},
        web={"build_dir": "NginxStatic", "env": {"domains": ["example.com", "example.net"]}, "volumes": volumes},
    )
    settings["servers"]["web1"]["dns"]["web"].append("example.net")
    done, _ = converted(settings)
    made = {one.name: one.settings for one in done.entries}
    assert made["hasetup"]["env"] == {"domains": "all", "haproxy_container": "$haproxy"}
    assert made["web"]["volumes"] == ["a:/srv/site:ro"]
    assert made["web-2"]["volumes"] == ["b:/srv/site:ro"]
    assert "scheduler" not in made


def test_awstats_is_reports_and_its_lines_of_the_scheduler_go():
    settings = hive(
        haproxy={"build_dir": "HAProxy", "ipv6_web": True},
        scheduler={"build_dir": "JobScheduler", "volumes": ["/var/run/docker.sock:/var/run/docker.sock"],
                   "env": {"run_stats": "+awstats", "when_stats": "1 1 * * *", "run_x": "+x", "when_x": "2 2 * * *"}},
        cgi={"build_dir": "AWStatsCGI"}, job_awstats={"build_dir": "AWStatsGenerator"}, job_x={"image": "x:1"},
    )  # fmt: skip
    done, _ = converted(settings)
    assert done.told.refused == []
    made = {one.name: one.settings for one in done.entries}
    assert made["scheduler"]["env"] == {
        "run_x": "+x", "when_x": "2 2 * * *", "run_reports": "+reports", "when_reports": "7 * * * *"
    }  # fmt: skip
    assert made["reports"]["env"] == {"program": "awstats"}
    assert made["stats"]["env"]["domains"] == ["stats.example.com"]
    assert made["web1"]["dns"]["web"] == ["example.com", "stats.example.com"]


def test_what_led_elsewhere_is_redirects_of_the_server_and_no_site():
    settings = hive(
        haproxy={"build_dir": "HAProxy", "ipv6_web": True, "ports": [80, 443]},
        moved={"build_dir": "HTTPRedirects", "env": {"domains": ["old.example.org"],
               "redirects": ["old.example.org:example.com", "older.example.org:example.com/new"]}},
    )  # fmt: skip
    settings["servers"]["web1"]["dns"]["web"] += ["old.example.org", "older.example.org"]
    done, _ = converted(settings)
    assert done.told.refused == []
    made = {one.name: one.settings for one in done.entries}
    # A path of the visitor's did not go along there.
    assert made["web1"]["redirects"] == {
        "old.example.org": "https://example.com/", "older.example.org": "https://example.com/new"
    }  # fmt: skip
    assert made["web1"]["dns"]["web"] == ["example.com"]
    assert "moved" not in made
    settings["docker"]["web1"]["applications"]["moved"]["env"]["redirects"] = "no:list:at all"
    assert "write old.example.org:example.com" in refused(settings)["docker.web1.applications.moved.env.redirects"]


def test_what_traefik_was_told_is_the_site_where_env_says_none():
    settings = hive(
        haproxy={"build_dir": "HAProxy", "ipv6_web": True},
        x={"image": "x:1", "traefik": {"http": {"hosts": ["example.com", "more.example.com"], "port": 3000}}},
    )
    done, _ = converted(settings)
    made = {one.name: one.settings for one in done.entries}
    assert made["x"]["env"] == {"domains": ["example.com", "more.example.com"], "http_port": 3000}
    assert made["web1"]["dns"]["web"] == ["example.com", "more.example.com"]


def test_an_address_of_one_s_own_is_what_follows_the_64():
    found = entry(hive(x={"image": "x:1", "static_ip": {"ipv6": "2001:db8:77:10:0:2:0:b"}}) | PROVISIONER, "x")
    assert found["static_ipv6"] == "2:0:b"


def test_a_folder_of_the_old_host_becomes_a_volume_and_is_copied_by_name():
    settings = hive(
        x={"image": "x:1", "volumes": ["/srv/media/:/media:rw", "/var/run/docker.sock:/var/run/docker.sock"]}
    )
    assert entry(settings, "x")["volumes"] == ["srv-media:/media"]
    assert "/srv/media=srv-media" in "\n".join(convert.steps(converted(settings)[1], "prod"))


def test_a_server_without_containers_stays_as_it_is():
    settings = hive(x={"image": "x:1"})
    settings["servers"]["bastion"] = {"plan": 201, "playbook": "freebsd-vpn.yml"}
    done, _ = converted(settings)
    told = {one.path: one.words for one in done.told.verdicts}
    assert told["servers.bastion"] == "freebsd-vpn.yml: only Docker web servers are taken over; it stays as it is"


PROVISIONER = {"provisioner": {"type": "vultr", "state_file": "conf/vultr-state.yml"}}
X = "docker.web1.applications.x"
REFUSED = [
    (hive(x={"image": "x", "networks": ["anon"]}), f"{X}.networks", "one network here"),
    (hive(x={"image": "x", "static_ip": {"ipv4": "10.0.0.9"}}), f"{X}.static_ip.ipv4", "no IPv4 address of their own"),
    (hive(x={"image": "x", "static_ip": {"ipv6": "2001:db8::1"}}), f"{X}.static_ip.ipv6", "not in the server's /64"),
    (hive(x={"image": "x", "ipv4": "203.0.113.9"}), f"{X}.ipv4", "take it out"),
    (hive(x={"image": "x", "internal_dns": {"y": "y"}}), f"{X}.internal_dns", "use $app"),
    (hive(x={"image": "x", "env": {"domains": "all"}}), f"{X}.env.domains", "docs/from-bee2.md"),
    (hive(x={"image": "x", "db": ["redis"]}), f"{X}.db[0]", '"redis" is no database server here; take it out'),
    (hive(x={"image": "x", "env": {"a": "$c"}}, c={"build_dir": "CertBot", "env": {"email": "a@example.com"}}),
     f"{X}.env.a", '"$c" is a job here; take the line out'),
    (hive(x={"build_dir": "TTRSS"}), f"{X}.build_dir", "TTRSS is no folder of dockerfiles/ either"),
    (hive(x={"ports": [25]}), X, "has neither image, build_dir nor git"),
    (hive(x={"image": "x", "imagge": "y"}), f"{X}.imagge", 'did you mean "image"?'),
    (hive(x={"image": "x", "env": {"a": "1", "A": "2"}}), f"{X}.env.A", "as a does; take one out"),
    (hive(x={"image": "x", "volumes": ["/srv/app.conf:/etc/app.conf"]}), f"{X}.volumes[0]", "write a file into files:"),
    (hive(x={"image": "x", "env": {"domains": ["a.example.com/80", "b.example.com/81"]}}), f"{X}.env.domains",
     "make it an application for each port"),
    (hive(x={"image": "x", "env": {"domains": ["other.example.org"]}}), f"{X}.env.domains[0]", "would be refused"),
    (hive(x={"image": "x"}) | {"provisioner": {"type": "digitalocean"}}, "provisioner.type", "say --region and --plan"),
    (hive(x={"image": "x"}) | {"servers": {}}, "servers", "there is none"),
    (hive(x={"image": "x"}) | {"servers": {"web1": {"region": "ewr"}}}, "servers.web1.plan", "say --plan web1="),
    (hive(x={"image": "x"}) | {"servers": {"web1": {"plan": 202}}}, "servers.web1.region", "say --region web1=ewr"),
    (hive(x={"image": "x"}) | {"applications": {"y": {"image": "y", "server": "web7"}}}, "applications.y", "web1"),
    (hive(x={"image": "x"}) | {"docker": {"wep1": {"jobs": {}}}}, "docker.wep1", 'did you mean "web1"?'),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "path", "words"), REFUSED, ids=[path for _, path, _ in REFUSED])
def test_what_can_not_be_said_is_told_by_its_path_with_what_to_do(settings, path, words):
    found = refused(settings)
    assert words in found.get(path, f"missing: {found}")


def test_an_address_in_docker_s_half_is_led_back_to_bee2_s_own_line():
    settings = hive(x={"image": "x"})
    settings["servers"]["web1"]["ipv6"] = {"docker": {"suffix_net": "2:0:0/96", "static_web": "2:aaaa:a"}}
    assert "servers.web1.ipv6.docker.static_web" in refused(settings)


# Anything else

JUNK = [None, True, 0, -1, 3.5, 10**30, "", "x", "$x", "_x^y", "+", "a:b:c", "\x00", "é", [], [None], [[]], ["x", {}],
        {}, {"x": None}, {"": {}}, {"x": {"y": []}}, "_postgres^password",
        ["/var/run/docker.sock:/x"], "ä" * 300]  # fmt: skip


def places(data, path=()):
    """Every path of nested data."""
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inner:
        yield (*path, key)
        yield from places(value, (*path, key))


def mutated(data, rng):
    made = copy.deepcopy(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        all_ = list(places(made))
        *above, last = rng.choice(all_)
        node = made
        for key in above:
            node = node[key]
        how = rng.randrange(4)
        if how == 0:
            del node[last]
        elif how == 1 and isinstance(node, dict):
            node[rng.choice(["x", "", "A_b", "é", "web1", "image", "env"])] = node.pop(last)
        elif how == 2:
            *others, key = rng.choice(all_)
            value = made
            try:
                for step in (*others, key):
                    value = value[step]
            except (KeyError, IndexError, TypeError):
                value = None
            node[last] = copy.deepcopy(value)
        else:
            node[last] = copy.deepcopy(rng.choice(JUNK))
    return made


@pytest.mark.parametrize("seed", range(10))
def test_whatever_is_written_is_taken_or_refused_by_path_with_a_remedy(seed):
    rng = random.Random(seed)  # noqa: S311 - reproducible
    sample = yaml.safe_load(SETTINGS)
    taken = 0
    for _ in range(60):
        settings = mutated(sample, rng)
        text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
        try:
            done, _ = converted(text)
        except SourceError as error:
            problems = error.problems
            done = None
        if done is None:
            assert problems
            assert all(one.path and one.message for one in problems)
            continue
        for one in done.told.refused:
            assert one.path, text
            assert any(sign in one.words for sign in (";", "write", "did you mean", "would be refused")), one
        if not done.told.refused:
            taken += 1
            written = stack_text.whole("# x", done.entries, "apiary")
            read = stack_text.sections(written, "apiary")
            assert {key: value for key, value in done.sections.items() if value and key != "secrets"} == read
    assert taken


def test_a_port_that_only_looks_like_a_number_is_told():
    done, _ = converted(hive(x={"image": "x:1", "traefik": {"http": {"hosts": ["example.com"], "port": "\u00b2"}}}))
    assert "is no port" in str(done.told.refused)


def test_bee2_s_own_names_of_containers_in_text_are_references_and_passwords_beside_them_secrets():
    made = hive(
        web={"image": "x", "env": {"cache": "redis://:hushhush@w1-app-cache_1:6379/0", "api_host": "w1-app-cache_1",
                                   "note": "cache_1", "addr": "cache_1:80", "own": "http://w1-app-web/"}},
        cache_1={"image": "y"},
    )  # fmt: skip
    made["docker"]["web1"]["prefix"] = "w1"
    env = entry(made, "web")["env"]
    assert env == {
        "cache": "redis://:${_secrets^web_cache_password}@${$cache-1}:6379/0", "api_host": "$cache-1",
        "note": "cache_1", "addr": "${$cache-1}:80", "own": "http://w1-app-web/",
    }  # fmt: skip


def test_the_way_out_that_an_error_names_is_one():
    made = hive(web={"image": "lscr.io/linuxserver/mariadb", "env": {"MYSQL_ROOT_PASSWORD": "_mysql^adminpass"}})
    done, _ = converted(made)
    [told] = done.told.refused
    assert "write a secret, _secrets^NAME" in told.words
    made = hive(web={"image": "lscr.io/linuxserver/mariadb", "env": {"MYSQL_ROOT_PASSWORD": "_secrets^root"}})
    found = entry(made, "web")
    assert found["env"] == {"mysql_root_password": "_secrets^root"}
    assert "user" not in found
    assert "SETUID" in found["capabilities"]


def test_what_ruby_counts_by_sixty_is_refused_until_it_is_in_quotes():
    text = yaml.safe_dump(hive(web={"image": "x", "env": {"at": "MARK"}}))
    with pytest.raises(SourceError, match=r"env.at: Ruby reads 1:30 as a number to the base of 60"):
        converted(text.replace("MARK", "1:30"))
    assert entry(text.replace("MARK", '"1:30"'), "web")["env"] == {"at": "1:30"}
