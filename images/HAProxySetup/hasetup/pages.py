"""The pages that the proxy answers with itself. Pure."""

from __future__ import annotations

from collections.abc import Iterator


def page(title: str, text: str) -> str:
    """A small page, quoted as one word of the configuration."""
    html = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title>'
        '<body style="font:1.1rem/1.6 system-ui,sans-serif;max-width:34rem;margin:18vh auto;'
        f'padding:0 1rem;color:#33302a;background:#fbf8f1"><h1>{title}</h1><p>{text}</p></body></html>'
    )
    if any(sign in html for sign in "'%\n"):
        raise ValueError(f"a page cannot hold an apostrophe, a percent sign or a line break: {title}")
    return f"'{html}'"


def refused(
    condition: str, status: int, title: str, text: str, *, again: int | None = None, more: str | None = None
) -> Iterator[str]:
    """The lines of a frontend or backend that answer with such a page where the condition (`if ...`) holds, or
    always without one, by refused.lua; after `again` seconds one may ask again. `more` is a further line of the head,
    as a log format: `Name: value`.
    """
    actions = [f"set-var(txn.status) int({status})", f"set-var-fmt(txn.page) {page(title, text)}"]
    actions += [f"set-var(txn.again) int({again})"] if again else []
    actions += [f"set-var-fmt(txn.more) '{more}'"] if more else []
    for action in (*actions, "use-service lua.refused"):
        yield f"    http-request {action} {condition}".rstrip()
