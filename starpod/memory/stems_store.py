"""Stems of words, exactly as the index has them: a table in memory with the same tokenizer."""

from __future__ import annotations

import threading

import peewee

from starpod.memory import scripts

KEPT = 100_000
TOKENIZER = "porter unicode61 remove_diacritics 2 categories 'L* N* Co M*'"
"""Marks belong to words: in Hindi and its neighbours they are the vowels."""
HAS_LETTERS = "term IS NOT NULL"
"""The tokenizer makes a word of an accent that stands alone (text out of a PDF has them), then takes the accent away."""

_ENDINGS = ("", "e", "s", "es", "ed", "ing", "y", "ly", "er", "ion")


class Stems:
    """Knows the stem of every word it was asked about lately. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}
        self._connection: peewee.SqliteDatabase | None = None

    def of(self, word: str) -> str:
        """The stem of one folded word; the word itself when it has none."""
        known = self._known.get(word)
        if known is None:
            known = self.all_of(scripts.plain(word), only_first=True).pop(0)
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[word] = known
        return known

    def word_for(self, stem: str) -> str:
        """A word that has this stem, to ask the index for it: the stemmer is not idempotent (house, hous, hou)."""
        return next((stem + ending for ending in _ENDINGS if self.of(stem + ending) == stem), stem)

    def all_of(self, text: str, *, only_first: bool = False) -> list[str]:
        """The different stems of a plain text; with `only_first` the first one, or the text when there is none."""
        with self._lock:
            connection = self._opened()
            connection.execute_sql("INSERT INTO piece (rowid, text) VALUES (1, ?)", (text,))
            if only_first:
                first = f"SELECT term FROM token WHERE {HAS_LETTERS} ORDER BY offset LIMIT 1"
                rows = connection.execute_sql(first).fetchall() or [(text,)]
            else:
                rows = connection.execute_sql(f"SELECT term FROM vocabulary WHERE {HAS_LETTERS}").fetchall()
            connection.execute_sql("DELETE FROM piece")
        return [row[0] for row in rows]

    def _opened(self) -> peewee.SqliteDatabase:
        if self._connection is None:
            self._connection = peewee.SqliteDatabase(":memory:", thread_safe=False, check_same_thread=False)
            for statement in (
                f'CREATE VIRTUAL TABLE piece USING fts5(text, tokenize="{TOKENIZER}")',
                "CREATE VIRTUAL TABLE token USING fts5vocab(piece, 'instance')",
                "CREATE VIRTUAL TABLE vocabulary USING fts5vocab(piece, 'row')",
            ):
                self._connection.execute_sql(statement)
        return self._connection


STEMS = Stems()
