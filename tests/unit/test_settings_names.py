"""Names in other scripts: their ASCII form is that of IDNA 2008, never a name that somebody else may hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import settings
from lab.api.catalogue import PLANS
from settings import texts
from tests.unit.test_settings import good
from tests.unit.test_settings_errors import report

# The first three: names that IDNA 2003 takes for others (RFC 5894, 7.2). The rest: what browsers map before (UTS 46).
ASCII = [
    ("faß.de", "xn--fa-hia.de"),
    ("straße.example", "xn--strae-oqa.example"),
    ("βόλος.com", "xn--nxasmm1c.com"),
    ("münchen.de", "xn--mnchen-3ya.de"),
    ("MÜNCHEN.de", "xn--mnchen-3ya.de"),
    ("münchen。de", "xn--mnchen-3ya.de"),
    ("\uff45xample\uff0ecom", "example.com"),
    ("münchen.de.", "xn--mnchen-3ya.de"),
]


@pytest.mark.parametrize(("written", "ascii_form"), ASCII)
def test_a_name_in_another_script_is_told_its_own_ascii_form(written, ascii_form):
    with pytest.raises(ValueError, match="is not ASCII") as caught:
        texts.domain(written)
    assert str(caught.value).endswith(f'write its ASCII form, "{ascii_form}"')
    assert texts.domain(ascii_form) == ascii_form


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("☃.net", "is not a domain name after IDNA 2008: Codepoint U+2603 at position 1"),
        ("xn--n3h.net", '"xn--n3h" stands for nothing that may be in one (Codepoint U+2603'),
        ("xn--a.de", '"xn--a" stands for nothing that may be in one'),
        ("xn--ü.de", "is not a domain name after IDNA 2008"),
        ("٣.com", "is not a domain name after IDNA 2008: First codepoint in label"),
    ],
)
def test_what_no_registry_would_take_is_refused_with_the_reason(written, reason):
    with pytest.raises(ValueError, match="after IDNA 2008") as caught:
        texts.domain(written)
    assert reason in str(caught.value)
    with pytest.raises(ValueError, match="after IDNA 2008"):
        texts.record_name(written)


def test_every_place_of_a_name_is_told_by_its_path():
    raw = good()
    raw["servers"]["web1"]["dns"]["web"] = ["faß.de"]
    raw["applications"]["mail"]["dns"] = ["faß.de"]
    raw["applications"]["blog"]["env"]["domains"] = ["faß.de"]
    raw["zones"]["faß.de"] = {"records": []}
    raw["zones"]["example.com"]["records"] = [{"type": "TXT", "name": "faß", "data": "x"}]
    found = report(raw)
    assert {path for path, message in found.items() if "xn--fa-hia" in message} == {
        "servers.web1.dns.web[0]",
        "applications.mail.dns[0]",
        "applications.blog.env.domains[0]",
        'zones["faß.de"]',
        'zones["example.com"].records[0].name',
    }


@given(st.text(st.characters(), min_size=1, max_size=30))
def test_any_text_is_a_name_or_is_refused(text):
    for check in (texts.domain, texts.record_name, texts.host_target, texts.name_target):
        try:
            read = check(text)
        except ValueError:
            continue
        assert read == text.removesuffix(".")


@pytest.mark.parametrize("plan", [name for name in PLANS if not name.endswith("-v6")])
def test_every_plan_that_is_sold_may_be_written(plan):
    raw = good()
    raw["servers"]["web1"]["plan"] = plan
    assert settings.load(raw, name="test").servers["web1"].plan == plan
