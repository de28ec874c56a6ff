"""Tables that Spark writes, feature by feature: we read what Spark reads, row for row, at every
version; or refuse, with the reason named. `./dev test --long interop` runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from spark_tables import (
    compact_log,
    refusal,
    same_rows,
    session,
    spark_reads,
    sql,
    versions,
    we_read,
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "t"


def create(table: Path, columns: str, *properties: str, more: str = "") -> str:
    """Makes it; its name in Spark's SQL."""
    told = f" TBLPROPERTIES ({', '.join(properties)})" if properties else ""
    sql(f"CREATE TABLE delta.`{table}` ({columns}) USING delta {more}{told}")
    return f"delta.`{table}`"


VECTORS = "'delta.enableDeletionVectors'='true'"


@pytest.mark.parametrize("vectors", [True, False])
def test_delete_update_merge(table: Path, vectors: bool) -> None:
    name = create(
        table, "id BIGINT, s STRING, at TIMESTAMP", VECTORS.replace("true", str(vectors).lower())
    )
    sql(
        f"INSERT INTO {name} SELECT id, concat('s', id % 7), timestamp_seconds(id) FROM range(900)",
        f"DELETE FROM {name} WHERE id % 10 = 3",
        f"UPDATE {name} SET s = 'u' WHERE id % 11 = 0",
        f"MERGE INTO {name} t USING (SELECT id, 'm' s, timestamp_seconds(5) at "
        "FROM range(890, 920)) n ON t.id = n.id WHEN MATCHED AND n.id % 2 = 0 THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *",
    )
    assert same_rows(table, "id", "s", "at") > 800
    log = (table / "_delta_log" / f"{2:020}.json").read_text()
    assert ("deletionVector" in log) == vectors
    sql(f"OPTIMIZE {name}", f"RESTORE TABLE {name} TO VERSION AS OF 2")
    assert same_rows(table, "id", "s", "at", at=[]) == 810
    sql(f"REORG TABLE {name} APPLY (PURGE)", f"VACUUM {name} RETAIN 0 HOURS")
    assert same_rows(table, "id", "s", "at", at=[]) == 810


@pytest.mark.parametrize("mode", ["name", "id"])
def test_renamed_and_dropped_columns(table: Path, mode: str) -> None:
    name = create(
        table,
        "id BIGINT, a STRING, b INT, `odd ;name` DOUBLE, land STRING, s STRUCT<x: INT, y: STRING>",
        f"'delta.columnMapping.mode'='{mode}'",
        VECTORS,
        more="PARTITIONED BY (land)",
    )
    sql(
        f"INSERT INTO {name} SELECT id, 'x', 1, 0.5D, 'de', named_struct('x', 1, 'y', 'p') "
        "FROM range(50)",
        f"ALTER TABLE {name} RENAME COLUMN a TO aa",
        f"ALTER TABLE {name} RENAME COLUMN s.x TO xx",
        f"ALTER TABLE {name} RENAME COLUMN land TO country",
        f"ALTER TABLE {name} DROP COLUMN b",
        f"ALTER TABLE {name} ADD COLUMN (b STRING, `s`.`z` BIGINT)",
        f"INSERT INTO {name} SELECT id, 'y', 1.5D, 'fr', named_struct('xx', 2, 'y', 'q', 'z', 9L), "
        "'new' FROM range(50, 80)",
        f"DELETE FROM {name} WHERE id = 15",
    )
    columns = ("id", "aa", "odd ;name", "country", "b", "s.xx", "s.y", "s.z")
    assert same_rows(table, *columns, at=[versions(table)[-2]]) == 79
    before = ["id", "a", "b", "land", "s.x"]
    assert spark_reads(table, before, 1) == we_read(table, before, 1)


WIDENINGS = {
    "a": ("BYTE", "SHORT", "-7Y", "300S"),
    "b": ("SHORT", "INT", "-300S", "70000"),
    "c": ("INT", "BIGINT", "70000", "1L << 40"),
    "d": ("FLOAT", "DOUBLE", "1.5F", "1e300D"),
    "e": ("INT", "DOUBLE", "9", "0.5D"),
    "f": ("DATE", "TIMESTAMP_NTZ", "DATE'2020-01-02'", "TIMESTAMP_NTZ'2021-01-01 01:02:03'"),
    "g": ("BYTE", "BIGINT", "1Y", "1L << 50"),
    "m": ("DECIMAL(6,2)", "DECIMAL(12,4)", "-12.34", "1.2345"),
    "n": ("INT", "DECIMAL(12,2)", "-5", "7.25"),
    "o": ("BIGINT", "DECIMAL(38,10)", "1L << 60", "-0.0000000001"),
    "p": ("DECIMAL(18,0)", "DECIMAL(38,0)", "999999999999999999", "1e37"),
}


