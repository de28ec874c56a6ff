"""The summary says what the document says, and a failure comes first."""

from __future__ import annotations

import copy
from typing import Any

import damage
import pytest
import summary

FIGURES = {"p50_ms": 1.0, "p99_ms": 4.0, "worst_ms": 9.0}
DOCUMENT: dict[str, Any] = {
    "promise": {"kept": True, "budget_ms": 200.0, "p99_ms": 8.0, "stages": {"ingest": FIGURES}},
    "rows": {
        "in": 1000, "accepted": 994, "expected_accepted": 994, "refused": 6, "damaged": 6,
        "found": dict.fromkeys(damage.FIELDS, 1), "unexpected": 0,
        "duplicates_but_for_id": 3, "landed_before_scheduled": 2,
    },
    "table": {
        "rows": {"headrace": 994, "duckdb": 994, "delta_rs": 994}, "equal": True,
        "digest": "9f2c00112233", "commits": 4, "files": 4,
    },
    "training": {"rows": 50, "labels": 50, "seconds": 0.4, "auc": 0.7, "auc_last_delay": 0.6},
    "verify": {"checked": 41, "mismatches": 0, "corruption_found": 1, "corruption": "view origin"},
    "kill": {"at_row": 700, "back_s": 0.9, "resumed_epoch": 12, "lost": 0, "doubled": 0},
    "ingest": {"events_per_s": 450000.0, "rows": 500},
    "lookup": {"answered": 40, "errors": 0, "epoch_went_back": 0, "features": 12, "per_s": 500.0},
    "fdatasync": FIGURES,
    "memory": {"peak_mb": 800.0, "budget_mb": 4096.0},
    "disk": {"total_mb": 200.0, "log_mb": 120.0, "table_mb": 80.0},
    "seconds": {"install": 3.0, "build": 200.0, "run": 41.0},
    "machine": {"cores": 2, "memory_gib": 24.0},
    "data": "data",
}  # fmt: skip


def text_of(document: dict[str, Any]) -> str:
    return summary.render({**document, "failures": summary.failures(document)})


def test_success_has_no_failure_line() -> None:
    text = text_of(DOCUMENT)
    assert text.startswith("Headrace demo: 1,000 real US flights")
    assert "KEPT" in text
    assert "450,000" in text
    assert "build 3 m 20 s" in text


BROKEN = [
    ("kill", "lost", 1, "not in the table"),
    ("kill", "doubled", 2, "twice"),
    ("verify", "mismatches", 1, "differ when recomputed"),
    ("verify", "corruption_found", 0, "corrupted value was not found"),
    ("verify", "checked", 3, "not all answers"),
    ("table", "equal", False, "not the accepted rows"),
    ("rows", "unexpected", 1, "nobody damaged"),
    ("rows", "accepted", 990, "accepted + refused"),
    ("lookup", "errors", 4, "answered an error"),
    ("lookup", "epoch_went_back", 1, "went back"),
    ("training", "rows", 49, "labels are missing"),
    ("promise", "kept", False, "promise of 200 ms"),
]


@pytest.mark.parametrize(("section", "name", "value", "said"), BROKEN)
def test_each_failure_is_the_first_line(section: str, name: str, value: Any, said: str) -> None:
    document = copy.deepcopy(DOCUMENT)
    document[section][name] = value
    first = text_of(document).splitlines()[0]
    assert first.startswith("FAILED: ")
    assert said in first


def test_what_was_not_measured_is_not_printed() -> None:
    document = {**copy.deepcopy(DOCUMENT), "fdatasync": None, "seconds": {"run": 41.0}}
    document["promise"]["p99_ms"] = None
    document["memory"]["budget_mb"] = None
    text = text_of(document)
    assert "fdatasync" not in text
    assert "install" not in text
    assert "None" not in text
