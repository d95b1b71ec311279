/** Further agents that this gateway runs: how they are, what they say, and the way to them. */
import { useEffect, useRef, useState } from "preact/hooks";
import { api, ApiError, enc } from "../api/client";
import { isAdmin } from "../app/auth";
import { at } from "../app/boot";
import { bytes, clockTime, type Key, number, t } from "../i18n";
import { onFrame } from "../socket/socket";
import { ask, Dialog } from "../ui/dialog";
import { Ellipsis, Icon } from "../ui/icons";
import { MenuButton } from "../ui/menu";
import { Empty, Failure, PageHead, useLoaded } from "../ui/parts";
import { tell, toast } from "../ui/toast";
import { AdminsOnly } from "./AdminsOnly";

interface Health {
  cpu_percent: number;
  memory_mb: number;
  disk_mb: number;
  last_heartbeat: number;
  uptime_secs: number;
}
interface Instance {
  id: string;
  name: string | null;
  status: string;
  error?: string | null;
  health?: Health | null;
}
interface Sample extends Health {
  at?: number;
}

const REFRESH_MS = 15_000;
const MOST_LINES = 2000;
const LIVE = new Set(["creating", "provisioning", "pending", "starting", "restarting", "deleting", "stopping"]);
const STATUS: Record<string, Key> = { running: "instances.is_running", paused: "instances.is_paused", error: "instances.is_error", starting: "instances.is_starting", deleting: "instances.is_deleting" };
const badge = (status: string): string => (status === "running" ? "badge ok" : status === "error" ? "badge error" : LIVE.has(status) ? "badge live" : "badge");

/** A line through values, scaled to the box. */
function Spark({ values, label, colour }: { values: number[]; label: string; colour: string }) {
  const most = Math.max(...values, 1) * 1.1;
  const points = values.map((value, index) => `${(index / Math.max(values.length - 1, 1)) * 120},${27 - (value / most) * 24}`).join(" ");
  return (
    <figure class="spark">
      <svg viewBox="0 0 120 28" width={120} height={28} role="img" aria-label={label}>
        <polygon points={`0,28 ${points} 120,28`} fill={colour} opacity={0.14} />
        <polyline points={points} fill="none" stroke={colour} stroke-width="1.6" />
      </svg>
      <figcaption class="quiet">{label}</figcaption>
    </figure>
  );
}

function Graphs({ id }: { id: string }) {
  const { data, reload } = useLoaded(() => api.get<Sample[]>(`api/instances/${enc(id)}/history`), [id]);
  useEffect(() => {
    const timer = setInterval(reload, REFRESH_MS);
    return () => clearInterval(timer);
  }, [id]);
  const samples = Array.isArray(data) ? data.slice(-60) : [];
  if (samples.length < 2) return null;
  return (
    <div class="row graphs">
      <Spark values={samples.map((sample) => sample.cpu_percent)} label={t("instances.cpu", { now: number(samples.at(-1)!.cpu_percent, 1) })} colour="var(--s1)" />
      <Spark values={samples.map((sample) => sample.memory_mb)} label={t("instances.memory", { now: bytes(samples.at(-1)!.memory_mb * 1e6) })} colour="var(--s3)" />
    </div>
  );
}

interface Line {
  timestamp: number;
  level: string;
  message: string;
}

/** The log as it is written, a JSON object a line; ends when `signal` says so. */
async function follow(id: string, signal: AbortSignal, onLines: (lines: Line[]) => void): Promise<void> {
  const answer = await fetch(at(`api/instances/${enc(id)}/logs?tail=300&follow=true`), { signal });
  if (!answer.ok || !answer.body) throw new ApiError(answer.status, t("error.status", { status: answer.status }));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop()!;
    if (parts.length) onLines(parts.filter(Boolean).map((part) => JSON.parse(part) as Line));
  }
}

