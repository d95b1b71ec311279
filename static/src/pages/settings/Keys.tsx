/** API keys of one person. A new key is shown once. */
import { useState } from "preact/hooks";
import { api, enc } from "../../api/client";
import { briefly, fully, t } from "../../i18n";
import { confirm, Dialog } from "../../ui/dialog";
import { Card, Empty, Failure, Field, useLoaded } from "../../ui/parts";
import { tell } from "../../ui/toast";

interface ApiKey {
  id: string;
  prefix: string;
  label: string | null;
  expires_at: string | null;
  revoked_at: string | null;
  last_used_at: string | null;
  created_at: string;
}

export function NewKey({ value, onClose }: { value: string; onClose: () => void }) {
  const [isCopied, setCopied] = useState(false);
  return (
    <Dialog title={t("keys_own.new")} onClose={onClose}>
      <p>{t("keys_own.once")}</p>
      <p class="mono key-shown" tabIndex={0}>{value}</p>
      <div class="dialog-foot">
        <button type="button" class="button primary" autofocus onClick={() => void navigator.clipboard.writeText(value).then(() => setCopied(true), tell)}>{t(isCopied ? "copied" : "copy")}</button>
        <button type="button" class="button" onClick={onClose}>{t("done")}</button>
      </div>
    </Dialog>
  );
}

const DAY_S = 86_400;
/** How long a key is good, in days; 0 = for ever. */
const LIVES = [0, 30, 90, 365];
/** How long the old key still works after a change, in seconds. */
const OVERLAPS = [0, 3600, DAY_S, 7 * DAY_S];

function Adder({ onAdd, onClose }: { onAdd: (body: { label: string | null; expires_at: string | null }) => Promise<void>; onClose: () => void }) {
  const [label, setLabel] = useState("");
  const [days, setDays] = useState(0);
  return (
    <Dialog title={t("keys_own.add")} onClose={onClose}>
      <form class="stack" onSubmit={(event) => { event.preventDefault(); void onAdd({ label: label.trim() || null, expires_at: days ? new Date(Date.now() + days * DAY_S * 1000).toISOString() : null }); }}>
        <Field label={t("keys_own.label")} help={t("keys_own.label_help")}>{(ids) => <input {...ids} value={label} autofocus maxLength={200} onInput={(event) => setLabel(event.currentTarget.value)} />}</Field>
        <Field label={t("keys_own.life")}>{(ids) => <select {...ids} value={days} onChange={(event) => setDays(Number(event.currentTarget.value))}>{LIVES.map((each) => <option key={each} value={each}>{each ? t("keys_own.days", { n: each }) : t("keys_own.for_ever")}</option>)}</select>}</Field>
        <div class="dialog-foot"><button type="button" class="button" onClick={onClose}>{t("cancel")}</button><button class="button primary">{t("save")}</button></div>
      </form>
    </Dialog>
  );
}

function Rotation({ name, onRotate, onClose }: { name: string; onRotate: (overlap_s: number) => Promise<void>; onClose: () => void }) {
  const [overlap, setOverlap] = useState(DAY_S);
  const words = (seconds: number) => (seconds === 0 ? t("keys_own.at_once") : seconds < DAY_S ? t("keys_own.one_hour") : t("keys_own.days", { n: seconds / DAY_S }));
  return (
    <Dialog title={t("keys_own.rotate_title", { name })} onClose={onClose}>
      <form class="stack" onSubmit={(event) => { event.preventDefault(); void onRotate(overlap); }}>
        <p>{t("keys_own.rotate_text")}</p>
        <Field label={t("keys_own.overlap")}>{(ids) => <select {...ids} value={overlap} autofocus onChange={(event) => setOverlap(Number(event.currentTarget.value))}>{OVERLAPS.map((each) => <option key={each} value={each}>{words(each)}</option>)}</select>}</Field>
        <div class="dialog-foot"><button type="button" class="button" onClick={onClose}>{t("cancel")}</button><button class="button primary">{t("keys_own.rotate")}</button></div>
      </form>
    </Dialog>
  );
}

/** `list` is where the keys are listed and made, `one` the folder of a single one. */
export function Keys({ list, one, isBare = false }: { list: string; one: string; isBare?: boolean }) {
  const loaded = useLoaded(() => api.get<ApiKey[]>(list), [list]);
  const [fresh, setFresh] = useState<string | null>(null);
  const [isAdding, setAdding] = useState(false);
  const [rotating, setRotating] = useState<ApiKey | null>(null);
  if (loaded.problem) return <Failure text={loaded.problem} retry={loaded.reload} />;
  const made = ({ key }: { key: string }) => { setAdding(false); setRotating(null); setFresh(key); loaded.reload(); };
  const revoke = async (key: ApiKey) => {
    const question = { title: t("keys_own.revoke_title"), text: t("keys_own.revoke_text", { name: key.label || key.prefix }), action: t("keys_own.revoke"), isDanger: true };
    if (await confirm(question)) await api.post(`${one}/${enc(key.id)}/revoke`).then(loaded.reload, tell);
  };
  const keys = [...(loaded.data ?? [])].sort((a, b) => Number(Boolean(a.revoked_at)) - Number(Boolean(b.revoked_at)));
  const content = (
    <>
      <p class="quiet">{t("keys_own.hint")}</p>
      {loaded.data && keys.length === 0 && <Empty title={t("keys_own.none")} text={t("keys_own.none_text")} />}
      {keys.length > 0 && (
        <ul class="list">
          {keys.map((key) => {
            const name = key.label || key.prefix;
            return (
              <li key={key.id} class={key.revoked_at ? "wrap faded" : "wrap"}>
                <div class="grow">
                  <b>{key.label || t("keys_own.unnamed")}</b> <span class="mono">{key.prefix}…</span>
                  <div class="quiet">{[key.last_used_at ? t("keys_own.used", { when: briefly(key.last_used_at) }) : t("keys_own.unused"), key.expires_at && t("keys_own.until", { when: fully(key.expires_at) })].filter(Boolean).join(" · ")}</div>
                </div>
                {key.revoked_at ? <span class="badge">{t("keys_own.revoked")}</span> : (
                  <>
                    <button type="button" class="button" aria-label={`${t("keys_own.rotate")}: ${name}`} onClick={() => setRotating(key)}>{t("keys_own.rotate")}</button>
                    <button type="button" class="button danger" aria-label={`${t("keys_own.revoke")}: ${name}`} onClick={() => void revoke(key)}>{t("keys_own.revoke")}</button>
                  </>
                )}
              </li>
            );
          })}
        </ul>
      )}
      <div class="row"><button type="button" class="button" onClick={() => setAdding(true)}>{t("keys_own.add")}</button></div>
      {isAdding && <Adder onClose={() => setAdding(false)} onAdd={(body) => api.post<{ key: string }>(list, body).then(made, tell)} />}
      {rotating && <Rotation name={rotating.label || rotating.prefix} onClose={() => setRotating(null)} onRotate={(overlap_s) => api.post<{ key: string }>(`${one}/${enc(rotating.id)}/rotate`, { overlap_s }).then(made, tell)} />}
      {fresh && <NewKey value={fresh} onClose={() => setFresh(null)} />}
    </>
  );
  return isBare ? content : <Card title={t("settings.keys")}>{content}</Card>;
}
