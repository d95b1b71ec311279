/** What the agent does by itself, in words, with what comes next and what became of it. */
import { useEffect, useState } from "preact/hooks";
import { api, ApiError, enc } from "../api/client";
import type { PageProps } from "../app/pages";
import { go, link } from "../app/router";
import { fully, money, seconds, t } from "../i18n";
import { onFrame } from "../socket/socket";
import { confirm, Dialog } from "../ui/dialog";
import { Ellipsis, Icon } from "../ui/icons";
import { MenuButton } from "../ui/menu";
import { Card, Empty, Failure, Field, PageHead, Table, useLoaded } from "../ui/parts";
import { tell, toast } from "../ui/toast";
import { inWords, type Job, type Run, type Schedule } from "./schedules/words";

const HEARTBEAT = "__heartbeat__";
const zoneHere = Intl.DateTimeFormat().resolvedOptions().timeZone;
const moment = (epoch: number): string => fully(new Date(epoch * 1000).toISOString());

function Editor({ job, onClose }: { job: Job | null; onClose: (saved: boolean) => void }) {
  const given = job?.schedule;
  const [values, setValues] = useState({
    name: job?.name ?? "", prompt: job?.prompt ?? "", kind: given?.kind ?? "cron", expr: given?.kind === "cron" ? given.expr : "0 9 * * mon-fri",
    minutes: given?.kind === "interval" ? String(given.every_ms / 60_000) : "60", at: given?.kind === "one_shot" ? given.at.slice(0, 16) : "", timezone: job?.timezone ?? zoneHere,
  });
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [ahead, setAhead] = useState<number[] | string>([]);
  const set = (change: Partial<typeof values>) => { setValues({ ...values, ...change }); setErrors({}); };
  const schedule: Schedule = values.kind === "cron" ? { kind: "cron", expr: values.expr } : values.kind === "interval" ? { kind: "interval", every_ms: Math.round(Number(values.minutes) * 60_000) } : { kind: "one_shot", at: values.at.length === 16 ? `${values.at}:00` : values.at };
  const wanted = JSON.stringify([schedule, values.timezone]);
  useEffect(() => {
    const timer = setTimeout(() => {
      api.post<{ next_runs: number[] }>("api/cron/preview", { schedule, timezone: values.timezone || null }).then(({ next_runs }) => setAhead(next_runs), (error: Error) => setAhead(error.message));
    }, 250);
    return () => clearTimeout(timer);
  }, [wanted]);
  const save = async () => {
    const body = { name: values.name.trim(), prompt: values.prompt.trim(), schedule, timezone: values.timezone };
    try {
      await (job ? api.put(`api/cron/jobs/${enc(job.id)}`, body) : api.post("api/cron/jobs", body));
      onClose(true);
    } catch (error) {
      const fields = error instanceof ApiError ? error.fields : {};
      setErrors(Object.keys(fields).length ? fields : { form: (error as Error).message });
    }
  };
  const schedule_error = Object.entries(errors).find(([name]) => name.startsWith("schedule"))?.[1];
  return (
    <Dialog title={t(job ? "jobs.change" : "jobs.add")} onClose={() => onClose(false)}>
      <form class="stack" onSubmit={(event) => { event.preventDefault(); void save(); }}>
        <Field label={t("jobs.name")} error={errors.name}>{(ids) => <input {...ids} value={values.name} autofocus required onInput={(event) => set({ name: event.currentTarget.value })} />}</Field>
        <Field label={t("jobs.prompt")} help={t("jobs.prompt_help")} error={errors.prompt}>{(ids) => <textarea {...ids} rows={3} value={values.prompt} required onInput={(event) => set({ prompt: event.currentTarget.value })} />}</Field>
        <div class="field-row">
          <Field label={t("jobs.kind")}>{(ids) => <select {...ids} value={values.kind} onChange={(event) => set({ kind: event.currentTarget.value as Schedule["kind"] })}><option value="cron">{t("jobs.cron")}</option><option value="interval">{t("jobs.interval")}</option><option value="one_shot">{t("jobs.one_shot")}</option></select>}</Field>
          {values.kind === "cron" && <Field label={t("jobs.expr")} help={t("jobs.expr_help")} error={schedule_error}>{(ids) => <input {...ids} value={values.expr} spellcheck={false} onInput={(event) => set({ expr: event.currentTarget.value })} />}</Field>}
          {values.kind === "interval" && <Field label={t("jobs.minutes")} error={schedule_error}>{(ids) => <input {...ids} type="number" min={1} value={values.minutes} onInput={(event) => set({ minutes: event.currentTarget.value })} />}</Field>}
          {values.kind === "one_shot" && <Field label={t("jobs.at")} error={schedule_error}>{(ids) => <input {...ids} type="datetime-local" value={values.at} onInput={(event) => set({ at: event.currentTarget.value })} />}</Field>}
        </div>
        <Field label={t("jobs.zone")} error={errors.timezone}>{(ids) => <input {...ids} value={values.timezone} spellcheck={false} onInput={(event) => set({ timezone: event.currentTarget.value })} />}</Field>
        <div aria-live="polite">{typeof ahead === "string" ? <p class="error">{ahead}</p> : <p class="quiet">{ahead.length ? `${inWords(schedule)} · ${t("jobs.next", { when: ahead.slice(0, 3).map(moment).join(" · ") })}` : t("jobs.never")}</p>}</div>
        {errors.form && <p class="error" role="alert">{errors.form}</p>}
        <div class="dialog-foot"><button type="button" class="button" onClick={() => onClose(false)}>{t("cancel")}</button><button class="button primary">{t("save")}</button></div>
      </form>
    </Dialog>
  );
}

