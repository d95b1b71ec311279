/** People: who may come in, as what, and with which keys. */
import { useState } from "preact/hooks";
import { api, ApiError, enc } from "../../api/client";
import { user as me } from "../../app/auth";
import { t } from "../../i18n";
import { confirm, Dialog } from "../../ui/dialog";
import { Card, Failure, Field, useLoaded } from "../../ui/parts";
import { tell, toast } from "../../ui/toast";
import { Keys } from "./Keys";

interface Person {
  id: string;
  email: string | null;
  display_name: string | null;
  role: "admin" | "user";
  is_active: boolean;
  filesystem_enabled: boolean;
}

function Editor({ person, onClose }: { person: Person | null; onClose: (saved: boolean) => void }) {
  const [values, setValues] = useState({ display_name: person?.display_name ?? "", email: person?.email ?? "", role: person?.role ?? "user", filesystem_enabled: person?.filesystem_enabled ?? false });
  const [errors, setErrors] = useState<Record<string, string>>({});
  const set = (change: Partial<typeof values>) => setValues({ ...values, ...change });
  const save = async () => {
    const body = { ...values, email: values.email.trim() || null, display_name: values.display_name.trim() || null };
    try {
      await (person ? api.put(`api/settings/auth/users/${enc(person.id)}`, body) : api.post("api/settings/auth/users", body));
      onClose(true);
    } catch (error) {
      const fields = error instanceof ApiError ? error.fields : {};
      setErrors(Object.keys(fields).length ? fields : { display_name: (error as Error).message });
    }
  };
  return (
    <Dialog title={person ? t("users.change") : t("users.add")} onClose={() => onClose(false)}>
      <form class="stack" onSubmit={(event) => { event.preventDefault(); void save(); }}>
        <Field label={t("users.name")} error={errors.display_name}>{(ids) => <input {...ids} value={values.display_name} autofocus onInput={(event) => set({ display_name: event.currentTarget.value })} />}</Field>
        <Field label={t("users.email")} error={errors.email}>{(ids) => <input {...ids} type="email" value={values.email} onInput={(event) => set({ email: event.currentTarget.value })} />}</Field>
        <Field label={t("users.role")} help={t("users.role_help")} error={errors.role}>
          {(ids) => <select {...ids} value={values.role} onChange={(event) => set({ role: event.currentTarget.value as Person["role"] })}><option value="user">{t("users.user")}</option><option value="admin">{t("users.admin")}</option></select>}
        </Field>
        <label class="check"><input type="checkbox" checked={values.filesystem_enabled} onChange={(event) => set({ filesystem_enabled: event.currentTarget.checked })} /><span>{t("users.files")}</span></label>
        <div class="dialog-foot"><button type="button" class="button" onClick={() => onClose(false)}>{t("cancel")}</button><button class="button primary">{t("save")}</button></div>
      </form>
    </Dialog>
  );
}

export function Users() {
  const loaded = useLoaded(() => api.get<Person[]>("api/settings/auth/users"));
  const [editing, setEditing] = useState<{ person: Person | null } | null>(null);
  const [shown, setShown] = useState<Person | null>(null);
  if (loaded.problem) return <Failure text={loaded.problem} retry={loaded.reload} />;
  const base = (person: Person) => `api/settings/auth/users/${enc(person.id)}`;
  const switchActive = async (person: Person) => {
    const name = person.display_name || person.email || person.id;
    if (person.is_active && !(await confirm({ title: t("users.deactivate_title", { name }), text: t("users.deactivate_text"), action: t("users.deactivate"), isDanger: true }))) return;
    await api.post(`${base(person)}/${person.is_active ? "deactivate" : "activate"}`).then(loaded.reload, tell);
  };
  return (
    <Card title={t("settings.users")}>
      <ul class="list">
        {(loaded.data ?? []).map((person) => (
          <li key={person.id} class="wrap">
            <div class="grow"><b>{person.display_name || person.email || t("users.unnamed")}</b><div class="quiet">{[person.email, t(person.role === "admin" ? "users.admin" : "users.user")].filter(Boolean).join(" · ")}</div></div>
            {!person.is_active && <span class="badge warn">{t("users.inactive")}</span>}
            <button type="button" class="button" onClick={() => setShown(person)}>{t("users.keys")}</button>
            <button type="button" class="button" onClick={() => setEditing({ person })}>{t("change")}</button>
            {person.id !== me?.id && <button type="button" class="button" onClick={() => void switchActive(person)}>{t(person.is_active ? "users.deactivate" : "users.activate")}</button>}
          </li>
        ))}
      </ul>
      <div class="row"><button type="button" class="button primary" onClick={() => setEditing({ person: null })}>{t("users.add")}</button></div>
      {editing && <Editor person={editing.person} onClose={(saved) => { setEditing(null); if (saved) { toast(t("settings.saved")); loaded.reload(); } }} />}
      {shown && <Dialog title={shown.display_name || shown.id} onClose={() => setShown(null)} class="wide"><Keys list={`${base(shown)}/api-keys`} one="api/settings/auth/api-keys" /></Dialog>}
    </Card>
  );
}
