"""What every token source must hold; inherit the suite and give it a case."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mltfr.errors import TokenTableError
from mltfr.tokens.sources import TOKEN_SOURCES, TokenSource, base
from mltfr.tokens.store import TokenStore


@dataclass(frozen=True)
class SourceCase:
    """A source that is ready to be read, and what must come out.

    Attributes:
        source: the source.
        expected: `[V, W]`, the table, read or computed by other means.
        vocabulary: `V` token strings.
        tolerance: largest difference allowed, 0 for exact values.
        files: files that it reads, which must stay as they are.
        damage: damages those files in one way each; empty where there are none.
    """

    source: TokenSource
    expected: npt.NDArray[Any]
    vocabulary: tuple[str, ...]
    tolerance: float = 0.0
    files: tuple[Path, ...] = ()
    damage: dict[str, Callable[[], None]] = field(default_factory=dict)


class TokenSourceContract:
    """Inherit this and define a fixture `case` that returns a `SourceCase`.

    Give it a table of 1,000 x 256 or more, so that memory shows.
    """

    @pytest.fixture(autouse=True)
    def small_chunks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let a small table come in many chunks."""
        monkeypatch.setattr(base, "CHUNK_BYTES", 1 << 14)

    def test_it_is_registered(self, case: SourceCase) -> None:
        assert type(case.source) in [entry.cls for entry in TOKEN_SOURCES]

    def test_rows_equal_an_independent_read(self, case: SourceCase) -> None:
        with case.source.open() as table:
            assert table.shape == case.expected.shape
            np.testing.assert_allclose(
                table.read().astype(np.float64),
                case.expected.astype(np.float64),
                rtol=0,
                atol=case.tolerance,
            )

    def test_reading_twice_gives_the_same(self, case: SourceCase) -> None:
        with case.source.open() as table:
            np.testing.assert_array_equal(table.read(), table.read())

    def test_one_token_a_row(self, case: SourceCase) -> None:
        with case.source.open() as table:
            assert table.strings.tokens == case.vocabulary
            assert len(table.strings.tokens) == table.shape[0]
            assert all(0 <= row < table.shape[0] for row in table.strings.special)

    def test_chunks_are_floats_of_the_announced_type(self, case: SourceCase) -> None:
        with case.source.open() as table:
            assert table.dtype in (np.float16, np.float32)
            for chunk in table.chunks():
                assert chunk.dtype == table.dtype
                assert chunk.shape[1] == table.shape[1]

    def test_memory_stays_at_a_few_chunks(self, case: SourceCase) -> None:
        tracemalloc.start()
        try:
            with case.source.open() as table:
                before = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
                for chunk in table.chunks():
                    del chunk
                grown = tracemalloc.get_traced_memory()[1] - before
                values = 4 * table.shape[0] * table.shape[1]
        finally:
            tracemalloc.stop()
        assert grown < max(values // 2, 1 << 18)

    def test_provenance_says_where_it_came_from(self, case: SourceCase) -> None:
        with case.source.open() as table:
            assert table.provenance["source"]
            assert "file" in table.provenance

    def test_the_files_are_not_changed(self, case: SourceCase) -> None:
        before = [_checksum(path) for path in case.files]
        with case.source.open() as table:
            table.read()
        assert [_checksum(path) for path in case.files] == before

    def test_round_trip_through_the_store(self, case: SourceCase, tmp_path: Path) -> None:
        store = TokenStore(tmp_path / "store")
        with case.source.open() as table:
            kept = store.add("case", table, licence="MIT")
            np.testing.assert_array_equal(kept.embeddings, table.read())
            assert kept.special == table.strings.special
        assert kept.vocabulary == case.vocabulary
        assert not kept.embeddings.flags.writeable
        assert {"source", "file", "licence", "sha256", "vocabulary_sha256"} <= kept.provenance.keys()
        store.verify("case")

    def test_damage_is_one_line(self, case: SourceCase, tmp_path: Path) -> None:
        store = TokenStore(tmp_path / "store")
        intact = {path: path.read_bytes() for path in case.files}
        for way, damage in case.damage.items():
            damage()
            with pytest.raises(TokenTableError) as caught, case.source.open() as table:
                store.add("damaged", table)
            assert "\n" not in str(caught.value), way
            assert store.names() == []
            assert not list(store.root.glob("*/.*")), way
            for path, content in intact.items():
                path.write_bytes(content)


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
