"""How soon a killed engine answers again, with all that it acknowledged: `./dev bench recovery`.

1. Payments of many cards are sent until the online state has --state-mib (1,024).
2. The whole log is replayed once, without a snapshot: rows a second, from the exec to the answer.
3. --rate (100,000) events a second come in, from a producer that goes on across restarts. At random
   moments, from a fixed seed, the engine gets SIGKILL and is started again, --kills (50) times.
   Each time counts from the exec until an answer is of the epoch, and knows of the batch, that were
   acknowledged last before the kill; what was missed meanwhile comes in at the same time. Besides,
   GET /health is asked every 20 ms: the longest silence, from the exec on, is liveness.
4. In the end every batch that was sent is in the log once: rows lost or doubled are counted.
5. The peer: Redis with as many keys and as many bytes in memory, killed, loading the binary base of
   its append-only file, with nothing coming in.

The pipeline has `recovery: 3s` where this build knows the key; without it every start is step 2.
A ratio over 1 means that Headrace is better; in `targets` at least 1 is met. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
import pipelines_of_payments
import redis_restart
from restarts import Engine, Restart
from sender import Acknowledged, SteadySender
from servers import PeerFailure

SEED = 4
RECOVERY = "3s"
READY_TARGET_S = 3.0
ALIVE_TARGET_S = 1.0
REPLAY_TARGET_ROWS_PER_S = 1_000_000
READY_WITHIN_S = 600.0
BUILD_WITHIN_S = 600.0
BUILD_BATCH_ROWS = 10_000
BATCH_ROWS = 1_000  # 100 batches a second at the usual rate
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

    @property
    def cards(self) -> int:
        return self.state_mib * CARDS_PER_MIB

    def steady(self, engine: Engine) -> SteadySender:
        return SteadySender(self.sender, engine.flight, self.rate, BATCH_ROWS, self.cards)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def knows_recovery(bench: Bench) -> bool:
    pipeline = pipelines_of_payments.write(bench.folder, RECOVERY)
    command = [str(bench.headrace), "check", str(pipeline)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


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
    rows = engine.status()["rows"]["accepted"]
    engine.kill()
    restart = engine.start(Acknowledged(epoch=built.epoch), READY_WITHIN_S)
    logged = engine.last_logged("wiring.recovered")
    inside_s = int(logged["took_ms"]) / 1000 if "took_ms" in logged else restart.ready_s
    say(f"replay of {rows:,} rows: {restart.ready_s:.2f} s from exec, {inside_s:.2f} s inside")
    return {
        "replay_rows": float(rows),
        "replay_s": restart.ready_s,
        "replay_rows_per_s": rows / inside_s,
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
        for kill in range(bench.kills):
            time.sleep(dice.uniform(0.5, 4.0))
            losses = sender.losses()
            engine.kill()
            acknowledged = sender.newest_after_loss(losses, 10)
            restarts.append(engine.start(acknowledged, READY_WITHIN_S))
            if (kill + 1) % 10 == 0 or kill + 1 == bench.kills:
                worst = max(restart.ready_s for restart in restarts)
                say(f"{kill + 1} kills: slowest start {worst:.2f} s")
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


def rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in values.items()}


def measure(bench: Bench) -> dict[str, Any]:
    about = machine.describe()
    about["fdatasync"] = machine.fsync_of_disk(bench.load_client, bench.folder, 2.0)
    with_snapshots = knows_recovery(bench)
    if not with_snapshots:
        say("this build's pipeline file has no `recovery:`: every start replays the whole log")
    engine = Engine(bench.headrace, pipelines_of_payments.write(bench.folder), bench.folder)
    shutil.rmtree(bench.folder / "data", ignore_errors=True)
    try:
        engine.start(Acknowledged(), READY_WITHIN_S)
        figures = replay(engine, build_state(bench, engine))
        if with_snapshots:
            engine.stop()
            engine.pipeline = pipelines_of_payments.write(bench.folder, RECOVERY)
            engine.start(Acknowledged(), READY_WITHIN_S)
        restarts, lost, doubled = kill_again_and_again(bench, engine)
        state_mb = float(engine.status()["memory"]["state_mb"])
        figures |= restart_figures(restarts)
        figures |= {"rows_lost": float(lost), "rows_doubled": float(doubled), "state_mb": state_mb}
    finally:
        engine.stop()
        shutil.rmtree(bench.folder / "data", ignore_errors=True)
    figures |= redis_figures(bench, int(state_mb * 2**20))
    say(
        f"{len(restarts)} kills at {bench.rate:,} events/s with {state_mb:,.0f} MiB of state: "
        f"ready p50 {figures['ready_p50_s']:.2f} s, p99 {figures['ready_p99_s']:.2f} s, worst "
        f"{figures['ready_worst_s']:.2f} s; longest silence {figures['longest_silence_s']:.2f} s; "
        f"{lost} rows lost, {doubled} doubled"
    )
    ratios = {"ready_p50_vs_redis": figures["redis_ready_s"] / figures["ready_p50_s"]}
    return {
        "bench": "recovery",
        "ratios": rounded(ratios),
        "targets": rounded(targets(figures)),
        "figures": rounded(figures),
        "machine": about,
        "kills": len(restarts),
        "rate": bench.rate,
        "with_snapshots": with_snapshots,
    }


def main() -> int:
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
    options = parser.parse_args()
    bench = Bench(
        headrace=options.headrace,
        sender=options.sender,
        load_client=options.load_client,
        folder=options.folder,
        state_mib=options.state_mib,
        rate=options.rate,
        kills=options.kills,
    )
    bench.folder.mkdir(parents=True, exist_ok=True)
    try:
        document = measure(bench)
    except PeerFailure as failure:
        say(f"FAILED: {failure}")
        return 1
    (options.folder / "recovery.json").write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
