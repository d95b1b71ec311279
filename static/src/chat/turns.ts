/** What a conversation consists of: turns, each a message and all that came of it, and how frames and stored rows become them. */
import { signal, type Signal } from "@preact/signals";
import type { ApprovalRequest, Attachment, SessionFile, StoredMessage, StreamEnd, TurnFrame, TurnUsage } from "../api/types";
import { now } from "../i18n/time";

/** A file that is at hand, or one that the server keeps. */
export type ShownFile = Attachment | SessionFile;

export interface UserPart {
  kind: "user";
  key: string;
  text: string;
  messageId: number | null;
  files: ShownFile[];
  state: "waiting" | "sent" | "failed";
  error?: string;
}
export interface TextPart {
  kind: "text";
  key: string;
  source: Signal<string>;
}
export interface ToolPart {
  kind: "tool";
  key: string;
  id: string;
  name: string;
  input: Record<string, unknown>;
  output: string | null;
  isCut: boolean;
  isError: boolean;
  startedAt: number;
  tookMs: number | null;
  approval: (ApprovalRequest & { outcome: string | null }) | null;
}
export interface FilePart {
  kind: "file";
  key: string;
  file: ShownFile;
}
export interface NotePart {
  kind: "note";
  key: string;
  count: number;
}
export type Part = UserPart | TextPart | ToolPart | FilePart | NotePart;

export interface Turn {
  key: string;
  id: string | null;
  parts: Signal<Part[]>;
  isRunning: Signal<boolean>;
  end: Signal<StreamEnd | null>;
  /** What a turn of the past used, as the server has it. */
  used: Signal<TurnUsage | null>;
  /** USD so far, while it runs. */
  spent: Signal<number>;
  /** Whether that is only estimated; changes with it. */
  isEstimate: boolean;
  seq: number;
  at: string;
}

let count = 0;
const fresh = (): string => `k${++count}`;

export function newTurn(id: string | null, parts: Part[] = [], at = new Date(now()).toISOString()): Turn {
  return { key: fresh(), id, parts: signal(parts), isRunning: signal(false), end: signal(null), used: signal(null), spent: signal(0), isEstimate: false, seq: 0, at };
}

export const userPart = (text: string, files: ShownFile[] = [], state: UserPart["state"] = "sent", messageId: number | null = null): UserPart => ({
  kind: "user", key: fresh(), text, files, state, messageId,
});

const textPart = (text: string): TextPart => ({ kind: "text", key: fresh(), source: signal(text) });

function toolPart(id: string, name: string, input: Record<string, unknown>, startedAt: number): ToolPart {
  return { kind: "tool", key: fresh(), id, name, input, output: null, isCut: false, isError: false, startedAt, tookMs: null, approval: null };
}

/** The text that the agent said in a turn. */
export const said = (turn: Turn): string =>
  turn.parts.value.flatMap((part) => (part.kind === "text" ? [part.source.value] : [])).join("\n\n");

function change<P extends Part>(turn: Turn, find: (part: Part) => part is P, change: (part: P) => P): boolean {
  let found = false;
  turn.parts.value = turn.parts.value.map((part) => {
    if (!find(part)) return part;
    found = true;
    return change(part);
  });
  return found;
}

const isTool = (id: string) => (part: Part): part is ToolPart => part.kind === "tool" && part.id === id;

/** How long steps took, for those that are told a second time: by the clock of the server, or as they were heard first. */
const taken = new WeakMap<Turn, Map<string, number | null>>();

/** Begin anew: what is told again from its start replaces what is there, but for the message itself. */
function restart(turn: Turn): void {
  const own = turn.parts.value.filter((part, index) => part.kind === "user" && index === 0);
  taken.set(turn, new Map(turn.parts.value.flatMap((part) => (part.kind === "tool" && part.output !== null ? [[part.id, part.tookMs]] : []))));
  turn.spent.value = 0;
  turn.parts.value = own;
  turn.end.value = null;
  turn.isRunning.value = true;
}

function addSent(turn: Turn, file: ShownFile): void {
  if (turn.parts.value.some((part) => part.kind === "file" && part.file.file_name === file.file_name)) return;
  turn.parts.value = [...turn.parts.value, { kind: "file", key: fresh(), file }];
}

