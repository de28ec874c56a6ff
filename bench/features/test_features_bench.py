"""The arithmetic of `./dev bench features`."""

from __future__ import annotations

import features_bench
import pytest

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


def test_at_least_one_is_met() -> None:
    figures = {
        "as_of_every_event_per_s": 5_000_000.0,
        "time_30d_over_1h": 0.8,
        "lines_30d_over_1h": 1.1,
    }
    assert features_bench.targets(figures) == pytest.approx(
        {"as_of_every_event": 2.0, "time_30d_over_1h": 2.0, "lines_30d_over_1h": 1.0}
    )


def test_the_plot_has_a_bar_for_each_number_of_cards() -> None:
    table = [{"cards": 10.0, "ns_per_event": 50.0}, {"cards": 100.0, "ns_per_event": 100.0}]
    svg = features_bench.plot_svg(table)
    assert svg.count("<rect") == 2
    assert 'height="200"' in svg and 'height="100"' in svg
