/** Markdown tokens to elements. Nothing is ever parsed as HTML, so nothing that a model writes can run. */
import { Lexer, type Token, type Tokens } from "marked";
import { t } from "../i18n";

const SAFE_LINK = /^(https?:|mailto:)/i;
const NAMED: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "©", hellip: "…", mdash: "—", ndash: "–" };

/** Called with each code block that is complete. */
export let whenCode: (block: HTMLElement, language: string) => void = () => {};
export function onCode(then: typeof whenCode): void {
  whenCode = then;
}

/** `links`: what was defined before this text. */
export function lex(source: string, links?: Record<string, { href: string | null; title: string | null }>): Token[] {
  const lexer = new Lexer({ gfm: true });
  if (links) Object.assign(lexer.tokens.links, links);
  return lexer.lex(source);
}

function entities(text: string): string {
  return text.includes("&")
    ? text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w{2,8}));/gi, (whole, decimal?: string, hex?: string, word?: string) => {
        if (word) return NAMED[word] ?? whole;
        const code = decimal ? Number(decimal) : Number.parseInt(hex!, 16);
        return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : "\ufffd";
      })
    : text;
}

function element<K extends keyof HTMLElementTagNameMap>(tag: K, ...children: (Node | string)[]): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
}

const inlines = (tokens: Token[] | undefined): (Node | string)[] => (tokens ?? []).flatMap(inline);

function linkTo(href: string, children: (Node | string)[]): Node | string {
  if (!SAFE_LINK.test(href)) return element("span", ...children);
  const anchor = element("a", ...children);
  anchor.href = href;
  anchor.target = "_blank";
  anchor.rel = "noopener noreferrer";
  return anchor;
}

function inline(token: Token): (Node | string)[] {
  switch (token.type) {
    case "escape":
      return [token.text as string];
    case "text":
      return token.tokens ? inlines(token.tokens) : [entities(token.text as string)];
    case "strong":
      return [element("strong", ...inlines(token.tokens))];
    case "em":
      return [element("em", ...inlines(token.tokens))];
    case "del":
      return [element("del", ...inlines(token.tokens))];
    case "codespan":
      return [element("code", token.text as string)];
    case "br":
      return [element("br")];
    case "link":
      return [linkTo((token as Tokens.Link).href, inlines(token.tokens))];
    case "image": {
      // No request leaves this origin: a picture elsewhere is a link to it.
      const { href, text } = token as Tokens.Image;
      return [linkTo(href, [text || href])];
    }
    case "checkbox":
      return [];
    default:
      return [token.raw];
  }
}

export function codeBlock(language: string): { frame: HTMLElement; code: HTMLElement } {
  const code = element("code");
  const pre = element("pre", code);
  pre.tabIndex = 0;
  const name = element("span", language || t("code.plain"));
  const copy = element("button", t("copy"));
  copy.type = "button";
  copy.className = "code-copy";
  const head = element("div", name, copy);
  head.className = "code-head";
  const frame = element("div", head, pre);
  frame.className = "code";
  frame.dataset.language = language;
  return { frame, code };
}

function listItem(item: Tokens.ListItem): HTMLElement {
  const made = element("li", ...blocks(item.tokens, !item.loose));
  if (item.task) {
    made.className = "task";
    const box = element("input");
    box.type = "checkbox";
    box.disabled = true;
    box.defaultChecked = item.checked ?? false;
    box.setAttribute("aria-label", t(item.checked ? "task.done" : "task.open"));
    made.prepend(box, " ");
  }
  return made;
}

function table(token: Tokens.Table): HTMLElement {
  const row = (cells: Tokens.TableCell[], tag: "th" | "td") =>
    element(
      "tr",
      ...cells.map((cell, index) => {
        const made = element(tag, ...inlines(cell.tokens));
        const align = token.align[index];
        if (align && align !== "left") made.classList.add(align);
        return made;
      }),
    );
  const made = element("table", element("thead", row(token.header, "th")), element("tbody", ...token.rows.map((cells) => row(cells, "td"))));
  const frame = element("div", made);
  frame.className = "table-scroll";
  frame.tabIndex = 0;
  return frame;
}

function block(token: Token, tight: boolean): (Node | string)[] {
  switch (token.type) {
    case "space":
    case "def":
      return [];
    case "heading": {
      // The page has its own h1 and h2.
      const level = Math.min(6, (token as Tokens.Heading).depth + 2) as 3 | 4 | 5 | 6;
      return [element(`h${level}`, ...inlines(token.tokens))];
    }
    case "paragraph":
      return [element("p", ...inlines(token.tokens))];
    case "text": {
      const children = token.tokens ? inlines(token.tokens) : [entities(token.text as string)];
      return tight ? children : [element("p", ...children)];
    }
    case "code": {
      const { text, lang } = token as Tokens.Code;
      const language = (lang ?? "").split(/\s/)[0]!.slice(0, 30);
      const { frame, code } = codeBlock(language);
      code.textContent = text;
      whenCode(frame, language);
      return [frame];
    }
    case "blockquote":
      return [element("blockquote", ...blocks(token.tokens ?? [], false))];
    case "list": {
      const list = token as Tokens.List;
      const made = element(list.ordered ? "ol" : "ul", ...list.items.map(listItem));
      if (list.ordered && list.start !== "" && list.start !== 1) (made as HTMLOListElement).start = list.start;
      return [made];
    }
    case "table":
      return [table(token as Tokens.Table)];
    case "hr":
      return [element("hr")];
    case "html":
      return [element("p", token.raw.trimEnd())];
    default:
      return tight ? inline(token) : [element("p", ...inline(token))];
  }
}

/** Elements of block tokens. `tight`: text stands without a paragraph around it, as in tight lists. */
export const blocks = (tokens: Token[], tight: boolean): (Node | string)[] => tokens.flatMap((token) => block(token, tight));
