"""What people host comes over whole: a compose file of each, by its structure and keys, and what is left to write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import settings
from operations.coming import spelling, stack_text
from operations.coming.files import Disk
from operations.coming.told import Outcome
from operations.compose import convert, project
from operations.compose.scene import Wish

HERE = Path(__file__).parent / "compose_files"
DOCS = Path(__file__).parents[2] / "docs" / "from-compose.md"
PROFILES = {"ghost": ("activitypub",)}
# Of those that a proxy on the machine itself led to, and that say nothing of their domains.
DOMAINS = {
    "nextcloud": {"app": "cloud.example.com"},
    "mastodon": {"streaming": "social.example.com/api/v1/streaming"},
}
ALL = sorted(path.name for path in HERE.iterdir() if path.is_dir())
# Words that these files need and the stack file does not have; empty once it has them all.
NOT_YET = {"files", "dockerfile"} - set(settings.Application.model_fields)
# What the files hold that nobody may read in a stack file.
HUSH = re.compile(
    r"s3cret|gh0st-of|root-of-all|vectors4|herds-and|letters-by|4e1f3a9b|9c0b1a2f|M0xkq9|examplepass|cumulus|roots-of-the|"
    r"leaves-of|argon2id|changeme-now|hare-and|unchained|tables-and"
)


def done_with(name):
    made = project.load([str(HERE / name)], Disk(), {}, profiles=PROFILES.get(name, ()))
    return convert.convert(made, Disk(), Wish(domains=DOMAINS.get(name, {})), {})


def counted(name):
    """Lines that somebody wrote there, and those that are written here; comments and empty ones are not counted."""
    there = [path for path in (HERE / name).iterdir() if path.suffix in (".yml", ".yaml")]
    before = [line for path in there for line in path.read_text().splitlines() if line.strip()]
    after = spelling.lines_of(done_with(name).entries)
    return len([line for line in before if not line.lstrip().startswith("#")]), len(after)


@pytest.mark.parametrize("name", ALL)
def test_each_comes_over_whole_and_what_is_written_says_what_was_checked(name):
    done = done_with(name)
    said = [one.words.partition(" can't be said yet")[0] for one in done.told.refused]
    assert set(said) <= NOT_YET, [str(one) for one in done.told.refused]
    if said:
        return
    text = stack_text.new(done, "apiary")
    sections = stack_text.sections(text, "apiary")
    sections["secrets"] = dict.fromkeys(done.secrets, "x")
    # Whatever reads it: no value is spelt so that the engine would read another one.
    settings.load(sections, name="new", spelt=settings.spellings(text, "apiary"))
    assert {key: value for key, value in done.sections.items() if value or key == "secrets"} == sections


@pytest.mark.parametrize("name", ALL)
def test_every_key_of_every_service_is_told(name):
    made = project.load([str(HERE / name)], Disk(), {}, profiles=PROFILES.get(name, ()))
    told = [one.path for one in done_with(name).told.verdicts]
    for service, keys in made.services.items():
        for key in keys:
            at = settings.errors.path_of("services", service, key)
            assert any(path == at or path.startswith((f"{at}.", f"{at}[")) for path in told), at


@pytest.mark.parametrize("name", ALL)
def test_no_password_stands_in_the_stack_file_or_in_the_report(name):
    done = done_with(name)
    assert not HUSH.search(stack_text.new(done, "apiary"))
    assert not HUSH.search("\n".join([*map(str, done.told.verdicts), *done.told.todo]))


def test_what_differs_is_told():
    differs = {
        name: [one.path for one in done_with(name).told.verdicts if one.outcome is Outcome.DIFFERS] for name in ALL
    }
    assert differs["mastodon"][0] == "networks.internal_network.internal"
    assert "services.ghost.environment.database__connection__user" not in differs["ghost"]


def test_the_table_of_lines_in_the_documentation_is_what_comes_out():
    rows = {name: counted(name) for name in ALL}
    table = dict(re.findall(r"^\| ([a-z]+) \|.*\| (\d+ \| \d+) \|$", DOCS.read_text(), re.MULTILINE))
    assert table == {name: f"{before} | {after}" for name, (before, after) in rows.items()}
