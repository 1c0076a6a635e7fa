"""Whatever is handed to `load`, the answer is a stack or a report, never a traceback."""

import datetime

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import settings
from settings.models import Application, Dns, Health, Job, Record, Server, Zone
from settings.order import container_order
from tests.unit.test_settings import good

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**30),
    st.floats(),
    st.text(st.characters()),
    st.text(alphabet="$+_^:/.0a-~\n\0\ud800"),
    st.sampled_from(
        ["web1", "blog", "$blog", "+x", "all", "example.com", "2:0:a", "1:0:0/96", "80", "a:/b", "5s", "1m"]
    ),
    st.binary(max_size=4),
    st.dates(),
)
MODELS = (Application, Job, Health, Server, Dns, Zone, Record)
known = st.sampled_from(
    [
        *sorted({name for model in MODELS for name in model.model_fields}),
        *("servers", "applications", "jobs", "zones", "secrets", "docker", "domains"),
        *("web1", "blog", "example.com"),
    ]
)
keys = st.one_of(known, known, scalars)
junk = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6),
    max_leaves=25,
)
calm = hypothesis_settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def answer(raw):
    try:
        stack = settings.load(raw, name="test", build_dirs={"NginxStatic"}, playbooks={"web.yml"})
    except settings.SettingsError as error:
        report = str(error)
        assert report.encode()
        assert all(": " in line and line.isprintable() for line in report.split("\n"))
        assert "pydantic" not in report
        assert "class '" not in report
        return
    for server in stack.servers:
        settings.dns_records(stack, server)
        settings.domains_map(stack, server)
        settings.plan(stack, server, "2001:db8:1:2::/64")
    container_order(stack)
    settings.zones_of(stack)


@calm
@given(junk)
def test_any_data_is_a_stack_or_a_report(raw):
    answer(raw)


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


PLACES = [path for path in places(good()) if path]


@calm
@given(st.lists(st.tuples(st.sampled_from(PLACES), junk), min_size=1, max_size=4))
@example([(("servers", "web1", "dns", "public"), ["co.uk"]), (("zones",), 5)])
@example([(("applications",), {"\ue000": None})])
def test_a_good_file_with_junk_in_it_is_a_stack_or_a_report(changes):
    raw = good()
    for path, value in changes:
        holder = raw
        for key in path[:-1]:
            try:
                holder = holder[key]
            except (KeyError, IndexError, TypeError):
                break
        else:
            if isinstance(holder, dict) or (isinstance(holder, list) and path[-1] in range(len(holder))):
                holder[path[-1]] = value
    answer(raw)


SPOTS = [
    (section, name, setting)
    for section, name, model in (
        ("applications", "blog", Application),
        ("jobs", "certs", Job),
        ("servers", "web1", Server),
        ("zones", "example.com", Zone),
    )
    for setting in model.model_fields
]


VALUES = [
    *(
        None,
        True,
        0,
        -1,
        10**5000,
        1.5,
        float("inf"),
        "",
        " ",
        "\ud800",
        [],
        [None],
        [[]],
        {},
        {"": 1},
        {5: 5},
    ),
    *(datetime.date(2020, 1, 1), b"x", object()),
]


@pytest.mark.parametrize("spot", SPOTS, ids=".".join)
def test_any_setting_may_hold_any_kind_of_value(spot):
    for value in VALUES:
        raw = good()
        raw[spot[0]][spot[1]][spot[2]] = value
        answer(raw)


def test_data_without_an_end_is_reported():
    endless = {}
    endless["applications"] = {"blog": endless, "x": {"env": endless, "volumes": [endless]}}
    endless["servers"] = [endless]
    answer(endless)


def test_a_job_that_has_an_application_s_name_and_no_server_that_there_is_is_reported():
    raw = good()
    raw["jobs"] = {**raw.get("jobs", {}), "blog": {"image": "x", "server": "gone", "env": {"domains": "all"}}}
    assert "blog" in raw["applications"]
    with pytest.raises(settings.SettingsError) as error:
        settings.load(raw, name="prod")
    assert "jobs.blog.server" in str(error.value)
