"""DBSetup without a server: what it reads, how it quotes, and that no password is in what it says."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from ssl import CERT_NONE
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "DBSetup"))

import dbsetup
from dbsetup.__main__ import main
from dbsetup.dbmap import InputError, Server, parse_dbmap
from dbsetup.passwords import is_scram_of, native, scram
from dbsetup.quoting import identifier, pattern, text
from dbsetup.report import NotYet, SetupError, left_alone, wait_for

SHOP = {"shop": {"password": "hunter2-hunter2"}}
GOOD = {"postgres": {"kind": "postgresql", "host": "postgres", "adminpass": "topsecret", "databases": SHOP}}


def test_a_server_is_read_with_its_databases():
    assert parse_dbmap(json.dumps(GOOD)) == [
        Server("postgres", "postgresql", "postgres", "topsecret", {"shop": "hunter2-hunter2"})
    ]


def test_no_password_is_in_what_a_server_prints_of_itself():
    assert not re.search("topsecret|hunter2", repr(parse_dbmap(json.dumps(GOOD))))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "oracle"}, "DBMAP.postgres.kind: must be one of postgresql, mysql"),
        ({"host": ""}, "DBMAP.postgres.host: must be text, and not empty"),
        ({"adminpass": None}, "DBMAP.postgres.adminpass: must be text, and not empty"),
        ({"databases": ["shop"]}, "DBMAP.postgres.databases: must be a map from names to {password: ...}"),
        ({"databases": {"": {"password": "x"}}}, "DBMAP.postgres.databases: a name is empty"),
        ({"databases": {"a\nb": {"password": "x"}}}, "DBMAP.postgres.databases: a name is empty or holds a control"),
        ({"databases": {"x" * 64: {"password": "x"}}}, "DBMAP.postgres.databases: a name is longer than 63 bytes"),
        ({"databases": {"shop": {}}}, "DBMAP.postgres.databases.shop.password: must be text, and not empty"),
    ],
)
def test_what_can_t_be_used_is_named_before_anything_is_touched(change, says, capsys):
    raw = {"postgres": {**GOOD["postgres"], **change}}
    with pytest.raises(InputError, match=re.escape(says)):
        parse_dbmap(json.dumps(raw))
    assert main({"DBMAP": json.dumps(raw)}, set_up=never) == 2
    said = capsys.readouterr()
    assert "nothing was changed" in said.err
    assert not re.search("topsecret|hunter2", said.out + said.err)


@pytest.mark.parametrize("value", [None, "", "[]", "3", '{"postgres": 1}', '{"a": "hunter2-hunter2', '{"b": {}}'])
def test_whatever_dbmap_holds_the_answer_is_status_2_without_a_word_of_it(value, capsys):
    assert main({} if value is None else {"DBMAP": value}, set_up=never) == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert "hunter2" not in said.err


@given(
    st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner), max_leaves=9)
)
def test_any_json_is_read_or_refused(value):
    try:
        parse_dbmap(json.dumps(value))
    except InputError as error:
        assert str(error)  # noqa: PT017


def never(server: Server, wait_seconds: float) -> Iterator[str]:
    raise AssertionError(f"{server.name} was touched")
    yield ""


def test_one_server_that_fails_keeps_no_other_from_its_turn(capsys):
    def set_up(server: Server, wait_seconds: float) -> Iterator[str]:
        assert wait_seconds == 7
        yield "begun"
        if server.name == "mariadb":
            raise SetupError("no answer for 7 s")

    servers = {**GOOD, "mariadb": {**GOOD["postgres"], "kind": "mysql"}}
    assert main({"DBMAP": json.dumps(servers), "WAIT_SECONDS": "7"}, set_up=set_up) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == ["dbsetup: mariadb: begun", "dbsetup: postgres: begun"]
    assert said.err == "dbsetup: mariadb: FAILED: no answer for 7 s\n"


def test_nothing_to_do_is_no_failure(capsys):
    assert main({"DBMAP": "{}"}, set_up=never) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_a_server_that_comes_up_late_is_waited_for_and_one_that_never_does_is_not_for_ever():
    tries = []

    def connect() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise NotYet("connection refused")
        return "connected"

    assert wait_for(connect, 30) == "connected"
    tries[:] = [1] * -10
    with pytest.raises(SetupError, match="no answer for 0 s: connection refused"):
        wait_for(connect, 0)


def test_what_is_not_in_the_map_is_named_and_nothing_when_there_is_none():
    assert left_alone([], []) == []
    [line] = left_alone({"old", "b"}, {"old"})
    assert line.startswith('left alone: database "b", database "old", role "old"; ')


@pytest.mark.parametrize("password", ["pencil", "a b'c", "correct horse battery staple"])
def test_a_verifier_is_recognised_as_the_password_s_own_and_as_no_other_s(password):
    verifier = scram(password)
    assert is_scram_of(password, verifier)
    assert not is_scram_of(password + "x", verifier)
    assert password not in verifier


def test_a_verifier_is_the_one_of_rfc_7677():
    """The RFC's example: user, pencil; its server signature follows from this server key."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    assert scram("pencil", salt).startswith("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$")
    assert scram("pencil", salt).endswith(
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


@pytest.mark.parametrize("verifier", [None, "", "md5a3556571e93b0d20722ba62be61e8c2d", "SCRAM-SHA-256$4096:x"])
def test_a_verifier_of_another_kind_is_replaced(verifier):
    assert not is_scram_of("pencil", verifier)


def test_mariadb_s_hash_is_the_one_that_its_server_makes():
    assert native("password") == "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"


names = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=32)


