/** Tool steps on a rail. When the answer goes on, finished steps fold into one line. */
import { useEffect, useState } from "preact/hooks";
import { bytes, seconds, t } from "../i18n";
import { Brain, ChevronRight, Clock, FileText, Globe, Icon, Search, Terminal, Wrench } from "../ui/icons";
import type { Conversation } from "./conversation";
import { saveText } from "./files";
import type { ToolPart } from "./turns";
import { api, enc } from "../api/client";
import type { StoredMessage } from "../api/types";

const SHOWN_CHARACTERS = 4000;
/** More than this is slow to lay out; who wants it all gets a file. */
const MOST_CHARACTERS = 300_000;
const ICONS = [[/bash|shell/i, Terminal], [/memory/i, Brain], [/search|grep|glob/i, Search], [/web|fetch|browser/i, Globe], [/read|write|edit|file|attach/i, FileText], [/cron|heartbeat/i, Clock]] as const;
const iconOf = (name: string) => ICONS.find(([words]) => words.test(name))?.[1] ?? Wrench;

/** The argument that tells most. */
function subject(input: Record<string, unknown>): string {
  for (const key of ["command", "path", "file", "file_path", "query", "q", "url", "pattern", "name", "prompt"]) if (typeof input[key] === "string") return input[key];
  const first = Object.values(input).find((value) => typeof value === "string");
  return typeof first === "string" ? first : "";
}

export const isOpenStep = (step: ToolPart): boolean => step.output === null;

/** Seconds since a moment, each half second, as long as it is shown. */
function Elapsed({ since }: { since: number }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  return <>{seconds(Math.max(0, now - since))}…</>;
}

function Output({ step, talk }: { step: ToolPart; talk: Conversation }) {
  const [isWhole, setWhole] = useState(false);
  const [full, setFull] = useState<string | null>(null);
  const text = full ?? step.output ?? "";
  const isLong = text.length > SHOWN_CHARACTERS || (step.isCut && full === null);
  const showAll = async () => {
    setWhole(true);
    if (!step.isCut || !talk.id) return;
    const rows = await api.get<StoredMessage[]>(`api/sessions/${enc(talk.id)}/messages`, { limit: 200 }).catch(() => []);
    const row = rows.find((each) => each.role === "tool_result" && each.content.includes(`"${step.id}"`));
    const content = row && (JSON.parse(row.content) as { content: unknown }).content;
    if (content !== undefined) setFull(typeof content === "string" ? content : JSON.stringify(content, null, 2));
  };
  return (
    <div class="output">
      {Object.keys(step.input).length > 0 && <><p class="output-head">{t("tool.input")}</p><pre tabIndex={0}>{JSON.stringify(step.input, null, 2).slice(0, 20_000)}</pre></>}
      {step.output !== null && <><p class="output-head">{t("tool.output")}</p><pre tabIndex={0}>{text.slice(0, isWhole ? MOST_CHARACTERS : SHOWN_CHARACTERS) || t("tool.nothing")}</pre></>}
      {isLong && !isWhole && <button type="button" class="text-button" onClick={() => void showAll()}>{t("tool.all")}</button>}
      {isWhole && text.length > MOST_CHARACTERS && <button type="button" class="text-button" onClick={() => saveText(text, `${step.name}.txt`)}>{t("tool.save", { size: bytes(text.length) })}</button>}
    </div>
  );
}

function Approval({ step, talk }: { step: ToolPart; talk: Conversation }) {
  const asked = step.approval!;
  const answer = (isAllowed: boolean, remember: "once" | "session" | "forever" = "once") => talk.answer(asked.approval_id, isAllowed, remember);
  return (
    <div class="approval" role="group" aria-label={t("approval.title", { name: step.name })}>
      <b>{t("approval.title", { name: step.name })}</b>
      <pre>{asked.subject ?? JSON.stringify(step.input, null, 2)}</pre>
      <div class="row">
        <button type="button" class="button primary" onClick={() => answer(true)}>{t("approval.once")}</button>
        <button type="button" class="button" onClick={() => answer(true, "session")}>{t("approval.session")}</button>
        <button type="button" class="button" onClick={() => answer(true, "forever")}>{t("approval.forever")}</button>
        <button type="button" class="button danger" onClick={() => answer(false)}>{t("approval.deny")}</button>
      </div>
    </div>
  );
}

function Step({ step, isLive, talk }: { step: ToolPart; isLive: boolean; talk: Conversation }) {
  const [isOpen, setOpen] = useState(false);
  const isAsking = Boolean(isLive && step.approval && !step.approval.outcome);
  const isRunning = isLive && isOpenStep(step) && !isAsking;
  const state = isAsking ? "asking" : isRunning ? "running" : step.isError ? "failed" : "done";
  return (
    <div class={`step ${state}`}>
      <span class="node" role="img" aria-label={t(`tool.${state}`)} />
      <button type="button" class="step-line" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <Icon of={iconOf(step.name)} size={15} /><b>{step.name}</b><code class="cut">{subject(step.input)}</code>
        <span class="took cut">{isRunning ? <Elapsed since={step.startedAt} /> : step.isError ? (step.output ?? "").split("\n")[0]!.slice(0, 60) || t("tool.failed") : step.tookMs === null ? "" : seconds(step.tookMs)}</span>
      </button>
      {isAsking && <Approval step={step} talk={talk} />}
      {isOpen && <Output step={step} talk={talk} />}
    </div>
  );
}

export function Trace({ steps, isLive, isPast, talk }: { steps: ToolPart[]; isLive: boolean; isPast: boolean; talk: Conversation }) {
  const [isOpen, setOpen] = useState(false);
  const canFold = isPast && !(isLive && steps.some(isOpenStep));
  const failed = steps.filter((step) => step.isError).length;
  const took = steps.reduce((sum, step) => sum + (step.tookMs ?? 0), 0);
  const facts = [t("tool.steps", { n: steps.length }), ...(took ? [seconds(took)] : []), ...(failed ? [t("tool.failures", { n: failed })] : [])];
  const isShown = !canFold || isOpen;
  return (
    <div class={isShown ? "trace open" : "trace"}>
      {canFold && <button type="button" class="trace-fold" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}><Icon of={ChevronRight} size={15} />{facts.join(" · ")}</button>}
      {isShown && steps.map((step) => <Step key={step.key} step={step} isLive={isLive} talk={talk} />)}
    </div>
  );
}
