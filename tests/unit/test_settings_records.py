"""DNS values: what is valid arrives as written, what the provider's API refuses is refused here, with the remedy."""

import pytest
from dnslib import QTYPE, DNSRecord

import settings
from lab.dns import Zones, respond
from tests.unit.test_settings import good
from tests.unit.test_settings_errors import report

AT = 'zones["example.com"].records'
SHA256 = "0123456789abcdef" * 4


def stack_of(*records, ttl=300):
    raw = good()
    raw["zones"]["example.com"] = {"ttl": ttl, "records": list(records)}
    return raw


def planned(*records, ttl=300):
    stack = settings.load(stack_of(*records, ttl=ttl), name="test")
    return [one for one in settings.dns_records(stack, "web1") if one.source == "literal"]


def answered(plan):
    """What a resolver gets for a planned record from the lab's server, as the line of a zone file."""
    priority = -1 if plan.priority is None else plan.priority  # as the API reads back that there is none
    record = {"name": plan.name, "type": plan.type, "data": plan.data, "ttl": plan.ttl, "priority": priority}
    zones = Zones({"domains": {"example.com": {"records": [record]}}}, "10.0.0.0/16", "2001:db8::/48")
    query = DNSRecord.question(f"{plan.name}.example.com".lstrip("."), plan.type)
    reply = respond(zones, query.pack(), True, "127.0.0.1")
    assert reply
    parsed = DNSRecord.parse(reply)
    (found,) = parsed.rr or parsed.auth  # name servers of a part of the zone are referred to
    assert QTYPE[found.rtype] == plan.type
    return found.rdata


# what is written; what the API is asked for; what DNS answers
VALID = [
    ("CNAME", "selector1-example-com._domainkey.example.onmicrosoft.com", None, None),
    ("CNAME", "_y.acm-validations.aws.", "_y.acm-validations.aws", "_y.acm-validations.aws."),
    ("CNAME", "_acme-challenge.alias.example.org", None, None),
    ("CNAME", "localhost.", "localhost", "localhost."),
    ("CNAME", "xn--fa-hia.de", None, None),
    ("NS", "ns1.example.net.", "ns1.example.net", "ns1.example.net."),
    ("MX", ".", ".", "0 ."),
    ("MX", "mail.example.com.", "mail.example.com", "0 mail.example.com."),
    ("SRV", "0 0 .", "0 0 .", "0 0 0 ."),
    ("SRV", "5  5060 _sip.example.com.", "5 5060 _sip.example.com", "0 5 5060 _sip.example.com."),
    ("CAA", '0 issue ";"', '0 issue ";"', '0 issue ";"'),
    ("CAA", "0 issue letsencrypt.org", '0 issue "letsencrypt.org"', '0 issue "letsencrypt.org"'),
    ("CAA", '128 iodef "mailto:me@example.com"', None, '128 iodef "mailto:me@example.com"'),
    ("SSHFP", f"4 2 {SHA256.upper()}", f"4 2 {SHA256}", f"4 2 {SHA256.upper()}"),
]


@pytest.mark.parametrize(("kind", "data", "stored", "answer"), VALID, ids=[f"{one[0]} {one[1]}" for one in VALID])
def test_a_valid_value_reaches_dns_as_written(kind, data, stored, answer):
    record = {"type": kind, "name": "x", "data": data}
    if kind in ("MX", "SRV"):
        record["priority"] = 0
    (plan,) = planned(record)
    assert plan.data == (stored or data)
    assert str(answered(plan)) == (answer or f"{data}.")


@pytest.mark.parametrize(
    "text",
    [
        "v=spf1 include:_spf.example.com -all",
        r"back\slash; a\;b",
        " a blank before and behind ",
        "p=" + "A" * 700,
        "it's",
    ],
)
def test_a_text_reaches_dns_character_by_character(text):
    (plan,) = planned({"type": "TXT", "data": text})
    assert plan.data == f'"{text}"', "as the API reads it back: quotes around it, none within, nothing escaped"
    pieces = answered(plan).data
    assert b"".join(pieces) == text.encode()
    assert max(map(len, pieces)) <= 255


def test_a_text_in_one_pair_of_quotes_is_what_stands_between_them():
    (plan,) = planned({"type": "TXT", "data": '"a b"'})
    assert (plan.data, answered(plan).data) == ('"a b"', [b"a b"])


