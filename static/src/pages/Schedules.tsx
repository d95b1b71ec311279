/** What the agent does by itself, in words, with what comes next and what became of it. */
import { useEffect, useState } from "preact/hooks";
import { api, enc } from "../api/client";
import { isAdmin } from "../app/auth";
import type { PageProps } from "../app/page";
import { go, link } from "../app/router";
import { money, number, seconds, t } from "../i18n";
import { onFrame } from "../socket/socket";
import { confirm } from "../ui/dialog";
import { Ellipsis, Icon } from "../ui/icons";
import { MenuButton } from "../ui/menu";
import { Card, Empty, Failure, PageHead, Table, useLoaded } from "../ui/parts";
import { tell, toast } from "../ui/toast";
import { Editor } from "./schedules/Editor";
import { inWords, type Job, moment, type Run } from "./schedules/words";

const HEARTBEAT = "__heartbeat__";
const BADGE = { running: "badge live", success: "badge ok", failed: "badge error", interrupted: "badge warn", skipped: "badge" };

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
      items={() => [
        { label: t("jobs.run"), run: () => void runNow(job) },
        { label: t(job.enabled ? "jobs.pause" : "jobs.resume"), run: () => void api.post(`api/cron/jobs/${enc(job.id)}/${job.enabled ? "pause" : "resume"}`).then(onDone, tell) },
        { label: t("change"), run: onEdit },
        { label: t("delete"), isDanger: true, run: () => void remove(job).then((isGone) => isGone && onDone()) },
      ]}
    ><Icon of={Ellipsis} /></MenuButton>
  );
}

const isHeartbeat = (job: Job) => job.name === HEARTBEAT;
const titleOf = (job: Job) => (isHeartbeat(job) ? t("heartbeat.title") : job.name);
const next = (job: Job) => (!job.enabled ? t("jobs.paused") : job.next_run_at ? t("jobs.next", { when: moment(job.next_run_at, job.timezone) }) : t("jobs.never"));

function Facts({ job, runs }: { job: Job; runs: Run[] }) {
  const cost = runs.reduce((sum, run) => sum + run.cost_usd, 0);
  const good = runs.filter((run) => run.status === "success").length;
  const ended = runs.filter((run) => run.status !== "running" && run.status !== "skipped").length;
  return (
    <dl class="figures card three">
      <div><dt>{t("jobs.next_run")}</dt><dd>{job.enabled && job.next_run_at ? moment(job.next_run_at, job.timezone) : "–"}</dd><dd class="quiet">{job.enabled ? (job.timezone ?? "") : t("jobs.paused")}</dd></div>
      <div><dt>{t("jobs.succeeded")}</dt><dd>{ended ? `${number(good)} / ${number(ended)}` : "–"}</dd><dd class="quiet">{t("jobs.limits", { retries: job.max_retries, minutes: number(job.timeout_secs / 60) })}</dd></div>
      <div><dt>{t("jobs.spent")}</dt><dd>{money(cost)}</dd><dd class="quiet">{t("jobs.each", { cost: money(ended ? cost / ended : 0) })}</dd></div>
    </dl>
  );
}

