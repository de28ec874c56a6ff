"""Pipelines that answer otherwise than DuckDB does.

    pipeline_differences.py [--seed N] [--count N] [--only NUMBER] [--processes N]

Draws seeded pipelines (pipeline_pairs.py): views over random streams, whose rows come in batches,
late, ahead, with ties and nulls. A whole engine takes the events in and answers questions as of
random times; now and then it is killed on the way. DuckDB answers the same over the same rows.
Values and statuses are compared: exactly, but for approximate quantiles and distinct counts, which
are held to their stated errors, and means, variances, rates and decays, to their roundings. Then
the batch driver answers every question again, from the log, and the bits are compared.

Prints each difference with the command that shows it alone, with the pipeline and the SQL; the exit
code is 1 if there is any.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from pipeline_features import INVALID, Expected, Span
from pipeline_pairs import LABELS, ROWS, Case, Cases
from pipeline_views import View

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 25
SHOWN = 20
SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True)
class Difference:
    number: int
    text: str


@dataclass
class Outcome:
    pipelines: int = 0
    values: int = 0  # compared with DuckDB's
    verified: int = 0  # computed again by the batch driver
    rows: int = 0  # answered as of a row
    labels: int = 0  # of training sets
    late: int = 0
    folded: int = 0  # rows that became tiles
    differences: list[Difference] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        self.pipelines += other.pipelines
        self.values += other.values
        self.verified += other.verified
        self.rows += other.rows
        self.labels += other.labels
        self.late += other.late
        self.folded += other.folded
        self.differences += other.differences


def default_program() -> Path:
    default = ROOT / "build/release/tests/interop/headrace_evaluate_pipelines"
    return Path(os.environ.get("HEADRACE_PIPELINE_EVALUATOR", default))


def answers_of_engine(program: Path, cases: list[Case]) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = []
    while len(answers) < len(cases):
        lines = "\n".join(case.for_engine() for case in cases[len(answers) :])
        done = subprocess.run([program], input=lines, capture_output=True, text=True, check=False)
        answers += [json.loads(line) for line in done.stdout.splitlines()]
        if len(answers) < len(cases):  # it died of the next one
            answers.append({"error": f"exit code {done.returncode}: {done.stderr[-2000:]}"})
    return answers


class Duck:
    """Asks DuckDB. Its optimiser stays off, as in expression_differences.py."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'; SET threads = 1; PRAGMA disable_optimizer")

    def answers(self, case: Case, ours: dict[str, Any]) -> dict[tuple[int, int], tuple[Any, ...]]:
        """By view and number (Case.view_sql): the time, the key's newest time, then what each
        feature asks for. Of `ours` it looks at the epochs, and at which rows were answered."""
        columns = case.columns()
        for i, stream in enumerate(case.streams):
            table = stream.table(columns, case.epochs(ours["epochs"], i))
            self.connection.register(f"events{i}", table)
        for i in range(len(case.sources)):
            self.connection.execute(
                f"CREATE OR REPLACE TEMP TABLE accepted{i} AS {case.table_sql(i)}"
            )
        found = {}
        for number in range(len(case.views)):
            rows = [(epoch, row) for view, epoch, row, _ in ours["rows"] if view == number]
            if rows or number in case.labels or any(q.view == number for q in case.questions):
                sql = case.view_sql(number, ours["epochs"], rows)
                for row in self.connection.execute(sql).fetchall():
                    found[number, row[0]] = row[1:]
        return found

    def late(self, case: Case) -> int:
        """Of the rows of the case that `answers` was asked about last."""
        taken = 0
        for i in range(len(case.streams)):
            row = self.connection.execute(f"SELECT count(*) FROM accepted{i}").fetchone()
            assert row is not None
            taken += int(row[0])
        return sum(len(stream.rows) for stream in case.streams) - taken


def expected_of(view: View, row: tuple[Any, ...]) -> list[tuple[Expected, str]]:
    """What each output is, and its status."""
    as_of_us, newest, *asked = row
    forgets_after_us = view.forgets_after_us
    known = newest is not None and (
        forgets_after_us is None or as_of_us - newest < forgets_after_us
    )
    expected = []
    for _, feature, number in view.outputs():
        values, asked = asked[: len(feature.asks)], asked[len(feature.asks) :]
        if not known:
            expected.append((Expected(None), "NOT_FOUND"))
            continue
        window = view.window_of(number)
        one = feature.fold(values, Span(as_of_us, window.length_us if window else 0))
        status = "NULL_VALUE" if one.value is None else "PRESENT"
        if one.value is INVALID:
            one, status = Expected(None), "INVALID"
        if view.ttl_us is not None and as_of_us - newest > view.ttl_us:
            status = "OUTSIDE_MAX_AGE"
        expected.append((one, status))
    return expected


def differing(
    view: View, answer: list[Any], expected: list[tuple[Expected, str]], asked: object
) -> str | None:
    """The first output that differs."""
    for (value, status), (one, their_status), (_, feature, window) in zip(
        answer, expected, view.outputs(), strict=True
    ):
        if status == their_status and same(value, one):
            continue
        return (
            f"view {view.name}, {feature.text} over {view.window_of(window)}, {asked}\n"
            f"  gave {value!r} {status}, DuckDB {one.value!r} {their_status}"
        )
    return None


