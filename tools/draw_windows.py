#!/usr/bin/env python3
"""Draws the pictures of docs/concepts/windows.md: events in time, and what a window holds of them.

draw_windows.py [--check]     writes docs/concepts/windows/*.svg, or fails when they differ
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "concepts" / "windows"
LEFT, RIGHT, LINE = 150, 700, 34  # where the line of time runs, and the height of a row
START, END = 0.0, 100.0  # of the line, in units of the pictures


@dataclass
class Bar:
    """A window: open or closed at its ends, and the events that are its rows."""

    label: str
    begin: float
    end: float
    rows: Sequence[float] = ()
    faint: bool = False


@dataclass
class Picture:
    title: str
    events: Sequence[float]
    bars: Sequence[Bar]
    as_of: float = 80.0
    ticks: Sequence[tuple[float, str]] = ()
    late: Sequence[float] = ()


def x(time: float) -> float:
    return LEFT + (time - START) / (END - START) * (RIGHT - LEFT)


def text(at_x: float, at_y: float, words: str, anchor: str = "start", size: int = 13) -> str:
    place = f'x="{at_x:.0f}" y="{at_y:.0f}" text-anchor="{anchor}" font-size="{size}"'
    return f"<text {place}>{words}</text>"


def dot(time: float, y: float, fill: str, radius: float = 5) -> str:
    return (
        f'<circle cx="{x(time):.1f}" cy="{y:.1f}" r="{radius:g}" fill="{fill}" stroke="#1f2937"/>'
    )


def draw(picture: Picture) -> str:
    height = 70 + LINE * (len(picture.bars) + 1)
    axis = 60
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {height}" width="720" '
        f'height="{height}" font-family="sans-serif" fill="#1f2937">',
        f"<title>{picture.title}</title>",
        f'<rect width="720" height="{height}" fill="#ffffff"/>',
        text(10, 22, picture.title, size=14),
    ]
    for tick, label in picture.ticks:
        out.append(
            f'<line x1="{x(tick):.1f}" y1="{axis - 14}" x2="{x(tick):.1f}" y2="{height - 8}" '
            'stroke="#d1d5db" stroke-dasharray="3 3"/>'
        )
        out.append(text(x(tick) + 3, axis - 14, label, size=11))
    out.append(
        f'<line x1="{x(picture.as_of):.1f}" y1="{axis - 26}" x2="{x(picture.as_of):.1f}" '
        f'y2="{height - 8}" stroke="#b91c1c" stroke-width="1.5"/>'
    )
    out.append(text(x(picture.as_of) + 4, axis - 20, "as of", size=12))
    out.append(text(10, axis + 5, "events"))
    out.append(
        f'<line x1="{LEFT}" y1="{axis}" x2="{RIGHT}" y2="{axis}" '
        'stroke="#6b7280" stroke-width="1.5"/>'
    )
    out.extend(
        dot(event, axis, "#f59e0b" if event in picture.late else "#9ca3af")
        for event in picture.events
    )
    for row, bar in enumerate(picture.bars, start=1):
        y = axis + LINE * row
        fill = "#e5e7eb" if bar.faint else "#bfdbfe"
        out.append(text(10, y + 5, bar.label))
        out.append(
            f'<rect x="{x(bar.begin):.1f}" y="{y - 9}" width="{x(bar.end) - x(bar.begin):.1f}" '
            f'height="18" rx="4" fill="{fill}" stroke="#2563eb"/>'
        )
        out.extend(dot(event, y, "#2563eb", 4) for event in bar.rows)
    out.append("</svg>")
    return "\n".join(out) + "\n"


EVENTS = [6, 14, 22, 31, 43, 52, 58, 71, 76, 90]
VISITS = [8, 11, 15, 40, 46, 49, 71, 76]


def within(events: Sequence[float], after: float, until: float) -> list[float]:
    return [event for event in events if after < event <= until]


PICTURES = {
    "sliding": Picture(
        "over: [1h, 3h]",
        EVENTS,
        [
            Bar("1h", 60, 80, within(EVENTS, 60, 80)),
            Bar("3h", 20, 80, within(EVENTS, 20, 80)),
        ],
    ),
    "ending": Picture(
        "over: 1h, ending: 2h ago",
        EVENTS,
        [Bar("1h", 20, 40, within(EVENTS, 20, 40))],
    ),
    "last-rows": Picture(
        "last: {3: ...}",
        EVENTS,
        [Bar("the newest 3", 56, 80, within(EVENTS, 56, 80))],
    ),
    "tumbling": Picture(
        "tumbling: [this 1h, previous 1h]",
        EVENTS,
        [
            Bar("this 1h", 66, 80, within(EVENTS, 66, 80)),
            Bar("previous 1h", 44, 66, within(EVENTS, 44, 66)),
        ],
        ticks=[(0, "07:00"), (22, "08:00"), (44, "09:00"), (66, "10:00"), (88, "11:00")],
    ),
    "hopping": Picture(
        "hopping: 1h every 15m",
        EVENTS,
        [
            Bar("at 10:15", 55.5, 77.5, within(EVENTS, 55.5, 77.5)),
            Bar("before, at 10:00", 50, 72, within(EVENTS, 50, 72), faint=True),
        ],
        ticks=[
            (50, "09:00"),
            (55.5, "15"),
            (61, "30"),
            (66.5, "45"),
            (72, "10:00"),
            (77.5, "15"),
            (83, "30"),
        ],
    ),
    "precision": Picture(
        "over: 1h, precision: 5m",
        EVENTS,
        [
            Bar("exact", 37, 80, within(EVENTS, 37, 80), faint=True),
            Bar("with precision", 44, 80, within(EVENTS, 44, 80)),
        ],
        ticks=[(2, ""), (16, ""), (30, ""), (44, "full 5 minutes"), (58, ""), (72, ""), (86, "")],
    ),
    "session": Picture(
        "session: [this 30m, last 30m]",
        VISITS,
        [
            Bar("this 30m", 70, 80, within(VISITS, 70, 80)),
            Bar("last 30m", 70, 77, within(VISITS, 70, 80)),
            Bar("earlier ones", 39, 50, within(VISITS, 39, 50), faint=True),
        ],
    ),
    "session-late": Picture(
        "a late row joins two sessions",
        sorted([*VISITS, 60]),
        [
            Bar("without it", 70, 77, within(VISITS, 70, 80), faint=True),
            Bar("with it", 39, 77, within(sorted([*VISITS, 60]), 39, 80)),
        ],
        late=[60],
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail when a picture differs"
    )
    check = parser.parse_args().check
    FOLDER.mkdir(parents=True, exist_ok=True)
    differ = 0
    for name, picture in PICTURES.items():
        path = FOLDER / f"{name}.svg"
        drawn = draw(picture)
        if check:
            if not path.exists() or path.read_text() != drawn:
                print(f"{path} differs from what tools/draw_windows.py draws")
                differ = 1
        else:
            path.write_text(drawn)
    return differ


if __name__ == "__main__":
    sys.exit(main())
