"""Markdown as Telegram's HTML: every chunk valid by itself, none too long, nothing lost."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from starpod.channels.telegram.chunks import split, to_chunks, units
from starpod.channels.telegram.markdown import Run, Style, read_markdown
from tests.channels.telegram.bot_api import Shown

WORDS = st.text("abcäß🙂👩‍🚀<>&\"'", min_size=1, max_size=12)
MARKED = st.builds(
    lambda text, mark: f"{mark}{text}{mark}", WORDS, st.sampled_from(["", "*", "**", "***", "~~", "`", "_", "__"])
)
LINES = st.lists(st.one_of(WORDS, MARKED), min_size=1, max_size=20).map(" ".join)
PREFIXED = st.builds(
    lambda mark, line: mark + line, st.sampled_from(["", "# ", "- ", "1. ", "> ", "  - ", "    "]), LINES
)
FENCED = st.builds(
    lambda lines, name: f"```{name}\n" + "\n".join(lines) + "\n```", st.lists(LINES), st.sampled_from(["", "py"])
)
DOCUMENTS = st.lists(st.one_of(PREFIXED, FENCED, st.just(""))).map("\n".join)
ANY_TEXT = st.one_of(DOCUMENTS, st.text(), st.text("*_`~[]()<>#-|>\n \\!&1.a", max_size=300))


def bare(text: str) -> str:
    """What is left of a text without white space."""
    return re.sub(r"\s", "", text)


@given(ANY_TEXT, st.integers(2, 200))
@settings(max_examples=400, deadline=None)
@example("> " * 100 + "deep", 50)
@example("- " * 200 + "deep", 50)
@example("*a **b* c**", 3)
@example("[x](http://a.b/?q=\"'<>&)", 20)
@example("\ud800 half", 20)
def test_every_chunk_is_valid_and_short_and_nothing_is_lost(text: str, limit: int) -> None:
    chunks = to_chunks(text, limit)
    for chunk in chunks:
        shown = Shown(chunk.html)
        assert shown.error is None
        assert shown.text == chunk.plain
        assert units(shown.text) <= limit
        assert shown.text.strip()
    whole = "".join(run.text for run in read_markdown(text))
    assert bare("".join(chunk.plain for chunk in chunks)) == bare(whole)


@given(st.lists(WORDS.filter(lambda word: bool(bare(word))), min_size=1, max_size=40), st.data())
@settings(deadline=None)
def test_every_word_of_a_document_is_shown_in_order(words: list[str], data: st.DataObject) -> None:
    words = [re.sub(r"[<>&]", "x", word) for word in words]
    kinds = st.sampled_from(
        ["{}\n", "**{}**\n", "- {}\n", "# {}\n", "> {}\n", "`{}`\n", "```\n{}\n```\n", "[{}](http://x.y)\n"]
    )
    text = "".join(data.draw(kinds).format(word) for word in words)
    shown = bare("".join(chunk.plain for chunk in to_chunks(text, 64)))
    place = 0
    for word in words:
        place = shown.index(bare(word), place) + len(bare(word))


class Author:
    """Writes documents of whatever markdown has, in any nesting, of words that are all different."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.words: list[str] = []

    def word(self) -> str:
        self.words.append(f"w{len(self.words)}q")
        return self.words[-1]

    def inline(self, depth: int = 0) -> str:
        def inner() -> str:
            return " ".join(self.inline(depth + 1) for _ in range(self.chance.randint(1, 3)))

        kinds = [self.word] * 10
        if depth < 2:
            kinds += [lambda: f"**{inner()}**", lambda: f"*{inner()}*", lambda: f"~~{inner()}~~"]
            kinds += [lambda: f"`{self.word()}`", lambda: f"<{self.word()}>", lambda: f"<https://{self.word()}.org>"]
            kinds += [lambda: f"[{inner()}](https://x.y/{self.word()})", lambda: f"[{inner()}]({self.word()}.md)"]
            kinds += [lambda: f"![{inner()}](http://x.y/{self.word()})"]
        return self.chance.choice(kinds)()

    def line(self) -> str:
        blank = self.chance.choice([" ", "  ", ", "])
        return blank.join(self.inline() for _ in range(self.chance.randint(1, 4)))

    def table(self) -> str:
        width = self.chance.randint(1, 3)
        rows = [[self.line() for _ in range(width)], ["-"] * width]
        for _ in range(self.chance.randint(0, 3)):
            rows.append([self.line() for _ in range(max(1, width + self.chance.randint(-1, 2)))])
        return "\n".join(f"|{'|'.join(row)}|" for row in rows)

    def block(self, depth: int = 0) -> str:
        def inner(first: str, other: str) -> str:
            text = self.block(depth + 1) if depth < 3 else self.line()
            return first + text.replace("\n", f"\n{other}")

        kinds = [
            lambda: f"{'#' * self.chance.randint(1, 7)} {self.line()}",
            lambda: f"```{self.chance.choice(['', 'py', 'c++ ' + self.word()])}\n{self.line()}\n\n{self.line()}\n```",
            lambda: inner("> ", "> "),
            lambda: inner("- ", "  "),
            lambda: inner("1. ", "   "),
            self.table,
            lambda: f"    {self.line()}",
            lambda: f"{self.line()}\n{self.chance.choice(['===', '---'])}",
            lambda: f"[{self.word()}]: https://x.y/{self.word()}",
            lambda: f"<div>{self.line()}</div>\n<!-- {self.line()} -->",
            lambda: "\n".join(self.line() for _ in range(self.chance.randint(1, 3))),
        ]
        return self.chance.choice(kinds)()


