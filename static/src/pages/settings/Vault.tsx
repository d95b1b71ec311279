/** Secrets: named, masked, never shown. */
import { useState } from "preact/hooks";
import { api, enc, wrongFields } from "../../api/client";
import { briefly, t } from "../../i18n";
import { confirm, Dialog } from "../../ui/dialog";
import { Card, Empty, Failure, Field, useLoaded } from "../../ui/parts";
import { tell, toast } from "../../ui/toast";

interface Entry {
  key: string;
  is_system: boolean;
  masked?: string;
  allowed_hosts?: string[];
  is_damaged?: boolean;
  updated_at: string;
}

export function SecretEditor({ name: known, onClose }: { name: string | null; onClose: (saved: boolean) => void }) {
  const [name, setName] = useState(known ?? "");
  const [value, setValue] = useState("");
  const [errors, setErrors] = useState<Record<string, string>>({});
  const save = async () => {
    try {
      await api.put(`api/settings/vault/${enc(name.trim())}`, { value });
      onClose(true);
    } catch (error) {
      setErrors(wrongFields(error, "form"));
    }
  };
  return (
    <Dialog title={known ? t("vault.change", { name: known }) : t("vault.add")} onClose={() => onClose(false)}>
      <form class="stack" onSubmit={(event) => { event.preventDefault(); void save(); }}>
        {!known && <Field label={t("vault.name")} help={t("vault.name_help")} error={errors.key}>{(ids) => <input {...ids} value={name} autofocus spellcheck={false} autocomplete="off" onInput={(event) => setName(event.currentTarget.value)} />}</Field>}
        <Field label={t("vault.value")} help={t("vault.value_help")} error={errors.value}>{(ids) => <input {...ids} type="password" value={value} autofocus={Boolean(known)} autocomplete="off" onInput={(event) => setValue(event.currentTarget.value)} />}</Field>
        {errors.form && <p class="error" role="alert">{errors.form}</p>}
        <div class="dialog-foot"><button type="button" class="button" onClick={() => onClose(false)}>{t("cancel")}</button><button class="button primary" disabled={!name.trim() || !value}>{t("save")}</button></div>
      </form>
    </Dialog>
  );
}

export function Vault() {
  const loaded = useLoaded(() => api.get<{ entries: Entry[] }>("api/settings/vault"));
  const [editing, setEditing] = useState<{ name: string | null } | null>(null);
  if (loaded.problem) return <Failure text={loaded.problem} retry={loaded.reload} />;
  const remove = async (entry: Entry) => {
    if (!(await confirm({ title: t("vault.delete", { name: entry.key }), text: t("vault.delete_text"), action: t("delete"), isDanger: true }))) return;
    await api.delete(`api/settings/vault/${enc(entry.key)}`).then(loaded.reload, tell);
  };
  const entries = loaded.data?.entries ?? [];
  return (
    <Card title={t("settings.vault")}>
      <p class="quiet">{t("vault.hint")}</p>
      {loaded.data && entries.length === 0 ? (
        <Empty title={t("vault.empty")} text={t("vault.empty_text")} />
      ) : (
        <ul class="list">
          {entries.map((entry) => (
            <li key={entry.key}>
              <div class="grow"><b class="mono">{entry.key}</b><div class="quiet">{entry.is_damaged ? <span class="error">{t("vault.damaged")}</span> : `${entry.masked ?? ""} · ${briefly(entry.updated_at)}`}</div></div>
              <button type="button" class="button" onClick={() => setEditing({ name: entry.key })}>{t("change")}</button>
              <button type="button" class="button danger" onClick={() => void remove(entry)}>{t("delete")}</button>
            </li>
          ))}
        </ul>
      )}
      <div class="row"><button type="button" class="button primary" onClick={() => setEditing({ name: null })}>{t("vault.add")}</button></div>
      {editing && <SecretEditor name={editing.name} onClose={(saved) => { setEditing(null); if (saved) { toast(t("settings.saved")); loaded.reload(); } }} />}
    </Card>
  );
}
