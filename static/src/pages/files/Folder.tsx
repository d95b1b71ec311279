/** A folder: what is in it, and what can be put into it. */
import { useRef, useState } from "preact/hooks";
import { api, withQuery } from "../../api/client";
import { go, link } from "../../app/router";
import { briefly, bytes, fully, t } from "../../i18n";
import { ask, confirm } from "../../ui/dialog";
import { Ellipsis, FileText, Folder as FolderIcon, Icon, Image } from "../../ui/icons";
import { MenuButton } from "../../ui/menu";
import { Empty, Failure, PageHead, useLoaded } from "../../ui/parts";
import { tell, toast } from "../../ui/toast";
import { Crumbs } from "./Crumbs";
import { address, type Entry, join, nameOf, parentOf, rawUrl } from "./kinds";
import { sending, upload } from "./upload";

type Order = "name" | "modified_at" | "size";
const AT_ONCE = 200;
const PICTURE = /\.(png|jpe?g|gif|webp|svg|avif)$/i;
const bare = (entry: Entry): string => entry.name.replace(/\/$/, "");

const ORDERS: Record<Order, (a: Entry, b: Entry) => number> = {
  name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  modified_at: (a, b) => b.modified_at.localeCompare(a.modified_at),
  size: (a, b) => b.size - a.size,
};

/** Delete after a question; whether it is gone. */
export async function remove(path: string, isFolder: boolean): Promise<boolean> {
  const question = { title: t("files.delete_title", { name: nameOf(path) }), text: t(isFolder ? "files.delete_folder_text" : "files.delete_text"), action: t("delete"), isDanger: true };
  if (!(await confirm(question))) return false;
  return api.delete(withQuery("api/files", { path })).then(() => (toast(t("files.deleted", { name: nameOf(path) })), true), (error: unknown) => (tell(error), false));
}

/** Ask for another name or place; the new path, null when nothing was moved. */
export async function move(path: string): Promise<string | null> {
  const to = (await ask({ title: t("files.move_title", { name: nameOf(path) }), label: t("files.move_label"), value: path }))?.trim().replace(/\/+$/, "");
  if (!to || to === path) return null;
  return api.post("api/files/move", { path, to }).then(() => to, (error: unknown) => (tell(error), null));
}

