/** The way from the home to where one is. */
import { link } from "../../app/router";
import { t } from "../../i18n";
import { address, nameOf } from "./kinds";

export function Crumbs({ path }: { path: string }) {
  const parts = path ? path.split("/") : [];
  return (
    <nav class="crumbs" aria-label={t("files.where")}>
      <ol>
        <li>{path ? <a {...link("files")}>{t("nav.files")}</a> : <span aria-current="page">{t("nav.files")}</span>}</li>
        {parts.map((_, index) => {
          const here = parts.slice(0, index + 1).join("/");
          return <li key={here}>{here === path ? <span aria-current="page" dir="auto">{nameOf(here)}</span> : <a {...link(address(here, true))} dir="auto">{nameOf(here)}</a>}</li>;
        })}
      </ol>
    </nav>
  );
}
