"""In the place of an image: insists on what that one insists on (images.yaml), and answers as it would.

Makes: a program that complains of what it is given and finds and ends, or takes its volumes, logs in to its database
and serves. Runs on Python alone; for databases with what the image's base has.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import resource
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parent))

from insists import Given, Row, addresses, complaints, login, role, value_of

ROW = Path("/standin.json")
WAIT_SECONDS = 90


def main() -> None:
    """Be the image. Ends with 1 and what it complains of."""
    row: Row = json.loads(ROW.read_text())
    program = Path(sys.argv[0]).name
    command = sys.argv[1:] if program == "standin" else [_program(row, program), *sys.argv[1:]]
    mine = role(row, command)
    if mine == "wget":
        _wget(command[-1])
        return
    if mine == "chown":
        user, group = command[1].split(":")
        for path in command[2:]:
            os.chown(path, int(user), int(group))
        return
    mounts = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    environment = dict(os.environ)
    given = Given(environment, os.getuid(), command, mounts, is_first=os.getpid() == 1)
    found = complaints(row, given) + _found(row, environment)
    if found:
        _end(row, found)
    _take(row, environment)
    for host, port in addresses(row, environment):
        _reach(row, host, port)
    if row.get("server"):
        SERVERS[row["server"]](row, environment, command)
        return
    if "database" in row:
        _database(row, environment, mine)
    _say(row, f"is well, to {mine}")
    if mine == "serve":
        _serve(row, environment)
    elif mine == "work":
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


def _program(row: Row, name: str) -> str:
    return next((one for one in row.get("programs", ()) if one.endswith(f"/{name}") and name != "php"), name)


def _say(row: Row, words: str) -> None:
    print(f"stand-in of {row['image']}: {words}", flush=True)


def _end(row: Row, found: Sequence[str]) -> None:
    for words in found:
        _say(row, words)
    sys.exit(1)


def _found(row: Row, environment: Mapping[str, str]) -> list[str]:
    """What it complains of that only shows where it runs."""
    found = []
    for file in Path(row["xml"]).glob("*.xml") if "xml" in row else ():
        try:
            ElementTree.parse(file)  # noqa: S314 - the test's own
        except ElementTree.ParseError as error:
            found.append(f"{file} is no XML: {error}")
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < row.get("nofile", 0):
        found.append(f"may open fewer files than {row['nofile']}")
    return found


def _take(row: Row, environment: Mapping[str, str]) -> None:
    """Become who it runs as, with its volumes, and write there."""
    becomes = row.get("becomes")
    try:
        if os.getuid() == 0 and becomes:
            for path in row.get("volumes", {}):
                if Path(path).exists():
                    subprocess.run(["chown", "-R", f"{becomes}:{becomes}", path], check=True)
        changes = becomes or row.get("steps_down")
        if os.getuid() == 0 and changes:
            os.setgroups([])
            os.setgid(changes)
            os.setuid(changes)
    except (OSError, subprocess.CalledProcessError) as error:
        _end(row, [f"begins as root, and can't change to user {becomes}: {error}"])
    for path in row.get("volumes", {}):
        try:
            if Path(path).exists():
                (Path(path) / ".standin").write_text("written\n")
        except OSError as error:
            _end(row, [f"can't write to {path}: {error}"])
    if name := row.get("configuration"):
        _configured(row, environment[name])


def _configured(row: Row, file: str) -> None:
    """Read its configuration, and make the folders that it names, as who it is now."""
    try:
        said = Path(file).read_text()
        for path in map(Path, re.findall(r"^\w+_path: (\S+)$", said, re.MULTILINE)):
            if not path.exists():
                path.mkdir()
            if path.is_file():
                path.read_text()
    except OSError as error:
        _end(row, [f"as user {os.getuid()}: {error}"])


def _reach(row: Row, host: str, port: int) -> None:
    """Connect. An application tries it for a while, as its supervisor would."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            socket.create_connection((host, port), timeout=5).close()
        except OSError as error:
            if time.monotonic() > until:
                _end(row, [f"does not reach {host}:{port}: {error}"])
            time.sleep(1)
        else:
            return


def _database(row: Row, environment: Mapping[str, str], mine: str | None) -> None:
    """Log in, make a table or find it, write into it."""
    how = login(row, environment)
    assert how is not None
    engine = row["database"]["engine"]
    if engine == "mysql":
        import pymysql  # noqa: PLC0415 - of the image's base

        connection: Any = pymysql.connect(host=how["host"], port=how["port"], user=how["user"],
                                          password=how["password"], database=how["name"])  # fmt: skip
        there = (
            "SELECT count(*) FROM information_schema.tables WHERE table_name = 'standin' AND table_schema = database()"
        )
    else:
        import psycopg  # noqa: PLC0415

        connection = psycopg.connect(host=how["host"], port=how["port"], user=how["user"], password=how["password"],
                                     dbname=how["name"])  # fmt: skip
        there = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'standin'"
    with connection, connection.cursor() as cursor:
        cursor.execute(there)
        if row.get("migrated") and mine != "migrate" and not cursor.fetchone()[0]:
            _end(row, ["finds no tables: its migration has not run"])
        cursor.execute("CREATE TABLE IF NOT EXISTS standin (word varchar(80))")
        cursor.execute("INSERT INTO standin VALUES ('started')")
        connection.commit()


