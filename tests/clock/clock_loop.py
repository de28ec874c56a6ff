"""A wall clock that jumps under the real binary (libfaketime), under `clock: wall`.

    clock_loop.py [--jumps N] [--seconds S] [--every S] [--seed X] [--folder DIR]

The machine's clock jumps to an hour or a day before, or a day after, the right time, and back; the
monotonic clock goes on. Held against the right time, which the driver keeps: answers' as_of,
windows, ttl, what is late or ahead, idempotency keys, `_known_at` in the table; restarts included,
except while the clock is ahead, when nothing tells the engine so. Exit code 77 without libfaketime.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults"))

from campaign import look_at, report, say
from comparison import with_duckdb
from engine_process import EngineProcess
from record import Violation

PRELOAD = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)  # apt: faketime
JUMPS_S = (-3600, 86400, -86400, 0)
WINDOW_US = 4_000_000
TTL_US = 6_000_000
SLACK_US = 400_000  # between the log clock and the right time: slewing, and who reads first
KEYS = 4
NOT_RUN = 77

PIPELINE = """headrace: 1
pipeline: clock
promise: {budget: {p99: 500ms}}
streams:
  events:
    contract: events.yaml
    source: {http: push}
    time: {event: at, late: 30s, max_ahead: 30s}
views:
  recent: {from: events, by: key, over: [4s], features: {n: count(*)}}
  kept: {from: events, by: key, over: [1h], ttl: 6s, features: {n: count(*)}}
tables: {events: {commit: 200ms}}
"""
CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: events
version: 1.0.0
status: active
schema:
  - name: events
    logicalType: object
    properties:
      - {name: key, logicalType: string, required: true}
      - {name: number, logicalType: integer, physicalType: int64, required: true}
      - {name: at, logicalType: timestamp, required: true}
"""


def why_not() -> str:
    return "" if PRELOAD else "libfaketime is missing (tools/apt-faults.txt)"


def now_us() -> int:
    return time.time_ns() // 1000


def text_of(us: int) -> str:
    moment = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=us)
    return moment.isoformat(timespec="microseconds") + "Z"


def us_of(text: str) -> int:
    moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int((moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) / dt.timedelta(microseconds=1))


@dataclasses.dataclass
class Progress:
    jumps: int = 0
    restarts: int = 0
    rows: int = 0
    repeats: int = 0
    answers: int = 0
    expired: int = 0  # answers in which a quiet key was rightly OUTSIDE_MAX_AGE


