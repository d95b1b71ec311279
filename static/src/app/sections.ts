/** The one table of the settings' sections. */
import type { IconNode } from "lucide";
import type { Key } from "../i18n";
import { Settings } from "../ui/icons";

/** The sections of the settings, by group. */
export const SECTION_GROUPS: { label: Key; sections: { id: string; label: Key; adminOnly?: boolean }[] }[] = [
  { label: "settings.group_you", sections: [{ id: "appearance", label: "settings.appearance" }, { id: "keys", label: "settings.keys" }] },
  {
    label: "settings.group_agent",
    sections: [
      { id: "agent", label: "settings.agent", adminOnly: true },
      { id: "models", label: "settings.models", adminOnly: true },
      { id: "tools", label: "settings.tools", adminOnly: true },
      { id: "skills", label: "settings.skills", adminOnly: true },
      { id: "mcp", label: "settings.mcp", adminOnly: true },
      { id: "memory", label: "settings.memory", adminOnly: true },
      { id: "heartbeat", label: "settings.heartbeat", adminOnly: true },
    ],
  },
  {
    label: "settings.group_gateway",
    sections: [
      { id: "users", label: "settings.users", adminOnly: true },
      { id: "channels", label: "settings.channels", adminOnly: true },
      { id: "budgets", label: "settings.budgets", adminOnly: true },
      { id: "vault", label: "settings.vault", adminOnly: true },
      { id: "logs", label: "settings.logs", adminOnly: true },
      { id: "system", label: "settings.system", adminOnly: true },
    ],
  },
];
export const SECTIONS = SECTION_GROUPS.flatMap((group) => group.sections);

/** Places inside pages that the palette reaches too. */
export const DESTINATIONS: { path: string; label: Key; icon: IconNode; adminOnly?: boolean }[] = SECTIONS.map((each) => ({
  path: `settings/${each.id}`, label: each.label, icon: Settings, adminOnly: each.adminOnly ?? false,
}));
