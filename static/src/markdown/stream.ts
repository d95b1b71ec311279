/**
 * Markdown that grows. What is finished stays in the page untouched; only the open end is parsed and drawn again. An open code fence is
 * bare text until it closes. When the text is complete it equals what one parse of the whole would have drawn.
 */
import type { Token } from "marked";
import { blocks, codeBlock, lex, whenCode } from "./render";

const FENCE = /^( {0,3})(`{3,}|~{3,})([^\n`]*)\n/;
/** Of the blocks at the end, this many stay open: a list or a quote may go on after what follows it. */
const OPEN_BLOCKS = 2;
/** A long text is cut into parts of so many blocks, which the style sheet leaves out of layout where they are out of sight. */
const PART_BLOCKS = 24;
const PART = "part";
const CHECKED_LENGTH = 200_000;

export class MarkdownStream {
  #source = "";
  #stable = 0; // offset: everything before it is drawn for good
  #tail: Node[] = [];
  #end: HTMLElement; // where the next block goes: the text itself, then its last part
  #links: Record<string, { href: string | null; title: string | null }> = {};
  #fence: { code: Text; shown: number; start: number; isIndented: boolean } | null = null;

  constructor(private readonly into: HTMLElement) {
    this.#end = into;
  }

  /** Show this text, which begins with the one shown before. `isDone`: nothing more comes. */
  update(source: string, isDone: boolean): void {
    if (!source.startsWith(this.#source.slice(-64), Math.max(0, this.#source.length - 64))) this.#reset();
    this.#source = source;
    if (isDone) return this.#finish();
    const open = source.endsWith("\r") ? source.slice(0, -1) : source;
    if (!this.#growFence(open)) this.#parse(open);
  }

  #reset(): void {
    this.into.replaceChildren();
    this.#end = this.into;
    this.#stable = 0;
    this.#tail = [];
    this.#fence = null;
    this.#links = {};
  }

  #finish(): void {
    if (this.#fence) this.#dropTail();
    const isWhole = this.#stable === 0;
    this.#tail = patch(this.#end, this.#tail, blocks(lex(this.#source.slice(this.#stable), this.#links), false));
    this.#stable = this.#source.length;
    if (isWhole || this.#source.length > CHECKED_LENGTH) return;
    const whole = document.createElement("div");
    whole.append(...blocks(lex(this.#source), false));
    const shown = [...this.into.childNodes].flatMap((each) => (each instanceof HTMLElement && each.className === PART ? [...each.childNodes] : each));
    if (!areSame([...whole.childNodes], shown)) {
      this.into.replaceChildren(...whole.childNodes);
      this.#end = this.into;
    }
  }

  #dropTail(): void {
    for (const node of this.#tail) node.parentNode?.removeChild(node);
    this.#tail = [];
    this.#fence = null;
  }

  #parse(source: string): void {
    const tail = source.slice(this.#stable);
    const tokens = lex(tail, this.#links);
    const kept = this.#settle(tail, tokens);
    if (this.#fence) this.#dropTail();
    const done = tokens.slice(0, kept.count);
    // The address of a definition that is still being written is half of one.
    for (const token of done) if (token.type === "def") this.#links[token.tag as string] ??= { href: token.href as string, title: token.title as string };
    const settled = blocks(done, false);
    const open = tokens.slice(kept.count);
    const last = open.at(-1);
    const at = last ? tail.lastIndexOf(last.raw) : -1;
    const fence = last?.type === "code" && at >= 0 ? this.#openFence(tail, at) : null;
    const drawn = patch(this.#end, this.#tail, [...settled, ...blocks(fence ? open.slice(0, -1) : open, false)]);
    if (fence) drawn.push(this.#end.appendChild(fence));
    this.#tail = drawn.slice(settled.length);
    this.#stable += kept.length;
    if (this.#end.childNodes.length - this.#tail.length >= PART_BLOCKS) this.#beginPart();
  }

  #beginPart(): void {
    this.#end = document.createElement("div");
    this.#end.className = PART;
    this.#end.append(...this.#tail);
    this.into.append(this.#end);
  }

  /** How many of the tokens are finished, and how much of the text they take. */
  #settle(tail: string, tokens: Token[]): { count: number; length: number } {
    const solid = tokens.flatMap((token, index) => (token.type === "space" ? [] : [index]));
    const limit = solid.at(-OPEN_BLOCKS);
    if (limit === undefined || solid.length <= OPEN_BLOCKS) return { count: 0, length: 0 };
    let offset = 0;
    for (let index = 0; index < limit; index++) {
      const found = tail.indexOf(tokens[index]!.raw, offset);
      // The lexer changes some white space; then the text is cut nowhere rather than at a wrong place.
      if (found < 0 || tail.slice(offset, found).trim()) return { count: 0, length: 0 };
      offset = found + tokens[index]!.raw.length;
    }
    return { count: limit, length: offset };
  }

  /** The block of a fence that has not closed yet, as bare text. */
  #openFence(tail: string, at: number): HTMLElement | null {
    const opening = FENCE.exec(tail.slice(at));
    if (!opening || closed(tail.slice(at + opening[0].length), opening[2]!)) return null;
    const { frame, code } = codeBlock(opening[3]!.trim().split(/\s/)[0]!.slice(0, 30));
    const text = document.createTextNode(tail.slice(at + opening[0].length));
    code.append(text);
    this.#fence = { code: text, shown: this.#stable + tail.length, start: this.#stable + at + opening[0].length, isIndented: opening[1] !== "" };
    return frame;
  }

  #growFence(source: string): boolean {
    const fence = this.#fence;
    if (!fence || fence.isIndented) return false;
    const before = source.lastIndexOf("\n", fence.shown - 1) + 1;
    // Whatever begins with fence marks may close it: the parser decides.
    if (/^ {0,3}(`|~)/m.test(source.slice(Math.max(before, fence.start)))) return false;
    fence.code.appendData(source.slice(fence.shown));
    fence.shown = source.length;
    return true;
  }
}

const closed = (text: string, marks: string): boolean =>
  new RegExp(`^ {0,3}${marks[0] === "~" ? "~" : "`"}{${marks.length},}[ \\t]*$`, "m").test(text);

/**
 * Make nodes that stand last in `parent` look like `fresh`, and return what stands there then. Only what differs is touched: a word more in a
 * paragraph is another text at its end, so nothing around it is styled or laid out again, and code that is coloured stays so.
 */
function patch(parent: Node, old: readonly Node[], fresh: readonly (Node | string)[]): Node[] {
  const drawn = fresh.map((each, index) => {
    const wanted = typeof each === "string" ? document.createTextNode(each) : each;
    const had = old[index];
    return had ? merge(had, wanted) : parent.appendChild(wanted);
  });
  for (const node of old.slice(fresh.length)) parent.removeChild(node);
  return drawn;
}

function merge(had: Node, wanted: Node): Node {
  if (had.isEqualNode(wanted)) return had;
  // A code block is kept or changed as a whole: it is coloured after it was drawn.
  const isCode = had instanceof HTMLElement && had.classList.contains("code");
  const isSame = !(had instanceof Text) && alike(had, wanted);
  if (isCode && isSame && had.textContent === wanted.textContent) return had;
  if (isCode || !isSame) {
    had.parentNode!.replaceChild(wanted, had);
    return wanted;
  }
  patch(had, [...had.childNodes], [...wanted.childNodes]);
  return had;
}

/** Equal but for what is inside. */
const alike = (a: Node, b: Node): boolean => a.cloneNode().isEqualNode(b.cloneNode());

/** Equal but for highlighting, which comes later and only colours. */
function same(a: Node, b: Node): boolean {
  if (a.nodeName === "PRE" && b.nodeName === "PRE") return a.textContent === b.textContent;
  if (!alike(a, b)) return false;
  if (a.childNodes.length !== b.childNodes.length) {
    a.normalize();
    b.normalize();
  }
  return areSame([...a.childNodes], [...b.childNodes]);
}

const areSame = (left: Node[], right: Node[]): boolean => left.length === right.length && left.every((each, index) => same(each, right[index]!));

/** Draw a complete text at once. */
export function drawMarkdown(into: HTMLElement, source: string): void {
  into.replaceChildren(...blocks(lex(source), false));
}

export { whenCode };
