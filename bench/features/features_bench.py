"""What exact sliding windows cost: `./dev bench features`.

State only: one thread, no log, no network, no peer. Card payments with keys by a Zipf law of 1.1;
count and sum of the card's trailing windows as of every event, itself included. Only
ViewSet::Apply is timed, by the thread's CPU clock; it applies 8,192 events at a time and answers
each one in between.

1. --events (10 M) of 100,000 cards in 7 days, windows of 1 h and 24 h: the median of --runs. All
   answers are compared with queues of events per card, in whole cents. Also without answers, an
   event at a time, and with 1 % of the events up to an hour late.
2. The same number of events in 60 days, a view with a window of 1 h and one with a window of 30 d:
   time, and the cache lines that an event brings into the first-level cache (counted by cachegrind
   in a smaller run of the same shape: 600,000 events of 6,000 cards).
3. 10,000 to 10 M cards: time and bytes a card; a table, and a plot beside the results (--plot).

A ratio over 1 means that Headrace is better; in `targets` at least 1 is met. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine

EVENTS_TARGET_PER_S = 2_500_000
LINES_TARGET = 1.0  # of 30 d over 1 h; a tenth more counts as equal
LINES_TOLERANCE = 1.1
TIME_TARGET = 1.6
WEEK_S, MONTHS_S = 7 * 86_400, 60 * 86_400
CARDS = 100_000
CARD_COUNTS = (10_000, 100_000, 1_000_000, 10_000_000)
COUNTED_EVENTS, COUNTED_CARDS, COUNTED_LAST = 600_000, 6_000, 60_000
CACHE = ("--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=1048576,16,64")


@dataclass(frozen=True)
class Bench:
    program: Path
    events: int
    runs: int
    card_counts: tuple[int, ...]
    plot: Path | None

    def rate(self, cards: int, seconds: int, windows: str, **more: object) -> dict[str, Any]:
        """One run of the program."""
        settings = arguments(self.events, cards, seconds, windows, **more)
        done = subprocess.run([self.program, *settings], capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def lines(self, windows: str) -> float:
        """Cache lines an event of the last ones brings into the first-level cache."""
        seconds = MONTHS_S
        warm = COUNTED_EVENTS - COUNTED_LAST
        gap = seconds * 1_000_000 // COUNTED_EVENTS
        misses = []
        for events in (COUNTED_LAST, 0):
            settings = ["--events", events, "--warm", warm, "--cards", COUNTED_CARDS]
            settings += ["--gap-us", gap, "--windows", windows]
            command = ["valgrind", "--tool=cachegrind", *CACHE, "--cachegrind-out-file=/dev/null"]
            command += [str(self.program), *map(str, settings)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            misses.append(first_level_misses(done.stderr))
        return (misses[0] - misses[1]) / COUNTED_LAST


def arguments(events: int, cards: int, seconds: int, windows: str, **more: object) -> list[str]:
    settings: dict[str, object] = {
        "events": events,
        "cards": cards,
        "gap-us": seconds * 1_000_000 // events,
        "windows": windows,
    }
    settings |= {name.replace("_", "-"): value for name, value in more.items()}
    return [text for name, value in settings.items() for text in (f"--{name}", str(value))]


def first_level_misses(summary: str) -> int:
    found = re.search(r"D1\s+misses:\s+([\d,]+)", summary)
    if found is None:
        raise ValueError(f"cachegrind counted no misses: {summary[-500:]}")
    return int(found.group(1).replace(",", ""))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in values.items()}


def ns_per_event(found: dict[str, Any]) -> float:
    return float(found["cpu_s"]) / float(found["events"]) * 1e9


def trailing(bench: Bench) -> dict[str, float]:
    """Section 1."""
    runs = [bench.rate(CARDS, WEEK_S, "1h, 24h") for _ in range(bench.runs)]
    checked = bench.rate(CARDS, WEEK_S, "1h, 24h", check=1)
    if checked["answers"] != "equal" or any(r["digest"] != checked["digest"] for r in runs):
        raise SystemExit("answers differ from the queues of events")
    figures = {
        "as_of_every_event_per_s": statistics.median(float(r["events_per_s"]) for r in runs),
        "applied_alone_per_s": float(
            bench.rate(CARDS, WEEK_S, "1h, 24h", answers=0)["events_per_s"]
        ),
        "one_an_epoch_per_s": float(
            bench.rate(CARDS, WEEK_S, "1h, 24h", rows_per_epoch=1)["events_per_s"]
        ),
        "late_1_percent_per_s": float(
            bench.rate(CARDS, WEEK_S, "1h, 24h", late=0.01)["events_per_s"]
        ),
        "bytes_per_row": float(checked["state_bytes"]) / float(checked["rows"]),
        "bytes_per_key": float(checked["all_bytes"]) / float(checked["keys"]),
    }
    say(
        f"1 h and 24 h as of every event, {bench.events:,} events: "
        f"{figures['as_of_every_event_per_s']:,.0f} events/s per core (at least "
        f"{EVENTS_TARGET_PER_S:,}), median of {bench.runs}, all answers equal to the oracle's; "
        f"applied and not answered {figures['applied_alone_per_s']:,.0f}; one event an epoch "
        f"{figures['one_an_epoch_per_s']:,.0f}; 1 % late {figures['late_1_percent_per_s']:,.0f}"
    )
    return figures


def lengths(bench: Bench) -> dict[str, float]:
    """Section 2."""
    figures: dict[str, float] = {}
    for name, window in (("1h", "1h"), ("30d", "30d")):
        runs = [bench.rate(CARDS, MONTHS_S, window) for _ in range(bench.runs)]
        figures[f"ns_{name}"] = statistics.median(ns_per_event(r) for r in runs)
        figures[f"lines_{name}"] = bench.lines(window)
    figures["both_per_s"] = float(bench.rate(CARDS, MONTHS_S, "1h, 30d")["events_per_s"])
    figures["time_30d_over_1h"] = figures["ns_30d"] / figures["ns_1h"]
    figures["lines_30d_over_1h"] = figures["lines_30d"] / figures["lines_1h"]
    say(
        f"a window of 1 h: {figures['ns_1h']:.0f} ns and {figures['lines_1h']:.1f} cache lines an "
        f"event; of 30 d: {figures['ns_30d']:.0f} ns and {figures['lines_30d']:.1f}; time "
        f"{figures['time_30d_over_1h']:.2f} times (at most {TIME_TARGET}), lines "
        f"{figures['lines_30d_over_1h']:.2f} times; both in one view "
        f"{figures['both_per_s']:,.0f} events/s"
    )
    return figures


def card_counts(bench: Bench) -> list[dict[str, float]]:
    """Section 3."""
    table = []
    say("     cards   cards seen   ns/event   bytes/card   bytes/row")
    for cards in bench.card_counts:
        found = bench.rate(cards, WEEK_S, "1h, 24h")
        row = {
            "cards": float(cards),
            "seen": float(found["keys"]),
            "ns_per_event": ns_per_event(found),
            "bytes_per_card": float(found["all_bytes"]) / float(found["keys"]),
            "bytes_per_row": float(found["state_bytes"]) / float(found["rows"]),
        }
        table.append(row)
        say(
            f"{cards:>10,} {row['seen']:>12,.0f} {row['ns_per_event']:>10.0f} "
            f"{row['bytes_per_card']:>12.0f} {row['bytes_per_row']:>11.1f}"
        )
    return table


def plot_svg(table: list[dict[str, float]]) -> str:
    """Nanoseconds an event over the number of cards, which grows tenfold from bar to bar."""
    most = max(row["ns_per_event"] for row in table)
    step, height = 120, 200
    bars = []
    for i, row in enumerate(table):
        tall = row["ns_per_event"] / most * height
        middle = 60 + i * step
        bars.append(
            f'<rect x="{middle - 30}" y="{240 - tall:.0f}" width="60" height="{tall:.0f}"/>'
            f'<text x="{middle}" y="{232 - tall:.0f}">{row["ns_per_event"]:.0f} ns</text>'
            f'<text x="{middle}" y="260">{row["cards"]:,.0f} cards</text>'
        )
    width = 120 + step * (len(table) - 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="280" font-size="12" '
        f'font-family="sans-serif" text-anchor="middle" fill="#357">{"".join(bars)}</svg>\n'
    )


def targets(figures: dict[str, float]) -> dict[str, float]:
    return {
        "as_of_every_event": figures["as_of_every_event_per_s"] / EVENTS_TARGET_PER_S,
        "time_30d_over_1h": TIME_TARGET / figures["time_30d_over_1h"],
        "lines_30d_over_1h": LINES_TARGET * LINES_TOLERANCE / figures["lines_30d_over_1h"],
    }


def measure(bench: Bench) -> dict[str, Any]:
    about = machine.describe()
    figures = trailing(bench) | lengths(bench)
    table = card_counts(bench)
    if bench.plot is not None:
        bench.plot.parent.mkdir(parents=True, exist_ok=True)
        bench.plot.write_text(plot_svg(table))
        say(f"plotted: {bench.plot}")
    return {
        "bench": "features",
        "ratios": {},
        "targets": rounded(targets(figures)),
        "figures": rounded(figures),
        "by_cards": [rounded(row) for row in table],
        "events": bench.events,
        "runs": bench.runs,
        "machine": about,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--window-rate", type=Path, required=True)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--quick", action="store_true", help="1 M events, one run, up to 1 M cards")
    options = parser.parse_args()
    bench = Bench(
        program=options.window_rate,
        events=1_000_000 if options.quick else options.events,
        runs=1 if options.quick else options.runs,
        card_counts=CARD_COUNTS[:-1] if options.quick else CARD_COUNTS,
        plot=options.plot,
    )
    print(json.dumps(measure(bench)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
