"""How texts are cut: whole lines, exact numbers, no useless tail, headings and days as context."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from starpod.memory.chunks import cut, day_in


def test_a_short_text_is_one_piece() -> None:
    (piece,) = cut("one\ntwo\n", size=100, overlap=20)
    assert (piece.text, piece.line_start, piece.line_end) == ("one\ntwo\n", 1, 3)


def test_pieces_share_lines_and_the_tail_is_not_repeated() -> None:
    pieces = cut("\n".join("x" * 9 for _ in range(10)), size=50, overlap=20)
    assert [(piece.line_start, piece.line_end) for piece in pieces] == [(1, 5), (4, 8), (7, 10)]


def test_a_long_line_is_split_and_keeps_its_number() -> None:
    pieces = cut("first\n" + "word " * 5_000 + "\nlast", size=1_600, overlap=320)
    assert len(pieces) > 10
    assert {(piece.line_start, piece.line_end) for piece in pieces[2:-2]} == {(2, 2)}
    assert max(len(piece.text) for piece in pieces) <= 3_300


def test_headings_and_days_are_context() -> None:
    text = "# Garden\n" + "a\n" * 30 + "## Pond 2026-03-05\n" + "b\n" * 60
    *_, last = cut(text, size=40, overlap=0, title="plans", day="2026-01-01")
    assert "Garden" in last.context and "Pond" in last.context and "plans" in last.context
    assert last.date == "2026-03-05" and "5 March 2026" in last.context


def test_days_in_names() -> None:
    assert day_in("2026-03-05.md") == day_in("log 20260305") == "2026-03-05"
    assert day_in("2026-02-31.md") == day_in("120260305") == day_in("") == ""


@given(st.text(alphabet="ab é\n\r漢#", max_size=400), st.integers(1, 40), st.integers(0, 39))
def test_every_line_is_in_a_piece_of_its_number(text: str, size: int, overlap: int) -> None:
    lines = text.split("\n")
    pieces = cut(text, size=size, overlap=min(overlap, size - 1))
    for number, line in enumerate(lines, start=1):
        parts = line.strip().split()
        for part in parts[:1]:
            around = "".join(piece.text for piece in pieces if piece.line_start <= number <= piece.line_end)
            assert part[:1] in around
    for piece in pieces:
        assert 1 <= piece.line_start <= piece.line_end <= len(lines)
        assert piece.text.strip()
