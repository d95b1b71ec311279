/** The tab's socket against a server that is not there: what waits, what goes out, and that nothing goes out twice for nothing. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";

class Line {
  static readonly OPEN = 1;
  static all: Line[] = [];
  readyState = 0;
  bufferedAmount = 0;
  sent: string[] = [];
  onopen: (() => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  constructor(readonly url: string) {
    Line.all.push(this);
  }
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.readyState = 3;
  }
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  cut(code = 1006): void {
    this.readyState = 3;
    this.onclose?.({ code });
  }
  hear(frame: object): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
}

const last = (): Line => Line.all.at(-1)!;
const messages = (line: Line): string[] => line.sent.map((text) => (JSON.parse(text) as { type: string }).type).filter((type) => type !== "ping");
let socket: typeof import("../src/socket/socket");

beforeEach(async () => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", Line);
  vi.resetModules();
  sessionStorage.clear();
  Line.all = [];
  socket = await import("../src/socket/socket");
});
afterEach(() => {
  socket.disconnect();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("a message that was not acknowledged goes out again with the same id, and no more once it is", () => {
  socket.connect();
  last().open();
  socket.deliver({ type: "message", client_message_id: "m1", text: "hi" });
  last().cut();
  expect(socket.line.value).toBe("lost");
  vi.advanceTimersByTime(20_000);
  expect(Line.all).toHaveLength(2);
  last().open();
  expect(last().sent).toEqual(['{"type":"message","client_message_id":"m1","text":"hi"}']);
  last().hear({ type: "accepted", client_message_id: "m1" });
  last().cut();
  vi.advanceTimersByTime(20_000);
  last().open();
  expect(messages(last())).toEqual([]);
});

test("who waits is told of every opening before what waits is sent", () => {
  const seen: string[] = [];
  socket.onOpen((isFirst) => seen.push(`${isFirst} ${last().sent.length}`));
  socket.connect();
  socket.deliver({ type: "message", client_message_id: "m1" });
  last().open();
  last().cut();
  vi.advanceTimersByTime(20_000);
  last().open();
  expect(seen).toEqual(["true 0", "false 0"]);
});

test("what waits outlives a reload of the tab, for the same person only", async () => {
  socket.connect();
  socket.deliver({ type: "message", client_message_id: "m1", text: "hi" });
  vi.resetModules();
  socket = await import("../src/socket/socket");
  socket.connect();
  last().open();
  expect(messages(last())).toEqual(["message"]);
  window.__STARPOD__.auth.user!.id = "u2";
  vi.resetModules();
  const other = await import("../src/socket/socket");
  other.connect();
  last().open();
  expect(messages(last())).toEqual([]);
  other.disconnect();
  window.__STARPOD__.auth.user!.id = "u1";
});

test("a line that is silent counts as lost, and there is one socket at a time", () => {
  socket.connect();
  socket.connect();
  last().open();
  expect(Line.all).toHaveLength(1);
  vi.advanceTimersByTime(20_000);
  expect(last().sent).toEqual(['{"type":"ping"}']);
  vi.advanceTimersByTime(10_000);
  expect(socket.line.value).toBe("lost");
});

test("attempts come less and less often, at most every 15 seconds", () => {
  socket.connect();
  const waits: number[] = [];
  for (let round = 0; round < 10; round++) {
    const before = Date.now();
    last().cut();
    while (Line.all.length === round + 1) vi.advanceTimersByTime(10);
    waits.push(Date.now() - before);
  }
  expect(waits[0]).toBeLessThanOrEqual(410);
  expect(Math.max(...waits)).toBeLessThanOrEqual(15_010);
  expect(waits.at(-1)).toBeGreaterThanOrEqual(7_500);
});

test("a sign-in that ended is not tried again", () => {
  socket.connect();
  last().open();
  last().cut(4401);
  expect(socket.line.value).toBe("signed-out");
  vi.advanceTimersByTime(60_000);
  expect(Line.all).toHaveLength(1);
});