export function Folder({ path }: { path: string }) {
  const { data, problem, reload } = useLoaded(() => api.get<Entry[]>("api/files", { path: path || "." }), [path]);
  const [order, setOrder] = useState<Order>("name");
  const [wanted, setWanted] = useState("");
  const [shown, setShown] = useState(AT_ONCE);
  const [isOver, setOver] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const names = new Set(data?.map(bare));
  const take = (files: FileList | null | undefined) => void (files?.length && upload(path, [...files], (name) => names.has(name)).then(reload));
  const addFolder = async () => {
    const name = (await ask({ title: t("files.add_folder"), label: t("files.name") }))?.trim();
    if (name) await api.post("api/files/mkdir", { path: join(path, name) }).then(reload, tell);
  };
  const addFile = async () => {
    const name = (await ask({ title: t("files.add_file"), label: t("files.name"), value: "notes.md" }))?.trim();
    if (name) await api.put("api/files/write", { path: join(path, name), content: "", expected_hash: "" }).then(() => go(address(join(path, name), false)), tell);
  };
  const fitting = (data ?? []).filter((entry) => entry.name.toLocaleLowerCase().includes(wanted.toLocaleLowerCase()));
  const rows = fitting.toSorted((a, b) => Number(b.type === "directory") - Number(a.type === "directory") || ORDERS[order](a, b));
  return (
    <div
      class={isOver ? "page files over" : "page files"}
      onDragOver={(event) => { if (event.dataTransfer?.types.includes("Files")) { event.preventDefault(); setOver(true); } }}
      onDragLeave={(event) => event.target === event.currentTarget && setOver(false)}
      onDrop={(event) => { event.preventDefault(); setOver(false); take(event.dataTransfer?.files); }}
    >
      {path && <Crumbs path={path} />}
      <PageHead title={path ? nameOf(path) : t("nav.files")} {...(path ? {} : { hint: t("files.hint") })}>
        <button type="button" class="button" onClick={() => void addFolder()}>{t("files.add_folder")}</button>
        <button type="button" class="button" onClick={() => void addFile()}>{t("files.add_file")}</button>
        <button type="button" class="button primary" onClick={() => picker.current!.click()}>{t("files.upload")}</button>
        <input ref={picker} type="file" multiple hidden aria-label={t("files.upload")} onChange={(event) => { take(event.currentTarget.files); event.currentTarget.value = ""; }} />
      </PageHead>
      {sending.value && <div class="uploading" role="status"><span class="cut">{t("files.sending", { name: sending.value.name })}</span><progress max={1} value={sending.value.share} aria-label={sending.value.name} /></div>}
      {problem && <Failure text={problem} retry={reload} />}
      {data?.length === 0 && <Empty title={t("files.empty")} text={t("files.empty_text")}>{path && <a class="button" {...link(address(parentOf(path), true))}>{t("files.up")}</a>}</Empty>}
      {data && data.length > 0 && (
        <>
          <div class="row list-tools">
            <label class="field grow"><span class="hidden">{t("files.filter")}</span><input type="search" value={wanted} placeholder={t("files.filter")} onInput={(event) => setWanted(event.currentTarget.value)} /></label>
            <label class="field"><span class="hidden">{t("files.order")}</span><select value={order} onChange={(event) => setOrder(event.currentTarget.value as Order)}><option value="name">{t("files.by_name")}</option><option value="modified_at">{t("files.by_time")}</option><option value="size">{t("files.by_size")}</option></select></label>
          </div>
          {rows.length === 0 ? <p class="quiet" role="status">{t("files.none_fit")}</p> : <ul class="list file-list">{rows.slice(0, shown).map((entry) => <Row key={entry.name} entry={entry} path={join(path, bare(entry))} onDone={reload} />)}</ul>}
          {rows.length > shown && <button type="button" class="button" onClick={() => setShown(shown + 1000)}>{t("files.more", { n: rows.length - shown })}</button>}
        </>
      )}
    </div>
  );
}

function Row({ entry, path, onDone }: { entry: Entry; path: string; onDone: () => void }) {
  const isFolder = entry.type === "directory";
  const name = bare(entry);
  const items = [
    ...(isFolder ? [] : [{ label: t("files.download"), run: () => save(path) }]),
    { label: t("files.move"), run: () => void move(path).then((to) => to !== null && onDone()) },
    { label: t("delete"), isDanger: true, run: () => void remove(path, isFolder).then((isGone) => isGone && onDone()) },
  ];
  const inside = <><Icon of={isFolder ? FolderIcon : PICTURE.test(name) ? Image : FileText} /><b class="cut" dir="auto">{name}</b></>;
  return (
    <li class={isFolder ? "folder" : ""}>
      {entry.is_broken ? <span class="cover grow" title={t("files.broken")}>{inside}<span class="badge warn">{t("files.broken")}</span></span> : <a class="cover grow" {...link(address(path, isFolder))} title={name}>{inside}</a>}
      <span class="quiet size">{isFolder ? "" : bytes(entry.size)}</span>
      <time class="quiet when" dateTime={entry.modified_at} title={fully(entry.modified_at)}>{briefly(entry.modified_at)}</time>
      <MenuButton label={t("files.more_of", { name })} items={() => (entry.is_broken ? items.slice(-1) : items)}><Icon of={Ellipsis} /></MenuButton>
    </li>
  );
}

/** Hand a file to the browser's download. */
export function save(path: string): void {
  const anchor = document.createElement("a");
  anchor.href = rawUrl(path, true);
  anchor.download = nameOf(path);
  anchor.click();
}
