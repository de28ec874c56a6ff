"""Decimals, and fields inside structs, of Delta tables of others: DuckDB or delta-rs says what must
come out."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from test_delta_reading import (
    add,
    by_delta_rs,
    by_duckdb,
    field,
    metadata,
    protocol,
    put_commit,
    read,
    refusal,
)

DECIMALS = {
    "a": (9, 2, ["1.50", None, "-0.05", "9999999.99"]),
    "b": (18, 0, ["0", "-1", None, "999999999999999999"]),
    "c": (38, 10, ["-9999999999999999999999999999.0000000001", "0.0000000001", "7", None]),
    "d": (5, 5, ["0.00001", "-0.99999", None, "0.5"]),
}


def test_decimals_are_their_digits(tmp_path: Path) -> None:
    table = tmp_path / "t"
    columns = {
        name: pa.array([v and Decimal(v) for v in values], pa.decimal128(precision, scale))
        for name, (precision, scale, values) in DECIMALS.items()
    }
    write_deltalake(str(table), pa.table(columns))
    rows, _ = read(table, "a,b,c,d")
    assert rows == by_delta_rs(table, "SELECT a, b, c, d FROM t")
    assert ("1.50", "0", "-9999999999999999999999999999.0000000001", "0.00001") in rows
    assert "not compared" in refusal(table, "a", "a", "<", "2")


@pytest.mark.parametrize(
    ("logged", "read_as"),
    [("1.5", "1.5000"), ("-0.0001", "-0.0001"), ("1E+3", "1000.0000"), ("0E-4", "0.0000"),
     ("15e-1", "1.5000"), ("2.50000000", "2.5000"), ("-0", "0.0000"), ("", None)],
)  # fmt: skip
def test_decimal_partitions(tmp_path: Path, logged: str, read_as: str | None) -> None:
    table = tmp_path / "t"
    table.mkdir()
    pq.write_table(pa.table({"id": [1]}), table / "f.parquet")
    fields = [field("id", "long"), field("m", "decimal(12,4)")]
    first = {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}
    part = {"partitionValues": {"m": logged}}
    put_commit(table, 0, first, metadata(fields, {}, "m"), add(table, "f.parquet", 1, **part))
    assert read(table, "id,m")[0] == [(1, read_as)]


@pytest.mark.parametrize("logged", ["1.23456", "x", "1e", "--1", "1e99", ".", "1.2.3"])
def test_partitions_that_are_no_decimals(tmp_path: Path, logged: str) -> None:
    table = tmp_path / "t"
    table.mkdir()
    pq.write_table(pa.table({"id": [1]}), table / "f.parquet")
    fields = [field("id", "long"), field("m", "decimal(12,4)")]
    first = {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}
    part = {"partitionValues": {"m": logged}}
    put_commit(table, 0, first, metadata(fields, {}, "m"), add(table, "f.parquet", 1, **part))
    assert "is no decimal(12,4)" in refusal(table, "id,m")
    assert read(table, "id")[0] == [(1,)]


def test_decimals_that_were_widened(tmp_path: Path) -> None:
    table = tmp_path / "t"
    table.mkdir()
    old = {
        "a": pa.array([Decimal("-12.34"), None], pa.decimal128(6, 2)),
        "b": pa.array([-5, None], pa.int32()),
        "c": pa.array([2**60, 1], pa.int64()),
        "d": pa.array([-7, 1], pa.int8()),
    }
    new = {
        "a": pa.array([Decimal("1.2345")], pa.decimal128(12, 4)),
        "b": pa.array([Decimal("7.25")], pa.decimal128(12, 2)),
        "c": pa.array([Decimal("0.5")], pa.decimal128(38, 10)),
        "d": pa.array([Decimal("0.5")], pa.decimal128(10, 1)),
    }
    pq.write_table(pa.table(old), table / "old.parquet")
    pq.write_table(pa.table(new), table / "new.parquet")
    changes = {
        "a": ("decimal(6,2)", "decimal(12,4)"),
        "b": ("integer", "decimal(12,2)"),
        "c": ("long", "decimal(38,10)"),
        "d": ("byte", "decimal(10,1)"),
    }
    fields = [
        field(name, to, **{"delta.typeChanges": [{"fromType": was, "toType": to}]})
        for name, (was, to) in changes.items()
    ]
    put_commit(
        table,
        0,
        protocol("typeWidening"),
        metadata(fields, {"delta.enableTypeWidening": "true"}),
        add(table, "old.parquet", 2),
        add(table, "new.parquet", 1),
    )
    rows, _ = read(table, "a,b,c,d")
    assert rows == by_duckdb(table, "SELECT a, b, c, d FROM t")
    assert ("-12.3400", "-5.00", "1152921504606846976.0000000000", "-7.0") in rows


# --- fields inside structs ----------------------------------------------------------------------


def test_fields_inside_structs(tmp_path: Path) -> None:
    table = tmp_path / "t"
    inner = pa.struct([("z", pa.string()), ("m", pa.decimal128(10, 2)), ("l", pa.list_(pa.int8()))])
    kind = pa.struct([("x", pa.int32()), ("y", inner)])
    values = [
        {"x": 1, "y": {"z": "q", "m": Decimal("1.5"), "l": [1]}},
        None,
        {"x": None, "y": None},
        {"x": 4, "y": {"z": None, "m": None, "l": None}},
    ]
    rows = pa.table({"id": [1, 2, 3, 4], "s": pa.array(values, kind), "t": ["a", "b", "c", None]})
    write_deltalake(str(table), rows)
    write_deltalake(str(table), rows.slice(0, 2).drop_columns(["s"]), mode="append",
                    schema_mode="merge")  # fmt: skip
    query = "SELECT id, s['x'], s['y']['z'], s['y']['m'], t FROM t"
    assert read(table, "id,s_x,s_y_z,s_y_m,t")[0] == by_delta_rs(table, query)
    assert read(table, "s_y_m,id")[0] == by_delta_rs(table, "SELECT s['y']['m'], id FROM t")
    # Its bounds are nested as it is.
    assert read(table, "id", "s_x", "=", "99")[1]["pruned"] >= 1
    assert (4,) in read(table, "id", "s_x", "=", "4")[0]


def test_a_column_of_the_flattened_name_goes_first(tmp_path: Path) -> None:
    table = tmp_path / "t"
    rows = pa.table({"s": [{"x": 1, "y": 2}], "s_x": ["mine"]})
    write_deltalake(str(table), rows)
    assert read(table, "s_x,s_y")[0] == [("mine", 2)]


@pytest.mark.parametrize("mode", ["name", "id"])
def test_mapped_fields_inside_structs(tmp_path: Path, mode: str) -> None:
    table = tmp_path / "t"
    table.mkdir()

    def numbered(name: str, kind: pa.DataType, number: int) -> pa.Field:
        return pa.field(name, kind, metadata={"PARQUET:field_id": str(number)})

    inside = pa.struct([numbered("c3", pa.int64(), 3), numbered("c2", pa.string(), 2)])
    schema = pa.schema([numbered("c1", inside, 1)])
    rows = pa.table({"c1": [{"c3": 7, "c2": "a"}, None, {"c3": None, "c2": "b"}]}, schema=schema)
    pq.write_table(rows, table / "f.parquet")

    def mapped(name: str, kind: Any, number: int, physical: str) -> dict[str, Any]:
        notes = {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": physical}
        return field(name, kind, **notes)

    struct_type = {
        "type": "struct",
        "fields": [
            mapped("text", "string", 2, "c2"),
            mapped("number", "long", 3, "c3"),
            mapped("later", "double", 4, "c4"),
        ],
    }
    configuration = {"delta.columnMapping.mode": mode, "delta.columnMapping.maxColumnId": "4"}
    put_commit(
        table,
        0,
        protocol("columnMapping"),
        metadata([mapped("now", struct_type, 1, "c1")], configuration),
        add(table, "f.parquet", 3),
    )
    query = "SELECT now.number, now.text, now.later FROM t"
    assert read(table, "now_number,now_text,now_later")[0] == by_duckdb(table, query)