class ClockRun:
    def __init__(self, folder: Path, seed: int, progress: Progress) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pipeline.yaml").write_text(PIPELINE)
        (folder / "events.yaml").write_text(CONTRACT)
        self.folder = folder
        self.stamp = folder / "faketime"
        self.plan = random.Random(seed)  # of jumps and restarts
        self.random = random.Random(seed)  # of rows, as many as the machine has time for
        self.progress = progress
        self.jump = 0
        self.set_clock(0)
        self.rows: list[tuple[str, int]] = []  # key, event time; a row's number is its place
        self.epoch = 0
        self.as_of = 0
        self.quiet = 0
        self.engine = self.begin()

    def begin(self) -> EngineProcess:
        environment = {
            "LD_PRELOAD": str(PRELOAD),
            "FAKETIME_TIMESTAMP_FILE": str(self.stamp),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        engine = EngineProcess(self.folder, self.folder / "data", environment=environment)
        if not engine.wait_ready():
            raise Violation(f"the engine did not start:\n{engine.printed()[-2000:]}")
        return engine

    def restart(self) -> None:
        self.engine.kill()
        self.engine = self.begin()
        self.progress.restarts += 1

    def set_clock(self, seconds: int) -> None:
        fresh = self.stamp.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.rename(self.stamp)
        self.jump = seconds

    def send(self, key: str) -> None:
        number, at = len(self.rows), now_us()
        self.rows.append((key, at))
        answer = self._post(number)
        if (answer["accepted"], answer["repeated"]) != (1, False):
            raise Violation(f"row {number} at jump {self.jump} s: {answer}")
        self.epoch = answer["epoch"]
        self.progress.rows += 1

    def repeat(self) -> None:
        """An idempotency key is remembered for a day of log time, whatever the clock does."""
        number = self.random.randrange(len(self.rows))
        answer = self._post(number)
        if not answer["repeated"]:
            raise Violation(f"row {number} was taken twice at jump {self.jump} s: {answer}")
        self.progress.repeats += 1

    def _post(self, number: int) -> dict[str, Any]:
        key, at = self.rows[number]
        body = json.dumps({"key": key, "number": number, "at": text_of(at)})
        headers = {"Idempotency-Key": f"row-{number}"}
        status, text = self.engine.request("POST", "/streams/events/events", body, headers)
        if status != 200:
            raise Violation(f"row {number} at jump {self.jump} s: {status} {text}")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def ask(self) -> None:
        names = sorted({key for key, _ in self.rows})
        query = {
            "features": ["recent:n_4s", "kept:n_1h"],
            "entities": {"key": names},
            "min_epoch": self.epoch,
            "deadline_ms": 20000,
        }
        before = now_us()
        status, text = self.engine.request("POST", "/get-online-features", json.dumps(query))
        after = now_us()
        if status != 200:
            raise Violation(f"asked at jump {self.jump} s: {status} {text}")
        answer = json.loads(text)
        as_of = us_of(answer["headrace"]["as_of"])
        if not before - SLACK_US <= as_of <= after + SLACK_US:
            off = (as_of - before) / 1e6
            raise Violation(f"as_of is {off:.3f} s off the right time at jump {self.jump} s")
        if as_of < self.as_of:
            raise Violation(f"the log clock went back by {self.as_of - as_of} us")
        self.as_of = as_of
        self._check_values(names, answer, as_of)
        self.progress.answers += 1

    def _check_values(self, names: list[str], answer: dict[str, Any], as_of: int) -> None:
        recent, kept = answer["results"][1:]
        for place, name in enumerate(names):
            times = [at for key, at in self.rows if key == name]
            wanted = sum(as_of - WINDOW_US < at <= as_of for at in times)
            if times[0] > as_of:
                continue  # the first row of a key, ahead of a clock that is behind
            if (found := recent["values"][place]) != wanted:
                raise Violation(f"{name}: {found} rows in 4 s at jump {self.jump} s, not {wanted}")
            newest = max(at for at in times if at <= as_of)
            status = "OUTSIDE_MAX_AGE" if as_of - newest > TTL_US else "PRESENT"
            if (says := kept["statuses"][place]) != status:
                age = (as_of - newest) / 1e6
                raise Violation(f"{name}: {says} at an age of {age:.3f} s at jump {self.jump} s")
            self.progress.expired += status != "PRESENT"

    def check_reported(self) -> None:
        """/status says by how much the wall clock is off what the engine goes by."""
        clock = self.engine.status()["log_clock"]
        off = clock["behind_wall_ms"] / 1000 - self.jump
        if abs(off) > 5 or clock["stepped"] != (self.jump != 0):
            raise Violation(f"status does not report the jump of {self.jump} s: {clock}")

    def phase(self, seconds: float) -> None:
        """A jump, and what it must not disturb."""
        self.set_clock(self.plan.choice([jump for jump in JUMPS_S if jump != self.jump]))
        self.progress.jumps += 1
        end = time.monotonic() + seconds
        self.send(f"quiet-{self.quiet}")
        self.quiet += 1
        asked = 0
        while time.monotonic() < end:
            for key in range(KEYS):
                self.send(f"key-{key}")
            self.repeat()
            self.ask()
            asked += 1
            time.sleep(0.05)
        self.check_reported()
        if self.jump <= 0 and self.plan.random() < 0.5:
            self.restart()
            self.ask()

    def finish(self) -> None:
        if "log.clock_step" not in self.engine.log.read_text():
            raise Violation("no line tells of a step")
        self.set_clock(0)
        if (code := self.engine.stop()) != 0:
            raise Violation(f"an orderly stop ended with {code}")
        found = with_duckdb(
            self.folder / "data/tables/events",
            'SELECT number, epoch_us("at"), epoch_us(_known_at) FROM TABLE ORDER BY _epoch, _row',
        )
        if [row[:2] for row in found] != list(enumerate(at for _, at in self.rows)):
            raise Violation(f"the table has {len(found)} rows, or others, of {len(self.rows)}")
        previous = 0
        for number, at, known_at in found:
            if not at - SLACK_US <= known_at <= at + 60_000_000:
                raise Violation(f"row {number}: known {(known_at - at) / 1e6:.1f} s after its time")
            if known_at < previous:
                raise Violation(f"row {number} is known before the row before it")
            previous = known_at


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="a wall clock that jumps under the real binary")
    parser.add_argument("--jumps", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=8 * 3600.0, help="stop after so long")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between jumps")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--folder", type=Path, help="where the data goes; kept after a failure")
    parser.add_argument("--jumps-per-round", type=int, default=40)
    options = parser.parse_args(given)
    options.begin = time.monotonic()
    return options


def run_round(home: Path, seed: int, options: argparse.Namespace, p: Progress) -> None:
    clock = ClockRun(home, seed, p)
    end = min(p.jumps + options.jumps_per_round, options.jumps)
    try:
        clock.send("key-0")
        while p.jumps < end and time.monotonic() < options.begin + options.seconds:
            clock.phase(options.every)
        clock.finish()
    finally:
        clock.engine.kill()


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The summary; `failure` is there when a promise was broken."""
    folder = options.folder or Path(tempfile.mkdtemp(prefix="headrace-clock-"))
    say(f"clock loop: seed {options.seed}, {options.jumps} jumps, at most {options.seconds:.0f} s")
    p = Progress()
    failure = ""
    rounds = 0
    while p.jumps < options.jumps and time.monotonic() < options.begin + options.seconds:
        home = folder / f"round-{rounds}"
        try:
            run_round(home, options.seed + rounds, options, p)
            shutil.rmtree(home)
        except Violation as violation:
            failure = f"{violation}"
            say(
                f"FAILED in round {rounds} (seed {options.seed}): {failure}\n"
                f"data is kept; look at it: {look_at(home)}\n"
                f"again: ./dev test --long clock --seed {options.seed} --jumps {options.jumps}"
            )
            break
        rounds += 1
        say(f"jump {p.jumps} of {options.jumps}: {dataclasses.asdict(p)}")
    seconds = round(time.monotonic() - options.begin)
    complete = p.jumps >= options.jumps
    summary = {"test": "clock", "seed": options.seed, "complete": complete, "seconds": seconds}
    summary |= dataclasses.asdict(p)
    if failure:
        summary["failure"] = failure
    return summary


if __name__ == "__main__":
    if reason := why_not():
        say(f"NOT RUN: {reason}")
        sys.exit(NOT_RUN)
    result = run(arguments())
    report(result)
    sys.exit("failure" in result)