def test_widened_columns(table: Path) -> None:
    columns = ", ".join(f"{name} {was}" for name, (was, *_) in WIDENINGS.items())
    name = create(
        table,
        f"id BIGINT, {columns}",
        "'delta.enableTypeWidening'='true'",
        "'delta.feature.timestampNtz'='supported'",
    )
    nulls = ", ".join("NULL" for _ in WIDENINGS)
    old = ", ".join(value for _, _, value, _ in WIDENINGS.values())
    new = ", ".join(value for *_, value in WIDENINGS.values())
    sql(f"INSERT INTO {name} VALUES (1, {old}), (2, {nulls})")
    for column, (_, to, _, _) in WIDENINGS.items():
        sql(f"ALTER TABLE {name} CHANGE COLUMN {column} TYPE {to}")
    sql(f"INSERT INTO {name} SELECT 3, {new}")
    assert same_rows(table, "id", *WIDENINGS, at=[1]) == 3


@pytest.mark.parametrize("sidecars", [True, False])
def test_v2_checkpoints(table: Path, sidecars: bool) -> None:
    spark = session()
    if sidecars:
        spark.conf.set("spark.databricks.delta.checkpoint.partSize", "3")
    spark.conf.set(
        "spark.databricks.delta.checkpointV2.topLevelFileFormat", "json" if sidecars else "parquet"
    )
    try:
        name = create(
            table,
            "id BIGINT, s STRING",
            "'delta.checkpointPolicy'='v2'",
            "'delta.checkpointInterval'='4'",
            VECTORS,
        )
        for part in range(7):
            sql(f"INSERT INTO {name} SELECT id, 'a' FROM range({part * 10}, {part * 10 + 10})")
        sql(f"DELETE FROM {name} WHERE id % 7 = 0", f"INSERT INTO {name} VALUES (1000, 'b')")
    finally:
        spark.conf.unset("spark.databricks.delta.checkpoint.partSize")
        spark.conf.unset("spark.databricks.delta.checkpointV2.topLevelFileFormat")
    assert same_rows(table, "id", "s", at=[4, 7, 8]) == 61
    log = table / "_delta_log"
    tops = [path.name for path in log.glob("0*.checkpoint.*")]
    assert len(tops) == 2 and all(len(top.split(".")) == 4 for top in tops), tops
    assert {top.split(".")[-1] for top in tops} == {"json" if sidecars else "parquet"}
    assert len(list((log / "_sidecars").glob("*.parquet"))) >= (5 if sidecars else 1)
    for version in range(8):
        (log / f"{version:020}.json").unlink()
    assert same_rows(table, "id", "s") == 61


@pytest.mark.parametrize("struct", [True, False])
def test_checkpoints_in_parts(table: Path, struct: bool) -> None:
    """With statistics as JSON, and as columns alone, which we don't read: no file is left out by
    them."""
    spark = session()
    spark.conf.set("spark.databricks.delta.checkpoint.partSize", "2")
    try:
        name = create(
            table,
            "id BIGINT, s STRING",
            f"'delta.checkpoint.writeStatsAsStruct'='{str(struct).lower()}'",
            f"'delta.checkpoint.writeStatsAsJson'='{str(not struct).lower()}'",
            "'delta.checkpointInterval'='3'",
            more="PARTITIONED BY (s)",
        )
        for part in range(5):
            sql(f"INSERT INTO {name} SELECT id, 'a {part}' FROM range({part}, {part * 10 + 10})")
    finally:
        spark.conf.unset("spark.databricks.delta.checkpoint.partSize")
    parts = sorted(path.name for path in (table / "_delta_log").glob("*.checkpoint.*.parquet"))
    assert len(parts) >= 2 and all(".000000000" in part for part in parts), parts
    assert same_rows(table, "id", "s") == 140
    for version in range(3):
        (table / "_delta_log" / f"{version:020}.json").unlink()
    assert same_rows(table, "id", "s") == 140


