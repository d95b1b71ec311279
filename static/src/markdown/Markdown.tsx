/** A text of the agent, growing or whole. Growing text is drawn at most 25 times a second, less often when drawing is slow. */
import { effect, signal, type Signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { MarkdownStream } from "./stream";

const FLUSH_MS = 40;
/** After the first screen has settled. */
const PREFETCH_MS = 1500;
/** Drawing takes at most this share of the time. */
const SHARE = 5;

const later: (then: () => void) => void = "requestIdleCallback" in window ? (then) => void requestIdleCallback(then, { timeout: 500 }) : (then) => void setTimeout(then, 50);

/** The parser comes with the first reply that is shown; new chats do not wait for it. */
const parser = signal<typeof MarkdownStream | null>(null);
let isFetching = false;
export function fetchParser(): void {
  if (isFetching) return;
  isFetching = true;
  Promise.all([import("./stream"), import("./render")]).then(
    ([{ MarkdownStream }, { onCode }]) => {
      onCode(colour);
      parser.value = MarkdownStream;
    },
    () => (isFetching = false),
  );
}
setTimeout(() => later(fetchParser), PREFETCH_MS);

function colour(frame: HTMLElement, language: string): void {
  if (!language) return;
  later(() => {
    const code = frame.querySelector("code");
    if (code?.isConnected) void import("./highlight").then(({ highlight }) => code.isConnected && highlight(code, language.toLowerCase()), () => null);
  });
}

interface Props {
  source: Signal<string>;
  isDone: boolean;
  onDrawn?: () => void;
}

export function Markdown({ source, isDone, onDrawn }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const stream = useRef<MarkdownStream>(null);
  const drawn = useRef(onDrawn);
  drawn.current = onDrawn;

  const Parser = parser.value;
  // Before the page is painted: who sees that a reply has ended sees all of it.
  useLayoutEffect(() => {
    if (!Parser) return fetchParser();
    stream.current ??= new Parser(place.current!);
    const writer = stream.current;
    if (isDone) {
      writer.update(source.peek(), true);
      drawn.current?.();
      return;
    }
    let timer = 0;
    let frame = 0;
    let shown = "";
    const flush = () => {
      frame = 0;
      const start = performance.now();
      shown = source.peek();
      writer.update(shown, false);
      drawn.current?.();
      // Seen by whoever observes measures, and kept nowhere.
      performance.measure("flush", { start });
      performance.clearMeasures("flush");
      // The next task comes when the browser has laid out and painted, which is most of what a long text costs.
      timer = window.setTimeout(() => {
        const taken = performance.now() - start;
        timer = window.setTimeout(() => {
          timer = 0;
          if (source.peek() !== shown) frame = requestAnimationFrame(flush);
        }, Math.max(FLUSH_MS, taken * SHARE) - taken);
      });
    };
    const stop = effect(() => {
      if (source.value !== shown && !timer && !frame) frame = requestAnimationFrame(flush);
    });
    return () => {
      stop();
      clearTimeout(timer);
      cancelAnimationFrame(frame);
    };
  }, [source, isDone, Parser]);

  return <div class={isDone ? "md" : "md growing"} ref={place} dir="auto" />;
}
