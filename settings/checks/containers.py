"""Checks of applications and jobs: names, servers, images, volumes, ports, order."""

from collections.abc import Collection, Iterator

from settings.checks.common import Placed, placed
from settings.databases import own_name
from settings.draft import Draft
from settings.errors import did_you_mean, show
from settings.models import Application, Container
from settings.order import circles, needs
from settings.references import Reference, ReferenceSyntaxError, SecretRef, parse

SOURCES = ("build_dir", "image", "git")


def check(draft: Draft, *, build_dirs: Collection[str] | None, playbooks: Collection[str] | None) -> None:
    """Report containers that clash with each other, or name what does not exist."""
    _names(draft)
    _renamed(draft)
    for one in placed(draft):
        _server(draft, one)
        _source(draft, one, build_dirs)
        _git(draft, one)
        _mounts(draft, one)
        _health(draft, one)
    _ports(draft)
    _order(draft)
    for name, server in draft.stack.servers.items():
        if playbooks is not None and server.playbook not in playbooks:
            remedy = did_you_mean(server.playbook, playbooks)
            draft.report(f"{show(server.playbook)} is not a file of playbooks/; {remedy}", "servers", name, "playbook")


def _health(draft: Draft, one: Placed) -> None:
    """Report what nobody would ask by: times of a health command that is not there, and a path without a site."""
    if not isinstance(one.container, Application):
        return
    health, at = one.container.health, (one.section, one.name, "health")
    if health.test is None and draft.whole(*at, "test"):
        for key in ("interval", "retries", "start_period"):
            if key in health.model_fields_set:
                draft.report(
                    "is of test, and there is none; write the command of the image as well: "
                    "test: [CMD, /usr/local/bin/healthy.sh]",
                    *at,
                    key,
                )
    # Domains that can't be read, or a port that is missing beside them, are reported there (checks.domains).
    if one.container.env.get("domains", "all") != "all" or not draft.whole(one.section, one.name, "env"):
        return
    for key in ("path", "status"):
        if key in health.model_fields_set:
            draft.report(
                "is what a site is asked by, and this application has no env.domains; leave it out, or write a command "
                "that asks: test: [CMD, /usr/local/bin/healthy.sh]",
                *at,
                key,
            )


def _names(draft: Draft) -> None:
    for name in draft.names["applications"] & draft.names["jobs"]:
        draft.report(f"{show(name)} is an application too; give the job another name", "jobs", name)
    if "secrets" in draft.names["applications"]:
        draft.report(
            '"secrets" means the stack\'s secrets in references; write another name',
            "applications",
            "secrets",
        )


def _renamed(draft: Draft) -> None:
    """Report old names that are still in use, and what a new name would take away."""
    taken: dict[str, str] = {}
    for one in placed(draft):
        old = one.container.renamed_from
        if old is None:
            continue
        at = (one.section, one.name, "renamed_from")
        if old == one.name:
            draft.report("is its name already; leave renamed_from out", *at)
            continue
        for section in ("applications", "jobs"):
            if old in draft.names[section]:
                there = draft.written(section, old)
                draft.report(f"{show(old)} is still there, at {there}; take that out, or leave renamed_from out", *at)
        if first := taken.get(old):
            draft.report(f"{show(old)} was renamed to {first} already; leave one of them out", *at)
        taken.setdefault(old, draft.written(one.section, one.name))
        before = own_name(old)
        new = f"would ask for a new database called {show(own_name(one.name))} now; to keep that of {show(old)} write "
        for index, use in enumerate(one.container.databases):
            if use.name is None:
                draft.report(f'{new}"{use.server}:{before}"', one.section, one.name, "db", index)
        listed = {use.server for use in one.container.databases}
        for key, reference in _readable(one.container):
            if (
                isinstance(reference, SecretRef)
                and reference.kind == "password"
                and reference.database is None
                and reference.application not in listed
            ):
                draft.report(f'{new}"_{reference.application}:{before}^password"', one.section, one.name, "env", key)


def _readable(container: Container) -> Iterator[tuple[str, Reference]]:
    for key, value in container.env.items():
        try:
            yield key, parse(value, key=key)
        except ReferenceSyntaxError:
            continue  # reported by the checks of references


def _server(draft: Draft, one: Placed) -> None:
    servers = draft.names["servers"]
    if one.container.server is not None:
        if one.container.server not in servers and draft.names["servers"]:
            remedy = did_you_mean(one.container.server, servers)
            draft.report(f"{show(one.container.server)} is not a server; {remedy}", one.section, one.name, "server")
    elif len(servers) > 1 and draft.whole(one.section, one.name, "server"):
        known = ", ".join(sorted(servers))
        draft.report(
            f"missing; with several servers every container names its own: {known}",
            one.section,
            one.name,
            "server",
        )


