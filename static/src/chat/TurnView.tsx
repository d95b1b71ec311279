/** One turn: what was said, what was done for it, the answer, and what can be done with it. */
import { useComputed } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { isAdmin } from "../app/auth";
import { models } from "../app/boot";
import { link } from "../app/router";
import { bytes, fully, money, number, t } from "../i18n";
import { Markdown } from "../markdown/Markdown";
import { line, unsent } from "../socket/socket";
import { Check, ChevronDown, ChevronLeft, ChevronRight, CodeXml, Copy, Download, FileText, Icon, Pencil, RefreshCw, Trash2 } from "../ui/icons";
import { directionOf, LONG_TEXT as HUGE_TEXT } from "../ui/direction";
import { MenuButton } from "../ui/menu";
import { tell } from "../ui/toast";
import type { Conversation } from "./conversation";
import { remove } from "./deletion";
import { isPicture, save, sizeOf, sourceOf } from "./files";
import { Trace } from "./Trace";
import { type Part, said, type ShownFile, type ToolPart, type Turn, type UserPart } from "./turns";

const LONG_TEXT = 6000;
/** Who answers sooner is never seen waiting. */
const SENDING_MS = 300;

function CopyButton({ text, label }: { text: () => string; label: string }) {
  const [isDone, setDone] = useState(false);
  const copy = () => void navigator.clipboard.writeText(text()).then(() => { setDone(true); setTimeout(() => setDone(false), 1500); }, tell);
  return <button type="button" class="icon-button" aria-label={label} title={label} onClick={copy}><Icon of={isDone ? Check : Copy} size={15} /></button>;
}

function DeleteButton({ label, run }: { label: string; run: () => Promise<void> }) {
  return <button type="button" class="icon-button" aria-label={label} title={label} onClick={() => void run()}><Icon of={Trash2} size={15} /></button>;
}

/** A picture is seen, anything else is a card to save it; a picture that is gone is a card too. */
function Shown({ file, talk }: { file: ShownFile; talk: Conversation }) {
  const [isBroken, setBroken] = useState(false);
  if (isPicture(file) && !isBroken) return <img class="picture" src={sourceOf(file, talk.id)} alt={file.file_name} loading="lazy" onError={() => setBroken(true)} />;
  return (
    <button type="button" class="file-card" onClick={() => save(file, talk.id)}>
      <Icon of={FileText} /><span class="cut">{file.file_name}</span><span class="quiet">{bytes(sizeOf(file))}</span><Icon of={Download} size={15} />
    </button>
  );
}

/** A message that is not at the gateway yet: it waits for the line, or its files are on their way. */
function Waiting({ size }: { size: number }) {
  const [left, setLeft] = useState<number | null>(null);
  useEffect(() => {
    const timer = setInterval(() => setLeft(unsent()), SENDING_MS);
    return () => clearInterval(timer);
  }, []);
  if (line.value !== "open") return <p class="note"><span class="dot" />{t("message.waiting")}</p>;
  if (left === null) return null;
  return <p class="note"><span class="dot" />{t("message.sending", { percent: Math.round(100 * (1 - Math.min(1, left / Math.max(1, size)))) })}</p>;
}

function Editor({ part, turn, talk, model, onClose }: { part: UserPart; turn: Turn; talk: Conversation; model: string | null; onClose: () => void }) {
  const box = useRef<HTMLTextAreaElement>(null);
  // Before anybody can write into it, whose words would land elsewhere.
  useLayoutEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    box.current!.focus();
    box.current!.setSelectionRange(part.text.length, part.text.length);
    return () => (before?.isConnected ? before : document.querySelector<HTMLElement>(".composer textarea"))?.focus();
  }, []);
  const submit = () => {
    const text = box.current!.value.trim();
    if (text && part.messageId) talk.edit(turn, part.messageId, text, model);
    onClose();
  };
  return (
    <form class="edit" onSubmit={(event) => { event.preventDefault(); submit(); }}>
      <textarea
        ref={box} aria-label={t("message.edit")} defaultValue={part.text}
        onKeyDown={(event) => {
          if (event.key === "Escape") { event.stopPropagation(); onClose(); }
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit();
        }}
      />
      <div class="row"><button type="submit" class="button primary">{t("message.resend")}</button><button type="button" class="button" onClick={onClose}>{t("cancel")}</button><span class="quiet">{t("message.fork")}</span></div>
    </form>
  );
}

