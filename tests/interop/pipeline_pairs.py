"""Random pipelines: the file and the events that an engine gets, and the SQL that asks DuckDB for
the same answers.

A view's rows are those of its stream that were not late, for which its `where` is true. A question
is about a key, as of a time, after so many batches; or about a row, as of when it had come.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from typing import Any

import pipeline_streams
from expression_pairs import Pair
from pipeline_features import Aggregates, Feature, Span, plain_sql
from pipeline_streams import AT, COLUMNS, KEYS, Shape, Stream, draw_shape, draw_stream, json_value
from pipeline_windows import DAY, Window, Windows, draw_windows, duration, in_ms

DEFAULT_LATE_US = DEFAULT_HISTORY_US = 600_000_000


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

    def yaml(self, streams: list[Stream]) -> str:
        lines = [f"  {self.name}:", f"    from: {streams[self.stream].name}"]
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


@dataclass(frozen=True)
class Question:
    view: int
    key: tuple[Any, ...]
    as_of_us: int
    batch: int  # after this one


@dataclass(frozen=True)
class Case:
    streams: list[Stream]
    late_us: list[int]  # by stream
    views: list[View]
    questions: list[Question]  # in the order of batches
    rows: list[tuple[int, int]]  # views, and every how many rows they are asked as of a row
    killed_after: int | None  # a batch after which the process dies
    batches: int

    def pipeline(self) -> str:
        lines = ["headrace: 1", "pipeline: generated", "promise: {budget: {p99: 200ms}}"]
        lines += ["clock: events", "streams:"]
        for stream, late in zip(self.streams, self.late_us, strict=True):
            name = stream.name
            timing = f"{{event: at, late: {duration(late)}, max_ahead: 30d}}"
            lines.append(
                f"  {name}: {{contract: {name}.yaml, source: {{http: push}}, time: {timing}}}"
            )
        lines += ["views:", *(view.yaml(self.streams) for view in self.views)]
        return "\n".join(lines) + "\n"

    def for_engine(self) -> str:
        """A line of evaluate_pipelines.cc's input."""
        steps: list[dict[str, Any]] = []
        asked = iter([*self.questions, None])
        question = next(asked)
        for batch in range(self.batches):
            steps += [{"ingest": s.name, "body": s.ndjson(batch)} for s in self.streams]
            if batch == self.killed_after:
                steps.append({"kill": True})
            while question is not None and question.batch == batch:
                view = self.views[question.view]
                keys = dict(zip(view.by, map(key_text, view.by, question.key), strict=True))
                steps.append({"ask": [f"{view.name}.*"], "keys": keys, "as_of": question.as_of_us})
                question = next(asked)
        files = {f"{s.name}.yaml": pipeline_streams.contract(s.name) for s in self.streams}
        case = {"pipeline": self.pipeline(), "files": files, "steps": steps, "verify": True}
        return json.dumps(case | {"rows": self.rows})

    def epochs(self, of_ingests: list[int], stream: int) -> list[int]:
        """By batch, of the epochs that evaluate_pipelines.cc gives."""
        return of_ingests[stream :: len(self.streams)]

    def columns(self, stream: int) -> list[str]:
        """Of the stream, those that the SQL of its views speaks of (and may be some more)."""
        views = [i for i, view in enumerate(self.views) if view.stream == stream]
        texts = [self.asking(i, "", "") for i in views]
        words = set(re.findall(r"\w+", " ".join(texts)))
        return [column.name for column in COLUMNS if column.name in words]

    def accepted_sql(self, stream: int) -> str:
        """Rows that are not late: behind the newest before them by more than may be."""
        newest = "max(at_us) OVER (ORDER BY pos ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        return (
            f"SELECT * FROM (SELECT *, {newest} AS newest FROM events{stream}) "
            f"WHERE newest IS NULL OR at_us >= newest - {self.late_us[stream]}"
        )

    def view_sql(self, number: int) -> str:
        """For each question about the view: its number, the key's newest time, what is asked."""
        view = self.views[number]
        questions = [
            f"({', '.join([str(i), str(q.batch), str(q.as_of_us), *map(key_sql, view.by, q.key)])})"
            for i, q in enumerate(self.questions)
            if q.view == number
        ]
        names = ", ".join(["id", "batch", "as_of", *(f"key_{name}" for name in view.by)])
        return self.asking(
            number, f"(VALUES {listing(questions)}) q({names})", "r.batch <= q.batch"
        )

    def rows_sql(self, number: int, rows: list[tuple[int, int]]) -> str:
        """The same as of rows of the view's stream, given by epoch and number in it."""
        view = self.views[number]
        listed = [f"({i}, {epoch}, {row})" for i, (epoch, row) in enumerate(rows)]
        keys = "".join(f", s.{name} AS key_{name}" for name in view.by)
        questions = (
            f"(SELECT a.id, s.pos, s.at_us AS as_of{keys}\n"
            f"  FROM (VALUES {listing(listed)}) a(id, epoch, row)\n"
            f"  JOIN (SELECT *, row_number() OVER (PARTITION BY epoch ORDER BY pos) - 1 AS row"
            f" FROM accepted{view.stream}) s\n  USING (epoch, row)) q"
        )
        before = "<" if view.self_rule == "excluded" else "<="
        return self.asking(number, questions, f"r.pos {before} q.pos", as_of=True)

    def asking(self, number: int, questions: str, known: str, as_of: bool = False) -> str:
        """`questions` is a relation q of id, as_of and the key; `known`: which rows are there."""
        view = self.views[number]
        rows = ["pos", "batch", "at_us", *(f"{name} AS key_{name}" for name in view.by)]
        asks = ["r.id", *(["any_value(r.as_of)"] if as_of else []), "max(r.at_us)"]
        for i, feature, window in view.outputs():
            of = view.window_of(window)
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
        where = "" if view.where is None else f" WHERE {view.where.duck}"
        keys = [f"key_{name}" for name in view.by]
        found = (
            f"SELECT q.id, q.as_of, r.*\nFROM {questions}\n"
            f"LEFT JOIN (SELECT {listing(list(dict.fromkeys(rows)))}\n"
            f"  FROM accepted{view.stream}{where}) r\n"
            f"ON {' AND '.join(f'q.{key} IS NOT DISTINCT FROM r.{key}' for key in keys)}"
            f" AND {known} AND r.at_us <= q.as_of"
        )
        parts = [of.columns(i) for i, of in enumerate(view.windows.every)]
        for columns in ([gap for gap, _ in parts if gap], [part for _, part in parts if part]):
            if columns:
                found = f"SELECT r.*, {listing(columns)}\nFROM ({found}) r"
        return f"SELECT {listing(asks)}\nFROM ({found}) r\nGROUP BY r.id"


