"""Every alert of images/Monitor provoked, told and over: the real programs on figures that are made here.

    python3 provoked.py FOLDER    certificates in it: short.pem, long.pem (with their keys), authority.pem

Standard library only: it runs inside the image. Its last line is JSON: how often each alert was told by each
way, and what went wrong. Waits for conditions, each within a limit.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from inbox import HTTP, SMTP, Inbox

INTERVAL = 1
LIMIT = 240
WAYS = ("mail", "hook", "ntfy")
PORTS = {"ledger": 15432, "cache": 16379, "other": 15433}

# Read by the fakes, changed by the test.
state: dict[str, Any] = {
    "site": 200,
    "certificate": "long",
    "host": True,
    "proxy": True,
    "facts_age": 0,
    "avail": 50e9,
    "slope": 0.0,
    "data": True,
    "memory": 0.5,
    "restarts": 0,
    "up": 1,
    "running": {"shop": 4, "forum": 2},
    "failed": 0,
    "decides": 1,
    "exit": 0,
    "started_ago": 5,
    "backup_ago": 60,
    "backup_status": 1,
    "drill_ago": 60,
    "drill_status": 1,
    "errors": 0,
    "good": 0,
}
begun = time.time()


def host_metrics() -> str:
    now = time.time()
    left = state["avail"] - state["slope"] * (now - state.get("slope_since", now))
    data = ['node_filesystem_size_bytes{mountpoint="/srv/data"} 1e9'] if state["data"] else []
    return "\n".join(
        [
            *data,
            # Of no disk that is watched.
            'node_filesystem_avail_bytes{mountpoint="/srv/full"} 0',
            'node_filesystem_size_bytes{mountpoint="/srv/full"} 100e9',
            f'node_filesystem_avail_bytes{{mountpoint="/"}} {left}',
            'node_filesystem_size_bytes{mountpoint="/"} 100e9',
            f"node_memory_MemAvailable_bytes {state['memory'] * 1e9}",
            "node_memory_MemTotal_bytes 1e9",
            "node_textfile_scrape_error 0",
            f'node_textfile_mtime_seconds{{file="/m/containers.prom"}} {now - state["facts_age"]}',
            f'apiary_container_restarts_total{{application="shop",container="shop-1"}} {state["restarts"]}',
            f'apiary_container_up{{application="shop",container="shop-1"}} {state["up"]}',
            *(f'apiary_replicas_wanted{{application="{name}"}} {n}' for name, n in (("shop", 4), ("forum", 2))),
            *(f'apiary_replicas_running{{application="{name}"}} {n}' for name, n in state["running"].items()),
            f'apiary_replicas_failed_total{{application="shop"}} {state["failed"]}',
            f"apiary_swarm_decides {state['decides']}",
            'apiary_job_known{task="tick",container="tick-1"} 1',
            f'apiary_job_exit_status{{task="tick",container="tick-1"}} {state["exit"]}',
            f'apiary_job_started_timestamp_seconds{{task="tick",container="tick-1"}} {now - state["started_ago"]}',
            f'apiary_backup_last_success_timestamp_seconds{{item="volume:x"}} {now - state["backup_ago"]}',
            f'apiary_backup_last_status{{item="volume:x"}} {state["backup_status"]}',
            f"apiary_drill_last_success_timestamp_seconds {now - state['drill_ago']}",
            f"apiary_drill_status {state['drill_status']}",
            *([] if state["backup_status"] else ['apiary_backup_reason{item="volume:x",reason="no \\"room\\""} 1']),
            *([] if state["drill_status"] else ['apiary_drill_reason{reason="shop: 0 rows"} 1']),
            "",
        ]
    )


def proxy_metrics() -> str:
    series = "haproxy_backend_http_responses_total"
    return (
        f'{series}{{proxy="app-site",code="2xx"}} {state["good"]}\n'
        f'{series}{{proxy="app-site",code="5xx"}} {state["errors"]}\n'
    )


class ByPath(ThreadingHTTPServer):
    address_family = socket.AF_UNIX
    daemon_threads = True

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)  # type: ignore[arg-type]
        self.server_name, self.server_port = "", 0


class V6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def answering(text: Callable[[], tuple[int, str]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = text()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def address_string(self) -> str:
            return ""

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def serve(server: ThreadingHTTPServer) -> None:
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


def sites(folder: Path) -> None:
    """localhost by https, over both families; which certificate is asked at each connection."""
    contexts = {}
    for name in ("short", "long"):
        contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexts[name].load_cert_chain(folder / f"{name}.pem")

    def choose(connection: ssl.SSLObject, _name: str, _context: ssl.SSLContext) -> None:
        connection.context = contexts[state["certificate"]]

    first = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    first.load_cert_chain(folder / "long.pem")
    first.sni_callback = choose  # type: ignore[assignment]
    handler = answering(lambda: (state["site"], "hello"))
    for server in (ThreadingHTTPServer(("127.0.0.1", 443), handler), V6(("::1", 443), handler)):
        server.socket = first.wrap_socket(server.socket, server_side=True)
        serve(server)


class Door(socketserver.TCPServer):
    allow_reuse_address = True


class Doors:
    """The private ports of other servers."""

    def __init__(self) -> None:
        self._open: dict[str, socketserver.TCPServer] = {}

    def open(self, name: str) -> None:
        server = Door(("127.0.0.1", PORTS[name]), socketserver.BaseRequestHandler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._open[name] = server

    def close(self, name: str) -> None:
        server = self._open.pop(name)
        server.shutdown()
        server.server_close()


def tally(inbox: Inbox) -> dict[str, dict[str, Counter[str]]]:
    """How often each alert was told of by each way, and how: a message counts for each alert's name in it once."""
    found: dict[str, dict[str, Counter[str]]] = {}
    summaries: dict[str, str] = {}
    told = inbox.read()
    for one in told:
        if one["way"] == "hook":
            for status, name in {(alert["status"], alert["labels"]["alertname"]) for alert in one["alerts"]}:
                found.setdefault(name, {}).setdefault("hook", Counter())[status] += 1
            summaries |= {alert["summary"]: alert["labels"]["alertname"] for alert in one["alerts"]}
    for one in told:
        if one["way"] in ("mail", "ntfy"):
            kinds = {
                ("resolved" if line.startswith("over: ") else "firing", summaries[line.removeprefix("over: ")])
                for line in one["text"].splitlines()
                if line.removeprefix("over: ") in summaries
            }
            for status, name in kinds:
                found.setdefault(name, {}).setdefault(one["way"], Counter())[status] += 1
    return found


