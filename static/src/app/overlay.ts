/** Which of the things that lie over the page is open. */
import { signal } from "@preact/signals";

export type Overlay = "palette" | "shortcuts" | "notices" | "archived";
export const overlay = signal<Overlay | null>(null);
export const open = (which: Overlay): void => void (overlay.value = which);
export const closeOverlay = (): void => void (overlay.value = null);
