/** The chat: one conversation and the box to go on with it. */
import { signal, useComputed, useSignal } from "@preact/signals";
import { For } from "@preact/signals/utils";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { isAdmin } from "../app/auth";
import { boot, models } from "../app/boot";
import { setTitle } from "../app/news";
import { link, path, rename } from "../app/router";
import { sessionItems } from "../app/Sidebar";
import { TopBar } from "../app/TopBar";
import { inOwnWords, t } from "../i18n";
import { ChevronDown, Ellipsis, Icon, Mark } from "../ui/icons";
import { MenuButton } from "../ui/menu";
import { tell } from "../ui/toast";
import { Composer } from "./Composer";
import { type Conversation, conversation, titleOf } from "./conversation";
import { newChat } from "./new";
import { current } from "./current";
import { Follow } from "./follow";
import { markRead } from "./sessions";
import { TurnView } from "./TurnView";

/** The model chosen for the next messages; null is the gateway's own choice. */
const chosenModel = signal<string | null>(null);
const places = new WeakMap<Conversation, number>();
/** So many turns fill a screen; the others of the page are drawn once it shows. */
const FIRST_TURNS = 10;
const REST_MS = 100;

export function ChatPage({ id }: { id: string | null }) {
  const talk = conversation(id);
  return <Chat talk={talk} key={talk.key} />;
}

function Head({ talk }: { talk: Conversation }) {
  const session = talk.session.value;
  const model = chosenModel.value ?? models.value[0] ?? "";
  const brief = model.split("/").slice(1).join("/") || model;
  return (
    <TopBar>
      {talk.turns.value.length || talk.id ? <h1 class="cut" dir="auto">{session ? titleOf(session) : t("nav.new")}</h1> : <span class="grow" />}
      {models.value.length > 0 && (
        <MenuButton label={t("chat.model", { model: brief })} class="pill" items={() => models.value.map((each) => ({ label: each, isChecked: each === model, run: () => (chosenModel.value = each) }))}>
          <span class="cut">{brief}</span><Icon of={ChevronDown} size={15} />
        </MenuButton>
      )}
      {session && <MenuButton label={t("chat.more")} items={() => sessionItems(session)}><Icon of={Ellipsis} /></MenuButton>}
    </TopBar>
  );
}

function Welcome({ talk }: { talk: Conversation }) {
  return (
    <div class="welcome">
      <Mark size={52} />
      <h1>{boot.greeting || t("chat.greeting", { name: boot.agent_name })}</h1>
      {isAdmin && models.value[0] === "offline/assistant" && <p class="quiet">{t("chat.no_model")} <a {...link("start")}>{t("chat.first_steps")}</a></p>}
      <div class="prompts">
        {boot.prompts.map((prompt) => {
          const text = inOwnWords(prompt);
          // The small helper without a language model knows the English ones only.
          const said = (chosenModel.value ?? models.value[0]) === "offline/assistant" ? prompt : text;
          return <button type="button" class="button" key={prompt} onClick={() => talk.say(said, [], chosenModel.value)}>{text}</button>;
        })}
      </div>
    </div>
  );
}

/** The button of a code block, which is drawn outside of components. */
function onClick(event: MouseEvent): void {
  const button = (event.target as Element).closest<HTMLElement>(".code-copy");
  if (!button) return;
  const code = button.closest(".code")!.querySelector("code")!.textContent ?? "";
  navigator.clipboard.writeText(code).then(() => {
    button.textContent = t("copied");
    setTimeout(() => (button.textContent = t("copy")), 1500);
  }, tell);
}

