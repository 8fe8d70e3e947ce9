"""A plot as SVG: panels one above the other over the same time, one line each, light and dark."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 760
HEIGHT: Final = 120  # of a panel's drawing
LEFT, RIGHT, TOP, BETWEEN = 64, 16, 30, 52
STYLE: Final = """
text { font: 12px system-ui, sans-serif; fill: #444 }
.name { font-weight: 600; fill: #111 }
.grid { stroke: #ddd }
.line { fill: none; stroke: #1f5fbf; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #bbb } .name { fill: #eee } .grid { stroke: #444 } .line { stroke: #7fb2ff }
}
"""


@dataclass(frozen=True)
class Panel:
    """One line over time; `unit` stands behind its name."""

    name: str
    unit: str
    values: Sequence[float]


def svg(panels: Sequence[Panel], *, minutes: float, about: str) -> str:
    """The whole picture; `about` says in words what is to be seen."""
    height = TOP + len(panels) * (HEIGHT + BETWEEN)
    drawn = "".join(_panel(each, place, minutes) for place, each in enumerate(panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{about}"><style>{STYLE}</style>{drawn}</svg>\n'
    )


def _panel(panel: Panel, place: int, minutes: float) -> str:
    top = TOP + place * (HEIGHT + BETWEEN)
    most = _round(max(panel.values, default=0.0))
    span = WIDTH - LEFT - RIGHT
    step = span / max(1, len(panel.values) - 1)
    points = " ".join(
        f"{LEFT + number * step:.1f},{top + HEIGHT * (1 - value / most):.1f}"
        for number, value in enumerate(panel.values)
    )
    lines = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{part * most:g}</text>'
        for part in (0.0, 0.5, 1.0)
        for y in [top + HEIGHT * (1 - part)]
    )
    times = "".join(
        f'<text x="{LEFT + span * part:.1f}" y="{top + HEIGHT + 16}" text-anchor="middle">'
        f"{minutes * part:g} min</text>"
        for part in (0.0, 0.5, 1.0)
    )
    return (
        f'<text class="name" x="{LEFT}" y="{top - 10}">{panel.name}, {panel.unit}</text>'
        f'{lines}{times}<polyline class="line" points="{points}"/>'
    )


def _round(most: float) -> float:
    """The next larger number that a person would write on an axis."""
    if most <= 0:
        return 1.0
    size = 10.0 ** (len(f"{most:.0f}") - 1) if most >= 1 else 0.1
    while size > most:
        size /= 10
    return next(size * each for each in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if size * each >= most)
