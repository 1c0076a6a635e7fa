"""The Random stand-in draws what it is asked for and answers in the words of the official plugin.

The expected answers are those that version 4.21.4 gave to the same requests.
"""

import base64
import subprocess

import pytest

from lab.plugins import random as stand_in
from provider.protocol.dispatch import Dispatcher
from tests.conformance.recorded import comparable, spelled

TEXT = {
    "minSpecial": 0,
    "minUpper": 0,
    "minLower": 0,
    "minNumeric": 0,
    "number": True,
    "numeric": True,
    "special": True,
    "upper": True,
    "lower": True,
}
LENGTH = (
    "Missing required property 'length': The length of the string desired. The minimum value for length is 1 "
    "and, length must also be >= (`min_upper` + `min_lower` + `min_numeric` + `min_special`)."
)


def call(kind, method, **request):
    urn = f"urn:pulumi:dev::lab::random:index/random{kind}:Random{kind}::k"
    return comparable(Dispatcher(stand_in.plugin("4.21.4")).call(method, {"urn": urn, **request}))


def made(kind, **inputs):
    answer = call(kind, "Create", properties=inputs)
    return answer["id"], {k: v["value"] if isinstance(v, dict) else v for k, v in answer["properties"].items()}


@pytest.mark.parametrize(
    ("kind", "inputs", "planned"),
    [
        (
            "Password",
            {"length": 20, "special": False},
            {
                **TEXT,
                "length": 20,
                "special": False,
                "result": "$unknown",
                "bcryptHash": "$unknown",
                "id": "$unknown",
            },
        ),
        ("String", {"length": 5}, {**TEXT, "length": 5, "result": "$unknown", "id": "$unknown"}),
        ("Bytes", {"length": 16}, {"length": 16, "hex": "$unknown", "base64": "$unknown"}),
        (
            "Id",
            {"byteLength": 4, "prefix": "x-"},
            {
                "byteLength": 4,
                "prefix": "x-",
                **dict.fromkeys(("b64Url", "b64Std", "hex", "dec", "id"), "$unknown"),
            },
        ),
    ],
)
def test_previews_show_defaults_and_unknowns(kind, inputs, planned):
    assert call(kind, "Check", olds={}, news=inputs) == {"inputs": inputs}
    assert call(kind, "Create", preview=True, properties=inputs)["properties"] == spelled(planned)


@pytest.mark.parametrize(
    ("kind", "secret", "meta"),
    [
        ("Password", {"result", "bcryptHash"}, '{"schema_version":"3"}'),
        ("String", set(), '{"schema_version":"2"}'),
        ("Bytes", {"hex", "base64"}, None),
    ],
)
def test_secrets_are_marked(kind, secret, meta):
    properties = call(kind, "Create", properties={"length": 9})["properties"]
    assert {k for k, v in properties.items() if isinstance(v, dict)} == secret
    assert properties.get("__meta") == meta


def test_a_password_holds_its_minima_and_only_what_is_allowed():
    for _ in range(50):
        id, outputs = made(
            "Password",
            length=12,
            special=True,
            overrideSpecial="_",
            minSpecial=2,
            minNumeric=3,
            minUpper=2,
            lower=False,
        )
        text = outputs["result"]
        assert (id, len(text)) == ("none", 12)
        assert text.count("_") >= 2
        assert sum(c.isdigit() for c in text) >= 3
        assert sum(c.isupper() for c in text) >= 2
        assert all(c.isdigit() or c.isupper() or c == "_" for c in text)


def test_two_passwords_differ():
    assert made("Password", length=20)[1]["result"] != made("Password", length=20)[1]["result"]


def test_the_hash_is_a_bcrypt_hash_of_the_password():
    _id, outputs = made("Password", length=20)
    assert outputs["bcryptHash"].startswith("$2a$10$")
    script = "use strict; my ($p, $h) = @ARGV; print crypt($p, $h)"
    check = subprocess.run(
        ["perl", "-e", script, outputs["result"], outputs["bcryptHash"]],
        capture_output=True,
        text=True,
        check=True,
    )
    assert check.stdout == outputs["bcryptHash"]


def test_bytes_and_ids_are_spelled_in_all_forms():
    id, outputs = made("Bytes", length=16)
    assert base64.b64decode(id).hex() == outputs["hex"]
    assert outputs["base64"] == id
    id, outputs = made("Id", byteLength=4, prefix="x-")
    data = base64.urlsafe_b64decode(id + "==")
    standard = base64.b64encode(data).decode()
    assert outputs == {"byteLength": 4, "prefix": "x-", "id": id, "b64Url": f"x-{id}",
                       "b64Std": f"x-{standard}",
                       "hex": f"x-{data.hex()}", "dec": f"x-{int.from_bytes(data, 'big')}"}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "inputs", "change", "replaced"),
    [
        ("Password", {"length": 20}, {"length": 21}, ["length"]),
        ("Password", {"length": 20}, {"keepers": {"a": "b"}}, ["keepers"]),
        ("String", {"length": 5}, {"number": False}, ["number", "numeric"]),
        ("Bytes", {"length": 5}, {"length": 6}, ["length"]),
        ("Id", {"byteLength": 4}, {"prefix": "x"}, ["prefix"]),
    ],
)
def test_every_change_replaces_and_nothing_else_is_reported(kind, inputs, change, replaced):
    olds = call(kind, "Create", properties=inputs)["properties"]
    assert call(kind, "Diff", id="x", olds=olds, news=inputs) == {"changes": "DIFF_NONE"}
    changed = call(kind, "Diff", id="x", olds=olds, news={**inputs, **change})
    assert changed == {"changes": "DIFF_SOME", "diffs": replaced, "replaces": replaced}


@pytest.mark.parametrize(
    ("kind", "news", "reason"),
    [
        ("Password", {}, LENGTH),
        (
            "Bytes",
            {"length": 0},
            "Invalid Attribute Value. Attribute length value must be at least 1, got: 0. Examine values at 'k.length'.",
        ),
        (
            "Password",
            {"length": 8, "minNumeric": 6, "minUpper": 3},
            "Invalid Attribute Value. Attribute length value must be at least sum of min_upper + min_lower + "
            "min_numeric + min_special, got: 8. Examine values at 'k.length'.",
        ),
    ],
)
def test_wrong_inputs_are_refused_in_the_official_words(kind, news, reason):
    assert call(kind, "Check", olds={}, news=news)["failures"] == [{"reason": reason}]


@pytest.mark.parametrize(
    ("kind", "import_id", "id", "output", "value"),
    [
        ("Password", "abcd", "none", "result", spelled({"$secret": "abcd"})),
        ("String", "abcde", "abcde", "length", 5),
        ("Bytes", "AAAA", "AAAA", "hex", spelled({"$secret": "000000"})),
        ("Id", "x-,AAAA", "AAAA", "hex", "x-000000"),
    ],
)
def test_imports_take_everything_from_the_id(kind, import_id, id, output, value):
    answer = call(kind, "Read", id=import_id)
    assert (answer["id"], answer["properties"][output]) == (id, value)


def test_a_read_gives_the_state_back():
    answer = call("Password", "Create", properties={"length": 8})
    again = call("Password", "Read", id="none", properties=answer["properties"], inputs={"length": 8})
    assert again == {"id": "none", "properties": answer["properties"], "inputs": {"length": 8}}
