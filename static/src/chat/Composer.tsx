/** Where messages are written: draft, files, slash menu, send and stop. */
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { api } from "../api/client";
import type { Attachment, Skill } from "../api/types";
import { user } from "../app/auth";
import { load, save } from "../app/storage";
import { money, t } from "../i18n";
import { ArrowDown, ArrowUp, FileText, Icon, Paperclip, Square, X } from "../ui/icons";
import { directionOf, LONG_TEXT } from "../ui/direction";
import { tell } from "../ui/toast";
import type { Conversation } from "./conversation";
import { isPicture, objection, read, sourceOf } from "./files";

interface Props {
  talk: Conversation;
  model: string | null;
  isFollowing: boolean;
  onLatest: () => void;
  onSent: () => void;
}

/** Files chosen for a conversation stay with it while another one is shown. */
const chosenFiles = new WeakMap<Conversation, Attachment[]>();
let skills: Promise<Skill[]> | null = null;
const isTouch = matchMedia("(pointer: coarse)").matches;
const REST_MS = 400;
let resting = 0;

/** Storing a long text at every key would be felt. */
function keepDraft(name: string, value: string): void {
  clearTimeout(resting);
  if (value.length <= LONG_TEXT) save(name, value || null);
  else resting = window.setTimeout(() => save(name, value), REST_MS);
}

