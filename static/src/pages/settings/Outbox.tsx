/** What is on its way to people outside, and what could not be delivered. */
import { useState } from "preact/hooks";
import { api, withQuery } from "../../api/client";
import { briefly, t } from "../../i18n";
import { Card, Failure, Segments, useLoaded } from "../../ui/parts";
import { tell, toast } from "../../ui/toast";

type State = "waiting" | "sending" | "sent" | "dead";
interface Delivery {
  id: number;
  channel: string;
  title: string;
  text: string;
  state: State;
  attempts: number;
  error: string | null;
  created_at: string;
  next_attempt_at: string | null;
}
const BADGE = { waiting: "badge live", sending: "badge live", sent: "badge ok", dead: "badge error" };

export function Outbox() {
  const [state, setState] = useState<State | "all">("all");
  const { data, problem, reload } = useLoaded(() => api.get<{ deliveries: Delivery[]; counts: Partial<Record<State, number>> }>("api/outbox", { state: state === "all" ? null : state, limit: 50 }), [state]);
  const retry = (each: Delivery) => void api.post(`api/outbox/${each.id}/retry`).then(() => { toast(t("outbox.again_now")); reload(); }, tell);
  const drop = (each: Delivery) => void api.delete(withQuery(`api/outbox/${each.id}`, {})).then(reload, tell);
  const isNone = data && Object.values(data.counts).every((count) => !count);
  return (
    <Card title={t("outbox.title")}>
      <p class="quiet">{t("outbox.hint")}</p>
      {problem && <Failure text={problem} retry={reload} />}
      {isNone && <p>{t("outbox.none")}</p>}
      {data && !isNone && (
        <>
          <Segments label={t("outbox.title")} value={state} onChange={setState} options={[["all", t("usage.all")], ["waiting", t("outbox.waiting")], ["dead", t("outbox.dead")], ["sent", t("outbox.sent")]]} />
          {data.deliveries.length === 0 && <p class="quiet">{t("outbox.none_here")}</p>}
          {data.deliveries.length > 0 && (
            <ul class="list">
              {data.deliveries.map((each) => (
                <li key={each.id} class="wrap">
                  <div class="grow">
                    <b dir="auto">{each.title}</b> <span class={BADGE[each.state]}>{t(`outbox.${each.state}`)}</span>
                    <div class="quiet">{[each.channel, briefly(each.created_at), each.attempts > 0 && t("outbox.attempts", { n: each.attempts }), each.next_attempt_at && t("outbox.next", { when: briefly(each.next_attempt_at) })].filter(Boolean).join(" · ")}</div>
                    {each.error && <div class="error">{each.error}</div>}
                  </div>
                  {each.state !== "sent" && <button type="button" class="button" aria-label={`${t("retry")}: ${each.title}`} onClick={() => retry(each)}>{t("retry")}</button>}
                  {(each.state === "waiting" || each.state === "dead") && <button type="button" class="button" aria-label={`${t("outbox.drop")}: ${each.title}`} onClick={() => drop(each)}>{t("outbox.drop")}</button>}
                </li>
              ))}
            </ul>
          )}
        </>
      )}
    </Card>
  );
}
