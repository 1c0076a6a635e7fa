"""The picture of a day as one page: no scripts, nothing from elsewhere, drawn from `day.Day`.

Makes index.html, whole and at once. Leaves alone: who may see it (NginxStatic's password).
"""

from __future__ import annotations

import html
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from monitor import day
from monitor.day import POINTS, STEP, Day, Fact, Fire, Line, NoFiguresError, SiteDay
from monitor.watch import Watch

GOOD = 0.999  # below it a quarter of an hour is told apart
WIDTH, HEIGHT = POINTS * 6, 46
# Shares of memory and of a disk from which on they are to watch, and wrong.
MEMORY_MUCH, DISK_MUCH = (0.9, 0.95), (0.8, 0.9)
# What is not good stands out by its height too, for whoever does not see it by its colour.
_HEIGHTS = {"g": (6, 14), "s": (3, 17), "b": (0, 20), "n": (9, 8)}
_STYLE = """
:root { color-scheme: light dark; --ground: #fbf8f1; --card: #fffdf8; --ink: #33302a; --quiet: #6d675b;
  --line: #e6dec9; --good: #4f9158; --some: #d99a14; --bad: #c8452f; --none: #ddd5c2; --draw: #a86f00 }
@media (prefers-color-scheme: dark) {
  :root { --ground: #1a1815; --card: #24211c; --ink: #ece6d8; --quiet: #a69f8f; --line: #3a352b;
    --good: #6fae6f; --some: #e8b13a; --bad: #e8694f; --none: #454034; --draw: #f0b73f }
}
* { box-sizing: border-box }
body { margin: 0; padding: 0 1rem 3rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.45 system-ui, sans-serif }
main { max-width: 80rem; margin: 0 auto }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .4rem 1rem; margin: 1.4rem 0 1rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.02rem; margin: 0; overflow-wrap: anywhere }
.quiet { color: var(--quiet); font-size: .85rem }
.state { margin: 0; padding: .3rem .9rem; border-radius: 2rem; font-weight: 600; color: #fff; background: #3f7f48 }
.state.warning { background: #e0a526; color: #2b2618 } .state.critical { background: #bf3f2a }
header .quiet { margin-left: auto }
.fire { margin: .6rem 0 0; padding: .6rem 1rem; background: var(--card); border-left: .35rem solid var(--some);
  border-radius: .4rem }
.fire.critical { border-color: var(--bad) } .fire p { margin: 0 }
code { font: .88rem/1.5 ui-monospace, monospace; overflow-wrap: anywhere }
.tiles, .cards { display: grid; gap: .8rem; margin-top: .8rem }
.tiles { grid-template-columns: repeat(auto-fit, minmax(min(46%, 10.5rem), 1fr)) }
.tile.wide { margin-top: .8rem }
.cards { grid-template-columns: repeat(auto-fill, minmax(min(100%, 23rem), 1fr)) }
.card, .tile { background: var(--card); border: 1px solid var(--line); border-radius: .7rem; padding: .8rem 1rem }
.tile b { display: block; font-size: 2rem; line-height: 1.2; font-variant-numeric: tabular-nums }
.tile.wide b { font-size: 3rem; line-height: 1.1 }
.top { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem }
.much { font-size: 1.25rem; font-weight: 600; white-space: nowrap; font-variant-numeric: tabular-nums }
.card p { margin: 0 }
figure { margin: .5rem 0 0 }
figcaption, .hours { display: flex; justify-content: space-between; font-size: .8rem; color: var(--quiet) }
.hours { margin-top: .3rem; font-size: .72rem; font-variant-numeric: tabular-nums }
svg { display: block; width: 100%; height: auto } .strip { height: 1.2rem } .wide .strip { height: 2.6rem }
.curves { height: 2.9rem }
.g { fill: var(--good) } .s { fill: var(--some) } .b { fill: var(--bad) } .n { fill: var(--none) }
.text-s { color: var(--some) } .text-b { color: var(--bad) }
.area { fill: var(--draw); opacity: .22 }
.curve { fill: none; stroke: var(--draw); stroke-width: 2; vector-effect: non-scaling-stroke }
.dot { fill: var(--draw) } .floor { stroke: var(--line); vector-effect: non-scaling-stroke }
"""


def draw(folder: Path, watch: Watch) -> None:
    """Write the page; where Prometheus can't be asked or the folder not be written, say so, and the old one stays."""
    try:
        text = render(day.gather(watch, time.time()))
        beside = folder / ".index.html.new"
        with beside.open("w") as file:
            file.write(text)
        beside.chmod(0o644)
        os.replace(beside, folder / "index.html")
    except (NoFiguresError, OSError) as error:
        print(f"monitor: the page could not be made: {error}", flush=True)


