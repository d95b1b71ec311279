/** Schedules as people say them. What is too odd for words stays as it was written. */
import { fully, locale, regional, t } from "../../i18n";

export type Schedule = { kind: "cron"; expr: string } | { kind: "interval"; every_ms: number } | { kind: "one_shot"; at: string };

export interface Job {
  id: string;
  name: string;
  prompt: string;
  schedule: Schedule;
  timezone: string | null;
  enabled: boolean;
  next_run_at: number | null;
  last_run_at: number | null;
  last_error: string | null;
  next_runs: number[];
  delete_after_run: boolean;
  max_retries: number;
  timeout_secs: number;
  session_mode: "isolated" | "main";
  overlap: "skip" | "queue";
  catch_up: "skip" | "last" | "all";
  model: string | null;
}
export interface Run {
  id: string;
  started_at: number;
  trigger: string;
  attempt: number;
  status: "running" | "success" | "failed" | "interrupted" | "skipped";
  result_summary: string | null;
  session_id: string | null;
  error: string | null;
  cost_usd: number;
  duration_ms: number | null;
}

/** A moment in a job's own zone, with the zone's name where it is not the reader's. */
export function moment(epoch: number, zone: string | null = null): string {
  const isHere = !zone || zone === Intl.DateTimeFormat().resolvedOptions().timeZone;
  const form: Intl.DateTimeFormatOptions = { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", ...(isHere ? {} : { timeZone: zone!, timeZoneName: "short" }) };
  return new Date(epoch * 1000).toLocaleString(regional(), form);
}

const NAMES = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
// 4 January 2026 was a Sunday.
const dayName = (day: number): string => new Date(2026, 0, 4 + (day % 7)).toLocaleDateString(locale.value, { weekday: "long" });

function days(field: string): string | null {
  const text = field.toLowerCase();
  if (text === "*") return "";
  if (text === "mon-fri" || text === "1-5") return t("jobs.weekdays");
  const numbers = text.split(",").map((part) => (NAMES.includes(part) ? NAMES.indexOf(part) : /^[0-7]$/.test(part) ? Number(part) % 7 : NaN));
  return numbers.some(Number.isNaN) ? null : new Intl.ListFormat(locale.value).format(numbers.map(dayName));
}

function cron(expr: string): string {
  const parts = expr.trim().split(/\s+/);
  const [minute, hour, day, month, weekday] = parts.length === 6 && parts[0] === "0" ? parts.slice(1) : parts;
  if (parts.length < 5 || month !== "*") return expr;
  const on = days(weekday!);
  if (on === null || !/^\d+$/.test(minute!)) return expr;
  if (hour === "*" && day === "*" && !on) return t("jobs.hourly", { minute: minute!.padStart(2, "0") });
  if (!/^\d+$/.test(hour!)) return expr;
  const time = `${hour!.padStart(2, "0")}:${minute!.padStart(2, "0")}`;
  if (day === "*") return on ? t("jobs.on_days", { days: on, time }) : t("jobs.daily", { time });
  return /^\d+$/.test(day!) && !on ? t("jobs.monthly", { day: day!, time }) : expr;
}

export function inWords(schedule: Schedule): string {
  if (schedule.kind === "cron") return cron(schedule.expr);
  if (schedule.kind === "one_shot") return Number.isNaN(Date.parse(schedule.at)) ? schedule.at : t("jobs.once", { when: fully(schedule.at) });
  const minutes = schedule.every_ms / 60_000;
  return minutes >= 60 && minutes % 60 === 0 ? t("jobs.every_hours", { n: minutes / 60 }) : t("jobs.every_minutes", { n: minutes });
}