export function Composer({ talk, model, isFollowing, onLatest, onSent }: Props) {
  const draft = `draft.${user?.id ?? ""}.${talk.id ?? "new"}`;
  const [text, setText] = useState(() => load(draft) ?? "");
  const [files, setFiles] = useState<Attachment[]>(() => chosenFiles.get(talk) ?? []);
  const [problem, setProblem] = useState<string | null>(null);
  const [isOver, setOver] = useState(false);
  const [menu, setMenu] = useState<Skill[]>([]);
  const [here, setHere] = useState(0);
  const box = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const id = useId();
  const isRunning = talk.isRunning;
  const canSend = text.trim() !== "" || files.length > 0;

  const write = (value: string) => {
    setText(value);
    setProblem(null);
    keepDraft(draft, value);
    const wanted = /^\/([\w-]*)$/.exec(value)?.[1];
    if (wanted === undefined) return menu.length ? setMenu([]) : undefined;
    skills ??= api.get<Skill[]>("api/skills").catch(() => ((skills = null), []));
    void skills.then((all) => (setMenu(all.filter((skill) => skill.name.startsWith(wanted)).slice(0, 20)), setHere(0)));
  };
  const keep = (all: Attachment[]) => {
    chosenFiles.set(talk, all);
    setFiles(all);
  };
  const add = async (list: Iterable<File>) => {
    const refused: string[] = [];
    const taken: Attachment[] = [];
    for (const file of list) {
      const reason = objection(file);
      if (reason) refused.push(reason);
      else await read(file).then((each) => taken.push(each), (error: Error) => refused.push(error.message));
    }
    keep([...(chosenFiles.get(talk) ?? []), ...taken]);
    setProblem(refused.join(" ") || null);
    box.current?.focus();
  };
  const submit = () => {
    if (!canSend) return;
    talk.say(text, files, model);
    write("");
    setMenu([]);
    keep([]);
    onSent();
    box.current?.focus();
  };

  // Files may be dropped anywhere on the window.
  useEffect(() => {
    const over = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      setOver(event.type !== "dragleave" || event.relatedTarget !== null);
    };
    const drop = (event: DragEvent) => {
      if (!event.dataTransfer?.files.length) return;
      event.preventDefault();
      setOver(false);
      void add(event.dataTransfer.files).catch(tell);
    };
    for (const name of ["dragover", "dragleave"] as const) addEventListener(name, over);
    addEventListener("drop", drop);
    return () => {
      for (const name of ["dragover", "dragleave"] as const) removeEventListener(name, over);
      removeEventListener("drop", drop);
    };
  }, [talk]);
  // Before the first paint: what is seen can be written in.
  useLayoutEffect(() => {
    if (!isTouch) box.current?.focus();
  }, [talk]);

  // A message that was refused comes back to be changed; what stands here already stays.
  const back = talk.recalled.value;
  useEffect(() => {
    if (!back) return;
    talk.recalled.value = null;
    write([back.text, text].filter(Boolean).join("\n\n"));
    keep([...back.files, ...files]);
    box.current?.focus();
  }, [back]);

  const choose = (skill: Skill | undefined) => {
    if (!skill) return;
    write(`/${skill.name} `);
    setMenu([]);
    box.current?.focus();
  };
  const paste = (event: ClipboardEvent) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) {
      event.preventDefault();
      void add(files).catch(tell);
    }
    // Known before the browser lays the text out.
    const pasted = event.clipboardData?.getData("text/plain") ?? "";
    if (pasted.length > LONG_TEXT) box.current!.dir = directionOf(text || pasted);
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (menu.length) {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) {
        event.preventDefault();
        return setHere((here + step + menu.length) % menu.length);
      }
      if (event.key === "Tab" || (event.key === "Enter" && !event.shiftKey)) {
        event.preventDefault();
        return choose(menu[here]);
      }
      if (event.key === "Escape") {
        event.preventDefault();
        return setMenu([]);
      }
    }
    if (event.key === "Enter" && !event.shiftKey && !event.altKey && !isTouch) {
      event.preventDefault();
      submit();
    } else if (event.key === "ArrowUp" && !text) {
      const last = [...document.querySelectorAll<HTMLElement>(".log .edit-button")].at(-1);
      if (last) event.preventDefault();
      last?.click();
    }
  };
  const spent = talk.spent;
  return (
    <div class="composer">
      {!isFollowing && <button type="button" class="button latest" onClick={onLatest}><Icon of={ArrowDown} size={15} />{t("chat.latest")}</button>}
      {menu.length > 0 && (
        <ul class="slash" role="listbox" id={id} aria-label={t("composer.skills")}>
          {menu.map((skill, index) => (
            <li key={skill.name} id={`${id}-${index}`} role="option" aria-selected={index === here} onMouseDown={(event) => { event.preventDefault(); choose(skill); }}>
              <b>/{skill.name}</b><small class="cut">{skill.description}</small>
            </li>
          ))}
        </ul>
      )}
      <form class={isOver ? "box over" : "box"} onSubmit={(event) => { event.preventDefault(); submit(); }}>
        {files.length > 0 && (
          <ul class="chips">
            {files.map((file, index) => (
              <li class="chip" key={index}>
                {isPicture(file) ? <img src={sourceOf(file, null)} alt="" /> : <Icon of={FileText} />}
                <span class="cut">{file.file_name}</span>
                <button type="button" class="icon-button" aria-label={t("composer.remove", { name: file.file_name })} onClick={() => keep(files.filter((each) => each !== file))}><Icon of={X} size={14} /></button>
              </li>
            ))}
          </ul>
        )}
        {problem && <p class="box-error" role="alert">{problem}</p>}
        <textarea
          ref={box} rows={1} class={text.length > LONG_TEXT ? "long" : ""} value={text} dir={directionOf(text)} aria-label={t("composer.label")} enterkeyhint={isTouch ? "enter" : "send"}
          placeholder={t(isOver ? "composer.drop" : isRunning ? "composer.running" : "composer.idle")}
          aria-controls={menu.length ? id : undefined} aria-autocomplete="list" aria-activedescendant={menu.length ? `${id}-${here}` : undefined}
          onInput={(event) => write(event.currentTarget.value)} onKeyDown={onKey}
          onPaste={paste}
        />
        <div class="box-foot">
          <input ref={picker} type="file" multiple hidden onChange={(event) => { void add([...(event.currentTarget.files ?? [])]).catch(tell); event.currentTarget.value = ""; }} />
          <button type="button" class="icon-button" aria-label={t("composer.attach")} title={t("composer.attach")} onClick={() => picker.current!.click()}><Icon of={Paperclip} /></button>
          <span class="grow" />
          {spent > 0 && <span class="quiet">{t("composer.spent", { cost: `${talk.isSpentEstimated ? "~" : ""}${money(spent)}` })}</span>}
          {isRunning && <button type="button" class="send stop" aria-label={t("composer.stop")} title={t("composer.stop")} onClick={() => talk.stop()}><Icon of={Square} size={15} /></button>}
          {(!isRunning || canSend) && <button type="submit" class="send" aria-label={t("composer.send")} title={t("composer.send")} disabled={!canSend}><Icon of={ArrowUp} size={18} /></button>}
        </div>
      </form>
      <p class="hints" aria-hidden="true">{t(isRunning ? "composer.hint_running" : "composer.hint")}</p>
    </div>
  );
}
