"""We read Delta tables of others: those that delta-rs writes, and, for features that it does not
write, tables made here by hand. DuckDB or delta-rs says what must come out."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import uuid
import zlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from test_delta_readers import ROOT, duckdb_with_delta, writer

Row = tuple[Any, ...]
Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def program(name: str) -> str:
    return str(writer().with_name(name))


class Refused(Exception):
    pass


def read(table: Path, columns: str, *more: str) -> tuple[list[Row], dict[str, int]]:
    command = [program("headrace_read_table"), str(table), columns, *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        assert done.returncode == 1, f"it ended with {done.returncode}"
        raise Refused(done.stderr)
    *rows, summary = (json.loads(line) for line in done.stdout.splitlines())
    return sorted((tuple(row) for row in rows), key=repr), summary


def refusal(table: Path, columns: str, *more: str) -> str:
    with pytest.raises(Refused) as refused:
        read(table, columns, *more)
    return str(refused.value)


def by_delta_rs(table: Path, query: str, version: int | None = None) -> list[Row]:
    builder = QueryBuilder().register("t", DeltaTable(str(table), version=version))
    return plain(pa.table(builder.execute(query).read_all()))


def by_duckdb(table: Path, query: str) -> list[Row]:
    with duckdb_with_delta() as connection:
        scan = query.replace("FROM t", f"FROM delta_scan('{table}')")
        return plain(connection.execute(scan).to_arrow_table())


def plain(table: pa.Table) -> list[Row]:
    columns = [column.to_pylist() for column in table.columns]
    rows = [tuple(as_json(value) for value in row) for row in zip(*columns, strict=True)]
    return sorted(rows, key=repr)


def as_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def log_of(table: Path, version: int) -> Path:
    return table / "_delta_log" / f"{version:020}.json"


def put_commit(table: Path, version: int, *actions: dict[str, Any]) -> None:
    log_of(table, version).parent.mkdir(parents=True, exist_ok=True)
    log_of(table, version).write_text("".join(json.dumps(action) + "\n" for action in actions))


def actions_of(table: Path, version: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log_of(table, version).read_text().splitlines()]


def protocol(*features: str) -> dict[str, Any]:
    return {
        "protocol": {
            "minReaderVersion": 3,
            "minWriterVersion": 7,
            "readerFeatures": list(features),
            "writerFeatures": list(features),
        }
    }


def field(name: str, kind: str, **notes: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "nullable": True, "metadata": notes}


def metadata(
    fields: list[dict[str, Any]], configuration: dict[str, str] | None = None, *partitions: str
) -> dict[str, Any]:
    return {
        "metaData": {
            "id": str(uuid.uuid4()),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": fields}),
            "partitionColumns": list(partitions),
            "configuration": configuration or {},
            "createdTime": 0,
        }
    }


def add(table: Path, name: str, rows: int, **more: Any) -> dict[str, Any]:
    action = {
        "path": name,
        "partitionValues": {},
        "size": (table / name).stat().st_size,
        "modificationTime": 0,
        "dataChange": True,
        "stats": json.dumps({"numRecords": rows}),
    }
    return {"add": action | more}


NUMBERS = pa.table({"id": pa.array(range(1000), pa.int64()), "s": [f"s{i}" for i in range(1000)]})


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    """One file of a thousand rows, written by delta-rs."""
    table = tmp_path / "numbers"
    write_deltalake(str(table), NUMBERS)
    return table


def write_busy(table: Path) -> None:
    """Appends, deletes, an overwrite and a checkpoint by delta-rs, in partitions."""
    for day in range(6):
        rows = pa.table(
            {
                "id": pa.array(range(day * 100, day * 100 + 100), pa.int64()),
                "small": pa.array([i % 100 for i in range(100)], pa.int16()),
                "price": pa.array([i / 3 if i % 9 else None for i in range(100)], pa.float64()),
                "day": pa.array([f"2026-01-0{day + 1}"] * 100),
                "land": pa.array(["de", "f r", None, "a/b"] * 25),
            }
        )
        write_deltalake(str(table), rows, mode="append", partition_by=["land", "day"])
    DeltaTable(str(table)).delete("id % 7 = 0")
    DeltaTable(str(table)).create_checkpoint()
    DeltaTable(str(table)).delete("land = 'de' and day = '2026-01-02'")
    DeltaTable(str(table)).optimize.compact()


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    write_busy(tmp_path / "busy")
    return tmp_path / "busy"


BUSY = "id,small,price,day,land"


@pytest.mark.parametrize("version", [None, 0, 3, 6, 7])
def test_a_table_of_delta_rs(busy: Path, version: int | None) -> None:
    at = [] if version is None else [f"version={version}"]
    rows, summary = read(busy, BUSY, *at)
    assert rows == by_delta_rs(busy, f"SELECT {BUSY} FROM t", version)
    assert summary["version"] == (DeltaTable(str(busy)).version() if version is None else version)


def test_views_of_text_that_delta_rs_writes_after_a_delete(tmp_path: Path) -> None:
    """Files of its `delete` note string_view and binary_view in their Parquet metadata."""
    table = tmp_path / "views"
    texts = ["a", "b", None, "longer than what a view itself holds"]
    rows = pa.table({"n": [1, 2, 3, 4], "s": texts, "b": [b"x", b"y", None, b"z" * 40]})
    write_deltalake(str(table), rows)
    DeltaTable(str(table)).delete("n = 2")
    noted = pq.read_schema(DeltaTable(str(table)).file_uris()[0])
    assert noted.field("s").type == pa.string_view() and noted.field("b").type == pa.binary_view()
    assert read(table, "n,s")[0] == by_delta_rs(table, "SELECT n, s FROM t")
    assert len(read(table, "b")[0]) == 3


def test_columns_in_any_order_and_partitions_alone(busy: Path) -> None:
    assert read(busy, "land,id")[0] == by_delta_rs(busy, "SELECT land, id FROM t")
    assert read(busy, "day")[0] == by_delta_rs(busy, "SELECT day FROM t")


@pytest.mark.parametrize(
    "condition",
    [
        ("id", "=", "301"),
        ("id", "<", "150"),
        ("id", ">=", "450"),
        ("day", "=", "2026-01-03"),
        ("land", "=", "f r"),
        ("price", "<", "1"),
    ],
)
def test_pruning_loses_no_row(busy: Path, condition: tuple[str, str, str]) -> None:
    column, comparison, value = condition
    literal = f"'{value}'" if column in ("day", "land") else value
    rows, summary = read(busy, BUSY, *condition)
    wanted = by_delta_rs(busy, f"SELECT {BUSY} FROM t WHERE {column} {comparison} {literal}")
    assert set(wanted) <= set(rows)
    if column in ("day", "land"):
        assert rows == wanted
    if column != "price":
        assert summary["pruned"] > 0


def test_the_log_was_cleaned_up_behind_a_checkpoint_of_delta_rs(busy: Path) -> None:
    rows, _ = read(busy, BUSY)
    for version in range(6):
        log_of(busy, version).unlink()
    assert read(busy, BUSY)[0] == rows
    assert "cleaned away" in refusal(busy, BUSY, "version=3")


def test_a_damaged_checkpoint_falls_back_to_the_log(busy: Path) -> None:
    rows, _ = read(busy, BUSY)
    checkpoint = next((busy / "_delta_log").glob("*.checkpoint.parquet"))
    whole = checkpoint.read_bytes()
    for bad in (b"", whole[: len(whole) // 2], whole[:-9] + bytes(9)):
        checkpoint.write_bytes(bad)
        assert read(busy, BUSY)[0] == rows
    log_of(busy, 0).unlink()
    text = refusal(busy, BUSY)
    assert "no checkpoint is sound" in text and checkpoint.name in text


def test_a_gap_in_the_log(busy: Path) -> None:
    DeltaTable(str(busy)).delete("id = 401")
    log_of(busy, 7).unlink()
    assert "commit 7 of the log is missing" in refusal(busy, BUSY)


def test_time_travel_by_time(numbers: Path) -> None:
    for _ in range(3):
        write_deltalake(str(numbers), NUMBERS.slice(0, 10), mode="append")
    for version in range(4):  # the files' times decide, and copying may have shuffled them
        at = 1_700_000_000 + 1000 * (version if version != 2 else 0)
        os.utime(log_of(numbers, version), (at, at))
    for time, version in [
        ("22:13:20Z", 0),
        ("22:29:59.999Z", 0),
        ("22:30:00Z", 1),
        ("22:30:00.001Z", 2),  # never before the version before it
        ("23:03:19Z", 2),
        ("23:03:20Z", 3),
    ]:
        assert read(numbers, "id", f"time=2023-11-14T{time}")[1]["version"] == version, time
    assert read(numbers, "id", "time=2033-01-01")[1]["version"] == 3
    assert "no version as old" in refusal(numbers, "id", "time=2001-01-01")


def test_time_travel_by_in_commit_timestamps(tmp_path: Path) -> None:
    table = tmp_path / "t"
    table.mkdir()
    pq.write_table(NUMBERS, table / "a.parquet")
    fields = [field("id", "long"), field("s", "string")]
    told = {"delta.enableInCommitTimestamps": "true"}
    for version in range(3):
        info = {"commitInfo": {"inCommitTimestamp": 1_000_000 + version * 1000, "timestamp": 5}}
        more = [add(table, "a.parquet", 1000)] if version else []
        if version == 0:
            more = [protocol(), metadata(fields, told)]
        put_commit(table, version, info, *more)
    assert read(table, "id", "time=1970-01-01T00:16:41Z")[1]["version"] == 1
    assert read(table, "id", "time=1970-01-01T00:16:40.999Z")[1]["version"] == 0


def test_an_epoch_of_our_own_table(tmp_path: Path) -> None:
    table = tmp_path / "t"
    subprocess.run([writer(), table, "5"], check=True)
    rows, summary = read(table, "id,_epoch", "epoch=3")
    assert summary["version"] == 3
    assert len(rows) == 3000
    assert max(row[1] for row in rows) == 3
    assert read(table, "id", "epoch=0")[1]["version"] == 0
    assert read(table, "id", "epoch=77")[1]["version"] == 5


# --- deletion vectors -------------------------------------------------------------------------


def bitmap(rows: list[int]) -> bytes:
    """Magic and 64-bit Roaring in its portable form, one array container for each 65,536 rows."""
    chunks: dict[int, list[int]] = {}
    for row in rows:
        chunks.setdefault(row >> 16, []).append(row & 0xFFFF)
    head = struct.pack("<QIII", 1, 0, 12346, len(chunks))
    head += b"".join(struct.pack("<HH", key, len(low) - 1) for key, low in chunks.items())
    offset = 8 + 8 * len(chunks)
    body = b""
    for low in chunks.values():
        head += struct.pack("<I", offset + len(body))
        body += struct.pack(f"<{len(low)}H", *low)
    return struct.pack("<I", 1681511377) + head + body


def z85(data: bytes) -> str:
    data += bytes(-len(data) % 4)
    text = ""
    for (value,) in struct.iter_unpack(">I", data):
        digits = [value // 85**power % 85 for power in (4, 3, 2, 1, 0)]
        text += "".join(Z85[digit] for digit in digits)
    return text


def vector_file(path: Path, data: bytes) -> None:
    checksum = struct.pack(">I", zlib.crc32(data))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\x01" + struct.pack(">I", len(data)) + data + checksum)


def with_vector(table: Path, vector: dict[str, Any], version: int = 1) -> None:
    action = next(a["add"] for a in actions_of(table, 0) if "add" in a)
    put_commit(
        table,
        version,
        protocol("deletionVectors"),
        {"remove": {"path": action["path"], "dataChange": True, "deletionTimestamp": 0}},
        {"add": action | {"deletionVector": vector}},
    )


DELETED = [0, 1, 5, 998, 999]


@pytest.mark.parametrize("storage", ["i", "u", "u with a prefix", "p"])
def test_deletion_vectors(numbers: Path, storage: str) -> None:
    data = bitmap(DELETED)
    vector: dict[str, Any] = {"sizeInBytes": len(data), "cardinality": len(DELETED)}
    if storage == "i":
        vector |= {"storageType": "i", "pathOrInlineDv": z85(data)}
    else:
        name = uuid.uuid4()
        prefix = "ab" if "prefix" in storage else ""
        path = numbers / prefix / f"deletion_vector_{name}.bin"
        vector_file(path, data)
        where = f"file://{path}" if storage == "p" else prefix + z85(name.bytes)
        vector |= {"storageType": storage[0], "pathOrInlineDv": where, "offset": 1}
    with_vector(numbers, vector)
    rows, summary = read(numbers, "id,s")
    assert rows == by_duckdb(numbers, "SELECT id, s FROM t")
    assert summary["rows"] == 1000 - len(DELETED)
    assert read(numbers, "id", "version=0")[1]["rows"] == 1000


def test_a_deletion_vector_is_replaced(numbers: Path) -> None:
    """The next commit removes (path, vector) and adds (path, another vector)."""
    first, second = bitmap([1]), bitmap([1, 2])

    def inline(data: bytes, count: int) -> dict[str, Any]:
        return {
            "storageType": "i",
            "pathOrInlineDv": z85(data),
            "sizeInBytes": len(data),
            "cardinality": count,
        }

    with_vector(numbers, inline(first, 1))
    action = next(a["add"] for a in actions_of(numbers, 1) if "add" in a)
    remove = {
        "path": action["path"],
        "dataChange": True,
        "deletionTimestamp": 0,
        "deletionVector": action["deletionVector"],
    }
    put_commit(
        numbers, 2, {"remove": remove}, {"add": action | {"deletionVector": inline(second, 2)}}
    )
    assert read(numbers, "id")[0] == by_duckdb(numbers, "SELECT id FROM t")
    assert read(numbers, "id")[1]["rows"] == 998


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"cardinality": 4}, "more rows than it says"),
        ({"cardinality": 6}, "fewer rows than it says"),
        ({"cardinality": 5000}, "more rows than the file has"),
        ({"offset": 4000}, "beyond the file's end"),
        ({"sizeInBytes": 12}, "another length"),
        ({"sizeInBytes": -1}, "negative"),
        ({"pathOrInlineDv": "p"}, "no file's name"),
        ({"storageType": "x"}, "another kind of storage"),
        ({"storageType": "p", "pathOrInlineDv": "/etc/hostname"}, "outside its folder"),
    ],
)
def test_broken_deletion_vectors(numbers: Path, change: dict[str, Any], why: str) -> None:
    name = uuid.uuid4()
    data = bitmap(DELETED)
    vector_file(numbers / f"deletion_vector_{name}.bin", data)
    vector = {
        "storageType": "u",
        "pathOrInlineDv": z85(name.bytes),
        "offset": 1,
        "sizeInBytes": len(data),
        "cardinality": len(DELETED),
    }
    with_vector(numbers, vector | change)
    assert why in refusal(numbers, "id")


def test_a_damaged_deletion_vector_file(numbers: Path) -> None:
    name = uuid.uuid4()
    data = bitmap(DELETED)
    path = numbers / f"deletion_vector_{name}.bin"
    vector_file(path, data)
    vector = {
        "storageType": "u",
        "pathOrInlineDv": z85(name.bytes),
        "offset": 1,
        "sizeInBytes": len(data),
        "cardinality": len(DELETED),
    }
    with_vector(numbers, vector)
    whole = bytearray(path.read_bytes())
    for at in range(1, len(whole)):
        whole[at] ^= 4
        path.write_bytes(whole)
        assert "deletion vector" in refusal(numbers, "id"), at
        whole[at] ^= 4


# --- column mapping, type widening ------------------------------------------------------------


@pytest.mark.parametrize("mode", ["name", "id"])
def test_column_mapping(tmp_path: Path, mode: str) -> None:
    table = tmp_path / "t"
    table.mkdir()
    stored = pa.schema(
        [
            pa.field("col-b", pa.string(), metadata={"PARQUET:field_id": "2"}),
            pa.field("col-a", pa.int64(), metadata={"PARQUET:field_id": "1"}),
        ]
    )
    rows = pa.table({"col-b": ["x", "y", None], "col-a": [1, 2, 3]}, schema=stored)
    pq.write_table(rows, table / "f.parquet")

    def mapped(name: str, kind: str, number: int, physical: str) -> dict[str, Any]:
        notes = {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": physical}
        return field(name, kind, **notes)

    fields = [
        mapped("renamed", "long", 1, "col-a"),
        mapped("text", "string", 2, "col-b"),
        mapped("new later", "double", 4, "col-d"),
        mapped("land", "string", 3, "col-c"),
    ]
    configuration = {"delta.columnMapping.mode": mode, "delta.columnMapping.maxColumnId": "4"}
    partitioned = {"partitionValues": {"col-c": "de"}}
    stats = {
        "stats": json.dumps({"numRecords": 3, "minValues": {"col-a": 1}, "maxValues": {"col-a": 3}})
    }
    put_commit(
        table,
        0,
        protocol("columnMapping"),
        metadata(fields, configuration, "land"),
        add(table, "f.parquet", 3, **partitioned, **stats),
    )
    query = 'SELECT renamed, text, "new later", land FROM t'
    rows_read, _ = read(table, "renamed,text,new later,land")
    assert rows_read == by_delta_rs(table, query)
    assert read(table, "renamed", "renamed", ">", "3")[1]["pruned"] == 1
    assert read(table, "renamed", "land", "=", "fr")[1]["pruned"] == 1


def test_type_widening(tmp_path: Path) -> None:
    table = tmp_path / "t"
    table.mkdir()
    old = {
        "a": pa.array([1, None, -3], pa.int8()),
        "b": pa.array([7, 8, None], pa.int32()),
        "c": pa.array([1.5, None, 2.5], pa.float32()),
        "d": pa.array([1, 2, None], pa.int32()),
        "e": pa.array([0, None, 20000], pa.date32()),
    }
    new = {
        "a": pa.array([2**40], pa.int64()),
        "b": pa.array([2**40], pa.int64()),
        "c": pa.array([1e300], pa.float64()),
        "d": pa.array([0.25], pa.float64()),
        "e": pa.array([10**15], pa.timestamp("us")),
    }
    pq.write_table(pa.table(old), table / "old.parquet")
    pq.write_table(pa.table(new), table / "new.parquet")
    changes = {
        "a": ("byte", "long"),
        "b": ("integer", "long"),
        "c": ("float", "double"),
        "d": ("integer", "double"),
        "e": ("date", "timestamp_ntz"),
    }
    fields = [
        field(name, to, **{"delta.typeChanges": [{"fromType": was, "toType": to}]})
        for name, (was, to) in changes.items()
    ]
    put_commit(
        table,
        0,
        protocol("typeWidening", "timestampNtz"),
        metadata(fields, {"delta.enableTypeWidening": "true"}),
        add(table, "old.parquet", 3),
        add(table, "new.parquet", 1),
    )
    rows, _ = read(table, "a,b,c,d,e")
    theirs = by_duckdb(table, "SELECT a, b, c, d, strftime(e, '%Y-%m-%dT%H:%M:%S') FROM t")
    assert rows == theirs


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize("feature", ["variantType", "catalogManaged", "somethingNew"])
def test_an_unknown_reader_feature_is_refused_by_its_name(numbers: Path, feature: str) -> None:
    put_commit(numbers, 1, protocol("deletionVectors", feature))
    assert f"reader feature `{feature}`" in refusal(numbers, "id")
    assert read(numbers, "id", "version=0")[1]["rows"] == 1000


def test_columns_of_other_types_are_refused_alone(tmp_path: Path) -> None:
    table = tmp_path / "t"
    rows = pa.table({"nested": [{"x": 1, "y": [2]}], "id": [3], "list": [[1, 2]]})
    write_deltalake(str(table), rows)
    assert read(table, "id,nested_x")[0] == [(3, 1)]
    assert "nested" in refusal(table, "nested")
    assert "column `list` has type" in refusal(table, "list")
    assert "no column `nested_y`" in refusal(table, "nested_y")
    assert "no column `nix`" in refusal(table, "nix")


@pytest.mark.parametrize(
    "path",
    [
        "../secret.parquet",
        "x/../../secret.parquet",
        "%2e%2e/secret.parquet",
        "x/%2E%2E/%2e%2e/secret.parquet",
        "ABSOLUTE",
        "file://ABSOLUTE",
        "file:ABSOLUTE",
        "s3://bucket/secret.parquet",
        "link.parquet",
        "folder/secret.parquet",
        "secret.parquet%00.parquet",
    ],
)
@pytest.mark.parametrize("in_checkpoint", [False, True])
def test_paths_that_climb_out(tmp_path: Path, path: str, in_checkpoint: bool) -> None:
    secret = tmp_path / "secret.parquet"
    pq.write_table(NUMBERS, secret)
    table = tmp_path / "t"
    (table / "x").mkdir(parents=True)
    (table / "link.parquet").symlink_to(secret)
    (table / "folder").symlink_to(tmp_path)
    action = {
        "path": path.replace("ABSOLUTE", str(secret)),
        "partitionValues": {},
        "size": secret.stat().st_size,
        "modificationTime": 0,
        "dataChange": True,
    }
    fields = [field("id", "long"), field("s", "string")]
    first = {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}
    put_commit(table, 0, first, metadata(fields), {"add": action})
    if in_checkpoint:
        top = f"{0:020}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json"
        lines = log_of(table, 0).read_text() + '{"checkpointMetadata":{"version":0}}\n'
        (table / "_delta_log" / top).write_text(lines)
    text = refusal(table, "id")
    assert "outside" in text or "leaves" in text or "zero byte" in text


def test_files_that_are_not_what_the_log_says(numbers: Path) -> None:
    action = next(a["add"] for a in actions_of(numbers, 0) if "add" in a)
    path = numbers / action["path"]
    whole = path.read_bytes()
    path.write_bytes(whole + b"PAR1")
    assert "bytes, the log says" in refusal(numbers, "id")
    pq.write_table(NUMBERS.slice(0, 10), path)
    changed = action | {"size": path.stat().st_size}
    put_commit(numbers, 1, {"remove": {"path": action["path"], "dataChange": True}})
    put_commit(numbers, 2, {"add": changed})
    assert "rows, the log says" in refusal(numbers, "id")


def test_forged_parquet_is_refused_or_read(numbers: Path) -> None:
    """Damage in every length of headers and footer: an error, never a crash or all the memory."""
    action = next(a["add"] for a in actions_of(numbers, 0) if "add" in a)
    path = numbers / action["path"]
    whole = path.read_bytes()
    footer = len(whole) - 8 - struct.unpack("<I", whole[-8:-4])[0]
    places = [*range(4, 40), *range(footer, len(whole), 5)]
    refused = 0
    limit = ["bash", "-c", 'ulimit -v 4000000; exec "$@"', "sh"]
    for at in places:
        for value in (0x00, 0x7F, 0xFF):
            forged = bytearray(whole)
            forged[at] = value
            path.write_bytes(forged)
            command = [*limit, program("headrace_read_table"), str(numbers), "id,s"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert done.returncode in (0, 1), f"{at} as {value:#x}: {done.returncode}"
            refused += done.returncode
    assert refused > len(places) // 4


def test_a_forged_row_count_is_refused(tmp_path: Path) -> None:
    """A footer that says a million rows over ten: without a column to read, and with one."""
    table = tmp_path / "t"
    table.mkdir()
    path = table / "f.parquet"
    pq.write_table(pa.table({"id": pa.array(range(10), pa.int64())}), path, compression="none")
    whole = path.read_bytes()
    footer = len(whole) - 8 - struct.unpack("<I", whole[-8:-4])[0]
    # num_rows of the file: field 3 of FileMetaData, an i64 (0x16) right before the row groups.
    at = whole.index(b"\x16\x14\x19", footer) + 1
    path.write_bytes(whole[:at] + b"\x7e" + whole[at + 1 :])
    fields = [field("id", "long"), field("later", "long")]
    action = add(table, "f.parquet", 63)
    first = {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}
    put_commit(table, 0, first, metadata(fields), action)
    for columns in ("id", "later", "later,id"):
        assert "Parquet" in refusal(table, columns)


# --- doctor, tables ---------------------------------------------------------------------------


def headrace(*arguments: str | Path) -> tuple[int, Any]:
    binary = ROOT / "build/release/apps/headrace/headrace"
    binary = Path(os.environ.get("HEADRACE", binary))
    done = subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=60)
    last = done.stdout.splitlines()[-1] if done.stdout else ""
    return done.returncode, json.loads(last) if "--json" in arguments else done.stdout


def wrong(report: Any) -> set[str]:
    return {finding["name"] for finding in report["findings"] if finding["wrong"]}


def test_the_doctor_of_a_healthy_table(numbers: Path) -> None:
    code, report = headrace("doctor", numbers, "--json")
    assert (code, wrong(report)) == (0, set())
    assert (report["files"], report["rows"], report["version"]) == (1, 1000, 0)
    code, text = headrace("doctor", numbers)
    assert code == 0
    assert "WELL" in text.splitlines()[0]


def test_the_doctor_of_a_table_of_small_files(tmp_path: Path) -> None:
    table = tmp_path / "it's small"
    for i in range(70):
        write_deltalake(str(table), NUMBERS.slice(i, 1), mode="append")
    DeltaTable(str(table)).optimize.compact()
    for i in range(140):
        write_deltalake(str(table), NUMBERS.slice(i, 1), mode="append")
    for checkpoint in (table / "_delta_log").glob("*checkpoint*"):
        checkpoint.unlink()
    old = 1_600_000_000
    for path in [*table.glob("*.parquet"), *(table / "_delta_log").glob("*.json")]:
        os.utime(path, (old, old))
    code, report = headrace("doctor", table, "--json")
    assert code == 1
    # Removed just now by compaction: not yet to be vacuumed.
    assert wrong(report) == {"small files", "checkpoint"}
    assert report["small_files"] == 141
    assert report["files_after_packing"] == 1
    assert report["commits_since_checkpoint"] == 211
    commands = [f["delta_rs"] for f in report["findings"] if f["wrong"]]
    for command in commands:  # each mends what it is for
        eval(command, {"DeltaTable": DeltaTable})
    assert wrong(headrace("doctor", table, "--json")[1]) == set()


def test_the_doctor_finds_vacuum_debt_and_expired_commits(tmp_path: Path) -> None:
    table = tmp_path / "t"
    for i in range(120):
        write_deltalake(str(table), NUMBERS.slice(i, 1), mode="append")
    DeltaTable(str(table)).optimize.compact()
    DeltaTable(str(table)).create_checkpoint()
    stray = table / "sub" / "stray.parquet"
    stray.parent.mkdir()
    shutil.copy(next(table.glob("*.parquet")), stray)
    old = 1_600_000_000
    for path in [stray, *(table / "_delta_log").glob("*")]:
        os.utime(path, (old, old))
    code, report = headrace("doctor", table, "--json")
    assert code == 1
    assert wrong(report) == {"vacuum debt", "log growth"}
    assert report["unreferenced_files"] == 1
    assert report["expired_commits"] >= 100


def test_the_doctor_names_missing_files_features_and_absent_statistics(numbers: Path) -> None:
    action = next(a["add"] for a in actions_of(numbers, 0) if "add" in a)
    bare = {k: v for k, v in action.items() if k != "stats"} | {"path": "gone.parquet"}
    put_commit(numbers, 1, protocol("columnMapping"), {"add": bare})
    code, report = headrace("doctor", numbers, "--json")
    assert code == 1
    assert wrong(report) == {"missing files", "statistics", "reader features"}


def test_the_doctor_finds_a_lost_and_a_damaged_checkpoint(busy: Path) -> None:
    assert wrong(headrace("doctor", busy, "--json")[1]) == set()
    checkpoint = next((busy / "_delta_log").glob("*.checkpoint.parquet"))
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[:-1])
    code, report = headrace("doctor", busy, "--json")
    assert (code, wrong(report)) == (1, {"checkpoint"})
    assert checkpoint.name in next(f["saw"] for f in report["findings"] if f["wrong"])
    checkpoint.unlink()
    code, report = headrace("doctor", busy, "--json")
    assert (code, wrong(report)) == (1, {"checkpoint"})
    assert "_last_checkpoint names" in next(f["note"] for f in report["findings"] if f["wrong"])
    with pytest.raises(Exception, match="_last_checkpoint"):
        DeltaTable(str(busy))


def test_the_doctor_of_no_table(tmp_path: Path) -> None:
    code, _ = headrace("doctor", tmp_path)
    assert code not in (0, 1)


def test_tables(tmp_path: Path) -> None:
    for name in ("a", "b"):
        subprocess.run([writer(), tmp_path / "tables" / name, "3"], check=True)
    code, report = headrace("tables", tmp_path, "--json")
    assert code == 0
    assert [t["table"] for t in report["tables"]] == ["a", "b"]
    first = report["tables"][0]
    assert (first["version"], first["files"], first["rows"]) == (3, 3, 3000)
    assert first["markers"] == [{"application": "headrace/sample/s", "epoch": 3}]
    assert 0 <= first["age_s"] < 600
    assert "up to 3 of headrace/sample/s" in headrace("tables", tmp_path / "tables" / "a")[1]
    assert headrace("tables", tmp_path / "tables" / "a" / "none")[0] != 0
