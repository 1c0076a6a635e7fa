"""A value without quotes that YAML takes for another one: it arrives as written, or is refused with the remedy."""

import json

import pytest
import yaml

import settings
from settings.references import escape
from settings.spelling import changed, spellings
from tests.unit.test_settings import good

# What is written, and what the program is handed by Pulumi 3.259 (go-yaml v3, then JSON).
TRAPS = [
    ("022", 18),
    ("0755", 493),
    ("01761234567", 264583543),
    ("01099", 1099),
    ("0899", 899),
    ("+49", 49),
    ("1_000", 1000),
    ("0x1F", 31),
    ("0b11", 3),
    ("0o17", 15),
    ("1.0", 1),
    ("1e3", 1000),
    ("-0", 0),
    ("True", True),
    ("FALSE", False),
    ("2026-11-25", "2026-11-25 00:00:00 +0000 UTC"),
]
FINE = [
    ("8080", 8080),
    ("0", 0),
    ("-5", -5),
    ("true", True),
    ("false", False),
    ("yes", "yes"),
    ("off", "off"),
    ("a", "a"),
]


def stack_file(**env):
    lines = [f"        {name}: {text}" for name, text in env.items()]
    return "\n".join(["config:", "  apiary:applications:", "    blog:", "      env:", *lines, ""])


def report(raw, source):
    try:
        settings.load(raw, name="test", spelt=spellings(source, "apiary"))
    except settings.SettingsError as error:
        return {problem.path: problem.message for problem in error.problems}
    return {}


@pytest.mark.parametrize(("written", "read"), TRAPS, ids=[trap[0] for trap in TRAPS])
def test_a_variable_that_would_arrive_as_another_is_refused(written, read):
    raw = good()
    raw["applications"]["blog"]["env"]["x"] = read
    found = report(raw, stack_file(x=written))
    assert list(found) == ["applications.blog.env.x"]
    assert "write it in quotes" in found["applications.blog.env.x"]
    quoted = good()
    quoted["applications"]["blog"]["env"]["x"] = escape(written)  # "+" begins a reference
    assert report(quoted, stack_file(x=json.dumps(escape(written)))) == {}


@pytest.mark.parametrize("section", ["environment", "labels"])
def test_so_is_what_a_container_gets_by_other_names(section):
    raw = good()
    raw["applications"]["blog"][section] = {"UMASK": 18}
    source = f"config: {{'apiary:applications': {{blog: {{{section}: {{UMASK: %s}}}}}}}}"
    assert list(report(raw, source % "022")) == [f"applications.blog.{section}.UMASK"]
    assert report(raw, source % "18") == {}


@pytest.mark.parametrize(("written", "read"), FINE, ids=[one[0] for one in FINE])
def test_a_variable_that_arrives_as_written_needs_no_quotes(written, read):
    raw = good()
    raw["applications"]["blog"]["env"]["x"] = read
    assert report(raw, stack_file(x=written)) == {}
    stack = settings.load(raw, name="test")
    assert stack.applications["blog"].variables["X"].text == written


def test_a_number_elsewhere_is_what_people_read():
    raw = good()
    raw["zones"]["example.com"]["ttl"] = 192
    source = "config: {apiary:zones: {example.com: {ttl: 0300}}}"
    assert report(raw, source) == {'zones["example.com"].ttl': 'YAML reads "0300" as 192; write 192, or what is meant'}
    raw["zones"]["example.com"]["ttl"] = 1000
    assert report(raw, "config: {apiary:zones: {example.com: {ttl: 1_000}}}") == {}


def test_what_is_wrong_anyway_is_said_once():
    raw = good()
    raw["applications"]["blog"]["ports"] = [0]
    source = "config: {apiary:applications: {blog: {ports: [0x0]}}}"
    assert list(report(raw, source)) == ["applications.blog.ports[0]"]


def test_another_file_than_the_one_that_was_read_is_not_judged():
    raw = good()
    raw["applications"]["blog"]["env"] |= {"x": 8081, "y": "text", "z": False}
    assert report(raw, stack_file(x=8080, y="0755", z="True")) == {}
    assert report(raw, "config: [a") == {}
    assert report(raw, "") == {}


def test_anchors_and_merged_maps_are_followed():
    source = """
config:
  other:applications: {blog: {env: {a: 01}}}
  apiary:applications:
    one: &one {env: &env {a: 022, b: 01, c: "03"}}
    two: {<<: *one}
    three: {env: {<<: *env, b: "04", d: 05, c: 06}}
"""
    read = yaml.safe_load(source)["config"]["apiary:applications"]
    assert read["three"]["env"]["c"] == 6, "the map's own value wins"
    env = {path[1:]: text for path, text in spellings(source, "apiary").items()}
    first = {("one", "env", "a"): "022", ("one", "env", "b"): "01"}
    assert env == first | {
        ("two", "env", "a"): "022",
        ("two", "env", "b"): "01",
        ("three", "env", "a"): "022",
        ("three", "env", "c"): "06",
        ("three", "env", "d"): "05",
    }


def test_data_without_an_end_ends():
    assert not changed(None, "x", as_text=True)
    assert spellings("config: {apiary:jobs: &a {b: *a, c: 01}}", "apiary")[("jobs", "c")] == "01"
    assert spellings("config: {apiary:jobs: &a {<<: *a, c: 01}}", "apiary")[("jobs", "c")] == "01"
