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
from pipeline_derived import Deriving, Field, Source, root_fields
from pipeline_features import Aggregates
from pipeline_streams import AT, COLUMNS, Shape, Stream, draw_shape, draw_stream
from pipeline_views import DEFAULT_HISTORY_US, Label, View, key_text, listing
from pipeline_windows import draw_windows, in_ms

QUESTIONS = 8
# Numbers in the SQL of rows as of which views answer, and of labels.
ROWS = 100_000
LABELS = 200_000
NAMES = [column.name for column in COLUMNS]


@dataclass(frozen=True)
class Question:
    view: int
    key: tuple[Any, ...]
    as_of_us: int
    batch: int  # after this one


@dataclass(frozen=True)
class Case:
    streams: list[Stream]  # that come in
    sources: list[Source]  # these, then those that are derived
    views: list[View]
    questions: list[Question]  # in the order of batches
    rows: list[tuple[int, int]]  # views, and every how many rows they are asked as of a row
    labels: dict[int, list[Label]]  # of views, for training sets
    together: bool  # whether the streams' batches may come in one epoch
    killed_after: int | None  # a batch after which the process dies
    batches: int

    def source_of(self, view: View) -> Source:
        return self.sources[view.stream]

    def pipeline(self) -> str:
        lines = ["headrace: 1", "pipeline: generated", "promise: {budget: {p99: 200ms}}"]
        lines += ["clock: events", "streams:", *(stream.yaml() for stream in self.streams)]
        lines += [source.yaml for source in self.sources if source.yaml]
        lines += ["views:", *(view.yaml(self.sources) for view in self.views)]
        if self.labels:
            lines.append("services:")
        for view in (self.views[number] for number in self.labels):
            lines.append(f"  {view.name}: {{features: [{view.name}.*]}}")
        return "\n".join(lines) + "\n"

    def for_engine(self) -> str:
        """A line of evaluate_pipelines.cc's input."""
        steps: list[dict[str, Any]] = []
        asked = iter([*self.questions, None])
        question = next(asked)
        for batch in range(self.batches):
            bodies = [[stream.name, stream.ndjson(batch)] for stream in self.streams]
            steps += [
                {"ingest": some} for some in ([bodies] if self.together else map(one, bodies))
            ]
            if batch == self.killed_after:
                steps.append({"kill": True})
            while question is not None and question.batch == batch:
                view = self.views[question.view]
                texts = map(key_text, view.keys(self.source_of(view)), question.key)
                keys = dict(zip(view.by, texts, strict=True))
                steps.append({"ask": [f"{view.name}.*"], "keys": keys, "as_of": question.as_of_us})
                question = next(asked)
        files = {f"{s.name}.yaml": pipeline_streams.contract(s.name) for s in self.streams}
        case = {"pipeline": self.pipeline(), "files": files, "steps": steps, "verify": True}
        sets = [
            {"service": view.name, "fields": view.by, "labels": self.labels_for_engine(number)}
            for number, view in enumerate(self.views)
            if number in self.labels
        ]
        return json.dumps(case | {"rows": self.rows, "train": sets})

    def labels_for_engine(self, number: int) -> list[list[Any]]:
        keys = self.views[number].keys(self.source_of(self.views[number]))
        return [
            [label.id, label.as_of_us, list(map(key_text, keys, label.key))]
            for label in self.labels[number]
        ]

    def epochs(self, of_ingests: list[int], stream: int) -> list[int]:
        """By batch, of the epochs that evaluate_pipelines.cc gives."""
        return of_ingests[stream :: len(self.streams)]

    def columns(self) -> list[str]:
        """Of the streams that come in, those that the SQL speaks of (and may be some more)."""
        texts = [source.sql for source in self.sources]
        texts += [view.asking(self.source_of(view), "") for view in self.views]
        words = re.findall(r"[a-z_0-9]+", " ".join(texts))
        named = {word.rsplit("__", 1)[-1] for word in words}
        return [name for name in NAMES if name in named]

    def table_sql(self, number: int) -> str:
        """The table of a stream. Of one that comes in, rows that are not late: behind the newest
        before them by more than may be."""
        source = self.sources[number]
        if source.sql:
            return source.sql
        newest = "max(at_us) OVER (ORDER BY pos ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        return (
            f"SELECT * EXCLUDE (newest) FROM (SELECT *, {newest} AS newest FROM events{number}) "
            f"WHERE newest IS NULL OR at_us >= newest - {source.late_us}"
        )

    def view_sql(self, number: int, epochs: list[int], rows: list[tuple[int, int]]) -> str:
        """For all that is asked about the view, as View.asking says: for questions by their number,
        for rows and labels from ROWS and LABELS on."""
        view = self.views[number]
        source = self.source_of(view)
        listed = []
        for i, q in enumerate(self.questions):
            if q.view == number:
                last = max(epochs[: (q.batch + 1) * len(self.streams)])
                listed.append(view.question_sql(source, i, last, q.as_of_us, q.key))
        for i, label in enumerate(self.labels.get(number, [])):
            listed.append(view.label_sql(source, LABELS + i, label))
        relations = [f"VALUES {listing(listed)}"] if listed else []
        relations += [view.rows_sql(source, ROWS, rows)] if rows else []
        return view.asking(source, "\nUNION ALL ".join(relations))


