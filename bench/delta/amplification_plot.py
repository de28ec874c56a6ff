"""The plot of what a row costs over the commit interval: an SVG, both axes logarithmic."""

from __future__ import annotations

import math
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 340
LEFT, RIGHT, TOP, BOTTOM = 60, 130, 20, 50
COLOURS = ("#27c", "#c52", "#283")
STYLE = (
    "text{font:12px sans-serif;fill:#456}.axis{stroke:#9ab;fill:none}"
    ".line{stroke-width:2;fill:none}.mark{stroke:#888;stroke-dasharray:4 3;fill:none}"
)


@dataclass(frozen=True)
class Line:
    name: str
    points: list[tuple[float, float]]  # seconds, figure


def plot_svg(lines: list[Line], marks: list[tuple[float, str]]) -> str:
    """Lines over the interval in seconds; marks are intervals with a word on each."""
    seconds = [x for line in lines for x, _ in line.points]
    figures = [y for line in lines for _, y in line.points]
    left, right = math.log10(min(seconds)), math.log10(max(seconds))
    low, high = math.floor(math.log10(min(figures))), math.ceil(math.log10(max(figures)))

    def x(second: float) -> float:
        return LEFT + (math.log10(second) - left) / (right - left) * (WIDTH - LEFT - RIGHT)

    def y(figure: float) -> float:
        return HEIGHT - BOTTOM - (math.log10(figure) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [f"<style>{STYLE}</style>"]
    parts += [
        f'<path class="axis" d="M{LEFT} {y(10**power):.0f}H{WIDTH - RIGHT}"/>'
        f'<text x="{LEFT - 6}" y="{y(10**power) + 4:.0f}" text-anchor="end">'
        f"{10**power:,g}</text>"
        for power in range(low, high + 1)
    ]
    for second, word in ((0.1, "100 ms"), (1, "1 s"), (10, "10 s"), (60, "1 min"), (300, "5 min")):
        if left <= math.log10(second) <= right:
            parts.append(
                f'<text x="{x(second):.0f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
                f"{word}</text>"
            )
    for second, word in marks:
        parts.append(
            f'<path class="mark" d="M{x(second):.0f} {TOP}V{HEIGHT - BOTTOM}"/>'
            f'<text x="{x(second) + 4:.0f}" y="{TOP + 10}">{word}</text>'
        )
    for colour, line in zip(COLOURS, lines, strict=False):
        path = " ".join(f"{x(s):.1f},{y(f):.1f}" for s, f in line.points)
        parts.append(f'<polyline class="line" stroke="{colour}" points="{path}"/>')
        parts += [
            f'<circle fill="{colour}" cx="{x(s):.1f}" cy="{y(f):.1f}" r="3"/>'
            for s, f in line.points
        ]
        last = line.points[-1]
        parts.append(f'<text x="{x(last[0]) + 8:.0f}" y="{y(last[1]) + 4:.0f}">{line.name}</text>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">'
        "commit interval</text>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(parts)}</svg>\n'
    )