@given(st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_no_word_of_any_document_is_lost(chance: random.Random) -> None:
    author = Author(chance)
    text = chance.choice(["\n\n", "\n"]).join(author.block() for _ in range(chance.randint(1, 5)))
    (chunk,) = to_chunks(text, 10**6)
    assert Shown(chunk.html).error is None
    assert [word for word in author.words if word in text and word not in chunk.html] == []


@given(
    st.text("ab \n", min_size=1, max_size=100).filter(str.strip), st.text("xy z\n", max_size=300), st.integers(110, 200)
)
@settings(deadline=None)
def test_a_code_block_that_fits_is_whole(code: str, before: str, limit: int) -> None:
    chunks = to_chunks(f"{before}\n\n```\n{code}\n```", limit)
    assert any(code.strip() in chunk.plain for chunk in chunks)


@given(st.lists(st.tuples(st.text("a 🙂\n", min_size=1), st.booleans()), max_size=20), st.integers(2, 30))
@settings(deadline=None)
def test_a_cut_is_never_inside_a_character(parts: list[tuple[str, bool]], limit: int) -> None:
    runs = [Run(text, Style(bold=bold)) for text, bold in parts]
    assert all(units("".join(run.text for run in part)) <= limit for part in split(runs, limit))


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("**a** *b* ~~c~~ `d<e`", "<b>a</b> <i>b</i> <s>c</s> <code>d&lt;e</code>"),
        ("**a *b***", "<b>a <i>b</i></b>"),
        ("# Title\ntext", "<b>Title</b>\n\ntext"),
        ("- a\n- b\n  - c", "• a\n• b\n   • c"),
        ("3. a\n4. b", "3. a\n4. b"),
        ("[t](https://x.y/?a=1&b=2)", '<a href="https://x.y/?a=1&amp;b=2">t</a>'),
        ("[t](notes.md)", "t (notes.md)"),
        ("[t](javascript:x)", "[t](javascript:x)"),
        ("[`c`](https://x.y)", "<code>c</code> (https://x.y)"),
        ("[a]: https://x.y", "[a]: https://x.y"),
        ("<b>x</b> & 1 < 2", "&lt;b&gt;x&lt;/b&gt; &amp; 1 &lt; 2"),
        ("> a\n> b\n\nc", "<blockquote>a\nb</blockquote>\n\nc"),
        ("```python\nif a < b:\n    c\n```", '<pre><code class="language-python">if a &lt; b:\n    c</code></pre>'),
        ("```\nx\n```", "<pre>x</pre>"),
        ("|a|b|\n|-|-|\n|1|22|", "<pre>a | b\n--+---\n1 | 22</pre>"),
        ("|a|b|\n|-|-|\n|`1|2`|3|", "<pre>a  | b  |\n---+----+--\n`1 | 2` | 3</pre>"),
        ("> |a|\n> |-|\n> |1|2|", "<pre>a |\n--+--\n1 | 2</pre>"),
        ('```py title="a.py"\nx\n```', 'title="a.py"\n<pre><code class="language-py">x</code></pre>'),
        ("2 * 3 * 4 and snake_case_name", "2 * 3 * 4 and snake_case_name"),
        ("a\nb", "a\nb"),
        ("a\x00\x1b[1mb", "a[1mb"),
    ],
)
def test_what_people_write_most(markdown: str, html: str) -> None:
    assert [chunk.html for chunk in to_chunks(markdown)] == [html]


@pytest.mark.parametrize("text", ["", " \n\n", "\x00", "```\n```", "&nbsp;"])
def test_what_shows_nothing_is_no_message(text: str) -> None:
    assert to_chunks(text) == []


def test_length_is_counted_as_telegram_counts() -> None:
    assert units("a🙂") == 3
    assert [units(chunk.plain) for chunk in to_chunks("🙂" * 2049)] == [4096, 2]
    assert [units(chunk.plain) for chunk in to_chunks("a" * 4096)] == [4096]


def test_a_long_code_block_is_cut_between_lines_and_stays_code() -> None:
    text = "```py\n" + "\n".join(f"line {number} = {'x' * 50}" for number in range(200)) + "\n```"
    chunks = to_chunks(text)
    assert len(chunks) > 2
    for chunk in chunks:
        assert chunk.html.startswith('<pre><code class="language-py">line ')
        assert chunk.html.endswith("x</code></pre>")


def test_a_text_is_cut_where_a_paragraph_ends() -> None:
    paragraphs = [f"{number} " + "word " * 200 for number in range(10)]
    chunks = to_chunks("\n\n".join(paragraphs))
    assert all(re.match(r"\d word", chunk.plain) for chunk in chunks)
