/** What the agent cost, and where it went. */
import { useState } from "preact/hooks";
import { api, withQuery } from "../api/client";
import type { User } from "../api/types";
import { isAdmin, user } from "../app/auth";
import { at } from "../app/boot";
import { go, link } from "../app/router";
import { locale, money, number, t } from "../i18n";
import { Download, Icon } from "../ui/icons";
import { Card, Empty, Failure, PageHead, Segments, Table, useLoaded } from "../ui/parts";
import { Chart, span } from "./usage/Chart";
import { bars, type Costs, type Period, series, type Sums } from "./usage/costs";

const PATH = isAdmin ? "api/settings/costs" : "api/costs";
const MOST_LISTED = 8;
/** Owner of the agent's own jobs. */
const AGENT = "cron";
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

const compact = (value: number): string => new Intl.NumberFormat(locale.value, { notation: value >= 10_000 ? "compact" : "standard", maximumFractionDigits: 1 }).format(value);
const percent = (part: number): string => new Intl.NumberFormat(locale.value, { style: "percent" }).format(part);
const tokens = (sums: Sums): number => sums.total_input_tokens + sums.total_output_tokens;

async function load(period: Period): Promise<{ costs: Costs; people: Map<string, string> }> {
  const [costs, users] = await Promise.all([
    api.get<Costs>(PATH, { period, tz: zone }),
    isAdmin ? api.get<User[]>("api/settings/auth/users").catch(() => []) : [],
  ]);
  return { costs, people: new Map(users.map((each) => [each.id, each.display_name ?? each.id.slice(0, 8)])) };
}

export default function Usage() {
  const [period, setPeriod] = useState<Period>("30d");
  const { data, problem, reload } = useLoaded(() => load(period), [period]);
  return (
    <div class="page">
      <PageHead title={t("usage.title")} hint={isAdmin ? t("usage.hint") : t("usage.hint_own")}>
        <a class="button" download href={at(withQuery(PATH, { period, tz: zone, format: "csv" }))}><Icon of={Download} size={15} />{t("usage.csv")}</a>
      </PageHead>
      <Segments<Period> label={t("usage.period")} value={period} onChange={setPeriod} options={[["7d", t("usage.7d")], ["30d", t("usage.30d")], ["90d", t("usage.90d")], ["all", t("usage.all")]]} />
      {problem && <Failure text={problem} retry={reload} />}
      {data && <p class="quiet zone">{t("usage.zone", { zone })}</p>}
      {data && <Report {...data} />}
    </div>
  );
}

function change(costs: Costs): string {
  if (!costs.previous) return t("usage.since_start");
  const days = parseInt(costs.period, 10);
  const before = costs.previous.total_cost_usd;
  if (!before) return t("usage.nothing_before", { n: days });
  const grown = costs.total_cost_usd / before - 1;
  if (Math.abs(grown) < 0.005) return t("usage.same", { n: days });
  return t(grown > 0 ? "usage.more" : "usage.less", { n: days, share: percent(Math.abs(grown)) });
}

/** What the month will have cost when it goes on like its days so far; null when too little of it is known. */
function month(costs: Costs, today: string): number | null {
  const day = Number(today.slice(8));
  if (costs.period === "7d" || day < 5) return null;
  const spent = costs.by_day.filter((each) => each.date.startsWith(today.slice(0, 7))).reduce((sum, each) => sum + each.total_cost_usd, 0);
  const days = new Date(Number(today.slice(0, 4)), Number(today.slice(5, 7)), 0).getDate();
  return spent ? (spent / day) * days : null;
}

