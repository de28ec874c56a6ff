"""Views of random pipelines: as the pipeline file says them, and as SQL over their stream's table
(pipeline_derived.py)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from expression_pairs import Pair
from pipeline_derived import Source
from pipeline_features import Feature, plain_sql
from pipeline_streams import Column, json_value
from pipeline_windows import Window, Windows, duration

DEFAULT_HISTORY_US = 600_000_000
ANY = 2**62  # a bound that none reaches


@dataclass(frozen=True)
class Label:
    id: int  # of the row that it is
    key: tuple[Any, ...]
    as_of_us: int


@dataclass(frozen=True)
class View:
    name: str
    stream: int
    by: tuple[str, ...]
    where: Pair | None
    windows: Windows
    features: tuple[Feature, ...]  # of the named windows, or of its life
    last_features: tuple[tuple[Feature, ...], ...]  # of each of the last rows
    history_us: int
    ttl_us: int | None
    self_rule: str | None  # whether a row counts itself

    @property
    def forgets_after_us(self) -> int | None:
        """How long a key is known without an event; None: for ever."""
        if self.ttl_us is None or self.windows.last or not self.windows.named:
            return None
        return max(window.reach_us for window in self.windows.named) + self.ttl_us

    def yaml(self, sources: list[Source]) -> str:
        source = sources[self.stream]
        lines = [f"  {self.name}:", f"    from: {source.inline or source.name}"]
        lines.append(f"    by: [{', '.join(self.by)}]")
        if self.where is not None:
            lines.append(f"    where: {quoted(self.where.ours)}")
        lines += self.windows.yaml()
        if self.history_us != DEFAULT_HISTORY_US:
            lines.append(f"    history: {duration(self.history_us)}")
        if self.ttl_us is not None:
            lines.append(f"    ttl: {duration(self.ttl_us)}")
        if self.self_rule is not None:
            lines.append(f"    self: {self.self_rule}")
        if self.features:
            lines.append("    features:")
            lines += [f"      f{i}: {quoted(f.text)}" for i, f in enumerate(self.features)]
        if self.last_features:
            lines.append("    last:")
        for window, features in zip(self.windows.last, self.last_features, strict=True):
            lines.append(f"      {window.rows}:")
            for i, f in enumerate(features):
                lines.append(f"        l{window.rows}_{i}: {quoted(f.text)}")
        return "\n".join(lines)

    def outputs(self) -> list[tuple[int, Feature, int | None]]:
        """In their order: number of the feature, and of the window; None: over its life."""
        named = range(len(self.windows.named)) if self.windows.named else (None,)
        found: list[tuple[int, Feature, int | None]] = [
            (number, feature, window)
            for number, feature in enumerate(self.features)
            for window in named
        ]
        for window, features in enumerate(self.last_features, len(self.windows.named)):
            begin = found[-1][0] + 1 if found else 0
            found += [(begin + i, feature, window) for i, feature in enumerate(features)]
        return found

    def window_of(self, number: int | None) -> Window | None:
        return None if number is None else self.windows.every[number]

    def keys(self, source: Source) -> list[Column]:
        columns = [source.fields[name].column for name in self.by]
        return [column for column in columns if column is not None]

    def key_sql(self, source: Source, key: tuple[Any, ...]) -> list[str]:
        return [key_sql(*both) for both in zip(self.keys(source), key, strict=True)]

    def question_sql(
        self, source: Source, number: int, epoch: int, as_of_us: int, key: tuple[Any, ...]
    ) -> str:
        """A row of asking()'s relation: after an epoch."""
        values = [number, epoch, ANY, ANY, "NULL", as_of_us, *self.key_sql(source, key)]
        return f"({', '.join(map(str, values))})"

    def label_sql(self, source: Source, number: int, label: Label) -> str:
        """The same for a training set: rows that were known by then, but the label's own."""
        without = "NULL" if self.self_rule == "included" else label.id
        at = label.as_of_us
        values = [number, ANY, ANY, at, without, at, *self.key_sql(source, label.key)]
        return f"({', '.join(map(str, values))})"

    def rows_sql(self, source: Source, first: int, rows: list[tuple[int, int]]) -> str:
        """The same as of rows of the stream, given by epoch and number in it, as a relation."""
        listed = [f"({first + i}, {epoch}, {row})" for i, (epoch, row) in enumerate(rows)]
        ducks = [source.fields[name].duck for name in self.by]
        before = "s.pos" if self.self_rule == "excluded" else "s.pos + 1"
        keys = "".join(f", s.{duck}" for duck in ducks)
        return (
            f"SELECT a.id, {ANY}, {before}, {ANY}, NULL, s.at_us{keys}\n"
            f"  FROM (VALUES {listing(listed)}) a(id, epoch, row)\n"
            "  JOIN (SELECT *, row_number() OVER (PARTITION BY epoch ORDER BY pos) - 1 AS row"
            f" FROM accepted{self.stream}) s\n  USING (epoch, row)"
        )

    def asking(self, source: Source, questions: str) -> str:
        """For each of `questions` (id, the last epoch, the position behind the last row, when rows
        were known at the latest, the row that is left out, the time, the key) its id and time, the
        key's newest time, and what each feature asks for."""
        names = ["id", "epoch", "before", "known_us", "without", "as_of"]
        names += [f"key{i}" for i in range(len(self.by))]
        rows = ["pos", "epoch", "at_us", "known_us", "id AS row_id"]
        rows += [f"{source.fields[name].duck} AS key{i}" for i, name in enumerate(self.by)]
        asks = ["r.id", "any_value(r.as_of)", "max(r.at_us)"]
        for i, feature, window in self.outputs():
            of = self.window_of(window)
            inside = "r.pos IS NOT NULL" if of is None else of.inside(window or 0)
            condition = "" if feature.where is None else f" AND r.c{i}"
            if feature.argument is not None:
                kind, pair = feature.argument
                rows.append(f"{plain_sql(kind, pair.duck)} AS a{i}")
            if feature.where is not None:
                rows.append(f"{feature.where.duck} AS c{i}")
            asks += [
                f"{ask.replace('{a}', f'r.a{i}')} FILTER (WHERE {inside}{condition})"
                for ask in feature.asks
            ]
        where = "" if self.where is None else f" WHERE {self.where.duck}"
        same = [f"q.key{i} IS NOT DISTINCT FROM r.key{i}" for i in range(len(self.by))]
        found = (
            f"SELECT q.id, q.as_of, r.*\nFROM ({questions}) q({', '.join(names)})\n"
            f"LEFT JOIN (SELECT {listing(list(dict.fromkeys(rows)))}\n"
            f"  FROM accepted{self.stream}{where}) r\n"
            f"ON {' AND '.join(same)} AND r.at_us <= q.as_of AND r.epoch <= q.epoch"
            " AND r.pos < q.before AND r.known_us <= q.known_us"
            " AND r.row_id IS DISTINCT FROM q.without"
        )
        parts = [of.columns(i) for i, of in enumerate(self.windows.every)]
        for columns in ([gap for gap, _ in parts if gap], [part for _, part in parts if part]):
            if columns:
                found = f"SELECT r.*, {listing(columns)}\nFROM ({found}) r"
        return f"SELECT {listing(asks)}\nFROM ({found}) r\nGROUP BY r.id"


def listing(parts: list[str]) -> str:
    return ",\n    ".join(parts)


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def key_text(column: Column, value: Any) -> str | None:
    """As the command line takes it."""
    if value is None:
        return None
    sent = json_value(column, value)
    return str(sent).lower() if isinstance(sent, bool) else str(sent)


def key_sql(column: Column, value: Any) -> str:
    text = key_text(column, value)
    literal = "NULL" if text is None else "'" + text.replace("'", "''") + "'"
    return f"CAST({literal} AS {column.duck})"
