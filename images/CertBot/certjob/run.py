"""One run: what is wanted, what is due, what can't be had yet; each domain by itself.

A domain whose certificate can't be obtained is told and left for the next run, and blocks no other. The run fails
(status 1) when nothing can work at all, when a certificate that sites depend on comes near its end and can't be
renewed, or, with STRICT, when any domain is without one. Where a name leads to several servers, one of them obtains
its certificate, and the others take it from there (others.py); whoever finds none in time obtains one itself.
"""

from __future__ import annotations

import datetime
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from certjob import certificate
from certjob.account import thumbprint_of
from certjob.authority import Authority, AuthorityError
from certjob.certificate import Certificate
from certjob.failures import Failures, RefusedError
from certjob.others import Closed, Others
from certjob.proxy import POLL, WAITS, Proxy, ProxyError
from certjob.report import Report
from certjob.settings import Settings

# A record that has just been made may take a moment to reach the name servers.
DNS_SECONDS = 30.0
# The proxy may be just about to reload.
PROXY_SECONDS = 30.0
OWN_WARNING = datetime.timedelta(days=14)
# Another server may be just about to obtain it; for each that comes, as long again.
OTHERS_SECONDS = 90.0

Resolver = Callable[[str], bool]


def resolves(name: str) -> bool:
    """Whether a name has an address."""
    try:
        return bool(socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError):
        return False