async function runNow(job: Job): Promise<void> {
  await api.post(`api/cron/jobs/${enc(job.id)}/run`).then(() => toast(t("jobs.started", { name: job.name })), tell);
}

async function remove(job: Job): Promise<boolean> {
  if (!(await confirm({ title: t("jobs.delete_title", { name: job.name }), text: t("jobs.delete_text"), action: t("delete"), isDanger: true }))) return false;
  return api.delete(`api/cron/jobs/${enc(job.id)}`).then(() => true, (error: unknown) => (tell(error), false));
}

function Actions({ job, onEdit, onDone }: { job: Job; onEdit: () => void; onDone: () => void }) {
  return (
    <MenuButton
      label={t("jobs.more", { name: job.name })}
      items={[
        { label: t("jobs.run"), run: () => void runNow(job) },
        { label: t(job.enabled ? "jobs.pause" : "jobs.resume"), run: () => void api.post(`api/cron/jobs/${enc(job.id)}/${job.enabled ? "pause" : "resume"}`).then(onDone, tell) },
        { label: t("change"), run: onEdit },
        { label: t("delete"), isDanger: true, run: () => void remove(job).then((isGone) => isGone && onDone()) },
      ]}
    ><Icon of={Ellipsis} /></MenuButton>
  );
}

function One({ id }: { id: string }) {
  const job = useLoaded(() => api.get<Job>(`api/cron/jobs/${enc(id)}`), [id]);
  const runs = useLoaded(() => api.get<Run[]>(`api/cron/jobs/${enc(id)}/runs`, { limit: 100 }), [id]);
  const [isEditing, setEditing] = useState(false);
  useEffect(() => onFrame((frame) => frame.type === "notification" && runs.reload()), []);
  if (job.problem) return <div class="page"><Failure text={job.problem} retry={job.reload} /></div>;
  if (!job.data) return null;
  const { data } = job;
  return (
    <div class="page">
      <PageHead title={data.name} hint={inWords(data.schedule)}>
        <button type="button" class="button primary" onClick={() => void runNow(data)}>{t("jobs.run")}</button>
        <Actions job={data} onEdit={() => setEditing(true)} onDone={() => void api.get(`api/cron/jobs/${enc(id)}`).then(job.reload, () => go("schedules"))} />
      </PageHead>
      <Card title={t("jobs.prompt")}><p class="pre">{data.prompt}</p><p class="quiet">{data.enabled ? (data.next_runs.length ? t("jobs.next", { when: data.next_runs.slice(0, 5).map(moment).join(" · ") }) : t("jobs.never")) : t("jobs.paused")} {data.timezone}</p></Card>
      <Card title={t("jobs.runs")}>
        {runs.problem && <Failure text={runs.problem} retry={runs.reload} />}
        {runs.data?.length === 0 && <p class="quiet">{t("jobs.no_runs")}</p>}
        {runs.data && runs.data.length > 0 && (
          <Table
            label={t("jobs.runs")} rows={runs.data} keyOf={(run) => run.id}
            columns={[
              { head: t("jobs.when"), cell: (run) => moment(run.started_at) },
              { head: t("jobs.state"), cell: (run) => <span class={run.status === "success" ? "badge ok" : run.status === "failed" ? "badge error" : run.status === "running" ? "badge live" : "badge"}>{run.status}</span> },
              { head: t("jobs.result"), cell: (run) => (run.session_id ? <a {...link(`c/${run.session_id}`)}>{run.error ?? run.result_summary ?? t("jobs.open")}</a> : (run.error ?? run.result_summary ?? "")) },
              { head: t("jobs.took"), cell: (run) => (run.duration_ms === null ? "" : seconds(run.duration_ms)), isNumber: true },
              { head: t("jobs.cost"), cell: (run) => money(run.cost_usd), isNumber: true },
            ]}
          />
        )}
      </Card>
      {isEditing && <Editor job={data} onClose={(saved) => { setEditing(false); if (saved) job.reload(); }} />}
    </div>
  );
}

