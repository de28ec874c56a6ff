"""Six ways to damage a flight, so that the demo can show that each is found and named.

Three cannot be said in a typed batch at all (a field left out, a word for a number, an array for a
text); they go into the rows that travel as NDJSON. The other three go everywhere.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from flights import Flights
from numpy.typing import NDArray

DAMAGED_SHARE = 0.001
YEAR_2099_US = 4_070_908_800_000_000
NO_AIRPORT = b"QQQ"  # has the shape of a code, and is none

# Kind of damage -> the field it sits in, the rule that finds it, and how the summary calls it.
FIELDS = {
    "missing_field": "distance",
    "wrong_type": "delay",
    "array_for_text": "origin",
    "out_of_range": "delay",
    "bad_time": "landed_at",
    "unknown_airport": "destination",
}
UNTYPED_KINDS = ("missing_field", "wrong_type", "array_for_text")
TYPED_KINDS = ("out_of_range", "bad_time", "unknown_airport")
RULES = {
    "missing_field": "required",
    "wrong_type": "type",
    "array_for_text": "type",
    "out_of_range": "range",
    "bad_time": "ahead_of_clock",
    "unknown_airport": "enum",
}
NAMES = {
    "missing_field": "missing field",
    "wrong_type": "wrong type",
    "array_for_text": "array for text",
    "out_of_range": "out of range",
    "bad_time": "bad time",
    "unknown_airport": "unknown airport",
}


@dataclass(frozen=True)
class Damage:
    """Which rows (positions in the order of arrival) are damaged, and how."""

    rows: NDArray[np.int64]
    kinds: NDArray[np.str_]

    def kind_of(self) -> dict[int, str]:
        return {int(row): str(kind) for row, kind in zip(self.rows, self.kinds, strict=True)}


def choose(rows: int, untyped: range, seed: int) -> Damage:
    """About DAMAGED_SHARE of `rows`, a sixth for each kind; `untyped` are the NDJSON rows."""
    dice = np.random.default_rng(seed)
    each = max(1, round(rows * DAMAGED_SHARE / len(FIELDS)))
    spread = each // 10
    wanted = {kind: each + int(dice.integers(-spread, spread + 1)) for kind in FIELDS}
    inside = dice.permutation(np.arange(untyped.start, untyped.stop))
    taken = sum(wanted[kind] for kind in UNTYPED_KINDS)
    free = np.ones(rows, dtype=bool)
    free[inside[:taken]] = False
    anywhere = np.flatnonzero(free)
    wanted_typed = sum(wanted[kind] for kind in TYPED_KINDS)
    outside = dice.choice(anywhere, size=wanted_typed, replace=False)
    chosen = np.concatenate([inside[:taken], outside])
    order = [*UNTYPED_KINDS, *TYPED_KINDS]
    kinds = np.repeat(np.array(order), [wanted[kind] for kind in order])
    by_row = np.argsort(chosen)
    return Damage(chosen[by_row].astype(np.int64), kinds[by_row])


def damage_typed(flights: Flights, damage: Damage) -> None:
    """Overwrites values in place with ones of the right type that no flight can have."""
    for kind in TYPED_KINDS:
        rows = damage.rows[damage.kinds == kind]
        if kind == "out_of_range":
            flights.delay[rows] = 100_000 + rows % 7
        elif kind == "bad_time":
            flights.landed_at[rows] = YEAR_2099_US + rows
        else:
            flights.destination[rows] = NO_AIRPORT


def json_line(row: dict[str, object], kind: str | None) -> str:
    """One NDJSON line, with the damage that a typed batch can't express."""
    if kind == "missing_field":
        del row[FIELDS[kind]]
    elif kind == "wrong_type":
        row[FIELDS[kind]] = "late"
    elif kind == "array_for_text":
        row[FIELDS[kind]] = [row[FIELDS[kind]]]
    return json.dumps(row, separators=(",", ":"))
