/** What the routes of costs answer, and the days of a period as bars. */
export interface Sums {
  total_cost_usd: number;
  total_input_tokens: number;
  total_output_tokens: number;
  total_cache_read: number;
  total_cache_write: number;
  total_turns: number;
}

export interface Costs extends Sums {
  by_user: (Sums & { user_id: string })[];
  by_model: (Sums & { model: string })[];
  by_day: { date: string; by_model: { model: string; cost_usd: number }[]; total_cost_usd: number }[];
  by_tool: { tool_name: string; invocations: number; errors: number }[];
  by_session: (Sums & { session_id: string; user_id: string; title: string | null })[];
  by_job: (Sums & { job_name: string })[];
  period: string;
  previous: Sums | null;
}

export type Period = "7d" | "30d" | "90d" | "all";

/** One bar: the days from `from` to `to` (ISO days) and what each series cost in them. */
export interface Bar {
  from: string;
  to: string;
  values: number[];
  total: number;
}

const MOST_SERIES = 5;
const DAY_MS = 86_400_000;
const iso = (date: Date) => date.toISOString().slice(0, 10);

/** The models that get a colour, the dearest first; "" stands for all others together. */
export function series(costs: Costs): string[] {
  const models = [...costs.by_model].sort((a, b) => b.total_cost_usd - a.total_cost_usd).map((each) => each.model);
  return models.length <= MOST_SERIES ? models : [...models.slice(0, MOST_SERIES - 1), ""];
}

/** Every day of the period, also those on which nothing was spent; several days a bar when there are more than `most`. */
export function bars(costs: Costs, names: string[], most: number, today: string): Bar[] {
  const known = new Map(costs.by_day.map((day) => [day.date, day]));
  const end = Date.parse(today);
  const length = { "7d": 7, "30d": 30, "90d": 90 }[costs.period];
  const first = costs.by_day.map((day) => day.date).sort()[0] ?? today;
  const start = length ? Math.min(end - (length - 1) * DAY_MS, Date.parse(first)) : Math.min(Date.parse(first), end - 6 * DAY_MS);
  const days = Math.round((end - start) / DAY_MS) + 1;
  const step = Math.max(1, Math.ceil(days / Math.max(most, 1)));
  const found: Bar[] = [];
  for (let at = 0; at < days; at += step) {
    const bar: Bar = { from: iso(new Date(start + at * DAY_MS)), to: iso(new Date(start + Math.min(at + step, days) * DAY_MS - DAY_MS)), values: names.map(() => 0), total: 0 };
    for (let each = at; each < Math.min(at + step, days); each++) {
      for (const { model, cost_usd } of known.get(iso(new Date(start + each * DAY_MS)))?.by_model ?? []) {
        const place = names.includes(model) ? names.indexOf(model) : names.length - 1;
        bar.values[place]! += cost_usd;
        bar.total += cost_usd;
      }
    }
    found.push(bar);
  }
  return found;
}

/** Round values for an axis from 0 to at least `most`: 1, 2 or 5 times a power of ten apart. */
export function ticks(most: number): number[] {
  const raw = (most || 1) / 3;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((each) => each * power >= raw)! * power;
  return Array.from({ length: Math.ceil((most || 1) / step - 1e-9) + 1 }, (_, n) => n * step);
}
