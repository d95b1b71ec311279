/** One conversation as it is known here: loaded from the server, kept live by the socket, whole again after every break. */
import { computed, signal } from "@preact/signals";
import { api, ApiError, enc } from "../api/client";
import type { Attachment, Branch, OtherFrame, ServerFrame, Session, SessionFile, StoredMessage, TurnFrame, TurnUsage } from "../api/types";
import { t } from "../i18n";
import { announce } from "../app/announce";
import { tell } from "../ui/toast";
import { deliver, onFrame, onOpen, send } from "../socket/socket";
import { refreshSessions, sessions, upsertSession } from "./sessions";
import { addFile, fromMessages, hear, newTurn, said, type Turn, type UserPart, userPart } from "./turns";

const PAGE = 60;
const RETOLD_MS = 30;
/** The words come first, what stands beneath them a moment later. */
const PAINTED_MS = 60;
/** The first screen comes first. */
const SETTLED_MS = 700;
const uid = (): string => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;

export class Conversation {
  readonly turns = signal<Turn[]>([]);
  readonly status = signal<"new" | "loading" | "ready" | "missing" | "failed">("new");
  readonly problem = signal<string | null>(null);
  readonly session = signal<Session | null>(null);
  readonly hasOlder = signal(false);
  readonly branches = signal<Branch[]>([]);
  /** Something is being deleted from here: the news of it is none. */
  isDeleting = false;
  /** A message that was taken back into the box, to be changed there. */
  readonly recalled = signal<{ text: string; files: Attachment[] } | null>(null);
  readonly key: string;
  id: string | null;
  /** The chat that this was until it was deleted elsewhere and a message began another. */
  deletedId: string | null = null;
  #oldest: number | null = null;
  #pending = new Map<string, { turn: Turn; replaces: Turn | null; again: () => void }>();
  #loading: Promise<void> | null = null;

  constructor(id: string | null, key = uid()) {
    this.id = id;
    this.key = key;
  }

  get isRunning(): boolean {
    return this.turns.value.some((turn) => turn.isRunning.value);
  }

  /** Whether it is heard already, or something of its own is on the way. */
  get isBusy(): boolean {
    return this.turns.value.some((turn) => turn.isRunning.value || !turn.id);
  }

  /** Read the newest messages and hear what runs. Again after every reconnect. */
  load(): Promise<void> {
    this.#loading ??= this.#load().finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #load(): Promise<void> {
    if (!this.id) return;
    if (this.status.value !== "ready") this.status.value = "loading";
    try {
      const [session, rows] = await Promise.all([
        api.get<Session>(`api/sessions/${enc(this.id)}`),
        api.get<StoredMessage[]>(`api/sessions/${enc(this.id)}/messages`, { limit: PAGE }),
      ]);
      this.session.value = session;
      this.hasOlder.value = rows.length === PAGE;
      this.#take(rows);
      this.status.value = "ready";
      this.problem.value = null;
      this.follow();
      setTimeout(() => void Promise.all([this.loadBranches(), this.loadUsage(), this.loadFiles()]), PAINTED_MS);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.problem.value = error.message;
      if (this.status.value !== "ready") this.status.value = error.status === 404 ? "missing" : "failed";
    }
  }