@given(names)
@example("`; DROP DATABASE shop; --")
@example("\\`")
def test_a_quoted_name_ends_where_it_should(name):
    quoted = identifier(name)
    assert re.fullmatch(r"`((?:[^`]|``)*)`", quoted, re.DOTALL)
    assert quoted[1:-1].replace("``", "`") == name


@given(names)
@example("'; DROP DATABASE shop; --")
@example("\\'")
def test_a_quoted_text_ends_where_it_should(value):
    quoted = text(value)
    assert re.fullmatch(r"'((?:[^']|'')*)'", quoted, re.DOTALL)
    assert quoted[1:-1].replace("''", "'") == value


@given(names, names)
@example("a_b", "axb")
@example("a%", "abc")
@example("a\\_b", "a\\xb")
def test_a_grant_is_for_that_database_and_no_other(name, other):
    granted = pattern(name)[1:-1].replace("``", "`")
    assert like(granted, name)
    assert like(granted, other) == (name == other)


def like(granted: str, name: str) -> bool:
    """MySQL's comparison of a GRANT's pattern: `_` and `%` stand for characters, a backslash takes that away."""
    parts = re.findall(r"\\.|.", granted, re.DOTALL)
    wild = {"_": ".", "%": ".*"}
    expression = "".join(
        wild.get(part) or re.escape(part[1] if part[0] == "\\" and len(part) == 2 else part) for part in parts
    )
    return re.fullmatch(expression, name, re.DOTALL) is not None


def test_a_server_that_leaves_in_the_middle_fails_alone_and_in_one_line(
    mysql: FakeMySQL, capsys: pytest.CaptureFixture[str]
):
    """MySQL, where it is asked by a login whether an account has its password."""
    mysql.refuses = lambda user, **_: user != "root" and (2006, "gone away")
    assert main({"DBMAP": WANTED}) == 1
    said = capsys.readouterr().err
    assert said == 'dbsetup: mysql: FAILED: account "shop" could not be tried: gone away; run this job again\n'


def test_what_mysql_has_already_is_left_as_it_is(mysql: FakeMySQL, capsys: pytest.CaptureFixture[str]):
    assert main({"DBMAP": WANTED}) == 0
    assert 'database "shop_1": as it should be' in capsys.readouterr().out
    assert [said for said in mysql.heard if not said.startswith(("SELECT", "SHOW"))] == [
        f"GRANT ALL PRIVILEGES ON `{name}`.* TO '{account}'@'%'" for name, account in (("shop", "shop"), GRANT)
    ]


