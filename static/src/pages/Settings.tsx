/** Settings: a list of sections at the side, one of them beside it. */
import type { ComponentChildren } from "preact";
import { isAdmin } from "../app/auth";
import { SECTION_GROUPS, SECTIONS } from "../app/sections";
import { go, link } from "../app/router";
import type { PageProps } from "../app/page";
import { setTheme, theme, type Theme } from "../app/theme";
import { LOCALES, locale, setLocale, t } from "../i18n";
import { Card, PageHead, Segments } from "../ui/parts";
import { tell } from "../ui/toast";
import { AdminsOnly } from "./AdminsOnly";
import { Approvals } from "./settings/Approvals";
import { Budgets } from "./settings/Budgets";
import { Documents } from "./settings/Documents";
import { SettingsForm } from "./settings/Form";
import { Frontend } from "./settings/Frontend";
import { Heartbeat } from "./settings/Heartbeat";
import { Keys } from "./settings/Keys";
import { Logs } from "./settings/Logs";
import { Mcp } from "./settings/Mcp";
import { Models } from "./settings/Models";
import { Skills } from "./settings/Skills";
import { System } from "./settings/System";
import { Telegram } from "./settings/Telegram";
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
        <Segments label={t("settings.language")} value={locale.value} onChange={(code) => void setLocale(code).catch(tell)} options={Object.entries(LOCALES).map(([code, { name }]) => [code, name])} />
      </div>
    </Card>
  );
}

const MODEL_FIELDS = ["max_turns", "max_tokens", "reasoning_effort", "compaction_model"];
const AGENT_FIELDS = ["agent_name", "timezone", "followup_mode", "self_improve", "server_addr", "proxy_enabled"];

const CONTENT: Record<string, () => ComponentChildren> = {
  appearance: () => <Appearance />,
  keys: () => <Keys list="api/keys" one="api/keys" />,
  agent: () => <><SettingsForm section="general" title={t("settings.agent")} only={AGENT_FIELDS} /><Documents names={["SOUL.md", "BOOT.md", "BOOTSTRAP.md"]} /><Frontend /></>,
  models: () => <><Models /><SettingsForm section="general" title={t("models.limits")} only={MODEL_FIELDS} /></>,
  tools: () => <><SettingsForm section="tools" title={t("settings.tools")} /><Approvals /><SettingsForm section="internet" title={t("settings.internet")} /><SettingsForm section="attachments" title={t("settings.attachments")} /></>,
  skills: () => <Skills />,
  mcp: () => <Mcp />,
  memory: () => <><SettingsForm section="memory" title={t("settings.memory")} /><SettingsForm section="compaction" title={t("settings.compaction")} /></>,
  heartbeat: () => <><Heartbeat /><SettingsForm section="cron" title={t("nav.schedules")} only={["default_max_retries", "default_timeout_secs", "max_concurrent_runs"]} /></>,
  users: () => <><Users /><SettingsForm section="auth" title={t("settings.auth")} /></>,
  channels: () => <Telegram />,
  budgets: () => <Budgets />,
  vault: () => <Vault />,
  logs: () => <Logs />,
  system: () => <System />,
};

export default function Settings({ params }: PageProps) {
  const groups = SECTION_GROUPS.map((group) => ({ ...group, sections: group.sections.filter((each) => isAdmin || !each.adminOnly) })).filter((group) => group.sections.length);
  const all = groups.flatMap((group) => group.sections);
  // Whoever follows a link to what only admins may see is told so.
  const here = SECTIONS.find((each) => each.id === params.section) ?? all[0]!;
  const isAllowed = all.includes(here);
  return (
    <div class="page settings">
      <PageHead title={t("nav.settings")} />
      <nav class="settings-list" aria-label={t("nav.settings")}>
        {groups.map((group) => (
          <section key={group.label}>
            <h2>{t(group.label)}</h2>
            {group.sections.map((each) => <a key={each.id} {...link(`settings/${each.id}`)} aria-current={each === here ? "page" : undefined}>{t(each.label)}</a>)}
          </section>
        ))}
      </nav>
      <label class="settings-choice field">
        <span class="hidden">{t("nav.settings")}</span>
        <select value={here.id} onChange={(event) => void go(`settings/${event.currentTarget.value}`)}>{!isAllowed && <option value={here.id} hidden>{t(here.label)}</option>}{groups.map((group) => <optgroup key={group.label} label={t(group.label)}>{group.sections.map((each) => <option key={each.id} value={each.id}>{t(each.label)}</option>)}</optgroup>)}</select>
      </label>
      <div class="settings-content" key={here.id}>{isAllowed ? CONTENT[here.id]!() : <Card><AdminsOnly /></Card>}</div>
    </div>
  );
}
