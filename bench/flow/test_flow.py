"""The arithmetic of the benchmark, and that its peers do what they are said to do."""

from __future__ import annotations

from pathlib import Path

import flow
import peers
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable


def rows_file(folder: Path, count: int) -> Path:
    path = folder / "rows.parquet"
    pq.write_table(pa.table({"id": list(range(count))}), path)
    return path


def test_delta_rs_commits_as_often_as_asked(tmp_path: Path) -> None:
    assert peers.delta_rs(rows_file(tmp_path, 1000), tmp_path / "table", 4) > 0
    table = DeltaTable(str(tmp_path / "table"))
    assert table.version() == 3
    assert table.to_pyarrow_table().num_rows == 1000


def test_the_empty_server_takes_everything(tmp_path: Path) -> None:
    assert peers.empty_flight(rows_file(tmp_path, 10_000), 1000) > 0


def test_a_target_is_met_at_one() -> None:
    figures = {
        "ingest_events_per_s": 400_000.0,
        "in_views_events_per_s": 1_500_000.0,
        "steady_fdatasync_p99_ms": 1.0,
        "visible_p99_ms": 16.0,
        "visible_p50_ms": 1.5,
        "lookup_p99_ms": 1.0,
    }
    assert flow.targets(figures) == {
        "ingest": 1.0,
        "in_views": 1.5,
        "visible_p99": 0.5,
        "visible_p50": 2.0,
        "lookup_p99": 2.0,
    }


def test_medians_are_taken_figure_by_figure() -> None:
    runs = [{"a": 1.0, "b": 9.0}, {"a": 3.0, "b": 7.0}, {"a": 2.0, "b": 8.0}]
    assert flow.median_of(runs) == {"a": 2.0, "b": 8.0}
