"""Sites behind the proxy: their domains and port, and what the proxy that the service had was told of them.

Makes: `read`, before any key of a service is converted, and `site`, its settings here. Leaves alone: which of its ports
is a site (`ports`).
"""

from __future__ import annotations

import re

from operations.coming.entries import Path
from operations.coming.errors import mapping, text
from operations.compose import caddy, nginx_proxy, traefik
from operations.compose.proxied import Said
from operations.compose.reading import Data
from operations.compose.scene import One, Scene

_PROXY = "its proxy's words"
PROXIES = re.compile(r"traefik\.|caddy(?:_\d+)?(?:\.|$)", re.IGNORECASE)
# Variables by which a program is told under which name visitors reach it.
OWN_NAME = re.compile(
    r"(?:\w+__)?(?:(?:BASE|SITE|APP|PUBLIC|ROOT|EXTERNAL|SERVER|PAPERLESS|SELF)_URL|URL|DOMAIN|LOCAL_DOMAIN|"
    r"DOMAIN_?NAME|(?:\w+_)?MAIN_DOMAIN|SERVER_NAME|FQDN|KC_HOSTNAME|(?:\w+_)?(?:SITE_?|ROOT_)URL|(?:\w+_)?(?:SITE|SERVER|APP)_(?:DOMAIN|HOST))",
    re.IGNORECASE,
)
# Those by which it is told of somebody else's.
ANOTHERS = re.compile(
    r"(?:^|_)(?:REV|SMTP|MAIL|IMAP|POP3?|DB|DATABASE|REDIS|LDAP|AUTH|OIDC|OAUTH|SSO|S3|TURN|STUN|REMOTE|UPSTREAM|NAME)_",
    re.IGNORECASE,
)
_DOMAIN = re.compile(r"(?:https?://)?([a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,})/?", re.IGNORECASE)
_BELOW = r"https?://((?!www\.)[\w.-]+\.{})(?![\w.-])"
_NUMBER = re.compile(r"[0-9]{1,5}")
_PLACEHOLDER = "example.com"


def gather(scene: Scene) -> None:
    """Know the middlewares of all services, also of those that are left out: others name them."""
    for service, data in scene.project.services.items():
        found = traefik.parts(_labels(data.get("labels"), ("services", service, "labels")))
        scene.middlewares |= {key: part for key, part in found.items() if key[0] == "middlewares"}


def read(one: One) -> Said:
    """Read what a service tells the reverse proxy that it had; of each word it says what becomes of it."""
    said = Said(one.told)
    labels = [*_labels(one.data.get("labels"), one.at("labels"))]
    deploy = one.data.get("deploy")
    if isinstance(deploy, dict):
        labels += _labels(deploy.get("labels"), one.at("deploy", "labels"))
    kept = [label for label in labels if not _left_out(one, label[2])]
    met = traefik.read(
        said, [label for label in kept if label[0].lower().startswith("traefik.")], one.scene.middlewares
    )
    caddy.read(said, [label for label in kept if label[0].lower().startswith("caddy")])
    said_variables = mapping(one.data.get("environment"), "{NAME: value}")
    where = {name: one.at("environment" if name in said_variables else "env_file", name) for name in one.environment}
    mine = nginx_proxy.variables(one.environment)
    nginx_proxy.read(
        said, {name: (value, where[name]) for name, value in mine.items() if not _left_out(one, where[name])}
    )
    said.variables = frozenset(mine)
    one.scene.middlewares_met |= met
    one.scene.mail = one.scene.mail or said.mail
    if said.is_site:
        said.settle()
    elif not _is_open(one.data) and (found := _own(one))[1]:
        one.scene.behind[one.service] = found
    return said


def rest(scene: Scene) -> None:
    """Say of the middlewares that no site goes by that they are not needed."""
    for part in scene.middlewares.values():
        for _, at in part.options.values():
            if at not in scene.middlewares_met and not scene.told.is_left_out(*at):
                scene.told.needless(at, "no site of these files goes by it")


def _left_out(one: One, at: Path) -> bool:
    if one.told.is_left_out(*at):
        one.told.left_out(*at)
        return True
    return False


def _labels(value: object, at: Path) -> list[tuple[str, str, Path]]:
    return [(name, label, (*at, name)) for name, label in pairs(value).items() if PROXIES.match(name)]


def pairs(value: object) -> dict[str, str]:
    """Labels as a map, where they are one, or a list of `name=label`."""
    if isinstance(value, dict):
        plain = {name: "" if label is None else label for name, label in value.items()}
        return {name: text(label, "shop") for name, label in plain.items() if not isinstance(label, (dict, list))}
    texts = [item.partition("=") for item in value if isinstance(item, str)] if isinstance(value, list) else []
    return {name: label for name, _, label in texts}


