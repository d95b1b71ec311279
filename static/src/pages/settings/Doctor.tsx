/** The doctor: what is wrong with the gateway, and how to mend it. It looks when it is asked to. */
import { useState } from "preact/hooks";
import { api } from "../../api/client";
import { t } from "../../i18n";
import { Card, Failure } from "../../ui/parts";

type State = "ok" | "warn" | "fail";
interface Report {
  status: State;
  checks: { name: string; state: State; cause: string; fix: string | null; command: string | null }[];
}
const BADGE = { ok: "badge ok", warn: "badge warn", fail: "badge error" };
const FIRST: State[] = ["fail", "warn", "ok"];

export function Doctor() {
  const [report, setReport] = useState<Report | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const look = async () => {
    setBusy(true);
    setProblem(null);
    await api.get<Report>("api/doctor").then(setReport, (error: Error) => setProblem(error.message));
    setBusy(false);
  };
  return (
    <Card title={t("doctor.title")}>
      <p class="quiet">{t("doctor.hint")}</p>
      {problem && <Failure text={problem} retry={() => void look()} />}
      {report && (
        <ul class="list" aria-label={t("doctor.title")}>
          {report.checks.toSorted((a, b) => FIRST.indexOf(a.state) - FIRST.indexOf(b.state)).map((check) => (
            <li key={check.name + check.cause} class="wrap"><div class="grow"><b>{check.name}</b> <span class={BADGE[check.state]}>{t(`doctor.${check.state}`)}</span><div class="quiet">{check.cause}</div>{check.fix && <p>{check.fix}</p>}{check.command && <code class="mono">{check.command}</code>}</div></li>
          ))}
        </ul>
      )}
      <div class="row"><button type="button" class="button" disabled={isBusy} onClick={() => void look()}>{t(isBusy ? "doctor.busy" : report ? "doctor.again" : "doctor.look")}</button></div>
    </Card>
  );
}
