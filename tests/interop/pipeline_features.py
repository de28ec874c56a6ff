"""Random aggregates, each as our feature text and as what DuckDB is asked for it.

DuckDB chooses the rows of the window and computes whatever it computes exactly. Where it rounds on
the way (sums, means, variances and decays of floats) it gives the values, and they are added here
in exact arithmetic, since that is what ours promise.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from expression_pairs import Generator, Pair
from pipeline_windows import Window

INT64 = range(-(2**63), 2**63)
INVALID = object()
KINDS = "BIFSDTWX"
HALF_LIVES_MAX = 1022
LIST_MAX = 100  # elements that a list may have


@dataclass(frozen=True)
class Span:
    as_of_us: int
    window_us: int


@dataclass(frozen=True)
class Expected:
    value: Any
    near: float = 0.0  # how far ours may be from it
    relative: float = 0.0  # the same, as a share of it


Fold = Callable[[list[Any], Span], Expected]


@dataclass(frozen=True)
class Feature:
    """`asks` are SQL aggregates with a FILTER to come; `of` is the argument's column."""

    text: str
    asks: tuple[str, ...]
    fold: Fold
    argument: tuple[str, Pair] | None = None  # its kind
    where: Pair | None = None


def plain_sql(kind: str, text: str) -> str:
    """A value of this kind as a bool, an integer, a double or a text that orders as it does."""
    if kind in "TW":
        return f"epoch_us({text})"
    if kind == "D":
        return f"date_diff('day', DATE '1970-01-01', {text})"
    return f"lower(hex({text}))" if kind == "X" else text


# ---- exact arithmetic ----


def exact_sum(values: list[float]) -> float:
    """Rounded once; of values that are not all finite what IEEE 754 says."""
    try:
        return math.fsum(values)
    except OverflowError:  # on the way, perhaps
        return rounded(sum(map(Fraction, values), Fraction(0)))
    except ValueError:  # infinities of both signs
        return math.nan


