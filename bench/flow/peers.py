"""What the engine is measured beside: a Flight server that does nothing; delta-rs with syncs."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa
import pyarrow.flight as fl
import pyarrow.parquet as pq
from deltalake import write_deltalake


class EmptyServer(fl.FlightServerBase):  # type: ignore[misc]
    """Reads every batch and forgets it."""

    def do_put(self, context: object, descriptor: object, reader: object, writer: object) -> None:
        for _ in reader:  # type: ignore[attr-defined]
            pass


def serve_empty(port: Connection) -> None:
    server = EmptyServer("grpc://127.0.0.1:0")
    port.send(server.port)
    server.serve()


def empty_flight(rows: Path, batch_rows: int) -> float:
    """Rows a second of a pyarrow client into an empty server on the same machine."""
    table = pq.read_table(rows)
    batches = table.combine_chunks().to_batches(max_chunksize=batch_rows)
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve_empty, args=(theirs,))
    process.start()
    try:
        client = fl.connect(f"grpc://127.0.0.1:{ours.recv()}")
        started = time.monotonic()
        writer, reader = client.do_put(fl.FlightDescriptor.for_path("flights"), table.schema)
        for batch in batches:
            writer.write_batch(batch)
        writer.done_writing()
        while reader.read() is not None:
            pass
        writer.close()
        return float(table.num_rows / (time.monotonic() - started))
    finally:
        process.kill()
        process.join()


def sync_new(folder: Path, seen: set[Path]) -> None:
    """fsync of each file not in `seen`, and of every folder: the durability that a log has."""
    for path in [folder, *folder.rglob("*")]:
        if path in seen and path.is_file():
            continue
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        seen.add(path)


def delta_rs(rows: Path, folder: Path, commits: int) -> float:
    """Rows a second of delta-rs appending the file's rows in `commits` commits, each synced."""
    shutil.rmtree(folder, ignore_errors=True)
    started = time.monotonic()
    table = pq.read_table(rows)
    each = -(-table.num_rows // commits)
    seen: set[Path] = set()
    for start in range(0, table.num_rows, each):
        write_deltalake(str(folder), pa.table(table.slice(start, each)), mode="append")
        sync_new(folder, seen)
    return float(table.num_rows / (time.monotonic() - started))
