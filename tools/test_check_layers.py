"""The layer check fails on each violation it names, and passes a clean tree."""

from __future__ import annotations

from pathlib import Path

import pytest

import check_layers

ROOMS = ["base", "columns", "env", "ingest", "pipeline", "tables"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    lines = [f"headrace_room({room})" for room in ROOMS]
    (tmp_path / "CMakeLists.txt").write_text("\n".join(lines) + "\n")
    for room in ROOMS:
        write(tmp_path, f"src/{room}/README.md", f"# {room}\n")
    write(tmp_path, "src/base/result.h", "#pragma once\n")
    write(tmp_path, "src/columns/batch.cc", '#include "base/result.h"\n')
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def rules_broken(root: Path) -> list[str]:
    return [found.rule for found in check_layers.check_tree(root)]


def test_clean_tree_passes(tree: Path) -> None:
    assert rules_broken(tree) == []


# Each case: a file, its text, the rule it breaks.
VIOLATIONS = [
    ("src/base/a.cc", '#include "columns/batch.h"\n', "room-order"),
    ("src/ingest/http/a.cc", '#include "ingest/flight/b.h"\n', "siblings"),
    ("src/tables/delta/a.h", '#include "tables/hudi/b.h"\n', "siblings"),
    ("src/pipeline/aggregates/a.cc", '#include "pipeline/views/b.h"\n', "folder-order"),
    ("src/columns/clock.cc", "auto t = std::chrono::steady_clock::now();\n", "system-call"),
    ("src/columns/thread.cc", "std::thread worker;\n", "system-call"),
    ("src/columns/file.cc", "int fd = ::open(path, 0);\n", "system-call"),
    ("src/columns/dice.cc", "std::random_device dice;\n", "system-call"),
    ("src/columns/folder.cc", "#include <filesystem>\n", "system-call"),
    ("src/columns/variable.cc", 'auto* home = getenv("HOME");\n', "system-call"),
    ("src/watch/status.cc", "return json.dump();\n", "strict-json"),
    ("apps/headrace/get.cc", "return answer->dump(1);\n", "strict-json"),
    ("src/columns/arrow.h", "#include <arrow/array.h>\n", "heavy-header"),
    ("src/columns/json.h", "#include <nlohmann/json.hpp>\n", "heavy-header"),
    ("src/columns/string_util.h", "#pragma once\n", "grab-bag"),
    ("src/columns/state.h", "class StateManager {};\n", "grab-bag"),
    ("src/columns/long.cc", "\n" * 801, "file-length"),
    ("docs/later.md", "TO" + "DO: write this\n", "unfinished"),
    ("docs/path.md", "see /ro" + "ot/notes\n", "machine-path"),
    ("docs/host.md", "from files." + "pythonhosted\n", "registry-host"),
    ("src/extra/README.md", "# extra\n", "unknown-room"),
]


@pytest.mark.parametrize(("name", "text", "rule"), VIOLATIONS)
def test_violation_is_found(tree: Path, name: str, text: str, rule: str) -> None:
    write(tree, name, text)
    assert rule in rules_broken(tree)


def test_folder_cycle_is_found(tree: Path) -> None:
    write(tree, "src/tables/publish/a.h", '#include "tables/parquet/b.h"\n')
    assert rules_broken(tree) == []
    write(tree, "src/tables/parquet/b.h", '#include "tables/publish/a.h"\n')
    assert rules_broken(tree) == ["folder-cycle", "folder-cycle"]


def test_missing_readme_is_found(tree: Path) -> None:
    (tree / "src/base/README.md").unlink()
    assert rules_broken(tree) == ["room-readme"]


ALLOWED = [
    ("src/env/real_clock.cc", "auto t = std::chrono::steady_clock::now();\n"),
    ("src/env/real_files.cc", "int fd = ::open(path, 0);\n"),
    ("apps/headrace/main.cc", "std::thread worker;\n"),
    ("src/columns/comment.cc", "// std::thread would be wrong here\n"),
    ("src/columns/message.cc", 'auto text = "std::thread";\n'),
    ("src/columns/batch_test.cc", "std::thread reader;\n"),
    ("src/columns/arrow.cc", "#include <arrow/array.h>\n"),
    ("src/columns/forward.h", "#include <nlohmann/json_fwd.hpp>\n"),
    ("src/columns/flight.cc", "class FlightInfo;\n"),
]


@pytest.mark.parametrize(("name", "text"), ALLOWED)
def test_allowed_is_not_found(tree: Path, name: str, text: str) -> None:
    write(tree, name, text)
    assert rules_broken(tree) == []


def test_graph_counts_includes(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_layers.main(["--graph", "--root", str(tree)]) == 0
    assert "columns   <- base 1" in capsys.readouterr().out
