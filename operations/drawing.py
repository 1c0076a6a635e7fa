"""A layered drawing of cards and arrows as SVG: what is needed stands left of what needs it.

Pure. Long arrows run through gaps that are kept free for them, columns are ordered so that few arrows cross,
and every choice has a fixed tie-break, so the same graph gives the same file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from statistics import median

WIDTH, HEADER, ROW, PAD = 196, 44, 22, 10
GAP_X, GAP_Y, LANE, MARGIN = 84, 26, 8, 36
TITLE, LEGEND = 46, 40
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"
COLOURS = {
    "vultr": "#2563eb",
    "docker": "#0891b2",
    "command": "#d97706",
    "tls": "#7c3aed",
    "random": "#db2777",
}
OTHER = "#64748b"
HEADERS = {
    "Access": "#5b21b6",
    "Secrets": "#9d174d",
    "Server": "#1e40af",
    "Zone": "#1d4ed8",
    "Bootstrap": "#b45309",
    "Network": "#155e75",
    "Volumes": "#155e75",
    "Image": "#475569",
    "Application": "#166534",
    "Job": "#9a3412",
}
SWEEPS = 12


@dataclass(frozen=True)
class Row:
    """So many resources of one type."""

    package: str  # `vultr`
    type: str  # `DnsRecord`
    count: int


@dataclass(frozen=True)
class Card:
    """One component."""

    kind: str  # `Server`
    name: str
    rows: tuple[Row, ...]

    @property
    def height(self) -> float:
        return HEADER + (len(self.rows) * ROW + PAD * 1.4 if self.rows else 0)


class Layout:
    """Where the cards stand. Nodes are the cards' keys and, for long arrows, `from>to>column` in between."""

    def __init__(self, cards: Mapping[str, Card], needs: Mapping[str, frozenset[str]]) -> None:
        self._cards = cards
        self.column = _columns(cards, needs)
        self.above: dict[str, list[str]] = {}  # neighbours one column to the left
        self.paths: list[list[str]] = []
        columns: dict[int, list[str]] = {}
        for node in sorted(cards, key=self._rank):
            columns.setdefault(self.column[node], []).append(node)
        for node in sorted(cards, key=self._rank):
            for needed in sorted(needs[node], key=self._rank):
                path = [needed]
                for column in range(self.column[needed] + 1, self.column[node]):
                    lane = f"{needed}>{node}>{column}"
                    self.column[lane] = column
                    columns[column].append(lane)
                    path.append(lane)
                path.append(node)
                self.paths.append(path)
                for left, right in pairwise(path):
                    self.above.setdefault(right, []).append(left)
        self.below: dict[str, list[str]] = {}
        for right, lefts in self.above.items():
            for left in lefts:
                self.below.setdefault(left, []).append(right)
        self.columns = [columns[index] for index in sorted(columns)]
        self._order()
        self.y = self._place()

    def height(self, node: str) -> float:
        return self._cards[node].height if node in self._cards else LANE

    def middle(self, node: str) -> float:
        return self.y[node] + self.height(node) / 2

    def _rank(self, node: str) -> tuple[int, str, str]:
        card = self._cards[node]
        return self.column[node], card.kind, card.name

    def _order(self) -> None:
        for sweep in range(SWEEPS):
            forward = sweep % 2 == 0
            near = self.above if forward else self.below
            for index in range(len(self.columns))[:: 1 if forward else -1]:
                place = {node: i for column in self.columns for i, node in enumerate(column)}
                column = self.columns[index]
                keys = {
                    node: (median([place[other] for other in near[node]]) if near.get(node) else place[node])
                    for node in column
                }
                self.columns[index] = sorted(column, key=lambda node: (keys[node], place[node]))

    def _place(self) -> dict[str, float]:
        y: dict[str, float] = {}
        for column in self.columns:
            at = 0.0
            for node in column:
                y[node] = at
                at += self.height(node) + self._gap(node)
        for sweep in range(SWEEPS):
            order = range(len(self.columns))[:: 1 if sweep % 2 == 0 else -1]
            for index in order:
                column = self.columns[index]
                wanted = {}
                for node in column:
                    near = [*self.above.get(node, ()), *self.below.get(node, ())]
                    centre = [y[other] + self.height(other) / 2 for other in near]
                    wanted[node] = (sum(centre) / len(centre) if centre else y[node]) - (
                        self.height(node) / 2 if centre else 0
                    )
                self._settle(column, wanted, y)
        top = min(y.values())
        return {node: value - top for node, value in y.items()}

    def _settle(self, column: Sequence[str], wanted: Mapping[str, float], y: dict[str, float]) -> None:
        """As near to the wanted places as the order and the gaps allow: blocks that meet move together."""
        blocks: list[tuple[list[str], float]] = []  # nodes, top
        for node in column:
            block, top = [node], wanted[node]
            while blocks and blocks[-1][1] + self._extent(blocks[-1][0]) > top:
                before, _ = blocks.pop()
                block = before + block
                offset, total = 0.0, 0.0
                for member in block:
                    total += wanted[member] - offset
                    offset += self.height(member) + self._gap(member)
                top = total / len(block)
            blocks.append((block, top))
        for block, top in blocks:
            at = top
            for node in block:
                y[node] = at
                at += self.height(node) + self._gap(node)

    def _extent(self, block: Sequence[str]) -> float:
        return sum(self.height(node) + self._gap(node) for node in block)

    def _gap(self, node: str) -> float:
        return GAP_Y if node in self._cards else GAP_Y / 2


