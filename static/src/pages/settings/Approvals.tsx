/** Answers to "May I use this tool?" that are remembered. */
import { api, enc } from "../../api/client";
import { link } from "../../app/router";
import { briefly, t } from "../../i18n";
import { Card, Failure, useLoaded } from "../../ui/parts";
import { tell } from "../../ui/toast";

interface Answer {
  id: string;
  tool_name: string;
  subject: string;
  decision: "approve" | "deny";
  session_id: string | null;
  created_at: string;
}

export function Approvals() {
  const { data, problem, reload } = useLoaded(() => api.get<{ remembered: Answer[] }>("api/approvals"));
  const forget = (answer: Answer) => void api.delete(`api/approvals/${enc(answer.id)}`).then(reload, tell);
  return (
    <Card title={t("approvals.title")}>
      <p class="quiet">{t("approvals.hint")}</p>
      {problem && <Failure text={problem} retry={reload} />}
      {data?.remembered.length === 0 && <p>{t("approvals.none")}</p>}
      {data && data.remembered.length > 0 && (
        <ul class="list">
          {data.remembered.map((answer) => (
            <li key={answer.id} class="wrap">
              <div class="grow">
                <b>{answer.tool_name}</b> {answer.subject && <code class="mono">{answer.subject}</code>} <span class={answer.decision === "approve" ? "badge ok" : "badge error"}>{t(answer.decision === "approve" ? "approvals.allowed" : "approvals.denied")}</span>
                <div class="quiet">{answer.session_id ? <a {...link(`c/${answer.session_id}`)}>{t("approvals.one_chat")}</a> : t("approvals.always")} · {briefly(answer.created_at)}</div>
              </div>
              <button type="button" class="button" aria-label={`${t("approvals.forget")}: ${answer.tool_name} ${answer.subject}`} onClick={() => forget(answer)}>{t("approvals.forget")}</button>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