def same(ours: Any, expected: Expected) -> bool:
    theirs = expected.value
    if ours is None or theirs is None:
        return ours is theirs
    if isinstance(theirs, list):
        return (
            isinstance(ours, list)
            and len(ours) == len(theirs)
            and all(same(a, Expected(b)) for a, b in zip(ours, theirs, strict=True))
        )
    if isinstance(theirs, float):
        number = SPECIAL[ours] if isinstance(ours, str) else float(ours)
        if not (math.isfinite(number) and math.isfinite(theirs)):
            return number == theirs or (math.isnan(number) and math.isnan(theirs))
    elif type(ours) is not type(theirs):
        return False
    elif isinstance(theirs, str | bool) or not expected.relative:
        return bool(ours == theirs)
    else:
        number = float(ours)
    allowed = max(expected.near, expected.relative * abs(theirs))
    return bool(abs(number - theirs) <= allowed)


def compare(number: int, case: Case, ours: dict[str, Any], duck: Duck) -> Outcome:
    outcome = Outcome(pipelines=1)

    def differs(text: str) -> None:
        outcome.differences.append(Difference(number, text))

    if "error" in ours:
        differs(str(ours["error"]))
        return outcome
    try:
        theirs = duck.answers(case, ours)
    except duckdb.Error as error:
        differs(f"DuckDB: {error}")
        return outcome
    outcome.late = duck.late(case)
    outcome.verified = ours["verified"]
    outcome.rows = len(ours["rows"])
    outcome.folded = ours["folded"]
    outcome.labels = sum(map(len, ours["trained"]))
    if ours["refused"] != outcome.late:
        differs(f"{ours['refused']} rows were refused, DuckDB finds {outcome.late} late")
    for asked, view, key, answer, has_status in asked_of(case, ours):
        if key not in theirs:
            differs(f"view {view.name}, {asked}: DuckDB has no such row")
            continue
        expected = expected_of(view, theirs[key])
        if not has_status:
            expected = [
                (e if status == "PRESENT" else Expected(None), "") for e, status in expected
            ]
        outcome.values += len(expected)
        difference = differing(view, answer, expected, asked)
        if difference is not None:
            differs(difference)
    return outcome


def asked_of(
    case: Case, ours: dict[str, Any]
) -> Iterator[tuple[object, View, tuple[int, int], list[Any], bool]]:
    """What was asked, of which view, its key in DuckDB's answers, what we gave, and whether that
    has statuses: in a training set what is not PRESENT is NULL."""
    for i, (question, answer) in enumerate(zip(case.questions, ours["answers"], strict=True)):
        yield question, case.views[question.view], (question.view, i), answer, True
    numbers = [0] * len(case.views)
    for view, epoch, row, answer in ours["rows"]:
        asked = f"as of row {row} of epoch {epoch}"
        yield asked, case.views[view], (view, ROWS + numbers[view]), answer, True
        numbers[view] += 1
    for view, rows in zip(case.labels, ours["trained"], strict=True):
        for i, (label, values) in enumerate(zip(case.labels[view], rows, strict=True)):
            answer = [(value, "") for value in values]
            yield label, case.views[view], (view, LABELS + i), answer, False


def differences(seed: int, numbers: list[int], program: Path) -> Outcome:
    duck = Duck()
    total = Outcome()
    for begin in range(0, len(numbers), AT_ONCE):
        some = numbers[begin : begin + AT_ONCE]
        cases = [Cases(seed, number).case() for number in some]
        for number, case, ours in zip(some, cases, answers_of_engine(program, cases), strict=True):
            total.add(compare(number, case, ours, duck))
    return total


def in_parallel(seed: int, numbers: Iterable[int], program: Path, processes: int) -> Outcome:
    listed = list(numbers)
    parts = [listed[i : i + 4 * AT_ONCE] for i in range(0, len(listed), 4 * AT_ONCE)]
    total = Outcome()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for outcome in pool.starmap(
            differences, [(seed, part, program) for part in parts], chunksize=1
        ):
            total.add(outcome)
    return total


def report(seed: int, outcome: Outcome) -> str:
    lines = []
    for one in outcome.differences[:SHOWN]:
        lines.append(one.text)
        lines.append(
            "  again: .dev/venv/bin/python tests/interop/pipeline_differences.py "
            f"--seed {seed} --only {one.number}"
        )
    lines.append(
        f"{outcome.pipelines} pipelines, {outcome.values} values ({outcome.verified} computed "
        f"again by the batch driver), {outcome.rows} rows as of which views answered, "
        f"{outcome.labels} labels, {outcome.late} late rows, {outcome.folded} in tiles, "
        f"{len(outcome.differences)} differences, seed {seed}"
    )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--only", type=int)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    program = default_program()
    if options.only is None:
        outcome = in_parallel(options.seed, range(options.count), program, options.processes)
    else:
        case = Cases(options.seed, options.only).case()
        print(case.pipeline())
        for i, source in enumerate(case.sources):
            print(f"-- {source.name}: accepted{i}\n{case.table_sql(i)};\n")
        epochs = list(range(1, 1 + case.batches * len(case.streams)))  # may be others
        for view in sorted({question.view for question in case.questions}):
            print(f"-- {case.views[view].name}\n{case.view_sql(view, epochs, [])};\n")
        outcome = differences(options.seed, [options.only], program)
    print(report(options.seed, outcome))
    return 1 if outcome.differences else 0


if __name__ == "__main__":
    sys.exit(main())
