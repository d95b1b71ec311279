/** Conversations that were put away, and the way back. */
import { useEffect, useState } from "preact/hooks";
import { api } from "../api/client";
import type { Session } from "../api/types";
import { closeOverlay } from "../app/overlay";
import { link } from "../app/router";
import { titleOf } from "../chat/conversation";
import { archiveSession } from "../chat/sessions";
import { briefly, fully, t } from "../i18n";
import { Dialog } from "../ui/dialog";
import { tell } from "../ui/toast";

const PAGE = 50;

export default function Archived() {
  const [list, setList] = useState<Session[] | null>(null);
  const [hasMore, setMore] = useState(false);
  const more = async (before?: string) => {
    const page = await api.get<Session[]>("api/sessions", { archived: true, limit: PAGE, before });
    setList((all) => [...(all ?? []), ...page]);
    setMore(page.length === PAGE);
  };
  useEffect(() => void more().catch((error: unknown) => { closeOverlay(); tell(error); }), []);
  const restore = async (session: Session) => {
    await archiveSession(session.id, false);
    setList((all) => all?.filter((each) => each.id !== session.id) ?? null);
  };
  return (
    <Dialog title={t("archived.title")} onClose={closeOverlay}>
      {list?.length === 0 && <p class="quiet">{t("archived.none")}</p>}
      <ul class="archived">
        {list?.map((session) => {
          const to = link(`c/${session.id}`);
          return (
            <li key={session.id}>
              <a class="cut" dir="auto" href={to.href} onClick={(event) => { closeOverlay(); to.onClick(event); }}>{titleOf(session)}</a>
              <time class="quiet" dateTime={session.last_message_at} title={fully(session.last_message_at)}>{briefly(session.last_message_at)}</time>
              <button type="button" class="button" onClick={() => void restore(session).catch(tell)}>{t("archived.restore")}</button>
            </li>
          );
        })}
      </ul>
      {hasMore && <button type="button" class="button" onClick={() => void more(list?.at(-1)?.id).catch(tell)}>{t("archived.more")}</button>}
    </Dialog>
  );
}
