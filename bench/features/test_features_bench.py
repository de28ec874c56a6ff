"""The arithmetic of `./dev bench features`."""

from __future__ import annotations

import struct
from pathlib import Path

import features_bench
import pytest
import redis_windows
from by_cards_plot import plot_svg

SUMMARY = """
==7== D   refs:      1,000,000  (700,000 rd   + 300,000 wr)
==7== D1  misses:       12,345  ( 10,000 rd   +   2,345 wr)
==7== LLd misses:        1,234  (  1,000 rd   +     234 wr)
"""


def test_misses_are_those_of_the_first_level() -> None:
    assert features_bench.first_level_misses(SUMMARY) == 12_345


def test_a_summary_without_misses_is_refused() -> None:
    with pytest.raises(ValueError, match="counted no misses"):
        features_bench.first_level_misses("valgrind: failed")


def test_events_are_spread_over_the_time() -> None:
    found = features_bench.arguments(1_000, 10, 100, "1h", rows_per_epoch=1)
    assert found[found.index("--gap-us") + 1] == "100000"
    assert found[found.index("--rows-per-epoch") + 1] == "1"


FIGURES = {
    "as_of_every_event_per_s": 5_000_000.0,
    "time_30d_over_1h": 0.8,
    "lines_30d_over_1h": 1.1,
    "engine_per_s": 1_000_000.0,
    "bytes_per_card_few_rows_headrace": 100.0,
    "bytes_per_card_few_rows_redis": 400.0,
    "bytes_per_card_many_rows_headrace": 1_000.0,
    "bytes_per_card_many_rows_redis": 1_000.0,
}


def test_at_least_one_is_met() -> None:
    found = features_bench.ratios(FIGURES)
    assert features_bench.targets(FIGURES, found) == pytest.approx(
        {
            "as_of_every_event": 2.0,
            "time_30d_over_1h": 2.0,
            "lines_30d_over_1h": 1.0,
            "memory_few_rows_vs_redis": 2.0,
            "memory_many_rows_vs_redis": 0.5,
        }
    )


def test_without_flink_there_is_no_ratio_to_it() -> None:
    assert not [name for name in features_bench.ratios(FIGURES) if "flink" in name]
    with_flink = FIGURES | {"flink_over_per_s": 10_000.0, "flink_ring_per_s": 500_000.0}
    found = features_bench.ratios(with_flink)
    assert found["engine_vs_flink_over"] == 100.0
    assert features_bench.targets(with_flink, found)["engine_vs_flink_over"] == 100 / 60


def test_the_plot_has_a_point_for_each_number_of_cards() -> None:
    svg = plot_svg([(10_000, 50.0), (1_000_000, 90.0), (10_000_000, 100.0)])
    assert svg.count("<circle") == 3
    assert "1,000,000" in svg and ">100<" in svg


def test_events_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "events.bin"
    path.write_bytes(struct.pack("<qqdqqd", 7, 1_000, 12.34, 8, 1_001, 0.1))
    assert list(redis_windows.read_events(path, 2)) == [(7, 1_000, 1_234), (8, 1_001, 10)]
    assert redis_windows.command(7, 1_000, 1_234).endswith(b"$9\r\n1000:1234\r\n")
