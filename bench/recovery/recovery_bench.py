"""How soon a killed engine answers again, with all that it acknowledged: `./dev bench recovery`.

1. Payments of many cards are sent until the online state has --state-mib (1,024).
2. The whole log is replayed once, without a snapshot: rows a second, from the exec to the answer.
3. With `recovery: 3s`, --rate (100,000) events a second come in, from a producer that goes on
   across restarts. After the first snapshot, at random moments from a fixed seed, the engine gets
   SIGKILL and is started again, --kills (50) times. Each time counts from the exec until an answer
   is of the epoch, and knows of the batch, that were acknowledged last before the kill; what was
   missed meanwhile comes in at the same time. GET /health is asked every 20 ms: the longest
   silence, from the exec on, is liveness.
4. In the end every batch that was sent is in the log once: rows lost or doubled are counted.
5. The peer: Redis with as many keys and as many bytes in memory, killed, loading the binary base of
   its append-only file, with nothing coming in.

With --snapshot-cost instead of steps 2 to 5: the same stream in smaller batches, and what a
snapshot does to it: ingest's p99 (from when a batch was due to its acknowledgement) while a
snapshot is written, over that of the quiet time behind it, median of five; and the bytes a second
of a snapshot over those of the disk, which is measured before, 1 MiB and one sync at a time.

A ratio over 1 means that Headrace is better; in `targets` at least 1 is met. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
import pipelines_of_payments
import redis_restart
import snapshot_cost
from restarts import Engine, Restart
from sender import Acknowledged, SteadySender
from servers import PeerFailure
from snapshot_cost import wait_for_first

SEED = 4
RECOVERY = "3s"
NO_SNAPSHOTS = "1h"  # so much time that none is needed
READY_TARGET_S = 3.0
ALIVE_TARGET_S = 1.0
REPLAY_TARGET_ROWS_PER_S = 1_000_000
READY_WITHIN_S = 600.0
BUILD_WITHIN_S = 600.0
BUILD_BATCH_ROWS = 10_000
BATCH_ROWS = 1_000  # 100 batches a second at the usual rate
COST_BATCH_ROWS = 200  # 500 a second: a p99 of a few seconds needs so many
COST_ROUNDS = 5
COST_P99_TARGET = 1.5
COST_DISK_TARGET = 0.25
UPTIME_MIN_S, UPTIME_MAX_S = 1.0, 12.0  # from an answer to the next kill
FIRST_SNAPSHOT_WITHIN_S = 300.0
CARDS_PER_MIB = 1_950  # so that few rows of each card make the state


@dataclass(frozen=True)
class Bench:
    headrace: Path
    sender: Path
    load_client: Path
    folder: Path
    state_mib: int
    rate: int
    kills: int
    uptime_max_s: float

    @property
    def cards(self) -> int:
        return self.state_mib * CARDS_PER_MIB

    @property
    def snapshots(self) -> Path:
        return self.folder / "data" / "snapshots"

    def steady(self, engine: Engine, batch_rows: int = BATCH_ROWS) -> SteadySender:
        return SteadySender(self.sender, engine.flight, self.rate, batch_rows, self.cards)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def build_state(bench: Bench, engine: Engine) -> Acknowledged:
    """Sends at full speed until the state has its size."""
    sender = SteadySender(
        bench.sender, engine.flight, 0, BUILD_BATCH_ROWS, bench.cards, producer="build"
    )
    begin = time.monotonic()
    try:
        while engine.status()["memory"]["state_mb"] < bench.state_mib:
            if time.monotonic() - begin > BUILD_WITHIN_S:
                raise PeerFailure(f"no {bench.state_mib} MiB within {BUILD_WITHIN_S:.0f} s")
            time.sleep(0.2)
        done = sender.finish()
    finally:
        sender.abandon()
    took = time.monotonic() - begin
    rows = done.batch * BUILD_BATCH_ROWS
    say(f"{bench.state_mib:,} MiB of state from {rows:,} rows in {took:.1f} s")
    return done


def replay(engine: Engine, built: Acknowledged) -> dict[str, float]:
    """Everything from the log's begin."""
    engine.kill()
    shutil.rmtree(engine.folder / "data" / "snapshots", ignore_errors=True)
    restart = engine.start(Acknowledged(epoch=built.epoch), READY_WITHIN_S)
    inside = restart.inside
    if inside.snapshot_bytes or not inside.replayed_rows:
        raise PeerFailure(f"this was to be a replay of everything: {inside}")
    rate = inside.replayed_rows / inside.replay_s
    say(
        f"replay of {inside.replayed_rows:,} rows: {restart.ready_s:.2f} s from exec, "
        f"{inside.replay_s:.2f} s of it replay, {rate:,.0f} rows/s"
    )
    return {
        "replay_rows": float(inside.replayed_rows),
        "replay_ready_s": restart.ready_s,
        "replay_rows_per_s": rate,
        "replay_longest_silence_s": restart.longest_silence_s,
    }


