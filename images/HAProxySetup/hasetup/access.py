"""How requests are logged: what a line says, where it goes, and how much of the visitor's address it shows.

A line is the combined format with the host in front, then what only the proxy knows: backend/server, the
milliseconds of queue/connect/response/total, how it ended. Values that visitors choose are cut to a length and
escaped as JSON strings, so that a line is one line and a quote ends a value.

With a collector (images/AccessLog) the lines go into a pipe in the shared volume that the proxy opens at its
start, and standard output keeps the proxy's own messages. A pipe holds what is in it while either side
restarts or reloads, and nobody waits for its reader: when it is full, lines are dropped and counted
(`haproxy_process_dropped_logs_total`), requests are not held up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hasetup.domains import Domain, InputError, parse_container

# The proxy sets it to the pipe it has opened. Without it a configuration that needs the pipe is not valid,
# rather than written to whatever has that number.
TARGET = "APIARY_ACCESS_LOG"
# A write of up to 4096 bytes into a pipe is whole or not at all.
_LENGTH = 4096
_ESCAPED = r"json(utf8s),regsub(\\\\/,/,g)"  # json writes / as \/
# IPv4 without its last octet, IPv6 without all but the provider's own /48.
_MASKED = "%[src,ipmask(24,48)]"


@dataclass(frozen=True)
class Access:
    """What the stack file says of the access log."""

    collected: bool = False  # by a container that reads the pipe
    anonymous: bool = False
    threads: int | None = None  # of the proxy; None is one with a collector, and one a processor without

    def globals(self) -> list[str]:
        """Lines of the section `global`: where the proxy's own messages go, and how many threads write lines."""
        lines = [f"    log stdout len {_LENGTH} format raw local0 {'notice' if self.collected else 'info'}"]
        if threads := self.threads or (1 if self.collected else None):
            # A thread that meets another one at the pipe tries 200 times, then drops its line.
            lines.append(f"    nbthread {threads}")
        return lines

    def rules(self, domains: Sequence[Domain]) -> list[str]:
        """The lines of a frontend, after its `served` and txn.host."""
        client = _MASKED if self.anonymous else "%ci"
        mark, nowhere = ("@%[var(txn.site)] ", "@- ") if self.collected else ("", "")
        why = "%[fc_err_str,regsub(^Success$,-)]"
        return [
            *(self._collection(domains) if self.collected else []),
            f"    log-format '{mark}{_line(client)}'",
            "    # What never became a request, a failed handshake for instance.",
            f"""    error-log-format '{nowhere}- {client} - - [%T] "-" %ST %B "-" "-" %ft {why}'""",
        ]

    def _collection(self, domains: Sequence[Domain]) -> list[str]:
        return [
            "    no log",
            f'    log "${{{TARGET}}}" len {_LENGTH} format raw local0 info',
            "    # Whose file a request belongs to; a name that is not served has none of its own.",
            "    http-request set-var(txn.site) var(txn.host) if served",
            *_bare_names(domains),
        ]


def parse(environment: Mapping[str, str]) -> Access:
    """From ACCESS_LOG (the collector's host name), ANONYMIZE (true or false), THREADS. Raises InputError."""
    switch, count = environment.get("ANONYMIZE", "").strip(), environment.get("THREADS", "").strip()
    if switch not in {"", "true", "false"}:
        raise InputError(f"ANONYMIZE: {switch!r} is neither true nor false")
    if count and not (count.isascii() and count.isdigit() and 1 <= int(count[:9]) <= 64):
        raise InputError(f"THREADS: {count!r} is not a whole number from 1 to 64")
    collected = parse_container("ACCESS_LOG", environment) is not None
    return Access(collected, switch == "true", int(count) if count else None)


def _line(client: str) -> str:
    def chosen(value: str, most: int | None = None) -> str:
        return f"%[{value},{f'bytes(0,{most}),' if most else ''}{_ESCAPED}]"

    return (
        f"{chosen('var(txn.host)', 255)} {client} - - [%T]"
        f' "{chosen("method", 32)} {chosen("var(txn.uri)", 2048)} %HV" %ST %B'
        f' "{chosen("capture.req.hdr(0)")}" "{chosen("capture.req.hdr(1)")}" %b/%s %Tw/%Tc/%Tr/%Ta %ts'
    )


def _bare_names(domains: Sequence[Domain]) -> Iterable[str]:
    """www is a redirect to its domain, and belongs to it."""
    names = [f"www.{domain.name}" for domain in domains if domain.www]
    # HAProxy reads at most 64 words a line.
    for at in range(0, len(names), 8):
        listed = " ".join(names[at : at + 8])
        one_of = f"{{ var(txn.host) -m str {listed} }}"
        yield f"    http-request set-var(txn.site) var(txn.host),regsub(^www\\.,) if {one_of}"
