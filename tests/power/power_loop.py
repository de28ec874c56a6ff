"""Power loss under the real binary: acknowledge, cut, mount again, recover, compare.

    power_loop.py [--cycles N] [--workers N] [--seconds S] [--seed X] [--folder DIR]

The engine writes to headrace_power_disk, which keeps a seeded part of what was not synced when its
power goes: at the Nth write, sync or rename, or (one in ten) at any time. In other
cycles a sync fails first, and the cut comes behind it, before or after a restart; in every 50th
the log lets a segment go. The disk stays mounted. A cycle counts if a batch was acknowledged since
the last cut, or if it cut a recovery. Exit code 77 when power can't be cut here.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults"))

import workers
from campaign import Campaign, look_at, never_met, report, say
from engine_process import EngineProcess
from power_disk import PowerDisk, why_not
from producers import Traffic
from record import Violation

RECOVERY_MAX_S = 0.3
RECOVERY_OPERATIONS_MAX = 40
OPERATIONS_MAX = 250  # of a life; drawn evenly by order of magnitude
OPERATION_WITHIN_S = 10.0  # else it is cut there and then
LOOK_EVERY_S = 0.02  # whether a life is over before its operation came
AFTER_FAILURE_MAX_S = 0.1
BY_TIME = 0.1  # share of the cuts
SYNC_DELAYS_US = (0, 2_000, 20_000)  # at most; drawn for each life
ACKNOWLEDGED_WITHIN_S = 30.0
SYNCS_UNTIL_FAILURE = 60  # drawn as operations are
REFUSED_START = "sync failed: Input/output error"
LETTING_GO = "cut while letting go"
LETTING_GO_EVERY = 50  # cycles
LETTING_GO_FROM = 25  # on: each, until a segment went
# What happens in the others, and how often.
CYCLES = {
    "cut while serving": 8,
    "cut during recovery": 3,
    "cut while stopping": 1,
    "failed sync, then cut": 2,
    "failed sync, restart, then cut": 2,
}
WINDOWS_S = (1, 5)  # so that the state, which each life reads, stays small
WORKERS = 2 * (os.cpu_count() or 1)  # a cycle waits for the disk half of its time
NOT_RUN = 77


@dataclasses.dataclass
class Progress:
    cycles: int = 0
    idle_cycles: int = 0  # nothing was acknowledged since the last cut: not counted
    rounds: int = 0
    rows: int = 0
    refused_rows: int = 0
    batches: int = 0
    repeated: int = 0
    comparisons: int = 0
    log_comparisons: int = 0
    snapshots: int = 0
    starts_from_snapshot: int = 0
    segments_let_go: int = 0  # of the log
    epochs_let_go: int = 0  # likewise, by the comparisons
    epochs_unread: int = 0  # of them, those that no comparison had read in the log before
    cuts_at_operations: int = 0
    cuts_with_an_unsynced_record: int = 0
    unsynced_sectors: int = 0  # at the cuts, all together; of bytes that the disk had otherwise
    unsynced_log_sectors: int = 0  # of them in segments
    unsynced_names: int = 0
    failed_syncs: int = 0  # that the disk failed
    by_cycle: dict[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Draw:
    """What the seed says of one cycle."""

    kind: str
    part: float  # of the longest time
    nth: float  # of the most operations
    cut: int  # decides what survives
    by_time: bool
    at_once: bool  # not after the first batch
    delay_us: int  # of a sync, at most

    @property
    def failing(self) -> bool:
        return self.kind.startswith("failed sync")


class PowerRound:
    def __init__(
        self, campaign: Campaign, disk: PowerDisk, seed: int, life_max_s: float, p: Progress
    ) -> None:
        self.campaign = campaign
        self.disk = disk
        self.random = random.Random(seed)
        self.life_max_s = life_max_s
        self.progress = p
        self.failed_syncs = 0
        self.begun = 0  # cycles, idle ones too
        self.has_let_go = False  # of a segment

    def cycle(self) -> None:
        draw = self._draw()
        acknowledged = self.campaign.record.batches_acknowledged
        engine = self.campaign.start(errors_expected=draw.failing)
        if draw.kind == "cut during recovery":
            self._recover(engine, draw)
        else:
            self.campaign.serve()
            if draw.failing:
                self._fail_a_sync(engine, draw)
            else:
                self._serve(engine, draw, acknowledged)
        self._check_end(engine, draw)
        recovering = draw.kind == "cut during recovery" and not engine.ready()
        engine.send_kill()
        if draw.kind == "failed sync, restart, then cut":
            self._end_life()
            self._restart_without_cut(draw.part)
            assert self.campaign.engine is not None
            self.campaign.engine.send_kill()
        figures = self.disk.cut_here(draw.cut, self._end_life)
        self.disk.delay_syncs(0, 0)
        moved = recovering or self.campaign.record.batches_acknowledged > acknowledged
        self._count(draw.kind, figures, moved)

    def _draw(self) -> Draw:
        self.begun += 1
        kind = self.random.choices(list(CYCLES), list(CYCLES.values()))[0]
        wanted = self.begun >= LETTING_GO_FROM and not self.has_let_go
        if wanted or self.begun % LETTING_GO_EVERY == 0:
            kind = LETTING_GO
        return Draw(
            kind=kind,
            part=self.random.random(),
            nth=self.random.random(),
            cut=self.random.getrandbits(60),
            by_time=self.random.random() < BY_TIME,
            at_once=self.random.random() < 0.25,
            delay_us=self.random.choice(SYNC_DELAYS_US),
        )

    def _recover(self, engine: EngineProcess, draw: Draw) -> None:
        """A recovery that takes fewer operations than that is cut once it serves."""
        if draw.by_time:
            time.sleep(draw.part * RECOVERY_MAX_S)
            return
        self.disk.cut_at(1 + int(draw.nth * RECOVERY_OPERATIONS_MAX), draw.cut)
        if not self._until_cut(lambda: engine.ready() or engine.ended()) and engine.ready():
            self.campaign.serve()
            self._until_cut(engine.ended)

    def _fail_a_sync(self, engine: EngineProcess, draw: Draw) -> None:
        self.disk.fail_sync(int(SYNCS_UNTIL_FAILURE**draw.nth), draw.cut)
        self.disk.delay_syncs(draw.delay_us, draw.cut)
        self._wait(self.disk.sync_failed, engine.ended)
        time.sleep(draw.part * AFTER_FAILURE_MAX_S)

    def _serve(self, engine: EngineProcess, draw: Draw, acknowledged: int) -> None:
        if not draw.at_once:
            self._wait_for_batch(acknowledged)
        if draw.kind == LETTING_GO:
            self.has_let_go |= self.campaign.wait_for_letting_go()
        self.disk.delay_syncs(draw.delay_us, draw.cut)
        if not draw.by_time:
            self.disk.cut_at(int(OPERATIONS_MAX**draw.nth), draw.cut)
        if draw.kind == "cut while stopping":
            engine.terminate()
        if draw.by_time:
            time.sleep(draw.part * self.life_max_s)
        else:
            self._until_cut(engine.ended)

    def _until_cut(self, over: Callable[[], bool]) -> bool:
        """Until time stands still, or the life is over without; whether it does."""
        still = self._wait(self.disk.stands_still, over)
        self.progress.cuts_at_operations += still
        return still

    def _wait(self, happened: Callable[[float], bool], over: Callable[[], bool]) -> bool:
        """`happened` waits as long as it is told to."""
        deadline = time.monotonic() + OPERATION_WITHIN_S
        while not (found := happened(LOOK_EVERY_S)):
            if over() or time.monotonic() > deadline:
                break
        return found

    def _check_end(self, engine: EngineProcess, draw: Draw) -> None:
        """Whether it was alive until now, or may have ended."""
        code = engine.process.poll()
        if code is None or (code == 0 and draw.kind == "cut while stopping"):
            return
        if code < 0 or not draw.failing:
            raise Violation(f"the engine ended with {code}:\n{engine.printed()[-2000:]}")

    def _wait_for_batch(self, acknowledged: int) -> None:
        deadline = time.monotonic() + ACKNOWLEDGED_WITHIN_S
        while self.campaign.record.batches_acknowledged == acknowledged:
            self.campaign.raise_violations()
            if time.monotonic() > deadline:
                return  # the log may be full
            time.sleep(0.001)

    def _end_life(self) -> None:
        assert self.campaign.engine is not None
        self.campaign.engine.kill()
        self.campaign.ended()

    def _count(self, kind: str, figures: dict[str, int], moved: bool) -> None:
        p = self.progress
        if moved:
            p.cycles += 1
        else:
            p.idle_cycles += 1
        p.by_cycle[kind] = p.by_cycle.get(kind, 0) + 1
        p.failed_syncs += figures["failed_syncs"] - self.failed_syncs
        self.failed_syncs = figures["failed_syncs"]
        p.unsynced_sectors += figures["unsynced_sectors"]
        p.unsynced_log_sectors += figures["unsynced_log_sectors"]
        p.cuts_with_an_unsynced_record += figures["unsynced_log_sectors"] > 0
        p.unsynced_names += figures["unsynced_names"]

    def _restart_without_cut(self, part: float) -> None:
        """The page cache still shows what the disk never got."""
        engine = self.campaign.start(errors_expected=True)
        if not engine.wait_ready() and REFUSED_START in engine.printed():
            # The sync that was to fail came only now: such a start is refused, the next is not.
            self.campaign.ended()
            engine = self.campaign.start(errors_expected=True)
        self.campaign.serve()
        time.sleep(part * self.life_max_s)

    def compare(self, all_of_it: bool, last: bool = False) -> None:
        """Then the power goes as well."""
        engine = self.campaign.start()
        self.campaign.serve()
        if all_of_it:
            self.campaign.compare(last)
        else:
            self.campaign.compare_log()
        if last:
            self.campaign.check_with_delta_rs()
        engine.send_kill()
        self.disk.cut_here(self.random.getrandbits(60), self._end_life)


def run_round(home: Path, seed: int, options: argparse.Namespace, p: Progress) -> None:
    deadline = options.begin + options.seconds
    disk = PowerDisk(home)
    traffic = Traffic(rows_mean=options.rows, pause_s=options.pause, may_fill=True)
    before = dataclasses.replace(p)
    end = min(p.cycles + options.cycles_per_round, options.cycles)
    # The log is small, so that its segments are, and go.
    log = f"{{keep: 500ms, bytes_max: {options.log_bytes_max}}}"
    data = disk.disk / "data"
    with disk, Campaign(home, seed, traffic, data, log=log, windows_s=WINDOWS_S) as campaign:
        cutting = PowerRound(campaign, disk, seed, options.life, p)
        try:
            compared = compared_all = p.cycles
            while p.cycles < end and time.monotonic() < deadline:
                cutting.cycle()
                if p.cycles - compared >= options.compare_every and p.cycles < end:
                    compared = p.cycles
                    all_of_it = p.cycles - compared_all >= options.compare_all_every
                    compared_all = p.cycles if all_of_it else compared_all
                    cutting.compare(all_of_it)
                    tally(campaign, before, p)
                    say(line(p, options))
            cutting.compare(all_of_it=True, last=True)
        except Violation:
            if campaign.engine is not None:
                campaign.engine.send_kill()
            disk.flush()  # what is kept is looked at in the backing folder
            raise
        finally:
            if campaign.engine is not None:
                campaign.engine.send_kill()
            tally(campaign, before, p)
    p.rounds += 1


def tally(campaign: Campaign, before: Progress, p: Progress) -> None:
    record = campaign.record
    p.rows = before.rows + record.rows_acknowledged
    p.refused_rows = before.refused_rows + record.rows_refused
    p.batches = before.batches + record.batches_acknowledged
    p.repeated = before.repeated + record.batches_repeated
    p.comparisons = before.comparisons + campaign.comparisons
    p.log_comparisons = before.log_comparisons + campaign.log_comparisons
    p.snapshots = before.snapshots + campaign.snapshots
    p.starts_from_snapshot = before.starts_from_snapshot + campaign.starts_from_snapshot
    p.segments_let_go = before.segments_let_go + campaign.segments_let_go
    p.epochs_let_go = before.epochs_let_go + campaign.epochs_let_go()
    p.epochs_unread = before.epochs_unread + campaign.log.epochs_gone


def line(p: Progress, options: argparse.Namespace) -> str:
    seconds = time.monotonic() - options.begin
    return (
        f"cycle {p.cycles} of {options.cycles}, {p.rows:,} rows acknowledged, "
        f"{p.unsynced_sectors:,} sectors and {p.unsynced_names:,} names unsynced at cuts, "
        f"{p.cuts_with_an_unsynced_record} cuts with an unsynced record, {p.failed_syncs} failed "
        f"syncs, {p.segments_let_go} segments with {p.epochs_let_go:,} epochs let go, "
        f"{p.log_comparisons + p.comparisons} comparisons, {seconds:.0f} s"
    )


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="power loss under the real binary")
    parser.add_argument("--cycles", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=WORKERS, help="at once, each on a disk")
    parser.add_argument("--seconds", type=float, default=8 * 3600.0, help="stop after so long")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--folder", type=Path, help="where the data goes; kept after a failure")
    parser.add_argument("--rows", type=int, default=30, help="rows of a batch, about")
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between batches")
    parser.add_argument("--life", type=float, default=0.3, help="seconds of a life at most")
    parser.add_argument("--cycles-per-round", type=int, default=400)
    parser.add_argument("--compare-every", type=int, default=15, help="cycles, of the log")
    parser.add_argument("--compare-all-every", type=int, default=100, help="cycles")
    parser.add_argument("--log-bytes-max", default="64MiB", help="a segment has an eighth of it")
    options = parser.parse_args(given)
    options.begin = time.monotonic()
    return options


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The summary; `failure` is there when a promise was broken."""
    if options.workers > 1:
        return workers.run_workers(Path(__file__), options, arguments([]), "cycles")
    folder = options.folder or Path(tempfile.mkdtemp(prefix="headrace-power-"))
    say(
        f"power loop: seed {options.seed}, {options.cycles} cycles, at most {options.seconds:.0f} s"
    )
    p = Progress()
    failure, ended = "", False
    while p.cycles < options.cycles and time.monotonic() < options.begin + options.seconds:
        home = folder / f"round-{p.rounds}"
        try:
            run_round(home, options.seed + p.rounds, options, p)
            shutil.rmtree(home)
        except workers.Ended:
            ended = True
            break
        except Violation as violation:
            failure = f"{violation}"
            look = look_at(home).replace(f"{home}/data", f"{home}/backing/data")
            say(
                f"FAILED in round {p.rounds} (seed {options.seed}): {failure}\n"
                f"data is kept; look at a copy of it: {look}\n"
                f"again: {workers.again('power', options, arguments([]))}"
            )
            break
    if not failure and not ended:
        failure = never_met(
            p.cycles,
            {
                "an epoch let go": p.epochs_let_go,
                "a failed sync": p.failed_syncs,
                "a cut with an unsynced record": p.cuts_with_an_unsynced_record,
            },
        )
    complete = p.cycles >= options.cycles
    seconds = round(time.monotonic() - options.begin)
    summary = {"test": "power", "seed": options.seed, "complete": complete, "seconds": seconds}
    summary |= dataclasses.asdict(p)
    summary |= {"failure": failure} if failure else {"lost_or_doubled": 0}
    say(line(p, options) + ("" if failure else ": 0 lost, 0 doubled"))
    return summary


if __name__ == "__main__":
    if reason := why_not():
        say(f"NOT RUN: {reason}")
        sys.exit(NOT_RUN)
    workers.end_at_sigterm()
    result = run(arguments())
    report(result)
    sys.exit("failure" in result)
