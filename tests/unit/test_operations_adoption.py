"""What of a zone that exists is what the stack file makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from operations import adopt
from operations.adoption import Import, Planned, Record, compare
from operations.cli import OperationError

RECORD = {"domain": "example.com", "ttl": 300, "priority": -1}


def test_a_name_in_unicode_is_the_one_that_is_planned() -> None:
    """Else it would be made a second time beside the one that is there."""
    inputs = {**RECORD, "type": "MX", "name": "xn--bcher-kva", "data": "mx.xn--bcher-kva.example", "priority": 10}
    there = {**inputs, "id": "r", "name": "Bücher", "data": "mx.bücher.example"}
    found = compare([Planned("urn", "vultr:index/dnsRecord:DnsRecord", inputs, "")], [there])
    assert [record.id for _, record in found.kept] == ["r"]
    assert [*found.new, *found.others, *found.in_the_way, *found.unlike] == []


class Account:
    """What is asked of an account."""

    def __init__(self, *addresses: dict[str, str]) -> None:
        self.addresses = addresses
        self.deleted: list[str] = []

    def list(self, _: str, __: str) -> list[dict[str, str]]:
        return [*self.addresses]

    def delete(self, path: str) -> None:
        self.deleted.append(path)


def test_nothing_is_imported_without_an_agreement(monkeypatch: pytest.MonkeyPatch, nobody: None) -> None:
    found = adopt.Found([Import(Planned("a::b::zone", "t", {}, "p"), "example.com")])
    with pytest.raises(OperationError, match=r"no terminal to ask on, and nothing was changed; .*YES=1"):
        adopt._import(Stack(), {"resources": []}, found, adopt.Wish())  # type: ignore[arg-type]


class Stack:
    """That has a name alone: nothing can be run."""

    stack = "prod"


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is there to be asked."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)


def test_what_is_in_the_way_goes_when_that_is_agreed_to_by_itself(
    nobody: None, capsys: pytest.CaptureFixture[str]
) -> None:
    account = Account()
    found = adopt.Found(in_the_way=[("example.com", Record("www", "CNAME", "elsewhere.example.org", 300, -1, "r1"))])
    adopt._clear(account, found, adopt.Wish(yes=True))  # type: ignore[arg-type]
    assert account.deleted == [], "an agreement to the import alone"
    said = capsys.readouterr()
    assert "left as they are (DELETE=1 deletes these at Vultr):" in said.out + said.err
    assert "example.com: www CNAME elsewhere.example.org" in said.out + said.err
    adopt._clear(account, found, adopt.Wish(delete=True))  # type: ignore[arg-type]
    assert account.deleted == ["/domains/example.com/records/r1"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("web9=192.0.2.1", "'web9=192.0.2.1' is not SERVER=ADDRESS .*; there are: web1"),
        (
            "web1=192.0.2.77",
            r"192\.0\.2\.77 is no reserved v4 address of region ewr; .* 192\.0\.2\.1 \(my old server\)",
        ),
    ],
)
def test_an_address_that_is_not_there_is_refused_with_those_that_are(word: str, said: str) -> None:
    inputs: dict[str, Any] = {"region": "ewr", "ipType": "v4", "label": "apiary-prod-web1"}
    wanted = [Planned("a::web1", "vultr:index/reservedIp:ReservedIp", inputs, "p")]
    there = Account({"id": "i", "region": "ewr", "ip_type": "v4", "subnet": "192.0.2.1", "label": "my old server"})
    with pytest.raises(OperationError, match=said):
        adopt._addresses(wanted, there, adopt.Wish(addresses=[word]), adopt.Found())  # type: ignore[arg-type]
