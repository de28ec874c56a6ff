"""Scans over Arrow Flight: a stream's table and the log's tail as of one epoch, against a record of
what was acknowledged, while rows come in, tables are committed and the engine is killed.

HEADRACE names the binary; without it the one of ./dev build is taken. HEADRACE_TEST_SEED replays.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import random
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from engine_process import BINARY, ROOT, EngineProcess

SEED = int(os.environ.get("HEADRACE_TEST_SEED", "7"))
SCANS = 1000
KILLS = (300, 650)  # after so many scans
WITHIN_S = 120.0  # for anything that must happen at all; nothing is judged by it
SHOPS = 6

PIPELINE = """headrace: 1
pipeline: scanned
promise: {budget: {p99: 300ms}}
streams:
  payments: {contract: payments.yaml, source: {http: push}, time: {event: paid_at, late: 1h}}
  shops: {contract: shops.yaml, source: {http: push}, time: {event: valid_from, late: 1h}}
  large: {from: payments, where: amount > 500}
  placed: {from: payments asof left join shops using (shop)}
  once: {from: payments, dedupe: {by: shop, within: 1s}}
  nowhere: {from: payments, dedupe: {by: shop, within: 2s}}
views:
  shop: {from: placed, by: shop, over: [1h], features: {n: count(*)}}
tables:
  payments: {commit: 1s}
  large: {commit: 1s}
  placed: {commit: 1500ms}
  once: {commit: 1500ms}
"""
CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: {name}
version: 1.0.0
status: active
schema:
  - name: {name}
    logicalType: object
    properties:
{fields}"""
FIELDS = {
    "payments": ("id: integer", "shop: integer", "amount: integer", "paid_at: timestamp"),
    "shops": ("shop: integer", "country: string", "valid_from: timestamp"),
}


def now() -> str:
    return dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")


class Record:
    """What was acknowledged: a row and the epoch that holds it."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[int, int, int]] = {}  # id -> epoch, shop, amount
        self.lock = threading.Lock()

    def add(self, epoch: int, rows: list[dict[str, Any]]) -> None:
        with self.lock:
            for row in rows:
                assert row["id"] not in self.rows, "a batch was taken in twice"
                self.rows[row["id"]] = (epoch, row["shop"], row["amount"])

    def ids(self, epoch: int, where: Any = None) -> Counter[int]:
        return Counter(
            number
            for number, (of, shop, amount) in self.rows.items()
            if of <= epoch and (where is None or where(shop, amount))
        )


class Life:
    """The engine over its lives; calls wait until it is back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pipeline.yaml").write_text(PIPELINE)
        for name, fields in FIELDS.items():
            lines = (
                "      - {{name: {}, logicalType: {}, required: true}}\n".format(*f.split(": "))
                for f in fields
            )
            (folder / f"{name}.yaml").write_text(CONTRACT.format(name=name, fields="".join(lines)))
        self.start()

    def start(self) -> None:
        self.engine = EngineProcess(self.folder, self.folder / "data")
        assert self.engine.wait_ready(), self.engine.printed()

    def kill_and_start(self) -> None:
        self.engine.kill()
        self.start()

    def client(self) -> flight.FlightClient:
        return flight.connect(f"grpc://127.0.0.1:{self.engine.ports['flight']}")

    def post(self, stream: str, rows: list[dict[str, Any]], key: str) -> int:
        """The epoch that holds the rows; sent again, with its key, until it is acknowledged."""
        body = "\n".join(json.dumps(row) for row in rows)
        deadline = time.monotonic() + WITHIN_S
        while True:
            with contextlib.suppress(OSError, KeyError):
                status, text = self.engine.request(
                    "POST", f"/streams/{stream}/events", body, {"Idempotency-Key": key}
                )
                if status == 200:
                    answer = json.loads(text)
                    assert answer["accepted"] == len(rows), text
                    return int(answer["epoch"])
                assert status in (503, 429), text
            assert time.monotonic() < deadline, self.engine.printed()
            time.sleep(0.01)


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    one = Life(tmp_path)
    yield one
    one.engine.kill()