function Log({ talk, onFollow }: { talk: Conversation; onFollow: (follow: Follow) => void }) {
  const log = useRef<HTMLDivElement>(null);
  const column = useRef<HTMLDivElement>(null);
  const top = useRef<HTMLDivElement>(null);
  // Who comes back to a place in the middle needs all of it at once.
  const shown = useSignal(places.has(talk) ? Infinity : FIRST_TURNS);
  const turns = useComputed(() => (shown.value < talk.turns.value.length ? talk.turns.value.slice(-shown.value) : talk.turns.value));
  useLayoutEffect(() => {
    const follow = new Follow(log.current!, column.current!);
    const place = places.get(talk);
    if (place === undefined) follow.attach();
    else {
      follow.isFollowing.value = false;
      log.current!.scrollTop = place;
    }
    onFollow(follow);
    return () => {
      if (follow.isFollowing.peek()) places.delete(talk);
      else places.set(talk, log.current!.scrollTop);
      follow.close();
    };
  }, []);
  // Older messages come when the reader nears the first one; what is read stays where it is.
  useEffect(() => {
    let isBusy = false;
    const more = (load: () => Promise<void>) => {
      isBusy = true;
      const fromEnd = log.current!.scrollHeight - log.current!.scrollTop;
      void load().catch(() => null).finally(() => {
        isBusy = false;
        requestAnimationFrame(() => {
          if (!log.current || !top.current) return;
          log.current.scrollTop = log.current.scrollHeight - fromEnd;
          // Looked at anew: who has scrolled on meanwhile is still near the top.
          watcher.unobserve(top.current);
          watcher.observe(top.current);
        });
      });
    };
    const showAll = async () => void (shown.value = Infinity);
    const watcher = new IntersectionObserver((entries) => {
      // The last one is how it stands: a busy browser reports several changes at once.
      if (!entries.at(-1)!.isIntersecting || isBusy) return;
      if (shown.peek() < talk.turns.peek().length) more(showAll);
      else if (talk.hasOlder.value) more(() => talk.loadOlder());
    }, { root: log.current, rootMargin: "400px 0px 0px" });
    watcher.observe(top.current!);
    const rest = setTimeout(() => more(showAll), REST_MS);
    return () => { clearTimeout(rest); watcher.disconnect(); };
  }, [talk.status.value]);
  return (
    <div class="log" ref={log} role="log" aria-live="off" aria-busy={talk.isRunning} aria-label={t("chat.log")} tabIndex={0} onClick={onClick}>
      <div class="column" ref={column}>
        <div ref={top} />
        <For each={turns} getKey={(turn) => turn.key}>{(turn) => <TurnView turn={turn} talk={talk} model={() => chosenModel.peek()} />}</For>
      </div>
    </div>
  );
}

function Chat({ talk }: { talk: Conversation }) {
  const [follow, setFollow] = useState<Follow | null>(null);
  const status = talk.status.value;
  const session = talk.session.value;
  useEffect(() => {
    current.value = talk;
    if (talk.id && status === "new") void talk.load();
    return () => void (current.value === talk && (current.value = null));
  }, [talk]);
  useEffect(() => {
    if (talk.id && (path.peek() === "" || path.peek() === `c/${talk.deletedId}`)) rename(`c/${talk.id}`);
  }, [talk.id, status]);
  useEffect(() => setTitle(`${session ? titleOf(session) : t("nav.new")} · ${boot.agent_name}`), [session?.title]);
  const isRunning = talk.isRunning;
  useEffect(() => {
    if (talk.id && !isRunning && document.visibilityState === "visible") void markRead(talk.id);
  }, [talk.id, isRunning]);
  if (status === "missing")
    return <><TopBar /><div class="centre"><h1>{t("chat.missing")}</h1><p>{t("chat.missing_text")}</p><button type="button" class="button" onClick={newChat}>{t("nav.new")}</button></div></>;
  if (status === "failed")
    return <><TopBar /><div class="centre" role="alert"><h1>{t("chat.not_loaded")}</h1><p>{talk.problem.value}</p><button type="button" class="button" onClick={() => void talk.load()}>{t("retry")}</button></div></>;
  const isEmpty = talk.turns.value.length === 0;
  return (
    <div class="chat">
      <Head talk={talk} />
      {isEmpty ? (talk.id ? <div class="log" /> : <Welcome talk={talk} />) : <Log talk={talk} onFollow={setFollow} />}
      <Composer talk={talk} model={chosenModel.value} isFollowing={isEmpty || !follow || follow.isFollowing.value} onLatest={() => follow?.attach()} onSent={() => follow?.attach()} />
    </div>
  );
}
