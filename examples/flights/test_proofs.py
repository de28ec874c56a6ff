"""The proofs can fail: each test breaks something and sees it named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import damage
import flights
import numpy as np
import proofs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake


def some_flights(count: int) -> flights.Flights:
    dice = np.random.default_rng(5)
    airports = np.array([b"ORD", b"DFW"])
    date = np.arange(count, dtype=np.int64) * flights.MINUTE_US
    return flights.Flights(
        flight_id=np.arange(count, dtype=np.int64),
        date=date,
        landed_at=date + 1,
        delay=dice.integers(-9, 99, count),
        distance=dice.integers(99, 999, count),
        origin=airports[dice.integers(0, 2, count)],
        destination=airports[dice.integers(0, 2, count)],
    )


@pytest.mark.parametrize("read", [proofs.read_with_duckdb, proofs.read_with_delta_rs])
def test_a_table_in_any_order_is_the_same_multiset(tmp_path: Path, read: Any) -> None:
    expected = some_flights(500)
    shuffled = expected.take(np.random.default_rng(1).permutation(500)).to_arrow()
    write_deltalake(str(tmp_path), shuffled.slice(0, 200))
    write_deltalake(str(tmp_path), shuffled.slice(200), mode="append")
    got = proofs.compare(expected, read(tmp_path))
    assert (got.rows, got.equal, got.lost, got.doubled) == (500, True, 0, 0)
    assert got.digest == flights.digest(expected)
    account = proofs.read_account(tmp_path)
    assert (account.rows, account.commits, account.files) == (500, 2, 2)


def test_a_lost_row_and_a_doubled_row_are_counted() -> None:
    expected = some_flights(100)
    got = proofs.compare(expected, expected.take(np.array([*range(1, 100), 50])))
    assert (got.rows, got.equal, got.lost, got.doubled) == (100, False, 1, 1)


def test_one_changed_value_is_seen() -> None:
    expected, changed = some_flights(100), some_flights(100)
    changed.delay[40] += 1
    got = proofs.compare(expected, changed)
    assert not got.equal
    assert (got.lost, got.doubled) == (0, 0)


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    kinds = list(damage.FIELDS)
    fields = [damage.FIELDS[kind] for kind in kinds]
    table = pa.table({"flight_id": list(range(6)), "kind": kinds, "field": fields})
    pq.write_table(table, tmp_path / "damaged.parquet")
    return tmp_path


def letters() -> list[dict[str, Any]]:
    return [
        {
            "field": damage.FIELDS[kind],
            "rule": damage.RULES[kind],
            "payload": json.dumps({"flight_id": i}),
        }
        for i, kind in enumerate(damage.FIELDS)
    ]


def test_each_dead_letter_is_matched(prepared: Path) -> None:
    proof = proofs.check_dead_letters(letters(), prepared)
    assert proof.found == dict.fromkeys(damage.FIELDS, 1)
    assert (proof.missing, proof.unexpected, proof.misnamed) == (0, 0, [])


def test_missing_doubled_misnamed_and_strange_letters_are_seen(prepared: Path) -> None:
    some = letters()
    some[1]["field"] = "origin"
    some[2] = some[3]
    some.append({"field": "delay", "rule": "range", "payload": {"flight_id": 99}})
    proof = proofs.check_dead_letters(some, prepared)
    assert proof.missing == 1
    assert proof.unexpected == 2
    assert proof.misnamed == ["flight 1, wrong_type: origin/type"]


def test_accepted_rows_are_the_parts_less_the_damaged(tmp_path: Path) -> None:
    rows = some_flights(30)
    pq.write_table(rows.take(slice(0, 10)).to_arrow(), tmp_path / "flights-a.parquet")
    pq.write_table(rows.take(slice(20, 30)).to_arrow(), tmp_path / "flights-c.parquet")
    middle = rows.take(slice(10, 20)).to_arrow().to_pylist()
    for row in middle:
        row |= {name: row[name].isoformat() for name in ("date", "landed_at")}
    middle[0]["origin"] = ["ORD"]
    lines = "\n".join(json.dumps(row) for row in reversed(middle))
    (tmp_path / "flights-b.ndjson").write_text(lines)
    pq.write_table(pa.table({"flight_id": [3, 10]}), tmp_path / "damaged.parquet")
    accepted = proofs.accepted_rows(tmp_path)
    whole = np.array([i for i in range(30) if i not in (3, 10)])
    assert proofs.compare(rows.take(whole), accepted).equal
