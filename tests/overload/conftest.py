"""Tests marked at_length are left out, and not counted as not run, unless HEADRACE_TEST_LONG=1."""

from __future__ import annotations

import pytest

from engine_under_load import LONG


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if LONG:
        return
    left_out = [item for item in items if item.get_closest_marker("at_length")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
