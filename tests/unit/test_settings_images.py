"""What is said of well-known images, and Bee2's words for servers: what would be green and not work is refused."""

import pytest

import settings
from tests.unit.test_settings import good
from tests.unit.test_settings_errors import put, report

BLOG = ("applications", "blog")
CASES = [
    # Vultr's API v1, which Bee2 speaks
    (
        ("servers", "web1", "plan"),
        202,
        "servers.web1.plan",
        "202 is a plan's number in Vultr's API v1, which has ended;",
    ),
    (("servers", "web1", "plan"), "202", "servers.web1.plan", "202 is a plan's number in Vultr's API v1, which has"),
    (("servers", "web1", "plan"), 99999, "servers.web1.plan", "99999 is a plan's number in Vultr's API v1, which has"),
    (
        ("servers", "web1", "region"),
        1,
        "servers.web1.region",
        "1 is a region's number in Vultr's API v1, which has ended;",
    ),
    (("servers", "web1", "region"), "EWR", "servers.web1.region", '"EWR" is written in lower case; write "ewr"'),
    (("servers", "web1", "os"), 244, "servers.web1.os", "244 is Debian 9, which is not supported; write 2136 (Debian"),
    (("servers", "web1", "os"), "270", "servers.web1.os", "270 is Ubuntu 18.04, which is not supported; write 2136"),
    (
        ("servers", "web1", "os"),
        2284,
        "servers.web1.os",
        "2284 is not supported; write 2136 (Debian 12), 2625 (",
    ),
    (
        ("servers", "web1", "os"),
        "2136",
        "servers.web1.os",
        "must be a whole number, not text; write 2136 without quotes",
    ),
    (
        ("servers", "web1", "os"),
        "Debian 12",
        "servers.web1.os",
        "must be a whole number, not text; write e.g. os: 2136",
    ),
    # the wrong section
    (
        ("applications", "certbot"),
        {"build_dir": "CertBot", "env": {"domains": "all"}},
        "applications.certbot",
        "CertBot runs to its end, so it is a job here; move it to jobs",
    ),
    (
        ("jobs", "cron"),
        {"build_dir": "JobScheduler"},
        "jobs.cron",
        "JobScheduler does not end, so it is an application;",
    ),
    *(
        (("applications", "x"), {"image": image}, "applications.x", f'"{name}" runs to its end, so it is a job here;')
        for image, name in (
            ("certbot/dns-cloudflare", "certbot/dns-cloudflare"),
            ("ghcr.io/certbot/certbot:v2", "certbot/certbot"),
        )
    ),
    *(
        (("jobs", "x"), {"build_dir": folder}, "jobs.x", f"{folder} does not end, so it is an application; move it")
        for folder in ("AccessLog", "NginxStatic", "PostgreSQL")
    ),
    # told by a word that it does not hear
    (
        ("jobs", "dbsetup"),
        {"build_dir": "DBSetup", "env": {"database_json": "_dbmap"}},
        "jobs.dbsetup.env.database_json",
        "DBSetup looks for it in dbmap; write dbmap: _dbmap",
    ),
    (
        ("jobs", "hasetup", "env", "certbot_container"),
        "$certs",
        "jobs.hasetup.env.certbot_container",
        "hasetup asks nobody by this name; take the line out",
    ),
    *(
        (
            ("jobs", "hasetup", "env", "haproxy_container"),
            name,
            "jobs.hasetup.env.haproxy_container",
            f'HAProxySetup speaks with the proxy of images/ alone, and "{name}" is another program; name the one',
        )
        for name in ("$blog", "$official")
    ),
    (
        (*BLOG, "volumes"),
        ["example-web:/www/example.com:ro"],
        "applications.blog.volumes[0]",
        'NginxStatic serves one site, at /srv/site, and would never look here; write "example-web:/srv/site:ro", and',
    ),
    (
        (*BLOG, "env", "domains", 0),
        "example.com/80",
        "applications.blog.env.domains[0]",
        '"example.com/80" holds a port; write "example.com", and http_port: 80 beside it',
    ),
    (
        (*BLOG, "env", "domains", 0),
        "example.com:8080",
        "applications.blog.env.domains[0]",
        '"example.com:8080" holds a port; write "example.com", and http_port: 8080 beside it',
    ),
    # no capability is left to become another user
    *(
        (
            ("applications", "x"),
            {"image": image},
            "applications.x.user",
            f'missing; "{name}" would change its user at the start, and no capability is left for that; write '
            f'user: "{user}"',
        )
        for image, name, user in (
            ("postgres:15", "postgres", "999:999"),
            ("postgres:15-alpine", "postgres", "70:70"),
            ("docker.io/library/redis:7-alpine", "redis", "999:1000"),
            ("mariadb", "mariadb", "999:999"),
            ("mysql@sha256:" + "0" * 64, "mysql", "999:999"),
            ("couchdb:3", "couchdb", "5984:5984"),
            ("public.ecr.aws/docker/library/postgres:17-alpine", "postgres", "70:70"),
            ("mirror.gcr.io/library/redis:7", "redis", "999:999"),
            ("registry.example.com:5000/clickhouse/clickhouse-server:24", "clickhouse/clickhouse-server", "101:101"),
            ("pgvector/pgvector:pg17", "pgvector/pgvector", "999:999"),
        )
    ),
    (
        ("applications", "x"),
        {"image": "redis:7", "entrypoint": ["/usr/local/bin/docker-entrypoint.sh", "redis-server"]},
        "applications.x.user",
        'missing; "redis" would change its user at the start',
    ),
    (
        ("applications", "x"),
        {"image": "redis:7", "command": ["redis-server", "--appendonly", "yes"]},
        "applications.x.user",
        'missing; "redis" would change its user at the start',
    ),
]