@dataclass
class Run:
    """A run with everything it works on."""

    settings: Settings
    proxy: Proxy
    authority: Authority
    failures: Failures
    now: datetime.datetime
    resolver: Resolver = resolves
    dns_seconds: float = DNS_SECONDS
    proxy_seconds: float = PROXY_SECONDS
    others_seconds: float = OTHERS_SECONDS
    report: Report = field(default_factory=Report)
    others: Others | None = None  # of a name's servers, where it has several

    def run(self) -> int:
        """Exit status. Raises AuthorityError when nothing can be had at all."""
        if self.settings.account_key:
            # Also where nothing is due: other servers of a name may ask for a certificate now.
            self._ready()
            self.proxy.learn(thumbprint_of(self.settings.account_key))
            closed = Closed.by(self.settings.account_key, self.settings.directory)
            self.others = Others(closed, self.proxy)
            self.others.hand_only(iter(self.settings.peers))
        elif self.proxy.hands():  # no name of its own leads to another server any more
            self.proxy.hand_only(())
        own = self.proxy.own()
        due: dict[str, tuple[tuple[str, ...], str]] = {}
        for domain, names in self.settings.domains.items():
            rest = tuple(name for name in names if name not in own)
            if rest != names:
                self._own(domain, [own[name] for name in names if name in own])
            if rest and (reason := self._due(domain, rest)):
                due[domain] = (rest, reason)
        wanted = self._with_address(self._not_taken(due))
        if wanted:
            thumbprint = self._prepare()
            silent = self.proxy.answers(
                {name: None for names in wanted.values() for name in names}, thumbprint, self.proxy_seconds
            )
            elsewhere = self._silent_elsewhere(wanted, thumbprint)
            for domain, names in wanted.items():
                if wrong := next((f"{name}: {silent[name]}" for name in names if name in silent), None):
                    self._refused(
                        domain,
                        f"the proxy does not answer its challenge ({wrong}); run hasetup with this domain first",
                    )
                elif wrong := elsewhere.get(domain):
                    self._refused(
                        domain,
                        f"the authority may ask another server that it leads to, and {wrong}; bring that one back, or "
                        "take its records out",
                        pause=False,
                    )
                else:
                    self._obtain(domain, names)
        return self.report.status(self.settings.strict)

    def _silent_elsewhere(self, wanted: Mapping[str, tuple[str, ...]], thumbprint: str) -> dict[str, str]:
        """Domain -> which of its other servers does not answer for the same account, of those of which one does not."""
        asked: dict[str, dict[str, str]] = {}
        for domain in wanted:
            for address in self.settings.peers.get(domain, ()):
                asked.setdefault(address, {})[domain] = domain
        found: dict[str, str] = {}
        for address, domains in asked.items():
            silent = self.proxy.at(address).answers(domains, thumbprint, self.proxy_seconds)
            found |= {domain: f"{address} does not answer it: {said}" for domain, said in silent.items()}
        return found

    def _own(self, domain: str, known: Iterable[Certificate | None]) -> None:
        """A certificate of the stack file is nobody's to renew but its owner's: tell in time."""
        ends = min((one.ends for one in known if one is not None), default=None)
        if ends is not None and ends - self.now <= OWN_WARNING:
            self.report.bad(domain, f"the stack file's own certificate ends on {ends:%Y-%m-%d}", at_risk=True)
        else:
            self.report.good(domain, "served with the stack file's own certificate")

    def _known(self, domain: str) -> Certificate | None:
        pem = self.authority.pem(domain)
        return certificate.read(pem) if pem else None

    def _due(self, domain: str, names: tuple[str, ...]) -> str | None:
        """Why another certificate is wanted; None when there is a good one, which is served then."""
        known = self._known(domain)
        reason = self._why(domain, names, known)
        if known is not None and reason is None and not self._has_newer(domain, names, known):
            self.failures.clear(domain)
            self._serve(domain, names, known, "")
        return reason

    def _has_newer(self, domain: str, names: tuple[str, ...], known: Certificate) -> bool:
        """Whether the server that obtains it has renewed it, before it was due here too: a key that got out, say."""
        first = self.settings.obtained_by.get(domain)
        return bool(self.others and first and self._take(self.others, domain, names, (first,), known))

    def _why(self, domain: str, names: tuple[str, ...], known: Certificate | None) -> str | None:
        """Why this one will not do; None when it will."""
        reason = certificate.why(known, names, self.now, self.settings.renew_days)
        if known and self._lacks_what_has_no_address(domain, names, known):
            return None  # that is how it was made
        return reason

    def _lacks_what_has_no_address(self, domain: str, names: tuple[str, ...], known: Certificate) -> bool:
        if certificate.renewal_due(known, self.now, self.settings.renew_days) or domain not in known.names:
            return False
        return not any(self.resolver(name) for name in names if name not in known.names)

    def _not_taken(self, due: dict[str, tuple[tuple[str, ...], str]]) -> dict[str, tuple[tuple[str, ...], str]]:
        """What is to be obtained here all the same, once its domain's other servers were asked for theirs.

        Where another one is to obtain it, it is waited for as long as there is none to serve; and a good one that is
        to be renewed is left to that server at first.
        """
        rest, first = dict(due), self.settings.obtained_by
        deadline = time.monotonic() + self.others_seconds
        while self.others:
            for domain, (names, _) in list(rest.items()):
                if self._take(self.others, domain, names, self.settings.peers.get(domain, ())):
                    del rest[domain]
                    deadline = time.monotonic() + self.others_seconds
            wanting = [domain for domain, (names, _) in rest.items() if not self._may_wait(domain, names)]
            coming = any(first.get(domain, "") not in {"", *self.others.silent} for domain in wanting)
            if not coming or time.monotonic() >= deadline:
                break
            time.sleep(POLL)
        for domain, (names, _) in list(rest.items()):
            known = self._known(domain)
            if domain in first and known and self._may_wait(domain, names):
                del rest[domain]
                self._serve(domain, names, known, f"to be renewed by {first[domain]}: ")
        return rest

    def _take(
        self,
        others: Others,
        domain: str,
        names: tuple[str, ...],
        addresses: tuple[str, ...],
        own: Certificate | None = None,
    ) -> bool:
        """Whether a server at one of `addresses` has a good one, begun later than `own`, which is served then."""
        for pem in others.have(domain, addresses):
            known = certificate.read(pem)
            if known and self._why(domain, names, known) is None and (own is None or known.starts > own.starts):
                self.authority.keep(domain, pem)
                self.failures.clear(domain)
                self._serve(domain, names, known, "taken from another server: ")
                return True
        return False

    def _may_wait(self, domain: str, names: tuple[str, ...]) -> bool:
        """Whether there is one that does for all its names, and is not long due."""
        known = self._known(domain)
        return (
            known is not None
            and set(names) <= known.names
            and not certificate.overdue(known, self.now, self.settings.renew_days)
        )

    def _serve(self, domain: str, names: Sequence[str], known: Certificate, news: str) -> None:
        """`names`: those that are its own to serve; others of the domain the stack file may have a certificate for."""
        pem = self.authority.pem(domain)
        asked = next((name for name in names if name in known.names), domain)
        try:
            done = self.proxy.install(domain, pem or "", asked, self.proxy_seconds)
        except (ProxyError, OSError) as error:
            self.report.bad(domain, f"not live yet: {error}; run hasetup", at_risk=True)
            return
        if self.others and pem and self.settings.peers.get(domain):
            self.others.hand(domain, pem)
        told = f"{news}{done if done == WAITS else ''}" if news else done
        self.report.good(
            domain, f"{told}{', '.join(sorted(known.names))} by {known.issuer}, until {known.ends:%Y-%m-%d}"
        )

    def _with_address(self, due: dict[str, tuple[tuple[str, ...], str]]) -> dict[str, tuple[str, ...]]:
        """The names that an authority could reach at all, of domains that may be tried now."""
        found: dict[str, tuple[str, ...]] = {}
        for domain in list(due):
            failure = self.failures.of(domain)
            if failure and (until := failure.waits(self.now)):
                text = f"{failure.reason}; to be tried again after {until:%Y-%m-%d %H:%M} UTC"
                self.report.bad(domain, text, at_risk=self._is_at_risk(domain))
            else:
                found[domain] = ()
        deadline = time.monotonic() + self.dns_seconds
        absent = {domain for domain in found if not self.resolver(domain)}
        # Only for what is new: a name that was missing before is not waited for.
        while any(self.failures.of(domain) is None for domain in absent) and time.monotonic() < deadline:
            time.sleep(1)
            absent = {domain for domain in absent if not self.resolver(domain)}
        for domain in list(found):
            if domain in absent:
                del found[domain]
                self._refused(domain, "has no address in DNS; is its zone delegated to your name servers?", pause=False)
                continue
            found[domain] = tuple(name for name in due[domain][0] if name == domain or self.resolver(name))
            for name in set(due[domain][0]) - set(found[domain]):
                print(f"certbot: {domain}: {name} has no address in DNS and is left out", file=sys.stderr)
        return {domain: names for domain, names in found.items() if names}

    def _ready(self) -> None:
        if not self.proxy.ready():
            raise AuthorityError(
                f"the proxy {self.proxy.host} has never run on this volume; mount the one that it has at /etc/haproxy"
            )

    def _prepare(self) -> str:
        self._ready()
        self.authority.check()
        thumbprint = self.authority.account()
        self.proxy.learn(thumbprint)
        return thumbprint

    def _obtain(self, domain: str, names: tuple[str, ...]) -> None:
        known = self._known(domain)
        try:
            fresh = self._ask(domain, names)
        except RefusedError as error:
            self._refused(domain, str(error), kind=error.kind)
            return
        self.failures.clear(domain)
        self._serve(domain, names, fresh, "renewed: " if known else "obtained: ")

    def _ask(self, domain: str, names: tuple[str, ...]) -> Certificate:
        try:
            return self.authority.obtain(domain, names)
        except RefusedError as error:
            if error.kind != "accountDoesNotExist":
                raise
            # An authority that has forgotten us is asked as if for the first time, once.
            self.authority.forget_account()
            thumbprint = self._prepare()
            self.proxy.answers(dict.fromkeys(names), thumbprint, self.proxy_seconds)
            return self.authority.obtain(domain, names)

    def _refused(self, domain: str, reason: str, kind: str = "", *, pause: bool = True) -> None:
        failure = self.failures.add(domain, reason, kind, self.now, pause=pause)
        until = failure.waits(self.now)
        text = f"{reason}; to be tried again after {until:%Y-%m-%d %H:%M} UTC" if until else reason
        self.report.bad(domain, text, at_risk=self._is_at_risk(domain))

    def _is_at_risk(self, domain: str) -> bool:
        known = self._known(domain)
        if known is None:
            return False
        return certificate.at_risk(known, self.now)
