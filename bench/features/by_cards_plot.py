"""The plot of what an event costs over the number of cards: an SVG."""

from __future__ import annotations

import math

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 20, 50
STYLE = (
    "text{font:12px sans-serif;fill:#456}.axis{stroke:#9ab;fill:none}"
    ".line{stroke:#27c;stroke-width:2;fill:none}circle{fill:#27c}"
)


def plot_svg(points: list[tuple[float, float]]) -> str:
    """Cards, on a logarithmic axis, and nanoseconds an event, from 0."""
    least, most = math.log10(points[0][0]), math.log10(points[-1][0])
    highest = nice_above(max(ns for _, ns in points))

    def x(cards: float) -> float:
        share = (math.log10(cards) - least) / max(most - least, 1e-9)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(ns: float) -> float:
        return HEIGHT - BOTTOM - ns / highest * (HEIGHT - TOP - BOTTOM)

    parts = [f"<style>{STYLE}</style>"]
    for i in range(5):
        ns = highest * i / 4
        parts.append(
            f'<path class="axis" d="M{LEFT} {y(ns):.0f}H{WIDTH - RIGHT}"/>'
            f'<text x="{LEFT - 6}" y="{y(ns) + 4:.0f}" text-anchor="end">{ns:.0f}</text>'
        )
    parts += [
        f'<text x="{x(10**power):.0f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
        f"{10**power:,}</text>"
        for power in range(math.ceil(least), math.floor(most) + 1)
    ]
    line = " ".join(f"{x(cards):.1f},{y(ns):.1f}" for cards, ns in points)
    parts.append(f'<polyline class="line" points="{line}"/>')
    parts += [f'<circle cx="{x(c):.1f}" cy="{y(ns):.1f}" r="3"/>' for c, ns in points]
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">'
        f"cards</text>"
        f'<text transform="translate(14 {HEIGHT / 2:.0f}) rotate(-90)" text-anchor="middle">'
        f"ns an event</text>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(parts)}</svg>\n'
    )


def nice_above(value: float) -> float:
    """The next of 1, 2, 4, 5, 8, 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 5, 8, 10) if step * power >= value)
