/** How the gateway is doing: version, trouble with settings, and who changed what. */
import { api } from "../../api/client";
import { boot } from "../../app/boot";
import { fully, t } from "../../i18n";
import { Card, Failure, Table, useLoaded } from "../../ui/parts";

interface Status {
  rejected: { file: string; line: number | null; reason: string }[];
  warnings: string[];
  restart_needed: string[];
}
interface AuditLine {
  id: number;
  event_type: string;
  detail: string | null;
  ip_address: string | null;
  created_at: string;
}

export function System() {
  const status = useLoaded(() => api.get<Status>("api/settings/status"));
  const audit = useLoaded(() => api.get<AuditLine[]>("api/settings/audit", { limit: 100 }));
  const found = status.data;
  const isFine = found && !found.rejected.length && !found.warnings.length && !found.restart_needed.length;
  return (
    <>
      <Card title={t("system.state")}>
        <p>Starpod {boot.version}</p>
        {status.problem && <Failure text={status.problem} retry={status.reload} />}
        {isFine && <p class="ok">{t("system.fine")}</p>}
        {found?.rejected.map((each) => <p class="error" key={each.file}>{`${each.file}${each.line ? `:${each.line}` : ""}: ${each.reason}`}</p>)}
        {found?.warnings.map((each) => <p class="warn" key={each}>{each}</p>)}
        {found && found.restart_needed.length > 0 && <p class="warn">{t("settings.restart", { keys: found.restart_needed.join(", ") })}</p>}
      </Card>
      <Card title={t("system.audit")}>
        {audit.problem && <Failure text={audit.problem} retry={audit.reload} />}
        {audit.data && (
          <Table
            label={t("system.audit")} rows={audit.data} keyOf={(line) => line.id}
            columns={[
              { head: t("system.when"), cell: (line) => fully(line.created_at) },
              { head: t("system.what"), cell: (line) => line.event_type.replaceAll("_", " ") },
              { head: t("system.detail"), cell: (line) => line.detail ?? "" },
              { head: t("system.from"), cell: (line) => line.ip_address ?? "" },
            ]}
          />
        )}
      </Card>
    </>
  );
}
