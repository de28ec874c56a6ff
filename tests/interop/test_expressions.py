"""Our expressions and DuckDB's give the same values; expression_differences.py is the command."""

from __future__ import annotations

import os

import expression_pairs
import pytest
from expression_differences import default_program, differences, report, same
from expression_pairs import FORMS, INEXACT, Pair

LONG = os.environ.get("HEADRACE_TEST_LONG") == "1"
SEEDS = range(1, 41) if LONG else range(1, 3)
COUNT = 5000 if LONG else 3000


@pytest.mark.parametrize("seed", SEEDS)
def test_duckdb_gives_the_same(seed: int) -> None:
    assert default_program().exists(), f"{default_program()} is missing: ./dev test builds it"
    assert len(FORMS) + len(INEXACT) < COUNT, "each form comes up as outermost"
    found = differences(seed, list(range(COUNT)), default_program())
    assert not found, report(seed, found)


def test_a_difference_is_found_and_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = (Pair("n + 1", "TRY(n + 2)"), False)
    monkeypatch.setattr(expression_pairs.Generator, "pair", lambda *_: wrong)
    found = differences(1, [17], default_program())
    assert [one.number for one in found] == [17]
    assert "--seed 1 --only 17" in report(1, found)


@pytest.mark.parametrize(
    ("ours", "theirs", "inexact", "expected"),
    [
        (1, 1, False, True),
        (1, True, False, False),
        (None, 0, False, False),
        ("NaN", float("nan"), False, True),
        ("Infinity", float("inf"), False, True),
        (0.1, 0.1, False, True),
        (0.30000000000000004, 0.3, False, False),
        (0.30000000000000004, 0.3, True, True),
        ("a", "b", False, False),
    ],
)
def test_what_is_the_same(ours: object, theirs: object, inexact: bool, expected: bool) -> None:
    assert same(ours, theirs, inexact) is expected
