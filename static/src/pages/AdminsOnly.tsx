/** In place of a page, or of a part of one, that is not for the person who is signed in. */
import { link } from "../app/router";
import { t } from "../i18n";
import { Empty } from "../ui/parts";

export const AdminsOnly = () => (
  <Empty title={t("admins.title")} text={t("admins.text")}><a class="button" {...link("")}>{t("nav.home")}</a></Empty>
);