def watch() -> dict[str, Any]:
    hook = f"http://127.0.0.1:{HTTP}"
    peers = [("db1", "ledger"), ("db1", "cache"), ("db2", "other")]
    return {
        "name": "monitor",
        "stack": "test",
        "server": "web1",
        "proxy": True,
        "sites": [
            {
                "domain": "localhost",
                "server": "web1",
                "application": "site",
                "scheme": "https",
                "path": "/",
                "status": "200-399",
            }
        ],
        "peers": [
            {"server": server, "application": name, "address": "127.0.0.1", "port": PORTS[name]}
            for server, name in peers
        ],
        # One that answers a ping, and one that never does.
        "servers": [{"name": "db1", "address": "127.0.0.1"}, {"name": "db2", "address": "192.0.2.1"}],
        "jobs": {"tick": 600},
        "backups": {"late": 3600, "drill_late": 7200},
        "alerts": {
            "mail": {
                "to": ["owner@example.com"],
                "sender": "web1@example.com",
                "server": f"127.0.0.1:{SMTP}",
                "user": None,
                "password": None,
                "tls": False,
            },
            "webhook": [f"{hook}/hook"],
            "ntfy": {"url": f"{hook}/ntfy", "token": None},
            "heartbeat": f"{hook}/alive",
        },
    }


