#!/usr/bin/env python3
"""What somebody ran at Bee2: answers each visit with its number, which is in the database and on the disk by then."""

from __future__ import annotations

import http.server
import os
import socket
import sys
import time

import psycopg

NAMES = {"host": "DB_HOST", "dbname": "DB_NAME", "user": "DB_USER", "password": "DB_PASS"}


def asked(statement: str) -> tuple[int, ...] | None:
    with psycopg.connect(connect_timeout=3, **{word: os.environ[name] for word, name in NAMES.items()}) as database:
        done = database.execute(statement)
        return done.fetchone() if done.description else None


def visited() -> int:
    number = asked("INSERT INTO news (path) VALUES ('/') RETURNING id")[0]
    with open("/state/reads", "a") as reads:
        reads.write(f"{number}\n")
        reads.flush()
        os.fsync(reads.fileno())
    return number


class Visit(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        try:
            status, said = 200, str(visited()).encode()
        except psycopg.Error as error:
            print(error, flush=True)
            status, said = 500, b"no database"
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


assert sys.argv[1:] == ["--listen", "0.0.0.0"], sys.argv
assert os.environ["SMTP_PASSWORD"] == "$ecret of the mail"
for _ in range(120):
    try:
        asked("CREATE TABLE IF NOT EXISTS news (id serial PRIMARY KEY, path text)")
        break
    except psycopg.OperationalError as error:
        print(error, flush=True)
        time.sleep(1)
Server(("::", 8080), Visit).serve_forever()
