/** What the gateway tells besides answers: finished jobs, budgets, settings. Toasts, the bell, and the title's count. */
import { computed, effect, signal } from "@preact/signals";
import { api, enc } from "../api/client";
import type { Notice, ServerFrame } from "../api/types";
import { isAnyRunning } from "../chat/conversation";
import { loadPinned, markRead, sessions } from "../chat/sessions";
import { t } from "../i18n";
import { onFrame, onOpen } from "../socket/socket";
import { tell, toast } from "../ui/toast";
import { isSignedIn } from "./auth";
import { at, models } from "./boot";
import { go, path } from "./router";

const KEPT = 50;
/** The first screen comes first. */
const SETTLED_MS = 800;
export const notices = signal<Notice[]>([]);
export const unreadNotices = signal(0);
export const unreadCount = computed(() => sessions.value.filter((session) => !session.is_read && path.value !== `c/${session.id}`).length);

export async function loadNotices(): Promise<void> {
  const found = await api.get<{ notifications: Notice[]; unread: number }>("api/notifications", { limit: KEPT }).catch(() => null);
  if (!found) return;
  notices.value = found.notifications;
  unreadNotices.value = found.unread;
}

export async function markNoticesRead(): Promise<void> {
  unreadNotices.value = 0;
  await api.post("api/notifications/read", {}).catch(() => null);
}

function hear(frame: ServerFrame): void {
  if (frame.type === "notification") {
    const { session_id: id, job_id: job } = frame;
    toast(t(frame.success ? "news.done" : "news.failed", { name: frame.job_name }), {
      kind: frame.success ? "ok" : "error",
      text: frame.result_preview,
      actions: [
        ...(id ? [{ label: t("news.open"), run: () => void go(`c/${id}`) }] : []),
        ...(job ? [{ label: t("news.again"), run: () => void api.post(`api/cron/jobs/${enc(job)}/run`).catch(tell) }] : []),
      ],
    });
    if (id && path.value === `c/${id}`) void markRead(id);
    void loadNotices();
  } else if (frame.type === "budget_notice") {
    toast(t("news.budget"), { kind: "error", text: frame.text });
    void loadNotices();
  } else if (frame.type === "config_reloaded") {
    if (frame.changed.includes("models")) void api.get<{ models: string[] }>("api/config").then((config) => (models.value = config.models), () => null);
  } else if (frame.type === "config_rejected") {
    toast(t("news.config"), { kind: "error", text: `${frame.file}${frame.line ? `:${frame.line}` : ""}: ${frame.reason}` });
  } else if (frame.type === "error" && !frame.client_message_id && !frame.session_id) {
    toast(t("error.title"), { kind: "error", text: frame.message });
  }
}

const icon = (hasNews: boolean) =>
  `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><path d="M46.5 25.2A17 17 0 1 1 38.8 16.4" fill="none" stroke="#3aa597" stroke-width="${hasNews ? 9 : 6.5}" stroke-linecap="round"/><circle cx="${hasNews ? 42 : 46}" cy="${hasNews ? 22 : 18}" r="${hasNews ? 19 : 6.5}" fill="#eea26c"/></svg>`)}`;

/** Watches as long as the page lives. */
export function watchNews(): () => void {
  if (!isSignedIn.value) return () => {};
  const first = setTimeout(() => { void loadNotices(); void loadPinned(); }, SETTLED_MS);
  const stops = [
    onFrame(hear),
    onOpen((isFirst) => !isFirst && void loadNotices()),
    effect(() => {
      const count = unreadCount.value;
      const bare = document.title.replace(/^\(\d+\) /, "");
      document.title = count ? `(${count}) ${bare}` : bare;
      const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
      if (link) link.href = count ? icon(true) : at("icon.svg");
      document.documentElement.dataset.busy = String(isAnyRunning.value);
    }),
  ];
  return () => { clearTimeout(first); stops.forEach((stop) => stop()); };
}

/** The page's title, with the number of unread conversations before it. */
export function setTitle(text: string): void {
  const count = unreadCount.peek();
  document.title = count ? `(${count}) ${text}` : text;
}
