/** Whether the sidebar is open; on phones it lies over the page. */
import { signal } from "@preact/signals";
import { load, save } from "./storage";

const isPhone = () => innerWidth < 768;
export const isSideOpen = signal(!isPhone() && load("side") !== "closed");

export function openSide(): void {
  isSideOpen.value = true;
  if (!isPhone()) save("side", null);
  requestAnimationFrame(() => document.querySelector<HTMLElement>(".side .brand button:last-child")?.focus());
}

export function closeSide({ onPhoneOnly = false } = {}): void {
  if (onPhoneOnly && !isPhone()) return;
  isSideOpen.value = false;
  if (!isPhone()) save("side", "closed");
}
