"""Spark with Delta in this process, and its rows beside ours.

HEADRACE_SPARK_JARS names the folder of Delta's jars; `./dev test --long interop` sets it. One
session for all tests, on one core: a session takes ten seconds to start.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
import json
import os
import subprocess
import tempfile
import time
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

from test_delta_readers import writer

Row = tuple[Any, ...]

# Small tables, so nothing is worth compiling for, or dividing.
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "2g",
    "spark.sql.shuffle.partitions": "1",
    "spark.default.parallelism": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.session.timeZone": "UTC",
    "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",
}


@functools.cache
def session() -> Any:
    """One for all tests of a process."""
    from pyspark.sql import SparkSession

    os.environ["TZ"] = "UTC"  # Spark hands times to Python in the process's zone
    time.tzset()
    jars = ",".join(map(str, sorted(Path(os.environ["HEADRACE_SPARK_JARS"]).glob("*.jar"))))
    builder = SparkSession.builder.master("local[1]").appName("headrace").config("spark.jars", jars)
    builder = builder.config("spark.sql.warehouse.dir", tempfile.mkdtemp(prefix="headrace-spark-"))
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def sql(*statements: str) -> None:
    for statement in statements:
        session().sql(statement).collect()


def spark_reads(table: Path, columns: list[str], version: int | None = None) -> list[Row]:
    """Rows as our reader prints them, sorted."""
    reader = session().read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    frame = reader.load(str(table)).select(*[column_of(name) for name in columns])
    scales = [getattr(field.dataType, "scale", 0) for field in frame.schema]
    rows = (tuple(map(as_ours, row, scales)) for row in frame.collect())
    return sorted(rows, key=repr)


def column_of(name: str) -> Any:
    """`a.b` is a field of a struct; names with other signs are names."""
    from pyspark.sql.functions import col

    return col(".".join(f"`{part}`" for part in name.split(".")))


def as_ours(value: Any, scale: int = 0) -> Any:
    if isinstance(value, dt.datetime):  # also of a timestamp with a zone: the session's is UTC
        return value.isoformat()
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, Decimal):  # Spark hands some out with more zeros than their type has
        return format(value.quantize(Decimal(1).scaleb(-scale), context=Context(prec=60)), "f")
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and value != value:
        return "NaN"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def same_time(value: Any) -> Any:
    """Our text of a time as `as_ours` spells it."""
    if isinstance(value, str) and len(value) >= 19 and value[10] == "T":
        return dt.datetime.fromisoformat(value.removesuffix("Z")).isoformat()
    return value


class Refused(Exception):
    pass


def we_read(table: Path, columns: list[str], version: int | None = None) -> list[Row]:
    program = writer().with_name("headrace_read_table")
    at = [] if version is None else [f"version={version}"]
    names = [name.replace(".", "_") for name in columns]  # structs are flattened
    command = [str(program), str(table), ",".join(names), *at]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        assert done.returncode == 1, f"it ended with {done.returncode}: {done.stderr}"
        raise Refused(done.stderr)
    rows = [json.loads(line) for line in done.stdout.splitlines()[:-1]]
    return sorted((tuple(map(same_time, row)) for row in rows), key=repr)


def versions(table: Path) -> list[int]:
    names = [path.stem for path in (table / "_delta_log").glob("*.json")]
    return sorted(int(name) for name in names if name.isdigit())


def same_rows(table: Path, *columns: str, at: list[int] | None = None) -> int:
    """Spark and we read the same rows, at the newest version and at each of `at` (every one that
    the log still has, unless said). How many there are in the newest."""
    newest = 0
    for version in [*(versions(table) if at is None else at), None]:
        theirs = spark_reads(table, list(columns), version)
        ours = we_read(table, list(columns), version)
        newest = len(theirs)
        assert ours == theirs, f"version {version}"
    return newest


def refusal(table: Path, columns: list[str], version: int | None = None) -> str:
    try:
        we_read(table, columns, version)
    except Refused as refused:
        return str(refused)
    raise AssertionError("it was read")


def compact_log(table: Path, first: int, last: int) -> Path:
    """A log compaction file of Delta's own kernel over commits `first` to `last`."""
    context = session().sparkContext
    delta = context._jvm.io.delta.kernel
    engine = delta.defaults.engine.DefaultEngine.create(context._jsc.hadoopConfiguration())
    folders = [delta.internal.fs.Path(f"file:{path}") for path in (table, table / "_delta_log")]
    writing = delta.internal.compaction.LogCompactionWriter(*folders, first, last, 0)
    writing.writeLogCompactionFile(engine)
    made = table / "_delta_log" / f"{first:020}.{last:020}.compacted.json"
    assert made.exists()
    return made
