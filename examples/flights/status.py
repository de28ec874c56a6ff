"""Reads GET /status: the one place that knows where a figure stands in that document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# ingest: accepted -> durable; transform: durable -> visible; visible: both together, per batch;
# serve: a lookup inside the engine.
STAGES = ("ingest", "transform", "visible", "serve")


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds."""

    p50: float
    p99: float
    worst: float

    def worse_of(self, other: Percentiles) -> Percentiles:
        return Percentiles(
            max(self.p50, other.p50), max(self.p99, other.p99), max(self.worst, other.worst)
        )

    def as_json(self) -> dict[str, float]:
        return {"p50_ms": self.p50, "p99_ms": self.p99, "worst_ms": self.worst}


@dataclass(frozen=True)
class Status:
    """What the demo uses of it. `None` where the engine does not say."""

    accepted: int
    refused: int
    epoch: int
    table_epoch: int | None  # the table holds exactly the rows up to here
    table_pending: int | None  # durable rows that are not in the table
    log_bytes: int | None
    memory_budget_mb: float | None
    memory_peak_mb: float | None
    state_mb: float | None
    fdatasync: Percentiles | None
    stages: dict[str, Percentiles]


def find(document: Any, *paths: str) -> Any:
    """The first of the dotted paths that leads somewhere, else None."""
    for path in paths:
        at = document
        for part in path.split("."):
            at = at.get(part) if isinstance(at, dict) else None
        if at is not None:
            return at
    return None


def percentiles(document: Any) -> Percentiles | None:
    if not isinstance(document, dict) or document.get("p99_ms") is None:
        return None
    worst = find(document, "worst_ms", "max_ms")
    return Percentiles(float(document["p50_ms"]), float(document["p99_ms"]), float(worst))


def named(document: Any, name: str) -> Any:
    """An entry of a section that is keyed by name, or a list of objects that carry theirs."""
    if isinstance(document, list):
        return next((entry for entry in document if entry.get("name") == name), None)
    return find(document, name)


def whole(value: Any) -> int | None:
    return None if value is None else int(value)


def real(value: Any) -> float | None:
    return None if value is None else float(value)


def read(document: dict[str, Any]) -> Status:
    table = named(find(document, "tables"), "flights")
    stages = {name: percentiles(find(document, f"stages.{name}")) for name in STAGES}
    return Status(
        accepted=int(find(document, "rows.accepted", "log.rows_accepted", "rows_accepted") or 0),
        refused=int(find(document, "rows.refused", "log.rows_refused", "rows_refused") or 0),
        epoch=int(find(document, "epoch", "log.epoch", "visible.epoch") or 0),
        table_epoch=whole(find(table, "committed_epoch", "epoch", "committed")),
        table_pending=whole(find(table, "pending_rows")),
        log_bytes=whole(find(document, "log.bytes", "log_bytes")),
        memory_budget_mb=real(find(document, "memory.budget_mb")),
        memory_peak_mb=real(find(document, "memory.peak_mb")),
        state_mb=real(find(document, "memory.state_mb")),
        fdatasync=percentiles(find(document, "fdatasync")),
        stages={name: figures for name, figures in stages.items() if figures},
    )


def table_is_complete(now: Status, epoch: int) -> bool:
    """Whether the table holds every row up to the epoch of the last acknowledgement."""
    return (now.table_epoch or 0) >= epoch and not now.table_pending


def worse(one: Status | None, other: Status) -> tuple[Percentiles | None, dict[str, Percentiles]]:
    """fdatasync and stages of two processes: the larger of each, which flatters nobody."""
    if one is None:
        return other.fdatasync, other.stages
    sync = other.fdatasync
    if sync and one.fdatasync:
        sync = sync.worse_of(one.fdatasync)
    stages = {
        name: figures.worse_of(one.stages[name]) if name in one.stages else figures
        for name, figures in other.stages.items()
    }
    return sync, stages