  /** Put the rows in place of the turns known so far, but keep turns that are being heard and messages not yet taken. */
  #take(rows: StoredMessage[]): void {
    const known = new Map(this.turns.value.filter((turn) => turn.id).map((turn) => [turn.id, turn]));
    const waiting = this.turns.value.filter((turn) => !turn.id);
    const loaded = fromMessages(rows).map((turn) => {
      const old = known.get(turn.id);
      if (!old) return turn;
      if (this.#stale.delete(old)) {
        old.parts.value = turn.parts.value;
        return old;
      }
      // The same turn keeps its place in the page: only what the server says replaces what was drawn.
      if (!old.isRunning.value && old.parts.value.length >= turn.parts.value.length) return old;
      if (!old.isRunning.value) old.parts.value = turn.parts.value;
      return old;
    });
    const ids = new Set(loaded.map((turn) => turn.id));
    const live = this.turns.value.filter((turn) => turn.id && turn.isRunning.value && !ids.has(turn.id));
    this.turns.value = [...loaded, ...live, ...waiting];
    this.#oldest = rows[0]?.id ?? null;
  }

  /** The server knows a turn only from its store: it has ended, and what is stored is all that there is of it. */
  #resync(turnId: string | null): void {
    const turn = this.turns.value.find((each) => each.id === turnId);
    if (turn) {
      turn.isRunning.value = false;
      this.#stale.add(turn);
    }
    void this.load();
  }
  #stale = new WeakSet<Turn>();

  async loadOlder(): Promise<void> {
    if (!this.id || !this.hasOlder.value || this.#oldest === null) return;
    const rows = await api.get<StoredMessage[]>(`api/sessions/${enc(this.id)}/messages`, { limit: PAGE, before: this.#oldest });
    this.hasOlder.value = rows.length === PAGE;
    if (!rows.length) return;
    this.#oldest = rows[0]!.id;
    const older = fromMessages(rows);
    const [first, ...rest] = this.turns.value;
    const joint = older.at(-1);
    if (first && joint && joint.id && joint.id === first.id) {
      first.parts.value = [...joint.parts.value, ...first.parts.value];
      older.pop();
      this.turns.value = [...older, first, ...rest];
    } else this.turns.value = [...older, ...this.turns.value];
    void this.loadUsage();
    void this.loadFiles();
  }

  /** What the turns shown have used; those that were heard to their end know it themselves. */
  async loadUsage(): Promise<void> {
    if (!this.id) return;
    const rows = await api.get<TurnUsage[]>(`api/sessions/${enc(this.id)}/turns`).catch(() => []);
    const known = new Map(rows.map((row) => [row.id, row]));
    for (const turn of this.turns.value) if (turn.id) turn.used.value = known.get(turn.id) ?? null;
  }

  /** Which files came with the messages and answers shown. */
  async loadFiles(): Promise<void> {
    if (!this.id) return;
    for (const file of await api.get<SessionFile[]>(`api/sessions/${enc(this.id)}/files`).catch(() => [])) {
      const turn = this.turns.value.find((each) => each.id === file.turn_id);
      if (turn) addFile(turn, file);
    }
  }

  async loadBranches(): Promise<void> {
    if (!this.id) return;
    this.branches.value = await api.get<Branch[]>(`api/sessions/${enc(this.id)}/branches`).catch(() => []);
  }

  async activate(turnId: string): Promise<void> {
    if (!this.id) return;
    await api.post(`api/sessions/${enc(this.id)}/branches/${enc(turnId)}/activate`);
    await this.reload();
  }

  /** Forget what is shown and read it anew. */
  async reload(): Promise<void> {
    this.turns.value = [];
    await this.load();
  }

  /** Hear the turn that runs, from where it was heard last. The last turn that ended is told once more, with what it cost. */
  follow(): void {
    if (!this.id) return;
    const running = this.turns.value.find((turn) => turn.isRunning.value && turn.id);
    send(
      running
        ? { type: "resume", session_id: this.id, turn_id: running.id, after: running.seq }
        : { type: "resume", session_id: this.id, after: 0 },
    );
  }

  say(text: string, files: Attachment[], model: string | null): void {
    const turn = newTurn(null, [userPart(text, files, "waiting")]);
    this.turns.value = [...this.turns.value, turn];
    const session = this.session.value;
    this.#submit(turn, null, {
      type: "message",
      text,
      channel_id: session && session.channel !== "main" ? session.channel : "web",
      channel_session_key: session?.channel_session_key ?? this.key,
      attachments: files,
      ...(model ? { model } : {}),
    });
  }

  retry(model: string | null): void {
    const last = this.turns.value.at(-1);
    if (!last || !this.id) return;
    const own = last.parts.value.find((part): part is UserPart => part.kind === "user");
    const turn = newTurn(null, own ? [{ ...own, state: "waiting" }] : []);
    this.turns.value = [...this.turns.value.slice(0, -1), turn];
    this.#submit(turn, last, { type: "regenerate", session_id: this.id, ...(model ? { model } : {}) });
  }

  edit(turn: Turn, messageId: number, text: string, model: string | null): void {
    if (!this.id) return;
    const index = this.turns.value.indexOf(turn);
    const own = turn.parts.value.find((part): part is UserPart => part.kind === "user" && part.messageId === messageId);
    const fresh = newTurn(null, [userPart(text, own?.files, "waiting")]);
    this.turns.value = [...this.turns.value.slice(0, index), fresh];
    this.#submit(fresh, null, { type: "edit", session_id: this.id, message_id: messageId, text, ...(model ? { model } : {}) });
  }

  #submit(turn: Turn, replaces: Turn | null, frame: Record<string, unknown>): void {
    const id = uid();
    const again = () => {
      this.#mark(turn, "waiting");
      this.#submit(turn, replaces, frame);
    };
    this.#pending.set(id, { turn, replaces, again });
    deliver({ ...frame, type: String(frame.type), client_message_id: id });
  }

  /** Send a message again that the server refused. */
  sendAgain(turn: Turn): void {
    const failed = this.#failed.get(turn);
    this.#failed.delete(turn);
    failed?.();
  }
  #failed = new Map<Turn, () => void>();

  /** Take a message that the server refused back into the box. */
  recall(turn: Turn): void {
    const own = turn.parts.value[0];
    if (own?.kind !== "user") return;
    this.#failed.delete(turn);
    this.turns.value = this.turns.value.filter((each) => each !== turn);
    this.recalled.value = { text: own.text, files: own.files.filter((file): file is Attachment => "data" in file) };
  }

  #mark(turn: Turn, state: UserPart["state"], error?: string, messageId?: number): void {
    turn.parts.value = turn.parts.value.map((part, index) =>
      part.kind === "user" && index === 0 ? { ...part, state, messageId: messageId ?? part.messageId, ...(error ? { error } : {}) } : part,
    );
  }

  stop(): void {
    if (this.id) send({ type: "cancel", session_id: this.id });
  }

  answer(approvalId: string, isAllowed: boolean, remember: "once" | "session" | "forever"): void {
    send({ type: isAllowed ? "approve" : "deny", session_id: this.id, approval_id: approvalId, remember });
  }

  /** Returns whether the frame was this conversation's. */
  take(frame: ServerFrame): boolean {
    if (frame.type === "accepted" || (frame.type === "error" && frame.client_message_id)) return this.#settle(frame);
    if (!("session_id" in frame) || !this.id || frame.session_id !== this.id) return false;
    if ("seq" in frame) this.#hear(frame as TurnFrame);
    else if (frame.type === "resync") this.#resync(frame.turn_id);
    else if (frame.type === "usage") this.#pay(frame.turn_id, frame.cost_usd, frame.is_estimate);
    else if (frame.type === "messages_deleted") void (this.isDeleting || this.reload());
    else if (frame.type === "approval_waiting" || frame.type === "not_running") this.follow();
    return true;
  }

  #settle(frame: OtherFrame & { client_message_id?: string }): boolean {
    const pending = this.#pending.get(frame.client_message_id ?? "");
    if (!pending) return false;
    this.#pending.delete(frame.client_message_id!);
    const { turn } = pending;
    if (frame.type === "error") {
      this.#mark(turn, "failed", frame.message);
      this.#failed.set(turn, pending.again);
      return true;
    }
    if (frame.type !== "accepted") return true;
    const isNew = this.id !== frame.session_id;
    if (isNew) this.deletedId = this.id;
    this.id = frame.session_id;
    const existing = this.turns.value.find((other) => other !== turn && other.id === frame.turn_id);
    if (existing) {
      // A follow-up that goes into the turn that runs: it appears there when the agent takes it.
      this.turns.value = this.turns.value.filter((other) => other !== turn);
      const own = turn.parts.value[0] as UserPart;
      if (!existing.parts.value.some((part) => part.kind === "user" && part.messageId === frame.message_id))
        existing.parts.value = [...existing.parts.value, { ...own, state: "sent", messageId: frame.message_id }];
    } else {
      turn.id = frame.turn_id;
      this.#mark(turn, "sent", undefined, frame.message_id);
      if (!turn.end.value) turn.isRunning.value = true;
    }
    if (isNew) {
      this.status.value = "ready";
      void this.#learn();
    }
    return true;
  }

  async #learn(): Promise<void> {
    const session = await api.get<Session>(`api/sessions/${enc(this.id!)}`).catch(() => null);
    if (!session) return;
    this.session.value = session;
    upsertSession(session);
  }

  #hear(frame: TurnFrame): void {
    let turn = this.turns.value.find((each) => each.id === frame.turn_id);
    if (!turn) {
      if (this.status.value === "loading") return;
      turn = newTurn(frame.turn_id);
      const waiting = this.turns.value.findIndex((each) => !each.id);
      const at = waiting < 0 ? this.turns.value.length : waiting;
      this.turns.value = this.turns.value.toSpliced(at, 0, turn);
      // Somebody else wrote, or another tab: its message is in the store.
      if (frame.type === "stream_start") void this.#fetchMessageOf(turn);
    }
    const heard = this.#retold.get(turn.id!);
    if (heard) heard.push(frame);
    else if (frame.type === "stream_start" && turn.parts.value.length > 1 && !turn.end.value && !turn.isRunning.value) this.#retell(turn, frame);
    else hear(turn, frame);
    if (frame.type === "stream_end" && turn.end.value === frame) announce(t("chat.finished"));
    if (frame.type === "stream_end") void this.#learn().then(() => this.loadBranches());
  }

  /** A turn that is drawn from the store is told from its start: when it has ended, only its end is news; else it is drawn live. */
  #retell(turn: Turn, first: TurnFrame): void {
    const frames: TurnFrame[] = [first];
    this.#retold.set(turn.id!, frames);
    setTimeout(() => {
      this.#retold.delete(turn.id!);
      const end = frames.findIndex((frame) => frame.type === "stream_end");
      turn.seq = 0; // what is told from the store is numbered anew
      for (const frame of end < 0 ? frames : frames.slice(end)) hear(turn, frame);
    }, RETOLD_MS);
  }
  #retold = new Map<string, TurnFrame[]>();

  async #fetchMessageOf(turn: Turn): Promise<void> {
    const rows = await api.get<StoredMessage[]>(`api/sessions/${enc(this.id!)}/messages`, { limit: PAGE }).catch(() => []);
    const row = rows.find((each) => each.turn_id === turn.id && each.role === "user");
    if (row && turn.parts.value[0]?.kind !== "user") turn.parts.value = [userPart(row.content, [], "sent", row.id), ...turn.parts.value];
  }

  #pay(turnId: string, usd: number, isEstimate: boolean): void {
    const turn = this.turns.value.find((each) => each.id === turnId);
    if (!turn) return;
    turn.isEstimate = isEstimate;
    turn.spent.value = usd;
  }

  /** Whether `spent` is only estimated, for an answer is still coming. */
  get isSpentEstimated(): boolean {
    return Boolean(this.turns.value.find((each) => each.isRunning.value)?.isEstimate);
  }

  /** What the turn that runs has cost so far, in USD. */
  get spent(): number {
    const turn = this.turns.value.find((each) => each.isRunning.value);
    return turn ? turn.spent.value || (turn.used.value?.cost_usd ?? 0) : 0;
  }

  lastReply(): string | null {
    return this.turns.value.map(said).findLast(Boolean) ?? null;
  }
}

