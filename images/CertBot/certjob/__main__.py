"""`python3 -m certjob`: exits with 0 done (see the summary), 1 somebody has to look, 2 unusable input."""

from __future__ import annotations

import datetime
import fcntl
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from certjob.account import AccountError
from certjob.authority import Authority, AuthorityError
from certjob.certificate import UTC
from certjob.failures import Failures
from certjob.proxy import Proxy
from certjob.run import Run
from certjob.settings import InputError, parse, slug

LOCK_SECONDS = 300.0


def main(environment: Mapping[str, str], home: Path = Path("/etc/letsencrypt")) -> int:
    """Run with these variables; messages go to stdout, what is wrong to stderr."""
    try:
        settings = parse(environment)
    except InputError as error:
        print(f"certbot: nothing was done:\n{error}", file=sys.stderr)
        return 2
    if not settings.domains:
        print("certbot: no site is served over https here; publish port 443 of the proxy: ports: [80, 443]")
        return 0
    folder = home / slug(settings.directory)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (home / "lock").open("a") as lock:
            if not _lock(lock.fileno()):
                print(f"certbot: another run holds {home}/lock; run this job when it is through", file=sys.stderr)
                return 1
            run = Run(
                settings,
                Proxy(settings.proxy),
                Authority(settings, folder),
                Failures(folder / "failures.json"),
                datetime.datetime.now(UTC),
            )
            return run.run()
    except (AuthorityError, AccountError) as error:
        print(f"certbot: FAILED: {error}", file=sys.stderr)
    except OSError as error:
        print(
            f"certbot: FAILED: {error}; are the volumes those of the head of images/CertBot/Dockerfile?",
            file=sys.stderr,
        )
    return 1


def _lock(file: int) -> bool:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(1)
        else:
            return True


if __name__ == "__main__":
    sys.exit(main(os.environ))
