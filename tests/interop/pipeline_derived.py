"""Random derived streams, each as the pipeline file says it and as a table of DuckDB.

A stream's table is `accepted` and its number. Beside its columns it has `pos`, by which rows come;
`epoch`; `at_us`, the event time; and `known_us`, when the row became known. A column of a joined
stream is `others.n` with us and `others__n` there.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from expression_pairs import Generator, Pair
from pipeline_streams import COLUMNS, Column, Shape
from pipeline_windows import duration, in_ms

# As expression_pairs.py names kinds; a key that is no kind there stands in no expression.
KINDS = {
    "b": "B",
    "i": "I",
    "n": "I",
    "k": "n",
    "g": "F",
    "f": "F",
    "s": "S",
    "z": "S",
    "j": "J",
    "x": "X",
    "d": "D",
    "t": "T",
    "w": "W",
    "at": "T",
}
CASTS = {"i": "CAST({} AS BIGINT)", "g": "CAST({} AS DOUBLE)"}
DERIVED = {
    "B": Column("", "bool", "BOOLEAN", None, key=True),
    "I": Column("", "int64", "BIGINT", None, key=True),
    "S": Column("", "string", "VARCHAR", None, key=True),
    "D": Column("", "date", "DATE", None, key=True),
}


# Of more DuckDB's joins take too long.
ROWS_MAX = 200


@dataclass(frozen=True)
class Field:
    """A column of a stream."""

    duck: str  # its name there
    kind: str  # of expression_pairs.py; empty: in no expression
    value: str  # of that kind, there
    column: Column | None  # what the values are; None: no key
    stream: int | None = None  # the root that has them; None: computed


Fields = dict[str, Field]


@dataclass(frozen=True)
class Source:
    """A stream, whether it comes in or is derived."""

    name: str
    fields: Fields
    late_us: int
    sql: str = ""  # of the table; of one that comes in there is none
    yaml: str = ""
    plain: bool = True  # its rows depend on no others
    ordered: bool = True  # its rows come as those of one that comes in
    inline: str = ""  # it is a view's own: what its `from` says
    unnested: bool = False  # its rows are elements of lists

    def columns(self) -> dict[str, list[tuple[str, str]]]:
        """For expressions: what is joined or computed stands there twice."""
        found: dict[str, list[tuple[str, str]]] = {}
        for name, field in self.fields.items():
            if field.kind:
                of_kind = found.setdefault(field.kind, [])
                of_kind += [(name, field.value)] * (2 if "." in name or field.stream is None else 1)
        return found

    def keys(self) -> list[str]:
        """Whose values are known, those of roots, stand more than once."""
        keys = [n for n, f in self.fields.items() if f.column is not None and f.column.key]
        return keys + [n for n in keys if self.fields[n].stream is not None] * 2


def named(sources: list[Source]) -> list[int]:
    return [number for number, source in enumerate(sources) if not source.inline]


def root_fields(stream: int) -> Fields:
    return {
        c.name: Field(
            quoted(c.name),
            KINDS.get(c.name, ""),
            CASTS.get(c.name, "{}").format(quoted(c.name)),
            c,
            stream,
        )
        for c in COLUMNS
    }


def quoted(name: str) -> str:
    return f'"{name}"' if name == "at" else name


def joined_fields(other: Source) -> Fields:
    found = {}
    for name, field in other.fields.items():
        duck = f"{other.name}__{name}"
        cast = CASTS.get(name, "{}") if field.stream is not None else "{}"
        found[f"{other.name}.{name}"] = Field(
            duck, field.kind, cast.format(duck), field.column, field.stream
        )
    return found


@dataclass(frozen=True)
class Join:
    """SQL of the rows that it makes, without what is computed and chosen behind it."""

    text: str
    sql: str
    fields: Fields
    interval: bool


def within_text(begin: int, end: int) -> str:
    return duration(end) if begin == 0 < end else f"{signed(begin)} to {signed(end)}"


def signed(us: int) -> str:
    return f"-{duration(-us)}" if us < 0 else duration(us) if us > 0 else "0"


class Deriving:
    """Draws derived streams of a case. Not thread-safe; the same source gives the same ones."""

    def __init__(self, source: random.Random, shape: Shape) -> None:
        self.random = source
        self.shape = shape
        self.computed = 0

    def some(self, *units: int) -> int:
        return in_ms(self.random.choice(units) * self.shape.unit_us)

    def inline(self, sources: list[Source], name: str) -> list[Source]:
        """One that a view has for itself, if there is anything to join."""
        begin = self.random.choice(named(sources))
        join = self.join(sources, begin)
        if join is None:
            return []
        ordered = not join.interval
        of = sources[begin]
        return [
            Source(
                *(name, join.fields, of.late_us, join.sql, "", False, ordered, join.text),
                unnested=of.unnested,
            )
        ]

    def draw(self, sources: list[Source]) -> Source:
        """One more behind these."""
        name = f"d{len(sources)}"
        begin = self.random.choice(named(sources))
        join = self.join(sources, begin) if self.random.random() < 0.6 else None
        of = sources[begin]
        fields = of.fields if join is None else join.fields
        ordered = of.ordered and (join is None or not join.interval)
        sql = f"SELECT * FROM accepted{begin}" if join is None else join.sql
        text = of.name if join is None else join.text
        lines = [f"  {name}:", f"    from: {text}"]
        unnested = not of.unnested and "l" in fields and self.random.random() < 0.4
        if unnested:
            sql, fields = self.unnest(lines, fields, sql)
        pairs = self.pairs(fields)
        wide = dict(fields)
        if self.random.random() < 0.6:
            sql = self.derive(pairs, lines, wide, sql)
        if self.random.random() < 0.5:
            where = condition(self.pairs(wide), self.random)
            lines.append(f"    where: {text_of(where.ours)}")
            sql = f"SELECT * FROM ({sql}) WHERE {where.duck}"
        wide = self.keep(wide, ordered, lines)
        plain = of.plain and join is None
        if ordered and self.shape.rows <= ROWS_MAX and self.random.random() < 0.3:
            sql = self.dedupe(wide, lines, sql)
            plain = False
        yaml = "\n".join(lines)
        unnested |= of.unnested
        return Source(name, wide, of.late_us, sql, yaml, plain, ordered, unnested=unnested)

    def unnest(self, lines: list[str], fields: Fields, sql: str) -> tuple[str, Fields]:
        """DuckDB is told the numbers of the elements, and finds each by its number."""
        most = self.random.choice((100, 100, 1, 2, 3))
        kept = self.random.random() < 0.4
        texts = self.random.random() < 0.4
        element = self.random.choice(("element", "l", "line"))
        parts = ["list: l", f"element: {element}"]
        parts += [f"at_most: {most}"] if most != 100 else []
        parts += ["empty: kept"] if kept else []
        parts += ["as: text"] if texts else []
        lines.append(f"    unnest: {{{', '.join(parts)}}}")
        is_list = "json_valid(l) AND json_type(l) = 'ARRAY'"
        length = f"coalesce(CASE WHEN {is_list} THEN json_array_length(l) END, 0)"
        numbers = f"range(1, CAST(least({length}, {most}) AS BIGINT) + 1)"
        if kept:
            numbers = f"CASE WHEN {length} = 0 THEN [NULL] ELSE {numbers} END"
        at = "'$[' || CAST(ordinal - 1 AS VARCHAR) || ']'"
        value = f"nullif(CAST(json_extract(l, {at}) AS VARCHAR), 'null')"
        if texts:
            value = f"json_extract_string(l, {at})"
        value = f"CASE WHEN ordinal IS NOT NULL THEN {value} END"
        columns = "* EXCLUDE (l)" if element == "l" else "*"
        sql = (
            f"SELECT {columns} REPLACE (row_number() OVER (ORDER BY pos, ordinal) AS pos),"
            f" {value} AS {element}\nFROM (SELECT *, unnest({numbers}) AS ordinal FROM ({sql}))"
        )
        found = {
            element if name == "l" else name: Field(
                element, "J", element, Column("", "string", "VARCHAR", None)
            )
            if name == "l"
            else field
            for name, field in fields.items()
        }
        return sql, found | {"ordinal": Field("ordinal", "I", "ordinal", DERIVED["I"])}

    def pairs(self, fields: Fields) -> Generator:
        columns = Source("", fields, 0).columns()
        return Generator(self.random.randrange(2**40), columns)

    def derive(self, pairs: Generator, lines: list[str], wide: Fields, sql: str) -> str:
        lines.append("    derive:")
        parts = []
        for _ in range(self.random.choice((1, 2, 3))):
            kind = self.random.choice("BIFSDTW")
            pair = pairs.of_type(kind, self.random.choice((1, 1, 2)))
            if kind == "B" and "NULL" in pair.ours:
                pair = Pair(f"CAST({pair.ours} AS bool)", pair.duck)
            name = f"c{self.computed}"
            self.computed += 1
            lines.append(f"      {name}: {text_of(pair.ours)}")
            parts.append(f"{pair.duck} AS {name}")
            column = DERIVED.get(kind)
            wide[name] = Field(name, kind, name, column)
        return f"SELECT *, {', '.join(parts)} FROM ({sql})"

    def keep(self, wide: Fields, ordered: bool, lines: list[str]) -> Fields:
        """Leaves some columns out; one key at least stays."""
        chance = self.random.random()
        if chance > 0.4:
            return wide
        time = "at" if ordered else "joined_at"
        keys = [n for n, f in wide.items() if f.column is not None and f.column.key]
        stays = {time, self.random.choice(keys)}
        stays |= {n for n in wide if self.random.random() < (0.5 if chance < 0.2 else 0.8)}
        stays |= {"k", "j", "x", "w"} & set(wide)  # of which expressions have no literals
        stays.add("id")  # by which a label's own row is left out
        if chance < 0.2:
            lines.append(f"    select: [{', '.join(n for n in wide if n in stays)}]")
        elif len(stays) < len(wide):
            lines.append(f"    drop: [{', '.join(n for n in wide if n not in stays)}]")
        return {name: field for name, field in wide.items() if name in stays}

    def dedupe(self, wide: Fields, lines: list[str], sql: str) -> str:
        keys = self.random.random() < 0.8  # so that there are repeats
        can = [
            name
            for name, field in wide.items()
            if field.column is not None
            and (field.column.key if keys else field.column.ours not in FLOATS)
        ]
        by = self.random.sample(can, min(len(can), self.random.choice((1, 1, 2))))
        within = self.some(1, 5, 20, 300)
        lines.append(f"    dedupe: {{by: [{', '.join(by)}], within: {duration(within)}}}")
        ducks = [wide[n].duck for n in by]
        some_null = " OR ".join(f"{duck} IS NULL" for duck in ducks)
        near = f"len(list_filter(kept, lambda y: abs(y.at_us - x[1].at_us) <= {within})) > 0"
        kept = (
            "list_reduce(list([{'at_us': at_us, 'pos': pos}] ORDER BY pos), "
            f"lambda kept, x: CASE WHEN {near} THEN kept ELSE list_concat(kept, x) END)"
        )
        return (
            f"WITH deduped AS ({sql}), firsts AS (SELECT unnest(list_transform({kept}, "
            f"lambda y: y.pos)) AS pos FROM deduped GROUP BY {', '.join(ducks)})\n"
            f"SELECT * FROM deduped WHERE {some_null} OR pos IN (SELECT pos FROM firsts)"
        )

    def join(self, sources: list[Source], begin: int) -> Join | None:
        of = sources[begin]
        interval = self.random.random() < 0.5
        if not of.ordered or self.shape.rows > ROWS_MAX:
            return None
        others = [
            (number, other)
            for number, other in enumerate(sources)
            if number != begin
            and not other.inline
            and other.ordered
            and (interval or other.plain)
            and not any("." in name for name in other.fields)
            and not any(name.startswith(other.name + ".") for name in of.fields)
        ]
        if not others:
            return None
        number, other = self.random.choice(others)
        can = [
            name
            for name, field in of.fields.items()
            if name in other.fields
            and field.column is not None
            and field.stream is not None
            and field.column.ours not in FLOATS
            and (field.column.key or self.random.random() < 0.1)
        ]
        if not can:
            return None
        using = self.random.sample(can, min(len(can), self.random.choice((1, 1, 2))))
        left = "left " if self.random.random() < 0.6 else ""
        fields = of.fields | joined_fields(other)
        others_columns = ", ".join(
            f"d.{field.duck} AS {other.name}__{name}" for name, field in other.fields.items()
        )
        on = " AND ".join(f"e.{of.fields[n].duck} = d.{other.fields[n].duck}" for n in using)
        e, d = f"accepted{begin}", f"accepted{number}"
        if not interval:
            text = f"{of.name} asof {left}join {other.name} using ({', '.join(using)})"
            return Join(text, as_of_sql(e, d, on, others_columns, bool(left)), fields, False)
        first, last = self.bounds()
        text = (
            f"{of.name} {left}join {other.name} using ({', '.join(using)})"
            f" within {within_text(first, last)}"
        )
        fields = fields | {"joined_at": Field("joined_at", "T", "joined_at", None)}
        sql = interval_sql(e, d, on, others_columns, (first, last), other.late_us if left else None)
        return Join(text, sql, fields, True)

    def bounds(self) -> tuple[int, int]:
        span = self.some(1, 3, 10, 40)
        begin = self.random.choice((0, 0, -span, -self.some(1, 3, 10), self.some(1, 2)))
        return begin, max(begin, self.random.choice((span, span, -self.some(0, 1))))


FLOATS = ("float32", "float64")


def condition(pairs: Generator, source: random.Random) -> Pair:
    pair = pairs.of_type("B", source.choice((0, 1, 1, 2)))
    return Pair(f"CAST({pair.ours} AS bool)", pair.duck) if "NULL" in pair.ours else pair


def text_of(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def as_of_sql(event: str, dimension: str, on: str, named: str, left: bool) -> str:
    """The newest version that is valid and known: by event time, then by position."""
    newest = "row_number() OVER (PARTITION BY e.pos ORDER BY d.at_us DESC, d.pos DESC)"
    return (
        f"SELECT * EXCLUDE (choice) FROM (SELECT e.*, {named}, {newest} AS choice\n"
        f"  FROM {event} e {'LEFT ' if left else ''}JOIN {dimension} d\n"
        f"  ON {on} AND d.at_us <= e.at_us AND d.epoch <= e.epoch"
        " AND d.known_us <= greatest(e.known_us, e.at_us))\nWHERE choice = 1"
    )


def interval_sql(
    event: str,
    other: str,
    on: str,
    named: str,
    bounds: tuple[int, int],
    other_late_us: int | None,  # of a left join
) -> str:
    """Pairs, dated by the later one; and events that can find none any more. In an epoch the
    others meet the events of before, then its events meet the others, then come those without."""
    first, last = bounds
    later = "d.epoch > e.epoch"
    parts = [
        "WITH pairs AS (SELECT e.* REPLACE (greatest(e.epoch, d.epoch) AS epoch,"
        " greatest(e.at_us, d.at_us) AS at_us, greatest(e.known_us, d.known_us) AS known_us),"
        f" {named},\n"
        f"  if({later}, 0, 1) AS phase, if({later}, d.pos, e.pos) AS by_pos,"
        f" if({later}, e.at_us, d.at_us) AS met_at, if({later}, e.pos, d.pos) AS met_pos,"
        f" e.pos AS event\n  FROM {event} e JOIN {other} d\n"
        f"  ON {on} AND d.at_us BETWEEN e.at_us + {first} AND e.at_us + {last})"
    ]
    rows = "FROM pairs"
    if other_late_us is not None:
        parts.append(
            "newest AS (SELECT epoch, max(max(at_us)) OVER (ORDER BY epoch) AS at_us"
            f" FROM {other} GROUP BY epoch)"
        )
        before = "OVER (ORDER BY pos ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        parts.append(
            "moves AS (SELECT * FROM (SELECT epoch, pos, known_us,"
            f" coalesce(at_us > max(at_us) {before}, true) AS moved FROM {other}) WHERE moved)"
        )
        parts.append(
            f"made AS (SELECT e.pos, min(n.epoch) AS epoch FROM {event} e JOIN newest n"
            f" ON n.at_us > e.at_us + {last} + {other_late_us}\n"
            "  WHERE e.pos NOT IN (SELECT event FROM pairs) GROUP BY e.pos)"
        )
        parts.append(
            "decided AS (SELECT e.pos, any_value(greatest(e.epoch, m.epoch)) AS epoch,"
            " arg_max(v.known_us, v.pos) AS known_us\n"
            f"  FROM made m JOIN {event} e USING (pos)"
            " JOIN moves v ON v.epoch <= greatest(e.epoch, m.epoch) GROUP BY e.pos)"
        )
        parts.append(
            "alone AS (SELECT e.* REPLACE (m.epoch AS epoch, greatest(e.at_us, e.at_us +"
            f" {last}) AS at_us, greatest(e.known_us, m.known_us) AS known_us), {named},\n"
            "  2 AS phase, 0 AS by_pos, e.at_us AS met_at, e.pos AS met_pos, e.pos AS event\n"
            f"  FROM decided m JOIN {event} e USING (pos) LEFT JOIN {other} d ON FALSE)"
        )
        rows = "FROM (FROM pairs UNION ALL FROM alone)"
    return (
        ",\n".join(parts) + "\nSELECT * EXCLUDE (phase, by_pos, met_at, met_pos, event) REPLACE"
        " (row_number() OVER (ORDER BY epoch, phase, by_pos, met_at, met_pos) AS pos),"
        f" make_timestamptz(at_us) AS joined_at\n{rows}"
    )