def _columns(cards: Mapping[str, Card], needs: Mapping[str, frozenset[str]]) -> dict[str, int]:
    """The longest way from a card that needs nothing."""
    column: dict[str, int] = {}

    def visit(node: str) -> int:
        if node not in column:
            column[node] = max((visit(other) + 1 for other in needs[node]), default=0)
        return column[node]

    for node in cards:
        visit(node)
    return column


def svg(cards: Mapping[str, Card], needs: Mapping[str, frozenset[str]], title: str) -> str:
    """The whole drawing; `needs` must have no circle."""
    layout = Layout(cards, needs)
    width = 2 * MARGIN + len(layout.columns) * (WIDTH + GAP_X) - GAP_X
    bottom = max(layout.y[node] + layout.height(node) for node in cards)
    height = 2 * MARGIN + TITLE + bottom + LEGEND
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:.0f}" '
        f'viewBox="0 0 {width} {height:.0f}" font-family="{FONT}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height:.0f}" rx="14" fill="#f8fafc"/>',
        f'<text x="{MARGIN}" y="{MARGIN + 16}" font-size="19" font-weight="600" fill="#0f172a">{escape(title)}</text>',
        f'<g transform="translate({MARGIN} {MARGIN + TITLE})">',
        *(_arrow(layout, path) for path in layout.paths),
        *(_card(layout, node, cards[node]) for node in sorted(cards, key=lambda node: (layout.column[node], node))),
        "</g>",
        _legend(cards, height - MARGIN),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _arrow(layout: Layout, path: Sequence[str]) -> str:
    def x(node: str) -> float:
        return layout.column[node] * (WIDTH + GAP_X)

    at, y = x(path[0]) + WIDTH, layout.middle(path[0])
    line = [f"M{at:.0f} {y:.1f}"]
    for node in path[1:]:
        bend, next_y = GAP_X / 2, layout.middle(node)
        line.append(f"C{at + bend:.0f} {y:.1f} {x(node) - bend:.0f} {next_y:.1f} {x(node):.0f} {next_y:.1f}")
        y = next_y
        if node != path[-1]:
            line.append(f"H{x(node) + WIDTH:.0f}")
        at = x(node) + WIDTH
    tip, tip_y = x(path[-1]), layout.middle(path[-1])
    return (
        f'<path d="{"".join(line)}" fill="none" stroke="#94a3b8" stroke-width="1.6"/>'
        f'<path d="M{tip:.0f} {tip_y:.1f}l-8 -4.5v9z" fill="#94a3b8"/>'
    )


def _card(layout: Layout, node: str, card: Card) -> str:
    head = HEADERS.get(card.kind, "#334155")
    parts = [
        f'<g transform="translate({layout.column[node] * (WIDTH + GAP_X)} {layout.y[node]:.1f})">',
        f'<rect width="{WIDTH}" height="{card.height:.1f}" rx="8" fill="#ffffff" stroke="#cbd5e1"/>',
        f'<path d="M0 {HEADER}V8a8 8 0 0 1 8 -8H{WIDTH - 8}a8 8 0 0 1 8 8V{HEADER}z" fill="{head}"/>'
        if card.rows
        else f'<rect width="{WIDTH}" height="{HEADER}" rx="8" fill="{head}"/>',
        f'<text x="12" y="17" font-size="10.5" letter-spacing="0.6" fill="#ffffff" fill-opacity="0.78">'
        f"{escape(card.kind.upper())}</text>",
        f'<text x="12" y="35" font-size="14.5" font-weight="600" fill="#ffffff">{escape(_short(card.name))}</text>',
    ]
    for index, row in enumerate(card.rows):
        y = HEADER + PAD * 0.7 + index * ROW + ROW / 2
        times = f'<tspan dx="5" fill="#94a3b8">&#215; {row.count}</tspan>' if row.count > 1 else ""
        parts.append(
            f'<circle cx="17" cy="{y:.1f}" r="4.5" fill="{COLOURS.get(row.package, OTHER)}"/>'
            f'<text x="30" y="{y + 4.2:.1f}" font-size="12.5" fill="#334155">{escape(row.type)}{times}</text>'
        )
    return "".join([*parts, "</g>"])


def _legend(cards: Mapping[str, Card], y: float) -> str:
    packages = sorted({row.package for card in cards.values() for row in card.rows})
    parts, x = [], float(MARGIN)
    for package in packages:
        parts.append(
            f'<circle cx="{x + 5:.0f}" cy="{y - 4:.0f}" r="4.5" fill="{COLOURS.get(package, OTHER)}"/>'
            f'<text x="{x + 16:.0f}" y="{y:.0f}" font-size="12" fill="#475569">{escape(package)}</text>'
        )
        x += 16 + 8 * len(package) + 24
    parts.append(f'<text x="{x:.0f}" y="{y:.0f}" font-size="12" fill="#94a3b8">an arrow leads to what needs it</text>')
    return "".join(parts)


def _short(name: str, limit: int = 22) -> str:
    return name if len(name) <= limit else f"{name[: limit - 1]}…"