function All() {
  const { data, problem, reload } = useLoaded(() => api.get<Job[]>("api/cron/jobs"));
  const [editing, setEditing] = useState<{ job: Job | null } | null>(null);
  useEffect(() => onFrame((frame) => frame.type === "notification" && reload()), []);
  const jobs = data?.filter((job) => job.name !== HEARTBEAT);
  return (
    <div class="page">
      <PageHead title={t("nav.schedules")} hint={t("jobs.hint")}><button type="button" class="button" onClick={() => setEditing({ job: null })}>{t("jobs.add")}</button></PageHead>
      {problem && <Failure text={problem} retry={reload} />}
      {jobs?.length === 0 && <Empty title={t("jobs.none")} text={t("jobs.none_text")}><button type="button" class="button primary" onClick={() => setEditing({ job: null })}>{t("jobs.add")}</button></Empty>}
      {jobs && jobs.length > 0 && (
        <ul class="list">
          {jobs.map((job) => (
            <li key={job.id}>
              <a class="cover grow" {...link(`schedules/${job.id}`)}><b dir="auto">{job.name}</b><div class="quiet">{inWords(job.schedule)} · {job.enabled ? (job.next_run_at ? t("jobs.next", { when: moment(job.next_run_at) }) : t("jobs.never")) : t("jobs.paused")}</div></a>
              {job.last_error && <span class="badge error">{t("jobs.failed")}</span>}
              <button type="button" class="button" onClick={() => void runNow(job)}>{t("jobs.run")}</button>
              <Actions job={job} onEdit={() => setEditing({ job })} onDone={reload} />
            </li>
          ))}
        </ul>
      )}
      {editing && <Editor job={editing.job} onClose={(saved) => { setEditing(null); if (saved) reload(); }} />}
    </div>
  );
}

export default function Schedules({ params }: PageProps) {
  return params.id ? <One id={params.id} key={params.id} /> : <All />;
}