def scan(client: flight.FlightClient, **request: Any) -> tuple[int, pa.Table]:
    """The epoch, and its rows."""
    reader = client.do_get(flight.Ticket(json.dumps(request).encode()))
    table = reader.read_all()
    return int(table.schema.metadata[b"headrace.epoch"]), table


class Writer(threading.Thread):
    """Sends small batches until it is told to stop."""

    def __init__(self, life: Life, record: Record) -> None:
        super().__init__()
        self.life, self.record = life, record
        self.random = random.Random(SEED)
        self.stop = threading.Event()
        self.may_write = threading.Semaphore(20)  # batches: so that no machine is too slow
        self.next_id = 1
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                if self.may_write.acquire(timeout=0.1):
                    self.step()
        except BaseException as failure:
            self.failure = failure

    def step(self) -> None:
        draw = self.random.randrange
        if draw(8) == 0:
            shop = {"shop": draw(SHOPS), "country": ["NL", "DE"][draw(2)], "valid_from": now()}
            self.life.post("shops", [shop], f"shop-{self.next_id}-{time.monotonic_ns()}")
        rows = [
            {"id": self.next_id + i, "shop": draw(SHOPS), "amount": draw(1000), "paid_at": now()}
            for i in range(1 + draw(12))
        ]
        self.record.add(self.life.post("payments", rows, f"batch-{self.next_id}"), rows)
        self.next_id += len(rows)


def random_request(draw: random.Random, newest: int) -> tuple[dict[str, Any], Any]:
    """A scan of payments that has their ids, and its condition in Python."""
    request: dict[str, Any] = {"scan": "payments"}
    where = None
    kind = draw.randrange(4)
    if kind == 1:
        shop = draw.randrange(SHOPS)
        request["where"] = f"shop = {shop}"
        where = lambda s, a: s == shop  # noqa: E731
    elif kind == 2:
        low = draw.randrange(1000)
        request["where"] = f"amount >= {low} and amount < {low + 300} or shop is null"
        where = lambda s, a: low <= a < low + 300  # noqa: E731
    if draw.randrange(2) == 0:
        request["columns"] = draw.sample(["id", "_epoch", "_row", "_known_at", "amount"], k=3)
        if "id" not in request["columns"]:
            request["columns"][0] = "id"
    if draw.randrange(3) == 0 and newest > 0:
        request["epoch"] = draw.randint(1, newest)
    return request, where


def test_1000_scans_during_ingest_and_kills_are_what_was_acknowledged(life: Life) -> None:
    record = Record()
    writer = Writer(life, record)
    writer.start()
    draw = random.Random(SEED + 1)
    done: list[tuple[int, Counter[int], Any, dict[str, Any]]] = []
    client = life.client()
    newest = 0
    sources: Counter[str] = Counter()
    try:
        while len(done) < SCANS:
            assert writer.failure is None, writer.failure
            if len(done) in KILLS and not sources[f"killed at {len(done)}"]:
                sources[f"killed at {len(done)}"] += 1
                life.kill_and_start()
                client = life.client()
            request, where = random_request(draw, newest)
            acknowledged = max((e for e, _, _ in list(record.rows.values())), default=0)
            try:
                epoch, table = scan(client, **request)
            except flight.FlightUnavailableError:
                continue
            if "epoch" not in request:
                assert epoch >= acknowledged, "an acknowledged row may be missing"
            newest = max(newest, epoch)
            marker = int(table.schema.metadata[b"headrace.marker"])
            writer.may_write.release(2)
            sources["tail" if epoch > marker else "as of" if epoch < marker else "table"] += 1
            done.append((epoch, Counter(table.column("id").to_pylist()), where, request))
    finally:
        writer.stop.set()
        writer.join()
    assert writer.failure is None, writer.failure
    for epoch, ids, where, request in done:
        assert ids == record.ids(epoch, where), f"HEADRACE_TEST_SEED={SEED}: {request} at {epoch}"
    print(f"{len(record.rows)} rows, {SCANS} scans: {dict(sources)}")
    assert sources["tail"] > 50 and sources["as of"] > 50, sources


