"""The frontends that visitors reach, one a scheme and thread (access.py): who is asked, who asks, where to. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hasetup import redirects, routes, rules
from hasetup.access import Access
from hasetup.domains import Domain
from hasetup.pages import refused

ACME = "/.well-known/acme-challenge/"
# Written by the ACME client: the line `thumbprint ...`, what its account adds to a challenge; any other is what this
# server hands to another one of its names that asks for it, closed (images/CertBot/certjob/others.py).
ACME_MAP = "/etc/haproxy/acme.map"
HANDED = "/.well-known/apiary-certificate/"
# Of the head of a request, or of an answer.
HEAD_KIB, HEAD_LINES = 64, 256

# Everything a proxy may say about the visitor, what he asked for, or who he is to it. CGI-like servers read `_` as `-`.
_FORGEABLE_NAMES = (
    "forwarded", "forwarded-for", "proxy", "proxy-client-ip", "wl-proxy-client-ip", "client-ip", "true-client-ip",
    "cf-connecting-ip", "cf-connecting-ipv6", "cf-pseudo-ipv4", "fastly-client-ip", "fly-client-ip", "remote-addr",
    "x-real-ip", "x-client-ip", "x-cluster-client-ip", "x-remote-ip", "x-remote-addr", "x-remote-user",
    "x-originating-ip", "x-original-host", "x-original-url", "x-rewrite-url", "x-host", "x-http-host-override",
    "x-proxyuser-ip", "x-azure-clientip", "x-azure-socketip", "x-appengine-user-ip", "x-envoy-external-address",
    "x-ssl-client-.*", "ssl-client-.*", "x-original-forwarded-for",
    "x-forwarded", "x-forwarded-.*",
    # Who somebody is, as proxies that ask for a login say it: Authelia, authentik, oauth2-proxy, Pomerium, Cloudflare
    # Access, Google's IAP, Tailscale, Azure, AWS.
    "remote-(user|name|email|groups?)", "x-authenticated-user", "x-authentik-.*", "x-auth-request-.*", "x-webauth-.*",
    "x-pomerium-.*", "x-vouch-.*", "cf-access-authenticated-user-email", "x-goog-authenticated-user-.*",
    "tailscale-user-.*", "x-ms-client-principal.*", "x-amzn-oidc-.*",
)  # fmt: skip
_FORGEABLE = f"^({'|'.join(_FORGEABLE_NAMES)})$".replace("-", "[-_]")


def http(domains: Sequence[Domain], access: Access, way: int) -> list[str]:
    """The frontend of port 80, of one thread: what is served over https is only sent there."""
    plain = [domain for domain in domains if not domain.tls]
    return [
        f"frontend {access.frontend('http', way)}",
        "    # Two binds: one for both families would show IPv4 visitors as ::ffff:a.b.c.d.",
        f"    bind 0.0.0.0:80{access.served_by(way)}",
        f"    bind [::]:80 v6only{access.served_by(way)}",
        *_request_rules("http", domains, access, way),
        *_to_https([domain for domain in domains if domain.tls]),
        *redirects.rules(plain),
        *_to_the_one_name("http", plain),
        *routes.to_applications(plain),
    ]


def https(domains: Sequence[Domain], crt_list: str, hsts: str | None, access: Access, way: int) -> list[str]:
    """That of port 443. Who names no site of this server gets no certificate, and so learns of none."""
    ssl = f"ssl crt-list {crt_list} strict-sni alpn h2,http/1.1{access.served_by(way)}"
    return [
        f"frontend {access.frontend('https', way)}",
        f"    bind 0.0.0.0:443 {ssl}",
        f"    bind [::]:443 v6only {ssl}",
        *_request_rules("https", domains, access, way),
        *([f'    http-after-response set-header Strict-Transport-Security "{hsts}"'] if hsts else []),
        *redirects.rules(domains),
        *_to_the_one_name("https", domains),
        *routes.to_applications(domains),
    ]


def _request_rules(scheme: str, domains: Sequence[Domain], access: Access, way: int) -> list[str]:
    """Who is asked, who asks: the same for every frontend that visitors reach."""
    names = routes.names_of(domains)
    misdirected = "This server is running, but it serves no site under this name."
    large = f"What your browser sends with each request is larger than {HEAD_KIB} kB."
    many = f"Your browser sends more than {HEAD_LINES} lines with its request."
    return [
        "    # Without port and final dot, in lower case.",
        "    http-request set-var(txn.host) req.fhdr(host),host_only,lower,rtrim(.)",
        "    http-request set-var(txn.uri) pathq",
        "    http-request capture req.hdr(Referer) len 512",
        "    http-request capture req.hdr(User-Agent) len 512",
        *routes.acl("served", names),
        *access.rules(domains, way),
        *refused(f"if {{ req.hdrs,length gt {HEAD_KIB << 10} }}", 431, "Head too large", large),
        *refused(f"if {{ req.fhdr_cnt gt {HEAD_LINES} }}", 431, "Too many headers", many),
        *(_of_certificates(domains) if scheme == "http" else []),
        *refused("unless served" if names else "", 421, "No such site here", misdirected),
        *routes.answering(domains),
        *_trusted(domains),
        f"    http-request del-header {_FORGEABLE} -m reg",
        "    http-request set-header X-Forwarded-For %[src]",
        f"    http-request set-header X-Forwarded-Proto {scheme}",
        "    http-request set-header X-Forwarded-Host %[var(txn.host)]",
        f"    http-request set-header X-Forwarded-Port {443 if scheme == 'https' else 80}",
    ]


def _trusted(domains: Sequence[Domain]) -> Iterator[str]:
    sites = {domain.app: domain.site for domain in domains if domain.app}
    for app in sorted(sites):
        yield from rules.visitor(app, sites[app])


def _of_certificates(domains: Sequence[Domain]) -> list[str]:
    """What the proxy answers itself, once it knows the account: the challenges of ACME, and what is handed out.

    Under names that it does not serve yet, too: a site that comes is to find its certificate. Under those served over
    http alone it is their applications' own.
    """
    plain = routes.names_of(domain for domain in domains if not domain.tls)
    unless = " !plain" if plain else ""
    return [
        *routes.acl("plain", plain),
        f"    acl challenge path_reg ^{ACME.replace('.', chr(92) + '.')}[A-Za-z0-9_-]+$",
        f"    http-request set-var(txn.thumbprint) str(thumbprint),map({ACME_MAP}) if challenge",
        "    http-request return status 200 content-type text/plain lf-string"
        ' "%[path,field(4,/)].%[var(txn.thumbprint)]" if challenge { var(txn.thumbprint) -m found }' + unless,
        f"    acl handed path_reg ^{HANDED.replace('.', chr(92) + '.')}[0-9a-f]{{32}}$",
        f"    http-request set-var(txn.handed) path,field(4,/),map({ACME_MAP}) if handed",
        "    # Servers among themselves, again and again: no visit.",
        f"    http-request set-log-level silent if {{ var(txn.handed) -m found }}{unless}",
        "    http-request return status 200 content-type text/plain lf-string"
        f' "%[var(txn.handed)]" if {{ var(txn.handed) -m found }}{unless}',
    ]


def _to_https(domains: Sequence[Domain]) -> list[str]:
    if not domains:
        return []
    return [
        *routes.acl("secure", routes.names_of(domains)),
        *_to_the_one_name("https", domains, "secure_"),
        "    http-request redirect prefix https://%[var(txn.host)] code 301 if secure",
    ]


def _to_the_one_name(scheme: str, domains: Sequence[Domain], prefix: str = "") -> list[str]:
    """www leads to its domain, or the domain to its www, as the site says."""
    www = {f"www.{domain.name}" for domain in domains if domain.www and domain.site.www == "bare"}
    bare = {domain.name for domain in domains if domain.site.www == "www"}
    without, added = "%[var(txn.host),regsub(^www\\.,)]", "www.%[var(txn.host)]"
    lines = []
    for name, names, to in ((f"{prefix}www", www, without), (f"{prefix}bare", bare, added)):
        if names:
            lines += [*routes.acl(name, names), f"    http-request redirect prefix {scheme}://{to} code 301 if {name}"]
    return lines
