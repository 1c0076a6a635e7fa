"""One certificate asked of an ACME directory: ordered, proved by http, finalized, fetched (RFC 8555, 7.4).

By the library that certbot is made of, as Debian has it (acme 2) or newer. It waits as long as the authority says, and
else from a tenth of a second on; certbot and the library's own loops sleep for whole seconds (decision 123).
Leaves alone: accounts (account.py), what answers challenges (the proxy), where certificates are kept (authority.py).
"""

from __future__ import annotations

import base64
import datetime
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import josepy
import requests
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certjob.account import AGENT, Account
from certjob.failures import RefusedError

ANSWER_SECONDS = 45
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
# The library repeats a request once when its nonce is refused; that this happens twice in a row means nothing
# (RFC 8555, 6.5).
ATTEMPTS = 2
_PROBLEM = "urn:ietf:params:acme:error:"


class _Network(client.ClientNetwork):
    def post(self, *args: Any, **words: Any) -> requests.Response:  # noqa: ANN401 - the library's
        for _ in range(ATTEMPTS - 1):
            try:
                return super().post(*args, **words)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return super().post(*args, **words)


class _Finalize(josepy.JSONObjectWithFields):  # type: ignore[misc] # it has no types
    csr: str = josepy.field("csr")


class _Pauses:
    """The waits of one order; who asks for it ends them (limit.py)."""

    def __init__(self) -> None:
        self._next = FIRST_PAUSE

    def wait(self, answer: requests.Response) -> None:
        """As long as this answer asks for, or a little longer than the last time."""
        asked = client.ClientV2.retry_after(answer, 0) - datetime.datetime.now()
        time.sleep(max(self._next, asked.total_seconds()))
        self._next = min(LONGEST_PAUSE, self._next * 1.5)


def obtain(directory: str, account: Account, roots: Path, names: Sequence[str]) -> str:
    """PEM of a certificate for these names, with its chain and its key. Raises RefusedError."""
    try:
        network = _Network(
            account.key,
            account=account.registration,
            alg=account.algorithm,
            verify_ssl=str(roots),  # type: ignore[arg-type] # of requests, which takes a file of authorities too
            user_agent=AGENT,
            timeout=ANSWER_SECONDS,
        )
        asked = client.ClientV2(client.ClientV2.get_directory(directory, network), network)
        key, request = _request(names)
        return _ordered(asked, request, _Pauses()) + key
    except messages.Error as error:
        raise RefusedError(told(error), _kind(error)) from error
    except (errors.Error, josepy.errors.Error, requests.RequestException, ValueError, KeyError) as error:
        raise RefusedError(str(error) or repr(error), "") from error


def told(error: messages.Error) -> str:
    """What the authority said, in one line: of each name, where it said something of names."""
    parts = [
        f"{part.identifier.value}: {part.detail or part.typ} ({_kind(part)})"
        for part in error.subproblems or ()
        if part.identifier
    ]
    return " ".join(("; ".join(parts) or error.detail or error.description or str(error.typ)).split())


def _kind(error: messages.Error) -> str:
    return str(error.typ).removeprefix(_PROBLEM) if str(error.typ).startswith(_PROBLEM) else ""


def _request(names: Sequence[str]) -> tuple[str, bytes]:
    """(a new key, the request for its certificate), both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(subject, critical=False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode(), builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _ordered(asked: client.ClientV2, request: bytes, pauses: _Pauses) -> str:
    order = asked.new_order(request)
    _prove(asked, order.authorizations, pauses)
    for body, answer in _asked_again(asked, order.uri):
        if body.status not in (messages.STATUS_PENDING, messages.STATUS_PROCESSING):
            break
        pauses.wait(answer)
    if body.status == messages.STATUS_READY:
        der = x509.load_pem_x509_csr(request).public_bytes(serialization.Encoding.DER)
        text = base64.urlsafe_b64encode(der).decode().rstrip("=")
        _post(asked, order.body.finalize, _Finalize(csr=text))
    for body, answer in _asked_again(asked, order.uri):
        if body.status not in (messages.STATUS_READY, messages.STATUS_PROCESSING):
            break
        pauses.wait(answer)
    if body.status == messages.STATUS_VALID and body.certificate:
        return _post(asked, body.certificate, None).text
    raise body.error or RefusedError(f"the authority ended the order as {body.status.name}", "")


def _prove(asked: client.ClientV2, all_of_it: Sequence[messages.AuthorizationResource], pauses: _Pauses) -> None:
    """Have every name looked at. Raises RefusedError with what was wrong with each."""
    for one in all_of_it:
        if one.body.status != messages.STATUS_PENDING:
            continue
        by_http = [found for found in one.body.challenges if isinstance(found.chall, challenges.HTTP01)]
        if not by_http:
            raise RefusedError(f"{one.body.identifier.value}: the authority does not take a proof by http", "")
        asked.answer_challenge(by_http[0], by_http[0].response(asked.net.key))
    wrong: list[tuple[str, messages.Error | None]] = []
    for one in all_of_it:
        while True:
            seen, answer = asked.poll(one)
            if seen.body.status != messages.STATUS_PENDING:
                break
            pauses.wait(answer)
        if seen.body.status != messages.STATUS_VALID:
            said = [found.error for found in seen.body.challenges if found.error]
            wrong.append((one.body.identifier.value, said[0] if said else None))
    if wrong:
        reasons = [
            f"{name}: {told(error)} ({_kind(error)})" if error else f"{name}: refused, without a reason"
            for name, error in wrong
        ]
        raise RefusedError("; ".join(reasons), next((_kind(error) for _, error in wrong if error), ""))


def _asked_again(asked: client.ClientV2, url: str) -> Iterator[tuple[messages.Order, requests.Response]]:
    while True:
        answer = _post(asked, url, None)
        yield messages.Order.from_json(answer.json()), answer


def _post(asked: client.ClientV2, url: str, what: josepy.JSONDeSerializable | None) -> requests.Response:
    """POST; with nothing it is the protocol's GET (RFC 8555, 6.3)."""
    return asked.net.post(url, what, new_nonce_url=asked.directory["newNonce"])
