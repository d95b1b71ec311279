/** How frames and stored rows become turns. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { SessionFile, StoredMessage, TurnFrame } from "../src/api/types";
import { addFile, fromMessages, hear, newTurn, said, type ToolPart, type Turn, userPart } from "../src/chat/turns";

let seq = 0;
let turn: Turn;
const PLACE = { session_id: "s", turn_id: "t" };
type Body = TurnFrame extends infer F ? (F extends TurnFrame ? Omit<F, "session_id" | "turn_id" | "seq"> : never) : never;
const frame = (body: Body): TurnFrame => ({ ...PLACE, seq: ++seq, ...body }) as TurnFrame;
const END = { type: "stream_end", num_turns: 0, cost_usd: 0.5, input_tokens: 1, output_tokens: 2, cache_read_input_tokens: 0, cache_creation_input_tokens: 0, is_error: false, errors: [], stopped: false, interrupted: false, model: "local/m" } as const;
const tools = (): ToolPart[] => turn.parts.value.filter((part): part is ToolPart => part.kind === "tool");

beforeEach(() => {
  seq = 0;
  turn = newTurn("t", [userPart("hi")]);
});

describe("frames", () => {
  test("become text, steps and an end, in the order they came", () => {
    for (const body of [
      { type: "stream_start" }, { type: "text_delta", text: "Let " }, { type: "text_delta", text: "me see." },
      { type: "tool_use", id: "c1", name: "Read", input: { path: "a" } }, { type: "tool_result", tool_use_id: "c1", content: "ok", is_error: false },
      { type: "text_delta", text: "Done." }, END,
    ] as Body[]) hear(turn, frame(body));
    expect(turn.parts.value.map((part) => part.kind)).toEqual(["user", "text", "tool", "text"]);
    expect(said(turn)).toBe("Let me see.\n\nDone.");
    expect(turn.isRunning.value).toBe(false);
    expect(turn.end.value?.cost_usd).toBe(0.5);
  });

  test("heard twice change nothing", () => {
    const frames = [frame({ type: "stream_start" }), frame({ type: "text_delta", text: "one " }), frame({ type: "text_delta", text: "two" })];
    for (const each of frames) hear(turn, each);
    for (const each of frames.slice(1)) hear(turn, each);
    expect(said(turn)).toBe("one two");
  });

  test("told again from the start replace what was there, but for the message, and keep how long steps took", () => {
    vi.useFakeTimers();
    hear(turn, frame({ type: "stream_start" }));
    hear(turn, frame({ type: "tool_use", id: "c1", name: "Bash", input: {} }));
    vi.advanceTimersByTime(3200);
    hear(turn, frame({ type: "tool_result", tool_use_id: "c1", content: "ok", is_error: false }));
    seq = 0;
    hear(turn, frame({ type: "stream_start" }));
    expect(turn.parts.value.map((part) => part.kind)).toEqual(["user"]);
    hear(turn, frame({ type: "tool_use", id: "c1", name: "Bash", input: {} }));
    hear(turn, frame({ type: "tool_result", tool_use_id: "c1", content: "ok", is_error: false }));
    expect(tools()[0]!.tookMs).toBe(3200);
    vi.useRealTimers();
  });

  test("after the end only files are news, each once", () => {
    for (const body of [{ type: "stream_start" }, END] as Body[]) hear(turn, frame(body));
    hear(turn, frame({ type: "text_delta", text: "late" }));
    for (let round = 0; round < 2; round++) hear(turn, frame({ type: "attachment", file_name: "a.txt", mime_type: "text/plain", data: "eA==" }));
    expect(turn.parts.value.map((part) => part.kind)).toEqual(["user", "file"]);
  });

  test("an approval stands at its step and knows its outcome", () => {
    hear(turn, frame({ type: "stream_start" }));
    hear(turn, frame({ type: "tool_use", id: "c1", name: "Bash", input: {} }));
    hear(turn, frame({ type: "approval_request", approval_id: "a1", tool_use_id: "c1", name: "Bash", input: {}, subject: "ls", asked_at: "", expires_at: "" }));
    expect(tools()).toHaveLength(1);
    expect(tools()[0]!.approval?.outcome).toBeNull();
    hear(turn, frame({ type: "approval_result", approval_id: "a1", tool_use_id: "c1", outcome: "allowed", remember: "once" }));
    expect(tools()[0]!.approval?.outcome).toBe("allowed");
  });
});

describe("stored rows", () => {
  const row = (id: number, role: StoredMessage["role"], content: string, turnId: string | null = "t1", second = id): StoredMessage => ({
    id, session_id: "s", role, content, timestamp: `2026-01-01T00:00:${String(second).padStart(2, "0")}+00:00`, turn_id: turnId,
  });

  test("become turns, with the time that steps took", () => {
    const [first, second, ...more] = fromMessages([
      row(1, "user", "hi"), row(2, "tool_use", '{"id":"c1","name":"Read","input":{"path":"a"}}'),
      row(4, "tool_result", '{"tool_use_id":"c1","content":"text","is_error":true}'), row(5, "assistant", "Done."), row(6, "user", "and", "t2"),
    ]);
    expect(more).toEqual([]);
    expect(first!.parts.value.map((part) => part.kind)).toEqual(["user", "tool", "text"]);
    expect(first!.parts.value[1]).toMatchObject({ output: "text", isError: true, tookMs: 2000 });
    expect(second!.parts.value[0]).toMatchObject({ text: "and", messageId: 6 });
  });

  test("without turns begin one at each message of a person", () => {
    expect(fromMessages([row(1, "user", "a", null), row(2, "assistant", "b", null), row(3, "user", "c", null)])).toHaveLength(2);
  });

  test("that are broken spoil nothing", () => {
    const [only] = fromMessages([row(1, "user", "hi"), row(2, "tool_use", "{not json"), row(3, "tool_result", "[]"), row(4, "assistant", "Still here.")]);
    expect(said(only!)).toBe("Still here.");
  });
});

test("files of the server are added once, with the message or after the answer", () => {
  const file = (direction: "in" | "out"): SessionFile => ({ id: direction, turn_id: "t", direction, file_name: `${direction}.png`, mime_type: "image/png", size_bytes: 3 });
  for (let round = 0; round < 2; round++) {
    addFile(turn, file("in"));
    addFile(turn, file("out"));
  }
  expect(turn.parts.value).toMatchObject([{ kind: "user", files: [{ id: "in" }] }, { kind: "file", file: { id: "out" } }]);
});
