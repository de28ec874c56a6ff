"""Plants known bugs, one at a time, and says which the tests catch.

    seeded_bugs.py [--only TEXT] [--list] [--json]

Each bug is a patch in this folder. Its lines before the diff say what it does (`bug:`) and may
say where to look first (`net:`). The tree is copied, the patch is applied to the copy, what it
touches is built, and the nets are cast in order until one of them fails: a test that fails caught
the bug. The copy without any patch must pass all nets first, else nothing is shown.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
MISSED_MAX = 1
NET_SECONDS_MAX = 400


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
    Net("cases", ("headrace_cases",), ("ctest", "-R", "^case/", "-j2", "--no-tests=error")),
    Net(
        "simulation",
        ("headrace_simulation",),
        ("./tests/simulation/headrace_simulation", "--seeds", "300"),
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
    why: str = ""


@dataclass
class Copy:
    """A copy of the tree with a build folder of its own; ccache makes its first build cheap."""

    folder: Path
    build: Path
    built: set[str] = field(default_factory=set)

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
        copying = "git ls-files -z --cached --others --exclude-standard | tar --null -T - -c"
        self.must("bash", "-c", f"cd '{ROOT}' && {copying} | tar -x -C '{self.folder}'")
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

    def cast(self, net: Net) -> str:
        """Empty when the net's tests pass, else the end of what they said."""
        code, output = self.run("ninja", "-C", str(self.build), *net.targets)
        if code != 0:
            return "it does not compile:\n" + output[-1500:]
        code, output = self.run(*net.command, cwd=self.build, seconds=NET_SECONDS_MAX)
        return "" if code == 0 else output[-1500:] or f"exit code {code}"


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


def plant(copy: Copy, bug: Bug) -> Verdict:
    begin = time.monotonic()
    copy.must("git", "apply", str(bug.patch))
    try:
        nets = sorted(NETS, key=lambda net: net.name not in bug.first)
        for net in nets:
            failed = copy.cast(net)
            if "it does not compile" in failed:
                raise SystemExit(f"{bug.name}: {failed}")
            if failed:
                return Verdict(bug, net.name, time.monotonic() - begin, failed)
        return Verdict(bug, None, time.monotonic() - begin)
    finally:
        copy.must("git", "apply", "-R", str(bug.patch))


def report(verdicts: list[Verdict], form: str) -> int:
    missed = [verdict for verdict in verdicts if verdict.caught_by is None]
    if form == "json":
        print(
            json.dumps(
                {
                    "bugs": len(verdicts),
                    "caught": len(verdicts) - len(missed),
                    "by": {verdict.bug.name: verdict.caught_by for verdict in verdicts},
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
    options.add_argument("--only", default="", help="bugs whose name has this in it")
    options.add_argument("--list", action="store_true", help="what each bug does; plants none")
    options.add_argument("--json", action="store_true")
    options.add_argument("--arrow", default="", help="pyarrow's folder")
    options.add_argument("--folder", default=str(ROOT / ".dev" / "seeded"), help="for the copy")
    chosen = options.parse_args()
    bugs = [read_bug(path) for path in sorted(HERE.glob("*.patch")) if chosen.only in path.stem]
    if chosen.list:
        for bug in bugs:
            print(f"{bug.name:40} {bug.says}")
        return 0
    folder = Path(chosen.folder)
    copy = Copy(folder / "tree", folder / "build")
    copy.prepare(chosen.arrow)
    say(f"seeded bugs: {len(bugs)}; first the tree without any")
    for net in NETS:
        failed = copy.cast(net)
        if failed:
            raise SystemExit(f"without any bug, {net.name} fails:\n{failed}")
    verdicts = []
    for bug in bugs:
        verdict = plant(copy, bug)
        verdicts.append(verdict)
        outcome = f"caught by {verdict.caught_by}" if verdict.caught_by else "MISSED"
        say(f"{bug.name:40} {outcome:24} {verdict.seconds:6.0f} s   {bug.says}")
    return report(verdicts, "json" if chosen.json else "text")


if __name__ == "__main__":
    sys.exit(main())
