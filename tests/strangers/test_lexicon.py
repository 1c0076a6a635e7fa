"""dns-lexicon: records of a zone, made, found, changed and deleted."""

import pytest
from lexicon.client import Client
from lexicon.config import ConfigResolver

pytestmark = [
    pytest.mark.usefixtures("lab_env", "nothing_left", "unlimited"),
    pytest.mark.filterwarnings("ignore:Module lexicon:DeprecationWarning"),
]


@pytest.fixture
def zone(emulator):
    emulator.api.post("/v2/domains", json={"domain": "example.org"}).raise_for_status()
    yield "example.org"
    emulator.api.delete("/v2/domains/example.org").raise_for_status()


@pytest.fixture
def lexicon(zone):
    config = ConfigResolver().with_dict({"provider_name": "vultr", "domain": zone, "vultr": {"auth_token": "a-key"}})
    with Client(config) as operations:
        yield operations


@pytest.mark.parametrize(
    ("kind", "name", "content", "other"),
    [
        ("A", "www.example.org", "192.0.2.1", "192.0.2.2"),
        ("AAAA", "www.example.org", "2001:db8::1", "2001:db8::2"),
        ("CNAME", "alias.example.org", "www.example.org", "mail.example.org"),
        ("TXT", "spf.example.org", "v=spf1 -all", "v=spf1 mx -all"),
        ("TXT", "_acme-challenge.example.org", "token-1_a", "token-2_b"),
        ("MX", "mailed.example.org", "mail.example.org", "mx.example.org"),
    ],
)
def test_a_record_is_made_found_changed_and_deleted(lexicon, kind, name, content, other):
    assert lexicon.create_record(kind, name, content)
    assert lexicon.create_record(kind, name, content)  # the same one again is no second one
    found = lexicon.list_records(kind, name, content)
    assert [(record["name"], record["content"]) for record in found] == [(name, content)]
    assert lexicon.update_record(found[0]["id"], kind, name, other)
    assert [record["id"] for record in lexicon.list_records(kind, name, other)] == [found[0]["id"]]
    assert lexicon.delete_record(None, kind, name, other)
    assert lexicon.list_records(kind, name) == []


def test_two_challenges_live_side_by_side_and_one_goes(lexicon):
    for token in ("one", "two"):
        assert lexicon.create_record("TXT", "_acme-challenge.example.org", token)
    assert lexicon.delete_record(None, "TXT", "_acme-challenge.example.org", "one")
    left = lexicon.list_records("TXT", "_acme-challenge.example.org")
    assert [record["content"] for record in left] == ["two"]


def test_a_zone_of_several_pages_is_read_to_its_end(emulator, lexicon):
    for number in range(110):
        body = {"type": "A", "name": f"h{number}", "data": "192.0.2.1"}
        emulator.api.post("/v2/domains/example.org/records", json=body).raise_for_status()
    assert len(lexicon.list_records("A")) == 110
