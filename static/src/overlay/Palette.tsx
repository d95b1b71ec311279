/** Ctrl+K: conversations by title and text, pages, settings and actions, by keyboard alone. */
import type { IconNode } from "lucide";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { api } from "../api/client";
import type { SessionHit } from "../api/types";
import { isAdmin } from "../app/auth";
import { closeOverlay, open } from "../app/overlay";
import { isOffered, PAGES } from "../app/pages";
import { go } from "../app/router";
import { DESTINATIONS } from "../app/sections";
import { setTheme } from "../app/theme";
import { sessions } from "../chat/sessions";
import { titleOf } from "../chat/conversation";
import { newChat } from "../chat/new";
import { t } from "../i18n";
import { Dialog } from "../ui/dialog";
import { Archive, FileText, Icon, Keyboard, MessageSquare, Moon, Plus, Search, Sun } from "../ui/icons";

interface Entry {
  key: string;
  text: preact.ComponentChildren;
  words: string;
  hint?: string;
  icon: IconNode;
  run: () => void;
}

const SEARCH_MS = 120;
const MOST = 12;

/** A text with the marked ranges emphasised. Offsets count code points, as the server does. */
function marked(hit: SessionHit) {
  const characters = [...hit.snippet];
  const pieces: preact.ComponentChildren[] = [];
  let from = 0;
  for (const [start, end] of hit.marks) {
    pieces.push(characters.slice(from, start).join(""), <mark>{characters.slice(start, end).join("")}</mark>);
    from = end;
  }
  return <span class="cut" dir="auto">{pieces}{characters.slice(from).join("")}</span>;
}

function entries(): Entry[] {
  const page = (key: string, words: string, icon: IconNode, to: string): Entry => ({ key, words, text: words, icon, hint: t("palette.page"), run: () => void go(to) });
  return [
    { key: "new", words: t("nav.new"), text: t("nav.new"), icon: Plus, hint: t("palette.action"), run: newChat },
    ...PAGES.filter(isOffered).map((each) => page(each.pattern, t(each.nav!.label), each.nav!.icon, each.pattern.replace(/\/[:*].*$/, ""))),
    ...DESTINATIONS.filter((each) => isAdmin || !each.adminOnly).map((each) => page(each.path, t(each.label), each.icon, each.path)),
    { key: "light", words: t("palette.light"), text: t("palette.light"), icon: Sun, hint: t("palette.action"), run: () => setTheme("light") },
    { key: "dark", words: t("palette.dark"), text: t("palette.dark"), icon: Moon, hint: t("palette.action"), run: () => setTheme("dark") },
    { key: "archived", words: t("archived.title"), text: t("archived.title"), icon: Archive, hint: t("palette.action"), run: () => open("archived") },
    { key: "keys", words: t("keys.title"), text: t("keys.title"), icon: Keyboard, hint: t("palette.action"), run: () => open("shortcuts") },
  ];
}

export default function Palette() {
  const [query, setQuery] = useState("");
  const [hits, setHits] = useState<SessionHit[]>([]);
  const [here, setHere] = useState(0);
  const id = useId();
  const list = useRef<HTMLUListElement>(null);
  const wanted = query.trim().toLocaleLowerCase();

  useEffect(() => {
    setHere(0);
    if (!wanted) return setHits([]);
    const gone = new AbortController();
    const timer = setTimeout(() => {
      api.get<SessionHit[]>("api/sessions/search", { q: query, limit: MOST }, gone.signal).then(setHits, () => null);
    }, SEARCH_MS);
    return () => {
      clearTimeout(timer);
      gone.abort();
    };
  }, [wanted]);

  const words = wanted.split(/\s+/);
  const fits = (text: string) => words.every((word) => text.toLocaleLowerCase().includes(word));
  const named = sessions.value.filter((session) => fits(titleOf(session))).slice(0, wanted ? MOST : 6);
  const known = new Set(named.map((session) => session.id));
  const chats = named.map((session): Entry => ({ key: session.id, words: "", text: <span class="cut" dir="auto">{titleOf(session)}</span>, icon: MessageSquare, run: () => void go(`c/${session.id}`) }));
  const places = entries().filter((entry) => fits(entry.words));
  // Before anything is typed, the chats of late are what is wanted most.
  const found: Entry[] = [
    ...(wanted ? [...places, ...chats] : [...places.slice(0, 1), ...chats, ...places.slice(1)]),
    ...hits.filter((hit) => !known.has(hit.session_id)).map((hit): Entry => ({ key: `hit-${hit.session_id}`, words: "", text: marked(hit), hint: hit.title?.slice(0, 24) ?? "", icon: FileText, run: () => void go(`c/${hit.session_id}`) })),
  ];
  const choose = (entry: Entry | undefined) => {
    if (!entry) return;
    closeOverlay();
    entry.run();
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && found.length) {
      event.preventDefault();
      const next = (here + step + found.length) % found.length;
      setHere(next);
      list.current?.children[next]?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter") {
      event.preventDefault();
      choose(found[here]);
    }
  };
  return (
    <Dialog title={t("nav.search")} hideTitle onClose={closeOverlay} class="palette">
      <input
        autofocus value={query} placeholder={t("palette.hint")} aria-label={t("palette.hint")} role="combobox" list={undefined} aria-expanded="true" aria-controls={id}
        aria-activedescendant={found[here] ? `${id}-${here}` : undefined} onInput={(event) => setQuery(event.currentTarget.value)} onKeyDown={onKey} autocomplete="off" spellcheck={false}
      />
      <ul ref={list} id={id} role="listbox" aria-label={t("palette.results")}>
        {found.map((entry, index) => (
          <li key={entry.key} id={`${id}-${index}`} role="option" aria-selected={index === here} onClick={() => choose(entry)} onPointerMove={() => setHere(index)}>
            <Icon of={entry.icon} />{entry.text}{entry.hint && <small>{entry.hint}</small>}
          </li>
        ))}
        {found.length === 0 && <li class="none" role="option" aria-selected="false" aria-disabled="true"><Icon of={Search} />{t("palette.none")}</li>}
      </ul>
    </Dialog>
  );
}
