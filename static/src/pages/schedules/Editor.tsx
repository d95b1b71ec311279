/** A job: what to do, when, and what to do when it goes wrong. The next times are shown while one writes. */
import { useEffect, useState } from "preact/hooks";
import { api, enc, wrongFields } from "../../api/client";
import { boot } from "../../app/boot";
import { t } from "../../i18n";
import { confirm, Dialog } from "../../ui/dialog";
import { Field } from "../../ui/parts";
import { inWords, type Job, moment, type Schedule } from "./words";

const zoneHere = Intl.DateTimeFormat().resolvedOptions().timeZone;

const numberOf = (text: string): number | null => (text.trim() ? Number(text) : null);

export function Editor({ job, onClose }: { job: Job | null; onClose: (saved: boolean) => void }) {
  const given = job?.schedule;
  const before = {
    name: job?.name ?? "", prompt: job?.prompt ?? "", kind: given?.kind ?? "cron", expr: given?.kind === "cron" ? given.expr : "0 9 * * mon-fri",
    minutes: given?.kind === "interval" ? String(given.every_ms / 60_000) : "60", at: given?.kind === "one_shot" ? given.at.slice(0, 16) : "", timezone: job?.timezone ?? zoneHere,
    retries: job ? String(job.max_retries) : "", minutes_most: job ? String(job.timeout_secs / 60) : "", session_mode: job?.session_mode ?? "isolated", overlap: job?.overlap ?? "skip", catch_up: job?.catch_up ?? "last", model: job?.model ?? "", delete_after_run: job?.delete_after_run ?? false,
  };
  const [values, setValues] = useState(before);
  const close = async () => {
    const isDirty = JSON.stringify(values) !== JSON.stringify(before);
    if (!isDirty || (await confirm({ title: t("settings.unsaved"), text: t("settings.unsaved_text"), action: t("settings.leave"), isDanger: true }))) onClose(false);
  };
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
    const body = { name: values.name.trim(), prompt: values.prompt.trim(), schedule, timezone: values.timezone,
      max_retries: numberOf(values.retries), timeout_secs: values.minutes_most.trim() ? Math.round(Number(values.minutes_most) * 60) : null,
      session_mode: values.session_mode, overlap: values.overlap, catch_up: values.catch_up, model: values.model || (job ? "" : null), delete_after_run: values.delete_after_run,
    };
    try {
      await (job ? api.put(`api/cron/jobs/${enc(job.id)}`, body) : api.post("api/cron/jobs", body));
      onClose(true);
    } catch (error) {
      setErrors(wrongFields(error, "form"));
    }
  };
  const schedule_error = Object.entries(errors).find(([name]) => name.startsWith("schedule"))?.[1];
  return (
    <Dialog title={t(job ? "jobs.change" : "jobs.add")} onClose={() => void close()}>
      <form class="stack" noValidate onSubmit={(event) => { event.preventDefault(); void save(); }}>
        <Field label={t("jobs.name")} error={errors.name}>{(ids) => <input {...ids} value={values.name} autofocus required onInput={(event) => set({ name: event.currentTarget.value })} />}</Field>
        <Field label={t("jobs.prompt")} help={t("jobs.prompt_help")} error={errors.prompt}>{(ids) => <textarea {...ids} rows={3} value={values.prompt} required onInput={(event) => set({ prompt: event.currentTarget.value })} />}</Field>
        <div class="field-row">
          <Field label={t("jobs.kind")}>{(ids) => <select {...ids} value={values.kind} onChange={(event) => set({ kind: event.currentTarget.value as Schedule["kind"] })}><option value="cron">{t("jobs.cron")}</option><option value="interval">{t("jobs.interval")}</option><option value="one_shot">{t("jobs.one_shot")}</option></select>}</Field>
          {values.kind === "cron" && <Field label={t("jobs.expr")} help={t("jobs.expr_help")} error={schedule_error}>{(ids) => <input {...ids} value={values.expr} spellcheck={false} onInput={(event) => set({ expr: event.currentTarget.value })} />}</Field>}
          {values.kind === "interval" && <Field label={t("jobs.minutes")} error={schedule_error}>{(ids) => <input {...ids} type="number" min={1} value={values.minutes} onInput={(event) => set({ minutes: event.currentTarget.value })} />}</Field>}
          {values.kind === "one_shot" && <Field label={t("jobs.at")} error={schedule_error}>{(ids) => <input {...ids} type="datetime-local" value={values.at} onInput={(event) => set({ at: event.currentTarget.value })} />}</Field>}
        </div>
        <Field label={t("jobs.zone")} error={errors.timezone}>{(ids) => <input {...ids} list="zones" value={values.timezone} spellcheck={false} onInput={(event) => set({ timezone: event.currentTarget.value })} />}</Field>
        <datalist id="zones">{Intl.supportedValuesOf("timeZone").map((zone) => <option key={zone} value={zone} />)}</datalist>
        <div aria-live="polite" class="ahead">{typeof ahead === "string" ? <p class="error">{ahead}</p> : <p class="quiet">{ahead.length ? `${inWords(schedule)} · ${t("jobs.next", { when: ahead.slice(0, 3).map((each) => moment(each, values.timezone)).join(" · ") })}` : t("jobs.never")}</p>}</div>
        <details class="behind" open={Boolean(errors.max_retries || errors.timeout_secs || errors.model) || undefined}>
          <summary>{t("jobs.options")}</summary>
          <div class="stack">
            <div class="field-row">
              <Field label={t("jobs.retries")} help={t("jobs.retries_help")} error={errors.max_retries}>{(ids) => <input {...ids} type="number" min={0} inputMode="numeric" value={values.retries} placeholder={t("jobs.as_set")} onInput={(event) => set({ retries: event.currentTarget.value })} />}</Field>
              <Field label={t("jobs.timeout")} error={errors.timeout_secs}>{(ids) => <input {...ids} type="number" min={1} inputMode="numeric" value={values.minutes_most} placeholder={t("jobs.as_set")} onInput={(event) => set({ minutes_most: event.currentTarget.value })} />}</Field>
            </div>
            <div class="field-row">
              <Field label={t("jobs.session_mode")}>{(ids) => <select {...ids} value={values.session_mode} onChange={(event) => set({ session_mode: event.currentTarget.value as Job["session_mode"] })}><option value="isolated">{t("jobs.isolated")}</option><option value="main">{t("jobs.main")}</option></select>}</Field>
              <Field label={t("jobs.model")} error={errors.model}>{(ids) => <select {...ids} value={values.model} onChange={(event) => set({ model: event.currentTarget.value })}><option value="">{t("jobs.default_model")}</option>{[...new Set([...boot.models, ...(values.model ? [values.model] : [])])].map((each) => <option key={each} value={each}>{each}</option>)}</select>}</Field>
            </div>
            <div class="field-row">
              <Field label={t("jobs.overlap")}>{(ids) => <select {...ids} value={values.overlap} onChange={(event) => set({ overlap: event.currentTarget.value as Job["overlap"] })}><option value="skip">{t("jobs.overlap_skip")}</option><option value="queue">{t("jobs.overlap_queue")}</option></select>}</Field>
              <Field label={t("jobs.catch_up")}>{(ids) => <select {...ids} value={values.catch_up} onChange={(event) => set({ catch_up: event.currentTarget.value as Job["catch_up"] })}><option value="last">{t("jobs.catch_last")}</option><option value="all">{t("jobs.catch_all")}</option><option value="skip">{t("jobs.catch_skip")}</option></select>}</Field>
            </div>
            <label class="check"><input type="checkbox" checked={values.delete_after_run} onChange={(event) => set({ delete_after_run: event.currentTarget.checked })} /><span>{t("jobs.delete_after")}</span></label>
          </div>
        </details>
        {errors.form && <p class="error" role="alert">{errors.form}</p>}
        <div class="dialog-foot"><button type="button" class="button" onClick={() => void close()}>{t("cancel")}</button><button class="button primary">{t("save")}</button></div>
      </form>
    </Dialog>
  );
}

