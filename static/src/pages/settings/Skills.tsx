/** Skills: instructions that the agent reads when a task fits, written here or drafted by the model. */
import { useState } from "preact/hooks";
import { api, enc, wrongFields } from "../../api/client";
import { t } from "../../i18n";
import { confirm, Dialog } from "../../ui/dialog";
import { Card, Empty, Failure, Field, useLoaded } from "../../ui/parts";
import { tell, toast } from "../../ui/toast";

interface Skill {
  name: string;
  description: string;
  version: string | null;
  offered: boolean;
  error?: string;
}
interface Detail {
  description: string;
  body: string;
  raw_content: string;
  error?: string;
}
const PATH = "api/settings/skills";

function Draft({ name, onDraft }: { name: string; onDraft: (draft: { description: string; body: string }) => void }) {
  const [wish, setWish] = useState("");
  const [problem, setProblem] = useState<string | undefined>();
  const [isBusy, setBusy] = useState(false);
  const write = async () => {
    if (!wish.trim()) return setProblem(t("skills.draft_empty"));
    setBusy(true);
    setProblem(undefined);
    await api.post<{ description: string; body: string }>(`${PATH}/generate`, { name: name.trim() || "skill", prompt: wish }).then(onDraft, (error: Error) => setProblem(error.message));
    setBusy(false);
  };
  return (
    <details class="behind">
      <summary>{t("skills.draft")}</summary>
      <div class="stack">
        <Field label={t("skills.wish")} help={t("skills.wish_help")} error={problem}>{(ids) => <textarea {...ids} rows={2} value={wish} onInput={(event) => setWish(event.currentTarget.value)} />}</Field>
        <div class="row"><button type="button" class="button" disabled={isBusy} onClick={() => void write()}>{t(isBusy ? "skills.drafting" : "skills.draft_now")}</button></div>
      </div>
    </details>
  );
}

function Editor({ name: known, detail, onClose }: { name: string | null; detail: Detail | null; onClose: (saved: boolean) => void }) {
  const before = { name: known ?? "", description: detail?.description ?? "", body: detail?.body ?? "" };
  const [values, setValues] = useState(before);
  const [errors, setErrors] = useState<Record<string, string>>({});
  const set = (change: Partial<typeof values>) => { setValues({ ...values, ...change }); setErrors({}); };
  const close = async () => {
    const isDirty = JSON.stringify(values) !== JSON.stringify(before);
    if (!isDirty || (await confirm({ title: t("settings.unsaved"), text: t("settings.unsaved_text"), action: t("settings.leave"), isDanger: true }))) onClose(false);
  };
  const save = async () => {
    const body = { ...values, name: values.name.trim() };
    try {
      await (known ? api.put(`${PATH}/${enc(known)}`, body) : api.post(PATH, body));
      onClose(true);
    } catch (error) {
      setErrors(wrongFields(error, "form"));
    }
  };
  return (
    <Dialog title={known ? t("skills.change", { name: known }) : t("skills.add")} onClose={() => void close()} class="wide">
      <form class="stack" noValidate onSubmit={(event) => { event.preventDefault(); void save(); }}>
        {detail?.error && <p class="error">{detail.error}</p>}
        {!known && <Field label={t("skills.name")} help={t("skills.name_help")} error={errors.name}>{(ids) => <input {...ids} value={values.name} autofocus spellcheck={false} autocomplete="off" onInput={(event) => set({ name: event.currentTarget.value })} />}</Field>}
        <Draft name={values.name} onDraft={set} />
        <Field label={t("skills.description")} help={t("skills.description_help")} error={errors.description}>{(ids) => <input {...ids} value={values.description} onInput={(event) => set({ description: event.currentTarget.value })} />}</Field>
        <Field label={t("skills.body")} error={errors.body}>{(ids) => <textarea {...ids} class="code-area low" value={values.body} placeholder={t("skills.body_example")} onInput={(event) => set({ body: event.currentTarget.value })} />}</Field>
        {errors.form && <p class="error" role="alert">{errors.form}</p>}
        <div class="dialog-foot"><button type="button" class="button" onClick={() => void close()}>{t("cancel")}</button><button class="button primary">{t("save")}</button></div>
      </form>
    </Dialog>
  );
}

export function Skills() {
  const { data, problem, reload } = useLoaded(() => api.get<Skill[]>(PATH));
  const [editing, setEditing] = useState<{ name: string | null; detail: Detail | null } | null>(null);
  const edit = (name: string) => void api.get<Detail>(`${PATH}/${enc(name)}`).then((detail) => setEditing({ name, detail }), tell);
  const remove = async (name: string) => {
    if (await confirm({ title: t("skills.delete_title", { name }), text: t("skills.delete_text"), action: t("delete"), isDanger: true })) await api.delete(`${PATH}/${enc(name)}`).then(reload, tell);
  };
  return (
    <Card title={t("settings.skills")}>
      <p class="quiet">{t("skills.hint")}</p>
      {problem && <Failure text={problem} retry={reload} />}
      {data?.length === 0 && <Empty title={t("skills.none")} text={t("skills.none_text")} />}
      {data && data.length > 0 && (
        <ul class="list">
          {data.map((skill) => (
            <li key={skill.name} class="wrap">
              <div class="grow"><b class="mono">/{skill.name}</b> {skill.version && <span class="quiet">{skill.version}</span>} {skill.error ? <span class="badge error">{t("skills.broken")}</span> : !skill.offered && <span class="badge">{t("skills.off")}</span>}<div class={skill.error ? "error" : "quiet"}>{skill.error ?? skill.description}</div></div>
              <button type="button" class="button" aria-label={`${t("change")}: ${skill.name}`} onClick={() => edit(skill.name)}>{t("change")}</button>
              <button type="button" class="button danger" aria-label={`${t("delete")}: ${skill.name}`} onClick={() => void remove(skill.name)}>{t("delete")}</button>
            </li>
          ))}
        </ul>
      )}
      <div class="row"><button type="button" class="button primary" onClick={() => setEditing({ name: null, detail: null })}>{t("skills.add")}</button></div>
      {editing && <Editor {...editing} onClose={(saved) => { setEditing(null); if (saved) { toast(t("settings.saved")); reload(); } }} />}
    </Card>
  );
}
