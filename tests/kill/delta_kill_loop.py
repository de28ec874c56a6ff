"""SIGKILL at every step that a table takes: at the Nth change of a file under its folder, counted
by a preload (tests/faults/failing_calls.cc). Writes end in their middle, all else before the call.

    delta_kill_loop.py [--kills N] [--seconds S] [--seed X] [--folder DIR]

Rows are published all the time, and in most lives files are rewritten or vacuumed. Every so many
kills, and at the end of a round, the table's rows as DuckDB and as delta-rs read them are compared
with each other, and with what was sent; with HEADRACE_SPARK_JARS set, Spark is the third reader of
a round's end. Exit code 77 when the preload library is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import http.client
import json
import os
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults"))

import numpy as np
from campaign import Campaign, look_at, report, say
from comparison import DuckDbTable, FoundRows
from engine_process import ROOT, EngineProcess
from producers import Traffic
from record import Violation

PRELOAD = Path(
    os.environ.get(
        "HEADRACE_FAILING_CALLS", ROOT / "build/release/tests/faults/libheadrace_failing_calls.so"
    )
)
NOT_RUN = 77
CHECKPOINT_EVERY = 100  # versions
KILLED_AT = re.compile(r"failing_calls: (\w+) (\S+), visit")
COLUMNS = ("producer", "sequence", "row", "key", "value", "at", "_row")
# What a file is called, in the order in which it is asked.
FILES = {
    r"\.checkpoint\.": "checkpoint",
    r"_last_checkpoint": "checkpoint hint",
    r"\.crc": "checksum file",
    r"\d{20}\.json": "commit",
    r"-r\d+-\d+\.parquet": "rewritten file",
    r"\.parquet": "data file",
    r"_delta_log$": "log folder",
}
# Aims: a part of a path, how many of its changes to let pass at most, and how often it is chosen.
AIMS = {
    "": (120, 8),
    ".json": (12, 2),
    ".crc": (6, 1),
    "-r": (10, 4),
    ".parquet": (15, 1),
}
NEAR_CHECKPOINT = {".checkpoint.": 8, "_last_checkpoint": 5}


@dataclasses.dataclass
class Progress:
    kills: int = 0
    at_a_step: int = 0  # of them, on plan; the others came when a life was over
    rounds: int = 0
    rows: int = 0
    versions: int = 0
    comparisons: int = 0
    by_spark: int = 0
    rewritings: int = 0  # asked for
    vacuums: int = 0
    steps: Counter[str] = dataclasses.field(default_factory=Counter)


def step_of(call: str, path: str) -> str:
    for pattern, name in FILES.items():
        if re.search(pattern, path):
            return f"{name}: {call}"
    return f"table folder: {call}"


class Round:
    """Kills on one log and its table."""

    def __init__(self, campaign: Campaign, seed: int, life_max_s: float, p: Progress) -> None:
        self.campaign = campaign
        self.table = campaign.data / "tables/events"
        self.random = random.Random(seed)
        self.life_max_s = life_max_s
        self.progress = p

    def newest(self) -> int:
        names = (path.name for path in (self.table / "_delta_log").glob("*.json"))
        numbers = [int(name[:20]) for name in names if re.fullmatch(r"\d{20}\.json", name)]
        return max(numbers, default=-1)

    def life(self) -> None:
        named, let_pass = self._aim()
        environment = {
            "LD_PRELOAD": str(PRELOAD),
            "HEADRACE_FAIL": f"change:kill:{let_pass}:0",
            "HEADRACE_FAIL_UNDER": str(self.table),
        }
        if named:
            environment["HEADRACE_FAIL_NAMED"] = named
        engine = self.campaign.start(environment=environment)
        if self._wait_ready(engine):
            self.campaign.lives.begin(engine.ports)
            self._upkeep(engine, named == "-r")
            patience = 6.0 if named in NEAR_CHECKPOINT else self.life_max_s
            deadline = time.monotonic() + patience
            while engine.alive() and time.monotonic() < deadline:
                time.sleep(0.002)
        engine.kill()
        self._note(engine)
        self.campaign.ended()

    def _aim(self) -> tuple[str, int]:
        to_checkpoint = CHECKPOINT_EVERY - self.newest() % CHECKPOINT_EVERY
        if to_checkpoint < CHECKPOINT_EVERY // 4 and self.random.random() < 0.7:
            named = self.random.choice(list(NEAR_CHECKPOINT))
            return named, 1 + self.random.randrange(NEAR_CHECKPOINT[named])
        named = self.random.choices(list(AIMS), [weight for _, weight in AIMS.values()])[0]
        longest = AIMS[named][0]
        return named, int(longest ** self.random.random())

    def _wait_ready(self, engine: EngineProcess) -> bool:
        """False when it was killed before."""
        deadline = time.monotonic() + 300
        while not engine.ready():
            if not engine.alive():
                return False
            if time.monotonic() > deadline:
                raise Violation(f"neither ready nor gone:\n{engine.printed()[-2000:]}")
            time.sleep(0.002)
        return True

    def _upkeep(self, engine: EngineProcess, certain: bool) -> None:
        """OPTIMIZE, with or without an order, or a vacuum, under way while the life goes on."""
        drawn = self.random.random()
        if not certain and drawn < 0.3:
            return
        if not certain and drawn < 0.5:
            path = "vacuum"
            body: dict[str, Any] = {"retain_us": 1, "below_floor": True}
            self.progress.vacuums += 1
        else:
            path, body = "optimize", {"target_bytes": 1 << self.random.randrange(16, 22)}
            self.progress.rewritings += 1
            if drawn > 0.8:
                body["z_order"] = ["key"]

        def ask() -> None:
            # The kill ends the connection.
            with contextlib.suppress(OSError, http.client.HTTPException):
                engine.request("POST", f"/tables/events/{path}", json.dumps(body))

        threading.Thread(target=ask, daemon=True).start()

    def _note(self, engine: EngineProcess) -> None:
        code = engine.process.returncode
        if code != -9:
            raise Violation(f"the engine ended with {code}:\n{engine.printed()[-2000:]}")
        self.progress.kills += 1
        if found := KILLED_AT.search(engine.printed()):
            self.progress.at_a_step += 1
            self.progress.steps[step_of(found[1], found[2])] += 1

    def compare(self, last: bool = False) -> None:
        """An engine without faults publishes what is left; then everybody reads."""
        engine = self.campaign.start()
        self.campaign.serve()
        self.campaign.compare(last)
        engine.kill()
        self.campaign.ended()
        with self.campaign.duckdb() as table:
            by_duckdb = with_rows(table)
        same("DuckDB and delta-rs", by_duckdb, by_delta_rs(self.table))
        if last and os.environ.get("HEADRACE_SPARK_JARS"):
            same("DuckDB and Spark", by_duckdb, by_spark(self.table))
            self.progress.by_spark += 1


SELECTED = 'producer, sequence, "row", "key", "value", "at", _epoch, _row'


def with_rows(table: DuckDbTable) -> FoundRows:
    return in_order(table.select(SELECTED.replace('"at"', 'epoch_us("at") AS "at"')))


def by_delta_rs(folder: Path) -> FoundRows:
    import pyarrow as pa
    from deltalake import DeltaTable, QueryBuilder

    builder = QueryBuilder().register("t", DeltaTable(str(folder)))
    return from_arrow(pa.table(builder.execute(f"SELECT {SELECTED} FROM t").read_all()))


def by_spark(folder: Path) -> FoundRows:
    import pyarrow.parquet as pq

    tests = Path(__file__).resolve().parents[1]
    sys.path += [str(tests / "spark"), str(tests / "interop")]
    from spark_tables import session

    frame = session().read.format("delta").load(str(folder)).select(*COLUMNS, "_epoch")
    with tempfile.TemporaryDirectory() as told:
        frame.write.mode("overwrite").parquet(told)
        return from_arrow(pq.read_table(told))


def from_arrow(table: Any) -> FoundRows:
    import pyarrow as pa

    columns = {}
    for name in (*COLUMNS, "_epoch"):
        column = table.column(name)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        plain = pa.types.is_integer(column.type)
        columns[name] = column.to_numpy() if plain else np.array(column.to_pylist(), dtype=object)
    return in_order(columns)


def in_order(columns: dict[str, Any]) -> FoundRows:
    order = np.lexsort((columns["_row"], columns["_epoch"]))
    sorted_columns = {name: np.asarray(column)[order] for name, column in columns.items()}
    return FoundRows(sorted_columns, sorted_columns.pop("_epoch"))


def same(who: str, a: FoundRows, b: FoundRows) -> None:
    if len(a) != len(b):
        raise Violation(f"{who} read {len(a)} and {len(b)} rows")
    if not np.array_equal(a.epoch, b.epoch):
        raise Violation(f"{who} read rows of different epochs")
    for name in COLUMNS:
        differ = np.flatnonzero(a.columns[name] != b.columns[name])
        if len(differ) > 0:
            raise Violation(f"{who}: {len(differ)} rows differ in {name}, from {differ[0]} on")


def run_round(
    home: Path, seed: int, kills: int, deadline: float, options: argparse.Namespace, p: Progress
) -> None:
    traffic = Traffic(http=2, keyed=1, flight=1, rows_mean=options.rows, pause_s=options.pause)
    with Campaign(home, seed, traffic, commit=options.commit) as campaign:
        before = dataclasses.replace(p)
        killing = Round(campaign, seed, options.life, p)
        end = p.kills + kills
        next_comparison = p.kills + options.compare_every

        def tally() -> None:
            p.rows = before.rows + campaign.record.rows_acknowledged
            p.comparisons = before.comparisons + campaign.comparisons
            p.versions = before.versions + killing.newest() + 1

        try:
            while p.kills < end and time.monotonic() < deadline:
                killing.life()
                if next_comparison <= p.kills < end:
                    next_comparison = p.kills + options.compare_every
                    killing.compare()
                    tally()
                    say(line(p, options))
            killing.compare(last=True)
        finally:
            tally()
    p.rounds += 1


def line(p: Progress, options: argparse.Namespace) -> str:
    return (
        f"kill {p.kills} of {options.kills}, {p.at_a_step} at {len(p.steps)} kinds of steps, "
        f"{p.rows:,} rows acknowledged, {p.comparisons} comparisons, 0 rows differ, "
        f"{time.monotonic() - options.begin:.0f} s"
    )


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="SIGKILL at every step that a table takes")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=8 * 3600.0, help="stop after so long")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--folder", type=Path, help="where the data goes; kept after a failure")
    parser.add_argument("--rows", type=int, default=60, help="rows of a batch, about")
    parser.add_argument("--pause", type=float, default=0.03, help="seconds between batches")
    parser.add_argument("--life", type=float, default=1.5, help="seconds that a life takes at most")
    parser.add_argument("--kills-per-round", type=int, default=250)
    parser.add_argument("--compare-every", type=int, default=25, help="kills between comparisons")
    parser.add_argument("--commit", default="20ms", help="of the table")
    options = parser.parse_args(given)
    options.begin = time.monotonic()
    return options


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The summary; `failure` is there when rows differed, or a promise was broken."""
    folder = options.folder or Path(tempfile.mkdtemp(prefix="headrace-delta-kill-"))
    say(f"delta kill loop: seed {options.seed}, {options.kills} kills")
    deadline = options.begin + options.seconds
    p = Progress()
    failure = ""
    while p.kills < options.kills and time.monotonic() < deadline and not failure:
        kills = min(options.kills_per_round, options.kills - p.kills)
        home = folder / f"round-{p.rounds}"
        try:
            run_round(home, options.seed + p.rounds, kills, deadline, options, p)
            shutil.rmtree(home)
        except Violation as violation:
            failure = f"{violation}"
            say(
                f"FAILED in round {p.rounds} (seed {options.seed}): {failure}\n"
                f"data is kept; look at it: {look_at(home)}\n"
                f"again: ./dev test --long delta-kill --seed {options.seed} --kills {options.kills}"
            )
    say(line(p, options))
    summary = {"test": "delta-kill", "seed": options.seed, "complete": p.kills >= options.kills}
    summary |= {"seconds": round(time.monotonic() - options.begin)} | dataclasses.asdict(p)
    summary["steps"] = dict(sorted(p.steps.items()))
    return summary | ({"failure": failure} if failure else {"rows_that_differ": 0})


if __name__ == "__main__":
    if not PRELOAD.exists():
        say(f"NOT RUN: {PRELOAD} is missing (./dev test builds it)")
        sys.exit(NOT_RUN)
    result = run(arguments())
    report(result)
    sys.exit("failure" in result)
