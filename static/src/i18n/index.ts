/** Words in the reader's language. Another language is a folder like `de` and a line in LOCALES.
 *
 * `shell` is what the first screen says, in English a part of the script; `pages.json` is what the other pages say, fetched with the first of them. */
import { signal } from "@preact/signals";
import { load, save } from "../app/storage";
import dePages from "./de/pages.json?url";
import deShell from "./de/shell.json?url";
import enPages from "./en/pages.json?url";
import { shell } from "./en/shell";
import { now } from "./time";

type Shell = keyof typeof shell;
export type Key = Shell | keyof typeof import("./en/pages.json");
type Words = Record<string, string>;

interface Language {
  name: string;
  /** Where its catalogues are; the shell itself where it is here already. */
  shell: string | Record<Shell, string>;
  pages: string;
}
export const LOCALES: Record<string, Language> = {
  en: { name: "English", shell, pages: enPages },
  de: { name: "Deutsch", shell: deShell, pages: dePages },
};

let words: Words = shell;
let hasPages = false;
export const locale = signal("en");

/** The text of a key, with `{name}` filled in. `key.one` is taken when `n` is 1 and such a key exists. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  locale.value; // a component that calls this is drawn again in another language
  const text = (values.n === 1 && words[`${key}.one`]) || words[key] || key;
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
}

/** A text that came from the gateway, in the reader's language when it is one of those that ship with it. */
export function inOwnWords(text: string): string {
  const key = (Object.keys(shell) as Shell[]).find((each) => each.startsWith("prompt.") && shell[each] === text);
  return key ? t(key) : text;
}

async function fetched(address: string): Promise<Words> {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer.json() as Promise<Words>;
}

async function wordsOf(code: string): Promise<Words> {
  const { shell: first, pages } = LOCALES[code]!;
  const parts = await Promise.all([typeof first === "string" ? fetched(first) : first, hasPages ? fetched(pages) : {}]);
  return { ...parts[0], ...parts[1] };
}

/** What a page needs before it is shown. Throws when it cannot be fetched. */
export async function loadPageWords(): Promise<void> {
  if (hasPages) return;
  hasPages = true;
  try {
    words = await wordsOf(locale.peek());
  } catch (error) {
    hasPages = false;
    throw error;
  }
}

export async function setLocale(code: string, { keep = true } = {}): Promise<void> {
  const known = LOCALES[code] ? code : "en";
  words = await wordsOf(known);
  if (keep) save("locale", known);
  document.documentElement.lang = known;
  locale.value = known;
}

/** The chosen language, else the browser's first that is known. */
export function preferred(): string {
  const chosen = load("locale");
  if (chosen && LOCALES[chosen]) return chosen;
  return navigator.languages.map((name) => name.slice(0, 2)).find((name) => LOCALES[name]) ?? "en";
}

/** The language with the reader's country, for dates and numbers. */
export const regional = (): string => navigator.languages.find((name) => name.startsWith(locale.value)) ?? locale.value;

export const money = (usd: number): string =>
  new Intl.NumberFormat(regional(), { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol", minimumFractionDigits: 2, maximumFractionDigits: usd < 1 ? 4 : 2 }).format(usd);
export const number = (value: number, digits = 0): string => new Intl.NumberFormat(regional(), { maximumFractionDigits: digits }).format(value);
export const seconds = (ms: number): string => (ms < 100 ? `${Math.max(0, Math.round(ms))} ms` : `${number(ms / 1000, 1)} s`);

export function bytes(size: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let step = 0;
  for (; size >= 1000 && step < units.length - 1; step++) size /= 1000;
  return `${number(size, size < 10 && step ? 1 : 0)} ${units[step]}`;
}

const DAY_MS = 86_400_000;
const midnight = (date: Date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
/** How many midnights ago a moment was, by this browser's zone. */
export const daysAgo = (moment: string): number => Math.max(0, Math.round((midnight(new Date(now())) - midnight(new Date(moment))) / DAY_MS));

/** A moment as briefly as it can be understood: a time today, a weekday this week, else a date. */
export function briefly(moment: string): string {
  const date = new Date(moment);
  const days = daysAgo(moment);
  const form: Intl.DateTimeFormatOptions =
    days === 0 ? { hour: "2-digit", minute: "2-digit" } : days < 7 ? { weekday: "short" } : { day: "numeric", month: "short" };
  return date.toLocaleString(regional(), form);
}

/** To the second, as lines of a log need it. */
export const clockTime = (moment: string | number): string => new Date(moment).toLocaleTimeString(regional(), { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const fully = (moment: string): string => new Date(moment).toLocaleString(regional(), { dateStyle: "medium", timeStyle: "short" });
