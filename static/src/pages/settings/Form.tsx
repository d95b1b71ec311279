/** A settings page drawn from the schema. What is typed stays until it is saved or thrown away on purpose. */
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { api, ApiError } from "../../api/client";
import { leaveGuard } from "../../app/router";
import { locale, t } from "../../i18n";
import { confirm } from "../../ui/dialog";
import { Card, Failure, Field, useLoaded } from "../../ui/parts";
import { tell, toast } from "../../ui/toast";
import { fieldsOf, type FieldSpec } from "./schema";

type Body = Record<string, unknown>;
type Values = Record<string, unknown>;

const valueIn = (body: Body, field: string): unknown => field.split(".").reduce<unknown>((found, part) => (found as Body | null)?.[part], body);

/** The body with one field changed, deep places included. */
function changed(body: Body, field: string, value: unknown): Body {
  const [first, ...rest] = field.split(".");
  return { ...body, [first!]: rest.length ? changed((body[first!] as Body | null) ?? {}, rest.join("."), value) : value };
}

const unsaved = new Set<symbol>();
const askToLeave = () => confirm({ title: t("settings.unsaved"), text: t("settings.unsaved_text"), action: t("settings.leave"), isDanger: true });

/** Asks before the page is left while something is not saved, in this form or another of the page. */
export function useLeaveGuard(isDirty: boolean): void {
  // Before the next paint: whoever types and leaves at once is asked, too.
  useLayoutEffect(() => {
    if (!isDirty) return;
    const own = Symbol();
    unsaved.add(own);
    leaveGuard.ask = askToLeave;
    return () => {
      unsaved.delete(own);
      if (!unsaved.size) leaveGuard.ask = null;
    };
  }, [isDirty]);
}

export function SaveBar({ isDirty, isBusy, onDiscard, children }: { isDirty: boolean; isBusy: boolean; onDiscard: () => void; children?: ComponentChildren }) {
  return (
    <div class={isDirty ? "save-bar dirty" : "save-bar"}>
      {isDirty ? <button type="button" class="button" onClick={onDiscard}>{t("settings.discard")}</button> : children}
      <button class="button primary" disabled={!isDirty || isBusy}>{t("save")}</button>
    </div>
  );
}

function Control({ spec, value, ids, onChange }: { spec: FieldSpec; value: unknown; ids: Record<string, unknown>; onChange: (value: unknown) => void }) {
  const text = value === null || value === undefined ? "" : String(value);
  switch (spec.kind) {
    case "choice":
      return (
        <select {...ids} value={text} onChange={(event) => onChange(event.currentTarget.value || null)}>
          {spec.isNullable && <option value="">{t("settings.none")}</option>}
          {spec.choices.map(({ value: choice, label }) => <option key={choice} value={choice}>{label}</option>)}
        </select>
      );
    case "number":
      return (
        <input
          {...ids} type="number" inputMode="decimal" value={text} min={spec.least} max={spec.most} step={spec.isInteger ? 1 : "any"}
          onInput={(event) => { const raw = event.currentTarget.value; onChange(raw === "" ? (spec.isNullable ? null : raw) : Number(raw)); }}
        />
      );
    case "secret":
      return <Secret ids={ids} value={text} onChange={onChange} />;
    case "list":
      return <textarea {...ids} rows={3} value={((value as string[] | null) ?? []).join("\n")} placeholder={t("settings.one_a_line")} onInput={(event) => onChange(event.currentTarget.value.split("\n"))} />;
    default:
      return <input {...ids} type="text" value={text} spellcheck={false} onInput={(event) => onChange(event.currentTarget.value === "" && spec.isNullable ? null : event.currentTarget.value)} />;
  }
}

/** A secret is replaced or taken out; what is kept is only shown by its end. */
function Secret({ ids, value, onChange }: { ids: Record<string, unknown>; value: string; onChange: (value: unknown) => void }) {
  const isKept = value.startsWith("••");
  return (
    <div class="row secret">
      <input {...ids} class="grow" type="password" autocomplete="off" value={isKept ? "" : value} placeholder={isKept ? value : t("settings.secret_none")} onInput={(event) => onChange(event.currentTarget.value)} />
      {isKept && <button type="button" class="button" onClick={() => onChange("")}>{t("settings.secret_remove")}</button>}
    </div>
  );
}

