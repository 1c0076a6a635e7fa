"""Models of rehearsals: when all that is saved is tried, and what an application has to show then.

Makes: `Rehearsal`, `Drill`. Leaves alone: how it is tried (playbooks/roles/backups), and whatever needs more than one
setting (`checks.drills`).
"""

from typing import Annotated

from pydantic import BeforeValidator, Field

from settings import kinds as k
from settings.kinds import Settings


class Rehearsal(Settings):
    """When what is saved is tried: restored into throw-away containers, which have to serve. `drill: false` is short
    for `drill: {scheduled: false}`."""

    scheduled: bool = Field(
        default=True,
        description="Whether it goes by the clock; `make drill` goes without it too.",
        examples=[False],
    )
    when: k.Crontab = Field(
        default="0 5 * * 0",
        description="When it begins, as in crontab, in the server's time zone. It takes the memory and the disk of a "
        "second copy of each database server, and of one application after another.",
        examples=["0 5 * * 0"],
    )
    read: int = Field(
        default=5,
        description="Per cent of the repository's bytes that are read against their checksums.",
        examples=[5],
        ge=1,
        le=100,
    )


class Drill(Settings):
    """What an application has to show in a rehearsal, beside being healthy. `drill: false` is short for
    `drill: {start: false}`."""

    start: bool = Field(
        default=True,
        description="Whether it is started; where it can't be without what lies elsewhere, its data only come back.",
        examples=[False],
    )
    sql: k.Text | None = Field(
        default=None,
        description="Question to its first database, answered by a number.",
        examples=["select count(*) from orders"],
    )
    at_least: int | None = Field(
        default=None, description="What that number has to be at least; 1 when nothing is said.", examples=[1], ge=0
    )
    path: k.UrlPath | None = Field(
        default=None,
        description="Path that it has to answer at its `http_port`, with a status of 200 to 399.",
        examples=["/healthz"],
    )


def _scheduled(value: object) -> object:
    return {"scheduled": value} if isinstance(value, bool) else value


def _started(value: object) -> object:
    return {"start": value} if isinstance(value, bool) else value


RehearsalSetting = Annotated[Rehearsal, BeforeValidator(_scheduled)]
DrillSetting = Annotated[Drill, BeforeValidator(_started)]
