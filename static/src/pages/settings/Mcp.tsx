/** MCP servers: whether they are connected, what they offer, and what is wrong when they are not. */
import { useEffect } from "preact/hooks";
import { api } from "../../api/client";
import { briefly, t } from "../../i18n";
import { Card, Empty, Failure, useLoaded } from "../../ui/parts";

interface Server {
  name: string;
  transport: "stdio" | "http";
  enabled: boolean;
  state: "off" | "waiting" | "starting" | "connected" | "failed";
  since: string;
  tools: string[];
  error: string | null;
  notes: string[];
  admins_only: boolean;
  target: string;
  env: string[];
  headers: string[];
}

const EXAMPLE = '[mcp.servers.files]\ncommand = "npx"\nargs = ["-y", "@modelcontextprotocol/server-filesystem", "."]';
const BADGE = { off: "badge", waiting: "badge", starting: "badge live", connected: "badge ok", failed: "badge error" };
const STARTING_MS = 1500;

export function Mcp() {
  const { data, problem, reload } = useLoaded(() => api.get<{ servers: Server[] }>("api/settings/mcp"));
  const isStarting = data?.servers.some((server) => server.state === "starting" || server.state === "waiting");
  useEffect(() => {
    if (!isStarting) return;
    const timer = setInterval(reload, STARTING_MS);
    return () => clearInterval(timer);
  }, [isStarting]);
  return (
    <Card title={t("settings.mcp")}>
      <p class="quiet">{t("mcp.hint")}</p>
      {problem && <Failure text={problem} retry={reload} />}
      {data?.servers.length === 0 && <Empty title={t("mcp.none")} text={t("mcp.none_text")}><pre class="example" tabIndex={0}>{EXAMPLE}</pre></Empty>}
      {data && data.servers.length > 0 && (
        <ul class="list">
          {data.servers.map((server) => (
            <li key={server.name} class="wrap">
              <div class="grow">
                <b>{server.name}</b> <span class={BADGE[server.state]}>{t(`mcp.${server.state}`)}</span> {server.admins_only && <span class="badge">{t("mcp.admins")}</span>}
                <div class="quiet"><span class="mono">{server.target}</span> · {t("mcp.since", { when: briefly(server.since) })}</div>
                {server.error && <p class="error">{server.error}</p>}
                {server.notes.map((note) => <p class="warn" key={note}>{note}</p>)}
                {server.tools.length > 0 && <details class="behind"><summary>{t("mcp.tools", { n: server.tools.length })}</summary><p class="mono">{server.tools.join(", ")}</p></details>}
              </div>
            </li>
          ))}
        </ul>
      )}
      <div class="row"><button type="button" class="button" onClick={reload}>{t("instances.refresh")}</button></div>
    </Card>
  );
}