def site(one: One, port: int, at: Path) -> None:
    """Make it a site at one of its ports, which `at` says."""
    domains, source = _domains(one)
    for domain in domains:
        if domain in one.scene.sites:
            taken = one.scene.sites[domain]
            one.told.cannot(
                at, f"{domain} is served by {taken} already; name its own domain by --domain {one.service}=DOMAIN"
            )
            return
    one.scene.sites |= dict.fromkeys(domains, one.entry.name)
    one.entry.put("env", {"domains": domains, "http_port": port}, at)
    whence = f"; the domain is that of {source}" if source else ""
    spelt = f"{{domains: [{', '.join(domains)}], http_port: {port}}}"
    one.told.becomes(at, f"env: {spelt}, behind the proxy, by https{whence}")
    if not one.said.is_off:
        _words(one)
    if source == _PROXY:
        _redirects(one)
    urls = " ".join(one.environment.values()) if source in one.environment else ""
    if below := sorted(set(re.findall(_BELOW.format(re.escape(domains[0])), urls))):
        one.told.do(
            f"see whether visitors of {one.entry.name} come to {domains[0]}, as {source} says, or to "
            f"{', '.join(below)}: then convert again with --domain {one.service}={below[0]}"
        )
    if not source:
        one.entry.comments["env"] = "its own domain, here and in dns.web"
        one.told.do(
            f"put the domain of {one.entry.name} in the place of {domains[0]}: in its env.domains, and in dns.web of "
            f"the server (or convert again with --domain {one.service}=DOMAIN)"
        )


def _words(one: One) -> None:
    """What else its proxy was told of it."""
    said = one.said
    if said.site:
        one.entry.put("site", said.site, next(iter(said.sources.values())))
        one.entry.sources.update({("site", word): at for word, at in said.sources.items()})
    if said.health:
        health = one.entry.settings.setdefault("health", {})
        if isinstance(health, dict):
            health.setdefault("path", said.health)


def _redirects(one: One) -> None:
    for host, (to, at) in one.said.moved.items():
        bare = host.removeprefix("www.")
        one.scene.redirects[bare] = to
        one.scene.redirected[bare] = at


def by_words(one: One, *, is_site: bool = False) -> bool:
    """Make a site of a service that publishes no port of it, and tells a proxy of its own of itself; say whether."""
    exposed = one.data.get("expose")
    port = one.said.port or next(
        (str(port) for port in (exposed if isinstance(exposed, list) else []) if _NUMBER.fullmatch(str(port))), ""
    )
    is_told = is_site or one.service in one.scene.wish.domains or one.said.is_site
    if not is_told or one.is_job:
        return False
    source = next(iter([*one.said.ports.values(), *one.said.hosts.values()]), one.at("expose"))
    if _NUMBER.fullmatch(port):
        site(one, int(port), source)
    else:
        one.told.cannot(
            source, "it is a site, and nothing says at which port; write expose: [8080], the port it listens at"
        )
        return False
    return True


def _is_open(data: Data, *numbers: str) -> bool:
    """Whether a service publishes a port to everybody: any, or one of these numbers."""
    ports = data.get("ports")
    return any(
        isinstance(port, dict)
        and port.get("host_ip") in (None, "", "0.0.0.0", "::")  # noqa: S104 - what compose files say
        and port.get("protocol") in (None, "tcp")
        and (not numbers or str(port.get("published")) in numbers)
        for port in (ports if isinstance(ports, list) else [])
    )


def _front(scene: Scene) -> str:
    """The service that has the machine's own ports of the web: whoever comes to a domain comes to it first."""
    services = scene.project.services
    return next((name for name, data in services.items() if _is_open(data, "80", "443")), "")


def behind(one: One) -> str:
    """Who leads visitors to a service that has no way of its own, and no domain that is said from outside."""
    front = _front(one.scene)
    is_asked = one.service in one.scene.wish.domains or one.said.is_site
    return "" if is_asked or front == one.service else front


def is_named(one: One) -> bool:
    """Whether somebody says under which domain visitors reach it: the caller, its proxy, or itself."""
    return bool(_domains(one)[1])


def _domains(one: One) -> tuple[list[str], str]:
    """The domains of its site, and what has said them; nothing where nobody has."""
    if wished := one.scene.wish.domains.get(one.service, ""):
        return [wished.lower().removeprefix("www.")], "--domain"
    if one.said.is_site:
        return one.said.entries, _PROXY
    if (own := _own(one))[1]:
        return [own[0]], own[1]
    match = _DOMAIN.fullmatch(str(one.data.get("hostname") or ""))
    if match and "://" not in match[0] and match[1].lower() not in one.scene.sites:
        return [match[1].lower()], "hostname"
    theirs = {who: said for who, said in one.scene.behind.items() if said[0] not in one.scene.sites}
    if theirs and _front(one.scene) == one.service:
        domains = list(dict.fromkeys(domain for domain, _ in theirs.values()))
        return domains, " and ".join(f"{name} of {who}" for who, (_, name) in theirs.items())
    return [f"{one.entry.name}.{_PLACEHOLDER}"], ""


def _own(one: One) -> tuple[str, str]:
    """The domain under which a program is told that visitors reach it, and the variable that says so."""
    for name, value in one.environment.items():
        is_own = OWN_NAME.fullmatch(name) and not ANOTHERS.search(name)
        match = _DOMAIN.fullmatch(value) if is_own else None
        if match and match[1].lower() not in one.scene.sites:
            return match[1].lower().removeprefix("www."), name
    return "", ""
