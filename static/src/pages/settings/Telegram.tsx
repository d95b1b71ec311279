/** How the Telegram bot is doing, and who of the people is linked to which account there. */
import { useState } from "preact/hooks";
import { api, enc, wrongFields } from "../../api/client";
import { briefly, t } from "../../i18n";
import { confirm, Dialog } from "../../ui/dialog";
import { Card, Failure, Field, useLoaded } from "../../ui/parts";
import { tell, toast } from "../../ui/toast";
import { SettingsForm } from "./Form";
import { nameOf, type Person, PEOPLE } from "./people";

interface Bot {
  state: "off" | "starting" | "running" | "failing";
  username: string | null;
  problem: string | null;
  since: string | null;
}
interface Link {
  telegram_id?: number | null;
  username?: string | null;
  linked_at?: string;
}

const BADGE = { off: "badge", starting: "badge live", running: "badge ok", failing: "badge error" };

function State({ bot }: { bot: Bot }) {
  return (
    <div role="status">
      <span class={BADGE[bot.state]}>{t(`telegram.${bot.state}`)}</span>{" "}
      {bot.username && <a href={`https://t.me/${bot.username}`} target="_blank" rel="noopener noreferrer">@{bot.username}</a>} {bot.since && <span class="quiet">{t("telegram.since", { when: briefly(bot.since) })}</span>}
      {bot.problem && <p class="error">{bot.problem}</p>}
    </div>
  );
}

export function LinkEditor({ person, link, onClose }: { person: Person; link: Link; onClose: (saved: boolean) => void }) {
  const [id, setId] = useState(link.telegram_id ? String(link.telegram_id) : "");
  const [username, setUsername] = useState(link.username ?? "");
  const [errors, setErrors] = useState<Record<string, string>>({});
  const path = `${PEOPLE}/${enc(person.id)}/telegram`;
  const save = async () => {
    if (id.trim() && !/^\d{1,15}$/.test(id.trim())) return setErrors({ telegram_id: t("telegram.id_bad") });
    try {
      await api.put(path, { telegram_id: id.trim() ? Number(id.trim()) : null, username: username.trim().replace(/^@/, "") || null });
      onClose(true);
    } catch (error) {
      setErrors(wrongFields(error, "telegram_id"));
    }
  };
  const unlink = async () => {
    if (await confirm({ title: t("telegram.unlink_title", { name: nameOf(person) }), text: t("telegram.unlink_text"), action: t("telegram.unlink"), isDanger: true })) await api.delete(path).then(() => onClose(true), tell);
  };
  return (
    <Dialog title={t("telegram.link_title", { name: nameOf(person) })} onClose={() => onClose(false)}>
      <form class="stack" noValidate onSubmit={(event) => { event.preventDefault(); void save(); }}>
        <Field label={t("telegram.id")} help={t("telegram.id_help")} error={errors.telegram_id}>{(ids) => <input {...ids} inputMode="numeric" value={id} autofocus onInput={(event) => { setId(event.currentTarget.value); setErrors({}); }} />}</Field>
        <Field label={t("telegram.username")} help={t("telegram.username_help")} error={errors.username}>{(ids) => <input {...ids} value={username} spellcheck={false} onInput={(event) => { setUsername(event.currentTarget.value); setErrors({}); }} />}</Field>
        <div class="dialog-foot">
          {link.linked_at && <button type="button" class="button danger" onClick={() => void unlink()}>{t("telegram.unlink")}</button>}
          <button type="button" class="button" onClick={() => onClose(false)}>{t("cancel")}</button>
          <button class="button primary">{t("save")}</button>
        </div>
      </form>
    </Dialog>
  );
}

async function linked(): Promise<{ person: Person; link: Link }[]> {
  const people = (await api.get<Person[]>(PEOPLE)).filter((person) => person.is_active);
  return Promise.all(people.map(async (person) => ({ person, link: await api.get<Link>(`${PEOPLE}/${enc(person.id)}/telegram`) })));
}

export function Telegram() {
  const status = useLoaded(() => api.get<{ telegram: Bot }>("api/settings/status"));
  const links = useLoaded(linked);
  const [editing, setEditing] = useState<{ person: Person; link: Link } | null>(null);
  // The bot needs a moment to sign in after its settings were saved.
  const again = () => { status.reload(); setTimeout(status.reload, 2500); };
  return (
    <>
      <SettingsForm section="channels" title="Telegram" onSaved={again}>
        <p class="quiet">{t("start.channel_text")}</p>
        {status.problem ? <Failure text={status.problem} retry={status.reload} /> : status.data && <State bot={status.data.telegram} />}
      </SettingsForm>
      <Card title={t("telegram.links")}>
        <p class="quiet">{t("telegram.links_hint")}</p>
        {links.problem && <Failure text={links.problem} retry={links.reload} />}
        <ul class="list">
          {links.data?.map((row) => (
            <li key={row.person.id}>
              <div class="grow"><b>{nameOf(row.person)}</b><div class="quiet">{row.link.linked_at ? [row.link.username && `@${row.link.username}`, row.link.telegram_id].filter(Boolean).join(" · ") : t("telegram.not_linked")}</div></div>
              <button type="button" class="button" aria-label={`${t(row.link.linked_at ? "change" : "telegram.link")}: ${nameOf(row.person)}`} onClick={() => setEditing(row)}>{t(row.link.linked_at ? "change" : "telegram.link")}</button>
            </li>
          ))}
        </ul>
        {editing && <LinkEditor {...editing} onClose={(saved) => { setEditing(null); if (saved) { toast(t("settings.saved")); links.reload(); } }} />}
      </Card>
    </>
  );
}
