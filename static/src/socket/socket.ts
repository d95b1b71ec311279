/**
 * The tab's one socket. It comes back by itself (back-off with jitter), notices when the line is dead (ping), and keeps messages that
 * were not acknowledged: they go out again with the same id, which the server takes only once.
 */
import { signal } from "@preact/signals";
import type { ServerFrame } from "../api/types";
import { at, boot } from "../app/boot";

export type Line = "idle" | "connecting" | "open" | "lost" | "signed-out";
export const line = signal<Line>("idle");

const PING_MS = 20_000;
const SILENCE_MS = 10_000;
const LONGEST_WAIT_MS = 15_000;
const SIGNED_OUT = 4401;

type Listener = (frame: ServerFrame) => void;
export interface Outgoing {
  type: string;
  client_message_id: string;
  [field: string]: unknown;
}

const listeners = new Set<Listener>();
const whenOpen = new Set<(isFirst: boolean) => void>();
const unacknowledged = new Map<string, Outgoing>();
/** What waits outlives a reload of this tab; only who wrote it sends it. */
const KEPT = "starpod.outbox";
const author = boot.auth.user?.id ?? "";
try {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}") as { author?: string; frames?: Outgoing[] };
  if (kept.author === author) for (const frame of kept.frames ?? []) unacknowledged.set(frame.client_message_id, frame);
} catch {
  // Storage is forbidden, or holds something else.
}
function keepWaiting(): void {
  try {
    if (unacknowledged.size) sessionStorage.setItem(KEPT, JSON.stringify({ author, frames: [...unacknowledged.values()] }));
    else sessionStorage.removeItem(KEPT);
  } catch {
    // Too large, or forbidden: then it lives as long as the page.
  }
}
let socket: WebSocket | null = null;
let attempts = 0;
let hasBeenOpen = false;
let retry = 0;
let pinging = 0;
let silence = 0;

export function onFrame(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Called each time the line is up, before anything that waits is sent again. */
export function onOpen(listener: (isFirst: boolean) => void): () => void {
  whenOpen.add(listener);
  return () => whenOpen.delete(listener);
}

export function connect(): void {
  if (socket && socket.readyState <= WebSocket.OPEN) return;
  clearTimeout(retry);
  line.value = hasBeenOpen ? "lost" : "connecting";
  const mine = new WebSocket(new URL(at("ws?sessions=1"), location.href).href.replace(/^http/, "ws"));
  socket = mine;
  mine.onopen = () => {
    if (socket !== mine) return mine.close();
    attempts = 0;
    line.value = "open";
    watch();
    for (const listener of whenOpen) listener(!hasBeenOpen);
    hasBeenOpen = true;
    for (const frame of unacknowledged.values()) mine.send(JSON.stringify(frame));
  };
  mine.onmessage = (event: MessageEvent<string>) => {
    clearTimeout(silence);
    const frame = JSON.parse(event.data) as ServerFrame;
    if ((frame.type === "accepted" || frame.type === "error") && frame.client_message_id && unacknowledged.delete(frame.client_message_id)) keepWaiting();
    if (frame.type !== "pong") for (const listener of listeners) listener(frame);
  };
  mine.onclose = (event) => lost(mine, event.code);
}

function lost(which: WebSocket, code: number): void {
  if (socket !== which) return;
  socket = null;
  keepWaiting();
  clearInterval(pinging);
  clearTimeout(silence);
  if (code === SIGNED_OUT) {
    line.value = "signed-out";
    return;
  }
  line.value = "lost";
  const wait = Math.min(LONGEST_WAIT_MS, 400 * 2 ** attempts++) * (0.5 + Math.random() / 2);
  retry = window.setTimeout(connect, wait);
}

function watch(): void {
  clearInterval(pinging);
  pinging = window.setInterval(probe, PING_MS);
}

/** Ask whether the other end is still there; without an answer the line counts as lost. */
function probe(): void {
  const mine = socket;
  if (mine?.readyState !== WebSocket.OPEN) return;
  mine.send('{"type":"ping"}');
  clearTimeout(silence);
  silence = window.setTimeout(() => {
    mine.onclose = null;
    mine.close();
    lost(mine, 1006);
  }, SILENCE_MS);
}

/** Send now if the line is up; what is said about a running turn is worth nothing later. */
export function send(frame: { type: string; [field: string]: unknown }): boolean {
  if (socket?.readyState !== WebSocket.OPEN) return false;
  socket.send(JSON.stringify(frame));
  return true;
}

/** Send once, now or when the line is back. */
export function deliver(frame: Outgoing): void {
  unacknowledged.set(frame.client_message_id, frame);
  // What the line takes at once is acknowledged in a moment, so only what must wait is written down.
  if (!send(frame)) keepWaiting();
}

/** Bytes that wait for the line to take them. */
export const unsent = (): number => socket?.bufferedAmount ?? 0;

export function disconnect(): void {
  clearTimeout(retry);
  clearInterval(pinging);
  const mine = socket;
  socket = null;
  mine?.close(1000);
  line.value = "idle";
}

addEventListener("online", () => line.value === "lost" && connect());
addEventListener("offline", probe);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible") return;
  if (line.value === "lost") connect();
  else probe();
});