function Logs({ instance, onClose }: { instance: Instance; onClose: () => void }) {
  const [lines, setLines] = useState<Line[]>([]);
  const [problem, setProblem] = useState<string | null>(null);
  const [isLive, setLive] = useState(true);
  const [round, setRound] = useState(0);
  const place = useRef<HTMLPreElement>(null);
  useEffect(() => {
    const gone = new AbortController();
    setLines([]);
    setProblem(null);
    setLive(true);
    follow(instance.id, gone.signal, (more) => setLines((all) => [...all, ...more].slice(-MOST_LINES))).then(
      () => setLive(false),
      (error: Error) => { if (gone.signal.aborted) return; setLive(false); setProblem(error instanceof ApiError ? error.message : t("error.unreachable")); },
    );
    return () => gone.abort();
  }, [instance.id, round]);
  const isAtEnd = useRef(true);
  useEffect(() => { if (isAtEnd.current && place.current) place.current.scrollTop = place.current.scrollHeight; }, [lines]);
  return (
    <Dialog title={t("instances.logs_of", { name: instance.name ?? instance.id })} onClose={onClose} class="wide">
      {problem && <Failure text={problem} retry={() => setRound(round + 1)} />}
      <pre ref={place} class="log-lines" tabIndex={0} aria-label={t("instances.logs")} onScroll={(event) => { const box = event.currentTarget; isAtEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < 8; }}>
        {lines.length ? lines.map((line, index) => <span key={index} class={/ERR|CRIT/i.test(line.level) ? "error" : /WARN/i.test(line.level) ? "warn" : undefined}>{`${clockTime(line.timestamp * 1000)} ${line.level.padEnd(5)} ${line.message}\n`}</span>) : t("instances.no_logs")}
      </pre>
      <div class="spread"><span class={isLive ? "badge live" : "badge"} role="status">{t(isLive ? "instances.live" : "instances.ended")}</span><button type="button" class="button" onClick={() => setRound(round + 1)}>{t("instances.refresh")}</button></div>
    </Dialog>
  );
}

function Row({ instance, reload, onLogs }: { instance: Instance; reload: () => void; onLogs: () => void }) {
  const name = instance.name || instance.id.slice(0, 8);
  const path = `api/instances/${enc(instance.id)}`;
  const act = (action: string) => void api.post(`${path}/${action}`).then(reload, tell);
  const remove = async () => {
    const said = await ask({ title: t("instances.delete_title", { name }), label: t("instances.delete_text", { name }) });
    if (said === null) return;
    if (said.trim() !== name) return toast(t("instances.not_deleted"), { kind: "error", text: t("instances.name_differs") });
    await api.delete(path).then(reload, tell);
  };
  const isRunning = instance.status === "running";
  const health = instance.health;
  return (
    <li class="wrap">
      <div class="grow">
        <b dir="auto">{name}</b> <span class={badge(instance.status)}>{STATUS[instance.status] ? t(STATUS[instance.status]!) : instance.status}</span>
        <div class="quiet">{instance.error ?? (health ? `${number(health.cpu_percent, 1)} % CPU · ${bytes(health.memory_mb * 1e6)} · ${t("instances.disk", { size: bytes(health.disk_mb * 1e6) })}` : "")}</div>
      </div>
      {isRunning && <Graphs id={instance.id} />}
      {isRunning && <a class="button" href={at(`i/${enc(instance.id)}/`)} target="_blank" rel="noopener">{t("instances.open")}</a>}
      <MenuButton
        label={t("instances.more", { name })}
        items={() => [
          { label: t("instances.logs"), run: onLogs },
          ...(isRunning ? [{ label: t("instances.pause"), run: () => act("pause") }] : [{ label: t("instances.start"), run: () => act("start") }]),
          { label: t("instances.restart"), run: () => act("restart") },
          { label: t("delete"), isDanger: true, run: () => void remove() },
        ]}
      ><Icon of={Ellipsis} /></MenuButton>
    </li>
  );
}

export default function Page() {
  return isAdmin ? <Instances /> : <div class="page"><PageHead title={t("nav.instances")} /><AdminsOnly /></div>;
}

function Instances() {
  const { data, problem, reload } = useLoaded(() => api.get<Instance[]>("api/instances"));
  const [logs, setLogs] = useState<Instance | null>(null);
  useEffect(() => onFrame((frame) => frame.type === "instance_status_changed" && reload()), []);
  const add = async () => {
    const name = await ask({ title: t("instances.add"), label: t("instances.name") });
    if (name !== null) await api.post("api/instances", { name: name.trim() }).then(reload, tell);
  };
  return (
    <div class="page">
      <PageHead title={t("nav.instances")} hint={t("instances.hint")}>{data && data.length > 0 && <button type="button" class="button primary" onClick={() => void add()}>{t("instances.add")}</button>}</PageHead>
      {problem && <Failure text={problem} retry={reload} />}
      {data?.length === 0 && <Empty title={t("instances.none")} text={t("instances.none_text")}><button type="button" class="button primary" onClick={() => void add()}>{t("instances.add")}</button></Empty>}
      {data && data.length > 0 && <ul class="list">{data.map((each) => <Row key={each.id} instance={each} reload={reload} onLogs={() => setLogs(each)} />)}</ul>}
      {logs && <Logs instance={logs} onClose={() => setLogs(null)} />}
    </div>
  );
}
