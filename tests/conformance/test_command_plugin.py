"""The Command stand-in behaves as the official plugin was recorded to do, against a real SSH server."""

import hashlib
import re
import threading
import time

import pytest

from lab.plugins import command
from lab.plugins.command_output import go_quote
from provider.protocol.base import Failure, encode
from provider.protocol.dispatch import Dispatcher
from tests.conformance.ports import free_port
from tests.conformance.recorded import answer_to, case_id, comparable, load, spelled
from tests.conformance.ssh_server import available, new_key, ssh_server

needs_server = pytest.mark.skipif(not available(), reason="no OpenSSH server on this machine (Debian: openssh-server)")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ssh_server(tmp_path_factory.mktemp("ssh")) as running:
        yield running


class Caller:
    """Calls one resource type as the engine does, and keeps the lines it logs."""

    def __init__(self, kind):
        self.kind, self.lines = kind, []
        self.plugin = command.plugin("1.2.1")
        self.plugin.sink = lambda text, severity, urn, ephemeral: self.lines.append((severity, ephemeral, text))
        self.dispatcher = Dispatcher(self.plugin)

    def __call__(self, method, **request):
        urn = f"urn:pulumi:dev::lab::command:{self.kind}:Command::name"
        return self.dispatcher.call(method, {"urn": urn, **{k: encode(v) for k, v in request.items()}})

    def create(self, **inputs):
        properties = self("Create", properties=inputs)["properties"]
        return properties["stdout"], properties["stderr"]

    def failure(self, **inputs):
        with pytest.raises(Failure) as caught:
            self("Create", properties=inputs)
        return str(caught.value)


@pytest.fixture
def remote(server):
    caller = Caller("remote")
    caller.run = lambda line, connection=None, **more: caller.create(
        connection=without_none(server.connection(**(connection or {}))), create=line, **more
    )
    caller.refused = lambda line="true", connection=None, **more: caller.failure(
        connection=without_none(server.connection(**(connection or {}))), create=line, **more
    )
    return caller


@pytest.fixture
def local():
    return Caller("local")


def without_none(values):
    return {k: v for k, v in values.items() if v is not None}


@pytest.mark.parametrize("case", load("command_calls.jsonl"), ids=case_id)
def test_calls_that_run_nothing_are_answered_as_recorded(case):
    assert answer_to(Dispatcher(command.plugin("1.2.1")), case) == comparable(spelled(case["response"]))


def test_a_connection_with_a_word_that_it_does_not_have_is_refused():
    news = {"connection": {"host": "h", "bogus": 1}}
    answer = Caller("remote")("Check", olds={}, news=news)
    assert "bogus: Unrecognized field 'bogus' on 'remote.Connection'" in answer["failures"][0]["reason"]


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_a_secret_that_is_not_known_yet_is_refused_in_a_list_of_triggers_and_none_as_the_list(kind):
    inputs = {"create": "true", "connection": {"host": "h"}} if kind == "remote" else {"create": "true"}
    unknown = spelled({"$secret": "$unknown"})
    with pytest.raises(Failure, match=r'^malformed RPC secret: missing value for "triggers"$'):
        Caller(kind)("Check", olds={}, news={**inputs, "triggers": ["a", unknown]})
    for known in (
        ["a", spelled({"$secret": "b"})],
        ["a", spelled("$unknown")],
        spelled({"$secret": ["a", "$unknown"]}),
    ):
        assert Caller(kind)("Check", olds={}, news={**inputs, "triggers": known})["inputs"]["triggers"] == known
    answer = Caller(kind)("Check", olds={}, news={**inputs, "triggers": unknown})
    assert answer["inputs"]["triggers"] == spelled({"$secret": []})


def test_the_id_is_the_name_and_eight_hex_digits(local):
    assert re.fullmatch(r"name[0-9a-f]{8}", local("Create", properties={"create": "true"})["id"])


