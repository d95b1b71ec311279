/** Further agents that this gateway runs: how they are, what they say, and the way to them. */
import { useEffect, useState } from "preact/hooks";
import { api, ApiError, enc } from "../api/client";
import { at } from "../app/boot";
import { bytes, number, t } from "../i18n";
import { onFrame } from "../socket/socket";
import { ask, Dialog } from "../ui/dialog";
import { Ellipsis, Icon } from "../ui/icons";
import { MenuButton } from "../ui/menu";
import { Empty, Failure, PageHead, useLoaded } from "../ui/parts";
import { tell, toast } from "../ui/toast";

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

const LIVE = new Set(["creating", "provisioning", "pending", "starting", "restarting", "deleting", "stopping"]);
const badge = (status: string): string => (status === "running" ? "badge ok" : status === "error" ? "badge error" : LIVE.has(status) ? "badge live" : "badge");

/** A line through values, scaled to the box. */
function Spark({ values, label }: { values: number[]; label: string }) {
  if (values.length < 2) return null;
  const most = Math.max(...values, 1);
  const points = values.map((value, index) => `${(index / (values.length - 1)) * 120},${26 - (value / most) * 24}`).join(" ");
  return <svg class="spark" viewBox="0 0 120 28" width={120} height={28} role="img" aria-label={label}><polyline points={points} fill="none" stroke="var(--s1)" stroke-width="1.6" /></svg>;
}

function Graph({ id }: { id: string }) {
  const { data } = useLoaded(() => api.get<Sample[]>(`api/instances/${enc(id)}/history`), [id]);
  const values = Array.isArray(data) ? data.slice(-60).map((sample) => sample.memory_mb) : [];
  return <Spark values={values} label={t("instances.memory_graph", { now: values.at(-1) ?? 0 })} />;
}

function Logs({ instance, onClose }: { instance: Instance; onClose: () => void }) {
  const { data, problem, reload } = useLoaded(() => fetch(at(`api/instances/${enc(instance.id)}/logs?tail=300`)).then(async (answer) => {
    if (!answer.ok) throw new ApiError(answer.status, t("error.status", { status: answer.status }));
    return (await answer.text()).trim().split("\n").filter(Boolean).map((line) => JSON.parse(line) as { level: string; message: string });
  }), [instance.id]);
  return (
    <Dialog title={t("instances.logs_of", { name: instance.name ?? instance.id })} onClose={onClose} class="wide">
      {problem && <Failure text={problem} retry={reload} />}
      <pre class="log-lines" tabIndex={0}>{data?.map((line) => `${line.level.padEnd(5)} ${line.message}`).join("\n") || t("instances.no_logs")}</pre>
      <div class="dialog-foot"><button type="button" class="button" onClick={reload}>{t("instances.refresh")}</button></div>
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
        <b dir="auto">{name}</b> <span class={badge(instance.status)}>{instance.status}</span>
        <div class="quiet">{instance.error ?? (health ? `${number(health.cpu_percent, 1)} % CPU · ${bytes(health.memory_mb * 1e6)} · ${t("instances.disk", { size: bytes(health.disk_mb * 1e6) })}` : "")}</div>
      </div>
      {isRunning && <Graph id={instance.id} />}
      {isRunning && <a class="button primary" href={at(`i/${enc(instance.id)}/`)} target="_blank" rel="noopener">{t("instances.open")}</a>}
      <MenuButton
        label={t("instances.more", { name })}
        items={[
          { label: t("instances.logs"), run: onLogs },
          ...(isRunning ? [{ label: t("instances.pause"), run: () => act("pause") }] : [{ label: t("instances.start"), run: () => act("start") }]),
          { label: t("instances.restart"), run: () => act("restart") },
          { label: t("delete"), isDanger: true, run: () => void remove() },
        ]}
      ><Icon of={Ellipsis} /></MenuButton>
    </li>
  );
}

export default function Instances() {
  const { data, problem, reload } = useLoaded(() => api.get<Instance[]>("api/instances"));
  const [logs, setLogs] = useState<Instance | null>(null);
  useEffect(() => onFrame((frame) => frame.type === "instance_status_changed" && reload()), []);
  const add = async () => {
    const name = await ask({ title: t("instances.add"), label: t("instances.name") });
    if (name !== null) await api.post("api/instances", { name: name.trim() }).then(reload, tell);
  };
  return (
    <div class="page">
      <PageHead title={t("nav.instances")} hint={t("instances.hint")}><button type="button" class="button" onClick={() => void add()}>{t("instances.add")}</button></PageHead>
      {problem && <Failure text={problem} retry={reload} />}
      {data?.length === 0 && <Empty title={t("instances.none")} text={t("instances.none_text")}><button type="button" class="button primary" onClick={() => void add()}>{t("instances.add")}</button></Empty>}
      {data && data.length > 0 && <ul class="list">{data.map((each) => <Row key={each.id} instance={each} reload={reload} onLogs={() => setLogs(each)} />)}</ul>}
      {logs && <Logs instance={logs} onClose={() => setLogs(null)} />}
    </div>
  );
}
