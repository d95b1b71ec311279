/** The models: in which order they are asked, whether they answer, and the keys of their providers. */
import { useState } from "preact/hooks";
import { api, ApiError } from "../../api/client";
import { t } from "../../i18n";
import { ArrowDown, ArrowUp, Icon, X } from "../../ui/icons";
import { Card, Failure, Field, useLoaded } from "../../ui/parts";
import { toast } from "../../ui/toast";
import { SaveBar, useLeaveGuard } from "./Form";
import { SecretEditor } from "./Vault";

interface Known {
  models: Record<string, string[]>;
  providers: Record<string, { key: string | null; is_ready: boolean }>;
}
interface Result {
  ok: boolean;
  error: string | null;
  latency_ms?: number | null;
}
type Body = Record<string, unknown> & { models: string[] };

const GENERAL = "api/settings/general";
const OFFLINE = "offline/assistant";

export function Models() {
  const loaded = useLoaded(() => Promise.all([api.get<Body>(GENERAL), api.get<Known>("api/settings/models")]));
  const [edited, setEdited] = useState<string[] | null>(null);
  const [problem, setProblem] = useState<string | undefined>();
  const [isBusy, setBusy] = useState(false);
  const [results, setResults] = useState<Record<string, Result | "busy">>({});
  useLeaveGuard(edited !== null);
  if (loaded.problem) return <Failure text={loaded.problem} retry={loaded.reload} />;
  if (!loaded.data) return null;
  const [{ models: stored }, known] = loaded.data;
  const models = edited ?? stored;
  const change = (next: string[]) => { setEdited(JSON.stringify(next) === JSON.stringify(stored) ? null : next); setProblem(undefined); };
  const move = (from: number, by: number) => { const next = [...models]; next.splice(from + by, 0, ...next.splice(from, 1)); change(next); };
  const save = async () => {
    setBusy(true);
    try {
      await api.put(GENERAL, { ...(await api.get<Body>(GENERAL)), models });
      setEdited(null);
      loaded.reload();
      toast(t("settings.saved"));
    } catch (error) {
      const found = error instanceof ApiError ? Object.entries(error.fields).find(([name]) => name.startsWith("models"))?.[1] : undefined;
      setProblem(found ?? (error as Error).message);
    }
    setBusy(false);
  };
  const test = async (model: string) => {
    setResults((all) => ({ ...all, [model]: "busy" }));
    const result = await api.post<Result>("api/settings/models/test", { model }).catch((error: Error) => ({ ok: false, error: error.message }));
    setResults((all) => ({ ...all, [model]: result }));
  };
  return (
    <>
      <form onSubmit={(event) => { event.preventDefault(); void save(); }}>
        <Card title={t("settings.models")}>
          <p class="quiet">{t("models.order")}</p>
          <ol class="list">
            {models.map((model, index) => {
              const result = results[model];
              return (
                <li key={model} class="wrap">
                  <div class="grow">
                    <b class="mono">{model}</b> {index === 0 && <span class="badge ok">{t("models.default")}</span>}
                    {result && result !== "busy" && <div class={result.ok ? "ok" : "error"} role="status">{result.ok ? t("models.works") : result.error}</div>}
                    {model === OFFLINE && <div class="quiet">{t("models.offline")}</div>}
                  </div>
                  <button type="button" class="button" disabled={result === "busy"} aria-label={t("models.try_one", { name: model })} onClick={() => void test(model)}>{t(result === "busy" ? "start.trying" : "models.try")}</button>
                  <span class="row tight">
                    <button type="button" class="icon-button" disabled={index === 0} aria-label={t("models.up", { name: model })} title={t("models.up", { name: model })} onClick={() => move(index, -1)}><Icon of={ArrowUp} size={16} /></button>
                    <button type="button" class="icon-button" disabled={index === models.length - 1} aria-label={t("models.down", { name: model })} title={t("models.down", { name: model })} onClick={() => move(index, 1)}><Icon of={ArrowDown} size={16} /></button>
                    <button type="button" class="icon-button" disabled={models.length === 1} aria-label={t("models.remove", { name: model })} title={t("models.remove", { name: model })} onClick={() => change(models.filter((each) => each !== model))}><Icon of={X} size={16} /></button>
                  </span>
                </li>
              );
            })}
          </ol>
          {problem && <p class="error" role="alert">{problem}</p>}
          <Adder known={known} taken={models} onAdd={(model) => change([...models, model])} />
        </Card>
        <SaveBar isDirty={edited !== null} isBusy={isBusy} onDiscard={() => { setEdited(null); setProblem(undefined); }} />
      </form>
      <Providers known={known} onChanged={loaded.reload} />
    </>
  );
}

function Adder({ known, taken, onAdd }: { known: Known; taken: string[]; onAdd: (model: string) => void }) {
  const [text, setText] = useState("");
  const all = Object.entries(known.models).flatMap(([provider, names]) => names.map((name) => `${provider}/${name}`)).filter((model) => !taken.includes(model));
  const add = () => { const model = text.trim(); if (!model || taken.includes(model)) return; onAdd(model); setText(""); };
  return (
    <div class="row add-row">
      <Field label={t("models.add_label")} help={t("models.add_help")}>
        {(ids) => <input {...ids} list="all-models" value={text} spellcheck={false} autocomplete="off" placeholder="anthropic/claude-haiku-4-5" onInput={(event) => setText(event.currentTarget.value)} onKeyDown={(event) => { if (event.key === "Enter") { event.preventDefault(); add(); } }} />}
      </Field>
      <datalist id="all-models">{all.map((model) => <option key={model} value={model} />)}</datalist>
      <button type="button" class="button" disabled={!text.trim()} onClick={add}>{t("models.add")}</button>
    </div>
  );
}

function Providers({ known, onChanged }: { known: Known; onChanged: () => void }) {
  const [editing, setEditing] = useState<string | null>(null);
  const rows = Object.entries(known.providers).sort(([, a], [, b]) => Number(b.is_ready) - Number(a.is_ready));
  return (
    <Card title={t("models.providers")}>
      <p class="quiet">{t("models.hint")}</p>
      <ul class="list">
        {rows.map(([name, { key, is_ready }]) => (
          <li key={name}>
            <div class="grow"><b>{name}</b> {is_ready && <span class="badge ok">{t("models.ready")}</span>}<div class="quiet">{key ? <span class="mono">{key}</span> : t("models.no_key_needed")}</div></div>
            {key && <button type="button" class="button" aria-label={`${t(is_ready ? "models.change_key" : "models.set_key")}: ${name}`} onClick={() => setEditing(key)}>{t(is_ready ? "models.change_key" : "models.set_key")}</button>}
          </li>
        ))}
      </ul>
      {editing && <SecretEditor name={editing} onClose={(saved) => { setEditing(null); if (saved) { toast(t("settings.saved")); onChanged(); } }} />}
    </Card>
  );
}
