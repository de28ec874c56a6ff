"""SIGKILL at the steps of a table, at CI's length; `./dev test --long delta-kill` is longer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import delta_kill_loop
import numpy as np
import pytest
from comparison import FoundRows
from delta_kill_loop import COLUMNS, same, step_of
from record import Violation


def found(**changed: Any) -> FoundRows:
    columns = {name: np.arange(4) for name in COLUMNS} | changed
    return delta_kill_loop.in_order(columns | {"_epoch": np.array([3, 1, 2, 2])})


def test_a_row_that_differs_is_told() -> None:
    same("both", found(), found())
    with pytest.raises(Violation, match="1 rows differ in value"):
        same("both", found(), found(value=np.array([0, 1, 2, 9])))
    short = FoundRows({name: np.arange(3) for name in COLUMNS}, np.arange(3))
    with pytest.raises(Violation, match="4 and 3 rows"):
        same("both", found(), short)


def test_steps_have_names() -> None:
    log = "/t/_delta_log"
    assert step_of("link", f"{log}/.{7:020}.json.tmp-1") == "commit: link"
    assert step_of("fsync", log) == "log folder: fsync"
    assert step_of("pwrite", "/t/00ab-s1-r77-0.parquet") == "rewritten file: pwrite"
    assert step_of("create", "/t/00ab-s1-0-9-0.parquet") == "data file: create"
    assert step_of("link", f"{log}/{100:020}.checkpoint.parquet") == "checkpoint: link"


@pytest.mark.skipif(not delta_kill_loop.PRELOAD.exists(), reason="NOT RUN: no preload library")
def test_readers_agree_after_a_kill_at_any_step(tmp_path: Path) -> None:
    given = ["--kills", "60", "--seed", "20261126", "--folder", str(tmp_path), "--pause", "0.03"]
    given += ["--kills-per-round", "30", "--compare-every", "16"]
    summary = delta_kill_loop.run(delta_kill_loop.arguments(given))
    assert "failure" not in summary, summary["failure"]
    assert summary["kills"] >= 60 and summary["rows"] > 0
    assert summary["at_a_step"] > 30 and len(summary["steps"]) > 8, summary
