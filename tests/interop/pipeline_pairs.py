"""Random pipelines: the file and the events that an engine gets, and the SQL that asks DuckDB for
the same answers.

A view's rows are those of its stream that were not late, for which its `where` is true. A question
is about a key, as of a time, after so many batches.
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

UNITS = (("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000))
DEFAULT_LATE_US = DEFAULT_HISTORY_US = 600_000_000


def duration(us: int) -> str:
    for name, unit in UNITS:
        if us % unit == 0:
            return f"{us // unit}{name}"
    return f"{us // 1000}ms"


def in_ms(us: int) -> int:
    """The least whole number of milliseconds that is as long: what the file can say."""
    return -(-us // 1000) * 1000


@dataclass(frozen=True)
class View:
    name: str
    stream: int
    by: tuple[str, ...]
    where: Pair | None
    windows_us: tuple[int, ...]  # ascending; none: over its life
    features: tuple[Feature, ...]
    history_us: int
    ttl_us: int | None

    def yaml(self, streams: list[Stream]) -> str:
        features = [f"      f{i}: {quoted(f.text)}" for i, f in enumerate(self.features)]
        lines = [f"  {self.name}:", f"    from: {streams[self.stream].name}"]
        lines.append(f"    by: [{', '.join(self.by)}]")
        if self.where is not None:
            lines.append(f"    where: {quoted(self.where.ours)}")
        if self.windows_us:
            lines.append(f"    over: [{', '.join(map(duration, self.windows_us))}]")
        if self.history_us != DEFAULT_HISTORY_US:
            lines.append(f"    history: {duration(self.history_us)}")
        if self.ttl_us is not None:
            lines.append(f"    ttl: {duration(self.ttl_us)}")
        return "\n".join([*lines, "    features:", *features])

    def spans(self, as_of_us: int) -> list[Span]:
        return [Span(as_of_us, window) for window in self.windows_us or (0,)]


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
        return json.dumps(
            {"pipeline": self.pipeline(), "files": files, "steps": steps, "verify": True}
        )

    def columns(self, stream: int) -> list[str]:
        """Of the stream, those that the SQL of its views speaks of (and may be some more)."""
        texts = [self.view_sql(i) for i, view in enumerate(self.views) if view.stream == stream]
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
        rows = ["pos", "batch", "at_us", *(f"{name} AS key_{name}" for name in view.by)]
        asks = ["q.id", "max(r.at_us)"]
        for i, feature in enumerate(view.features):
            if feature.argument is not None:
                kind, pair = feature.argument
                rows.append(f"{plain_sql(kind, pair.duck)} AS a{i}")
            if feature.where is not None:
                rows.append(f"{feature.where.duck} AS c{i}")
            condition = "" if feature.where is None else f" AND r.c{i}"
            for window in view.windows_us or (None,):
                inside = "r.pos IS NOT NULL" if window is None else f"r.at_us > q.as_of - {window}"
                asks += [
                    f"{ask.replace('{a}', f'r.a{i}')} FILTER (WHERE {inside}{condition})"
                    for ask in feature.asks
                ]
        where = "" if view.where is None else f" WHERE {view.where.duck}"
        keys = [f"key_{name}" for name in view.by]
        questions = [
            f"({', '.join([str(i), str(q.batch), str(q.as_of_us), *map(key_sql, view.by, q.key)])})"
            for i, q in enumerate(self.questions)
            if q.view == number
        ]
        return (
            f"SELECT {listing(asks)}\n"
            f"FROM (VALUES {listing(questions)}) q({', '.join(['id', 'batch', 'as_of', *keys])})\n"
            f"LEFT JOIN (SELECT {listing(rows)}\n  FROM accepted{view.stream}{where}) r\n"
            f"ON {' AND '.join(f'q.{key} IS NOT DISTINCT FROM r.{key}' for key in keys)}"
            " AND r.batch <= q.batch AND r.at_us <= q.as_of\nGROUP BY q.id"
        )


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
        return Case(
            streams, late, views, sorted(questions, key=lambda q: q.batch), killed, shape.batches
        )

    def late(self, shape: Shape) -> int:
        return self.random.choice((DEFAULT_LATE_US, in_ms(20 * shape.unit_us), 30 * UNITS[0][1]))

    def view(self, name: str, shape: Shape, aggregates: Aggregates, streams: int) -> View:
        def some(*units: int) -> int:
            return in_ms(self.random.choice(units) * shape.unit_us)

        lifetime = self.random.random() < 0.1
        windows = {some(1, 5, 10, 60, 300, 10_000) for _ in range(self.random.choice((1, 2, 3)))}
        where = aggregates.condition()
        return View(
            name=name,
            stream=self.random.randrange(streams),
            by=tuple(self.random.sample(sorted(KEYS), self.random.choice((1, 1, 1, 2, 3)))),
            where=where if self.random.random() < 0.4 else None,
            windows_us=() if lifetime else tuple(sorted(windows)),
            features=tuple(
                aggregates.feature(lifetime) for _ in range(self.random.choice((1, 2, 4, 6)))
            ),
            history_us=self.random.choice((DEFAULT_HISTORY_US, some(20, 100))),
            ttl_us=self.random.choice((None, None, some(5, 30, 200))),
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
                *(row[AT] + window - self.random.choice((0, 1)) for window in view.windows_us),
            )
        )
        return Question(number, key, max(as_of, clock - view.history_us), batch)
