"""The pipelines that take the events: a log alone; a log with a view and a table; both modes."""

from __future__ import annotations

from pathlib import Path

STREAM = """\
headrace: 1
pipeline: events
streams:
  events:
    contract: contract.yaml
    source: {http: push, flight: push}
    time: {event: at, late: 1d}
"""
VIEW_AND_TABLE = """\
views:
  by_id:
    from: events
    by: id
    over: 1h
    features: {events: count(*), last_at: max(id)}
tables: {events: {commit: 5s}}
"""
MODE_OS = "log: {durability: os}\n"
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: events
name: Events
version: 1.0.0
status: active
schema:
  - name: events
    logicalType: object
    properties:
      - {name: id, logicalType: integer, physicalType: int64, required: true}
      - {name: at, logicalType: timestamp, physicalType: timestamp, required: true}
      - name: body
        logicalType: string
        physicalType: string
        required: true
        logicalTypeOptions: {minLength: 1, maxLength: 4096}
"""


def write(folder: Path, name: str, *parts: str) -> Path:
    """`folder`/`name`.yaml and the contract beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "contract.yaml").write_text(CONTRACT)
    path = folder / f"{name}.yaml"
    path.write_text("".join((STREAM, *parts)))
    return path
