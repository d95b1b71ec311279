/** First steps: a model, a name and tone, a channel. Each can be skipped; nothing here needs a key or a network. */
import { useState } from "preact/hooks";
import { api, ApiError, enc } from "../api/client";
import { boot } from "../app/boot";
import { go, link } from "../app/router";
import { t } from "../i18n";
import { Card, Failure, Field, PageHead, useLoaded } from "../ui/parts";
import { toast } from "../ui/toast";

type Body = Record<string, unknown>;

const PROVIDERS: Record<string, string> = {
  anthropic: "ANTHROPIC_API_KEY", openai: "OPENAI_API_KEY", gemini: "GEMINI_API_KEY", groq: "GROQ_API_KEY", deepseek: "DEEPSEEK_API_KEY", openrouter: "OPENROUTER_API_KEY",
};
const OFFLINE = "offline/assistant";

function Foot({ onSkip, isBusy, isEmpty = false, action }: { onSkip: () => void; isBusy: boolean; isEmpty?: boolean; action: string }) {
  return <div class="dialog-foot"><button type="button" class="button" disabled={isBusy} onClick={onSkip}>{t("start.skip")}</button><button class="button primary" disabled={isBusy || isEmpty}>{action}</button></div>;
}

function ModelStep({ onNext }: { onNext: () => void }) {
  const known = useLoaded(() => api.get<{ models: Record<string, string[]> }>("api/settings/models"));
  const [provider, setProvider] = useState("anthropic");
  const [model, setModel] = useState("");
  const [key, setKey] = useState("");
  const [problem, setProblem] = useState<string | undefined>();
  const [isBusy, setBusy] = useState(false);
  const models = known.data?.models[provider] ?? [];
  const chosen = `${provider}/${models.includes(model) ? model : (models.find((each) => /haiku|mini|flash/.test(each)) ?? models[0] ?? "")}`;
  const save = async () => {
    if (!key.trim()) return setProblem(t("start.no_key"));
    setBusy(true);
    try {
      await api.put(`api/settings/vault/${enc(PROVIDERS[provider]!)}`, { value: key.trim() });
      const general = await api.get<Body>("api/settings/general");
      await api.put("api/settings/general", { ...general, models: [chosen, OFFLINE] });
      const result = await api.post<{ ok: boolean; error: string | null }>("api/settings/models/test", { model: chosen });
      if (result.ok) return onNext();
      setProblem(`${result.error ?? ""} ${t("start.mend")}`);
    } catch (error) {
      setProblem((error as ApiError).message);
    }
    setBusy(false);
  };
  return (
    <Card title={t("start.model")}>
      <p>{t("start.model_text")}</p>
      {known.problem && <Failure text={known.problem} retry={known.reload} />}
      <form class="stack" onSubmit={(event) => { event.preventDefault(); void save(); }}>
        <div class="field-row">
          <Field label={t("start.provider")}>{(ids) => <select {...ids} value={provider} onChange={(event) => { setProvider(event.currentTarget.value); setProblem(undefined); }}>{Object.keys(PROVIDERS).map((each) => <option key={each} value={each}>{each}</option>)}</select>}</Field>
          <Field label={t("start.which")}>{(ids) => <select {...ids} value={chosen.slice(provider.length + 1)} onChange={(event) => setModel(event.currentTarget.value)}>{models.map((each) => <option key={each} value={each}>{each}</option>)}</select>}</Field>
        </div>
        <Field label={t("start.key")} help={t("start.key_help", { name: PROVIDERS[provider]! })} error={problem}>{(ids) => <input {...ids} type="password" autocomplete="off" value={key} onInput={(event) => { setKey(event.currentTarget.value); setProblem(undefined); }} />}</Field>
        <div class="dialog-foot"><button type="button" class="button" disabled={isBusy} onClick={onNext}>{t("start.look")}</button><button class="button primary" disabled={isBusy}>{t(isBusy ? "start.trying" : "start.connect")}</button></div>
      </form>
    </Card>
  );
}

function NameStep({ onNext }: { onNext: () => void }) {
  const [name, setName] = useState(boot.agent_name);
  const [tone, setTone] = useState("");
  const [problem, setProblem] = useState<string | undefined>();
  const [isBusy, setBusy] = useState(false);
  const save = async () => {
    setBusy(true);
    try {
      const general = await api.get<Body>("api/settings/general");
      await api.put("api/settings/general", { ...general, agent_name: name.trim() || boot.agent_name });
      if (tone.trim()) {
        const soul = await api.get<{ content: string }>("api/settings/files/SOUL.md");
        await api.put("api/settings/files/SOUL.md", { content: `${soul.content.trimEnd()}\n\n${tone.trim()}\n` });
      }
      return onNext();
    } catch (error) {
      setProblem((error as ApiError).message);
    }
    setBusy(false);
  };
  return (
    <Card title={t("start.name")}>
      <form class="stack" onSubmit={(event) => { event.preventDefault(); void save(); }}>
        <Field label={t("start.called")} error={problem}>{(ids) => <input {...ids} value={name} onInput={(event) => setName(event.currentTarget.value)} />}</Field>
        <Field label={t("start.tone")} help={t("start.tone_help")}>{(ids) => <textarea {...ids} rows={3} value={tone} onInput={(event) => setTone(event.currentTarget.value)} />}</Field>
        <Foot onSkip={onNext} isBusy={isBusy} action={t("start.next")} />
      </form>
    </Card>
  );
}

function ChannelStep({ onNext }: { onNext: () => void }) {
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState<string | undefined>();
  const [isBusy, setBusy] = useState(false);
  const save = async () => {
    setBusy(true);
    try {
      await api.put("api/settings/channels", { telegram: { enabled: true, bot_token: token.trim() } });
      return onNext();
    } catch (error) {
      setProblem((error as ApiError).message);
    }
    setBusy(false);
  };
  return (
    <Card title={t("start.channel")}>
      <p>{t("start.channel_text")}</p>
      <form class="stack" onSubmit={(event) => { event.preventDefault(); void save(); }}>
        <Field label={t("start.token")} help={t("start.token_help")} error={problem}>{(ids) => <input {...ids} type="password" autocomplete="off" value={token} onInput={(event) => setToken(event.currentTarget.value)} />}</Field>
        <Foot onSkip={onNext} isBusy={isBusy} isEmpty={!token.trim()} action={t("start.finish")} />
      </form>
    </Card>
  );
}

export default function Start() {
  const [step, setStep] = useState(0);
  const next = () => {
    if (step < 2) return setStep(step + 1);
    toast(t("start.ready"));
    // The name and the models stand in the page itself.
    void go("").then(() => location.reload());
  };
  const Step = [ModelStep, NameStep, ChannelStep][step]!;
  return (
    <div class="page narrow">
      <PageHead title={t("start.title")} hint={t("start.step", { n: step + 1 })}><a class="button" {...link("")}>{t("start.later")}</a></PageHead>
      <Step onNext={next} key={step} />
    </div>
  );
}
