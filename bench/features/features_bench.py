"""What exact sliding windows cost: `./dev bench features`.

Card payments with keys by a Zipf law of 1.1; count and sum of the card's trailing windows as of
every event, itself included. Each peer reads the same file of events, gives as many answers, and
its answers are compared with ours by a digest (of counts, and sums in whole cents).

1. State only: one thread, no log, no network. Only ViewSet::Apply is timed, by the thread's CPU
   clock; it applies 8,192 events at a time and answers each one in between. --events (10 M) of
   100,000 cards in 7 days, windows of 1 h and 24 h: the median of --runs. All answers are compared
   with queues of events per card, in whole cents. Also without answers, an event at a time, and
   with 1 % of the events up to an hour late.
2. The same number of events in 60 days, a view with a window of 1 h and one with a window of 30 d:
   time, and the cache lines that an event brings into the first-level cache (counted by cachegrind
   in a smaller run of the same shape: 600,000 events of 6,000 cards).
3. 10,000 to 10 M cards: time and bytes a card; a table, and a plot (--plot, not --quick).
4. The whole engine but its sockets: the file's bytes to typed rows, contract, admission, log with
   every epoch synced, views, an answer for each event. Beside it Flink (one JVM, 2 slots, heap
   state): SQL with OVER RANGE over the first --flink-events of the file, the same two windows, the
   same answers; and, as the best that an expert writes, a ring of 5-minute panes a card, which is
   not exact. Flink checkpoints nothing and syncs nothing. Both from the first event read to the
   last answer; Flink's JVM is running by then.
   The ring's equal in work is our state alone with `precision: 5m`, whose windows begin at the same
   five minutes: all answers equal to the oracle's, and the ring's by a digest, in runs of their
   own; in those that are timed both throw their answers away, and they take turns. The ring has
   both cores, we one. 16,384 events are applied at a time: in the whole engine's runs an epoch has
   some 19,000 (events / engine_syncs). Its memory beside the ring's heap, nine tenths of
   --ring-events of the file in.
5. Memory a card, of events of one day, all of which both windows still need: ours as charged to the
   memory budget, slack included; Redis, a sorted set a card; Flink's heap after a collection, when
   nine tenths of the answers are out. For many cards with few rows, and for few with many.

A ratio over 1 means that Headrace is better; in `targets` at least 1 is met. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
import redis_windows
from by_cards_plot import plot_svg
from flink_windows import FlinkWindows
from servers import PeerFailure

EVENTS_TARGET_PER_S = 2_500_000
LINES_TARGET = 1.0  # of 30 d over 1 h; a tenth more counts as equal
LINES_TOLERANCE = 1.1
TIME_TARGET = 1.6
WEEK_S, MONTHS_S = 7 * 86_400, 60 * 86_400
CARDS = 100_000
CARD_COUNTS = (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
FLINK_TARGET = 60
RING_TARGET, RING_MEMORY_TARGET = 3, 4
COARSE_EPOCH = 16_384
MEMORY_TARGET = 2.0  # times less
DAY_S = 86_400
MEMORY_EVENTS = 100_000
MEMORY_CARDS = {"few_rows": 100_000, "many_rows": 1_000}  # about 5 and 90 rows a card
CHECKED_EVENTS = 50_000
COUNTED_EVENTS, COUNTED_CARDS, COUNTED_LAST = 600_000, 6_000, 60_000
CACHE = ("--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=1048576,16,64")


@dataclass(frozen=True)
class Bench:
    programs: Path  # their folder
    flink: FlinkWindows | None
    folder: Path
    events: int
    flink_events: int
    ring_events: int
    runs: int
    card_counts: tuple[int, ...]
    plot: Path | None

    @property
    def program(self) -> Path:
        return self.programs / "headrace_window_rate"

    def rate(self, cards: int, seconds: int, windows: str, **more: object) -> dict[str, Any]:
        """One run over the bench's number of events."""
        return self.run_program(arguments(self.events, cards, seconds, windows, None, **more))

    def run_program(self, settings: list[str]) -> dict[str, Any]:
        done = subprocess.run([self.program, *settings], capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def events_file(self, name: str, events: int, cards: int, seconds: int) -> Path:
        """The events that `rate` makes of the same numbers."""
        path = self.folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = ["--events", events, "--cards", cards]
        settings += ["--gap-us", seconds * 1_000_000 // events]
        command = [self.programs / "headrace_write_card_events", path, *settings]
        subprocess.run([*map(str, command)], check=True)
        return path

    def engine(self, events_file: Path) -> dict[str, Any]:
        log = self.folder / "log"
        shutil.rmtree(log, ignore_errors=True)
        program = self.programs / "headrace_engine_rate"
        command = [str(program), str(events_file), str(log), "--events", str(self.events)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        finally:
            shutil.rmtree(log, ignore_errors=True)
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


def arguments(
    events: int, cards: int, seconds: int, windows: str, of: int | None = None, **more: object
) -> list[str]:
    """The first `events` of so many (all) that are spread over the seconds."""
    settings: dict[str, object] = {
        "events": events,
        "cards": cards,
        "gap-us": seconds * 1_000_000 // (of or events),
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


def ns_per_event(found: dict[str, Any]) -> float:
    return float(found["cpu_s"]) / float(found["events"]) * 1e9


def trailing(bench: Bench) -> tuple[dict[str, float], str]:
    """Section 1; and the digest of all answers."""
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
    return figures, str(checked["digest"])


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


def whole_engine(bench: Bench, digest: str) -> dict[str, float]:
    """Section 4. `digest`: of all events' answers, as section 1 has checked them."""
    path = bench.events_file("week.bin", bench.events, CARDS, WEEK_S)
    runs = [bench.engine(path) for _ in range(bench.runs)]
    if any(run["digest"] != digest for run in runs):
        raise SystemExit("the whole engine's answers are not those of the state alone")
    figures = {
        "engine_per_s": statistics.median(float(run["events_per_s"]) for run in runs),
        "engine_syncs": statistics.median(float(run["syncs"]) for run in runs),
        "engine_sync_p50_ms": statistics.median(float(run["sync_p50_ms"]) for run in runs),
        "engine_sync_p99_ms": statistics.median(float(run["sync_p99_ms"]) for run in runs),
    }
    say(
        f"whole engine, durable: {figures['engine_per_s']:,.0f} events/s, "
        f"{figures['engine_syncs']:.0f} syncs of {figures['engine_sync_p50_ms']:.2f} ms (p50)"
    )
    return figures | flink(bench, path) | coarse(bench, path)


def flink(bench: Bench, path: Path) -> dict[str, float]:
    if bench.flink is None:
        say("Flink: left out, as its jars could not be had; no ratio")
        return {}
    checked = bench.flink.run(path, CHECKED_EVENTS, "checked")
    ours = bench.run_program(
        arguments(CHECKED_EVENTS, CARDS, WEEK_S, "1h, 24h", of=bench.events, check=1)
    )
    if ours["answers"] != "equal" or checked["digest"] != ours["digest"]:
        raise SystemExit(f"Flink's answers are not ours: {checked}, {ours}")
    figures = {}
    runs = [bench.flink.run(path, bench.flink_events, "over") for _ in range(bench.runs)]
    figures["flink_over_per_s"] = statistics.median(float(r["events_per_s"]) for r in runs)
    say(
        f"Flink: OVER RANGE {figures['flink_over_per_s']:,.0f} events/s over "
        f"{bench.flink_events:,}, its answers to {CHECKED_EVENTS:,} equal to ours"
    )
    return figures


def coarse(bench: Bench, path: Path) -> dict[str, float]:
    """Section 4, at a precision of 5 minutes: equal work to the ring's, in turn with it."""
    same: dict[str, object] = {"precision": "5m", "rows_per_epoch": COARSE_EPOCH}
    checked = bench.rate(CARDS, WEEK_S, "1h, 24h", check=1, **same)
    if checked["answers"] != "equal":
        raise SystemExit("answers at a precision differ from the queues of events")
    runs = []
    rings = []
    for _ in range(bench.runs):
        runs.append(bench.rate(CARDS, WEEK_S, "1h, 24h", digest=0, **same))
        if bench.flink is not None:
            rings.append(bench.flink.run(path, bench.events // 2, "ring"))
    if any(r["answered"] != bench.events for r in runs):
        raise SystemExit("not every event was answered at a precision")
    some = bench.ring_events

    def first(events: int) -> dict[str, Any]:
        settings = arguments(events, CARDS, WEEK_S, "1h, 24h", of=bench.events, **same)
        return bench.run_program(settings)

    ours = first(some * 9 // 10)
    figures = {
        "coarse_per_s": statistics.median(float(r["events_per_s"]) for r in runs),
        "coarse_bytes": float(ours["charged_bytes"]),
        "coarse_bytes_per_card": float(ours["charged_bytes"]) / float(ours["keys"]),
        "coarse_rows": float(ours["rows"]),
    }
    if bench.flink is not None:
        ringed = bench.flink.run(path, some, "ringed")
        equal = first(some)
        if ringed["digest"] != equal["digest"]:
            raise SystemExit(f"the ring's answers are not ours: {ringed}, {equal}")
        figures["flink_ring_bytes"] = float(ringed["heap_bytes"])
        figures["flink_ring_per_s"] = statistics.median(float(r["events_per_s"]) for r in rings)
    say(
        f"precision 5m, state alone: {figures['coarse_per_s']:,.0f} events/s, all answers equal to "
        f"the oracle's, {figures['coarse_bytes'] / 1e6:,.0f} MB; Flink's ring of panes by hand "
        f"{figures.get('flink_ring_per_s', 0):,.0f}, "
        f"{figures.get('flink_ring_bytes', 0) / 1e6:,.0f} MB of heap"
    )
    return figures


def memory(bench: Bench) -> dict[str, float]:
    """Section 5."""
    figures: dict[str, float] = {}
    some = MEMORY_EVENTS * 9 // 10
    for name, cards in MEMORY_CARDS.items():
        path = bench.events_file(f"day_{name}.bin", MEMORY_EVENTS, cards, DAY_S)
        ours = bench.run_program(arguments(some, cards, DAY_S, "1h, 24h", of=MEMORY_EVENTS))
        keys = float(ours["keys"])
        bytes_of = {"headrace": float(ours["charged_bytes"])}
        bytes_of["redis"] = redis_windows.sorted_set_bytes(bench.folder / "redis", path, some)
        if bench.flink is not None:
            bytes_of["flink"] = bench.flink.run(path, MEMORY_EVENTS, "checked")["heap_bytes"]
        figures[f"rows_per_card_{name}"] = some / keys
        for who, taken in bytes_of.items():
            figures[f"bytes_per_card_{name}_{who}"] = taken / keys
        said = ", ".join(f"{who} {taken / keys:,.0f}" for who, taken in bytes_of.items())
        say(f"bytes a card of {some / keys:.1f} rows, windows of 1 h and 24 h: {said}")
    return figures


def ratios(figures: dict[str, float]) -> dict[str, float]:
    found = {}
    for name in ("over", "ring"):
        if f"flink_{name}_per_s" in figures:
            found[f"engine_vs_flink_{name}"] = (
                figures["engine_per_s"] / figures[f"flink_{name}_per_s"]
            )
    if "flink_ring_per_s" in figures and "coarse_per_s" in figures:
        found["coarse_vs_flink_ring"] = figures["coarse_per_s"] / figures["flink_ring_per_s"]
    if "flink_ring_bytes" in figures:
        found["coarse_memory_vs_flink_ring"] = figures["flink_ring_bytes"] / figures["coarse_bytes"]
    for shape in MEMORY_CARDS:
        ours = figures[f"bytes_per_card_{shape}_headrace"]
        for who in ("redis", "flink"):
            if f"bytes_per_card_{shape}_{who}" in figures:
                theirs = figures[f"bytes_per_card_{shape}_{who}"]
                found[f"memory_{shape}_vs_{who}"] = theirs / ours
    return found


def targets(figures: dict[str, float], found: dict[str, float]) -> dict[str, float]:
    asked = {
        "as_of_every_event": figures["as_of_every_event_per_s"] / EVENTS_TARGET_PER_S,
        "time_30d_over_1h": TIME_TARGET / figures["time_30d_over_1h"],
        "lines_30d_over_1h": LINES_TARGET * LINES_TOLERANCE / figures["lines_30d_over_1h"],
    }
    if "engine_vs_flink_over" in found:
        asked["engine_vs_flink_over"] = found["engine_vs_flink_over"] / FLINK_TARGET
    if "coarse_memory_vs_flink_ring" in found:
        asked["coarse_vs_flink_ring"] = found["coarse_vs_flink_ring"] / RING_TARGET
        asked["coarse_memory_vs_flink_ring"] = (
            found["coarse_memory_vs_flink_ring"] / RING_MEMORY_TARGET
        )
    asked |= {
        name: ratio / MEMORY_TARGET for name, ratio in found.items() if name.startswith("memory")
    }
    return asked


def measure(bench: Bench) -> dict[str, Any]:
    about = machine.describe()
    figures, digest = trailing(bench)
    figures |= lengths(bench)
    table = card_counts(bench)
    if bench.plot is not None:
        bench.plot.parent.mkdir(parents=True, exist_ok=True)
        bench.plot.write_text(plot_svg([(row["cards"], row["ns_per_event"]) for row in table]))
        say(f"plotted: {bench.plot}")
    figures |= whole_engine(bench, digest)
    figures |= memory(bench)
    found = ratios(figures)
    return {
        "bench": "features",
        "ratios": machine.rounded(found),
        "targets": machine.rounded(targets(figures, found)),
        "figures": machine.rounded(figures),
        "by_cards": [machine.rounded(row) for row in table],
        "events": bench.events,
        "flink_events": bench.flink_events,
        "runs": bench.runs,
        "machine": about,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="for files, some 500 MB")
    parser.add_argument("--flink-jars", type=Path, help="without it Flink is left out")
    parser.add_argument("--flink-classes", type=Path)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--flink-events", type=int, default=200_000)
    parser.add_argument("--ring-events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--quick", action="store_true", help="1 M events, one run, up to 1 M cards")
    options = parser.parse_args()
    flink_windows = None
    if options.flink_jars is not None:
        flink_windows = FlinkWindows(options.flink_jars, options.flink_classes)
    bench = Bench(
        programs=options.programs,
        flink=flink_windows,
        folder=options.folder,
        events=1_000_000 if options.quick else options.events,
        flink_events=50_000 if options.quick else options.flink_events,
        ring_events=100_000 if options.quick else options.ring_events,
        runs=1 if options.quick else options.runs,
        card_counts=CARD_COUNTS[:-2:2] if options.quick else CARD_COUNTS,
        plot=None if options.quick else options.plot,
    )
    try:
        document = measure(bench)
    except PeerFailure as failure:
        say(f"FAILED: {failure}")
        return 1
    (options.folder / "features.json").write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
