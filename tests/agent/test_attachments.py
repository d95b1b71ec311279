"""Files in messages: how their text becomes bytes."""

from __future__ import annotations

import base64

from hypothesis import example, given
from hypothesis import strategies as st

from starpod.agent.attachments import PIECE, decode_base64


def whole(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def in_pieces(text: str, piece: int) -> bytes | None:
    try:
        return decode_base64(text, piece=piece)
    except ValueError:
        return None


@given(st.text(st.sampled_from("AQgw/+=\n é"), max_size=40), st.sampled_from([4, 8, 12]))
@example("QQ==QQ==", 4)
@example("QUJDRA=", 4)
@example("QUJD=", 4)
@example("QUJDQQ==", 8)
@example("QUJD====", 4)
def test_pieces_are_decoded_like_the_whole(text: str, piece: int) -> None:
    """Save for padding too much, which Python's decoder lets pass at the end."""
    expected, found = whole(text), in_pieces(text, piece)
    assert found in (None, expected)
    if expected is not None and base64.b64encode(expected).decode() == text:
        assert found == expected


@given(st.binary(max_size=60), st.sampled_from([4, 8, 12]))
def test_what_was_encoded_comes_back(data: bytes, piece: int) -> None:
    assert decode_base64(base64.b64encode(data).decode(), piece=piece) == data


def test_a_large_file_comes_back() -> None:
    data = bytes(range(256)) * (PIECE // 100)
    assert decode_base64(base64.b64encode(data).decode()) == data