/** Conversations that were opened in this tab: they go on while another page is shown. */
const open = new Set<Conversation>();
const opened = (id: string): Conversation | undefined => [...open].find((each) => each.id === id);
/** The new one, which `/` shows. */
const fresh = signal(new Conversation(null));
const running = signal<ReadonlySet<Conversation>>(new Set());
/** Sessions that are being answered without this tab having them open: another tab wrote, a job runs, a message came by Telegram. */
const elsewhere = signal<ReadonlySet<string>>(new Set());
/** Ids of the sessions in which a turn runs. */
export const runningSessions = computed(() => new Set([...[...running.value].flatMap((each) => each.id ?? []), ...elsewhere.value]));
export const isAnyRunning = computed(() => runningSessions.value.size > 0 || running.value.size > 0);

async function learnRunning(): Promise<void> {
  const found = await api.get<{ session_ids: string[] }>("api/sessions/running").catch(() => null);
  if (found) elsewhere.value = new Set(found.session_ids);
}

function noteElsewhere(id: string, isRunning: boolean): void {
  const ids = new Set(elsewhere.value);
  if (isRunning) ids.add(id);
  else ids.delete(id);
  elsewhere.value = ids;
}

/** The conversation of a session; without an id, a new one. */
export function conversation(id: string | null): Conversation {
  if (!id) return fresh.value;
  if (fresh.peek().id === id) forgetNew();
  let found = opened(id);
  if (!found) {
    found = new Conversation(id);
    open.add(found);
  }
  return found;
}

