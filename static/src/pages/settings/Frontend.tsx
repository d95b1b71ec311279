/** What the page greets with, and what it proposes to begin with. */
import { useState } from "preact/hooks";
import { api, ApiError } from "../../api/client";
import { t } from "../../i18n";
import { Card, Failure, Field, useLoaded } from "../../ui/parts";
import { tell, toast } from "../../ui/toast";
import { SaveBar, useLeaveGuard } from "./Form";

interface Greeting {
  greeting: string | null;
  prompts: string[];
}

export function Frontend() {
  const loaded = useLoaded(() => api.get<Greeting>("api/settings/frontend"));
  const [edits, setEdits] = useState<Partial<{ greeting: string; prompts: string }>>({});
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [isBusy, setBusy] = useState(false);
  const isDirty = Object.keys(edits).length > 0;
  useLeaveGuard(isDirty);
  if (loaded.problem) return <Failure text={loaded.problem} retry={loaded.reload} />;
  if (!loaded.data) return null;
  const greeting = edits.greeting ?? loaded.data.greeting ?? "";
  const prompts = edits.prompts ?? loaded.data.prompts.join("\n");
  const save = async () => {
    const body = { greeting: greeting.trim() || null, prompts: prompts.split("\n").map((line) => line.trim()).filter(Boolean) };
    setBusy(true);
    try {
      await api.put("api/settings/frontend", body);
      loaded.set(body);
      setEdits({});
      setErrors({});
      toast(t("settings.saved"), { text: t("frontend.later") });
    } catch (error) {
      const fields = error instanceof ApiError ? error.fields : {};
      const bad = Object.fromEntries(["greeting", "prompts"].map((name) => [name, Object.entries(fields).find(([field]) => field.startsWith(name))?.[1] ?? ""]));
      setErrors(bad);
      if (!Object.values(bad).some(Boolean)) tell(error);
    }
    setBusy(false);
  };
  return (
    <form onSubmit={(event) => { event.preventDefault(); void save(); }}>
      <Card title={t("frontend.title")}>
        <Field label={t("frontend.greeting")} help={t("frontend.greeting_help")} error={errors.greeting || undefined}>{(ids) => <input {...ids} value={greeting} onInput={(event) => setEdits({ ...edits, greeting: event.currentTarget.value })} />}</Field>
        <Field label={t("frontend.prompts")} help={t("frontend.prompts_help")} error={errors.prompts || undefined}>{(ids) => <textarea {...ids} rows={4} value={prompts} placeholder={t("settings.one_a_line")} onInput={(event) => setEdits({ ...edits, prompts: event.currentTarget.value })} />}</Field>
      </Card>
      <SaveBar isDirty={isDirty} isBusy={isBusy} onDiscard={() => { setEdits({}); setErrors({}); }} />
    </form>
  );
}
