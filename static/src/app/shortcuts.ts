/** Every keyboard shortcut in one table; the sheet of Ctrl+/ is drawn from it. */
import { current } from "../chat/current";
import { newChat } from "../chat/new";
import type { Key } from "../i18n";
import { closeOverlay, open, overlay } from "./overlay";
import { go } from "./router";
import { closeSide, isSideOpen, openSide } from "./side";

interface Shortcut {
  name: string;
  label: Key;
  /** `mod` is Ctrl, or Cmd on a Mac. */
  keys: string;
  run: () => void;
}

const isMac = /Mac|iPhone|iPad/.test(navigator.platform);
const copy = (text: string | null | undefined) => void (text && navigator.clipboard?.writeText(text));

export const SHORTCUTS: Shortcut[] = [
  { name: "palette", label: "keys.palette", keys: "mod+k", run: () => (overlay.value === "palette" ? closeOverlay() : open("palette")) },
  { name: "new", label: "keys.new", keys: "mod+shift+o", run: newChat },
  { name: "focus", label: "keys.focus", keys: "shift+escape", run: () => document.querySelector<HTMLElement>(".composer textarea")?.focus() },
  { name: "copy", label: "keys.copy", keys: "mod+shift+c", run: () => copy(current.value?.lastReply()) },
  { name: "copy_code", label: "keys.copy_code", keys: "mod+shift+;", run: () => copy([...document.querySelectorAll(".log .code code")].at(-1)?.textContent) },
  { name: "side", label: "keys.side", keys: "mod+shift+s", run: () => (isSideOpen.value ? closeSide() : openSide()) },
  { name: "shortcuts", label: "keys.title", keys: "mod+/", run: () => (overlay.value === "shortcuts" ? closeOverlay() : open("shortcuts")) },
  { name: "settings", label: "keys.settings", keys: "mod+,", run: () => void go("settings") },
  { name: "stop", label: "keys.stop", keys: "escape", run: () => current.value?.stop() },
];

/** Those that belong to one place and are handled there. */
export const LOCAL: [Key, string][] = [["keys.send", "enter"], ["keys.break", "shift+enter"], ["keys.edit_last", "arrowup"], ["keys.slash", "/"], ["keys.next_row", "j"], ["keys.previous_row", "k"]];

const NAMES: Record<string, string> = { mod: isMac ? "⌘" : "Ctrl", shift: isMac ? "⇧" : "Shift", escape: "Esc", enter: "Enter", arrowup: "↑" };
export const shown = (keys: string): string => keys.split("+").map((part) => NAMES[part] ?? part.toUpperCase()).join(isMac ? "" : "+");
export const hintOf = (name: string): string => shown(SHORTCUTS.find((each) => each.name === name)!.keys);

function pressed(event: KeyboardEvent): string {
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("mod");
  if (event.shiftKey) parts.push("shift");
  const key = event.code === "Semicolon" ? ";" : event.code === "Slash" && (event.ctrlKey || event.metaKey) ? "/" : event.key.toLowerCase();
  // Layouts where `/` needs Shift still reach the sheet.
  return (key === "/" ? parts.filter((part) => part !== "shift") : parts).concat(key).join("+");
}

/** J and K go from row to row where the focus is in a list. */
function moveInList(event: KeyboardEvent): void {
  const at = document.activeElement;
  const list = at?.closest(".sessions, .list, .nav, .settings-list");
  if (!list || at!.matches("input, textarea, select")) return;
  const rows = [...list.querySelectorAll(list.querySelector("li") ? "li" : "a")];
  const targets = rows.map((row) => (row.matches("a") ? row : row.querySelector("a, button")) as HTMLElement | null);
  const here = rows.findIndex((row) => row.contains(at));
  const next = targets[here + (event.key.toLowerCase() === "j" ? 1 : -1)];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

export function installShortcuts(): () => void {
  const onKey = (event: KeyboardEvent) => {
    if (event.altKey || event.isComposing || event.defaultPrevented) return;
    const keys = pressed(event);
    if (keys === "j" || keys === "k") return moveInList(event);
    const found = SHORTCUTS.find((each) => each.keys === keys);
    if (!found) return;
    // Esc closes what is open before it stops anything.
    if (found.name === "stop" && (document.querySelector("dialog[open], :popover-open") || !current.value?.isRunning)) return;
    event.preventDefault();
    found.run();
  };
  addEventListener("keydown", onKey);
  return () => removeEventListener("keydown", onKey);
}