def _serve(row: Row, environment: Mapping[str, str]) -> None:
    hosts = {urlsplit(one).hostname or one for one in re.split(r"[,\s]+", environment.get(row.get("hosts") or "", ""))}

    class Answers(http.server.BaseHTTPRequestHandler):
        """Answers as the image would: by path, to its own names, over https."""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            status = row["paths"].get(path, 404)
            asked = self.headers.get("Host", "").partition(":")[0]
            if path not in row.get("ping", ()):
                if row.get("hosts") and asked not in {*hosts, "localhost"}:
                    status = 400
                elif row.get("https") and self.headers.get("X-Forwarded-Proto") != "https":
                    status = 301
            said = f"{row['image']} at {path}\n".encode()
            self.send_response(status)
            if status in (301, 302):
                self.send_header("Location", f"https://{asked}{path if status == 301 else '/elsewhere'}")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Say nothing of each."""

    _listen(row, lambda address, family: _http(address, family, Answers))


def _http(address: tuple[str, int], family: socket.AddressFamily, answers: Any) -> Any:
    kind = type("Server", (http.server.ThreadingHTTPServer,), {"address_family": family})
    return kind(address, answers)


def _listen(row: Row, make: Callable[[tuple[str, int], socket.AddressFamily], Any]) -> None:
    bind = row.get("bind", "::")
    server = make((bind, row["port"]), socket.AF_INET6 if ":" in bind else socket.AF_INET)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()


def _wget(url: str) -> None:
    with urlopen(url, timeout=5) as answer:  # noqa: S310 - its own
        sys.stdout.write(answer.read().decode())


# Servers of others' data


def _redis(row: Row, _: Mapping[str, str], __: Sequence[str]) -> None:
    class Answers(socketserver.StreamRequestHandler):
        """Answers +PONG to whatever it is asked."""

        def handle(self) -> None:
            for _line in self.rfile:
                self.wfile.write(b"+PONG\r\n")

    def make(address: tuple[str, int], family: socket.AddressFamily) -> Any:
        kind = type(
            "Server", (socketserver.ThreadingTCPServer,), {"address_family": family, "allow_reuse_address": True}
        )
        return kind(address, Answers)

    _say(row, "is well, to serve")
    _listen(row, make)


def _postgresql(row: Row, environment: Mapping[str, str], command: Sequence[str]) -> None:
    data = Path(environment.get("PGDATA", next(iter(row["volumes"]))))
    if not (data / "PG_VERSION").exists():
        (data / ".standin").unlink(missing_ok=True)
        password = value_of(row, environment, "POSTGRES_PASSWORD") or ""
        words = Path("/tmp/password")
        words.touch(0o600)
        words.write_text(password)
        owner = environment.get("POSTGRES_USER", "postgres")
        subprocess.run(["initdb", "-D", data, "-U", owner, "--pwfile", words, "--auth-host=scram-sha-256",
                        "--auth-local=trust"], check=True, stdout=subprocess.DEVNULL)  # fmt: skip
        words.unlink()
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")
    options = ["-c", "listen_addresses=*", "-c", "unix_socket_directories=/tmp"]
    os.execvp("postgres", ["postgres", "-D", str(data), *options, *[word for word in command if word != "postgres"]])  # noqa: S606


def _mysql(row: Row, environment: Mapping[str, str], command: Sequence[str]) -> None:
    data = Path(next(iter(row["volumes"])))
    name = next(iter(row["needs"]))
    start = Path("/tmp/start.sql")
    start.touch(0o600)
    if not (data / "mysql").exists():
        (data / ".standin").unlink(missing_ok=True)
        subprocess.run(["mariadb-install-db", f"--datadir={data}", "--auth-root-authentication-method=normal",
                        "--skip-test-db"], check=True, stdout=subprocess.DEVNULL)  # fmt: skip
        password = (value_of(row, environment, name) or "").replace("\\", "\\\\").replace("'", "''")
        start.write_text(
            f"ALTER USER root@localhost IDENTIFIED BY '{password}';\n"
            f"CREATE USER IF NOT EXISTS root@'%' IDENTIFIED BY '{password}';\n"
            "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;\n"
        )
    options = [f"--datadir={data}", f"--init-file={start}", "--bind-address=*", "--socket=/tmp/mysqld.sock"]
    os.execvp("mariadbd", ["mariadbd", *options, *command])  # noqa: S606


SERVERS: Mapping[str, Callable[[Row, Mapping[str, str], Sequence[str]], None]] = {
    "redis": _redis,
    "postgresql": _postgresql,
    "mysql": _mysql,
}

if __name__ == "__main__":
    main()