/** Begin a new conversation. What was written in the one before is heard on, even if the gateway has not yet taken it. */
export function forgetNew(): void {
  const last = fresh.peek();
  if (!last.id && !last.turns.peek().length) return;
  open.add(last);
  fresh.value = new Conversation(null);
}

const everyone = (): Conversation[] => [...open, fresh.peek()];

let refresh = 0;
/** The fate of a message that was written before this page was loaded anew. */
function hearStray(frame: ServerFrame): void {
  if (frame.type === "accepted") void opened(frame.session_id)?.load();
  else if (frame.type === "error" && frame.client_message_id) tell(new Error(frame.message));
}

/** A delta changes nothing in the lists, and there are thousands of them. */
const QUIET: ReadonlySet<string> = new Set(["text_delta", "tool_use", "tool_result", "usage"]);

onFrame((frame) => {
  const isTaken = everyone().some((each) => each.take(frame));
  if (!isTaken) hearStray(frame);
  if (QUIET.has(frame.type)) return;
  running.value = new Set(everyone().filter((each) => each.isRunning));
  if (frame.type === "session_changed") {
    noteElsewhere(frame.session_id, frame.is_running);
    // Somebody wrote in a conversation that is open here: it is heard from now on.
    const talk = frame.is_running ? opened(frame.session_id) : null;
    if (talk && !talk.isBusy) talk.follow();
  } else if (frame.type === "stream_end") noteElsewhere(frame.session_id, false);
  if (frame.type === "stream_end" || frame.type === "notification" || frame.type === "session_changed") {
    clearTimeout(refresh);
    refresh = window.setTimeout(() => void refreshSessions(), 250);
  }
});
onOpen((isFirst) => {
  for (const each of everyone()) if (each.id && (each.status.value === "ready" || each.status.value === "failed")) void each.load();
  // What happened between the making of the page and now was told to nobody.
  const catchUp = () => { void refreshSessions(); void learnRunning(); };
  if (isFirst) setTimeout(catchUp, SETTLED_MS);
  else catchUp();
});

export const titleOf = (session: Session | null | undefined): string => session?.title || session?.summary || t("chat.untitled");
export const known = (id: string): Session | undefined => sessions.value.find((session) => session.id === id);
