"""What prepare.py writes is what it says it writes."""

from __future__ import annotations

import json
from pathlib import Path

import damage
import flights
import numpy as np
import prepare
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS = 30_000


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file in the source's shape: every airport pair late by a seeded amount."""
    dice = np.random.default_rng(7)
    minutes = np.sort(dice.integers(0, 50_000, ROWS)) * flights.MINUTE_US
    airports = np.array(["ORD", "DFW", "ATL", "ANC"])
    table = pa.table(
        {
            "date": pa.array(minutes + 978_307_200_000_000, pa.timestamp("us")),
            "delay": dice.integers(-20, 90, ROWS),
            "distance": dice.integers(89, 2556, ROWS),
            "origin": pa.array(airports[dice.integers(0, 4, ROWS)], pa.large_string()),
            "destination": pa.array(airports[dice.integers(0, 4, ROWS)], pa.large_string()),
        }
    )
    path = tmp_path_factory.mktemp("source") / "flights.parquet"
    pq.write_table(table, path)
    return path


@pytest.fixture(scope="module")
def folder(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared")
    prepare.prepare(source, out, quick=False)
    return out


def test_counts_add_up(folder: Path) -> None:
    expected = json.loads((folder / "expected.json").read_text())
    assert expected["rows"] == ROWS == sum(expected["parts"].values())
    assert expected["refused"] == sum(expected["damaged"].values())
    assert expected["accepted"] + expected["refused"] == ROWS
    assert all(count > 0 for count in expected["damaged"].values())
    assert expected["refused"] == pytest.approx(ROWS * damage.DAMAGED_SHARE, rel=0.15)


def test_parts_are_in_landing_order_but_for_damaged_times(folder: Path) -> None:
    for part in ("flights-a.parquet", "flights-c.parquet"):
        rows = flights.from_arrow(pq.read_table(folder / part))
        whole = rows.landed_at[rows.landed_at < damage.YEAR_2099_US]
        assert (np.diff(whole) >= 0).all()


def test_every_damage_is_where_it_says(folder: Path) -> None:
    harm = pq.read_table(folder / "damaged.parquet").to_pylist()
    kinds = {row["flight_id"]: row["kind"] for row in harm}
    lines = [json.loads(line) for line in (folder / "flights-b.ndjson").read_text().splitlines()]
    found = {}
    for row in lines:
        if "distance" not in row:
            found[row["flight_id"]] = "missing_field"
        elif isinstance(row["delay"], str):
            found[row["flight_id"]] = "wrong_type"
        elif isinstance(row["origin"], list):
            found[row["flight_id"]] = "array_for_text"
        elif row["delay"] > 2880:
            found[row["flight_id"]] = "out_of_range"
        elif row["landed_at"].startswith("2099"):
            found[row["flight_id"]] = "bad_time"
        elif row["destination"] == damage.NO_AIRPORT.decode():
            found[row["flight_id"]] = "unknown_airport"
    for part in ("flights-a.parquet", "flights-c.parquet"):
        rows = flights.from_arrow(pq.read_table(folder / part))
        found |= dict.fromkeys(rows.flight_id[rows.delay > 2880].tolist(), "out_of_range")
        far = rows.flight_id[rows.landed_at >= damage.YEAR_2099_US]
        found |= dict.fromkeys(far.tolist(), "bad_time")
        nowhere = rows.flight_id[rows.destination == damage.NO_AIRPORT]
        found |= dict.fromkeys(nowhere.tolist(), "unknown_airport")
    assert found == kinds


def test_landing_time_is_what_the_readme_says() -> None:
    date = np.array([978_307_200_000_000])
    landed = flights.landing_time(date, np.array([33]), np.array([2176]))
    assert (landed - date).tolist() == [(33 + 30 + 2176 / 8) * flights.MINUTE_US]


def test_labels_are_whole_flights(folder: Path) -> None:
    labels = pq.read_table(folder / "labels.parquet")
    harmed = set(pq.read_table(folder / "damaged.parquet")["flight_id"].to_pylist())
    assert labels.column_names == ["flight_id", "origin", "destination", "date", "late"]
    assert not harmed & set(labels["flight_id"].to_pylist())


def test_same_seed_same_bytes(source: Path, folder: Path, tmp_path: Path) -> None:
    prepare.prepare(source, tmp_path, quick=False)
    for name in ("flights-a.parquet", "flights-b.ndjson", "damaged.parquet", "expected.json"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_digest_ignores_order_and_sees_each_value(source: Path) -> None:
    rows = flights.read_source(source, None)
    shuffled = rows.take(np.random.default_rng(3).permutation(len(rows)))
    assert flights.digest(rows) == flights.digest(shuffled)
    for name in flights.SCHEMA.names:
        changed = rows.take(slice(0, len(rows)))
        column = vars(changed)[name].copy()
        column[17] = b"QQQ" if column.dtype.kind == "S" else column[17] + 1
        setattr(changed, name, column)
        assert flights.digest(changed) != flights.digest(rows)
    swapped = rows.take(slice(0, len(rows)))
    swapped.origin, swapped.destination = rows.destination, rows.origin
    assert flights.digest(swapped) != flights.digest(rows)


def test_duplicates_are_counted_without_their_id(source: Path) -> None:
    rows = flights.read_source(source, 1000)
    twice = flights.from_arrow(pa.concat_tables([rows.to_arrow(), rows.to_arrow().slice(0, 10)]))
    twice.flight_id = np.arange(len(twice), dtype=np.int64)
    assert flights.count_duplicates(twice) == 10 + flights.count_duplicates(rows)
