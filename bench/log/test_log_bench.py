"""The arithmetic of `./dev bench log`: which peer counts, what a ratio says, what is asked for."""

from __future__ import annotations

from functools import partial

import log_bench
import pytest
from log_bench import CASES, Case
from servers import Measured


def everybody(ours: Measured, redis: Measured, kafka: Measured) -> log_bench.Run:
    disk = Measured(10_000.0, 0.1, 0.2)
    who = {"disk": disk, "bare": disk, "headrace": ours, "redis": redis, "kafka": kafka}
    return {case.name: dict(who) for case in CASES}


def test_the_best_peer_is_another_one_for_rate_and_for_p99() -> None:
    run = everybody(
        ours=Measured(9_000.0, 0.1, 0.2),
        redis=Measured(3_000.0, 0.3, 0.8),
        kafka=Measured(1_000.0, 0.2, 0.4),
    )
    ratios = log_bench.ratios_of_run(run)
    assert ratios["p16_b1_100B_rate_vs_best_peer"] == 3.0
    assert ratios["p16_b1_100B_p99_vs_best_peer"] == 2.0
    assert ratios["p1_b1_100B_rate_vs_sync_limit"] == 0.9


def test_the_faster_way_of_sharing_a_kafka_client_counts() -> None:
    slow = Measured(1_000.0, 1.0, 2.0)
    run = everybody(ours=slow, redis=slow, kafka=slow)
    run["p16_b1_100B"]["kafka_shared"] = Measured(4_000.0, 1.0, 0.5)
    ratios = log_bench.ratios_of_run(run)
    assert ratios["p16_b1_100B_rate_vs_best_peer"] == 0.25
    assert ratios["p16_b1_100B_p99_vs_best_peer"] == 0.25
    assert ratios["p16_b1_1000B_rate_vs_best_peer"] == 1.0


def test_one_sync_an_event_is_held_to_the_disk_and_everything_else_to_the_peers() -> None:
    run = everybody(
        ours=Measured(9_000.0, 0.1, 0.2),
        redis=Measured(4_500.0, 0.3, 0.1),
        kafka=Measured(1_000.0, 0.2, 0.4),
    )
    found = log_bench.targets(log_bench.ratios_of_run(run))
    assert found["p1_b1_100B_sync_limit"] == pytest.approx(1.0)
    assert "p1_b1_100B_rate" not in found
    assert found["p16_b1000_1000B_rate"] == 1.0
    assert found["p16_b1000_1000B_p99"] == 0.5


def test_a_ratio_is_taken_within_a_run_before_the_median() -> None:
    # The disk was ten times slower for everybody in the second run: the ratio does not move.
    fast = everybody(*(Measured(rate, 0.1, 0.2) for rate in (9_000.0, 3_000.0, 1_000.0)))
    slow = everybody(*(Measured(rate, 0.1, 0.2) for rate in (900.0, 300.0, 100.0)))
    ratios = log_bench.median_ratios([fast, slow, slow])
    assert ratios["p1_b1000_100B_rate_vs_best_peer"] == 3.0
    assert log_bench.medians([fast, slow, slow])["p1_b1000_100B"]["headrace"].events_per_s == 900.0


def test_mode_os_is_compared_only_where_it_was_measured() -> None:
    same = Measured(1_000.0, 1.0, 1.0)
    run = everybody(same, same, same)
    assert not any("_os_" in name for name in log_bench.ratios_of_run(run))
    run["p1_b1_100B"]["headrace_os"] = Measured(3_000.0, 0.1, 0.5)
    run["p1_b1_100B"]["kafka_os"] = same
    ratios = log_bench.ratios_of_run(run)
    assert ratios["p1_b1_100B_os_rate_vs_kafka"] == 3.0
    assert ratios["p1_b1_100B_os_p99_vs_kafka"] == 2.0


def test_everybody_is_measured_once_whoever_begins() -> None:
    order: list[str] = []

    def measure(name: str) -> Measured:
        order.append(name)
        return Measured(1.0, 1.0, 1.0)

    who = {name: partial(measure, name) for name in ("a", "b", "c")}
    for run in range(4):
        order.clear()
        assert sorted(log_bench.in_turn(dict(who), run)) == ["a", "b", "c"]
        assert sorted(order) == ["a", "b", "c"]
        assert order[0] == "abc"[run % 3]


def test_a_case_says_what_it_is() -> None:
    assert Case(1, 1, 100).sync_binds
    assert not Case(16, 1, 100).sync_binds
    assert Case(16, 1000, 1000).ways_in == ("flight", "http")
    assert Case(1, 1, 100).title == "1 producer, 100-byte events, batches of 1"
