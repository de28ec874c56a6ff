"""A campaign against one data folder: lives of the engine, producers that outlive them, and the
comparison of everything with the record. What ends a life is up to the program that runs it.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import batches
from comparison import Batches, DuckDbTable, Follower, LogFollower, Served, delta_rs_rows
from engine_process import BINARY, EngineProcess
from producers import Lives, Traffic, start_producers
from record import Record, Violation

DRAIN_WITHIN_S = 300.0
TABLE_WITHIN_S = 300.0
LETTING_GO_WITHIN_S = 60.0  # retention looks each second; a slow machine fills no segment in that
ROWS_OF_A_SEGMENT = 180_000  # of 8 MiB, at least
LIVES_UNTIL_MET = 50  # a run of so many has the time for everything that it is to meet
# None of these belongs into the life of an engine whose machine only lost power or time.
WRONG_LINE = re.compile(r"^\S+ (error .*|warning wiring\.snapshot_not_used .*)$", re.MULTILINE)
SEGMENT_LET_GO = re.compile(r" log\.segment_let_go ")
FROM_SNAPSHOT = re.compile(r" wiring\.recovered .*after_epoch=[1-9]")


class Campaign:
    """`folder` holds the pipeline and what the engine prints, `data` (inside it, unless said) what
    the engine writes. Use it in a `with`: producers end with it."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        traffic: Traffic,
        data: Path | None = None,
        commit: str = "200ms",
        log: str = "{keep: 2s}",
        windows_s: tuple[int, ...] = batches.WINDOWS_S,
    ) -> None:
        assert BINARY.exists(), f"{BINARY} is missing: ./dev build makes it"
        folder.mkdir(parents=True, exist_ok=True)
        windows = ", ".join(f"{window}s" for window in windows_s)
        (folder / "pipeline.yaml").write_text(
            batches.PIPELINE.replace("COMMIT", commit)
            .replace("LOG", log)
            .replace("WINDOWS", windows)
        )
        (folder / "events.yaml").write_text(batches.CONTRACT)
        self.folder = folder
        self.data = data or folder / "data"
        self.record = Record(seed, traffic.names())
        self.lives = Lives()
        self.log = LogFollower(self.data / "log", self.record)
        self.table = Follower("table", self.record)
        self.served = Served(self.record, windows_s)
        self.engine: EngineProcess | None = None
        self.comparisons = 0
        self.log_comparisons = 0
        self.snapshots = 0  # written
        self.starts_from_snapshot = 0
        self.segments_let_go = 0
        self._producers = start_producers(self.record, self.lives, traffic)

    def __enter__(self) -> Campaign:
        return self

    def __exit__(self, *_: object) -> None:
        if self.engine is not None:
            self.engine.kill()
        self.lives.end()
        self.lives.finish()
        for producer in self._producers:
            producer.join(10)

    def start(
        self,
        before: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        errors_expected: bool = False,
    ) -> EngineProcess:
        """The next life begins; nobody is told yet. `errors_expected`: the machine will fail it."""
        self.lives.errors_expected = errors_expected
        self.engine = EngineProcess(self.folder, self.data, before, environment)
        return self.engine

    def serve(self) -> EngineProcess:
        """Waits until it is ready and tells the producers."""
        assert self.engine is not None
        if not self.engine.wait_ready():
            raise Violation(f"the engine did not start:\n{self.engine.printed()[-2000:]}")
        self.lives.begin(self.engine.ports)
        return self.engine

    def ended(self) -> None:
        """After a life, however it ended: what it printed must hold no error."""
        self.lives.end()
        assert self.engine is not None
        printed = self.engine.printed()
        self.snapshots += printed.count(" wiring.snapshot ")
        self.starts_from_snapshot += bool(FROM_SNAPSHOT.search(printed))
        self.segments_let_go += len(SEGMENT_LET_GO.findall(printed))
        if not self.lives.errors_expected and (found := WRONG_LINE.search(printed)):
            raise Violation(f"the engine printed: {found.group(0)}")
        self.raise_violations()

    def raise_violations(self) -> None:
        if self.record.violations:
            raise Violation("; ".join(self.record.violations[:3]))

    def wait_for_letting_go(self) -> bool:
        """Until the log lets a segment go: what stays of it appears, or it is gone. The producers
        fill segments meanwhile. False when none went in its time."""
        before, rows = self._ends_of_log(), self.record.rows_acknowledged
        deadline = time.monotonic() + LETTING_GO_WITHIN_S
        while self._ends_of_log() == before and time.monotonic() < deadline:
            self.lives.in_a_hurry = self.record.rows_acknowledged < rows + ROWS_OF_A_SEGMENT
            self.raise_violations()
            time.sleep(0.002)
        self.lives.in_a_hurry = False
        return self._ends_of_log() != before

    def _ends_of_log(self) -> tuple[list[str], str]:
        names = sorted(path.name for path in (self.data / "log").iterdir())
        residues = [name for name in names if "residue-" in name]
        return residues, next((name for name in names if name.startswith("epoch-")), "")

    def epochs_let_go(self) -> int:
        """By the last comparison."""
        return self.log.first_held - 1

    def compare(self, last: bool = False) -> None:
        """With a healthy engine up: everything sent is answered, and everything is compared. After
        the last one nothing more is sent."""
        assert self.engine is not None
        with self._drained(last):
            self._wait_for_table(self.engine)
            with self.duckdb() as table:
                newest = self.log.follow(table)
                known = Batches(self.record)
                self.table.take(table.rows(self.table.upto, newest), newest, known)
            self.table.check_complete(known)
            self.served.check(self.engine, known)
            self._check_totals(self.engine, known)
        self.comparisons += 1

    def compare_log(self) -> None:
        """The log alone; of what it has let go, the table."""
        with self._drained(last=False), self.duckdb() as table:
            self.log.follow(table)
        self.log_comparisons += 1

    def check_with_delta_rs(self) -> None:
        rows, distinct = delta_rs_rows(self.data / "tables/events")
        with self.duckdb() as table:
            also = len(table.rows(0, 2**62))
        if also != rows:
            raise Violation(f"delta-rs counts {rows} rows, DuckDB {also}")
        if (rows, distinct) != (self.log.rows, self.log.rows):
            raise Violation(
                f"delta-rs counts {rows} rows, {distinct} distinct; the log has {self.log.rows}"
            )

    def duckdb(self) -> contextlib.closing[DuckDbTable]:
        """Anew each time: it remembers nothing of a table that a cut has changed."""
        return contextlib.closing(DuckDbTable(self.data / "tables/events"))

    @contextlib.contextmanager
    def _drained(self, last: bool) -> Iterator[None]:
        self.lives.pause(True)
        deadline = time.monotonic() + DRAIN_WITHIN_S
        while not self.lives.drained():
            self.raise_violations()
            if time.monotonic() > deadline:
                raise Violation(f"batches were not answered within {DRAIN_WITHIN_S} s")
            time.sleep(0.002)
        self.raise_violations()
        yield
        self.lives.pause(last)

    def _wait_for_table(self, engine: EngineProcess) -> None:
        deadline = time.monotonic() + TABLE_WITHIN_S
        while True:
            table = engine.status()["tables"][0]
            if table["state"] == "running" and table["pending_rows"] == 0:
                return
            if table["state"] == "stopped" or time.monotonic() > deadline:
                raise Violation(f"the table is not published: {table}")
            time.sleep(0.02)

    def _check_totals(self, engine: EngineProcess, known: Batches) -> None:
        rows = engine.status()["rows"]
        inside = known.epoch != 0
        wanted = {
            "accepted": int(known.good[inside].sum()),
            "refused": int((known.size - known.good)[inside].sum()),
        }
        for name, value in wanted.items():
            if rows[name] != value:
                raise Violation(f"status counts {rows[name]} rows {name}, not {value}")


def never_met(lives: int, counts: dict[str, int]) -> str:
    """What is wrong with a run that had the time for everything in `counts` and never saw some of
    it, so that it says nothing of that. Empty when nothing is."""
    missing = [what for what, count in counts.items() if count == 0]
    if lives < LIVES_UNTIL_MET or not missing:
        return ""
    return f"{', '.join(missing)}: never met in {lives} lives, of which the run says nothing"


def look_at(folder: Path) -> str:
    """What shows a folder that was kept after a failure."""
    return f"{shlex.quote(str(BINARY))} serve {folder}/pipeline.yaml --data {folder}/data"


def report(summary: dict[str, Any]) -> None:
    """The last line of a program: one JSON document."""
    import json

    print(json.dumps(summary), flush=True)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
