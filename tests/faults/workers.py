"""Several workers of a loop at once. Each is the same program in a process of its own, with a share
of the work, a folder and a seed of its own, so that any of them can be run again alone: a worker
that fails says how. What they say is passed on, what they did is added up; the first failure ends
the others.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

SEEDS_APART = 1_000_000  # worker 0 has the seed itself; the rounds of each take the seeds behind it
ENDED_WITHIN_S = 300.0
LINES_KEPT = 20
# Of a summary: what it says of the whole run, and is not added up.
OF_THE_RUN = ("test", "seed", "complete", "seconds", "failure", "lost_or_doubled")


class Ended(BaseException):
    """SIGTERM came: another worker failed."""


def end_at_sigterm() -> None:
    """For a loop's program: Ended is raised in its main thread, once."""

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Ended

    signal.signal(signal.SIGTERM, end)


def given(options: argparse.Namespace, defaults: argparse.Namespace) -> list[str]:
    """The options of one worker as a command line; those that are the default are left out."""
    words = ["--workers", "1"]
    for name, value in vars(options).items():
        if name in ("begin", "folder", "workers") or value == getattr(defaults, name):
            continue
        words += [f"--{name.replace('_', '-')}", f"{value}"]
    return words


def again(test: str, options: argparse.Namespace, defaults: argparse.Namespace) -> str:
    """The command that runs the same once more."""
    return f"./dev test --long {test} {shlex.join(given(options, defaults))}"


@dataclasses.dataclass
class Worker:
    number: int
    seed: int
    process: subprocess.Popen[str]
    answer: Path  # its last line on stdout: the summary
    listener: threading.Thread
    said: collections.deque[str]  # the last of it

    def is_over(self) -> bool:
        return self.process.poll() is not None

    def summary(self) -> dict[str, Any]:
        """Once it is over."""
        self.listener.join(10)
        lines = self.answer.read_text().splitlines()
        found: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        if not found:
            said = "\n".join(self.said)
            found["failure"] = f"the loop ended with code {self.process.returncode}:\n{said}"
        if "failure" in found:
            found["failure"] = f"worker {self.number} (seed {self.seed}): {found['failure']}"
        return found


def begin_worker(
    number: int, program: Path, options: argparse.Namespace, defaults: argparse.Namespace
) -> Worker:
    options.folder.mkdir(parents=True, exist_ok=True)
    answer = options.folder / "summary.json"
    command = [sys.executable, str(program), *given(options, defaults)]
    command += ["--folder", str(options.folder)]
    with answer.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True)
    said: collections.deque[str] = collections.deque(maxlen=LINES_KEPT)

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line.rstrip())
            print(f"worker {number}: {line}", end="", file=sys.stderr, flush=True)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    return Worker(number, options.seed, process, answer, listener, said)


def shares(options: argparse.Namespace, count: str, folder: Path) -> list[argparse.Namespace]:
    """The options of each worker; `count` names the one that is divided."""
    whole = getattr(options, count)
    workers = min(options.workers, whole)
    found = []
    for number in range(workers):
        mine = argparse.Namespace(**vars(options))
        mine.seed = options.seed + number * SEEDS_APART
        mine.folder = folder / f"worker-{number}"
        setattr(mine, count, whole // workers + (number < whole % workers))
        found.append(mine)
    return found


def run_workers(
    program: Path, options: argparse.Namespace, defaults: argparse.Namespace, count: str
) -> dict[str, Any]:
    """The summary of all; `failure` is there when one failed."""
    test = program.stem.removesuffix("_loop")
    folder = options.folder or Path(tempfile.mkdtemp(prefix=f"headrace-{test}-"))
    begun: list[Worker] = []
    failure = ""
    try:
        for number, share in enumerate(shares(options, count, folder)):
            begun.append(begin_worker(number, program, share, defaults))
        while not failure and not all(worker.is_over() for worker in begun):
            over = [worker for worker in begun if worker.is_over()]
            failure = next((f for worker in over if (f := worker.summary().get("failure"))), "")
            time.sleep(0.1)
    finally:
        end_all(begun)
    summaries = [worker.summary() for worker in begun]
    # Of those that were ended, none is a failure of its own.
    failure = failure or next((f for each in summaries if (f := each.get("failure"))), "")
    summary: dict[str, Any] = {"test": test, "seed": options.seed, "workers": len(begun)}
    summary["complete"] = all(each.get("complete", False) for each in summaries)
    summary["seconds"] = round(time.monotonic() - options.begin)
    summary |= added_up([{n: v for n, v in s.items() if n not in OF_THE_RUN} for s in summaries])
    summary |= {"failure": failure} if failure else {"lost_or_doubled": 0}
    return summary


def end_all(workers: list[Worker]) -> None:
    """They let go of what they hold: engines, mounts."""
    for worker in workers:
        if not worker.is_over():
            worker.process.terminate()
    for worker in workers:
        try:
            worker.process.wait(ENDED_WITHIN_S)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()


def added_up(summaries: list[dict[str, Any]]) -> dict[str, Any]:
    """Numbers by their names, at any depth."""
    total: dict[str, Any] = {}
    for summary in summaries:
        for name, value in summary.items():
            if isinstance(value, dict):
                total[name] = added_up([total.get(name, {}), value])
            else:
                total[name] = total.get(name, 0) + value
    return total
