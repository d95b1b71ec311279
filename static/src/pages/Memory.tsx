/** What the agent remembers: found by plain questions, read and edited as files, with every earlier version. */
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { api, ApiError } from "../api/client";
import type { PageProps } from "../app/page";
import { go, link } from "../app/router";
import { briefly, bytes, fully, t } from "../i18n";
import { Markdown } from "../markdown/Markdown";
import { confirm, Dialog } from "../ui/dialog";
import { Card, Empty, Failure, PageHead, useLoaded } from "../ui/parts";
import { tell, toast } from "../ui/toast";
import { SaveBar, useLeaveGuard } from "./settings/Form";

interface MemoryFile {
  file: string;
  size_bytes: number;
  modified_at: string;
  owner: string | null;
}
interface Hit {
  source: string;
  snippet: string;
  marks: [number, number][];
  kind: string;
  date: string | null;
  session_id: string | null;
  line_start: number;
}
interface Version {
  version: number;
  origin: string;
  size_bytes: number;
  created_at: string;
}

function Found({ hit }: { hit: Hit }) {
  const characters = [...hit.snippet];
  const pieces: preact.ComponentChildren[] = [];
  let from = 0;
  for (const [start, end] of hit.marks) {
    pieces.push(characters.slice(from, start).join(""), <mark>{characters.slice(start, end).join("")}</mark>);
    from = end;
  }
  const name = hit.source.replace(/^users\/[^/]+\//, "");
  const to = hit.session_id ? `c/${hit.session_id}` : `memory/${name}`;
  return <li><a class="cover grow" {...link(to)}><b>{hit.session_id ? t("memory.chat") : name}</b> <span class="quiet">{hit.date}</span><div class="snippet" dir="auto">{pieces}{characters.slice(from).join("")}</div></a></li>;
}

function Search() {
  const [query, setQuery] = useState("");
  const [hits, setHits] = useState<Hit[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    if (!query.trim()) return setHits(null);
    const gone = new AbortController();
    const timer = setTimeout(() => {
      api.get<Hit[]>("api/memory/search", { q: query, limit: 20 }, gone.signal).then(
        (found) => { setHits(found); setProblem(null); },
        (error: unknown) => error instanceof ApiError && setProblem(error.message),
      );
    }, 200);
    return () => { clearTimeout(timer); gone.abort(); };
  }, [query]);
  return (
    <>
      <label class="field"><span class="hidden">{t("memory.search")}</span><input type="search" value={query} placeholder={t("memory.search")} onInput={(event) => setQuery(event.currentTarget.value)} /></label>
      {problem && <Failure text={problem} />}
      {hits?.length === 0 && <p class="quiet" role="status">{t("memory.nothing")}</p>}
      {hits && hits.length > 0 && <ul class="list">{hits.map((hit, index) => <Found key={index} hit={hit} />)}</ul>}
    </>
  );
}

function All() {
  const { data, problem, reload } = useLoaded(() => api.get<MemoryFile[]>("api/memory/files"));
  const own = data?.filter((file) => file.owner !== null) ?? [];
  const agents = data?.filter((file) => file.owner === null) ?? [];
  const list = (files: MemoryFile[]) => (
    <ul class="list">
      {files.map((file) => <li key={file.file}><a class="cover grow" {...link(`memory/${file.file}`)}><b>{file.file}</b></a><span class="quiet">{bytes(file.size_bytes)} · {briefly(file.modified_at)}</span></li>)}
    </ul>
  );
  return (
    <div class="page">
      <PageHead title={t("nav.memory")} hint={t("memory.hint")} />
      <Search />
      {problem && <Failure text={problem} retry={reload} />}
      {data && own.length === 0 && <Empty title={t("memory.none")} text={t("memory.none_text")}><button type="button" class="button primary" onClick={() => void go("")}>{t("nav.new")}</button></Empty>}
      {own.length > 0 && <><h2>{t("memory.yours")}</h2>{list(own)}</>}
      {agents.length > 0 && <><h2>{t("memory.agents")}</h2>{list(agents)}</>}
    </div>
  );
}