def test_log_compaction(table: Path) -> None:
    name = create(table, "id BIGINT, s STRING", VECTORS)
    for part in range(5):
        sql(f"INSERT INTO {name} SELECT id, 'a' FROM range({part * 100}, {part * 100 + 100})")
    sql(f"DELETE FROM {name} WHERE id % 7 = 0", f"OPTIMIZE {name}")
    sql(f"ALTER TABLE {name} ADD COLUMN (t STRING)", f"INSERT INTO {name} VALUES (1000, 'b', 'c')")
    compact_log(table, 2, 5)
    compact_log(table, 2, 6)
    compact_log(table, 7, 9)
    assert same_rows(table, "id", "s") == 429
    rows = we_read(table, ["id", "s", "t"])
    # Nothing but the compaction can tell of these now.
    for version in (2, 3, 4, 5, 6, 8):
        (table / "_delta_log" / f"{version:020}.json").unlink()
    assert we_read(table, ["id", "s", "t"]) == rows


ODD_VALUES = [
    "('a b/c%d=e', DATE'0001-01-01', TIMESTAMP'2020-01-01 00:00:00.123456', "
    "TIMESTAMP_NTZ'1900-01-01 00:00:00', 1.5, true, double('NaN'), 1, X'00ff')",
    "(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    "('', DATE'9999-12-31', TIMESTAMP'1969-12-31 23:59:59', "
    "TIMESTAMP_NTZ'2020-01-01 12:13:14.000001', -0.0001, false, double('-Infinity'), -2147483648, "
    "X'')",
    "('ä☃\"''\\\\{}', DATE'1582-10-10', TIMESTAMP'1500-01-01 00:00:00', "
    "TIMESTAMP_NTZ'0001-01-01 00:00:00', 99999999.9999, false, 1e-300D, 0, X'41')",
    "('__HIVE_DEFAULT_PARTITION__', DATE'2020-02-29', TIMESTAMP'2038-01-19 03:14:08', "
    "TIMESTAMP_NTZ'2020-01-01 00:00:00', 0.00001, true, -0.0D, 5, X'42')",
    "('tail ', DATE'2020-02-29', TIMESTAMP'2020-01-01 00:00:00', "
    "TIMESTAMP_NTZ'2020-01-01 00:00:00', 0, true, 1e10D, 5, X'42')",
    "('line\\nfeed\\ttab:?*', DATE'2020-02-29', TIMESTAMP'2020-01-01 00:00:00', "
    "TIMESTAMP_NTZ'2020-01-01 00:00:00', 0, true, 0.1D, 5, X'42')",
]
ODD_TYPES = {
    "s": "STRING",
    "d": "DATE",
    "t": "TIMESTAMP",
    "n": "TIMESTAMP_NTZ",
    "m": "DECIMAL(12,4)",
    "b": "BOOLEAN",
    "f": "DOUBLE",
    "i": "INT",
    "y": "BINARY",
}


@pytest.mark.parametrize("mapped", [False, True])
def test_partitions_with_odd_values(table: Path, mapped: bool) -> None:
    """As partitions, all but bytes, and as columns of files."""
    partitions = [name for name in ODD_TYPES if name != "y"]
    columns = [f"p_{name} {kind}" for name, kind in ODD_TYPES.items() if name != "y"]
    columns += [f"{name} {kind}" for name, kind in ODD_TYPES.items()]
    properties = ["'delta.columnMapping.mode'='name'"] if mapped else []
    named = ", ".join(f"p_{name}" for name in partitions)
    name = create(table, ", ".join(columns), *properties, more=f"PARTITIONED BY ({named})")
    twice = ", ".join([*partitions, *ODD_TYPES])
    values = ", ".join(ODD_VALUES)
    sql(f"INSERT INTO {name} SELECT {twice} FROM VALUES {values} AS v({', '.join(ODD_TYPES)})")
    all_columns = [f"p_{name}" for name in partitions] + list(ODD_TYPES)
    assert same_rows(table, *all_columns, at=[]) == len(ODD_VALUES)


def test_nested_columns_and_decimals(table: Path) -> None:
    name = create(
        table,
        "id BIGINT, s STRUCT<x: INT, y: STRUCT<z: STRING, m: DECIMAL(38,10)>>, l ARRAY<INT>, "
        "mp MAP<STRING, INT>, d DECIMAL(20,0), n TIMESTAMP_NTZ, e DECIMAL(5,5), "
        "deep ARRAY<STRUCT<a: INT>>",
    )
    sql(
        f"INSERT INTO {name} VALUES "
        "(1, named_struct('x', 1, 'y', named_struct('z', 'q', 'm', 1.5)), array(1, 2), "
        "map('a', 1), 12345678901234567890, TIMESTAMP_NTZ'2020-01-01 00:00:00', 0.00001, array()), "
        "(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL), "
        "(3, named_struct('x', NULL, 'y', NULL), array(), map(), -5, NULL, -0.99999, NULL), "
        "(4, named_struct('x', 7, 'y', named_struct('z', NULL, 'm', "
        "-9999999999999999999999999999.0000000001)), NULL, NULL, 0, NULL, 0, NULL)"
    )
    assert same_rows(table, "id", "s.x", "s.y.z", "s.y.m", "d", "n", "e") == 4
    assert same_rows(table, "s.y.m", at=[]) == 4
    for column in ("s", "l", "mp", "deep"):
        assert f"column `{column}` has type" in refusal(table, [column])


def test_change_data_row_tracking_and_commit_times(table: Path) -> None:
    name = create(
        table,
        "id BIGINT, s STRING",
        "'delta.enableChangeDataFeed'='true'",
        "'delta.enableRowTracking'='true'",
        "'delta.enableInCommitTimestamps'='true'",
        more="PARTITIONED BY (s)",
    )
    sql(
        f"INSERT INTO {name} SELECT id, concat('p', id % 3) FROM range(100)",
        f"UPDATE {name} SET s = 'b' WHERE id < 10",
        f"DELETE FROM {name} WHERE id > 90",
        f"OPTIMIZE {name}",
        f"INSERT OVERWRITE {name} SELECT id, 'o' FROM range(5)",
    )
    assert (table / "_change_data").is_dir()
    assert same_rows(table, "id", "s") == 5


def test_clustered_tables(table: Path) -> None:
    name = create(table, "id BIGINT, s STRING", more="CLUSTER BY (id, s)")
    for part in range(3):
        sql(f"INSERT INTO {name} SELECT id, 'a' FROM range({part * 100}, {part * 100 + 100})")
    sql(f"OPTIMIZE {name}")
    assert same_rows(table, "id", "s") == 300


def test_identities_defaults_checks_and_generated_columns(table: Path) -> None:
    """What binds only writers is read past."""
    name = create(
        table,
        "id BIGINT GENERATED ALWAYS AS IDENTITY, s STRING DEFAULT 'x'",
        "'delta.feature.allowColumnDefaults'='supported'",
    )
    sql(
        f"ALTER TABLE {name} ADD CONSTRAINT positive CHECK (id >= 0)",
        f"INSERT INTO {name} (s) VALUES (DEFAULT), ('y')",
    )
    assert same_rows(table, "id", "s", at=[]) == 2


def test_zones_old_times_and_extremes(table: Path) -> None:
    """Times as INT96, as Spark writes them, and as microseconds."""
    spark = session()
    name = create(table, "id BIGINT, t TIMESTAMP, d DATE, f FLOAT, g DOUBLE, y BINARY")
    values = (
        "(1, TIMESTAMP'0002-01-01 00:00:00', DATE'0001-01-01', 1e-45F, 4.9e-324D, X''), "
        "(2, TIMESTAMP'9999-12-31 23:59:59.999999', DATE'9999-12-31', 3.4028234E38F, "
        "1.7976931348623157E308D, X'00'), "
        "(3, TIMESTAMP'1582-10-04 00:00:00', DATE'1582-10-04', float('NaN'), double('Infinity'), "
        "NULL), (4, TIMESTAMP'1969-12-31 23:59:59.999999', DATE'1969-12-31', 0F, -0D, X'ff')"
    )
    for kind in ("INT96", "TIMESTAMP_MICROS", "TIMESTAMP_MILLIS"):
        spark.conf.set("spark.sql.parquet.outputTimestampType", kind)
        sql(f"INSERT INTO {name} VALUES {values}")
    spark.conf.unset("spark.sql.parquet.outputTimestampType")
    assert same_rows(table, "id", "t", "d", "f", "g", "y", at=[]) == 12


def test_what_is_refused_is_named(table: Path, tmp_path: Path) -> None:
    name = create(table, "id BIGINT, v VARIANT")
    sql(f"INSERT INTO {name} SELECT 1, parse_json('1')")
    assert "reader feature `variantType`" in refusal(table, ["id"])
    plain, clone = tmp_path / "plain", tmp_path / "clone"
    create(plain, "id BIGINT")
    sql(f"INSERT INTO delta.`{plain}` VALUES (1)")
    sql(f"CREATE TABLE delta.`{clone}` SHALLOW CLONE delta.`{plain}`")
    assert "outside the table's folder" in refusal(clone, ["id"])
