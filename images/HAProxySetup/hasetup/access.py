"""How requests are logged: what a line says, where it goes, and how much of the visitor's address it shows.

A line is the combined format with the host in front, then what only the proxy knows: backend/server, the
milliseconds of queue/connect/response/total, how it ended. Values that visitors choose are cut to a length and
escaped as JSON strings, so that a line is one line and a quote ends a value.

With a collector (images/AccessLog) the lines go into a pipe in the shared volume that the proxy opens at its
start, and standard output keeps the proxy's own messages. A pipe holds what is in it while either side
restarts or reloads, and nobody waits for its reader: when it is full, lines are dropped and counted
(`haproxy_process_dropped_logs_total`), requests are not held up.

Two threads that meet at one file descriptor drop a line, whatever it leads to: HAProxy tries 200 times and gives up.
So each thread has frontends of its own, whose listeners no other one serves, and a descriptor of its own of the one
pipe. There the kernel has them take turns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hasetup import routes
from hasetup.domains import Domain, InputError, parse_container

# The proxy sets it to the pipe it has opened, and `..._2` and so on for further threads. Without it a configuration
# that needs the pipe is not valid, rather than written to whatever has that number.
TARGET = "APIARY_ACCESS_LOG"
MOST_THREADS = 64
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
    threads: int | None = None  # of the proxy; None leaves it to HAProxy: one a processor

    @property
    def ways(self) -> range:
        """Numbers of the threads that have frontends of their own; one for all of them where nobody collects."""
        return range(1, (self.threads or 1) + 1 if self.collected else 2)

    def globals(self) -> list[str]:
        """Lines of the section `global`: where the proxy's own messages go, and how many threads write lines."""
        lines = [f"    log stdout len {_LENGTH} format raw local0 {'notice' if self.collected else 'info'}"]
        if threads := self.threads or (1 if self.collected else None):
            lines.append(f"    nbthread {threads}")
        return lines

    def frontend(self, scheme: str, way: int) -> str:
        """What the frontend of a thread is called: as its scheme, for the first."""
        return scheme if way == 1 else f"{scheme}-{way}"

    def served_by(self, way: int) -> str:
        """The end of a frontend's `bind`: which thread takes its connections, and keeps them."""
        return f" thread {way}" if len(self.ways) > 1 else ""

    def rules(self, domains: Sequence[Domain], way: int) -> list[str]:
        """The lines of a frontend, after its `served` and txn.host."""
        client = _MASKED if self.anonymous else "%ci"
        mark, nowhere = ("@%[var(txn.site)] ", "@- ") if self.collected else ("", "")
        why = "%[fc_err_str,regsub(^Success$,-)]"
        return [
            *(self._collection(domains, way) if self.collected else []),
            f"    log-format '{mark}{_line(client)}'",
            "    # What never became a request, a failed handshake for instance.",
            f"""    error-log-format '{nowhere}- {client} - - [%T] "-" %ST %B "-" "-" %ft {why}'""",
        ]

    def _collection(self, domains: Sequence[Domain], way: int) -> list[str]:
        return [
            "    no log",
            f'    log "${{{target(way)}}}" len {_LENGTH} format raw local0 info',
            "    # Whose file a request belongs to; a name that is not served has none of its own.",
            "    http-request set-var(txn.site) var(txn.host) if served",
            *_elsewhere(domains),
        ]


def target(way: int) -> str:
    """The variable that leads a thread to the pipe."""
    return TARGET if way == 1 else f"{TARGET}_{way}"


def parse(environment: Mapping[str, str], processors: int = 1) -> Access:
    """From ACCESS_LOG (the collector's host name), ANONYMIZE (true or false), THREADS. Raises InputError.

    With a collector the proxy has one thread for each of the server's `processors` where nothing else is asked for.
    """
    switch, count = environment.get("ANONYMIZE", "").strip(), environment.get("THREADS", "").strip()
    if switch not in {"", "true", "false"}:
        raise InputError(f"ANONYMIZE: {switch!r} is neither true nor false")
    if count and not (count.isascii() and count.isdigit() and 1 <= int(count[:9]) <= MOST_THREADS):
        raise InputError(f"THREADS: {count!r} is not a whole number from 1 to {MOST_THREADS}")
    collected = parse_container("ACCESS_LOG", environment) is not None
    own = min(processors, MOST_THREADS) if collected else None
    return Access(collected, switch == "true", int(count) if count else own)


def _line(client: str) -> str:
    def chosen(value: str, most: int | None = None) -> str:
        return f"%[{value},{f'bytes(0,{most}),' if most else ''}{_ESCAPED}]"

    return (
        f"{chosen('var(txn.host)', 255)} {client} - - [%T]"
        f' "{chosen("method", 32)} {chosen("var(txn.uri)", 2048)} %HV" %ST %B'
        f' "{chosen("capture.req.hdr(0)")}" "{chosen("capture.req.hdr(1)")}" %b/%s %Tw/%Tc/%Tr/%Ta %ts'
    )


def _elsewhere(domains: Sequence[Domain]) -> Iterable[str]:
    """www is a redirect to its domain, and belongs to it; all names below a domain have one file together."""
    for condition in routes.are(f"www.{domain.name}" for domain in domains if domain.www):
        yield f"    http-request set-var(txn.site) var(txn.host),regsub(^www\\.,) if {{ {condition} }}"
    wildcards = sorted({domain.name for domain in domains if domain.is_wildcard})
    if wildcards:
        yield from routes.acl("named", [name for name in routes.names_of(domains) if name not in wildcards])
        yield "    acl named always_false"
    for name in wildcards:
        [condition] = routes.are([name])
        yield f"    http-request set-var(txn.site) str(_{name[1:]}) if {{ {condition} }} !named"
