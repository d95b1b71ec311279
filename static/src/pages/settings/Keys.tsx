/** API keys of one person. A new key is shown once. */
import { useState } from "preact/hooks";
import { api, enc } from "../../api/client";
import { briefly, t } from "../../i18n";
import { ask, confirm, Dialog } from "../../ui/dialog";
import { Card, Empty, Failure, useLoaded } from "../../ui/parts";
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

/** `list` is where the keys are listed and made, `one` the folder of a single one. */
export function Keys({ list, one }: { list: string; one: string }) {
  const loaded = useLoaded(() => api.get<ApiKey[]>(list), [list]);
  const [fresh, setFresh] = useState<string | null>(null);
  if (loaded.problem) return <Failure text={loaded.problem} retry={loaded.reload} />;
  const add = async () => {
    const label = await ask({ title: t("keys_own.add"), label: t("keys_own.label") });
    if (label === null) return;
    await api.post<{ key: string }>(list, { label }).then(({ key }) => { setFresh(key); loaded.reload(); }, tell);
  };
  const revoke = async (key: ApiKey) => {
    const question = { title: t("keys_own.revoke_title"), text: t("keys_own.revoke_text", { name: key.label || key.prefix }), action: t("keys_own.revoke"), isDanger: true };
    if (await confirm(question)) await api.post(`${one}/${enc(key.id)}/revoke`).then(loaded.reload, tell);
  };
  const keys = loaded.data ?? [];
  return (
    <Card title={t("settings.keys")}>
      <p class="quiet">{t("keys_own.hint")}</p>
      {loaded.data && keys.length === 0 && <Empty title={t("keys_own.none")} text={t("keys_own.none_text")} />}
      {keys.length > 0 && (
        <ul class="list">
          {keys.map((key) => (
            <li key={key.id}>
              <div class="grow">
                <b>{key.label || t("keys_own.unnamed")}</b> <span class="mono">{key.prefix}…</span>
                <div class="quiet">{key.last_used_at ? t("keys_own.used", { when: briefly(key.last_used_at) }) : t("keys_own.unused")}</div>
              </div>
              {key.revoked_at ? <span class="badge">{t("keys_own.revoked")}</span> : <button type="button" class="button danger" onClick={() => void revoke(key)}>{t("keys_own.revoke")}</button>}
            </li>
          ))}
        </ul>
      )}
      <div class="row"><button type="button" class="button" onClick={() => void add()}>{t("keys_own.add")}</button></div>
      {fresh && <NewKey value={fresh} onClose={() => setFresh(null)} />}
    </Card>
  );
}
