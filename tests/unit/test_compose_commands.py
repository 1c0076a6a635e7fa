"""Commands come over word by word as Compose splits them, or are refused where it would cut them off."""

import pytest

from tests.unit.compose_kit import converted, entry, refused


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("serve --name 'a b' \"c d\"", ["serve", "--name", "a b", "c d"]),
        ("sh -c \"echo \\$$HOME \\'x\\'\"", ["sh", "-c", "echo $HOME 'x'"]),
        ("sh -c 'a \\n b && c > d'", ["sh", "-c", "a \\n b && c > d"]),
        ("a\\ b x''y", ["a b", "xy"]),
        ('sh -c "first;\n  second"', ["sh", "-c", "first;\n  second"]),
    ],
)
@pytest.mark.parametrize("key", ["command", "entrypoint"])
def test_a_line_is_split_as_compose_splits_it(key, line, words):
    lines = "".join(f"      {part}\n" for part in line.split("\n"))
    done = converted(f"services:\n  web:\n    image: x\n    {key}: |-\n{lines}")
    assert refused(done) == {}
    assert entry(done, "web")[key] == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("migrate && serve", 'holds "&", and no shell is there to see it; write a list: [sh, -c, "..."]'),
        ("serve > /dev/null", 'holds ">"'),
        ("serve; other", 'holds ";"'),
        ("echo $$(id)", 'holds "("'),
        ('printf "a\\nb"', 'holds "\\n", which versions of Compose read differently'),
        ("serve 'x", "has a quote that is not closed"),
    ],
)
def test_what_only_a_shell_would_do_is_refused(line, words):
    found = refused(converted(f"services:\n  web:\n    image: x\n    command: >-\n      {line}\n"))
    assert words in found["services.web.command"]


@pytest.mark.parametrize("empty", ["[]", '""'])
def test_without_the_image_s_entrypoint_the_command_is_all_that_runs(empty):
    done = converted(f"services: {{web: {{image: x, entrypoint: {empty}, command: serve --quiet}}}}")
    assert refused(done) == {}
    assert entry(done, "web")["entrypoint"] == ["serve"]
    assert entry(done, "web")["command"] == ["--quiet"]
    assert "command" not in entry(converted("services: {a: {image: x, entrypoint: [], command: [b]}}"), "a")


def test_without_the_image_s_command_the_entrypoint_is():
    done = converted("services: {web: {image: x, entrypoint: serve, command: []}}")
    assert refused(done) == {}
    assert entry(done, "web")["entrypoint"] == ["serve"]
    assert "command" not in entry(done, "web")
    both = refused(converted("services: {web: {image: x, entrypoint: [], command: []}}"))
    assert list(both) == ["services.web.command", "services.web.entrypoint"]
