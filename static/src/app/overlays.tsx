/** What lies over the page: palette, shortcuts, notices. Fetched when first opened. */
import { signal } from "@preact/signals";
import type { ComponentType } from "preact";

export type Overlay = "palette" | "shortcuts" | "notices" | "archived";
export const overlay = signal<Overlay | null>(null);
export const closeOverlay = (): void => void (overlay.value = null);

const sources: Record<Overlay, () => Promise<{ default: ComponentType }>> = {
  palette: () => import("../overlay/Palette"),
  shortcuts: () => import("../overlay/Shortcuts"),
  notices: () => import("../overlay/Notices"),
  archived: () => import("../overlay/Archived"),
};
const parts = signal<Partial<Record<Overlay, ComponentType>>>({});

const fetched = (which: Overlay): Promise<void> => sources[which]().then((module) => void (parts.value = { ...parts.value, [which]: module.default }));

export function open(which: Overlay): void {
  overlay.value = which;
  if (!parts.value[which]) fetched(which).catch(closeOverlay);
}

/** What people type right after the keys that open it must not land elsewhere: it is there before. */
export const preparePalette = (): void => void fetched("palette").catch(() => null);

export function Overlays() {
  const Shown = overlay.value && parts.value[overlay.value];
  return Shown ? <Shown /> : null;
}
