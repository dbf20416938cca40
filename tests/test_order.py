"""Files that take long are given to the workers first, whole and with their tests as they stand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from support.order import longest_first


def test_files_with_slow_tests_come_first_then_those_with_many() -> None:
    def items(file: str, slow: int, others: int) -> list[Any]:
        names = [f"{file}::test_{number}[a::b]" for number in range(slow + others)]
        marks: list[dict[str, bool]] = [{"slow": True}] * slow + [{}] * others
        return [SimpleNamespace(nodeid=name, keywords=mark) for name, mark in zip(names, marks, strict=True)]

    files = [items("few.py", 0, 2), items("many.py", 0, 99), items("slow.py", 1, 3), items("slower.py", 2, 0)]
    given = cast("list[pytest.Item]", [item for file in files for item in file])
    found = longest_first(given)
    assert found == [item for number in (3, 2, 1, 0) for item in files[number]]