def listing(parts: list[str]) -> str:
    return ",\n    ".join(parts)


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def key_text(name: str, value: Any) -> str | None:
    if value is None:
        return None
    sent = json_value(KEYS[name], value)
    return str(sent).lower() if isinstance(sent, bool) else str(sent)


def key_sql(name: str, value: Any) -> str:
    text = key_text(name, value)
    literal = "NULL" if text is None else "'" + text.replace("'", "''") + "'"
    return f"CAST({literal} AS {KEYS[name].duck})"


class Cases:
    """Draws cases: the same seed and number give the same one."""

    def __init__(self, seed: int, number: int) -> None:
        self.random = random.Random(seed * 1_000_003 + number)

    def case(self) -> Case:
        shape = draw_shape(self.random)
        streams = [
            draw_stream(self.random, name, shape)
            for name in ("events", "others")[: self.random.choice((1, 1, 2))]
        ]
        late = [self.late(shape) for _ in streams]
        aggregates = Aggregates(self.random)
        views = [
            self.view(f"v{i}", shape, aggregates, len(streams))
            for i in range(self.random.choice((1, 1, 2, 3)))
        ]
        questions = [self.question(views, streams, shape) for _ in range(10)]
        killed = self.random.randrange(shape.batches) if self.random.random() < 0.1 else None
        every = max(1, shape.rows // 8)
        rows = [(i, every) for i, view in enumerate(views) if self.asks_rows(view)]
        questions.sort(key=lambda q: q.batch)
        return Case(streams, late, views, questions, rows, killed, shape.batches)

    def asks_rows(self, view: View) -> bool:
        return self.random.random() < (0.1 if view.self_rule is None else 0.4)

    def late(self, shape: Shape) -> int:
        return self.random.choice((DEFAULT_LATE_US, in_ms(20 * shape.unit_us), 30 * DAY))

    def view(self, name: str, shape: Shape, aggregates: Aggregates, streams: int) -> View:
        def some(*units: int) -> int:
            return in_ms(self.random.choice(units) * shape.unit_us)

        windows = draw_windows(self.random, shape.unit_us)
        where = aggregates.condition()
        features = [
            aggregates.feature(windows.named) for _ in range(self.random.choice((1, 2, 4, 6)))
        ]
        return View(
            name=name,
            stream=self.random.randrange(streams),
            by=tuple(self.random.sample(sorted(KEYS), self.random.choice((1, 1, 1, 2, 3)))),
            where=where if self.random.random() < 0.4 else None,
            windows=windows,
            features=tuple(features if windows.named or not windows.last else ()),
            last_features=tuple(
                tuple(aggregates.last_feature(window) for _ in range(self.random.choice((1, 2, 4))))
                for window in windows.last
            ),
            history_us=self.random.choice((DEFAULT_HISTORY_US, some(20, 100))),
            ttl_us=self.random.choice((None, None, some(5, 30, 200))),
            self_rule=self.random.choice((None, None, "included", "excluded")),
        )

    def question(self, views: list[View], streams: list[Stream], shape: Shape) -> Question:
        number = self.random.randrange(len(views))
        view = views[number]
        batch = self.random.randrange(shape.batches)
        clock = max(
            row[AT]
            for stream in streams
            for row, of in zip(stream.rows, stream.batch_of, strict=True)
            if of <= batch
        )
        stream = streams[view.stream]
        row = self.random.choice(stream.rows)
        other = self.random.choice(stream.rows)
        names = [column.name for column in COLUMNS]
        mixed = self.random.random() < 0.1  # perhaps of no row
        key = tuple(
            (self.random.choice((row, other)) if mixed else row)[names.index(n)] for n in view.by
        )
        as_of = self.random.choice(
            (
                clock,
                clock - self.random.randrange(view.history_us + 1),
                clock - view.history_us,
                clock + self.random.randrange(40 * shape.unit_us),
                row[AT],
                *(self.random.choice(window.edges(row[AT])) for window in view.windows.every),
            )
        )
        return Question(number, key, max(as_of, clock - view.history_us), batch)
