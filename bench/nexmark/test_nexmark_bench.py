"""The comparison of `./dev bench nexmark`."""

from __future__ import annotations

import json
from pathlib import Path

from nexmark_bench import Duck, duckdb_queries

BIDS = [
    {
        "auction": 1230,
        "bidder": 7,
        "price": 2_000_000,
        "channel": channel,
        "url": f"https://a.example/x/y/z/item.htm?query=1{more}",
        "at": "2026-01-01T09:00:00.500Z",
        "extra": "abcc",
    }
    for channel, more in (("Apple", ""), ("channel-1", "&channel_id=17"), ("channel-2", ""))
]


TEXTS = "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM theirs"


def lines(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_queries_give_what_nexmark_says(tmp_path: Path) -> None:
    lines(tmp_path / "bids.ndjson", BIDS)
    lines(tmp_path / "persons.ndjson", [{"id": 7, "name": "p", "at": "2026-01-01T09:00:09.999Z"}])
    lines(
        tmp_path / "auctions.ndjson",
        [{"seller": 7, "at": f"2026-01-01T09:00:{at}Z"} for at in ("00.000", "05.000", "10.000")],
    )
    duck = Duck(tmp_path)
    found = {}
    for name, query in duckdb_queries().items():
        duck.run(query)
        found[name] = duck.connection.execute(TEXTS).fetchall()
    assert len(found["q0"]) == len(found["q2"]) == 3
    assert found["q1"][0][2] == "1816000.0"
    assert [row[3] for row in found["q14"]] == ["day"] * 3 and found["q14"][0][6] == "2"
    assert [row[4] for row in found["q21"]] == ["0", "17"]
    assert found["q22"][0][4:7] == ("x", "y", "z")
    assert len(found["q5"]) == 5 and found["q5"][0][:2] == ("1230", "3")
    assert len(found["q7"]) == 3
    assert [row[:2] for row in found["q8"]] == [("7", "p")]
    assert [row[:2] for row in found["q11"]] == [("7", "3")]
    assert [row[:2] for row in found["q12"]] == [("7", "3")]


def test_a_row_too_many_or_another_value_is_seen(tmp_path: Path) -> None:
    lines(tmp_path / "bids.ndjson", BIDS)
    duck = Duck(tmp_path)
    duck.run("SELECT auction, price FROM bids")
    row: dict[str, object] = {"auction": 1230, "price": 2_000_000}
    result = tmp_path / "result.ndjson"
    assert duck.differing_rows(lines(result, [row] * 3)) == 0
    assert duck.differing_rows(lines(result, [row] * 4)) == 1
    assert duck.differing_rows(lines(result, [row, row, row | {"price": 2}])) == 2