function Own({ part, turn, talk, model }: { part: UserPart; turn: Turn; talk: Conversation; model: string | null }) {
  const [isEditing, setEditing] = useState(false);
  const [isWhole, setWhole] = useState(part.text.length <= LONG_TEXT);
  if (isEditing) return <Editor part={part} turn={turn} talk={talk} model={model} onClose={() => setEditing(false)} />;
  return (
    <div class="own">
      {part.files.map((file, index) => <Shown key={index} file={file} talk={talk} />)}
      {part.text && <div class={`bubble ${part.state} ${isWhole ? "" : "more-text"} ${part.text.length > HUGE_TEXT ? "huge" : ""}`} dir={directionOf(part.text)}>{isWhole ? part.text : part.text.slice(0, LONG_TEXT)}</div>}
      {!isWhole && <button type="button" class="text-button" onClick={() => setWhole(true)}>{t("message.all", { size: bytes(part.text.length) })}</button>}
      {part.state === "waiting" && <Waiting size={part.text.length + part.files.reduce((sum, file) => sum + (sizeOf(file) * 4) / 3, 0)} />}
      {part.state === "failed" && (
        <div class="note error" role="alert">
          <span>{part.error}</span>
          <button type="button" class="text-button" onClick={() => talk.sendAgain(turn)}>{t("message.again")}</button>
          <button type="button" class="text-button" onClick={() => talk.recall(turn)}>{t("message.change")}</button>
        </div>
      )}
      {part.state === "sent" && (
        <div class="actions">
          <CopyButton text={() => part.text} label={t("message.copy")} />
          {part.messageId !== null && <button type="button" class="icon-button edit-button" aria-label={t("message.edit")} title={t("message.edit")} onClick={() => setEditing(true)}><Icon of={Pencil} size={15} /></button>}
          {part.messageId !== null && !turn.isRunning.value && <DeleteButton label={t("delete.message_short")} run={() => remove(talk, turn, part)} />}
        </div>
      )}
    </div>
  );
}

/** Which of the answers to one message is shown, and the way to the others. */
function Versions({ turn, talk }: { turn: Turn; talk: Conversation }) {
  const own = talk.branches.value.find((branch) => branch.turn_id === turn.id);
  if (!own) return null;
  const all = talk.branches.value.filter((branch) => branch.parent_id === own.parent_id);
  const here = all.indexOf(own);
  const to = (index: number) => all[index] && void talk.activate(all[index].turn_id).catch(tell);
  return (
    <>
      <button type="button" class="icon-button" aria-label={t("version.previous")} disabled={here === 0} onClick={() => to(here - 1)}><Icon of={ChevronLeft} size={15} /></button>
      <span>{t("version.of", { n: here + 1, all: all.length })}</span>
      <button type="button" class="icon-button" aria-label={t("version.next")} disabled={here === all.length - 1} onClick={() => to(here + 1)}><Icon of={ChevronRight} size={15} /></button>
    </>
  );
}

const modelItems = (talk: Conversation) => models.value.map((model) => ({ label: model, run: () => talk.retry(model) }));

function Failed({ errors, talk, isLast }: { errors: string[]; talk: Conversation; isLast: boolean }) {
  const text = errors.join("\n") || t("turn.no_answer");
  const isKey = /\b401\b|key|credential|unauthori/i.test(text);
  return (
    <div class="failure-card" role="alert">
      <b>{t("turn.failed")}</b>
      <p>{text}</p>
      {isLast && (
        <div class="row">
          <button type="button" class="button" onClick={() => talk.retry(null)}>{t("retry")}</button>
          {models.value.length > 1 && <MenuButton label={t("turn.other_model")} class="button" align="start" items={() => modelItems(talk)}>{t("turn.other_model")}</MenuButton>}
          {isKey && isAdmin && <a class="button" {...link("settings/models")}>{t("turn.change_key")}</a>}
        </div>
      )}
    </div>
  );
}

