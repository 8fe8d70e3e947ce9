"""Stacked bars as inline SVG: a pure function of numbers.

Text stays outside the picture, where it keeps its size on a phone; the legend beneath says the
sums, so nobody needs to see colours.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from bff.operate.admin.words import number

WIDTH: Final = 720
HEIGHT: Final = 96
SHOWN: Final = 5  # series with a colour of their own; the rest is one

# What a name says about the day. Names without one get the next that is free.
TONES: Final = {
    "begun": "good", "ended": "calm", "1xx": "soft", "2xx": "good", "3xx": "calm", "4xx": "warn",
    "5xx": "bad", "granted": "good", "passing": "calm", "unsure": "warn", "invalid_grant": "bad",
    "client_refused": "odd", "definite_400": "soft", "not_sent": "odd",
}  # fmt: skip
_FREE: Final = ("calm", "warn", "odd", "good", "bad")

Series = Mapping[str, Sequence[float]]


def figure(title: str, series: Series, axis: tuple[str, str]) -> str:
    """A chart with its title, the ends of its time axis and its legend."""
    shown = _folded(series)
    tones = _tones(shown)
    most = max((sum(each) for each in zip(*shown.values(), strict=True)), default=0.0)
    sums = ", ".join(f"{name} {number(sum(values))}" for name, values in shown.items())
    label = f"{title}: {sums or 'none'}"
    items = "".join(
        f'<li><i class="{tones[name]}"></i>{escape(name)} <b>{number(sum(values))}</b></li>'
        for name, values in shown.items()
    )
    legend = f'<ul class="legend">{items}</ul>' if items else '<p class="none">None.</p>'
    first, last = axis
    return (
        f'<figure class="card"><figcaption><h2>{escape(title)}</h2>'
        f'<span class="most">{f"peak {number(most)}" if most else ""}</span></figcaption>'
        f"{_svg(label, shown, tones, most)}"
        f'<p class="axis"><span>{escape(first)}</span><span>{escape(last)}</span></p>'
        f"{legend}</figure>"
    )


def _folded(series: Series) -> dict[str, Sequence[float]]:
    """The largest, the largest first, and all others as one."""
    order = sorted(series, key=lambda name: (-sum(series[name]), name))
    shown = {name: series[name] for name in order[:SHOWN]}
    rest = [series[name] for name in order[SHOWN:]]
    if rest:
        shown["others"] = [sum(each) for each in zip(*rest, strict=True)]
    return shown


def _tones(names: Mapping[str, object]) -> dict[str, str]:
    taken = {TONES[name] for name in names if name in TONES}
    free = (tone for tone in _FREE if tone not in taken)
    return {name: TONES.get(name) or next(free, "soft") for name in names if name != "others"} | {
        "others": "soft"
    }


def _svg(label: str, series: Series, tones: Mapping[str, str], most: float) -> str:
    count = max((len(values) for values in series.values()), default=1)
    step = WIDTH / count
    bars: list[str] = []
    heights = [0.0] * count
    for name, values in series.items():
        for place, value in enumerate(values):
            if value <= 0:
                continue
            tall = max(1.0, value / most * HEIGHT)
            heights[place] += tall
            bars.append(
                f'<rect class="{tones[name]}" x="{place * step:.1f}"'
                f' y="{max(0.0, HEIGHT - heights[place]):.1f}"'
                f' width="{max(1.0, step - 1.5):.1f}" height="{tall:.1f}"/>'
            )
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' preserveAspectRatio="none">{"".join(bars)}</svg>'
    )