@pytest.mark.parametrize(
    ("where", "value", "path", "message"), CASES, ids=[f"{n}-{one[2]}" for n, one in enumerate(CASES)]
)
def test_what_means_something_else_here_is_told_what_to_write(where, value, path, message):
    raw = good()
    raw["applications"]["official"] = {"image": "docker.io/library/haproxy:3.0"}
    put(raw, where, value)
    found = report(raw)
    assert list(found) == [path]
    assert found[path].startswith(message)


def test_a_plan_s_number_leads_to_its_name_and_never_to_quotes():
    raw = good()
    for number, name in ((201, "vc2-1c-1gb"), (202, "vc2-1c-2gb"), (206, "vc2-8c-32gb")):
        raw["servers"]["web1"]["plan"] = number
        assert report(raw)["servers.web1.plan"].endswith(f"; it is called {name} now")


@pytest.mark.parametrize(
    "container",
    [
        {"image": "postgres:15", "user": "999:999"},
        {"image": "postgres:15", "capabilities": ["CHOWN", "SETUID", "SETGID"]},
        {"image": "registry.example.com/team/postgres:15"},
        {"image": "registry.example.com/postgres:15"},
        {"image": "postgrest/postgrest"},
        {"image": "postgres:15", "command": ["pg_dump", "--version"]},
        {"image": "redis:7", "entrypoint": ["redis-server"]},
        {"image": "certbot/certbot", "entrypoint": ["sh", "-c", "while certbot renew; do sleep 12h; done"]},
    ],
    ids=str,
)
def test_what_starts_is_left_alone(container):
    raw = good()
    raw["applications"]["x"] = container
    settings.load(raw, name="test")


def test_sites_that_no_job_tells_the_proxy_of_are_not_green():
    raw = good()
    del raw["jobs"]["certs"], raw["jobs"]["hasetup"]
    assert report(raw) == {
        "applications.blog.env.domains": "no job tells the proxy of these domains; add one: hasetup: "
        "{build_dir: HAProxySetup, env: {domains: all, haproxy_container: $haproxy}, "
        'volumes: ["haproxycfg:/etc/haproxy"]}'
    }
    raw["applications"]["haproxy"] = {"image": "own/proxy", "ipv6_web": True, "ports": [80]}
    settings.load(raw, name="test")  # how that one learns of them is its owner's matter


