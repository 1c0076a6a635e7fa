"""How a configuration becomes live, or does not: with a proxy that is played on the two sockets."""

from __future__ import annotations

import fcntl
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "HAProxySetup"))

from hasetup.__main__ import main
from hasetup.apply import EMPTY_STATE, ApplyError, Files, apply

OLD, NEW = "old\n", "server-template blog- 8 blog:8080 check\nserver-template echo- 8 echo:9001 check\n"
HEADER = "1\n# be_name srv_id srv_name srv_addr srv_op_state srv_fqdn srv_port\n"
STATE = f"""{HEADER}app-blog 1 blog-1 10.0.0.2 2 blog 8080
app-blog 2 blog-2 - 0 blog 8080
app-blog 3 blog-3 10.0.0.4 0 blog 8080
app-echo 1 echo-1 10.0.0.3 2 echo 9000"""
KEPT = f"""{HEADER}app-blog 1 blog-1 10.0.0.2 2 blog 8080
app-blog 2 blog-2 10.0.0.4 0 blog 8080
"""


class Proxy:
    """Master and admin socket in a volume; `dialect` is the version whose answers are played."""

    def __init__(self, run: Path, dialect: str, accepts: bool = True) -> None:
        self.run, self.dialect, self.accepts = run, dialect, accepts
        self.reloads = self.failed = 0
        self.age = 3600
        self.restarted: Callable[[], None] | None = None  # in place of the next reload
        self.state_at_reload: str | None = None
        answers = {"master.sock": self._master, "admin.sock": lambda _: STATE}
        self._listeners = [self._listen(name, answer) for name, answer in answers.items()]

    def _listen(self, name: str, answer: Callable[[str], str]) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.run / name))
        listener.listen()
        threading.Thread(target=self._serve, args=(listener, answer), daemon=True).start()
        return listener

    def _serve(self, listener: socket.socket, answer: Callable[[str], str]) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(answer(connection.makefile().readline().strip()).encode())

    def _master(self, command: str) -> str:
        if command == "show proc":
            days, seconds = divmod(self.age, 86400)
            age = f"{days}d{seconds // 3600:02}h{seconds // 60 % 60:02}m{seconds % 60:02}s"
            return f"#<PID> <type> <reloads>\n17 master {self.reloads} [failed: {self.failed}] {age} 2.6.12\n"
        assert command == "reload"
        if self.restarted is not None:
            self.age = self.reloads = 0
            self.restarted()
            return ""
        self.state_at_reload = (self.run / "state").read_text()
        self.reloads += 1
        self.failed = 0 if self.accepts else 1
        if self.dialect == "2.6":
            return ""
        return "Success=1\n--\n" if self.accepts else "Success=0\n--\n[ALERT] cannot bind socket\n"

    def close(self) -> None:
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path)
    files.run.mkdir()
    files.live.write_text(OLD)
    files.good.write_text(OLD)
    return files


