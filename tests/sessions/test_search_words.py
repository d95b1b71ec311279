"""Words of queries and texts: folding, scripts without spaces, snippets and their marks."""

from __future__ import annotations

from starpod.sessions.search import expression, parse_query, segmented, snippet


def test_operators_and_punctuation_mean_nothing() -> None:
    assert parse_query('NEAR("a" OR b*) -c:d ^ "') == ("near", "a", "or", "b", "c", "d")
    assert parse_query('"*()-:^ 🎉') == ()
    assert expression(("near", "x"), "AND") == '"near"* AND "x"*'


def test_accents_fold_and_unspaced_scripts_are_taken_by_character() -> None:
    assert parse_query("Crème BRÛLÉE crème") == ("creme", "brulee")
    assert segmented("锅炉坏了").split() == list("锅炉坏了")
    assert expression(parse_query("锅炉"), "AND") == '"锅 炉"'


def test_marks_name_the_words_in_the_snippet() -> None:
    text, marks = snippet("x " * 200 + "the Boilér is loud, boiler!" + " y" * 400, ("boiler",))
    assert [text[start:end] for start, end in marks] == ["Boilér", "boiler"]
    assert len(text) < 260 and text.startswith("…") and text.endswith("…")
    assert snippet("nothing here", ("boiler",)) == ("nothing here", ())
