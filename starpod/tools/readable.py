"""Turns a page into readable markdown. Runs as a process of its own: it can be given a limit and ended, and its memory comes back.

Standard input: one line of JSON `{"url", "charset"}`, then the page's bytes. Standard output: JSON `{"title", "text"}`.
Nothing of the gateway is imported here.
"""

from __future__ import annotations

import json
import logging
import re
import sys

META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
SNIFFED_BYTES = 4096
ENOUGH_CHARS = 300
LONG_CHARS = 3000
MEMORY_BYTES = 1_500_000_000
CPU_SECS = 60


def readable(page: bytes, url: str, charset: str | None) -> tuple[str, str]:
    """Title and text of an HTML page. The text is the article with its links; for a page that has none, everything there is."""
    import trafilatura

    html = decoded(page, charset)
    text = trafilatura.extract(
        html,
        url=url,
        output_format="markdown",
        include_links=True,
        include_formatting=True,
        include_tables=True,
        include_comments=True,
        favor_recall=True,
    )
    text = text or ""
    if len(text) < ENOUGH_CHARS or (len(text) < LONG_CHARS and "](" not in text):
        # Front pages and lists hold no article: what was found is a part, or lost the links that matter there.
        whole = whole_page(html, url)
        text = whole if len(whole) > 2 * len(text) else text
    return title_of(html), text.strip()


def decoded(page: bytes, charset: str | None) -> str:
    """The page as text: as the server says, else as the page says, else UTF-8."""
    if charset is None and (found := META_CHARSET.search(page[:SNIFFED_BYTES])) is not None:
        charset = found.group(1).decode("ascii", "replace")
    try:
        return page.decode(charset or "utf-8", "replace")
    except LookupError:
        return page.decode("utf-8", "replace")


def title_of(html: str) -> str:
    """What stands in `<title>`."""
    from lxml.html import document_fromstring

    try:
        # lxml refuses text that still declares an encoding of its own.
        title = document_fromstring(html.encode(), ensure_head_body=True).findtext("head/title") or ""
    except Exception:
        return ""
    return " ".join(title.split())[:500]


def whole_page(html: str, url: str) -> str:
    """All text of a page, links kept."""
    import html2text

    reader = html2text.HTML2Text(baseurl=url)
    reader.body_width = 0
    reader.ignore_images = True
    try:
        return reader.handle(html).strip()
    except (RecursionError, AssertionError):
        return ""


def limit() -> None:
    """Give this process bounds, where the system has them."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECS, CPU_SECS))


def main() -> None:
    """Read the page, write the result."""
    limit()
    logging.disable(logging.CRITICAL)
    head = json.loads(sys.stdin.buffer.readline())
    title, text = readable(sys.stdin.buffer.read(), head["url"], head["charset"])
    sys.stdout.buffer.write(json.dumps({"title": title, "text": text}).encode())


if __name__ == "__main__":
    main()