/** A file that the server has for a turn: with its message, or at the end of its answer. What is shown already stays. */
export function addFile(turn: Turn, file: SessionFile): void {
  if (file.direction === "out") return turn.isRunning.value ? undefined : addSent(turn, file);
  turn.parts.value = turn.parts.value.map((part, index) =>
    part.kind === "user" && index === 0 && !part.files.some((each) => each.file_name === file.file_name) ? { ...part, files: [...part.files, file] } : part,
  );
}

/** Take in one event of a turn. Events that were heard before change nothing. */
export function hear(turn: Turn, frame: TurnFrame): void {
  if (turn.end.value) {
    // Told again after its end: only files that came after the end may be new.
    if (frame.type === "attachment") addSent(turn, { file_name: frame.file_name, mime_type: frame.mime_type, data: frame.data });
    return;
  }
  if (frame.type === "stream_start") {
    restart(turn);
    turn.seq = frame.seq;
    return;
  }
  if (frame.seq <= turn.seq) return;
  turn.seq = frame.seq;
  const add = (part: Part) => (turn.parts.value = [...turn.parts.value, part]);
  switch (frame.type) {
    case "text_delta": {
      const last = turn.parts.value.at(-1);
      if (last?.kind === "text") last.source.value += frame.text;
      else add(textPart(frame.text));
      break;
    }
    case "user_message":
      if (!turn.parts.value.some((part) => part.kind === "user" && part.messageId === frame.message_id)) add(userPart(frame.text, [], "sent", frame.message_id));
      break;
    case "tool_use":
      if (!change(turn, isTool(frame.id), (part) => ({ ...part, name: frame.name, input: frame.input }))) add(toolPart(frame.id, frame.name, frame.input, Date.now()));
      break;
    case "tool_result":
      change(turn, isTool(frame.tool_use_id), (part) => ({
        ...part, output: frame.content, isCut: frame.content.endsWith("..."), isError: frame.is_error, tookMs: taken.get(turn)?.get(part.id) ?? Date.now() - part.startedAt,
      }));
      break;
    case "approval_request": {
      const approval = { ...frame, outcome: null };
      if (!change(turn, isTool(frame.tool_use_id), (part) => ({ ...part, approval }))) add({ ...toolPart(frame.tool_use_id, frame.name, frame.input, Date.now()), approval });
      break;
    }
    case "approval_result":
      change(turn, isTool(frame.tool_use_id), (part) => ({ ...part, startedAt: Date.now(), approval: part.approval && { ...part.approval, outcome: frame.outcome } }));
      break;
    case "compaction":
      add({ kind: "note", key: fresh(), count: frame.messages_compacted });
      break;
    case "attachment":
      addSent(turn, { file_name: frame.file_name, mime_type: frame.mime_type, data: frame.data });
      break;
    case "stream_end":
      turn.end.value = frame;
      turn.isRunning.value = false;
      break;
  }
}

function parsed(content: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(content);
    return value && typeof value === "object" ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

/** Stored rows, oldest first, as turns. */
export function fromMessages(rows: StoredMessage[]): Turn[] {
  const turns: Turn[] = [];
  let open: { turn: Turn; parts: Part[] } | null = null;
  for (const row of rows) {
    const isNew = !open || (row.turn_id ? row.turn_id !== open.turn.id : row.role === "user");
    if (isNew) {
      const parts: Part[] = [];
      const turn = newTurn(row.turn_id, parts, row.timestamp);
      open = { turn, parts };
      turns.push(turn);
    }
    const { parts } = open!;
    if (row.role === "user") parts.push(userPart(row.content, [], "sent", row.id));
    else if (row.role === "assistant") parts.push(textPart(row.content));
    else if (row.role === "tool_use") {
      const { id, name, input } = parsed(row.content);
      parts.push(toolPart(String(id), String(name), (input ?? {}) as Record<string, unknown>, Date.parse(row.timestamp)));
    } else {
      const { tool_use_id, content, is_error } = parsed(row.content);
      const index = parts.findIndex(isTool(String(tool_use_id)));
      const tool = parts[index];
      if (tool?.kind === "tool") parts[index] = { ...tool, output: textOf(content ?? ""), isError: Boolean(is_error), tookMs: Math.max(0, Date.parse(row.timestamp) - tool.startedAt) };
    }
  }
  return turns;
}
