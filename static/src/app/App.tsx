/** The shell: what every page stands in. */
import { effect, signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { ChatPage } from "../chat/ChatPage";
import { t } from "../i18n";
import { Login } from "../pages/Login";
import { line } from "../socket/socket";
import { Questions } from "../ui/dialog";
import { Toasts } from "../ui/toast";
import { endSession, isSignedIn } from "./auth";
import { announcement } from "./announce";
import { watchNews } from "./news";
import { overlay } from "./overlay";
import { Overlays } from "./overlays";
import type { PageProps } from "./page";
import { match, PAGES } from "./pages";
import { path } from "./router";
import { installShortcuts } from "./shortcuts";
import { closeSide, isSideOpen } from "./side";
import { Sidebar } from "./Sidebar";
import { TopBar } from "./TopBar";

const loaded = new Map<string, ComponentType<PageProps>>();
const fetched = signal(0);
const broken = signal<string | null>(null);

function Here() {
  const address = path.value;
  fetched.value;
  const talk = match("c/:id", address);
  if (address === "" || talk) return <ChatPage id={talk?.id ?? null} />;
  for (const page of PAGES) {
    const params = match(page.pattern, address);
    if (!params) continue;
    const Shown = loaded.get(page.pattern);
    if (Shown) return <PageFrame><Shown params={params} key={page.pattern} /></PageFrame>;
    page.load().then(
      (module) => { loaded.set(page.pattern, module.default); broken.value = null; fetched.value++; },
      () => (broken.value = page.pattern),
    );
    return (
      <PageFrame>
        {broken.value === page.pattern && <div class="centre"><p>{t("page.broken")}</p><button type="button" class="button" onClick={() => location.reload()}>{t("retry")}</button></div>}
      </PageFrame>
    );
  }
  return <PageFrame><div class="centre"><h1>{t("page.missing")}</h1><a class="button" href="./">{t("nav.home")}</a></div></PageFrame>;
}

const PageFrame = ({ children }: { children?: preact.ComponentChildren }) => (
  <>
    <TopBar />
    <div class="page-scroll">{children}</div>
  </>
);

effect(() => {
  if (line.value === "signed-out") endSession();
});

export function App({ problem }: { problem: string | null }) {
  useEffect(() => installShortcuts(), []);
  useEffect(() => watchNews(), []);
  // Leaving the sidebar open over the page would hide what was asked for.
  useEffect(() => closeSide({ onPhoneOnly: true }), [path.value]);
  if (!isSignedIn.value) return <><Login problem={problem} /><Toasts /></>;
  return (
    <div class="app" data-side={isSideOpen.value ? "open" : "closed"}>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>{t("skip")}</a>
      <Sidebar />
      <button type="button" class="scrim" tabIndex={-1} aria-hidden="true" onClick={() => closeSide()} />
      <main class="main" id="main" tabIndex={-1}>
        <Here />
      </main>
      <Toasts />
      <Questions />
      {overlay.value && <Overlays />}
      <div class="hidden" aria-live="polite">{announcement.value}</div>
    </div>
  );
}