def kill_again_and_again(bench: Bench, engine: Engine) -> tuple[list[Restart], int, int]:
    """The restarts, and the rows that were lost and doubled in all of them together."""
    dice = random.Random(SEED)
    restarts: list[Restart] = []
    rows_before = engine.status()["rows"]["accepted"]
    sender = bench.steady(engine)
    try:
        sender.wait_for_batch(1, 60)
        wait_for_first(bench.snapshots, FIRST_SNAPSHOT_WITHIN_S)
        for kill in range(bench.kills):
            time.sleep(dice.uniform(UPTIME_MIN_S, bench.uptime_max_s))
            losses = sender.losses()
            engine.kill()
            acknowledged = sender.newest_after_loss(losses, 10)
            restarts.append(engine.start(acknowledged, READY_WITHIN_S))
            if (kill + 1) % 10 == 0 or kill + 1 == bench.kills:
                slowest = max(restarts, key=lambda restart: restart.ready_s)
                inside = slowest.inside
                say(
                    f"{kill + 1} kills: slowest start {slowest.ready_s:.2f} s, of it "
                    f"{inside.load_s:.2f} s to load, {inside.replay_s:.2f} s for "
                    f"{inside.replayed_rows:,} rows of log"
                )
            # On with the stream before the next kill, so that each one has new rows to lose.
            sender.wait_for_batch(acknowledged.batch + 1, 60)
        sent = sender.finish().batch * BATCH_ROWS
    finally:
        sender.abandon()
    kept = engine.status()["rows"]["accepted"] - rows_before
    return restarts, max(0, sent - kept), max(0, kept - sent)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def restart_figures(restarts: list[Restart]) -> dict[str, float]:
    ready = [restart.ready_s for restart in restarts]
    return {
        "ready_p50_s": percentile(ready, 0.5),
        "ready_p99_s": percentile(ready, 0.99),
        "ready_worst_s": max(ready),
        "longest_silence_s": max(restart.longest_silence_s for restart in restarts),
        "load_p50_s": statistics.median(restart.inside.load_s for restart in restarts),
        "tail_replay_p50_s": statistics.median(restart.inside.replay_s for restart in restarts),
        "tail_rows_p50": statistics.median(restart.inside.replayed_rows for restart in restarts),
        "without_snapshot": float(sum(not restart.inside.snapshot_bytes for restart in restarts)),
    }


def targets(figures: dict[str, float]) -> dict[str, float]:
    """At least 1 is met."""
    return {
        "ready_p99": READY_TARGET_S / figures["ready_p99_s"],
        "alive_within": ALIVE_TARGET_S / figures["longest_silence_s"],
        "replay": figures["replay_rows_per_s"] / REPLAY_TARGET_ROWS_PER_S,
        "rows_kept_once": 1.0 if figures["rows_lost"] + figures["rows_doubled"] == 0 else 0.0,
    }


def redis_figures(bench: Bench, state_bytes: int) -> dict[str, float]:
    found = [
        redis_restart.restart_s(bench.folder / "redis", state_bytes, bench.cards) for _ in range(3)
    ]
    seconds = statistics.median(took for took, _ in found)
    say(f"Redis: {seconds:.2f} s to load {found[0][1]:.2f} GiB")
    return {"redis_ready_s": seconds, "redis_file_gib": found[0][1]}


@contextmanager
def built_engine(bench: Bench) -> Iterator[tuple[Engine, Acknowledged]]:
    """An engine with its state, that has written no snapshot yet."""
    shutil.rmtree(bench.folder / "data", ignore_errors=True)
    pipeline = pipelines_of_payments.write(bench.folder, NO_SNAPSHOTS)
    engine = Engine(bench.headrace, pipeline, bench.folder)
    try:
        engine.start(Acknowledged(), READY_WITHIN_S)
        yield engine, build_state(bench, engine)
    finally:
        engine.stop()
        shutil.rmtree(bench.folder / "data", ignore_errors=True)


def promise_recovery(bench: Bench, engine: Engine) -> None:
    """From now on with the bound. A snapshot is taken once so many rows have come in that it needs
    one."""
    engine.stop()
    engine.pipeline = pipelines_of_payments.write(bench.folder, RECOVERY)
    engine.start(Acknowledged(), READY_WITHIN_S)