def test_a_grant_holds_where_mysql_takes_wildcards_as_they_are(mysql: FakeMySQL):
    """With partial_revokes a backslash before them would be a part of the name."""
    mysql.partial_revokes = "ON"
    assert main({"DBMAP": WANTED}) == 0
    assert "GRANT ALL PRIVILEGES ON `shop_1`.* TO 'shop_1'@'%'" in mysql.heard


def test_mysql_without_tls_is_asked_again_without_it(mysql: FakeMySQL):
    mysql.refuses = lambda ssl, **_: ssl is not None and (1043, "Bad handshake")
    assert main({"DBMAP": WANTED}) == 0


def test_mysql_that_takes_connections_by_tls_alone_is_served_with_whatever_certificate(mysql: FakeMySQL):
    mysql.refuses = lambda ssl, **_: ssl is None and (3159, "insecure transport")
    assert main({"DBMAP": WANTED}) == 0
    assert mysql.logins
    assert all(not login["ssl"].check_hostname and login["ssl"].verify_mode == CERT_NONE for login in mysql.logins)


def test_a_password_is_sent_in_the_letters_in_which_it_was_set(mysql: FakeMySQL):
    """The driver would send Latin-1 of a text, or break off."""
    servers = {"mysql": {**json.loads(WANTED)["mysql"], "databases": {"shop": {"password": "pä☃"}}}}
    assert main({"DBMAP": json.dumps(servers)}) == 0
    assert [login["password"] for login in mysql.logins if login["user"] == "shop"] == ["pä☃".encode()] * 2


@pytest.mark.parametrize("error", [(1045, "Access denied"), (1862, "Your password has expired")])
def test_a_password_that_mysql_takes_no_more_is_set_again(mysql: FakeMySQL, error: Any):
    def until_it_is_set(user: str, **_: object) -> Any:
        return user == "shop" and not any(said.startswith("ALTER USER 'shop'") for said in mysql.heard) and error

    mysql.refuses = until_it_is_set
    assert main({"DBMAP": WANTED}) == 0
    assert "ALTER USER 'shop'@'%' IDENTIFIED BY 'hunter2-hunter2'" in mysql.heard


def test_an_account_that_is_refused_is_not_told_as_the_administrator(
    mysql: FakeMySQL, capsys: pytest.CaptureFixture[str]
):
    mysql.refuses = lambda database, **_: database == "shop" and (1044, "Access denied to database 'shop'")
    assert main({"DBMAP": WANTED}) == 1
    said = "dbsetup: mysql: FAILED: account \"shop\" was set up and can't log in: Access denied to database 'shop'\n"
    assert capsys.readouterr().err == said


GRANT = ("shop\\_1", "shop_1")
WANTED = json.dumps({"mysql": {**GOOD["postgres"], "kind": "mysql", "databases": {**SHOP, "shop_1": SHOP["shop"]}}})


@pytest.fixture
def mysql(monkeypatch: pytest.MonkeyPatch) -> FakeMySQL:
    driver = FakeMySQL()
    monkeypatch.setitem(sys.modules, "pymysql", driver)
    monkeypatch.delitem(sys.modules, "dbsetup.mysql", raising=False)
    monkeypatch.delattr(dbsetup, "mysql", raising=False)
    return driver


class FakeMySQL(ModuleType):
    """pymysql with a MySQL 8 that has everything already, and lets everybody in whom `refuses` has no error for."""

    class MySQLError(Exception):
        pass

    def __init__(self) -> None:
        super().__init__("pymysql")
        self.logins: list[dict[str, Any]] = []  # that were let in
        self.heard: list[str] = []  # statements
        self.partial_revokes = "OFF"
        self.refuses: Callable[..., Any] = lambda **_: None

    def connect(self, **asked: Any) -> Any:
        if error := self.refuses(**asked):
            raise self.MySQLError(*error)
        self.logins.append(asked)
        connection = MagicMock()
        cursor = connection.cursor().__enter__()
        cursor.execute.side_effect = self.heard.append
        cursor.fetchall.side_effect = lambda: (
            [("partial_revokes", self.partial_revokes)] if self.heard[-1].startswith("SHOW") else [("8.0.36",)]
        )
        return connection
