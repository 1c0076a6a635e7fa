"""References: read as meant, spelt back as read, and never a secret in a message."""

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from settings.references import (
    AppRef,
    DbMap,
    DomainsAll,
    JobRef,
    Literal,
    ReferenceSyntaxError,
    SecretRef,
    Text,
    UserSecretRef,
    escape,
    parse,
    resolve,
    spell,
)

names = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
databases = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
references = st.one_of(
    st.text().map(Literal),
    names.map(AppRef),
    names.map(JobRef),
    st.builds(SecretRef, names.filter(lambda name: name != "secrets"), st.none() | databases, st.just("password")),
    st.builds(SecretRef, names.filter(lambda name: name != "secrets"), st.none(), st.just("adminpass")),
    databases.map(UserSecretRef),
    st.just(DbMap()),
)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("$postgres", AppRef("postgres")),
        ("+logrotate", JobRef("logrotate")),
        ("_postgres^password", SecretRef("postgres", None, "password")),
        ("_postgres:blog_db^password", SecretRef("postgres", "blog_db", "password")),
        ("_postgres^adminpass", SecretRef("postgres", None, "adminpass")),
        ("_secrets^mail_password", UserSecretRef("mail_password")),
        ("_dbmap", DbMap()),
        ("$$HOME", Literal("$HOME")),
        ("++49 30", Literal("+49 30")),
        ("__init__", Literal("_init__")),
        ("all", Literal("all")),
        ("costs $5", Literal("costs $5")),
        ("", Literal("")),
        (8080, Literal("8080")),
        (True, Literal("true")),
        (["a.example", "$$b"], Literal("a.example,$b")),
    ],
)
def test_a_value_means_what_its_first_character_says(value, meaning):
    assert parse(value) == meaning


def test_all_is_a_reference_in_domains_only():
    assert parse("all", key="domains") == DomainsAll()
    assert parse(["all"], key="domains") == Literal("all")


@given(st.text())
@example("$")
@example("$$x")
@example("_dbmap")
def test_escaped_text_comes_back_unchanged(text):
    assert parse(escape(text)) == Literal(text)


@given(references)
def test_a_reference_is_read_back_as_it_was_spelt(reference):
    assert parse(spell(reference)) == reference


URL = "postgres://shop:${_db^password}@${$db}:5432/shop"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("x ${_secrets^a} y", None),
        ("u:${_secrets^a}@tcp(db)/shop", None),  # no URL: as Go's MySQL driver has it
        ("redis://:${_secrets^a}@cache", ""),
        ("redis://${_secrets^a}:6379/0", None),
        ("https://hooks.example.com/services/${_secrets^a}", "/"),
        ("jdbc:mysql://db/x?password=${_secrets^a}&x=1", ""),
        ("jdbc:mysql://db/x?mail=a@b&password=${_secrets^a}", ""),
        ("a: http://x/ b: ${_secrets^a}@", None),  # the URL is over
        ("urls: 'http://u:${_secrets^a}@x/'", ""),
        ("https://${_secrets^a}/x@y", None),
    ],
)
def test_a_value_is_percent_encoded_where_a_url_wants_it(value, kept):
    [part] = [one for one in parse(value).parts if not isinstance(one.reference, Literal)]
    assert part.kept == kept


def test_text_is_put_together_of_what_its_references_stand_for():
    class Secrets(Names):
        def host(self, application):
            return application

        def secret(self, name):
            return "p@ss/w:rd"

        def text(self, text):
            return "".join(
                resolve(part.reference, self) if part.kept is None else quote(resolve(part.reference, self), part.kept)
                for part in text.parts
            )

    assert resolve(parse("redis://:${_secrets^x}@${$db}/1"), Secrets()) == "redis://:p%40ss%2Fw%3Ard@db/1"
    assert resolve(parse("a ${_secrets^x}, $${x} and $HOME"), Secrets()) == "a p@ss/w:rd, ${x} and $HOME"
    assert resolve(parse("${$db}:5432"), Secrets()) == "db:5432"


@pytest.mark.parametrize("value", [URL, "${$db}:5432", "__x ${+job}", "$${ ${_secrets^x}", "++${_db:x^password} $${"])
def test_text_is_read_back_as_it_was_spelt(value):
    assert parse(spell(parse(value))) == parse(value)
    assert isinstance(parse(value), Text)


@pytest.mark.parametrize(
    "value", ["${HOME}", "a ${", "${}", "x${ $db}", "${_dbmap}", "${_db^pass}", "${$$x}", "${${$x}}"]
)
def test_what_begins_a_reference_in_text_and_is_none_is_refused_with_both_ways_out(value):
    with pytest.raises(ReferenceSyntaxError, match=r"write \$\{\$app\}, .* or \$\$\{ for plain text"):
        parse(value)


@given(st.text() | st.text(alphabet="$+_^:ab secrets-", min_size=1).map(lambda text: "_" + text))
def test_any_text_is_a_reference_or_an_error_that_does_not_repeat_it(text):
    try:
        parse(text)
    except ReferenceSyntaxError as error:
        assert text[0] in "$+_" or "${" in text
        assert len(text) < 15 or text not in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    "value",
    [
        "$",
        "$ x",
        "$1",
        "+49 30",
        "+",
        "_",
        "_x",
        "_db^",
        "_db^pasword",
        "_db:x^adminpass",
        "_secrets",
        ["$app"],
        ["_x"],
    ],
)
def test_half_a_reference_is_refused_with_the_way_out(value):
    with pytest.raises(ReferenceSyntaxError, match="write"):
        parse(value)


class Names:
    """A lookup that answers with what it was asked."""

    def host(self, application):
        return ("host", application)

    def job(self, job):
        return ("job", job)

    def password(self, reference):
        return ("password", reference.application, reference.database, reference.kind)

    def secret(self, name):
        return ("secret", name)

    def domains(self):
        return ("domains",)

    def databases(self):
        return ("databases",)


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("plain", "plain"),
        ("$blog", ("host", "blog")),
        ("+clean", ("job", "clean")),
        ("_db:x^password", ("password", "db", "x", "password")),
        ("_secrets^KEY", ("secret", "KEY")),
        ("_dbmap", ("databases",)),
    ],
)
def test_each_reference_asks_its_own_question(value, answer):
    assert resolve(parse(value), Names()) == answer


def test_domains_all_asks_for_the_domains():
    assert resolve(DomainsAll(), Names()) == ("domains",)
