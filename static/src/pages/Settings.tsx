/** Settings: a list of sections at the side, one of them beside it. */
import type { ComponentChildren } from "preact";
import { isAdmin } from "../app/auth";
import { SECTIONS } from "../app/pages";
import { go, link } from "../app/router";
import type { PageProps } from "../app/pages";
import { setTheme, theme, type Theme } from "../app/theme";
import { LOCALES, locale, setLocale, t } from "../i18n";
import { Card, PageHead, Segments } from "../ui/parts";
import { Documents } from "./settings/Documents";
import { SettingsForm } from "./settings/Form";
import { Keys } from "./settings/Keys";
import { ModelTests } from "./settings/Models";
import { System } from "./settings/System";
import { Users } from "./settings/Users";
import { Vault } from "./settings/Vault";

function Appearance() {
  return (
    <Card title={t("settings.appearance")}>
      <p class="quiet">{t("settings.hint")}</p>
      <div class="setting">
        <span>{t("settings.theme")}</span>
        <Segments<Theme> label={t("settings.theme")} value={theme.value} onChange={setTheme} options={[["system", t("theme.system")], ["light", t("theme.light")], ["dark", t("theme.dark")]]} />
      </div>
      <div class="setting">
        <span>{t("settings.language")}</span>
        <Segments label={t("settings.language")} value={locale.value} onChange={(code) => void setLocale(code)} options={Object.entries(LOCALES).map(([code, { name }]) => [code, name])} />
      </div>
    </Card>
  );
}

const MODEL_FIELDS = ["models", "max_turns", "max_tokens", "reasoning_effort", "compaction_model"];
const AGENT_FIELDS = ["agent_name", "timezone", "followup_mode", "self_improve", "server_addr"];

const CONTENT: Record<string, () => ComponentChildren> = {
  appearance: () => <Appearance />,
  keys: () => <Keys list="api/keys" one="api/keys" />,
  agent: () => <><SettingsForm section="general" title={t("settings.agent")} only={AGENT_FIELDS} /><Documents names={["SOUL.md", "BOOT.md", "BOOTSTRAP.md"]} /></>,
  models: () => <><SettingsForm section="general" title={t("settings.models")} only={MODEL_FIELDS} /><ModelTests /></>,
  channels: () => <SettingsForm section="channels" title="Telegram" />,
  tools: () => <><SettingsForm section="tools" title={t("settings.tools")} /><SettingsForm section="internet" title={t("settings.internet")} /><SettingsForm section="attachments" title={t("settings.attachments")} /></>,
  memory: () => <><SettingsForm section="memory" title={t("settings.memory")} /><SettingsForm section="compaction" title={t("settings.compaction")} /></>,
  schedules: () => <><SettingsForm section="cron" title={t("settings.schedules")} /><Documents names={["HEARTBEAT.md"]} /></>,
  budgets: () => <SettingsForm section="budgets" title={t("settings.budgets")} />,
  users: () => <><Users /><SettingsForm section="auth" title={t("settings.auth")} /></>,
  vault: () => <Vault />,
  system: () => <System />,
};

export default function Settings({ params }: PageProps) {
  const all = SECTIONS.filter((each) => isAdmin || !each.adminOnly);
  const here = all.find((each) => each.id === params.section) ?? all[0]!;
  return (
    <div class="page settings">
      <PageHead title={t("nav.settings")} />
      <nav class="settings-list" aria-label={t("nav.settings")}>
        {all.map((each) => <a key={each.id} {...link(`settings/${each.id}`)} aria-current={each === here ? "page" : undefined}>{t(each.label)}</a>)}
      </nav>
      <label class="settings-choice field">
        <span class="hidden">{t("nav.settings")}</span>
        <select value={here.id} onChange={(event) => void go(`settings/${event.currentTarget.value}`)}>{all.map((each) => <option key={each.id} value={each.id}>{t(each.label)}</option>)}</select>
      </label>
      <div class="settings-content" key={here.id}>{CONTENT[here.id]!()}</div>
    </div>
  );
}