def render(found: Day) -> str:
    """The page."""
    name = html.escape(f"{found.server} of {found.stack}")
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(found.end))
    kind, state = _state(found.fires)
    parts = [
        *(_fire(one) for one in found.fires),
        _tiles(found),
        '<section class="cards">',
        *(_site(one, found.end) for one in found.sites),
        "</section>",
        '<section class="cards">',
        *(_fact(one, found.end) for one in found.facts),
        "</section>",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="robots" content="noindex">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="refresh" content="60">\n<title>{state} {name}</title>\n<style>{_STYLE}</style>\n</head>\n'
        f'<body>\n<main>\n<header><h1>{name}</h1><p class="state {kind}">{state}</p>'
        f'<span class="quiet">the day until {made}</span></header>\n'
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def _state(fires: Sequence[Fire]) -> tuple[str, str]:
    """How bad it is, and in words."""
    if not fires:
        return "good", "All is well."
    worst = "critical" if any(one.severity == "critical" for one in fires) else "warning"
    return worst, f"{len(fires)} {'alert' if len(fires) == 1 else 'alerts'}"


def _fire(one: Fire) -> str:
    kind = "critical" if one.severity == "critical" else "warning"
    since = html.escape(one.since.replace("T", " ")[:16])
    return (
        f'<div class="fire {kind}"><p>{html.escape(one.summary)} <span class="quiet">since {since} UTC</span></p>'
        f'<p><code>{html.escape(one.type)}</code> <span class="quiet">{html.escape(one.doc)}</span></p></div>'
    )


def _tiles(found: Day) -> str:
    """The whole of it at one look."""
    looked = [line for site in found.sites for line in site.up.values()]
    tiles, whole = [], ""
    if share := _share(_known(looked)):
        whole = (
            '<section class="tile wide"><span class="quiet">all sites answer as they should</span>'
            f"<b>{share}</b>{_strip('', _joined(looked, min), found.end)}{_hours(found.end)}</section>"
        )
    # The visits of an application are those of all its domains.
    visits = {site.application: site.visits for site in found.sites}
    if any(value is not None for line in visits.values() for value in line):
        line = _joined(list(visits.values()), sum)
        tiles.append(_tile("visits", f"{sum(_known([line])):,.0f}", line, found.end, lambda value: f"{value:.0f}"))
    took = _joined([site.seconds for site in found.sites], lambda values: sum(values) / len(values))
    if (last := _last(took)) is not None:
        tiles.append(_tile("an answer takes", _time(last), took, found.end, _time))
    for one in [*found.facts[:1], *_fullest(found.facts[1:])]:
        last = _last(one.used)
        said = "?" if last is None else f"{100 * last:.0f} %"
        tiles.append(_tile(f"{one.name} in use", said, one.used, found.end, _percent, kind=_much(one), top=1.0))
    return f'{whole}<section class="tiles">{"".join(tiles)}</section>'


def _tile(
    name: str,
    said: str,
    line: Line,
    end: int,
    spell: Callable[[float], str],
    *,
    kind: str = "g",
    top: float | None = None,
) -> str:
    return (
        f'<div class="tile"><span class="quiet">{html.escape(name)}</span>'
        f'<b class="text-{kind}">{html.escape(said)}</b>'
        f"{_curve('', '', line, end, spell, top=top)}</div>"
    )


def _site(one: SiteDay, end: int) -> str:
    certificate = "" if one.days is None else f" · certificate {max(one.days, 0):.0f} days"
    figures = [_strip(family, line, end) for family, line in one.up.items()]
    if known := _known([one.visits]):
        figures.append(_curve("visits", f"{sum(known):,.0f} in all", one.visits, end, lambda value: f"{value:.0f}"))
    if (last := _last(one.seconds)) is not None:
        figures.append(_curve("answer", _time(last), one.seconds, end, _time))
    share = _share(_known(list(one.up.values()))) or "not looked at yet"
    return (
        f'<article class="card"><div class="top"><h2>{html.escape(one.domain)}</h2><span class="much">{share}</span>'
        f'</div><p class="quiet">{html.escape(one.application)}{certificate}</p>'
        + "".join(figures)
        + f"{_hours(end)}</article>"
    )


def _fact(one: Fact, end: int) -> str:
    last = _last(one.used)
    much = "not known yet" if last is None else f"{100 * last:.0f} %"
    size = "" if one.size is None else f"of {one.size / 2**30:.1f} GiB"
    return (
        f'<article class="card"><div class="top"><h2>{html.escape(one.name)}</h2>'
        f'<span class="much text-{_much(one)}">{much}</span></div><p class="quiet">used, {size}</p>'
        f"{_curve('', '', one.used, end, _percent, top=1.0)}{_hours(end)}</article>"
    )


def _much(one: Fact) -> str:
    last = _last(one.used) or 0
    some, bad = MEMORY_MUCH if one.name == "memory" else DISK_MUCH
    return "b" if last >= bad else "s" if last >= some else "g"


def _fullest(disks: Sequence[Fact]) -> list[Fact]:
    return sorted(disks, key=lambda one: _last(one.used) or 0)[-1:]


def _known(lines: Sequence[Line]) -> list[float]:
    return [value for line in lines for value in line if value is not None]


def _last(line: Line) -> float | None:
    return next((value for value in reversed(line) if value is not None), None)


def _joined(lines: Sequence[Line], how: Callable[[list[float]], float]) -> Line:
    """One line of several: at each point of what is known there."""
    known = ([value for value in values if value is not None] for values in zip(*lines, strict=True))
    return tuple(how(values) if values else None for values in known)


def _share(looks: Sequence[float]) -> str:
    """Of the looks those that found it well. What is not all is never written as all."""
    if not looks:
        return ""
    share = 100 * sum(looks) / len(looks)
    return f"{min(share, 99.99) if share < 100 else share:.2f} %"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _strip(family: str, line: Line, end: int) -> str:
    """A bar for each quarter of an hour."""
    bars = []
    for at, value in enumerate(line):
        kind = "n" if value is None else "g" if value >= GOOD else "s" if value >= 0.5 else "b"
        said = "nothing known" if value is None else f"{100 * value:.0f} %"
        y, height = _HEIGHTS[kind]
        bars.append(
            f'<rect class="{kind}" x="{at * 6}" y="{y}" width="5" height="{height}">'
            f"<title>{_clock(at, end)} {said}</title></rect>"
        )
    share = _share(_known([line]))
    caption = f"<figcaption><span>{html.escape(family)}</span><span>{share}</span></figcaption>" if family else ""
    return (
        f'<figure>{caption}<svg class="strip" viewBox="0 0 {WIDTH} 20" preserveAspectRatio="none" role="img" '
        f'aria-label="{html.escape(family or "all sites")}: {share or "nothing known"}">{"".join(bars)}</svg></figure>'
    )


def _hours(end: int) -> str:
    """What time it was from left to right."""
    clocks = [_clock(at, end) for at in range(-1, POINTS - 1, POINTS // 4)]
    return f'<div class="hours">{"".join(f"<span>{one}</span>" for one in clocks)}<span>now</span></div>'


def _curve(
    name: str, said: str, line: Line, end: int, spell: Callable[[float], str], *, top: float | None = None
) -> str:
    """A line with the space below it filled; gaps stay gaps."""
    highest = top or max(_known([line]), default=0) or 1
    pieces: list[list[tuple[float, float, float, int]]] = [[]]
    for at, value in enumerate(line):
        if value is None:
            pieces.append([])
            continue
        pieces[-1].append((at * 6 + 3, HEIGHT - 3 - (HEIGHT - 6) * min(value / highest, 1), value, at))
    drawn = []
    for piece in pieces:
        if len(piece) > 1:
            points = " ".join(f"{x:.0f},{y:.1f}" for x, y, *_ in piece)
            drawn.append(
                f'<polygon class="area" points="{piece[0][0]:.0f},{HEIGHT} {points} {piece[-1][0]:.0f},{HEIGHT}"/>'
            )
            drawn.append(f'<polyline class="curve" points="{points}"/>')
        elif piece:
            drawn.append(
                f'<rect class="dot" x="{piece[0][0] - 2:.0f}" y="{piece[0][1] - 2:.1f}" width="4" height="4"/>'
            )
        # What shows its figure where the pointer is.
        drawn += [
            f'<rect x="{x - 3:.0f}" width="6" height="{HEIGHT}" fill="transparent">'
            f"<title>{_clock(at, end)} {html.escape(spell(value))}</title></rect>"
            for x, _, value, at in piece
        ]
    most = f"up to {spell(highest)}" if top is None and _known([line]) else ""
    caption = f"<figcaption><span>{html.escape(name)} {html.escape(said)}</span><span>{most}</span></figcaption>"
    return (
        f"<figure>{caption if name else ''}"
        f'<svg class="curves" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{html.escape(name or "share in use")}">'
        f'<line class="floor" x1="0" x2="{WIDTH}" y1="{HEIGHT - 0.5}" y2="{HEIGHT - 0.5}"/>'
        + "".join(drawn)
        + "</svg></figure>"
    )


def _clock(at: int, end: int) -> str:
    """When a point was, in UTC."""
    return time.strftime("%H:%M", time.gmtime(end - (POINTS - 1 - at) * STEP))


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
