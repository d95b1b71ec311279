/** What the agent looks after by itself between jobs, and how often. */
import { useState } from "preact/hooks";
import { api, wrongFields } from "../../api/client";
import { t } from "../../i18n";
import { Card, Failure, Field, useLoaded } from "../../ui/parts";
import { toast } from "../../ui/toast";
import { SaveBar, useLeaveGuard } from "./Form";

interface Values {
  enabled: boolean;
  /** Null while nothing is typed. */
  interval_minutes: number | null;
  content: string;
}

export function Heartbeat() {
  const loaded = useLoaded(() => api.get<Values>("api/settings/heartbeat"));
  const [edits, setEdits] = useState<Partial<Values>>({});
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [isBusy, setBusy] = useState(false);
  const isDirty = Object.keys(edits).length > 0;
  useLeaveGuard(isDirty);
  if (loaded.problem) return <Failure text={loaded.problem} retry={loaded.reload} />;
  if (!loaded.data) return null;
  const values = { ...loaded.data, ...edits };
  const set = (change: Partial<Values>) => { setEdits({ ...edits, ...change }); setErrors({}); };
  const save = async () => {
    setBusy(true);
    try {
      await api.put("api/settings/heartbeat", values);
      setEdits({});
      loaded.reload();
      toast(t("settings.saved"));
    } catch (error) {
      setErrors(wrongFields(error, "content"));
    }
    setBusy(false);
  };
  return (
    <form noValidate onSubmit={(event) => { event.preventDefault(); void save(); }}>
      <Card title={t("heartbeat.title")}>
        <p class="quiet">{t("heartbeat.hint")}</p>
        <label class="check"><input type="checkbox" checked={values.enabled} onChange={(event) => set({ enabled: event.currentTarget.checked })} /><span>{t("heartbeat.on")}</span></label>
        <Field label={t("heartbeat.minutes")} error={errors.interval_minutes}>{(ids) => <input {...ids} type="number" min={1} inputMode="numeric" value={values.interval_minutes ?? ""} onInput={(event) => set({ interval_minutes: event.currentTarget.value === "" ? null : Number(event.currentTarget.value) })} />}</Field>
        <Field label={t("heartbeat.content")} help={t("document.HEARTBEAT.md")} error={errors.content}>{(ids) => <textarea {...ids} rows={7} value={values.content} placeholder={t("heartbeat.example")} onInput={(event) => set({ content: event.currentTarget.value })} />}</Field>
      </Card>
      <SaveBar isDirty={isDirty} isBusy={isBusy} onDiscard={() => { setEdits({}); setErrors({}); }} />
    </form>
  );
}
