"""Checks of databases: whether somebody serves them, under such a name, and a job makes them."""

from collections.abc import Iterator

from settings.checks.common import Placed, placed, server_of
from settings.container_texts import database_name
from settings.databases import Database, knows_adminpass, listed, makers, makes_databases, meant, own_name
from settings.draft import Draft
from settings.errors import Key, did_you_mean, show
from settings.git_texts import secret_name
from settings.models import Application
from settings.references import SecretRef

ADMINPASS = "adminpass"
_TAKEN = {
    "postgresql": ("postgres", "template0", "template1", "public", "none"),
    "mysql": ("mysql", "root", "sys", "information_schema", "performance_schema"),
}


def check(draft: Draft) -> None:
    """Report databases that nobody serves or makes, names that can't be, and rotations of nothing."""
    used: set[Database] = set()
    for one in placed(draft):
        here = listed(one.name, one.container)
        for index, database in enumerate(here):
            at: tuple[Key, ...] = (one.section, one.name, "db", index)
            if _is_served(draft, one, database, at, is_listed=True):
                used.add(database)
                if database in here[:index]:
                    draft.report("is listed already; leave one out", *at)
                elif draft.stack.servers and not makers(draft.stack, database.server):
                    _no_maker(draft, database.server, at)
        for at, database in _referred(draft, one):
            if _is_served(draft, one, database, at, is_listed=False):
                used.add(database)
    _shared(draft)
    for name, application in draft.stack.applications.items():
        if application.rotate or application.passwords:
            _given(draft, name, application)
            _rotate(draft, name, application, {one.name for one in used if one.server == name})


def _is_served(draft: Draft, one: Placed, database: Database, at: tuple[Key, ...], *, is_listed: bool) -> bool:
    """Whether the server and the name may be; reports why not."""
    server = draft.stack.applications.get(database.server)
    if server is None:
        if is_listed:  # a reference's application is the matter of `checks.references`
            _no_application(draft, database.server, at)
        return False
    if (one.section, one.name) == ("applications", database.server):
        draft.report("a database server has no database on itself; take it out", *at)
        return False
    if server.engine is None:
        wheres = [draft.whole("applications", database.server, key) for key in ("database", "build_dir", "image")]
        if all(wheres):
            hint = f"write database: postgresql (or mysql) in {draft.written('applications', database.server)}"
            draft.report(f"{show(database.server)} is not known to be a database server; if it is one, {hint}", *at)
        return False
    return _is_usable(draft, database, server, at)


def _is_usable(draft: Draft, database: Database, server: Application, at: tuple[Key, ...]) -> bool:
    remedy = f'write another after a colon, e.g. "{database.server}:shop"'
    try:
        database_name(database.name)
    except ValueError:
        draft.report(
            f"{show(database.name)} is no name for a database (lower-case letters, digits and _ , a letter first, "
            f"at most 32 characters); {remedy}",
            *at,
        )
        return False
    if database.name in (*_TAKEN[str(server.engine)], ADMINPASS) or database.name.startswith("pg_"):
        draft.report(f"{show(database.name)} is a name that {database.server} keeps for itself; {remedy}", *at)
        return False
    return True


def _no_application(draft: Draft, name: str, at: tuple[Key, ...]) -> None:
    known = draft.names["applications"]
    if name in draft.names["jobs"] and name not in known:
        draft.report(f"{show(name)} is a job; write the application that serves the database", *at)
    elif name not in known and (draft.whole("applications") or known):
        servers = {other for other, app in draft.stack.applications.items() if app.engine}
        draft.report(f"{show(name)} is not an application; {did_you_mean(name, servers or known)}", *at)


def _administrators_variable(application: Application) -> str:
    """As the images here and the official ones have it."""
    if application.engine == "postgresql":
        return "postgres_password"
    is_mariadb = "mariadb" in (application.build_dir or application.image or "").lower()
    return "mariadb_root_password" if is_mariadb else "mysql_root_password"