def rounded(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def in_range(value: float, of: list[float]) -> Any:
    """An infinity that no infinite value made is beyond float64."""
    return INVALID if math.isinf(value) and all(map(math.isfinite, of)) else value


def divided(values: list[float], divisor: float) -> float:
    """The sum, rounded as if there were no largest float64, by the divisor."""
    found = exact_sum(values)
    if in_range(found, values) is INVALID:
        return rounded(sum(map(Fraction, values), Fraction(0)) / 2**64) / divisor * 2.0**64
    return found / divisor


def root(value: Fraction) -> float:
    """The square root, to 80 bits and more."""
    bits = 160
    while value and value * 4**bits < 4**80:
        bits *= 2
    return rounded(Fraction(math.isqrt(int(value * 4**bits)), 2**bits))


def spread(values: list[float] | list[int], sample: bool, deviation: bool) -> Any:
    n = len(values)
    if n < (2 if sample else 1):
        return None
    if not all(map(math.isfinite, values)):
        return math.nan
    fixed = 2**1074
    whole = [p * (fixed // q) for p, q in (value.as_integer_ratio() for value in values)]
    square = Fraction(n * sum(v * v for v in whole) - sum(whole) ** 2, fixed * fixed)
    variance = square / (n * (n - 1) if sample else n * n)
    found = root(variance) if deviation else rounded(variance)
    return INVALID if math.isinf(found) else found


def decay(ages: list[int], values: list[float], half_life: int) -> Expected:
    terms = [
        value * 2.0 ** -(age / half_life)
        for age, value in zip(ages, values, strict=True)
        if age // half_life < HALF_LIVES_MAX
    ]
    found = in_range(exact_sum(terms), values)
    if found is INVALID or not math.isfinite(found):
        return Expected(found)
    # 2 ** x has the rounding of age / half_life in it, of up to 10 bits before the point.
    return Expected(found, near=sum(map(abs, terms)) * 2.0**-41 + len(terms) * 1e-323)


# ---- the aggregates ----


def number(values: list[Any], _: Span) -> Expected:
    return Expected(values[0])


def whole_sum(values: list[Any], _: Span) -> Expected:
    total = values[0]
    return Expected(INVALID if total is not None and total not in INT64 else total)


def list_or_none(values: list[Any]) -> Expected:
    return Expected(values or None)


def without_sign(value: Any) -> Any:
    """As distinct counts see it: one zero, one NaN."""
    if isinstance(value, float):
        return math.nan if math.isnan(value) else value + 0.0
    return value


def in_order(value: Any) -> tuple[int, Any]:
    """NaN is above all numbers."""
    above = isinstance(value, float) and math.isnan(value)
    return (1, 0.0) if above else (0, value.encode() if isinstance(value, str) else value)


def identity(value: Any) -> Any:
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


class Aggregates:
    """Draws features. Not thread-safe; the same source gives the same ones."""

    def __init__(
        self, source: random.Random, columns: dict[str, list[tuple[str, str]]] | None = None
    ) -> None:
        """`columns` as expression_pairs.py has them."""
        self.random = source
        self.pairs = Generator(source.randrange(2**40), columns)

    def expression(self, kind: str, depth: int) -> Pair:
        pair = self.pairs.of_type(kind, depth)
        # A bare NULL has no type of its own, and a choice between such has none.
        untyped = kind == "B" and "NULL" in pair.ours
        return Pair(f"CAST({pair.ours} AS bool)", pair.duck) if untyped else pair

    def condition(self) -> Pair:
        return self.expression("B", self.random.choice((0, 1, 1, 2)))

    def argument(self, kinds: str) -> tuple[str, Pair]:
        kind = self.random.choice(kinds)
        return kind, self.expression(kind, self.random.choice((0, 0, 0, 1, 2)))

    def feature(self, windows: tuple[Window, ...]) -> Feature:
        """None: over a view's life."""
        if any(window.precision_us for window in windows):
            return self.drawn(TILED)
        fixed = all(window.has_fixed_length for window in windows)
        return self.drawn(LIFETIME if not windows else EVERY if fixed else OPEN)

    def last_feature(self, window: Window) -> Feature:
        if self.random.random() < 0.3 and window.rows <= LIST_MAX:
            return self.drawn([lambda some: some.bare(window.rows)])
        return self.drawn(OPEN)

    def drawn(self, choices: Sequence[Callable[[Aggregates], Feature]]) -> Feature:
        drawn = self.random.choice(choices)(self)
        if self.random.random() < 0.6:
            return drawn
        where = self.condition()
        return Feature(
            f"{drawn.text} where {where.ours}", drawn.asks, drawn.fold, drawn.argument, where
        )

    def of(self, kinds: str, ours: str, asks: tuple[str, ...], fold: Fold) -> Feature:
        argument = self.argument(kinds)
        return Feature(ours.format(argument[1].ours), asks, fold, argument)

    # Each gives one aggregate; {a} is the argument's column.

    def count(self) -> Feature:
        if self.random.random() < 0.5:
            return Feature("count(*)", ("count(r.pos)",), number)
        return self.of(KINDS, "count({})", ("count({a})",), number)

    def sum(self) -> Feature:
        if self.random.random() < 0.5:
            return self.of("I", "sum({})", ("sum({a})",), whole_sum)
        return self.of(
            "F",
            "sum({})",
            ("list({a})",),
            lambda v, _: Expected(float_sum(present(v[0]))),
        )

    def mean(self) -> Feature:
        name = self.random.choice(("avg({})", "mean({})"))
        if self.random.random() < 0.5:
            return self.of(
                "I",
                name,
                ("sum({a})", "count({a})"),
                lambda v, _: Expected(float(v[0]) / v[1] if v[1] else None),
            )
        return self.of(
            "F",
            name,
            ("list({a})",),
            lambda v, _: Expected(
                divided(present(v[0]), len(present(v[0]))) if present(v[0]) else None
            ),
        )

    def least(self) -> Feature:
        return self.of(KINDS, "min({})", ("min({a})",), number)

    def most(self) -> Feature:
        return self.of(KINDS, "max({})", ("max({a})",), number)

    def share(self) -> Feature:
        return self.of(
            "B",
            "share({})",
            ("count_if({a})", "count({a})"),
            lambda v, _: Expected(int(v[0]) / v[1] if v[1] else None),
        )

    def quantile(self) -> Feature:
        rank = self.random.choice(("0.01", "0.1", "0.25", "0.5", "0.75", "0.9", "0.99", "1.0"))
        error, share = self.random.choice(
            (("", 0.01), (", error 5%", 0.05), (", error 0.1%", 0.001))
        )

        def fold(values: list[Any], _: Span) -> Expected:
            exact = None if values[0] is None else float(values[0])
            if exact is None or not math.isfinite(exact):
                return Expected(exact)
            return Expected(exact, near=5e-308, relative=share)

        name = self.random.choice(("quantile", "approx_quantile"))
        return self.of(
            "IF", f"{name}({{}}, {rank}{error})", (f"quantile_disc({{a}}, {rank})",), fold
        )

    def last(self) -> Feature:
        return self.of(KINDS, "last({})", ("last({a} ORDER BY r.at_us, r.pos)",), number)

    def first(self) -> Feature:
        return self.of(KINDS, "first({})", ("first({a} ORDER BY r.at_us, r.pos)",), number)

    def spread(self) -> Feature:
        sample = self.random.random() < 0.5
        deviation = self.random.random() < 0.5
        name = f"{'stddev' if deviation else 'var'}_{'samp' if sample else 'pop'}"

        def fold(values: list[Any], _: Span) -> Expected:
            exact = spread(present(values[0]), sample, deviation)
            return Expected(exact, near=1e-323, relative=2.0**-51)

        return self.of("IF", f"{name}({{}})", ("list({a})",), fold)

    def distinct(self) -> Feature:
        name = self.random.choice(("count_distinct({})", "count(distinct {})"))
        return self.of(KINDS, name, ("count(DISTINCT {a})",), number)

    def approx_distinct(self) -> Feature:
        error, share = self.random.choice((("", 0.016), (", error 5%", 0.05)))

        def fold(values: list[Any], _: Span) -> Expected:
            few = values[0] <= 1024
            return Expected(values[0], relative=0.0 if few else 5 * share)

        return self.of(KINDS, f"approx_distinct({{}}{error})", ("count(DISTINCT {a})",), fold)

    def rate(self) -> Feature:
        chosen = self.random.randrange(3)
        if chosen == 0:
            return Feature(
                "rate(*)", ("count(r.pos)",), lambda v, s: Expected(v[0] / seconds(s), relative=EPS)
            )
        if chosen == 1:
            return self.of(
                "I",
                "rate({})",
                ("sum({a})",),
                lambda v, s: Expected(
                    None if v[0] is None else float(v[0]) / seconds(s), relative=EPS
                ),
            )
        return self.of(
            "F",
            "rate({})",
            ("list({a})",),
            lambda v, s: Expected(float_rate(present(v[0]), s), near=5e-324, relative=EPS),
        )

    def since(self) -> Feature:
        return Feature(
            "time_since_last(*)",
            ("max(r.at_us)",),
            lambda v, s: Expected(None if v[0] is None else (s.as_of_us - v[0]) / 1_000_000),
        )

    def row_list(self) -> Feature:
        n = self.random.choice((1, 2, 5, 100))
        name = self.random.choice(("first_n", "last_n"))
        return self.of(
            KINDS,
            f"{name}({{}}, {n})",
            ("list({a} ORDER BY r.at_us, r.pos)",),
            lambda v, _: list_or_none(
                present(v[0])[:n] if name == "first_n" else present(v[0])[-n:]
            ),
        )

    def bare(self, rows: int) -> Feature:
        """Of the last rows: an expression alone is a list of its values."""
        kind = self.random.choice(KINDS)
        pair = self.expression(kind, self.random.choice((0, 1)))
        return Feature(
            pair.ours,
            ("list({a} ORDER BY r.at_us, r.pos)",),
            lambda v, _: list_or_none(present(v[0])[-rows:]),
            (kind, pair),
        )

    def top(self) -> Feature:
        n = self.random.choice((1, 2, 3, 20))
        counts = self.random.random() < 0.5

        def fold(values: list[Any], _: Span) -> Expected:
            seen = [without_sign(value) for value in present(values[0])]
            often = Counter(identity(value) for value in seen)
            kept = {identity(value): value for value in seen}
            order = sorted(kept, key=lambda v: (-often[v], in_order(kept[v])))[:n]
            return list_or_none([often[v] if counts else kept[v] for v in order])

        name = "top_k_counts" if counts else "top_k"
        return self.of(KINDS, f"{name}({{}}, {n})", ("list({a})",), fold)

    def values(self) -> Feature:
        n = self.random.choice((1, 3, 50))

        def fold(values: list[Any], _: Span) -> Expected:
            kept: dict[Any, Any] = {}
            for value in map(without_sign, present(values[0])):  # the newest first
                if len(kept) < n:
                    kept.setdefault(identity(value), value)
            return list_or_none(sorted(kept.values(), key=in_order))

        asks = ("list({a} ORDER BY r.at_us DESC, r.pos DESC)",)
        return self.of(KINDS, f"values({{}}, {n})", asks, fold)

    def decayed(self) -> Feature:
        text, half_life = self.random.choice(
            (("1ms", 1000), ("1s", 1_000_000), ("90s", 90_000_000), ("1h", 3_600_000_000))
        )

        def weighed(values: list[Any], span: Span) -> Expected:
            rows = [(at, v) for at, v in zip(*map(listed, values), strict=True) if v is not None]
            if not rows:
                return Expected(None)
            ages = [span.as_of_us - at for at, _ in rows]
            return decay(ages, [float(v) for _, v in rows], half_life)

        def count(values: list[Any], span: Span) -> Expected:
            ages = [span.as_of_us - at for at in listed(values[0])]
            return decay(ages, [1.0] * len(ages), half_life) if ages else Expected(0.0)

        if self.random.random() < 0.5:
            return Feature(f"decayed_count(*, {text})", ("list(r.at_us)",), count)
        asks = ("list(r.at_us)", "list({a})")
        return self.of("IF", f"decayed_sum({{}}, {text})", asks, weighed)


def float_sum(values: list[float]) -> Any:
    return in_range(exact_sum(values), values) if values else None


def float_rate(values: list[float], span: Span) -> Any:
    return in_range(divided(values, seconds(span)), values) if values else None


def listed(values: list[Any] | None) -> list[Any]:
    return [] if values is None else values


def present(values: list[Any] | None) -> list[Any]:
    return [value for value in listed(values) if value is not None]


def seconds(span: Span) -> float:
    return span.window_us / 1_000_000


EPS = 2.0**-52  # one unit in the last place

EVERY = [
    Aggregates.count,
    Aggregates.sum,
    Aggregates.mean,
    Aggregates.least,
    Aggregates.most,
    Aggregates.share,
    Aggregates.quantile,
    Aggregates.last,
    Aggregates.first,
    Aggregates.spread,
    Aggregates.distinct,
    Aggregates.approx_distinct,
    Aggregates.rate,
    Aggregates.since,
    Aggregates.row_list,
    Aggregates.top,
    Aggregates.values,
    Aggregates.decayed,
]
# Of windows whose length is not the same whenever it is asked for.
OPEN = [drawing for drawing in EVERY if drawing != Aggregates.rate]
EACH_ROW = [Aggregates.row_list, Aggregates.top, Aggregates.values, Aggregates.decayed]
TILED = [drawing for drawing in EVERY if drawing not in EACH_ROW]
LIFETIME = [drawing for drawing in TILED if drawing not in (Aggregates.rate, Aggregates.distinct)]
