"""A good stack file: what it means, and what follows from it."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import settings
from settings.container_texts import Port, VolumeMount, duration, go_duration, parse_volume
from settings.domains import serves_https, zone_for
from settings.options import arguments
from settings.order import container_order
from settings.references import AppRef, DomainsAll, Literal

GOOD = {
    "servers": {
        "web1": {
            "plan": "vc2-1c-2gb",
            "region": "ewr",
            "os": 2136,
            "private_ip": "192.168.150.10",
            "dns": {
                "public": ["web1.example.com"],
                "private": ["web1.internal.example.com"],
                "web": ["example.com", "penguin.example.co.uk"],
            },
        }
    },
    "jobs": {
        "certs": {"image": "certbot", "after": ["hasetup"]},
        "hasetup": {
            "build_dir": "HAProxySetup",
            "env": {"domains": "all", "haproxy_container": "$haproxy"},
            "volumes": ["haproxycfg:/etc/haproxy:rw"],
        },
    },
    "applications": {
        "haproxy": {
            "build_dir": "HAProxy",
            "ipv6_web": True,
            "ports": [80, "443", "8053:53/udp"],
            "volumes": ["haproxycfg:/etc/haproxy"],
        },
        "blog": {
            "build_dir": "NginxStatic",
            "env": {"domains": ["example.com", "penguin.example.co.uk"], "http_port": 8080, "debug": False},
            "memory": "1g",
            "cpus": 1,
            "capabilities": ["NET_BIND_SERVICE", "CHOWN"],
            "health": {"test": ["CMD", "true"], "interval": "90s", "path": "/healthz"},
        },
        "postgres": {"image": "postgres:15", "user": "999:999", "stateful": True},
        "mail": {"image": "mail", "static_ipv6": "2:0:b"},
    },
    "zones": {
        "example.com": {
            "ttl": 600,
            "records": [
                {"type": "TXT", "data": "v=spf1 -all"},
                {"type": "TXT", "name": "k", "data": '"already quoted"'},
                {"type": "MX", "data": "mail.example.com.", "priority": 10, "ttl": 60},
                {"type": "CAA", "data": '0 issue "letsencrypt.org"'},
                {"type": "AAAA", "name": "far", "data": "2001:DB8:0::1"},
            ],
        },
        "internal.example.com": None,
    },
    "secrets": {"mail_password": "hunter2"},
}


def good():
    return copy.deepcopy(GOOD)


def load(raw):
    return settings.load(raw, name="test")


@pytest.fixture(scope="module")
def stack():
    return load(good())


def test_loading_leaves_the_raw_data_as_it_was():
    raw = good()
    load(raw)
    assert raw == GOOD


def test_what_is_left_out_has_its_default(stack):
    server = stack.servers["web1"]
    assert server.ipv6.docker.static_web == "2:0:a"
    assert (server.ipv4_net, server.ndp, server.playbook, server.timezone) == (
        "172.30.0.0/24",
        "exact",
        "web.yml",
        "Etc/UTC",
    )
    assert stack.applications["blog"].grace_seconds == 10


def test_models_do_not_change_after_loading(stack):
    with pytest.raises(ValueError, match="frozen"):
        stack.servers["web1"].os = 1


def test_secrets_and_environment_stay_out_of_the_representation(stack):
    assert "hunter2" not in repr(stack)
    assert "8080" not in repr(stack.applications["blog"])


def test_without_a_server_a_container_runs_on_the_only_one(stack):
    assert stack.server_of(stack.applications["blog"]) == "web1"
    assert list(stack.containers_on("web1")) == ["haproxy", "blog", "postgres", "mail", "certs", "hasetup"]


def test_ports_and_volumes_are_parsed(stack):
    assert stack.applications["haproxy"].published == (
        Port(80, 80, "tcp"),
        Port(443, 443, "tcp"),
        Port(8053, 53, "udp"),
    )
    assert stack.jobs["hasetup"].mounts == (VolumeMount("haproxycfg", None, "/etc/haproxy", False),)
    assert parse_volume("/srv//media/:/m/:ro") == VolumeMount(None, "/srv/media", "/m", True)
    for read in ("/var/lib/apiary/metrics", "/etc/ssl/certs", "/lib/modules/", "/etc/localtime"):
        assert parse_volume(f"{read}:/m:ro").host_path == read.rstrip("/")
    # A slash at the end of the server's path says that it is a folder, to be made where it is not there.
    assert [parse_volume(f"{path}:/m").is_made for path in ("/srv/media/", "/srv/app.conf")] == [True, False]


def test_limits_are_spelt_as_docker_reads_them_back(stack):
    blog = stack.applications["blog"]
    assert (blog.memory_mib, blog.cpus, blog.health.interval) == (1024, "1.0", "1m30s")
    assert arguments(blog)["capabilities"] == {"drops": ["ALL"], "adds": ["CAP_CHOWN", "CAP_NET_BIND_SERVICE"]}


def test_the_environment_is_parsed_by_upper_case_names(stack):
    assert stack.jobs["hasetup"].variables == {
        "DOMAINS": DomainsAll(),
        "HAPROXY_CONTAINER": AppRef("haproxy"),
    }
    blog = stack.applications["blog"].variables
    assert (blog["DOMAINS"], blog["HTTP_PORT"], blog["DEBUG"]) == (
        Literal("example.com,penguin.example.co.uk"),
        Literal("8080"),
        Literal("false"),
    )


def test_only_what_owns_nothing_exclusively_is_released_rolling(stack):
    rolling = {name for name, app in stack.applications.items() if app.is_rolling}
    # The proxy of images/ serves beside its old one, in the network of its door.
    assert rolling == {"blog", "haproxy"}
    assert not stack.applications["haproxy"].model_copy(update={"stateful": True}).is_rolling


def test_a_job_comes_after_those_it_names(stack):
    assert [name for name in container_order(stack) if name in stack.jobs] == ["hasetup", "certs"]


def test_sites_are_served_over_https_where_the_proxy_publishes_its_port(stack):
    assert serves_https(stack, "web1")
    plain = settings.Application(build_dir="HAProxy", ipv6_web=True, ports=[80, "8443:443"])
    other = settings.Application(build_dir="X", ports=[443], env={"domains": ["example.com"], "http_port": 80})
    without = stack.model_copy(update={"applications": {"haproxy": plain, "blog": other}})
    assert not serves_https(without, "web1"), "only the proxy's own port 443 counts"
    assert not any(route["tls"] for route in settings.domains_map(without, "web1").values())


def test_the_proxy_learns_each_served_domain(stack):
    route = {"app": "blog", "port": 8080, "path": "/healthz", "status": "200-399", "www": True, "tls": True}
    assert settings.domains_map(stack, "web1") == {"example.com": route, "penguin.example.co.uk": route}
    assert json.dumps(settings.domains_map(stack, "web1"))


@pytest.mark.parametrize(
    ("written", "spelt"), [(401, "401"), ("200-399, 401", "200-399,401"), ("200-299", "200-299"), ("404", "404")]
)
def test_statuses_that_count_are_spelt_as_the_proxy_takes_them(written, spelt):
    raw = good()
    raw["applications"]["blog"]["health"] = {"status": written}
    assert settings.load(raw, name="test").applications["blog"].health.status == spelt
    assert settings.domains_map(settings.load(raw, name="test"), "web1")["example.com"]["status"] == spelt


def test_zones_follow_from_the_public_suffix_list_unless_listed(stack):
    assert zone_for(stack, "www.penguin.example.co.uk") == ("example.co.uk", "www.penguin")
    assert zone_for(stack, "example.com") == ("example.com", "")
    assert zone_for(stack, "web1.internal.example.com") == ("internal.example.com", "web1")
    assert {name: zone.ttl for name, zone in settings.zones_of(stack).items()} == {
        "example.co.uk": 300,
        "example.com": 600,
        "internal.example.com": 300,
    }


def test_a_web_domain_and_its_www_have_the_static_web_address_and_no_other(stack):
    records = settings.dns_records(stack, "web1")
    for zone, name in (("example.com", ""), ("example.com", "www"), ("example.co.uk", "www.penguin")):
        found = {(one.type, one.source) for one in records if (one.zone, one.name) == (zone, name) and not one.data}
        assert found == {("A", "ipv4"), ("AAAA", "web_ipv6")}


def test_a_public_name_leads_to_the_host_and_a_private_one_to_its_private_address(stack):
    records = settings.dns_records(stack, "web1")
    assert {(one.type, one.source, one.ttl) for one in records if one.name == "web1" and one.zone == "example.com"} == {
        ("A", "ipv4", 600),
        ("AAAA", "host_ipv6", 600),
    }
    private = [one for one in records if one.zone == "internal.example.com"]
    assert private == [
        settings.RecordPlan("internal.example.com", "web1", "A", "private_ip", 300, None, "192.168.150.10")
    ]


def test_listed_records_are_spelt_as_the_api_stores_them(stack):
    listed = {
        (one.name, one.type, one.data, one.priority, one.ttl)
        for one in settings.dns_records(stack, "web1")
        if one.source == "literal"
    }
    assert listed == {
        ("", "TXT", '"v=spf1 -all"', None, 600),
        ("k", "TXT", '"already quoted"', None, 600),
        ("", "MX", "mail.example.com", 10, 60),
        ("", "CAA", '0 issue "letsencrypt.org"', None, 600),
        ("far", "AAAA", "2001:db8::1", None, 600),
    }


def test_with_several_servers_every_record_is_made_once():
    raw = good()
    raw["servers"]["web2"] = {"plan": "p", "region": "ams", "os": 2136, "dns": {"public": ["web2.example.com"]}}
    for section in ("applications", "jobs"):
        for container in raw[section].values():
            container["server"] = "web1"
    stack = load(raw)
    records = [record for server in stack.servers for record in settings.dns_records(stack, server)]
    assert len(records) == len(set(records))
    assert sum(record.type == "MX" for record in records) == 1


def test_a_plan_gives_each_application_its_own_address(stack):
    plan = settings.plan(stack, "web1", "2001:db8:1:2::/64")
    assert plan.statics["haproxy"] == plan.web == "2001:db8:1:2:0:2:0:a"
    assert plan.statics == {"haproxy": "2001:db8:1:2:0:2:0:a", "mail": "2001:db8:1:2:0:2:0:b"}
    assert settings.plan(stack, "web1", None).web is None


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("0s", "0s"),
        ("500ms", "500ms"),
        ("1500ms", "1.5s"),
        ("60s", "1m0s"),
        ("90s", "1m30s"),
        ("1h", "1h0m0s"),
        ("1h0.5s", "1h0m0.5s"),
    ],
)
def test_durations_are_spelt_as_go_does(written, canonical):
    assert duration(written) == canonical


@given(st.integers(0, 24 * 3_600_000))
def test_a_canonical_duration_stays_as_it_is(milliseconds):
    spelt = go_duration(milliseconds)
    assert duration(spelt) == spelt


@pytest.mark.parametrize(
    ("written", "stable"),
    [(1, "1.0"), (0.5, "0.5"), ("0.50", "0.5"), ("2", "2.0"), (0.25, "0.25"), ("10", "10.0")],
)
def test_cpus_are_spelt_so_that_they_settle(written, stable):
    raw = good()
    raw["applications"]["blog"]["cpus"] = written
    assert load(raw).applications["blog"].cpus == stable