def main(folder: Path) -> int:  # noqa: PLR0915 - a story, told in its order
    (folder / "data").mkdir()
    (folder / "page").mkdir()
    inbox = Inbox(folder / "inbox")
    doors = Doors()
    for name in PORTS:
        doors.open(name)
    sites(folder)
    for name, text in (("node", host_metrics), ("proxy", proxy_metrics)):
        key = "host" if name == "node" else "proxy"
        handler = answering(lambda text=text, key=key: (200, text()) if state[key] else (500, ""))  # type: ignore[misc]
        serve(ByPath(str(folder / f"{name}.sock"), handler))  # type: ignore[arg-type]
    (folder / "watch.json").write_text(json.dumps(watch()))
    program = (
        "import sys; from pathlib import Path; from monitor import __main__ as m, programs as p;"
        f"f = Path({str(folder)!r}); m.WATCH = f / 'watch.json'; m.NODE_EXPORTER = f / 'node.sock';"
        "m.PROXY = f / 'proxy.sock'; m.PAGE = f / 'page'; m.DATA = p.DATA = f / 'data';"
        "m.FILES = p.FILES = f / 'files';"
        + (f"p.TEMPLATES = Path({os.environ['TEMPLATES']!r});" if "TEMPLATES" in os.environ else "")
        + "sys.exit(m.main())"
    )
    environment = {
        **os.environ,
        "INTERVAL": str(INTERVAL),
        "HTTP_PORT": "18080",
        "DISKS": "/ /srv/data",
        "CA": (folder / "authority.pem").read_text(),
    }

    def started() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", program], env=environment, start_new_session=True)

    monitor = started()
    result: dict[str, Any] = {"trouble": []}

    def until(condition: Callable[[], bool], what: str, seconds: float = LIMIT) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if monitor.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(what)
            time.sleep(0.2)

    def told(name: str, status: str) -> Callable[[], bool]:
        return lambda: all(tally(inbox).get(name, {}).get(way, Counter())[status] for way in WAYS)

    def beats() -> int:
        return sum(one["way"] == "alive" for one in inbox.read())

    def beaten(more: int) -> Callable[[], bool]:
        seen = beats()
        return lambda: beats() >= seen + more

    def provoke(names: list[str], change: Callable[[], None], back: Callable[[], None]) -> None:
        change()
        for name in names:
            until(told(name, "firing"), f"{name} is told")
        back()
        for name in names:
            until(told(name, "resolved"), f"{name} is over")

    try:
        until(lambda: any(one["way"] == "alive" for one in inbox.read()), "the heartbeat comes", 60)
        time.sleep(15 * INTERVAL)
        result["quiet"] = sorted(tally(inbox))

        def many() -> None:
            state.update(site=503, memory=0.01, up=0, exit=3, started_ago=1000, backup_ago=9999, backup_status=0)
            state.update(drill_ago=9999, drill_status=0, restarts=9, errors=500, good=500)
            state.update(running={"shop": 3, "forum": 0}, failed=9, decides=0)
            state.update(slope=5e6, slope_since=time.time())
            doors.close("ledger")
            doors.close("other")

        def good() -> None:
            state.update(site=200, memory=0.5, up=1, exit=0, started_ago=5, backup_ago=60, backup_status=1)
            state.update(drill_ago=60, drill_status=1, slope=0.0, avail=60e9)
            state.update(running={"shop": 4, "forum": 2}, decides=1)
            doors.open("ledger")
            doors.open("other")

        names = ["SiteDown", "MemoryShort", "ContainerDown", "JobFailed", "JobMissed", "BackupLate", "BackupFailed"]
        names += ["DrillFailed", "DrillLate", "ContainerRestarts", "SiteErrors", "DiskWillBeFull", "PrivatePortDown"]
        names += ["ReplicasDown", "ReplicasMissing", "ReplicasRestart", "ManagersAway"]
        provoke([*names, "ServerDown"], many, good)
        provoke(
            ["CertificateExpires"], lambda: state.update(certificate="short"), lambda: state.update(certificate="long")
        )
        provoke(["ProxyDown"], lambda: state.update(proxy=False), lambda: state.update(proxy=True))
        provoke(["MonitorBlind"], lambda: state.update(host=False), lambda: state.update(host=True))
        # By the ways that are left: the one that refuses can't tell of itself.
        inbox.refuses.add("/ntfy")
        state.update(exit=4)
        until(
            lambda: bool(tally(inbox).get("AlertsNotDelivered", {}).get("mail", {}).get("firing")), "a refusal is told"
        )
        inbox.refuses.clear()
        state.update(exit=0)
        until(lambda: bool(tally(inbox).get("AlertsNotDelivered", {}).get("mail", {}).get("resolved")), "it is over")
        # The plug is pulled while something is wrong, and once more; the second time it is over when it comes back.
        state.update(data=False)
        until(told("DiskGone", "firing"), "DiskGone is told")
        for over in (False, True):
            until(beaten(5), "the heart beats")
            os.killpg(monitor.pid, signal.SIGKILL)
            monitor.wait()
            state.update(data=over)
            if over:  # It was away for long: what it has seen is too old to count.
                shutil.rmtree(folder / "data" / "prometheus")
            monitor = started()
            until(beaten(30), "the heart beats again")
        until(told("DiskGone", "resolved"), "DiskGone is over")
        result["beats"] = beats()
        page = folder / "page" / "index.html"
        until(page.is_file, "there is a page")
        result["page"] = page.read_text()
        result["memory"] = memory(monitor.pid)
    except TimeoutError as error:
        result["trouble"].append(f"not in time: {error}")
    finally:
        monitor.terminate()
        result["status"] = monitor.wait(60)
    result["told"] = tally(inbox)
    result["first"] = inbox.read()[:400]
    print(json.dumps(result))
    return 0


def memory(pid: int) -> dict[str, int]:
    """KiB of each process of the monitor, shared pages in proportion, by their names."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if int(folder.name) == pid or parent == pid:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                name = (folder / "comm").read_text().strip()
                found[name] = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except OSError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