@pytest.mark.parametrize("folder", ["CertBot", "Reports", "Monitor"])
def test_who_asks_for_all_domains_for_another_reason_does_not_tell_the_proxy(folder):
    raw = good()
    section = "applications" if folder == "Monitor" else "jobs"
    raw[section]["x"] = {"build_dir": folder, "env": {"domains": "all"}}
    del raw["jobs"]["certs"], raw["jobs"]["hasetup"]
    assert report(raw)["applications.blog.env.domains"].startswith("no job tells the proxy of these domains; add one:")


def test_a_job_that_no_update_runs_tells_the_proxy_of_nothing():
    raw = good()
    raw["jobs"]["hasetup"]["run"] = "manual"
    del raw["jobs"]["certs"]
    assert report(raw) == {
        "jobs.hasetup.run": "no update would tell the proxy of its sites; leave run out, and have it run again by make "
        "run"
    }


def test_an_image_of_a_server_may_run_a_program_that_ends():
    raw = good()
    raw["jobs"]["dump"] = {"build_dir": "PostgreSQL", "command": ["pg_dump", "--version"]}
    settings.load(raw, name="test")


def test_a_job_that_could_not_be_read_may_be_the_one():
    raw = good()
    del raw["jobs"]["certs"]
    raw["jobs"]["hasetup"]["env"] = 5
    assert set(report(raw)) == {"jobs.hasetup.env"}


@pytest.mark.parametrize("ports", [[], ["8080:8080"], ["80:80/udp"]])
def test_sites_behind_a_proxy_that_nobody_reaches_are_not_green(ports):
    raw = good()
    raw["applications"]["haproxy"]["ports"] = ports
    told = report(raw)
    assert told == {"applications.haproxy.ports": "nobody would reach the sites behind it; write ports: [80, 443]"}


def test_a_proxy_that_is_reached_over_ipv6_alone_serves():
    raw = good()
    raw["applications"]["haproxy"] |= {"ports": [], "ipv4": False, "open": ["tcp/80-443"]}
    settings.load(raw, name="test")


@pytest.mark.parametrize(
    "volumes", [[], ["other:/etc/haproxy"], ["haproxycfg:/etc/haproxy:ro"], ["haproxycfg:/etc/proxy"]]
)
@pytest.mark.parametrize("folder", ["HAProxySetup", "CertBot"])
def test_a_job_whose_work_the_proxy_would_never_see_is_refused(folder: str, volumes: list[str]):
    raw = good()
    more = {} if folder == "HAProxySetup" else {"email": "a@example.com"}
    raw["jobs"]["x"] = {
        "build_dir": folder, "env": {"domains": "all", "haproxy_container": "$haproxy", **more}, "volumes": volumes,
    }  # fmt: skip
    message = 'haproxy would never see what this writes; write "haproxycfg:/etc/haproxy", as it has'
    assert report(raw) == {"jobs.x.volumes": message}


def test_a_job_on_another_server_writes_into_another_volume_of_the_same_name():
    raw = good()
    raw["servers"]["web2"] = {"plan": "vc2-1c-2gb", "region": "ewr", "os": 2136, "private_ip": "192.168.150.11"}
    for section in ("applications", "jobs"):
        for entry in raw[section].values():
            entry["server"] = "web1"
    raw["applications"]["haproxy"]["private"] = [8404]
    raw["jobs"]["x"] = {**raw["jobs"]["hasetup"], "server": "web2"}
    message = "haproxy runs on web1 and would never see what this writes here; write server: web1"
    assert report(raw) == {"jobs.x.server": message}
    raw["jobs"]["x"]["server"] = "web1"
    settings.load(raw, name="test")


def test_a_proxy_without_a_volume_is_told_nothing():
    raw = good()
    del raw["applications"]["haproxy"]["volumes"]
    message = 'what hasetup tells this proxy is kept nowhere; write "haproxycfg:/etc/haproxy"'
    assert report(raw) == {"applications.haproxy.volumes": message}
