"""What a single file may hold: no system call outside env, no heavy header in a header, no grab-bag
name, no path of one machine, no JSON that throws. Each rule reads one file and returns findings."""

from __future__ import annotations

import re
from pathlib import Path

from layers import INCLUDE_LINE, Finding

FILE_LINES_MAX = 800

# The system, which only src/env and apps/ touch, so that a whole engine can run on a simulated one.
SYSTEM_CALLS = re.compile(
    r"""
      std::(jthread|thread|async|this_thread|random_device|filesystem|[io]?fstream|getenv)\b
    | \b(steady_clock|system_clock|high_resolution_clock)::now\b
    | \b(getenv|secure_getenv|gettimeofday|clock_gettime|nanosleep|usleep|fopen|mmap|getpid)\s*\(
    | \b(fdatasync|fsync|pread|pwrite|pwritev|fallocate|posix_fallocate|ftruncate)\s*\(
    | (?<![\w:.>])::(open|close|read|write|socket|bind|listen|accept|connect|send|recv|unlink|rename
        |link|mkdir|stat|time|rand|getrandom|kill|fork|poll|epoll_wait|truncate)\s*\(
    | \bstd::(time|rand|srand|fopen|remove|rename|system)\s*\(
    """,
    re.VERBOSE,
)
SYSTEM_HEADERS = re.compile(
    r"thread|filesystem|fstream|future|csignal|(unistd|fcntl|poll|signal|sys/\w+|netinet/\w+)\.h"
)
# Headers that cost seconds each time they are read: sources only.
HEAVY_HEADERS = re.compile(
    r"(arrow|parquet|boost|yaml-cpp|re2|CLI|grpcpp?)/|simdjson\.h|nlohmann/json\.hpp"
)
LIGHT_HEADERS = re.compile(r"boost/unordered/")

GRAB_BAGS = re.compile(r"utils?|utilit(y|ies)|helpers?|common|misc|managers?|processors?|infos?")
CLASS_NAME = re.compile(
    r"\b(?:class|struct)\s+(?:\[\[\w+\]\]\s+)?(\w*(?:Utils?|Helpers?|Manager|Processor|Misc|Common|Info))\s*"
    r"(?:final\s*)?[:{]"
)
# Throws at the first byte that is not UTF-8, and texts come from outside.
STRICT_JSON = re.compile(r"(\.|->)dump\(")
JSON_TEXT = Path("src/base/json_text.h")
UNFINISHED = re.compile("TO" r"DO\b|FIX" r"ME\b|\bX" "XX" r"\b")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+|tmp/(?!headrace)\w+)/")
REGISTRY_HOST = re.compile(
    r"\b(?:registry|files|repo1?|deb|security|proxy|index|static|pypi)[.]"
    r"(?:npmjs|pythonhosted|debian|maven|golang|crates|org\b|apache[.]org/maven|yarnpkg)"
)


def strip_comments(text: str) -> str:
    """C++ source with comments and string contents blanked, line for line."""

    def blank(match: re.Match[str]) -> str:
        kept = "".join(c if c == "\n" else " " for c in match.group(0))
        return '"' + kept[1:-1] + '"' if match.group(0).startswith('"') else kept

    pattern = r'R"(\w*)\([\s\S]*?\)\1"|"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*[\s\S]*?\*/'
    return re.sub(pattern, blank, text)


def may_touch_system(path: Path) -> bool:
    """env and apps are the border; a test beside its source may look at real files and threads."""
    return path.parts[:2] == ("src", "env") or path.parts[0] != "src" or path.stem.endswith("_test")


def check_cpp(path: Path, text: str) -> list[Finding]:
    findings: list[Finding] = []
    lines = zip(strip_comments(text).split("\n"), text.split("\n"), strict=True)
    for number, (code, raw) in enumerate(lines, start=1):
        include = INCLUDE_LINE.match(raw)
        if include:
            findings += check_include(path, number, include.group(2))
        if not may_touch_system(path) and (call := SYSTEM_CALLS.search(code)):
            message = f"`{call.group(0).strip()}` outside env/: take it through an env interface"
            findings.append(Finding(str(path), number, "system-call", message))
        strict = STRICT_JSON.search(code) and not path.stem.endswith("_test") and path != JSON_TEXT
        if strict and path.parts[0] in {"src", "apps"}:
            message = f"JSON as text is made by JsonText ({JSON_TEXT.name})"
            findings.append(Finding(str(path), number, "strict-json", message))
        if name := CLASS_NAME.search(code):
            message = f"class {name.group(1)}: name the concept, not a grab bag"
            findings.append(Finding(str(path), number, "grab-bag", message))
    return findings


def check_include(path: Path, number: int, header: str) -> list[Finding]:
    if SYSTEM_HEADERS.fullmatch(header) and not may_touch_system(path):
        return [Finding(str(path), number, "system-call", f"<{header}> belongs to env/")]
    heavy = HEAVY_HEADERS.match(header) and not LIGHT_HEADERS.match(header)
    if path.suffix == ".h" and heavy and path.parts[0] in {"src", "include"}:
        return [Finding(str(path), number, "heavy-header", f"<{header}> belongs in a .cc file")]
    return []


def check_name(path: Path) -> list[Finding]:
    words = {word for part in path.parts for word in re.split(r"[_\-.]", part.lower())}
    return [
        Finding(str(path), 1, "grab-bag", f"`{word}` in a file name: name the concept")
        for word in sorted(words)
        if GRAB_BAGS.fullmatch(word)
    ]


def check_text(path: Path, text: str) -> list[Finding]:
    """Rules for every text file of the repository."""
    findings = []
    lines = text.split("\n")
    if path.suffix in {".cc", ".h", ".py", ".sh"} and len(lines) > FILE_LINES_MAX:
        message = f"{len(lines)} lines, more than {FILE_LINES_MAX}: tell two stories in two files"
        findings.append(Finding(str(path), 1, "file-length", message))
    rules = [
        ("unfinished", UNFINISHED, "finish it or file it"),
        ("machine-path", MACHINE_PATH, "a path of one machine"),
        ("registry-host", REGISTRY_HOST, "name packages, not the hosts they come from"),
    ]
    for number, line in enumerate(lines, start=1):
        for rule, pattern, message in rules:
            if match := pattern.search(line):
                findings.append(Finding(str(path), number, rule, f"`{match.group(0)}`: {message}"))
    return findings
