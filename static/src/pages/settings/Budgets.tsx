/** Limits on what may be spent: how much of each is used, and limits of single people. */
import { useState } from "preact/hooks";
import { api, enc, wrongFields } from "../../api/client";
import { fully, money, t } from "../../i18n";
import { Dialog } from "../../ui/dialog";
import { Card, Failure, Field, useLoaded } from "../../ui/parts";
import { SettingsForm } from "./Form";
import { nameOf, type Person } from "./people";

interface Limit {
  scope: "user" | "job" | "total";
  period: "day" | "month";
  limit_usd: number;
  spent_usd: number;
  remaining_usd: number;
  resets_at: string;
}
interface Own {
  daily_usd: number | null;
  monthly_usd: number | null;
  limits: Limit[];
}

function Standing({ limits, isOfAnother = false }: { limits: Limit[]; isOfAnother?: boolean }) {
  return (
    <ul class="shares">
      {limits.map((limit) => {
        const share = limit.limit_usd ? Math.min(1, limit.spent_usd / limit.limit_usd) : 1;
        return (
          <li key={`${limit.scope}.${limit.period}`}>
            <span>{t(isOfAnother ? `budgets.${limit.period}` : `budgets.${limit.scope}_${limit.period}`)}</span>
            <span>{t("budgets.of", { spent: money(limit.spent_usd), limit: money(limit.limit_usd) })}</span>
            <span class={share >= 0.8 ? "meter full" : "meter"} aria-hidden="true"><span style={{ width: `${100 * share}%` }} /></span>
            <span class="quiet">{t("budgets.resets", { when: fully(limit.resets_at) })}</span>
          </li>
        );
      })}
    </ul>
  );
}

export function Budgets() {
  const own = useLoaded(() => api.get<{ limits: Limit[] }>("api/budget"));
  return (
    <>
      <Card title={t("budgets.used")}>
        {own.problem && <Failure text={own.problem} retry={own.reload} />}
        {own.data?.limits.length === 0 && <p class="quiet">{t("budgets.none")}</p>}
        {own.data && own.data.limits.length > 0 && <Standing limits={own.data.limits} />}
      </Card>
      <SettingsForm section="budgets" title={t("settings.budgets")} onSaved={own.reload}><p class="quiet">{t("budgets.hint")}</p></SettingsForm>
    </>
  );
}

export function PersonBudget({ person, onClose }: { person: Person; onClose: (saved: boolean) => void }) {
  const path = `api/settings/budgets/users/${enc(person.id)}`;
  const { data, problem, reload } = useLoaded(() => api.get<Own>(path));
  const [edits, setEdits] = useState<Record<string, string>>({});
  const [errors, setErrors] = useState<Record<string, string>>({});
  const text = (name: "daily_usd" | "monthly_usd") => edits[name] ?? data?.[name]?.toString() ?? "";
  const save = async () => {
    const amount = (name: "daily_usd" | "monthly_usd") => (text(name).trim() === "" ? null : Number(text(name)));
    try {
      await api.put(path, { daily_usd: amount("daily_usd"), monthly_usd: amount("monthly_usd") });
      onClose(true);
    } catch (error) {
      setErrors(wrongFields(error, "daily_usd"));
    }
  };
  return (
    <Dialog title={t("budgets.of_person", { name: nameOf(person) })} onClose={() => onClose(false)}>
      {problem && <Failure text={problem} retry={reload} />}
      {data && (
        <form class="stack" noValidate onSubmit={(event) => { event.preventDefault(); void save(); }}>
          <div class="field-row">
            {(["daily_usd", "monthly_usd"] as const).map((name) => (
              <Field key={name} label={t(`budgets.${name}`)} help={t("budgets.as_all")} error={errors[name]}>{(ids) => <input {...ids} type="number" min={0} step="any" inputMode="decimal" value={text(name)} onInput={(event) => { setEdits({ ...edits, [name]: event.currentTarget.value }); setErrors({}); }} />}</Field>
            ))}
          </div>
          {data.limits.length > 0 && <Standing limits={data.limits.filter((limit) => limit.scope === "user")} isOfAnother />}
          <div class="dialog-foot"><button type="button" class="button" onClick={() => onClose(false)}>{t("cancel")}</button><button class="button primary">{t("save")}</button></div>
        </form>
      )}
    </Dialog>
  );
}