def measure_kills(bench: Bench) -> dict[str, Any]:
    with built_engine(bench) as (engine, built):
        figures = replay(engine, built)
        promise_recovery(bench, engine)
        restarts, lost, doubled = kill_again_and_again(bench, engine)
        state_mb = float(engine.status()["memory"]["state_mb"])
    figures |= restart_figures(restarts)
    figures |= {"rows_lost": float(lost), "rows_doubled": float(doubled), "state_mb": state_mb}
    figures |= redis_figures(bench, int(state_mb * 2**20))
    say(
        f"{len(restarts)} kills at {bench.rate:,} events/s with {state_mb:,.0f} MiB of state: "
        f"ready p50 {figures['ready_p50_s']:.2f} s, p99 {figures['ready_p99_s']:.2f} s, worst "
        f"{figures['ready_worst_s']:.2f} s; longest silence {figures['longest_silence_s']:.2f} s; "
        f"{lost} rows lost, {doubled} doubled"
    )
    say(
        f"of the p50 {figures['load_p50_s']:.2f} s to load the snapshot, "
        f"{figures['tail_replay_p50_s']:.2f} s for {figures['tail_rows_p50']:,.0f} rows of log; "
        f"{figures['without_snapshot']:.0f} starts without a snapshot"
    )
    ratios = {"ready_p50_vs_redis": figures["redis_ready_s"] / figures["ready_p50_s"]}
    return document("recovery", ratios, targets(figures), figures)


def measure_cost(bench: Bench) -> dict[str, Any]:
    disk = disk_mb_per_s(bench)
    with built_engine(bench) as (engine, _):
        promise_recovery(bench, engine)
        sender = bench.steady(engine, COST_BATCH_ROWS)
        try:
            figures = snapshot_cost.measure(bench.snapshots, sender, COST_ROUNDS)
            sender.finish()
        finally:
            sender.abandon()
    figures["disk_mb_per_s"] = disk
    share = figures["snapshot_mb_per_s"] / disk
    say(
        f"{bench.rate:,} events/s: ingest p99 {figures['ingest_p99_beside_snapshot_ms']:.2f} ms "
        f"beside a snapshot, {figures['ingest_p99_quiet_ms']:.2f} ms in the quiet behind it, "
        f"{figures['ingest_p99_times']:.2f} times (at most {COST_P99_TARGET}); a snapshot of "
        f"{figures['snapshot_gib']:.2f} GiB took {figures['snapshot_s']:.1f} s, "
        f"{share:.2f} of the disk's {disk:,.0f} MB/s (at most {COST_DISK_TARGET})"
    )
    found = {
        "ingest_p99": COST_P99_TARGET / figures["ingest_p99_times"],
        "disk_share": COST_DISK_TARGET / share,
    }
    ratios = {"ingest_p99_quiet_over_beside": 1 / figures["ingest_p99_times"]}
    return document("recovery-snapshot-cost", ratios, found, figures)


def disk_mb_per_s(bench: Bench) -> float:
    """Sequential, 1 MiB and one sync at a time, as a snapshot is written."""
    command = [str(bench.load_client), "disk", str(bench.folder), "1", str(2**20), "1", "0.2", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["events_per_s"]) * 2**20 / 1e6


def document(
    name: str, ratios: dict[str, float], targets: dict[str, float], figures: dict[str, float]
) -> dict[str, Any]:
    return {
        "bench": name,
        "ratios": machine.rounded(ratios),
        "targets": machine.rounded(targets),
        "figures": machine.rounded(figures),
    }


def measure(bench: Bench, cost: bool) -> dict[str, Any]:
    about = machine.describe()
    about["fdatasync"] = machine.fsync_of_disk(bench.load_client, bench.folder, 2.0)
    found = measure_cost(bench) if cost else measure_kills(bench)
    about["rate"], about["state_mib"] = bench.rate, bench.state_mib
    return found | {"machine": about, "kills": bench.kills}


def main() -> int:
    # So that the servers are ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--headrace", type=Path, required=True)
    parser.add_argument("--sender", type=Path, required=True)
    parser.add_argument("--load-client", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--state-mib", type=int, default=1024)
    parser.add_argument("--rate", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--uptime", type=float, default=UPTIME_MAX_S, help="s to a kill, at most")
    parser.add_argument("--snapshot-cost", action="store_true", help="what a snapshot costs ingest")
    options = parser.parse_args()
    bench = Bench(
        headrace=options.headrace,
        sender=options.sender,
        load_client=options.load_client,
        folder=options.folder,
        state_mib=options.state_mib,
        rate=options.rate,
        kills=options.kills,
        uptime_max_s=options.uptime,
    )
    bench.folder.mkdir(parents=True, exist_ok=True)
    try:
        found = measure(bench, options.snapshot_cost)
    except PeerFailure as failure:
        say(f"FAILED: {failure}")
        return 1
    (options.folder / f"{found['bench']}.json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
