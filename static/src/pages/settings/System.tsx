/** How the gateway is doing: version, trouble with settings, and who changed what. */
import { useState } from "preact/hooks";
import { api } from "../../api/client";
import { boot } from "../../app/boot";
import { fully, number, t } from "../../i18n";
import { Card, Failure, useLoaded } from "../../ui/parts";
import { Doctor } from "./Doctor";
import { SettingsForm } from "./Form";
import { Outbox } from "./Outbox";
import { nameOf, PEOPLE, type Person } from "./people";

interface Status {
  rejected: string[];
  warnings: string[];
  restart_needed: string[];
}
interface Health {
  warnings?: string[];
  config_error?: string;
}
interface Ready {
  checks: { event_loop_delay_ms: number; database: string };
}
interface AuditLine {
  id: number;
  user_id?: string | null;
  event_type: string;
  detail: string | null;
  ip_address: string | null;
  created_at: string;
}

const KINDS = [
  "audit.bootstrap", "audit.login_ok", "audit.failed_auth", "audit.logout", "audit.user_created", "audit.user_updated",
  "audit.user_activated", "audit.user_deactivated", "audit.user_deleted", "audit.api_key_created", "audit.api_key_revoked", "audit.api_key_rotated",
  "audit.rate_limited", "audit.telegram_linked", "audit.telegram_unlinked", "audit.settings_changed", "audit.vault_set", "audit.vault_deleted",
  "audit.vault_key_rotated", "audit.budget_changed", "audit.instance_changed",
] as const;
const kindOf = (event: string): string => { const key = KINDS.find((each) => each === `audit.${event}`); return key ? t(key) : event.replaceAll("_", " "); };
const PAGE = 50;
const ADVANCED = [["turns", "system.turns"], ["provider_http", "system.provider_http"], ["websocket", "system.websocket"], ["instances", "system.instances"]] as const;

function Audit() {
  const [before, setBefore] = useState<number | null>(null);
  const [older, setOlder] = useState<AuditLine[]>([]);
  const [kind, setKind] = useState("");
  const { data, problem, reload } = useLoaded(() => api.get<AuditLine[]>("api/settings/audit", { limit: PAGE, before, event_type: kind || null }), [before, kind]);
  const people = useLoaded(() => api.get<Person[]>(PEOPLE));
  const lines = [...older, ...(data ?? [])];
  const who = (id: string | null | undefined) => { const found = people.data?.find((each) => each.id === id); return found ? nameOf(found) : ""; };
  return (
    <Card title={t("system.audit")}>
      {problem && <Failure text={problem} retry={reload} />}
      <label class="field"><span class="hidden">{t("system.kind")}</span><select value={kind} onChange={(event) => { setKind(event.currentTarget.value); setOlder([]); setBefore(null); }}><option value="">{t("system.all_kinds")}</option>{KINDS.map((each) => <option key={each} value={each.slice(6)}>{t(each)}</option>)}</select></label>
      {data && lines.length === 0 && <p class="quiet">{t("system.nothing")}</p>}
      {lines.length > 0 && (
        <ul class="list" aria-label={t("system.audit")}>
          {lines.map((line) => (
            <li key={line.id} class="wrap">
              <div class="grow"><p><b>{kindOf(line.event_type)}</b> {who(line.user_id)}</p>{line.detail && <p class="quiet">{line.detail}</p>}</div>
              <span class="quiet no-break">{fully(line.created_at)}{line.ip_address && ` · ${line.ip_address}`}</span>
            </li>
          ))}
        </ul>
      )}
      {data?.length === PAGE && <div class="row"><button type="button" class="button" onClick={() => { setOlder(lines); setBefore(data.at(-1)!.id); }}>{t("system.older")}</button></div>}
    </Card>
  );
}

export function System() {
  const status = useLoaded(() => api.get<Status>("api/settings/status"));
  const health = useLoaded(() => api.get<Health>("api/health"));
  const ready = useLoaded(() => api.get<Ready>("api/health/ready"));
  const found = status.data;
  const isFine = found && !found.rejected.length && !found.warnings.length && !found.restart_needed.length;
  return (
    <>
      <Card title={t("system.state")}>
        <dl class="facts-list">
          <div><dt>{t("system.version")}</dt><dd>Starpod {boot.version}</dd></div>
          <div><dt>{t("system.health")}</dt><dd>{health.data ? (health.data.warnings?.length || health.data.config_error ? <span class="warn">{t("system.warned")}</span> : <span class="ok">{t("system.healthy")}</span>) : ""}</dd></div>
          <div><dt>{t("system.delay")}</dt><dd>{ready.data ? `${number(ready.data.checks.event_loop_delay_ms, 1)} ms` : ""}</dd></div>
          <div><dt>{t("system.database")}</dt><dd>{ready.data?.checks.database ?? ready.problem ?? ""}</dd></div>
        </dl>
        {health.problem && <Failure text={health.problem} retry={health.reload} />}
        {health.data?.warnings?.map((each) => <p class="warn" key={each}>{each}</p>)}
        {status.problem && <Failure text={status.problem} retry={status.reload} />}
        {isFine && <p class="ok">{t("system.fine")}</p>}
        {found?.rejected.map((each) => <p class="error pre" key={each}>{each}</p>)}
        {found?.warnings.map((each) => <p class="warn" key={each}>{each}</p>)}
        {found && found.restart_needed.length > 0 && <p class="warn">{t("settings.restart", { keys: found.restart_needed.join(", ") })}</p>}
      </Card>
      <Doctor />
      <Outbox />
      <Audit />
      <details class="behind advanced">
        <summary>{t("system.advanced")}</summary>
        <div class="settings-content">{ADVANCED.map(([section, title]) => <SettingsForm key={section} section={section} title={t(title)} />)}</div>
      </details>
    </>
  );
}
