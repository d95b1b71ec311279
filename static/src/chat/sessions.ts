/** The list of conversations at the side. */
import { signal } from "@preact/signals";
import { api, enc } from "../api/client";
import type { Session } from "../api/types";
import { boot } from "../app/boot";

const PAGE = 40;
export const sessions = signal<Session[]>(boot.sessions ?? []);
export const hasMore = signal((boot.sessions?.length ?? 0) >= PAGE);
/** The last session of the last page: pinned ones may be older, and stand in the list all the same. */
let last = boot.sessions?.at(-1);

const sorted = (list: Session[]): Session[] => list.toSorted((a, b) => b.last_message_at.localeCompare(a.last_message_at));

export function upsertSession(session: Session): void {
  sessions.value = sorted([session, ...sessions.value.filter((each) => each.id !== session.id)]);
}

export async function refreshSessions(): Promise<void> {
  const newest = await api.get<Session[]>("api/sessions", { limit: Math.max(PAGE, Math.min(200, sessions.value.length)) }).catch(() => null);
  if (!newest) return;
  const ids = new Set(newest.map((session) => session.id));
  const end = newest.at(-1)?.last_message_at ?? "";
  const older = newest.length >= PAGE ? sessions.value.filter((each) => !ids.has(each.id) && each.last_message_at < end) : [];
  sessions.value = sorted([...newest, ...older]);
  if (!last || last.last_message_at > end || newest.length < PAGE) {
    last = newest.at(-1);
    hasMore.value = newest.length >= PAGE;
  }
}

export async function loadMore(): Promise<void> {
  if (!last) return;
  const older = await api.get<Session[]>("api/sessions", { limit: PAGE, before: last.id });
  const ids = new Set(sessions.value.map((session) => session.id));
  sessions.value = sorted([...sessions.value, ...older.filter((session) => !ids.has(session.id))]);
  last = older.at(-1) ?? last;
  hasMore.value = older.length >= PAGE;
}

/** Pinned conversations are in reach however old they are. */
export async function loadPinned(): Promise<void> {
  const pinned = await api.get<Session[]>("api/sessions", { pinned: true, limit: 100 }).catch(() => []);
  const ids = new Set(pinned.map((session) => session.id));
  if (ids.size) sessions.value = sorted([...pinned, ...sessions.value.filter((each) => !ids.has(each.id))]);
}

function change(id: string, fields: Partial<Session>): void {
  sessions.value = sessions.value.map((each) => (each.id === id ? { ...each, ...fields } : each));
}

export async function markRead(id: string): Promise<void> {
  change(id, { is_read: true });
  await api.post(`api/sessions/${enc(id)}/read`, { is_read: true }).catch(() => null);
}

export async function renameSession(id: string, title: string): Promise<void> {
  upsertSession(await api.patch<Session>(`api/sessions/${enc(id)}`, { title }));
}

export async function pinSession(id: string, is_pinned: boolean): Promise<void> {
  change(id, { is_pinned });
  await api.patch(`api/sessions/${enc(id)}`, { is_pinned });
}

export async function archiveSession(id: string, archived = true): Promise<void> {
  await api.post(`api/sessions/${enc(id)}/archive`, { archived });
  if (archived) sessions.value = sessions.value.filter((each) => each.id !== id);
  else await refreshSessions();
}

export async function deleteSession(id: string): Promise<void> {
  await api.delete(`api/sessions/${enc(id)}`);
  sessions.value = sessions.value.filter((each) => each.id !== id);
}

export async function restoreSession(id: string): Promise<void> {
  upsertSession(await api.post<Session>(`api/sessions/${enc(id)}/restore`));
}
