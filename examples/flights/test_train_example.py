"""The example model finds what is there, and nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import train_example

ROWS = 4000


def training_set(signal: float) -> pa.Table:
    dice = np.random.default_rng(11)
    hidden = dice.normal(size=ROWS)
    seen = np.where(dice.random(ROWS) < 0.1, np.nan, hidden)
    late = signal * hidden + dice.normal(size=ROWS) > 0.5
    return pa.table(
        {
            "flight_id": np.arange(ROWS),
            "origin": ["ORD"] * ROWS,
            "date": pa.array(dice.permutation(ROWS), pa.timestamp("us", tz="UTC")),
            "late": late,
            "mean_delay_1h": pa.array(seen, from_pandas=True),
            "last_delay": dice.normal(size=ROWS),
            "_epoch": np.arange(ROWS),
        }
    )


def test_a_signal_is_learnt() -> None:
    outcome = train_example.train(training_set(2.0))
    assert (outcome.rows, outcome.test_rows, outcome.features) == (ROWS, ROWS * 3 // 10, 2)
    assert outcome.auc > 0.85
    assert outcome.auc_last_delay == pytest.approx(0.5, abs=0.06)


def test_noise_is_not() -> None:
    assert train_example.train(training_set(0.0)).auc == pytest.approx(0.5, abs=0.06)


def test_auc_counts_ties_half() -> None:
    label = np.array([True, False, True, False])
    assert train_example.auc(np.array([1.0, 1.0, 2.0, 0.0]), label) == pytest.approx(0.875)
