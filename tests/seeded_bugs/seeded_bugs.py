"""Plants known bugs, one at a time, and says which the tests catch.

    seeded_bugs.py [--only PATTERN] [--nets NAME,...] [--list] [--apply] [--json]

Each bug is a patch in this folder. Its lines before the diff say what it does (`bug:`) and where
it is to be caught (`net:`). The tree is copied, the patch is applied to the copy, what it touches
is built, and its nets are cast until one of them fails: a test that fails caught the bug, and is
named. Bugs that their own nets let through are planted once more, for all the others; with `--nets`
only those are cast, and bugs of other nets are left out. The copy without any patch must pass a net
first, else nothing is shown. `--apply` only looks whether each patch fits today's tree.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
MISSED_MAX = 1
NET_SECONDS_MAX = 900
# How each kind of test names one that failed.
FAILED_TEST = re.compile(
    r"^\[  FAILED  \] (?P<gtest>[\w/.]+)"
    r"|^(?P<broken>headrace: invariant broken at .*)"
    r"|^\s+\d+ - (?P<case>\S+) \(\w+\)"
    r"|^(?P<seed>seed \d+) failed"
    r"|^(?P<point>crash point \S+) was never reached",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Net:
    """A part of the suite: what has to be built for it, and how it is run."""

    name: str
    targets: tuple[str, ...]
    command: tuple[str, ...]


def unit(room: str, *options: str) -> Net:
    program = f"headrace_{room}_test"
    return Net(room, (program,), (f"./{program}", "--gtest_brief=1", *options))


NETS = (
    unit("log"),
    unit("pipeline"),
    unit("wiring"),
    unit("tables"),
    unit("env"),
    unit("training"),
    unit("serving"),
    unit("columns"),
    unit("protocols"),
    Net("cases", ("headrace_cases",), ("ctest", "-R", "^case/", "-j2", "--no-tests=error")),
    Net(
        "simulation",
        ("headrace_simulation",),
        ("./tests/simulation/headrace_simulation", "--seeds", "300", "--failures-max", "1"),
    ),
)


@dataclass(frozen=True)
class Bug:
    patch: Path
    says: str
    first: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.patch.stem


@dataclass
class Verdict:
    bug: Bug
    caught_by: str | None
    seconds: float
    tests: tuple[str, ...] = ()  # that failed

    def says(self) -> str:
        if self.caught_by is None:
            return "MISSED"
        by = f"{self.caught_by}: {', '.join(self.tests[:2])}"
        return by if self.caught_by in self.bug.first else by + " (not where the patch says)"


@dataclass(frozen=True)
class Catch:
    """What a net said that failed."""

    tests: tuple[str, ...]
    output: str


def failed_tests(output: str, code: int) -> tuple[str, ...]:
    """By name, each once; how the program ended when it named none."""
    found = [match.group(match.lastgroup or 0) for match in FAILED_TEST.finditer(output)]
    if found:
        return tuple(dict.fromkeys(found))
    return ("it hung",) if code == 124 else (f"exit code {code}",)


@dataclass
class Copy:
    """A copy of the tree. Its build folder lies in it as in every clone, so that the compiler cache
    knows its files."""

    folder: Path

    @property
    def build(self) -> Path:
        return self.folder / "build" / "release"

    def run(self, *command: str, cwd: Path | None = None, seconds: float = 3600) -> tuple[int, str]:
        environment = dict(
            os.environ,
            CCACHE_BASEDIR=str(self.folder),
            CCACHE_NOHASHDIR="1",
            GIT_CEILING_DIRECTORIES=str(self.folder.parent),  # the copy is no part of a repository
        )
        try:
            done = subprocess.run(
                command,
                cwd=cwd or self.folder,
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return 124, f"it hung: over {seconds:.0f} s"
        return done.returncode, done.stdout + done.stderr

    def must(self, *command: str) -> str:
        code, output = self.run(*command)
        if code != 0:
            raise SystemExit(f"{' '.join(command)} failed:\n{output[-3000:]}")
        return output

    def prepare(self, arrow: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.take_files()
        # What was installed lies where it lies in a clone, for the compiler cache's sake.
        (self.folder / ".dev").mkdir(exist_ok=True)
        installed = self.folder / ".dev" / "venv"
        if not installed.exists():
            installed.symlink_to(ROOT / ".dev" / "venv")
        if Path(arrow).is_relative_to(ROOT):
            arrow = str(self.folder / Path(arrow).relative_to(ROOT))
        self.must(
            "cmake",
            "-S",
            str(self.folder),
            "-B",
            str(self.build),
            "-G",
            "Ninja",
            "-DCMAKE_BUILD_TYPE=Release",
            f"-DHEADRACE_ARROW_DIR={arrow}",
        )

    def take_files(self) -> None:
        """Those that differ, as of now: a file that was mended after a bug must look newer than
        what was built with it."""
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, names.split("\0")):
            source, target = ROOT / name, self.folder / name
            if not source.exists():
                target.unlink(missing_ok=True)
            elif not target.exists() or source.read_bytes() != target.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
                target.chmod(source.stat().st_mode)

    def cast(self, net: Net) -> Catch | None:
        """Nothing when the net's tests pass."""
        code, output = self.run("ninja", "-C", str(self.build), *net.targets)
        if code != 0:
            raise SystemExit(f"it does not compile:\n{output[-3000:]}")
        code, output = self.run(*net.command, cwd=self.build, seconds=NET_SECONDS_MAX)
        return None if code == 0 else Catch(failed_tests(output, code), output[-1500:])


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def read_bug(patch: Path) -> Bug:
    says = ""
    first: tuple[str, ...] = ()
    for line in patch.read_text().splitlines():
        if line.startswith("bug:"):
            says = line.removeprefix("bug:").strip()
        if line.startswith("net:"):
            first = tuple(line.removeprefix("net:").split())
        if line.startswith(("diff ", "--- ")):
            break
    if not says:
        raise SystemExit(f"{patch.name}: a line `bug: what it does` is missing")
    return Bug(patch, says, first)


