"""Holds log, Delta table and served answers against the record of acknowledgements.

Rows are computed again from their numbers (batches.py), so every field of every row is compared,
not only their count. Work is by what came since the last comparison; Totals adds up over all.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

import batches
import numpy as np
from batches import ID_STRIDE, Ints
from engine_process import EngineProcess
from log_reader import Epoch, LogReader, Outcome
from record import Record, Violation

FIELDS = ("producer", "sequence", "row", "key", "value", "at")


@dataclasses.dataclass
class FoundRows:
    """Rows as a reader gave them, in the order of their positions."""

    columns: dict[str, Any]
    epoch: Ints

    def __len__(self) -> int:
        return len(self.epoch)


def fail(where: str, what: str) -> Violation:
    return Violation(f"{where}: {what}")


class Batches:
    """The record as columns: batch `begin[p] + sequence - 1` of all."""

    def __init__(self, record: Record) -> None:
        parts = [producer.columns(0) for producer in record.producers]
        counts = np.array([len(part[0]) for part in parts], dtype=np.int64)
        self.begin = np.cumsum(counts) - counts
        self.count = counts
        self.size, self.moment, self.good, self.epoch, self.abandoned = (
            np.concatenate([part[i] for part in parts]) for i in range(5)
        )
        self.producer = np.repeat(np.arange(len(counts)), counts)
        self.sequence = np.arange(int(counts.sum())) - self.begin[self.producer] + 1


class Follower:
    """What one reader (log or table) has shown so far: each row once, in order, as it was sent."""

    def __init__(self, where: str, record: Record) -> None:
        self.where = where
        self.record = record
        self.upto = 0  # epochs seen
        self.last = np.zeros(len(record.producers), dtype=np.int64)
        self.seen = [np.zeros(0, dtype=np.int64) for _ in record.producers]  # rows, by sequence
        self.rows = 0

    def take(self, found: FoundRows, upto: int, known: Batches) -> None:
        """Rows of the epochs (self.upto, upto]."""
        if len(found) > 0:
            self._compare(found, known)
        self.upto = max(self.upto, upto)
        self.rows += len(found)

    def _compare(self, found: FoundRows, known: Batches) -> None:
        producer, sequence, row = (
            np.asarray(found.columns[name], dtype=np.int64) for name in FIELDS[:3]
        )
        strange = (producer < 0) | (producer >= len(self.last)) | (sequence < 1)
        if not strange.any():
            strange = (sequence > known.count[producer]) | (row < 0)
        if not strange.any():
            strange = row >= known.size[known.begin[producer] + sequence - 1]
        self._none(strange, found, "a row that was never sent")
        index = known.begin[producer] + sequence - 1
        sent = batches.rows_at(self.record.seed, producer, sequence, row, known.moment[index])
        self._none(sent.flaw != batches.GOOD, found, "a row that had to be refused")
        self._none(batches.KEY_NAMES[sent.key] != found.columns["key"], found, "another key")
        for name in ("value", "at"):
            wanted = getattr(sent, name)
            self._none(wanted != np.asarray(found.columns[name]), found, f"another {name}")
        other = (known.epoch[index] != 0) & (known.epoch[index] != found.epoch)
        self._none(other, found, "a row in another epoch than acknowledged")
        self._order(producer, sequence * ID_STRIDE + row, found)
        for number in np.unique(producer):
            self._count(int(number), sequence[producer == number])

    def _order(self, producer: Ints, identity: Ints, found: FoundRows) -> None:
        for number in np.unique(producer):
            mine = np.flatnonzero(producer == number)
            path = np.concatenate([self.last[number : number + 1], identity[mine]])
            bad = np.flatnonzero(np.diff(path) <= 0)
            if len(bad) > 0:
                doubled = path[bad[0] + 1] in path[: bad[0] + 1]
                what = "a row twice" if doubled else "rows out of order"
                raise fail(self.where, f"{what}: {self._name(found, int(mine[bad[0]]))}")
            self.last[number] = path[-1]

    def _count(self, number: int, sequence: Ints) -> None:
        seen = self.seen[number]
        longest = int(sequence.max())
        if longest > len(seen):
            seen = np.concatenate([seen, np.zeros(longest - len(seen), dtype=np.int64)])
        self.seen[number] = seen + np.bincount(sequence - 1, minlength=len(seen))

    def _none(self, bad: Any, found: FoundRows, what: str) -> None:
        places = np.flatnonzero(bad)
        if len(places) > 0:
            at = f"{what} ({len(places)} of them): {self._name(found, int(places[0]))}"
            raise fail(self.where, at)

    def _name(self, found: FoundRows, place: int) -> str:
        row = {name: str(found.columns[name][place]) for name in FIELDS}
        return f"epoch {found.epoch[place]}, {row}"

    def check_complete(self, known: Batches) -> None:
        """Every acknowledged batch is here whole; an abandoned one whole or not at all."""
        for number, begin in enumerate(known.begin):
            mine = slice(int(begin), int(begin + known.count[number]))
            good = known.good[mine]
            seen = np.zeros(len(good), dtype=np.int64)
            seen[: len(self.seen[number])] = self.seen[number]
            acknowledged = known.epoch[mine] != 0
            absent = np.flatnonzero(acknowledged & (seen != good))
            part = np.flatnonzero(~acknowledged & (seen != 0) & (seen != good))
            for places, what in ((absent, "acknowledged"), (part, "unanswered")):
                if len(places) > 0:
                    i = int(places[0])
                    raise fail(
                        self.where,
                        f"{len(places)} {what} batches are not whole: producer {number}, batch "
                        f"{i + 1} has {seen[i]} of {good[i]} rows, epoch {known.epoch[mine][i]}",
                    )


class LogFollower(Follower):
    """The log, by our own reader of its bytes: rows, and one outcome for each batch. What the log
    has let go by now is taken from the table."""

    def __init__(self, folder: Path, record: Record) -> None:
        super().__init__("log", record)
        self.folder = folder
        self.outcomes: set[tuple[int, int]] = set()
        self.epochs_gone = 0  # never seen here, as the log had let them go
        self.first_held = 1  # epoch, at the last look

    def follow(self, table: DuckDbTable) -> int:
        """Takes what is new; the newest epoch. Unanswered batches that are in the log are entered
        in the record as what they are: in, and never acknowledged."""
        self.first_held = LogReader(self.folder).first_epoch()
        epochs = self._new_epochs()
        if epochs and epochs[0].number > self.upto + 1:
            last = epochs[0].number - 1
            self.epochs_gone += last - self.upto
            self.take(table.rows(self.upto, last), last, Batches(self.record))
        for epoch in epochs:
            for outcome in epoch.outcomes:
                self._outcome(outcome, epoch.number)
        filled = [epoch for epoch in epochs if epoch.columns]
        if filled:
            columns = {n: np.concatenate([epoch.columns[n] for epoch in filled]) for n in FIELDS}
            counts = [len(epoch.columns["row"]) for epoch in filled]
            numbers = np.repeat(np.array([epoch.number for epoch in filled]), counts)
            self.take(FoundRows(columns, numbers), self.upto, Batches(self.record))
        if epochs:
            self.upto = epochs[-1].number
        self.check_complete(Batches(self.record))
        return self.upto

    def _new_epochs(self) -> list[Epoch]:
        while True:
            try:
                return list(LogReader(self.folder).epochs(self.upto))
            except FileNotFoundError:  # let go between the look at the folder and the file
                continue

    def take(self, found: FoundRows, upto: int, known: Batches) -> None:
        super().take(found, upto, known)
        if len(found) == 0:
            return
        producer, sequence = (np.asarray(found.columns[name]) for name in FIELDS[:2])
        strange = np.flatnonzero(known.epoch[known.begin[producer] + sequence - 1] == 0)
        for i in strange.tolist():
            sent = self.record.producers[int(producer[i])].sent[int(sequence[i]) - 1]
            if sent.abandoned:
                sent.epoch = int(found.epoch[i])

    def _outcome(self, outcome: Outcome, epoch: int) -> None:
        name, sequence = outcome.producer, outcome.sequence
        if outcome.key:
            name, _, number = outcome.key.rpartition("-")
            sequence = int(number)
        producer = self.record.names.index(name)
        if (producer, sequence) in self.outcomes:
            raise fail(self.where, f"{name}, batch {sequence} was decided twice")
        self.outcomes.add((producer, sequence))
        sent = self.record.producers[producer].sent[sequence - 1]
        wanted = (sent.good, sent.size - sent.good)
        if (outcome.accepted, outcome.refused) != wanted:
            raise fail(self.where, f"epoch {epoch}: {outcome}, not {wanted} accepted and refused")


def duckdb_with_delta() -> Any:
    import duckdb

    found = importlib.util.find_spec("duckdb_extension_delta")
    assert found and found.submodule_search_locations
    extension = next(Path(found.submodule_search_locations[0]).rglob("delta.duckdb_extension"))
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET threads = 2")
    connection.execute(f"LOAD '{extension}'")
    return connection


def with_duckdb(table: Path, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query in which TABLE stands for the Delta table."""
    with duckdb_with_delta() as connection:
        found = connection.execute(query.replace("TABLE", f"delta_scan('{table}')"))
        rows: list[tuple[Any, ...]] = found.fetchall()
        return rows


