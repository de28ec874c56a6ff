"""Workers of a loop, with a loop of a few lines: what they did adds up, and a failure ends all."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import workers

LOOP = """
import argparse, json, sys, time
sys.path.insert(0, {here!r})
import workers
parser = argparse.ArgumentParser()
for name in ("things", "seed", "workers", "slow"):
    parser.add_argument("--" + name, type=int, default=0)
parser.add_argument("--folder")
options = parser.parse_args()
workers.end_at_sigterm()
ended = False
try:
    time.sleep(600 if options.slow and options.seed < 10 else 0)
except workers.Ended:
    ended = True
print(options.seed, "worked", file=sys.stderr)
if options.slow and not ended and options.slow == 2:
    raise RuntimeError("no disk")
found = dict(test="thing", seed=options.seed, complete=not ended, seconds=1, things=options.things)
found["by_kind"] = dict(odd=options.things % 2, even=1)
found["ended"] = int(ended)
if options.slow and not ended:
    found["failure"] = "a thing is lost"
print(json.dumps(found))
"""


def options_of(folder: Path, **more: int) -> argparse.Namespace:
    found = {"things": 7, "seed": 3, "workers": 3, "slow": 0} | more
    return argparse.Namespace(**found, folder=folder, begin=time.monotonic())


DEFAULTS = argparse.Namespace(things=0, seed=0, workers=1, slow=0)


def run(folder: Path, **more: int) -> dict[str, object]:
    program = folder / "thing_loop.py"
    program.write_text(LOOP.format(here=str(Path(workers.__file__).parent)))
    return workers.run_workers(program, options_of(folder, **more), DEFAULTS, "things")


def test_what_they_did_adds_up(tmp_path: Path) -> None:
    found = run(tmp_path)
    assert found.pop("seconds") is not None
    assert found == {
        "test": "thing",
        "seed": 3,
        "workers": 3,
        "complete": True,
        "things": 7,
        "by_kind": {"odd": 1, "even": 3},
        "ended": 0,
        "lost_or_doubled": 0,
    }
    seeds = [
        json.loads((tmp_path / f"worker-{number}/summary.json").read_text())["seed"]
        for number in range(3)
    ]
    assert seeds == [3, 1_000_003, 2_000_003]


def test_a_failure_ends_the_others(tmp_path: Path) -> None:
    begin = time.monotonic()
    found = run(tmp_path, slow=1, workers=2)
    assert time.monotonic() - begin < 300, "the first would have slept on"
    assert found["failure"] == "worker 1 (seed 1000003): a thing is lost"
    assert (found["complete"], found["ended"]) == (False, 1)


def test_a_loop_that_broke_is_a_failure(tmp_path: Path) -> None:
    failure = str(run(tmp_path, slow=2, workers=2)["failure"])
    assert failure.startswith("worker 1 (seed 1000003): the loop ended with code 1")
    assert failure.endswith("RuntimeError: no disk")


def test_a_worker_can_be_run_alone(tmp_path: Path) -> None:
    share = workers.shares(options_of(tmp_path), "things", tmp_path)[1]
    command = workers.again("thing", share, DEFAULTS)
    assert command == "./dev test --long thing --workers 1 --things 2 --seed 1000003"