def _no_maker(draft: Draft, server: str, at: tuple[Key, ...]) -> None:
    application = draft.stack.applications[server]
    jobs = [name for name, job in draft.stack.jobs.items() if makes_databases(job)]
    if any(server_of(draft, "jobs", name, draft.stack.jobs[name]) is None for name in jobs):
        return  # one of them may be meant to run beside it
    if not knows_adminpass(server, application):
        if draft.whole("applications", server, "env"):
            variable = _administrators_variable(application)
            draft.report(
                f"{show(server)} has no administrator's password with which its databases could be made; write in "
                f"{draft.written('applications', server, 'env')}: {variable}: _{server}^adminpass",
                *at,
            )
    elif draft.whole("jobs") and not jobs:
        draft.report(
            "no job makes databases; add one: dbsetup: {build_dir: DBSetup, env: {dbmap: _dbmap}}",
            *at,
        )
    elif draft.whole("jobs"):
        draft.report(
            f"no job makes the databases of {show(server)}: {', '.join(sorted(jobs))} runs on another server; "
            "add one beside it",
            *at,
        )


def _referred(draft: Draft, one: Placed) -> Iterator[tuple[tuple[Key, ...], Database]]:
    """Yield the databases whose passwords a container refers to; reports a reference that may mean several."""
    for written, reference in one.container.references:
        at: tuple[Key, ...] = (one.section, one.name, *written.path)
        if not isinstance(reference, SecretRef) or reference.kind != "password":
            continue
        names = [db.name for db in listed(one.name, one.container) if db.server == reference.application]
        if reference.database is None and len(set(names)) > 1:
            spelt = " or ".join(f'"_{reference.application}:{name}^password"' for name in sorted(set(names)))
            draft.report(f"may be the password of several databases; write {spelt}", *at)
            continue
        yield at, meant(one.name, one.container, reference)


def _shared(draft: Draft) -> None:
    """Report a database that one container has by its own name and another one names: an accident, unless spelt."""
    users: dict[Database, list[tuple[tuple[Key, ...], bool]]] = {}
    for one in placed(draft):
        for index, use in enumerate(one.container.databases):
            database = Database(use.server, use.name or own_name(one.name))
            at: tuple[Key, ...] = (one.section, one.name, "db", index)
            users.setdefault(database, []).append((at, use.name is not None))
    for database, places in users.items():
        for at, spelt in places:
            others = [draft.written(*place) for place, _ in places if place[1] != at[1]]
            if not spelt and others:
                draft.report(
                    f"{others[0]} has this database too; if they shall share it, write "
                    f'"{database.server}:{database.name}" here as well',
                    *at,
                )


def _rotate(draft: Draft, name: str, application: Application, databases: set[str]) -> None:
    has_adminpass = any(
        SecretRef(name, None, ADMINPASS) in one.container.referred for one in placed(draft)
    ) or not draft.whole("applications")
    known = databases | ({ADMINPASS} if has_adminpass else set())
    for section, keys in (("rotate", application.rotate), ("passwords", application.passwords)):
        for key in keys:
            if key not in known and draft.whole("applications") and draft.whole("jobs"):
                remedy = did_you_mean(key, known) if known else "leave it out"
                draft.report(f"is no password of {show(name)}; {remedy}", "applications", name, section, key)


def _given(draft: Draft, name: str, application: Application) -> None:
    """Report passwords that nobody has set, and those that are given and generated at once."""
    for key, setting in application.passwords.items():
        at = ("applications", name, "passwords", key)
        if key in application.rotate:
            draft.report("is given, so that none is generated anew; change the secret, and leave it out of rotate", *at)
        known = draft.names["secrets"]
        if secret_name(setting) not in known and draft.whole("secrets"):
            remedy = did_you_mean(secret_name(setting), known, sign="_secrets^")
            draft.report(f"{show(secret_name(setting))} is not a secret; {remedy}", *at)
