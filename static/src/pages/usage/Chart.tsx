/** Stacked bars by day and model, drawn at the width there is; the figures are in the table below. */
import { useEffect, useRef, useState } from "preact/hooks";
import { money, regional, t } from "../../i18n";
import { type Bar, bars, type Costs, series, ticks } from "./costs";

const HEIGHT = 220;
const TOP = 10;
const FOOT = 24;
const LEFT = 46;
const MIN_PITCH = 7;
const LABEL_PX = 78;

const day = (date: string): string => new Date(`${date}T12:00:00`).toLocaleDateString(regional(), { day: "numeric", month: "short" });
export const span = (bar: Bar): string => (bar.from === bar.to ? day(bar.from) : `${day(bar.from)} – ${day(bar.to)}`);
const colour = (index: number): string => `var(--s${index + 1})`;
const axis = (value: number, step: number): string =>
  new Intl.NumberFormat(regional(), { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol", maximumFractionDigits: step < 1 ? Math.min(6, Math.ceil(-Math.log10(step))) : 0 }).format(value);

export function Chart({ costs, today }: { costs: Costs; today: string }) {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [active, setActive] = useState<number | null>(null);
  useEffect(() => {
    const watcher = new ResizeObserver(([entry]) => setWidth(Math.round(entry!.contentRect.width)));
    watcher.observe(place.current!);
    return () => watcher.disconnect();
  }, []);
  const names = series(costs);
  const all = bars(costs, names, Math.floor((width - LEFT) / MIN_PITCH), today);
  const steps = ticks(Math.max(...all.map((bar) => bar.total)));
  const top = steps.at(-1)!;
  const pitch = (width - LEFT) / all.length;
  const thick = Math.min(Math.max(2, pitch * 0.8), 56);
  const y = (value: number) => TOP + (HEIGHT - TOP - FOOT) * (1 - value / top);
  const every = Math.max(1, Math.ceil(LABEL_PX / pitch));
  const chosen = active === null ? null : all[active];

  return (
    <>
      <div class="chart" ref={place} onPointerLeave={() => setActive(null)} onPointerMove={(event) => {
        const at = Math.floor((event.clientX - event.currentTarget.getBoundingClientRect().left - LEFT) / pitch);
        setActive(at >= 0 && at < all.length ? at : null);
      }}>
        {width > 0 && (
          <svg width={width} height={HEIGHT} role="img" aria-label={t("usage.chart", { total: money(costs.total_cost_usd) })}>
            {steps.map((value) => (
              <g key={value}>
                <line x1={LEFT} x2={width} y1={y(value)} y2={y(value)} class="grid-line" />
                <text x={LEFT - 8} y={y(value) + 4} text-anchor="end">{axis(value, steps[1]!)}</text>
              </g>
            ))}
            {all.map((bar, index) => {
              let below = 0;
              const left = LEFT + index * pitch + (pitch - thick) / 2;
              return (
                <g key={bar.from} class={active !== null && active !== index ? "dimmed" : ""}>
                  {bar.values.map((value, each) => {
                    if (!value) return null;
                    const high = y(below) - y(below + value);
                    below += value;
                    return <rect key={names[each]} x={left} y={y(below)} width={thick} height={Math.max(high > 3 ? high - 1 : high, 0.5)} rx={Math.min(2, high / 2)} fill={colour(each)} />;
                  })}
                  {index % every === 0 && <text x={Math.min(left, width - 40)} y={HEIGHT - 6}>{day(bar.from)}</text>}
                </g>
              );
            })}
          </svg>
        )}
        {chosen && active !== null && (
          <div class="chart-tip" style={{ left: `${Math.max(0, Math.min(LEFT + active * pitch + pitch / 2 - 90, width - 190))}px` }}>
            <b>{span(chosen)}</b>
            {names.map((name, index) => (chosen.values[index]! > 0 ? <Line key={name} index={index} name={name} text={money(chosen.values[index]!)} /> : null)).reverse()}
            <div class="spread"><span>{t("usage.total")}</span><span>{money(chosen.total)}</span></div>
          </div>
        )}
      </div>
      <ul class="legend">{names.map((name, index) => <li key={name}><Dot index={index} />{name || t("usage.others")}</li>)}</ul>
    </>
  );
}

const Dot = ({ index }: { index: number }) => <svg width="10" height="10" aria-hidden="true"><rect width="10" height="10" rx="3" fill={colour(index)} /></svg>;
const Line = ({ index, name, text }: { index: number; name: string; text: string }) => (
  <div class="spread"><span class="row"><Dot index={index} /><span class="cut">{name || t("usage.others")}</span></span><span>{text}</span></div>
);