REFUSED = [
    ({"type": "TXT", "data": '"open'}, "data", "holds a quote, which the API does not take"),
    ({"type": "TXT", "data": 'a "b" c'}, "data", "holds a quote, which the API does not take"),
    ({"type": "TXT", "data": '"'}, "data", "holds a quote, which the API does not take"),
    ({"type": "TXT", "data": r"\"a\""}, "data", "holds a quote, which the API does not take"),
    ({"type": "TXT", "data": '"v=DKIM1; " "p=x"'}, "data", "is several texts in quotes; write one, without them"),
    ({"type": "CNAME", "name": "x", "data": "."}, "data", '"." is the root, to which nothing leads here'),
    ({"type": "CNAME", "name": "x", "data": "mail"}, "data", '"mail" is one word, and names are not relative'),
    ({"type": "MX", "data": "mail", "priority": 1}, "data", '"mail" is one word, and names are not relative'),
    ({"type": "MX", "data": "_x.example.com", "priority": 1}, "data", '"_x.example.com" has "_" in it, which no mail'),
    ({"type": "MX", "data": "203.0.113.7", "priority": 1}, "data", '"203.0.113.7" is not a domain name; write'),
    (
        {"type": "MX", "data": "faß.de", "priority": 1},
        "data",
        '"faß.de" is not ASCII; write its ASCII form, "xn--fa-hi',
    ),
    ({"type": "NS", "name": "x", "data": "."}, "data", '"." is the root, to which nothing leads here'),
    ({"type": "NS", "data": "ns1.vultr.com."}, "", "the zone has this name server by itself; leave the record out"),
    ({"type": "SRV", "name": "x", "data": "0 .", "priority": 1}, "data", '"0 ." is not SRV data; write weight, port'),
    ({"type": "CAA", "data": '0 issue "a.org; x=1"'}, "data", '"a.org; x=1" holds blanks, which the API does not take'),
    ({"type": "CAA", "data": "0 issue a b"}, "data", '"0 issue a b" is not CAA data; write'),
    (
        {"type": "SSHFP", "name": "x", "data": f"4 1 {SHA256}"},
        "data",
        f'"{SHA256[:57]}..." is no fingerprint of type 1',
    ),
    ({"type": "SSHFP", "name": "x", "data": "5 2 aa"}, "data", '"5 2 aa" is not SSHFP data; write what `ssh-keygen -r'),
]


@pytest.mark.parametrize(("record", "where", "message"), REFUSED, ids=[str(one[0]["data"]) for one in REFUSED])
def test_what_dns_or_the_api_does_not_take_is_refused(record, where, message):
    found = report(stack_of(record))
    assert list(found) == [f"{AT}[0].{where}".rstrip(".")]
    assert next(iter(found.values())).startswith(message)


def test_records_of_one_name_and_type_have_one_lifetime():
    texts = [{"type": "TXT", "data": "a"}, {"type": "TXT", "data": "b", "ttl": 3600}, {"type": "TXT", "data": "c"}]
    assert report(stack_of(*texts)) == {
        f"{AT}[1].ttl": f"records of one name and type have one lifetime, and {AT}[0] has ttl: 300 (seconds); "
        "write the same here, not 3600"
    }
    assert len(planned(*texts[::2], {"type": "TXT", "name": "x", "data": "b", "ttl": 3600})) == 3


def test_name_servers_of_the_zone_itself_live_as_long_as_the_provider_s_own():
    record = {"type": "NS", "data": "ns.example.net"}
    assert list(report(stack_of(record, ttl=3600))) == [f"{AT}[0].ttl"]
    assert planned(record | {"ttl": 300}, ttl=3600)


@pytest.mark.parametrize(
    ("kind", "none", "some"), [("MX", ".", "m.example.com"), ("SRV", "0 0 .", "1 2 m.example.com")]
)
def test_no_server_stands_beside_none(kind, none, some):
    records = [{"type": kind, "name": "x", "data": data, "priority": 0} for data in (some, none)]
    assert report(stack_of(*records)) == {
        f"{AT}[1].data": f'"." says that there is no server, and "x" has other records of type {kind}; leave one out'
    }
