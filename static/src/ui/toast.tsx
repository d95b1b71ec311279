/** Short news at the foot of the sidebar, never over the text. Errors stay until they are read. */
import { signal } from "@preact/signals";
import { t } from "../i18n";
import { CircleAlert, Check, Icon, X } from "./icons";

export interface Action {
  label: string;
  run: () => void;
}
interface Toast {
  id: number;
  kind: "ok" | "error";
  title: string;
  text: string;
  actions: Action[];
}

const SHOWN_MS = 6000;
const MOST = 3;
const toasts = signal<Toast[]>([]);
let count = 0;

export const dismiss = (id: number): void => void (toasts.value = toasts.value.filter((toast) => toast.id !== id));

/** `toast("Deleted", { actions: [{ label: "Undo", run }] })`; `kind: "error"` stays. */
export function toast(title: string, { kind = "ok", text = "", actions = [] }: { kind?: Toast["kind"]; text?: string; actions?: Action[] } = {}): void {
  const id = ++count;
  toasts.value = [...toasts.value, { id, kind, title, text, actions }].slice(-MOST);
  if (kind === "ok") setTimeout(() => dismiss(id), actions.length ? SHOWN_MS * 1.5 : SHOWN_MS);
}

/** Tell of a failure of any kind. */
export function tell(error: unknown): void {
  toast(t("error.title"), { kind: "error", text: error instanceof Error ? error.message : String(error) });
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((each) => (
        <div class={`toast ${each.kind}`} key={each.id}>
          <Icon of={each.kind === "error" ? CircleAlert : Check} />
          <div class="toast-body">
            <strong>{each.title}</strong>
            {each.text && <p>{each.text}</p>}
            {each.actions.length > 0 && (
              <div class="row">
                {each.actions.map((action) => (
                  <button type="button" class="text-button" key={action.label} onClick={() => { dismiss(each.id); action.run(); }}>
                    {action.label}
                  </button>
                ))}
              </div>
            )}
          </div>
          <button type="button" class="icon-button" aria-label={t("close")} onClick={() => dismiss(each.id)}>
            <Icon of={X} size={15} />
          </button>
        </div>
      ))}
    </div>
  );
}
