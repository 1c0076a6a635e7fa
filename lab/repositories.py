"""The region's git server: repositories of its own, over http as the great hosters serve them.

Runs on its own inside a container, with Debian's git and nothing of the lab:

    python3 repositories.py --from /content --to /srv/git [--listen 0.0.0.0:80]

Each folder of --from becomes a repository NAME.git in --to, with one commit of what is in it on branch `main`,
unless it is there already; then it serves all of --to by git's own http-backend, for reading. The lab's commits
go in by `commit`:

    python3 repositories.py --to /srv/git --commit site [--branch main] < a tar of files, which replace those there

With --token every request needs it as its password. Leaves alone: what is in the repositories.
"""

from __future__ import annotations

import argparse
import base64
import os
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BRANCH = "main"
SECONDS = 60
LONGEST = 1 << 20  # bytes of a request: what is wanted, never what is sent
AUTHOR = ["-c", "user.name=lab", "-c", "user.email=lab@lab.internal"]


def git(*arguments: str, cwd: Path | None = None, stdin: bytes | None = None) -> str:
    """Standard output of `git ARGUMENTS`; raises RuntimeError with what git said."""
    done = subprocess.run(
        ["git", *AUTHOR, *arguments], cwd=cwd, input=stdin, capture_output=True, timeout=SECONDS, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"git {' '.join(arguments)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace").strip()


def make(folder: Path, repository: Path) -> None:
    """A bare repository with one commit of all files of `folder`; nothing when it is there."""
    if repository.exists():
        return
    with tempfile.TemporaryDirectory(dir=repository.parent) as place:
        bare = Path(place) / "bare"
        git("init", "--quiet", "--bare", f"--initial-branch={BRANCH}", str(bare))
        git("--git-dir", str(bare), "--work-tree", str(folder), "add", "--all")
        git("--git-dir", str(bare), "--work-tree", str(folder), "commit", "--quiet", "--message", "The first one")
        git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=bare)
        bare.rename(repository)


def commit(repository: Path, files: bytes, branch: str = BRANCH) -> str:
    """Puts the files of a tar on a branch, made from `main` when it is new; returns the commit."""
    with tempfile.TemporaryDirectory() as place:
        git("clone", "--quiet", str(repository), place)
        here = Path(place)
        there = git("ls-remote", "--heads", "origin", f"refs/heads/{branch}", cwd=here)
        git("checkout", "--quiet", "-B", branch, f"origin/{branch if there else BRANCH}", cwd=here)
        subprocess.run(["tar", "-x", "-C", place], input=files, check=True, timeout=SECONDS)
        git("add", "--all", cwd=here)
        git("commit", "--quiet", "--allow-empty", "--message", "Changed", cwd=here)
        git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}", cwd=here)
        return git("rev-parse", "HEAD", cwd=here)


class Server(ThreadingHTTPServer):
    """Repositories below `root`, for those who know `token` where there is one."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], root: Path, token: str | None = None) -> None:
        super().__init__(address, Handler)
        self.root = root
        self.token = token
        self.seen: list[str] = []  # request lines


class Handler(BaseHTTPRequestHandler):
    """One request handed to `git http-backend`, as CGI has it."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LONGEST:
            self.send_error(411)
            return
        self._serve(self.rfile.read(int(length)))

    def log_message(self, format: str, *args: object) -> None:
        self.server.seen.append(self.requestline)

    def _serve(self, body: bytes) -> None:
        if self.server.token is not None and not self._knows(self.server.token):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(self.server.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            },
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line]
        if not fields:
            said = done.stderr.decode(errors="replace").strip()
            print(f"{self.requestline}: git http-backend ended with {done.returncode}: {said}", file=sys.stderr)
        status = next((value for name, value in fields if name.lower() == "status"), "200 OK" if fields else "500")
        self.send_response(int(status.split()[0]))
        for name, value in fields:
            if name.lower() != "status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _knows(self, token: str) -> bool:
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        try:
            return kind == "Basic" and base64.b64decode(given).decode().partition(":")[2] == token
        except ValueError:
            return False


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--from", dest="content", type=Path)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--listen", default="0.0.0.0:80")
    parser.add_argument("--commit", metavar="NAME")
    parser.add_argument("--branch", default=BRANCH)
    options = parser.parse_args()
    if options.commit:
        try:
            print(commit(options.to / f"{options.commit}.git", sys.stdin.buffer.read(), options.branch))
        except RuntimeError as error:
            sys.exit(str(error))
        return
    options.to.mkdir(parents=True, exist_ok=True)
    for folder in sorted(options.content.iterdir()):
        make(folder, options.to / f"{folder.name}.git")
    host, port = options.listen.rsplit(":", 1)
    Server((host, int(port)), options.to).serve_forever()


if __name__ == "__main__":
    main()
