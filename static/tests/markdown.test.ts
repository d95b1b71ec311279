/** Growing markdown: however a text comes in pieces, the page is that of the whole, and what is finished is never touched again. */
import { describe, expect, test } from "vitest";
import { drawMarkdown, MarkdownStream } from "../src/markdown/stream";

const TEXT = `# Title

Some *text* with \`code\`, **bold**, ~~gone~~ and a [link](https://example.org).
A second line.

- one
- two
  - deep

    more of deep
- [ ] open
- [x] done

1. a

   \`\`\`js
   const inside = "a list";
   \`\`\`
2. b

\`\`\`python
def f():
    return '\`'

# no heading
\`\`\`

> quote
> more
lazy

| a | b |
|---|--:|
| 1 | 2 |

---

See [ref] and ![picture](https://example.org/a.png).

~~~
tilde
~~~

* x

* y

    indented code

[ref]: https://example.com

Tom &amp; Jerry &#128512; <b onclick="x()">html</b>

Ende 😀 עברית`;

/** Pseudo-random numbers in [0, 1), the same for the same seed (mulberry32). */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Elements and texts, neighbouring texts as one. */
function outline(node: Element): string {
  node.normalize();
  return node.outerHTML;
}

function whole(text: string): string {
  const place = document.createElement("div");
  drawMarkdown(place, text);
  return outline(place);
}

describe("a text that grows", () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])("is drawn as the whole would be, seed %i", (seed) => {
    const next = random(seed);
    const place = document.createElement("div");
    const stream = new MarkdownStream(place);
    for (let end = 0; end < TEXT.length; ) {
      end = Math.min(TEXT.length, end + 1 + Math.floor(next() * 40));
      stream.update(TEXT.slice(0, end), false);
    }
    stream.update(TEXT, true);
    expect(outline(place)).toBe(whole(TEXT));
  });

  test("is drawn as the whole would be, letter by letter", () => {
    const place = document.createElement("div");
    const stream = new MarkdownStream(place);
    for (let end = 1; end < TEXT.length; end++) stream.update(TEXT.slice(0, end), false);
    stream.update(TEXT, true);
    expect(outline(place)).toBe(whole(TEXT));
  });

  test("a link leads to what is defined, not to what was of it at some moment", () => {
    const place = document.createElement("div");
    const stream = new MarkdownStream(place);
    const addresses = () => [...place.querySelectorAll("a")].map((each) => each.href);
    const text = "See [it].\n\n[it]: https://example.com/page\n\nMore.\n\nAnd more.\n\nSee [it] again.";
    for (const end of [text.indexOf("example") + 3, text.length - 1]) stream.update(text.slice(0, end), false);
    expect(addresses().at(-1)).toBe("https://example.com/page");
    stream.update(text, true);
    expect(addresses()).toEqual(["https://example.com/page", "https://example.com/page"]);
  });

  test("touches only what differs: elements stay, code that was coloured stays so", () => {
    const place = document.createElement("div");
    const stream = new MarkdownStream(place);
    stream.update("```js\nlet x;\n```\n\nSome *text*", false);
    const [block, paragraph, emphasis] = [".code", "p", "em"].map((each) => place.querySelector(each));
    const coloured = document.createElement("span");
    coloured.textContent = "let x;";
    place.querySelector("code")!.replaceChildren(coloured);
    stream.update("```js\nlet x;\n```\n\nSome *text* and more `of it`", false);
    expect(place.querySelector("p")).toBe(paragraph);
    expect(place.querySelector("em")).toBe(emphasis);
    expect(paragraph!.textContent).toBe("Some text and more of it");
    stream.update("```js\nlet x;\n```\n\nSome *text* and more `of it`.", true);
    expect(place.querySelector(".code")).toBe(block);
    expect(place.contains(coloured)).toBe(true);
  });

  test("shows at every moment no less than what has come", () => {
    const place = document.createElement("div");
    const stream = new MarkdownStream(place);
    const text = "First paragraph.\n\nSecond *one*.\n\n```js\nlet x = 1;\nlet y";
    for (let end = 1; end <= text.length; end++) stream.update(text.slice(0, end), false);
    expect(place.textContent).toContain("First paragraph.");
    expect(place.querySelector("em")?.textContent).toBe("one");
    expect(place.querySelector("pre code")?.textContent).toBe("let x = 1;\nlet y");
  });

  test("leaves finished blocks alone, so that a selection in them lasts", () => {
    const place = document.createElement("div");
    const stream = new MarkdownStream(place);
    stream.update("one\n\ntwo\n\nthree\n\nfour\n\n", false);
    const first = place.firstElementChild;
    for (let count = 0; count < 20; count++) stream.update(`one\n\ntwo\n\nthree\n\nfour\n\n${"more words ".repeat(count)}`, false);
    expect(place.firstElementChild).toBe(first);
  });

  test("cuts a long text into parts, draws it as the whole would be, and adds to the last part only", () => {
    const place = document.createElement("div");
    const stream = new MarkdownStream(place);
    const text = TEXT.repeat(9);
    for (let end = 0; end < text.length; end += 200) stream.update(text.slice(0, end), false);
    const parts = [...place.querySelectorAll(":scope > .part")];
    expect(parts.length).toBeGreaterThan(2);
    expect(parts.every((each) => each.childNodes.length < 40)).toBe(true);
    const before = parts.slice(0, -1).map((each) => each.innerHTML);
    stream.update(`${text}more`, false);
    stream.update(`${text}more`, true);
    expect(parts.slice(0, -1).map((each) => each.innerHTML)).toEqual(before);
    for (const each of place.querySelectorAll(".part")) each.replaceWith(...each.childNodes);
    expect(outline(place)).toBe(whole(`${text}more`));
  });

  test("begins anew when the text is another one", () => {
    const place = document.createElement("div");
    const stream = new MarkdownStream(place);
    stream.update("Something quite different that was long enough to be recognised, so it was.\n\nAnd more.", false);
    stream.update("New.", false);
    expect(place.textContent).toBe("New.");
  });
});

describe("what a model writes", () => {
  test.each([
    ["<img src=x onerror=alert(1)>", "img"],
    ["<svg onload=alert(1)></svg>", "svg"],
    ["a <script>alert(1)</script> b", "script"],
    ["<iframe src='javascript:alert(1)'></iframe>", "iframe"],
  ])("%s stays text", (text, tag) => {
    const place = document.createElement("div");
    drawMarkdown(place, text);
    expect(place.querySelector(tag)).toBeNull();
    expect(place.textContent).toContain("alert(1)");
  });

  test.each(["javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", " javascript:x"])(
    "a link to %s leads nowhere",
    (href) => {
      const place = document.createElement("div");
      drawMarkdown(place, `[click](<${href}>) ![see](<${href}>)`);
      expect(place.querySelector("a")).toBeNull();
      expect(place.textContent).toContain("click");
    },
  );

  test("a picture elsewhere is a link, not a request", () => {
    const place = document.createElement("div");
    drawMarkdown(place, "![a cat](https://example.org/cat.png)");
    expect(place.querySelector("img")).toBeNull();
    expect(place.querySelector("a")?.getAttribute("href")).toBe("https://example.org/cat.png");
  });
});
