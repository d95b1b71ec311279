"""The plain full-text searches that ours is compared with: FTS5 with the porter stemmer and bm25, nothing else.

Both see the same chunks, of the size and overlap that memory is cut by.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping

from tests.bench.golden import Passage

CHUNK_BYTES = 1600
OVERLAP_BYTES = 320
WORD = re.compile(r"\w+")


def chunks(
    file: str, text: str, size: int = CHUNK_BYTES, overlap: int = OVERLAP_BYTES
) -> Iterator[tuple[Passage, str]]:
    """Whole lines until `size` bytes are reached; the next chunk begins `overlap` bytes before the end of the last."""
    lines = text.splitlines()
    start = 0
    while start < len(lines):
        end, held = start, 0
        while end < len(lines) and held < size:
            held += len(lines[end].encode()) + 1
            end += 1
        piece = "\n".join(lines[start:end])
        if piece.strip():
            yield Passage(file, start + 1, end), piece
        if end == len(lines):
            return
        back, repeated = end, 0
        while back > start and repeated < overlap:
            back -= 1
            repeated += len(lines[back].encode()) + 1
        start = end if back == start else back


class PlainSearch:
    """An FTS5 table in memory. `joined` is "AND" (all terms) or "OR" (any term)."""

    def __init__(self, files: Mapping[str, str], joined: str) -> None:
        self.joined = joined
        self.passages: list[Passage] = []
        self.connection = sqlite3.connect(":memory:")
        self.connection.execute("CREATE VIRTUAL TABLE chunk USING fts5(text, tokenize = 'porter unicode61')")
        for file, text in files.items():
            for passage, piece in chunks(file, text):
                self.passages.append(passage)
                self.connection.execute("INSERT INTO chunk (rowid, text) VALUES (?, ?)", (len(self.passages), piece))

    def search(self, query: str, limit: int) -> list[Passage]:
        """The best passages by bm25; an empty list for a query without words."""
        terms = f" {self.joined} ".join(f'"{word}"' for word in WORD.findall(query))
        if not terms:
            return []
        rows = self.connection.execute(
            "SELECT rowid FROM chunk WHERE chunk MATCH ? ORDER BY bm25(chunk), rowid LIMIT ?", (terms, limit)
        )
        return [self.passages[number - 1] for (number,) in rows]

    def close(self) -> None:
        self.connection.close()
