"""Which certificate is for which name, and that the proxy can load each: files in, a list for the proxy out.

Makes, in `certs/` of the volume shared with the proxy and the ACME client:

    DOMAIN.pem     key and chain of a domain and its www; self-signed until the ACME client puts its own there
    own/HASH.pem   a certificate of the stack file, which wins for every name that it covers
    HASH.list      HAProxy's crt-list: which file is for which names

What a configuration names never changes under it but for DOMAIN.pem: the last good configuration stays good.
A file that the proxy can't load is kept as DOMAIN.pem.broken and replaced by a self-signed one. Leaves alone:
obtaining certificates.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hasetup.domains import Domain, InputError
from hasetup.files import PRIVATE, write
from hasetup.pem import Certificate, inspect, run, self_signed

PREFIX = "CERTIFICATE_"
HAPROXY_SECONDS = 60

# Takes the arguments of `bind ... ssl`, returns None when the proxy can load what they name, else its complaint.
Loader = Callable[[str], str | None]


@dataclass(frozen=True)
class Own:
    """A certificate of the stack file."""

    variable: str
    pem: str
    certificate: Certificate


@dataclass(frozen=True)
class Prepared:
    """Certificates that are ready to be served."""

    crt_list: Path
    notes: tuple[str, ...]  # for the log: who has which, and what was wrong
    replaced: bool  # whether a file has changed that the running proxy may have loaded


def haproxy_loads(arguments: str) -> str | None:
    """What HAProxy itself says of `bind ... ssl ARGUMENTS`."""
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(
            "defaults\n    mode http\n    timeout client 1s\nfrontend check\n"
            f"    bind 127.0.0.1:1 ssl {arguments} strict-sni\n    http-request deny\n"
        )
        file.flush()
        done = run(["haproxy", "-c", "-f", file.name], "", HAPROXY_SECONDS)
    if done.returncode == 0:
        return None
    said = [line for line in (done.stderr + done.stdout).splitlines() if line.startswith("[ALERT]")]
    return said[0].split("' : ")[-1].rstrip(". ") if said else "haproxy -c says no more than that it can't"


def own_certificates(environment: Mapping[str, str], folder: Path, loads: Loader = haproxy_loads) -> tuple[Own, ...]:
    """The certificates in CERTIFICATE_* variables, the longest valid first. Raises InputError with all errors."""
    found: list[Own] = []
    errors: list[str] = []
    for variable in sorted(name for name in environment if name.startswith(PREFIX)):
        pem = environment[variable].strip() + "\n"
        certificate = inspect(pem)
        if certificate is None:
            errors.append(f"{variable}: holds no certificate; give it the certificate, its chain and its key, as PEM")
        elif not certificate.names:
            errors.append(f"{variable}: its certificate names no host (no subjectAltName)")
        elif (complaint := _loads_text(pem, folder, loads)) is not None:
            errors.append(
                f"{variable}: the proxy can't load it: {complaint}; give it the certificate first, its chain, "
                "and the key that belongs to it, without a password"
            )
        else:
            found.append(Own(variable, pem, certificate))
    if errors:
        raise InputError("\n".join(errors))
    return tuple(sorted(found, key=lambda own: own.certificate.expires, reverse=True))


def refuse_uncovered(domains: Sequence[Domain], own: Sequence[Own]) -> None:
    """Raises InputError for names below a domain that no certificate of the stack file covers."""
    for domain in domains:
        if domain.is_wildcard and domain.tls and not any(one.certificate.covers(domain.name) for one in own):
            raise InputError(
                f"DOMAINS[{domain.name!r}]: no authority gives a certificate for all names below a domain over http; "
                f"give your own one, for {domain.name}, as a secret in this job's env: "
                "certificate_NAME: _secrets^SECRET"
            )


def prepare(domains: Sequence[Domain], own: Sequence[Own], folder: Path, loads: Loader = haproxy_loads) -> Prepared:
    """A list for the domains that are served over https, with every file in it there and fit to be loaded."""
    secure = [domain for domain in domains if domain.tls]
    _make_folder(folder)
    with locked(folder):
        lines, notes, replaced = _with_own(secure, own, folder)
        # Of one whose every name the stack file has a certificate for, it is kept for the day when that goes.
        managed = {folder / f"{domain.name}.pem": domain.names for domain in secure if not domain.is_wildcard}
        managed |= {path: tuple(names) for path, names in lines.items() if path in managed}
        said: dict[Path, str] = {}
        for path, names in managed.items():
            news, said[path] = _mend(path, names, None)
            replaced |= news
        crt_list = _write_list(folder, lines)
        # The proxy's own word is asked once for all, and for each only when something is wrong.
        if loads(f"crt-list {crt_list}") is not None:
            for path, names in managed.items():
                if (complaint := loads(f"crt {path}")) is not None:
                    news, said[path] = _mend(path, names, complaint)
                    replaced |= news
    return Prepared(crt_list, (*notes, *(said[path] for path in managed if path in lines)), replaced)


def tidy(folder: Path, domains: Sequence[Domain], crt_list: Path) -> None:
    """Remove lists and certificates that no configuration names any more; call it when the new one is live."""
    with locked(folder):
        listed = crt_list.read_text()
        managed = {f"{domain.name}.pem{end}" for domain in domains if domain.tls for end in ("", ".broken")}
        for path in [*folder.glob("*.pem*"), *folder.glob("*.list"), *folder.glob("own/*.pem")]:
            if path.name not in managed and path != crt_list and f"{path} " not in listed:
                path.unlink()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One writer at a time: the ACME client and the start of the proxy take this lock too, for milliseconds."""
    with (folder / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make_folder(folder: Path) -> None:
    for made in (folder, folder / "own"):
        made.mkdir(exist_ok=True)
        made.chmod(0o700)


def _with_own(
    secure: Iterable[Domain], own: Sequence[Own], folder: Path
) -> tuple[dict[Path, list[str]], list[str], bool]:
    """File -> names: the stack file's own where one covers the name, the domain's for the rest.

    Besides, lines for the log, and whether a file was on the disk with another content.
    """
    lines: dict[Path, list[str]] = {}
    notes: list[str] = []
    replaced = False
    used: set[str] = set()
    for domain in {domain.name: domain for domain in secure}.values():
        for name in domain.names:
            mine = [one for one in own if one.certificate.covers(name)]
            valid = next((one for one in mine if not one.certificate.has_expired()), None)
            if domain.is_wildcard:
                # One that has expired is better than one that nobody has ever trusted: there will be no other.
                valid = valid or mine[0]
            if valid is None:
                lines.setdefault(folder / f"{domain.name}.pem", []).append(name)
                continue
            path = folder / "own" / f"{hashlib.sha256(valid.pem.encode()).hexdigest()[:12]}.pem"
            if path not in lines:
                replaced |= path.exists() and path.read_text(errors="replace") != valid.pem
                write(path, valid.pem, PRIVATE)
            lines.setdefault(path, []).append(name)
            used.add(valid.variable)
            notes.append(f"{name}: {valid.variable}, valid until {valid.certificate.expires:%Y-%m-%d}")
    for one in own:
        if one.certificate.has_expired():
            notes.append(f"WARNING: {one.variable} expired on {one.certificate.expires:%Y-%m-%d} and is not used")
        elif one.variable not in used:
            names = ", ".join(sorted(one.certificate.names))
            notes.append(f"WARNING: {one.variable} is used for no site here; it covers {names}")
    return lines, notes, replaced


def _mend(path: Path, names: Sequence[str], complaint: str | None) -> tuple[bool, str]:
    """The file as it is when it will do, else a self-signed one in its place; whether it was replaced, and a line."""
    name = names[0]
    try:
        path.chmod(0o600)
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        text = None
    known = inspect(text) if text is not None else None
    if text is not None and complaint is None:
        if known is None:
            complaint = "it holds no certificate"
        elif not any(known.covers(one) for one in names):
            complaint = f"it is for {', '.join(sorted(known.names)) or 'no name'}"
    if known is None or complaint is not None or (known.is_self_signed and _outdated(known, names)):
        if complaint is not None:
            path.replace(path.with_name(f"{path.name}.broken"))
        write(path, self_signed(names), PRIVATE)
        if complaint is not None:
            return True, (
                f"WARNING: {path} is of no use: {complaint}; kept as {path.name}.broken. {name} gets a self-signed "
                "certificate until the ACME client has run again"
            )
        return True, f"{name}: self-signed, until the ACME client has run"
    if known.is_self_signed:
        return False, f"{name}: self-signed, until the ACME client has run"
    if known.has_expired():
        return False, f"WARNING: {name}: the certificate of {known.issuer} expired on {known.expires:%Y-%m-%d}"
    return False, f"{name}: by {known.issuer}, valid until {known.expires:%Y-%m-%d}"


def _outdated(known: Certificate, names: Sequence[str]) -> bool:
    return known.has_expired() or not all(known.covers(name) for name in names)


def _write_list(folder: Path, lines: Mapping[Path, Sequence[str]]) -> Path:
    text = "".join(f"{path} {' '.join(lines[path])}\n" for path in sorted(lines))
    crt_list = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.list"
    write(crt_list, text, PRIVATE)
    return crt_list


def _loads_text(pem: str, folder: Path, loads: Loader) -> str | None:
    _make_folder(folder)
    path = folder / f".try.{os.getpid()}.pem"
    try:
        write(path, pem, PRIVATE)
        complaint = loads(f"crt {path}")
        return complaint and re.sub(rf" '?{re.escape(str(path))}[^' ]*'?", " it", complaint)
    finally:
        path.unlink(missing_ok=True)