function Foot({ turn, talk, isLast, isRaw, onRaw }: { turn: Turn; talk: Conversation; isLast: boolean; isRaw: boolean; onRaw: () => void }) {
  const end = turn.end.value;
  const used = turn.used.value;
  const parts = turn.parts.value;
  const hasReply = parts.some((part) => part.kind !== "user");
  const canRetry = isLast && parts.some((part) => part.kind === "user");
  const tokens = end ? end.input_tokens + end.output_tokens : used ? used.input_tokens + used.cache_read + used.cache_write + used.output_tokens : 0;
  const model = (end ?? used)?.model;
  const facts = (end || used) && tokens > 0 ? [...(model ? [model] : []), t("turn.tokens", { n: number(tokens) }), money((end ?? used)!.cost_usd)] : [];
  return (
    <div class="actions">
      {said(turn) && <CopyButton text={() => said(turn)} label={t("reply.copy")} />}
      {said(turn) && <button type="button" class="icon-button" aria-label={t("reply.raw")} title={t("reply.raw")} aria-pressed={isRaw} onClick={onRaw}><Icon of={CodeXml} size={15} /></button>}
      {canRetry && <button type="button" class="icon-button" aria-label={t("reply.retry")} title={t("reply.retry")} onClick={() => talk.retry(null)}><Icon of={RefreshCw} size={15} /></button>}
      {canRetry && models.value.length > 1 && <MenuButton label={t("reply.retry_with")} class="icon-button narrow" align="start" items={() => modelItems(talk)}><Icon of={ChevronDown} size={13} /></MenuButton>}
      {hasReply && <DeleteButton label={t("delete.reply_short")} run={() => remove(talk, turn, null)} />}
      <Versions turn={turn} talk={talk} />
      {facts.length > 0 && <span class="facts" title={fully(turn.at)}>{facts.join(" · ")}</span>}
    </div>
  );
}

/** Neighbouring tool steps belong together. */
function groups(parts: Part[]): (Exclude<Part, ToolPart> | ToolPart[])[] {
  const found: (Exclude<Part, ToolPart> | ToolPart[])[] = [];
  for (const part of parts) {
    const last = found.at(-1);
    if (part.kind !== "tool") found.push(part);
    else if (Array.isArray(last)) last.push(part);
    else found.push([part]);
  }
  return found;
}

export function TurnView({ turn, talk, model }: { turn: Turn; talk: Conversation; model: () => string | null }) {
  const [isRaw, setRaw] = useState(false);
  const parts = turn.parts.value;
  const isLive = turn.isRunning.value;
  const end = turn.end.value;
  // Drawn again when this changes, not with every other turn that comes.
  const isLast = useComputed(() => talk.turns.value.at(-1) === turn).value;
  const all = groups(parts);
  return (
    <article class={isLive ? "turn live" : "turn"} data-turn={turn.id}>
      {all.map((part, index) => {
        const isEnd = index === all.length - 1;
        if (Array.isArray(part)) return <Trace key={part[0]!.key} steps={part} isLive={isLive && isEnd} isPast={!isEnd || !isLive} talk={talk} />;
        if (part.kind === "user") return <Own key={part.key} part={part} turn={turn} talk={talk} model={model()} />;
        if (part.kind === "text" && isRaw) return <pre key={`${part.key}.raw`} class="raw" tabIndex={0}>{part.source.value}</pre>;
        if (part.kind === "text") return <Markdown key={part.key} source={part.source} isDone={!isLive || !isEnd} />;
        if (part.kind === "file") return <div key={part.key}><Shown file={part.file} talk={talk} /></div>;
        return <p key={part.key} class="note-line">{t("turn.compacted", { n: part.count })}</p>;
      })}
      {isLive && parts.at(-1)?.kind === "user" && <span class="waiting-dot" role="img" aria-label={t("turn.working")} />}
      {end?.is_error && !end.stopped && !end.interrupted && <Failed errors={end.errors} talk={talk} isLast={isLast} />}
      {(end?.stopped || end?.interrupted) && <p class="stopped"><span>{t(end.stopped ? "turn.stopped" : "turn.interrupted")}</span>{isLast && <button type="button" class="text-button" onClick={() => talk.retry(null)}>{t("retry")}</button>}</p>}
      {!isLive && turn.id && <Foot turn={turn} talk={talk} isLast={isLast} isRaw={isRaw} onRaw={() => setRaw(!isRaw)} />}
    </article>
  );
}
