/** The one table of pages: which address shows what. Everything but the chat is fetched when it is first opened. */
import type { ComponentType } from "preact";
import type { Key } from "../i18n";
import type { IconNode } from "lucide";
import { BookOpen, ChartColumn, Clock, Folder, Server, Settings } from "../ui/icons";

export interface PageProps {
  /** What stands in the address in place of `:name` and `*`. */
  params: Record<string, string>;
}

export interface Page {
  pattern: string;
  load: () => Promise<{ default: ComponentType<PageProps> }>;
  /** In the navigation: its words, its icon, and whether only admins see it. */
  nav?: { label: Key; icon: IconNode; adminOnly?: boolean };
  /** At the foot of the sidebar instead of the navigation. */
  isFoot?: boolean;
}

export const NAV_ICONS = { BookOpen, ChartColumn, Clock, Folder, Server, Settings };

export const PAGES: Page[] = [
  { pattern: "schedules", load: () => import("../pages/Schedules"), nav: { label: "nav.schedules", icon: Clock } },
  { pattern: "schedules/:id", load: () => import("../pages/Schedules") },
  { pattern: "memory", load: () => import("../pages/Memory"), nav: { label: "nav.memory", icon: BookOpen } },
  { pattern: "memory/*", load: () => import("../pages/Memory") },
  { pattern: "usage", load: () => import("../pages/Usage"), nav: { label: "usage.title", icon: ChartColumn } },
  { pattern: "instances", load: () => import("../pages/Instances"), nav: { label: "nav.instances", icon: Server, adminOnly: true } },
  { pattern: "start", load: () => import("../pages/Start") },
  { pattern: "settings", load: () => import("../pages/Settings"), nav: { label: "nav.settings", icon: Settings }, isFoot: true },
  { pattern: "settings/:section", load: () => import("../pages/Settings") },
];

/** The sections of the settings. */
export const SECTIONS: { id: string; label: Key; adminOnly?: boolean }[] = [
  { id: "appearance", label: "settings.appearance" },
  { id: "agent", label: "settings.agent", adminOnly: true },
  { id: "models", label: "settings.models", adminOnly: true },
  { id: "channels", label: "settings.channels", adminOnly: true },
  { id: "tools", label: "settings.tools", adminOnly: true },
  { id: "memory", label: "settings.memory", adminOnly: true },
  { id: "schedules", label: "settings.schedules", adminOnly: true },
  { id: "budgets", label: "settings.budgets", adminOnly: true },
  { id: "users", label: "settings.users", adminOnly: true },
  { id: "keys", label: "settings.keys" },
  { id: "vault", label: "settings.vault", adminOnly: true },
  { id: "system", label: "settings.system", adminOnly: true },
];

/** Places inside pages that the palette reaches too. */
export const DESTINATIONS: { path: string; label: Key; icon: IconNode; adminOnly?: boolean }[] = SECTIONS.map((each) => ({
  path: `settings/${each.id}`, label: each.label, icon: Settings, adminOnly: each.adminOnly ?? false,
}));

/** Match `a/:id/*` against an address; null when it does not. */
export function match(pattern: string, address: string): Record<string, string> | null {
  const wanted = pattern.split("/");
  const parts = address.replace(/\/$/, "").split("/");
  const params: Record<string, string> = {};
  for (const [index, want] of wanted.entries()) {
    if (want === "*") {
      params.rest = parts.slice(index).map(decodeURIComponent).join("/");
      return params;
    }
    const part = parts[index];
    if (part === undefined || (want.startsWith(":") ? !part : part !== want)) return null;
    if (want.startsWith(":")) params[want.slice(1)] = decodeURIComponent(part);
  }
  return parts.length === wanted.length ? params : null;
}
