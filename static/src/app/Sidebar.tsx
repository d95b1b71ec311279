/** Navigation and the list of conversations. */
import { useEffect, useRef } from "preact/hooks";
import type { Session } from "../api/types";
import { archiveSession, deleteSession, hasMore, loadMore, pinSession, renameSession, restoreSession, sessions } from "../chat/sessions";
import { current } from "../chat/current";
import { runningSessions, titleOf } from "../chat/conversation";
import { newChat } from "../chat/new";
import { briefly, daysAgo, locale, t } from "../i18n";
import { ask } from "../ui/dialog";
import { Archive, Bell, Download, Ellipsis, Icon, LogOut, Mark, Monitor, Moon, PanelLeft, Pencil, Pin, Plus, Search, Sun, Trash2 } from "../ui/icons";
import { MenuButton } from "../ui/menu";
import { tell, toast } from "../ui/toast";
import { signOut, user } from "./auth";
import { at, boot } from "./boot";
import { unreadNotices } from "./news";
import { open } from "./overlay";
import { isOffered, PAGES } from "./pages";
import { go, link, path } from "./router";
import { hintOf } from "./shortcuts";
import { closeSide } from "./side";
import { setTheme, theme } from "./theme";

const GROUPS = [["group.today", 0], ["group.yesterday", 1], ["group.week", 7], ["group.month", 30]] as const;

/** Pinned first, then by how long ago; older ones by month. */
function grouped(list: Session[]): [string, Session[]][] {
  const groups = new Map<string, Session[]>();
  for (const session of list) {
    const days = daysAgo(session.last_message_at);
    const name = session.is_pinned
      ? t("group.pinned")
      : (GROUPS.find(([, most]) => days <= most)?.[0] && t(GROUPS.find(([, most]) => days <= most)![0])) ??
        new Date(session.last_message_at).toLocaleDateString(locale.value, { month: "long", year: "numeric" });
    groups.set(name, [...(groups.get(name) ?? []), session]);
  }
  const pinned = groups.get(t("group.pinned"));
  return pinned ? [[t("group.pinned"), pinned], ...[...groups].filter(([, each]) => each !== pinned)] : [...groups];
}

export async function remove(session: Session): Promise<void> {
  try {
    await deleteSession(session.id);
  } catch (error) {
    return tell(error);
  }
  if (path.value === `c/${session.id}`) newChat();
  toast(t("session.deleted"), { text: titleOf(session), actions: [{ label: t("undo"), run: () => void restoreSession(session.id).catch(tell) }] });
}

export async function archive(session: Session): Promise<void> {
  try {
    await archiveSession(session.id);
  } catch (error) {
    return tell(error);
  }
  if (path.value === `c/${session.id}`) newChat();
  toast(t("session.archived"), { text: titleOf(session), actions: [{ label: t("undo"), run: () => void archiveSession(session.id, false).catch(tell) }] });
}

async function bringBack(session: Session): Promise<void> {
  await archiveSession(session.id, false).catch(tell);
  void current.value?.load();
}

async function rename(session: Session): Promise<void> {
  const title = await ask({ title: t("session.rename"), label: t("session.title"), value: session.title ?? "" });
  if (title?.trim()) await renameSession(session.id, title.trim()).catch(tell);
}

/** Save a conversation as a file. */
function download(session: Session, format: "markdown" | "json"): void {
  const anchor = document.createElement("a");
  anchor.href = at(`api/sessions/${encodeURIComponent(session.id)}/export?format=${format}`);
  anchor.download = "";
  anchor.click();
}

export const sessionItems = (session: Session) => [
  { label: t("session.rename"), icon: <Icon of={Pencil} />, run: () => void rename(session) },
  { label: session.is_pinned ? t("session.unpin") : t("session.pin"), icon: <Icon of={Pin} />, run: () => void pinSession(session.id, !session.is_pinned).catch(tell) },
  { label: t("session.export"), icon: <Icon of={Download} />, run: () => download(session, "markdown") },
  { label: t("session.export_json"), icon: <Icon of={Download} />, run: () => download(session, "json") },
  session.is_archived
    ? { label: t("archived.restore"), icon: <Icon of={Archive} />, run: () => void bringBack(session) }
    : { label: t("session.archive"), icon: <Icon of={Archive} />, run: () => void archive(session) },
  { label: t("delete"), icon: <Icon of={Trash2} />, isDanger: true, run: () => void remove(session) },
];

