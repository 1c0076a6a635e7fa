"""Has this server's jobs for certificates run when the server that obtains one of theirs has a new one.

A proxy says by one word what it hands out in all (images/CertBot/certjob/proxy.py), and servers with the same
certificates say the same. So that server is asked for its word again and again, by plain http as everything between
proxies, and where it is not this server's own, the job takes what is newer. Which of them is newer is for the job to
say: it alone has the key. A word leads to one run. Who obtains them follows nobody, or one that is told to renew all
at each run would be started by what the others have taken, again and again.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from apiary_nodes import SwarmError, ask

LOOK_SECONDS = 15.0
ANSWER_SECONDS = 5.0
PORT = 80
SUM = "0" * 32  # what it is asked for by, and in the map of this server's own proxy
PATH = f"/.well-known/apiary-certificate/{SUM}"
MAP, PROXYS = "acme.map", "/etc/haproxy"
FIRST = "OBTAINED_BY="  # of the job's environment: domain -> address of the server that obtains its certificate
RESOURCE = "apiary.resource"  # the label of a stack's containers, `jobs.certbot`


def asked(address: str, domain: str) -> str | None:
    """The word of the proxy at an address, which serves the domain; None where none comes."""
    connection = http.client.HTTPConnection(address, PORT, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", PATH, headers={"Host": domain})
        answer = connection.getresponse()
        word = answer.read(100).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException):  # it is away, or just comes
        return None
    finally:
        connection.close()
    return word if answer.status == http.client.OK and re.fullmatch("[0-9a-f]{64}", word) else None


def jobs() -> Iterator[dict[str, Any]]:
    """What Docker says of each job that has ended, and may run again. Raises SwarmError, OSError."""
    wanted = quote(json.dumps({"label": [RESOURCE], "status": ["exited"]}))
    for one in ask("GET", f"/containers/json?all=1&filters={wanted}"):
        if str((one.get("Labels") or {}).get(RESOURCE)).startswith("jobs."):
            yield ask("GET", f"/containers/{one['Id']}/json")


def firsts(job: Mapping[str, Any]) -> dict[str, str]:
    """By address of a server that obtains what the job takes: a domain of it. Empty for a job of another kind."""
    found = [one.removeprefix(FIRST) for one in job["Config"].get("Env") or () if one.startswith(FIRST)]
    domains: dict[str, str] = json.loads(found[0]) if found else {}
    return {address: domain for domain, address in domains.items()}


def own(job: Mapping[str, Any]) -> str | None:
    """The word of this server's proxy; None while it hands nothing out."""
    for mount in job.get("Mounts") or ():
        if mount["Destination"].rstrip("/") == PROXYS:
            try:
                with open(os.path.join(mount["Source"], MAP), encoding="utf-8") as file:
                    words = [line.split() for line in file]
            except FileNotFoundError:
                return None
            return next((one[1] for one in words if one[:1] == [SUM]), None)
    return None


def look(tried: dict[str, set[tuple[str, str]]]) -> None:
    """Start whichever job may take something; `tried`, by job: words of others, with the address, that it ran for.

    Raises SwarmError, OSError where Docker does not answer.
    """
    for job in jobs():
        others, here = firsts(job), own(job)
        told = {(address, word) for address, domain in others.items() if (word := asked(address, domain))}
        new = {(address, word) for address, word in told if word != here} - tried.get(job["Id"], set())
        if new:
            ask("POST", f"/containers/{job['Id']}/start")
            tried[job["Id"]] = told
            print(
                f"started {job['Name'].lstrip('/')}: {', '.join(sorted(one for one, _ in new))} has another", flush=True
            )


def follow() -> None:
    """Look again and again; what goes wrong is said once."""
    tried: dict[str, set[tuple[str, str]]] = {}
    said = ""
    while True:
        try:
            look(tried)
        except (SwarmError, OSError, ValueError) as error:  # Docker is just starting, or stopped
            if str(error) != said:
                print(error, flush=True)
            said = str(error)
        time.sleep(LOOK_SECONDS)