def _source(draft: Draft, one: Placed, build_dirs: Collection[str] | None) -> None:
    at = (one.section, one.name)
    container = one.container
    written = [source for source in SOURCES if getattr(container, source) is not None]
    if len(written) > 1:
        draft.report(f"{' and '.join(written)} exclude each other; leave one out", *at, written[-1])
    if not written and all(draft.whole(*at, source) for source in SOURCES):
        draft.report(
            "has no image; write build_dir: (a folder of images/), image: (a name to pull) or git: (a repository)", *at
        )
    elif written == ["image"] and container.build_args and all(draft.whole(*at, source) for source in SOURCES):
        draft.report(
            "only an image built from build_dir or git takes build arguments; leave them out", *at, "build_args"
        )
    if build_dirs is not None and container.build_dir is not None and container.build_dir not in build_dirs:
        remedy = did_you_mean(container.build_dir, build_dirs)
        draft.report(f"{show(container.build_dir)} is not a folder of images/; {remedy}", *at, "build_dir")


def _git(draft: Draft, one: Placed) -> None:
    git = one.container.git
    if git is None:
        return
    at = (one.section, one.name, "git")
    written = [name for name in ("branch", "tag", "commit") if getattr(git, name) is not None]
    if len(written) > 1:
        draft.report(f"{' and '.join(written)} exclude each other; leave one out", *at, written[-1])
    if git.secret_name is None:
        return
    if git.url.startswith("http://"):
        draft.report("http:// would show the token to everybody on the way; write https://", *at, "url")
    known = draft.names["secrets"]
    if git.secret_name not in known and draft.whole("secrets"):
        remedy = did_you_mean(git.secret_name, known, sign="_secrets^")
        draft.report(f"{show(git.secret_name)} is not a secret; {remedy}", *at, "secret")


def _mounts(draft: Draft, one: Placed) -> None:
    taken = {path: draft.written(one.section, one.name, "tmpfs", path) for path in one.container.tmpfs}
    for index, mount in enumerate(one.container.mounts):
        at = (one.section, one.name, "volumes", index)
        if mount.path in taken:
            draft.report(f"{mount.path} is taken by {taken[mount.path]}; mount one of them elsewhere", *at)
        taken.setdefault(mount.path, draft.written(*at))


def _ports(draft: Draft) -> None:
    taken: dict[tuple[str | None, int, str], str] = {}
    for name, app in draft.stack.applications.items():
        server = next(one.server for one in placed(draft) if one[:2] == ("applications", name))
        for section, ports in (("ports", app.published), ("private", app.private_published)):
            for index, port in enumerate(ports):
                at = ("applications", name, section, index)
                spelt = f"port {port.host}/{port.proto}"
                if (port.host, port.proto) == (22, "tcp"):
                    draft.report(f'{spelt} is the server\'s own, for SSH; write another, e.g. "2222:22"', *at)
                if server is None:
                    continue
                if first := taken.get((server, port.host, port.proto)):
                    draft.report(f"{spelt} of {server} is published by {first} already; write another port", *at)
                taken.setdefault((server, port.host, port.proto), draft.written(*at))
        _private(draft, name, app, server)


def _private(draft: Draft, name: str, app: Application, server: str | None) -> None:
    at = ("applications", name, "private")
    for index, port in enumerate(app.private_published):
        for first, other in enumerate(app.published):
            if (other.container, other.proto) == (port.container, port.proto):
                draft.report(
                    f"port {port.container}/{port.proto} of the container is published to everybody by "
                    f"{draft.written('applications', name, 'ports', first)}; leave it out of one of them",
                    *(*at, index),
                )
    own = draft.stack.servers.get(server or "")
    if app.private and own and own.private_ip is None and draft.whole("servers", str(server), "private_ip"):
        draft.report(
            f'{server} is on no private network; write servers.{server}.private_ip as well, e.g. "192.168.150.10"',
            *at,
        )


def _order(draft: Draft) -> None:
    known = draft.names["applications"] | draft.names["jobs"]
    for name, job in draft.stack.jobs.items():
        for index, other in enumerate(job.after):
            at = ("jobs", name, "after", index)
            if other == name:
                draft.report("a job can't come after itself; take it out", *at)
            elif other not in known:
                remedy = did_you_mean(other, known - {name})
                draft.report(f"{show(other)} is neither an application nor a job; {remedy}", *at)
    for circle in circles({name: _needs(draft, name) for name in draft.stack.containers()}):
        section = "jobs" if circle[0] in draft.stack.jobs else "applications"
        way = " needs ".join([*circle, circle[0]])
        draft.report(
            f"these wait for each other: {way}; take one out of after or db, or one reference out of env",
            section,
            circle[0],
        )


def _needs(draft: Draft, name: str) -> list[str]:
    """Return what a container comes after; nothing while its environment has errors of its own."""
    if not draft.stack.servers:
        return []
    known = {
        one.name
        for one in placed(draft)
        if one.server in draft.stack.servers and draft.whole(one.section, one.name, "env")
    }
    if name not in known:
        return []  # beside whom it runs, or what it refers to, is not known
    try:
        return [other for other in needs(draft.stack, name) if other in known]
    except ReferenceSyntaxError:
        return []
