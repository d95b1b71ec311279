/** The files of one's home, where the agent works too. An address that ends in a slash is a folder. */
import { api } from "../api/client";
import { hasFiles, isAdmin } from "../app/auth";
import type { PageProps } from "../app/page";
import { link, path as here } from "../app/router";
import { t } from "../i18n";
import { Empty, Failure, PageHead, useLoaded } from "../ui/parts";
import { Crumbs } from "./files/Crumbs";
import { FilePage } from "./files/File";
import { Folder } from "./files/Folder";
import type { Info } from "./files/kinds";

function Either({ path }: { path: string }) {
  const { data, problem, reload } = useLoaded(() => api.get<Info>("api/files/info", { path }), [path]);
  if (problem) return <div class="page"><Crumbs path={path} /><PageHead title={t("files.missing")} /><Failure text={problem} retry={reload} /></div>;
  if (!data) return null;
  return data.type === "directory" ? <Folder path={path} /> : <FilePage info={data} onChanged={reload} />;
}

export default function Files({ params }: PageProps) {
  const path = params.rest ?? "";
  if (!hasFiles)
    return <div class="page"><PageHead title={t("nav.files")} /><Empty title={t("files.no_right")} text={t("files.no_right_text")}>{isAdmin && <a class="button primary" {...link("settings/users")}>{t("settings.users")}</a>}</Empty></div>;
  return !path || here.value.endsWith("/") ? <Folder path={path} key={path} /> : <Either path={path} key={path} />;
}
