"""New entries are put into a stack file, and every other byte of it stays what it was."""

from __future__ import annotations

import hypothesis
import pytest
import yaml
from hypothesis import strategies as st

from operations.coming import spelling, stack_text
from operations.coming.entries import Entry
from operations.coming.errors import SourceError
from tests.unit.compose_kit import converted

PLACE = "plan: vc2-1c-2gb, region: ewr, os: 2136"
WEB = "services: {web: {image: x, user: '1', ports: ['80:8080']}}"

STACKS = {
    "blocks": """# mine
config:
  vultr:apiKey:
    secure: v1:abc
  apiary:servers:
    web1:
      plan: vc2-1c-2gb
      region: ewr
      os: 2136
      dns:
        web:
          - example.com   # the first
  apiary:applications:
    # the proxy
    haproxy:
      build_dir: HAProxy
      ipv6_web: true
      ports: [80, 443]
      volumes: ["haproxycfg:/etc/haproxy"]

    text:
      image: y
      env:
        domains: [example.com]
        http_port: 80
        note: |
          two
          lines
  apiary:jobs:
    hasetup:
      build_dir: HAProxySetup
      env: {domains: all, haproxy_container: $haproxy}
      volumes: ["haproxycfg:/etc/haproxy"]
# at the end
encryptionsalt: v1:x
""",
    "flow": f"""config:
  apiary:servers:
    web1: {{{PLACE}, dns: {{public: [a.example.com], web: [
      b.example.com, c.example.com]}}}}
  apiary:jobs:
    one: {{image: z}}
""",
    "no names": f"config:\n  apiary:servers:\n    web1: {{{PLACE}}}\n",
    "empty list, no line break": f"config:\n  apiary:servers:\n    web1: {{{PLACE}, dns: {{web: []}}}}",
}


@pytest.mark.parametrize("source", STACKS.values(), ids=STACKS)
def test_entries_are_added_and_nothing_else_is_touched(source):
    stack = stack_text.sections(source, "apiary")
    done = converted(WEB, stack=stack)
    text = stack_text.added(source, done, "apiary")
    found = stack_text.sections(text, "apiary")
    wanted = {key: value for key, value in done.sections.items() if value}
    assert found == wanted
    before, rest = source.splitlines(), iter(text.splitlines())
    # Every line of before is there, in its order; a list on one line has got an item more.
    for line in before:
        assert any(line == new or (line.rstrip("]}").rstrip() in new and "web" in line + new) for new in rest), line


def test_a_second_conversion_into_the_result_is_refused_by_name():
    source = STACKS["blocks"]
    text = stack_text.added(source, converted(WEB, stack=stack_text.sections(source, "apiary")), "apiary")
    told = converted(WEB, stack=stack_text.sections(text, "apiary")).told.refused
    assert "is in the stack already" in told[0].words


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (f"config:\n  apiary:servers: {{web1: {{{PLACE}}}}}\n  apiary:applications: {{}}\n", "applications"),
        (f"config: {{apiary:servers: {{web1: {{{PLACE}}}}}}}\n", "on one line"),
        ("[", "is not YAML"),
        ("- a\n", "is no map"),
    ],
)
def test_a_file_that_leaves_no_place_is_refused_and_says_what_to_do(source, words):
    with pytest.raises(SourceError) as caught:
        stack_text.added(source, converted(WEB, stack=stack_text.sections(source, "apiary")), "apiary")
    assert words in str(caught.value)


TEXT = st.characters(exclude_categories=["Cs"])
VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-(10**9), 10**9), st.text(TEXT, max_size=40)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab_/.-:01 ", min_size=1), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@hypothesis.given(VALUES)
@hypothesis.settings(max_examples=300)
def test_whatever_a_value_is_it_is_read_back_as_it_was(value):
    entry = Entry("applications", "web", {"environment": value}, {"environment": "a comment"})
    text = "\n".join(spelling.lines_of([entry])) + "\n"
    assert yaml.safe_load(text) == {"web": {"environment": value}}


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "yes",
        "NO",
        "on",
        "~",
        "null",
        "22:22",
        "0x1F",
        "022",
        "1_000",
        "1e3",
        ".5",
        "-",
        "a: b",
        "a #b",
        "=",
        "<<",
        "!x",
    ],
)
def test_what_some_reader_would_take_for_another_kind_is_quoted(text):
    [_, line] = spelling.lines_of([Entry("applications", "web", {"working_dir": text})])
    assert yaml.safe_load(line) == {"working_dir": text}
    assert line.endswith('"')
    [_, line] = spelling.lines_of([Entry("applications", "web", {"image": text})])
    assert yaml.safe_load(line) == {"image": text}


def test_a_name_that_is_longer_than_yaml_takes_for_one_is_written_all_the_same():
    name = "A" * 5000
    done = converted(f"services: {{web: {{image: x, environment: ['{name}=1', 'B=2']}}}}")
    text = stack_text.new(done, "apiary")
    assert stack_text.sections(text, "apiary")["applications"]["web"]["environment"] == {name: "1", "B": "2"}
    into = "config:\n    apiary:servers:\n        web1: {plan: vc2-1c-1gb, region: ewr, os: 2136}\n"
    written = stack_text.whole("# head", done.entries, "other", into)
    assert stack_text.sections(written, "other")["applications"]["web"]["environment"] == {name: "1", "B": "2"}