const sent = (spec: FieldSpec, value: unknown): unknown => (spec.kind === "list" ? (value as string[]).map((line) => line.trim()).filter(Boolean) : value);

export function SettingsForm({ section, title, only, children, onSaved }: { section: string; title?: string; only?: string[]; children?: ComponentChildren; onSaved?: () => void }) {
  const loaded = useLoaded(() => Promise.all([fieldsOf(section), api.get<Body>(`api/settings/${section}`)]), [section, locale.value]);
  const [edits, setEdits] = useState<Values>({});
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [isBusy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const isDirty = Object.keys(edits).length > 0;
  useLeaveGuard(isDirty);
  if (loaded.problem) return <Failure text={loaded.problem} retry={loaded.reload} />;
  if (!loaded.data) return <Card {...(title ? { title } : {})}><p class="quiet">{t("loading")}</p></Card>;
  const [all, body] = loaded.data;
  const specs = only ? all.filter((spec) => only.includes(spec.field)) : all;

  const edit = (spec: FieldSpec, value: unknown) => {
    const before = valueIn(body, spec.field);
    const { [spec.field]: _, ...others } = edits;
    setEdits(JSON.stringify(sent(spec, value)) === JSON.stringify(before ?? (spec.kind === "secret" ? "" : null)) ? others : { ...others, [spec.field]: value });
    if (errors[spec.field]) setErrors({ ...errors, [spec.field]: "" });
  };
  const save = async () => {
    setBusy(true);
    try {
      // Another form, or another person, may have changed the rest of the page meanwhile.
      let whole = await api.get<Body>(`api/settings/${section}`);
      for (const spec of specs) if (spec.field in edits) whole = changed(whole, spec.field, sent(spec, edits[spec.field]));
      const answer = await api.put<{ restart_needed?: string[] }>(`api/settings/${section}`, whole);
      setEdits({});
      setErrors({});
      loaded.reload();
      onSaved?.();
      toast(t("settings.saved"), answer.restart_needed ? { text: t("settings.restart", { keys: answer.restart_needed.join(", ") }) } : {});
    } catch (error) {
      const fields = error instanceof ApiError ? error.fields : {};
      const known = Object.fromEntries(specs.map((spec) => [spec.field, Object.entries(fields).find(([name]) => name === spec.field || name.startsWith(`${spec.field}.`))?.[1] ?? ""]));
      setErrors(known);
      if (!Object.values(known).some(Boolean)) tell(error);
      requestAnimationFrame(() => form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
    }
    setBusy(false);
  };
  return (
    <form ref={form} noValidate onSubmit={(event) => { event.preventDefault(); void save(); }}>
      <Card {...(title ? { title } : {})}>
        {children}
        {specs.map((spec) => {
          const value = spec.field in edits ? edits[spec.field] : valueIn(body, spec.field);
          const help = spec.needsRestart ? `${spec.help.replace(/ \(restart to change\)$/, "")}. ${t("settings.needs_restart")}` : spec.help;
          return spec.kind === "switch" ? (
            <div class="field" key={spec.field}>
              <label class="check"><input type="checkbox" name={spec.field} checked={Boolean(value)} onChange={(event) => edit(spec, event.currentTarget.checked)} /><span>{spec.label}</span></label>
              <p class="help">{help}</p>
            </div>
          ) : (
            <Field key={spec.field} label={spec.label} help={help} error={errors[spec.field] || undefined}>
              {(ids) => <Control spec={spec} value={value} ids={{ ...ids, name: spec.field }} onChange={(next) => edit(spec, next)} />}
            </Field>
          );
        })}
      </Card>
      <SaveBar isDirty={isDirty} isBusy={isBusy} onDiscard={() => { setEdits({}); setErrors({}); }} />
    </form>
  );
}
