"""Nexmark's filter and window queries from JSON bytes: `./dev bench nexmark`.

An own seeded generator (events.h) writes persons, auctions and bids as JSON lines. Queries 0, 1, 2,
14, 21 and 22 are derived streams of pipeline.yaml: HTTP's way in parses and types the bids' bytes,
the contract is checked, and the derived rows are computed; one thread, its CPU time, the result in
columns and not written. queries.sql has the same in DuckDB's dialect.

Queries 5, 7, 8, 11 and 12 have a pipeline file each, and window_queries.sql. Behind the same way in
the state takes epochs of 4,096 events, in memory, and is asked for the whole result
(window_queries.h says how). A row there is a row of one of the streams that the query reads.

Beside it DuckDB with one thread, the same files and the same query into a table in memory; it reads
only the columns that a query needs, checks no contract, and does each query once over all there is.
Ours are to be equal to its rows, as multisets, values and all. The figures are medians of --runs.

A ratio over 1 means that Headrace is better; in `targets` at least 1 is met. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import machine

HERE = Path(__file__).parent
FILTERS_TARGET_PER_S = 400_000
WINDOWS_TARGET_PER_S = {"q5": 300_000, "q7": 300_000}
BID = {
    "auction": "BIGINT",
    "bidder": "BIGINT",
    "price": "BIGINT",
    "channel": "VARCHAR",
    "url": "VARCHAR",
    "at": "TIMESTAMPTZ",
    "extra": "VARCHAR",
}
PERSON = {"id": "BIGINT", "name": "VARCHAR", "at": "TIMESTAMPTZ"}
AUCTION = {"seller": "BIGINT", "at": "TIMESTAMPTZ"}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Bench:
    programs: Path  # their folder
    folder: Path
    events: int
    runs: int
    queries: tuple[str, ...] = ()  # none: all

    @property
    def bids(self) -> Path:
        return self.folder / "bids.ndjson"

    def write_events(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [self.programs / "headrace_write_nexmark", self.folder]
        subprocess.run([*map(str, command), "--events", str(self.events)], check=True)

    def headrace(self, query: str, out: Path | None = None) -> dict[str, Any]:
        windows = (HERE / f"{query}.yaml").exists()
        program = "headrace_nexmark_windows" if windows else "headrace_nexmark_filters"
        command = [self.programs / program, HERE, query, self.folder if windows else self.bids]
        more = [] if out is None else ["--out", str(out)]
        done = subprocess.run(
            [*map(str, command), *more], capture_output=True, text=True, check=True
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found


class Duck:
    """Over the files of a folder; those that are not there are not asked for."""

    def __init__(self, folder: Path) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        for name, columns in (("bids", BID), ("persons", PERSON), ("auctions", AUCTION)):
            path = folder / f"{name}.ndjson"
            if path.exists():
                self.connection.execute(f"CREATE VIEW {name} AS {reading(path, columns)}")

    def run(self, query: str) -> float:
        """Seconds until the result is a table in memory."""
        begin = time.process_time()
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE theirs AS {query}")
        return time.process_time() - begin

    def differing_rows(self, ours: Path) -> int:
        """Between the last result and the rows of a file, as multisets."""
        described = self.connection.execute("DESCRIBE theirs").fetchall()
        self.connection.execute(
            "CREATE OR REPLACE TEMP TABLE ours AS "
            + reading(ours, {row[0]: row[1] for row in described})
        )
        counted = [
            f"(SELECT count(*) FROM (FROM {a} EXCEPT ALL FROM {b}))"
            for a, b in (("ours", "theirs"), ("theirs", "ours"))
        ]
        row = self.connection.execute(f"SELECT {' + '.join(counted)}").fetchone()
        assert row is not None
        return int(row[0])


def duckdb_queries() -> dict[str, str]:
    """By name: each stands under a comment with it."""
    texts = [
        text
        for file in ("queries.sql", "window_queries.sql")
        for text in (HERE / file).read_text().split("\n-- q")[1:]
    ]
    return dict(f"q{text}".rstrip().rstrip(";").split("\n", 1) for text in texts)


def target_of(query: str) -> float | None:
    if (HERE / f"{query}.yaml").exists():
        return WINDOWS_TARGET_PER_S.get(query)
    return FILTERS_TARGET_PER_S


def reading(path: Path, columns: dict[str, str]) -> str:
    typed = ", ".join(f"\"{name}\": '{kind}'" for name, kind in columns.items())
    return f"SELECT * FROM read_json('{path}', format = 'newline_delimited', columns = {{{typed}}})"


def measure(bench: Bench) -> dict[str, Any]:
    about = machine.describe()
    queries = duckdb_queries()
    bench.write_events()
    duck = Duck(bench.folder)
    figures: dict[str, float] = {}
    ratios: dict[str, float] = {}
    targets: dict[str, float] = {}
    for name in bench.queries or tuple(queries):
        query = queries[name]
        ours = [bench.headrace(name) for _ in range(bench.runs)]
        theirs = [duck.run(query) for _ in range(bench.runs)]
        out = bench.folder / "result.ndjson"
        bench.headrace(name, out)
        differing = duck.differing_rows(out)
        out.unlink()
        if differing:
            raise SystemExit(f"{name}: {differing} rows are not DuckDB's")
        rate = statistics.median(float(run["events_per_s"]) for run in ours)
        duck_rate = float(ours[0]["events"]) / statistics.median(theirs)
        figures |= {f"{name}_per_s": rate, f"{name}_duckdb_per_s": duck_rate}
        ratios[f"{name}_vs_duckdb"] = rate / duck_rate
        target = target_of(name)
        if target is not None:
            targets[name] = rate / target
        say(
            f"{name}: {rate:,.0f} rows/s per core, {ours[0]['left']:,} of "
            f"{ours[0]['events']:,} in the result, equal to DuckDB's; DuckDB {duck_rate:,.0f}"
        )
    return {
        "bench": "nexmark",
        "ratios": machine.rounded(ratios),
        "targets": machine.rounded(targets),
        "figures": machine.rounded(figures),
        "events": bench.events,
        "runs": bench.runs,
        "machine": about,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="for files, 270 bytes an event")
    parser.add_argument("--events", type=int, default=4_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--queries", default="", help="some of them: q5,q7")
    parser.add_argument("--quick", action="store_true", help="200,000 events, one run")
    options = parser.parse_args()
    bench = Bench(
        programs=options.programs,
        folder=options.folder,
        events=200_000 if options.quick else options.events,
        runs=1 if options.quick else options.runs,
        queries=tuple(filter(None, options.queries.split(","))),
    )
    document = measure(bench)
    (options.folder / "nexmark.json").write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
