"""headrace tables: versions, layout, differences; what doctor says of no table, and verify where
nothing was logged; on tables that delta-rs wrote; the differences against DuckDB.

HEADRACE names the binary; without it the one of ./dev build is taken.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("HEADRACE", ROOT / "build/release/apps/headrace/headrace"))


def headrace(*arguments: str | Path) -> tuple[int, Any]:
    done = subprocess.run(
        [BINARY, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    if "--json" in arguments:
        return done.returncode, json.loads(done.stdout.splitlines()[-1])
    return done.returncode, done.stdout + done.stderr


def rows(begin: int, count: int, step: int = 1) -> pa.Table:
    return pa.table(
        {
            "id": pa.array(range(begin, begin + count * step, step), pa.int64()),
            "shop": pa.array([f"s{i % 7}" for i in range(count)]),
            "at": pa.array(
                [1_000_000 * (begin + i) for i in range(count)], pa.timestamp("us", "UTC")
            ),
        }
    )


def test_layout_says_which_columns_files_keep_apart(tmp_path: Path) -> None:
    table = tmp_path / "t"
    for i in range(20):
        write_deltalake(str(table), rows(100 * i, 100), mode="append")
    _, report = headrace("tables", table, "--json")
    layout = {each["column"]: each for each in report["tables"][0]["layout"]}
    assert layout["id"]["files_opened"] == 1
    assert layout["id"]["share"] == 1 / 20
    assert layout["shop"]["files_opened"] == 20
    _, text = headrace("tables", table)
    assert "one value of id opens 1.0 of 20 files (5 %)" in text
    assert "shop 20.0 (100 %)" in text
    _, report = headrace("doctor", table, "--json")
    saw = next(f for f in report["findings"] if f["name"] == "layout")
    assert not saw["wrong"]  # so small that a reader takes it whole
    assert "one value of id" in saw["saw"]


def test_versions_are_listed_the_newest_first(tmp_path: Path) -> None:
    table = tmp_path / "t"
    for i in range(5):
        write_deltalake(str(table), rows(100 * i, 100), mode="append")
    DeltaTable(str(table)).optimize.compact()
    _, report = headrace("tables", table, "--versions", "3", "--json")
    versions = report["tables"][0]["versions"]
    assert [each["version"] for each in versions] == [5, 4, 3]
    newest = versions[0]
    assert (newest["operation"], newest["files_added"], newest["files_removed"]) == (
        "OPTIMIZE",
        1,
        5,
    )
    assert (newest["rows_added"], versions[1]["rows_added"]) == (500, 100)
    _, text = headrace("tables", table, "--versions", "3")
    assert "there is 1 file, which every reader opens" in text
    assert "1 of 1 file has bounds" in headrace("doctor", table)[1]
    assert "OPTIMIZE" in text and "-5 files" in text
    assert "versions" not in headrace("tables", table, "--json")[1]["tables"][0]


def test_a_difference_by_files_and_by_rows_is_what_duckdb_finds(tmp_path: Path) -> None:
    draw = random.Random(3)
    table = tmp_path / "t"
    for _ in range(6):
        write_deltalake(str(table), rows(draw.randrange(300), 200), mode="append")
    write_deltalake(str(table), rows(50, 100), mode="append")
    DeltaTable(str(table)).optimize.compact()
    database = duckdb.connect()
    newest = DeltaTable(str(table)).version()
    versions = {v: DeltaTable(str(table), version=v).to_pyarrow_table() for v in range(newest + 1)}
    for _ in range(12):
        before, after = draw.randrange(newest + 1), draw.randrange(newest + 1)
        code, diff = headrace(
            "tables", "diff", f"{table}@{before}", f"{table}@{after}", "--rows", "--json"
        )
        assert code == 0
        database.register("a", versions[before])
        database.register("b", versions[after])
        for one, other, name in (("a", "b", "only_before"), ("b", "a", "only_after")):
            left = f"(from {one}) except all (from {other})"
            expected = database.sql(f"select count(*) from ({left})").fetchall()[0][0]
            assert diff["rows"][name] == expected, (before, after, name)
        files = [set(DeltaTable(str(table), version=v).file_uris()) for v in (before, after)]
        assert diff["only_before"]["files"] == len(files[0] - files[1])
        assert diff["only_after"]["files"] == len(files[1] - files[0])
        assert diff["both"]["files"] == len(files[0] & files[1])


def test_a_difference_of_two_tables_and_of_what_is_not_there(tmp_path: Path) -> None:
    one, other, third = (tmp_path / name for name in ("a", "b", "c"))
    write_deltalake(str(one), rows(0, 100))
    write_deltalake(str(other), rows(0, 50))
    write_deltalake(str(other), rows(50, 50), mode="append")
    write_deltalake(str(third), pa.table({"x": [1]}))
    _, diff = headrace("tables", "diff", one, other, "--rows", "--json")
    assert diff["both"]["files"] == 0
    # 50 rows of each part have the shops of their places in it.
    assert diff["rows"]["only_before"] == diff["rows"]["only_after"]
    _, text = headrace("tables", "diff", one, one)
    assert "only before           0 files" in text
    code, text = headrace("tables", "diff", one, third, "--rows")
    assert code != 0 and "other columns" in text
    code, text = headrace("tables", "diff", f"{one}@7", one)
    assert code != 0 and "7" in text
    code, text = headrace("tables", "diff", f"{one}@x", one)
    assert code != 0 and "FOLDER@VERSION" in text


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    for command in ("doctor", "tables"):
        code, text = headrace(command, tmp_path / "nowhere")
        assert code not in (0, 1)
        assert "nowhere" in text and "realpath" not in text
    code, text = headrace("tables")
    assert code != 0 and "FOLDER" in text


def test_verify_says_how_answers_are_logged(tmp_path: Path) -> None:
    code, told = headrace("verify", "--data", tmp_path)
    assert code == 3 and "--answers" in told and "answers.jsonl" in told, told


def crafted(
    folder: Path, path: str, partition: str | None, add: dict[str, Any], features: list[str]
) -> Path:
    """A table of one file, as whoever wrote its log chose to write it."""
    data = folder / path
    data.parent.mkdir(parents=True)
    pq.write_table(pa.table({"x": [1, 2, 3]}), data)
    fields = [{"name": "x", "type": "long", "nullable": True, "metadata": {}}]
    if partition:
        fields.append({"name": partition, "type": "integer", "nullable": True, "metadata": {}})
    protocol: dict[str, Any] = {"minReaderVersion": 1, "minWriterVersion": 2}
    if features:
        protocol = {"minReaderVersion": 3, "minWriterVersion": 7}
        protocol |= {"readerFeatures": features, "writerFeatures": features}
    actions = [
        {"protocol": protocol},
        {
            "metaData": {
                "id": "a",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps({"type": "struct", "fields": fields}),
                "partitionColumns": [partition] if partition else [],
                "configuration": {},
                "createdTime": 1,
            }
        },
        {
            "add": {
                "path": path,
                "partitionValues": {partition: "1"} if partition else {},
                "size": data.stat().st_size,
                "modificationTime": 1,
                "dataChange": True,
                "stats": json.dumps(
                    {"numRecords": 3, "minValues": {"x": 1}, "maxValues": {"x": 3}}
                ),
            }
            | add
        },
    ]
    log = folder / "_delta_log"
    log.mkdir()
    (log / f"{0:020}.json").write_text("\n".join(map(json.dumps, actions)) + "\n")
    return folder


def finding(report: Any, name: str) -> Any:
    return next(each for each in report["findings"] if each["name"] == name)


def test_a_partition_column_may_begin_as_hidden_folders_do(tmp_path: Path) -> None:
    table = crafted(tmp_path / "t", "_day=1/f.parquet", "_day", {}, [])
    stray = table / "_day=1/old.parquet"
    stray.write_bytes(b"1234")
    os.utime(stray, (1, 1))
    (table / "_hidden").mkdir()
    (table / "_hidden/old.parquet").write_bytes(b"1234")
    os.utime(table / "_hidden/old.parquet", (1, 1))
    code, report = headrace("doctor", table, "--json")
    assert report["missing_files"] == 0, finding(report, "missing files")
    assert report["unreferenced_files"] == 1, "of a partition; what is hidden is nobody's"
    stray.unlink()
    assert headrace("doctor", table)[0] == 0
    (table / "_day=1/f.parquet").unlink()
    code, report = headrace("doctor", table, "--json")
    assert code == 1
    assert report["missing_files"] == 1


def test_a_file_may_have_a_hidden_name(tmp_path: Path) -> None:
    table = crafted(tmp_path / "t", "_files/.f.parquet", None, {}, [])
    assert headrace("doctor", table, "--json")[1]["missing_files"] == 0


def test_statistics_are_read_however_they_are_written(tmp_path: Path) -> None:
    _, report = headrace("doctor", crafted(tmp_path / "t", "f.parquet", None, {}, []), "--json")
    assert report["files_without_bounds"] == 0
    none = {"stats": json.dumps({"numRecords": 3, "minValues": {}, "note": '"minValues":{"x"'})}
    _, report = headrace("doctor", crafted(tmp_path / "n", "f.parquet", None, none, []), "--json")
    assert report["files_without_bounds"] == 1
    torn = {"stats": '{"numRecords": 3, "minValues": {"x"'}
    _, report = headrace("doctor", crafted(tmp_path / "b", "f.parquet", None, torn, []), "--json")
    assert report["files_without_bounds"] == 1


def test_deleted_rows_are_no_rows(tmp_path: Path) -> None:
    vector = {"storageType": "u", "pathOrInlineDv": "x" * 20, "sizeInBytes": 40, "cardinality": 1}
    table = crafted(
        tmp_path / "t", "f.parquet", None, {"deletionVector": vector}, ["deletionVectors"]
    )
    _, report = headrace("tables", table, "--json")
    assert report["tables"][0]["rows"] == 2
    _, report = headrace("doctor", table, "--json")
    assert (report["rows"], report["deleted_rows"]) == (2, 1)
    assert "33 % of the rows" in finding(report, "deleted rows")["saw"]
    assert "2 rows in 1 file" in headrace("doctor", table)[1]


def test_a_difference_is_of_one_table_however_it_is_spelled(tmp_path: Path) -> None:
    table = tmp_path / "t"
    write_deltalake(str(table), rows(0, 100))
    write_deltalake(str(table), rows(100, 50), mode="append")
    (tmp_path / "link").symlink_to(table)
    for other in (tmp_path / "link", tmp_path / "t/../t", f"{tmp_path}//t/"):
        _, diff = headrace("tables", "diff", f"{table}@0", f"{other}@1", "--json")
        found = [diff[name]["files"] for name in ("only_before", "only_after", "both")]
        assert found == [0, 1, 1], other
    code, text = headrace("tables", "diff", f"{table}@0", f"{tmp_path / 'nowhere'}@1")
    assert code not in (0, 1) and "nowhere" in text and "realpath" not in text
