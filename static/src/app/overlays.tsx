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

export function open(which: Overlay): void {
  overlay.value = which;
  if (!parts.value[which])
    sources[which]().then(
      (module) => (parts.value = { ...parts.value, [which]: module.default }),
      () => closeOverlay(),
    );
}

export function Overlays() {
  const Shown = overlay.value && parts.value[overlay.value];
  return Shown ? <Shown /> : null;
}