def test_streams_of_one_epoch_are_what_their_tables_have(life: Life) -> None:
    writer = Writer(life, Record())
    seen: dict[str, list[tuple[int, pa.Table]]] = {}
    writer.start()
    client = life.client()
    try:
        for turn in range(40):
            if turn == 20:
                life.kill_and_start()
                client = life.client()
            for stream in ("payments", "large", "placed", "once"):
                writer.may_write.release()
                with contextlib.suppress(flight.FlightUnavailableError):
                    seen.setdefault(stream, []).append(scan(client, scan=stream))
    finally:
        writer.stop.set()
        writer.join()
    assert writer.failure is None, writer.failure
    assert life.engine.stop() == 0, life.engine.printed()
    database = duckdb.connect()
    for stream, scans in seen.items():
        whole = DeltaTable(str(life.folder / "data" / "tables" / stream)).to_pyarrow_table()
        assert len(scans) > 30 and whole.num_rows > 0
        for epoch, table in scans:
            assert table.schema.names == whole.schema.names
            database.register("ours", table)
            database.register("theirs", whole)
            prefix = f"select * from theirs where _epoch <= {epoch}"
            for one, other in (("from ours", prefix), (prefix, "from ours")):
                left = f"({one}) except all ({other})"
                assert database.sql(f"select count(*) from ({left})").fetchall()[0][0] == 0, (
                    f"{stream} as of {epoch}: {database.sql(left)}"
                )


def test_duckdb_and_polars_read_table_and_tail(life: Life) -> None:
    record = Record()
    writer = Writer(life, record)
    for _ in range(60):
        writer.step()
    client = life.client()
    ticket = flight.Ticket(b'{"scan": "payments"}')

    database = duckdb.connect()
    payments = client.do_get(ticket).to_reader()  # noqa: F841  DuckDB finds it by its name
    query = "select shop, count(*) as n, sum(amount)::bigint as amount from payments group by shop"
    by_duckdb = sorted(database.sql(query).fetchall())

    frame = pl.from_arrow(client.do_get(ticket).read_all())
    assert isinstance(frame, pl.DataFrame)
    grouped = frame.group_by("shop").agg(n=pl.len(), amount=pl.col("amount").sum())
    by_polars = sorted(grouped.select("shop", "n", "amount").rows())

    expected: dict[int, tuple[int, int]] = {}
    for _, shop, amount in record.rows.values():
        n, total = expected.get(shop, (0, 0))
        expected[shop] = (n + 1, total + amount)
    wanted = sorted((shop, n, total) for shop, (n, total) in expected.items())
    assert by_duckdb == wanted
    assert by_polars == wanted


def test_a_command_is_offered_as_a_ticket_of_one_epoch(life: Life) -> None:
    writer = Writer(life, Record())
    for _ in range(10):
        writer.step()
    client = life.client()
    command = flight.FlightDescriptor.for_command(b'{"scan": "payments", "columns": ["id"]}')
    info = client.get_flight_info(command)
    assert info.schema.names == ["id"]
    before = client.do_get(info.endpoints[0].ticket).read_all()
    for _ in range(10):
        writer.step()
    after = client.do_get(info.endpoints[0].ticket).read_all()
    assert sorted(before.column("id").to_pylist()) == sorted(after.column("id").to_pylist())
    assert before.num_rows > 0


@pytest.mark.parametrize(
    ("ticket", "says"),
    [
        (b"payments", "no JSON object"),
        (b'{"scan": 3}', "`scan` is no text"),
        (b'{"columns": ["id"]}', "no stream"),
        (b'{"scan": "payments", "limit": 3}', "`limit` is not known"),
        (b'{"scan": "payments", "columns": []}', "`columns` names none"),
        (b'{"scan": "payments", "epoch": -1}', "`epoch` is no whole number"),
        (b'{"scan": "payments", "epoch": 99999999}', "is not there yet"),
        (b'{"scan": "payment"}', "no stream `payment` (streams=large"),
        (b'{"scan": "payments", "columns": ["sum"]}', "no column `sum`"),
        (b'{"scan": "payments", "columns": ["id", "id"]}', "is named twice"),
        (b'{"scan": "payments", "where": "amout > 3"}', "amout"),
        (b'{"scan": "payments", "where": "amount + 3"}', "not a condition"),
        (b'{"scan": "payments", "where": "amount >"}', "where"),
        (b'{"scan": "nowhere"}', "give it one under `tables`"),
        (b"x" * 70_000, "are the most"),
    ],
)
def test_what_is_wrong_with_a_ticket_is_said(shared: Life, ticket: bytes, says: str) -> None:
    client = shared.client()
    with pytest.raises(pa.ArrowException) as refused:
        client.do_get(flight.Ticket(ticket)).read_all()
    assert says in str(refused.value)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    one = Life(tmp_path_factory.mktemp("scan"))
    yield one
    one.engine.kill()


