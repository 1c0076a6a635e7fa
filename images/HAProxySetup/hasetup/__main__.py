"""`python3 -m hasetup`: exits with 0 done, 1 not applied (what served serves on), 2 unusable input."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from hasetup import access
from hasetup.apply import ApplyError, Files, apply
from hasetup.config import render
from hasetup.domains import InputError, parse_container, parse_domains, parse_networks


def main(environment: Mapping[str, str], files: Files) -> int:
    """Run with these variables on this volume; messages go to stdout, errors to stderr."""
    try:
        domains = parse_domains(environment.get("DOMAINS"))
        proxy = parse_container("HAPROXY_CONTAINER", environment) or "haproxy"
        certbot = parse_container("CERTBOT_CONTAINER", environment)
        metrics_from = parse_networks(environment.get("METRICS_FROM", ""))
        logged = access.parse(environment)
    except InputError as error:
        print(f"hasetup: nothing was changed:\n{error}", file=sys.stderr)
        return 2
    for domain in domains:
        print(f"hasetup: {' and '.join(domain.names)} -> {domain.app}:{domain.port}")
    text = render(domains, certbot=certbot, metrics_from=metrics_from, access=logged)
    try:
        print(f"hasetup: {apply(text, files, proxy=proxy)}")
    except ApplyError as error:
        print(f"hasetup: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ, Files()))
