"""Checks of rehearsals: what an application has to show must be something that it has."""

from settings import databases
from settings.checks.common import placed
from settings.draft import Draft
from settings.errors import show
from settings.models import Application
from settings.references import ReferenceSyntaxError


def check(draft: Draft) -> None:
    """Report proofs that can't be asked for."""
    for one in placed(draft):
        app = one.container
        if not isinstance(app, Application) or not app.drill.model_fields_set:
            continue
        at = (one.section, one.name, "drill")
        asked = [word for word in ("sql", "at_least", "path") if getattr(app.drill, word) is not None]
        if draft.stack.backups is None and draft.whole("backups"):
            draft.report("the stack has no backups; write apiary:backups, or leave it out", *at)
        elif app.engine is not None:
            draft.report("a database server is always tried; write it in the applications that use it", *at)
        elif not app.drill.start and asked:
            draft.report(f"is not started, so it can't show {asked[0]}; leave one of both out", *at)
        else:
            _asked(draft, one.name, app, at)


def _asked(draft: Draft, name: str, app: Application, at: tuple[str, str, str]) -> None:
    if app.drill.at_least is not None and app.drill.sql is None:
        draft.report("says nothing without sql; write e.g. sql: select count(*) from orders", *at, "at_least")
    if app.drill.path is not None and app.http_port is None and draft.whole("applications", name, "env"):
        draft.report("needs the port to ask; write env: {http_port: 8080}", *at, "path")
    if app.drill.sql is None:
        return
    try:
        used = databases.used(name, app)
    except ReferenceSyntaxError:
        return  # reported where it stands
    if not used and draft.whole("applications", name, "db"):
        draft.report(
            f"{show(app.drill.sql)} is asked of its database, and it has none; write db: [postgres]", *at, "sql"
        )
