/** Pieces that pages are made of: head, card, field, table, empty state, failure, segments. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { boot } from "../app/boot";
import { setTitle } from "../app/news";
import { t } from "../i18n";
import { onOpen } from "../socket/socket";

export function PageHead({ title, hint, children }: { title: string; hint?: string; children?: ComponentChildren }) {
  useEffect(() => setTitle(`${title} · ${boot.agent_name}`), [title]);
  return (
    <header class="page-head">
      <div>
        <h1 tabIndex={-1}>{title}</h1>
        {hint && <p>{hint}</p>}
      </div>
      {children && <div class="row">{children}</div>}
    </header>
  );
}

export const Card = ({ title, children, class: name = "" }: { title?: string; children: ComponentChildren; class?: string }) => (
  <section class={`card ${name}`}>
    {title && <h2>{title}</h2>}
    {children}
  </section>
);

/** A label, its control, help and the server's complaint, tied together for screen readers. */
export function Field({ label, help, error, children }: { label: string; help?: string; error?: string | undefined; children: (ids: { id: string; "aria-describedby": string; "aria-invalid": boolean }) => JSX.Element }) {
  const id = useId();
  return (
    <div class={error ? "field invalid" : "field"}>
      <label for={id}>{label}</label>
      {children({ id, "aria-describedby": `${id}-help`, "aria-invalid": Boolean(error) })}
      <p id={`${id}-help`} class="help">
        {error ? <span class="error">{error}</span> : help}
      </p>
    </div>
  );
}

export interface Column<T> {
  head: string;
  cell: (row: T) => ComponentChildren;
  isNumber?: boolean;
}

export function Table<T>({ columns, rows, keyOf, label }: { columns: Column<T>[]; rows: T[]; keyOf: (row: T) => string | number; label: string }) {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label={label}>
      <table class="table">
        <thead>
          <tr>{columns.map((column) => <th key={column.head} scope="col" class={column.isNumber ? "right" : ""}>{column.head}</th>)}</tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>{columns.map((column) => <td key={column.head} class={column.isNumber ? "right" : ""}>{column.cell(row)}</td>)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export const Empty = ({ title, text, children }: { title: string; text: string; children?: ComponentChildren }) => (
  <div class="empty">
    <h2>{title}</h2>
    <p>{text}</p>
    {children}
  </div>
);

export const Failure = ({ text, retry }: { text: string; retry?: () => void }) => (
  <div class="failure" role="alert">
    <p>{text}</p>
    {retry && <button type="button" class="button" onClick={retry}>{t("retry")}</button>}
  </div>
);

/** A choice of few, as one control. */
export function Segments<V extends string>({ label, options, value, onChange }: { label: string; options: [V, string][]; value: V; onChange: (value: V) => void }) {
  const name = useId();
  return (
    <fieldset class="segments">
      <legend class="hidden">{label}</legend>
      {options.map(([key, text]) => (
        <label key={key}>
          <input type="radio" name={name} checked={key === value} onChange={() => onChange(key)} />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}

/** What a page loads: `data` once there, `problem` in words when it failed, `reload` to ask again. */
export function useLoaded<T>(load: () => Promise<T>, deps: unknown[] = []): { data: T | null; problem: string | null; reload: () => void; set: (data: T) => void } {
  const [data, set] = useState<T | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    let isHere = true;
    load().then(
      (found) => isHere && (set(() => found), setProblem(null)),
      (error: unknown) => isHere && setProblem(error instanceof ApiError ? error.message : String(error)),
    );
    return () => void (isHere = false);
  }, [...deps, round]);
  // What could not be read is read when the line is back.
  useEffect(() => (problem === null ? undefined : onOpen(() => setRound((n) => n + 1))), [problem]);
  return { data, problem, reload: () => setRound((n) => n + 1), set: (value) => set(() => value) };
}
