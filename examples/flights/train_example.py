"""Will this flight be over 15 minutes late? Logistic regression on the training set, in numpy.

1. Numeric features as columns; a missing one is its column's mean, and a second column says so.
2. Rows split by time: the first 70 % to learn from, the rest to be judged by.
3. Newton's method with a little ridge; the area under the ROC curve, beside the last delay's alone.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

TRAIN_SHARE = 0.7
RIDGE = 1.0
NEWTON_STEPS = 12
NOT_FEATURES = {"flight_id", "origin", "destination", "date", "late"}

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    rows: int
    test_rows: int
    features: int
    auc: float
    auc_last_delay: float


def is_number(field: pa.Field) -> bool:
    return bool(pa.types.is_integer(field.type) or pa.types.is_floating(field.type))


def feature_names(table: pa.Table) -> list[str]:
    """Numeric columns that are neither the label's own nor the engine's (those begin with _)."""
    return [
        field.name
        for field in table.schema
        if is_number(field) and field.name not in NOT_FEATURES and not field.name.startswith("_")
    ]


def column(table: pa.Table, name: str) -> Matrix:
    values = table.column(name).combine_chunks().cast(pa.float64())
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)


def design(columns: list[Matrix], learn: NDArray[np.bool_]) -> Matrix:
    """A constant, and each column standardised by the rows to learn from, with its indicator."""
    parts = [np.ones(len(learn))]
    for values in columns:
        missing = ~np.isfinite(values)
        known = values[learn & ~missing]
        mean, spread = (known.mean(), known.std()) if len(known) else (0.0, 0.0)
        parts.append(np.where(missing, 0.0, values - mean) / (spread or 1.0))
        if missing[learn].any() and not missing[learn].all():
            parts.append(missing.astype(np.float64))
    return np.column_stack(parts)


def fit(x: Matrix, y: Matrix) -> Matrix:
    weights = np.zeros(x.shape[1])
    for _ in range(NEWTON_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (y - p) - RIDGE * weights
        curvature = (x * (p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(x.shape[1])
        weights = weights + np.linalg.solve(curvature, gradient)
    return weights


def auc(score: Matrix, label: NDArray[np.bool_]) -> float:
    """The chance that a late flight scores above a punctual one; ties count half."""
    _, where, counts = np.unique(score, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[where]
    positives = int(label.sum())
    negatives = len(label) - positives
    if not positives or not negatives:
        return float("nan")
    return float((ranks[label].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def train(table: pa.Table) -> Outcome:
    table = table.take(pa.array(np.argsort(column_as_us(table, "date"), kind="stable")))
    label = np.asarray(table.column("late").combine_chunks().cast(pa.bool_()), dtype=bool)
    learn = np.arange(len(label)) < int(len(label) * TRAIN_SHARE)
    names = feature_names(table)
    x = design([column(table, name) for name in names], learn)
    weights = fit(x[learn], label[learn].astype(np.float64))
    last = next((name for name in names if name.endswith("last_delay")), None)
    last_auc = float("nan")
    if last is not None:
        alone = design([column(table, last)], learn)[:, 1]
        last_auc = auc(alone[~learn], label[~learn])
    return Outcome(
        rows=len(label),
        test_rows=int((~learn).sum()),
        features=len(names),
        auc=auc((x @ weights)[~learn], label[~learn]),
        auc_last_delay=last_auc,
    )


def column_as_us(table: pa.Table, name: str) -> NDArray[np.int64]:
    values = table.column(name).combine_chunks().cast(pa.timestamp("us", tz="UTC"))
    return np.asarray(values.cast(pa.int64()).to_numpy(), dtype=np.int64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("training_set", type=Path)
    options = parser.parse_args()
    print(json.dumps(vars(train(pq.read_table(options.training_set)))))


if __name__ == "__main__":
    main()