def command(life: Life, *arguments: str) -> subprocess.CompletedProcess[str]:
    address = f"127.0.0.1:{life.engine.ports['flight']}"
    return subprocess.run(
        [str(BINARY), "scan", *arguments, "--flight", address],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def test_headrace_scan_writes_lines_csv_parquet_and_arrow(life: Life, tmp_path: Path) -> None:
    record = Record()
    writer = Writer(life, record)
    for _ in range(30):
        writer.step()
    large = sorted(n for n, (_, _, amount) in record.rows.items() if amount > 500)

    lines = command(life, "payments", "--columns", "id,amount", "--where", "amount > 500")
    assert lines.returncode == 0, lines.stderr
    rows = [json.loads(line) for line in lines.stdout.splitlines()]
    assert sorted(row["id"] for row in rows) == large
    assert list(rows[0]) == ["id", "amount"]
    assert f"{len(large)} rows as of epoch" in lines.stderr

    file = tmp_path / "rows.parquet"
    written = command(life, "payments", "--where", "amount > 500", "-o", str(file), "--json")
    assert json.loads(written.stdout)["rows"] == len(large)
    assert sorted(pq.read_table(file).column("id").to_pylist()) == large

    file = tmp_path / "rows.arrow"
    assert command(life, "large", "-o", str(file)).returncode == 0
    with pa.ipc.open_file(file) as ipc:
        assert sorted(ipc.read_all().column("id").to_pylist()) == large

    some = command(life, "payments", "--limit", "7", "--columns", "id,paid_at,_epoch", "--csv")
    assert some.returncode == 0, some.stderr
    header, *body = some.stdout.splitlines()
    assert header == "id,paid_at,_epoch"
    assert len({int(line.split(",")[0]) for line in body} & set(record.rows)) == 7
    assert re.fullmatch(r"7 rows as of epoch [1-9]\d*, as many as --limit allows\n", some.stderr)
    file = tmp_path / "rows.csv"
    assert command(life, "large", "-o", str(file)).returncode == 0
    read = duckdb.sql(f"select id from read_csv('{file}')").fetchall()
    assert sorted(number for (number,) in read) == large
    both = command(life, "large", "--csv", "-o", str(file))
    assert both.returncode != 0 and "when it is called .csv" in both.stderr

    refused = command(life, "payments", "--where", "amout > 5", "-o", str(tmp_path / "no.parquet"))
    assert refused.returncode != 0
    assert "amout" in refused.stderr
    assert not list(tmp_path.glob("no.parquet*"))


def test_a_client_that_leaves_is_noticed(life: Life) -> None:
    """More scans than there may be at once, one after the other, none read to its end."""
    writer = Writer(life, Record())
    for _ in range(5):
        writer.step()
    for _ in range(100):
        client = life.client()
        reader = client.do_get(flight.Ticket(b'{"scan": "payments"}'))
        reader.read_chunk()
        reader.cancel()
        client.close()
    deadline = time.monotonic() + WITHIN_S
    while True:
        with contextlib.suppress(flight.FlightUnavailableError):
            scan(life.client(), scan="payments")
            return
        assert time.monotonic() < deadline, "their places are never free again"
        time.sleep(0.05)


def test_the_page_reads_the_table_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs/how-to/scan.md").read_text().split("## The table alone")[1]
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    assert len(blocks) == 2
    for amount in (400.0, 600.0):
        row = pa.table({"id": [1], "shop": ["a"], "amount": [amount]})
        write_deltalake(str(tmp_path / "data/tables/payments"), row, mode="append")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))  # where DuckDB keeps extensions
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "scan.md", "exec"), names)
    assert names["table"].version() == 1
    scanned = duckdb.sql("SELECT sum(amount) FROM delta_scan('data/tables/payments')").fetchone()
    assert scanned == (1000.0,)
