"""Failing system calls under the real binary: nothing in doubt is acknowledged, and a restart
without faults has everything that was.

    syscall_loop.py [--cases N] [--seconds S] [--seed X] [--nth-max N] [--folder DIR]

A sweep lets each call fail at its 1st, 2nd, 3rd ... visit (failing_calls.cc, for files of the data
folder); then libfiu and failing_calls.cc fail a share of them, or cut reads and writes short.
Exit code 77 when the preload libraries are missing.
"""

from __future__ import annotations

import argparse
import dataclasses
import errno
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from campaign import Campaign, look_at, report, say
from engine_process import ROOT, EngineProcess
from producers import Traffic
from record import Violation

PRELOAD = Path(
    os.environ.get(
        "HEADRACE_FAILING_CALLS", ROOT / "build/release/tests/faults/libheadrace_failing_calls.so"
    )
)
FIU = [Path("/usr/lib/fiu") / name for name in ("fiu_run_preload.so", "fiu_posix_preload.so")]
READY_OR_GONE_S = 300.0
STOPPED_WITHIN_S = 300.0
NOT_RUN = 77

# Each call and what it fails with.
CALLS = {
    "fdatasync": errno.EIO,
    "pwrite": errno.EIO,
    "fsync": errno.EIO,
    "create": errno.ENOSPC,
    "open": errno.EMFILE,
    "pread": errno.EIO,
    "posix_fallocate": errno.ENOSPC,
    "ftruncate": errno.EIO,
    "rename": errno.EIO,
    "link": errno.EIO,
    "unlink": errno.EIO,
    "mkdir": errno.ENOSPC,
}
# libfiu's points. Short reads and writes are no errors: the engine must go on as if nothing were.
FIU_POINTS = (
    "posix/io/rw/pwrite/reduce",
    "posix/io/rw/pread/reduce",
    "posix/io/rw/pwrite",
    "posix/io/rw/pread",
    "posix/io/sync/fdatasync",
    "posix/io/sync/fsync",
    "posix/io/oc/open",
    "posix/io/dir/rename",
    "posix/io/dir/unlink",
    "posix/io/net/recv",
    "posix/io/net/send",
)
SHARES = (0.002, 0.02, 0.2)
NTH_MAX = 400


def why_not() -> str:
    missing = [str(path) for path in (PRELOAD, *FIU) if not path.exists()]
    return f"missing: {', '.join(missing)} (tools/apt-faults.txt; ./dev test)" if missing else ""


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    environment: dict[str, str]

    @staticmethod
    def nth(call: str, number: int, error: int, data: Path) -> Case:
        return Case.own(f"{call}:nth:{number}:{error}", data, 1)

    @staticmethod
    def own(plan: str, data: Path, seed: int) -> Case:
        environment = {
            "LD_PRELOAD": str(PRELOAD),
            "HEADRACE_FAIL": plan,
            "HEADRACE_FAIL_UNDER": str(data),
            "HEADRACE_FAIL_SEED": str(seed),
        }
        return Case(plan, environment)

    @staticmethod
    def fiu(point: str, share: float) -> Case:
        environment = {
            "LD_PRELOAD": " ".join(map(str, FIU)),
            "FIU_ENABLE": f"enable_random name={point},probability={share}",
            "FIU_CTRL_FIFO": "",
        }
        return Case(f"{point} {share}", environment)


@dataclasses.dataclass
class Progress:
    cases: int = 0
    hit: int = 0  # cases of failing_calls.cc in which the call was reached
    not_started: int = 0  # the engine said why and ended before it was ready
    stopped: int = 0  # it said why and ended while it served
    rows: int = 0
    batches: int = 0
    refusals: int = 0  # answers that were errors
    comparisons: int = 0


class FailingRound:
    def __init__(
        self, campaign: Campaign, chance: random.Random, life_max_s: float, p: Progress
    ) -> None:
        self.campaign = campaign
        self.random = chance
        self.life_max_s = life_max_s
        self.progress = p

    def live(self, case: Case) -> bool:
        """One life with faults; whether the planned call was reached."""
        engine = self.campaign.start(environment=case.environment, errors_expected=True)
        deadline = time.monotonic() + READY_OR_GONE_S
        while not engine.ready() and engine.alive():
            if time.monotonic() > deadline:
                raise Violation(f"{case.name}: neither ready nor gone after {READY_OR_GONE_S} s")
            time.sleep(0.002)
        if engine.ready():
            self.campaign.lives.begin(engine.ports)
            time.sleep((0.3 + 0.7 * self.random.random()) * self.life_max_s)
            self._end(case, engine)
        else:
            self.progress.not_started += 1
        self._explained(case, engine)
        engine.kill()
        self.campaign.ended()
        self.progress.cases += 1
        hit = "failing_calls:" in engine.printed()
        self.progress.hit += hit
        return hit

    def _end(self, case: Case, engine: EngineProcess) -> None:
        """Half of the lives end by SIGKILL, half are asked to."""
        if not engine.alive():
            self.progress.stopped += 1
        elif self.random.random() < 0.5:
            engine.kill()
        else:
            engine.terminate()
            deadline = time.monotonic() + STOPPED_WITHIN_S
            while engine.alive():
                if time.monotonic() > deadline:
                    raise Violation(f"{case.name}: it does not end within {STOPPED_WITHIN_S} s")
                time.sleep(0.005)

    def _explained(self, case: Case, engine: EngineProcess) -> None:
        """A life that ended by itself has a code and a reason."""
        code = engine.process.poll()
        if code is None or code in (0, -9):
            return
        said = [line for line in engine.printed().splitlines() if "failing_calls:" not in line]
        if code < 0 or not said:
            raise Violation(f"{case.name}: ended with {code}: {engine.printed()[-1500:]}")

    def compare(self, last: bool = False) -> None:
        engine = self.campaign.start()
        self.campaign.serve()
        self.campaign.compare(last)
        engine.kill()
        self.campaign.ended()


