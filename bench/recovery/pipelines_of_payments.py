"""The pipeline that is killed: payments by card, and the newest batch that answers know of."""

from __future__ import annotations

from pathlib import Path

PIPELINE = """\
headrace: 1
pipeline: recovery
memory: 8GiB
recovery: {recovery}
streams:
  payments:
    contract: contract.yaml
    source: {{flight: push}}
    time: {{event: at, late: 10m}}
views:
  card:
    from: payments
    by: card
    over: 2m
    history: 10s
    features: {{spend: sum(amount), payments: count(*)}}
  newest:
    from: payments
    by: lane
    where: lane = 1
    features: {{batch: last(batch)}}
"""
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: payments
name: Payments
version: 1.0.0
status: active
schema:
  - name: payments
    logicalType: object
    properties:
      - {name: card, logicalType: integer, physicalType: int64, required: true}
      - {name: at, logicalType: timestamp, physicalType: timestamp, required: true}
      - {name: amount, logicalType: integer, physicalType: int64, required: true}
      - {name: lane, logicalType: integer, physicalType: int64, required: true}
      - {name: batch, logicalType: integer, physicalType: int64, required: true}
"""


def write(folder: Path, recovery: str) -> Path:
    """The file, with `recovery: 3s` or whatever is given."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "contract.yaml").write_text(CONTRACT)
    path = folder / f"pipeline-{recovery}.yaml"
    path.write_text(PIPELINE.format(recovery=recovery))
    return path