function One({ id }: { id: string }) {
  const job = useLoaded(() => api.get<Job>(`api/cron/jobs/${enc(id)}`), [id]);
  const runs = useLoaded(() => api.get<Run[]>(`api/cron/jobs/${enc(id)}/runs`, { limit: 100 }), [id]);
  const [isEditing, setEditing] = useState(false);
  const again = () => { job.reload(); runs.reload(); };
  useEffect(() => onFrame((frame) => frame.type === "notification" && again()), []);
  if (job.problem) return <div class="page"><PageHead title={t("jobs.missing")}><a class="button" {...link("schedules")}>{t("jobs.all")}</a></PageHead><Failure text={job.problem} retry={job.reload} /></div>;
  if (!job.data) return null;
  const { data } = job;
  const ahead = data.next_runs.slice(1, 5).map((each) => moment(each, data.timezone));
  return (
    <div class="page">
      <nav class="crumbs" aria-label={t("files.where")}><ol><li><a {...link("schedules")}>{t("nav.schedules")}</a></li><li><span aria-current="page">{titleOf(data)}</span></li></ol></nav>
      <PageHead title={titleOf(data)} hint={inWords(data.schedule)}>
        <button type="button" class="button primary" onClick={() => void runNow(data).then(runs.reload)}>{t("jobs.run")}</button>
        {isHeartbeat(data) ? <a class="button" {...link("settings/heartbeat")}>{t("change")}</a> : <Actions job={data} onEdit={() => setEditing(true)} onDone={() => void api.get(`api/cron/jobs/${enc(id)}`).then(job.reload, () => go("schedules"))} />}
      </PageHead>
      <Facts job={data} runs={runs.data ?? []} />
      <Card title={t("jobs.prompt")}>
        <p class="pre" dir="auto">{isHeartbeat(data) ? t("document.HEARTBEAT.md") : data.prompt}</p>
        {data.enabled && ahead.length > 0 && <p class="quiet">{t("jobs.then", { when: ahead.join(" · ") })}</p>}
        {data.last_error && <p class="error" dir="auto">{data.last_error}</p>}
      </Card>
      <Card title={t("jobs.runs")}>
        {runs.problem && <Failure text={runs.problem} retry={runs.reload} />}
        {runs.data?.length === 0 && <p class="quiet">{t("jobs.no_runs")}</p>}
        {runs.data && runs.data.length > 0 && (
          <Table
            label={t("jobs.runs")} rows={runs.data} keyOf={(run) => run.id}
            columns={[
              { head: t("jobs.when"), cell: (run) => <span class="no-break">{moment(run.started_at)}</span> },
              { head: t("jobs.state"), cell: (run) => <><span class={BADGE[run.status]}>{t(`jobs.is_${run.status}`)}</span>{run.attempt > 1 && <div class="quiet">{t("jobs.attempt", { n: run.attempt })}</div>}</> },
              { head: t("jobs.result"), cell: (run) => { const text = run.error ?? run.result_summary ?? ""; return run.session_id ? <a class="clamp" {...link(`c/${run.session_id}`)} dir="auto">{text || t("jobs.open")}</a> : <span class="clamp" dir="auto">{text}</span>; } },
              { head: t("jobs.took"), cell: (run) => <span class="no-break">{run.duration_ms === null ? "" : seconds(run.duration_ms)}</span>, isNumber: true },
              { head: t("jobs.cost"), cell: (run) => money(run.cost_usd), isNumber: true },
            ]}
          />
        )}
      </Card>
      {isEditing && <Editor job={data} onClose={(saved) => { setEditing(false); if (saved) job.reload(); }} />}
    </div>
  );
}

function HeartbeatRow({ job }: { job: Job | undefined }) {
  return (
    <>
      <h2>{t("heartbeat.title")}</h2>
      <ul class="list beat">
        <li>
          {job ? <a class="cover grow" {...link(`schedules/${job.id}`)}><b>{inWords(job.schedule)}</b><div class="quiet">{next(job)}</div></a> : <div class="grow"><b>{t("heartbeat.off")}</b><div class="quiet">{t("heartbeat.hint")}</div></div>}
          {job?.last_error && <span class="badge error">{t("jobs.failed")}</span>}
          <a class="button" {...link("settings/heartbeat")} aria-label={t("heartbeat.change")}>{t("change")}</a>
        </li>
      </ul>
    </>
  );
}

function All() {
  const { data, problem, reload } = useLoaded(() => api.get<Job[]>("api/cron/jobs"));
  const [editing, setEditing] = useState<{ job: Job | null } | null>(null);
  useEffect(() => onFrame((frame) => frame.type === "notification" && reload()), []);
  const jobs = data?.filter((job) => !isHeartbeat(job));
  return (
    <div class="page">
      <PageHead title={t("nav.schedules")} hint={t("jobs.hint")}>{jobs && jobs.length > 0 && <button type="button" class="button primary" onClick={() => setEditing({ job: null })}>{t("jobs.add")}</button>}</PageHead>
      {problem && <Failure text={problem} retry={reload} />}
      {jobs?.length === 0 && <Empty title={t("jobs.none")} text={t("jobs.none_text")}><button type="button" class="button primary" onClick={() => setEditing({ job: null })}>{t("jobs.add")}</button></Empty>}
      {jobs && jobs.length > 0 && (
        <ul class="list jobs">
          {jobs.map((job) => (
            <li key={job.id}>
              <a class="cover grow" {...link(`schedules/${job.id}`)}><b dir="auto">{job.name}</b><div class="quiet">{inWords(job.schedule)} · {next(job)}</div></a>
              {job.last_error && <span class="badge error">{t("jobs.failed")}</span>}
              {!job.enabled && <span class="badge">{t("jobs.paused")}</span>}
              <button type="button" class="button" aria-label={`${t("jobs.run")}: ${job.name}`} onClick={() => void runNow(job)}>{t("jobs.run")}</button>
              <Actions job={job} onEdit={() => setEditing({ job })} onDone={reload} />
            </li>
          ))}
        </ul>
      )}
      {data && isAdmin && <HeartbeatRow job={data.find(isHeartbeat)} />}
      {editing && <Editor job={editing.job} onClose={(saved) => { setEditing(null); if (saved) reload(); }} />}
    </div>
  );
}

export default function Schedules({ params }: PageProps) {
  return params.id ? <One id={params.id} key={params.id} /> : <All />;
}