def random_case(chance: random.Random, data: Path) -> Case:
    share = chance.choice(SHARES)
    kind = chance.random()
    if kind < 0.4:
        return Case.fiu(chance.choice(FIU_POINTS), share)
    call = chance.choice(list(CALLS))
    error = chance.choice([CALLS[call], errno.EIO, errno.ENOSPC, errno.EINTR])
    if kind < 0.7:  # often late enough to be after the start
        return Case.nth(call, int(NTH_MAX ** chance.random()), error, data)
    return Case.own(f"{call}:share:{int(share * 1000)}:{error}", data, chance.getrandbits(30))


def run_round(
    home: Path, seed: int, call: str | None, options: argparse.Namespace, p: Progress
) -> None:
    """One log: a sweep over one call, or random cases."""
    chance = random.Random(seed)
    deadline = options.begin + options.seconds
    before = dataclasses.replace(p)
    traffic = Traffic(http=2, keyed=1, flight=1, rows_mean=60, pause_s=options.pause, abandons=0)
    with Campaign(home, seed, traffic) as campaign:
        failing = FailingRound(campaign, chance, options.life, p)
        try:
            for number in range(1, (options.nth_max if call else options.random) + 1):
                if p.cases >= options.cases or time.monotonic() > deadline:
                    break
                case = (
                    Case.nth(call, number, CALLS[call], campaign.data)
                    if call
                    else random_case(chance, campaign.data)
                )
                hit = failing.live(case)
                if number % options.compare_every == 0:
                    failing.compare()
                if call and not hit:
                    break
            failing.compare(last=True)
        except Violation as violation:
            raise Violation(f"{violation} (sweep over {call or 'shares'}, seed {seed})") from None
        finally:
            record = campaign.record
            p.rows = before.rows + record.rows_acknowledged
            p.batches = before.batches + record.batches_acknowledged
            p.refusals = before.refusals + sum(record.refusals.values())
            p.comparisons = before.comparisons + campaign.comparisons


def line(p: Progress, what: str, options: argparse.Namespace) -> str:
    seconds = time.monotonic() - options.begin
    return (
        f"{what}: {p.cases} cases so far, {p.hit} calls failed on plan, {p.not_started} did not "
        f"start, {p.refusals} error answers, {p.rows:,} rows acknowledged, {seconds:.0f} s"
    )


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="failing system calls under the real binary")
    parser.add_argument("--cases", type=int, default=100_000, help="lives with faults, at most")
    parser.add_argument("--seconds", type=float, default=8 * 3600.0, help="stop after so long")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--folder", type=Path, help="where the data goes; kept after a failure")
    parser.add_argument("--nth-max", type=int, default=200, help="visits of a call in a sweep")
    parser.add_argument("--random", type=int, default=200, help="cases with shares")
    parser.add_argument("--life", type=float, default=0.5, help="seconds of a life at most")
    parser.add_argument("--pause", type=float, default=0.01, help="seconds between batches")
    parser.add_argument("--compare-every", type=int, default=5)
    parser.add_argument("--calls", nargs="*", choices=list(CALLS), default=list(CALLS))
    options = parser.parse_args(given)
    options.begin = time.monotonic()
    return options


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The summary; `failure` is there when a promise was broken."""
    folder = options.folder or Path(tempfile.mkdtemp(prefix="headrace-syscalls-"))
    say(f"failing system calls: seed {options.seed}, at most {options.seconds:.0f} s")
    p = Progress()
    failure = ""
    rounds: list[str | None] = [*options.calls, None]
    done = 0
    for number, call in enumerate(rounds):
        if p.cases >= options.cases or time.monotonic() > options.begin + options.seconds:
            break
        home = folder / (call or "shares")
        try:
            run_round(home, options.seed + number, call, options, p)
            shutil.rmtree(home)
        except Violation as violation:
            failure = f"{violation}"
            say(
                f"FAILED: {failure}\ndata is kept; look at it: {look_at(home)}\n"
                f"again: ./dev test --long syscalls --seed {options.seed}"
            )
            break
        done += 1
        say(line(p, call or "shares", options))
    seconds = round(time.monotonic() - options.begin)
    complete = done == len(rounds)
    summary = {"test": "syscalls", "seed": options.seed, "complete": complete, "seconds": seconds}
    summary |= dataclasses.asdict(p)
    summary |= {"failure": failure} if failure else {"lost_or_doubled": 0}
    return summary


if __name__ == "__main__":
    if reason := why_not():
        say(f"NOT RUN: {reason}")
        sys.exit(NOT_RUN)
    result = run(arguments())
    report(result)
    sys.exit("failure" in result)
