"""Tables of joined streams and of one without repeats, over two SIGKILLs, against what DuckDB
computes of the tables of the streams that come in.

HEADRACE names the binary; without it the one of ./dev build is taken.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import signal
from pathlib import Path

import duckdb
from deltalake import DeltaTable

import engine_under_load

SEED = 20
ROUNDS = 120
KILLS = (40, 80)
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

PIPELINE = """headrace: 1
pipeline: joined
promise: {budget: {p99: 300ms}}
clock: events
streams:
  payments: {contract: payments.yaml, source: {http: push}, time: {event: paid_at, late: 60s}}
  shops: {contract: shops.yaml, source: {http: push}, time: {event: valid_from, late: 600s}}
  chargebacks:
    contract: chargebacks.yaml
    source: {http: push}
    time: {event: reported_at, late: 60s}
  placed: {from: payments asof left join shops using (shop)}
  outcomes: {from: payments left join chargebacks using (id) within 30s}
  once: {from: payments, dedupe: {by: shop, within: 10s}}
  abroad: {from: placed, where: shops.country <> 'NL'}
views:
  shop: {from: placed, by: shop, over: [1h], features: {n: count(*)}}
tables:
  payments: {commit: 100ms}
  shops: {commit: 100ms}
  chargebacks: {commit: 100ms}
  placed: {commit: 100ms}
  outcomes: {commit: 100ms}
  once: {commit: 100ms}
  abroad: {commit: 100ms}
"""
FIELDS = {
    "payments": ("id: integer", "shop: integer", "amount: integer", "paid_at: timestamp"),
    "shops": ("shop: integer", "country: string", "valid_from: timestamp"),
    "chargebacks": ("id: integer", "reason: string", "reported_at: timestamp"),
}

# Each computes what a table must be, with `_epoch` and `_known_at`.
PLACED = """
select p.id, p.shop, p.amount, p.paid_at, v.country, v.valid_from, p._epoch, p._row, p._known_at
from payments p left join lateral (
  select * from shops v
  where v.shop = p.shop and v.valid_from <= p.paid_at and v._epoch <= p._epoch
  order by v.valid_from desc, v._epoch desc, v._row desc limit 1) v on true
"""
PAIRS = """
select p.id, p.paid_at, c.reason, c.reported_at,
  greatest(p.paid_at, c.reported_at) as joined_at, greatest(p._epoch, c._epoch) as _epoch,
  greatest(p._known_at, c._known_at) as _known_at
from payments p join chargebacks c on p.id = c.id
where c.reported_at between p.paid_at and p.paid_at + interval 30 seconds
"""
# Decided by the first chargeback that is past their time and its own lateness.
ALONE = """
select p.id, p.paid_at, null as reason, null as reported_at,
  p.paid_at + interval 30 seconds as joined_at, greatest(p._epoch, d._epoch) as _epoch
from payments p, lateral (
  select min(c._epoch) as _epoch from chargebacks c
  where c.reported_at - interval 60 seconds > p.paid_at + interval 30 seconds) d
where d._epoch is not null and not exists (
  select 1 from chargebacks c where p.id = c.id
  and c.reported_at between p.paid_at and p.paid_at + interval 30 seconds)
