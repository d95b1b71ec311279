/** The one table of pages: which address shows what. Everything but the chat is fetched when it is first opened. */
import type { ComponentType } from "preact";
import { type Key, loadPageWords } from "../i18n";
import type { IconNode } from "lucide";
import { hasFiles, isAdmin } from "./auth";
import type { PageProps } from "./page";
import { BookOpen, ChartColumn, Clock, Folder, Server, Settings } from "../ui/icons";

export interface Page {
  pattern: string;
  load: () => Promise<{ default: ComponentType<PageProps> }>;
  /** In the navigation: its words, its icon, and whether only admins, or those who may see files, see it. */
  nav?: { label: Key; icon: IconNode; adminOnly?: boolean; needsFiles?: boolean };
  /** At the foot of the sidebar instead of the navigation. */
  isFoot?: boolean;
}

export const NAV_ICONS = { BookOpen, ChartColumn, Clock, Folder, Server, Settings };

/** A page comes with its words. */
const lazily = (load: Page["load"]): Page["load"] => async () => (await Promise.all([load(), loadPageWords()]))[0];
const schedules = lazily(() => import("../pages/Schedules"));
const files = lazily(() => import("../pages/Files"));
const memory = lazily(() => import("../pages/Memory"));
const settings = lazily(() => import("../pages/Settings"));

export const PAGES: Page[] = [
  { pattern: "schedules", load: schedules, nav: { label: "nav.schedules", icon: Clock } },
  { pattern: "schedules/:id", load: schedules },
  { pattern: "files", load: files, nav: { label: "nav.files", icon: Folder, needsFiles: true } },
  { pattern: "files/*", load: files },
  { pattern: "memory", load: memory, nav: { label: "nav.memory", icon: BookOpen } },
  { pattern: "memory/*", load: memory },
  { pattern: "usage", load: lazily(() => import("../pages/Usage")), nav: { label: "usage.title", icon: ChartColumn } },
  { pattern: "instances", load: lazily(() => import("../pages/Instances")), nav: { label: "nav.instances", icon: Server, adminOnly: true } },
  { pattern: "start", load: lazily(() => import("../pages/Start")) },
  { pattern: "settings", load: settings, nav: { label: "nav.settings", icon: Settings }, isFoot: true },
  { pattern: "settings/:section", load: settings },
];

/** Whether the navigation and the palette offer it to the person who is signed in. */
export const isOffered = ({ nav }: Page): boolean => Boolean(nav) && (isAdmin || !nav!.adminOnly) && (hasFiles || !nav!.needsFiles);

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Match `a/:id/*` against an address; null when it does not. */
export function match(pattern: string, address: string): Record<string, string> | null {
  const wanted = pattern.split("/");
  const parts = address.replace(/\/$/, "").split("/");
  const params: Record<string, string> = {};
  for (const [index, want] of wanted.entries()) {
    if (want === "*") {
      params.rest = parts.slice(index).map(decoded).join("/");
      return params;
    }
    const part = parts[index];
    if (part === undefined || (want.startsWith(":") ? !part : part !== want)) return null;
    if (want.startsWith(":")) params[want.slice(1)] = decoded(part);
  }
  return parts.length === wanted.length ? params : null;
}
