"""Random windows, each as the pipeline file says it and as a condition on rows for DuckDB.

A condition is about a row `r` of a question: r.at_us, its event time; r.as_of, the question's.
Those of the last rows and of sessions depend on the rows between: they are columns that are
computed first, newest row first.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

MS = 1_000
SECOND = 1_000_000
DAY = 86_400 * SECOND
UNITS = (("d", DAY), ("h", 3_600 * SECOND), ("m", 60 * SECOND), ("s", SECOND))
# Midnights that are shown twice, or never; half hours; both sides of the date line.
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "America/Havana",
    "Africa/Cairo",
    "Asia/Kolkata",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
)
TILES_MAX = 20_000
NEWEST_FIRST = "ORDER BY r.at_us DESC, r.pos DESC"


def duration(us: int) -> str:
    for name, unit in UNITS:
        if us % unit == 0:
            return f"{us // unit}{name}"
    return f"{us // MS}ms"


def in_ms(us: int) -> int:
    """The least whole number of milliseconds that is as long: what the file can say."""
    return -(-us // MS) * MS


# A day may be an hour longer, and midnight be left out.
ZONE_SLACK_US = 25 * 3600 * SECOND


@dataclass(frozen=True)
class Window:
    key: str  # of the pipeline file
    which: str = ""  # this, previous, last
    length_us: int = 0  # of sessions: within
    step_us: int = 0  # of sessions: the gap
    rows: int = 0
    zone: str | None = None
    ending_us: int = 0
    precision_us: int = 0  # 0: exact

    @property
    def has_fixed_length(self) -> bool:
        return self.key in ("over", "hopping")

    @property
    def reach_us(self) -> int:
        """How far behind as_of a row inside may be."""
        length = self.length_us
        if self.key == "tumbling":
            length = length * (2 if self.which == "previous" else 1) + 1
            length += ZONE_SLACK_US if self.zone is not None else 0
        if self.key == "hopping":
            length += self.step_us + 1
        return self.ending_us + length

    @property
    def text(self) -> str:
        """As it stands under its key."""
        if self.key == "over":
            return duration(self.length_us)
        if self.key == "hopping":
            return f"{duration(self.length_us)} every {duration(self.step_us)}"
        span = self.step_us if self.key == "session" else self.length_us
        return f"{self.which} {duration(span)}"

    # ---- for DuckDB ----

    @property
    def end(self) -> str:
        return "r.as_of" if self.ending_us == 0 else f"(r.as_of - {self.ending_us})"

    def inside(self, number: int) -> str:
        """Whether the row is in it; `number` is that of its columns."""
        if self.key == "over":
            begin = f"r.at_us > {self.end} - {self.length_us}"
            if self.precision_us:  # from the first multiple inside
                multiple = f"({self.end} - {self.length_us}) // {self.precision_us} + 1"
                begin = f"r.at_us >= ({multiple}) * {self.precision_us}"
            return f"({begin} AND r.at_us <= {self.end})"
        if self.key == "hopping":
            last = f"{self.end} // {self.step_us} * {self.step_us}"
            return f"(r.at_us >= {last} - {self.length_us} AND r.at_us < {last})"
        if self.key == "tumbling":
            back = 1 if self.which == "previous" else 0
            span = f"{self.span('r.at_us')} = {self.span(self.end)} - {back}"
            return f"(r.at_us <= {self.end} AND {span})"
        return f"(r.pos IS NOT NULL AND r.w{number})"

    def span(self, us: str) -> str:
        """The number of the tumbling span that an instant is in."""
        if self.length_us % DAY != 0:
            return f"({us} // {self.length_us})"
        zone = self.zone or "UTC"
        day = f"CAST(make_timestamptz({us}) AT TIME ZONE '{zone}' AS DATE)"
        return f"(date_diff('day', DATE '1970-01-05', {day}) // {self.length_us // DAY})"

    def columns(self, number: int) -> tuple[str, str]:
        """What inside() needs of the rows between: a column of the rows, then one of those."""
        if self.key == "last":
            ahead = f"PARTITION BY r.id, r.at_us <= {self.end} {NEWEST_FIRST}"
            newest = f"row_number() OVER ({ahead}) <= {self.rows}"
            return "", f"(r.at_us <= {self.end} AND {newest}) AS w{number}"
        if self.key != "session":
            return "", ""
        near = f"(r.at_us <= {self.end} AND r.at_us > {self.end} - {self.length_us})"
        rows = f"PARTITION BY r.id, {near} {NEWEST_FIRST}"
        newer = self.end if self.which == "this" else "r.at_us"
        gap = f"coalesce(lag(r.at_us) OVER ({rows}), {newer}) - r.at_us > {self.step_us}"
        gaps = f"sum(CAST(r.g{number} AS INTEGER)) OVER ({rows} ROWS UNBOUNDED PRECEDING)"
        return f"({gap}) AS g{number}", f"({near} AND {gaps} = 0) AS w{number}"

    def edges(self, at_us: int) -> list[int]:
        """Times at which the row of that time may enter it, or leave it."""
        if self.key == "over":
            in_tile = at_us % self.precision_us if self.precision_us else 0
            found = [at_us, at_us - in_tile + self.length_us]
        elif self.key == "hopping":
            first = at_us // self.step_us * self.step_us + self.step_us
            found = [first, first + self.length_us // self.step_us * self.step_us]
        elif self.key == "session":
            found = [at_us + self.step_us + 1, at_us + self.length_us]
        elif self.key == "tumbling":
            found = [self.next_start(at_us), self.next_start(self.next_start(at_us))]
        else:
            found = [at_us]
        return [time + self.ending_us - before for time in found for before in (0, 1)]

    def next_start(self, at_us: int) -> int:
        if self.length_us % DAY != 0:
            return (at_us // self.length_us + 1) * self.length_us
        zone = ZoneInfo(self.zone or "UTC")
        day = dt.datetime.fromtimestamp(at_us // SECOND, zone).date()
        days = self.length_us // DAY
        behind = (day - dt.date(1970, 1, 5)).days % days
        start = day + dt.timedelta(days=days - behind)
        midnight = dt.datetime(start.year, start.month, start.day, tzinfo=zone)
        return int(midnight.timestamp()) * SECOND


@dataclass(frozen=True)
class Windows:
    """Of a view."""

    named: tuple[Window, ...] = ()  # of all its features but those under `last`
    last: tuple[Window, ...] = ()
    zone: str | None = None
    within_us: int | None = None
    ending_us: int = 0
    precision_us: int = 0

    @property
    def every(self) -> tuple[Window, ...]:
        return self.named + self.last

    def yaml(self) -> list[str]:
        lines = []
        for key in ("over", "tumbling", "hopping", "session"):
            texts = [window.text for window in self.named if window.key == key]
            if texts:
                lines.append(f"    {key}: [{', '.join(texts)}]")
        if self.precision_us:
            lines.append(f"    precision: {duration(self.precision_us)}")
        if self.zone is not None:
            lines.append(f"    zone: {self.zone}")
        if self.within_us is not None:
            lines.append(f"    within: {duration(self.within_us)}")
        if self.ending_us:
            lines.append(f"    ending: {duration(self.ending_us)} ago")
        return lines


def draw_windows(source: random.Random, unit_us: int) -> Windows:
    """None now and then: over its life."""

    def some(*units: int) -> int:
        return in_ms(source.choice(units) * unit_us)

    def span() -> int:
        return some(1, 5, 10, 60, 300, 10_000)

    def days_or(other: int) -> int:
        return source.choice((DAY, DAY, 2 * DAY, 7 * DAY)) if unit_us >= SECOND else other

    chance = source.random()
    if chance < 0.1:
        return Windows()
    drawn: list[Window] = []
    if chance < 0.6 or source.random() < 0.3:
        drawn += [Window("over", "", span()) for _ in range(source.choice((1, 2, 3)))]
    zone = within = None
    if chance >= 0.5:
        kinds = source.sample(("tumbling", "hopping", "session", "last"), source.choice((1, 1, 2)))
        if "tumbling" in kinds:
            length = days_or(span()) if source.random() < 0.5 else span()
            drawn += [
                Window("tumbling", which, length)
                for which in source.choice((("this",), ("previous",), ("this", "previous")))
            ]
            if length % DAY == 0 and source.random() < 0.8:
                zone = source.choice(ZONES)
        if "hopping" in kinds:
            drawn.append(Window("hopping", "", span(), some(1, 3, 7, 60, 1_000)))
        if "session" in kinds:
            gap = some(1, 2, 4, 10, 60)
            within = source.choice((None, some(10, 60, 300, 10_000)))
            drawn += [
                Window("session", which, DAY if within is None else within, gap)
                for which in source.choice((("this",), ("last",), ("this", "last")))
            ]
    last = []
    if chance >= 0.5 and "last" in kinds:
        sizes = sorted(set(source.choices((1, 2, 5, 50, 70, 200), k=source.choice((1, 2)))))
        last = [Window("last", rows=rows) for rows in sizes]
    ending = some(1, 20, 100) if source.random() < 0.2 else 0
    sliding = bool(drawn) and not last and all(window.key == "over" for window in drawn)
    precision = draw_precision(source, drawn) if sliding and source.random() < 0.5 else 0

    def finished(windows: list[Window]) -> tuple[Window, ...]:
        return tuple(
            replace(
                window,
                ending_us=ending,
                precision_us=precision,
                zone=zone if window.key == "tumbling" and window.length_us % DAY == 0 else None,
            )
            for window in windows
        )

    order = ("over", "tumbling", "hopping", "session")
    drawn = sorted(set(drawn), key=lambda w: (order.index(w.key), w.length_us, w.which))
    return Windows(finished(drawn), finished(last), zone, within, ending, precision)


def draw_precision(source: random.Random, windows: list[Window]) -> int:
    """Of sliding windows: not longer than the shortest, and not too many in the longest."""
    shortest = min(window.length_us for window in windows)
    longest = max(window.length_us for window in windows)
    precision = max(MS, shortest // source.choice((1, 2, 3, 7, 60)) // MS * MS)
    return precision if longest // precision <= TILES_MAX else 0
