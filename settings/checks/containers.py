"""Checks of applications and jobs: names, servers, images, volumes, ports, order."""

from collections.abc import Collection

from settings.checks.common import Placed, placed, server_of
from settings.databases import own_name
from settings.draft import Draft
from settings.errors import did_you_mean, show
from settings.models import Application
from settings.order import circles, needs, waits_for
from settings.references import SecretRef


def check(draft: Draft, *, playbooks: Collection[str] | None) -> None:
    """Report containers that clash with each other, or name what does not exist."""
    _names(draft)
    _renamed(draft)
    for one in placed(draft):
        _server(draft, one)
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
        for written, reference in one.container.references:
            if (
                isinstance(reference, SecretRef)
                and reference.kind == "password"
                and reference.database is None
                and reference.application not in listed
            ):
                draft.report(f'{new}"_{reference.application}:{before}^password"', one.section, one.name, *written.path)


def _server(draft: Draft, one: Placed) -> None:
    servers = draft.names["servers"]
    if one.container.server is not None:
        if one.container.server not in servers and draft.names["servers"]:
            remedy = did_you_mean(one.container.server, servers)
            draft.report(f"{show(one.container.server)} is not a server; {remedy}", one.section, one.name, "server")
    elif len(servers) > 1 and not _is_spread(one) and draft.whole(one.section, one.name, "server"):
        known = ", ".join(sorted(servers))
        draft.report(
            f"missing; with several servers every container names its own: {known}",
            one.section,
            one.name,
            "server",
        )


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
        server = server_of(draft, "applications", name, app)
        for section, entries in (("ports", app.ports_published), ("private", app.ports_private)):
            for index, ports in enumerate(entries):
                at = ("applications", name, section, index)
                own = next((port for port in ports if (port.host, port.proto) == (22, "tcp")), None)
                if own:
                    draft.report(
                        f'port 22/tcp is the server\'s own, for SSH; write another, e.g. "2222:{own.container}"', *at
                    )
                if server is None:
                    continue
                twice = next((port for port in ports if (server, port.host, port.proto) in taken), None)
                if twice:
                    first = taken[server, twice.host, twice.proto]
                    port = f"port {twice.host}/{twice.proto}"
                    draft.report(f"{port} of {server} is published by {first} already; write another port", *at)
                for one in ports:
                    taken.setdefault((server, one.host, one.proto), draft.written(*at))
        _private(draft, name, app, server)


def _private(draft: Draft, name: str, app: Application, server: str | None) -> None:
    at = ("applications", name, "private")
    public = {(port.container, port.proto): first for first, ports in enumerate(app.ports_published) for port in ports}
    for index, ports in enumerate(app.ports_private):
        port = next((port for port in ports if (port.container, port.proto) in public), None)
        if port:
            there = draft.written("applications", name, "ports", public[port.container, port.proto])
            draft.report(
                f"port {port.container}/{port.proto} of the container is published to everybody by {there}; "
                "leave it out of one of them",
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
    for one in placed(draft):
        for index, other in enumerate(one.container.after):
            at = (one.section, one.name, "after", index)
            if other == one.name:
                draft.report("nothing can come after itself; take it out", *at)
            elif other not in known:
                remedy = did_you_mean(other, known - {one.name})
                draft.report(f"{show(other)} is neither an application nor a job; {remedy}", *at)
        if _is_placed(draft, one):
            for other in waits_for(draft.stack, one.name):
                if other in draft.stack.jobs and draft.stack.jobs[other].run == "manual":
                    there = draft.written(one.section, one.name)
                    draft.report(f"{there} waits for it, and no update runs it; leave run out", "jobs", other, "run")
    for circle in circles(_needs(draft)):
        section = "jobs" if circle[0] in draft.stack.jobs else "applications"
        way = " needs ".join([*circle, circle[0]])
        draft.report(
            f"these wait for each other: {way}; take one out of after or db, or one reference out of its environment",
            section,
            circle[0],
        )


def _is_placed(draft: Draft, one: Placed) -> bool:
    """Whether it is known where it runs, and its name means it: not a job of the same name, which is told elsewhere."""
    on_server = one.server in draft.stack.servers or (bool(draft.stack.servers) and _is_spread(one))
    return on_server and draft.stack.containers()[one.name] is one.container


def _is_spread(one: Placed) -> bool:
    return isinstance(one.container, Application) and one.container.is_replicated


def _needs(draft: Draft) -> dict[str, list[str]]:
    """Return what each container comes after; left out is one whose environment has errors of its own: beside whom it
    runs, or what it refers to, is not known.
    """
    if not draft.stack.servers:
        return {}
    known = {
        one.name
        for one in placed(draft)
        if _is_placed(draft, one)
        and all(draft.whole(one.section, one.name, key) for key in ("env", "environment", "files"))
    }
    return {
        name: [other for other in needs(draft.stack, name) if other in known]
        for name in draft.stack.containers()
        if name in known
    }
