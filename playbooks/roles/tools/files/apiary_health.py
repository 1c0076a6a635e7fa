"""What healthy means for an application that serves domains, for apiary-await and apiary-verdict alike.

One rule, the proxy's (images/HAProxySetup/hasetup/config.py): a GET of `path` answers with a status that counts. Here
is its text read, asked of a container itself and of the proxy, and told to a person. Standard library only.
"""

from __future__ import annotations

import http.client
import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apiary_proxy import addresses

AGENT = "apiary-health"  # as the proxy calls itself in its own checks
ANSWER_SECONDS = 5.0  # as long as the proxy waits for a check
STATE = "Apiary-State"  # of an answer that is the proxy's own (images/HAProxySetup/hasetup/refused.lua)
NOWHERE = "nowhere"  # where it leads to no application
REASON_LENGTH = 200


@dataclass(frozen=True)
class Rule:
    """How an application says that it is healthy."""

    port: int  # of the container
    path: str
    status: str  # which count: `200-399,401`
    host: str  # the domain that is asked for

    def counts(self, status: int) -> bool:
        """Whether a status is a healthy one."""
        ends = [part.partition("-") for part in self.status.split(",")]
        return any(int(first) <= status <= int(last or first) for first, _, last in ends)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    location: str  # where a redirect leads to, else ""
    is_proxys: bool = False  # said by the proxy, of what it leads nowhere


class NoAnswerError(Exception):
    """Nothing came back; str() says why, in one line."""


def ask(address: str, port: int, path: str, host: str, *, tls: bool = False) -> Answer:
    """GET `path` of `host` at an address, whatever certificate it has. Raises NoAnswerError."""
    connection = http.client.HTTPConnection(address, port, timeout=ANSWER_SECONDS)
    try:
        connection.connect()
        if tls:
            # Whether the certificate is the right one is what the job that gets them says.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
        connection.request("GET", path, headers={"Host": host, "User-Agent": AGENT, "Connection": "close"})
        answer = connection.getresponse()
        return Answer(answer.status, answer.getheader("Location", ""), answer.getheader(STATE) == NOWHERE)
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswerError(f"{type(error).__name__}: {error}"[:REASON_LENGTH]) from None
    finally:
        connection.close()


@dataclass(frozen=True)
class Fault:
    """Why an application is not healthy."""

    said: str
    by_status: bool = False  # it answers, with a status that doesn't count


def itself(container: Mapping[str, Any], rule: Rule) -> Fault | None:
    """None when the container, asked at one of its own addresses, is healthy; else what came instead."""
    fault = Fault(f"it has no address to ask on port {rule.port}")
    for address in addresses(dict(container)):
        shown = f"GET {url('http', address, rule.port, rule.path)}"
        try:
            status = ask(address, rule.port, rule.path, rule.host).status
        except NoAnswerError as error:
            # What a status says is worth more: many listen on one family alone.
            fault = fault if fault.by_status else Fault(f"{shown} got no answer ({error})")
            continue
        if rule.counts(status):
            return None
        fault = Fault(f'{shown} answered {status} (health.path "{rule.path}")', by_status=True)
    return fault


def url(scheme: str, host: str, port: int, path: str) -> str:
    """As a person would type it, without the scheme's own port."""
    try:
        shown = f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        shown = host
    return f"{scheme}://{shown}{'' if port == {'http': 80, 'https': 443}[scheme] else f':{port}'}{path}"


def remedy(rule: Rule) -> str:
    """What the owner of a rule writes when the application answers, and not by it."""
    return f"Set health.path to a path that answers {rule.status}, or name the statuses that count in health.status"


def own_name(container: Mapping[str, Any]) -> str:
    """`applications.NAME`, as the stack file has it; the container's id for one of another hand."""
    labels = (container.get("Config") or {}).get("Labels") or {}
    return str(labels.get("apiary.resource") or str(container.get("Id", ""))[:12])
