"""What a service's variables tell nginx-proxy and its companion for certificates.

https://github.com/nginx-proxy/nginx-proxy/tree/main/docs and https://github.com/nginx-proxy/acme-companion/wiki.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from operations.coming.entries import Path
from operations.compose import proxied
from operations.compose.proxied import NO_WORD, PATHS, Said

Row = Callable[[Said, str, Path], None]


def _hosts(said: Said, value: str, at: Path) -> None:
    for host in value.split(","):
        if host.strip():
            said.host(host.strip(), at)
    said.told.becomes(at, "env.domains")


def _port(said: Said, value: str, at: Path) -> None:
    said.ports.setdefault(value, at)
    said.told.becomes(at, "env.http_port")


def _path(said: Said, value: str, at: Path) -> None:
    if value.strip() in ("", "/"):
        said.told.needless(at, "a domain is served with all its paths")
    elif said.path(value.strip(), at):
        said.told.becomes(at, f"the path {said.below} in env.domains")


def _destination(said: Said, value: str, at: Path) -> None:
    if value.strip() == "" or not said.below:
        said.told.needless(at, "the application sees the whole path")
    elif value.strip() == "/":
        said.word("strip", True, at)
    else:
        said.told.cannot(at, f"{value}: {PATHS}")


def _mail(said: Said, value: str, at: Path) -> None:
    said.mail = value
    said.told.becomes(at, "env.email of the job certbot")


def _needless(why: str) -> Row:
    return lambda said, _, at: said.told.needless(at, why)


def _only(*fine: str, why: str, remedy: str = NO_WORD) -> Row:
    """Nothing has to be said for some values; the others can't be said."""

    def row(said: Said, value: str, at: Path) -> None:
        if value.lower() in fine:
            said.told.needless(at, why)
        else:
            said.told.cannot(at, remedy)

    return row


_ROWS: Mapping[str, Row] = {
    "VIRTUAL_HOST": _hosts,
    "VIRTUAL_PORT": _port,
    "VIRTUAL_PATH": _path,
    "VIRTUAL_DEST": _destination,
    "VIRTUAL_PROTO": _only("", "http", why="the proxy speaks http with it", remedy="the proxy here speaks http with "
                           "containers; have it listen so, or leave it out by --leave-out"),
    "VIRTUAL_HOST_MULTIPORTS": _only("", why="it says nothing", remedy="several ports of one service are not "
                                     "converted; write VIRTUAL_HOST and VIRTUAL_PORT of the one that is the site"),
    "VIRTUAL_ROOT": _only("", why="it is of FastCGI"),
    "LETSENCRYPT_HOST": _needless(proxied.CERTIFICATES),
    "LETSENCRYPT_EMAIL": _mail,
    "LETSENCRYPT_TEST": _needless("the job certbot has a test of its own (docs/certificates.md)"),
    "LETSENCRYPT_SINGLE_DOMAIN_CERTS": _needless(proxied.CERTIFICATES),
    "LETSENCRYPT_KEYSIZE": _needless(proxied.CERTIFICATES),
    "ACME_HTTP_CHALLENGE_LOCATION": _needless(proxied.CERTIFICATES),
    "CERT_NAME": _needless(proxied.CERTIFICATES),
    "SSL_POLICY": _needless("the proxy speaks TLS 1.2 and 1.3"),
    "SERVER_TOKENS": _needless("the proxy does not name itself"),
    "HTTPS_METHOD": _only("", "redirect", why=proxied.BY_HTTPS, remedy="http leads to https here, for every site; "
                          "leave it out by --leave-out"),
    "HSTS": _only("", "off", "max-age=31536000", why="hsts is a word of the job hasetup (docs/certificates.md)",
                  remedy="write it as hsts in env of the job hasetup (docs/certificates.md), and leave it out"),
    "NETWORK_ACCESS": _only("", "external", why="everybody may come anyway", remedy="write the networks that may come "
                            "as allow_from in its site afterwards, and leave it out by --leave-out"),
}  # fmt: skip


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of a service that are the proxy's and not its own."""
    if not environment.keys() & {"VIRTUAL_HOST", "VIRTUAL_HOST_MULTIPORTS"}:
        return {}
    return {name: value for name, value in environment.items() if name in _ROWS}


def read(said: Said, given: Mapping[str, tuple[str, Path]]) -> None:
    """Read them, each with where it stands."""
    for name in (name for name in _ROWS if name in given):  # the path before where it leads
        value, at = given[name]
        _ROWS[name](said, value, at)