function Report({ costs, people }: { costs: Costs; people: Map<string, string> }) {
  if (!costs.total_turns && !costs.previous?.total_turns)
    return <Empty title={t("usage.empty")} text={t("usage.empty_text")}><button type="button" class="button primary" onClick={() => void go("")}>{t("usage.first")}</button></Empty>;
  const calls = costs.by_tool.reduce((sum, tool) => sum + tool.invocations, 0);
  const failed = costs.by_tool.reduce((sum, tool) => sum + tool.errors, 0);
  const today = new Date().toLocaleDateString("sv-SE");
  const ahead = month(costs, today);
  const name = (id: string) => people.get(id) ?? (id === AGENT ? t("usage.agent") : id === user?.id ? (user.display_name ?? id.slice(0, 8)) : id.slice(0, 12));
  return (
    <>
      <dl class="figures card">
        <Figure label={t("usage.spent")} value={money(costs.total_cost_usd)} note={[change(costs), ...(ahead === null ? [] : [t("usage.month", { cost: money(ahead) })])].join(" · ")} />
        <Figure label={t("usage.tokens")} value={compact(tokens(costs))} note={t("usage.cached", { share: percent(costs.total_input_tokens ? costs.total_cache_read / costs.total_input_tokens : 0) })} />
        <Figure label={t("usage.calls")} value={number(costs.total_turns)} note={t("usage.each", { cost: money(costs.total_turns ? costs.total_cost_usd / costs.total_turns : 0) })} />
        <Figure label={t("usage.tool_calls")} value={number(calls)} note={failed ? t("usage.failed", { n: failed }) : t("usage.none_failed")} />
      </dl>
      <Card title={t("usage.by_day")}>
        <Chart costs={costs} today={today} />
        <Days costs={costs} today={today} />
      </Card>
      <div class="pair">
        <Shares title={t("usage.by_model")} rows={costs.by_model.map((each) => ({ key: each.model, name: each.model, cost: each.total_cost_usd, hint: t("usage.tokens_of", { n: compact(tokens(each)) }) }))} />
        {isAdmin && <Shares title={t("usage.by_user")} rows={costs.by_user.map((each) => ({ key: each.user_id, name: name(each.user_id), cost: each.total_cost_usd }))} />}
        <Shares title={t("usage.by_chat")} rows={costs.by_session.map((each) => ({ key: each.session_id, name: each.title || t("chat.untitled"), cost: each.total_cost_usd, to: !user || each.user_id === user.id ? `c/${each.session_id}` : undefined }))} />
        <Shares title={t("usage.by_job")} rows={costs.by_job.map((each) => ({ key: each.job_name, name: each.job_name, cost: each.total_cost_usd }))} />
      </div>
      {costs.by_tool.length > 0 && (
        <Card title={t("usage.by_tool")}>
          <Table label={t("usage.by_tool")} rows={costs.by_tool} keyOf={(tool) => tool.tool_name} columns={[
            { head: t("usage.tool"), cell: (tool) => <span class="mono">{tool.tool_name}</span> },
            { head: t("usage.times"), cell: (tool) => number(tool.invocations), isNumber: true },
            { head: t("usage.failures"), cell: (tool) => (tool.errors ? <span class="error">{number(tool.errors)}</span> : "0"), isNumber: true },
          ]} />
        </Card>
      )}
    </>
  );
}

const Figure = ({ label, value, note }: { label: string; value: string; note: string }) => (
  <div>
    <dt>{label}</dt>
    <dd>{value}</dd>
    <dd class="quiet">{note}</dd>
  </div>
);

function Days({ costs, today }: { costs: Costs; today: string }) {
  const names = series(costs);
  const rows = bars(costs, names, Infinity, today).filter((bar) => bar.total).reverse();
  return (
    <details class="behind">
      <summary>{t("usage.as_table")}</summary>
      <Table label={t("usage.by_day")} rows={rows} keyOf={(bar) => bar.from} columns={[
        { head: t("usage.day"), cell: (bar) => <span class="cut">{span(bar)}</span> },
        ...names.map((name, index) => ({ head: name || t("usage.others"), cell: (bar: (typeof rows)[0]) => (bar.values[index] ? money(bar.values[index]) : "–"), isNumber: true })),
        { head: t("usage.total"), cell: (bar) => money(bar.total), isNumber: true },
      ]} />
    </details>
  );
}

interface Share {
  key: string;
  name: string;
  cost: number;
  hint?: string;
  to?: string | undefined;
}

/** Who or what spent how much, the most first. */
function Shares({ title, rows }: { title: string; rows: Share[] }) {
  const [isWhole, setWhole] = useState(false);
  if (!rows.length) return null;
  const sorted = [...rows].sort((a, b) => b.cost - a.cost);
  const most = sorted[0]!.cost || 1;
  return (
    <Card title={title}>
      <ul class="shares">
        {(isWhole ? sorted : sorted.slice(0, MOST_LISTED)).map((row) => (
          <li key={row.key} title={row.hint}>
            <span class="cut">{row.to ? <a {...link(row.to)}>{row.name}</a> : row.name}</span>
            <span>{money(row.cost)}</span>
            <span class="meter" aria-hidden="true"><span style={{ width: `${(100 * row.cost) / most}%` }} /></span>
          </li>
        ))}
      </ul>
      {rows.length > MOST_LISTED && !isWhole && <button type="button" class="text-button" onClick={() => setWhole(true)}>{t("usage.show_all", { n: rows.length })}</button>}
    </Card>
  );
}
