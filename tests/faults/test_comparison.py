"""The comparison sees what it is there for: rows lost, doubled, moved, altered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import batches
import numpy as np
import pytest
from campaign import LIVES_UNTIL_MET, never_met
from comparison import FIELDS, Batches, DuckDbTable, Follower, FoundRows
from record import Record, Violation

SEED = 7


def acknowledged() -> Record:
    record = Record(SEED, ["http-0", "flight-0"])
    for epoch in range(1, 41):
        producer = epoch % 2
        sequence, rows = record.new_batch(producer, 100)
        answer = {
            "accepted": int((rows.flaw == batches.GOOD).sum()),
            "refused_rows": int((rows.flaw != batches.GOOD).sum()),
            "refused": [
                {"row": int(i), "rule": batches.RULES[int(rows.flaw[i])]}
                for i in np.flatnonzero(rows.flaw)
            ],
            "epoch": epoch,
            "durability": "fsync",
            "repeated": False,
        }
        record.acknowledge(producer, sequence, answer, rows, 1000)
    assert not record.violations
    return record


def good_rows(record: Record) -> FoundRows:
    known = Batches(record)
    order = np.argsort(known.epoch, kind="stable")
    rows = batches.rows_of_batches(
        SEED, known.producer[order], known.sequence[order], known.size[order], known.moment[order]
    )
    epoch = np.repeat(known.epoch[order], known.size[order])
    good = rows.flaw == batches.GOOD
    columns: dict[str, Any] = {name: getattr(rows, name)[good] for name in FIELDS}
    columns["key"] = batches.KEY_NAMES[columns["key"]]
    return FoundRows(columns, epoch[good])


def taken(found: FoundRows, places: Any) -> FoundRows:
    return FoundRows({k: v[places] for k, v in found.columns.items()}, found.epoch[places])


def check(found: FoundRows, record: Record) -> None:
    follower = Follower("table", record)
    known = Batches(record)
    follower.take(found, 40, known)
    follower.check_complete(known)


def lose_one(found: FoundRows) -> FoundRows:
    return taken(found, np.delete(np.arange(len(found)), 100))


def double_one(found: FoundRows) -> FoundRows:
    return taken(found, np.insert(np.arange(len(found)), 101, 100))


def double_later(found: FoundRows) -> FoundRows:
    return taken(found, np.append(np.arange(len(found)), 0))


def swap_two(found: FoundRows) -> FoundRows:
    places = np.arange(len(found))
    same = found.epoch[1:] == found.epoch[:-1]
    first = int(np.flatnonzero(same)[0])
    places[[first, first + 1]] = places[[first + 1, first]]
    return taken(found, places)


def alter(column: str) -> Callable[[FoundRows], FoundRows]:
    def altered(found: FoundRows) -> FoundRows:
        found.columns[column] = found.columns[column].copy()
        found.columns[column][50] = "key-99" if column == "key" else 12
        return found

    return altered


def move_epoch(found: FoundRows) -> FoundRows:
    found.epoch[3] += 1
    return found


def test_what_was_acknowledged_passes() -> None:
    record = acknowledged()
    check(good_rows(record), record)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lose_one, "not whole"),
        (double_one, "twice|out of order"),
        (double_later, "twice|out of order"),
        (swap_two, "out of order"),
        (alter("key"), "another key"),
        (alter("value"), "another value"),
        (alter("at"), "another at"),
        (alter("producer"), "never sent"),
        (move_epoch, "another epoch"),
    ],
)
def test_damage_is_found(damage: Callable[[FoundRows], FoundRows], words: str) -> None:
    record = acknowledged()
    with pytest.raises(Violation, match=words):
        check(damage(good_rows(record)), record)


def test_answers_that_contradict_are_found() -> None:
    record = acknowledged()
    rows = record.rows_again(0, 1)
    answer: dict[str, object] = {
        "accepted": record.producers[0].sent[0].good,
        "refused_rows": 0,
        "refused": [],
        "epoch": 99,
        "durability": "os",
        "repeated": False,
    }
    record.acknowledge(0, 1, answer, rows, 1000)
    text = " ".join(record.violations)
    assert "durability" in text and "again in 99" in text and "not seen as one" in text


def test_a_run_that_never_met_what_it_is_to_meet_fails() -> None:
    failure = never_met(LIVES_UNTIL_MET, {"an epoch let go": 0, "a failed sync": 3})
    assert "an epoch let go: never met" in failure
    assert not never_met(LIVES_UNTIL_MET, {"an epoch let go": 1, "a failed sync": 3})
    assert not never_met(LIVES_UNTIL_MET - 1, {"an epoch let go": 0}), "it had no time for it"


def test_a_table_that_duckdb_cannot_read_is_a_violation(tmp_path: Path) -> None:
    with pytest.raises(Violation, match="DuckDB: "):
        DuckDbTable(tmp_path).rows(0, 1)