class DuckDbTable:
    """DuckDB reads the Delta table: what is on the disk, each time. It begins, which takes half a
    second, once it is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.connection: Any = None

    def select(self, columns: str, rest: str = "") -> dict[str, Any]:
        if self.connection is None:
            self.connection = duckdb_with_delta()
            self.connection.execute("SET enable_external_file_cache = false")
        query = f"SELECT {columns} FROM delta_scan('{self.folder}') {rest}"
        try:
            found: dict[str, Any] = self.connection.execute(query).fetchnumpy()
        except Exception as refused:  # whatever it is, the table is kept to be looked at
            raise fail("DuckDB", f"{refused}") from refused
        return found

    def rows(self, after: int, last: int) -> FoundRows:
        """Of the epochs (after, last]."""
        found = self.select(
            'producer, sequence, "row", "key", "value", epoch_us("at") AS "at", _epoch',
            f"WHERE _epoch > {after} AND _epoch <= {last} ORDER BY _epoch, _row",
        )
        epoch = np.asarray(found.pop("_epoch"), dtype=np.int64)
        return FoundRows(found, epoch)

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()


def delta_rs_rows(folder: Path) -> tuple[int, int]:
    """(rows, distinct (producer, sequence, row)) as delta-rs counts them."""
    import pyarrow as pa
    from deltalake import DeltaTable, QueryBuilder

    builder = QueryBuilder().register("t", DeltaTable(str(folder)))
    query = (
        f'SELECT count(*), count(DISTINCT (producer * {2**40} + sequence) * {ID_STRIDE} + "row") '
        "FROM t"
    )
    table = pa.table(builder.execute(query).read_all())
    return int(table.column(0)[0].as_py()), int(table.column(1)[0].as_py())


class Served:
    """Counts and sums per key and window, and each key's newest value, as the engine answers."""

    def __init__(self, record: Record, windows_s: tuple[int, ...]) -> None:
        self.record = record
        self.windows_s = windows_s

    def check(self, engine: EngineProcess, known: Batches) -> None:
        names = batches.KEY_NAMES.tolist()
        features = [f"recent:{f}_{w}s" for w in self.windows_s for f in ("n", "total")]
        query = {"features": [*features, "newest:value"], "entities": {"key": names}}
        code, text = engine.request("POST", "/get-online-features", json.dumps(query))
        if code != 200:
            raise fail("served", f"{code}: {text}")
        answer = json.loads(text)
        as_of = int(np.datetime64(answer["headrace"]["as_of"].rstrip("Z"), "us").astype(np.int64))
        rows = self._rows(known, as_of)
        by_name = dict(zip(answer["metadata"]["feature_names"], answer["results"], strict=True))
        for seconds in self.windows_s:
            inside = rows.at > as_of - seconds * 1_000_000
            n = np.bincount(rows.key[inside], minlength=batches.KEYS)
            weights = rows.value[inside].astype(np.float64)
            total = np.bincount(rows.key[inside], weights, minlength=batches.KEYS)
            self._same(f"n_{seconds}s", by_name, n)
            self._same(f"total_{seconds}s", by_name, np.where(n > 0, total, 0).astype(np.int64))
        self._newest(by_name["value"]["values"], rows)

    def _rows(self, known: Batches, as_of: int) -> batches.Rows:
        """All accepted rows that a window may hold, and some before them."""
        longest_us = max(self.windows_s) * 1_000_000
        oldest = as_of - batches.START_US - longest_us - batches.SPREAD_US
        chosen = np.flatnonzero((known.epoch != 0) & (known.moment >= oldest))
        rows = batches.rows_of_batches(
            self.record.seed,
            known.producer[chosen],
            known.sequence[chosen],
            known.size[chosen],
            known.moment[chosen],
        )
        good = rows.flaw == batches.GOOD
        fields = dataclasses.fields(batches.Rows)
        return batches.Rows(**{f.name: getattr(rows, f.name)[good] for f in fields})

    def _same(self, name: str, by_name: dict[str, Any], wanted: Any) -> None:
        found = [0 if value is None else value for value in by_name[name]["values"]]
        for key, (has, wants) in enumerate(zip(found, wanted.tolist(), strict=True)):
            if has != wants:
                raise fail(
                    "served", f"recent:{name} of {batches.KEY_NAMES[key]} is {has}, not {wants}"
                )

    def _newest(self, found: list[Any], rows: batches.Rows) -> None:
        """Of keys with an event in the windows; where two have one time, position decides, which
        the log check knows better."""
        order = np.lexsort((rows.at, rows.key))
        for key in range(batches.KEYS):
            mine = order[rows.key[order] == key]
            if len(mine) == 0 or (len(mine) > 1 and rows.at[mine[-1]] == rows.at[mine[-2]]):
                continue
            if found[key] != rows.value[mine[-1]]:
                name = batches.KEY_NAMES[key]
                wants = rows.value[mine[-1]]
                raise fail("served", f"newest:value of {name} is {found[key]}, not {wants}")