@pytest.fixture(params=["2.6", "3.0"])
def proxy(files: Files, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    proxy = Proxy(files.run, request.param)
    yield proxy
    proxy.close()


def valid(_: Path) -> None:
    return None


def test_a_valid_configuration_is_swapped_and_reloaded(files: Files, proxy: Proxy):
    said = apply(NEW, files, proxy="haproxy", check=valid)
    assert said == "haproxy has reloaded the configuration"
    assert (proxy.reloads, files.live.read_text(), files.good.read_text()) == (1, NEW, NEW)
    left = sorted(path.name for path in files.root.iterdir())
    assert left == ["acme.map", "haproxy.cfg", "haproxy.cfg.good", "refused.lua", "rotation.lua", "run"]


def test_the_servers_state_is_there_during_the_reload_and_gone_after(files: Files, proxy: Proxy):
    """But for a server that has another port now, and with nobody free before one that has an address: the DNS would
    give him this address, and the visitors to a container that is known to be down."""
    apply(NEW, files, proxy="haproxy", check=valid)
    assert proxy.state_at_reload == KEPT
    assert (files.run / "state").read_text() == EMPTY_STATE


def test_nothing_changed_means_no_reload(files: Files, proxy: Proxy):
    assert "nothing has changed" in apply(OLD, files, proxy="haproxy", check=valid)
    assert proxy.reloads == 0


def test_a_swap_that_was_never_reloaded_is_reloaded_by_the_next_run(files: Files, proxy: Proxy):
    files.live.write_text(NEW)
    apply(NEW, files, proxy="haproxy", check=valid)
    assert (proxy.reloads, files.good.read_text()) == (1, NEW)


def test_an_invalid_configuration_never_becomes_live_and_why_is_told(files: Files, proxy: Proxy):
    def check(path: Path) -> str:
        assert path.read_text() == NEW
        return "[haproxy.cfg.new:1] : unknown keyword 'new'"

    with pytest.raises(ApplyError, match="unknown keyword 'new'"):
        apply(NEW, files, proxy="haproxy", check=check)
    assert (proxy.reloads, files.live.read_text()) == (0, OLD)


def test_what_the_proxy_refuses_is_taken_back_so_that_a_restart_serves(files: Files, proxy: Proxy):
    proxy.accepts = False
    with pytest.raises(ApplyError, match="haproxy did not reload"):
        apply(NEW, files, proxy="haproxy", check=valid)
    assert (files.live.read_text(), files.good.read_text()) == (OLD, OLD)


def test_what_the_proxy_refuses_on_a_first_run_leaves_no_live_file(files: Files, proxy: Proxy):
    files.live.unlink()
    proxy.accepts = False
    with pytest.raises(ApplyError):
        apply(NEW, files, proxy="haproxy", check=valid)
    assert not files.live.exists()


def test_a_proxy_that_is_started_anew_in_place_of_a_reload_has_read_the_configuration(files: Files, proxy: Proxy):
    proxy.restarted = lambda: None
    started = time.monotonic()
    assert apply(NEW, files, proxy="haproxy", check=valid) == "haproxy has reloaded the configuration"
    assert time.monotonic() - started < 5
    assert (files.live.read_text(), files.good.read_text()) == (NEW, NEW)


def test_a_proxy_whose_new_start_takes_another_configuration_has_not_got_it(files: Files, proxy: Proxy):
    """What start.sh does with a live file that it finds not valid."""
    proxy.restarted = lambda: files.live.write_text(OLD)
    with pytest.raises(ApplyError, match="started anew meanwhile"):
        apply(NEW, files, proxy="haproxy", check=valid)
    assert (files.live.read_text(), files.good.read_text()) == (OLD, OLD)


def test_a_proxy_that_is_not_running_picks_the_configuration_up_later(files: Files):
    said = apply(NEW, files, proxy="haproxy", check=valid)
    assert "haproxy is not running and will pick it up when it starts" in said
    assert files.live.read_text() == NEW


def test_the_socket_of_a_dead_proxy_counts_as_not_running(files: Files):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(files.run / "master.sock"))
    assert "is not running" in apply(NEW, files, proxy="haproxy", check=valid)


def test_no_reload_while_a_release_drains(files: Files, proxy: Proxy):
    with (files.run / "lock").open("a") as drain:
        fcntl.flock(drain, fcntl.LOCK_SH)
        with pytest.raises(ApplyError, match="release that drains"):
            apply(NEW, files, proxy="haproxy", check=valid, lock_seconds=0.1)
    assert (proxy.reloads, files.live.read_text()) == (0, OLD)


def test_a_volume_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ApplyError, match="must be the volume that haproxy has"):
        apply(NEW, Files(tmp_path / "absent"), proxy="haproxy", check=valid)


@pytest.mark.parametrize("environment", [{}, {"DOMAINS": "{"}, {"DOMAINS": "{}", "HAPROXY_CONTAINER": "a b"}])
def test_unusable_input_touches_nothing_and_exits_2(
    environment: dict[str, str], files: Files, capsys: pytest.CaptureFixture[str]
):
    assert main(environment, files) == 2
    assert "nothing was changed" in capsys.readouterr().err
    assert (files.live.read_text(), list(files.run.iterdir())) == (OLD, [])
