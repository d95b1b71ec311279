/** The bar above a page: the way to the sidebar, a title, and what the page puts there. */
import type { ComponentChildren } from "preact";
import { t } from "../i18n";
import { line } from "../socket/socket";
import { Icon, Menu, PanelLeft } from "../ui/icons";
import { isSideOpen, openSide } from "./side";
import { unreadCount } from "./news";

export function TopBar({ children }: { children?: ComponentChildren }) {
  return (
    <>
      {(!isSideOpen.value || children) && (
        <div class="topbar">
          {!isSideOpen.value && (
            <button type="button" class="icon-button" aria-label={t("side.open")} title={t("side.open")} onClick={openSide}>
              <span class="phone-only"><Icon of={innerWidth < 768 ? Menu : PanelLeft} /></span>
              {unreadCount.value > 0 && <span class="dot" />}
            </button>
          )}
          {children}
        </div>
      )}
      {line.value === "lost" && <div class="banner" role="status"><span class="spinner" />{t("line.lost")}</div>}
    </>
  );
}
