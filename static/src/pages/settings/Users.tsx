/** People: who may come in, as what, and with which keys. */
import { useState } from "preact/hooks";
import { api, ApiError, enc, wrongFields } from "../../api/client";
import { user as me } from "../../app/auth";
import { t } from "../../i18n";
import { ask, confirm, Dialog } from "../../ui/dialog";
import { Ellipsis, Icon } from "../../ui/icons";
import { MenuButton } from "../../ui/menu";
import { Card, Failure, Field, useLoaded } from "../../ui/parts";
import { tell, toast } from "../../ui/toast";
import { PersonBudget } from "./Budgets";
import { Keys } from "./Keys";
import { nameOf, PEOPLE, type Person } from "./people";
import { LinkEditor } from "./Telegram";

function Editor({ person, onClose }: { person: Person | null; onClose: (saved: boolean) => void }) {
  const [values, setValues] = useState({ display_name: person?.display_name ?? "", email: person?.email ?? "", role: person?.role ?? "user", filesystem_enabled: person?.filesystem_enabled ?? false });
  const [errors, setErrors] = useState<Record<string, string>>({});
  const set = (change: Partial<typeof values>) => setValues({ ...values, ...change });
  const save = async () => {
    const body = { ...values, email: values.email.trim() || null, display_name: values.display_name.trim() || null };
    try {
      await (person ? api.put(`${PEOPLE}/${enc(person.id)}`, body) : api.post(PEOPLE, body));
      onClose(true);
    } catch (error) {
      // Nothing but an address is anybody's alone.
      setErrors(wrongFields(error, error instanceof ApiError && error.status === 409 ? "email" : "display_name"));
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

interface Open {
  what: "edit" | "keys" | "budget" | "telegram";
  person: Person | null;
  link?: object;
}

export function Users() {
  const loaded = useLoaded(() => api.get<Person[]>(PEOPLE));
  const [open, setOpen] = useState<Open | null>(null);
  if (loaded.problem) return <Failure text={loaded.problem} retry={loaded.reload} />;
  const base = (person: Person) => `${PEOPLE}/${enc(person.id)}`;
  const close = (saved: boolean) => { setOpen(null); if (saved) { toast(t("settings.saved")); loaded.reload(); } };
  const switchActive = async (person: Person) => {
    const name = nameOf(person);
    if (person.is_active && !(await confirm({ title: t("users.deactivate_title", { name }), text: t("users.deactivate_text"), action: t("users.deactivate"), isDanger: true }))) return;
    await api.post(`${base(person)}/${person.is_active ? "deactivate" : "activate"}`).then(loaded.reload, tell);
  };
  const remove = async (person: Person) => {
    const name = nameOf(person);
    const said = await ask({ title: t("users.delete_title", { name }), label: t("users.delete_text", { name }) });
    if (said === null) return;
    if (said.trim() !== name) return toast(t("instances.not_deleted"), { kind: "error", text: t("instances.name_differs") });
    await api.delete(`${base(person)}?data=erase`).then(loaded.reload, tell);
  };
  const telegram = (person: Person) => void api.get<object>(`${base(person)}/telegram`).then((link) => setOpen({ what: "telegram", person, link }), tell);
  const { what, person } = open ?? {};
  return (
    <Card title={t("settings.users")}>
      <ul class="list">
        {(loaded.data ?? []).map((each) => {
          const name = nameOf(each);
          const isMe = each.id === me?.id;
          return (
            <li key={each.id} class="wrap">
              <div class="grow"><b dir="auto">{name}</b> {isMe && <span class="badge">{t("users.you")}</span>} {!each.is_active && <span class="badge warn">{t("users.inactive")}</span>}<div class="quiet">{[each.email, t(each.role === "admin" ? "users.admin" : "users.user"), each.filesystem_enabled && t("users.has_files")].filter(Boolean).join(" · ")}</div></div>
              <button type="button" class="button" aria-label={`${t("users.keys")}: ${name}`} onClick={() => setOpen({ what: "keys", person: each })}>{t("users.keys")}</button>
              <MenuButton
                label={t("users.more", { name })}
                items={() => [
                  { label: t("change"), run: () => setOpen({ what: "edit", person: each }) },
                  { label: t("users.budget"), run: () => setOpen({ what: "budget", person: each }) },
                  { label: "Telegram", run: () => telegram(each) },
                  ...(isMe ? [] : [{ label: t(each.is_active ? "users.deactivate" : "users.activate"), run: () => void switchActive(each) }, { label: t("users.delete"), isDanger: true, run: () => void remove(each) }]),
                ]}
              ><Icon of={Ellipsis} /></MenuButton>
            </li>
          );
        })}
      </ul>
      <div class="row"><button type="button" class="button primary" onClick={() => setOpen({ what: "edit", person: null })}>{t("users.add")}</button></div>
      {what === "edit" && <Editor person={person ?? null} onClose={close} />}
      {what === "budget" && person && <PersonBudget person={person} onClose={close} />}
      {what === "telegram" && person && <LinkEditor person={person} link={open!.link!} onClose={close} />}
      {what === "keys" && person && <Dialog title={t("users.keys_of", { name: nameOf(person) })} onClose={() => setOpen(null)} class="wide"><Keys list={`${base(person)}/api-keys`} one="api/settings/auth/api-keys" isBare /></Dialog>}
    </Card>
  );
}
