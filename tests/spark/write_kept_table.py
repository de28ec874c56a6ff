"""Writes tests/interop/spark_table anew: a small table of Spark, with all features that a test
without Spark (tests/interop/test_kept_spark_table.py) reads, and the rows that Spark reads of it.

    HEADRACE_SPARK_JARS=.dev/spark/lib PYTHONPATH=tests/spark:tests/interop \\
        .dev/venv/bin/python tests/spark/write_kept_table.py
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from spark_tables import compact_log, session, spark_reads, sql, versions

KEPT = Path(__file__).resolve().parents[1] / "interop/spark_table"
COLUMNS = ["id", "name", "n", "at", "local", "price", "s.x", "s.y.z", "land", "fee"]
CREATED = (
    "id BIGINT, text STRING, n SHORT, at TIMESTAMP, local TIMESTAMP_NTZ, price DECIMAL(8,2), "
    "s STRUCT<x: INT, y: STRUCT<z: STRING>, l: ARRAY<INT>>, land STRING, fee DECIMAL(6,3), "
    "dropped INT"
)
PROPERTIES = {
    "delta.columnMapping.mode": "name",
    "delta.enableDeletionVectors": "true",
    "delta.checkpointPolicy": "v2",
    "delta.checkpointInterval": "5",
    "delta.enableTypeWidening": "true",
    "delta.enableRowTracking": "true",
    "delta.enableChangeDataFeed": "true",
    "delta.enableInCommitTimestamps": "true",
}


def rows(first: int, count: int, dropped: str) -> str:
    return (
        "SELECT id, concat('t', id), CAST(id AS SHORT), timestamp_micros(1600000000123456 + id), "
        "TIMESTAMP_NTZ'1850-01-01 00:00:00.000001', CAST(id / 8 AS DECIMAL(8,2)), "
        "IF(id % 5 = 0, NULL, named_struct('x', CAST(id AS INT), 'y', IF(id % 3 = 0, NULL, "
        "named_struct('z', concat('z', id))), 'l', array(1, 2))), IF(id % 2 = 0, 'f r/é%', NULL), "
        f"CAST(id % 2 AS DECIMAL(6,3)) {dropped} FROM range({first}, {first + count})"
    )


def write(table: Path) -> None:
    name = f"delta.`{table}`"
    told = ", ".join(f"'{key}'='{value}'" for key, value in PROPERTIES.items())
    session().conf.set("spark.databricks.delta.checkpoint.partSize", "3")
    sql(
        f"CREATE TABLE {name} ({CREATED}) USING delta PARTITIONED BY (land, fee) "
        f"TBLPROPERTIES ({told})",
        f"INSERT INTO {name} {rows(0, 30, ', 1')}",
        f"DELETE FROM {name} WHERE id % 7 = 3",
        f"ALTER TABLE {name} RENAME COLUMN text TO name",
        f"ALTER TABLE {name} DROP COLUMN dropped",
        f"ALTER TABLE {name} CHANGE COLUMN n TYPE BIGINT",
        f"ALTER TABLE {name} CHANGE COLUMN price TYPE DECIMAL(12,4)",
        f"INSERT INTO {name} {rows(100, 20, '')}",
        f"UPDATE {name} SET price = -0.0001, n = 1L << 40 WHERE id % 10 = 4",
        f"DELETE FROM {name} WHERE id IN (0, 101)",
        f"INSERT INTO {name} {rows(200, 3, '')}",
        f"OPTIMIZE {name}",
    )
    compact_log(table, 6, 9)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "t"
        write(table)
        newest = versions(table)[-1]
        read = {version: spark_reads(table, COLUMNS, version) for version in (6, 8, 9, newest)}
        for path in [*table.rglob("*.crc"), table / "_delta_log/_last_checkpoint"]:
            path.unlink()
        shutil.rmtree(table / "_change_data", ignore_errors=True)
        shutil.rmtree(KEPT, ignore_errors=True)
        shutil.copytree(table, KEPT / "t")
    lines = [json.dumps([version, row]) for version, all in read.items() for row in all]
    (KEPT / "rows.ndjson").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
