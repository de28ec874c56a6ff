"""Log compaction files, `X.Y.compacted.json`, made here as the protocol has them: read in the place
of commits, or passed over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable, write_deltalake
from test_delta_reading import (
    BUSY,
    NUMBERS,
    actions_of,
    by_delta_rs,
    log_of,
    read,
    refusal,
    write_busy,
)


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    write_busy(tmp_path / "busy")
    return tmp_path / "busy"


def without_checkpoint(table: Path) -> None:
    next((table / "_delta_log").glob("*.checkpoint.parquet")).unlink()
    (table / "_delta_log/_last_checkpoint").unlink()


def compact(table: Path, first: int, last: int) -> Path:
    """What commits `first` to `last` did, as one file: of a logical file only the last word."""
    kept: dict[Any, dict[str, Any]] = {}
    for version in range(first, last + 1):
        for action in actions_of(table, version):
            ((kind, body),) = action.items()
            if kind in ("add", "remove"):
                vector = body.get("deletionVector") or {}
                key: Any = (body["path"], vector.get("pathOrInlineDv"), vector.get("offset"))
            else:
                key = (kind, body.get("appId"), body.get("domain"))
            if kind not in ("commitInfo", "cdc"):
                kept[key] = action
    path = table / "_delta_log" / f"{first:020}.{last:020}.compacted.json"
    path.write_text("".join(json.dumps(action) + "\n" for action in kept.values()))
    return path


def test_log_compaction_files(busy: Path) -> None:
    newest = DeltaTable(str(busy)).version()
    rows = {version: read(busy, BUSY, f"version={version}")[0] for version in range(newest + 1)}
    without_checkpoint(busy)
    compact(busy, 1, 3)
    compact(busy, 1, 6)
    compact(busy, newest - 1, newest)
    for version, wanted in rows.items():
        assert read(busy, BUSY, f"version={version}")[0] == wanted, version
        assert wanted == by_delta_rs(busy, f"SELECT {BUSY} FROM t", version)
    # Where they stand for commits, those need not be there.
    for version in (1, 2, 4, 5, newest - 1):
        log_of(busy, version).unlink()
    assert read(busy, BUSY)[0] == rows[newest]
    assert read(busy, BUSY, "version=6")[0] == rows[6]
    assert read(busy, BUSY, "version=3")[0] == rows[3]
    assert "commit 1 of the log is missing" in refusal(busy, BUSY, "version=2")


def test_a_compaction_of_all_commits(tmp_path: Path) -> None:
    numbers = tmp_path / "numbers"
    write_deltalake(str(numbers), NUMBERS)
    write_deltalake(str(numbers), NUMBERS, mode="append")
    compact(numbers, 0, 1)
    log_of(numbers, 0).unlink()
    assert read(numbers, "id")[1]["rows"] == 2000


@pytest.mark.parametrize("damage", ["", "half", "not json\n"])
def test_a_damaged_compaction_is_passed_over(busy: Path, damage: str) -> None:
    rows, _ = read(busy, BUSY)
    without_checkpoint(busy)
    path = compact(busy, 1, 5)
    text = path.read_text()
    path.write_text(text[: len(text) // 2] if damage == "half" else damage)
    assert read(busy, BUSY)[0] == rows
    path.write_text(text)
    log_of(busy, 2).unlink()
    assert read(busy, BUSY)[0] == rows
    path.write_text("not json\n")
    assert "commit 2 of the log is missing" in refusal(busy, BUSY)
