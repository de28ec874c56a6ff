"""Holds what came out against what went in, by means that are not the engine's.

1. The accepted rows, from the prepared input less the damaged ones (numpy).
2. The table, read by DuckDB and by delta-rs: the same multiset of rows, column by column.
3. The dead letters: each damaged row once, with the field and the rule of its damage.
4. The answers: `headrace verify` over all that were given, and one that was corrupted on purpose.
"""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import damage
import flights
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from engine import Engine
from flights import Flights

TABLE_COLUMNS = ", ".join(flights.SCHEMA.names)


@dataclass(frozen=True)
class TableProof:
    """One reader's table against the accepted rows."""

    rows: int
    digest: str
    equal: bool
    lost: int
    doubled: int


@dataclass(frozen=True)
class DeadLetterProof:
    found: dict[str, int]  # kind of damage -> rows found with its field and rule
    missing: int
    unexpected: int
    misnamed: list[str]


@dataclass(frozen=True)
class VerifyProof:
    checked: int
    mismatches: int  # not counting the corruption
    corruption_found: int
    corruption: str
    document: Any


def accepted_rows(prepared: Path) -> Flights:
    """What must be in the table, ordered by flight_id."""
    harmed = pq.read_table(prepared / "damaged.parquet").column("flight_id").to_numpy()
    tables = [pq.read_table(prepared / f"flights-{part}.parquet") for part in ("a", "c")]
    lines = (prepared / "flights-b.ndjson").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["flight_id"] not in set(harmed.tolist())]
    columns = {name: [row[name] for row in rows] for name in flights.SCHEMA.names}
    for name in ("date", "landed_at"):
        columns[name] = pa.array(columns[name], pa.string()).cast(flights.TIMESTAMP)
    tables.append(pa.table(columns, schema=flights.SCHEMA))
    everything = flights.from_arrow(pa.concat_tables(tables))
    whole = everything.take(np.flatnonzero(~np.isin(everything.flight_id, harmed)))
    return by_id(whole)


def by_id(rows: Flights) -> Flights:
    return rows.take(np.argsort(rows.flight_id, kind="stable"))


def read_with_duckdb(table: Path) -> Flights:
    import duckdb

    found = importlib.util.find_spec("duckdb_extension_delta")
    assert found and found.submodule_search_locations
    package = Path(found.submodule_search_locations[0])
    extension = next(package.rglob("delta.duckdb_extension"))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"LOAD '{extension}'")
        query = f"SELECT {TABLE_COLUMNS} FROM delta_scan('{table}')"
        return flights.from_arrow(connection.execute(query).to_arrow_table())


def read_with_delta_rs(table: Path) -> Flights:
    from deltalake import DeltaTable, QueryBuilder

    query = QueryBuilder().register("t", DeltaTable(str(table)))
    return flights.from_arrow(pa.table(query.execute(f"SELECT {TABLE_COLUMNS} FROM t").read_all()))


@dataclass(frozen=True)
class TableAccount:
    """What the table's own log says that Headrace wrote."""

    rows: int
    commits: int
    files: int


def read_account(table: Path) -> TableAccount:
    """Adds up the files of every commit; the demo's table is only ever appended to."""
    versions = sorted((table / "_delta_log").glob("*.json"))
    lines = (line for path in versions for line in path.read_text().splitlines())
    added = [action["add"] for action in map(json.loads, lines) if "add" in action]
    rows = sum(json.loads(file["stats"])["numRecords"] for file in added)
    return TableAccount(rows, len(versions), len(added))


def compare(expected: Flights, got: Flights) -> TableProof:
    """`expected` ordered by id. Lost and doubled count flights, whatever else differs."""
    got = by_id(got)
    ids, counts = np.unique(got.flight_id, return_counts=True)
    lost = int((~np.isin(expected.flight_id, ids)).sum())
    doubled = int((counts - 1).sum())
    equal = len(got) == len(expected) and all(
        np.array_equal(vars(got)[name], vars(expected)[name]) for name in flights.SCHEMA.names
    )
    return TableProof(len(got), flights.digest(got), equal, lost, doubled)


def dead_letters(engine: Engine, rows: int) -> list[dict[str, Any]]:
    assert engine.ready
    address = f"127.0.0.1:{engine.ready.http}"
    limit = str(rows + 1000)
    document = engine.run_json("deadletters", "flights", "--http", address, "--limit", limit)
    letters = document if isinstance(document, list) else document["dead_letters"]
    return list(letters)


def check_dead_letters(letters: list[dict[str, Any]], prepared: Path) -> DeadLetterProof:
    harm = pq.read_table(prepared / "damaged.parquet").to_pylist()
    kinds = {row["flight_id"]: row["kind"] for row in harm}
    found: Counter[str] = Counter()
    seen: Counter[int] = Counter()
    misnamed = []
    for letter in letters:
        payload = letter["payload"]
        row = json.loads(payload) if isinstance(payload, str) else payload
        flight_id = row["flight_id"]
        seen[flight_id] += 1
        kind = kinds.get(flight_id)
        if kind is None:
            continue
        if letter["field"] == damage.FIELDS[kind] and letter["rule"] == damage.RULES[kind]:
            found[kind] += 1
        else:
            misnamed.append(f"flight {flight_id}, {kind}: {letter['field']}/{letter['rule']}")
    return DeadLetterProof(
        found={kind: found[kind] for kind in damage.FIELDS},
        missing=len(kinds.keys() - seen.keys()),
        unexpected=sum(n - 1 for n in seen.values()) + len(seen.keys() - kinds.keys()),
        misnamed=misnamed,
    )


def verify(engine: Engine, answers: Path, corrupted_key: str, corrupted_epoch: int) -> VerifyProof:
    """Exit 1 is what a found mismatch must give; the one that was made must be the only one."""
    arguments = ["verify", "--data", str(engine.data), "--answers", str(answers)]
    document = engine.run_json(*arguments, exit_codes=(0, 1))
    listed = document.get("differences", document.get("mismatches"))
    differences = listed if isinstance(listed, list) else []
    count = len(differences) if isinstance(listed, list) else int(listed or 0)
    made = [d for d in differences if is_the_one(d, corrupted_key, corrupted_epoch)]
    return VerifyProof(
        checked=int(document["checked"]),
        mismatches=count - (1 if made else 0),
        corruption_found=1 if made else 0,
        corruption=name_of(made[0]) if made else "",
        document=document,
    )


def is_the_one(difference: Any, key: str, epoch: int) -> bool:
    return int(difference.get("epoch", -1)) == epoch and key in json.dumps(difference)


def name_of(difference: dict[str, Any]) -> str:
    """The difference in a few words, from whichever of these it names."""
    names = ("view", "key", "feature", "epoch")
    return ", ".join(f"{name} {difference[name]}" for name in names if name in difference)
