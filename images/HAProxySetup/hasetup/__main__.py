"""`python3 -m hasetup [closing]`: exits with 0 done, 1 not applied (what served serves on), 2 unusable input.

With `closing` it reads its variables from standard input, as JSON, and only closes what they close (closing.py): before
the releases, after which it runs without. Who starts it in between, by hand or by the clock, opens nothing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping

from hasetup import access, certificates, made, passwords, redirects
from hasetup.apply import ApplyError, Checker, Files, apply, haproxy_check
from hasetup.certificates import Loader, Prepared
from hasetup.closing import closed
from hasetup.config import render
from hasetup.domains import Domain, InputError, parse_container, parse_domains, parse_hsts, parse_networks
from hasetup.pem import CertificateError

HELD = (
    "WARNING: an update has closed what it closes, and has not come to its end, by which it opens the rest: nothing is "
    "opened before; say pulumi up"
)


def main(
    environment: Mapping[str, str],
    files: Files,
    *,
    only_closing: bool = False,
    check: Checker = haproxy_check,
    loads: Loader = certificates.haproxy_loads,
) -> int:
    """Run with these variables on this volume; messages go to stdout, errors to stderr.

    `check` judges a whole configuration, `loads` what a listener for https is to load.
    """
    proxy = environment.get("HAPROXY_CONTAINER") or "haproxy"
    try:
        if only_closing:
            files.closed.touch()
            files.released.unlink(missing_ok=True)
        is_between = files.closed.exists() and not files.released.exists()
        if is_between and not only_closing:
            print(f"hasetup: {HELD}")
        done = _close(environment, files, check) if is_between else _set_up(environment, files, check, loads)
        print(f"hasetup: {done}")
    except InputError as error:
        print(f"hasetup: nothing was changed:\n{error}", file=sys.stderr)
        return 2
    except (ApplyError, CertificateError) as error:
        print(f"hasetup: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        remedy = f"it must be the volume that {proxy} has at /etc/haproxy"
        print(f"hasetup: cannot write to {files.root}: {error}; {remedy}", file=sys.stderr)
        return 1
    return 0


def _set_up(environment: Mapping[str, str], files: Files, check: Checker, loads: Loader) -> str:
    """What was done in the end. Raises InputError before anything is changed."""
    domains = parse_domains(environment.get("DOMAINS"))
    proxy = parse_container("HAPROXY_CONTAINER", environment) or "haproxy"
    metrics_from = parse_networks(environment.get("METRICS_FROM", ""))
    logged = access.parse(environment, len(os.sched_getaffinity(0)))
    hsts = parse_hsts(environment.get("HSTS", ""))
    secure = any(domain.tls for domain in domains)
    own = certificates.own_certificates(environment, files.certificates, loads) if secure else ()
    certificates.refuse_uncovered(domains, own)
    hashes = passwords.hashed(domains, environment.get(passwords.VARIABLE, ""))
    for domain in domains:
        scheme = "https" if domain.tls else "http"
        names = " and ".join(f"{name}{domain.below}" for name in domain.names)
        print(f"hasetup: {names} -> {leads_to(domain)}, {scheme}")
    prepared: Prepared | None = None
    if not files.maintenance_map.exists():  # else it is whose who has written it
        files.maintenance_map.touch()
    if secure:
        prepared = certificates.prepare(domains, own, files.certificates, loads)
        for note in prepared.notes:
            print(f"hasetup: {note}")
    crt_list = str(prepared.crt_list) if prepared else None
    text = render(domains, crt_list=crt_list, hsts=hsts, metrics_from=metrics_from, access=logged, passwords=hashes)
    done = apply(text, files, proxy=proxy, check=check, force=bool(prepared and prepared.replaced))
    if prepared:
        certificates.tidy(files.certificates, domains, prepared.crt_list)
    return done


def _close(environment: Mapping[str, str], files: Files, check: Checker) -> str:
    """The same for what closes alone."""
    domains = parse_domains(environment.get("DOMAINS"))
    metrics_from = parse_networks(environment.get("METRICS_FROM", ""))
    hashes = passwords.hashed(domains, environment.get(passwords.VARIABLE, ""))
    text = files.live.read_text() if files.live.exists() else ""
    serving = made.read(text)
    if serving is None:
        if "server-template" not in text:
            return "nothing to close: no sites are served yet"
        return "WARNING: what serves was written by another hasetup: what closes is closed after the releases this once"
    strict = closed(serving, made.Made(domains, metrics_from=metrics_from, passwords=hashes))
    if strict == serving:
        return "nothing to close"
    return f"closed before the releases: {apply(render(**vars(strict)), files, proxy='the proxy', check=check)}"


def leads_to(domain: Domain) -> str:
    """Whom a visitor of the domain meets, for the log."""
    return f"{domain.app}:{domain.port}" if domain.app else dict(domain.redirects)[redirects.WHOLE]


if __name__ == "__main__":
    closing = sys.argv[1:] == ["closing"]
    sys.exit(main(json.load(sys.stdin) if closing else os.environ, Files(), only_closing=closing))
