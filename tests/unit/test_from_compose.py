"""`python -m operations from-compose` writes all of it or nothing, and tells of every key on standard error."""

from __future__ import annotations

import pytest
import yaml

import operations.__main__ as operations

GOOD = """services:
  web:
    image: x
    user: "1"
    ports: ["8080:80"]
    environment: {SMTP_PASSWORD: letters-99, COLOUR: "${COLOUR:-red}"}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "compose.yaml").write_text(GOOD)
    return tmp_path


def run(*words):
    return operations.main(["from-compose", *map(str, words)])


def test_without_a_file_to_write_the_stack_file_is_printed_and_the_report_goes_aside(folder, capsys):
    assert run(folder / "compose.yaml") == 0
    out, err = capsys.readouterr()
    config = yaml.safe_load(out)["config"]
    assert config["apiary:applications"]["web"]["env"] == {"domains": ["web.example.com"], "http_port": 80}
    assert config["apiary:servers"]["web1"]["dns"] == {"web": ["web.example.com"]}
    assert "services.web.image: as is" in err
    assert "letters-99" not in out + err
    assert "for name in web_smtp_password; do" in err


def test_into_a_stack_file_only_what_is_new_is_written(folder, capsys):
    into = folder / "Pulumi.mine.yaml"
    assert run(folder, "--into", into) == 0
    first = into.read_text()
    (folder / "more.yaml").write_text("services: {more: {image: y, user: '1', restart: always}}")
    assert run(folder / "more.yaml", "-o", into) == 0
    assert set(first.splitlines()) <= set(into.read_text().splitlines())
    assert "more" in yaml.safe_load(into.read_text())["config"]["apiary:applications"]
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_what_can_not_be_said_ends_with_1_and_leaves_the_file_as_it_was(folder, capsys):
    into = folder / "Pulumi.mine.yaml"
    (folder / "bad.yaml").write_text("services: {a: {image: x}, b: {image: y, privileged: true}}")
    assert run(folder / "bad.yaml", "--into", into) == 1
    assert not into.exists()
    assert run(folder, "--into", into) == 0
    before = into.read_bytes()
    assert run(folder / "bad.yaml", "--into", into) == 1
    assert into.read_bytes() == before
    out, err = capsys.readouterr()
    assert out == ""
    assert "services.b.privileged: CAN'T BE SAID; " in err
    assert "1 of it can't be said; nothing is written" in err
    assert run(folder / "bad.yaml", "--into", into, "--leave-out", "services.b.privileged") == 0


def test_files_that_can_not_be_read_end_with_1_and_a_line_for_each_problem(folder, capsys):
    (folder / "bad.yaml").write_text("services: {a: {image: '${NONE}', ports: [x]}}")
    assert run(folder / "bad.yaml") == 1
    err = capsys.readouterr().err
    assert "bad.yaml: services.a.image: the variable NONE is not set" in err
    assert 'bad.yaml: services.a.ports[0]: "x" is not a port' in err
    assert run(folder / "none.yaml") == 1
    assert run(folder, "--domain", "web") == 1
    assert run(folder, "--domain", "wep=example.com") == 1
    assert 'is not a service; did you mean "web"?' in capsys.readouterr().err


def test_a_project_without_a_site_is_written_too(folder, capsys):
    (folder / "compose.yaml").write_text("services: {game: {image: x, user: '1', ports: ['25565:25565']}}")
    assert run(folder) == 0
    assert yaml.safe_load(capsys.readouterr().out)["config"]["apiary:applications"]["game"]["ports"] == [25565]


def test_a_secret_is_printed_for_pulumi_alone(folder, capsys):
    assert run(folder, "--secret", "web_smtp_password") == 0
    assert capsys.readouterr() == ("letters-99", "")
    assert run(folder, "--secret", "other") == 1


def test_domains_profiles_and_variables_are_taken_from_the_caller(folder, capsys):
    (folder / "my.env").write_text("COLOUR=blue\n")
    (folder / "more.yaml").write_text("services: {tool: {image: y, user: '1', profiles: [tools]}}")
    files = (folder / "compose.yaml", folder / "more.yaml")
    assert run(*files, "--env-file", folder / "my.env", "--profile", "tools", "--domain", "web=shop.example.org") == 0
    applications = yaml.safe_load(capsys.readouterr().out)["config"]["apiary:applications"]
    assert applications["web"]["environment"]["COLOUR"] == "blue"
    assert applications["web"]["env"]["domains"] == ["shop.example.org"]
    assert "tool" in applications


def test_a_stack_file_that_is_wrong_already_is_told_by_its_own_path(folder, capsys):
    into = folder / "Pulumi.mine.yaml"
    into.write_text("config:\n  apiary:servers:\n    web1: {plan: vc2-1c-2gb, region: ewr, os: 7}\n")
    assert run(folder, "--into", into) == 1
    assert "servers.web1.os: 7 is not supported; write 2136" in capsys.readouterr().err