def one(body: list[str]) -> list[list[str]]:
    return [body]


class Cases:
    """Draws cases: the same seed and number give the same one."""

    def __init__(self, seed: int, number: int) -> None:
        self.random = random.Random(seed * 1_000_003 + number)

    def case(self) -> Case:
        shape = draw_shape(self.random)
        derives = self.random.random() < 0.35
        streams = [
            draw_stream(self.random, name, shape)
            for name in ("events", "others")[
                : self.random.choice((1, 2, 2) if derives else (1, 1, 2))
            ]
        ]
        sources = [
            Source(stream.name, root_fields(i), stream.late_us) for i, stream in enumerate(streams)
        ]
        if derives:
            deriving = Deriving(self.random, shape)
            for _ in range(self.random.choice((1, 2, 3))):
                sources.append(deriving.draw(sources))
        views = []
        for i in range(self.random.choice((1, 1, 1, 1, 2, 3))):
            if derives and self.random.random() < 0.2:
                sources += deriving.inline(sources, f"v{i}.from")
                stream = len(sources) - 1
            elif derives and self.random.random() < 0.8:
                stream = self.random.randrange(len(streams), len(sources))
            else:
                stream = self.random.randrange(len(streams))
            views.append(self.view(f"v{i}", shape, stream, sources[stream]))
        questions = [self.question(views, sources, streams, shape) for _ in range(QUESTIONS)]
        killed = self.random.randrange(shape.batches) if self.random.random() < 0.1 else None
        every = max(1, shape.rows // 8)
        rows = [(i, every) for i, view in enumerate(views) if self.asks_rows(view)]
        labels = {}
        for i, view in enumerate(views):
            if self.asks_rows(view):
                drawn = [self.label(view, sources, streams, shape) for _ in range(8)]
                labels[i] = [label for label in drawn if None not in label.key]
        labels = {i: drawn for i, drawn in labels.items() if drawn}
        questions.sort(key=lambda q: q.batch)
        together = derives and self.random.random() < 0.5
        return Case(
            streams, sources, views, questions, rows, labels, together, killed, shape.batches
        )

    def asks_rows(self, view: View) -> bool:
        return self.random.random() < (0.1 if view.self_rule is None else 0.3)

    def view(self, name: str, shape: Shape, stream: int, source: Source) -> View:
        def some(*units: int) -> int:
            return in_ms(self.random.choice(units) * shape.unit_us)

        aggregates = Aggregates(self.random, source.columns())
        windows = draw_windows(self.random, shape.unit_us)
        where = aggregates.condition()
        features = [
            aggregates.feature(windows.named) for _ in range(self.random.choice((1, 2, 3, 4)))
        ]
        keys = source.keys()
        by = self.random.choices(keys, k=self.random.choice((1, 1, 1, 2, 3)))
        return View(
            name=name,
            stream=stream,
            by=tuple(dict.fromkeys(by)),
            where=where if self.random.random() < 0.4 else None,
            windows=windows,
            features=tuple(features if windows.named or not windows.last else ()),
            last_features=tuple(
                tuple(aggregates.last_feature(window) for _ in range(self.random.choice((1, 1, 2))))
                for window in windows.last
            ),
            history_us=self.random.choice((DEFAULT_HISTORY_US, some(20, 100))),
            ttl_us=self.random.choice((None, None, some(5, 30, 200))),
            self_rule=self.random.choice((None, None, "included", "excluded")),
        )

    def question(
        self, views: list[View], sources: list[Source], streams: list[Stream], shape: Shape
    ) -> Question:
        number = self.random.randrange(len(views))
        view = views[number]
        batch = self.random.randrange(shape.batches)
        clock = max(
            row[AT]
            for stream in streams
            for row, of in zip(stream.rows, stream.batch_of, strict=True)
            if of <= batch
        )
        fields = [sources[view.stream].fields[name] for name in view.by]
        row = self.random.choice(streams[fields[0].stream or 0].rows)
        mixed = self.random.random() < 0.1  # perhaps of no row
        key = tuple(
            self.key_value(name, field, streams, row, mixed)
            for name, field in zip(view.by, fields, strict=True)
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

    def label(
        self, view: View, sources: list[Source], streams: list[Stream], shape: Shape
    ) -> Label:
        fields = [sources[view.stream].fields[name] for name in view.by]
        number = self.random.randrange(shape.rows)
        row = streams[fields[0].stream or 0].rows[number]
        key = tuple(
            self.key_value(name, field, streams, row, False)
            for name, field in zip(view.by, fields, strict=True)
        )
        later = self.random.choice((0, 0, self.random.randrange(100 * shape.unit_us)))
        return Label(number, key, row[AT] + later)

    def key_value(
        self, name: str, field: Field, streams: list[Stream], row: list[Any], mixed: bool
    ) -> Any:
        if field.stream is None:  # may be computed so
            values = {"B": (True, False), "I": (0, 1, 2, 7, None), "S": ("", "12"), "D": (0, 1)}
            return self.random.choice(values[field.kind])
        rows = streams[field.stream].rows
        other = mixed or (field.stream > 0 and "." in name)
        return (self.random.choice(rows) if other else row)[NAMES.index(name.rsplit(".", 1)[-1])]