def plant(copy: Copy, bug: Bug, nets: list[Net]) -> Verdict:
    begin = time.monotonic()
    copy.must("git", "apply", str(bug.patch))
    verdict = Verdict(bug, None, 0)
    try:
        for net in nets:
            caught = copy.cast(net)
            if caught:
                verdict = Verdict(bug, net.name, 0, caught.tests)
                break
    finally:
        copy.must("git", "apply", "-R", str(bug.patch))
    verdict.seconds = time.monotonic() - begin
    say(f"{bug.name:50} {verdict.seconds:5.0f} s   {verdict.says()}")
    return verdict


def plant_all(copy: Copy, bugs: list[Bug], nets: list[Net]) -> list[Verdict]:
    """Each in its own nets, then those that were missed in the others."""
    named = [net for net in nets if any(net.name in bug.first for bug in bugs)]
    must_pass(copy, named)
    verdicts = [plant(copy, bug, [net for net in nets if net.name in bug.first]) for bug in bugs]
    missed = [verdict.bug for verdict in verdicts if verdict.caught_by is None]
    if not missed:
        return verdicts
    must_pass(copy, [net for net in nets if net not in named])
    again = {
        bug.name: plant(copy, bug, [net for net in nets if net.name not in bug.first])
        for bug in missed
    }
    return [again.get(verdict.bug.name, verdict) for verdict in verdicts]


def must_pass(copy: Copy, nets: list[Net]) -> None:
    say(f"the tree without any bug: {', '.join(net.name for net in nets)}")
    for net in nets:
        if failed := copy.cast(net):
            raise SystemExit(f"without any bug, {net.name} fails:\n{failed.output}")


def look_whether_they_fit(bugs: list[Bug]) -> int:
    broken = 0
    for bug in bugs:
        fit = subprocess.run(
            ["git", "apply", "--check", str(bug.patch)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if fit.returncode != 0:
            broken += 1
            say(f"{bug.name}: it does not fit today's tree, make it anew:\n{fit.stderr}")
    print(f"{len(bugs) - broken} of {len(bugs)} patches fit")
    return 1 if broken else 0


def report(verdicts: list[Verdict], form: str) -> int:
    missed = [verdict for verdict in verdicts if verdict.caught_by is None]
    if form == "json":
        print(
            json.dumps(
                {
                    "bugs": len(verdicts),
                    "caught": len(verdicts) - len(missed),
                    "by": {verdict.bug.name: verdict.says() for verdict in verdicts},
                }
            )
        )
    else:
        print(
            f"{len(verdicts)} bugs planted, {len(verdicts) - len(missed)} caught"
            + "".join(f"\nmissed: {verdict.bug.name}: {verdict.bug.says}" for verdict in missed)
        )
    print(f"{len(verdicts) - len(missed)} passed, {max(0, len(missed) - MISSED_MAX)} failed")
    return 0 if len(missed) <= MISSED_MAX and verdicts else 1


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--only", default="", help="bugs whose name has this pattern in it")
    options.add_argument("--nets", default=",".join(net.name for net in NETS), help="to be cast")
    options.add_argument("--list", action="store_true", help="what each bug does; plants none")
    options.add_argument("--apply", action="store_true", help="whether each fits; plants none")
    options.add_argument("--json", action="store_true")
    options.add_argument("--arrow", default="", help="pyarrow's folder")
    options.add_argument("--folder", default=str(ROOT / ".dev" / "seeded"), help="for the copy")
    chosen = options.parse_args()
    nets = [net for net in NETS if net.name in chosen.nets.split(",")]
    bugs = [
        bug
        for bug in map(read_bug, sorted(HERE.glob("*.patch")))
        if re.search(chosen.only, bug.name) and any(net.name in bug.first for net in nets)
    ]
    if chosen.list:
        for bug in bugs:
            print(f"{bug.name:40} {bug.says}")
        return 0
    if chosen.apply:
        return look_whether_they_fit(bugs)
    copy = Copy(Path(chosen.folder) / "tree")
    copy.prepare(chosen.arrow)
    say(f"seeded bugs: {len(bugs)}")
    verdicts = plant_all(copy, bugs, nets)
    return report(verdicts, "json" if chosen.json else "text")


if __name__ == "__main__":
    sys.exit(main())
