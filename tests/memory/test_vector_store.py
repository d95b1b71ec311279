"""Vectors on disk: owners apart, models never mixed, a damaged file begun anew."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from starpod.errors import InvalidInput
from starpod.memory.vector_store import ChunkRef, VectorStore

MINE, OTHER, THEIRS, AGENTS = ChunkRef("ann", "a"), ChunkRef("ann", "b"), ChunkRef("ben", "a"), ChunkRef("", "c")
EAST, NORTH = [1.0, 0.0], [0.0, 1.0]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[VectorStore]:
    store = VectorStore(tmp_path / "vectors.db")
    yield store
    store.close()


def test_nearest_are_the_callers_own_and_the_agents(store: VectorStore) -> None:
    store.put("p/m", [MINE, OTHER, THEIRS, AGENTS], [EAST, NORTH, EAST, [1.0, 0.5]])
    assert store.nearest("p/m", EAST, ["ann", ""], 10) == [MINE, AGENTS, OTHER]
    assert store.nearest("p/m", EAST, ["ann", ""], 1) == [MINE]
    assert store.nearest("p/m", EAST, ["nobody"], 10) == []


def test_difference_names_what_is_missing_and_what_is_gone(store: VectorStore) -> None:
    assert store.difference([OTHER, MINE]) == ([MINE, OTHER], [])
    store.put("p/m", [MINE, OTHER], [EAST, NORTH])
    assert store.difference([OTHER, THEIRS]) == ([THEIRS], [MINE])
    store.remove([MINE, THEIRS])
    assert store.nearest("p/m", EAST, ["ann"], 10) == [OTHER]
    assert store.count() == 1


def test_a_vector_is_replaced_not_doubled(store: VectorStore) -> None:
    store.put("p/m", [MINE], [EAST])
    store.put("p/m", [MINE, OTHER], [NORTH, EAST])
    assert store.nearest("p/m", NORTH, ["ann"], 10) == [MINE, OTHER]


def test_vectors_of_another_model_or_length_are_never_compared(store: VectorStore) -> None:
    store.put("p/m", [MINE], [EAST])
    assert store.nearest("p/other", EAST, ["ann"], 10) == []
    assert store.nearest("p/m", [1.0, 0.0, 0.0], ["ann"], 10) == []
    store.use("p/other")
    assert store.difference([MINE]) == ([MINE], [])
    store.put("p/other", [MINE], [[1.0, 0.0, 0.0]])
    assert store.nearest("p/other", [1.0, 0.0, 0.0], ["ann"], 10) == [MINE]
    store.put("p/other", [OTHER], [EAST])
    assert store.nearest("p/other", EAST, ["ann"], 10) == [OTHER]


def test_vectors_outlast_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "vectors.db"
    first = VectorStore(path)
    first.put("p/m", [MINE], [EAST])
    first.close()
    second = VectorStore(path)
    assert (second.model, second.difference([MINE])) == ("p/m", ([], []))
    second.close()
    assert path.stat().st_mode & 0o077 == 0


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "vectors.db"
    path.write_bytes(b"no database at all " * 400)
    store = VectorStore(path)
    assert store.difference([MINE]) == ([MINE], [])
    store.close()


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlite_vec", None)
    with pytest.raises(InvalidInput, match=r"pip install 'starpod\[semantic\]'"):
        VectorStore(tmp_path / "vectors.db")
    assert not (tmp_path / "vectors.db").exists()
