"""SIGKILL at any moment, again and again, with an independent record of acknowledgements.

    kill_loop.py [--kills N] [--workers N] [--seconds S] [--seed X] [--folder DIR]

The seed decides what is sent, how each life ends and after how long. How far the engine has come
by then is the machine's to say, so a seed that failed is likely, not certain, to fail again: the
data folder is kept. A round is --kills-per-round kills on one log, then a new log begins.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import http.client
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults"))

import workers
from campaign import Campaign, look_at, never_met, report, say
from engine_process import EngineProcess
from producers import Traffic
from record import Violation

RECOVERY_MAX_S = 0.25
SHUTDOWN_MAX_S = 0.1
LETTING_GO_MAX_S = 0.02
FILES_WITHIN_S = 1.5
REWRITING_SHARE = 0.4  # of the lives, during which table files are rewritten
LETTING_GO = "letting go"
LETTING_GO_EVERY = 20  # lives
# How the others end, and how often.
ENDINGS = {
    "running": 8,
    "new file": 6,
    "recovery": 3,
    "shutdown": 2,
    "while stopping and busy": 1,
}


@dataclasses.dataclass
class Progress:
    kills: int = 0
    ended: int = 0  # lives that were over before the kill
    rounds: int = 0
    rows: int = 0
    refused_rows: int = 0
    batches: int = 0
    repeated: int = 0
    comparisons: int = 0
    snapshots: int = 0
    starts_from_snapshot: int = 0
    segments_let_go: int = 0  # of the log
    epochs_let_go: int = 0  # likewise, by the comparisons
    epochs_unread: int = 0  # of them, those that no comparison had read in the log before
    rewritings: int = 0  # of table files, that a life was asked for
    by_ending: dict[str, int] = dataclasses.field(default_factory=dict)


class KillRound:
    def __init__(
        self, campaign: Campaign, seed: int, life_max_s: float, progress: Progress
    ) -> None:
        self.campaign = campaign
        self.random = random.Random(seed)
        self.life_max_s = life_max_s
        self.progress = progress
        self.begun = 0  # lives

    def life(self) -> None:
        """One life of the engine, ended by SIGKILL."""
        self.begun += 1
        ending = self.random.choices(list(ENDINGS), list(ENDINGS.values()))[0]
        if self.begun % LETTING_GO_EVERY == 0:
            ending = LETTING_GO
        part = self.random.random()
        engine = self.campaign.start()
        if ending == "recovery":
            time.sleep(part * RECOVERY_MAX_S)
        else:
            self.campaign.serve()
            self._live(ending, part)
        self.progress.by_ending[ending] = self.progress.by_ending.get(ending, 0) + 1
        if engine.alive():
            self.progress.kills += 1
        else:
            self.progress.ended += 1
            if engine.process.returncode != 0:
                code = engine.process.returncode
                raise Violation(f"the engine ended with {code}:\n{engine.printed()[-2000:]}")
        engine.kill()
        self.campaign.ended()

    def _live(self, ending: str, part: float) -> None:
        assert self.campaign.engine is not None
        if self.random.random() < REWRITING_SHARE:
            self._rewrite(self.campaign.engine)
        if ending == "running":
            time.sleep(part * self.life_max_s)
        elif ending == "new file":
            time.sleep(part * self.life_max_s / 2)
            self._wait_for_new_file()
        elif ending == LETTING_GO:
            self.campaign.wait_for_letting_go()
            time.sleep(part * LETTING_GO_MAX_S)
        else:
            if ending == "while stopping and busy":
                time.sleep(self.life_max_s)
            time.sleep(part * self.life_max_s / 2)
            self.campaign.engine.terminate()
            time.sleep(self.random.random() * SHUTDOWN_MAX_S)

    def _rewrite(self, engine: EngineProcess) -> None:
        """OPTIMIZE, under way while the life goes on and ends."""
        body: dict[str, Any] = {"target_bytes": 1 << self.random.randrange(16, 22)}
        if self.random.random() < 0.5:
            body["z_order"] = ["key"]
        self.progress.rewritings += 1

        def ask() -> None:
            # The kill ends the connection.
            with contextlib.suppress(OSError, http.client.HTTPException):
                engine.request("POST", "/tables/events/optimize", json.dumps(body))

        threading.Thread(target=ask, daemon=True).start()

    def _wait_for_new_file(self) -> None:
        """Until a name comes or goes in one of the data folders: a table's file, a commit, a
        segment, a snapshot."""
        folders = [Path(found) for found, _, _ in os.walk(self.campaign.data)]
        folder = sorted(folders)[self.random.randrange(len(folders))]
        before = names_in(folder)
        deadline = time.monotonic() + FILES_WITHIN_S
        while names_in(folder) == before and time.monotonic() < deadline:
            time.sleep(0.0003)


def names_in(folder: Path) -> set[str]:
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries}


def run_round(
    folder: Path, seed: int, kills: int, deadline: float, options: argparse.Namespace, p: Progress
) -> None:
    """Up to `kills` kills on one log; compares as it goes and at the end."""
    # The log is small, so that its segments are, and go.
    traffic = Traffic(rows_mean=options.rows, pause_s=options.pause, may_fill=True)
    log = f"{{keep: 2s, bytes_max: {options.log_bytes_max}}}"
    with Campaign(folder, seed, traffic, commit=options.commit, log=log) as campaign:
        before = dataclasses.replace(p)
        killing = KillRound(campaign, seed, options.life, p)
        end = p.kills + kills
        next_comparison = p.kills + options.compare_every
        try:
            while p.kills < end and time.monotonic() < deadline:
                killing.life()
                if p.kills >= next_comparison and p.kills < end:
                    next_comparison = p.kills + options.compare_every
                    campaign.start()
                    campaign.serve().alive()
                    campaign.compare()
                    tally(campaign, before, p)
                    campaign.engine.kill() if campaign.engine else None
                    campaign.ended()
                    p.kills += 1
                    say(line(p, options))
            finish_round(campaign)
        finally:
            tally(campaign, before, p)
    p.rounds += 1


def finish_round(campaign: Campaign) -> None:
    """Everything is compared, then once more after an orderly stop."""
    campaign.start()
    campaign.serve()
    campaign.compare(last=True)
    assert campaign.engine is not None
    campaign.lives.end()
    if (code := campaign.engine.stop()) != 0:
        raise Violation(f"an orderly stop ended with {code}: {campaign.engine.printed()[-2000:]}")
    campaign.ended()
    campaign.start()
    campaign.serve()
    campaign.compare(last=True)
    campaign.check_with_delta_rs()


def tally(campaign: Campaign, before: Progress, p: Progress) -> None:
    record = campaign.record
    p.rows = before.rows + record.rows_acknowledged
    p.refused_rows = before.refused_rows + record.rows_refused
    p.batches = before.batches + record.batches_acknowledged
    p.repeated = before.repeated + record.batches_repeated
    p.comparisons = before.comparisons + campaign.comparisons
    p.snapshots = before.snapshots + campaign.snapshots
    p.starts_from_snapshot = before.starts_from_snapshot + campaign.starts_from_snapshot
    p.segments_let_go = before.segments_let_go + campaign.segments_let_go
    p.epochs_let_go = before.epochs_let_go + campaign.epochs_let_go()
    p.epochs_unread = before.epochs_unread + campaign.log.epochs_gone


def line(p: Progress, options: argparse.Namespace) -> str:
    seconds = time.monotonic() - options.begin
    return (
        f"kill {p.kills} of {options.kills}, {p.rows:,} rows acknowledged, {p.batches:,} batches, "
        f"{p.repeated:,} repeats, {p.segments_let_go} segments with {p.epochs_let_go:,} epochs let "
        f"go, {p.comparisons} comparisons, 0 lost, 0 doubled, {seconds:.0f} s"
    )


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=1, help="at once, each on a log of its own")
    parser.add_argument("--seconds", type=float, default=8 * 3600.0, help="stop after so long")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--folder", type=Path, help="where the data goes; kept after a failure")
    parser.add_argument("--rows", type=int, default=500, help="rows of a batch, about, up to 1,000")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between batches")
    parser.add_argument("--life", type=float, default=0.7, help="seconds that a life takes at most")
    parser.add_argument("--kills-per-round", type=int, default=100, help="on one log, in memory")
    parser.add_argument("--compare-every", type=int, default=25, help="kills between comparisons")
    parser.add_argument("--commit", default="500ms", help="of the table")
    parser.add_argument("--log-bytes-max", default="256MiB", help="a segment has an eighth of it")
    options = parser.parse_args(given)
    options.begin = time.monotonic()
    return options


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The summary; `failure` is there when a promise was broken."""
    if options.workers > 1:
        return workers.run_workers(Path(__file__), options, arguments([]), "kills")
    folder = options.folder or Path(tempfile.mkdtemp(prefix="headrace-kill-"))
    say(f"kill loop: seed {options.seed}, {options.kills} kills, at most {options.seconds:.0f} s")
    deadline = options.begin + options.seconds
    p = Progress()
    failure, ended = "", False
    while p.kills < options.kills and time.monotonic() < deadline and not failure and not ended:
        kills = min(options.kills_per_round, options.kills - p.kills)
        home = folder / f"round-{p.rounds}"
        try:
            run_round(home, options.seed + p.rounds, kills, deadline, options, p)
            shutil.rmtree(home)
        except workers.Ended:
            ended = True
        except Violation as violation:
            failure = f"{violation}"
            say(
                f"FAILED in round {p.rounds} (seed {options.seed}): {failure}\n"
                f"data is kept; look at it: {look_at(home)}\n"
                f"again: {workers.again('kill', options, arguments([]))}"
            )
    if not failure and not ended:
        failure = never_met(p.kills, {"an epoch let go": p.epochs_let_go})
    seconds = time.monotonic() - options.begin
    complete = p.kills >= options.kills
    summary = {
        "test": "kill",
        "seed": options.seed,
        "complete": complete,
        "seconds": round(seconds),
    }
    summary |= dataclasses.asdict(p)
    summary |= {"lost_or_doubled": 0} if not failure else {"failure": failure}
    reached = "all of them" if complete else f"of {options.kills} asked for; the time was over"
    say(line(p, options) if failure else f"{line(p, options)}: {reached}")
    return summary


if __name__ == "__main__":
    workers.end_at_sigterm()
    result = run(arguments())
    report(result)
    sys.exit("failure" in result)
