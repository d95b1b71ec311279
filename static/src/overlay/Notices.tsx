/** The bell: the last news, read or not. */
import { useEffect } from "preact/hooks";
import { loadNotices, markNoticesRead, notices } from "../app/news";
import { closeOverlay } from "../app/overlay";
import { link } from "../app/router";
import { briefly, fully, t } from "../i18n";
import { Dialog } from "../ui/dialog";
import type { Notice } from "../api/types";

function Line({ notice }: { notice: Notice }) {
  return (
    <>
      <span class={`dot ${notice.is_read ? "read" : ""} ${notice.success ? "" : "failed"}`} role="img" aria-label={t(notice.success ? "notices.fine" : "notices.failed")} />
      <b>{notice.title}</b>
      <time class="quiet" dateTime={notice.created_at} title={fully(notice.created_at)}>{briefly(notice.created_at)}</time>
      {notice.text && <p dir="auto">{notice.text}</p>}
    </>
  );
}

export default function Notices() {
  useEffect(() => void loadNotices().then(markNoticesRead), []);
  return (
    <Dialog title={t("notices.title")} onClose={closeOverlay}>
      {notices.value.length === 0 && <p class="quiet">{t("notices.none")}</p>}
      <ul class="notices">
        {notices.value.map((notice) => {
          const to = notice.session_id ? link(`c/${notice.session_id}`) : null;
          return (
            <li key={notice.id}>
              {to ? <a href={to.href} onClick={(event) => { closeOverlay(); to.onClick(event); }}><Line notice={notice} /></a> : <div class="notice"><Line notice={notice} /></div>}
            </li>
          );
        })}
      </ul>
    </Dialog>
  );
}
