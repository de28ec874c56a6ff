"""Generated pipelines answer as DuckDB does; pipeline_differences.py is the command."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
from pipeline_differences import Outcome, compare, default_program, in_parallel, report, same
from pipeline_features import EVERY, INVALID, LIFETIME, Aggregates, Expected, spread
from pipeline_pairs import Case, Cases
from pipeline_windows import duration, in_ms

LONG = os.environ.get("HEADRACE_TEST_LONG") == "1"
SEED = 1
COUNT = 50_000 if LONG else 5_000


def test_duckdb_answers_the_same() -> None:
    assert default_program().exists(), f"{default_program()} is missing: ./dev test builds it"
    outcome = in_parallel(SEED, range(COUNT), default_program(), os.cpu_count() or 1)
    said = report(SEED, outcome)
    print(said)
    assert not outcome.differences, said
    assert outcome.pipelines == COUNT
    assert outcome.verified > outcome.values / 2, "the batch driver has seen too few"
    assert outcome.late > COUNT, "too few rows are late"
    assert outcome.rows > COUNT, "too few answers as of rows"
    assert outcome.labels > COUNT, "too few labels"
    assert outcome.folded > COUNT, "too few rows became tiles"


class WrongDuck:
    """Knows no key."""

    def answers(self, case: Case, ours: object) -> dict[tuple[int, int], tuple[object, ...]]:
        return {(q.view, i): (0, None) for i, q in enumerate(case.questions)}

    def late(self, case: object) -> int:
        return 0


def test_a_difference_is_found_and_can_be_repeated() -> None:
    case = Cases(1, 17).case()
    answers = [
        [[1, "PRESENT"] for _ in case.views[question.view].outputs()] for question in case.questions
    ]
    none: dict[str, Any] = {"epochs": [], "rows": [], "trained": [[] for _ in case.labels]}
    none["folded"] = 0
    case = replace(case, labels={view: [] for view in case.labels})
    ours = none | {"answers": answers, "refused": 0, "verified": 0}
    outcome = compare(17, case, ours, WrongDuck())  # type: ignore[arg-type]
    assert {one.number for one in outcome.differences} == {17}
    assert "--seed 1 --only 17" in report(1, outcome)
    assert compare(17, case, {"error": "it died"}, WrongDuck()).differences  # type: ignore[arg-type]


def test_every_aggregate_is_drawn() -> None:
    drawn = set()
    for number in range(60):
        for view in Cases(2, number).case().views:
            drawn |= {feature.text.split("(")[0] for _, feature, _ in view.outputs()}
    for name in ("count", "sum", "quantile", "last_n", "top_k_counts", "values", "decayed_sum"):
        assert name in drawn
    assert all(hasattr(Aggregates, drawing.__name__) for drawing in (*EVERY, *LIFETIME))


def test_every_kind_of_window_and_stream_is_drawn() -> None:
    windows = set()
    streams = ""
    for number in range(200):
        case = Cases(2, number).case()
        for view in case.views:
            windows |= {(window.key, window.which) for window in view.windows.every}
            windows |= {("zone", "") for window in view.windows.every if window.zone is not None}
            windows |= {("ending", "") for window in view.windows.every if window.ending_us}
            windows |= {("precision", "") for window in view.windows.every if window.precision_us}
            windows |= {("self", view.self_rule or "")}
        streams += case.pipeline()
    assert windows == {
        *(("over", ""), ("hopping", ""), ("last", ""), ("zone", ""), ("ending", "")),
        ("precision", ""),
        *(("tumbling", "this"), ("tumbling", "previous"), ("session", "this"), ("session", "last")),
        *(("self", ""), ("self", "included"), ("self", "excluded")),
    }
    for part in (
        *("asof join", "asof left join", " join others using", " left join others using"),
        *(" within ", " to -", "within -", "dedupe:", "derive:", "select:", "drop:", "arrived:"),
        *("unnest:", "at_most:", "empty: kept", "as: text"),
    ):
        assert part in streams, part


@pytest.mark.parametrize(
    ("ours", "expected", "equal"),
    [
        (1, Expected(1), True),
        (1, Expected(True), False),
        (None, Expected(0), False),
        (0.30000000000000004, Expected(0.3), False),
        (0.30000000000000004, Expected(0.3, relative=1e-15), True),
        ("NaN", Expected(float("nan")), True),
        ("Infinity", Expected(1e308, relative=0.5), False),
        (101, Expected(100, relative=0.02), True),
        ([1, 2], Expected([1, 2]), True),
        ([2, 1], Expected([1, 2]), False),
        (["NaN"], Expected([float("nan")]), True),
    ],
)
def test_what_is_the_same(ours: object, expected: Expected, equal: bool) -> None:
    assert same(ours, expected) is equal


def test_exact_arithmetic() -> None:
    assert spread([1e9, 1e9 + 1, 1e9 + 2], sample=True, deviation=False) == 1.0
    assert spread([3e200, -3e200], sample=False, deviation=True) == 3e200
    assert spread([1.0], sample=True, deviation=False) is None
    assert INVALID is not None


def test_durations_are_whole_milliseconds() -> None:
    assert [duration(us) for us in (1_000, 60_000_000, 172_800_000_000)] == ["1ms", "1m", "2d"]
    assert in_ms(1) == 1_000


def test_outcomes_add_up() -> None:
    total = Outcome()
    total.add(Outcome(pipelines=2, values=3, verified=4, late=5))
    assert (total.pipelines, total.values, total.verified, total.late) == (2, 3, 4, 5)