function History({ file, onClose }: { file: string; onClose: (reverted: boolean) => void }) {
  const { data, problem, reload } = useLoaded(() => api.get<Version[]>("api/memory/history", { file }), [file]);
  const [shown, setShown] = useState<{ version: number; content: string } | null>(null);
  const revert = async (version: number) => {
    if (await confirm({ title: t("memory.revert_title"), text: t("memory.revert_text"), action: t("memory.revert") }))
      await api.post("api/memory/revert", { file, version }).then(() => onClose(true), tell);
  };
  return (
    <Dialog title={t("memory.history_of", { name: file })} onClose={() => onClose(false)} class="wide">
      {problem && <Failure text={problem} retry={reload} />}
      {data?.length === 0 && <p class="quiet">{t("memory.no_history")}</p>}
      <ul class="list">
        {data?.map((version, index) => (
          <li key={version.version}>
            <div class="grow"><b>{fully(version.created_at)}</b><div class="quiet">{version.origin} · {bytes(version.size_bytes)}</div></div>
            <button type="button" class="button" onClick={() => void api.get<{ content: string }>("api/memory/history", { file, version: version.version }).then(({ content }) => setShown({ version: version.version, content }), tell)}>{t("memory.show")}</button>
            {index > 0 && <button type="button" class="button" onClick={() => void revert(version.version)}>{t("memory.revert")}</button>}
          </li>
        ))}
      </ul>
      {shown && <pre class="log-lines" tabIndex={0}>{shown.content}</pre>}
    </Dialog>
  );
}

function One({ file }: { file: string }) {
  const loaded = useLoaded(() => api.get<{ content: string; hash: string }>("api/memory/files", { file }), [file]);
  const [text, setText] = useState<string | null>(null);
  const [isEditing, setEditing] = useState(false);
  const [hasHistory, setHistory] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const isDirty = text !== null && text !== loaded.data?.content;
  useLeaveGuard(isDirty);
  const save = async () => {
    setBusy(true);
    try {
      await api.put("api/memory/files", { file, content: text, expected_hash: loaded.data!.hash });
      toast(t("settings.saved"));
      setText(null);
      setEditing(false);
      loaded.reload();
    } catch (error) {
      tell(error);
    }
    setBusy(false);
  };
  return (
    <div class="page">
      <PageHead title={file}>
        <a class="button" {...link("memory")}>{t("memory.all")}</a>
        <button type="button" class="button" onClick={() => setHistory(true)}>{t("memory.history")}</button>
        {!isEditing && <button type="button" class="button primary" disabled={!loaded.data} onClick={() => setEditing(true)}>{t("memory.edit")}</button>}
      </PageHead>
      {loaded.problem && <Failure text={loaded.problem} retry={loaded.reload} />}
      {loaded.data && !isEditing && <Card><h2 class="hidden">{t("memory.text")}</h2>{loaded.data.content.trim() ? <Markdown key={loaded.data.hash} source={signal(loaded.data.content)} isDone /> : <p class="quiet">{t("memory.empty")}</p>}</Card>}
      {loaded.data && isEditing && (
        <form onSubmit={(event) => { event.preventDefault(); void save(); }}>
          <textarea class="code-area" aria-label={file} autofocus value={text ?? loaded.data.content} onInput={(event) => setText(event.currentTarget.value)} />
          <SaveBar isDirty={isDirty} isBusy={isBusy} onDiscard={() => { setText(null); setEditing(false); }} />
        </form>
      )}
      {hasHistory && <History file={file} onClose={(reverted) => { setHistory(false); if (reverted) loaded.reload(); }} />}
    </div>
  );
}

export default function Memory({ params }: PageProps) {
  return params.rest ? <One file={params.rest} key={params.rest} /> : <All />;
}
