/** Native dialogs: focus is held inside, Esc closes, and focus goes back to where it was. */
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { t } from "../i18n";
import { Icon, X } from "./icons";

interface Props {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  class?: string;
  hideTitle?: boolean;
}

/** Shown as long as it is in the tree. */
export function Dialog({ title, onClose, children, class: name = "", hideTitle = false }: Props) {
  const place = useRef<HTMLDialogElement>(null);
  const id = useId();
  // Before anything else is done: what is typed at once belongs into it.
  useLayoutEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    const dialog = place.current!;
    dialog.showModal();
    return () => {
      dialog.close();
      before?.focus?.();
    };
  }, []);
  return (
    <dialog
      ref={place}
      class={`dialog ${name}`}
      aria-labelledby={id}
      onCancel={(event) => { event.preventDefault(); onClose(); }}
      onMouseDown={(event) => event.target === place.current && onClose()}
    >
      <div class="dialog-inside">
        <header class={hideTitle ? "hidden" : "dialog-head"}>
          <h2 id={id}>{title}</h2>
          {!hideTitle && (
            <button type="button" class="icon-button" aria-label={t("close")} onClick={onClose}>
              <Icon of={X} />
            </button>
          )}
        </header>
        {children}
      </div>
    </dialog>
  );
}

interface Question {
  title: string;
  text: string;
  action: string;
  isDanger: boolean;
  answer: (yes: boolean) => void;
}
const asked = signal<Question | null>(null);

/** `if (await confirm({ title, text, action: t("delete"), isDanger: true })) …` */
export const confirm = (question: { title: string; text: string; action: string; isDanger?: boolean }): Promise<boolean> =>
  new Promise((resolve) => {
    // Whoever asked before hears "no": nobody is left waiting for a question that is not shown any more.
    asked.peek()?.answer(false);
    asked.value = { isDanger: false, ...question, answer: (yes) => { asked.value = null; resolve(yes); } };
  });

interface Prompt {
  title: string;
  label: string;
  value: string;
  answer: (text: string | null) => void;
}
const prompted = signal<Prompt | null>(null);

/** Ask for one line of text; null when it was called off. */
export const ask = (prompt: { title: string; label: string; value?: string }): Promise<string | null> =>
  new Promise((resolve) => {
    prompted.peek()?.answer(null);
    prompted.value = { value: "", ...prompt, answer: (text) => { prompted.value = null; resolve(text); } };
  });

/** Where questions appear; once, in the shell. */
export function Questions() {
  const question = asked.value;
  const prompt = prompted.value;
  return (
    <>
      {question && (
        <Dialog title={question.title} onClose={() => question.answer(false)}>
          <p>{question.text}</p>
          <div class="dialog-foot">
            <button type="button" class="button" autofocus onClick={() => question.answer(false)}>{t("cancel")}</button>
            <button type="button" class={question.isDanger ? "button danger" : "button primary"} onClick={() => question.answer(true)}>{question.action}</button>
          </div>
        </Dialog>
      )}
      {prompt && (
        <Dialog title={prompt.title} onClose={() => prompt.answer(null)}>
          <form onSubmit={(event) => { event.preventDefault(); prompt.answer(new FormData(event.currentTarget).get("text") as string); }}>
            <label class="field"><span>{prompt.label}</span><input name="text" value={prompt.value} autofocus required maxLength={1000} onFocus={(event) => event.currentTarget.select()} /></label>
            <div class="dialog-foot">
              <button type="button" class="button" onClick={() => prompt.answer(null)}>{t("cancel")}</button>
              <button type="submit" class="button primary">{t("save")}</button>
            </div>
          </form>
        </Dialog>
      )}
    </>
  );
}