"""
NEAR = """k.shop = p.shop and abs(epoch_us(k.paid_at) - epoch_us(p.paid_at)) <= 10000000
"""


def contract(stream: str) -> str:
    properties = "".join(
        f"      - {{name: {name}, logicalType: {kind}, required: true}}\n"
        for name, kind in (field.split(": ") for field in FIELDS[stream])
    )
    return (
        f"apiVersion: v3.1.0\nkind: DataContract\nid: {stream}\nversion: 1.0.0\nstatus: active\n"
        f"schema:\n  - name: {stream}\n    logicalType: object\n    properties:\n{properties}"
    )


class Sender:
    def __init__(self, engine: engine_under_load.Engine) -> None:
        self.engine = engine
        self.random = random.Random(SEED)
        self.now = 1000
        self.ids = 0

    def at(self, back: int) -> str:
        moment = START + dt.timedelta(seconds=self.now - self.random.randrange(back))
        return moment.isoformat().replace("+00:00", "Z")

    def send(self, stream: str, rows: list[dict[str, object]]) -> None:
        if not rows:
            return
        body = "\n".join(json.dumps(row) for row in rows)
        status, text = self.engine.post(body, f"/streams/{stream}/events")
        assert status == 200, text

    def round(self) -> None:
        """Some payments, versions and chargebacks; a tenth of them late, as is allowed."""
        draw = self.random.randrange
        self.now += draw(12)

        def back() -> int:
            return 50 if draw(10) == 0 else 5

        if draw(3) == 0:
            row = {"shop": draw(5), "country": ["NL", "DE", "BE"][draw(3)]}
            self.send("shops", [{**row, "valid_from": self.at(back())}])
        payments: list[dict[str, object]] = []
        for _ in range(draw(6)):
            self.ids += 1
            payment = {"id": self.ids, "shop": draw(6), "amount": draw(100)}
            payments.append({**payment, "paid_at": self.at(back())})
        self.send("payments", payments)
        chargebacks: list[dict[str, object]] = []
        for _ in range(draw(3)):
            row = {"id": max(1, self.ids - draw(12)), "reason": f"r{draw(4)}"}
            chargebacks.append({**row, "reported_at": self.at(back())})
        self.send("chargebacks", chargebacks)


def count(database: duckdb.DuckDBPyConnection, query: str) -> int:
    rows: int = database.sql(f"select count(*) from ({query})").fetchall()[0][0]
    return rows


def same(database: duckdb.DuckDBPyConnection, ours: str, theirs: str) -> int:
    """That two queries give the same rows as often; how many."""
    for one, other in ((ours, theirs), (theirs, ours)):
        left = f"({one}) except all ({other})"
        assert count(database, left) == 0, str(database.sql(left))
    return count(database, ours)


def test_joined_tables_are_what_duckdb_computes(tmp_path: Path) -> None:
    engine = engine_under_load.Engine(tmp_path)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    for stream in FIELDS:
        (tmp_path / f"{stream}.yaml").write_text(contract(stream))
    engine.start()
    try:
        engine.wait_ready()
        sender = Sender(engine)
        for number in range(ROUNDS):
            sender.round()
            if number in KILLS:
                engine.stop(signal.SIGKILL)
                engine.start()
                engine.wait_ready()
        assert engine.stop() == 0, engine.log.read_text()
    finally:
        engine.stop(signal.SIGKILL)

    database = duckdb.connect()
    for name in (*FIELDS, "placed", "outcomes", "once", "abroad"):
        table = DeltaTable(str(tmp_path / "data" / "tables" / name)).to_pyarrow_table()
        database.register(f"{name}_rows", table)
        database.sql(f"create table {name} as from {name}_rows")
        places = count(database, f"select distinct _epoch, _row from {name}")
        assert places == count(database, f"select 1 from {name}") > 0, name

    placed = """select id, shop, amount, paid_at, "shops.country", "shops.valid_from",
        _epoch, _row, _known_at from placed"""
    assert same(database, placed, PLACED) > 200
    abroad = """select id, paid_at, "shops.country", _epoch, _known_at from {}"""
    assert (
        same(
            database,
            abroad.format("abroad"),
            abroad.format("placed") + """ where "shops.country" <> 'NL'""",
        )
        > 50
    )

    outcome = """select id, paid_at, "chargebacks.reason", "chargebacks.reported_at", joined_at,
        _epoch{} from outcomes where "chargebacks.reported_at" is {} null"""
    assert same(database, outcome.format(", _known_at", "not"), PAIRS) > 30
    assert same(database, outcome.format("", ""), ALONE) > 100

    # One row of each key within 10 s, and the first in the log: these three leave no choice.
    kept = "select id, shop, amount, paid_at, _epoch, _known_at from once"
    row = "id, shop, amount, paid_at, _epoch, _known_at"
    assert count(database, f"({kept}) except all (select {row} from payments)") == 0
    twice = f"select 1 from once k, once p where k.id < p.id and {NEAR}"
    assert count(database, twice) == 0
    first = f"""select 1 from payments k where exists (select 1 from once o where o.id = k.id)
        and {NEAR} and (k._epoch, k._row) < (p._epoch, p._row)"""
    lost = f"""select 1 from payments p where not exists (select 1 from once o where o.id = p.id)
        and not exists ({first})"""
    assert count(database, lost) == 0