function Row({ session }: { session: Session }) {
  const isCurrent = path.value === `c/${session.id}`;
  const isRunning = runningSessions.value.has(session.id);
  const isUnread = !session.is_read && !isCurrent;
  const title = titleOf(session);
  return (
    <li class={`session ${isCurrent ? "current" : ""} ${isUnread ? "unread" : ""}`}>
      <a {...link(`c/${session.id}`)} aria-current={isCurrent ? "page" : undefined} title={title}>
        <span class="cut" dir="auto">{title}</span>
        {isRunning ? <span class="spinner" role="img" aria-label={t("session.running")} /> : isUnread ? <span class="dot" role="img" aria-label={t("session.unread")} /> : <time dateTime={session.last_message_at}>{briefly(session.last_message_at)}</time>}
      </a>
      <MenuButton label={t("session.more", { title })} items={() => sessionItems(session)}><Icon of={Ellipsis} size={16} /></MenuButton>
    </li>
  );
}

function SessionList() {
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let isBusy = false;
    const watcher = new IntersectionObserver((entries) => {
      // The last one is how it stands: a busy browser reports several changes at once.
      if (!entries.at(-1)!.isIntersecting || isBusy || !hasMore.value) return;
      isBusy = true;
      void loadMore().catch(() => null).finally(() => {
        isBusy = false;
        // Looked at anew: the end may still be near.
        if (!end.current) return;
        watcher.unobserve(end.current);
        watcher.observe(end.current);
      });
    }, { rootMargin: "300px" });
    watcher.observe(end.current!);
    return () => watcher.disconnect();
  }, []);
  return (
    <nav class="sessions" aria-label={t("nav.sessions")}>
      {grouped(sessions.value).map(([name, list]) => (
        <section key={name}>
          <h2>{name}</h2>
          <ul>{list.map((session) => <Row session={session} key={session.id} />)}</ul>
        </section>
      ))}
      {sessions.value.length === 0 && <p class="quiet" style={{ padding: "14px 10px" }}>{t("side.none")}</p>}
      <div ref={end} />
    </nav>
  );
}

const here = (pattern: string) => path.value.split("/")[0] === pattern.split("/")[0];

export function Sidebar() {
  const name = user?.display_name || t("side.you");
  const nextTheme = { system: "light", light: "dark", dark: "system" } as const;
  const icon = { system: Monitor, light: Sun, dark: Moon }[theme.value];
  return (
    <aside class="side" aria-label={t("side.label")}>
      <div class="brand">
        <a {...link("")} onClick={(event) => { event.preventDefault(); newChat(); }}><Mark isBusy={runningSessions.value.size > 0} /><span class="cut">{boot.agent_name}</span></a>
        <button type="button" class="icon-button" aria-label={unreadNotices.value ? t("notices.unread", { n: unreadNotices.value }) : t("notices.title")} title={t("notices.title")} onClick={() => open("notices")}>
          <Icon of={Bell} />{unreadNotices.value > 0 && <span class="dot" />}
        </button>
        <button type="button" class="icon-button" aria-label={t("side.close")} title={t("side.close")} onClick={() => closeSide()}><Icon of={PanelLeft} /></button>
      </div>
      <div class="side-actions">
        <a class="new-chat" {...link("")} onClick={(event) => { event.preventDefault(); newChat(); }}><Icon of={Plus} />{t("nav.new")}<kbd aria-hidden="true">{hintOf("new")}</kbd></a>
        <button type="button" class="search" onClick={() => open("palette")}><Icon of={Search} />{t("nav.search")}<kbd aria-hidden="true">{hintOf("palette")}</kbd></button>
      </div>
      <nav class="nav" aria-label={t("nav.pages")}>
        {PAGES.filter((page) => isOffered(page) && !page.isFoot).map((page) => (
          <a {...link(page.pattern.replace(/\/[:*].*$/, ""))} key={page.pattern} aria-current={here(page.pattern) ? "page" : undefined}><Icon of={page.nav!.icon} />{t(page.nav!.label)}</a>
        ))}
      </nav>
      <SessionList />
      <div class="side-foot">
        <MenuButton
          label={t("side.account", { name })} class="person" align="start" up
          items={() => [
            { label: t("nav.settings"), run: () => void go("settings") },
            { label: t("archived.title"), run: () => open("archived") },
            { label: t("keys.title"), run: () => open("shortcuts"), hint: hintOf("shortcuts") },
            ...(boot.auth.auth_disabled ? [] : [{ label: t("side.sign_out"), icon: <Icon of={LogOut} />, run: () => void signOut() }]),
          ]}
        >
          <span class="avatar" data-initial={[...name][0]?.toUpperCase()} /><span class="cut">{name}</span>
        </MenuButton>
        <button type="button" class="icon-button" title={t(`theme.${theme.value}`)} aria-label={t("theme.switch", { now: t(`theme.${theme.value}`) })} onClick={() => setTheme(nextTheme[theme.value])}><Icon of={icon} /></button>
        {PAGES.filter((page) => page.isFoot && page.nav).map((page) => (
          <a class="icon-button" {...link(page.pattern)} key={page.pattern} aria-label={t(page.nav!.label)} title={t(page.nav!.label)} aria-current={here(page.pattern) ? "page" : undefined}><Icon of={page.nav!.icon} /></a>
        ))}
      </div>
    </aside>
  );
}
