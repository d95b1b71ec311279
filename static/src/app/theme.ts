/** Dark, light, or as the system has it. */
import { signal } from "@preact/signals";
import { load, save } from "./storage";

export type Theme = "system" | "light" | "dark";
export const theme = signal<Theme>((load("theme") as Theme | null) ?? "system");

export function setTheme(chosen: Theme): void {
  theme.value = chosen;
  save("theme", chosen === "system" ? null : chosen);
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}
