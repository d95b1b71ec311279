/** A file: shown as what it is, in a frame that lets nothing run where it could; text is edited here. */
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { api, ApiError } from "../../api/client";
import { go } from "../../app/router";
import { bytes, fully, t } from "../../i18n";
import { Markdown } from "../../markdown/Markdown";
import { Ellipsis, Icon } from "../../ui/icons";
import { MenuButton } from "../../ui/menu";
import { Card, Failure, PageHead, Segments, useLoaded } from "../../ui/parts";
import { toast } from "../../ui/toast";
import { SaveBar, useLeaveGuard } from "../settings/Form";
import { Crumbs } from "./Crumbs";
import { move, remove, save } from "./Folder";
import { address, type Info, nameOf, parentOf, previewOf, rawUrl } from "./kinds";

interface Text {
  content: string;
  hash: string;
}

function Code({ text, name }: { text: string; name: string }) {
  const place = useRef<HTMLElement>(null);
  useEffect(() => {
    const ending = name.includes(".") ? name.split(".").at(-1)!.toLowerCase() : "";
    void import("../../markdown/highlight").then(({ highlight }) => place.current && highlight(place.current, ending), () => null);
  }, [text]);
  return <pre class="file-text" tabIndex={0} aria-label={name}><code ref={place} key={text}>{text}</code></pre>;
}

function Shown({ info, text }: { info: Info; text: string | null }) {
  const name = nameOf(info.path);
  const url = rawUrl(info.path);
  switch (previewOf(info)) {
    case "picture":
      return <img class="file-picture" src={url} alt={name} />;
    case "sound":
      return <audio controls src={url} aria-label={name} />;
    case "film":
      return <video class="file-picture" controls src={url} aria-label={name} />;
    case "frame":
      return <iframe class="file-frame" sandbox="" src={url} title={name} />;
    case "markdown":
      return text === null ? null : text.trim() ? <Markdown key={text} source={signal(text)} isDone /> : <p class="quiet">{t("files.blank")}</p>;
    case "text":
      return text === null ? null : text ? <Code text={text} name={name} /> : <p class="quiet">{t("files.blank")}</p>;
    default:
      return <p class="quiet">{t("files.no_preview", { size: bytes(info.size) })}</p>;
  }
}

export function FilePage({ info, onChanged }: { info: Info; onChanged: () => void }) {
  const { path } = info;
  const kind = previewOf(info);
  const isText = kind === "text" || kind === "markdown" || kind === "frame";
  const loaded = useLoaded<Text | null>(() => (isText ? api.get<Text>("api/files/read", { path }) : Promise.resolve(null)), [path, info.modified_at]);
  const [text, setText] = useState<string | null>(null);
  const [isEditing, setEditing] = useState(false);
  const [isSource, setSource] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const isDirty = text !== null && text !== loaded.data?.content;
  useLeaveGuard(isDirty);
  const stop = () => { setText(null); setEditing(false); setProblem(null); };
  const write = async (force = false) => {
    setBusy(true);
    try {
      await api.put("api/files/write", { path, content: text, ...(force ? {} : { expected_hash: loaded.data!.hash }) });
      toast(t("settings.saved"));
      stop();
      onChanged();
      loaded.reload();
    } catch (error) {
      setProblem(error as ApiError);
    }
    setBusy(false);
  };
  const leave = () => void go(address(parentOf(path), true));
  return (
    <div class="page files">
      <Crumbs path={path} />
      <PageHead title={nameOf(path)} hint={`${bytes(info.size)} · ${fully(info.modified_at)}`}>
        {isText && !isEditing && <button type="button" class="button primary" disabled={!loaded.data} onClick={() => setEditing(true)}>{t("memory.edit")}</button>}
        <button type="button" class={isText ? "button" : "button primary"} onClick={() => save(path)}>{t("files.download")}</button>
        <MenuButton
          label={t("files.more_of", { name: nameOf(path) })}
          items={() => [
            { label: t("files.move"), run: () => void move(path).then((to) => to === null ? undefined : go(address(to, false))) },
            { label: t("delete"), isDanger: true, run: () => void remove(path, false).then((isGone) => isGone && leave()) },
          ]}
        ><Icon of={Ellipsis} /></MenuButton>
      </PageHead>
      {loaded.problem && <Failure text={loaded.problem} retry={loaded.reload} />}
      {isEditing && loaded.data ? (
        <form onSubmit={(event) => { event.preventDefault(); void write(); }}>
          <textarea class="code-area" aria-label={nameOf(path)} autofocus spellcheck={false} dir="auto" value={text ?? loaded.data.content} onInput={(event) => setText(event.currentTarget.value)} />
          {problem && (
            <div class="failure" role="alert">
              <p>{problem.message}</p>
              {problem.status === 409 && <div class="row"><button type="button" class="button" onClick={() => { stop(); onChanged(); loaded.reload(); }}>{t("files.take_theirs")}</button><button type="button" class="button danger" onClick={() => void write(true)}>{t("files.take_mine")}</button></div>}
            </div>
          )}
          <SaveBar isDirty={isDirty} isBusy={isBusy} onDiscard={stop}><button type="button" class="button" onClick={stop}>{t("files.stop_editing")}</button></SaveBar>
        </form>
      ) : (
        <>
          {kind !== "text" && isText && <Segments label={t("files.view")} value={isSource ? "text" : "shown"} onChange={(view) => setSource(view === "text")} options={[["shown", t("files.preview")], ["text", t("memory.text")]]} />}
          <Card class="file-shown"><h2 class="hidden">{t("files.preview")}</h2>{isSource && isText ? <Code text={loaded.data?.content ?? ""} name={nameOf(path)} /> : <Shown info={info} text={loaded.data?.content ?? null} />}</Card>
        </>
      )}
    </div>
  );
}
