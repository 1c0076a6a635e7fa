"""Which inputs of an instance go together. Pure."""

from __future__ import annotations

from provider.protocol.base import UNKNOWN, Props


def impossible(inputs: Props) -> str:
    """Why no instance can be made of these inputs; empty where one can, or where that is only known later."""
    sources = ("osId", "appId", "imageId", "isoId", "snapshotId")
    if any(inputs.get(name) is UNKNOWN for name in (*sources, "backups", "backupsSchedule")):
        return ""
    if inputs.get("vpc2Ids"):
        return "vpc2Ids: Vultr has no VPC 2.0 any more; use vpcIds"
    given = [name for name in sources if inputs.get(name)]
    if len(given) != 1:
        said = f"{' and '.join(given)} are given" if given else "none is given"
        return f"an instance is made of one of {', '.join(sources)}; {said}"
    return mistimed(inputs)


def mistimed(inputs: Props) -> str:
    """What is wrong with the times of backups; empty: nothing."""
    if inputs.get("backups") == "enabled" and not inputs.get("backupsSchedule"):
        return "backups are switched on: say when in backupsSchedule"
    if inputs.get("backups") == "disabled" and inputs.get("backupsSchedule"):
        return "backups are switched off: take backupsSchedule out as well"
    return ""
