"""Turns the source file into what the demo feeds: three parts in the order of landing, labels, and
what to expect of them. Same seed, same bytes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TypedDict

import damage
import flights
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from damage import Damage
from flights import Flights

SEED = 2001
UNTYPED_SHARE = 0.02  # of the rows, in the middle, travels as NDJSON over HTTP
LABELS, QUICK_LABELS = 200_000, 20_000


class Expected(TypedDict):
    """expected.json: what prepare.py put in, counted here and nowhere else."""

    seed: int
    rows: int
    accepted: int
    refused: int
    damaged: dict[str, int]
    parts: dict[str, int]
    labels: int
    late_labels: int
    duplicates_but_for_id: int
    landed_before_scheduled: int


def untyped_rows(rows: int) -> range:
    start = rows // 2
    return range(start, start + round(rows * UNTYPED_SHARE))


def iso_times(times: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[str]:
    texts = np.datetime_as_string(times.view("datetime64[us]"), unit="us", timezone="UTC")
    return [str(text) for text in texts]


def write_ndjson(part: Flights, kinds: dict[int, str], path: Path) -> None:
    """`kinds` maps rows of the part to their damage."""
    date, landed_at = iso_times(part.date), iso_times(part.landed_at)
    with path.open("w") as file:
        for i in range(len(part)):
            row: dict[str, object] = {
                "flight_id": int(part.flight_id[i]),
                "date": date[i],
                "landed_at": landed_at[i],
                "delay": int(part.delay[i]),
                "distance": int(part.distance[i]),
                "origin": part.origin[i].decode(),
                "destination": part.destination[i].decode(),
            }
            file.write(damage.json_line(row, kinds.get(i)) + "\n")


def write_parts(ordered: Flights, harm: Damage, folder: Path) -> dict[str, int]:
    untyped = untyped_rows(len(ordered))
    typed_parts = {
        "flights-a.parquet": ordered.take(slice(0, untyped.start)),
        "flights-c.parquet": ordered.take(slice(untyped.stop, len(ordered))),
    }
    for name, part in typed_parts.items():
        pq.write_table(part.to_arrow(), folder / name, compression="zstd", compression_level=1)
    middle = ordered.take(slice(untyped.start, untyped.stop))
    kinds = {row - untyped.start: kind for row, kind in harm.kind_of().items() if row in untyped}
    write_ndjson(middle, kinds, folder / "flights-b.ndjson")
    parts = {name: len(part) for name, part in typed_parts.items()}
    return {**parts, "flights-b.ndjson": len(middle)}


def write_damaged(ordered: Flights, harm: Damage, folder: Path) -> None:
    fields = [damage.FIELDS[str(kind)] for kind in harm.kinds]
    ids = ordered.flight_id[harm.rows]
    table = pa.table({"flight_id": ids, "kind": harm.kinds.tolist(), "field": fields})
    pq.write_table(table, folder / "damaged.parquet")


def write_labels(ordered: Flights, harm: Damage, count: int, folder: Path) -> int:
    """Chosen among whole flights, by scheduled departure; returns how many are late."""
    whole = np.ones(len(ordered), dtype=bool)
    whole[harm.rows] = False
    dice = np.random.default_rng(SEED + 1)
    chosen = dice.choice(np.flatnonzero(whole), size=min(count, int(whole.sum())), replace=False)
    chosen = chosen[np.lexsort((ordered.flight_id[chosen], ordered.date[chosen]))]
    labels = ordered.take(chosen)
    late = labels.delay > flights.LATE_MINUTES
    table = labels.to_arrow().select(["flight_id", "origin", "destination", "date"])
    pq.write_table(table.append_column("late", pa.array(late)), folder / "labels.parquet")
    return int(late.sum())


def prepare(source: Path, folder: Path, *, quick: bool) -> Expected:
    """Writes everything into `folder` and returns what to expect."""
    folder.mkdir(parents=True, exist_ok=True)
    ordered = flights.in_landing_order(
        flights.read_source(source, flights.QUICK_ROWS if quick else None)
    )
    duplicates = flights.count_duplicates(ordered)
    early = flights.count_landed_before_scheduled(ordered)
    harm = damage.choose(len(ordered), untyped_rows(len(ordered)), SEED)
    late = write_labels(ordered, harm, QUICK_LABELS if quick else LABELS, folder)
    damage.damage_typed(ordered, harm)
    parts = write_parts(ordered, harm, folder)
    write_damaged(ordered, harm, folder)
    kinds, counts = np.unique(harm.kinds, return_counts=True)
    by_kind = dict(zip(kinds.tolist(), counts.tolist(), strict=True))
    expected = Expected(
        seed=SEED,
        rows=len(ordered),
        accepted=len(ordered) - len(harm.rows),
        refused=len(harm.rows),
        damaged={kind: by_kind[kind] for kind in damage.FIELDS},
        parts=parts,
        labels=pq.read_metadata(folder / "labels.parquet").num_rows,
        late_labels=late,
        duplicates_but_for_id=duplicates,
        landed_before_scheduled=early,
    )
    (folder / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")
    return expected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="flights-3m.parquet")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="the first 200,000 flights")
    options = parser.parse_args()
    print(json.dumps(prepare(options.source, options.folder, quick=options.quick), indent=2))


if __name__ == "__main__":
    main()