def test_a_secret_in_the_environment_stays_one_and_the_rest_does_not_become_one(local):
    secret = spelled({"$secret": "s3cret"})
    request = {
        "urn": "urn:pulumi:dev::lab::command:local:Command::n",
        "properties": {"create": "echo $S", "environment": {"S": secret}},
    }
    answer = local.dispatcher.call("Create", request)["properties"]
    assert answer["environment"] == {"S": secret}
    assert answer["stdout"] == "s3cret"


@needs_server
class TestRemote:
    def test_output_and_input(self, remote):
        assert remote.run("echo out; echo err >&2; cat", stdin="in\n") == ("out\nin", "err")

    @pytest.mark.parametrize(
        ("line", "stdout", "stderr"),
        [
            (r"printf 'a\n\n\n'; printf '  lead\n' >&2", "a\n\n", "  lead"),
            ("cat; echo done", "done", ""),
        ],
    )
    def test_one_newline_is_cut_and_no_input_is_end_of_file(self, remote, line, stdout, stderr):
        assert remote.run(line) == (stdout, stderr)

    def test_nothing_to_run_makes_no_connection(self, remote, server):
        connection = server.connection(port=free_port())
        assert remote("Create", properties={"connection": connection, "delete": "true"})["properties"]["stdout"] == ""

    def test_keys_in_other_forms_are_read(self, remote, server):
        assert remote.run("echo ok", {"privateKey": server.keys["pkcs8"]}) == ("ok", "")

    def test_without_a_host_key_nothing_is_checked(self, remote):
        assert remote.run("echo ok", {"hostKey": None}) == ("ok", "")

    def test_many_megabytes_of_input_arrive(self, remote):
        sent = "x" * 8_000_000
        wanted = hashlib.sha256(sent.encode()).hexdigest()
        assert remote.run("sha256sum | cut -d' ' -f1", stdin=sent) == (wanted, "")

    def test_lines_are_shown_while_the_command_runs(self, remote, server):
        thread = threading.Thread(target=remote.run, args=("echo first; sleep 1.5; echo last",))
        thread.start()
        end = time.monotonic() + 10
        while not remote.lines and time.monotonic() < end:
            time.sleep(0.02)
        assert remote.lines == [("info", True, "first")]
        thread.join()
        assert remote.lines == [("info", True, "first"), ("info", True, "last")]

    @pytest.mark.parametrize(
        ("logging", "shown"),
        [
            (None, ["o", "e"]),
            ("stdout", ["o"]),
            ("stderr", ["e"]),
            ("stdoutAndStderr", ["o", "e"]),
            ("none", []),
            ("bogus", []),
        ],
    )
    def test_logging_chooses_the_streams(self, remote, logging, shown):
        remote.run("echo o; echo e >&2", **({"logging": logging} if logging else {}))
        assert sorted(text for _severity, _ephemeral, text in remote.lines) == sorted(shown)

    def test_a_failing_command_shows_its_status_and_its_output(self, remote):
        text = remote.refused("echo so; sleep 0.1; echo se >&2; exit 3")
        assert text == 'Process exited with status 3: running "echo so; sleep 0.1; echo se >&2; exit 3":\nso\nse\n'

    def test_a_killed_command_shows_its_signal(self, remote):
        assert remote.refused("kill -9 $$").startswith("Process exited with status 137 from signal KILL: running ")

    def test_a_lost_connection_is_told_from_a_failure(self, remote):
        assert remote.refused("kill -9 $PPID; sleep 2").startswith(
            "wait: remote command exited without exit status or exit signal: "
        )

    def test_output_that_is_not_utf8_fails_after_the_run(self, remote):
        assert (
            remote.refused(r"printf '\377\376abc'")
            == "grpc: error while marshaling: string field contains invalid UTF-8"
        )

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            ({"privateKey": "garbage"}, "ssh: no key found"),
            ({"hostKey": "not a key"}, "failed to parse host key: ssh: no key found; last parsing error for "
             "ignored line: illegal base64 data at input byte 0"),
            ({"agentSocketPath": "/no/such"}, "dial unix /no/such: connect: no such file or directory"),
            ({"privateKey": "bad"}, "after 1 failed attempts: ssh: handshake failed: ssh: unable to "
             "authenticate, attempted methods [none publickey], no supported methods remain"),
            ({"privateKey": None}, "after 1 failed attempts: ssh: handshake failed: ssh: unable to "
             "authenticate, attempted methods [none], no supported methods remain"),
            ({"privateKey": None, "password": "p"}, "after 1 failed attempts: ssh: handshake failed: ssh: "
             "unable to authenticate, attempted methods [none], no supported methods remain"),
        ],
    )  # fmt: skip
    def test_login_failures_have_the_recorded_words(self, remote, server, monkeypatch, change, text):
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        change = {k: server.keys["bad"] if v == "bad" else v for k, v in change.items()}
        assert remote.refused(connection=change) == text

    def test_another_host_key_is_refused(self, remote, tmp_path):
        new_key(tmp_path / "other")
        other = (tmp_path / "other.pub").read_text()
        assert (
            remote.refused(connection={"hostKey": other})
            == "after 1 failed attempts: ssh: handshake failed: ssh: host key mismatch"
        )

    def test_a_pinned_rsa_key_fails(self, remote, tmp_path):
        new_key(tmp_path / "rsa", "rsa")
        text = remote.refused(connection={"hostKey": (tmp_path / "rsa.pub").read_text()})
        assert "ssh: no common algorithm for host key; we offered: [ssh-rsa]" in text

    @pytest.mark.parametrize("limit", [0, 2])
    def test_a_refused_port_is_dialled_one_time_more_than_the_limit(self, remote, limit):
        port = free_port()
        text = remote.refused(connection={"port": port, "dialErrorLimit": limit})
        assert text == f"after {limit} failed attempts: dial tcp 127.0.0.1:{port}: connect: connection refused"
        assert [line for _severity, _ephemeral, line in remote.lines] == [
            f"Dial {n + 1}/{limit} failed: retrying" for n in range(limit)
        ]

    def test_an_interrupt_ends_the_dialling(self, remote, server):
        threading.Timer(0.5, remote.plugin.cancelled.set).start()
        assert remote.refused(connection={"port": free_port(), "dialErrorLimit": -1}) == "context canceled"

    def test_a_variable_the_server_refuses_stops_the_command(self, remote, tmp_path):
        assert remote.run("echo $OK_A", environment={"OK_A": "v"}) == ("v", "")
        text = remote.refused(f"touch {tmp_path}/ran", environment={"NOT_OK": "v"})
        assert text == 'could not set environment variable "NOT_OK": ssh: setenv failed'
        assert not (tmp_path / "ran").exists()

    def test_a_refused_previous_output_is_a_warning_only(self, remote, server):
        state = {"connection": server.connection(), "create": "echo a", "stdout": "a", "stderr": ""}
        remote("Update", id="x", olds=state, news={"connection": server.connection(), "create": "echo b"})
        assert [severity for severity, _ephemeral, _text in remote.lines] == ["warning", "info"]
        remote.lines.clear()
        remote(
            "Update",
            id="x",
            olds=state,
            news={"connection": server.connection(), "create": "echo b", "addPreviousOutputInEnv": False},
        )
        assert [severity for severity, _ephemeral, _text in remote.lines] == ["info"]

    def test_update_runs_update_or_else_create_and_delete_runs_delete(self, remote, server, tmp_path):
        log, connection = tmp_path / "log", server.connection()
        inputs = {name: f"echo {name} >> {log}" for name in ("create", "update", "delete")}
        state = {"connection": connection, **inputs, "stdout": "", "stderr": ""}
        remote("Update", id="x", olds=state, news={"connection": connection, **inputs})
        remote("Update", id="x", olds=state, news={"connection": connection, "create": inputs["create"]})
        remote("Delete", id="x", properties=state)
        remote("Delete", id="x", properties={**state, "delete": None})
        assert log.read_text().split() == ["update", "create", "delete"]

    def test_a_proxy_is_gone_through_and_named_in_errors(self, remote, server):
        assert remote.run("echo via", {"proxy": server.connection()}) == ("via", "")
        text = remote.refused(connection={"proxy": server.connection(), "port": free_port()})
        assert text == "proxy: after 1 failed attempts: ssh: rejected: connect failed (Connection refused)"

    def test_thirty_commands_run_side_by_side(self, remote):
        results = {}
        threads = [
            threading.Thread(target=lambda n=n: results.update({n: remote.run(f"echo {n}")[0]})) for n in range(30)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == {n: str(n) for n in range(30)}


class TestLocal:
    @pytest.mark.parametrize(
        ("inputs", "result"),
        [
            ({"create": "echo out; echo err >&2"}, ("out", "err")),
            ({"create": "cat", "stdin": "in\n"}, ("in", "")),
            ({"create": "echo $V", "environment": {"V": "v"}}, ("v", "")),
            ({"create": "print(1)", "interpreter": ["python3", "-c"]}, ("1", "")),
            ({"create": "pwd", "dir": "/"}, ("/", "")),
            ({}, ("", "")),
        ],
    )
    def test_it_runs_what_is_asked_for(self, local, inputs, result):
        assert local.create(**inputs) == result

    @pytest.mark.parametrize(
        ("inputs", "text"),
        [
            (
                {"create": "echo lso; sleep 0.1; echo lse >&2; exit 4"},
                'exit status 4: running "echo lso; sleep 0.1; echo lse >&2; exit 4":\nlso\nlse\n',
            ),
            (
                {"create": "x", "interpreter": ["/no/such"]},
                'fork/exec /no/such: no such file or directory: running "x":\n',
            ),
            (
                {"create": "pwd", "dir": "/no/such"},
                'chdir /no/such: no such file or directory: running "pwd":\n',
            ),
        ],
    )
    def test_failures_have_the_recorded_words(self, local, inputs, text):
        assert local.failure(**inputs) == text

    def test_the_previous_output_is_in_the_environment(self, local):
        answer = local(
            "Update",
            id="x",
            olds={"stdout": "old", "stderr": "e"},
            news={"update": "echo $PULUMI_COMMAND_STDOUT-$PULUMI_COMMAND_STDERR"},
        )
        assert answer["properties"]["stdout"] == "old-e"

    def test_an_interrupt_kills_the_shell(self, local):
        threading.Timer(0.3, local.plugin.cancelled.set).start()
        assert local.failure(create="exec sleep 30").startswith('signal: killed: running "exec sleep 30":')

    def test_a_line_longer_than_64_kib_hangs_only_while_it_is_logged(self, local):
        line = "head -c 70000 /dev/zero | tr '\\0' x"
        assert len(local.create(create=line, logging="none")[0]) == 70_000
        threading.Timer(1.0, local.plugin.cancelled.set).start()
        started = time.monotonic()
        local.create(create=line)
        assert time.monotonic() - started >= 0.9

    def test_run_is_a_function(self, local):
        answer = local.dispatcher.call(
            "Invoke",
            {
                "tok": "command:local:run",
                "args": {"command": "echo run-$X; echo e >&2", "environment": {"X": "1"}},
            },
        )
        assert answer["return"] == {
            "command": "echo run-$X; echo e >&2",
            "environment": {"X": "1"},
            "stderr": "e",
            "stdout": "run-1",
        }


@pytest.mark.parametrize(("text", "quoted"), [('a"b\\c', r'"a\"b\\c"'), ("é\n\t\x01", r'"é\n\t\x01"')])
def test_commands_are_quoted_as_in_the_official_messages(text, quoted):
    assert go_quote(text) == quoted
