from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from starpod.agent.tool_calls import cut


def test_a_long_result_keeps_its_beginning_and_its_end() -> None:
    text = "start " + "x" * 10_000 + " end"
    shown = cut(text, 1000)
    assert shown.startswith("start xxx")
    assert shown.endswith("xxx end")
    assert "[cut: 9010 of 10010 bytes are not shown here]" in shown


def test_a_short_result_stays_as_it_is() -> None:
    assert cut("all of it", 1000) == "all of it"


def test_embedded_data_is_taken_out() -> None:
    assert (
        cut(f"a data:image/png;base64,{'QUJD' * 100} b {'0f' * 200} c", 1000) == "a [data removed] b [data removed] c"
    )


@given(st.text(), st.integers(min_value=1, max_value=200))
def test_no_more_than_the_limit_is_shown(text: str, limit: int) -> None:
    assert len(cut(text, limit).encode(errors="replace")) <= limit + 80
