/** What lies over the page: palette, shortcuts, notices. Fetched when first opened. */
import { effect, signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { closeOverlay, overlay, type Overlay } from "./overlay";

const sources: Record<Overlay, () => Promise<{ default: ComponentType }>> = {
  palette: () => import("../overlay/Palette"),
  shortcuts: () => import("../overlay/Shortcuts"),
  notices: () => import("../overlay/Notices"),
  archived: () => import("../overlay/Archived"),
};
const parts = signal<Partial<Record<Overlay, ComponentType>>>({});

const fetched = (which: Overlay): Promise<void> => sources[which]().then((module) => void (parts.value = { ...parts.value, [which]: module.default }));

effect(() => {
  const which = overlay.value;
  if (which && !parts.peek()[which]) fetched(which).catch(closeOverlay);
});

/** What people type right after the keys that open it must not land elsewhere: it is there before. */
export const preparePalette = (): void => void fetched("palette").catch(() => null);

export function Overlays() {
  const Shown = overlay.value && parts.value[overlay.value];
  return Shown ? <Shown /> : null;
}
