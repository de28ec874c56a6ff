"""What a client of an engine's Flight server does, in short."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight
from engine_process import EngineProcess


def connect(engine: EngineProcess) -> Any:
    return flight.connect(f"grpc://127.0.0.1:{engine.ports['flight']}")


class Exchange:
    """One DoExchange: a command, then a batch out for each batch in."""

    def __init__(self, client: Any, command: Any, schema: pa.Schema, options: Any = None) -> None:
        text = command if isinstance(command, bytes) else json.dumps(command).encode()
        descriptor = flight.FlightDescriptor.for_command(text)
        self.writer, self.reader = client.do_exchange(descriptor, options)
        self.writer.begin(schema)

    def ask(self, rows: pa.RecordBatch, asked: Any = None) -> tuple[pa.RecordBatch, dict[str, Any]]:
        self.send(rows, asked)
        return self.take()

    def send(self, rows: pa.RecordBatch, asked: Any = None) -> None:
        if asked is None:
            self.writer.write_batch(rows)
        else:
            self.writer.write_with_metadata(rows, json.dumps(asked).encode())

    def take(self) -> tuple[pa.RecordBatch, dict[str, Any]]:
        chunk = self.reader.read_chunk()
        return chunk.data, json.loads(chunk.app_metadata.to_pybytes())

    def close(self) -> None:
        self.writer.done_writing()
        for _ in self.reader:
            pass
        self.writer.close()


def exchanged(
    client: Any, command: Any, rows: pa.RecordBatch, asked: Any = None, options: Any = None
) -> tuple[pa.RecordBatch, dict[str, Any]]:
    """One batch by a call of its own."""
    exchange = Exchange(client, command, rows.schema, options)
    answer = exchange.ask(rows, asked)
    exchange.close()
    return answer


def keys(**columns: list[Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)
