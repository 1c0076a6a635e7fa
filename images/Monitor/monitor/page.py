"""The picture of a day as one page: no scripts, nothing from elsewhere, drawn from `day.Day`.

Makes index.html, whole and at once. Leaves alone: who may see it (NginxStatic's password).
"""

from __future__ import annotations

import html
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from monitor import day
from monitor.day import POINTS, STEP, Day, Fact, Fire, Line, NoFiguresError, SiteDay
from monitor.watch import Watch

GOOD = 0.999  # below it a quarter of an hour is told apart
WIDTH, HEIGHT = POINTS * 6, 46
_STYLE = """
:root { color-scheme: light dark; --ground: #fbf8f1; --card: #fffdf8; --ink: #33302a; --quiet: #6d675b;
  --line: #e6dec9; --good: #5b9a5b; --some: #e0a526; --bad: #c8452f; --none: #e9e3d3; --draw: #a86f00 }
@media (prefers-color-scheme: dark) {
  :root { --ground: #1d1b17; --card: #25221d; --ink: #ece6d8; --quiet: #a69f8f; --line: #3a352b;
    --good: #6fae6f; --some: #e0a526; --bad: #e06a52; --none: #35312a; --draw: #f0b73f }
}
* { box-sizing: border-box }
body { margin: 0; padding: 0 1rem 3rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 76rem; margin: 0 auto }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem 1.2rem; margin: 1.6rem 0 1rem }
h1 { font-size: 1.7rem; margin: 0 } h2 { font-size: 1.05rem; margin: 0; overflow-wrap: anywhere }
.quiet { color: var(--quiet); font-size: .9rem }
.state { padding: .8rem 1.1rem; border-radius: .6rem; font-weight: 600; color: #fff; background: var(--good) }
.state.warning { background: var(--some); color: #2b2618 } .state.critical { background: var(--bad) }
.fire { margin: .6rem 0 0; padding: .7rem 1rem; background: var(--card); border-left: .35rem solid var(--some);
  border-radius: .4rem }
.fire.critical { border-color: var(--bad) } .fire p { margin: 0 }
code { font: .88rem/1.5 ui-monospace, monospace; overflow-wrap: anywhere }
.cards { display: grid; align-items: start; gap: 1rem; margin-top: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 23rem), 1fr)) }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .7rem; padding: .9rem 1rem }
.top { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem }
.much { font-size: 1.25rem; font-weight: 600; white-space: nowrap; font-variant-numeric: tabular-nums }
figure { margin: .55rem 0 0 } figcaption { display: flex; justify-content: space-between; font-size: .82rem;
  color: var(--quiet) }
svg { display: block; width: 100%; height: auto } .strip { height: 1.15rem }
.g { fill: var(--good) } .s { fill: var(--some) } .b { fill: var(--bad) } .n { fill: var(--none) }
.area { fill: var(--draw); opacity: .22 } .curve { fill: none; stroke: var(--draw); stroke-width: 2 }
.dot { fill: var(--draw) } .floor { stroke: var(--line) }
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
    parts = [*_fires(found.fires), '<section class="cards">', *(_site(one, found.end) for one in found.sites)]
    parts += [*(_fact(one, found.end) for one in found.facts), "</section>"]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="robots" content="noindex">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="refresh" content="60">\n<title>{name}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n'
        f'<main>\n<header><h1>{name}</h1><span class="quiet">the day until {made}, from left to right; '
        "a bar is a quarter of an hour</span></header>\n" + "\n".join(parts) + "\n</main>\n</body>\n</html>\n"
    )


def _fires(fires: Sequence[Fire]) -> Iterable[str]:
    if not fires:
        yield '<p class="state">All is well.</p>'
        return
    worst = "critical" if any(one.severity == "critical" for one in fires) else "warning"
    yield f'<p class="state {worst}">{len(fires)} {"alert" if len(fires) == 1 else "alerts"}</p>'
    for one in fires:
        kind = "critical" if one.severity == "critical" else "warning"
        yield (
            f'<div class="fire {kind}"><p>{html.escape(one.summary)} '
            f'<span class="quiet">since {html.escape(one.since)}</span></p>'
            f'<p><code>{html.escape(one.type)}</code> <span class="quiet">{html.escape(one.doc)}</span></p></div>'
        )


def _site(one: SiteDay, end: int) -> str:
    looks = [value for line in one.up.values() for value in line if value is not None]
    share = f"{100 * sum(looks) / len(looks):.2f} %" if looks else "not looked at yet"
    certificate = "" if one.days is None else f" · certificate {max(one.days, 0):.0f} days"
    last = next((value for value in reversed(one.seconds) if value is not None), None)
    figures = [_strip(family, line, end) for family, line in one.up.items()]
    if any(value is not None for value in one.visits):
        total = sum(value or 0 for value in one.visits)
        figures.append(_curve("visits", f"{total:,.0f} in all", one.visits, end, lambda value: f"{value:.0f}"))
    if last is not None:
        figures.append(_curve("answer", _time(last), one.seconds, end, _time))
    return (
        f'<article class="card"><div class="top"><h2>{html.escape(one.domain)}</h2><span class="much">{share}</span>'
        f'</div><p class="quiet" style="margin:0">{html.escape(one.application)}{certificate}</p>'
        + "".join(figures)
        + "</article>"
    )


def _fact(one: Fact, end: int) -> str:
    last = next((value for value in reversed(one.used) if value is not None), None)
    much = "not known yet" if last is None else f"{100 * last:.0f} %"
    size = "" if one.size is None else f"of {one.size / 2**30:.1f} GiB"
    return (
        f'<article class="card"><div class="top"><h2>{html.escape(one.name)}</h2><span class="much">{much}</span></div>'
        f'<p class="quiet" style="margin:0">used, {size}</p>'
        + _curve("", "", one.used, end, lambda value: f"{100 * value:.1f} %", top=1.0)
        + "</article>"
    )


def _strip(family: str, line: Line, end: int) -> str:
    """A bar for each quarter of an hour."""
    bars = []
    for at, value in enumerate(line):
        kind = "n" if value is None else "g" if value >= GOOD else "s" if value >= 0.5 else "b"
        said = "nothing known" if value is None else f"{100 * value:.0f} %"
        bars.append(
            f'<rect class="{kind}" x="{at * 6}" width="5" height="20"><title>{_clock(at, end)} {said}</title></rect>'
        )
    looks = [value for value in line if value is not None]
    share = f"{100 * sum(looks) / len(looks):.2f} %" if looks else ""
    return (
        f"<figure><figcaption><span>{html.escape(family)}</span><span>{share}</span></figcaption>"
        f'<svg class="strip" viewBox="0 0 {WIDTH} 20" preserveAspectRatio="none" role="img" '
        f'aria-label="{html.escape(family)}: {share or "nothing known"}">{"".join(bars)}</svg></figure>'
    )


def _curve(
    name: str, said: str, line: Line, end: int, spell: Callable[[float], str], *, top: float | None = None
) -> str:
    """A line with the space below it filled; gaps stay gaps."""
    highest = top or max((value for value in line if value is not None), default=0) or 1
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
            drawn.append(f'<circle class="dot" cx="{piece[0][0]:.0f}" cy="{piece[0][1]:.1f}" r="2.5"/>')
        # What shows its figure where the pointer is.
        drawn += [
            f'<rect x="{x - 3:.0f}" width="6" height="{HEIGHT}" fill="transparent">'
            f"<title>{_clock(at, end)} {html.escape(spell(value))}</title></rect>"
            for x, _, value, at in piece
        ]
    most = f"up to {spell(highest)}" if top is None and any(value is not None for value in line) else ""
    caption = f"<figcaption><span>{html.escape(name)} {html.escape(said)}</span><span>{most}</span></figcaption>"
    return (
        f"<figure>{caption if name else ''}"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(name or "share in use")}">'
        f'<line class="floor" x1="0" x2="{WIDTH}" y1="{HEIGHT - 0.5}" y2="{HEIGHT - 0.5}"/>'
        + "".join(drawn)
        + "</svg></figure>"
    )


def _clock(at: int, end: int) -> str:
    """When a point was, in UTC."""
    return time.strftime("%H:%M", time.gmtime(end - (POINTS - 1 - at) * STEP))


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
