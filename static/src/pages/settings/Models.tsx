/** Whether the models answer, tried one by one. */
import { useState } from "preact/hooks";
import { api } from "../../api/client";
import { boot } from "../../app/boot";
import { link } from "../../app/router";
import { t } from "../../i18n";
import { Card } from "../../ui/parts";

interface Result {
  ok: boolean;
  error: string | null;
}

export function ModelTests() {
  const [results, setResults] = useState<Record<string, Result | "busy">>({});
  const test = async (model: string) => {
    setResults((all) => ({ ...all, [model]: "busy" }));
    const result = await api.post<Result>("api/settings/models/test", { model }).catch((error: Error) => ({ ok: false, error: error.message }));
    setResults((all) => ({ ...all, [model]: result }));
  };
  return (
    <Card title={t("models.test")}>
      <p class="quiet">{t("models.hint")} <a {...link("settings/vault")}>{t("settings.vault")}</a></p>
      <ul class="list">
        {boot.models.map((model) => {
          const result = results[model];
          return (
            <li key={model}>
              <div class="grow"><b class="mono">{model}</b>{result && result !== "busy" && <div class={result.ok ? "ok" : "error"} role="status">{result.ok ? t("models.works") : result.error}</div>}</div>
              <button type="button" class="button" disabled={result === "busy"} onClick={() => void test(model)}>{t("models.try")}</button>
            </li>
          );
        })}
      </ul>
    </Card>
  );
}
