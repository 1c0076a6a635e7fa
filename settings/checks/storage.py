"""Checks of block storage: sizes that Vultr does not sell."""

from settings.draft import Draft

# Of each type, in GB (Vultr's product page of block storage).
SOLD = {"high_perf": (10, 10_000), "storage_opt": (40, 40_000)}


def check(draft: Draft) -> None:
    """Report a size that the type does not come in."""
    for name, server in draft.stack.servers.items():
        at = ("servers", name, "data")
        if server.data is None or not (draft.whole(*at, "gb") and draft.whole(*at, "type")):
            continue
        least, most = SOLD[server.data.type]
        other = next(kind for kind in SOLD if kind != server.data.type)
        if not least <= server.data.gb <= most:
            draft.report(
                f"{server.data.gb} is no size of {server.data.type}, which comes from {least} to {most} GB; write one "
                f"of these, or type: {other}",
                *at,
                "gb",
            )
